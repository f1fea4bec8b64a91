"""What a local answer saved: what the upstream's model would have cost at its list price, where the price list has that model."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from smidgen.gateway.answer_reading import Usage
from smidgen.gateway.response_ending import texts_of
from smidgen.judge import price_list
from smidgen.judge.price_list import spelt
from smidgen.server.answers import tokens


@dataclass(frozen=True, slots=True)
class ListPrice:
    """US dollars for a million tokens in and out, and the day when that was the price."""

    name: str
    input: float
    output: float
    date: str

    def saved(self, read: str, written: str) -> dict[str, Any]:
        """What a request with these texts would have cost. Its tokens are estimated: who counts them did not see them."""
        return self._cost(tokens(read), tokens(written), {"estimated": "one for every four characters"})

    def counted(self, usage: Usage) -> dict[str, Any]:
        """What a request of this size would have cost, which its upstream has told."""
        return self._cost(usage.given, usage.got, {})

    def _cost(self, given: int, got: int, how: Mapping[str, str]) -> dict[str, Any]:
        return {
            "usd": round((given * self.input + got * self.output) / 1e6, 9),
            "at_list_price_of": self.name,
            "price_date": self.date,
            "tokens": {"input": given, "output": got, **how},
        }


def listed(model: str) -> ListPrice | None:
    """The price of a model by its name (`gpt-6-luna` is `GPT-6 Luna`, with or without a provider before a slash); None where it is not in
    the list: another model's price would be a guess."""
    return _prices().get(spelt(model))


@functools.cache
def _prices() -> dict[str, ListPrice]:
    """By name. It is read once: it comes with smidgen, and does not change while a process runs."""
    found: dict[str, ListPrice] = {}
    for entry in price_list.read()["models"]:
        price = ListPrice(entry["name"], float(entry["input"]), float(entry["output"]), entry["date"])
        found.setdefault(spelt(entry["name"]), price)
    return found


def read_of(body: Mapping[str, Any]) -> str:
    """All texts that a request would have the large model read."""
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


def written_of(body: Mapping[str, Any]) -> str:
    """The text of an answer's choices, or of a response's items."""
    if body.get("object") == "response":
        return "".join(text for text, told in texts_of(body) if told)
    choices = body.get("choices", ())
    return "".join(str(choice.get("text") or (choice.get("message") or {}).get("content") or "") for choice in choices)
