"""The online test: no more false alarms than stated, and how soon it sees a rise. Delays are those of docs/explanation/certificate.md."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tools.certificate import ATTACKER, by_clients, lossy

from smidgen.stats.certification import RiskClaim
from smidgen.stats.sequential_audit import SequentialAudit

ALPHA = DELTA = 0.05


def alarm(risks: np.ndarray, rng: np.random.Generator, audit: SequentialAudit | None = None) -> int | None:
    """How many audits until the certificate is revoked; None where it is not."""
    audit = audit or SequentialAudit(ALPHA, DELTA)
    for number, wrong in enumerate((rng.random(len(risks)) < risks).tolist(), 1):
        if audit.observe(float(wrong)):
            return number
    return None


@pytest.mark.thorough
def test_false_alarms_at_exactly_the_stated_risk_stay_under_delta():
    """500 streams of 2,000 audits. The bound holds for ever, so that in 2,000 audits it is not used up."""
    alarms = [alarm(np.full(2000, ALPHA), np.random.default_rng(seed)) for seed in range(500)]
    assert len(alarms) == 500
    assert 0 < sum(at is not None for at in alarms) <= DELTA * 500


@pytest.mark.parametrize("before", [0.035, 0.05])
def test_a_rise_of_ten_points_is_seen_within_300_audits(before):
    good, bad = 1000, 900
    risks = np.concatenate([np.full(good, before), np.full(bad, before + 0.10)])
    found = [alarm(risks, np.random.default_rng(seed)) for seed in range(60)]
    delays = [at - good for at in found if at is not None and at > good]
    assert len(delays) >= 55
    assert np.median(delays) <= 300


def test_audit_probabilities_that_vary_are_corrected_for():
    """Requests of kind A are never wrong and rarely audited, those of kind B are wrong in 9 % and always audited: the risk is 4.5 %, though
    the share of wrong answers among the audits is over 8 %. Without the weights it would be revoked."""
    weighted = plain = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        kind_b = rng.random(3000) < 0.5
        audited = kind_b | (rng.random(3000) < 0.1)
        wrong = kind_b & (rng.random(3000) < 0.09)
        right, naive = SequentialAudit(ALPHA, DELTA, least_probability=0.1), SequentialAudit(ALPHA, DELTA)
        for place in np.flatnonzero(audited).tolist():
            right.observe(float(wrong[place]), 1.0 if kind_b[place] else 0.1)
            naive.observe(float(wrong[place]))
        weighted += right.revoked
        plain += naive.revoked
    assert weighted <= 2 and plain >= 35


def test_the_weighted_test_sees_a_rise():
    rng = np.random.default_rng(3)
    audit = SequentialAudit(ALPHA, DELTA, least_probability=0.1)
    for _ in range(3000):
        probability = float(rng.choice([0.1, 0.5]))
        if rng.random() < probability:
            audit.observe(float(rng.random() < 0.25), probability)
    assert audit.revoked and audit.audits < 1000


def test_the_state_survives_a_restart():
    rng = np.random.default_rng(0)
    losses = (rng.random(400) < 0.12).astype(float).tolist()
    whole, broken = SequentialAudit(ALPHA, DELTA), SequentialAudit(ALPHA, DELTA)
    for loss in losses:
        whole.observe(loss)
        broken = SequentialAudit.from_json(json.loads(json.dumps(broken.json())))
        broken.observe(loss)
    assert broken.json() == whole.json()
    assert whole.revoked and whole.audits == 400 and whole.losses == sum(losses)
    assert len(json.dumps(whole.json())) < 1000


def test_revoked_stays_revoked():
    audit = SequentialAudit(ALPHA, DELTA)
    for _ in range(10):
        audit.observe(1.0)
    assert audit.revoked
    for _ in range(2000):
        audit.observe(0.0)
    assert audit.revoked and audit.evidence < 1 and SequentialAudit.from_json(audit.json()).revoked


def test_a_thousand_errors_do_not_overflow():
    audit = SequentialAudit(0.001, 0.01)
    for _ in range(1000):
        audit.observe(1.0)
    assert audit.revoked and json.loads(json.dumps(audit.json(), allow_nan=False))["audits"] == 1000


def test_what_cannot_be_is_refused_and_changes_nothing():
    audit = SequentialAudit(ALPHA, DELTA, least_probability=0.2)
    before = audit.json()
    for loss, probability in [(1.5, 1.0), (float("nan"), 1.0), (0.0, 0.1), (0.0, 1.1)]:
        with pytest.raises(ValueError):
            audit.observe(loss, probability)
    assert audit.json() == before
    for made in ((0.0, 0.05), (0.05, 1.0), (0.05, 0.05, 0.0)):
        with pytest.raises(ValueError):
            SequentialAudit(*made)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"money": [1.0]},
        {"money": "x"},
        {"most": float("nan")},
        {"audits": -1},
        {"losses": 5},
        {"alpha": 2},
        {"alpha": None},
        {"least_probability": 0.0},
        {"least_probability": "x"},
        {"declared": True},
        {"audits": 1},
    ],
)
def test_a_damaged_state_is_refused(change):
    with pytest.raises(ValueError):
        SequentialAudit.from_json({**SequentialAudit(ALPHA, DELTA).json(), **change})
    with pytest.raises(ValueError):
        SequentialAudit.from_json({})


NAMES = tuple("abcdefgh")


def by_segments(risks: dict[str, float], seed: int, audits: int, names: tuple[str, ...] = NAMES) -> SequentialAudit:
    """Audits of segments that come equally often, each with a risk of its own."""
    rng = np.random.default_rng(seed)
    audit = SequentialAudit(ALPHA, DELTA, segments=names)
    for name, chance in zip(rng.choice(sorted(risks), audits).tolist(), rng.random(audits).tolist(), strict=True):
        audit.observe(float(chance < risks[name]), 1.0, name)
    return audit


def test_a_segment_that_is_hidden_by_good_ones_is_seen():
    """One of eight errs in a quarter of its answers, the others in 1 %: 4 % in all, which is within the promise of all together."""
    risks = {**dict.fromkeys(NAMES, 0.01), "h": 0.25}
    found = [by_segments(risks, seed, 2000) for seed in range(20)]
    assert sum(audit.revoked for audit in found) >= 18
    assert sum(by_segments(risks, seed, 2000, ()).revoked for seed in range(20)) <= 2, "all in one see nothing"
    assert all(audit.worst is not None and audit.worst[0] == "h" for audit in found if audit.revoked)


@pytest.mark.thorough
def test_false_alarms_of_segments_that_are_all_at_the_stated_risk_stay_under_delta():
    alarms = [by_segments(dict.fromkeys(NAMES, ALPHA), seed, 1000).revoked for seed in range(200)]
    assert sum(alarms) <= DELTA * 200


def test_a_breach_everywhere_is_seen_as_soon_as_without_segments_or_nearly():
    audits = [by_segments(dict.fromkeys(NAMES, 0.15), seed, 300) for seed in range(20)]
    assert sum(audit.revoked for audit in audits) >= 18


def test_the_state_of_segments_survives_a_restart_and_is_of_the_segments_that_it_is_asked_for():
    audit = by_segments({"a": 0.05, "b": 0.4}, 1, 40, ("a", "b"))
    again = SequentialAudit.from_json(json.loads(json.dumps(audit.json())), ("b", "a"))
    assert again.json() == audit.json() and again.evidence == audit.evidence
    for segments in ((), ("a",), ("a", "c", "d")):
        other = SequentialAudit.from_json(audit.json(), segments)
        assert other.evidence == pytest.approx(audit.evidence) and other.most == audit.most and other.segments == segments
        once_more = SequentialAudit.from_json(json.loads(json.dumps(other.json())), segments)
        assert once_more.evidence == pytest.approx(audit.evidence)


def test_a_state_from_before_there_were_segments_goes_on_with_the_evidence_that_it_has():
    state = by_segments({"a": 0.1}, 2, 30, ()).json()
    old = {name: value for name, value in state.items() if name not in ("segments", "share", "each", "lost")}
    alone, new = SequentialAudit.from_json(old), SequentialAudit.from_json(old, ("a", "b"))
    assert new.evidence == pytest.approx(alone.evidence) == pytest.approx(SequentialAudit.from_json({**old, "share": 1.0}).evidence)
    assert (new.audits, new.losses, new.never_answered) == (30, state["losses"], 0)
    while not new.observe(1.0, 1.0, "b"):
        assert new.audits < 60
    assert new.worst is not None and new.worst[0] == "b"


def test_an_audit_whose_segment_nobody_knows_counts_among_all():
    audit = SequentialAudit(ALPHA, DELTA, segments=("a", "b"))
    for segment in (None, "c"):
        audit.observe(1.0, 1.0, segment)
    assert audit.audits == 2 and audit.worst is None and audit.evidence > 1


@pytest.mark.parametrize(
    "change",
    [
        {"segments": {"a": {}}},
        {"segments": ["a"]},
        {"share": 0.0},
        {"each": -1.0},
        {"each": float("nan")},
        {"segments": {"a": {"audits": 1}}},
    ],
)
def test_a_damaged_state_of_segments_is_refused(change):
    with pytest.raises(ValueError):
        SequentialAudit.from_json({**SequentialAudit(ALPHA, DELTA, segments=("a", "b")).json(), **change}, ("a", "b"))


def test_the_example_of_the_documentation_runs():
    page = Path(__file__).parent.parent.parent / "docs" / "how-to" / "audit.md"
    (block,) = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, check=True)
    assert done.stdout.split()[:2] == ["False", "3"]


def test_a_breach_whose_audits_get_lost_is_stopped():
    """A true risk of 7 % under a promise of 5 %, and a tenth of the audits lost. Where lost ones are dropped it is the others alone."""
    found = [lossy(0.07, 0.10, 400, seed, RiskClaim(ALPHA, DELTA), drops=True) for seed in range(100)]
    assert len(found) == 100
    assert sum(at is not None for at, _ in found) >= 99 and sum(bool(without) for _, without in found) < 34


def test_a_breach_of_which_the_wrong_answers_get_lost_is_stopped():
    """Of the audits that come back none is wrong."""
    found = [lossy(0.12, 0.12, 1500, seed, RiskClaim(ALPHA, DELTA), "wrong")[0] for seed in range(30)]
    assert len(found) == 30 and sum(at is not None for at in found) >= 28


@pytest.mark.parametrize(
    ("risk", "lost", "where", "seeds"),
    [
        (0.03, 0.02, "any", 100),
        pytest.param(0.05, 0.01, "any", 300, marks=pytest.mark.thorough),
        pytest.param(0.03, 0.05, "together", 300, marks=pytest.mark.thorough),
    ],
)
def test_a_promise_that_is_kept_with_few_lost_audits_is_stopped_at_most_delta_of_the_time(risk, lost, where, seeds):
    found = [lossy(risk, lost, 1000, seed, RiskClaim(ALPHA, DELTA), where)[0] for seed in range(seeds)]
    assert len(found) == seeds
    assert sum(at is not None for at in found) <= DELTA * seeds


def test_audits_that_are_lost_one_after_the_other_count_once_and_all_are_told():
    """An outage, or a process that was killed with some of them under way."""
    one, many = SequentialAudit(ALPHA, DELTA), SequentialAudit(ALPHA, DELTA)
    one.lost()
    for _ in range(100):
        many.lost()
    assert strict(one) == strict(many) > 1 and (many.never_answered, many.audits) == (100, 0) and not many.unanswered
    again = SequentialAudit.from_json(json.loads(json.dumps(many.json())))
    again.lost()
    assert strict(again) == strict(many), "also over a restart"
    again.observe(0.0)
    before = strict(again)
    again.lost()
    assert strict(again) > before


def strict(audit):
    """The money of the gambler who counts lost audits as wrong, on the capital at stake."""
    return sum(audit.json()["lost"]["bets"]["money"])


def test_lost_audits_never_revoke_and_fresh_ones_end_what_they_began():
    audit = SequentialAudit(ALPHA, DELTA)
    drawn = 0
    while not audit.unanswered:
        drawn += 1
        audit.observe(0.0) if drawn % 7 else audit.lost()
        assert drawn < 400
    assert not audit.revoked and audit.evidence < 1
    while audit.unanswered:
        audit.observe(0.0)
        audit = SequentialAudit.from_json(json.loads(json.dumps(audit.json())))
        assert audit.audits < 600
    assert audit.audits - drawn * 6 // 7 > 60, "fewer could be chance"
    for number in range(500):
        audit.observe(0.0) if number % 7 else audit.lost()
    assert audit.unanswered and not audit.revoked, "it is watched on"


def test_while_audits_get_lost_it_stays_unanswered_delta_of_the_time():
    ended = 0
    for seed in range(200):
        rng, audit = np.random.default_rng(seed), SequentialAudit(ALPHA, DELTA)
        while not audit.unanswered:
            audit.observe(0.0)
            audit.lost()
        for lost in (rng.random(500) < ALPHA).tolist():
            audit.lost() if lost else audit.observe(0.0)
            if not audit.unanswered:
                ended += 1
                break
    assert ended <= 2 * DELTA * 200


def test_one_client_that_is_always_wrong_suspends_itself_and_revokes_nothing():
    found = [by_clients(0.03, 3, 600, seed, RiskClaim(ALPHA, DELTA), every=7) for seed in range(30)]
    assert len(found) == 30 and sum(one.revoked for one in found) <= 1
    assert sum(one.suspended == (ATTACKER,) for one in found) >= 29


@pytest.mark.parametrize("clients", [1, 2, 3, 5, 20])
def test_a_breach_for_all_clients_revokes(clients):
    found = [by_clients(0.12, clients, 1500, seed, RiskClaim(ALPHA, DELTA)) for seed in range(20)]
    assert len(found) == 20 and sum(one.revoked for one in found) >= 19


def test_what_is_known_of_clients_survives_a_restart():
    whole, broken = SequentialAudit(ALPHA, DELTA), SequentialAudit(ALPHA, DELTA)
    for number in range(300):
        for one in (whole, broken):
            one.observe(float(number % 7 == 0), client="bad" if number % 7 == 0 else "good")
        broken = SequentialAudit.from_json(json.loads(json.dumps(broken.json())))
    assert broken.json() == whole.json() == json.loads(json.dumps(whole.json())) and broken.suspended == ("bad",)


def test_a_client_that_is_most_of_the_traffic_is_the_traffic():
    audit = SequentialAudit(ALPHA, DELTA)
    for number in range(400):
        theirs = number % 3 != 0
        audit.observe(float(theirs and number % 4 == 0), client="one" if theirs else "other")
    assert audit.revoked and not audit.suspended


def test_a_state_in_which_both_tests_were_one_sum_goes_on():
    audit = SequentialAudit(ALPHA, DELTA)
    for number in range(200):
        audit.observe(float(number % 15 == 0))
    state = audit.json()
    old = {name: value for name, value in state.items() if name != "clients"} | {"share": 0.75}
    old["lost"] = {"audits": 0, "in_a_row": False, "bets": {**state["lost"]["bets"], "share": 0.25}}
    again = SequentialAudit.from_json(old)
    assert again.evidence == pytest.approx(audit.evidence) and not again.unanswered and again.suspended == ()
    assert SequentialAudit.from_json({**old, "most": 20.0}).revoked


def test_without_lost_audits_both_bet_on_the_same():
    audit = SequentialAudit(ALPHA, DELTA)
    while not audit.observe(1.0):
        assert audit.audits < 10
    assert not audit.unanswered and audit.never_answered == 0
    for change in ({"audits": -1}, {"bets": {}}, {"in_a_row": None, "bets": None}):
        with pytest.raises(ValueError):
            SequentialAudit.from_json({**audit.json(), "lost": {**audit.json()["lost"], **change}})
