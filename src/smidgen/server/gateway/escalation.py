"""Escalation: a request is passed on to the first upstream that answers it, with patience, and no longer than is bearable."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import httpx
from starlette.responses import Response

from smidgen.core.errors import RequestError, retry_after, shown
from smidgen.gateway.headers import Headers
from smidgen.gateway.request_body import RequestBody
from smidgen.gateway.upstreams import PASSING_STATUSES, TAKEN_STATUSES, UNTAKEN_STATUSES, Breaker, BreakerState, RetryPolicy
from smidgen.server.errors import failure
from smidgen.server.gateway.budget_guard import BudgetGuard, BudgetRefusal
from smidgen.server.gateway.prices import UpstreamCosts
from smidgen.server.gateway.upstream import Upstream, UpstreamAnswer, UpstreamCall
from smidgen.server.http_request import StreamedBody
from smidgen.server.ops.prometheus import ServerMetrics
from smidgen.usage.budgets import until_tomorrow

_UNAVAILABLE = 503
_BROKE = 429
_MISREAD = frozenset({400, 422})
"""What is wrong in a request may be what was asked for beside it."""
_LONGEST_AFTER = 86_400.0
_OWN = (httpx.PoolTimeout, httpx.LocalProtocolError)
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class Unreachable(RequestError):
    """No upstream answered.

    Attributes:
        after: seconds after which to try again, if known.
        counted: the bundle that was asked, who answered, and why it was not the bundle, as the metrics count it.
        marks: headers of the response.
        short: whether it never left because the budget is used up or the cost is unknown.
        withheld: whether it never left because of its content.
    """

    after: float | None = None
    short: bool = False
    withheld: bool = False
    counted: tuple[str, str, str] = ("", "none", "")
    marks: Headers

    @property
    def uncertified(self) -> str:
        """The mark on a local answer that is given in its place."""
        return "over budget" if self.short else "upstream failed"

    def restore(self, words_back: Callable[[str], str]) -> None:
        """Put the client's own words in the place of what stood for them when they were sent: upstreams may have quoted that."""
        self.todo = words_back(self.todo)
        self.args = (f"{self.what}: {shown(self.value)}. {self.todo}",)

    def response(self) -> Response:
        """The response to the client. It tells clients not to try again where the gateway has tried already."""
        headers = {name.decode(): value.decode() for name, value in self.marks}
        if self.status in (_UNAVAILABLE, _BROKE):
            headers["Retry-After"] = str(max(1, math.ceil(min(self.after or 1.0, _LONGEST_AFTER))))
        if self.status != _UNAVAILABLE:
            headers["x-should-retry"] = "false"
        return failure(self.status, str(self), self.code, headers=headers)


@dataclass
class _FailedTry:
    """A failed try. `again`: another try at the same upstream makes sense. `taken`: the upstream may have done the work. `refusal`: its
    answer, if it refused this server and other upstreams are left."""

    kind: str
    why: str
    after: float | None = None
    again: bool = True
    taken: bool = False
    refusal: httpx.Response | None = None


@dataclass
class _EscalationCourse:
    """The state of a request so far. `done`: an upstream may have done something that must not be done twice. `refusal`: the last answer
    that refused this server, and its upstream. `wished`: see `UpstreamAnswer`."""

    waited: float = 0.0
    kinds: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    after: float | None = None
    taken: int = 0
    done: bool = False
    refusal: tuple[Upstream, httpx.Response] | None = None
    wished: bool = False


@dataclass
class _UpstreamHealth:
    """The health of an upstream by the tries of a request. `answered`: it answered one of them. `failed`: whether the last try failed after
    the upstream was reached; None where no try tells."""

    answered: bool = False
    failed: bool | None = None


class Escalation:
    """The upstreams, in the order in which they are asked.

    Args:
        upstreams: at least one.
        patience: how often and how long.
        metering: counts errors and retries, and shows the breakers.
        sleep: waits for some seconds.
        budget_guard: limits spending; None for no limit.
        costs: records the usage of answers for the account; None without an account. With a budget, the guard does so.
    """

    def __init__(
        self,
        upstreams: Sequence[Upstream],
        patience: RetryPolicy,
        metering: ServerMetrics,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        budget_guard: BudgetGuard | None = None,
        costs: UpstreamCosts | None = None,
    ) -> None:
        self.upstreams = tuple(upstreams)
        self.budget_guard, self.costs = budget_guard, costs
        self._patience, self._metering, self._sleep = patience, metering, sleep
        for upstream in self.upstreams:
            metering.breakers.labels(upstream.name).set_function(partial(_number, upstream.breakers.all))

    async def close(self) -> None:
        """Let all connections go."""
        for upstream in self.upstreams:
            await upstream.close()
        if self.budget_guard is not None:
            await self.budget_guard.close()

    def aside(self) -> Escalation:
        """An escalation for the gateway's own requests, which no client waits for: it asks the first upstream only, once, under the same
        budget."""
        once = RetryPolicy(tries=1)
        return Escalation(self.upstreams[:1], once, self._metering, self._sleep, self.budget_guard, self.costs)

    async def __call__(self, call: UpstreamCall) -> UpstreamAnswer:
        """The answer of the first that gives one. Raises Unreachable."""
        course = _EscalationCourse()
        for upstream in self.upstreams:
            if course.done:
                course.reasons[-1] += "; no other is asked, for it may have been done"
                break
            if isinstance(call.body, StreamedBody) and call.body.begun:
                break
            response = await (
                self._noted(upstream, call, course) if self.budget_guard is None else self._paid(self.budget_guard, upstream, call, course)
            )
            if response is not None:
                return UpstreamAnswer(upstream, response, wished=course.wished)
        if course.refusal is not None and not (call.replaceable or course.done):
            return UpstreamAnswer(*course.refusal)
        raise _unreachable(course)

    async def _noted(self, upstream: Upstream, call: UpstreamCall, course: _EscalationCourse) -> httpx.Response | None:
        """Ask an upstream, and record the answer's usage."""
        response = await self._asked(upstream, call, course)
        return response if response is None or self.costs is None else self.costs.watched(response, call, upstream.model)

    async def _paid(
        self, budget_guard: BudgetGuard, upstream: Upstream, call: UpstreamCall, course: _EscalationCourse
    ) -> httpx.Response | None:
        """Ask an upstream with money that is reserved before and settled in the end."""
        hold = await budget_guard.hold(upstream, call)
        if hold is None:
            return await self._asked(upstream, call, course)
        if isinstance(hold, BudgetRefusal):
            course.kinds.append(hold.kind)
            course.reasons.append(f"{upstream.name}: {hold.why}")
            return None
        course.taken = 0
        response, ended = None, False
        try:
            response = await self._asked(upstream, hold.leaving(call), course)
            if response is not None and response.status_code in _MISREAD and hold.unwished():
                await response.aclose()
                response = None
                response = await self._asked(upstream, hold.leaving(call), course)
            ended = True
        except RequestError:  # it cannot be sent
            ended = True
            raise
        finally:
            if response is None:
                hold.lost(course.taken if ended else course.taken + 1)
        if response is None:
            return None
        course.wished = hold.wished_in(response)
        return hold.watched(response, course.taken)

    async def _asked(self, upstream: Upstream, call: UpstreamCall, course: _EscalationCourse) -> httpx.Response | None:
        """The response of one upstream, with all its tries. The breakers learn the outcome once, whatever it was."""
        requester = call.requester
        allowed = upstream.breakers.allows(requester)
        if allowed is None:
            left = upstream.breakers.seconds_left(requester)
            course.after = left if course.after is None else min(course.after, left)
            course.kinds.append("open")
            course.reasons.append(f"{upstream.name}: it is left alone for {left:.0f} s more, for it failed again and again")
            return None
        health = _UpstreamHealth()
        try:
            return await self._tries(upstream, call, course, health)
        finally:
            if health.answered:
                upstream.breakers.succeeded(allowed)
            elif health.failed is not None:
                upstream.breakers.failed(allowed, health.failed)
            else:
                upstream.breakers.left(allowed)

    async def _tries(
        self, upstream: Upstream, call: UpstreamCall, course: _EscalationCourse, health: _UpstreamHealth
    ) -> httpx.Response | None:
        tried = 0
        while True:
            found = await self._tried(upstream, call, health)
            tried += 1
            if isinstance(found, httpx.Response):
                return found
            course.taken += found.taken
            if found.refusal is not None:
                course.refusal = upstream, found.refusal
            # One that says that it failed may have failed after it was done.
            course.done = course.done or (not call.repeatable and (found.taken or found.kind == "status"))
            self._metering.upstream_errors.labels(upstream.name, found.kind).inc()
            wait = self._patience.wait(tried, found.after, course.waited) if found.again else None
            if wait is None:
                course.kinds.append(found.kind)
                course.reasons.append(f"{upstream.name}: {found.why}" + (f", at the last of {tried} tries" if tried > 1 else ""))
                if found.after is not None:
                    course.after = found.after if course.after is None else min(course.after, found.after)
                return None
            course.waited += wait
            self._metering.upstream_retries.labels(upstream.name).inc()
            await self._sleep(wait)

    async def _tried(self, upstream: Upstream, call: UpstreamCall, health: _UpstreamHealth) -> httpx.Response | _FailedTry:
        """One try."""
        try:
            response = await upstream.send(call)
            status = response.status_code
            if status >= 500 and status in PASSING_STATUSES:
                health.failed = True
            else:
                health.answered = True
            if upstream.refuses(status) and isinstance(call.body, RequestBody) and (call.replaceable or upstream is not self.upstreams[-1]):
                return await _refused(upstream, response)
            sendable = not (isinstance(call.body, StreamedBody) and call.body.begun)
            if status not in PASSING_STATUSES or not sendable or not (call.repeatable or call.replaceable or status in UNTAKEN_STATUSES):
                return response
            try:
                said = await upstream.said(response)
            finally:
                await response.aclose()
            again = (call.repeatable or status in UNTAKEN_STATUSES) and response.headers.get("x-should-retry", "").lower() != "false"
            kind = "busy" if status in UNTAKEN_STATUSES else "status"
            return _FailedTry(
                kind, f"HTTP {status}{': ' if said else ''}{said}", retry_after(response.headers), again, status in TAKEN_STATUSES
            )
        except httpx.RequestError as error:
            # That all connections are taken, or that the request is none, says nothing of the upstream.
            if not isinstance(error, _OWN):
                health.failed = not isinstance(error, _UNSENT)
            unsent = isinstance(error, _UNSENT) and not (isinstance(call.body, StreamedBody) and call.body.begun)
            again = unsent or (call.repeatable and isinstance(call.body, RequestBody))
            if isinstance(error, httpx.TimeoutException):
                # One that took it and is silent would be waited for as long again: the next is asked at once.
                seconds = upstream.waits.connect if unsent else upstream.waits.read
                return _FailedTry("timeout", f"{'no connection' if unsent else 'no answer'} in {seconds:g} s", None, unsent, not unsent)
            what = "no connection" if unsent else "the connection broke"
            return _FailedTry("connection", f"{what} ({upstream.plain(str(error)) or type(error).__name__})", None, again, not unsent)


async def _refused(upstream: Upstream, response: httpx.Response) -> _FailedTry:
    """The answer of one that refused this server, which is closed."""
    why = f"HTTP {response.status_code}"
    try:
        kept, said = await upstream.kept(response)
    except (httpx.RequestError, httpx.StreamError, ValueError, TimeoutError):
        return _FailedTry("refused", why, again=False)
    finally:
        await response.aclose()
    return _FailedTry("refused", f"{why}{': ' if said else ''}{said}", again=False, refusal=kept)


def _number(breaker: Breaker) -> float:
    return float(list(BreakerState).index(breaker.state))


def _unreachable(course: _EscalationCourse) -> Unreachable:
    if course.kinds and set(course.kinds) <= {"budget", "cost"}:
        return _short(course)
    last = course.kinds[-1] if course.kinds else "open"
    status = _UNAVAILABLE if set(course.kinds) <= {"busy", "open", "budget", "ledger"} else 504 if last == "timeout" else 502
    error = Unreachable(
        "the request goes to the large model, and no upstream answered it",
        value=len(course.reasons),
        todo=f"{'; '.join(course.reasons)}. Try again later; the fallback's state is in /metrics.",
        status=status,
        code="upstream_failed",
    )
    error.after, error.marks = course.after, []
    return error


def _short(course: _EscalationCourse) -> Unreachable:
    """The error of a request that no budget allows, or whose cost is unknown."""
    over = "cost" not in course.kinds
    after = until_tomorrow()
    error = Unreachable(
        "the request goes to the large model, and no budget allows it",
        value=len(course.reasons),
        todo=f"{'; '.join(course.reasons)}. "
        + (
            f"Budgets begin anew at 00:00 UTC, in {after / 3600:.1f} hours; a smaller max_tokens sets less aside."
            if over
            else "Ask in another way."
        ),
        status=_BROKE if over else 403,
        code="budget_exceeded" if over else "cost_unknown",
    )
    error.after, error.marks, error.short = after, [], True
    return error
