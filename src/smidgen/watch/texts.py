"""A text as drift sees it: what counts as the same text, and which words it has."""

from __future__ import annotations

import re
import unicodedata

from smidgen.core.rows import Text, joined

_STAND_IN = re.compile(r"\[([A-Z][A-Z_]*)_\d+\]")
"""What redaction puts in the place of personal data: `[PERSON_1]`."""
_DIGITS = re.compile(r"\d+")
_BREAKS = re.compile(r"[\W_]+")
_WORD = re.compile(r"[^\W\d_]{2,}(?:['’-][^\W\d_]+)*")


def name(text: Text) -> str:
    """What a text is called: texts that differ in case, punctuation, numbers or the number of a stand-in are one text. `Where is 4711?` and
    `where is 42` are asked by the same program."""
    plain = unicodedata.normalize("NFKC", _STAND_IN.sub(r" \1 ", joined(text))).casefold()
    return _BREAKS.sub(" ", _DIGITS.sub("0", plain)).strip()


def words(text: Text) -> set[str]:
    """Its words of two letters and more, folded; no numbers, and no stand-ins."""
    return set(_WORD.findall(unicodedata.normalize("NFKC", without_stand_ins(text)).casefold()))


def without_stand_ins(text: Text) -> str:
    """The text without them: they are in no language."""
    return _STAND_IN.sub(" ", joined(text))
