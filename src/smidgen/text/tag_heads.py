"""The heads of a tagger whose encoder stays as it comes: tags of words by the encoder's states and the words' spelling, and choices by
likeness to the training texts.

Students and engines share this module, so that a text is read alike in training and in use.
"""

from __future__ import annotations

import itertools
import re
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.text import tagging
from smidgen.text.stretches import KINDS, stretches
from smidgen.text.tagging import LikelySpan, TagChain, TaggerInput, TaggerReader
from smidgen.text.word_classes import CLASSES, OPEN, class_of

Floats32 = NDArray[np.float32]

STATES, WORDS, BIAS, LANDMARKS, CHOSEN, CHAIN = "states", "words", "bias", "landmarks", "chosen", "transitions"
"""Names of the tensors."""
GAIN = 4.0
"""Gain of the logits of choices; see `stats.kernel_ridge.logits`."""


@dataclass(frozen=True)
class TagHeads:
    """The heads.

    Attributes:
        index: the row of `words` of each feature of a word; see `tagging.features`.
        states: (width, tags) weights of a word's state.
        words: (features, tags) weights of its spelling and its neighbours.
        bias: (tags,).
        chain: the transitions between tags.
        landmarks: (m, width) unit vectors of the training texts; with `lexical`, each followed by its words (see `words_vector`).
        chosen: (m, values) weights of likeness to them.
        choices: the number of values of each choice.
        gamma: rate at which likeness falls off.
        lexical: for each choice how much of a likeness is that of words, 0 to 1; empty if none is.
        signs: how much of the likeness for the first choice is that of signs, 0 to 1; landmarks then end in theirs (see `signs_vector`).
        own: for each value of the first choice the kinds of span that a text of it may have; empty if that is any.
    """

    index: Mapping[str, int]
    states: Floats32
    words: Floats32
    bias: Floats32
    chain: TagChain
    landmarks: Floats32
    chosen: Floats32
    choices: Sequence[int]
    gamma: float
    lexical: Sequence[float] = ()
    own: Sequence[Sequence[int]] = ()
    signs: float = 0.0

    def raw(
        self, texts: Sequence[str], reader: TaggerReader, readings: Sequence[TaggerInput], states: Sequence[Sequence[Floats32]]
    ) -> dict[str, Any]:
        """`spans` of texts, and `choices` if there are any, as a tagger yields them. `states`: for each text the states (tokens, width) of
        each of its windows, special tokens included. With `own`, a span has a fifth number: the value of the first choice it is for."""
        if not self.choices:
            found = [self._spans(text, reader, reading, own) for text, reading, own in zip(texts, readings, states, strict=True)]
            return {"spans": found}
        chosen = [self._choices(text, text_vector(own)) for text, own in zip(texts, states, strict=True)]
        found = [
            self._spans(text, reader, reading, own, chances[0])
            for text, reading, own, chances in zip(texts, readings, states, chosen, strict=True)
        ]
        return {"spans": found, "choices": chosen}

    def _spans(
        self, text: str, reader: TaggerReader, reading: TaggerInput, states: Sequence[Floats32], first: Sequence[float] = ()
    ) -> list[list[float]]:
        if not len(reading.units):
            return []
        weights = reader.unit_scores(reading, states).astype(np.float32) @ self.states + self.bias
        for place, word in enumerate(word_features(text, reading)):
            rows = [row for entry in word if (row := self.index.get(entry)) is not None]
            weights[place] += self.words[rows].sum(axis=0)
        if not self.own:
            return _placed(self.chain.spans(weights), reading)
        able = sorted((value for value, kinds in enumerate(self.own) if kinds), key=lambda value: -first[value])
        likely = [value for place, value in enumerate(able) if not place or (place < _MOST_READ and first[value] >= _LEAST_READ)]
        return [
            [*span, value]
            for value in likely
            for span in _placed(self.chain.spans(np.where(tags_of(self.own[value], weights.shape[1]), weights, _BARRED)), reading)
        ]

    def _choices(self, text: str, vector: Floats32) -> list[list[float]]:
        width = len(self.states)
        meant, said, spoken = np.split(self.landmarks, [width, width + (WORDS_WIDTH if self.lexical else 0)], axis=1)
        like = meant @ vector
        like_words = said @ words_vector(text) if self.lexical else like
        logits = []
        shares = self.lexical or [0.0] * len(self.choices)
        for place, (share, part) in enumerate(zip(shares, np.split(self.chosen, np.cumsum(self.choices)[:-1], axis=1), strict=True)):
            likeness = (1 - share) * like + share * like_words
            if self.signs and place == 0:
                likeness = (1 - self.signs) * likeness + self.signs * (spoken @ signs_vector(text))
            scores = np.exp(self.gamma * (likeness - 1)) @ part
            logits.append(GAIN * np.arcsinh(np.sqrt(part.shape[1]) * scores))
        return tagging.choice_probabilities([np.concatenate(logits)[None].astype(np.float32)], self.choices)


_MOST_READ, _LEAST_READ = 3, 0.1
"""The most values of the first choice for which spans are read, and the least probability of those after the likeliest."""
_BARRED = -1e4


def tags_of(kinds: Sequence[int], tags: int) -> NDArray[np.bool_]:
    """Which of the tags are outside any span, or of these kinds: (tags,)."""
    return np.isin((np.arange(tags) - 1) // 4, [-1, *kinds])


def _placed(likely: Sequence[LikelySpan], reading: TaggerInput) -> list[list[float]]:
    return [[int(reading.units[a, 0]), int(reading.units[b, 1]), kind, round(chance, 6)] for a, b, kind, chance in likely]


WORDS_WIDTH = 1024
"""Width of a vector of words."""
_MASKED = re.compile(r"\S*\d\S*")
_SPELT = re.compile(r"[^\W_]+")
_PIECES = (3, 4, 5)
_WEIGHTS = {"w": 1.0, "b": 0.7, "c": 0.35}


def words_vector(text: str) -> Floats32:
    """The words of a text, their pairs and their pieces as a unit vector, by signed hashing (Weinberger et al. 2009). Numbers, codes and
    addresses are one word each."""
    words = _SPELT.findall(_MASKED.sub("0", text[: tagging.MOST_CHARACTERS].casefold()))
    counts = Counter([f"w{word}" for word in words])
    counts.update(f"b{one} {other}" for one, other in itertools.pairwise([_EDGE, *words]))
    for word in words:
        around = f"<{word}>"
        counts.update(f"c{around[at : at + size]}" for size in _PIECES for at in range(len(around) - size + 1))
    made = np.zeros(WORDS_WIDTH, np.float32)
    for entry, count in counts.items():
        number = zlib.crc32(entry.encode("utf-8", "replace"))
        made[number % WORDS_WIDTH] += _WEIGHTS[entry[0]] * count * (1 if number >> 20 & 1 else -1)
    return made / max(float(np.linalg.norm(made)), 1e-12)


_BEGINNINGS = (*CLASSES, OPEN)
SIGNS_WIDTH = 2 + len(_BEGINNINGS) + len(KINDS)
"""Width of a vector of signs."""


def signs_vector(text: str) -> Floats32:
    """The signs by which a question about a thing differs from the wish to have it done, as a unit vector: whether the text asks, the class
    of its first word, and the kinds of values that it states."""
    text = text[: tagging.MOST_CHARACTERS]
    made = np.zeros(SIGNS_WIDTH, np.float32)
    made[int("?" in text)] = 1
    if first := _SPELT.search(text):
        made[2 + _BEGINNINGS.index(class_of(first.group()))] = 1
    for kind in {kind for _, _, kind in stretches(text)}:
        made[2 + len(_BEGINNINGS) + KINDS.index(kind)] = 1
    return made / np.float32(np.linalg.norm(made))


def text_vector(states: Sequence[Floats32]) -> Floats32:
    """The mean of the states of all tokens of all windows of a text, scaled to length 1."""
    mean = np.concatenate(list(states)).mean(axis=0, dtype=np.float64)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), np.float32)


def word_features(text: str, reading: TaggerInput) -> list[list[str]]:
    """The features of each unit of a text: its spelling and its neighbours', the classes of the small words around it, and the kinds of
    stretch that it lies in (see `text.stretches`)."""
    places = [(int(start), int(end)) for start, end in reading.units]
    words = [text[start:end] for start, end in places]
    found = tagging.features(words, {})
    classes, kinds = [class_of(word) for word in words], _kinds(text, places)
    for place, own in enumerate(found):
        for step in _BESIDE:
            near = place + step
            inside = 0 <= near < len(words)
            own.append(f"k{step}={classes[near] if inside else _EDGE}")
            if abs(step) < 2:
                own.append(f"t{step}={kinds[near] if inside else _EDGE}")
        before = classes[place - 1] if place else _EDGE
        after = classes[place + 1] if place + 1 < len(words) else _EDGE
        own += [f"kk-1={before} {classes[place]}", f"kk+1={classes[place]} {after}", f"kkk={before} {classes[place]} {after}"]
        own += [f"wk-1={words[place - 1].lower() if place else _EDGE} {classes[place]}"]
    return found


_BESIDE = (-2, -1, 0, 1, 2)
_EDGE = "edge"


def _kinds(text: str, places: Sequence[tuple[int, int]]) -> list[str]:
    """For each unit the kind of the stretch that it lies in, and whether it begins it; an empty text for none."""
    found = [""] * len(places)
    own = iter(stretches(text))
    stretch = next(own, None)
    for place, (start, end) in enumerate(places):
        while stretch is not None and stretch[1] <= start:
            stretch = next(own, None)
        if stretch is not None and start < stretch[1] and end > stretch[0]:
            found[place] = f"{stretch[2]} {'first' if start <= stretch[0] else 'more'}"
    return found
