"""What large models take: as the operator says it of the fallbacks' own models, else as the price list has it. Whoever needs a price, for a
budget, the account, or what a reply saved, asks here."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smidgen.core.errors import InputError
from smidgen.gateway.answer_reading import Usage
from smidgen.judge import price_list
from smidgen.judge.price_list import spelt
from smidgen.server.answers import tokens
from smidgen.server.settings import ServeSettings
from smidgen.store.ledger import NANO


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens, in and out.

    Attributes:
        name: whose.
        date: the day when that was its price in the list; empty for what the operator said.
    """

    name: str
    given: float
    got: float
    date: str = ""

    @property
    def source(self) -> str:
        """Where it is from."""
        return f"list price of {self.name} on {self.date}" if self.date else "as given: --price-in, --price-out"

    def nano(self, given: int, got: int) -> int:
        """What so many tokens cost, in nanodollars, rounded up."""
        return math.ceil((given * self.given + got * self.got) * NANO / 1e6)

    def saved(self, read: str, written: str) -> dict[str, Any]:
        """What a request with these texts would have cost. Its tokens are estimated: who counts them did not see them."""
        return self._cost(tokens(read), tokens(written), {"estimated": "one for every four characters"})

    def measured(self, given: int, got: int, requests: int) -> dict[str, Any]:
        """What a request would have cost, by what so many others to the same bundle took, which their upstream has told."""
        return self._cost(given, got, {"measured_on": requests})

    def counted(self, usage: Usage) -> dict[str, Any]:
        """What a request of this size would have cost, which its upstream has told."""
        return self._cost(usage.given, usage.got, {})

    def _cost(self, given: int, got: int, how: Mapping[str, str | int]) -> dict[str, Any]:
        whose = {"at_list_price_of": self.name, "price_date": self.date} if self.date else {"at_given_price_of": self.name}
        usd = round((given * self.given + got * self.got) / 1e6, 9)
        return {"usd": usd, **whose, "tokens": {"input": given, "output": got, **how}}


class Prices:
    """By model.

    Args:
        own: of the fallbacks' own models, as the operator says it.
    """

    def __init__(self, own: Sequence[Price] = ()) -> None:
        self._own = {price.name: price for price in own}
        self._spelt = {spelt(price.name): price for price in own}

    def of(self, model: str) -> Price | None:
        """Of a model; None where nobody said it. What the operator says is the price of the fallbacks' own models, also by another spelling
        that the list has for one, and of no other."""
        own = self._own.get(model)
        found = listed(model) if own is None else None
        return own if found is None else self._spelt.get(spelt(model), found)


def prices(settings: ServeSettings) -> Prices:
    """As the settings have it. Raises InputError for half a price, and where it is not clear whose one is."""
    models, given, got = settings.fallback_model, settings.price_in, settings.price_out
    if bool(given) != bool(got):
        raise InputError(
            "a price has two halves", value="one of --price-in and --price-out", todo="Give both, in dollars per million tokens."
        )
    todo = "Give --price-in and --price-out once for each --fallback-model, in their order."
    if any(len(said) not in (0, 1, len(models)) for said in (given, got)):
        value = f"{len(models)} models, {len(given)} --price-in, {len(got)} --price-out"
        raise InputError("it is not clear whose the prices are", value=value, todo=todo)
    if len(given) == len(got) == 1 and len({listed(model) is None for model in models}) > 1:
        # Before there was a price for each, it was that of the models which the list does not have: now it would be that of all.
        raise InputError("one price is given for several models, and the price list has some of them", value=", ".join(models), todo=todo)
    own: dict[str, Price] = {}
    for place, model in enumerate(models if given else ()):
        price = Price(model, given[place % len(given)], got[place % len(got)])
        if own.setdefault(model, price) != price:
            raise InputError("a model has two prices", value=model, todo="Give the same for each of its fallbacks: the larger one.")
    return Prices(list(own.values()))


def listed(model: str) -> Price | None:
    """The price of a model by its name (`gpt-6-luna` is `GPT-6 Luna`, with or without a provider before a slash); None where it is not in
    the list: another model's price would be a guess."""
    return _listed().get(spelt(model))


@functools.cache
def _listed() -> dict[str, Price]:
    """By name. It is read once: it comes with smidgen, and does not change while a process runs."""
    found: dict[str, Price] = {}
    for entry in price_list.read()["models"]:
        price = Price(entry["name"], float(entry["input"]), float(entry["output"]), entry["date"])
        found.setdefault(spelt(entry["name"]), price)
    return found
