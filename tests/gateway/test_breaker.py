"""When an upstream is left alone: by what it does now, and not by what becomes of requests from long ago."""

from __future__ import annotations

import pytest

from smidgen.gateway.breaker import Breaker, Circuit, Try

SECONDS = 10.0


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(failures=3, seconds=SECONDS, clock=clock)


def tried(breaker: Breaker) -> Try:
    """A request that is let through."""
    found = breaker.allows()
    assert found is not None
    return found


def opened(breaker: Breaker) -> None:
    """Fail until it opens."""
    for _ in range(3):
        breaker.failed(tried(breaker))
    assert breaker.state is Circuit.OPEN


def test_it_opens_lets_one_probe_and_closes(breaker: Breaker, clock: Clock) -> None:
    for _ in range(2):
        breaker.failed(tried(breaker))
    breaker.succeeded()
    opened(breaker)
    assert (breaker.allows(), breaker.seconds_left) == (None, SECONDS)
    clock.now = SECONDS
    assert breaker.state is Circuit.PROBING
    probe = tried(breaker)
    assert (breaker.state, breaker.allows()) == (Circuit.PROBING, None)
    breaker.left(probe)
    breaker.failed(tried(breaker))
    assert breaker.state is Circuit.OPEN and breaker.seconds_left == SECONDS
    clock.now = 2 * SECONDS
    tried(breaker)
    breaker.succeeded()
    assert breaker.state is Circuit.CLOSED and breaker.allows() is not None


def test_requests_from_before_the_last_answer_open_nothing(breaker: Breaker) -> None:
    """An upstream was gone for a moment, and is back: those that it had taken then run into their time one by one."""
    old = [tried(breaker) for _ in range(10)]
    breaker.succeeded()
    for one in old:
        breaker.failed(one)
    assert breaker.state is Circuit.CLOSED
    opened(breaker)  # those of now count, and all of them are needed


def test_requests_from_before_it_opened_keep_it_open_no_longer(breaker: Breaker, clock: Clock) -> None:
    old = [tried(breaker) for _ in range(10)]
    opened(breaker)
    clock.now = SECONDS / 2
    breaker.failed(old[0])
    assert breaker.seconds_left == SECONDS / 2
    clock.now = SECONDS
    probe = tried(breaker)
    breaker.failed(old[1])
    breaker.left(old[2])
    assert (breaker.state, breaker.allows()) == (Circuit.PROBING, None)  # the probe alone says how it ends
    breaker.failed(probe)
    assert breaker.state is Circuit.OPEN and breaker.seconds_left == SECONDS


def test_an_answer_to_a_request_from_before_closes_it_and_the_probe_has_nothing_more_to_say(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now = SECONDS
    probe = tried(breaker)
    breaker.succeeded()
    assert breaker.state is Circuit.CLOSED
    breaker.failed(probe)
    assert breaker.state is Circuit.CLOSED
    opened(breaker)
    clock.now = 2 * SECONDS
    second = tried(breaker)
    breaker.left(probe)
    assert breaker.allows() is None and breaker.state is Circuit.PROBING
    breaker.left(second)
    assert breaker.allows() is not None
