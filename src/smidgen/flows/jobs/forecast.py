"""Forecast the share of a job with labels that a small model could answer, by training a stand-in in seconds."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.core.errors import MissingExtra
from smidgen.core.forms import LabelForm
from smidgen.core.parts import Training, Workspace
from smidgen.core.progress import Silent
from smidgen.core.rows import Row
from smidgen.data.row_selection import Embed
from smidgen.data.splits import CHOOSING_SHARE
from smidgen.flows.certify.losses import unwrap_field
from smidgen.flows.learn.traffic_rows import LEAST_OF_A_NEW_LABEL, label_of
from smidgen.parts import registry
from smidgen.stats.certificate_forecast import forecast_certificate, growth_needed
from smidgen.stats.certification import RiskClaim
from smidgen.stats.intervals import Floats, wilson
from smidgen.stats.kernel_ridge import class_probabilities, fit_classifier
from smidgen.stats.risk_bounds import fewest_rows, level_of_look
from smidgen.stats.risk_coverage_curve import area_under_risk_coverage

ALPHA, DELTA = 0.05, 0.05
"""The defaults of `smidgen learn` for a certificate."""
MOST_ROWS = 8_000
_MOST_VECTORS = 3_000
"""Most texts to embed, the latest ones: more take too long. With more texts than this, the classifier of words is tested on a fifth of
them."""
VECTORS, WORDS = "a kernel head on the starter base", "a linear classifier of words"
_LEAST_ROWS = 40
_LEAST_TESTS = 100
_FOLDS = 5
_LIKELY = 0.5
_STILL_LEARNING = 0.02
"""If twice the texts improve the stand-in by more than this, more texts may still help."""
_FAR = 3.0
"""If more than this many times the texts would be needed, a forecast that ignores further learning is not credible."""


@dataclass(frozen=True)
class JobForecast:
    """The forecast for a job.

    Attributes:
        share: share of the different texts that would be answered locally under a certificate; None if it cannot be predicted.
        why: why it cannot, or why it is 0.
        low, high: nine in ten draws lie between these.
        likely: share of the draws that got a certificate at all.
        more: approximate number of further different texts needed; None if there are enough, or no number would do.
        agreement, agreement_low, agreement_high: share of texts on which the stand-in agreed with the large model, with its 95 % interval.
        half: that share after learning from half of the texts, tested on the others.
        n: texts that it was measured on.
        stand_in: the kind of stand-in.
    """

    share: float | None
    why: str = ""
    low: float | None = None
    high: float | None = None
    likely: float | None = None
    more: int | None = None
    agreement: float | None = None
    agreement_low: float | None = None
    agreement_high: float | None = None
    half: float | None = None
    n: int = 0
    stand_in: str = ""
    alpha: float = ALPHA
    delta: float = DELTA

    def json(self) -> dict[str, Any]:
        """Return the forecast, JSON-ready."""
        return asdict(self)


def forecast(texts: Sequence[str], answers: Sequence[str], distinct: int, held_out: float, embed: Embed | None) -> JobForecast:
    """Forecast the share of a job that a small model could answer.

    Args:
        texts, answers: those that may be learnt from, the newest last; no text twice.
        distinct: number of different texts of the job, including held-out ones.
        held_out: the store's share of held-out texts.
        embed: embeds texts; None to use words only.
    """
    if not held_out:
        return JobForecast(None, "the store holds out no texts, so nothing could be certified")
    texts, answers = texts[-MOST_ROWS:], answers[-MOST_ROWS:]
    names, targets = _labels(answers)
    level = level_of_look(DELTA, 1)  # a line's first look
    certifying = distinct * held_out * (1 - CHOOSING_SHARE)
    fewest = round(fewest_rows(ALPHA, level) / (held_out * (1 - CHOOSING_SHARE)))
    if len(names) < 2 or len(texts) < _LEAST_ROWS:
        return _too_few(max(fewest - distinct, _LEAST_ROWS), n=len(texts))
    try:
        found = _stand_in_answers(texts, names, targets, embed)
    except MissingExtra as error:
        return JobForecast(None, f"not predicted. {error.todo}, or fetch the starter base: smidgen pull minilm")
    scores, losses = found.scores, found.losses
    low, high = wilson(int(len(losses) - losses.sum()), len(losses))
    facts: dict[str, Any] = {"agreement": found.agreement, "agreement_low": low, "agreement_high": high, "n": len(losses)}
    facts |= {"stand_in": found.stand_in}
    claim = RiskClaim(ALPHA, level)
    sizes = (max(_LEAST_TESTS, round(distinct * held_out * CHOOSING_SHARE)), round(certifying))
    seen = forecast_certificate(scores, losses, *sizes, claim)
    if seen.likely >= _LIKELY:
        return JobForecast(seen.share, low=seen.low, high=seen.high, likely=seen.likely, **facts)
    growth = growth_needed(scores, losses, *sizes, claim)
    half = _of_half(texts, names, targets, embed if found.stand_in == VECTORS else None)
    facts |= {"half": half, "likely": seen.likely}
    if half is not None and found.agreement - half > _STILL_LEARNING and (growth is None or growth > _FAR):
        why = f"too early to say: it agrees more as it learns from more texts ({half:.1%} with half of them)"
        return JobForecast(None, why, **facts)
    if growth is None:
        why = f"none, as far as the stand-in shows: over {ALPHA:.0%} of even its surest answers differ"
        return JobForecast(0.0, why, low=seen.low, high=seen.high, **facts)
    return _too_few(max(fewest - distinct, (growth - 1) * distinct), **facts)


def _too_few(more: float, **facts: Any) -> JobForecast:
    """Return a forecast that asks for more texts, rounded to two digits."""
    digits = 10 ** max(0, len(str(round(more))) - 2)
    about = max(1, round(more / digits)) * digits
    return JobForecast(None, f"too few: about {about:,} more distinct texts are needed", more=about, **facts)


def _labels(answers: Sequence[str]) -> tuple[list[str], list[int | None]]:
    """Return the labels that a line would learn, and the index of each answer's label; None for an answer that is not one of them."""
    said = [label_of(unwrap_field(answer)) for answer in answers]
    counts = Counter(name.casefold() for name in said if name is not None)
    names = sorted(name for name, count in counts.items() if count >= LEAST_OF_A_NEW_LABEL)
    number = {name: place for place, name in enumerate(names)}
    return names, [number.get(name.casefold()) if name is not None else None for name in said]


@dataclass(frozen=True)
class _StandInAnswers:
    """A stand-in's answers to texts that it has not learnt from: scores and losses, each (n,), and its kind."""

    scores: Floats
    losses: Floats
    stand_in: str

    @property
    def agreement(self) -> float:
        """The share of the answers that agree with the large model's."""
        return 1.0 - float(self.losses.mean())


def _stand_in_answers(texts: Sequence[str], names: Sequence[str], targets: Sequence[int | None], embed: Embed | None) -> _StandInAnswers:
    """Return the answers of the better of two stand-ins: the one with the smaller area under its risk-coverage curve.

    That area counts because a certificate lets a model answer where it is sure. Raises MissingExtra if there is no encoder and scikit-learn
    is not installed.
    """
    wanted = np.array([-1 if target is None else target for target in targets])
    found: list[_StandInAnswers] = []
    if embed is not None:
        newest = slice(-_MOST_VECTORS, None)
        found.append(_judged(_by_vectors(embed(texts[newest]), wanted[newest], len(names)), wanted[newest], VECTORS))
    asked = _asked_of(len(texts))
    try:
        found.append(_judged(_by_words(texts, wanted, names, asked), wanted[np.concatenate(asked)], WORDS))
    except MissingExtra:
        if not found:
            raise
    return min(found, key=lambda one: area_under_risk_coverage(one.scores, 1.0 - one.losses))


def _judged(table: Floats, wanted: NDArray[np.int64], stand_in: str) -> _StandInAnswers:
    return _StandInAnswers(table.max(axis=1), (table.argmax(axis=1) != wanted).astype(np.float64), stand_in)


def _asked_of(n: int) -> list[NDArray[np.int64]]:
    """Return the folds of texts to test on; a single fold if there are many texts."""
    order = np.random.default_rng(7).permutation(n)
    parts = [np.sort(part) for part in np.array_split(order, _FOLDS)]
    return parts if n <= _MOST_VECTORS else parts[:1]


def _of_half(texts: Sequence[str], names: Sequence[str], targets: Sequence[int | None], embed: Embed | None) -> float | None:
    """Train on one half of the texts and return the agreement on the other; None if the training half has fewer than two labels."""
    if embed is not None:
        texts, targets = texts[-_MOST_VECTORS:], targets[-_MOST_VECTORS:]
    order = np.random.default_rng(11).permutation(len(texts))
    half = len(order) // 2
    taught = [place for place in order[:half].tolist() if targets[place] is not None]
    if len({targets[place] for place in taught}) < 2:
        return None
    asked = order[half:].tolist()
    wanted = np.array([-1 if targets[place] is None else targets[place] for place in asked])
    own = [names[targets[place] or 0] for place in taught]
    if embed is not None:
        vectors = embed([texts[place] for place in [*taught, *asked]])
        numbers = np.array([targets[place] for place in taught], dtype=np.int64)
        said: NDArray[Any] = fit_classifier(vectors[: len(taught)], numbers, len(names)).scores(vectors[len(taught) :])
    else:
        said = _of_words([texts[place] for place in taught], own, [texts[place] for place in asked], names)
    return float((said.argmax(axis=1) == wanted).mean())


def _by_vectors(vectors: NDArray[np.float32], wanted: NDArray[np.int64], classes: int) -> Floats:
    known = wanted >= 0
    head = fit_classifier(vectors[known], wanted[known], classes)
    table = np.zeros((len(wanted), classes), np.float32)
    table[known] = head.left_out
    if not known.all():
        table[~known] = head.scores(vectors[~known])
    return class_probabilities(table)


def _by_words(texts: Sequence[str], wanted: NDArray[np.int64], names: Sequence[str], asked: Sequence[NDArray[np.int64]]) -> Floats:
    """Return the margins of the texts of each fold, from a classifier trained on all others."""
    tables: list[Floats] = []
    for part in asked:
        known = wanted >= 0
        known[part] = False
        taught = np.flatnonzero(known).tolist()
        labels = [names[wanted[place]] for place in taught]
        if len(set(labels)) > 1:
            tables.append(_of_words([texts[place] for place in taught], labels, [texts[place] for place in part.tolist()], names))
        else:
            tables.append(np.full((len(part), len(names)), -1.0))
    return np.concatenate(tables)


def _of_words(taught: Sequence[str], labels: Sequence[str], asked: Sequence[str], names: Sequence[str]) -> Floats:
    """Return the margins, (asked, names), of a linear classifier of words. Raises MissingExtra if scikit-learn is not installed."""
    student = registry.declaring("students", "forecasts")
    rows = [Row(text, label) for text, label in zip(taught, labels, strict=True)]
    training = Training(rows, (), LabelForm(labels=tuple(names), multi_label=False, temperature=1.0), None, student.settings())
    with tempfile.TemporaryDirectory() as folder:
        student.fit(training, Workspace(Path(folder), 1, Silent()))
        return np.asarray(student.raw(Path(folder), asked, 1)["logits"], dtype=np.float64)
