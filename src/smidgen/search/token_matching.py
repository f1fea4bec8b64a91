"""Score the sentences of a passage by how well each word of a question is met in them: late interaction (Khattab and Zaharia 2020).

A passage is encoded once, as a whole, so the state of a token knows its neighbours: what a pronoun stands for, or which of two meanings a
word has. The score of a sentence is the mean, over the question's tokens, of the greatest cosine with a token of the sentence. On SQuAD's
style of question that chose the right sentence more often than vectors of sentences or shared words do; bench/RESULTS.md has the figures.
Four more scores look at the same cosines in other ways; see `SCORES`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from smidgen.search.question_words import COMMON

Floats: TypeAlias = NDArray[np.float32]
SCORES = ("mean", "telling", "around", "back", "least")
"""The scores of a sentence: the mean, over the question's tokens, of the greatest cosine with a token of the sentence; the same, where
common words and marks count little; the mean, where the sentences before and after count, too; the mean, over the sentence's
tokens, of the greatest cosine with a token of the question; and the least met of the question's telling tokens."""
_COMMON_WEIGHT = 0.2


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


def match_sentences(question: TokenStates, telling: Floats, passage: TokenStates, spans: Sequence[tuple[int, int]]) -> Floats:
    """The scores of each sentence of a passage, (sentences, scores), -1..1; 0 for one that the encoder did not read.

    Args:
        telling: (question's tokens,) how much each counts where common ones count little, 1 for those that tell.
        spans: start and end of each sentence, in characters of the passage.
    """
    scores = np.zeros((len(spans), len(SCORES)), np.float32)
    if not len(question.states) or not len(passage.states):
        return scores
    alike = unit(question.states) @ unit(passage.states).T
    met = np.full((len(spans) + 2, len(alike)), -1.0, np.float32)  # one more at each end: nothing stands before the first
    for place, (start, end) in enumerate(spans):
        own = (passage.starts < end) & (passage.ends > start) & (passage.ends > passage.starts)
        if own.any():
            met[place + 1] = alike[:, own].max(axis=1)
            scores[place, 3] = alike[:, own].max(axis=0).mean()
    own_met = met[1:-1]
    scores[:, 0] = own_met.mean(axis=1)
    scores[:, 1] = (own_met * telling).sum(axis=1) / telling.sum()  # not by `@`, whose kernels may warn of values that are not there
    scores[:, 2] = np.maximum(own_met, np.maximum(met[:-2], met[2:])).mean(axis=1)
    scores[:, 4] = own_met[:, telling == 1].min(axis=1) if (telling == 1).any() else own_met.min(axis=1)
    scores[own_met.max(axis=1) <= -1.0] = 0.0
    return scores


def telling_tokens(question: str, tokens: TokenStates) -> Floats:
    """How much each token of a question counts: 1, or little for common words and marks."""
    said = [question[start:end].casefold() for start, end in zip(tokens.starts, tokens.ends, strict=True)]
    return np.array([1.0 if word.isalnum() and word not in COMMON else _COMMON_WEIGHT for word in said], np.float32)


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

    def score_sentences(self, question: str, sentences: Sequence[str]) -> Floats:
        """The scores of each sentence of one passage, in order, (sentences, scores), -1..1; see `SCORES`."""
        if not sentences or not question.strip():
            return np.zeros((len(sentences), len(SCORES)), np.float32)
        spans, place = [], 0
        for sentence in sentences:
            spans.append((place, place + len(sentence)))
            place += len(sentence) + 1
        asked, read = self._both(question, " ".join(sentences))
        return match_sentences(asked, telling_tokens(question, asked), read, spans)

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
