"""Runs an encoder: `model.onnx` and `tokenizer.json`, on ONNX Runtime's CPU provider.

A session gets one thread, and batches go out to as many callers as there are threads. Threads inside a session would have to meet
after each of some hundred small operators: spinning, they steal the cores from everybody else; sleeping, they wake too late to help.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smidgen.core.errors import EngineError
from smidgen.core.parts import Raw
from smidgen.core.rows import Text
from smidgen.engines.onnx_session import batches, failures, feed, open_session
from smidgen.engines.tokenizer import ModelTokenizer

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Encoding


class OnnxEngine:
    """The engine. Options:

    max_length: tokens read of a text, special tokens counted (128).
    outputs: names of the graph's outputs that make the raw output (`logits` and `embedding`).
    """

    name = "onnx"

    def open(self, folder: Path, options: Mapping[str, Any], threads: int) -> OnnxRunner:
        """Load `model.onnx` and `tokenizer.json`. Raises EngineError where one is missing or damaged."""
        tokens = ModelTokenizer(folder, options.get("max_length", 128))
        outputs = options.get("outputs", ("logits", "embedding"))
        if not isinstance(outputs, list | tuple) or not all(isinstance(name, str) for name in outputs):
            raise EngineError(
                "the engine's option 'outputs' cannot be", value=outputs, todo="It is a list of names. Build the bundle again."
            )
        return OnnxRunner(open_session(folder / "model.onnx"), tokens, outputs, threads)


class OnnxRunner:
    """A loaded encoder."""

    def __init__(self, session: InferenceSession, tokens: ModelTokenizer, outputs: Sequence[str], threads: int) -> None:
        self._session, self._tokens, self._threads = session, tokens, max(1, threads)
        self._inputs = {entry.name for entry in session.get_inputs()}
        shapes = {entry.name: entry.shape for entry in session.get_outputs()}
        self._outputs = [name for name in outputs if name in shapes]
        if not self._outputs:
            raise EngineError("the graph has none of the wanted outputs", value=list(outputs), todo=f"It has: {', '.join(shapes)}.")
        self._widths = [shapes[name][-1] if isinstance(shapes[name][-1], int) else 0 for name in self._outputs]
        # Its threads start with the first call that has work for them.
        self._pool = ThreadPoolExecutor(self._threads, "smidgen-onnx") if self._threads > 1 else None

    def run(self, texts: Sequence[Text]) -> Raw:
        """`logits` (n, k) and `embedding` (n, width), float32, in the order of the texts."""
        if not texts:
            return {name: np.zeros((0, width), np.float32) for name, width in zip(self._outputs, self._widths, strict=True)}
        encodings = self._tokens.encode(texts)
        plan = batches([len(encoding.ids) for encoding in encodings], self._threads)
        parts = [[encodings[row] for row in rows] for rows in plan]
        several = self._pool is not None and len(parts) > 1
        done = list(self._pool.map(self._batch, parts)) if several and self._pool else [self._batch(part) for part in parts]
        back = np.argsort(np.concatenate(plan), kind="stable")
        return {name: np.concatenate([arrays[place] for arrays in done])[back] for place, name in enumerate(self._outputs)}

    def _batch(self, encodings: Sequence[Encoding]) -> list[NDArray[np.float32]]:
        rows = [(encoding.ids, encoding.type_ids) for encoding in encodings]
        try:
            return list(self._session.run(self._outputs, feed(rows, self._tokens.pad, self._inputs)))
        except failures() as error:
            raise EngineError("the model cannot run on these texts", value=str(error), todo="Is max_length more than it reads?") from error


part = OnnxEngine()
