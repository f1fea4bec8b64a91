"""Makes sentences that change a plan of orders, with what they mean: `python -m tools.sentences.shop_changes FILE`.

They teach the recipe `stock-changes`. Its test, `stock_changes_test.jsonl`, is written by hand, with other items, suppliers and wordings.
"""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Sequence
from typing import Any

from smidgen.text import numbers
from tools.sentences.phrases import (
    COUNTS,
    Marked,
    Words,
    chosen,
    joined,
    made_rows,
    marked,
    material,
    said,
    text_of,
    values_of,
    whole,
    write_rows,
    written,
)
from tools.sentences.town_events import FIRST, FOREIGN_NAMES, FORENAMES, SURNAMES

_SAID = material(__file__)
SEED, ROWS = 5, 4_000
FIELDS = ("kind", "item", "supplier", "takes", "quantity", "day", "first", "last", "percent")
TEXTS = ("item", "supplier", "takes", "day", "first", "last")


def item(rng: random.Random) -> str:
    """An item by its name, what it is, or its code."""
    form, look, thing = rng.random(), rng.choice(_SAID["looks"]), rng.choice(_SAID["things"])
    if form < 0.14:
        return _code(rng)
    if form < 0.28:
        return str(rng.choice(_SAID["short"]))
    if form < 0.36:
        return str(rng.choice((thing, f"{thing}s"))).lower()
    if form < 0.5:
        return rng.choice((f"{look} {thing}", f"{look} {thing}s")).lower()
    if form < 0.58:
        return f"{look} {thing} {rng.choice(_SAID['sizes'])}"
    if form < 0.68:
        return f"{rng.choice((*FIRST, *FOREIGN_NAMES)).split()[0]} {thing}"
    if form < 0.74:
        return f"{rng.choice(FIRST).split()[0]} {look} {thing}"
    if form < 0.78:
        surname = rng.choice(SURNAMES)
        return surname + rng.choice(("'s", "")) + f" {thing}"
    if form < 0.82:
        one, other = rng.choice(_SAID["looks"]), rng.choice(_SAID["looks"])
        return f"{one} and {other} {thing}"
    return rng.choice((f"{look} {thing}", f"{look} {thing}", f"{look} {thing}s"))


def _code(rng: random.Random) -> str:
    letters = "".join(rng.choice("ABCDEFGHJKLMNPRSTUVWX") for _ in range(3))
    digits = f"{rng.randint(0, 9999):04d}"
    forms = (f"{letters[:2]}-{digits[:3]}", f"{letters[:2]}{digits}", f"{letters}-{digits}", f"{letters[:2]}-{digits[:1]}")
    forms = (*forms, f"{letters[0]}{digits[:3]}", f"SKU {digits}", f"{digits}-{letters[:2]}", f"#{digits}")
    return rng.choice((*forms, f"{letters[:2]}-{digits[:2]}-{letters[2]}", f"item {digits}"))


def supplier(rng: random.Random) -> str:
    """A supplier by its name or its trade."""
    form, surname = rng.random(), rng.choice(SURNAMES)
    if form < 0.14:
        return f"{surname} {rng.choice(_SAID['companies'])}"
    if form < 0.26:
        return str(surname) if form < 0.2 else rng.choice(FIRST).split()[0] + rng.choice(_SAID["name_ends"])
    if form < 0.36:
        return f"{surname} {rng.choice(_SAID['trades'])}"
    if form < 0.5:
        return str(rng.choice(_SAID["makers"]))
    if form < 0.55:
        trade = rng.choice(_SAID["trades"])
        return f"{trade} {rng.choice(_SAID['trade_ends'])}"
    if form < 0.6:
        forename = rng.choice(FORENAMES)
        return f"{forename}'s {rng.choice(_SAID['trades'])}"
    first = rng.choice(FIRST)
    return f"{first} {rng.choice(_SAID['trades'])}"


def day(rng: random.Random) -> str:
    """A day in some writing."""
    return _written_day(rng, rng.randint(1, 28), rng.randrange(12), rng.choice(_DAY_STYLES))


_DAY_STYLES = ("named", "named", "short", "digits", "weekday", "weekday", "near")


def _written_day(rng: random.Random, number: int, month: int, style: str) -> str:
    """A day in one way of writing."""
    name, short, year, weekday = _SAID["months"][month], _SAID["months"][month][:3], rng.choice((2026, 2027)), rng.choice(_SAID["weekdays"])
    nth = f"{number}{'th' if 10 < number < 14 else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"
    if style == "named":
        forms = (
            f"{number} {name}",
            f"{number} {name}",
            f"{number} {name} {year}",
            f"the {nth} of {name}",
            f"{name} {number}",
            f"{name} {nth}",
        )
        return str(rng.choice((*forms, f"{nth} {name}", f"{nth} of {name}", f"{weekday} {number} {name}", f"the {nth}")))
    if style == "short":
        return str(rng.choice((f"{number} {short}", f"{short} {number}", f"{nth} {short}", f"{number} {short}", f"{number}-{short}")))
    if style == "digits":
        forms = (
            f"{year}-{month + 1:02d}-{number:02d}",
            f"{number:02d}/{month + 1:02d}/{year}",
            f"{number}/{month + 1}",
            f"{number}.{month + 1}.",
        )
        return rng.choice((*forms, f"{number}.{month + 1}.{year}", f"{number:02d}.{month + 1:02d}.", f"{number}/{month + 1}/{year % 100}"))
    if style == "weekday":
        forms = (
            weekday,
            weekday,
            weekday,
            f"next {weekday}",
            f"this {weekday}",
            f"{weekday} week",
            f"next {weekday}",
            f"{weekday} the {nth}",
        )
        return str(rng.choice((*forms, weekday.lower(), weekday[:3])))
    count = f"in {rng.choice(('two', 'three', '2', '4', 'six'))} {rng.choice(('weeks', 'days'))}"
    return str(rng.choice(("tomorrow", "tomorrow", "the day after tomorrow", "today", count, *_SAID["in_days"])))


def _ranges(rng: random.Random) -> tuple[str, str]:
    number, month, length = rng.randint(1, 19), rng.randrange(12), rng.randint(1, 9)
    name, form, style = _SAID["months"][month], rng.random(), rng.choice(_DAY_STYLES[:-1])
    if form < 0.2:
        return str(number), _written_day(rng, number + length, month, rng.choice(("named", "short")))
    if form < 0.3:
        return f"{name} {number}", rng.choice((str(number + length), f"{name} {number + length}"))
    state = rng.getstate()
    first = _written_day(rng, number, month, style)
    if style != "weekday" and rng.random() < 0.8:
        after = rng.getstate()
        rng.setstate(state)  # the same form for both days
        last = _written_day(rng, number + length, month, style)
        rng.setstate(after)
        return first, last
    return first, _written_day(rng, number + length, month, rng.choice((style, style, rng.choice(_DAY_STYLES))))


def takes(rng: random.Random) -> str:
    """A lead time."""
    number = rng.choice((rng.randint(2, 12), rng.randint(5, 60)))
    word = rng.choice(COUNTS[1:12])
    days = f"{number} days"
    forms = [days, days, f"{number} weeks" if number < 13 else days, f"{word} days", f"{word} weeks", f"{word} weeks", *_SAID["some_takes"]]
    forms += [f"{rng.randint(2, 15)} working days", f"{rng.randint(2, 10)} wks", f"{rng.randint(2, 20)} business days"]
    if rng.random() < 0.2:
        forms += ["two and a half weeks", f"{rng.randint(2, 4)} to {rng.randint(5, 8)} weeks", f"{number}d"]
    return rng.choice(forms)


def quantity(rng: random.Random) -> str:
    """How many."""
    number = rng.choice((rng.randint(1, 30), rng.randint(10, 400), rng.choice((0, 0, 50, 100, 150, 200, 250, 500, 1000, 1200, 2400))))
    return rng.choice(
        (
            str(number),
            str(number),
            str(number),
            str(number),
            rng.choice(COUNTS),
            f"{number:,}",
            "a dozen" if rng.random() < 0.3 else "60",
            "two dozen" if rng.random() < 0.3 else "24",
            "a hundred" if rng.random() < 0.4 else "100",
        )
    )


def percent(rng: random.Random) -> str:
    """How much more, in percent."""
    number = rng.choice((10, 15, 20, 25, 30, 35, 40, 50, 60, 75, 80, 100, 120, 150, 200))
    words = {10: "ten", 20: "twenty", 30: "thirty", 50: "fifty", 100: "a hundred", 40: "forty"}
    return words[number] if number in words and rng.random() < 0.2 else str(number)


_SLOTS: dict[str, Words] = {
    "item": item,
    "supplier": supplier,
    "takes": takes,
    "quantity": quantity,
    "day": day,
    "last": day,
    "percent": percent,
}
_FIELDS = {name: name for name in FIELDS}


def told(rng: random.Random, kind: str | None) -> Marked:
    """A sentence of a kind, with its values marked."""
    phrase = whole(rng.choice(_SAID["kinds"][kind] if kind else _SAID["nothing"]).replace("{expects}", "@expects@"), _SAID["parts"])
    phrase = (
        rng.choice(_SAID["openings"])
        + chosen(rng, phrase.replace("\\(", "[").replace("\\)", "]")).replace("\\+", "+").replace("[", "(").replace("]", ")")
        + rng.choice(_SAID["endings"])
    )
    while "@who@" in phrase:
        phrase = phrase.replace("@who@", rng.choice(FORENAMES), 1)
    phrase = re.sub(r"\b(the|our) (?=\{(?:item|supplier)\})", lambda match: match.group() if rng.random() < 0.8 else "", phrase)
    first, last = _ranges(rng)
    slots = _SLOTS if "{first}" not in phrase else {**_SLOTS, "first": lambda rng: first, "last": lambda rng: last}
    pieces = marked(rng, phrase, slots, _FIELDS if kind else {})
    return pieces if kind else [(text_of(pieces), "")]


def row(rng: random.Random) -> dict[str, Any]:
    """One sentence and what it means."""
    share = rng.random()
    kind: str | None = None
    if share < 0.82:
        kind = rng.choice(list(_SAID["kinds"]))
        pieces = told(rng, kind)
    elif share < 0.955:
        pieces = told(rng, None)
    else:
        pieces = joined(rng, [told(rng, rng.choice(list(_SAID["kinds"]))) for _ in range(2)], _SAID["links"])
    return labelled(written(rng, pieces), kind)


def labelled(pieces: Marked, kind: str | None) -> dict[str, Any]:
    """A sentence with what it means."""
    found = values_of(pieces)
    change: dict[str, Any] = {"kind": kind}
    for name in FIELDS[1:]:
        words = found.get(name, [None])[0]
        change[name] = words if name in TEXTS or words is None else numbers.read(words)
    return {"text": text_of(pieces), "change": said(change)}


def main(arguments: Sequence[str]) -> int:
    """Write the sentences, each once."""
    write_rows(arguments[0], made_rows(SEED, ROWS, row))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
