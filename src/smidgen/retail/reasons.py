"""The reason for a suggestion, in words. Each fact is from the orders or the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smidgen.retail.goods import Product, first_word

SURE = 3
"""Fewer customers are not counted in a reason, since they could be recognised."""
_SHARED_SHOWN = 3
_TEMPLATES = {
    "en": {
        "bought": "{count} customers bought it and {name}",
        "together": "bought together with {name} before",
        "shared": "like {name}: {shared}",
        "near": "similar to {name}",
        "words": "matches your words: {shared}",
        "sense": "its description is close to your words",
        "popular": "popular: bought by {count} customers",
        "sold": "bought before by other customers",
        "listed": "in the catalogue",
    },
    "de": {
        "bought": "{count} Kunden kauften es und auch {name}",
        "together": "wurde schon zusammen mit {name} gekauft",
        "shared": "wie {name}: {shared}",
        "near": "ähnlich wie {name}",
        "words": "passt zu Ihren Worten: {shared}",
        "sense": "die Beschreibung kommt Ihren Worten nahe",
        "popular": "beliebt: {count} Kunden kauften es",
        "sold": "wurde schon von anderen gekauft",
        "listed": "im Katalog",
    },
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """Facts for the reason of one suggestion.

    Attributes:
        bought: the item of the history that is most often bought with it, and by how many customers.
        near: the item of the history that it is most like by the text; None without vectors.
        words: for a request in words, those that the item's name or text holds; None for another.
        buyers: customers who bought it.
    """

    bought: tuple[Product, int] | None = None
    near: Product | None = None
    words: Sequence[str] | None = None
    buyers: int = 0


def reason(product: Product, evidence: Evidence, ranges: frozenset[str], language: str = "en") -> str:
    """The strongest reason that there is. `ranges`: see `goods.common_words`."""
    say = _TEMPLATES[language if language in _TEMPLATES else "en"]
    if evidence.words is not None:
        return say["words"].format(shared=", ".join(evidence.words[:_SHARED_SHOWN])) if evidence.words else say["sense"]
    if evidence.bought is not None and evidence.bought[1] >= SURE:
        return say["bought"].format(count=evidence.bought[1], name=evidence.bought[0].name)
    for other in (evidence.bought[0] if evidence.bought is not None else None, evidence.near):
        if other is not None and (alike := shared_attributes(product, other, ranges)):
            return say["shared"].format(name=other.name, shared=", ".join(alike))
    if evidence.bought is not None and evidence.bought[1]:
        return say["together"].format(name=evidence.bought[0].name)
    if evidence.near is not None:
        return say["near"].format(name=evidence.near.name)
    if evidence.buyers >= SURE:
        return say["popular"].format(count=evidence.buyers)
    return say["sold"] if evidence.buyers else say["listed"]


def shared_attributes(one: Product, other: Product, ranges: frozenset[str]) -> list[str]:
    """The values that two goods have in common: the name of their range, then values of attributes, each once."""
    found = []
    word = first_word(one.name)
    if word in ranges and word == first_word(other.name):
        found.append(word)
    found += [value for name, value in one.attributes.items() if other.attributes.get(name) == value]
    return list(dict.fromkeys(found))[:_SHARED_SHOWN]
