"""Makes sentences from phrases, with the values that they state: the source of the training rows of sentences that change a plan.

A phrase has alternatives in brackets, `(closed|shut) (until {ends}|)`, which may nest, and slots in braces. A slot's words come from a
function of its name, and the row says under which field they stand.
"""

from __future__ import annotations

import json
import random
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

Words = Callable[[random.Random], str]
Marked = list[tuple[str, str]]
"""Pieces of a sentence: words, and the field that they state, empty for none."""

_INNER = re.compile(r"\(([^()]*)\)")
_SLOT = re.compile(r"\{(\w+)\}")


def material(program: str) -> dict[str, Any]:
    """The words and phrases of a program, which stand beside it as TOML."""
    return tomllib.loads(Path(program).with_suffix(".toml").read_text(encoding="utf-8"))


def whole(phrase: str, parts: Mapping[str, str]) -> str:
    """A phrase with its parts, `@cause@`, in place."""
    for name, words in parts.items():
        phrase = phrase.replace(f"@{name}@", words)
    return phrase


def chosen(rng: random.Random, phrase: str) -> str:
    """A phrase with one of each alternatives, the innermost first."""
    while match := _INNER.search(phrase):
        phrase = phrase[: match.start()] + rng.choice(match[1].split("|")) + phrase[match.end() :]
    return re.sub(r" +([,.;:!?])", r"\1", re.sub(r" {2,}", " ", phrase)).strip()


def marked(rng: random.Random, phrase: str, slots: Mapping[str, Words], fields: Mapping[str, str]) -> Marked:
    """A phrase with words in its slots. `fields`: the field of a slot; a slot that is not named there states none."""
    made: Marked = []
    place = 0
    for match in _SLOT.finditer(phrase):
        made += [(phrase[place : match.start()], ""), (slots[match[1]](rng), fields.get(match[1], ""))]
        place = match.end()
    return [piece for piece in [*made, (phrase[place:], "")] if piece[0]]


def read_marked(line: str, names: Mapping[str, str]) -> Marked:
    """A sentence with marks as people write them: `[s:Mill Lane] is closed`; `names` are the fields of the letters."""
    pieces = re.split(r"\[(\w):([^\]]*)\]", line)
    made = [(pieces[0], "")]
    for letter, words, rest in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        made += [(words.split("=")[0], names[letter]), (rest, "")]
    return [piece for piece in made if piece[0]]


def text_of(pieces: Marked) -> str:
    """The sentence."""
    return "".join(words for words, _ in pieces)


def values_of(pieces: Marked) -> dict[str, list[str]]:
    """The words of each field, in their order."""
    found: dict[str, list[str]] = {}
    for words, field in pieces:
        if field:
            found.setdefault(field, []).append(words)
    return found


# How people write.

_TYPOS = 0.35
_SHORT = {
    "please": ("pls", "plz"), "because": ("cos", "bc"), "you": ("u",), "thanks": ("thx", "ta", "cheers"), "today": ("2day", "tdy"),
    "minutes": ("mins", "min"), "and": ("&", "n"), "the": ("teh",), "are": ("r",), "with": ("w/",), "deliveries": ("dels",),
    "delivery": ("dlvry", "delivry"), "closed": ("clsd", "closd"), "until": ("til", "till"), "traffic": ("trafic", "tfc"),
    "customer": ("cust",), "tomorrow": ("tmrw",), "cannot": ("cant",), "before": ("b4",), "for": ("4", "fr"),
}  # fmt: skip


def written(rng: random.Random, pieces: Marked) -> Marked:
    """The same sentence as other people write it: all small, without punctuation, in a hurry, in capitals."""
    style = rng.random()
    if style < 0.45:
        pieces = _capital(pieces)
    elif style < 0.63:
        pieces = [(words.lower(), field) for words, field in pieces]
    elif style < 0.75:
        # Dictated: no punctuation, no capitals but now and then.
        lower = rng.random() < 0.8
        pieces = [(words.lower() if lower else words, field) for words, field in _bare(pieces)]
    elif style < 0.9:
        pieces = [(words if field else _hasty(rng, words), field) for words, field in pieces]
    elif style < 0.94:
        pieces = [(words if field else _LITTLE.sub("", words), field) for words, field in pieces]
        pieces = [piece for piece in pieces if piece[0]]
    elif style < 0.955:
        pieces = [(words.upper(), field) for words, field in pieces]
    return pieces


_LITTLE = re.compile(
    r"(?<!\w)(?:the|a|an|is|are|was|has|have|been|please|we|I|it|it's|there's|that|will|be|to|of|just) (?=\w|$)", re.IGNORECASE
)
"""Words that telegrams leave out."""


def _capital(pieces: Marked) -> Marked:
    first, field = pieces[0]
    return [(first[:1].upper() + first[1:], field), *pieces[1:]]


def _bare(pieces: Marked) -> Marked:
    """Without the signs that nobody dictates, outside of values."""
    made = [(words if field else re.sub(r"[,;!?()]|[.:](?=\s|$)| [–-] ", " ", words), field) for words, field in pieces]
    made = [(words if field else re.sub(r" {2,}", " ", words), field) for words, field in made]
    return [(made[0][0].lstrip(), made[0][1]), *made[1:-1], *([(made[-1][0].rstrip(), made[-1][1])] if len(made) > 1 else [])]


def _hasty(rng: random.Random, words: str) -> str:
    made = []
    for word in words.split(" "):
        short = _SHORT.get(word.casefold())
        if short and rng.random() < _TYPOS:
            word = rng.choice(short)
        elif len(word) > 4 and word.isalpha() and rng.random() < _TYPOS / 4:
            place = rng.randrange(1, len(word) - 2)
            swapped = word[:place] + word[place + 1] + word[place] + word[place + 2 :]
            word = rng.choice((swapped, word[:place] + word[place + 1 :], word[:place] + word[place] + word[place:]))
        made.append(word)
    return " ".join(made).replace("n't", rng.choice(("nt", "n't")))


def joined(rng: random.Random, parts: Sequence[Marked], links: Sequence[str]) -> Marked:
    """Several sentences as one, none of their values marked."""
    made: Marked = []
    for number, part in enumerate(parts):
        made += [*([(rng.choice(links), "")] if number else []), (text_of(part).rstrip(".!"), "")]
    return made


# Words of slots that several kinds of plan share.


_HOURS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_MINUTES = {
    5: "five",
    10: "ten",
    15: "fifteen",
    20: "twenty",
    25: "twenty five",
    35: "thirty five",
    40: "forty",
    45: "forty five",
    50: "fifty",
    55: "fifty five",
    30: "thirty",
}
_STYLES = (
    "am",
    "am",
    "am",
    "24",
    "24",
    "24",
    "bare",
    "bare",
    "bare",
    "bare",
    "bare",
    "words",
    "words",
    "words",
    "spoken",
    "military",
    "h",
    "oclock",
    "part",
    "dots",
    "am.",
    "AM",
)
_NOON = ("noon", "noon", "midday", "12 noon", "12", "twelve", "12:00", "12 pm")


def times(rng: random.Random) -> str:
    """A time of day in some writing."""
    return _written_time(rng, *_some_time(rng), rng.choice(_STYLES))


def two_times(rng: random.Random) -> tuple[str, str]:
    """A time of day and a later one, mostly in one way of writing."""
    first, second = sorted((_some_time(rng), _some_time(rng)))
    if first == second:
        second = (second[0] + 1, second[1])
    style = rng.choice(_STYLES)
    other = style if rng.random() < 0.85 else rng.choice(_STYLES)
    return _written_time(rng, *first, style), _written_time(rng, *second, other)


def _some_time(rng: random.Random) -> tuple[int, int]:
    return rng.choice((*range(6, 20), *range(7, 18), *range(8, 17))), rng.choice((0, 0, 0, 0, 0, 30, 30, 15, 45, rng.randrange(5, 60, 5)))


def _written_time(rng: random.Random, hour: int, minutes: int, style: str) -> str:
    """A time of day in one way of writing."""
    if hour == 12 and not minutes and rng.random() < 0.6:
        return rng.choice(_NOON)
    twelve, half = hour % 12 or 12, "am" if hour < 12 else "pm"
    name = _HOURS[twelve - 1]
    past = f":{minutes:02d}" if minutes else ""
    if style == "am":
        return f"{twelve}{past}{rng.choice((' ', ''))}{half}"
    if style == "AM":
        return f"{twelve}{past} {half.upper()}"
    if style == "am.":
        return f"{twelve}{past} {half[0]}.m."
    if style == "24":
        return f"{rng.choice((str(hour), f'{hour:02d}'))}:{minutes:02d}"
    if style == "military":
        return f"{hour:02d}{minutes:02d}" + rng.choice(("", "", "", " hrs", " hours", "hrs", "h"))
    if style == "h":
        return f"{hour}h{minutes:02d}" if minutes else f"{hour}{rng.choice(('h', ' h'))}"
    if style == "dots":
        return f"{rng.choice((hour, twelve))}.{minutes:02d}" + (half if rng.random() < 0.4 and hour < 13 else "")
    if style == "oclock":
        return (
            f"{rng.choice((str(twelve), name))} {rng.choice((chr(39) + 'o', 'o'))[-1]}{rng.choice((chr(39), chr(39), ''))}clock"
            if not minutes
            else _spoken(rng, twelve, minutes)
        )
    if style == "part":
        part = "morning" if hour < 12 else "afternoon" if hour < 18 else "evening"
        return f"{rng.choice((str(twelve), name))}{past if rng.random() < 0.5 else ''} {rng.choice(('in the', 'this', 'in the'))} {part}"
    if style == "bare":
        return f"{twelve}{past}" if not minutes or rng.random() < 0.5 else _spoken(rng, twelve, minutes)
    if style == "words":
        return name if not minutes else _spoken(rng, twelve, minutes)
    return (
        f"{rng.choice((name, str(twelve)))} {_MINUTES[minutes]}"
        if minutes >= 10
        else f"{twelve}ish"
        if not minutes and rng.random() < 0.3
        else name
    )


def _spoken(rng: random.Random, twelve: int, minutes: int) -> str:
    """`half past two`, `half two`, `quarter to three`."""
    this = rng.choice((_HOURS[twelve - 1], str(twelve)))
    following = rng.choice((_HOURS[twelve % 12], str(twelve % 12 + 1)))
    quarter = rng.choice(("quarter", "a quarter", "quarter"))
    said = {5: "five", 10: "ten", 15: quarter, 20: "twenty", 25: "twenty five"}
    if minutes == 30:
        return rng.choice((f"half past {this}", f"half past {this}", f"half {this}", f"{this} thirty"))
    if minutes < 30:
        return f"{rng.choice((said[minutes], said[minutes], str(minutes)))} {rng.choice(('past', 'past', 'after'))} {this}"
    return f"{rng.choice((said[60 - minutes], said[60 - minutes], str(60 - minutes)))} to {following}"


def stretch(rng: random.Random) -> str:
    """A stretch of time up to two hours."""
    minutes = rng.choice((5, 8, 10, 10, 12, 15, 15, 20, 20, 25, 30, 35, 40, 45, 50, 60, 90, rng.randrange(3, 60)))
    words = {
        5: "five",
        10: "ten",
        12: "twelve",
        15: "fifteen",
        20: "twenty",
        25: "twenty five",
        30: "thirty",
        40: "forty",
        45: "forty-five",
        50: "fifty",
        90: "ninety",
    }
    forms = [f"{minutes} minutes", f"{minutes} min", f"{minutes} mins", f"{minutes}min", f"{minutes} minutes", f"{minutes}mins"]
    if minutes in words:
        forms += [f"{words[minutes]} minutes", f"{words[minutes]} mins"] * 2
    special = {
        15: ["a quarter of an hour", "quarter of an hour"],
        30: ["half an hour", "half an hour", "a half hour"],
        45: ["three quarters of an hour"],
        60: ["an hour", "one hour", "1 hour", "1h", "1 hr"],
        90: ["an hour and a half", "1.5 hours", "one and a half hours", "1h30"],
    }
    return rng.choice([*forms, *special.get(minutes, []) * 3])


COUNTS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "fifteen", "twenty")


def count(rng: random.Random) -> str:
    """A small number in digits or in words."""
    return rng.choice(
        (
            str(rng.randint(1, 30)),
            str(rng.randint(1, 12)),
            str(rng.randint(1, 12)),
            rng.choice(COUNTS),
            "a dozen" if rng.random() < 0.2 else "2",
        )
    )


def made_rows(seed: int, count: int, row: Callable[[random.Random], dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with different texts."""
    rng, rows = random.Random(seed), dict[str, dict[str, Any]]()
    while len(rows) < count:
        made = row(rng)
        if len(made["text"]) > 1:
            rows[made["text"]] = made
    return list(rows.values())


def said(filled: Mapping[str, Any]) -> dict[str, Any]:
    """A filled form without what is not said; the kind of change is always said, null for none."""
    return {name: value for name, value in filled.items() if name == "kind" or (value is not None and value != [])} or {"want": []}


def write_rows(file: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as JSON lines."""
    Path(file).write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
