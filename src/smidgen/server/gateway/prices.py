"""Prices of large models, costs of their answers, and savings of local answers.

A price is the operator's for the fallbacks' own models, else the list price.

A local answer has no usage from the large model. An estimate of one token per four characters leaves out what the large model reads besides
the text, and its reasoning. Requests to the same bundle that went upstream show how much that is.
"""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from smidgen.core.errors import InputError
from smidgen.gateway.answer_reading import AnswerReader, AnswerUsage
from smidgen.gateway.route_settings import BudgetSettings
from smidgen.server.gateway.response_stream import JSON_TYPE, decompressing, read_in_passing, with_cost
from smidgen.server.gateway.upstream import UpstreamCall
from smidgen.server.reply_json import token_count
from smidgen.server.request import OTHER_MODEL, RequestBody
from smidgen.store import usage_records
from smidgen.store.spending_ledger import NANO
from smidgen.store.usage_records import UsageTotals
from smidgen.usage import budgets, price_list
from smidgen.usage.price_list import spelt


@dataclass(frozen=True, slots=True)
class UpstreamPrice:
    """US dollars per million tokens, in and out.

    Attributes:
        name: the model.
        date: day of the list price; empty for an operator's price.
    """

    name: str
    given: float
    got: float
    date: str = ""

    @property
    def source(self) -> str:
        """Where the price comes from."""
        return f"list price of {self.name} on {self.date}" if self.date else "as given: --price-in, --price-out"

    def nano(self, given: int, got: int) -> int:
        """Return the cost of these tokens, in nanodollars, rounded up."""
        return math.ceil((given * self.given + got * self.got) * NANO / 1e6)

    def saved(self, read: str, written: str) -> dict[str, Any]:
        """Return what a request with these texts would have cost. Its tokens are estimated."""
        return self._cost(token_count(read), token_count(written), {"estimated": "one for every four characters"})

    def measured(self, given: int, got: int, requests: int) -> dict[str, Any]:
        """Return what a request would have cost, by the measured usage of other requests to the same bundle."""
        return self._cost(given, got, {"measured_on": requests})

    def counted(self, usage: AnswerUsage) -> dict[str, Any]:
        """Return what a request with this usage would have cost."""
        return self._cost(usage.given, usage.got, {})

    def _cost(self, given: int, got: int, how: Mapping[str, str | int]) -> dict[str, Any]:
        whose = {"at_list_price_of": self.name, "price_date": self.date} if self.date else {"at_given_price_of": self.name}
        usd = round((given * self.given + got * self.got) / 1e6, 9)
        return {"usd": usd, **whose, "tokens": {"input": given, "output": got, **how}}


class UpstreamPrices:
    """Prices by model.

    Args:
        own: prices of the fallbacks' own models, from the operator.
    """

    def __init__(self, own: Sequence[UpstreamPrice] = ()) -> None:
        self._own = {price.name: price for price in own}
        self._spelt = {spelt(price.name): price for price in own}

    def of(self, model: str) -> UpstreamPrice | None:
        """Return the price of a model; None if unknown.

        The operator's prices apply to the fallbacks' own models, also under another spelling that the list has, and to no other.
        """
        own = self._own.get(model)
        found = list_price(model) if own is None else None
        return own if found is None else self._spelt.get(spelt(model), found)


def upstream_prices(models: Sequence[str], budget: BudgetSettings) -> UpstreamPrices:
    """Return the prices from the settings. Raises InputError for half a price, or a price that cannot be assigned to a model."""
    given, got = budget.price_in, budget.price_out
    if bool(given) != bool(got):
        raise InputError("server.price_needs_two_numbers")
    if any(len(said) not in (0, 1, len(models)) for said in (given, got)):
        value = f"{len(models)} models, {len(given)} --price-in, {len(got)} --price-out"
        raise InputError("server.prices_do_not_match_models", value=value)
    if len(given) == len(got) == 1 and len({list_price(model) is None for model in models}) > 1:
        # A single price once applied only to models outside the list. Now it would apply to all, so it is refused here.
        raise InputError("server.one_price_is_given_for_several_models", value=", ".join(models))
    own: dict[str, UpstreamPrice] = {}
    for place, model in enumerate(models if given else ()):
        price = UpstreamPrice(model, given[place % len(given)], got[place % len(got)])
        if own.setdefault(model, price) != price:
            raise InputError("server.model_has_two_prices", value=model)
    return UpstreamPrices(list(own.values()))


def list_price(model: str) -> UpstreamPrice | None:
    """Return the list price of a model by its name (`gpt-6-luna` is `GPT-6 Luna`, with or without `provider/`).

    None if it is not in the list, because another model's price would be a guess.
    """
    return _listed().get(spelt(model))


@functools.cache
def _listed() -> dict[str, UpstreamPrice]:
    """Return list prices by name. Cached: the list comes with smidgen and does not change while a process runs."""
    found: dict[str, UpstreamPrice] = {}
    for entry in price_list.read()["models"]:
        price = UpstreamPrice(entry["name"], float(entry["input"]), float(entry["output"]), entry["date"])
        found.setdefault(spelt(entry["name"]), price)
    return found


def texts_to_read(body: Mapping[str, Any]) -> str:
    """Return all texts of a request that the large model would read."""
    prompt = body.get("prompt")
    if isinstance(prompt, str):
        return prompt
    asked = body.get("input")
    given = [body["instructions"]] if isinstance(body.get("instructions"), str) else []
    messages = body.get("messages") or (asked if isinstance(asked, list) else ())
    contents = [
        *given,
        *([asked] if isinstance(asked, str) else []),
        *(message.get("content") for message in messages if isinstance(message, Mapping)),
    ]
    pieces = [[{"text": content}] if isinstance(content, str) else content for content in contents]
    return "\n".join(
        str(piece.get("text", "")) for part in pieces if isinstance(part, list) for piece in part if isinstance(piece, Mapping)
    )


LEAST_MEASURED = 5
"""Fewest measured requests of a bundle to estimate by."""
_MOST_MEASURED = 2000
"""At this number of requests, the sums are halved, so that new requests count."""


@dataclass(slots=True)
class _SizeSums:
    requests: float = 0.0
    asked: float = 0.0
    given: float = 0.0
    got: float = 0.0


class UpstreamSizes:
    """Measured usage by bundle. Thread-safe."""

    def __init__(self) -> None:
        self._sums: dict[str, _SizeSums] = {}
        self._lock = threading.Lock()

    def note(self, bundle: str, asked: int, given: int, got: int) -> None:
        """Add a request to a bundle that went upstream.

        Args:
            asked: tokens of its texts, estimated as for a local answer.
            given, got: tokens that the upstream reports as read and written.
        """
        if asked <= 0 or given <= 0:
            return
        with self._lock:
            sums = self._sums.setdefault(bundle, _SizeSums())
            if sums.requests >= _MOST_MEASURED:
                sums.requests, sums.asked, sums.given, sums.got = (part / 2 for part in (sums.requests, sums.asked, sums.given, sums.got))
            sums.requests += 1
            sums.asked += asked
            sums.given += given
            sums.got += got

    def of(self, bundle: str, asked: int) -> tuple[int, int, int] | None:
        """Estimate the tokens that the large model would read and write for texts of this size.

        Also returns the number of requests behind the estimate. None if too few were measured.
        """
        with self._lock:
            sums = self._sums.get(bundle)
            if sums is None or sums.requests < LEAST_MEASURED:
                return None
            return round(asked * sums.given / sums.asked), max(1, round(sums.got / sums.requests)), int(sums.requests)


BYTES_A_TOKEN = 3
"""Estimated bytes per token if the upstream does not count: English has about four, Chinese three."""
_READ = (JSON_TYPE, "text/event-stream")
_MOST_READ = 500_000
"""Most bytes of a body to parse at its end, which blocks others. The tokens of a longer one are estimated."""
_NAMES = 256
_LONGEST = 200
"""Most characters of a model's name. No model has a longer one."""


class UpstreamCosts:
    """Prices and account names of large models.

    Args:
        prices: of models.
        models: the fallbacks' names of their models.
    """

    def __init__(self, prices: UpstreamPrices, models: Sequence[str]) -> None:
        self._prices, self._models = prices, {spelt(model): model for model in models}
        self._entry = functools.lru_cache(_NAMES)(self._made)

    def name(self, model: str) -> str:
        """Return the account's name for a model that a client or the gateway asked for."""
        return self._entry(model[:_LONGEST])[0]

    def price(self, model: str) -> UpstreamPrice | None:
        """Return the price of a model; None if unknown."""
        return self._entry(model[:_LONGEST])[1]

    def noted(self, day: str, model: str) -> usage_records.DayPrice | None:
        """Return the price of a model for the account, with its day and source."""
        name, price = self._entry(model[:_LONGEST])
        return usage_records.DayPrice(day, name, price.given, price.got, price.source) if price is not None else None

    def _made(self, model: str) -> tuple[str, UpstreamPrice | None]:
        """Return the name, which is the fallback's own or else the id that clients use, and the price."""
        known, found = self._models.get(spelt(model)), self._prices.of(model)
        return known or (spelt(model) if found is not None else OTHER_MODEL), found

    def cost(self, model: str, given: int, got: int) -> int | None:
        """Return the cost of these tokens, in nanodollars; None if unknown."""
        price = self.price(model)
        return round((given * price.given + got * price.got) * 1000) if price is not None else None

    def watched(self, response: httpx.Response, call: UpstreamCall, own: str) -> httpx.Response:
        """Return the response. When it is closed, its usage goes to the usage record of the call. `own`: the upstream's model."""
        record = call.usage
        if record is None or budgets.is_free(call.method, call.tail):
            return response
        model = own if call.renamed else record.named
        told = {name.lower(): value.decode("latin-1") for name, value in response.headers.raw}
        kind = told.get(b"content-type", "")
        reading = AnswerReader(kind, _MOST_READ, sizes_only=True)
        reader = decompressing(reading, told.get(b"content-encoding", "")) if kind.startswith(_READ) else None
        size = len(call.body.raw) if isinstance(call.body, RequestBody) else 0

        def over() -> None:
            record.upstream(self._taken(response.status_code, call.tail, size, model, reading))

        def cost() -> int | None:
            usage = counted_tokens(reading)
            return self.cost(model, usage.given, usage.got) if usage is not None else None

        if reader is not None and kind.startswith(JSON_TYPE):
            with_cost(response, cost)
        return read_in_passing(response, reader or _CountingReader(), over)

    def _taken(self, status: int, tail: bytes, size: int, model: str, reading: AnswerReader) -> UsageTotals:
        """Return the usage of an answer. Refusals, and answers that report a failure without usage, count nothing."""
        usage = reading.usage
        if usage is None and (not 200 <= status < 300 or reading.failed):
            return UsageTotals()
        exact = usage is not None and reading.ended
        if usage is not None and _believed(reading):
            given, got = usage.given, usage.got
        elif size and (reading.written or tail in budgets.READING_PATHS):
            given, got = -(-size // BYTES_A_TOKEN), max(reading.events, -(-reading.written // BYTES_A_TOKEN))
            exact = False
        else:
            return UsageTotals(unpriced=1)
        cost = self.cost(model, given, got)
        nano = cost or 0
        return UsageTotals(
            read=given,
            written=got,
            read_estimated=0 if exact else given,
            written_estimated=0 if exact else got,
            spent=nano,
            spent_estimated=0 if exact else nano,
            unpriced=int(cost is None),
        )


def counted_tokens(reading: AnswerReader) -> AnswerUsage | None:
    """Return an answer's usage as its upstream counted it, once it has ended; None if unknown."""
    return reading.usage if reading.ended and _believed(reading) else None


def _believed(reading: AnswerReader) -> bool:
    """Return True if an answer's usage is plausible: written text takes more than zero tokens."""
    return reading.usage is not None and (reading.usage.got > 0 or not reading.written)


class _CountingReader:
    """Ignores all bytes."""

    def feed(self, piece: bytes) -> None:
        """Ignore the next bytes."""

    def end(self) -> None:
        """Ignore the end."""


def upstream_costs(models: Sequence[str], budget: BudgetSettings) -> UpstreamCosts:
    """Return prices and names from the settings."""
    return UpstreamCosts(upstream_prices(models, budget), tuple(models))
