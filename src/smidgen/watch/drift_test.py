"""The drift test: whether traffic has moved away from its earlier state, and in which respect.

An alarm takes two conditions. *Evidence*: the test's p-value, corrected by Holm for all tests of a look, is at most the part of the level
that this look may spend. All looks share one level, so the chance of any false alarm is at most that level however often one looks. And
*size*: at least the share `least` of the texts must have come from elsewhere, beyond chance. In 50,000 requests even a tiny shift is
certain; it is reported, but raises no alarm.

Two periods of traffic are compared by their distinct texts, in several views. Each view names what may have moved, the statistic that
tests it, and describes the change in words with examples.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from smidgen.core.rows import Text, joined
from smidgen.stats.drift_statistics import (
    CategoryDrift,
    DriftStatistic,
    Floats,
    NeighbourDrift,
    PermutationResult,
    TextPresence,
    ValueDrift,
    VectorDrift,
    WordDrift,
    holm,
    permutation_test,
)
from smidgen.stats.risk_bounds import slow_level_of_look


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


LEVEL = 0.05
LEAST = 0.05
FEWEST = 50
"""Least distinct texts in each period: with fewer a look shows nothing, and none is spent."""
_FEWEST_DRAWN, _MOST_DRAWN = 999, 1_000_000


@dataclass(frozen=True)
class ViewResult:
    """The result of one test.

    Attributes:
        what: `meaning`, `subjects`, `labels`, `scores`, `length`, `language` or `words`.
        p: by permutation.
        adjusted: `p` by Holm for all tests of the look.
        size: the share of the texts that must have come from elsewhere, beyond chance, 0..1.
        sure: whether there is evidence.
        alarm: whether there is evidence and the size is large enough.
        says: the observed change, in words.
        examples: recent texts that show it, as they are stored.
        numbers: the figures in `says`, JSON-ready.
    """

    what: str
    p: float
    adjusted: float
    size: float
    sure: bool
    alarm: bool
    says: str
    examples: tuple[str, ...]
    numbers: dict[str, object]


@dataclass(frozen=True)
class DriftVerdict:
    """The verdict of one look: `spent` is the part of `level` that it was tested at, `least` the smallest size of an alarm."""

    tests: tuple[ViewResult, ...]
    untested: Mapping[str, str]
    look: int
    level: float
    spent: float
    least: float

    @property
    def alarm(self) -> bool:
        """Whether any test raises an alarm."""
        return any(test.alarm for test in self.tests)

    @property
    def blind(self) -> bool:
        """Whether no alarm is possible any more: earlier looks spent so much that even all permutations would not be enough."""
        return most_drawn(len(self.tests), self.spent) + 1 < len(self.tests) / self.spent

    def json(self, examples: bool = True) -> dict[str, Any]:
        """The verdict, JSON-ready. Without `examples` it contains nothing of any text, not even words."""
        tests = [asdict(test) for test in self.tests]
        for test in tests:
            test["examples"] = list(test["examples"])
            if not examples:
                del test["examples"]
                if test["what"] == "words":
                    del test["numbers"], test["says"]
        return {
            "alarm": self.alarm,
            "blind": self.blind,
            "moved": [test.what for test in self.tests if test.alarm],
            "look": self.look,
            "level": self.level,
            "spent": self.spent,
            "least": self.least,
            "tests": tests,
            "untested": dict(self.untested),
        }


def enough(where: TextPresence) -> bool:
    """Whether each period has enough distinct texts for a look."""
    return min(where.earlier_texts, where.later_texts) >= FEWEST


def judged(sample: TrafficSample, look: int, level: float = LEVEL, least: float = LEAST, seed: int = 0) -> DriftVerdict:
    """Look at a sample, as the `look`-th look at this model's traffic. The seed decides which permutations are drawn."""
    every = views(sample, seed)
    spent = slow_level_of_look(level, look)
    most = most_drawn(len(every), spent)
    found: dict[str, PermutationResult] = {}
    for where in {id(view.where): view.where for view in every}.values():
        found |= permutation_test(where, {view.name: view.shift for view in every if view.where is where}, most, seed)
    adjusted = holm({name: one.p for name, one in found.items()})
    tests = []
    for view in every:
        one = found[view.name]
        told = view.tell()
        sure = adjusted[view.name] <= spent
        tests.append(
            ViewResult(
                view.name,
                one.p,
                adjusted[view.name],
                one.size,
                sure,
                sure and one.size >= least,
                told.says,
                told.examples,
                told.numbers,
            )
        )
    return DriftVerdict(tuple(tests), dict(sample.untested), look, level, spent, least)


def most_drawn(tests: int, spent: float) -> int:
    """Most permutations that can be needed: half as many again as the smallest p-value takes."""
    return max(_FEWEST_DRAWN, min(_MOST_DRAWN, math.ceil(1.5 * max(1, tests) / spent)))
