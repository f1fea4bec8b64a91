"""The methods for GGUF files: blocks of 32 numbers in 4, 5 or 8 bits."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.core.parts import Compressor, EngineSpec
from smidgen.core.rows import Text
from smidgen.gguf.quantisation import BLOCK, Q4_0, Q4_1, Q5_1, Q8_0, WIDTHS, BlockFormat, GgufSource, SourceTensor, pack

_TABLES = ("token_embd.weight", "output.weight")


class GgufMethod(Compressor):
    """A method that stores the matrices of a decoder in blocks of few bits.

    The table of token vectors (and a separate output layer) is never stored in less than 8 bits: a small model whose table was cut to 4
    wrote nonsense. Norms and biases stay in 32 bits.

    Args:
        name: the method's name.
        kind: the format of matrices.
        file_type: llama.cpp's number for such a file.
        summary: a one-sentence description.
    """

    engines = ("llama",)

    def __init__(self, name: str, kind: BlockFormat, file_type: int, summary: str) -> None:
        self.name, self.summary = name, summary
        self.bits = (kind.high - kind.low).bit_length()
        self._kind, self._file_type = kind, file_type

    def stored(self, shape: Sequence[int], table: bool) -> int:
        """Bytes of a tensor of this shape, norms and biases included. `table`: whether it is the token vectors or the output layer."""
        count = math.prod(shape)
        if len(shape) < 2:
            return 4 * count
        return 2 * count if shape[-1] % BLOCK else count // BLOCK * (Q8_0 if table else self._kind).size

    def apply(self, spec: EngineSpec, source: Path, out: Path, sample: Sequence[Text]) -> EngineSpec:
        """Write the packed file and the model's other files; the metadata is unchanged. `sample` is not used.

        Raises:
            EngineError: the model's file is malformed, or its weights are not floats.
        """
        out.mkdir(parents=True, exist_ok=True)
        model = str(spec.options["model"])
        for name in spec.files:
            if name != model:
                shutil.copyfile(source / name, out / name)
        with GgufSource(source / model) as opened:
            chosen = {tensor.name: self._chosen(tensor) for tensor in opened.tensors}
            kinds = {tensor.name: _stored(tensor, chosen[tensor.name]) for tensor in opened.tensors}
            opened.copy(out / model, kinds, _packed(opened, chosen), self._file_type)
        return replace(spec, method=self.name)

    def _chosen(self, tensor: SourceTensor) -> BlockFormat | None:
        """The format of a packed tensor; None to leave it unpacked, because it is not a matrix, or its rows are not whole blocks."""
        if len(tensor.shape) < 2 or tensor.shape[-1] % BLOCK:
            return None
        return Q8_0 if tensor.name in _TABLES else self._kind


def _stored(tensor: SourceTensor, kind: BlockFormat | None) -> tuple[int, int]:
    """ggml's type number of a packed tensor, and its size in bytes."""
    count = int(np.prod(tensor.shape))
    if kind is not None:
        return kind.number, count // BLOCK * kind.size
    return tensor.kind, count * WIDTHS[tensor.kind]


def _packed(source: GgufSource, chosen: dict[str, BlockFormat | None]) -> Iterator[NDArray[Any]]:
    """The tensors in their stored form, one at a time."""
    for tensor in source.tensors:
        kind = chosen[tensor.name]
        yield source.raw(tensor) if kind is None else pack(source.numbers(tensor).reshape(-1, tensor.shape[-1]), kind)


part_q4_0 = GgufMethod(
    "q4-0", Q4_0, 2, "Matrices in 4 bits and a scale for every 32 numbers; the smallest and, on most processors, the fastest."
)
"""4.5 bits a number in all, and the layout that llama.cpp has its fastest kernels for."""
part_q4_1 = GgufMethod("q4-1", Q4_1, 3, "Matrices in 4 bits, a scale and a floor for every 32 numbers.")
"""5 bits a number in all."""
part_q5_1 = GgufMethod("q5-1", Q5_1, 9, "Matrices in 5 bits, a scale and a floor for every 32 numbers.")
"""6 bits a number in all."""
part_q8_0 = GgufMethod("q8-0", Q8_0, 7, "Matrices in 8 bits and a scale for every 32 numbers; nearly the original, at half its size.")
