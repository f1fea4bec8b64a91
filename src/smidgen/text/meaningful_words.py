"""The words of a text that must be equal in another text for both to get one answer.

An embedding shows the topic of a text: "order 123" and "order 124" are as near as two texts can be, and so are "it works" and "it does
not work". A list of differences that matter (numbers, dates, negations, names, opposites) has no end. So the lists here are of
differences that do not matter: courtesy, articles, plurals. All other words and signs of two texts must be equal, in the same order.
In other languages nearly all words count, so texts must be nearly identical.
"""

from __future__ import annotations

import re
import unicodedata

_PIECE = re.compile(
    r"\[[A-Z_]+_\d+\]"  # a placeholder of the privacy border
    r"|(?<!\w)[-+−]?[$€£¥]?\d[\w.,:/'’%°-]*"  # a number, date, time or sum, with its signs and units
    r"|[^\W_]+(?:['’][^\W_]+)*"
    r"|[^\w\s]|_+"
)
_EMPTY = frozenset(
    (
        *("a", "an", "the", "please", "pls", "plz", "kindly", "thanks", "thank", "hi", "hello", "hey", "dear", "ok", "okay", "just"),
        *("can", "could", "would", "will", "shall", "do", "does", "is", "are", "am", "be", "i", "me", "my", "there"),
        *("tell", "help", "know", "some", "any", "of"),
    )
)
"""Courtesy, articles, present auxiliaries, and the first person."""
_WISHING = frozenset(("want", "need", "like", "wish"))
_WISHED = frozenset(("i", "would"))
_ASKED = frozenset(("can", "could", "would", "will"))
"""After these, `you` carries no meaning (`can you …`); elsewhere it is a person."""
_ASKING = frozenset(
    (
        *("who", "whom", "whose", "what", "which", "when", "where", "why", "how", "can", "could", "would", "will", "shall", "do", "does"),
        *("did", "is", "are", "am", "was", "were", "has", "have", "had", "should", "may", "might", "must"),
    )
)
"""A sentence that begins with one of these is a question, with or without a question mark."""
_INVERTED = frozenset(("do", "does", "did", "is", "are", "am", "was", "were", "has", "have", "had"))
"""In a statement these words follow the subject."""
_MODAL, _SPEAKERS = _ASKED | {"shall"}, frozenset(("i", "we"))
_OTHERWISE = frozenset(("us", "it", "am", "or", "in", "as", "at", "so", "no", "on", "who", "id", "all", "aid", "and"))
"""Words that mean something else in capitals: a country, a trade, an organisation."""
_SILENT = frozenset(".,;:!?\"'’“”„‘()")
_CONTRACTED = re.compile(
    r"\b(ca|wo|do|does|did|is|are|was|were|have|has|had|could|should|would|must|need|might|ai)(?:n['’]t|nt)\b|\bcannot\b", re.IGNORECASE
)
"""`can't`, and `cant` as people type it."""
_WHOLE = {"ca": "can", "": "can", "wo": "will", "ai": "is"}
_DOING = ("do", "does")
_SHORT = re.compile(r"['’](?:s|m|re|ve|d|ll)\Z")
_LONG = 3
"""Words of at most this many letters have no plural."""


def differ(one: str, other: str) -> bool:
    """Whether two texts may need different answers; True also if neither has a word that counts."""
    words = meaningful_words(one)
    return not words or words != meaningful_words(other)


def meaningful_words(text: str) -> tuple[str, ...]:
    """The words and signs of a text that must be equal in another text for both to get one answer."""
    plain = _CONTRACTED.sub(_spelt_out, unicodedata.normalize("NFC", text))
    loud = plain.upper() == plain
    words: list[str] = []
    before, opener, begins, question = "", "", True, False
    for match in _PIECE.finditer(plain):
        piece = match[0]
        if piece in _SILENT:
            # With a question mark, a statement is a question.
            if piece == "?" and not question:
                words.append("?")
            begins = begins or piece in ".!?"
            question = question and piece not in ".!?"
            continue
        word = _SHORT.sub("", piece.lower())
        if _empty(word, before):
            # `Will`, `US` and `IT` inside a sentence are names.
            named = piece != piece.lower() and not begins and word != "i" and not loud
            if named:
                words.append(piece)
        elif word in _OTHERWISE and piece.isupper() and not loud:
            words.append(piece)
        elif piece[0].isalpha():
            words.append(f"not {before}" if word == "not" else _singular(word))  # "cannot" and "will not" differ
        else:
            words.append(piece.rstrip(".,:") or piece)  # drop the full stop after a number; keep a lone sign
        if question and word in _SPEAKERS and before in _MODAL and before == opener:
            words.append("asks")  # "may I" and "I may" differ
        if begins and word in _ASKING:
            question, opener = True, word
            if word in _INVERTED:
                words.append("asks")
        begins = begins and word in _EMPTY and word not in _ASKING and word not in ("i", "me", "my")
        before = word
    if before in _DOING:  # a "does" at the end is not an auxiliary
        words.append(before)
    return tuple(words)


def _spelt_out(match: re.Match[str]) -> str:
    begun = (match[1] or "").lower()
    return f"{_WHOLE.get(begun, begun)} not"


def _empty(word: str, before: str) -> bool:
    return word in _EMPTY or (word in _WISHING and before in _WISHED) or (word == "you" and before in _ASKED)


def _singular(word: str) -> str:
    return word[:-1] if len(word) > _LONG and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word
