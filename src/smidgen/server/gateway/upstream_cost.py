"""The cost of upstreams' answers for the account: tokens as the upstream counted them, else as estimated, at the model's price."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import httpx

from smidgen.gateway.answer_reading import AnswerReader
from smidgen.gateway.request_body import RequestBody
from smidgen.gateway.route_settings import BudgetSettings
from smidgen.server.gateway.budget_guard import BYTES_A_TOKEN
from smidgen.server.gateway.prices import UpstreamPrice, UpstreamPrices, upstream_prices
from smidgen.server.gateway.response_stream import JSON_TYPE, decompressing, read_in_passing, with_cost
from smidgen.server.gateway.upstream import UpstreamCall
from smidgen.server.usage_record import OTHER_MODEL
from smidgen.store import usage_records
from smidgen.store.usage_records import UsageTotals
from smidgen.usage import token_bound
from smidgen.usage.price_list import spelt

_READ = (JSON_TYPE, "text/event-stream")
_MOST_READ = 500_000
"""Bytes of a body that is read at its end, while others wait: a longer one has its tokens estimated."""
_NAMES = 256
_LONGEST = 200
"""Signs of a model's name that count. No model has one that long."""


class UpstreamCosts:
    """Prices and names of large models.

    Args:
        prices: of models.
        models: the fallbacks' names of their models.
    """

    def __init__(self, prices: UpstreamPrices, models: Sequence[str]) -> None:
        self._prices, self._models = prices, {spelt(model): model for model in models}
        self._entry = functools.lru_cache(_NAMES)(self._made)

    def name(self, model: str) -> str:
        """The account's name for a model that a client names, or that an upstream was asked for."""
        return self._entry(model[:_LONGEST])[0]

    def price(self, model: str) -> UpstreamPrice | None:
        """The price of a model; None where it is unknown."""
        return self._entry(model[:_LONGEST])[1]

    def noted(self, day: str, model: str) -> usage_records.DayPrice | None:
        """The price for the account: with the day, and where it is from."""
        name, price = self._entry(model[:_LONGEST])
        return usage_records.DayPrice(day, name, price.given, price.got, price.source) if price is not None else None

    def _made(self, model: str) -> tuple[str, UpstreamPrice | None]:
        """The name, and the price."""
        known, found = self._models.get(spelt(model)), self._prices.of(model)
        return known or (found.name if found is not None else OTHER_MODEL), found

    def cost(self, model: str, given: int, got: int) -> int | None:
        """The cost of tokens in nanodollars; None where the price is unknown."""
        price = self.price(model)
        return round((given * price.given + got * price.got) * 1000) if price is not None else None

    def watched(self, response: httpx.Response, call: UpstreamCall, own: str) -> httpx.Response:
        """The response; closing it adds its usage to the call's usage record. `own`: the upstream's name for its model."""
        record = call.usage
        if record is None or token_bound.is_free(call.method, call.tail):
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
            usage = reading.usage if reading.ended else None
            return self.cost(model, usage.given, usage.got) if usage is not None and _believed(reading) else None

        if reader is not None and kind.startswith(JSON_TYPE):
            with_cost(response, cost)
        return read_in_passing(response, reader or _CountingReader(), over)

    def _taken(self, status: int, tail: bytes, size: int, model: str, reading: AnswerReader) -> UsageTotals:
        """The usage of an answer, by what was read of it. A refusal takes nothing, and neither does an answer that states its failure."""
        usage = reading.usage
        if usage is None and (not 200 <= status < 300 or reading.failed):
            return UsageTotals()
        exact = usage is not None and reading.ended
        if usage is not None and _believed(reading):
            given, got = usage.given, usage.got
        elif size and (reading.written or tail in token_bound.READING_PATHS):
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


def _believed(reading: AnswerReader) -> bool:
    """Whether its stated usage is possible: a text that is not empty takes more than zero tokens."""
    return reading.usage is not None and (reading.usage.got > 0 or not reading.written)


class _CountingReader:
    """Reads nothing."""

    def feed(self, piece: bytes) -> None:
        """The next bytes."""

    def end(self) -> None:
        """There is no more."""


def upstream_costs(models: Sequence[str], budget: BudgetSettings) -> UpstreamCosts:
    """The costs of the settings."""
    return UpstreamCosts(upstream_prices(models, budget), tuple(models))
