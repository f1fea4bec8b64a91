"""Run an encoder: `model.onnx` and `tokenizer.json`, on ONNX Runtime's CPU provider.

A session gets one thread, and batches go to as many callers as there are threads. Threads inside a session would have to meet after each
of some hundred small operators: spinning, they take the cores from everything else; sleeping, they wake too late to help.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from smidgen.core.errors import EngineError
from smidgen.store.weight_files import external_tensor

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from smidgen.core.parts import Engine, Raw
from smidgen.core.rows import Text
from smidgen.engines.model_files import ModelTokenizer, TokenizedText
from smidgen.search.token_matching import TokenStates

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


def feed(rows: Sequence[tuple[Sequence[int], Sequence[int]]], pad: int, inputs: Container[str]) -> dict[str, NDArray[np.int64]]:
    """Token numbers and types of several rows as the inputs of an encoder, padded to the longest; types only if `inputs` names them."""
    shape = (len(rows), max([1, *(len(ids) for ids, _ in rows)]))
    given = {"input_ids": np.full(shape, pad, np.int64), "attention_mask": np.zeros(shape, np.int64)}
    with_types = "token_type_ids" in inputs
    if with_types:
        given["token_type_ids"] = np.zeros(shape, np.int64)
    for place, (ids, types) in enumerate(rows):
        given["input_ids"][place, : len(ids)] = ids
        given["attention_mask"][place, : max(1, len(ids))] = 1  # a text of no tokens still pools over one
        if with_types:
            given["token_type_ids"][place, : len(ids)] = types
    return given


def failures() -> tuple[type[Exception], ...]:
    """All exceptions that ONNX Runtime raises; they have no common base class of their own."""
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


def open_session(file: Path) -> InferenceSession:
    """The graph in a file, with one thread. Raises EngineError if it cannot be loaded, or needs tensors from another file."""
    import onnxruntime

    if not file.is_file():
        raise EngineError("engines.model_is_missing", value=file.name)
    try:
        outside = external_tensor(file)
    except ValueError as error:
        raise EngineError("engines.model_is_not_valid_onnx", value=file.name, error=error) from None
    if outside is not None:
        raise EngineError("engines.model_reads_tensor_from_another_file", value=outside)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # An arena would keep the memory of the largest batch for ever. The system's allocator returns it, and is as fast here.
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except failures() as error:
        raise EngineError("engines.onnx_runtime_cannot_load_model", value=f"{file.name}: {error}") from error


BATCH_OVERHEAD = 16
"""The cost of one more batch, in tokens: fixed work of some hundred operators against the work of a token."""

BATCH_TOKENS = 256
"""Most tokens in a batch, padding counted. Enough to keep the products busy: 512 to 2,048 tokens were no faster on MiniLM (860, 840, 765
against 890 texts/s a thread), and each token holds some 20 kB while it is computed."""


def batches(lengths: Sequence[int], threads: int) -> list[list[int]]:
    """Sort rows by length, and cut them into batches where padding would cost more than another batch, with work for every thread.

    Args:
        lengths: tokens of each row.
        threads: batches that run at once.

    Returns:
        For each batch the numbers of its rows. Each row is in exactly one.
    """
    order = np.argsort(np.asarray(lengths), kind="stable").tolist()
    share = max(BATCH_OVERHEAD * 4, -(-sum(lengths) // max(1, threads)))
    most = min(BATCH_TOKENS, share)
    plan: list[list[int]] = []
    padding = 0
    for row in order:
        if plan:
            batch = plan[-1]
            padding += (lengths[row] - lengths[batch[-1]]) * len(batch)
            if padding <= BATCH_OVERHEAD and (len(batch) + 1) * lengths[row] <= most:
                batch.append(row)
                continue
        plan.append([row])
        padding = 0
    return plan


STATES = "states"
"""The output with the state of every token, of a graph that was exported with it."""


class OnnxEngine(Engine):
    """The ONNX engine. Options:

    max_length: tokens read of a text, special tokens counted (128).
    outputs: names of the graph's outputs that form the raw output (`logits` and `embedding`).
    """

    name = "onnx"

    def open(self, folder: Path, options: Mapping[str, Any], threads: int) -> OnnxRunner:
        """Load `model.onnx` and `tokenizer.json`. Raises EngineError if one is missing or damaged."""
        tokens = ModelTokenizer(folder, options.get("max_length", 128))
        outputs = options.get("outputs", ("logits", "embedding"))
        if not isinstance(outputs, list | tuple) or not all(isinstance(name, str) for name in outputs):
            raise EngineError("engines.engine_option_outputs_is_invalid", value=outputs)
        return OnnxRunner(open_session(folder / "model.onnx"), tokens, outputs, threads)


class OnnxRunner:
    """A loaded encoder."""

    def __init__(self, session: InferenceSession, tokens: ModelTokenizer, outputs: Sequence[str], threads: int) -> None:
        self._session, self._tokens, self._threads = session, tokens, max(1, threads)
        self._inputs = {entry.name for entry in session.get_inputs()}
        shapes = {entry.name: entry.shape for entry in session.get_outputs()}
        self._outputs = [name for name in outputs if name in shapes]
        if not self._outputs:
            raise EngineError("engines.graph_has_none_of_wanted_outputs", value=list(outputs), shapes=", ".join(shapes))
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

    def token_states(self, texts: Sequence[str]) -> list[TokenStates]:
        """The states of each text's tokens, in order. Raises EngineError if the graph does not yield them."""
        if STATES not in {entry.name for entry in self._session.get_outputs()}:
            raise EngineError("engines.graph_does_not_yield_token_states", value=STATES)
        found = []
        for text in texts:
            (encoding,) = self._tokens.encode([text])  # alone: a batch would come without the places of its tokens
            (states,) = self._run([STATES], [encoding])
            own = np.array([not special for special in encoding.special_tokens_mask], dtype=np.bool_)
            places = np.array(encoding.offsets, np.int64).reshape(-1, 2)[own]
            found.append(TokenStates(np.asarray(states[0][: len(own)][own], np.float32), places[:, 0], places[:, 1]))
        return found

    def _batch(self, encodings: Sequence[TokenizedText]) -> list[NDArray[np.float32]]:
        return self._run(self._outputs, encodings)

    def _run(self, outputs: Sequence[str], encodings: Sequence[TokenizedText]) -> list[NDArray[np.float32]]:
        rows = [(encoding.ids, encoding.type_ids) for encoding in encodings]
        try:
            return list(self._session.run(list(outputs), feed(rows, self._tokens.pad, self._inputs)))
        except failures() as error:
            raise EngineError("engines.model_cannot_run_on_texts_of_this_length", value=str(error)) from error


part = OnnxEngine()
