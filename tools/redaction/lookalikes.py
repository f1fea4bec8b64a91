"""Values that are nobody's: amounts, order numbers, versions, times, things."""

from __future__ import annotations

import random
from collections.abc import Callable

from tools.redaction import formats
from tools.redaction.words import listed

Draw = Callable[[random.Random], str]


def _of(name: str) -> Draw:
    return lambda rng: rng.choice(listed(name))


def _form(*among: str) -> Draw:
    return lambda rng: formats.filled(rng.choice(among), rng)


def _amount(rng: random.Random) -> str:
    whole, cents = rng.randint(1, rng.choice((99, 999, 9999))), rng.randint(0, 99)
    number = rng.choice((f"{whole}", f"{whole}.{cents:02d}", f"{whole},{cents:02d}", f"{whole},{cents:03d}.00", f"{whole % 10}.5 million"))
    before, after = ("$", "€", "£", "₹", "USD ", "CHF "), (" EUR", " €", " dollars", " kr", " pounds")
    return rng.choice((*(f"{sign}{number}" for sign in before), *(f"{number}{sign}" for sign in after)))


def _number(rng: random.Random) -> str:
    return str(rng.randint(1, rng.choice((9, 30, 99, 500, 9999))))


def _time(rng: random.Random) -> str:
    hour, minute, half = rng.randint(0, 23), rng.randint(0, 59), rng.choice(("am", "pm", "AM", "p.m."))
    early = rng.randint(1, 12)
    return rng.choice(
        (f"{hour:02d}:{minute:02d}", f"{early} {half}", f"{early}:{rng.choice(('00', '15', '30'))}{half}", "noon", "half past nine")
    )


def _version(rng: random.Random) -> str:
    a, b, c = rng.randint(1, 20), rng.randint(0, 20), rng.randint(0, 30)
    return rng.choice((f"{a}.{b}", f"v{a}.{b}.{c}", f"{a}.{b}.{c}", f"{a}.{b}.{c}.{b}", f"{a}.{b}.{c}-rc{rng.randint(1, 4)}"))


def _error(rng: random.Random) -> str:
    return rng.choice((f"0x{rng.randrange(2**32):08x}", f"E{rng.randint(10, 9999)}", rng.choice(("404", "500", "502", "403", "137", "1"))))


def _duration(rng: random.Random) -> str:
    units = ("days", "weeks", "hours", "months", "minutes", "years")
    return f"{rng.choice(('two', '3', '10', 'a few', 'six', '24'))} {rng.choice(units)}"


LOOKALIKES: dict[str, Draw] = {
    "amount": _amount,
    "order": _form(*listed("orders")),
    "tracking": _form(*listed("tracking")),
    "number": _number,
    "time": _time,
    "age": lambda rng: str(rng.randint(1, 97)),
    "year": lambda rng: str(rng.randint(1930, 2026)),
    "percent": lambda rng: f"{rng.randint(1, 99)}{rng.choice((' %', '%', ' percent'))}",
    "quantity": _of("quantities"),
    "four": _form("####"),
    "cvv": _form("###"),
    "expiry": lambda rng: f"{rng.randint(1, 12):02d}/{rng.randint(24, 32)}",
    "bic": _form("@@@@@@@#", "@@@@@@##", "@@@@@@@@###"),
    "duration": _duration,
    "weekday": _of("weekdays"),
    "month": _of("months"),
    "product": _of("products"),
    "model": _of("models"),
    "software": _of("software"),
    "job": _of("jobs"),
    "nationality": _of("nationalities"),
    "language": _of("languages"),
    "thing": _of("things"),
    "host": _of("hosts"),
    "famous": _of("famous"),
    "artist": _of("artist"),
    "work": _of("work"),
    "dish": _of("dish"),
    "brand": _of("brand"),
    "title": _of("titles"),
    "pronoun": _of("pronouns"),
    "size": _of("sizes"),
    "version": _version,
    "errorcode": _error,
    "flight": _form("@@###", "@@ ####", "@@ ###"),
    "seat": lambda rng: f"{rng.randint(1, 40)}{rng.choice('ABCDEF')}",
}
"""By the name of their slot."""
