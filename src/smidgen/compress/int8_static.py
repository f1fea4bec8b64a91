"""int8 products with fixed ranges learnt from sample texts, after equalising the channels.

A few channels of an encoder's activations are many times larger than the rest, and would take the whole range of 256 steps. So each
channel is divided by a factor, and its row of weights is multiplied by it, which changes nothing in exact arithmetic: SmoothQuant (Xiao
and others, 2023, arXiv:2211.10438, equation 4), with factor = max|activation|^A / max|weight|^(1 - A).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.compress.onnx_rewrite import CONTRIB, GraphRewrite, Range, copy_others, quantise, ranges
from smidgen.core.parts import EngineSpec
from smidgen.core.rows import Text

STRENGTH = 0.8
"""A of the formula. Agreement on BANKING77 with A = 0.5, 0.6, 0.7, 0.8, 0.9: 98.4, 99.0, 99.6, 99.8, 99.5 %."""

_FLOOR = 1e-5


class Int8Static:
    """The method `int8-static`."""

    name = "int8-static"
    summary = "int8 weights and activations, ranges fixed on training texts: the fastest."
    engines = ("onnx", "tagger")

    def apply(self, spec: EngineSpec, source: Path, out: Path, sample: Sequence[Text]) -> EngineSpec:
        """Write the quantised graph and the model's other files. A few hundred sample texts are enough."""
        copy_others(spec, source, out)
        seen = ranges(spec, source, sample)
        rewrite = GraphRewrite(source / "model.onnx")
        rewrite.shrink_word_table()
        for node in rewrite.linears():
            x, y = node.input[0], node.output[0]
            full = rewrite.array(node.input[1])
            factor = even(seen[x], full)
            weight, scale = quantise(full * factor[:, None], axis=0)
            step, middle = _steps(seen[x][0] / factor, seen[x][1] / factor)
            inverse = rewrite.constant(f"{y}.even", 1 / factor, np.float32)
            matrix = rewrite.constant(f"{y}.int8", weight, np.int8)
            columns = rewrite.constant(f"{y}.scale", scale[0], np.float32)
            nothing = rewrite.constant(f"{y}.zero", np.zeros(weight.shape[1]), np.int8)
            steps = rewrite.constant(f"{y}.step", step, np.float32)
            middles = rewrite.constant(f"{y}.middle", middle, np.uint8)
            rewrite.replace(
                node,
                [
                    ("Mul", [x, inverse], f"{y}.evened", {}),
                    ("QuantizeLinear", [f"{y}.evened", steps, middles], f"{y}.uint8", {}),
                    ("MatMulIntegerToFloat", [f"{y}.uint8", matrix, steps, columns, middles, nothing], y, {"domain": CONTRIB}),
                ],
            )
        rewrite.save(out / "model.onnx")
        return replace(spec, method=self.name)


def even(seen: Range, weight: NDArray[Any]) -> NDArray[np.float32]:
    """The factor of each channel (rows of `weight`), their geometric mean 1."""
    active = np.maximum(np.maximum(np.abs(seen[0]), np.abs(seen[1])), _FLOOR)
    heavy = np.maximum(np.abs(weight).max(1), _FLOOR)
    factor = active**STRENGTH / heavy ** (1 - STRENGTH)
    return np.asarray(factor / np.exp(np.log(factor).mean()), np.float32)


def _steps(low: NDArray[Any], high: NDArray[Any]) -> tuple[float, int]:
    """Width of a step, and the step that represents zero, so that 256 steps reach from the least to the largest value."""
    least, most = min(0.0, float(low.min())), max(0.0, float(high.max()))
    step = max((most - least) / 255, _FLOOR / 255)
    return step, int(np.clip(np.rint(-least / step), 0, 255))


part = Int8Static()
