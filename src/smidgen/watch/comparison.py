"""Compare two periods of traffic: their distinct texts, column by column, and the views that look for changes.

Each view names what may have moved, the statistic that tests it, and describes the change in words with examples.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from smidgen.core.rows import Text, joined
from smidgen.stats.drift_statistics import (
    CategoryDrift,
    DriftStatistic,
    Floats,
    NeighbourDrift,
    TextPresence,
    ValueDrift,
    VectorDrift,
    WordDrift,
)


@dataclass(frozen=True)
class TrafficSample:
    """A sample of n distinct texts from two periods.

    Attributes:
        where: the periods in which each text occurs.
        texts: each as it is stored, in its last form.
        vectors: (n, width) of an encoder.
        labels: the model's answers, by name; None for a text without an answer.
        scores: (n,) its confidence, 0..1; NaN if unknown.
        languages: of each text; None for one that is too short.
        untested: why a column is missing, by the name of its test.
    """

    where: TextPresence
    texts: Sequence[str]
    vectors: Floats | None = None
    labels: Sequence[str | None] | None = None
    scores: Floats | None = None
    languages: Sequence[str | None] | None = None
    untested: Mapping[str, str] = field(default_factory=dict)


_PLACEHOLDER = re.compile(r"\[([A-Z][A-Z_]*)_\d+\]")
"""A placeholder of redaction: `[PERSON_1]`."""
_DIGITS = re.compile(r"\d+")
_BREAKS = re.compile(r"[\W_]+")
_WORD = re.compile(r"[^\W\d_]{2,}(?:['’-][^\W\d_]+)*")


def normalised(text: Text) -> str:
    """Fold a text: texts that differ only in case, punctuation, numbers or placeholder numbers become equal. `Where is 4711?` and `where is
    42` come from one program."""
    plain = unicodedata.normalize("NFKC", _PLACEHOLDER.sub(r" \1 ", joined(text))).casefold()
    return _BREAKS.sub(" ", _DIGITS.sub("0", plain)).strip()


def words(text: Text) -> set[str]:
    """The text's words of two letters and more, folded; without numbers and placeholders."""
    return set(_WORD.findall(unicodedata.normalize("NFKC", without_placeholders(text)).casefold()))


def without_placeholders(text: Text) -> str:
    """The text without placeholders, which belong to no language."""
    return _PLACEHOLDER.sub(" ", joined(text))


EXAMPLES = 5
_LONGEST_EXAMPLE = 200
_MOST_WORDS = 10
UNKNOWN = "?"
"""The name for a language that cannot be recognised."""


@dataclass(frozen=True)
class ShiftSeen:
    """An observed shift: a sentence without a full stop, and examples of it. `numbers` are JSON-ready."""

    says: str
    examples: tuple[str, ...]
    numbers: dict[str, object]


@dataclass(frozen=True)
class View:
    """One comparison of the two periods: its name, its statistic, and the function that describes it. `where`: the texts that it
    compares."""

    name: str
    shift: DriftStatistic
    tell: Callable[[], ShiftSeen]
    where: TextPresence


def views(sample: TrafficSample, seed: int) -> list[View]:
    """The views that the sample has columns for, in the order in which they are shown."""
    found: list[View] = []
    if sample.vectors is not None:
        classifier, nearest = VectorDrift(sample.where, sample.vectors, seed), NeighbourDrift(sample.where, sample.vectors)
        who = "a classifier that has not seen them tells recent texts from earlier ones"
        found.append(_classifier_view("meaning", sample, classifier, who))
        found.append(_classifier_view("subjects", sample, nearest, "the texts nearest to it tell a recent text from an earlier one"))
    if sample.labels is not None:
        found.append(_kinds("labels", sample, sample.labels, None))
    if sample.scores is not None:
        found.append(_ordered("scores", sample, sample.scores, "the median score went from {:.2f} to {:.2f}", highest=False))
    lengths = np.log1p(np.array([len(text) for text in sample.texts], dtype=np.float64))
    found.append(_ordered("length", sample, lengths, "the median text went from {:.0f} to {:.0f} characters", exact=np.expm1))
    if sample.languages is not None:
        found.append(_kinds("language", sample, sample.languages, UNKNOWN))
    found.append(_vocabulary(sample))
    return found


def _classifier_view(name: str, sample: TrafficSample, shift: VectorDrift | NeighbourDrift, who: str) -> View:
    """A view by how well a classifier separates the recent texts from the earlier ones."""

    def tell() -> ShiftSeen:
        scores = shift.scores(sample.where.later[None])[0]
        auc = _auc(scores, sample.where)
        return ShiftSeen(f"{who} with AUC {auc:.2f}", _shown(sample, np.argsort(-scores, kind="stable")), {"auc": round(auc, 4)})

    return View(name, shift, tell, sample.where)


def _kinds(what: str, sample: TrafficSample, kinds: Sequence[str | None], unknown: str | None) -> View:
    named = [kind if kind is not None else unknown for kind in kinds]
    names = sorted({kind for kind in named if kind is not None})
    number = {name: place for place, name in enumerate(names)}
    numbers = np.array([number[kind] if kind is not None else -1 for kind in named], dtype=np.int64)
    told = numbers >= 0
    where = sample.where if told.all() else sample.where.only(told)
    shift = CategoryDrift(where, numbers[told])

    def tell() -> ShiftSeen:
        before, after = (part[0] for part in shift.shares(where.later[None]))
        by_change = np.argsort(-(after - before), kind="stable")
        grown = [place for place in by_change[:3] if after[place] > before[place]]
        shrunk = [place for place in by_change[::-1][:3] if after[place] < before[place]]
        moves = {names[place]: [round(float(before[place]), 4), round(float(after[place]), 4)] for place in (*grown, *shrunk)}
        says = "; ".join(
            f"{verb} " + ", ".join(f"{names[place]} {before[place]:.1%} to {after[place]:.1%}" for place in places)
            for verb, places in (("more", grown), ("less", shrunk))
            if places
        )
        most = _in_turn(named, [names[place] for place in grown])
        return ShiftSeen(says or "no share changed", _shown(sample, most), {"shares": moves})

    return View(what, shift, tell, where)


def _ordered(
    what: str, sample: TrafficSample, values: Floats, words: str, *, highest: bool = True, exact: Callable[[Floats], Floats] = np.asarray
) -> View:
    told = ~np.isnan(values)
    where = sample.where if told.all() else sample.where.only(told)
    shift = ValueDrift(where, values[told])

    def tell() -> ShiftSeen:
        known = exact(values)
        before = _median(known, sample.where.blocks - sample.where.later)
        after = _median(known, sample.where.later)
        # The examples come from the end that the values moved to.
        upwards = after > before or (after == before and highest)
        order = np.argsort(np.where(np.isnan(known), np.inf, -known if upwards else known), kind="stable")
        return ShiftSeen(words.format(before, after), _shown(sample, order), {"median": [round(before, 4), round(after, 4)]})

    return View(what, shift, tell, where)


def _vocabulary(sample: TrafficSample) -> View:
    held = [words(text) for text in sample.texts]
    names = sorted(set().union(*held))
    number = {name: place for place, name in enumerate(names)}
    shift = WordDrift(sample.where, [{number[word] for word in text} for text in held])

    def tell() -> ShiftSeen:
        counts = shift.new(sample.where.later[None])[0]
        order = np.argsort(-counts, kind="stable")[:_MOST_WORDS]
        new = {names[shift.numbers[place]]: int(counts[place]) for place in order if counts[place] > 0}
        listed = ", ".join(f"{word} ({count})" for word, count in new.items())
        share = float(shift.statistic(sample.where.later[None])[0])
        says = f"{share:.1%} of the recent texts have a word that no earlier text has: {listed}" if new else "no word is new"
        by_newness = sorted(range(len(held)), key=lambda place: -max((new.get(word, 0) for word in held[place]), default=0))
        some = [place for place in by_newness if held[place] & new.keys()]
        return ShiftSeen(says, _shown(sample, some), {"words": new})

    return View("words", shift, tell, sample.where)


def _in_turn(kinds: Sequence[str | None], names: Sequence[str]) -> list[int]:
    """Places of the texts of these kinds, one of each in turn."""
    places = {name: [place for place, kind in enumerate(kinds) if kind == name] for name in names}
    most = max((len(held) for held in places.values()), default=0)
    return [held[turn] for turn in range(most) for held in places.values() if turn < len(held)]


def _shown(sample: TrafficSample, order: Sequence[int] | np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> tuple[str, ...]:
    """The first texts of an order that occur in the recent period only."""
    new = [int(place) for place in order if sample.where.later[place] and sample.where.blocks[place] == 1]
    texts = [" ".join(sample.texts[place].split()) for place in new[:EXAMPLES]]
    return tuple(text if len(text) <= _LONGEST_EXAMPLE else text[: _LONGEST_EXAMPLE - 1] + "…" for text in texts)


def _median(values: Floats, weights: Floats) -> float:
    """The weighted median of values; NaN if there are none."""
    known = np.flatnonzero(~np.isnan(values) & (weights > 0))
    if not len(known):
        return float("nan")
    order = known[np.argsort(values[known], kind="stable")]
    reached = np.cumsum(weights[order])
    return float(values[order[np.searchsorted(reached, reached[-1] / 2)]])


def _auc(scores: Floats, where: TextPresence) -> float:
    """The AUC: how often the recent text of a random pair of a recent and an earlier one has the higher score; ties count half."""
    _, rank = np.unique(np.round(scores, 12), return_inverse=True)
    later, earlier = (np.bincount(rank, weights=part) for part in (where.later, where.blocks - where.later))
    below = np.cumsum(earlier) - earlier / 2
    return float((later * below).sum() / (later.sum() * earlier.sum()))
