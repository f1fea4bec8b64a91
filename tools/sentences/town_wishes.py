"""Makes wishes for a trip, with what they mean: `python -m tools.sentences.town_wishes FILE`.

They teach the recipe `wishes`. Its test, `wishes_test.jsonl`, is written by hand, with other places and wordings.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from typing import Any

from smidgen.text import durations, numbers
from tools.sentences.phrases import (
    Marked,
    Words,
    chosen,
    made_rows,
    marked,
    material,
    said,
    text_of,
    times,
    two_times,
    values_of,
    write_rows,
    written,
)
from tools.sentences.town_events import FIRST, FOREIGN_NAMES, FORENAMES, SAINTS, SURNAMES

_SAID = material(__file__)
SEED, ROWS = 13, 3_800
LISTS = ("want", "avoid", "must", "skip")
WORDS = ("weekday", "begins", "ends", "lunch")


def place(rng: random.Random) -> str:
    """A place to see."""
    weights, phrases = zip(*(one.split(" ", 1) for one in _SAID["names"]), strict=True)
    phrase = chosen(rng, rng.choices(phrases, [int(weight) for weight in weights])[0])
    return text_of(marked(rng, phrase, _PIECES, {}))


def _from(words: Sequence[str]) -> Words:
    return lambda rng: str(rng.choice(words))


_PIECES: dict[str, Words] = {
    "first": _from(FIRST), "saint": _from(SAINTS), "surname": _from(SURNAMES), "abroad": _from(FOREIGN_NAMES),
    "place": _from(_SAID["places"]), "forename": _from(FORENAMES),
}  # fmt: skip


def _bare(words: str) -> str:
    return words.removeprefix("the ").removeprefix("a ").removeprefix("our ")


def _days(rng: random.Random) -> str:
    number = rng.choice((1, 1, 2, 2, 2, 3, 3, 4, 5, 6, 7))
    plural = "s" if number > 1 else ""
    special = {
        1: ["a day", "a single day", "one full day"],
        2: ["a weekend", "a weekend", "the weekend", "a couple of days", "2 full days"],
        3: ["a long weekend", "3 full days"],
        7: ["a week", "a week"],
    }
    return rng.choice([f"{number} day{plural}", f"{_SAID['counts'][number - 1]} day{plural}"] * 3 + special.get(number, []))


def _weekday(rng: random.Random) -> str:
    word = rng.choice(_SAID["weekdays"])
    return str(rng.choice((word, word, word, word, word.lower(), word[:3])))


_MONEY = ("{} euro", "{} euros", "€{}", "£{}", "${}", "{} pounds", "{} dollars", "{}€", "{} quid", "{} bucks", "{} EUR", "{} rupees", "{}")
_WORDED = {20: "twenty", 30: "thirty", 40: "forty", 50: "fifty", 60: "sixty", 80: "eighty", 100: "a hundred", 15: "fifteen", 10: "ten"}


def _money(rng: random.Random) -> str:
    number = rng.choice((rng.randint(1, 20) * 5, rng.randint(1, 20) * 10, rng.randint(8, 200)))
    forms = [form.format(number) for form in _MONEY]
    if number in _WORDED:
        forms += [f"{_WORDED[number]} {unit}" for unit in ("euros", "pounds", "dollars", "quid", "euro")]
    return rng.choice(forms)


_SLOTS: dict[str, Words] = {
    "want": lambda rng: _bare(rng.choice(_SAID["kinds"])), "avoid": lambda rng: _bare(rng.choice(_SAID["kinds"])),
    "sort": _from(_SAID["what_sort"]), "unsort": _from(_SAID["what_sort"]), "company": _from(_SAID["company"]), "aid": _from(_SAID["aids"]),
    "place_small": _from(("zoo", "museum", "castle", "cathedral", "aquarium", "market", "pier")),
    "must": place, "skip": place, "place": place,
    "lunch": _from(_SAID["lunch"]), "diet": _from(_SAID["diet"]), "any": _from(("anywhere", "any", "somewhere", "anywhere")),
    "days": _days, "weekday": _weekday, "begins": times, "ends": times, "money": _money,
}  # fmt: skip
_FIELDS = {name: name for name in ("want", "avoid", "must", "skip", "lunch", "days", "weekday", "begins", "ends")} | {
    "place_small": "skip", "aid": "want", "sort": "want", "company": "want", "unsort": "avoid", "diet": "lunch", "any": "lunch",
    "money": "budget",
}  # fmt: skip


def _clause(rng: random.Random, name: str) -> str:
    phrase = rng.choice(_SAID["clauses"][name])
    for one in LISTS:
        while f"{{{one}s}}" in phrase:
            listed = rng.choice(_SAID["listed"])
            if one in ("must", "skip"):
                listed = listed.replace(", {0}", f", {rng.choice(('', 'the '))}{{0}}").replace(
                    " and {0}", f" and {rng.choice(('', 'the '))}{{0}}"
                )
            phrase = phrase.replace(f"{{{one}s}}", listed.format(f"{{{one}}}"), 1)
    return chosen(rng, phrase)


def row(rng: random.Random) -> dict[str, Any]:
    """One message and its wishes."""
    if rng.random() < 0.07:
        phrase = chosen(rng, rng.choice(_SAID["nothing"]))
        return labelled(written(rng, [(text_of(marked(rng, phrase, _SLOTS, {})), "")]))
    count = rng.choice((1, 1, 1, 1, 2, 2, 2, 3, 3, 4))
    names = rng.sample(("want", "want", "avoid", "must", "skip", "lunch", "days", "weekday", "budget", "begins", "ends", "hours"), k=count)
    # A single-valued field is said once, and a list in one clause or two.
    if "hours" in names:
        names = [name for name in names if name not in ("begins", "ends")]
    clauses = [_clause(rng, name) for name in names]
    if rng.random() < 0.16:
        place = rng.randrange(len(clauses))
        clauses[place] += rng.choice(_SAID["asides"])
    phrase = (rng.choice(_SAID["forewords"]) if rng.random() < 0.08 else "") + clauses[0]
    for clause in clauses[1:]:
        phrase += rng.choice(_SAID["links"]) + clause
    begins, ends = two_times(rng)
    slots = {**_SLOTS, "begins": lambda rng: begins, "ends": lambda rng: ends}
    pieces = marked(rng, rng.choice(_SAID["greetings"]) + phrase + rng.choice(_SAID["endings"]), slots, _FIELDS)
    return labelled(written(rng, _without_articles(pieces)))


def _without_articles(pieces: Marked) -> Marked:
    """Articles and the like at the beginning of a value stay outside of it."""
    made: Marked = []
    for words, field in pieces:
        bare = _bare(words) if field in ("want", "avoid", "days") and field != "days" else words
        if bare != words:
            made.append((words[: len(words) - len(bare)], ""))
        made.append((bare, field))
    return made


def labelled(pieces: Marked) -> dict[str, Any]:
    """A message with its wishes."""
    found = values_of(pieces)
    seconds = durations.read(found["days"][0]) if "days" in found else None
    wish: dict[str, Any] = {"days": None if seconds is None else seconds // durations.DAY}
    wish |= {name: found.get(name, [None])[0] for name in ("weekday", "begins", "ends")}
    wish["budget"] = numbers.read(found["budget"][0]) if "budget" in found else None
    wish |= {name: found.get(name, []) for name in ("want", "avoid")}
    wish["lunch"] = found.get("lunch", [None])[0]
    wish |= {name: found.get(name, []) for name in ("must", "skip")}
    return {"text": text_of(pieces), "wish": said(wish)}


def main(arguments: Sequence[str]) -> int:
    """Write the sentences, each once."""
    write_rows(arguments[0], made_rows(SEED, ROWS, row))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
