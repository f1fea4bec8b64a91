"""Ordinary words, which are nobody's: English ones from the package `wonderwords` (MIT), others from Faker, less every word that is also a
name.

The lists are split by side like names are, so that the development rows show words that the model has not learnt from.
"""

from __future__ import annotations

import functools
import importlib
import random
import re
from importlib.resources import files
from typing import Any

from tools.redaction import people
from tools.redaction.sources import LOCALES, Source, names

_VOWELS = "aeiou"


def word(source: Source, language: str, bound: str) -> str:
    """Any word of a language, as Faker lists them; German ones begin with a capital half of the time, as nouns do."""
    text = source.mine(lambda: source.rng.choice(_abroad(language)))
    return text.capitalize() if language == "de" and source.rng.random() < 0.5 else text


def noun(source: Source, language: str, bound: str) -> str:
    """A thing, an animal, an idea."""
    return _of(source, "nounlist")


def nouns(source: Source, language: str, bound: str) -> str:
    """Several of them."""
    word = _of(source, "nounlist")
    if word.endswith(("s", "x", "ch", "sh")):
        return f"{word}es"
    return f"{word[:-1]}ies" if word.endswith("y") and word[-2:-1] not in _VOWELS else f"{word}s"


def verb(source: Source, language: str, bound: str) -> str:
    """What one does."""
    return _of(source, "verblist")


def doing(source: Source, language: str, bound: str) -> str:
    """What one is at."""
    word = _of(source, "verblist")
    return f"{word[:-1]}ing" if word.endswith("e") and not word.endswith("ee") else f"{word}ing"


def adjective(source: Source, language: str, bound: str) -> str:
    """How something is."""
    return _of(source, "adjectivelist")


def phrase(source: Source, language: str, bound: str) -> str:
    """A label of some words, in one of the ways that labels are written."""
    words = " ".join(_words(source))
    return source.rng.choice((words, words, words.title(), words.capitalize(), words.replace(" ", " & ", 1), words.upper()))


def snake(source: Source, language: str, bound: str) -> str:
    """A name with underscores."""
    return "_".join(_words(source)) + _number(source.rng, "_")


def kebab(source: Source, language: str, bound: str) -> str:
    """A name with hyphens."""
    return "-".join(_words(source)) + _number(source.rng, "-")


def camel(source: Source, language: str, bound: str) -> str:
    """A name with a capital for each word."""
    words = "".join(word.title() for word in _words(source))
    return words[:1].lower() + words[1:] if source.rng.random() < 0.6 else words


def upper(source: Source, language: str, bound: str) -> str:
    """A constant."""
    return "_".join(_words(source)).upper()


def code(source: Source, language: str, bound: str) -> str:
    """A code of letters and digits without a check digit."""
    rng = source.rng
    letters = "".join(rng.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(rng.randint(1, 4)))
    digits = str(rng.randint(1, 10 ** rng.randint(2, 5)))
    return rng.choice((f"{letters}{digits}", f"{letters}-{digits}", f"{digits}{letters}", f"{letters}-{digits}-{letters[:2]}"))


def person_snake(source: Source, language: str, bound: str) -> str:
    """A person's name as files and users have it."""
    person = source.person(language, bound)
    sign = source.rng.choice("___.-")
    return f"{people.plain(person.first) or 'jan'}{sign}{people.plain(person.last) or 'meyer'}"


def _words(source: Source) -> list[str]:
    """Two to four words as labels have them: without blanks, hyphens and accents."""
    rng, drawn = source.rng, []
    for _ in range(rng.choice((1, 2, 2, 2, 3, 3, 4))):
        drawn.append(_of(source, rng.choice(("nounlist", "nounlist", "nounlist", "verblist", "adjectivelist"))))
        if rng.random() < 0.15:
            drawn.append(rng.choice(("not", "to", "my", "of", "by", "no", "in", "for", "and", "with", "how")))
    return re.findall(r"[a-z]+", " ".join(drawn).lower())[:5] or ["other"]


def _number(rng: random.Random, sign: str) -> str:
    return f"{sign}{rng.randint(1, 20)}" if rng.random() < 0.08 else ""


def _of(source: Source, name: str) -> str:
    return source.mine(lambda: source.rng.choice(_list(name)))


@functools.cache
def _abroad(language: str) -> tuple[str, ...]:
    """Faker's words of a language, of three letters and more, without names."""
    provider: Any = importlib.import_module(f"faker.providers.lorem.{LOCALES[language][0]}").Provider
    return tuple(word for word in provider.word_list if len(word) > 2 and word.casefold() not in names())


@functools.cache
def _list(name: str) -> tuple[str, ...]:
    """A list without words that are names of people, towns, countries or companies."""
    text = (files("wonderwords") / "assets" / f"{name}.txt").read_text(encoding="utf-8")
    taken = names()
    return tuple(word for word in dict.fromkeys(text.split("\n")) if len(word) > 1 and word.casefold() not in taken)
