"""A Unigram tokenizer of a large vocabulary in a third of the memory that the `tokenizers` library takes.

That library holds XLM-R's 250,002 pieces in a tree of 280 MB, more than all the weights of a small encoder. Here they are a dictionary, and
the words of a text are cut by the same search for the likeliest pieces (Kudo 2018). It reads one shape of tokenizer.json, the one that
XLM-R's clean-up makes: Nmt and NFKC, words by blanks, `<s> text </s>`. The library stays the reference, and the tests compare the two.
"""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MARK = "\u2581"
"""Stands before each word."""
NORMALIZER = {"type": "Sequence", "normalizers": [{"type": "Nmt"}, {"type": "NFKC"}]}
PRE_TOKENIZER = {
    "type": "Sequence",
    "pretokenizers": [
        {"type": "WhitespaceSplit"},
        {"type": "Metaspace", "replacement": MARK, "prepend_scheme": "always", "split": True},
    ],
}
_CHUNK = re.compile(r"\S+")
_UNKNOWN_COSTS = 10.0
"""What an unknown character costs more than the unlikeliest piece, as a log probability."""
_KEPT_WORDS = 20_000
_LONGEST_KEPT = 40
"""Words that are kept once they are cut, and the most characters of one."""


def post_processor(first: int, last: int) -> dict[str, Any]:
    """`<s> text </s>`, of a pair `<s> one </s> </s> other </s>`, for the numbers of `<s>` and `</s>`."""
    opens, closes = ({"SpecialToken": {"id": name, "type_id": 0}} for name in ("<s>", "</s>"))
    one, other = ({"Sequence": {"id": name, "type_id": 0}} for name in ("A", "B"))
    return {
        "type": "TemplateProcessing",
        "single": [opens, one, closes],
        "pair": [opens, one, closes, closes, other, closes],
        "special_tokens": {name: {"id": name, "ids": [at], "tokens": [name]} for name, at in (("<s>", first), ("</s>", last))},
    }


def is_readable(told: Mapping[str, Any]) -> bool:
    """Whether a tokenizer.json has the shape that is read here."""
    model = told.get("model") or {}
    if model.get("type") != "Unigram" or model.get("byte_fallback") or not isinstance(model.get("vocab"), list):
        return False
    added = {str(entry.get("content")): entry.get("id") for entry in told.get("added_tokens") or ()}
    first, last = added.get("<s>"), added.get("</s>")
    if not isinstance(first, int) or not isinstance(last, int) or told.get("post_processor") != post_processor(first, last):
        return False
    return bool(told.get("normalizer") == NORMALIZER and told.get("pre_tokenizer") == PRE_TOKENIZER)


@dataclass(frozen=True, slots=True)
class CutText:
    """A text as tokens, with the names that the library's `Encoding` has. `offsets`: characters of the text that each token covers; those
    of a word that NFKC changes are the whole word's."""

    ids: list[int]
    type_ids: list[int]
    tokens: list[str]
    offsets: list[tuple[int, int]]
    special_tokens_mask: list[int]


Pieces = list[tuple[int, int, int]]
"""Number, first and one past the last character of each piece of a word, its mark not counted."""


class UnigramTokenizer:
    """The tokenizer in a tokenizer.json for which `is_readable` holds. One thread at a time.

    Raises ValueError, a clause, if its pieces are no texts with finite scores.
    """

    def __init__(self, told: Mapping[str, Any], max_length: int) -> None:
        from tokenizers import normalizers

        self._normalize = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC()]).normalize_str
        vocabulary = told["model"]["vocab"]
        self._unknown = int(told["model"].get("unk_id") or 0)
        self._number: dict[str, int] = {}
        self._scores = array("d")
        for place, entry in enumerate(vocabulary):
            if not isinstance(entry, list) or len(entry) != 2 or not isinstance(entry[0], str) or not isinstance(entry[1], int | float):
                raise ValueError(f"piece {place} of the vocabulary is no text with a score")
            self._number[entry[0]] = place
            self._scores.append(float(entry[1]))
        if not 0 <= self._unknown < len(vocabulary):
            raise ValueError("there is no token for what is unknown")
        if len(self._number) < len(vocabulary) or not all(map(math.isfinite, self._scores)):
            raise ValueError("two of its pieces are equal, or a score is no number")
        self._names = list(self._number)
        self._floor = min(self._scores) - _UNKNOWN_COSTS
        self._longest = max(map(len, self._number))
        self.special = {str(entry["content"]): int(entry["id"]) for entry in told["added_tokens"]}
        if not all(0 <= number < len(vocabulary) for number in self.special.values()):
            raise ValueError("a special token is none of its pieces")
        strips = {str(entry["content"]) for entry in told["added_tokens"] if entry.get("lstrip")}
        names = sorted(self.special, key=len, reverse=True)
        self._split = re.compile("(" + "|".join((r"\s*" if name in strips else "") + re.escape(name) for name in names) + ")")
        self._kept: dict[str, Pieces] = {}
        self._most = max_length

    def token_to_id(self, token: str) -> int | None:
        """The number of a token; None if there is none."""
        return self.special.get(token, self._number.get(token))

    def encode(self, text: str, other: str | None = None, special: bool = True) -> CutText:
        """Cut a text, or a pair, and leave out what is over the most tokens: of a pair, from the longer one."""
        texts = [self._cut(text, self._most)] if other is None else [self._cut(text), self._cut(other)]
        around = (0 if not special else 2 if other is None else 4) if self._most else 0
        first, *rest = _truncated(texts, max(0, self._most - around))
        opens, closes = (self.special["<s>"], 0, 0, True), (self.special["</s>"], 0, 0, True)
        marks = ([opens], [closes]) if special else ([], [])
        whole = [*marks[0], *first, *marks[1], *(entry for one in rest for entry in (*marks[1], *one, *marks[1]))]
        return CutText(
            ids=[number for number, _, _, _ in whole],
            type_ids=[0] * len(whole),
            tokens=[self._names[number] for number, _, _, _ in whole],
            offsets=[(start, end) for _, start, end, _ in whole],
            special_tokens_mask=[int(end == 0 and mark) for _, _, end, mark in whole],
        )

    def _cut(self, text: str, enough: int | None = None) -> list[tuple[int, int, int, bool]]:
        """Number, start, end of each token, and whether it is a special one; of no more words when there are enough tokens."""
        found: list[tuple[int, int, int, bool]] = []
        place = 0
        for part in self._split.split(text):
            number = self.special.get(part.strip()) if part else None
            if number is not None:
                found.append((number, place + len(part) - len(part.lstrip()), place + len(part), True))
            else:
                for chunk in _CHUNK.finditer(part):
                    found += self._words(chunk[0], place + chunk.start(), place + chunk.end())
                    if enough is not None and len(found) > enough:
                        return found
            place += len(part)
        return found

    def _words(self, chunk: str, start: int, end: int) -> list[tuple[int, int, int, bool]]:
        """The tokens of characters without blanks."""
        clean = self._normalize(chunk)
        if clean == chunk:
            return [(number, start + first, start + last, False) for number, first, last in self._pieces(chunk)]
        return [(number, start, end, False) for word in clean.split() for number, _, _ in self._pieces(word)]

    def _pieces(self, word: str) -> Pieces:
        known = self._kept.get(word)
        if known is None:
            known = self._likeliest(word)
            if len(word) <= _LONGEST_KEPT:
                if len(self._kept) >= _KEPT_WORDS:
                    self._kept.clear()
                self._kept[word] = known
        return known

    def _likeliest(self, word: str) -> Pieces:
        """The cut into pieces with the greatest sum of scores; unknown characters next to each other are one token."""
        text = MARK + word
        size = len(text)
        best: list[tuple[float, int, int]] = [(0.0, -1, -1)] + [(float("-inf"), -1, -1)] * size
        for start in range(size):
            score = best[start][0]
            single = False
            for end in range(start + 1, min(size, start + self._longest) + 1):
                number = self._number.get(text[start:end])
                if number is None:
                    continue
                single = single or end == start + 1
                if (total := score + self._scores[number]) > best[end][0]:
                    best[end] = (total, start, number)
            if not single and (total := score + self._floor) > best[start + 1][0]:
                best[start + 1] = (total, start, self._unknown)
        found: Pieces = []
        end = size
        while end > 0:
            _, start, number = best[end]
            first, last = max(0, start - 1), max(1, end - 1)  # a lone mark is told to cover the first character
            if found and number == found[-1][0] == self._unknown:
                found[-1] = (number, first, found[-1][2])
            else:
                found.append((number, first, last))
            end = start
        return found[::-1]


def _truncated(texts: Sequence[list[Any]], most: int) -> list[list[Any]]:
    """One text cut at the end; of two, the longer is cut first, then both to a half."""
    if len(texts) == 1:
        return [texts[0][:most]]
    if sum(map(len, texts)) <= most:
        return list(texts)
    short, long = sorted(map(len, texts))
    long = short if short > most else max(short, most - short)
    if short + long > most:
        short = most // 2
        long = short + most % 2
    sizes = (short, long) if len(texts[0]) <= len(texts[1]) else (long, short)
    return [text[:size] for text, size in zip(texts, sizes, strict=True)]
