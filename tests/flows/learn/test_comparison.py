"""Who takes whose place: the rule, the contest that it is judged by, the schedule that it is asked for by."""

from __future__ import annotations

import errno
import threading
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.flows.learn.test_learning_rows import taken

from smidgen.core.abilities import Grading
from smidgen.core.errors import InputError, SmidgenError
from smidgen.core.replies import Reply
from smidgen.core.rows import Row
from smidgen.flows.learn import comparison, schedule
from smidgen.flows.learn.comparison import Comparison, compare_shares, decide_promotion, is_certificate_needed
from smidgen.flows.learn.schedule import LearnSchedule, parse_duration, run_schedule
from smidgen.tasks.classify import Classify

BETTER = Comparison(100, 0.8, 0.9, 12, 2, 0.006, 0.001, 0.05, 0.02)
ALIKE = Comparison(900, 0.8, 0.8, 5, 5, 0.62, 0.01, 0.05, 0.02)
UNKNOWN = Comparison(20, 0.8, 0.8, 1, 1, 0.75, 0.4, 0.05, 0.02)
WORSE = Comparison(200, 0.9, 0.8, 2, 22, 0.999, 0.9, 0.05, 0.02, p_worse=0.001)
A_LITTLE_WORSE = Comparison(9000, 0.9, 0.895, 5, 50, 0.999, 0.01, 0.05, 0.02, p_worse=0.001)

# contest, certified, champion certified, anyway -> promoted
CASES = [
    (BETTER, True, True, False, True),
    (BETTER, True, False, False, True),
    (BETTER, False, True, False, False),
    (BETTER, False, False, False, False),
    (BETTER, False, True, True, True),
    (ALIKE, True, False, False, True),
    (ALIKE, True, True, False, False),
    (ALIKE, False, False, True, False),
    (UNKNOWN, True, False, False, True),  # the champion answers nothing
    (UNKNOWN, True, True, False, False),
    (UNKNOWN, False, False, False, False),
    (WORSE, True, False, False, False),
    (WORSE, True, True, True, False),
    (A_LITTLE_WORSE, True, False, False, True),
    (A_LITTLE_WORSE, True, True, False, False),
    (None, True, False, False, True),
    (None, False, False, False, True),
]


@pytest.mark.parametrize(("found", "certified", "champion", "anyway", "promoted"), CASES)
def test_the_rule(found: Comparison | None, certified: bool, champion: bool, anyway: bool, promoted: bool) -> None:
    verdict = decide_promotion(found, certified, champion, anyway)
    assert verdict.promote is promoted
    assert verdict.why and (found is None or f"p = {found.p:.3g}" in verdict.why)


MORE = compare_shares(np.zeros(40), np.array([1.0] * 12 + [0.0] * 28), 0.05)
NO_MORE = compare_shares(np.array([1.0] * 4 + [0.0] * 36), np.array([1.0] * 5 + [0.0] * 35), 0.05)


@pytest.mark.parametrize(
    ("found", "certified", "reached", "promoted"),
    [
        *((ALIKE, True, MORE, True), (UNKNOWN, True, MORE, True), (A_LITTLE_WORSE, True, MORE, True)),
        *((WORSE, True, MORE, False), (ALIKE, True, NO_MORE, False), (ALIKE, False, MORE, False), (ALIKE, True, None, False)),
    ],
)
def test_one_that_answers_more_under_its_own_certificate(found: Comparison, certified: bool, reached: Any, promoted: bool) -> None:
    verdict = decide_promotion(found, certified, True, False, reached)
    assert verdict.promote is promoted
    assert ("it answers more" in verdict.why) is promoted


def test_what_each_answers_is_compared_row_by_row() -> None:
    assert (MORE.n, MORE.champion, MORE.challenger, MORE.gained, MORE.lost) == (40, 0.0, 0.3, 12, 0)
    assert MORE.p == pytest.approx(2**-12) and MORE.more and MORE.json()["more"] is True
    assert (NO_MORE.gained, NO_MORE.lost, NO_MORE.p, NO_MORE.more) == (1, 0, 0.5, False)
    nothing = compare_shares(np.zeros(0), np.zeros(0), 0.05)
    assert (nothing.n, nothing.champion, nothing.more) == (0, 0.0, False)


def model(*answers: str) -> Any:
    """Answers so, text by text."""
    waiting = list(answers)
    return SimpleNamespace(task=Classify(), form={}, predict=lambda texts: [Reply(waiting.pop(0), 0.5) for _ in texts])


def test_the_contest_counts_rows_and_tests_what_differs() -> None:
    rows = [taken(f"text {number}", "a") for number in range(20)]
    found = comparison.compare(model(*"a" * 10, *"b" * 10), model(*"a" * 8, *"b" * 2, *"a" * 10), rows, level=0.1, margin=0.02, seed=0)
    assert (found.n, found.champion, found.challenger, found.gained, found.lost) == (20, 0.5, 0.9, 10, 2)
    assert found.p == pytest.approx((1 + 12 + 66) / 2**12) and found.won
    none = comparison.compare(model(), model(), [], level=0.05, margin=0.02, seed=0)
    assert (none.n, none.won, none.held, none.behind) == (0, False, False, False)
    back = comparison.compare(model(*"a" * 8, *"b" * 2, *"a" * 10), model(*"a" * 10, *"b" * 10), rows, level=0.05, margin=0.02, seed=0)
    assert back.p_worse == found.p and back.behind


def test_graded_answers_are_compared_by_their_grades() -> None:
    class OwnNumber(Grading):
        def grades(self, rows: Sequence[Row], replies: Sequence[Reply], form: Any) -> list[float]:
            return [float(reply.output) for reply in replies]

    class GradedTask(Classify):
        grading = OwnNumber()

    def grader(*grades: float) -> Any:
        made = model(*map(str, grades))
        made.task = GradedTask()
        return made

    rows = [taken(f"text {number}", "a") for number in range(200)]
    found = comparison.compare(grader(*[0.4] * 200), grader(*[0.7] * 200), rows, level=0.05, margin=0.02, seed=0)
    assert found.won and found.gained == 200 and found.challenger == pytest.approx(0.7)
    back = comparison.compare(grader(*[0.7] * 200), grader(*[0.4] * 200), rows, level=0.05, margin=0.02, seed=0)
    assert not back.won and not back.held and back.behind and not found.behind


@pytest.mark.parametrize(("said", "wanted"), [("90s", 90), ("15m", 900), ("1h", 3600), ("7d", 604_800), ("0.5h", 1800)])
def test_times(said: str, wanted: float) -> None:
    assert parse_duration(said) == wanted


@pytest.mark.parametrize("said", ["", "h", "1", "1w", "0s", "-1h", "nanh", "infd", "9999d"])
def test_what_is_no_time_is_refused(said: str) -> None:
    with pytest.raises(InputError, match="interval is not valid"):
        parse_duration(said)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "LOOK_SECONDS", 0.001)


def test_it_learns_when_enough_is_new_and_goes_on_after_a_failure() -> None:
    stop, new, failed, learnt = threading.Event(), iter([0, 3, 10, 2, 12, 12, 19, 20]), [], []

    def once() -> None:
        learnt.append(len(learnt))
        if len(learnt) == 2:
            raise SmidgenError("the store is locked", value="disk", todo="Wait.")
        if len(learnt) == 3:
            stop.set()

    assert run_schedule(once, lambda most: next(new), LearnSchedule(when_new=10), stop, failed.append) == 3
    assert learnt == [0, 1, 2] and [error.what for error in failed] == ["the store is locked"]
    assert next(new, None) is None  # twelve that failed do not bring it again, and neither do nineteen


def test_it_learns_by_the_clock_at_once_and_again() -> None:
    stop, learnt = threading.Event(), []

    def once() -> None:
        learnt.append(1)
        if len(learnt) == 3:
            stop.set()

    assert run_schedule(once, lambda most: 0, LearnSchedule(every=0.002), stop, lambda error: None) == 3


def test_stopped_before_it_is_due_it_does_not_learn() -> None:
    stop = threading.Event()
    threading.Timer(0.02, stop.set).start()
    assert run_schedule(lambda: None, lambda most: 0, LearnSchedule(every=3600.0), stop, lambda error: None, at_once=False) == 0


def test_a_full_disk_does_not_end_it() -> None:
    stop, failed, learnt = threading.Event(), [], []

    def once() -> None:
        learnt.append(1)
        if len(learnt) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        stop.set()

    assert run_schedule(once, lambda most: 0, LearnSchedule(every=0.002), stop, failed.append) == 2
    assert [error.errno for error in failed if isinstance(error, OSError)] == [errno.ENOSPC]


def test_no_more_new_pairs_are_counted_than_it_takes() -> None:
    stop, asked = threading.Event(), []

    def new(most: int) -> int:
        asked.append(most)
        return most

    def once() -> None:
        if len(asked) == 3:
            stop.set()
        if len(asked) == 1:
            raise SmidgenError("it fails", value="once", todo="Wait.")

    assert run_schedule(once, new, LearnSchedule(when_new=10), stop, lambda error: None) == 3
    assert asked == [10, 20, 10]


@pytest.mark.parametrize(
    ("found", "champion", "wanted"),
    [
        *((None, True, True), (BETTER, True, True), (BETTER, False, True), (ALIKE, False, True), (ALIKE, True, False)),
        *((UNKNOWN, False, True), (UNKNOWN, True, False), (WORSE, False, False), (A_LITTLE_WORSE, False, True)),
    ],
)
def test_a_certificate_is_tested_for_where_it_would_change_something(found: Comparison | None, champion: bool, wanted: bool) -> None:
    assert is_certificate_needed(found, champion) is wanted
    assert is_certificate_needed(found, champion, more=True) is (wanted or (champion and found is not WORSE))
    if not wanted:
        verdicts = [decide_promotion(found, certified, champion, anyway).promote for certified in (True, False) for anyway in (True, False)]
        assert verdicts == [False] * 4


def test_each_comparison_spends_its_share_of_the_level() -> None:
    rows = [taken(f"text {number}", "a") for number in range(20)]

    def won(look: int) -> bool:
        champion, challenger = model(*"a" * 10, *"b" * 10), model(*"a" * 8, *"b" * 2, *"a" * 10)
        found = comparison.compare(champion, challenger, rows, level=0.1, margin=0.02, seed=0, look=look)
        assert (found.look, found.level) == (look, pytest.approx(0.1 / (2 * look * (look + 1))))
        return found.won

    assert [won(look) for look in (1, 2, 3)] == [True, False, False]  # p = 0.019


def test_one_that_is_no_better_in_either_way_is_promoted_no_more_often_than_the_look_allows() -> None:
    """A challenger is promoted for being better, or for answering more: were each tested at the whole level, either would come twice as
    often. Here it is alike in both."""
    rows = [taken(f"text {number}", "a") for number in range(200)]
    either = whole = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        said = ["a" if wrong < 0.5 else "b" for wrong in rng.random(400)]
        found = comparison.compare(model(*said[:200]), model(*said[200:]), rows, level=0.5, margin=0.02, seed=seed)
        answered = (rng.random((2, 200)) < 0.5).astype(float)
        reached = compare_shares(answered[0], answered[1], found.level)
        either += found.won or reached.more
        whole += found.p <= 0.25 or reached.p <= 0.25
    assert either / 400 <= 0.25 < whole / 400


def test_what_cannot_be_read_is_won_by_nobody() -> None:
    rows = [taken("a", "a"), taken("b", None, heard=False, unread=True)]
    found = comparison.compare(model("a"), model("b"), rows, level=0.05, margin=0.02, seed=0)
    assert (found.n, found.champion, found.challenger, found.gained, found.lost) == (2, 0.5, 0.0, 0, 1)


def test_it_learns_when_traffic_has_drifted_and_then_alone() -> None:
    stop, looks, learnt = threading.Event(), iter([False, True, False, False, True]), []

    def once() -> None:
        learnt.append(1)
        if len(learnt) == 2:
            stop.set()

    def drifted() -> bool:
        return next(looks)

    assert run_schedule(once, lambda most: 0, LearnSchedule(when_drift=True), stop, lambda error: None, drifted=drifted) == 2
    assert next(looks, None) is None


def test_a_look_that_fails_is_told_and_the_next_one_comes() -> None:
    stop, failed, tried = threading.Event(), [], []

    def drifted() -> bool:
        tried.append(1)
        if len(tried) == 1:
            raise SmidgenError("the store is locked", value="disk", todo="Wait.")
        return True

    assert run_schedule(stop.set, lambda most: 0, LearnSchedule(when_drift=True), stop, failed.append, drifted=drifted) == 1
    assert [error.what for error in failed] == ["the store is locked"]
