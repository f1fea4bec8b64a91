"""Made names of things and people, English and German, to stand in training rows where a later message will have a value never seen."""

from __future__ import annotations

import random

_ADJECTIVES = (
    *("green", "small", "old", "round", "wooden", "red", "large", "soft", "cheap", "new", "black", "heavy", "warm", "fresh", "double"),
    *("grünen", "kleine", "alte", "runde", "hölzerne", "rote", "großen", "weiche", "neue", "schwarzes", "schweren", "warme", "hintere"),
)
_MATERIALS = ("steel", "cotton", "lemon", "garden", "kitchen", "travel", "winter", "silk", "stone", "sugar", "water", "paper", "night")
_THINGS = (
    *("jacket", "pencil", "ladder", "soup", "candle", "mirror", "saddle", "cake", "helmet", "syrup", "carpet", "battery", "onions"),
    *("scissors", "bracelet", "cable", "cushions", "hammer", "pillow", "tickets", "salad", "gloves", "cream", "drawer", "boots", "filter"),
    *("Jacke", "Bleistift", "Leiter", "Suppe", "Kerze", "Spiegel", "Kuchen", "Helm", "Sirup", "Teppich", "Batterie", "Zwiebeln", "Schere"),
    *(
        "Armband",
        "Kabel",
        "Kissen",
        "Hammer",
        "Karten",
        "Salat",
        "Handschuhe",
        "Creme",
        "Schublade",
        "Stiefel",
        "Filter",
        "Tropfen",
        "Seife",
    ),
)
_RARE = ("paracetol", "zolamine", "brendocin", "quartile", "velmora", "tindrex", "ostrano", "malbiton", "ferrilon", "cardusal")
_TITLES = ("", "", "", "Dr ", "Mrs ", "Mr ", "Herr ", "Frau ")
_FIRST = ("Clara", "Hugo", "Mira", "Oskar", "Priya", "Emil", "Zoe", "Karim", "Ella", "Jan", "Rosa", "Victor", "Leyla", "Theo")
_LAST = ("Brandt", "Kaya", "Morris", "Lindgren", "Costa", "Vogel", "Fischer", "Nowak", "Reyes", "Hansen", "Sato", "Keller", "Doyle")
_BY_OF = ("of", "with", "für", "mit")


def made_thing(draw: random.Random) -> str:
    """A thing in one to three words, such as `green cotton jacket` or `alte Leiter`."""
    kind = draw.random()
    thing = draw.choice(_THINGS)
    if kind < 0.3:
        return thing
    if kind < 0.45:
        return draw.choice(_RARE)
    if kind < 0.65:
        return f"{draw.choice(_ADJECTIVES)} {thing}"
    if kind < 0.85:
        return f"{draw.choice(_MATERIALS)} {thing}"
    if kind < 0.95:
        return f"{draw.choice(_ADJECTIVES)} {draw.choice(_MATERIALS)} {thing}"
    return f"{draw.choice(_THINGS)} {draw.choice(_BY_OF)} {thing}"


def made_name(draw: random.Random) -> str:
    """A name of a person, a brand or a band, such as `Frau Kaya`, `Hugo Brandt` or `Velmora`."""
    kind = draw.random()
    if kind < 0.25:
        return draw.choice((*_FIRST, *_LAST))
    if kind < 0.4:
        return draw.choice(_RARE).title()
    if kind < 0.5:
        return f"The {draw.choice(_THINGS).title()}"
    if kind < 0.75:
        return f"{draw.choice(_FIRST)} {draw.choice(_LAST)}"
    return f"{draw.choice(_TITLES)}{draw.choice(_LAST)}"
