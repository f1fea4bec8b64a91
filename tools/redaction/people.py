"""People as they are named, and what is theirs on the net."""

from __future__ import annotations

import random
import re
import unicodedata

from tools.redaction.sources import Source
from tools.redaction.words import listed


def name(source: Source, language: str, bound: str) -> str:
    """A person in one of the ways that people are named; titles are no part of it."""
    person, rng = source.person(language, bound), source.rng
    first, last, way = person.first, person.last, rng.random()
    if way < 0.60:
        return f"{first} {last}"
    if way < 0.66:
        return f"{first} {rng.choice('ABCDEFGHJKLMNPRSTW')}{rng.choice(('.', '.', ''))} {last}"
    if way < 0.70:
        return f"{first[0]}. {last}" if rng.random() < 0.8 else f"{first[0]}.{rng.choice('ABCJMP')}. {last}"
    if way < 0.74:
        return f"{last}, {first}"
    if way < 0.78:
        return f"{first}{rng.choice('  -')}{source.mine(source.fake(person.locale).first_name)} {last}"
    if way < 0.82:
        return f"{first} {last}{rng.choice('- -')}{source.mine(source.fake(person.locale).last_name)}"
    if way < 0.84:
        return f"{first} {last}{rng.choice((' Jr.', ' Sr.', ' III', ' II', ', Jr.'))}"
    if way < 0.86:
        return f"{first} {last[0]}."
    return first if way < 0.96 else last


def first(source: Source, language: str, bound: str) -> str:
    """A first name."""
    return source.person(language, bound).first


def last(source: Source, language: str, bound: str) -> str:
    """A last name."""
    return source.person(language, bound).last


def last_first(source: Source, language: str, bound: str) -> str:
    """As lists have it."""
    person = source.person(language, bound)
    return f"{person.last}, {person.first}"


def username(source: Source, language: str, bound: str) -> str:
    """As machines know them."""
    person = source.person(language, bound)
    return f"{plain(person.first)[:1]}{plain(person.last)}" or "user"


def email(source: Source, language: str, bound: str) -> str:
    """A mail address, mostly made of the person's name."""
    person, rng = source.person(language, bound), source.rng
    first_name, last_name = plain(person.first) or "me", plain(person.last) or "mail"
    sign = rng.choice((".", ".", "_", "-", ""))
    users = (
        f"{first_name}{sign}{last_name}",
        f"{first_name[:1]}{sign}{last_name}",
        f"{first_name}{rng.randint(1, 99)}",
        f"{last_name}{sign}{first_name[:1]}",
        first_name,
        f"{first_name}{sign}{last_name}{rng.randint(1, 1999)}",
        source.pick("offices"),
        made_up(rng),
        f"{first_name}+{made_up(rng)}",
    )
    address, way = f"{rng.choice(users)}@{domain(source)}", rng.random()
    return address.upper() if way < 0.03 else address.title() if way < 0.06 else address


def domain(source: Source) -> str:
    """A name on the net."""
    rng = source.rng
    if rng.random() < 0.4:
        return source.pick("mail_hosts")
    family = plain(source.mine(source.fake(source.locale("")).last_name))
    stem = rng.choice((made_up(rng), family, f"{made_up(rng)}-{made_up(rng)}", source.pick("products").replace(" ", "")))
    below = "" if rng.random() < 0.85 else rng.choice(("mail.", "my.", "www2."))
    return f"{below}{stem or 'site'}.{source.pick('domain_ends')}"


def url(source: Source, language: str, bound: str) -> str:
    """The address of a page, or of a site."""
    rng, site = source.rng, domain(source)
    way = rng.random()
    if way < 0.25:
        return site
    if way < 0.5:
        return f"www.{site}" + (f"/{made_up(rng)}" if rng.random() < 0.3 else "")
    path = "/".join(made_up(rng) for _ in range(rng.randint(0, 3)))
    query = f"?{made_up(rng)}={rng.randint(1, 9999)}" if rng.random() < 0.2 else rng.choice(("", "", "/", ".html"))
    return f"{rng.choice(('https://', 'https://', 'http://'))}{rng.choice(('www.', ''))}{site}/{path}{query}"


def made_up(rng: random.Random) -> str:
    """A word that is none."""
    return "".join(rng.choice(listed("syllables")) for _ in range(rng.randint(2, 3)))


def plain(text: str) -> str:
    """Small letters and digits alone, as addresses have them."""
    spread = unicodedata.normalize("NFKD", text.casefold().replace("ø", "o").replace("ł", "l").replace("ß", "ss").replace("æ", "ae"))
    return re.sub(r"[^a-z0-9]", "", spread)
