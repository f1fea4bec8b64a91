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
from smidgen.engines.batches import batches
from smidgen.engines.tokens import Tokens

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Encoding


class Onnx:
    """The engine. Options:

    max_length: tokens read of a text, special tokens counted (128).
    outputs: names of the graph's outputs that make the raw output (`logits` and `embedding`).
    """

    name = "onnx"

    def open(self, folder: Path, options: Mapping[str, Any], threads: int) -> OnnxRunner:
        """Load `model.onnx` and `tokenizer.json`. Raises EngineError where one is missing or damaged."""
        tokens = Tokens(folder, int(options.get("max_length", 128)))
        return OnnxRunner(_session(folder / "model.onnx"), tokens, options.get("outputs", ("logits", "embedding")), threads)


class OnnxRunner:
    """A loaded encoder."""

    def __init__(self, session: InferenceSession, tokens: Tokens, outputs: Sequence[str], threads: int) -> None:
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
        length = max([1, *(len(encoding.ids) for encoding in encodings)])
        shape = (len(encodings), length)
        feed = {"input_ids": np.full(shape, self._tokens.pad, np.int64), "attention_mask": np.zeros(shape, np.int64)}
        with_types = "token_type_ids" in self._inputs
        if with_types:
            feed["token_type_ids"] = np.zeros(shape, np.int64)
        for row, encoding in enumerate(encodings):
            size = len(encoding.ids)
            feed["input_ids"][row, :size] = encoding.ids
            feed["attention_mask"][row, : max(1, size)] = 1  # a text of no tokens still pools over one
            if with_types:
                feed["token_type_ids"][row, :size] = encoding.type_ids
        try:
            return list(self._session.run(self._outputs, feed))
        except _failures() as error:
            raise EngineError("the model cannot run on these texts", value=str(error), todo="Is max_length more than it reads?") from error


def _failures() -> tuple[type[Exception], ...]:
    """All that ONNX Runtime raises; its errors share no base of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as states

    return (
        states.Fail,
        states.InvalidProtobuf,
        states.InvalidGraph,
        states.InvalidArgument,
        states.NotImplemented,
        states.NoSuchFile,
        states.RuntimeException,
    )


def _session(file: Path) -> InferenceSession:
    import onnxruntime

    if not file.is_file():
        raise EngineError("the model is missing", value=file.name, todo="Build or copy the bundle again.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # An arena keeps the largest batch ever seen for ever. The system's allocator gives it back, and is as fast here.
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except _failures() as error:
        raise EngineError("ONNX Runtime cannot load the model", value=f"{file.name}: {error}", todo="Build the bundle again.") from error


part = Onnx()
