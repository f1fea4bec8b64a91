"""The threshold that can be certified: of the requests that score at least so much, a share of at most alpha disagrees with the reference.

Thresholds are tried from strict to lax, each at the whole level delta, and the trying ends at the first that fails (fixed-sequence
testing, in Learn then Test: Angelopoulos et al. 2021). Nothing is paid for trying many: the first one tried whose risk is over alpha is
accepted with a chance of at most delta, and without that no later one is reached.

This holds only where the thresholds and their order do not come from the losses they are tested on. That is why they come from the
curve that the bundle's report has of its own test rows, and the start from the number of rows and the two levels alone. Were the start
chosen as the first threshold that looks good on the calibration sample, then the luckiest of a hundred tests would be taken for the
first of one. Scores of the sample are no better a guide: "the first threshold with enough rows answered" is one whose last few rows
were let in because they came, and the errors of such rows do not follow the binomial law that the test stands on.

Besides, of all requests the share that is answered locally and disagrees may be bounded on average (conformal risk control:
Angelopoulos et al. 2024): among the accepted thresholds the laxest is taken at which (losses of what is answered + 1) / (rows + 1) is
at most that. It is a mean over samples and the next request, not a confidence; a stricter threshold than it asks for never loses more.
That is of one look. Of rows that are looked at again and again, a mean over all looks is kept by a bound at each: see
`risk_bounds.average_and_level`. Losses of all rows, 0 where a row is not answered, are then tested at each threshold in the same
order, and the trying ends at the first that fails.

Given how many rows a fixed threshold answers, their losses are independent draws with the mean that is asked for: so the number
answered may be random, and the test is exact all the same.
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
_SURE = 2.0  # standard deviations by which enough rows are to be expected
_PASSES = 0.9  # how likely a model as planned for is to pass at the start
_TENTH = 0.1  # of the requests: to be sure of fewer is of little use, and with many rows the test of a tenth is the surer one
_GROWTH = 1.05
_MOST_GROWTH = 10_000.0
_MOST_ROWS = 10_000_000
_JUDGED = 0.25  # of delta, spent on how often the judge is wrong
_SHARED = 0.05  # of delta, spent on how many requests are answered, where a judge makes that matter
_SHUFFLE = 0x5EED


@dataclass(frozen=True, slots=True)
class ThresholdStep:
    """A threshold to try, and the share of requests that are expected to score as high."""

    threshold: float
    coverage: float


@dataclass(frozen=True, slots=True)
class ReferenceErrors:
    """A reference that errs itself: of `reviewed` of its verdicts, drawn like the calibration sample, `wrong` were wrong."""

    wrong: int
    reviewed: int

    def bound(self, delta: float) -> float:
        """The share of wrong verdicts is at most this with confidence 1 minus the part of delta that is spent on it."""
        return risk_bounds.binomial_upper_bound(self.wrong, self.reviewed, _JUDGED * delta)


@dataclass(frozen=True, slots=True)
class RiskClaim:
    """The claim to show: a risk of at most `alpha`, with confidence 1 - `delta`.

    Attributes:
        graded: losses lie anywhere in 0..1; the test is then by betting, else, of losses 0 and 1, it is the exact binomial one.
        judge: how often the reference is wrong, where it is a judge.
        judge_delta: the delta of all segments together, where `delta` is that of one: the judge is paid for once.
        overall: of all requests, the share that may be answered locally and disagree, on average; None where that is not asked.
        overall_level: where rows are looked at again, `overall` is a bound that is tested at this level: see `spending.average`. None where
            it is an average of one look.
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
    """The result of a certification.

    Attributes:
        threshold: the laxest that is certified; None where none is.
        n: rows of the sample.
        answered: rows that score at least the threshold; where there is none, those of the strictest that was tried.
        loss: the sum of their losses: the number of errors where answers are right or wrong.
        bound: the one-sided bound of the risk at this threshold, which is never over alpha where there is one. What is promised is alpha:
            the threshold was picked, and a bound that is read off there is not promised with it.
        tried: how many thresholds were.
        best: the lowest share of loss seen at any threshold with enough rows, whether tried or not; to tell, not to act on.
        too_many: whether it is for the share of all requests alone that nothing is certified: alpha holds at the strictest that was tried.
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
        """Of the rows, those answered."""
        return self.answered / self.n if self.n else 0.0


def threshold_steps(curve: Sequence[tuple[float, float]]) -> list[ThresholdStep]:
    """Thresholds to try, from a risk-coverage curve: one for each half percent of the requests, in between the points by interpolation.

    `curve` are (threshold, coverage) points from strict to lax, measured on rows that are not in the calibration sample.
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
        scores, losses: (n,) of each row its score, and its loss in 0..1 against the reference.
        tries: from `steps`.
        total: rows of the whole sample, where these are those of one segment.

    Raises ValueError for losses outside of 0..1, or other than 0 and 1 where they are not graded.
    """
    score, loss = np.asarray(scores, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    if score.shape != loss.shape or score.ndim != 1:
        raise ValueError(f"scores and losses must be two vectors of one length, not {score.shape} and {loss.shape}")
    if len(loss) and not (bool(np.isin(loss, (0.0, 1.0)).all()) if not claim.graded else loss.min() >= 0 and loss.max() <= 1):
        raise ValueError("losses lie in 0..1, and are 0 or 1 where answers are right or wrong")
    n, total = len(score), total or len(score)
    # By chance and not by file: rows of a sorted file do not come in an order that says nothing of their losses.
    order = np.random.default_rng(_SHUFFLE).permutation(n)
    score, loss = score[order], loss[order]
    test = _ThresholdTest(claim, total)
    first = _start(tries, n, test)
    ranked = np.argsort(-score, kind="stable")
    sums = np.concatenate([[0.0], np.cumsum(loss[ranked])])
    counts = np.searchsorted(-score[ranked], [-step.threshold for step in tries], side="right").tolist()
    enough = fewest_rows(claim.alpha, test.level)
    best = min((float(sums[count]) / count for count in counts if count >= enough), default=None)
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
    """About how many rows a new sample should have for the first threshold to be accepted, at the loss that this one shows there; where
    this one is too small for any test, the fewest with which one is possible. None where no number would do. Of graded losses, whose spread
    is not asked for, it is what is needed at most."""
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
    """The delta of each segment that has enough rows to be certified at all (Bonferroni); no other is tested, and none pays for it.

    Which they are depends on how many rows each has, never on scores or losses: given the counts, every test is as good as without.
    """
    order = sorted(counts, key=lambda name: (-counts[name], name))
    most = max((place + 1 for place, name in enumerate(order) if counts[name] >= fewest_rows(alpha, delta / (place + 1))), default=0)
    return dict.fromkeys(order[:most], delta / max(1, most))


class _ThresholdTest:
    """One test, at one level, of a threshold's answered rows."""

    def __init__(self, claim: RiskClaim, total: int) -> None:
        judge = claim.judge
        self.alpha, self.graded, self.total = claim.alpha, claim.graded, total
        self.level = claim.delta if judge is None else (1 - _JUDGED - _SHARED) * claim.delta
        self._wrong = judge.bound(claim.judge_delta or claim.delta) if judge is not None else 0.0
        self._share_level = _SHARED * claim.delta
        self.overall, self._overall_level = claim.overall, claim.overall_level

    def room(self, share: float) -> float:
        """The part of alpha left for disagreements with the reference, where this share of all requests is answered.

        A wrong verdict can hide one error. All of them may fall among the answered requests, so that their share among these is at most
        the judge's over the share answered.
        """
        if self._wrong == 0:
            return self.alpha
        return self.alpha - self._wrong / share if share > 0 else 0.0

    def few(self, lost: float, n: int, values: Floats) -> bool:
        """Whether of so many rows no more are answered and disagree, `lost` of them here, than may of all requests. `values`: of each row
        its loss where it is answered, else 0."""
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
        """From how many rows on a sample has few, where this share of them is answered and disagrees; None where none has."""
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
        """The share of all requests that is answered: as it was where no judge makes it matter."""
        if not self._wrong:
            return answered / self.total if self.total else 0.0
        return risk_bounds.binomial_lower_bound(answered, self.total, self._share_level)


def _enough(share: float, most: float, level: float) -> int | None:
    """From about how many rows on it can be told that no more than `most` are lost, where this share is; None where it cannot."""
    if share >= most or most <= 0:
        return None
    n = fewest_rows(most, level)
    while n < _MOST_ROWS and binomial_p_value(math.ceil(share * n), n, most) > level:
        n = math.ceil(n * _GROWTH)
    return n if n < _MOST_ROWS else None


def _start(tries: Sequence[ThresholdStep], n: int, test: _ThresholdTest) -> int | None:
    """The strictest threshold worth trying: the first, from a tenth of the requests on, where a model as planned for is likely to pass;
    with too few rows for that, the one where it is likeliest. None where no test is possible. It is known before the sample is: it
    depends on its size, the levels and the thresholds."""
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
    """The risk of a model as planned for: one that is good where it is surest, and reaches alpha where 71 % are answered. Grades are never
    nearly perfect. That a model is another one costs nothing but a start that suits it less."""
    return min(1.0, test.alpha * (0.75 + 0.5 * coverage**2 if test.graded else max(0.25, 2 * coverage**2)))
