"""Where values come from: a source of randomness, Faker in many locales, and which names and places a side may use."""

from __future__ import annotations

import functools
import random
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from faker import Faker

from tools.redaction.words import listed

ENGLISH = ("en_US", "en_GB", "en_AU", "en_CA", "en_IE", "en_NZ", "en_IN")
_FOREIGN = """de_DE de_AT de_CH fr_FR fr_CH fr_CA es_ES es_MX es_CO it_IT nl_NL nl_BE pt_PT pt_BR sv_SE da_DK no_NO fi_FI pl_PL cs_CZ sk_SK
hu_HU ro_RO hr_HR sl_SI tr_TR vi_VN id_ID lt_LT et_EE zu_ZA"""
LOCALES: dict[str, tuple[str, ...]] = {
    "": (*("en_US",) * 12, *("en_GB",) * 6, "en_AU", "en_CA", *("en_IN",) * 3, "en_IE", "en_NZ", "en_PK", *_FOREIGN.split()),
    "de": ("de_DE", "de_DE", "de_AT", "de_CH"),
    "fr": ("fr_FR", "fr_FR", "fr_CH", "fr_CA"),
    "es": ("es_ES", "es_ES", "es_MX", "es_CO"),
    "it": ("it_IT",),
    "nl": ("nl_NL", "nl_BE"),
    "pt": ("pt_PT", "pt_BR"),
    "se": ("sv_SE",),
    "pl": ("pl_PL",),
    "tr": ("tr_TR",),
}
"""Locales by language; those of all come as often as they stand here."""

HELD = 6
"""One name, town or company in so many is kept for the rows that choices are made on."""


@dataclass(frozen=True, slots=True)
class Person:
    """A first and a last name that belong together, and the locale that they are of."""

    first: str
    last: str
    locale: str


class Source:
    """Draws values. All follows from `rng`; `dev` says which of the names, places and texts it may use."""

    def __init__(self, rng: random.Random, dev: bool, texts: Mapping[str, Sequence[str]]) -> None:
        self.rng, self.dev, self.texts = rng, dev, texts
        self.people: dict[str, Person] = {}

    def begin(self) -> None:
        """A new text: nobody is known in it."""
        self.people = {}

    def person(self, language: str, bound: str) -> Person:
        """The person of a name in this text; a new one where none is named or known."""
        if bound and bound in self.people:
            return self.people[bound]
        locale, way = self.locale(language), self.rng.random()
        fake = self.fake(locale)
        first = self.mine(fake.first_name if language or way > 0.12 else lambda: self.pick("first"))
        last = self.mine(fake.last_name if language or way > 0.17 else lambda: self.pick("last"))
        made = Person(first, last, locale)
        if bound:
            self.people[bound] = made
        return made

    def locale(self, language: str) -> str:
        """One of a language's locales, or of all."""
        return self.rng.choice(LOCALES[language])

    def fake(self, locale: str) -> Any:
        """Faker of a locale, drawing from this source of randomness."""
        fake = _faker(locale)
        fake.seed_instance(self.rng.getrandbits(32))
        return fake

    def pick(self, name: str) -> str:
        """One entry of a list."""
        return self.rng.choice(listed(name))

    def text(self, key: str) -> str:
        """One of the real texts of a language, or of WordNet's, mostly with a capital at its beginning. Raises KeyError without any."""
        among = self.texts[key]
        text = self.mine(lambda: self.rng.choice(among))
        return text[:1].upper() + text[1:] if self.rng.random() < 0.6 else text

    def mine(self, draw: Callable[[], str]) -> str:
        """A value that this side may use. Where there is none to be had, any."""
        value = draw()
        for _ in range(30):
            if (zlib.crc32(value.casefold().encode()) % HELD == 0) == self.dev:
                break
            value = draw()
        return value.strip()


def names_of(locale: str) -> set[str]:
    """All first and last names that Faker has for a locale. Raises StopIteration where it has none."""
    provider = next(some for some in _faker(locale).factories[0].providers if some.__provider__ == "faker.providers.person")
    kinds = ("first_names", "first_names_male", "first_names_female", "first_names_nonbinary", "last_names")
    return {str(name) for kind in kinds for name in getattr(provider, kind, ())}


@functools.cache
def names() -> frozenset[str]:
    """All names in small letters: of Faker in every locale, and of our own lists."""
    own = (entry for name in ("first", "last", "cities", "regions", "countries", "companies") for entry in listed(name))
    fakers = (entry for locale in sorted({locale for some in LOCALES.values() for locale in some}) for entry in names_of(locale))
    return frozenset(entry.casefold() for entry in (*own, *fakers))


@functools.cache
def _faker(locale: str) -> Any:
    """Faker of a locale. The cities of some are made from a set, whose order is another in every process: they are put in order."""
    fake = Faker(locale)
    for provider in fake.factories[0].providers:
        if isinstance(getattr(provider, "cities", None), list):
            provider.cities = sorted(provider.cities)
    return fake
