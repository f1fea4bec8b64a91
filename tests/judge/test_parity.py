"""The parity gate lets an equal model through and catches a damaged one."""

import math

import numpy as np
import pytest

from smidgen.core.errors import GateError
from smidgen.core.quantities import Metric
from smidgen.core.replies import Reply
from smidgen.judge import parity
from smidgen.judge.quality_gate import GateSettings

LABELS = ["refund", "invoice", "delivery", "login"]
SETTINGS = GateSettings()


def moved(replies, share, seed=0):
    """Replies of which a share gives another label."""
    rng = np.random.default_rng(seed)
    return [
        Reply(LABELS[(LABELS.index(reply.output) + 1) % len(LABELS)], reply.score) if rng.random() < share else reply for reply in replies
    ]


def test_the_same_answers_pass(simulated):
    rows, trained = simulated(LABELS, 500)
    served = [Reply(reply.output, min(1.0, reply.score + 0.004)) for reply in trained]
    facts = parity.compare(rows, trained, served, settings=SETTINGS)
    assert facts.passed and facts.agreement.value == 1.0 and facts.change.value == 0.0
    assert facts.change.low < 0 < facts.change.high
    assert 0 < facts.largest_score_change <= 0.0041
    parity.require(facts)


def test_a_damaged_file_is_caught_and_its_texts_are_named(simulated):
    rows, trained = simulated(LABELS, 500)
    served = moved(trained, 0.25)
    facts = parity.compare(rows, trained, served, settings=SETTINGS)
    assert not facts.passed
    with pytest.raises(GateError) as caught:
        parity.require(facts)
    message = str(caught.value)
    assert "gate.max_loss allows 1" in message and "gate.min_agreement asks for 97 %" in message
    assert "95 % interval" in message and caught.value.exit_code == 1
    changed = [row.input for row, a, b in zip(rows, trained, served, strict=True) if a.output != b.output]
    assert f"({len(changed)} of 500)" in message
    assert len(caught.value.changed) == 21 and caught.value.changed[-1] == f"and {len(changed) - 20} more"
    assert sum(line.split("'")[1] in changed for line in caught.value.changed[:-1]) == 20
    # What was right and is wrong now stands first.
    assert facts.changed[0].trained == facts.changed[0].gold != facts.changed[0].served


def test_many_changes_without_a_loss_fail_on_agreement(simulated):
    rows, trained = simulated(LABELS, 400)
    gold = [row.output for row in rows]
    served = [Reply(g if t.output != g else t.output, t.score) for g, t in zip(gold, trained, strict=True)]
    facts = parity.compare(rows, trained, served, settings=SETTINGS)
    assert facts.change.value > 0 and not facts.passed
    with pytest.raises(GateError, match="same answer"):
        parity.require(facts)
    parity.require(parity.compare(rows, trained, served, settings=GateSettings(min_agreement=0.5)))


def test_a_loss_at_the_limit_passes_and_one_over_it_fails(simulated):
    rows, trained = simulated(LABELS, 100, right=0.99)
    gold = [row.output for row in rows]
    trained = [Reply(g, 0.9) for g in gold]
    one, two = ([Reply("wrong", 0.9)] * k + trained[k:] for k in (1, 2))
    assert parity.compare(rows, trained, one, settings=SETTINGS).passed
    assert not parity.compare(rows, trained, two, settings=SETTINGS).passed


def test_another_headline_metric_decides(simulated):
    rows, trained = simulated(LABELS, 300)
    before, after = Metric(0.91, 0.88, 0.93, 300), Metric(0.89, 0.86, 0.92, 300)
    facts = parity.compare(rows, trained, trained, settings=SETTINGS, headline="f1", before=before, after=after)
    assert facts.change.value == pytest.approx(-0.02) and facts.change.low < -0.02 < facts.change.high
    with pytest.raises(GateError, match=r"f1 fell by 2\.00 points"):
        parity.require(facts)


@pytest.mark.parametrize("score", [math.nan, math.inf, -0.2, 1.3])
def test_scores_that_are_none_are_refused(simulated, score):
    rows, trained = simulated(LABELS, 20)
    with pytest.raises(GateError, match=r"not in 0\.\.1 \(text 3 of 20\)"):
        parity.compare(rows, trained, [*trained[:2], Reply("refund", score), *trained[3:]], settings=SETTINGS)


def test_missing_answers_and_no_rows_are_refused(simulated):
    rows, trained = simulated(LABELS, 20)
    with pytest.raises(GateError, match="19 answers to 20 texts"):
        parity.compare(rows, trained, trained[:-1], settings=SETTINGS)
    with pytest.raises(GateError, match="no held-out texts"):
        parity.compare([], [], [], settings=SETTINGS)


def test_label_lists_are_compared_as_sets_and_spans_in_order(simulated):
    rows, _ = simulated(LABELS, 2)
    facts = parity.compare(rows, [Reply(["a", "b"], 0.5)] * 2, [Reply(["b", "a"], 0.5)] * 2, settings=SETTINGS)
    assert facts.agreement.value == 1.0
    span = [{"start": 0, "end": 2, "label": "a"}]
    facts = parity.compare(rows, [Reply(span, 0.5)] * 2, [Reply(list(span), 0.5), Reply([], 0.5)], settings=SETTINGS)
    assert facts.agreement.value == 0.5


def test_what_a_schema_mends_hides_no_loss_by_packing(simulated):
    """The trained model writes freely and has 60 of 100 right; the schema makes 80 of it in 16 bits, and packing takes 15 away again."""
    rows, _ = simulated(LABELS, 100, right=0.99)
    free, unpacked, served = (
        [Reply(row.output if number < right else "wrong", 0.9) for number, row in enumerate(rows)] for right in (60, 80, 65)
    )
    of = lambda right: Metric(right / 100, 0.0, 1.0, 100)  # noqa: E731
    settings = GateSettings(min_agreement=0.5)
    alone = parity.compare(rows, free, served, settings=settings, headline="f1", before=of(60), after=of(65), written=True)
    assert alone.passed and alone.packing is None
    facts = parity.beside(alone, rows, unpacked, served, settings=settings, before=of(80), after=of(65))
    assert not facts.passed and facts.change == alone.change and facts.unpacked.value == 0.8
    assert facts.packing.value == pytest.approx(-0.15) and facts.packing.low < -0.15 < facts.packing.high
    with pytest.raises(GateError, match=r"f1 fell by 15\.00 points against the weights as they were trained in the same engine"):
        parity.require(facts)
    same = parity.beside(alone, rows, served, served, settings=settings, before=of(65), after=of(65))
    assert same.passed and same.packing.value == 0
