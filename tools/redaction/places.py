"""Places, addresses and organisations."""

from __future__ import annotations

import re

from tools.redaction.people import made_up
from tools.redaction.sources import ENGLISH, Source


def city(source: Source, language: str, bound: str) -> str:
    """A town: mostly a real one."""
    rng, locale = source.rng, source.locale(language)
    if not language and rng.random() < (0.7 if locale in ENGLISH else 0.4):
        return source.mine(lambda: source.pick("cities"))
    return source.mine(source.fake(locale).city)


def country(source: Source, language: str, bound: str) -> str:
    """A country as it is called in English."""
    if source.rng.random() < 0.7:
        return source.mine(lambda: source.pick("countries"))
    return source.mine(source.fake("en_US").country)


def state(source: Source, language: str, bound: str) -> str:
    """A state or another part of a country."""
    way = source.rng.random()
    if way < 0.5:
        return source.mine(source.fake("en_US").state)
    return str(source.fake("en_US").state_abbr()) if way < 0.62 else source.mine(lambda: source.pick("regions"))


def place(source: Source, language: str, bound: str) -> str:
    """A town, a country or a part of one."""
    return source.rng.choice((city, city, city, country, country, state))(source, language, bound)


def street(source: Source, language: str, bound: str) -> str:
    """A street with a number, or a box."""
    rng, locale = source.rng, source.locale(language)
    fake = source.fake(locale)
    if locale not in ENGLISH:
        return str(fake.street_address()).replace("\n", ", ")
    number = f"{rng.randint(1, rng.choice((99, 999, 9999)))}{rng.choice(('', '', '', '', '', 'A', 'b', '-12', '/2'))}"
    line = f"{number} {source.mine(fake.street_name)}"
    door = rng.choice((str(rng.randint(1, 999)), rng.choice("ABCDEF"), f"{rng.randint(1, 20)}{rng.choice('ABC')}"))
    unit, way = f"{source.pick('units')} {door}".replace("# ", "#"), rng.random()
    if way < 0.2:
        return f"{line}{rng.choice((', ', ' ', ', '))}{unit}"
    return f"{unit}, {line}" if way < 0.25 else f"P.O. Box {rng.randint(1, 9999)}" if way < 0.27 else line


def postcode(source: Source, language: str, bound: str) -> str:
    """A postcode."""
    return str(source.fake(source.locale(language)).postcode())


def postcode_city(source: Source, language: str, bound: str) -> str:
    """A postcode and a town."""
    return f"{postcode(source, language, '')} {city(source, language, '')}"


def address(source: Source, language: str, bound: str) -> str:
    """A whole address, on one line or several."""
    rng, locale = source.rng, source.locale(language)
    fake = source.fake(locale)
    lines = _english(source, locale) if locale in ENGLISH and rng.random() < 0.7 else str(fake.address()).split("\n")
    if rng.random() < 0.15:
        lines.append(country(source, "", ""))
    way = rng.random()
    return (", " if way < 0.6 else "\n" if way < 0.85 else " " if way < 0.95 else ",").join(lines)


def _english(source: Source, locale: str) -> list[str]:
    rng, fake = source.rng, source.fake(locale)
    lines, town, code = [street(source, "", "")], city(source, "", ""), str(fake.postcode())
    if rng.random() < 0.15:
        lines.append(str(fake.street_name()))
    if rng.random() < 0.12:
        return [*lines, town]
    if locale == "en_US":
        part = fake.state_abbr() if rng.random() < 0.7 else fake.state()
        return [*lines, f"{town}{',' if rng.random() < 0.85 else ''} {part} {code}"]
    if locale == "en_GB":
        return [*lines, town, code] if rng.random() < 0.7 else [*lines, f"{town} {code}"]
    return [*lines, f"{town} {code}"] if rng.random() < 0.7 else [*lines, town]


def organisation(source: Source, language: str, bound: str) -> str:
    """A company, an office, a school, a club, ..."""
    rng, way = source.rng, source.rng.random()
    fake = source.fake(source.locale(language))
    if way < 0.3:
        return source.mine(fake.company)
    if way < 0.5 and not language:
        return source.mine(lambda: source.pick("companies"))
    draws = {
        "city": lambda: city(source, language, ""),
        "country": lambda: country(source, "", ""),
        "first": lambda: source.mine(fake.first_name),
        "last": lambda: source.mine(fake.last_name),
    }
    if way < 0.68:
        return re.sub(r"\{(\w+)\}", lambda match: draws[match[1]](), source.pick("institutes"))
    letters = "".join(rng.choice("ABCDEFGHIKLMNOPRSTUVW") for _ in range(rng.randint(2, 4)))
    stem = rng.choice((made_up(rng).title(), letters, f"{made_up(rng).title()} {draws['last']()}", draws["last"](), draws["city"]()))
    noun, end = source.pick("org_nouns"), source.pick("org_ends")
    return stem + rng.choice((f" {noun}", f" {end}", f" {noun} {end}", ""))
