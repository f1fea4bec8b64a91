"""The methods for ONNX graphs: products in int8, with scales found while it runs or ranges learnt from sample texts."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.core.errors import EngineError, MissingExtra
from smidgen.core.parts import Compressor, EngineSpec
from smidgen.core.rows import Text

CONTRIB = "com.microsoft"
"""The domain of ONNX Runtime's own operators."""

_FULL_PRECISION = frozenset({"hidden.weight", "head.weight"})
"""Small layers at the end: quantising them saves nothing and costs most accuracy."""


class GraphRewrite:
    """A graph in which nodes are replaced by equivalent ones, and constants by smaller ones."""

    def __init__(self, file: Path) -> None:
        try:
            import onnx
        except ImportError as error:
            raise MissingExtra("onnx", "train") from error
        from google.protobuf.message import DecodeError

        try:
            self.model = onnx.load_model(file)
        except (OSError, DecodeError) as error:
            raise EngineError("compress.model_cannot_be_read", value=file.name) from error
        self._stored = {entry.name: entry for entry in self.model.graph.initializer}
        self._added: dict[str, Any] = {}
        self._instead: dict[str, list[Any]] = {}

    def linears(self) -> list[Any]:
        """The products with a constant matrix, in order: linear layers, without attention scores and the head."""
        return [
            node
            for node in self.model.graph.node
            if node.op_type == "MatMul"
            and node.input[1] in self._stored
            and len(self._stored[node.input[1]].dims) == 2
            and node.input[1] not in _FULL_PRECISION
        ]

    def array(self, name: str) -> NDArray[Any]:
        """A constant of the graph."""
        from onnx import numpy_helper

        return np.asarray(numpy_helper.to_array(self._stored[name]))

    def constant(self, name: str, value: Any, dtype: Any) -> str:
        """Add a constant; returns its name."""
        from onnx import numpy_helper

        self._added[name] = numpy_helper.from_array(np.asarray(value, dtype, order="C"), name)
        return name

    def replace(self, node: Any, nodes: Sequence[tuple[str, Sequence[str], str, dict[str, Any]]]) -> None:
        """Replace a node by others, each (operator, inputs, output, attributes). `domain` counts as an attribute here."""
        from onnx import helper

        self._instead[node.output[0]] = [
            helper.make_node(kind, list(inputs), [output], name=output, **attributes) for kind, inputs, output, attributes in nodes
        ]

    def shrink_word_table(self) -> None:
        """Store the table of token vectors in int8 with a scale per row: a quarter of the size, with an error of at most 1/254 of a
        row's largest."""
        for node in self.model.graph.node:
            if node.op_type != "Gather" or node.input[1] != "input_ids" or node.input[0] not in self._stored:
                continue
            out = node.output[0]
            quantised, scale = quantise(self.array(node.input[0]), axis=1)
            table = self.constant(f"{out}.int8", quantised, np.int8)
            scales = self.constant(f"{out}.scale", scale, np.float32)
            steps: list[tuple[str, Sequence[str], str, dict[str, Any]]] = [
                ("Gather", [table, "input_ids"], f"{out}.rows", {}),
                ("Cast", [f"{out}.rows"], f"{out}.float", {"to": 1}),
                ("Gather", [scales, "input_ids"], f"{out}.scales", {}),
                ("Mul", [f"{out}.float", f"{out}.scales"], out, {}),
            ]
            self.replace(node, steps)

    def save(self, file: Path) -> None:
        """Write the graph with the constants that are still used."""
        import onnx

        graph = self.model.graph
        nodes = [new for node in graph.node for new in self._instead.get(node.output[0], [node])]
        used = {name for node in nodes for name in node.input}
        kept = [entry for name, entry in {**self._stored, **self._added}.items() if name in used]
        del graph.node[:], graph.initializer[:], graph.value_info[:]
        graph.node.extend(nodes)
        graph.initializer.extend(kept)
        if all(entry.domain != CONTRIB for entry in self.model.opset_import):
            self.model.opset_import.append(onnx.helper.make_opsetid(CONTRIB, 1))
        onnx.save_model(self.model, file)


def quantise(weight: NDArray[Any], axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """A matrix as int8 and a scale for each row (`axis` 1) or column (`axis` 0): weight ~ int8 * scale. Symmetric, zero stays zero."""
    scale = np.abs(weight).max(axis=axis, keepdims=True).astype(np.float32) / 127
    scale[scale == 0] = 1
    return np.clip(np.rint(weight / scale), -127, 127).astype(np.int8), scale


def copy_others(spec: EngineSpec, source: Path, out: Path) -> None:
    """Copy the files of a model that a method does not change."""
    out.mkdir(parents=True, exist_ok=True)
    for name in spec.files:
        if name != "model.onnx":
            shutil.copyfile(source / name, out / name)


Range = tuple[NDArray[np.float32], NDArray[np.float32]]


def ranges(spec: EngineSpec, source: Path, sample: Sequence[Text]) -> dict[str, Range]:
    """For the input of each linear layer, by name: least and largest value of each channel, over all tokens of the sample.

    Runs each text alone, so there is no padding to leave out.
    """
    if not sample:
        raise EngineError("compress.static_quantisation_needs_sample_texts", value="none")
    import onnxruntime
    from onnx import helper
    from tokenizers import Tokenizer

    watched = GraphRewrite(source / "model.onnx")
    names = sorted({node.input[0] for node in watched.linears()})
    watched.model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(watched.model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    wanted = {entry.name for entry in session.get_inputs()}
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(int(spec.options.get("max_length", 128)))

    found: dict[str, Range] = {}
    for text in sample:
        encoding = tokenizer.encode(*((text,) if isinstance(text, str) else text))
        ids = np.array([encoding.ids], np.int64)
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.array([encoding.type_ids], np.int64)}
        values = session.run(names, {name: value for name, value in feed.items() if name in wanted})
        for name, value in zip(names, values, strict=True):
            flat = value.reshape(-1, value.shape[-1])
            low, high = flat.min(0), flat.max(0)
            if name in found:
                low, high = np.minimum(low, found[name][0]), np.maximum(high, found[name][1])
            found[name] = (low, high)
    return found


class Int8Dynamic(Compressor):
    """A scale for each token, found while it runs. Needs no sample texts.

    The usual dynamic quantisation finds one range for a whole batch, so that a text's answer depends on which texts came with it: on
    BANKING77 a label's probability moved by up to 0.15 between a batch and the text alone. A scale for each token costs a tenth of the
    speed in batches and has no such effect: what is served is what was measured, whoever else asks.
    """

    name = "int8-dynamic"
    summary = "int8 weights, each token's activations scaled to int8 by their own largest value."
    engines = ("onnx", "tagger", "finder", "kernel-tagger")

    def apply(self, spec: EngineSpec, source: Path, out: Path, sample: Sequence[Text]) -> EngineSpec:
        """Write the quantised graph and the model's other files. `sample` is not used."""
        copy_others(spec, source, out)
        rewrite = GraphRewrite(source / "model.onnx")
        rewrite.shrink_word_table()
        step = rewrite.constant("int8.step", 1 / 127, np.float32)
        middle = rewrite.constant("int8.middle", 128, np.uint8)
        tiny = rewrite.constant("int8.tiny", 1e-12, np.float32)
        reduce = _largest(rewrite)
        for node in rewrite.linears():
            x, y = node.input[0], node.output[0]
            weight, scale = quantise(rewrite.array(node.input[1]), axis=0)
            matrix = rewrite.constant(f"{y}.int8", weight, np.int8)
            columns = rewrite.constant(f"{y}.scale", scale[0], np.float32)
            nothing = rewrite.constant(f"{y}.zero", np.zeros(weight.shape[1]), np.int8)
            rewrite.replace(
                node,
                [
                    ("Abs", [x], f"{y}.abs", {}),
                    ("ReduceMax", [f"{y}.abs", *reduce[0]], f"{y}.largest", reduce[1]),
                    ("Add", [f"{y}.largest", tiny], f"{y}.range", {}),  # a token of zeros must not be divided by zero
                    ("Div", [x, f"{y}.range"], f"{y}.unit", {}),
                    ("QuantizeLinear", [f"{y}.unit", step, middle], f"{y}.uint8", {}),
                    ("MatMulIntegerToFloat", [f"{y}.uint8", matrix, step, columns, middle, nothing], f"{y}.product", {"domain": CONTRIB}),
                    ("Mul", [f"{y}.product", f"{y}.range"], y, {}),
                ],
            )
        rewrite.save(out / "model.onnx")
        return replace(spec, method=self.name)


def _largest(rewrite: GraphRewrite) -> tuple[list[str], dict[str, Any]]:
    """The axis for `ReduceMax`: an attribute up to operator set 17, an input from 18 on."""
    version = next(entry.version for entry in rewrite.model.opset_import if entry.domain in ("", "ai.onnx"))
    if version < 18:
        return [], {"axes": [-1], "keepdims": 1}
    return [rewrite.constant("int8.last", [-1], np.int64)], {"keepdims": 1}


STRENGTH = 0.8
"""A of the formula. Agreement on BANKING77 with A = 0.5, 0.6, 0.7, 0.8, 0.9: 98.4, 99.0, 99.6, 99.8, 99.5 %."""

_FLOOR = 1e-5


class Int8Static(Compressor):
    """Ranges learnt from sample texts, and channels made even first.

    A few channels of an encoder's activations are many times larger than the rest, and would take the whole range of 256 steps. Each
    channel is therefore divided by a factor that its row of weights is multiplied by, which changes nothing in exact arithmetic:
    SmoothQuant (Xiao and others, 2023, arXiv:2211.10438, equation 4), with factor = max|activation|^A / max|weight|^(1 - A).
    """

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


part_int8_dynamic = Int8Dynamic()
part_int8_static = Int8Static()
