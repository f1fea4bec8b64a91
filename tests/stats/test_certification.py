"""Certified thresholds: over many samples, the share of certificates whose true risk exceeds alpha stays under delta. How requests are
drawn is said in `tools/certificate.py`, which prints the tables of bench/RESULTS.md.
"""

import functools
import math

import numpy as np
import pytest
from tools.certificate import GRID, curve, drawn, held_out_rows, repeating, true_risk

from smidgen.stats.certification import (
    ReferenceErrors,
    RiskClaim,
    ThresholdStep,
    certify_threshold,
    needed,
    segment_levels,
    threshold_steps,
)
from smidgen.stats.risk_bounds import average_and_level, fewest_rows

ALPHA = DELTA = 0.05
CLAIM = RiskClaim(ALPHA, DELTA)
FEW, SOME, MANY = 120, 300, 500


def allowance(seeds):
    """What so many seeds may show over a true 5 %, once in a hundred such tests: 4.6 points of 120, 2.9 of 300, 2.3 of 500."""
    return 2.33 * math.sqrt(DELTA * (1 - DELTA) / seeds)


@functools.cache
def outcomes(model, n, seeds):
    return tuple(drawn(model, n, CLAIM, seeds))


def long(*values):
    return pytest.param(*values, marks=pytest.mark.thorough)


@pytest.mark.parametrize(
    ("model", "n", "seeds"),
    [
        ("strong", 1000, FEW),
        ("hopeless", 300, SOME),
        *(long(*case, MANY) for case in (("strong", 1000), ("weak", 1000), ("oversure", 600), ("hopeless", 300))),
    ],
)
def test_certificates_that_do_not_hold_stay_under_delta(model, n, seeds):
    found = outcomes(model, n, seeds)
    assert len(found) == seeds
    assert sum(one.risk > ALPHA for one in found) / seeds <= DELTA + allowance(seeds)


def test_the_level_is_used():
    """Where no threshold is good and all are nearly so, a certificate is given nearly as often as it may be."""
    assert sum(one.share > 0 for one in outcomes("hopeless", 300, SOME)) / SOME >= 0.4 * DELTA


def test_it_is_not_absurdly_careful():
    """At best 71 % can be answered by the strong model. On a thousand pairs nearly every seed certifies something, and half of them most of
    that."""
    shares = np.array([one.share for one in outcomes("strong", 1000, FEW)])
    assert (shares > 0).mean() >= 0.95
    assert np.median(shares) >= 0.5


@pytest.mark.thorough
def test_grades_are_certified_by_betting():
    """Losses of 0.1 on average where the model is surest and 0.6 where it is least sure; alpha = 0.3, which the best 80 % meet."""
    wrong = 0.1 + 0.5 * GRID
    above, shares = 0, []
    for seed in range(MANY):
        rng = np.random.default_rng(seed)
        tries = curve(wrong, rng, 100)
        u = rng.random(300)
        mean = np.interp(u, GRID, wrong)
        outcome = certify_threshold(1 - u, rng.beta(4 * mean, 4 * (1 - mean)), tries, RiskClaim(0.3, DELTA, graded=True))
        shares.append(0.0 if outcome.threshold is None else 1 - outcome.threshold)
        above += shares[-1] > 0 and true_risk(wrong, shares[-1]) > 0.3
    assert len(shares) == MANY
    assert above / MANY <= DELTA + allowance(MANY)
    assert np.median(shares) >= 0.6


def test_a_judge_that_hides_errors_among_the_surest_is_paid_for():
    """The model is wrong in 6 % everywhere. The judge lets two errors of three pass among the surest half, where it then sees 2 % errors:
    2 % of all its verdicts are wrong. Its own error, measured on 1,000 reviews, enters the bound."""
    rng = np.random.default_rng(5)
    trusting = paying = 0
    for _ in range(FEW):
        u = rng.random(2000)
        wrong = rng.random(2000) < 0.06
        seen = wrong & ~((u < 0.5) & (rng.random(2000) < 2 / 3))
        tries = [ThresholdStep(1 - share, share) for share in (0.3, 0.4, 0.5)]
        trusting += certify_threshold(1 - u, seen.astype(float), tries, CLAIM).threshold is not None
        reviewed = ReferenceErrors(int(rng.binomial(1000, 0.02)), 1000)
        paying += certify_threshold(1 - u, seen.astype(float), tries, RiskClaim(ALPHA, DELTA, judge=reviewed)).threshold is not None
    assert trusting >= 0.75 * FEW
    assert paying <= DELTA * FEW


def test_a_good_judge_costs_something_and_still_certifies():
    rng = np.random.default_rng(1)
    scores, losses = rng.random(3000), (rng.random(3000) < 0.01).astype(float)
    tries = [ThresholdStep(1 - share, share) for share in (0.5, 0.9)]
    plain = certify_threshold(scores, losses, tries, CLAIM)
    judged = certify_threshold(scores, losses, tries, RiskClaim(ALPHA, DELTA, judge=ReferenceErrors(2, 1000)))
    assert plain.threshold == judged.threshold == tries[-1].threshold
    assert plain.bound < judged.bound <= ALPHA
    assert judged.bound - plain.bound > ReferenceErrors(2, 1000).bound(DELTA)
    hopeless = certify_threshold(scores, losses, tries, RiskClaim(ALPHA, DELTA, judge=ReferenceErrors(5, 50)))
    assert (hopeless.threshold, hopeless.tried) == (None, 0)
    assert needed(hopeless, tries, RiskClaim(ALPHA, DELTA, judge=ReferenceErrors(5, 50))) is None


def test_the_trying_ends_at_the_first_that_fails():
    """A later threshold that would pass is not looked at."""
    scores = np.concatenate([np.full(300, 0.9), np.full(100, 0.8), np.full(600, 0.7)])
    losses = np.concatenate([np.zeros(300), np.ones(100) * (np.arange(100) < 30), np.zeros(600)])
    tries = [ThresholdStep(0.9, 0.3), ThresholdStep(0.8, 0.4), ThresholdStep(0.7, 1.0)]
    outcome = certify_threshold(scores, losses, tries, CLAIM)
    assert (outcome.threshold, outcome.answered, outcome.loss, outcome.tried) == (0.9, 300, 0.0, 2)
    assert certify_threshold(scores, losses, tries[-1:], CLAIM).threshold == 0.7


def test_the_start_knows_nothing_of_scores_and_losses():
    """The number of thresholds passed over depends on n, alpha and delta alone."""
    tries = [ThresholdStep(1 - share, share) for share in np.arange(1, 101) / 100]
    starts = set()
    for seed in range(20):
        rng = np.random.default_rng(seed)
        scores = rng.random(1000)
        outcome = certify_threshold(scores, np.ones(1000), tries, CLAIM)
        assert (outcome.threshold, outcome.tried) == (None, 1)
        (found,) = [step.coverage for step in tries if int((scores >= step.threshold).sum()) == outcome.answered][:1]
        starts.add(round(found, 2))
    assert len(starts) == 1
    assert fewest_rows(ALPHA, DELTA) / 1000 < starts.pop() < 0.3


def test_too_few_pairs_say_how_many_are_needed():
    tries = [ThresholdStep(1 - share, share) for share in np.arange(1, 101) / 100]
    rng = np.random.default_rng(0)
    none = certify_threshold(rng.random(40), np.zeros(40), tries, CLAIM)
    assert (none.threshold, none.tried, needed(none, tries, CLAIM)) == (None, 0, 59)
    assert needed(certify_threshold([], [], tries, CLAIM), tries, CLAIM) == 59
    few = certify_threshold(np.linspace(1, 0, 400), (np.arange(400) % 25 == 12).astype(float), tries, CLAIM)
    rows = needed(few, tries, CLAIM)
    assert few.threshold is None and rows is not None and rows > 400
    again = [
        certify_threshold(rng.random(rows), (rng.random(rows) < few.loss / few.answered).astype(float), tries, CLAIM) for _ in range(20)
    ]
    assert sum(outcome.threshold is not None for outcome in again) >= 5
    bad = certify_threshold(rng.random(400), (np.arange(400) % 5 == 0).astype(float), tries, CLAIM)
    assert bad.threshold is None and bad.best is not None and bad.best > ALPHA
    assert needed(bad, tries, CLAIM) is None


def test_steps_lie_between_the_points_of_a_curve():
    found = threshold_steps([(0.9, 0.5), (0.5, 1.0)])
    assert found[0] == ThresholdStep(0.9, 0.5) and found[-1] == ThresholdStep(0.5, 1.0)
    assert len(found) == 101
    assert any(step.threshold == pytest.approx(0.7) and step.coverage == pytest.approx(0.75) for step in found)
    tied = threshold_steps([(1.0, 0.4), (1.0, 0.4)])
    assert tied == [ThresholdStep(1.0, 0.4)] and threshold_steps([]) == []


def test_segments_share_delta_and_those_that_are_too_small_pay_nothing():
    found = segment_levels({"a": 500, "b": 400, "tiny": 12}, ALPHA, DELTA)
    assert found == {"a": DELTA / 2, "b": DELTA / 2}
    assert segment_levels({"a": 10}, ALPHA, DELTA) == {} and segment_levels({}, ALPHA, DELTA) == {}
    # 60 rows are enough alone, and not at half the level.
    assert segment_levels({"a": 500, "b": 60}, ALPHA, DELTA) == {"a": DELTA}


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="one length"):
        certify_threshold([0.1], [0.0, 1.0], [], CLAIM)
    with pytest.raises(ValueError, match="0 or 1"):
        certify_threshold([0.1], [0.5], [], CLAIM)


@pytest.mark.parametrize(
    ("model", "n", "seeds"), [("strong", 300, FEW), long("strong", 1000, MANY), long("weak", 1000, MANY), long("hopeless", 1000, MANY)]
)
def test_of_all_requests_no_more_is_lost_on_average_than_is_asked(model, n, seeds):
    """The true share that is answered and wrong, averaged over samples: conformal risk control bounds that mean."""
    asked = RiskClaim(0.2, DELTA, overall=0.01)
    lost = np.array([one.share * one.risk for one in drawn(model, n, asked, seeds)])
    assert lost.mean() <= 0.01 + 2.33 * lost.std() / math.sqrt(seeds)
    free = np.array([one.share * one.risk for one in drawn(model, n, RiskClaim(0.2, DELTA), 20)])
    assert lost.mean() < free.mean() / 2  # it is this that stops it, not alpha


def test_it_uses_what_of_all_requests_may_be_lost():
    lost = np.array([one.share * one.risk for one in drawn("strong", 1000, RiskClaim(0.2, DELTA, overall=0.01), 40)])
    assert lost.mean() >= 0.8 * 0.01


@pytest.mark.thorough
def test_alpha_holds_whatever_may_be_lost_of_all():
    found = drawn("strong", 1000, RiskClaim(ALPHA, DELTA, overall=0.03), MANY)
    assert sum(one.risk > ALPHA for one in found) / MANY <= DELTA + allowance(MANY)
    assert all(one.share <= plain.share for one, plain in zip(found, outcomes("strong", 1000, MANY), strict=True))


def test_the_laxest_threshold_that_loses_few_is_taken():
    scores = np.concatenate([np.full(300, 0.9), np.full(100, 0.8), np.full(600, 0.7)])
    losses = np.concatenate([np.arange(300) < 2, np.arange(100) < 5, np.arange(600) < 10]).astype(float)
    tries = [ThresholdStep(0.9, 0.3), ThresholdStep(0.8, 0.4), ThresholdStep(0.7, 1.0)]
    wanted = {None: 0.7, 0.02: 0.7, 0.0175: 0.8, 0.01: 0.8, 0.0075: 0.9, 0.003: 0.9}
    for overall, threshold in wanted.items():
        outcome = certify_threshold(scores, losses, tries, RiskClaim(ALPHA, DELTA, overall=overall))
        assert outcome.threshold == threshold, overall
        assert not outcome.too_many and outcome.loss == losses[scores >= threshold].sum()
    # Of 1,001 three hundredths of a percent less than the three that are counted: two errors, and the next request.
    claim = RiskClaim(ALPHA, DELTA, overall=0.0029)
    none = certify_threshold(scores, losses, tries, claim)
    assert none.threshold is None and none.too_many and (none.answered, none.loss, none.tried) == (300, 2, 1)
    assert needed(none, tries, claim) == math.ceil((1 - 0.0029) / (0.0029 - 0.002))
    assert needed(none, tries, RiskClaim(ALPHA, DELTA, overall=0.002)) is None


def test_too_few_rows_say_how_many_lose_few():
    claim = RiskClaim(ALPHA, DELTA, overall=0.01)
    tries = [ThresholdStep(0.5, 0.9)]
    for n, threshold in ((98, None), (99, 0.5)):
        assert certify_threshold(np.ones(n), np.zeros(n), tries, claim).threshold == threshold
    assert needed(certify_threshold(np.ones(98), np.zeros(98), tries, claim), tries, claim) == 99
    assert needed(certify_threshold(np.ones(20), np.zeros(20), tries, claim), tries, claim) == 99


def test_a_judge_counts_in_what_is_lost_of_all():
    rng = np.random.default_rng(1)
    scores, losses = rng.random(3000), np.zeros(3000)
    tries = [ThresholdStep(1 - share, share) for share in (0.5, 0.9)]
    judge = ReferenceErrors(2, 1000)
    fits = judge.bound(DELTA) + 2 / 3000
    assert certify_threshold(scores, losses, tries, RiskClaim(ALPHA, DELTA, judge=judge, overall=fits)).threshold is not None
    assert certify_threshold(scores, losses, tries, RiskClaim(ALPHA, DELTA, judge=judge, overall=judge.bound(DELTA))).too_many


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("kind", "model"), [("2,000 texts by Zipf's law (1.1)", "hopeless"), ("2,000 texts by Zipf's law (1.1)", "strong")]
)
def test_under_repeats_counting_requests_keeps_the_level(kind, model):
    """The true risk is that of requests to come. Counting each text once does not keep it: it answers another question."""
    found = repeating(kind, model, 1000, CLAIM, MANY, distinct=False)
    assert len(found) == MANY and any(one.share for one in found)
    assert sum(one.risk > ALPHA for one in found) / MANY <= DELTA + allowance(MANY)


def test_a_heavy_text_that_is_always_wrong_is_seen_by_counting_requests_alone():
    kind = "one sure text is a fifth of the requests, and always wrong"
    requests, texts = (repeating(kind, "strong", 1000, CLAIM, 20, distinct) for distinct in (False, True))
    assert sum(one.risk > ALPHA for one in requests) == 0
    assert sum(one.risk > 0.2 for one in texts) > 10


@pytest.mark.thorough
def test_of_all_requests_many_looks_lose_no_more_on_average_than_is_asked():
    """Ten looks at rows that grow, of a model that is wrong everywhere as often as may just be lost; the first certificate that is given
    counts. Were each look tested as one alone is, more would be lost than is asked."""
    overall, tries = 0.04, [ThresholdStep(1 - share, share) for share in np.arange(1, 41) / 40]
    wrong = np.full(len(GRID), 0.08)
    lost = {"paid": [], "free": []}
    for seed in range(200):
        rng = np.random.default_rng([seed, 3])
        u = rng.random(1500)
        loss = (rng.random(1500) < np.interp(u, GRID, wrong)).astype(float)
        for name, found in lost.items():
            most = 0.0
            for look in range(1, 11):
                n, (bound, level) = 500 + 100 * look, average_and_level(overall, look)
                asked = (
                    RiskClaim(0.3, DELTA, overall=bound, overall_level=level) if name == "paid" else RiskClaim(0.3, DELTA, overall=overall)
                )
                threshold = certify_threshold(1 - u[:n], loss[:n], tries, asked).threshold
                most = max(most, 0.0 if threshold is None else 0.08 * (1 - threshold))
            found.append(most)
    assert np.mean(lost["paid"]) <= overall < np.mean(lost["free"])
    assert np.mean(lost["paid"]) > 0.3 * overall


def test_a_bound_of_all_requests_says_how_many_rows_it_takes():
    bound, level = average_and_level(0.02, 1)
    claim, tries = RiskClaim(0.2, DELTA, overall=bound, overall_level=level), [ThresholdStep(0.5, 0.9)]
    none = certify_threshold(np.ones(200), np.zeros(200), tries, claim)
    rows = needed(none, tries, claim)
    assert none.too_many and rows == fewest_rows(bound, level) == 381
    assert certify_threshold(np.ones(rows), np.zeros(rows), tries, claim).threshold == 0.5
    graded = RiskClaim(0.2, DELTA, graded=True, overall=bound, overall_level=level)
    assert certify_threshold(np.ones(rows), np.full(rows, 0.1), tries, graded).too_many
    assert certify_threshold(np.ones(2000), np.full(2000, 0.001), tries, graded).threshold == 0.5


def test_held_out_texts_set_aside_certify_more_than_as_many_audits() -> None:
    """Both ask the large model as often besides what escalates. Texts that escalate certify nothing alone: they are the hardest."""
    claim = RiskClaim(ALPHA, DELTA)
    aside, audited, escalated = (
        [held_out_rows("strong", audits, share, claim, seed) for seed in range(20)] for audits, share in ((0, 0.05), (0.05, 0), (0, 0))
    )
    assert np.mean([rows for rows, _ in aside]) > 4 * np.mean([rows for rows, _ in audited])
    assert sum(one.share > 0 for _, one in aside) > 15 > 2 * sum(one.share > 0 for _, one in audited)
    assert not any(one.share for _, one in escalated)
