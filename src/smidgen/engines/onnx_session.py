"""A graph loaded into ONNX Runtime, and what it is fed with."""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from smidgen.core.errors import EngineError
from smidgen.store.onnx_facts import external_tensor

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
