"""When an upstream is left alone: by what it does now, and not by what becomes of requests from long ago."""

from __future__ import annotations

import pytest

from smidgen.gateway.upstreams import AllowedAttempt, Attempt, Breaker, Breakers, BreakerState, Requester

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


def tried(breaker: Breaker) -> Attempt:
    """A request that is let through."""
    found = breaker.allows()
    assert found is not None
    return found


def opened(breaker: Breaker) -> None:
    """Fail until it opens."""
    for _ in range(3):
        breaker.failed(tried(breaker))
    assert breaker.state is BreakerState.OPEN


def test_it_opens_lets_one_probe_and_closes(breaker: Breaker, clock: Clock) -> None:
    for _ in range(2):
        breaker.failed(tried(breaker))
    breaker.succeeded()
    opened(breaker)
    assert (breaker.allows(), breaker.seconds_left) == (None, SECONDS)
    clock.now = SECONDS
    assert breaker.state is BreakerState.PROBING
    probe = tried(breaker)
    assert (breaker.state, breaker.allows()) == (BreakerState.PROBING, None)
    breaker.left(probe)
    breaker.failed(tried(breaker))
    assert breaker.state is BreakerState.OPEN and breaker.seconds_left == SECONDS
    clock.now = 2 * SECONDS
    tried(breaker)
    breaker.succeeded()
    assert breaker.state is BreakerState.CLOSED and breaker.allows() is not None


def test_requests_from_before_the_last_answer_open_nothing(breaker: Breaker) -> None:
    """An upstream was gone for a moment, and is back: those that it had taken then run into their time one by one."""
    old = [tried(breaker) for _ in range(10)]
    breaker.succeeded()
    for one in old:
        breaker.failed(one)
    assert breaker.state is BreakerState.CLOSED
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
    assert (breaker.state, breaker.allows()) == (BreakerState.PROBING, None)  # the probe alone says how it ends
    breaker.failed(probe)
    assert breaker.state is BreakerState.OPEN and breaker.seconds_left == SECONDS


def test_an_answer_to_a_request_from_before_closes_it_and_the_probe_has_nothing_more_to_say(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now = SECONDS
    probe = tried(breaker)
    breaker.succeeded()
    assert breaker.state is BreakerState.CLOSED
    breaker.failed(probe)
    assert breaker.state is BreakerState.CLOSED
    opened(breaker)
    clock.now = 2 * SECONDS
    second = tried(breaker)
    breaker.left(probe)
    assert breaker.allows() is None and breaker.state is BreakerState.PROBING
    breaker.left(second)
    assert breaker.allows() is not None


A, A_OTHER, B, C, D = Requester("a", "big"), Requester("a", "small"), Requester("b", "big"), Requester("c", "big"), Requester("d", "big")


def let(breakers: Breakers, requester: Requester) -> AllowedAttempt:
    found = breakers.allows(requester)
    assert found is not None
    return found


def fail(breakers: Breakers, requester: Requester, times: int = 5, reached: bool = True) -> None:
    for _ in range(times):
        breakers.failed(let(breakers, requester), reached)


def test_a_requester_whose_requests_fail_shuts_out_itself_alone(clock: Clock) -> None:
    breakers = Breakers(clock)
    fail(breakers, A)
    fail(breakers, A_OTHER)
    assert [breakers.allows(requester) for requester in (A, A_OTHER)] == [None, None] and breakers.seconds_left(A) == 20.0
    assert breakers.all.state is BreakerState.CLOSED and breakers.allows(B) is not None, "one client, whatever models it names"


def test_it_is_the_upstream_where_it_fails_for_several_clients_and_most(clock: Clock) -> None:
    breakers = Breakers(clock)
    for requester in (A_OTHER, B, C, D, Requester("e", "big")):
        breakers.succeeded(let(breakers, requester))
    fail(breakers, A)
    fail(breakers, B)
    assert breakers.all.state is BreakerState.CLOSED, "two of five clients"
    fail(breakers, C)
    assert breakers.all.state is BreakerState.OPEN and breakers.allows(D) is None, "three of five"
    clock.now = 20.0
    breakers.succeeded(let(breakers, D))
    assert breakers.all.state is BreakerState.CLOSED and breakers.allows(B) is not None


def test_one_whose_requests_fail_does_not_keep_it_from_those_who_find_it_back(clock: Clock) -> None:
    breakers = Breakers(clock)
    fail(breakers, A)
    fail(breakers, B)
    assert breakers.all.state is BreakerState.OPEN
    for round in range(1, 4):
        clock.now = 20.0 * round
        breakers.failed(let(breakers, A), True)  # the probe of all, and again its own fault
        assert breakers.all.state is not BreakerState.OPEN
    breakers.succeeded(let(breakers, B))
    assert breakers.all.state is BreakerState.CLOSED and breakers.allows(A) is None


def test_what_does_not_reach_it_counts_for_all(clock: Clock) -> None:
    breakers = Breakers(clock)
    fail(breakers, A, 3, reached=False)
    fail(breakers, B, 2, reached=False)
    assert breakers.all.state is BreakerState.OPEN and breakers.allows(C) is None
    clock.now = 20.0
    probe = let(breakers, C)
    assert breakers.allows(D) is None
    breakers.left(probe)
    breakers.failed(let(breakers, D), False)
    assert breakers.all.state is BreakerState.OPEN


def test_made_up_requesters_take_a_bounded_place(clock: Clock) -> None:
    breakers = Breakers(clock)
    for number in range(3000):
        breakers.failed(let(breakers, Requester("a", f"model {number}")), True)
    assert len(breakers._seen) == 1024 and breakers.all.state is BreakerState.CLOSED
