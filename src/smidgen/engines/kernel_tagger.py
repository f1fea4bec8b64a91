"""Run a kernel tagger: an encoder that gives the state of every token, and heads that tag words and make choices, in numpy.

Its files are `model.onnx`, `tokenizer.json`, `tag_heads.json` and `tag_heads.safetensors`. Long texts are read in windows that share half
with their neighbours.
"""

from __future__ import annotations

import json
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
from smidgen.machine.processor import one_thread
from smidgen.text import tag_heads
from smidgen.text.tag_heads import TagHeads, text_vector
from smidgen.text.tagging import LEVELS, MOST_CHARACTERS, TaggerReader

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


class KernelTaggerEngine(Engine):
    """The engine. Option `max_length`: tokens of a window, special tokens counted (256).

    `tag_heads.json` holds `features`, in the order of the rows of `words`; `level`, the level of units; `choices`, the number of values of
    each choice; `gamma`; `lexical`; `own`; and `signs`. For the tensors see `text/tag_heads.py`."""

    name = "kernel-tagger"

    def open(self, folder: Path, options: Mapping[str, Any], threads: int) -> KernelTaggerRunner:
        """Load the files. Raises EngineError if one is missing or damaged, or they do not fit each other."""
        try:
            facts = json.loads((folder / "tag_heads.json").read_text(encoding="utf-8"))
            index = {str(entry): place for place, entry in enumerate(facts["features"])}
            level, gamma = str(facts["level"]), float(facts["gamma"])
            choices = [int(count) for count in facts["choices"]]
            lexical = [float(share) for share in facts.get("lexical", ())]
            own = [[int(kind) for kind in kinds] for kinds in facts.get("own", ())]
            signs = float(facts.get("signs", 0.0))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EngineError("engines.heads_cannot_be_loaded", error=error) from error
        if (
            level not in LEVELS
            or not 0 < gamma <= 100
            or any(count < 1 for count in choices)
            or not _are_shares(lexical, signs, len(choices))
        ):
            raise EngineError("engines.settings_of_heads_are_invalid", value=f"{level}, {gamma}, {choices}"[:200])
        tensors = Tensors(folder / "tag_heads.safetensors")
        chain = chain_of(tensors)
        states = tensors.get(tag_heads.STATES, None, chain.tags)
        words = tensors.get(tag_heads.WORDS, max(1, len(index)), chain.tags)
        marked = len(states) + (tag_heads.WORDS_WIDTH if lexical else 0) + (tag_heads.SIGNS_WIDTH if signs else 0)
        landmarks = tensors.get(tag_heads.LANDMARKS, None, marked)
        chosen = tensors.get(tag_heads.CHOSEN, len(landmarks), sum(choices))
        bias = tensors.get(tag_heads.BIAS, chain.tags)
        if own and [len(own)] != choices[:1]:
            raise EngineError("engines.heads_have_other_number_of_kinds", kinds=len(own), expected=choices[:1])
        heads = TagHeads(index, states, words, bias, chain, landmarks, chosen, choices, gamma, lexical, own, signs)
        tokenizer = load_tokenizer(folder / "tokenizer.json")
        pad = pad_of(tokenizer)
        reader = TaggerReader.of(tokenizer, length_of(options.get("max_length", 256)), level, False, tokenizer.get_vocab_size())
        session = open_session(folder / "model.onnx")
        outputs = {entry.name: entry.shape for entry in session.get_outputs()}
        if "logits" not in outputs or outputs["logits"][-1] != len(states):
            raise EngineError("engines.graph_and_heads_have_different_widths", outputs=outputs, states=len(states))
        return KernelTaggerRunner(session, reader, heads, pad, threads)


def _are_shares(lexical: Sequence[float], signs: float, choices: int) -> bool:
    """Whether there is a share for each choice, or none at all, as in models of earlier versions."""
    return all(0 <= share <= 1 for share in (*lexical, signs)) and len(lexical) in (0, choices)


class KernelTaggerRunner:
    """A loaded kernel tagger. Reading changes none of its state, so several threads may ask it at once."""

    concurrent = True

    def __init__(self, session: InferenceSession, reader: TaggerReader, heads: TagHeads, pad: int, threads: int) -> None:
        self._session, self._reader, self._heads, self._pad, self._threads = session, reader, heads, pad, max(1, threads)
        self._inputs = {entry.name for entry in session.get_inputs()}
        self._pool = ThreadPoolExecutor(self._threads, "smidgen-kernel-tagger") if self._threads > 1 else None

    def run(self, texts: Sequence[Text]) -> Raw:
        """`spans` and `choices`, in the form of the engine `tagger`, and `embedding`, the vector of each text."""
        whole = [joined(text)[:MOST_CHARACTERS] for text in texts]
        readings = self._reader.read(whole)
        windows = [(place, window) for place, reading in enumerate(readings) for window in self._reader.windows(reading)]
        rows = [(self._reader.ids(readings[place], window), self._reader.shapes(readings[place], window)) for place, window in windows]
        plan = batches([len(ids) for ids, _ in rows], self._threads)
        parts = [[rows[row] for row in part] for part in plan]
        done = list(self._pool.map(self._batch, parts)) if self._pool and len(parts) > 1 else [self._batch(part) for part in parts]
        states: list[list[NDArray[np.float32]]] = [[] for _ in texts]
        tables = {row: table for part, found in zip(plan, done, strict=True) for row, table in zip(part, found, strict=True)}
        for row, (place, _) in enumerate(windows):
            states[place].append(tables[row])
        with one_thread():
            vectors = np.stack([text_vector(own) for own in states]) if states else np.zeros((0, len(self._heads.states)), np.float32)
            return {**self._heads.raw(whole, self._reader, readings, states), "embedding": vectors}

    def _batch(self, rows: Sequence[tuple[list[int], list[int]]]) -> list[NDArray[np.float32]]:
        """The states of each row's tokens, without padding."""
        try:
            (states,) = self._session.run(["logits"], feed(rows, self._pad, self._inputs))
        except failures() as error:
            raise EngineError("engines.model_cannot_run_on_texts_of_this_length", value=str(error)) from error
        return [states[place, : len(ids)] for place, (ids, _) in enumerate(rows)]


part = KernelTaggerEngine()
