"""The budget guard: reserve the most that a request may cost before it is sent, and settle when its answer ends. Also its metrics."""

from __future__ import annotations

import asyncio
import datetime
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from smidgen.core.errors import InputError, SmidgenError
from smidgen.gateway.answer_reading import AnswerReader, AnswerUsage, asking_for_usage
from smidgen.gateway.headers import client_key
from smidgen.gateway.upstreams import TAKEN_STATUSES
from smidgen.server.gateway.prices import BYTES_A_TOKEN, UpstreamPrice, UpstreamPrices, counted_tokens
from smidgen.server.gateway.prices import upstream_prices as prices_of
from smidgen.server.gateway.response_stream import JSON_TYPE, read_in_passing, with_cost
from smidgen.server.gateway.upstream import Upstream, UpstreamCall
from smidgen.server.ops.prometheus import ServerMetrics
from smidgen.server.ops.wall_clock import WallClock
from smidgen.server.request import RequestBody
from smidgen.server.settings import ServeSettings
from smidgen.store import spending_ledger as ledgers
from smidgen.store import usage_records
from smidgen.store.spending_ledger import NANO, LimitReached, Reservation, SpendingLedger
from smidgen.store.usage_records import UsageTotals, today
from smidgen.usage import budgets, price_list
from smidgen.usage.budgets import ALL, DailyBudget
from smidgen.usage.price_list import spelt

_NONE = AnswerUsage(0, 0)
_STREAM = "text/event-stream"
_log = logging.getLogger("smidgen.budget")


@dataclass(frozen=True, slots=True)
class BudgetRefusal:
    """Why a request may not be sent. `kind`: "budget" (spent), "cost" (unknown) or "ledger" (not writable). `why`: a clause."""

    kind: str
    why: str


@dataclass(frozen=True, slots=True)
class BudgetPlan:
    """The budget and the prices.

    Attributes:
        budget: the limits.
        prices: of models. A model without a price may not be asked.
        unsaid: most tokens of an answer if the request sets no limit.
    """

    budget: DailyBudget
    prices: UpstreamPrices
    unsaid: int


def budget_plan(settings: ServeSettings) -> BudgetPlan | None:
    """Return the plan from the settings; None without a budget. Raises InputError if it cannot be enforced: a model has no price."""
    prices = prices_of(settings.fallback.models, settings.budget)
    budget = budgets.daily_budget(settings.budget.day, Path(settings.budget.file).expanduser() if settings.budget.file else None)
    if budget is None:
        return None
    if not settings.fallback.urls:
        raise InputError("server.budget_is_given_but_no_fallback", value="--budget-day")
    unpriced = [model for model in settings.fallback.models if prices.of(model) is None]
    if unpriced:
        raise InputError("server.budget_needs_price_of_model", value=unpriced[0])
    return BudgetPlan(budget, prices, settings.budget.max_output_tokens)


def warn_of_old_prices(plan: BudgetPlan, models: Sequence[str], today: datetime.date | None = None) -> None:
    """Log a warning if the list price of one of these models is old."""
    dated = [found for model in models if (found := plan.prices.of(model)) is not None and found.date]
    oldest = max(dated, key=lambda found: price_list.age(found.date, today), default=None)
    if oldest is not None and price_list.age(oldest.date, today) > price_list.OLD_DAYS:
        _log.warning(
            "the budget is kept by the list price of %s on %s, %d days ago: look it up, and give it with --price-in and --price-out",
            oldest.name,
            oldest.date,
            price_list.age(oldest.date, today),
        )


class BudgetGuard:
    """Enforces the budget.

    Args:
        plan: limits and prices.
        models: the upstreams' names of their models, which have accounts of their own.
        metering: counts refusals.
        file: of the ledger; by default in smidgen's home.

    Raises SmidgenError if the ledger cannot be opened, because past spending is then unknown.
    """

    def __init__(self, plan: BudgetPlan, models: Sequence[str], metering: ServerMetrics, file: Path | None = None) -> None:
        self._plan, self._metering = plan, metering
        limited = [scope.removeprefix("model:") for scope in plan.budget.usd if scope.startswith("model:")]
        self._scopes = {spelt(name): f"model:{name}" for name in (*models, *limited)}
        self._settling: set[asyncio.Task[None]] = set()
        self._clock, self._forgotten = WallClock(), ""
        try:
            self.ledger = SpendingLedger(file)
        except OSError as error:
            raise SmidgenError("server.spending_ledger_cannot_be_read", value=str(error), path=file or ledgers.place()) from error

    @property
    def limits(self) -> Mapping[str, float]:
        """Dollars per day, by scope."""
        return self._plan.budget.usd

    async def hold(self, upstream: Upstream, call: UpstreamCall) -> BudgetHold | BudgetRefusal | None:
        """Reserve the most that a request can cost at an upstream; None for a free request."""
        if budgets.is_free(call.method, call.tail):
            return None
        read = call.body.unambiguous if isinstance(call.body, RequestBody) else None
        if read is None or not isinstance(call.body, RequestBody):
            return BudgetRefusal("cost", "it is no JSON that can be read in one way, and what it costs is not known")
        model = upstream.model if call.renamed else read.get("model")
        price = self._plan.prices.of(model) if isinstance(model, str) else None
        if price is None or not isinstance(model, str):
            return BudgetRefusal("cost", "its model has no price")
        most = budgets.token_bound(call.tail, read, len(call.body.raw), self._plan.unsaid)
        if isinstance(most, str):
            return BudgetRefusal("cost", most)
        scopes = (ALL, self._plan.budget.key_scope(client_key(call.headers)), self._scopes.get(spelt(model), "model:other"))
        limits = {scope: _nano(self._plan.budget.usd.get(scope)) for scope in scopes}
        try:
            held = await self._held(limits, price.nano(most.given, most.got))
        except OSError as error:
            _log.error("a request does not leave: %s", error)
            return BudgetRefusal("ledger", "what it would cost cannot be written down, and there is a budget")
        if isinstance(held, LimitReached):
            self._metering.over_budget.labels(held.scope).inc()
            whose = "the budget" if held.scope == ALL else f"the budget of {held.scope.replace(':', ' ', 1)}"
            return BudgetRefusal("budget", f"{whose} for today does not hold what it may cost")
        wishing = asking_for_usage(call.tail, call.body.raw, read)
        return BudgetHold(self, held, price, call, None if wishing is None else RequestBody(wishing))

    async def _held(self, limits: Mapping[str, int | None], nano: int) -> Reservation | LimitReached:
        """Reserve the amount. If the client disconnects meanwhile, release it."""
        work = asyncio.ensure_future(asyncio.to_thread(self._set_aside, usage_records.today(), limits, nano))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            work.add_done_callback(self._let_go)
            raise

    def _set_aside(self, day: str, limits: Mapping[str, int | None], nano: int) -> Reservation | LimitReached:
        """Reserve in a thread. Old days are deleted once a day, and only if the clock is plausible."""
        if day != self._forgotten and self._clock.believed():
            self._forgotten = day
            self.ledger.forget(day)
        return self.ledger.hold(day, limits, nano)

    def _let_go(self, work: asyncio.Future[Reservation | LimitReached]) -> None:
        if not work.cancelled() and work.exception() is None and isinstance(held := work.result(), Reservation):
            self.book(lambda: self.ledger.release(held))

    async def close(self) -> None:
        """Finish settling, and close the ledger."""
        await asyncio.gather(*self._settling, return_exceptions=True)
        await asyncio.to_thread(self.ledger.close)

    def book(self, work: Callable[[], None]) -> None:
        """Write to the ledger in the background. If that fails, the reservation stays, so that the budget still holds."""

        async def booked() -> None:
            try:
                await asyncio.to_thread(work)
            except (OSError, OverflowError) as error:  # a full disk, or an absurd number of tokens
                _log.error("a request is not settled, and counts in full: %s", error)

        task = asyncio.get_running_loop().create_task(booked())
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)


class BudgetHold:
    """The reservation for one request at one upstream. It ends with `lost`, or with the response that it watches.

    Args:
        budget_guard: the guard that made it.
        held: the reserved amount.
        price: of the model.
        call: the request.
        wishing: its body with a request for the stream's usage, if the client did not ask for that.
    """

    def __init__(
        self, budget_guard: BudgetGuard, held: Reservation, price: UpstreamPrice, call: UpstreamCall, wishing: RequestBody | None
    ) -> None:
        self._budget_guard, self._held, self._price, self._wishing = budget_guard, held, price, wishing
        self._size = len(call.body.raw) if isinstance(call.body, RequestBody) else 0
        self._record = call.usage
        self._over = False

    def leaving(self, call: UpstreamCall) -> UpstreamCall:
        """Return the request to send, so that its usage can be read: without compression, and with the stream's usage."""
        plain = [(name, value) for name, value in call.headers if name.lower() != b"accept-encoding"]
        return replace(call, headers=plain, body=call.body if self._wishing is None else self._wishing)

    def unwished(self) -> bool:
        """Stop asking for the usage, because the upstream may not know that option. Returns True if it was asked for."""
        wished, self._wishing = self._wishing is not None, None
        return wished

    def lost(self, taken: int) -> None:
        """Settle without an answer. `taken`: number of tries that the upstream may have processed; each counts in full."""
        self._settle(None if not taken else self._held.nano * taken, estimated=True)

    def watched(self, response: httpx.Response, taken: int = 0) -> httpx.Response:
        """Return the response, which settles when it is closed. `taken`: earlier tries that the upstream may have processed."""
        kind = _kind(response)
        reading = AnswerReader(kind)
        if kind.startswith(JSON_TYPE) and not taken:
            with_cost(
                response, lambda: self._price.nano(usage.given, usage.got) if (usage := counted_tokens(reading)) is not None else None
            )
        return read_in_passing(response, reading, lambda: self._read(response, reading, taken))

    def wished_in(self, response: httpx.Response) -> bool:
        """Return True if a response is a stream whose usage only the gateway asked for."""
        return self._wishing is not None and _kind(response).startswith(_STREAM)

    def _read(self, response: httpx.Response, reading: AnswerReader, taken: int) -> None:
        """Settle by the usage in the answer, if it ended.

        An answer that broke off may have been continued, and one without usage may include hidden reasoning that the upstream bills. Both
        count in full, or by their visible size if that is larger.
        """
        before, usage = taken * self._held.nano, counted_tokens(reading)
        if not 200 <= response.status_code < 300 and reading.usage is None:
            before += self._held.nano if response.status_code in TAKEN_STATUSES else 0
            self._settle(before or None, estimated=True)
        elif usage is not None:
            self._settle(before + self._price.nano(usage.given, usage.got), estimated=bool(before), counted=usage)
        elif reading.ended and reading.written:
            got = max(reading.events, -(-reading.written // BYTES_A_TOKEN))
            given = -(-self._size // BYTES_A_TOKEN)
            guess = self._price.nano(given, got)
            self._settle(before + max(guess, self._held.nano), estimated=True, guessed=AnswerUsage(given, got))
        else:
            self._settle(before + self._held.nano, estimated=True)

    def _settle(self, nano: int | None, estimated: bool, counted: AnswerUsage = _NONE, guessed: AnswerUsage = _NONE) -> None:
        """Record the cost (None: nothing), and the tokens: as counted by the upstream, or as estimated."""
        if self._over:
            return
        self._over = True
        ledger, held = self._budget_guard.ledger, self._held
        if nano is None:
            self._budget_guard.book(lambda: ledger.release(held))
            return
        self._budget_guard.book(lambda: ledger.settle(held, nano, estimated))
        if self._record is not None:
            self._record.upstream(
                UsageTotals(
                    read=counted.given + guessed.given,
                    written=counted.got + guessed.got,
                    read_estimated=guessed.given,
                    written_estimated=guessed.got,
                    spent=nano,
                    spent_estimated=nano if estimated else 0,
                )
            )


def _kind(response: httpx.Response) -> str:
    """Return the type of a body that can be read as it comes; empty if it is compressed."""
    return "" if response.headers.get("content-encoding") else response.headers.get("content-type", "")


def _nano(usd: float | None) -> int | None:
    return None if usd is None else math.floor(usd * NANO)


_SPENT = ("smidgen_budget_spent_usd", "Dollars spent on upstreams today (UTC), by scope and kind: counted, estimated, set aside.")
_LIMIT = ("smidgen_budget_limit_usd", "Dollars that may be spent in a day, by scope.")


class BudgetGauge(Collector):
    """Budget metrics, read at each scrape. Unreadable values are left out."""

    def __init__(self, budget_guard: BudgetGuard) -> None:
        self._budget_guard = budget_guard

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Yield the metrics' names without reading anything."""
        yield GaugeMetricFamily(*_SPENT, labels=("scope", "kind"))
        yield GaugeMetricFamily(*_LIMIT, labels=("scope",))

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the metrics."""
        spent, limit = self.describe()
        try:
            found = self._budget_guard.ledger.spent(today())
        except OSError:
            found = {}
        for scope, one in found.items():
            for kind, nano in (("counted", one.nano - one.estimated), ("estimated", one.estimated), ("set aside", one.held)):
                spent.add_metric((scope, kind), nano / NANO)
        for scope, usd in self._budget_guard.limits.items():
            limit.add_metric((scope,), usd)
        yield from (spent, limit)
