"""ONNX Runtime sessions: loading a graph, cutting texts into batches, and the inputs of a batch."""

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


def feed(rows: Sequence[tuple[Sequence[int], Sequence[int]]], pad: int, inputs: Container[str]) -> dict[str, NDArray[np.int64]]:
    """Token numbers and types of several rows as the inputs of an encoder, padded to the longest; types only where `inputs` names them."""
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


def open_session(file: Path) -> InferenceSession:
    """The graph in a file, with one thread. Raises EngineError where it cannot be loaded, or wants tensors from another file."""
    import onnxruntime

    if not file.is_file():
        raise EngineError("the model is missing", value=file.name, todo="Build or copy the bundle again.")
    try:
        outside = external_tensor(file)
    except ValueError as error:
        raise EngineError(f"the model is not a whole ONNX file: {error}", value=file.name, todo="Build or copy the bundle again.") from None
    if outside is not None:
        raise EngineError(
            "the model reads a tensor from another file, which could lie anywhere", value=outside, todo="Build or copy the bundle again."
        )
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
    except failures() as error:
        raise EngineError("ONNX Runtime cannot load the model", value=f"{file.name}: {error}", todo="Build the bundle again.") from error


# Batches: which texts go through a model together.

BATCH_OVERHEAD = 16
"""What one more batch costs, in tokens: fixed work of some hundred operators against the work of a token."""

BATCH_TOKENS = 256
"""Most tokens in a batch, padding counted. Enough to keep the products busy: 512 to 2,048 tokens were no faster on MiniLM (860, 840, 765
against 890 texts/s a thread), and each token holds some 20 kB while it is in work."""


def batches(lengths: Sequence[int], threads: int) -> list[list[int]]:
    """Rows by length, cut into batches where padding would cost more than another batch; and so that every thread has work.

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
