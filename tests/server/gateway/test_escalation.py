"""Who is asked next where an upstream fails, and who is not: what may have been done is not done twice. Without a network."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import httpx
import pytest

from smidgen.gateway.upstreams import RetryPolicy
from smidgen.server.gateway.escalation import Escalation, Unreachable
from smidgen.server.gateway.upstream import Upstream, UpstreamCall, UpstreamLimits
from smidgen.server.ops.prometheus import ServerMetrics
from smidgen.server.request import RequestBody, StreamedBody

WAITS = UpstreamLimits(connect=1.0, read=300.0, whole=1.0, most=1000)
PATIENCE = RetryPolicy(tries=3, first=0.0, longest=0.0)
LOST = (httpx.ReadTimeout, httpx.WriteTimeout, httpx.ReadError, httpx.RemoteProtocolError)
UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
DOING = (b"/responses", b"/batches", b"/fine_tuning/jobs", b"/images/generations", b"/audio/speech")


class Scripted(Upstream):
    """One that fails with an error, or answers with a status; and says how often it was asked."""

    def __init__(self, number: int, outcome: type[httpx.TransportError] | int, key: str | None = None, own: bool = False) -> None:
        given = {"own_authorization": own, "own_headers": own}
        super().__init__(number, f"http://up{number}.invalid/v1", "big", key, waits=WAITS, connections=1, **given)
        self.outcome, self.asked = outcome, 0

    async def send(self, call: UpstreamCall) -> httpx.Response:
        self.asked += 1
        if isinstance(call.body, StreamedBody):
            async for _ in call.body:
                break
        if isinstance(self.outcome, int):
            return httpx.Response(self.outcome, stream=httpx.ByteStream(b"{}"), request=httpx.Request("POST", "http://up.invalid"))
        raise self.outcome("it failed")


def asked(
    call: UpstreamCall, *outcomes: type[httpx.TransportError] | int, key: str | None = None, own: bool = False
) -> tuple[list[int], int | Unreachable]:
    """How often each upstream was asked, and the status of the answer, or the error."""

    async def run() -> tuple[list[int], int | Unreachable]:
        upstreams = [Scripted(number, outcome, key, own) for number, outcome in enumerate(outcomes, 1)]
        escalation = Escalation(upstreams, PATIENCE, ServerMetrics())
        try:
            response = (await escalation(call)).response
            found: int | Unreachable = response.status_code
            await response.aclose()
        except Unreachable as error:
            found = error
        finally:
            await escalation.close()
        return [upstream.asked for upstream in upstreams], found

    return asyncio.run(run())


def posted(tail: bytes) -> UpstreamCall:
    return UpstreamCall("POST", tail, b"", [], RequestBody(b"{}"))


@pytest.mark.parametrize("tail", DOING)
@pytest.mark.parametrize("error", LOST)
def test_what_one_upstream_may_have_done_no_other_is_asked_for(tail: bytes, error: type[httpx.TransportError]) -> None:
    times, found = asked(posted(tail), error, 200)
    assert times == [1, 0]
    assert isinstance(found, Unreachable) and found.status == (504 if issubclass(error, httpx.TimeoutException) else 502)
    assert "no other is asked" in str(found) and found.response().headers["x-should-retry"] == "false"


@pytest.mark.parametrize("error", LOST)
def test_what_can_be_done_twice_the_next_is_asked_for(error: type[httpx.TransportError]) -> None:
    """At once where the first did not answer in time: it would be waited for as long again."""
    tries = 1 if issubclass(error, httpx.TimeoutException) else 3
    for call in (posted(b"/chat/completions"), UpstreamCall("GET", b"/files", b"", [], RequestBody(b""))):
        assert asked(call, error, 200) == ([tries, 1], 200)


@pytest.mark.parametrize("tail", [b"/chat/completions", b"/responses"])
@pytest.mark.parametrize("status", [401, 402, 403])
def test_one_that_refuses_this_servers_key_or_account_is_passed_over(tail: bytes, status: int) -> None:
    for key, own in (("key-1", True), (None, False)):
        assert asked(posted(tail), status, 200, key=key, own=own) == ([1, 1], 200)
        assert asked(posted(tail), status, key=key, own=own) == ([1], status), "its own answer, where there is no other"
        assert asked(posted(tail), status, 503, key=key, own=own) == ([1, 3], status), "and where no other answers"
        assert asked(posted(tail), status, 401, key=key, own=own) == ([1, 1], 401)
        times, found = asked(replace(posted(tail), replaceable=True), status, key=key, own=own)
        assert times == [1] and isinstance(found, Unreachable) and (found.status, f"HTTP {status}" in str(found)) == (502, True)


def test_a_refusal_does_not_hide_that_another_may_have_done_it() -> None:
    times, found = asked(posted(b"/responses"), 402, httpx.ReadTimeout)
    assert times == [1, 1] and isinstance(found, Unreachable) and found.status == 504 and "HTTP 402" in str(found)


def test_what_is_the_clients_own_fault_goes_back_to_it() -> None:
    for status in (400, 404, 422):
        assert asked(replace(posted(b"/chat/completions"), replaceable=True), status, 200, key="key-1") == ([1, 0], status)
    for status in (401, 403):
        assert asked(replace(posted(b"/chat/completions"), replaceable=True), status, 200, own=True) == ([1, 0], status), "its own key"
    assert asked(posted(b"/chat/completions"), 402, 200, own=True) == ([1, 1], 200)


def test_an_upstream_alone_that_did_not_answer_in_time_is_not_waited_for_again() -> None:
    times, found = asked(posted(b"/chat/completions"), httpx.ReadTimeout)
    assert times == [1] and isinstance(found, Unreachable) and found.status == 504


@pytest.mark.parametrize("outcome", [*UNSENT, 429, 503])
def test_what_was_surely_not_done_the_next_is_asked_for_whatever_it_would_do(outcome: type[httpx.TransportError] | int) -> None:
    assert asked(posted(b"/responses"), outcome, 200) == ([3, 1], 200)


@pytest.mark.parametrize("status", [408, 500, 502, 504, 520, 522, 524, 529])
def test_what_may_have_been_done_is_no_answer_where_somebody_else_answers(status: int) -> None:
    times, found = asked(replace(posted(b"/responses"), replaceable=True), status, 200)
    assert times == [1, 0] and isinstance(found, Unreachable) and f"HTTP {status}" in str(found) and "no other is asked" in str(found)
    assert asked(posted(b"/responses"), status, 200) == ([1, 0], status)


def test_the_last_of_them_says_nothing_of_others() -> None:
    times, found = asked(posted(b"/responses"), httpx.ConnectError, httpx.ReadTimeout)
    assert times == [3, 1] and "no other is asked" not in str(found)


def test_a_body_that_has_begun_to_flow_is_sent_once() -> None:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"piece", "more_body": True}

    times, found = asked(UpstreamCall("POST", b"/files", b"", [], StreamedBody(receive)), httpx.ConnectError, 200)
    assert times == [1, 0] and isinstance(found, Unreachable)


def test_requests_that_are_lost_long_after_they_were_sent_take_no_upstream_from_others_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    one, go, late = Scripted(1, 200), asyncio.Event(), RequestBody(b"slow")
    send = one.send

    async def slowly(call: UpstreamCall) -> httpx.Response:
        if call.body is late:
            one.asked += 1
            await go.wait()
            raise httpx.ReadTimeout("nothing came")
        return await send(call)

    monkeypatch.setattr(one, "send", slowly)

    async def run() -> list[object]:
        escalation = Escalation([one], PATIENCE, ServerMetrics())
        slow = [asyncio.create_task(escalation(UpstreamCall("POST", b"/chat/completions", b"", [], late))) for _ in range(10)]
        while one.asked < 10:
            await asyncio.sleep(0)
        await escalation(posted(b"/chat/completions"))
        go.set()
        lost = await asyncio.gather(*slow, return_exceptions=True)
        response = (await escalation(posted(b"/chat/completions"))).response
        assert response.status_code == 200
        await escalation.close()
        return list(lost)

    lost = asyncio.run(run())
    assert [type(error) for error in lost] == [Unreachable] * 10 and one.asked == 12
