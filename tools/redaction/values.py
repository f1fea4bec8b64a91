"""What fills a slot, and of which kind it is."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from tools.redaction import dates, formats, ordinary, people, places
from tools.redaction.lookalikes import LOOKALIKES
from tools.redaction.real_texts import DEFINITIONS
from tools.redaction.sources import Source


@dataclass(frozen=True, slots=True)
class Piece:
    """A value, and its kind where it is personal data."""

    text: str
    kind: str | None = None


Draw = Callable[[Source, str, str], str]


def fill(source: Source, name: str, language: str, bound: str) -> Piece:
    """The value of a slot. Raises KeyError for one that is not known."""
    if name in LOOKALIKES:
        return Piece(LOOKALIKES[name](source.rng))
    kind, draw = SLOTS[name]
    return Piece(draw(source, language, bound), kind)


def _drawn(draw: Callable[[random.Random], str]) -> Draw:
    return lambda source, language, bound: draw(source.rng)


def _dated(draw: Callable[[random.Random, str], str]) -> Draw:
    return lambda source, language, bound: draw(source.rng, language)


def _listed(name: str) -> Draw:
    return lambda source, language, bound: formats.filled(source.pick(name), source.rng)


def _national(source: Source, language: str, bound: str) -> str:
    return formats.filled(source.pick(f"national_{language}" if language else "national"), source.rng)


def _phone(source: Source, language: str, bound: str) -> str:
    if source.rng.random() < (0.8 if language else 0.3):
        return str(source.fake(source.locale(language)).phone_number())
    return formats.phone(source.rng)


def _iban(source: Source, language: str, bound: str) -> str:
    return formats.iban(source.rng, language.upper())


SLOTS: dict[str, tuple[str | None, Draw]] = {
    "person": ("person", people.name),
    "first": ("person", people.first),
    "last_only": ("person", people.last),
    "lastfirst": ("person", people.last_first),
    "username": (None, people.username),
    "personsnake": ("person", ordinary.person_snake),
    "city": ("place", places.city),
    "country": ("place", places.country),
    "state": ("place", places.state),
    "place": ("place", places.place),
    "street": ("address", places.street),
    "address": ("address", places.address),
    "zip": ("address", places.postcode),
    "citywithzip": ("address", places.postcode_city),
    "org": ("organisation", places.organisation),
    "date": ("date", _dated(dates.date)),
    "datetime": ("date", _dated(dates.moment)),
    "isotime": ("date", _drawn(dates.machine)),
    "monthyear": ("date", _dated(dates.month)),
    "phone": ("phone", _phone),
    "email": ("email", people.email),
    "card": ("card", _drawn(formats.card)),
    "iban": ("iban", _iban),
    "url": ("url", people.url),
    "ip": ("ip", _drawn(formats.ip)),
    "ssn": ("id", _drawn(formats.ssn)),
    "passport": ("id", _listed("passports")),
    "licence": ("id", _listed("licences")),
    "nationalid": ("id", _national),
    "memberid": ("id", _listed("members")),
    "nhs": ("id", _listed("nhs_numbers")),
    "plate": ("id", _listed("plates")),
    "sortcode": ("id", _listed("sort_codes")),
    "account": ("id", _listed("account_numbers")),
    "routing": ("id", _listed("routing_numbers")),
    "word": (None, ordinary.word),
    "noun": (None, ordinary.noun),
    "nouns": (None, ordinary.nouns),
    "verb": (None, ordinary.verb),
    "doing": (None, ordinary.doing),
    "adj": (None, ordinary.adjective),
    "real": (None, lambda source, language, bound: source.text(language)),
    "gloss": (None, lambda source, language, bound: source.text(DEFINITIONS)),
    "words": (None, ordinary.phrase),
    "snake": (None, ordinary.snake),
    "kebab": (None, ordinary.kebab),
    "camel": (None, ordinary.camel),
    "upper": (None, ordinary.upper),
    "code": (None, ordinary.code),
}
"""Kind and source by the name of the slot."""
