"""Errands: whoever works on one hears when nobody waits for it any more, and nobody else does."""

from __future__ import annotations

import threading

import pytest

from smidgen.core.progress import Cancellation, Cancelled, current_cancellation


def test_who_listens_is_told_once_and_who_comes_late_at_once() -> None:
    errand, told = Cancellation(), list[str]()
    errand.listen(lambda: told.append("early"))
    assert not errand.off and told == []
    errand.call_off()
    errand.call_off()
    assert errand.off and told == ["early"]
    errand.listen(lambda: told.append("late"))
    assert told == ["early", "late"]


def test_who_left_is_not_told() -> None:
    class Listener:
        told = 0

        def hear(self) -> None:
            self.told += 1

    errand, gone, there = Cancellation(), Listener(), Listener()
    errand.listen(gone.hear)
    errand.listen(there.hear)
    errand.leave(gone.hear)
    errand.leave(gone.hear)
    errand.call_off()
    assert (gone.told, there.told) == (0, 1)


def test_it_is_bound_to_the_thread_that_does_it() -> None:
    errand, seen = Cancellation(), list[Cancellation | None]()
    with pytest.raises(Cancelled), errand.bound():
        assert current_cancellation() is errand
        with Cancellation().bound():
            assert current_cancellation() is not errand
        thread = threading.Thread(target=lambda: seen.append(current_cancellation()))
        thread.start()
        thread.join()
        raise Cancelled
    assert current_cancellation() is None and seen == [None]
