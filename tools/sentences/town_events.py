"""Makes sentences of dispatchers and drivers, with the event that they tell: `python -m tools.sentences.town_events FILE`.

They teach the recipe `events`. Its test, `events_test.jsonl`, is written by hand, with other streets, vans and customers.
"""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Sequence
from typing import Any

from smidgen.text import durations, numbers
from tools.sentences.phrases import (
    Marked,
    Words,
    chosen,
    count,
    joined,
    made_rows,
    marked,
    material,
    said,
    stretch,
    text_of,
    times,
    two_times,
    values_of,
    whole,
    write_rows,
    written,
)

_SAID = material(__file__)
FIRST, SAINTS, FOREIGN_NAMES = _SAID["first"], _SAID["saints"], _SAID["foreign_names"]
SURNAMES, FORENAMES = _SAID["surnames"], _SAID["forenames"]
SEED, ROWS = 11, 6_000
FIELDS = ("kind", "streets", "van", "stop", "begins", "ends", "minutes", "load")
SLOTS = {
    "bare": "minutes",
    "street": "streets",
    "begins": "begins",
    "ends": "ends",
    "minutes": "minutes",
    "load": "load",
    "stop": "stop",
    "van": "van",
    "lasts": "ends",
}


def _named(rng: random.Random, kind: str) -> str:
    """A name of a street, a van or a stop."""
    weights, phrases = zip(*(one.split(" ", 1) for one in _SAID["names"][kind]), strict=True)
    phrase = chosen(rng, rng.choices(phrases, [int(weight) for weight in weights])[0])
    return text_of(marked(rng, phrase, _PIECES, {}))


def street(rng: random.Random) -> str:
    """A street in some writing."""
    return _named(rng, "street")


def van(rng: random.Random) -> str:
    """A van by number, plate, colour, make, driver or name."""
    return _named(rng, "van")


def stop(rng: random.Random) -> str:
    """A customer: a person, a shop, a house."""
    return _named(rng, "stop")


def _type(rng: random.Random) -> str:
    return str(rng.choice(rng.choice(_SAID["types"][:4] if rng.random() < 0.5 else _SAID["types"])))


def _ordinal(rng: random.Random) -> str:
    number = rng.randint(1, 150)
    return f"{number}{'th' if 10 < number % 100 < 14 else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def _road(rng: random.Random) -> str:
    return str(rng.choice((rng.randint(1, 99), rng.randint(100, 999), rng.randint(1000, 9999))))


def _plate(rng: random.Random) -> str:
    """A number plate of one of some countries."""
    letters = "".join(rng.choice("ABCDEFGHJKLMNOPRSTUVWXY") for _ in range(5))
    digits, year, state = (
        f"{rng.randint(0, 9999):04d}",
        rng.choice((18, 19, 21, 22, 23, 70, 71, 73)),
        rng.choice(("KA", "MH", "DL", "TN", "UP")),
    )
    forms = (
        f"{letters[:2]}{year} {letters[2:]}",
        f"{letters[:2]}{year}{letters[2:]}",
        f"{state} {rng.randint(1, 50):02d} {letters[:2]} {digits}",
    )
    return rng.choice((*forms, f"{letters[0]}-{letters[1:3]} {digits[:3]}", f"{letters[:3]} {digits}", f"{letters[:3]}-{digits}"))


def _from(name: str) -> Words:
    return lambda rng: str(rng.choice(_SAID[name]))


_PIECES: dict[str, Words] = {
    "first": _from("first"), "surname": _from("surnames"), "forename": _from("forenames"), "saint": _from("saints"), "gate": _from("gates"),
    "before": _from("before"), "abroad": _from("foreign_names"), "shop": _from("shops"), "chain": _from("chains"), "make": _from("makes"),
    "colour": _from("colours"), "worded": _from("words"), "nato": _from("nato"), "type": _type, "ordinal": _ordinal, "road": _road,
    "plate": _plate, "word": lambda rng: str(rng.choice(FIRST)).split()[0], "letter": lambda rng: rng.choice("ABCDEFGHK"),
    "small": lambda rng: str(rng.choice((rng.randint(1, 12), rng.randint(1, 40)))), "kind": _from("kinds_of_van"),
    "foreign": lambda rng: rng.choice(_SAID["foreign"]).format(rng.choice(FOREIGN_NAMES)),
}  # fmt: skip


def _phrase(rng: random.Random, phrase: str) -> str:
    """A phrase with its parts, times and streets in place, and no alternatives left."""
    address = f"{rng.randint(1, 180)} {street(rng)}" if rng.random() < 0.6 else f"{street(rng)} {rng.randint(1, 180)}"
    phrase = chosen(rng, whole(phrase, _SAID["parts"]).replace("@address@", address))
    while "@when@" in phrase:
        phrase = phrase.replace("@when@", chosen(rng, rng.choice(_SAID["when"])) if rng.random() < 0.62 else "", 1)
    while "@streets@" in phrase:
        phrase = phrase.replace("@streets@", chosen(rng, rng.choice(_SAID["places"])) + rng.choice(_SAID["near"]), 1)
    for name, words in (("@fix@", _SAID["fix"]), ("@who@", FORENAMES)):
        while name in phrase:
            phrase = phrase.replace(name, rng.choice(words), 1)
    return chosen(rng, phrase.replace("\\+", "+"))


_WORDS_OF: dict[str, Words] = {
    "street": street, "van": van, "stop": stop, "begins": times, "ends": times, "minutes": stretch, "lasts": stretch, "load": count,
    "bare": lambda rng: str(rng.choice((5, 10, 15, 20, 25, 30, 40, 45, rng.randint(3, 60)))), "other": lambda rng: str(rng.randint(1, 12)),
    "elsewhere": street, "when": times, "ago": stretch,
}  # fmt: skip


def told(rng: random.Random, kind: str | None) -> Marked:
    """A sentence of a kind, with its values marked."""
    phrase = _phrase(rng, rng.choice(_SAID["kinds"][kind] if kind else _SAID["nothing"]))
    opening, ending = _phrase(rng, rng.choice(_SAID["openings"])), _phrase(rng, rng.choice(_SAID["endings"]))
    opening = opening + " " if opening else ""
    ending = f" {ending}" if ending[:1].isalpha() or ending[:1] == ":" else ending
    begins, ends = two_times(rng)
    slots = {**_WORDS_OF, "begins": lambda rng: begins, "ends": lambda rng: ends}
    pieces = marked(rng, opening + phrase + ending, slots, SLOTS if kind else {})
    pieces = [(_ARTICLE.sub("", words) if value.startswith(_OWNED) else words, field) for (words, field), (value, _) in _with_next(pieces)]
    return pieces if kind else [(text_of(pieces), "")]


_ARTICLE = re.compile(r"\bthe $", re.IGNORECASE)
_OWNED = ("my ", "our ", "Mr", "Ms", "Miss", "Dr", "number", "no.", "#")
"""Names that have no article before them; nor has one with a possessive."""


def _with_next(pieces: Marked) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    return list(zip(pieces, [*pieces[1:], ("", "")], strict=True))


def _with_aside(rng: random.Random, pieces: Marked) -> Marked:
    """A sentence of an event, with another one before or behind it that tells none."""
    about = next((name for name in ("van", "stop") for _, field in pieces if field == name), "street")
    aside = _phrase(rng, rng.choice(_SAID["asides"][about]))
    if rng.random() < 0.3:
        return [(aside + rng.choice((". ", ", ", ". ", " so ", ": ", " - ")), ""), *pieces]
    link = rng.choice((". ", ". ", ". ", ", ", " - ", "; ", " because ", ". Apparently ", " cos "))
    return [*pieces[:-1], (pieces[-1][0].rstrip(".!"), pieces[-1][1]), (link + aside + rng.choice(("", ".", ".", "!")), "")]


def row(rng: random.Random) -> dict[str, Any]:
    """One sentence and its event."""
    share = rng.random()
    kind: str | None = None
    if share < 0.76:
        kind = rng.choice(list(_SAID["kinds"]))
        pieces = told(rng, kind)
        if rng.random() < 0.16:
            pieces = _with_aside(rng, pieces)
    elif share < 0.91:
        pieces = told(rng, None)
    else:
        kinds = [rng.choice(list(_SAID["kinds"])) for _ in range(rng.choice((2, 2, 2, 3)))]
        pieces = joined(rng, [told(rng, one) for one in kinds], _SAID["links"])
    return labelled(written(rng, pieces), kind)


def labelled(pieces: Marked, kind: str | None) -> dict[str, Any]:
    """A sentence with its event."""
    found = values_of(pieces)
    event: dict[str, Any] = {"kind": kind, "streets": found.get("streets", [])}
    event |= {name: found.get(name, [None])[0] for name in ("van", "stop", "begins", "ends")}
    event["minutes"] = _minutes(found["minutes"][0]) if "minutes" in found else None
    event["load"] = numbers.read(found["load"][0]) if "load" in found else None
    return {"text": text_of(pieces), "event": said(event)}


def _minutes(words: str) -> int | None:
    seconds = durations.read(words)
    found = numbers.read(words) if seconds is None else seconds // 60
    return None if found is None else int(found)


def main(arguments: Sequence[str]) -> int:
    """Write the sentences, each once."""
    write_rows(arguments[0], made_rows(SEED, ROWS, row))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
