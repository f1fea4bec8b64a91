"""Run a tagger: an encoder that scores the tags of every token, and a linear chain (CRF) over them.

Its files are `model.onnx`, `tokenizer.json` and `chain.safetensors`. Long texts are read in windows that share half with their neighbours.
The results are exact: the probability of each span under the chain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smidgen.core.errors import EngineError
from smidgen.core.parts import Engine, Raw
from smidgen.core.rows import Text, joined
from smidgen.engines.model_files import Tensors, chain_of, length_of, load_tokenizer, pad_of
from smidgen.engines.onnx import batches, failures, feed, open_session
from smidgen.text.tagging import LEVELS, TagChain, TaggerReader

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


class TaggerEngine(Engine):
    """The tagger engine. Options:

    max_length: tokens of a window, special tokens counted (256).
    level: the level of units: `words`, `runs` or `characters` (words); see `text/tagging.py`.
    shaped: whether the types of tokens are shapes of words (false).
    choices: the number of values of each choice about the whole text; the graph's weights of them follow the tags (none).
    """

    name = "tagger"

    def open(self, folder: Path, options: Mapping[str, Any], threads: int) -> TaggerRunner:
        """Load the three files. Raises EngineError if one is missing or damaged, or they do not fit each other."""
        level = str(options.get("level", "words"))
        if level not in LEVELS:
            raise EngineError("engines.options_name_unknown_level", value=level)
        tokenizer = load_tokenizer(folder / "tokenizer.json")
        pad = pad_of(tokenizer)
        vocabulary = tokenizer.get_vocab_size()
        reader = TaggerReader.of(
            tokenizer, length_of(options.get("max_length", 256)), level, bool(options.get("shaped", False)), vocabulary
        )
        chain = chain_of(Tensors(folder / "chain.safetensors"))
        session = open_session(folder / "model.onnx")
        outputs = {entry.name: entry.shape for entry in session.get_outputs()}
        choices = _counts(options.get("choices", ()))
        if "logits" not in outputs or outputs["logits"][-1] != chain.tags + sum(choices):
            raise EngineError("engines.graph_and_chain_have_different_tags", outputs=outputs, tags=chain.tags, choices=choices)
        return TaggerRunner(session, reader, chain, pad, threads, choices)


class TaggerRunner:
    """A loaded tagger. Reading changes none of its state, so several threads may ask it at once."""

    concurrent = True

    def __init__(
        self, session: InferenceSession, reader: TaggerReader, chain: TagChain, pad: int, threads: int, choices: Sequence[int] = ()
    ) -> None:
        self._session, self._reader, self._chain, self._pad, self._threads = session, reader, chain, pad, max(1, threads)
        self._choices = choices
        self._inputs = {entry.name for entry in session.get_inputs()}
        self._pool = ThreadPoolExecutor(self._threads, "smidgen-tagger") if self._threads > 1 else None

    def run(self, texts: Sequence[Text]) -> Raw:
        """`spans`: for each text a list of its possible spans, each `[start, end, kind, probability]`, offsets in characters of the text; a
        pair is read as one text, its halves joined by a line break. And `choices`, if it makes some."""
        readings = self._reader.read([joined(text) for text in texts])
        windows = [(place, window) for place, reading in enumerate(readings) for window in self._reader.windows(reading)]
        rows = [(self._reader.ids(readings[place], window), self._reader.shapes(readings[place], window)) for place, window in windows]
        plan = batches([len(ids) for ids, _ in rows], self._threads)
        parts = [[rows[row] for row in part] for part in plan]
        done = list(self._pool.map(self._batch, parts)) if self._pool and len(parts) > 1 else [self._batch(part) for part in parts]
        scores: list[list[NDArray[np.float32]]] = [[] for _ in texts]
        tables = {row: table for part, found in zip(plan, done, strict=True) for row, table in zip(part, found, strict=True)}
        for row, (place, _) in enumerate(windows):
            scores[place].append(tables[row])
        return self._reader.raw(readings, scores, self._chain, self._choices)

    def _batch(self, rows: Sequence[tuple[list[int], list[int]]]) -> list[NDArray[np.float32]]:
        """Log weights of each row's tokens, without padding."""
        try:
            (logits,) = self._session.run(["logits"], feed(rows, self._pad, self._inputs))
        except failures() as error:
            raise EngineError("engines.model_cannot_run_on_texts_of_this_length", value=str(error)) from error
        return [logits[place, : len(ids)] for place, (ids, _) in enumerate(rows)]


def _counts(given: Any) -> list[int]:
    """Check the option `choices`. Raises EngineError if it is not a list of positive whole numbers."""
    counts: list[Any] = list(given) if isinstance(given, list | tuple) else [None]
    if not all(isinstance(count, int) and not isinstance(count, bool) and count > 0 for count in counts):
        raise EngineError("engines.engine_option_choices_is_invalid", value=given)
    return counts


part = TaggerEngine()
