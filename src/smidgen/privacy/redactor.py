"""The redactor: takes the personal data out of the texts of one conversation, and puts it back into what is answered.

What has a form is found by pattern here. Names and addresses have none: a model finds them, and `find` is how it is asked. What cannot be
made safe does not leave this machine.
"""

from __future__ import annotations

import bisect
import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from smidgen.core.errors import RedactionError
from smidgen.core.printable import HALVES
from smidgen.privacy import encodings, identifiers

_WORD = re.compile(r"\w+")
_NAME = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_ADDITIONS = frozenset(
    ("jr", "sr", "junior", "senior", "ii", "iii", "iv", "phd", "md", "dds", "esq", "llm", "mba", "ba", "ma", "bsc", "msc")
)
PERSON = "person"
"""The redaction model's kind for a person's name."""
_SHORTEST_VALUE = 3
"""Characters of a value that is looked for; digits are, from two on. Shorter ones stand in too many words of no one."""
_LONGEST_VALUE = 200
"""Characters, too: each length that values with one first word have is looked for behind each such word of a text. A longer value is an
address that a pattern finds wherever it stands."""


class KnownValues:
    """Values with their kinds. Looking them all up takes as long as the text has words, however many there are."""

    def __init__(self) -> None:
        self._kinds: dict[str, str] = {}
        self._shapes: dict[str, set[tuple[int, int]]] = {}
        """By the first word of values: what they have before it, and how long they are, in characters."""

    def copy(self) -> KnownValues:
        """Copy the values; what is added to one is not in the other."""
        other = KnownValues()
        other._kinds = dict(self._kinds)
        other._shapes = {word: set(shapes) for word, shapes in self._shapes.items()}
        return other

    def add(self, value: str, kind: str) -> None:
        """A value that is looked for from now on, if it is no shorter or longer than such values are; with a person's name the surname."""
        self._look_for(value, kind)
        if kind == PERSON and (name := surname(value)):
            self._look_for(name, kind)

    def _look_for(self, value: str, kind: str) -> None:
        word = _WORD.search(value)
        if word is None or not (2 if value.isdigit() else _SHORTEST_VALUE) <= len(value) <= _LONGEST_VALUE:
            return
        self._kinds.setdefault(value, kind)
        self._shapes.setdefault(word[0], set()).add((word.start(), len(value)))

    def find(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Where values stand, letter for letter: start, end (exclusive) and kind. Those in the middle of a longer word do not count."""
        if not self._kinds:
            return
        for word in _WORD.finditer(text):
            for before, length in self._shapes.get(word[0], ()):
                start, end = word.start() - before, word.start() - before + length
                if start < 0 or (kind := self._kinds.get(text[start:end])) is None:
                    continue
                if end < len(text) and _is_word(text[end - 1]) and _is_word(text[end]):
                    continue
                yield start, end, kind


def surname(name: str) -> str:
    """The surname in a person's name of several words: what stands before a comma (`Schmidt, Anna`), else the last word that begins with a
    capital and is no addition such as `Jr`. Empty where there is none: a name in small letters alone could be any word."""
    before, comma, after = name.partition(",")
    listed = comma and after.strip() and after.strip(" .").casefold() not in _ADDITIONS
    words: list[str] = [word for word in _NAME.findall(before if listed or not after else name) if word.casefold() not in _ADDITIONS]
    if len(words) < (1 if listed else 2) or not words[-1][0].isupper():
        return ""
    return words[-1]


def _is_word(letter: str) -> bool:
    return letter.isalnum() or letter == "_"


MOST_CHARACTERS = 1_000_000
"""Characters of a text that is read. A longer one is refused: nothing of it would be left unread in silence."""

HIDDEN = re.compile(
    # Controls that are no blanks; formats (category Cf); letters and marks without a shape.
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"
    "\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0"
    # Marks that enclose: a keycap is a digit with one of these behind it.
    "\u20dd-\u20e0\u20e2-\u20e4]"
)
"""Characters that are not seen: between two digits they hide a number from a pattern, and from no reader. Unicode's `Cf` and
`Default_Ignorable_Code_Point`."""

_LAND = "(?:\U000e0065\U000e006e\U000e0067|\U000e0073\U000e0063\U000e0074|\U000e0077\U000e006c\U000e0073)"
_FLAG = f"\U0001f3f4\U000e0067\U000e0062{_LAND}\U000e007f"
_SMUGGLED = re.compile(
    f"{_FLAG}|([\U000e0000-\U000e007f]|[\ufe00-\ufe0f\U000e0100-\U000e01ef]{{2}}|[\x00-\x7f][\ufe00-\ufe0d\U000e0100-\U000e01ef])"
)
"""Tags, and variation selectors that vary nothing: each stands for a letter or a byte, so that they carry a text that nobody sees and a
model reads. The flags of England, Scotland and Wales have tags, too."""

KINDS: Mapping[str, str] = {
    "e-mail": "email",
    "IBAN": "iban",
    "French social security number": "id",
    "payment card": "card",
    "US social security number": "id",
    "UK national insurance number": "id",
    "Spanish DNI": "id",
    "IP address": "ip",
    "telephone number": "phone",
}
"""The redaction model's names for the kinds of `identifiers`: whoever finds a piece, it has the same name."""

_LOOSE = frozenset({"telephone number", "IP address"})
"""Patterns that check nothing: where they meet what a model found, the model says what it is."""
_LONG_NUMBER = re.compile(r"(?<!\d)(?<!\d\.)\d(?:[ ./\u2010-\u2015\u2212-]?\d){8,}(?!\d)")
"""Nine digits and more are an account, a file or an identity, of whatever country's form, and whatever letters they stick to."""
_BREAK = "\x1c"
_HALF = re.compile(rf"\w{HIDDEN.pattern}+{_BREAK}|{_BREAK}{HIDDEN.pattern}+\w")
"""A value that a character which is not seen cuts in two: a placeholder took the one half."""
BESIDE_PERSON = frozenset({"place", "organisation", "date"})
"""Kinds that are personal only beside somebody: a town, a company or a day alone tells of nobody."""
NOT_SOMEBODY = BESIDE_PERSON | {"url"}
"""Kinds that do not tell who somebody is. Every other kind does."""
_PASSES = 3
"""The most times that texts are read until nothing more is found in them."""
_WRITTEN = "stand-in"
"""The kind of what looks like a placeholder, and was in the text before."""
_WORDS = re.compile(r"[^\W_]+")
_SAID_OF = 200
"""Characters that what stands before a text can say something of: the name of a field speaks of what follows it at once."""
_AMBIGUOUS = 4
"""Digits of a number that a word with other uses (`tax`, `policy`) does not make that of somebody: it may be a sum, or a year."""
_PLACE = re.compile(r"\[([A-Z_]+)_(\d+)\]")

Find = Callable[[str], Iterable[tuple[str, int, int]]]
"""A finder's result for a text: the kind, the start and the end (exclusive) of each piece of personal data."""
_Made = TypeVar("_Made")
_Piece = tuple[int, int, str]


def nothing(text: str) -> Iterable[tuple[str, int, int]]:
    """Finds nothing: for texts that are redacted by pattern alone."""
    return ()


def readable(text: str) -> None:
    """Raise RedactionError for a text that cannot be read whole: it is too long, or holds half a character."""
    size = f"{len(text):,} characters"
    if len(text) > MOST_CHARACTERS:
        raise RedactionError("a text is too long to be read whole", value=size, todo=f"Cut it: {MOST_CHARACTERS:,} are the most.")
    if not text.isascii() and HALVES.search(text):
        raise RedactionError("a text holds half a character", value=size, todo="Read the file in its own encoding.")


@dataclass
class Redactor:
    """Takes personal data out of the texts of one conversation, and puts it back into what is answered.

    The same value gets the same placeholder (`[EMAIL_1]`) in all of them, so that the reader can tell who is who; and what was found once
    is taken out wherever it stands as words of its own, whether it is found there or not.

    Attributes:
        find: finds what has no form, or other than the patterns do.
        forms: more patterns, whose names are surer than those of the usual ones where they overlap.
        allowed: kinds that are not taken out. A long number that is a piece of such a kind stays as well.
        beside_person: kinds that the model's findings are taken out of only where a text of the conversation tells who somebody is: a
            name, a street, a number. What a pattern finds by the word before it (`dob: 19530412`) is always taken out.
        found: placeholders, and the values that they stand for.
        counts: how many pieces of each kind were taken out.
    """

    find: Find = nothing
    found: dict[str, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    forms: Find = nothing
    allowed: frozenset[str] = frozenset()
    beside_person: frozenset[str] = BESIDE_PERSON
    _somebody: bool = field(default=False, init=False, repr=False)
    _places: dict[str, str] = field(default_factory=dict, init=False, repr=False)
    _numbers: Counter[str] = field(default_factory=Counter, init=False, repr=False)
    _written: set[str] = field(default_factory=set, init=False, repr=False)
    _known: KnownValues = field(default_factory=KnownValues, init=False, repr=False)
    _names: dict[str, str] = field(default_factory=dict, init=False, repr=False)

    def begun(self) -> Redactor:
        """A redactor of a conversation that begins with all that this one has read. Its counts begin at nothing."""
        other = Redactor(self.find, dict(self.found), forms=self.forms, allowed=self.allowed, beside_person=self.beside_person)
        other._somebody = self._somebody
        other._places, other._names = dict(self._places), dict(self._names)
        other._numbers, other._written, other._known = self._numbers.copy(), set(self._written), self._known.copy()
        return other

    def spans(self, text: str) -> list[dict[str, Any]]:
        """The personal data in a text, in order: `start`, `end` (exclusive) and `label`, the kind. None overlap.

        Raises RedactionError for a text that is too long, or holds half a character.
        """
        return [{"start": start, "end": end, "label": kind} for start, end, kind in self._pieces(text)]

    def mask(self, text: str, before: str = "") -> str:
        """The text with a placeholder for each piece of personal data. `before` says what it is, as the name of a field does (`cvv: `):
        what has a form is looked for with it before the text, and nothing of it is taken out.

        Raises RedactionError as `spans` does, and where personal data is left: written in a way that patterns see only once the text is
        normalised, with digits of another script or invisible characters in it.
        """
        if text in self._names:
            return self._names[text]
        return self._checked(self._replaced(text, before))

    def named(self, number: str, said: str) -> str:
        """A number with one placeholder for the whole of it where it is a value that is known, or where `said`, the name of its field,
        makes it personal; else itself. For nothing else is it read."""
        if number in self._names:
            return self._names[number]
        digits = number.removeprefix("-")
        known = [kind for start, end, kind in self._known.find(digits) if (start, end) == (0, len(digits))] if len(digits) > 2 else []
        if known:
            self.counts[known[0]] += 1
            return number[: len(number) - len(digits)] + self._place(digits, known[0])
        told = self._whole(number, f"{said}: ") if said else []
        if len(number) <= _AMBIGUOUS:
            told = [kind for kind in told if kind != "id" or kind in self._whole(number, f"{said} ")]
        if not told:
            return number
        self.counts[told[0]] += 1
        return self._place(number, told[0])

    def name(self, text: str, value: bool = False) -> str:
        """A name that the user gave (a label, a field): itself, or one placeholder for the whole of it. From now on a text that is this
        name and nothing else is called so as well.

        A name is personal where a pattern finds anything in it, or the model the whole of it or two words; places, organisations and
        dates that the model finds are not. Of a `value` that texts may hold (a choice), all that the model takes whole is. Raises as
        `mask` does.
        """
        if text not in self._names:
            self._written.update(match[0] for match in _PLACE.finditer(text))
            found = list(self._by_pattern(text)) or [
                (start, end, kind) for kind, start, end in self.find(text) if _personal(text, text[start:end], kind, value)
            ]
            self._names[text] = self._checked(self._place(text, found[0][2]) if found else text)
        return self._names[text]

    def keep(self, *names: str) -> None:
        """Names that are nobody's, and are never changed."""
        self._names.update({name: name for name in names})

    def avoid(self, places: Iterable[str]) -> None:
        """Placeholders that are never given: a text may hold what looks like them."""
        self._written.update(places)

    def renamed(self) -> list[str]:
        """The names that placeholders are sent for."""
        return [name for name, sent in self._names.items() if sent != name]

    def twice(self, make: Callable[[], _Made]) -> _Made:
        """The result of `make` for several texts with this redactor; made again where something was found in a later text that may stand,
        not found, in an earlier one, or that makes a town or a day in an earlier one personal."""
        counts = self.counts.copy()
        for _ in range(_PASSES):
            known = len(self.found), self._somebody
            self.counts.clear()
            self.counts.update(counts)
            made = make()
            if (len(self.found), self._somebody) == known:
                break
        return made

    def unmask(self, text: str) -> str:
        """The text with the values back in place of their placeholders."""
        return _PLACE.sub(lambda match: self.found.get(match[0], match[0]), text)

    def unknown(self, answer: str) -> list[str]:
        """Placeholders in an answer that stand for nothing: none was given, and no text of the conversation held them."""
        return [match[0] for match in _PLACE.finditer(answer) if match[0] not in self.found and match[0] not in self._written]

    def over(self, parts: Sequence[str]) -> set[str]:
        """The kinds of what is found by a check digit or by a word in masked texts that are read as one, and in none of them alone. Raises
        as `spans` does."""
        alone = [_PLACE.sub(lambda match: _BREAK if match[0] in self.found else match[0], text) for text in parts]
        whole = "".join(alone)
        shown = {whole[start:end]: kind for (start, end, kind), loose in self._by_pattern(whole).items() if not loose}
        known = {text[start:end] for text in alone for start, end, _ in self._by_pattern(text)} if shown else set()
        return {kind for value, kind in shown.items() if value not in known}

    def _checked(self, safe: str) -> str:
        """A text in which placeholders are, if nothing is left in it that is only seen once it is normalised."""
        # A break in place of a placeholder: what stands before it and after it is not read as one number.
        rest = _PLACE.sub(lambda match: _BREAK if match[0] in self.found else match[0], safe)
        meant = encodings.unescape(rest).plain
        if any(match[1] for match in _SMUGGLED.finditer(meant)):
            raise RedactionError(
                "a text holds invisible characters that can spell a hidden text",
                value="tags or variation selectors",
                todo="Take them out of it.",
            )
        half = _HALF.search(meant)
        plain = _plainly(meant)
        kinds = self._shown(plain, rest)
        if kinds or half:
            raise RedactionError(
                "personal data is left in a text, seen only once it is normalised",
                value=_named(kinds) or ("a part of a value" if half else "a long number"),
                todo="Take the invisible characters out of it, and write digits and letters plainly.",
            )
        decoded = encodings.percent_decoded(plain)
        if decoded != plain and (kinds := self._shown(_plainly(decoded), plain)):
            raise RedactionError(
                "personal data is left in a text, percent-encoded",
                value=_named(kinds) or "a long number",
                todo="Write it without the percent signs, or take it out.",
            )
        return safe

    def _shown(self, plain: str, before: str) -> set[str]:
        """The kinds of what is found in a text that is `before` written more plainly; where some are allowed, of what is found there
        only."""
        # Pieces of allowed kinds are left, and which a model found is not known any more: what was seen before was decided on.
        if self.allowed and plain == before:
            return set()
        known = {before[start:end] for start, end, _ in self._by_pattern(before)} if self.allowed else set()
        return {kind for start, end, kind in self._by_pattern(plain) if plain[start:end] not in known}

    def _replaced(self, text: str, before: str) -> str:
        pieces, at = [], 0
        # What looks like a placeholder of this conversation gets one itself: else the value of another would be put back for it.
        alike = [(match.start(), match.end(), _WRITTEN) for match in _PLACE.finditer(text) if match[0] in self.found]
        found = _merged([*self._pieces(text, before), *alike])
        self._written.update(match[0] for match in _PLACE.finditer(text))
        for start, end, kind in found:
            pieces += [text[at:start], self._place(text[start:end], kind)]
            at = end
        self.counts.update(kind for _, _, kind in found if kind != _WRITTEN)
        return "".join([*pieces, text[at:]])

    def _pieces(self, text: str, before: str = "") -> list[_Piece]:
        """Everything that a pattern or the model finds, surest first where they overlap, and wherever else that stands."""
        readable(text)
        model = [(start, end, kind) for kind, start, end in self.find(text)]
        patterns = self._by_pattern(text, [piece for piece in model if piece[2] in self.allowed], before)
        checked = [piece for piece, loose in patterns.items() if not loose]
        self._somebody = self._somebody or any(kind not in NOT_SOMEBODY for _, _, kind in (*model, *patterns))
        ours = [piece for piece in model if piece[2] not in self.allowed and (self._somebody or piece[2] not in self.beside_person)]
        found = _merged([*checked, *ours, *patterns])
        own = KnownValues()
        for start, end, kind in found:
            own.add(encodings.unescape(text[start:end]).plain, kind)
        seen = encodings.unescape(text)
        known = [*self._known.find(seen.plain), *own.find(seen.plain)]
        return _merged([*found, *((seen.place(start), seen.place(end), kind) for start, end, kind in known)])

    def _by_pattern(self, text: str, spared: Iterable[_Piece] = (), before: str = "") -> dict[_Piece, bool]:
        """Spans found by pattern, and whether nothing but their form tells: those that pass a check first. `spared` are pieces of allowed
        kinds that the model found. A text is read as its escapes are meant. Raises as `readable` does."""
        readable(text)
        seen = encodings.unescape(text)
        forms = [(seen.place(start), seen.place(end), kind) for start, end, kind in self._by_form(seen.plain, before)]
        known = [
            (seen.place(start), seen.place(end), KINDS[kind], kind in _LOOSE)
            for kind, start, end in identifiers.identifier_spans(seen.plain)
        ]
        stay = [*spared, *(piece for piece in (*forms, *(entry[:3] for entry in known)) if piece[2] in self.allowed)]
        numbers = _LONG_NUMBER.finditer(seen.plain) if "number" not in self.allowed else ()
        covered = _Cover(stay)
        long = [
            (*span, "number") for span in ((seen.place(match.start()), seen.place(match.end())) for match in numbers) if not covered(*span)
        ]
        checked = [(start, end, kind) for start, end, kind, loose in known if not loose]
        # The digits of a bank account may look like a card's, whose check is the weaker one.
        sure = [*(piece for piece in checked if piece[2] == "iban"), *forms, *checked]
        unsure = [*((start, end, kind) for start, end, kind, loose in known if loose), *long]
        found = dict.fromkeys(sure, False)
        for piece in unsure:
            found.setdefault(piece, True)
        return {piece: loose for piece, loose in found.items() if piece[2] not in self.allowed}

    def _by_form(self, text: str, before: str) -> list[_Piece]:
        """Spans that further patterns find in a text, and those that a word before them tells."""
        return [*((start, end, kind) for kind, start, end in self.forms(text)), *self._by_name(text, before)]

    def _by_name(self, text: str, before: str) -> list[_Piece]:
        """Spans that a word before them tells."""
        if not before:
            return []
        whole, shift = before + text[:_SAID_OF], len(before)
        last = len(whole) if len(text) <= _SAID_OF else len(whole) - 1  # what the cut ends may be a piece of a longer one
        return [(start - shift, end - shift, kind) for kind, start, end in self.forms(whole) if start >= shift and end <= last]

    def _whole(self, number: str, before: str) -> list[str]:
        """The kinds, but for allowed ones, that a number as a whole is of for what stands before it."""
        wholes = (number, number.removeprefix("-"))
        return [kind for start, end, kind in self._by_name(number, before) if number[start:end] in wholes and kind not in self.allowed]

    def _place(self, value: str, kind: str) -> str:
        """The placeholder of a value: one that it has, or a new one that no text of the conversation has by itself."""
        if value not in self._places:
            name = re.sub(r"[^A-Z]+", "_", kind.upper()).strip("_") or "OTHER"
            place = ""
            while not place or place in self._written or place in self.found:
                self._numbers[name] += 1
                place = f"[{name}_{self._numbers[name]}]"
            self._places[value] = place
            self.found[place] = value
            if kind != _WRITTEN:
                self._known.add(encodings.unescape(value).plain, kind)
        return self._places[value]


class _Cover:
    """Pieces, asked for many stretches whether one of them covers it: of those that begin no later, the one that ends last tells."""

    def __init__(self, pieces: Iterable[_Piece]) -> None:
        ordered = sorted((start, end) for start, end, _ in pieces)
        self._starts = [start for start, _ in ordered]
        self._ends = list(itertools.accumulate((end for _, end in ordered), max))

    def __call__(self, start: int, end: int) -> bool:
        place = bisect.bisect_right(self._starts, start)
        return place > 0 and self._ends[place - 1] >= end


def _plainly(text: str) -> str:
    """A text as it is seen: without invisible characters, letters of another width and digits of another script as the usual ones."""
    # Before as well as after: some characters become others that are not seen.
    plain = HIDDEN.sub("", unicodedata.normalize("NFKC", HIDDEN.sub("", text)))
    return "".join(str(unicodedata.digit(letter, letter)) for letter in plain)


def _named(kinds: set[str]) -> str:
    """The names of kinds, but for that of a number of no form; empty where there are none."""
    return ", ".join(sorted(kinds - {"number"}))


def _personal(text: str, piece: str, kind: str, value: bool) -> bool:
    """Whether what a model finds in a name makes it a personal one."""
    whole = piece.strip() == text.strip()
    return (value and whole) if kind in BESIDE_PERSON else whole or len(_WORDS.findall(piece)) > 1


def _merged(pieces: Iterable[_Piece]) -> list[_Piece]:
    """Pieces in their order, those that overlap as one: nothing that any of them covers is left over. It is of the kind that was named
    first among those that overlap."""
    ranked = sorted((start, end, rank, kind) for rank, (start, end, kind) in enumerate(pieces) if start < end)
    merged: list[tuple[int, int, int, str]] = []
    for start, end, rank, kind in ranked:
        if merged and start < merged[-1][1]:
            before = merged[-1]
            merged[-1] = (before[0], max(before[1], end), *min((before[2], before[3]), (rank, kind)))
        else:
            merged.append((start, end, rank, kind))
    return [(start, end, kind) for start, end, _, kind in merged]
