"""Find the laxest threshold that can be certified: among requests with at least this score, at most alpha disagree with the reference.

Thresholds are tried from strict to lax, each at the whole level delta, until the first one fails (fixed-sequence testing, in Learn then
Test: Angelopoulos et al. 2021). Trying many costs nothing: the first threshold whose risk exceeds alpha is accepted with a chance of at
most delta, and a later one is reached only if it is.

This holds only if the thresholds and their order do not depend on the losses that they are tested on. So they come from the curve of the
bundle's report on its own test rows, and the start depends only on the number of rows and the two levels. If the start were the first
threshold that looks good on the calibration sample, the luckiest of a hundred tests would pass as the first of one. The sample's scores
must not set the start either: at "the first threshold with enough rows answered", the last rows were included because they came, and their
errors do not follow the binomial distribution that the test assumes.

In addition, the share of all requests that is answered locally and disagrees may be bounded on average (conformal risk control:
Angelopoulos et al. 2024). The laxest accepted threshold is taken at which (losses of answered rows + 1) / (rows + 1) is at most the bound.
This is a mean over samples and the next request, not a confidence. A stricter threshold never loses more. It holds for one look. If rows
are looked at repeatedly, a bound at each look keeps the mean over all of them: see `risk_bounds.average_and_level`. Losses of all rows, 0
for a row that is not answered, are then tested at each threshold in the same order, until the first one fails.

Given the number of rows that a fixed threshold answers, their losses are independent draws with the mean in question. So this number may be
random, and the test is still exact.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from smidgen.stats import risk_bounds
from smidgen.stats.intervals import Floats
from smidgen.stats.risk_bounds import binomial_p_value, fewest_rows, most_errors

_STEPS = 200  # a step is half a percent of the requests
_SURE = 2.0  # standard deviations of margin in the expected number of rows
_PASSES = 0.9  # chance that a model as planned for passes at the start
_TENTH = 0.1  # of the requests: certifying fewer is of little use, and with many rows a tenth is the surer test
_GROWTH = 1.05
_MOST_GROWTH = 10_000.0
_MOST_ROWS = 10_000_000
_JUDGED = 0.25  # of delta, spent on the judge's error rate
_SHARED = 0.05  # of delta, spent on the share of requests answered, if there is a judge
_SHUFFLE = 0x5EED


@dataclass(frozen=True, slots=True)
class ThresholdStep:
    """A threshold to try, and the share of requests expected to score as high."""

    threshold: float
    coverage: float


@dataclass(frozen=True, slots=True)
class ReferenceErrors:
    """Errors of a reference: of `reviewed` verdicts, drawn like the calibration sample, `wrong` were wrong."""

    wrong: int
    reviewed: int

    def bound(self, delta: float) -> float:
        """Return an upper bound of the share of wrong verdicts, at the part of delta that is reserved for it."""
        return risk_bounds.binomial_upper_bound(self.wrong, self.reviewed, _JUDGED * delta)


@dataclass(frozen=True, slots=True)
class RiskClaim:
    """The claim to test: a risk of at most `alpha`, with confidence 1 - `delta`.

    Attributes:
        graded: losses lie anywhere in 0..1 and are tested by betting; else they are 0 or 1, and the test is the exact binomial one.
        judge: error rate of the reference, if it is a judge.
        judge_delta: delta of all segments together, if `delta` is that of one: the judge's error is paid for once.
        overall: largest share of all requests that may be answered locally and disagree, on average; None for no limit.
        overall_level: if rows are looked at repeatedly, `overall` is a bound tested at this level: see `risk_bounds.average_and_level`.
            None if it is an average over one look.
    """

    alpha: float
    delta: float
    graded: bool = False
    judge: ReferenceErrors | None = None
    judge_delta: float | None = None
    overall: float | None = None
    overall_level: float | None = None


@dataclass(frozen=True, slots=True)
class CertificationResult:
    """Result of a certification.

    Attributes:
        threshold: the laxest certified threshold; None if there is none.
        n: rows of the sample.
        answered: rows that score at least the threshold; without one, at least the strictest that was tried.
        loss: sum of their losses: the number of errors if answers are right or wrong.
        bound: one-sided upper bound of the risk at a certified threshold, never over alpha. Only alpha is promised: the threshold was
            selected, so the bound is not valid after selection.
        tried: number of thresholds tried.
        best: lowest mean loss at any threshold with enough rows, tried or not, or that of all rows; for information only.
        too_many: only `overall` prevents a certificate: alpha holds at the strictest threshold tried.
    """

    threshold: float | None
    n: int
    answered: int
    loss: float
    bound: float
    tried: int
    best: float | None
    too_many: bool = False

    @property
    def share(self) -> float:
        """Share of the rows that is answered."""
        return self.answered / self.n if self.n else 0.0


def threshold_steps(curve: Sequence[tuple[float, float]]) -> list[ThresholdStep]:
    """Return thresholds to try from a risk-coverage curve, one per half percent of the requests, interpolated between its points.

    `curve` are (threshold, coverage) points from strict to lax, measured on rows outside the calibration sample.
    """
    if not curve:
        return []
    thresholds, coverages = (np.array(values, dtype=np.float64) for values in zip(*curve, strict=True))
    wanted = np.unique(np.concatenate([coverages[:1], np.arange(1, _STEPS + 1) / _STEPS, coverages[-1:]]))
    wanted = wanted[(wanted >= coverages[0]) & (wanted <= coverages[-1])]
    found = {float(t): float(c) for t, c in zip(np.interp(wanted, coverages, thresholds), wanted, strict=True)}
    return [ThresholdStep(threshold, coverage) for threshold, coverage in found.items()]


def certify_threshold(
    scores: ArrayLike, losses: ArrayLike, tries: Sequence[ThresholdStep], claim: RiskClaim, total: int | None = None
) -> CertificationResult:
    """Test the thresholds on a calibration sample.

    Args:
        scores, losses: (n,) score of each row, and its loss in 0..1 against the reference.
        tries: from `threshold_steps`.
        total: rows of the whole sample, if these are those of one segment.

    Raises ValueError for losses outside of 0..1, or other than 0 and 1 if they are not graded.
    """
    score, loss = np.asarray(scores, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    if score.shape != loss.shape or score.ndim != 1:
        raise ValueError(f"scores and losses must be two vectors of one length, not {score.shape} and {loss.shape}")
    if len(loss) and not (bool(np.isin(loss, (0.0, 1.0)).all()) if not claim.graded else loss.min() >= 0 and loss.max() <= 1):
        raise ValueError("losses lie in 0..1, and are 0 or 1 if answers are right or wrong")
    n, total = len(score), total or len(score)
    # Shuffle: the order of a sorted file may depend on the losses.
    order = np.random.default_rng(_SHUFFLE).permutation(n)
    score, loss = score[order], loss[order]
    test = _ThresholdTest(claim, total)
    first = _start(tries, n, test)
    ranked = np.argsort(-score, kind="stable")
    sums = np.concatenate([[0.0], np.cumsum(loss[ranked])])
    counts = np.searchsorted(-score[ranked], [-step.threshold for step in tries], side="right").tolist()
    enough = fewest_rows(claim.alpha, test.level)
    best = min((float(sums[count]) / count for count in counts if count >= enough), default=float(loss.mean()) if n else None)
    if first is None:
        return CertificationResult(None, n, 0, 0.0, 1.0, 0, best)
    passed, tried, too_many = None, 0, False
    for place in range(first, len(tries)):
        few = test.few(float(sums[counts[place]]), n, np.where(score >= tries[place].threshold, loss, 0.0))
        if place > first and not few:
            break  # laxer ones lose no less
        tried += 1
        if test.p_value(loss[score >= tries[place].threshold]) > test.level:
            break
        if not few:
            too_many = True
            break
        passed = place
    values = loss[score >= tries[first if passed is None else passed].threshold]
    threshold = None if passed is None else tries[passed].threshold
    return CertificationResult(threshold, n, len(values), float(values.sum()), test.bound(values), tried, best, too_many)


def needed(outcome: CertificationResult, tries: Sequence[ThresholdStep], claim: RiskClaim, total: int | None = None) -> int | None:
    """Estimate how many rows a new sample needs for the first threshold to pass, at the loss seen in this one.

    If this sample is too small for any test: the fewest rows that make one possible. None if no number would do. For graded losses it is an
    upper estimate, because their spread is not used.
    """
    n, total = outcome.n, total or outcome.n
    part = n / total if total else 1.0
    test = _ThresholdTest(claim, total)
    if not outcome.tried:
        room = test.room(part)
        spotless = test.rows(0.0)
        return max(n + 1, fewest_rows(room, test.level), spotless) if room > 0 and spotless is not None else None
    if outcome.too_many:
        rows = test.rows(outcome.loss / n)
        return max(n + 1, rows) if rows is not None else None
    risk, growth = outcome.loss / outcome.answered if outcome.answered else 0.0, 1.0
    while growth < _MOST_GROWTH and risk < claim.alpha:
        growth *= _GROWTH
        rows = math.ceil(n * growth)
        test = _ThresholdTest(claim, math.ceil(total * growth))
        first = _start(tries, rows, test)
        if first is not None:
            expected = int(tries[first].coverage * rows)
            room = test.room(tries[first].coverage * part)
            if binomial_p_value(min(expected, math.ceil(risk * expected)), expected, room) <= test.level:
                return rows
    return None


def segment_levels(counts: Mapping[str, int], alpha: float, delta: float) -> dict[str, float]:
    """Split delta evenly over the segments with enough rows for a certificate (Bonferroni). Others are not tested and cost nothing.

    The choice depends on the number of rows only, never on scores or losses, so given the counts every test stays valid.
    """
    order = sorted(counts, key=lambda name: (-counts[name], name))
    most = max((place + 1 for place, name in enumerate(order) if counts[name] >= fewest_rows(alpha, delta / (place + 1))), default=0)
    return dict.fromkeys(order[:most], delta / max(1, most))


class _ThresholdTest:
    """A test, at one level, of the rows that a threshold answers."""

    def __init__(self, claim: RiskClaim, total: int) -> None:
        judge = claim.judge
        self.alpha, self.graded, self.total = claim.alpha, claim.graded, total
        self.level = claim.delta if judge is None else (1 - _JUDGED - _SHARED) * claim.delta
        self._wrong = judge.bound(claim.judge_delta or claim.delta) if judge is not None else 0.0
        self._share_level = _SHARED * claim.delta
        self.overall, self._overall_level = claim.overall, claim.overall_level

    def room(self, share: float) -> float:
        """Return the part of alpha left for disagreements with the reference if this share of all requests is answered.

        A wrong verdict can hide one error. All of them may fall among the answered requests, so their share there is at most the judge's
        divided by the share answered.
        """
        if self._wrong == 0:
            return self.alpha
        return self.alpha - self._wrong / share if share > 0 else 0.0

    def few(self, lost: float, n: int, values: Floats) -> bool:
        """Return True if the loss over all requests is within `overall`.

        `lost`: sum of the answered rows' losses, of `n` rows. `values`: each row's loss if it is answered, else 0.
        """
        if self.overall is None:
            return True
        if self._overall_level is None:
            return (lost + 1) / (n + 1) + self._wrong <= self.overall
        room = self.overall - self._wrong
        if room <= 0 or n == 0:
            return False
        found = risk_bounds.betting_p_value(values, room, self._overall_level) if self.graded else binomial_p_value(round(lost), n, room)
        return found <= self._overall_level

    def rows(self, lost: float) -> int | None:
        """Return the fewest rows with which `overall` can pass at this mean loss; None if no number can."""
        if self.overall is None:
            return 0
        if self._overall_level is not None:
            return _enough(lost, self.overall - self._wrong, self._overall_level)
        room = self.overall - self._wrong - lost
        return math.ceil((1 - self.overall + self._wrong) / room) if room > 0 else None

    def p_value(self, values: Floats) -> float:
        room = self.room(self._answered_at_least(len(values)))
        return self._tested(values, room) if room > 0 else 1.0

    def bound(self, values: Floats) -> float:
        if not len(values):
            return 1.0
        if self.graded:
            found = risk_bounds.upper_bound_by_p_value(lambda alpha: self._tested(values, alpha), float(values.mean()), self.level)
        else:
            found = risk_bounds.binomial_upper_bound(round(float(values.sum())), len(values), self.level)
        share = self._answered_at_least(len(values))
        return min(1.0, found + (self._wrong / share if self._wrong else 0.0)) if share > 0 else 1.0

    def _tested(self, values: Floats, alpha: float) -> float:
        if self.graded:
            return risk_bounds.betting_p_value(values, alpha, self.level)
        return binomial_p_value(round(float(values.sum())), len(values), alpha)

    def _answered_at_least(self, answered: int) -> float:
        """Return the share of all requests that is answered: a lower bound if there is a judge, else as seen."""
        if not self._wrong:
            return answered / self.total if self.total else 0.0
        return risk_bounds.binomial_lower_bound(answered, self.total, self._share_level)


def _enough(share: float, most: float, level: float) -> int | None:
    """Return about how many rows can show that at most `most` is lost when `share` is; None if no number can."""
    if share >= most or most <= 0:
        return None
    n = fewest_rows(most, level)
    while n < _MOST_ROWS and binomial_p_value(math.ceil(share * n), n, most) > level:
        n = math.ceil(n * _GROWTH)
    return n if n < _MOST_ROWS else None


def _start(tries: Sequence[ThresholdStep], n: int, test: _ThresholdTest) -> int | None:
    """Return the index of the strictest threshold worth trying. None if no test is possible.

    It is the first one, from a tenth of the requests on, at which a model as planned for is likely to pass; with too few rows for that, the
    one at which it is likeliest. It depends only on the sample's size, the levels and the thresholds, not on the sample.
    """
    best, most = None, -1.0
    for place, step in enumerate(tries):
        expected = step.coverage * n
        room = test.room(expected / test.total if test.total else 0.0)
        spread = math.sqrt(max(0.0, expected * (1 - step.coverage)))
        if room <= 0 or expected - _SURE * spread < fewest_rows(room, test.level):
            continue
        errors = most_errors(int(expected - spread), room, test.level)
        chance = binomial_p_value(errors, int(expected), _planned(step.coverage, test)) if errors >= 0 else 0.0
        if chance >= _PASSES and step.coverage >= _TENTH:
            return place
        if chance > most:
            best, most = place, chance
    return best


def _planned(coverage: float, test: _ThresholdTest) -> float:
    """Return the assumed risk: low where the model is surest, reaching alpha when 71 % are answered. Grades are never nearly perfect.

    If the real model differs, only the start suits it less.
    """
    return min(1.0, test.alpha * (0.75 + 0.5 * coverage**2 if test.graded else max(0.25, 2 * coverage**2)))
