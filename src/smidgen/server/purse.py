"""The purse: what requests may cost is set aside before they leave, and what they took is settled when their answer is over."""

from __future__ import annotations

import asyncio
import datetime
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from smidgen.core.errors import InputError, SmidgenError
from smidgen.gateway import budget as budgets
from smidgen.gateway import worst_case
from smidgen.gateway.answer_reading import Reading, Usage
from smidgen.gateway.budget import ALL, Budget
from smidgen.gateway.crossing import secret
from smidgen.gateway.leaving import read_once
from smidgen.gateway.patience import TAKEN
from smidgen.gateway.stream_usage import Uncounted, wishing
from smidgen.judge import price_list
from smidgen.judge.price_list import spelt
from smidgen.server import slip as slips
from smidgen.server.mending import mended
from smidgen.server.metering import Metering
from smidgen.server.prices import Price, Prices
from smidgen.server.prices import prices as prices_of
from smidgen.server.settings import ServeSettings
from smidgen.server.upstream import Call, Upstream
from smidgen.server.wall_clock import WallClock
from smidgen.server.watched import WHOLE, costing, watched
from smidgen.store import ledger as ledgers
from smidgen.store.account import Entry
from smidgen.store.ledger import NANO, Full, Held, Ledger

BYTES_A_TOKEN = 3
"""Of an answer whose upstream does not count: English has about four, Chinese three."""
_NONE = Usage(0, 0)
_STREAM = "text/event-stream"
_log = logging.getLogger("smidgen.budget")


@dataclass(frozen=True, slots=True)
class Short:
    """A request that may not leave: why in a clause, and of which kind: `budget`, `cost` (it cannot be told), `ledger`."""

    kind: str
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What may be spent, and at which prices.

    Attributes:
        budget: the limits.
        prices: of models; one that has none may not be asked.
        unsaid: the most tokens of an answer where the request does not say.
    """

    budget: Budget
    prices: Prices
    unsaid: int


def plan(settings: ServeSettings) -> Plan | None:
    """What the settings say; None where there is no budget. Raises InputError where a budget cannot be kept: a model without a price."""
    prices = prices_of(settings)
    budget = budgets.budget(settings.budget_day, Path(settings.budgets).expanduser() if settings.budgets else None)
    if budget is None:
        return None
    if not settings.fallback:
        raise InputError(
            "there is a budget, and no fallback to spend it on", value="--budget-day", todo="Add --fallback URL, or leave it out."
        )
    unpriced = [model for model in settings.fallback_model if prices.of(model) is None]
    if unpriced:
        raise InputError(
            "the budget cannot be kept, for the price list does not have this model",
            value=unpriced[0],
            todo="Give its price in dollars per million tokens: --price-in 0.5 --price-out 2.",
        )
    return Plan(budget, prices, settings.max_output_tokens)


def warn_of_old(plan: Plan, models: Sequence[str], today: datetime.date | None = None) -> None:
    """Log a warning where a price of these models that the budget is kept by was in the list long ago."""
    dated = [found for model in models if (found := plan.prices.of(model)) is not None and found.date]
    oldest = max(dated, key=lambda found: price_list.age(found.date, today), default=None)
    if oldest is not None and price_list.age(oldest.date, today) > price_list.OLD_DAYS:
        _log.warning(
            "the budget is kept by the list price of %s on %s, %d days ago: look it up, and give it with --price-in and --price-out",
            oldest.name,
            oldest.date,
            price_list.age(oldest.date, today),
        )


class Purse:
    """The budget at work.

    Args:
        plan: see there.
        models: what the upstreams call their models: those that are accounted by name.
        metering: counts what was refused.
        file: of the ledger; its place by default.

    Raises SmidgenError where the ledger cannot be opened: what was spent is not known.
    """

    def __init__(self, plan: Plan, models: Sequence[str], metering: Metering, file: Path | None = None) -> None:
        self._plan, self._metering = plan, metering
        limited = [scope.removeprefix("model:") for scope in plan.budget.usd if scope.startswith("model:")]
        self._scopes = {spelt(name): f"model:{name}" for name in (*models, *limited)}
        self._settling: set[asyncio.Task[None]] = set()
        self._clock, self._forgotten = WallClock(), ""
        try:
            self.ledger = Ledger(file)
        except OSError as error:
            raise SmidgenError(
                "what was spent cannot be read, and so no budget can be kept",
                value=str(error),
                todo=f"Mend {file or ledgers.place()}, or move it away: what was spent today is then forgotten.",
            ) from error

    @property
    def limits(self) -> Mapping[str, float]:
        """Dollars a day, by scope."""
        return self._plan.budget.usd

    async def hold(self, upstream: Upstream, call: Call) -> Hold | Short | None:
        """Set aside the most that a request can cost at an upstream; None for one that costs nothing."""
        if worst_case.free(call.method, call.tail):
            return None
        read = read_once(call.body) if isinstance(call.body, bytes) else None
        if read is None or not isinstance(call.body, bytes):
            return Short("cost", "it is no JSON that can be read in one way, and what it costs is not known")
        model = upstream.model if call.renamed else read.get("model")
        price = self._plan.prices.of(model) if isinstance(model, str) else None
        if price is None or not isinstance(model, str):
            return Short("cost", "its model has no price")
        most = worst_case.most(call.tail, read, len(call.body), self._plan.unsaid)
        if isinstance(most, str):
            return Short("cost", most)
        scopes = (ALL, self._plan.budget.key_scope(secret(call.headers)), self._scopes.get(spelt(model), "model:other"))
        limits = {scope: _nano(self._plan.budget.usd.get(scope)) for scope in scopes}
        try:
            held = await self._held(limits, price.nano(most.given, most.got))
        except OSError as error:
            _log.error("a request does not leave: %s", error)
            return Short("ledger", "what it would cost cannot be written down, and there is a budget")
        if isinstance(held, Full):
            self._metering.over_budget.labels(held.scope).inc()
            whose = "the budget" if held.scope == ALL else f"the budget of {held.scope.replace(':', ' ', 1)}"
            return Short("budget", f"{whose} for today does not hold what it may cost")
        return Hold(self, held, price, call.body, wishing(call.tail, call.body, read))

    async def _held(self, limits: Mapping[str, int | None], nano: int) -> Held | Full:
        """Set it aside. Where the client goes meanwhile, it is let go again."""
        work = asyncio.ensure_future(asyncio.to_thread(self._set_aside, budgets.today(), limits, nano))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            work.add_done_callback(self._let_go)
            raise

    def _set_aside(self, day: str, limits: Mapping[str, int | None], nano: int) -> Held | Full:
        """In a thread. Old days go once a day, and by a clock that is believed alone."""
        if day != self._forgotten and self._clock.believed():
            self._forgotten = day
            self.ledger.forget(day)
        return self.ledger.hold(day, limits, nano)

    def _let_go(self, work: asyncio.Future[Held | Full]) -> None:
        if not work.cancelled() and work.exception() is None and isinstance(held := work.result(), Held):
            self.book(lambda: self.ledger.release(held))

    async def close(self) -> None:
        """Settle what is over, and close the ledger."""
        await asyncio.gather(*self._settling, return_exceptions=True)
        await asyncio.to_thread(self.ledger.close)

    def book(self, work: Callable[[], None]) -> None:
        """Write into the ledger, behind the request's back. Where that fails, what was set aside stays so: the budget is kept."""

        async def booked() -> None:
            try:
                await asyncio.to_thread(work)
            except (OSError, OverflowError) as error:  # a full disk; tokens by the quintillion
                _log.error("a request is not settled, and counts in full: %s", error)

        task = asyncio.get_running_loop().create_task(booked())
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)


class Hold:
    """What is set aside for one request at one upstream. It must come to an end: `lost`, or the response's that it watches.

    Args:
        purse: what it is out of.
        held: how much it is.
        price: of the model that is asked.
        body: the request's.
        wishing: the same with the wish that the stream says its usage, where it does not ask for that itself.
    """

    def __init__(self, purse: Purse, held: Held, price: Price, body: bytes, wishing: bytes | None) -> None:
        self._purse, self._held, self._price, self._size, self._wishing = purse, held, price, len(body), wishing
        self._slip = slips.current()
        self._over = False

    def leaving(self, call: Call) -> Call:
        """The request as it leaves, so that what it takes can be read: not packed, and of a stream with its usage."""
        plain = [(name, value) for name, value in call.headers if name.lower() != b"accept-encoding"]
        return replace(call, headers=plain, body=call.body if self._wishing is None else self._wishing)

    def unwished(self) -> bool:
        """Leave the wish out from now on, for the upstream may not know it; whether there was one."""
        wished, self._wishing = self._wishing is not None, None
        return wished

    def lost(self, taken: int) -> None:
        """No answer came. `taken` says how many tries may have been taken on all the same: each counts in full."""
        self._settle(None if not taken else self._held.nano * taken, estimated=True)

    def watched(self, response: httpx.Response, taken: int = 0) -> httpx.Response:
        """The response as it was asked for, which settles when it is closed. `taken` tries before it may have been taken on."""
        kind = "" if response.headers.get("content-encoding") else response.headers.get("content-type", "")
        reading = Reading(kind)
        if kind.startswith(WHOLE) and not taken:
            costing(response, lambda: self._price.nano(usage.given, usage.got) if (usage := _counted(reading)) is not None else None)
        seen = watched(response, reading, lambda: self._read(response, reading, taken))
        return mended(seen, Uncounted()) if self._wishing is not None and kind.startswith(_STREAM) else seen

    def _read(self, response: httpx.Response, reading: Reading, taken: int) -> None:
        """Settle by what was read, where it came to its end. What broke off may have been written on, and what does not say its usage may
        have been thought about long, which nobody sees and the upstream bills: that counts in full, and what is seen is its least."""
        before, usage = taken * self._held.nano, _counted(reading)
        if not 200 <= response.status_code < 300 and reading.usage is None:
            before += self._held.nano if response.status_code in TAKEN else 0
            self._settle(before or None, estimated=True)
        elif usage is not None:
            self._settle(before + self._price.nano(usage.given, usage.got), estimated=bool(before), counted=usage)
        elif reading.ended and reading.written:
            got = max(reading.events, -(-reading.written // BYTES_A_TOKEN))
            given = -(-self._size // BYTES_A_TOKEN)
            guess = self._price.nano(given, got)
            self._settle(before + max(guess, self._held.nano), estimated=True, guessed=Usage(given, got))
        else:
            self._settle(before + self._held.nano, estimated=True)

    def _settle(self, nano: int | None, estimated: bool, counted: Usage = _NONE, guessed: Usage = _NONE) -> None:
        """It took so much (None: nothing), and so many tokens, which the upstream counted, or which were guessed."""
        if self._over:
            return
        self._over = True
        ledger, held = self._purse.ledger, self._held
        if nano is None:
            self._purse.book(lambda: ledger.release(held))
            return
        self._purse.book(lambda: ledger.settle(held, nano, estimated))
        if self._slip is not None:
            self._slip.upstream(
                Entry(
                    read=counted.given + guessed.given,
                    written=counted.got + guessed.got,
                    read_estimated=guessed.given,
                    written_estimated=guessed.got,
                    spent=nano,
                    spent_estimated=nano if estimated else 0,
                )
            )


def _counted(reading: Reading) -> Usage | None:
    """What an answer took as its upstream counted, once it has ended: whoever wrote something took more than nothing for it."""
    usage = reading.usage if reading.ended else None
    return usage if usage is not None and (usage.got or not reading.written) else None


def _nano(usd: float | None) -> int | None:
    return None if usd is None else math.floor(usd * NANO)
