"""The replay: what it counts, and that its gateway learns, certifies, escalates and revokes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from bench import replay_plot, replay_shifts
from bench.replaying import (
    LOCAL,
    NEVER,
    Gateway,
    Policy,
    Taught,
    Trace,
    Traffic,
    changed_a_little,
    changed_meaning,
    kernel,
    new_intents,
    noisy,
)

from smidgen.data.splits import SplitSide

CLASSES, WIDTH = 6, 24


def traffic(n: int = 3000, blur: float = 0.25, seed: int = 0) -> Traffic:
    """Clouds around one point for each label."""
    rng = np.random.default_rng(seed)
    gold = rng.integers(CLASSES, size=n)
    vectors = np.eye(WIDTH)[gold] + rng.normal(scale=blur, size=(n, WIDTH))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    sides = [
        (SplitSide.CHOOSING if rng.random() < 0.4 else SplitSide.CERTIFYING) if rng.random() < 0.2 else SplitSide.LEARNING for _ in range(n)
    ]
    return Traffic(vectors, gold, gold.copy(), sides, CLASSES)


def test_it_begins_with_nothing_and_ends_local_within_alpha() -> None:
    trace = Gateway(traffic(), Policy(), 0).run()
    assert trace.who[:100].sum() == 0, "no label, no answer"
    assert trace.promotions and trace.share(slice(2000, None)) > 0.6
    assert 0 <= trace.disagreement() <= 0.05
    assert trace.accuracy() > 0.97
    assert not trace.revocations


def test_a_learning_that_fails_changes_nothing_and_the_next_one_takes_over() -> None:
    asked: list[tuple[int, int]] = []

    def teach(given: Traffic, learning: Any, choosing: Any) -> Taught | None:
        asked.append((len(learning), len(choosing)))
        return kernel(given, learning, choosing) if len(asked) > 2 else None

    trace = Gateway(traffic(), Policy(), 0, teach).run()
    assert len(trace.learnings) == len(asked) > 3 and trace.promotions[0] == trace.learnings[2]
    assert not trace.who[: trace.promotions[0]].any() and trace.share(slice(2000, None)) > 0.6
    assert [rows for rows, _ in asked] == sorted(rows for rows, _ in asked)


def test_until_enough_rows_choose_the_students_own_curve_says_what_to_hope_for() -> None:
    def modest(given: Traffic, learning: Any, choosing: Any) -> Taught:
        found = kernel(given, learning, choosing)
        return replace(found, curve=[replace(point, risk=0.5) for point in found.curve])

    trace, plain = (Gateway(traffic(), Policy(), 0, teach).run() for teach in (modest, kernel))
    assert 0 < plain.who.argmax() < trace.who.argmax(), "while few rows choose, no certificate is asked for"
    assert trace.share(slice(2000, None)) > 0.6


def test_what_cannot_be_learnt_is_never_answered() -> None:
    given = traffic()
    said = np.random.default_rng(1).permutation(given.said)
    trace = Gateway(Traffic(given.vectors, said, said, given.sides, CLASSES), Policy(), 0).run()
    assert trace.share() == 0.0 and trace.accuracy() == 1.0


def test_a_changed_meaning_is_found_by_the_audits() -> None:
    given = traffic(6000, blur=0.1)
    for changed, least, most in ((changed_meaning, 0.15, 0.25), (changed_a_little, 0.05, 0.15)):
        before = np.repeat(np.arange(20), 300)
        gold, order, usual = changed(before, np.random.default_rng(3).permutation(6000), np.random.default_rng(2))
        assert (usual == before).all() and (gold[order][:3000] == before[order][:3000]).all(), "the first half means what it meant"
        assert least < (gold[order][3000:] != before[order][3000:]).mean() < most
    said = given.said.copy()
    said[3000:] = (said[3000:] + 1) % CLASSES
    trace = Gateway(Traffic(given.vectors, said, said, given.sides, CLASSES, 3000, given.said), Policy(audit=0.2), 0).run()
    assert trace.share(slice(2000, 3000)) > 0.5 and trace.rise is not None and trace.rise > 0.95, "every label changed"
    assert replay_shifts.stopped(trace) == (sum(3000 <= place <= trace.revocations[0] for place in trace.audited), "revocations")
    at = trace.revocations[0]
    assert at > 3000 and sum(3000 <= place <= at for place in trace.audited) > 5
    assert not trace.who[at + 1 : at + 100].any(), "what is revoked escalates from the next request on"


def test_held_out_texts_are_never_answered_where_they_are_put_aside() -> None:
    given = traffic()
    trace = Gateway(given, Policy(aside=True), 0).run()
    held = np.array([side is not SplitSide.LEARNING for side in given.sides])
    assert trace.share() > 0.3 and not (trace.who[held] == LOCAL).any()


def test_new_intents_come_in_the_second_half_alone() -> None:
    gold = np.repeat(np.arange(20), 50)
    after, order, usual = new_intents(gold, np.random.default_rng(0).permutation(1000), np.random.default_rng(1))
    assert sorted(order.tolist()) == list(range(1000)) and (after == gold).all()
    assert len(np.unique(gold[order[:500]])) == 16 and len(np.unique(gold[order[500:]])) == 20
    assert len(np.unique(gold[usual == NEVER])) == 4 and (usual[order[:500]] != NEVER).all()


def test_the_rise_is_of_what_the_version_that_met_the_shift_would_answer() -> None:
    given = traffic(1000)
    said, usual = given.said.copy(), given.said.copy()
    said[600:700] = (said[600:700] + 1) % CLASSES
    usual[700:800] = NEVER
    gateway = Gateway(Traffic(given.vectors, said, said, given.sides, CLASSES, 500, usual), Policy(), 0)
    assert gateway.rise(500) is None, "nothing is answered"
    gateway.threshold, gateway.scores, gateway.labels = 0.5, np.ones(1000), given.said.copy()
    assert gateway.rise(500) == pytest.approx(100 / 500), "what had not come does not count as it was before"
    gateway.scores[650:] = 0
    assert gateway.rise(500) == pytest.approx(50 / 150)


def test_a_version_is_stopped_by_whatever_comes_first_after_the_shift() -> None:
    def trace(**places: list[int]) -> Trace:
        return Trace(np.zeros(100), np.zeros(100), np.zeros(100), audited=[10, 55, 60, 70, 90], **places)

    assert replay_shifts.stopped(trace(revocations=[20, 65])) == (2, "revocations")
    assert replay_shifts.stopped(trace(revocations=[65], promotions=[30, 58])) == (1, "promotions")
    assert replay_shifts.stopped(trace(promotions=[30])) == (4, None)


def test_a_label_is_learnt_from_five_rows_on_and_a_version_that_lost_one_is_kept_out() -> None:
    given = traffic(800)
    taught: list[set[int]] = []

    def teach(shown: Traffic, learning: Any, choosing: Any) -> Taught | None:
        taught.append(set(shown.said[learning].tolist()))
        assert set(shown.said[choosing].tolist()) <= taught[-1], "what is not learnt does not choose"
        return kernel(shown, learning, choosing)

    said = given.said % 5
    learning = [at for at in range(800) if given.sides[at] is SplitSide.LEARNING]
    said[learning[:4]] = 5
    gateway = Gateway(Traffic(given.vectors, said, said, given.sides, CLASSES), Policy(), 0, teach)
    gateway.captured = list(range(800))
    assert gateway.learn() and taught == [{0, 1, 2, 3, 4}]
    said[learning[:5]] = 5
    gateway.learn()
    assert taught[-1] == {0, 1, 2, 3, 4, 5}
    gateway.known = np.ones(CLASSES, dtype=bool)
    said[learning[:4]] = 0
    assert not gateway.learn() and len(taught) == 2, "its champion knew a label that stands once now"


def test_noise_is_of_the_share_that_was_asked_for_and_always_wrong() -> None:
    gold = np.random.default_rng(0).integers(77, size=20_000)
    said = noisy(gold, 77, 0.09, np.random.default_rng(1))
    assert (said != gold).mean() == pytest.approx(0.09, abs=0.01) and said.max() < 77


def test_the_plot_has_three_panels_for_each_entry_and_says_nothing_where_nothing_is_answered() -> None:
    def trace(local: bool) -> Any:
        who = np.repeat([0, int(local)], 520)
        return Trace(who, np.zeros(1040, dtype=bool), np.zeros(1040, dtype=bool))

    picture = replay_plot.draw({"a, as served": [trace(True), trace(True)], "b": [trace(False)]})
    assert picture.count("<g ") == 6 and "a, as served" in picture and picture.count('class="curve"') == 5
    assert picture.count("Paid so far") == 2


def test_what_was_paid_is_of_all_that_went_up_so_far_audits_with_it() -> None:
    who = np.repeat([0, 1], 50)
    trace = Trace(who, np.zeros(100, dtype=bool), np.zeros(100, dtype=bool), audited=[60, 70, 80])
    assert [replay_plot._paid(trace, slice(0, stop)) for stop in (50, 75, 100)] == [1.0, 52 / 75, 0.53]


def test_a_trace_is_the_same_from_a_file() -> None:
    rng = np.random.default_rng(0)
    who, disagrees, wrong = (rng.random(200) < share for share in (0.5, 0.1, 0.05))
    trace = Trace(who.astype(np.int64), disagrees, wrong, [3, 90], [90], [], [120, 130], 0.25)
    again = Trace.of(json.loads(json.dumps(trace.json())))
    assert again.who.tolist() == trace.who.tolist() and again.disagrees.tolist() == trace.disagrees.tolist()
    assert again.wrong.tolist() == trace.wrong.tolist() and again.share() == trace.share() and again.disagreement() == trace.disagreement()
    assert (again.learnings, again.promotions, again.revocations, again.audited) == ([3, 90], [90], [], [120, 130]) and again.rise == 0.25
