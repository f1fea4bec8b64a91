"""Texts as a tagger reads them: units and their shapes, tokenizer pieces, windows, tags, and the probability of each span.

Students and engines share this module, so that a text is read alike in training and in use.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from tokenizers import Tokenizer


from collections.abc import Collection, Mapping

Floats = NDArray[np.float64]

BEGIN, INSIDE, END, SINGLE = range(4)
"""The four tags of a kind."""

LEAST_PROBABILITY = 0.05
"""Spans less likely than this are ignored."""

_DEEPEST = 60.0  # a tag cannot be more than e^60 times less likely than the best of its unit

UnitSpan = tuple[int, int, int]
"""First unit, last unit, number of the kind."""

LikelySpan = tuple[int, int, int, float]
"""A `UnitSpan` and its probability."""


def tag_count(kinds: int) -> int:
    """The number of tags for this many kinds."""
    return 1 + 4 * kinds


def allowed_transitions(kinds: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Which tags may follow which, (tags, tags); which may come first, (tags,); which last, (tags,)."""
    tags = np.arange(tag_count(kinds))
    part = np.where(tags == 0, SINGLE, (tags - 1) % 4)
    kind = np.where(tags == 0, -1, (tags - 1) // 4)
    opens, closes = np.isin(part, (BEGIN, SINGLE)), np.isin(part, (END, SINGLE))
    goes_on = np.isin(part, (BEGIN, INSIDE))[:, None] & np.isin(part, (INSIDE, END))[None, :] & (kind[:, None] == kind[None, :])
    return (closes[:, None] & opens[None, :]) | goes_on, opens, closes


def bioes_tags(spans: Sequence[UnitSpan], units: int) -> NDArray[np.int64]:
    """The tag of each unit. Spans must not overlap."""
    found = np.zeros(units, dtype=np.int64)
    for first, last, kind in spans:
        base = 1 + 4 * kind
        if first == last:
            found[first] = base + SINGLE
        else:
            found[first], found[first + 1 : last], found[last] = base + BEGIN, base + INSIDE, base + END
    return found


class TagChain:
    """Transition weights between tags, in the form that reading texts needs."""

    def __init__(self, transitions: ArrayLike) -> None:
        """`transitions` are log weights (tags, tags), from the row's tag to the column's; impossible pairs are ignored. Raises ValueError
        if the shape fits no number of kinds."""
        table = np.asarray(transitions, dtype=np.float64)
        size = len(table)
        if table.shape != (size, size) or not size or (size - 1) % 4:
            raise ValueError(f"transitions must be (1 + 4 kinds) squared, not {table.shape}")
        self.tags = size
        may, self._opens, self._closes = (mask.astype(np.float64) for mask in allowed_transitions((size - 1) // 4))
        self._between = may * np.exp(np.clip(table, -_DEEPEST, _DEEPEST))

    def spans(self, emissions: ArrayLike, least: float = LEAST_PROBABILITY) -> list[LikelySpan]:
        """All spans of a text with probability at least `least`, in the order of their first units. `emissions`: log weights (units,
        tags)."""
        weights = np.asarray(emissions, dtype=np.float64)
        if not len(weights):
            return []
        weights = np.exp(np.maximum(weights - weights.max(axis=1, keepdims=True), -_DEEPEST))
        before, after, scales = self._passes(weights)
        found: list[LikelySpan] = []
        likely = before * after
        for place, tag in np.argwhere(likely[:, 1:] >= least).tolist():
            kind, part = divmod(tag, 4)
            if part == SINGLE:
                found.append((place, place, kind, min(1.0, float(likely[place, tag + 1]))))
            elif part == BEGIN:
                found += self._longer(place, kind, weights, before, after, scales, least)
        return sorted(found)

    def _passes(self, weights: Floats) -> tuple[Floats, Floats, Floats]:
        """The weights of the paths up to each tag, and of those after it, each scaled so that their product is the tag's probability; and
        the scale of each unit."""
        units = len(weights)
        before, after, scales = np.empty_like(weights), np.empty_like(weights), np.empty(units)
        step = self._opens
        for place in range(units):
            row = step * weights[place]
            scales[place] = row.sum()
            before[place] = row = row / scales[place]
            step = row @ self._between
        after[-1] = self._closes / (before[-1] @ self._closes)
        for place in range(units - 2, -1, -1):
            after[place] = self._between @ (weights[place + 1] * after[place + 1]) / scales[place + 1]
        return before, after, scales

    def _longer(
        self, first: int, kind: int, weights: Floats, before: Floats, after: Floats, scales: Floats, least: float
    ) -> list[LikelySpan]:
        """The spans of several units that begin at `first`."""
        base = 1 + 4 * kind
        inside, end = base + INSIDE, base + END
        found: list[LikelySpan] = []
        mass, at = float(before[first, base + BEGIN]), base + BEGIN
        for place in range(first + 1, len(weights)):
            ended = mass * self._between[at, end] * weights[place, end] / scales[place] * after[place, end]
            if ended >= least:
                found.append((first, place, kind, min(1.0, float(ended))))
            mass, at = mass * self._between[at, inside] * weights[place, inside] / scales[place], inside
            if mass * after[place, inside] < least:
                break
        return found


LEVELS = {
    "words": re.compile(r"[^\W_]+|[^\w\s]|_"),
    "runs": re.compile(r"[^\W\d_]+|\d+|[^\w\s]|_"),
    "characters": re.compile(r"\S"),
}
"""The levels of units, coarsest first: a run of letters and digits, or any other sign; letters and digits apart; every character."""

SHAPES = 8
"""The number of shapes that a unit may have: see `word_shape`."""

_TORN = 0.005
"""A level is too coarse if more than this share of the spans begin or end within a unit."""

CharacterSpan = tuple[int, int, int]
"""First character, one past the last, number of the kind."""


def units(text: str, level: str) -> list[tuple[int, int]]:
    """The first character of each unit of a text, and one past its last."""
    return [match.span() for match in LEVELS[level].finditer(text)]


def coarsest_level(examples: Iterable[tuple[str, Sequence[CharacterSpan]]]) -> str:
    """The coarsest level at which nearly all spans of the examples begin and end between units."""
    kept = [(text, spans) for text, spans in examples if spans]
    for level in LEVELS:
        torn = sum(_torn(units(text, level), spans) for text, spans in kept)
        if torn <= _TORN * sum(len(spans) for _, spans in kept):
            return level
    return next(reversed(LEVELS))


def _torn(found: Sequence[tuple[int, int]], spans: Sequence[CharacterSpan]) -> int:
    starts, ends = {start for start, _ in found}, {end for _, end in found}
    return sum(start not in starts or end not in ends for start, end, _ in spans)


def unit_spans(found: Sequence[tuple[int, int]], spans: Iterable[CharacterSpan]) -> list[UnitSpan]:
    """Spans of characters as spans of units: each takes the units that it touches. Spans that touch no unit, or a taken one, are left
    out."""
    placed: list[UnitSpan] = []
    starts, ends = np.array([start for start, _ in found]), np.array([end for _, end in found])
    taken = -1
    for start, end, kind in sorted(spans):
        first, last = int(np.searchsorted(ends, start, side="right")), int(np.searchsorted(starts, end, side="left")) - 1
        if first <= last and first > taken:
            placed.append((first, last, kind))
            taken = last
    return placed


def word_shape(word: str) -> int:
    """The shape of a word, 0 to 7, for models that read without case: 0 small or without letters; 1 Capital first; 2 ALL CAPITALS;
    3 a single capital; 4 mixed. With digits among the letters: 5 small, 6 all capitals, 7 mixed."""
    if word.islower() and word.isalpha():  # most words; for them, a look at each letter would double the reading time
        return 0
    letters = [letter for letter in word if letter.isalpha()]
    if not letters:
        return 0
    large = sum(letter.isupper() for letter in letters)
    digits = any(letter.isdigit() for letter in word)
    if not large:
        return 5 if digits else 0
    if large == len(letters):
        return 6 if digits else 2 if len(letters) > 1 else 3
    if digits:
        return 7
    return 1 if large == 1 and word[0].isupper() else 4


@dataclass(frozen=True, slots=True)
class TaggerInput:
    """A text as a tagger reads it.

    Attributes:
        ids: token numbers of its pieces, without special ones.
        shapes: the shape of the unit that each piece begins in.
        units: (units, 2) first character of each unit that has pieces, and one past its last.
        pieces: (units, 2) first piece of each, and one past its last.
    """

    ids: list[int]
    shapes: list[int]
    units: NDArray[np.int64]
    pieces: NDArray[np.int64]


def read_units(text: str, ids: Sequence[int], offsets: Sequence[tuple[int, int]], level: str) -> TaggerInput:
    """Match the units of a text with its tokenizer pieces; `offsets` are the pieces' characters. A unit takes all pieces that it shares a
    character with. Units without any piece are left out."""
    found = units(text, level)
    starts = np.array([start for start, _ in offsets], dtype=np.int64)
    ends = np.array([end for _, end in offsets], dtype=np.int64)
    table = np.array(found, dtype=np.int64).reshape(-1, 2)
    # Offsets never decrease, so the pieces of a unit are contiguous.
    first, past = np.searchsorted(ends, table[:, 0], side="right"), np.searchsorted(starts, table[:, 1], side="left")
    there = first < past
    own = np.searchsorted(table[:, 1], starts, side="right")
    by_unit = [word_shape(text[start:end]) for start, end in found]
    shapes = [by_unit[place] if place < len(found) and found[place][0] <= start else 0 for place, start in zip(own, starts, strict=True)]
    return TaggerInput(list(ids), shapes, table[there], np.stack([first, past], axis=1)[there].astype(np.int64))


@dataclass(frozen=True, slots=True)
class TextWindow:
    """Pieces `start` to `end` of a text, read at once. Only this window answers its pieces `own` to `own_end`."""

    start: int
    end: int
    own: int
    own_end: int


def cut_windows(pieces: int, room: int) -> list[TextWindow]:
    """Windows of at most `room` pieces over a text of `pieces` pieces, neighbours sharing half. Each piece is answered by the window with
    most context on both its sides."""
    if pieces <= room:
        return [TextWindow(0, pieces, 0, pieces)]
    count = 1 + -(-(pieces - room) // max(1, room // 2))
    starts = np.linspace(0, pieces - room, count).round().astype(int).tolist()
    cuts = [0, *((before + room + after) // 2 for before, after in itertools.pairwise(starts)), pieces]
    return [TextWindow(start, start + room, cuts[place], cuts[place + 1]) for place, start in enumerate(starts)]


def pool_pieces(scores: NDArray[np.float32], pieces: NDArray[np.int64]) -> NDArray[np.float64]:
    """The mean of each unit's pieces, (units, k), of scores (pieces, k)."""
    sums = np.vstack([np.zeros((1, scores.shape[1])), np.cumsum(scores, axis=0, dtype=np.float64)])
    first, past = pieces[:, 0], pieces[:, 1]
    mean: NDArray[np.float64] = (sums[past] - sums[first]) / (past - first)[:, None]
    return mean


MOST_CHARACTERS = 100_000
"""Characters of a text that are read."""


def choice_probabilities(scores: Sequence[NDArray[np.float32]], choices: Sequence[int]) -> list[list[float]]:
    """The probabilities of each choice's values, by the mean of the log weights (tokens, values) of all tokens of all windows of a text,
    including special tokens. `choices`: the number of values of each."""
    mean = np.concatenate(scores).mean(axis=0, dtype=np.float64)
    parts = np.split(mean, np.cumsum(choices)[:-1])
    weights = [np.exp(part - part.max()) for part in parts]
    return [[round(float(weight), 6) for weight in own / own.sum()] for own in weights]


@dataclass(frozen=True)
class TaggerReader:
    """A tokenizer configured for a tagger.

    Attributes:
        before, after: the special tokens around a window.
        room: pieces that a window holds.
        level: the level of units; see `LEVELS`.
        shaped: whether shapes are added to token numbers.
        vocabulary: the number of token numbers that the model knows.
    """

    tokenizer: Tokenizer
    before: list[int]
    after: list[int]
    room: int
    level: str
    shaped: bool
    vocabulary: int

    @staticmethod
    def of(tokenizer: Tokenizer, max_length: int, level: str, shaped: bool, vocabulary: int) -> TaggerReader:
        """A reader with this tokenizer, which it configures."""
        tokenizer.no_padding()
        tokenizer.no_truncation()
        # No text is ever read as a special token.
        tokenizer.encode_special_tokens = True
        around = tokenizer.encode("").ids
        before, after = around[: len(around) // 2], around[len(around) // 2 :]
        return TaggerReader(tokenizer, before, after, max(2, max_length - len(around)), level, shaped, vocabulary)

    def read(self, texts: Sequence[str]) -> list[TaggerInput]:
        """Each text's units and pieces, of at most its first 100,000 characters."""
        texts = [text[:MOST_CHARACTERS] for text in texts]
        found = self.tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [read_units(text, e.ids, e.offsets, self.level) for text, e in zip(texts, found, strict=True)]

    def windows(self, reading: TaggerInput) -> list[TextWindow]:
        """The windows of a text."""
        return cut_windows(len(reading.ids), self.room)

    def ids(self, reading: TaggerInput, window: TextWindow) -> list[int]:
        """The token numbers of a window, between its special tokens."""
        return [*self.before, *reading.ids[window.start : window.end], *self.after]

    def shapes(self, reading: TaggerInput, window: TextWindow) -> list[int]:
        """The shape of each of these tokens; 0 for special ones, and for all if the model knows no shapes."""
        inner = reading.shapes[window.start : window.end] if self.shaped else [0] * (window.end - window.start)
        return [0] * len(self.before) + inner + [0] * len(self.after)

    def numbers(self, reading: TaggerInput, window: TextWindow) -> list[int]:
        """Token numbers and shapes in one list: the vocabulary's size times the shape is added to each token number."""
        pairs = zip(self.ids(reading, window), self.shapes(reading, window), strict=True)
        return [number + self.vocabulary * shape for number, shape in pairs]

    def raw(
        self, readings: Sequence[TaggerInput], scores: Sequence[Sequence[NDArray[np.float32]]], chain: TagChain, choices: Sequence[int] = ()
    ) -> dict[str, list[Any]]:
        """A tagger's raw outputs as `spans`, and as `choices` if there are any. `choices`: the number of values of each.

        `scores` are as for `spans`, for each text; the log weights of the choices' values follow those of the tags.
        """
        own = [[table[:, : chain.tags] for table in tables] for tables in scores]
        found: dict[str, list[Any]] = {"spans": [self.spans(r, tables, chain) for r, tables in zip(readings, own, strict=True)]}
        if choices:
            found["choices"] = [choice_probabilities([table[:, chain.tags :] for table in tables], choices) for tables in scores]
        return found

    def spans(self, reading: TaggerInput, scores: Sequence[NDArray[np.float32]], chain: TagChain) -> list[list[float]]:
        """The possible spans of a text: first character, one past the last, number of the kind, and probability of each.

        `scores` holds for each window, in order, log weights (tokens, tags) of the tags, special tokens included.
        """
        if not len(reading.units):
            return []
        found = chain.spans(self.unit_scores(reading, scores))
        return [[int(reading.units[a, 0]), int(reading.units[b, 1]), kind, round(chance, 6)] for a, b, kind, chance in found]

    def unit_scores(self, reading: TaggerInput, scores: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
        """The mean of each unit's pieces, (units, k), by the scores (tokens, k) of each window, special tokens included."""
        skip = len(self.before)
        own = [table[skip + w.own - w.start : skip + w.own_end - w.start] for w, table in zip(self.windows(reading), scores, strict=True)]
        return pool_pieces(np.concatenate(own), reading.pieces)


LONGEST_NAME = 8
"""Most words of a name that is looked up."""

_DIGITS = re.compile(r"\d+")
_AROUND = (-2, -1, 1, 2)
_EDGE = "\N{SYMBOL FOR NULL}"


def name_of(words: Sequence[str]) -> str:
    """Words in the form of the name list: lower case, joined by spaces."""
    return " ".join(words).lower()


def features(words: Sequence[str], names: Mapping[str, int], hidden: Collection[str] = ()) -> list[list[str]]:
    """The features of each word. Each is a text whose prefix names its kind.

    Args:
        words: the units of a text, in order.
        names: known names, as `name_of` gives them, with the number of their kind.
        hidden: names that count as unknown: for a training text, those that occur in it alone.
    """
    small = [word.lower() for word in words]
    written = [_pattern(word) for word in words]
    listed = _listed(small, names, hidden)
    found = []
    for place, word in enumerate(small):
        own = ["bias", f"w={word}", f"p={written[place]}", f"s={word_shape(words[place])}"]
        own += [f"a{size}={word[:size]}" for size in range(1, 5) if len(word) > size]
        own += [f"z{size}={word[-size:]}" for size in range(1, 6) if len(word) > size]
        for step in _AROUND:
            near = place + step
            inside = 0 <= near < len(words)
            own.append(f"w{step}={small[near] if inside else _EDGE}")
            if abs(step) == 1:
                own.append(f"p{step}={written[near] if inside else _EDGE}")
                own.append(f"z{step}={small[near][-3:] if inside else _EDGE}")
        if place:
            own.append(f"ww-1={small[place - 1]} {word}")
        if place + 1 < len(words):
            own.append(f"ww+1={word} {small[place + 1]}")
        found.append([*own, *listed[place]])
    return found


def text_features(words: Sequence[str]) -> list[str]:
    """The features of a whole text, each once: its words, the pairs of neighbours, and the first letters of words."""
    small = [_DIGITS.sub("0", word.lower()) for word in words]
    found = [f"w={word}" for word in small]
    found += [f"ww={one} {other}" for one, other in itertools.pairwise([_EDGE, *small, _EDGE])]
    found += [f"a4={word[:4]}" for word in small if len(word) > 4]
    return list(dict.fromkeys(found))


def _pattern(word: str) -> str:
    """The kinds of sign in a word, repeats left out: `Aa0-` of `Word12-`. Words of digits only include their length, up to eight."""
    signs = ["A" if c.isupper() else "a" if c.isalpha() else "0" if c.isdigit() else c for c in word]
    short = "".join(sign for place, sign in enumerate(signs) if place == 0 or sign != signs[place - 1])
    return f"{short}{min(8, len(word))}" if short == "0" else short


def _listed(small: Sequence[str], names: Mapping[str, int], hidden: Collection[str]) -> list[list[str]]:
    """For each word whether it begins, continues or ends a known name; the longest names first, no two overlapping."""
    found: list[list[str]] = [[] for _ in small]
    place = 0
    while place < len(small):
        size = LONGEST_NAME + 1 if names else 0
        kind: int | None = None
        while kind is None and size > 0:
            size -= 1
            words = " ".join(small[place : place + size])
            kind = names.get(words) if size and place + size <= len(small) and words not in hidden else None
        if kind is None:
            place += 1
            continue
        parts = ["one"] if size == 1 else ["first", *["inside"] * (size - 2), "last"]
        for at, part in enumerate(parts):
            found[place + at].append(f"n={part} {kind}")
        place += size
    return found
