"""How much each sign counts in a search: for ranking passages, for choosing a sentence, and for being sure that it answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

PASSAGE_SIGNS = ("cosine", "nearest_sentence", "faq_cosine", "faq", "bm25", "words", "words_above", "words_of_faq")
SENTENCE_SIGNS = ("cosine", "above_mean", "words", "words_around", "kind", "length", "first", "question", "reader")
EVIDENCE = (*PASSAGE_SIGNS, "sentence_cosine", "sentence_words", "sentence_kind", "sentence_reader", "score", "margin", "ahead", "constant")
_MOST = 1e4


@dataclass(frozen=True, slots=True)
class SearchWeights:
    """The weights of each kind of sign, in the order of their names.

    Those of passages and sentences were chosen by hand: fitted ones were no better on other development sets (questions on privacy policies
    and to health agencies), and reciprocal ranks were worse on all of them. Those of evidence were fitted there, drawn to a first guess.
    """

    passage: tuple[float, ...] = (1.0, 0.6, 0.8, 0.0, 0.3, 0.5, 0.1, 0.2)
    sentence: tuple[float, ...] = (1.0, 0.0, 0.6, 0.2, 0.1, 0.0, 0.0, -0.2, 2.0)
    evidence: tuple[float, ...] = (-0.26, -0.29, -0.08, -0.12, -0.41, -0.35, -0.05, -0.06, 1.72, 1.7, 0.25, -0.28, 1.19, 3.8, -0.17, -4.44)

    def json(self) -> dict[str, Any]:
        """The weights as JSON."""
        return {name: list(values) for name, values in asdict(self).items()}


WITHOUT_READER = SearchWeights(
    sentence=(1.0, 0.0, 0.6, 0.2, 0.1, 0.0, 0.0, -0.2, 0.0),
    evidence=(-0.28, -0.31, -0.08, -0.13, -0.43, -0.37, -0.05, -0.05, 1.7, 1.68, 0.27, 0.0, 1.14, 3.79, -0.15, -4.46),
)
"""Of a search without a reader."""
KEYWORDS_ALONE = SearchWeights(
    passage=(0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0),
    sentence=(0.0, 0.0, 1.0, 0.2, 0.1, 0.0, 0.0, -0.2, 0.0),
    evidence=(0.0, 0.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 2.0, 0.3, 0.0, 0.0, 2.0, 0.0, -3.0),
)
"""Of a search without vectors."""


def read_weights(told: Any) -> SearchWeights:
    """Weights from JSON that may come from anyone. Raises ValueError, a clause."""
    if not isinstance(told, Mapping):
        raise ValueError("the weights are no object")
    return SearchWeights(
        _numbers(told.get("passage"), len(PASSAGE_SIGNS)),
        _numbers(told.get("sentence"), len(SENTENCE_SIGNS)),
        _numbers(told.get("evidence"), len(EVIDENCE)),
    )


def _numbers(told: Any, count: int) -> tuple[float, ...]:
    values: Sequence[Any] = told if isinstance(told, list | tuple) else ()
    if len(values) != count or not all(_is_weight(value) for value in values):
        raise ValueError(f"weights are not {count} numbers")
    return tuple(float(value) for value in values)


def _is_weight(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and abs(value) <= _MOST
