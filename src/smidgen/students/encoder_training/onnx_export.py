"""Export a trained encoder to ONNX. A BERT is built node by node, without torch; any other encoder is traced.

The folder of a trained encoder holds `config.json`, `tokenizer.json`, `model.safetensors` (the encoder's tensors under their Hugging
Face names, no prefix; beside them `head.weight` (k, width), for a kernel head (k, m) and `head.landmarks`, and `head.bias` (k,)) and
`smidgen_student.json`, see `ExportedHead`. The head of a frozen encoder lies in a file of its own, `head.safetensors`.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smidgen.core.errors import MissingExtra, TrainError
from smidgen.core.parts import EngineSpec
from smidgen.students.settings import HEAD

if TYPE_CHECKING:
    from onnx import ModelProto


ACTIVATIONS = ("gelu", "tanh", "relu")
"""Activations of a hidden layer between pooled features and head."""


@dataclass(frozen=True, slots=True)
class ExportedHead:
    """The head of an encoder; the content of `smidgen_student.json`.

    Attributes:
        pooling: `mean` over the tokens that are not padding; `cls`, the first token; or `tokens`: none, the head runs on every token.
        normalize: whether pooled features are scaled to length 1.
        scale: None for a linear head; else a cosine head: logits = scale * cos(pooled, row) (+ bias).
        max_length: tokens that the encoder reads, special tokens included.
        hidden: activation of a hidden layer (`hidden.weight`, `hidden.bias`) between pooled features and head, or None.
        kernel: γ of a kernel head: the head's input is exp(γ (⟨pooled, landmark⟩ - 1)) for each of `head.landmarks` (m, width); landmarks
            and pooled features have length 1. None: the head's input is the features themselves.
        arsinh: logits are this factor times the arsinh of the head's output; None: they are its output.
        states: whether the graph also yields the state of every token, `states` (n, tokens, width). Only a BERT has that.
    """

    pooling: str = "mean"
    normalize: bool = False
    scale: float | None = None
    max_length: int = 128
    hidden: str | None = None
    kernel: float | None = None
    arsinh: float | None = None
    states: bool = False

    @property
    def unit(self) -> bool:
        """Whether pooled features are scaled to length 1."""
        return self.normalize or self.scale is not None or self.kernel is not None

    @staticmethod
    def read(folder: Path) -> ExportedHead:
        """The head of the student in `folder`. Raises TrainError for an unknown value."""
        facts = json.loads((folder / "smidgen_student.json").read_text(encoding="utf-8"))
        head = ExportedHead(**{name: facts[name] for name in ExportedHead.__dataclass_fields__ if name in facts})
        for name, value, known in (("pooling", head.pooling, ("mean", "cls", "tokens")), ("hidden", head.hidden, (None, *ACTIVATIONS))):
            if value not in known:
                raise TrainError("students.student_file_has_unknown_value", value=value, name=name, map=", ".join(map(str, known)))
        return head


def trace(folder: Path, head: ExportedHead, file: Path, opset: int) -> None:
    """Trace the student in `folder`, of any architecture that transformers knows, to `file`; inputs and outputs as in `export_encoder`.

    The graph has `token_type_ids` if the architecture has more than one type of token.

    Raises:
        MissingExtra: torch or transformers is not installed.
        TrainError: the weights do not fit the architecture.
    """
    try:
        import torch
        from safetensors.torch import load_file
        from transformers import AutoConfig, AutoModel
    except ImportError as error:
        raise MissingExtra(str(error.name), "train") from error

    config = AutoConfig.from_pretrained(folder)
    encoder = AutoModel.from_config(config, attn_implementation="eager")
    tensors = {name: tensor.float() for file in _tensor_files(folder) for name, tensor in load_file(file).items()}
    own: dict[str, Any] = {
        name: tensors.pop(name)
        for name in ("head.weight", "head.bias", "head.landmarks", "hidden.weight", "hidden.bias")
        if name in tensors
    }
    missing = [name for name in encoder.load_state_dict(tensors, strict=False).missing_keys if not name.startswith("pooler.")]
    if missing:
        raise TrainError("students.weights_lack_tensor", value=missing[0])

    module = _module(torch, encoder.eval(), own, head)
    with_types = getattr(config, "type_vocab_size", 0) > 1
    names = ["input_ids", "attention_mask", *(["token_type_ids"] if with_types else [])]
    example = torch.zeros((2, 8), dtype=torch.int64)
    inputs = tuple(torch.ones_like(example) if name == "attention_mask" else example.clone() for name in names)
    tokens = head.pooling == "tokens"
    outputs = {"logits": {0: "n", 1: "tokens"}} if tokens else {"logits": {0: "n"}, "embedding": {0: "n"}}
    torch.onnx.export(
        module,
        inputs,
        file,
        input_names=names,
        output_names=list(outputs),
        opset_version=opset,
        dynamic_axes={name: {0: "n", 1: "tokens"} for name in names} | outputs,
        dynamo=False,
    )


def _module(torch: Any, encoder: Any, own: dict[str, Any], head: ExportedHead) -> Any:
    functional = torch.nn.functional
    activation = {"gelu": functional.gelu, "tanh": torch.tanh, "relu": functional.relu}

    class EncoderWithHead(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any = None) -> Any:
            extra = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
            states = self.encoder(input_ids=input_ids, attention_mask=attention_mask, **extra).last_hidden_state
            if head.pooling == "tokens":
                return functional.linear(states, own["head.weight"], own["head.bias"])
            if head.pooling == "cls":
                pooled = states[:, 0]
            else:
                mask = attention_mask.unsqueeze(-1).to(states.dtype)
                pooled = (states * mask).sum(1) / mask.sum(1)
            if head.unit:
                pooled = functional.normalize(pooled, dim=-1)
            features = pooled
            if head.hidden:
                features = activation[head.hidden](functional.linear(features, own["hidden.weight"], own["hidden.bias"]))
            if head.kernel is not None:
                features = torch.exp(head.kernel * (features @ own["head.landmarks"].T - 1))
            weight = own["head.weight"] if head.scale is None else head.scale * functional.normalize(own["head.weight"], dim=-1)
            logits = functional.linear(features, weight, own.get("head.bias"))
            if head.arsinh is not None:  # torch's own exporter has no asinh
                size = logits.abs()
                logits = head.arsinh * logits.sign() * torch.log(size + (size * size + 1).sqrt())
            return logits, pooled

    return EncoderWithHead().eval()


Tensors = dict[str, NDArray[Any]]

OPSET = 17
"""Fixed, so that a bundle opens with every ONNX Runtime since 1.14. It goes with version 8 of the file format."""

IR_VERSION = 8
_CONTRIB = "com.microsoft"
_BIAS_ACTIVATION = {"gelu": "BiasGelu", "gelu_new": "FastGelu", "gelu_fast": "FastGelu", "gelu_pytorch_tanh": "FastGelu"}
_ACTIVATION = {"gelu": "Gelu", "tanh": "Tanh", "relu": "Relu"}


def export_encoder(folder: Path, out: Path) -> EngineSpec:
    """Write the trained encoder in `folder` as `model.onnx` and `tokenizer.json` into `out`, at full precision.

    Inputs `input_ids`, `attention_mask` and, for a BERT, `token_type_ids`, all int64 (n, tokens). Outputs `logits` (n, k) and `embedding`
    (n, width), the pooled features that enter the head (or its hidden layer), both float32; for a head on every token only `logits`
    (n, tokens, k). If the head asks for them, `states` (n, tokens, width) too: they cost nothing unless the engine is asked for them.

    Raises:
        MissingExtra: onnx is not installed.
        TrainError: the folder does not match its config, or it is no BERT and its tokens' states are asked for.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingExtra("onnx", "train") from error
    head = ExportedHead.read(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    out.mkdir(parents=True, exist_ok=True)
    if _is_plain_bert(config):
        head = replace(head, max_length=min(head.max_length, config["max_position_embeddings"]))
        onnx.save_model(bert(config, _tensors(folder), head), out / "model.onnx")
    elif head.states:
        raise TrainError("students.token_states_need_bert", value=config.get("model_type"))
    else:
        trace(folder, head, out / "model.onnx", OPSET)
    shutil.copyfile(folder / "tokenizer.json", out / "tokenizer.json")
    return EngineSpec(engine="onnx", files=("model.onnx", "tokenizer.json"), options={"max_length": head.max_length})


def bert(config: dict[str, Any], tensors: Tensors, head: ExportedHead) -> ModelProto:
    """The graph of a BERT with its head, in the fused operators of ONNX Runtime's CPU provider.

    Query, key and value are one product, so that a quantiser sees four plain `MatMul` per layer, each with a constant weight. Positions
    past `head.max_length` are left out: the engine never sends longer inputs.
    """
    graph = _Graph(tensors)
    epsilon = float(config["layer_norm_eps"])
    x = _embed(graph, head.max_length, epsilon)
    graph.node("Cast", ["attention_mask"], "mask", to=6)  # int32, the type of the attention operator
    for layer in range(config["num_hidden_layers"]):
        x = _layer(graph, f"encoder.layer.{layer}", x, config, epsilon)
    if head.pooling == "tokens":
        _answer_tokens(graph, x)
        return graph.model({"logits": ["n", "tokens", graph.outputs]})
    _pool_and_answer(graph, x, head)
    outputs = {"logits": ["n", graph.outputs], "embedding": ["n", config["hidden_size"]]}
    if head.states:
        graph.node("Identity", [x], "states")
        outputs["states"] = ["n", "tokens", config["hidden_size"]]
    return graph.model(outputs)


def _is_plain_bert(config: dict[str, Any]) -> bool:
    return (
        config.get("model_type") == "bert"
        and config.get("position_embedding_type", "absolute") == "absolute"
        and config.get("hidden_act") in _BIAS_ACTIVATION
        and not config.get("is_decoder", False)
    )


def _tensors(folder: Path) -> Tensors:
    from safetensors import safe_open

    # Converted here, because numpy has no bfloat16: a student may store its weights in it.
    found: Tensors = {}
    for place in _tensor_files(folder):
        with safe_open(place, framework="np") as file:
            if all(file.get_slice(name).get_dtype() in ("F32", "I64", "I32") for name in file.keys()):  # noqa: SIM118
                found |= {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                continue
        from safetensors.torch import load_file

        found |= {name: tensor.float().numpy() for name, tensor in load_file(place).items()}
    return found


def _tensor_files(folder: Path) -> list[Path]:
    """The files with the tensors of an encoder and its head."""
    return [file for file in (folder / "model.safetensors", folder / HEAD) if file.is_file()]


def _embed(graph: _Graph, max_length: int, epsilon: float) -> str:
    words = graph.node("Gather", [graph.weight("embeddings.word_embeddings.weight"), "input_ids"], "words")
    types = graph.node("Gather", [graph.weight("embeddings.token_type_embeddings.weight"), "token_type_ids"], "types")
    table = graph.constant("embeddings.position_embeddings.weight", graph.tensor("embeddings.position_embeddings.weight")[:max_length])
    length = graph.node("Shape", ["input_ids"], "length", start=1, end=2)
    places = graph.node("Slice", [table, graph.integers("zero", 0), length, graph.integers("zero", 0)], "places")
    rest = graph.node("Add", [types, places], "types_and_places")
    return graph.skip_norm(words, rest, "embeddings.LayerNorm", None, epsilon, "embedded")


def _layer(graph: _Graph, name: str, x: str, config: dict[str, Any], epsilon: float) -> str:
    parts = [f"{name}.attention.self.{part}" for part in ("query", "key", "value")]
    weight = graph.constant(f"{name}.qkv.weight", np.concatenate([graph.tensor(f"{part}.weight") for part in parts]).T)
    bias = graph.constant(f"{name}.qkv.bias", np.concatenate([graph.tensor(f"{part}.bias") for part in parts]))
    qkv = graph.node("Add", [graph.node("MatMul", [x, weight], f"{name}.qkv.product"), bias], f"{name}.qkv")
    heads = [f"{name}.{part}" for part in ("query", "key", "value")]
    graph.nodes.append(graph.make("Split", [qkv], heads, axis=-1))
    inputs = [*heads, "", "mask"]
    context = graph.node("MultiHeadAttention", inputs, f"{name}.context", _CONTRIB, num_heads=config["num_attention_heads"])
    mixed = graph.product(context, f"{name}.attention.output.dense")
    x = graph.skip_norm(mixed, x, f"{name}.attention.output.LayerNorm", f"{name}.attention.output.dense.bias", epsilon, f"{name}.attended")
    wide = graph.product(x, f"{name}.intermediate.dense")
    wide_bias = graph.weight(f"{name}.intermediate.dense.bias")
    active = graph.node(_BIAS_ACTIVATION[config["hidden_act"]], [wide, wide_bias], f"{name}.active", _CONTRIB)
    narrow = graph.product(active, f"{name}.output.dense")
    return graph.skip_norm(narrow, x, f"{name}.output.LayerNorm", f"{name}.output.dense.bias", epsilon, f"{name}.done")


def _pool_and_answer(graph: _Graph, x: str, head: ExportedHead) -> None:
    pooled = "pooled" if head.unit else "embedding"
    if head.pooling == "cls":
        graph.node("Gather", [x, graph.constant("first", np.array(0, np.int64))], pooled, axis=1)
    else:
        ones = graph.node("Cast", ["attention_mask"], "ones", to=1)
        rows = graph.node("Unsqueeze", [ones, graph.integers("one", 1)], "rows")
        total = graph.node("Squeeze", [graph.node("MatMul", [rows, x], "totals"), graph.integers("one", 1)], "total")
        count = graph.node("ReduceSum", [ones, graph.integers("one", 1)], "count", keepdims=1)
        graph.node("Div", [total, count], pooled)
    if head.unit:
        length = graph.node("ReduceL2", ["pooled"], "norm", axes=[-1], keepdims=1)
        smallest = graph.constant("smallest", np.array(1e-12, np.float32))  # as torch's F.normalize
        graph.node("Div", ["pooled", graph.node("Max", [length, smallest], "norm_not_zero")], "embedding")
    features = "embedding"
    if head.hidden:
        weight = graph.constant("hidden.weight", graph.tensor("hidden.weight").T)
        dense = graph.node("Add", [graph.node("MatMul", [features, weight], "hidden.product"), graph.weight("hidden.bias")], "hidden.sum")
        domain = _CONTRIB if _ACTIVATION[head.hidden] == "Gelu" else ""
        features = graph.node(_ACTIVATION[head.hidden], [dense], "hidden", domain)
    if head.kernel is not None:
        marks = graph.constant("head.landmarks", graph.tensor("head.landmarks"))
        below = graph.constant("head.kernel", np.array([-head.kernel], np.float32))
        near = graph.node("Gemm", [features, marks, below], "head.exponent", transB=1, alpha=float(head.kernel))
        features = graph.node("Exp", [near], "head.likeness")
    rows_of_head = graph.tensor("head.weight")
    if head.scale is not None:
        rows_of_head = head.scale * rows_of_head / np.maximum(np.linalg.norm(rows_of_head, axis=1, keepdims=True), 1e-12)
    graph.outputs = rows_of_head.shape[0]
    bias = graph.tensors.get("head.bias", np.zeros(graph.outputs, np.float32))
    given = "logits" if head.arsinh is None else "head.scores"
    graph.node("Gemm", [features, graph.constant("head.weight", rows_of_head), graph.constant("head.bias", bias)], given, transB=1)
    if head.arsinh is not None:
        bent = graph.node("Asinh", [given], "head.bent")
        graph.node("Mul", [bent, graph.constant("head.gain", np.array(head.arsinh, np.float32))], "logits")


def _answer_tokens(graph: _Graph, x: str) -> None:
    """The head on every token. The name of its product excludes it from quantisation."""
    rows = graph.tensor("head.weight")
    graph.outputs = rows.shape[0]
    product = graph.node("MatMul", [x, graph.constant("head.weight", rows.T)], "head.product")
    graph.node("Add", [product, graph.weight("head.bias")], "logits")


class _Graph:
    """Nodes and constants of a graph under construction. A constant is made once per name."""

    def __init__(self, tensors: Tensors) -> None:
        self.tensors = tensors
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}
        self.outputs = 0

    def tensor(self, name: str) -> NDArray[Any]:
        if name not in self.tensors:
            raise TrainError("students.weights_lack_tensor", value=name)
        return self.tensors[name]

    def constant(self, name: str, value: NDArray[Any]) -> str:
        from onnx import numpy_helper

        if name not in self.constants:
            whole = np.issubdtype(value.dtype, np.integer)
            self.constants[name] = numpy_helper.from_array(np.asarray(value, None if whole else np.float32, order="C"), name)
        return name

    def weight(self, name: str) -> str:
        return self.constant(name, self.tensor(name))

    def integers(self, name: str, *values: int) -> str:
        return self.constant(name, np.array(values, np.int64))

    def make(self, kind: str, inputs: list[str], outputs: list[str], domain: str = "", **attributes: Any) -> Any:
        from onnx import helper

        return helper.make_node(kind, inputs, outputs, name=outputs[0], domain=domain, **attributes)

    def node(self, kind: str, inputs: list[str], output: str, domain: str = "", **attributes: Any) -> str:
        self.nodes.append(self.make(kind, inputs, [output], domain, **attributes))
        return output

    def product(self, x: str, name: str) -> str:
        """x times a linear layer's weight; the following operator adds the bias."""
        return self.node("MatMul", [x, self.constant(f"{name}.weight", self.tensor(f"{name}.weight").T)], f"{name}.product")

    def skip_norm(self, x: str, skip: str, norm: str, bias: str | None, epsilon: float, output: str) -> str:
        """layer_norm(x + skip + bias)."""
        inputs = [x, skip, self.weight(f"{norm}.weight"), self.weight(f"{norm}.bias"), *([self.weight(bias)] if bias else [])]
        return self.node("SkipLayerNormalization", inputs, output, _CONTRIB, epsilon=epsilon)

    def model(self, outputs: dict[str, list[Any]]) -> ModelProto:
        """The graph with these outputs, each with its shape."""
        from onnx import TensorProto, helper

        inputs = [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "tokens"])
            for name in ("input_ids", "attention_mask", "token_type_ids")
        ]
        given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()]
        graph = helper.make_graph(self.nodes, "encoder", inputs, given, list(self.constants.values()))
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(_CONTRIB, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="smidgen")
