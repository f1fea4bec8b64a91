"""How much each sign counts in a search: for ranking passages, for choosing a sentence, and for being sure that it answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

PASSAGE_SIGNS = ("cosine", "nearest_sentence", "faq_cosine", "faq", "bm25", "words", "words_above", "words_of_faq")
READER_SIGNS = ("reader", "reader_telling", "reader_around", "reader_back", "reader_least")
"""The signs of a sentence that a reader gives."""
_SENTENCE_SIGNS_OF_OLD = (
    "cosine",
    "above_mean",
    "words",
    "words_around",
    "kind",
    "length",
    "first",
    "question",
    READER_SIGNS[0],
    "passage",
)
SENTENCE_SIGNS = (*_SENTENCE_SIGNS_OF_OLD, *READER_SIGNS[1:])
_EVIDENCE_OF_OLD = (*PASSAGE_SIGNS, "sentence_cosine", "sentence_words", "sentence_kind", "sentence_reader", "score", "margin", "ahead")
_EVIDENCE_OF_THE_QUESTION = ("missing", "asked", "yes_or_no", "sentence_length", "apart")
EVIDENCE = (*_EVIDENCE_OF_OLD, *_EVIDENCE_OF_THE_QUESTION, *(f"sentence_{name}" for name in READER_SIGNS[1:]), "chance", "constant")
_MOST = 1e4
_NEAR = 0.5
"""Cosines of unrelated texts and of equal ones that lie nearer than this are near."""


@dataclass(frozen=True, slots=True)
class SearchWeights:
    """The weights of each kind of sign, in the order of their names.

    Those of passages, from which the candidates come, were chosen by hand. Those of sentences and of evidence were fitted on questions to
    42 businesses that were written for it (`bench/reading_businesses`): a logistic regression over the candidates' sentences, and one of
    whether the quotation is right. Neither the sample's questions nor any published test is among them.
    """

    passage: tuple[float, ...] = (1.0, 0.6, 0.8, 0.0, 0.3, 0.5, 0.1, 0.2)
    sentence: tuple[float, ...] = (8.06, 0.0, -0.07, 0.68, 0.16, 0.0, 0.0, -1.0, 0.0, 0.74, 7.45, 4.68, 6.69, 4.33)
    evidence: tuple[float, ...] = (
        *(-1.98, 2.55, 0.92, 0.15, 0.18, -0.26, -0.64, -0.69, 1.87, -1.05, 0.11, -2.55, 0.06, 0.26, 0.06),
        *(-0.33, 1.56, -0.33, -0.67, 0.36, -0.6, -0.68, 1.22, 2.2, 0.66, -1.72),
    )

    def json(self) -> dict[str, Any]:
        """The weights as JSON."""
        return {name: list(values) for name, values in asdict(self).items()}


OF_NEAR_COSINES = SearchWeights(
    sentence=(7.3, 0.0, 2.81, 1.53, 0.56, 0.0, 0.0, -1.0, 0.0, 1.46, 19.56, 14.14, 4.93, 5.73),
    evidence=(
        *(-1.12, 1.49, 0.59, -0.04, 0.72, -0.08, -1.06, -1.28, 1.28, -0.15, 0.08, -0.4, 0.11, 0.21, 0.14),
        *(-0.24, 1.4, 0.3, -0.38, 0.24, 0.07, 3.48, -6.22, 3.99, 0.52, -3.61),
    ),
)
"""Of an encoder whose cosines lie near to each other, such as e5. Fitted on questions to 13 German businesses with that one."""
WITHOUT_READER = SearchWeights(
    sentence=(13.74, 0.0, 3.95, 1.81, 0.31, 0.0, 0.0, -1.0, 0.0, 1.47, *(0.0,) * 4),
    evidence=(
        *(-0.99, 3.84, 0.83, 0.39, 0.09, -0.95, -1.25, -0.74, -0.25, -1.13, 0.07, 0.0, 0.16, 0.49, 0.21),
        *(-0.66, 0.97, -0.2, -0.33, *(0.0,) * 6, -2.34),
    ),
)
"""Of a search without a reader."""
KEYWORDS_ALONE = SearchWeights(
    passage=(0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0),
    sentence=(0.0, 0.0, 1.0, 0.2, 0.1, 0.0, 0.0, -0.2, 0.0, 10.0, *(0.0,) * 4),
    evidence=(0.0, 0.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 2.0, 0.3, 0.0, 0.0, 0.2, 0.0, *(0.0,) * 10, -3.0),
)
"""Of a search without vectors."""


def weights_for(cosines: tuple[float, float], reads: bool) -> SearchWeights:
    """The weights for an encoder with these cosines of unrelated texts and of equal ones, with or without a reader."""
    if not reads:
        return WITHOUT_READER
    return OF_NEAR_COSINES if cosines[1] - cosines[0] < _NEAR else SearchWeights()


def read_weights(told: Any) -> SearchWeights:
    """Weights from JSON that may come from anyone. Raises ValueError, a clause."""
    if not isinstance(told, Mapping):
        raise ValueError("the weights are no object")
    sentence = told.get("sentence")
    if isinstance(sentence, list) and len(sentence) == len(_SENTENCE_SIGNS_OF_OLD) - 1:
        sentence = [*sentence, 1.0]  # of a bundle that was made before a sentence was weighed together with its passage
    if isinstance(sentence, list) and len(sentence) == len(_SENTENCE_SIGNS_OF_OLD):
        sentence = [*sentence, *(0.0 for _ in READER_SIGNS[1:])]  # of one that was made before a reader said more
    evidence = told.get("evidence")
    if isinstance(evidence, list) and len(evidence) in (len(_EVIDENCE_OF_OLD) + 1, len(_EVIDENCE_OF_OLD + _EVIDENCE_OF_THE_QUESTION) + 1):
        evidence = _with_none_of_new(evidence)  # of a bundle that was made before the question's own words counted, or a sentence's chance
    return SearchWeights(
        _numbers(told.get("passage"), len(PASSAGE_SIGNS)),
        _numbers(sentence, len(SENTENCE_SIGNS)),
        _numbers(evidence, len(EVIDENCE)),
    )


def _with_none_of_new(evidence: Sequence[Any]) -> tuple[Any, ...]:
    return (*evidence[:-1], *(0.0 for _ in EVIDENCE[len(evidence) - 1 : -1]), evidence[-1])


def read_cosines(told: Any) -> tuple[float, float]:
    """The cosines of unrelated texts and of equal ones, from JSON that may come from anyone. Raises ValueError, a clause."""
    values: Sequence[Any] = told if isinstance(told, list | tuple) else ()
    if len(values) != 2 or not all(_is_weight(value) for value in values) or not -1 <= values[0] < values[1] - 1e-3 <= 1:
        raise ValueError("cosines are not two rising numbers between -1 and 1")
    return float(values[0]), float(values[1])


def _numbers(told: Any, count: int) -> tuple[float, ...]:
    values: Sequence[Any] = told if isinstance(told, list | tuple) else ()
    if len(values) != count or not all(_is_weight(value) for value in values):
        raise ValueError(f"weights are not {count} numbers")
    return tuple(float(value) for value in values)


def _is_weight(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and abs(value) <= _MOST
