"""The heads of a tagger whose encoder stays as it comes: tags of words by the encoder's states and the words' spelling, and choices by
likeness to the training texts.

Students and engines share this module, so that a text is read alike in training and in use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.text import tagging
from smidgen.text.tagging import TagChain, TaggerInput, TaggerReader

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
        landmarks: (m, width) unit vectors of the training texts.
        chosen: (m, values) weights of likeness to them.
        choices: the number of values of each choice.
        gamma: rate at which likeness falls off.
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

    def raw(
        self, texts: Sequence[str], reader: TaggerReader, readings: Sequence[TaggerInput], states: Sequence[Sequence[Floats32]]
    ) -> dict[str, Any]:
        """`spans` of texts, and `choices` if there are any, as a tagger yields them. `states`: for each text the states (tokens, width) of
        each of its windows, special tokens included."""
        found = [self._spans(text, reader, reading, own) for text, reading, own in zip(texts, readings, states, strict=True)]
        if not self.choices:
            return {"spans": found}
        return {"spans": found, "choices": [self._choices(text_vector(own)) for own in states]}

    def _spans(self, text: str, reader: TaggerReader, reading: TaggerInput, states: Sequence[Floats32]) -> list[list[float]]:
        if not len(reading.units):
            return []
        weights = reader.unit_scores(reading, states).astype(np.float32) @ self.states + self.bias
        for place, word in enumerate(word_features(text, reading)):
            rows = [row for entry in word if (row := self.index.get(entry)) is not None]
            weights[place] += self.words[rows].sum(axis=0)
        likely = self.chain.spans(weights)
        return [[int(reading.units[a, 0]), int(reading.units[b, 1]), kind, round(chance, 6)] for a, b, kind, chance in likely]

    def _choices(self, vector: Floats32) -> list[list[float]]:
        scores = np.exp(self.gamma * (self.landmarks @ vector - 1)) @ self.chosen
        parts = np.split(scores, np.cumsum(self.choices)[:-1])
        logits = np.concatenate([GAIN * np.arcsinh(np.sqrt(len(part)) * part) for part in parts])
        return tagging.choice_probabilities([logits[None].astype(np.float32)], self.choices)


def text_vector(states: Sequence[Floats32]) -> Floats32:
    """The mean of the states of all tokens of all windows of a text, scaled to length 1."""
    mean = np.concatenate(list(states)).mean(axis=0, dtype=np.float64)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), np.float32)


def word_features(text: str, reading: TaggerInput) -> list[list[str]]:
    """The features of each unit of a text."""
    return tagging.features([text[start:end] for start, end in reading.units], {})
