"""Find the sentences of a text, by rules that hold for English, German and most other European languages."""

from __future__ import annotations

import re

_END = re.compile(r"[.!?…]+[\"'”’»)\]]*(?=\s)|\n+|[。！？]")
_NUMBERING = re.compile(r"\s*(?:[-•*–]\s+|(?:\d{1,3}\.)+(?:\d{1,3})?\s+|[A-Z]?\d{1,3}[.)]\s+|[a-z]\)\s+|\((?:\d{1,3}|[a-z])\)\s+)?")
_ABBREVIATED = """
    mr mrs ms dr prof st jr sr vs etc eg ie e.g i.e no nos fig approx dept est inc ltd co corp vol pp p ca cf
    z.b d.h u.a z.t bzw ggf usw nr str abs art evtl inkl exkl zzgl tel bspw s.o s.u vgl mio mrd jan feb aug sept sep okt oct nov dez dec
    sra srta ud uds pág av núm
"""
_ABBREVIATIONS = frozenset(_ABBREVIATED.split())
_LAST_WORD = re.compile(r"([^\W_][\w.'’]*)\.+$")
_CLAUSE = re.compile(r"[\s•*-]*[A-Z]\d{1,2}")
_AFTER_NUMBER = re.compile(r"\d[a-z]?\s+[a-z]$")
"""A unit of one letter after its number: "50 p"."""
_PREPOSITIONS = "am vom bis der dem den des das zum zur im ab und seit ihr ihre ihren sein seine the on"
_BEFORE_ORDINALS = frozenset(_PREPOSITIONS.split())
_MONTHS = re.compile(
    r"\s*(?:Jan|Feb|M[aä]r|Apr|Ma[iy]|Jun|Jul|Aug|Sep|O[ck]t|Nov|De[zc])[a-zä]*\b|\s*(?:Kapitel|Absatz|Auflage|Jahrhundert|Klasse|Tag|Woche)"
)

_LEANS = re.compile(
    r"(?:it|its|they|their|them|this|that|these|those|he|she|his|her|such|both|each|otherwise|however|then|but|unless|"
    r"in (?:that|this) case|after that|if it|if not|if neither|er|sie|es|dies\w*|dabei|dafür|danach|sonst|dann|jedoch|aber|beide|ihr\w*)\b",
    re.IGNORECASE,
)


def leans(sentence: str) -> bool:
    """Whether a sentence begins as one that needs the sentence before it: with a pronoun, or "otherwise"."""
    return _LEANS.match(sentence) is not None


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Start and end of each sentence, without blanks around it and without numbering before it (`4.2 `, `- `, `(a) `).

    A line break ends a sentence. A full stop ends none after an abbreviation, an initial or a small number, and before a small letter.
    """
    spans, start = [], 0
    for found in _END.finditer(text):
        if found[0][0] != "\n" and not _ends(text, start, found):
            continue
        spans.append((start, found.start() if found[0][0] == "\n" else found.end()))
        start = found.end()
    spans.append((start, len(text)))
    return [trimmed for first, last in spans if (trimmed := _trimmed(text, first, last)) is not None]


def _ends(text: str, start: int, mark: re.Match[str]) -> bool:
    after = text[mark.end() :].lstrip()[:1]
    if after.islower():
        return False
    if not mark[0].startswith(".") or mark[0].startswith(".."):
        return True
    word = _LAST_WORD.search(text[start : mark.start() + 1])
    if word is None:
        return True
    last, said = word[1].lower(), text[start : mark.start()]
    if _AFTER_NUMBER.search(said) and not after.isdigit():
        return True
    if _CLAUSE.fullmatch(said) or last in _ABBREVIATIONS or re.fullmatch(r"(?:[^\W\d_]\.)*[^\W\d_]", last):
        return False
    if not last.replace(".", "").isdigit() or len(last) > 2:
        return True
    # "1. Orders", "3. Mai" and "der 2. Weltkrieg" go on; "for £39. We" and "on page 12. The" end.
    before = said.strip(" \t-•*").removesuffix(word[1])
    words = before.split()
    ordinal = before[-1:].isspace() and bool(words) and words[-1].lower() in _BEFORE_ORDINALS
    return bool(words) and not ordinal and not _MONTHS.match(text, mark.end())


def _trimmed(text: str, start: int, end: int) -> tuple[int, int] | None:
    numbering = _NUMBERING.match(text, start, end)
    if numbering is not None and numbering.end() < end:
        start = numbering.end()
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return (start, end) if any(letter.isalnum() for letter in text[start:end]) else None
