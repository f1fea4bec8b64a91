"""Run a finder: passages of documents, searched by keywords and by the vectors of an encoder.

Its files are `passages.json`, `vectors.safetensors`, `model.onnx` and `tokenizer.json`. The keyword index is made when it is
opened, in memory.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from smidgen.core.errors import EngineError
from smidgen.core.parts import Engine, Raw
from smidgen.core.rows import Text
from smidgen.engines.model_files import Tensors
from smidgen.engines.onnx import OnnxEngine
from smidgen.search.candidates import candidates_of
from smidgen.search.documents.document import MOST_TEXT, Passage, read_passages
from smidgen.search.passage_search import MOST_REMEMBERED, Floats32, PassageSearch, PassageVectors, RememberedQuestions
from smidgen.search.token_matching import TokenMatchReader
from smidgen.search.vectors import with_head
from smidgen.search.weights import SearchWeights, read_cosines, read_weights

_LONGEST_PREFIX = 100
_KEPT = 256
"""Passages whose tokens' states are kept, each some 150 kB."""


class FinderEngine(Engine):
    """The finder engine. Options:

    weights: how much each sign of a passage and a sentence counts; see `search/weights.py`.
    max_length: tokens of a text that the encoder reads, special tokens counted (256).
    cosines: the encoder's cosine of texts that have nothing in common, and of those that say the same (0 and 1).
    prefix: what the encoder wants before a question (none).
    reader: `tokens` to score sentences by the states of their tokens; empty for vectors and words alone (empty).
    """

    name = "finder"

    def open(self, folder: Path, options: Mapping[str, Any], threads: int) -> FinderRunner:
        """Load the files. Raises EngineError if one is missing or damaged, or they do not fit each other."""
        passages, weights = _passages(folder / "passages.json"), _weights(options)
        tensors = Tensors(folder / "vectors.safetensors")
        sentences = sum(len(passage.sentences) for passage in passages)
        made = tensors.get("passages", len(passages), None)
        width = made.shape[1]
        vectors = PassageVectors(
            np.asarray(made, np.float32),
            np.asarray(tensors.get("questions", len(passages), width), np.float32),
            np.asarray(tensors.get("sentences", sentences, width), np.float32),
            _remembered(tensors, width, sentences),
        )
        head = np.asarray(tensors.get("head", width, width), np.float32) if "head" in tensors else None
        prefix, reads = options.get("prefix", ""), options.get("reader", "")
        if not isinstance(prefix, str) or len(prefix) > _LONGEST_PREFIX or reads not in ("", "tokens"):
            raise EngineError("engines.option_of_finder_is_invalid", value={"prefix": prefix, "reader": reads})
        encoder = OnnxEngine().open(folder, {"max_length": options.get("max_length", 256)}, threads)

        def computed(texts: Sequence[str]) -> Floats32:
            found = encoder.run([prefix + text for text in texts])["embedding"]
            if found.shape[1] != width:
                raise EngineError("engines.encoder_vectors_do_not_fit_passages", value=found.shape)
            return np.asarray(found, np.float32)

        reader = TokenMatchReader(encoder.token_states, _KEPT) if reads else None
        return FinderRunner(PassageSearch(passages, vectors, with_head(computed, head), weights, reader, _cosines(options)))


def _remembered(tensors: Tensors, width: int, sentences: int) -> RememberedQuestions | None:
    """The remembered questions, if there are any. Raises EngineError if they name a question or a sentence that is not there."""
    if "remembered" not in tensors:
        return None
    vectors, answers = tensors.get("remembered", None, width), tensors.get("answers", None, 2)
    whole = answers.dtype.kind == "i" and len(answers) and int(answers.min()) >= 0
    if len(vectors) > MOST_REMEMBERED or not whole or not (answers.max(axis=0) < (len(vectors), sentences)).all():
        value = f"{len(vectors)} questions, {len(answers)} answers"
        raise EngineError("engines.remembered_questions_are_invalid", value=value)
    return RememberedQuestions(np.asarray(vectors, np.float32), np.asarray(answers, np.int32))


def open_keywords(folder: Path, options: Mapping[str, Any]) -> FinderRunner:
    """A search by keywords alone. Raises EngineError if the passages are missing or damaged."""
    return FinderRunner(PassageSearch(_passages(folder / "passages.json"), weights=_weights(options)))


def _weights(options: Mapping[str, Any]) -> SearchWeights:
    try:
        return read_weights(options["weights"]) if "weights" in options else SearchWeights()
    except ValueError as error:
        raise EngineError("engines.option_weights_is_invalid", value=str(error)) from error


def _cosines(options: Mapping[str, Any]) -> tuple[float, float]:
    try:
        return read_cosines(options.get("cosines", (0.0, 1.0)))
    except ValueError as error:
        raise EngineError("engines.option_cosines_is_invalid", value=str(error)) from error


def _passages(file: Path) -> list[Passage]:
    try:
        if file.stat().st_size > 12 * MOST_TEXT:
            raise EngineError("engines.passages_are_too_large", value=file.name)
        return read_passages(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError) as error:
        raise EngineError("engines.passages_cannot_be_read", value=f"{file.name}: {error}") from error


class FinderRunner:
    """A loaded finder. One thread at a time asks it."""

    def __init__(self, search: PassageSearch) -> None:
        self._search = search

    @property
    def search(self) -> PassageSearch:
        """The search, for whoever wants to see the passages and the signs behind an answer."""
        return self._search

    def run(self, texts: Sequence[Text]) -> Raw:
        """`candidates`: for each text its candidates, the best first; see `search/candidates.py`. A pair is a question and ids of
        passages that must not answer, a line each."""
        return candidates_of(self._search, texts)


part = FinderEngine()
