"""A first answer within a minute: what a quick model would give each row, and how many it could answer at which risk.

The model is a kernel head on the frozen vectors of a small encoder, or of the words where there is no encoder. It is measured on the
project's own test rows, as a build is; without enough of them, it answers each labelled row as one that was fitted without that row. Rows
that nearly repeat another one under the same label stand aside, so that nothing is measured on a text that was learnt.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from smidgen.core.rows import Text, joined
from smidgen.data.label_errors import LEAST_ROWS
from smidgen.judge.cost_estimate import tokens
from smidgen.stats.certification import RiskClaim, certify_threshold, needed, threshold_steps
from smidgen.stats.intervals import wilson
from smidgen.stats.kernel_ridge import class_probabilities, fit_classifier
from smidgen.stats.risk_coverage_curve import risk_coverage
from smidgen.text.near_duplicates import near_groups

RISKS = (0.01, 0.02, 0.03, 0.05, 0.1, 0.2)
"""Shares of wrong answers to choose from."""
PREFERRED = 0.03
"""The share of wrong answers that is shown first, if the rows can show it."""
DELTA = 0.1
"""Chance that a share of wrong answers is promised that does not hold."""
RUNNERS_UP = 3
LANDMARKS = 2_048
MOST_LABELS = 1_000
LEAST_TESTS = 100
"""Test rows from which on the model is measured on them."""
_QUARTER = 64
"""Of 256: without test rows, the rows whose scores give the thresholds to try. The others test them."""
_CURVE_POINTS = 60
_SAMPLE = 2_000

Floats = NDArray[np.float32]
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LabelledTests:
    """Test rows with their labels. `vectors`: (n, width) of length one."""

    texts: Sequence[Text]
    labels: Sequence[str]
    vectors: Floats


@dataclass(frozen=True, slots=True)
class TestedAnswers:
    """The quick model's answers to test rows: (n) the score of each, and whether it was right."""

    scores: Floats
    right: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class QuickAnswers:
    """The quick model's answers to all rows.

    Attributes:
        names: the labels.
        best: (n, k) numbers of the likeliest labels, the likeliest first.
        chances: (n, k) their probabilities.
        measured: places of the labelled rows on which the model is measured.
        given: (measured) number of the row's own label.
        tested: the answers to test rows that no training row nearly repeats; None where there are too few.
    """

    names: tuple[str, ...]
    best: Places
    chances: Floats
    measured: Places
    given: Places
    tested: TestedAnswers | None = None

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether the likeliest label of each measured row is its own, (measured)."""
        return np.asarray(self.best[self.measured, 0] == self.given)


@dataclass(frozen=True, slots=True)
class AnsweredAtRisk:
    """How many rows are answered when at most a share of `risk` of the answers may be wrong.

    Attributes:
        coverage: the share that is answered; 0 where too few rows can show the risk.
        wrong: the share of wrong answers that was seen among them.
        threshold: the least score of an answer; None without a coverage.
        needed: without a coverage: about how many rows that test would show the risk; None where no number would.
    """

    risk: float
    coverage: float
    wrong: float
    threshold: float | None
    needed: int | None = None


def why_no_answer(labels: Sequence[str | None]) -> str:
    """The reason why no quick model can be measured, as a short name; empty where one can."""
    known = [label for label in labels if label is not None]
    if len(known) < LEAST_ROWS:
        return "few_rows"
    number = len(set(known))
    return "one_label" if number < 2 else "many_labels" if number > MOST_LABELS else ""


def answer_quickly(
    texts: Sequence[Text], labels: Sequence[str | None], vectors: Floats, tests: LabelledTests | None = None
) -> QuickAnswers:
    """Answer every row, a labelled one by a model that has not seen its label.

    Args:
        texts: of each row.
        labels: of each row; None where it is to be found.
        vectors: (n, width) of length one.
        tests: the project's own test rows.
    """
    names = tuple(sorted({label for label in labels if label is not None}))
    index = {name: number for number, name in enumerate(names)}
    total = len(texts)
    together = _firsts([*texts, *(tests.texts if tests else ())], [*labels, *(tests.labels if tests else ())])
    firsts = {place: first for place, first in together.items() if place < total}
    measured = np.array(sorted(set(firsts.values())), dtype=np.int64)
    given = np.array([index[str(labels[place])] for place in measured.tolist()], dtype=np.int64)
    head = fit_classifier(vectors[measured], given, len(names), LANDMARKS)
    chances = np.zeros((len(texts), len(names)), np.float32)
    left_out = class_probabilities(head.left_out).astype(np.float32)
    chances[measured] = left_out
    asked = np.array([place for place, label in enumerate(labels) if label is None], dtype=np.int64)
    if len(asked):
        chances[asked] = class_probabilities(head.scores(vectors[asked]))
    for place, first in firsts.items():
        chances[place] = chances[first]  # a near copy is not answered by a model that knows the first one
    best = np.argsort(-chances, axis=1, kind="stable")[:, :RUNNERS_UP]
    tested = None
    new = [place - total for place, first in together.items() if place == first >= total]
    if tests is not None and len(new) >= LEAST_TESTS:
        answers = class_probabilities(head.scores(tests.vectors[new]))
        wanted = np.array([index.get(tests.labels[place], -1) for place in new])
        tested = TestedAnswers(answers.max(axis=1).astype(np.float32), answers.argmax(axis=1) == wanted)
    told = np.take_along_axis(chances, best, axis=1)
    return QuickAnswers(names, best, told, measured, given, tested)


def measure(answers: QuickAnswers, texts: Sequence[Text]) -> dict[str, Any]:
    """The first answer as a JSON value: accuracy, operating points, the curve, and the tokens of a large model's call."""
    on: Literal["tests", "rows"] = "rows" if answers.tested is None else "tests"
    if answers.tested is not None:
        planned, scores, right = answers.chances[answers.measured, 0], answers.tested.scores, answers.tested.right
        points = operating_points(planned, scores, right)
    else:
        scores, right = answers.chances[answers.measured, 0], answers.right
        tries = _quarter([joined(texts[place]) for place in answers.measured])
        points = operating_points(scores[tries], scores[~tries], right[~tries], 256 / (256 - _QUARTER))
    low, high = wilson(int(right.sum()), len(right))
    read, written = tokens(texts[:: max(1, len(texts) // _SAMPLE)], answers.names)
    return {
        "on": on,
        "measured": len(right),
        "labels": len(answers.names),
        "accuracy": {"value": float(right.mean()), "low": low, "high": high},
        "points": [asdict(point) for point in points],
        "curve": [[point.coverage, point.risk] for point in risk_coverage(scores, right, _CURVE_POINTS)],
        "confidence": 1 - DELTA,
        "tokens_in": read,
        "tokens_out": written,
    }


def _quarter(texts: Sequence[str]) -> NDArray[np.bool_]:
    """Choose a quarter of the texts by their hashes."""
    keys = [hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=1).digest()[0] for text in texts]
    return np.array(keys) < _QUARTER


def operating_points(planned: Floats, scores: Floats, right: NDArray[np.bool_], rows_per_test: float = 1.0) -> list[AnsweredAtRisk]:
    """How many rows are answered at each of `RISKS`.

    Args:
        planned: scores of other rows, which give the thresholds to try.
        scores, right: of the rows that test them.
        rows_per_test: how many measured rows there are to each that tests.
    """
    ranked = np.sort(planned.astype(np.float64))[::-1]
    steps = threshold_steps([(float(score), (place + 1) / len(ranked)) for place, score in enumerate(ranked)])
    losses = 1.0 - right.astype(np.float64)
    found = []
    for risk in RISKS:
        claim = RiskClaim(risk, DELTA)
        result = certify_threshold(scores, losses, steps, claim)
        answered = result.threshold is not None
        wrong = result.loss / result.answered if answered and result.answered else 0.0
        more = None if answered else needed(result, steps, claim)
        rows = None if more is None else math.ceil(more * rows_per_test)
        found.append(AnsweredAtRisk(risk, result.share if answered else 0.0, wrong, result.threshold, rows))
    return found


def shown_point(points: Sequence[dict[str, Any]], risk: float | None = None) -> dict[str, Any] | None:
    """The point of a risk, or without one the strictest from `PREFERRED` on that answers anything; None where none does."""
    if risk is not None:
        return next((point for point in points if abs(point["risk"] - risk) < 1e-9 and point["threshold"] is not None), None)
    return next((point for point in points if point["risk"] >= PREFERRED - 1e-9 and point["threshold"] is not None), None)


def _firsts(texts: Sequence[Text], labels: Sequence[str | None]) -> dict[int, int]:
    """Map each labelled row to the first one with nearly the same text and the same label."""
    known = [place for place, label in enumerate(labels) if label is not None]
    first: dict[tuple[int, str], int] = {}
    groups = near_groups([joined(texts[place]) for place in known])
    return {place: first.setdefault((group, str(labels[place])), place) for place, group in zip(known, groups, strict=True)}
