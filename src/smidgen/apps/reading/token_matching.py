"""Score the sentences of a passage by how well each word of a question is met in them: late interaction (Khattab and Zaharia 2020).

A passage is encoded once, as a whole, so the state of a token knows its neighbours: what a pronoun stands for, or which of two meanings a
word has. The score of a sentence is the mean, over the question's tokens, of the greatest cosine with a token of the sentence. On SQuAD's
style of question that chose the right sentence more often than vectors of sentences or shared words do; bench/RESULTS.md has the figures.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TokenStates:
    """The states of a text's tokens, without the special ones at its ends.

    Attributes:
        states: (tokens, width).
        starts, ends: (tokens,) the characters that each token covers, the end exclusive.
    """

    states: Floats
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]


EncodeTokens: TypeAlias = Callable[[Sequence[str]], Sequence[TokenStates]]
"""The states of the tokens of texts, in order. What is longer than the encoder reads may be missing."""


def match_sentences(question: TokenStates, passage: TokenStates, spans: Sequence[tuple[int, int]]) -> Floats:
    """The score of each sentence of a passage, (sentences,), -1..1; 0 for one that the encoder did not read.

    Args:
        spans: start and end of each sentence, in characters of the passage.
    """
    scores = np.zeros(len(spans), np.float32)
    if not len(question.states) or not len(passage.states):
        return scores
    alike = unit(question.states) @ unit(passage.states).T
    for place, (start, end) in enumerate(spans):
        own = (passage.starts < end) & (passage.ends > start) & (passage.ends > passage.starts)
        if own.any():
            scores[place] = alike[:, own].max(axis=1).mean()
    return scores


def unit(vectors: Floats) -> Floats:
    """The rows, each of length 1."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9), np.float32)


class TokenMatchReader:
    """Scores sentences by the states of tokens, and keeps the states of the passages that it read last. One thread at a time.

    Args:
        encode: makes the states.
        passages: how many passages to keep: each takes about 150 kB.
    """

    def __init__(self, encode: EncodeTokens, passages: int = 64) -> None:
        self._encode, self._most = encode, passages
        self._kept: OrderedDict[str, TokenStates] = OrderedDict()
        self._question = ("", TokenStates(np.zeros((0, 1), np.float32), np.zeros(0, np.int64), np.zeros(0, np.int64)))

    def score_sentences(self, question: str, sentences: Sequence[str]) -> list[float]:
        """The score of each sentence of one passage, in order, -1..1."""
        if not sentences or not question.strip():
            return [0.0] * len(sentences)
        spans, place = [], 0
        for sentence in sentences:
            spans.append((place, place + len(sentence)))
            place += len(sentence) + 1
        asked, read = self._both(question, " ".join(sentences))
        return [float(score) for score in match_sentences(asked, read, spans)]

    def _both(self, question: str, passage: str) -> tuple[TokenStates, TokenStates]:
        """The states of a question and a passage; what is not kept is encoded together."""
        known = self._kept.pop(passage, None)
        new = [text for text, there in ((question, self._question[0] == question), (passage, known is not None)) if not there]
        made = list(self._encode(new)) if new else []
        if self._question[0] != question:
            self._question = (question, made.pop(0))
        read = known if known is not None else made.pop(0)
        self._kept[passage] = read
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return self._question[1], read
