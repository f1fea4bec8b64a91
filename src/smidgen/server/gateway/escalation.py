"""Escalation: pass a request to the first upstream that answers, with retries, within a deadline."""

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
from smidgen.gateway.upstreams import PASSING_STATUSES, TAKEN_STATUSES, UNTAKEN_STATUSES, Breaker, BreakerState, RetryPolicy
from smidgen.server.errors import coded, failure
from smidgen.server.gateway.budget_guard import BudgetGuard, BudgetRefusal
from smidgen.server.gateway.prices import UpstreamCosts
from smidgen.server.gateway.upstream import Upstream, UpstreamAnswer, UpstreamCall
from smidgen.server.ops.prometheus import ServerMetrics
from smidgen.server.request import RequestBody, StreamedBody
from smidgen.usage.budgets import until_tomorrow

_UNAVAILABLE = 503
_BROKE = 429
_MISREAD = frozenset({400, 422})
"""Statuses that our own additions to the request may have caused."""
_LONGEST_AFTER = 86_400.0
_OWN = (httpx.PoolTimeout, httpx.LocalProtocolError)
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class Unreachable(RequestError):
    """No upstream answered.

    Attributes:
        after: seconds after which a retry makes sense, if known.
        counted: for the metrics: the bundle that was asked, who answered, and why it was not the bundle.
        marks: headers of the response.
        short: True if the request was not sent because the budget is spent or its cost cannot be bounded.
        withheld: True if the request was not sent because of its content.
    """

    after: float | None = None
    short: bool = False
    withheld: bool = False
    counted: tuple[str, str, str] = ("", "none", "")
    marks: Headers

    @property
    def uncertified(self) -> str:
        """The mark of a local answer in its place."""
        return "over budget" if self.short else "upstream failed"

    def restore(self, words_back: Callable[[str], str]) -> None:
        """Restore the client's own words where the message quotes an upstream that saw placeholders."""
        self.todo = words_back(self.todo)
        self.values = {name: words_back(value) if isinstance(value, str) else value for name, value in self.values.items()}
        self.args = (f"{self.what}: {shown(self.value)}. {self.todo}",)

    def response(self) -> Response:
        """Return the error response. It tells clients not to retry by themselves if this server has retried already."""
        headers = {name.decode(): value.decode() for name, value in self.marks}
        if self.status in (_UNAVAILABLE, _BROKE):
            headers["Retry-After"] = str(max(1, math.ceil(min(self.after or 1.0, _LONGEST_AFTER))))
        if self.status != _UNAVAILABLE:
            headers["x-should-retry"] = "false"
        return failure(self.status, str(self), self.code, headers=headers, parts=coded(self))


@dataclass
class _FailedTry:
    """A failed attempt at one upstream.

    Attributes:
        again: a retry at the same upstream may succeed.
        taken: the upstream may have processed the request.
        refusal: its response, if it refused this server and other upstreams are left.
    """

    kind: str
    why: str
    after: float | None = None
    again: bool = True
    taken: bool = False
    refusal: httpx.Response | None = None


@dataclass
class _EscalationCourse:
    """State of an escalation.

    Attributes:
        done: an upstream may have done something that must not be done twice.
        refusal: the last response that refused this server, with its upstream.
        wished: see `UpstreamAnswer`.
    """

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
    """The state of an upstream, as the tries of a request show it.

    Attributes:
        answered: it answered one of them.
        failed: True if the last one failed after the upstream was reached, False if before; None if no try shows anything.
    """

    answered: bool = False
    failed: bool | None = None


class Escalation:
    """The upstreams, in the order in which they are asked.

    Args:
        upstreams: at least one.
        patience: number of retries and waits between them.
        metering: counts errors and retries, and shows the breakers.
        sleep: waits for a number of seconds.
        budget_guard: the budget; None for no limit.
        costs: costs of answers, for the account; None without an account. With a budget, the guard records them.
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
        """Close all connections."""
        for upstream in self.upstreams:
            await upstream.close()
        if self.budget_guard is not None:
            await self.budget_guard.close()

    def aside(self) -> Escalation:
        """Return an escalation for the gateway's own background requests: the first upstream only, without retries, same budget."""
        once = RetryPolicy(tries=1)
        return Escalation(self.upstreams[:1], once, self._metering, self._sleep, self.budget_guard, self.costs)

    async def __call__(self, call: UpstreamCall) -> UpstreamAnswer:
        """Return the answer of the first upstream that gives one. Raises Unreachable."""
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
        """Ask one upstream, and record the cost of its answer."""
        response = await self._asked(upstream, call, course)
        return response if response is None or self.costs is None else self.costs.watched(response, call, upstream.model)

    async def _paid(
        self, budget_guard: BudgetGuard, upstream: Upstream, call: UpstreamCall, course: _EscalationCourse
    ) -> httpx.Response | None:
        """Ask one upstream, with its cost reserved before and settled at the end."""
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
        except RequestError:  # the request is invalid and was not sent
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
        """Ask one upstream, with retries. Its breakers learn the outcome once, whatever it is."""
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
            # An upstream that reports a failure may have failed after doing the work.
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
        """Try once."""
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
            # Connections in use here, or an invalid request, show nothing about the upstream.
            if not isinstance(error, _OWN):
                health.failed = not isinstance(error, _UNSENT)
            unsent = isinstance(error, _UNSENT) and not (isinstance(call.body, StreamedBody) and call.body.begun)
            again = unsent or (call.repeatable and isinstance(call.body, RequestBody))
            if isinstance(error, httpx.TimeoutException):
                # An upstream that accepted the request and stays silent would take as long again, so ask the next one at once.
                seconds = upstream.waits.connect if unsent else upstream.waits.read
                return _FailedTry("timeout", f"{'no connection' if unsent else 'no answer'} in {seconds:g} s", None, unsent, not unsent)
            what = "no connection" if unsent else "the connection broke"
            return _FailedTry("connection", f"{what} ({upstream.plain(str(error)) or type(error).__name__})", None, again, not unsent)


async def _refused(upstream: Upstream, response: httpx.Response) -> _FailedTry:
    """Read and close the response of an upstream that refused this server."""
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
        "server.upstream_was_not_reached",
        value=len(course.reasons),
        reasons="; ".join(course.reasons),
        status=status,
        code="upstream_failed",
    )
    error.after, error.marks = course.after, []
    return error


def _short(course: _EscalationCourse) -> Unreachable:
    """Return the error for a spent budget or an unknown cost."""
    over = "cost" not in course.kinds
    after = until_tomorrow()
    error = Unreachable(
        "server.upstream_has_no_budget" if over else "server.upstream_has_unknown_cost",
        value=len(course.reasons),
        reasons="; ".join(course.reasons),
        hours=f"{after / 3600:.1f}" if over else None,
        status=_BROKE if over else 403,
        code="budget_exceeded" if over else "cost_unknown",
    )
    error.after, error.marks, error.short = after, [], True
    return error
