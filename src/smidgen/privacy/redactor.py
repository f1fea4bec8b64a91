"""The redactor: replaces the personal data in the texts of one conversation by placeholders, and restores it in the answer.

Patterns here find data with a fixed form. Names and addresses have none: a model finds them, through `find`. A text that cannot be made
safe raises an error, and does not leave this machine.
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
"""Fewest characters of a value to search for (for digits, two). Shorter values occur in too many other words."""
_LONGEST_VALUE = 200
"""Most characters of a value to search for: every length of values with the same first word is tried at each such word of a text. A longer
value is an address that a pattern finds anywhere."""


class KnownValues:
    """Known values with their kinds. Searching takes time proportional to the words of the text, however many values there are."""

    def __init__(self) -> None:
        self._kinds: dict[str, str] = {}
        self._shapes: dict[str, set[tuple[int, int]]] = {}
        """For the first word of values: the number of characters before it, and the value's length."""

    def copy(self) -> KnownValues:
        """Return an independent copy."""
        other = KnownValues()
        other._kinds = dict(self._kinds)
        other._shapes = {word: set(shapes) for word, shapes in self._shapes.items()}
        return other

    def add(self, value: str, kind: str) -> None:
        """Search for this value from now on, if its length is within the limits; for a person's name, also for the surname."""
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
        """Yield the start, end (exclusive) and kind of exact matches. A match inside a longer word does not count."""
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
    """Return the surname in a person's name of several words; empty if there is none.

    It is the part before a comma (`Schmidt, Anna`), else the last capitalised word that is not an addition such as `Jr`. A name in small
    letters could be any word.
    """
    before, comma, after = name.partition(",")
    listed = comma and after.strip() and after.strip(" .").casefold() not in _ADDITIONS
    words: list[str] = [word for word in _NAME.findall(before if listed or not after else name) if word.casefold() not in _ADDITIONS]
    if len(words) < (1 if listed else 2) or not words[-1][0].isupper():
        return ""
    return words[-1]


def _is_word(letter: str) -> bool:
    return letter.isalnum() or letter == "_"


MOST_CHARACTERS = 1_000_000
"""Most characters of a text. A longer one is refused, so that nothing stays unread silently."""

HIDDEN = re.compile(
    # Controls that are no blanks; formats (category Cf); letters and marks without a shape.
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"
    "\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0"
    # Marks that enclose: a keycap is a digit with one of these behind it.
    "\u20dd-\u20e0\u20e2-\u20e4]"
)
"""Invisible characters: between two digits they hide a number from a pattern, but not from a reader. Unicode's `Cf` and
`Default_Ignorable_Code_Point`."""

_MARKED = re.compile(r"(?<=[\x1c\s!-@\[-`{-~\d])[^\w\s\x00-\x7f]+")
"""Signs behind a digit, a blank or punctuation, among which may be combining marks: over a digit they hide a number from a pattern."""
_LAND = "(?:\U000e0065\U000e006e\U000e0067|\U000e0073\U000e0063\U000e0074|\U000e0077\U000e006c\U000e0073)"
_FLAG = f"\U0001f3f4\U000e0067\U000e0062{_LAND}\U000e007f"
_SMUGGLED = re.compile(
    f"{_FLAG}|([\U000e0000-\U000e007f]|[\ufe00-\ufe0f\U000e0100-\U000e01ef]{{2}}|[\x00-\x7f][\ufe00-\ufe0d\U000e0100-\U000e01ef])"
)
"""Tags, and variation selectors that vary nothing. Each stands for a letter or a byte, so they can carry a text that people do not see and
a model reads. The flags of England, Scotland and Wales use tags legitimately."""

_VARIATIONS = frozenset(map(chr, range(0xE0100, 0xE01F0)))

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
"""The redaction model's names for the kinds of `identifiers`, so that a finding has the same name from either source."""

_LOOSE = frozenset({"telephone number", "IP address"})
"""Patterns without a checksum: if the model finds the same piece, the model's kind counts."""
_LONG_NUMBER = re.compile(r"(?<!\d)(?<!\d\.)\d(?:[ ./\u2010-\u2015\u2212-]?\d){8,}(?!\d)")
"""Nine digits and more are an account, a file or an identity number, in any country's form, and attached to any letters."""
_BREAK = "\x1c"
_HALF = re.compile(rf"\w{HIDDEN.pattern}+{_BREAK}|{_BREAK}{HIDDEN.pattern}+\w")
"""A value cut in two by an invisible character, of which a placeholder has replaced one half."""
BESIDE_PERSON = frozenset({"place", "organisation", "date"})
"""Kinds that are personal only beside a person: a town, a company or a date alone identifies nobody."""
NOT_SOMEBODY = BESIDE_PERSON | {"url"}
"""Kinds that do not identify a person. Every other kind does."""
_PASSES = 3
"""Most passes over the texts until nothing more is found."""
_WRITTEN = "stand-in"
"""The kind of an original text that looks like a placeholder."""
_WORDS = re.compile(r"[^\W_]+")
_SAID_OF = 200
"""Characters of a text that a field name in front can describe: the name refers to the start of its value."""
_AMBIGUOUS = 4
"""For a number of at most this many digits, an ambiguous word (`tax`, `policy`) in front is not enough: it may be a sum or a year."""
_PLACE = re.compile(r"\[([A-Z_]+)_(\d+)\]")

Find = Callable[[str], Iterable[tuple[str, int, int]]]
"""A finder: returns the kind, start and end (exclusive) of each piece of personal data in a text."""
_Made = TypeVar("_Made")
_Piece = tuple[int, int, str]


def nothing(text: str) -> Iterable[tuple[str, int, int]]:
    """Find nothing: for redaction by pattern alone."""
    return ()


def readable(text: str) -> None:
    """Raise RedactionError for a text that cannot be read completely: it is too long, or holds half a character."""
    size = f"{len(text):,} characters"
    if len(text) > MOST_CHARACTERS:
        raise RedactionError("privacy.text_is_too_long_to_be_read_whole", value=size, most_characters=MOST_CHARACTERS)
    if not text.isascii() and HALVES.search(text):
        raise RedactionError("privacy.text_is_invalid_unicode", value=size)


@dataclass
class Redactor:
    """Replaces personal data in the texts of one conversation by placeholders, and restores it in the answer.

    Equal values get the same placeholder (`[EMAIL_1]`) in all texts, so that the reader can tell people apart. A value that was found once
    is replaced everywhere, as a whole word, even if it is not found there.

    Attributes:
        find: finds data without a fixed form, or with other patterns.
        forms: further patterns. If they overlap with the usual ones, their kind counts.
        allowed: kinds that stay. A long number that is part of such a piece stays as well.
        beside_person: kinds for which the model's findings count only if a text of the conversation identifies a person: a name, a street,
            a number. A pattern's finding by the word before it (`dob: 19530412`) always counts.
        found: placeholders, and the values that they stand for.
        counts: number of pieces of each kind that were replaced.
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
        """Return a redactor for a conversation that continues this one. Its counts begin at zero."""
        other = Redactor(self.find, dict(self.found), forms=self.forms, allowed=self.allowed, beside_person=self.beside_person)
        other._somebody = self._somebody
        other._places, other._names = dict(self._places), dict(self._names)
        other._numbers, other._written, other._known = self._numbers.copy(), set(self._written), self._known.copy()
        return other

    def spans(self, text: str) -> list[dict[str, Any]]:
        """Return the personal data in a text, in order, without overlap: `start`, `end` (exclusive) and `label`, the kind.

        Raises RedactionError for a text that is too long, or holds half a character.
        """
        return [{"start": start, "end": end, "label": kind} for start, end, kind in self._pieces(text)]

    def mask(self, text: str, before: str = "") -> str:
        """Return the text with a placeholder for each piece of personal data.

        `before` describes the text, as the name of a field does (`cvv: `): patterns see it in front of the text, but nothing in it is
        replaced.

        Raises RedactionError as `spans` does, and if personal data is left that patterns see only after normalisation: with digits of
        another script or invisible characters.
        """
        if text in self._names:
            return self._names[text]
        return self._checked(self._replaced(text, before))

    def named(self, number: str, said: str) -> str:
        """Return a number as one placeholder if it is a known value or its field name `said` makes it personal; else unchanged."""
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
        """Return a name that the user gave (a label, a field), or one placeholder for all of it.

        From now on, a text that equals this name is replaced in the same way.

        A name is personal if a pattern finds anything in it, or the model finds the whole of it or two words. Places, organisations and
        dates that the model finds do not count. In a `value` that texts may have (a choice), every finding of the model that covers all of
        it counts. Raises as `mask` does.
        """
        if text not in self._names:
            self._written.update(match[0] for match in _PLACE.finditer(text))
            found = list(self._by_pattern(text)) or [
                (start, end, kind) for kind, start, end in self.find(text) if _personal(text, text[start:end], kind, value)
            ]
            self._names[text] = self._checked(self._place(text, found[0][2]) if found else text)
        return self._names[text]

    def keep(self, *names: str) -> None:
        """Never change these names: they are not personal."""
        self._names.update({name: name for name in names})

    def avoid(self, places: Iterable[str]) -> None:
        """Never assign these placeholders: a text may contain them."""
        self._written.update(places)

    def renamed(self) -> list[str]:
        """Return the names that are replaced by placeholders."""
        return [name for name, sent in self._names.items() if sent != name]

    def twice(self, make: Callable[[], _Made]) -> _Made:
        """Return the result of `make`, which masks several texts. Repeat it if a later text revealed values for an earlier one.

        It also repeats if a later text identifies a person, which makes a town or a date in an earlier text personal.
        """
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
        """Return the text with the values restored."""
        return _PLACE.sub(lambda match: self.found.get(match[0], match[0]), text)

    def unknown(self, answer: str) -> list[str]:
        """Return placeholders in an answer that were never assigned, and that no text of the conversation contained."""
        return [match[0] for match in _PLACE.finditer(answer) if match[0] not in self.found and match[0] not in self._written]

    def over(self, parts: Sequence[str]) -> set[str]:
        """Return the kinds that a check digit or a word reveals only when these masked texts are read as one. Raises as `spans` does."""
        alone = [_PLACE.sub(lambda match: _BREAK if match[0] in self.found else match[0], text) for text in parts]
        whole = "".join(alone)
        shown = {whole[start:end]: kind for (start, end, kind), loose in self._by_pattern(whole).items() if not loose}
        known = {text[start:end] for text in alone for start, end, _ in self._by_pattern(text)} if shown else set()
        return {kind for value, kind in shown.items() if value not in known}

    def _checked(self, safe: str) -> str:
        """Return a masked text unchanged if nothing personal is left after normalisation; else raise RedactionError."""
        # A break replaces a placeholder, so that the parts before and after it are not read as one number.
        rest = _PLACE.sub(lambda match: _BREAK if match[0] in self.found else match[0], safe)
        meant = _marks_hidden(encodings.unescape(rest).plain)
        if any(match[1] for match in _SMUGGLED.finditer(meant)):
            raise RedactionError("privacy.text_holds_invisible_characters")
        half = _HALF.search(meant)
        plain = _plainly(meant)
        kinds = self._shown(plain, rest)
        if kinds or half:
            raise RedactionError(
                "privacy.personal_data_is_left_once_normalised", value=_named(kinds) or ("a part of a value" if half else "a long number")
            )
        decoded = encodings.references_decoded(encodings.percent_decoded(plain))
        if decoded != plain and (kinds := self._shown(_plainly(decoded), plain)):
            raise RedactionError("privacy.personal_data_is_left_in_text_encoded", value=_named(kinds) or "a long number")
        return safe

    def _shown(self, plain: str, before: str) -> set[str]:
        """Return the kinds found in `plain`, which is `before` in plainer writing. If some kinds are allowed, only new findings count."""
        # Allowed pieces are still there, and those that the model found are not known here: findings in `before` were decided already.
        if self.allowed and plain == before:
            return set()
        known = {before[start:end] for start, end, _ in self._by_pattern(before)} if self.allowed else set()
        return {kind for start, end, kind in self._by_pattern(plain) if plain[start:end] not in known}

    def _replaced(self, text: str, before: str) -> str:
        pieces, at = [], 0
        # Text that looks like a placeholder of this conversation gets a placeholder, too; else another value would be restored in its
        # place.
        alike = [(match.start(), match.end(), _WRITTEN) for match in _PLACE.finditer(text) if match[0] in self.found]
        found = _merged([*self._pieces(text, before), *alike])
        self._written.update(match[0] for match in _PLACE.finditer(text))
        for start, end, kind in found:
            pieces += [text[at:start], self._place(text[start:end], kind)]
            at = end
        self.counts.update(kind for _, _, kind in found if kind != _WRITTEN)
        return "".join([*pieces, text[at:]])

    def _pieces(self, text: str, before: str = "") -> list[_Piece]:
        """Return all findings of patterns and the model, and further occurrences of the values. The surest kind counts in overlaps."""
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
        """Return the spans found by pattern, those with a passed check first, each with True if only its form tells.

        `spared`: pieces of allowed kinds that the model found. Escapes are decoded first. Raises as `readable` does.
        """
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
        # The digits of a bank account may look like those of a card, whose check is weaker.
        sure = [*(piece for piece in checked if piece[2] == "iban"), *forms, *checked]
        unsure = [*((start, end, kind) for start, end, kind, loose in known if loose), *long]
        found = dict.fromkeys(sure, False)
        for piece in unsure:
            found.setdefault(piece, True)
        return {piece: loose for piece, loose in found.items() if piece[2] not in self.allowed}

    def _by_form(self, text: str, before: str) -> list[_Piece]:
        """Return the spans of further patterns in a text, and those revealed by a word before the text."""
        return [*((start, end, kind) for kind, start, end in self.forms(text)), *self._by_name(text, before)]

    def _by_name(self, text: str, before: str) -> list[_Piece]:
        """Return the spans in a text that a word before it reveals."""
        if not before:
            return []
        whole, shift = before + text[:_SAID_OF], len(before)
        last = len(whole) if len(text) <= _SAID_OF else len(whole) - 1  # a span at the cut may continue
        return [(start - shift, end - shift, kind) for kind, start, end in self.forms(whole) if start >= shift and end <= last]

    def _whole(self, number: str, before: str) -> list[str]:
        """Return the kinds, except allowed ones, that `before` gives to a whole number."""
        wholes = (number, number.removeprefix("-"))
        return [kind for start, end, kind in self._by_name(number, before) if number[start:end] in wholes and kind not in self.allowed]

    def _place(self, value: str, kind: str) -> str:
        """Return the placeholder of a value: its own, or a new one that no text of the conversation contains."""
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
    """Tells whether any of these pieces covers a span: among those that begin no later, the one that ends last decides."""

    def __init__(self, pieces: Iterable[_Piece]) -> None:
        ordered = sorted((start, end) for start, end, _ in pieces)
        self._starts = [start for start, _ in ordered]
        self._ends = list(itertools.accumulate((end for _, end in ordered), max))

    def __call__(self, start: int, end: int) -> bool:
        place = bisect.bisect_right(self._starts, start)
        return place > 0 and self._ends[place - 1] >= end


def _plainly(text: str) -> str:
    """Return a text as it looks: without invisible characters, with the usual width of letters and Latin digits."""
    # Strip before and after: normalisation can produce invisible characters.
    plain = HIDDEN.sub("", _marks_hidden(unicodedata.normalize("NFKC", HIDDEN.sub("", text))))
    return "".join(str(unicodedata.digit(letter, letter)) for letter in plain)


def _marks_hidden(text: str) -> str:
    """Return a text with an invisible character for each combining mark that is over no letter: `HIDDEN` then finds them."""
    return text if text.isascii() else _MARKED.sub(_hidden_marks, text)


def _hidden_marks(match: re.Match[str]) -> str:
    # Not for what HIDDEN has itself, which `_SMUGGLED` looks at.
    return "".join(
        "\u200b" if unicodedata.category(sign).startswith("M") and not HIDDEN.match(sign) and sign not in _VARIATIONS else sign
        for sign in match[0]
    )


def _named(kinds: set[str]) -> str:
    """Return the names of kinds, except that of a number without a form; empty if there are none."""
    return ", ".join(sorted(kinds - {"number"}))


def _personal(text: str, piece: str, kind: str, value: bool) -> bool:
    """Return True if the model's finding makes a name personal."""
    whole = piece.strip() == text.strip()
    return (value and whole) if kind in BESIDE_PERSON else whole or len(_WORDS.findall(piece)) > 1


def _merged(pieces: Iterable[_Piece]) -> list[_Piece]:
    """Merge overlapping pieces in order, so that all covered text is replaced. The kind listed first among the overlapping ones counts."""
    ranked = sorted((start, end, rank, kind) for rank, (start, end, kind) in enumerate(pieces) if start < end)
    merged: list[tuple[int, int, int, str]] = []
    for start, end, rank, kind in ranked:
        if merged and start < merged[-1][1]:
            before = merged[-1]
            merged[-1] = (before[0], max(before[1], end), *min((before[2], before[3]), (rank, kind)))
        else:
            merged.append((start, end, rank, kind))
    return [(start, end, kind) for start, end, _, kind in merged]
