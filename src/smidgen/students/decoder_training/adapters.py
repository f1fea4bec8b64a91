"""The trained weights of a decoder: low-rank adapters over its matrices (LoRA, Hu et al. 2021), or the matrices themselves.

Both use the folded form of `model`: norms inside the matrices behind them, queries joined with keys and values, gate joined with up.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from smidgen.gguf.architectures import DecoderShape
from smidgen.students.decoder_training.model import (
    DOWN,
    GATE_UP,
    OUT,
    PLACES,
    QKV,
    DecoderLayer,
    LlamaModel,
    UntaughtParts,
    WorkerGradients,
)
from smidgen.students.processor import Workers

BLOCK = 32
_LOW, _HIGH = -8, 7


def rounded(matrix: Tensor) -> Tensor:
    """Round a matrix (rows, columns) to the values of ggml's Q4_0: blocks of 32 numbers of a row, 16 levels and a 16-bit scale each; the
    block's extreme falls on -8. A matrix whose columns are not whole blocks stays unchanged, because it is stored in 16 bits.

    Training that ends with rounded matrices (quantisation-aware training with a straight-through estimator; Bengio et al. 2013, Jacob et
    al. 2018) finds weights that lose almost nothing when they are quantised.
    """
    if matrix.shape[-1] % BLOCK:
        return matrix
    blocks = matrix.reshape(-1, BLOCK)
    low, high = blocks.amin(1, keepdim=True), blocks.amax(1, keepdim=True)
    scale = (torch.where(-low > high, low, high) / _LOW).to(torch.float16).float()
    inverse = torch.where(scale == 0, scale, 1 / scale)
    levels = (blocks * inverse).round_().clamp_(_LOW, _HIGH)
    return levels.mul_(scale).reshape(matrix.shape)


@dataclass
class FrozenWeights:
    """The base's weights in 32 bits, fused and with their norms folded in. `norms` are the folded norms, `beside` the other weights of each
    layer."""

    layers: list[dict[str, Tensor]]
    norms: list[dict[str, Tensor]]
    beside: list[UntaughtParts]


class WeightChange(ABC):
    """A trained change of a decoder's matrices. `tensors` are its parameters, by place and layer. `rounded`: the changed matrices are
    rounded as in Q4_0."""

    def __init__(self, shape: DecoderShape, frozen: FrozenWeights) -> None:
        self.shape, self.frozen = shape, frozen
        self.rounded = False
        self.tensors: dict[tuple[str, int], tuple[Tensor, ...]] = {}

    @abstractmethod
    def matrix(self, place: str, number: int) -> Tensor:
        """The changed matrix in 32 bits."""

    @abstractmethod
    def collect(self, gradients: WorkerGradients, place: str, layer: int, x: Tensor, dy: Tensor) -> None:
        """See `model.TaughtWeights`."""

    @abstractmethod
    def fresh(self, shape: DecoderShape, frozen: FrozenWeights) -> WeightChange:
        """A change of this kind for another decoder, with parameters still to be set."""

    def stored(self, place: str, number: int) -> Tensor:
        """The changed matrix in 32 bits in its stored form: without its norm, and rounded if `rounded`."""
        plain = self.matrix(place, number) / self.frozen.norms[number][place]
        return rounded(plain) if self.rounded else plain

    def parameters(self) -> list[Tensor]:
        """All parameters, in a fixed order."""
        return [tensor for group in self.tensors.values() for tensor in group]

    def state(self) -> dict[str, Tensor]:
        """All parameters by name, for a file."""
        return {f"{place}.{number}.{at}": t for (place, number), group in self.tensors.items() for at, t in enumerate(group)}

    def load(self, state: dict[str, Tensor]) -> None:
        """Load the parameters from `state`."""
        for name, tensor in self.state().items():
            tensor.copy_(state[name])

    def empty_gradients(self) -> WorkerGradients:
        """Gradient sums of zero."""
        return WorkerGradients({key: tuple(torch.zeros_like(tensor) for tensor in group) for key, group in self.tensors.items()})

    def merge(self, model: LlamaModel, workers: Workers) -> None:
        """Put the changed matrices into the model, in its precision; each worker handles a share of the layers."""

        def work(worker: int) -> None:
            for number in range(worker, self.shape.layers, workers.count):
                for place in PLACES:
                    folded = self.stored(place, number) * self.frozen.norms[number][place] if self.rounded else self.matrix(place, number)
                    getattr(model.layers[number], place).copy_(folded)

        workers.map(work)


class LoraAdapters(WeightChange):
    """weight + alpha / rank * up @ down: `down` (rank, inputs) starts at random, `up` (outputs, rank) at zero, so training starts from
    the base."""

    def __init__(
        self, shape: DecoderShape, frozen: FrozenWeights, rank: int, alpha: float, generator: torch.Generator, dtype: torch.dtype
    ) -> None:
        super().__init__(shape, frozen)
        self.rank, self.alpha, self.scale, self.dtype = rank, alpha, alpha / rank, dtype
        for number in range(shape.layers):
            for place, (outputs, inputs) in sizes(shape).items():
                down = torch.empty(rank, inputs).uniform_(-1, 1, generator=generator) * (3 / inputs) ** 0.5
                self.tensors[(place, number)] = down, torch.zeros(outputs, rank)
        self._quick: dict[tuple[str, int], tuple[Tensor, ...]] = {}

    def matrix(self, place: str, number: int) -> Tensor:
        """See `WeightChange`."""
        down, up = self.tensors[(place, number)]
        return torch.addmm(self.frozen.layers[number][place], up, down, alpha=self.scale)

    def fresh(self, shape: DecoderShape, frozen: FrozenWeights) -> LoraAdapters:
        """See `WeightChange`."""
        return LoraAdapters(shape, frozen, self.rank, self.alpha, torch.Generator().manual_seed(0), self.dtype)

    def merge(self, model: LlamaModel, workers: Workers) -> None:
        """See `WeightChange`."""
        super().merge(model, workers)
        # Copies in the precision of the products, made once per step.
        self._quick = {key: tuple(tensor.to(self.dtype) for tensor in group) for key, group in self.tensors.items()}

    def collect(self, gradients: WorkerGradients, place: str, layer: int, x: Tensor, dy: Tensor) -> None:
        """See `model.TaughtWeights`. Only products with a thin side: the gradient of the whole matrix is never formed."""
        down, up = self._quick[(place, layer)]
        of_down, of_up = gradients.sums[(place, layer)]
        of_up.add_(dy.T @ (x @ down.T), alpha=self.scale)
        of_down.add_((dy @ up).T @ x, alpha=self.scale)


class FullMatrices(WeightChange):
    """The matrices themselves; token vectors, norms and biases stay frozen."""

    def __init__(self, shape: DecoderShape, frozen: FrozenWeights) -> None:
        super().__init__(shape, frozen)
        for number, layer in enumerate(frozen.layers):
            for place in PLACES:
                self.tensors[(place, number)] = (layer[place].clone(),)

    def matrix(self, place: str, number: int) -> Tensor:
        """See `WeightChange`."""
        return self.tensors[(place, number)][0]

    def fresh(self, shape: DecoderShape, frozen: FrozenWeights) -> FullMatrices:
        """See `WeightChange`."""
        return FullMatrices(shape, frozen)

    def collect(self, gradients: WorkerGradients, place: str, layer: int, x: Tensor, dy: Tensor) -> None:
        """See `model.TaughtWeights`."""
        gradients.sums[(place, layer)][0].add_(dy.T @ x)


def sizes(shape: DecoderShape) -> dict[str, tuple[int, int]]:
    """(outputs, inputs) of each matrix of a layer."""
    q, kv = shape.heads * shape.head, shape.kv_heads * shape.head
    return {
        QKV: (q + 2 * kv, shape.width),
        OUT: (shape.width, q),
        GATE_UP: (2 * shape.inner, shape.width),
        DOWN: (shape.width, shape.inner),
    }


def frozen_of(weights: dict[str, Tensor], shape: DecoderShape) -> FrozenWeights:
    """The layers' matrices fused, with the weights of the norms before them folded in, in 32 bits."""
    found = [fused(weights, shape, number) for number in range(shape.layers)]
    return FrozenWeights([matrices for matrices, _, _ in found], [norms for _, norms, _ in found], [beside for _, _, beside in found])


def fused(weights: Mapping[str, Tensor], shape: DecoderShape, number: int) -> tuple[dict[str, Tensor], dict[str, Tensor], UntaughtParts]:
    """One layer: its matrices by place with their norms folded in, these norms, and its other weights."""
    norms = {place: _norm(weights, shape, place, number) for place in PLACES}
    matrices = {place: torch.cat([weights[name] for name, _ in parts(shape, place, number)]) * norms[place] for place in PLACES}
    at = f"model.layers.{number}."
    names = [f"{at}self_attn.{name}_proj.bias" for name in "qkv"]
    bias = torch.cat([weights[name] for name in names]) if names[0] in weights else None
    heads, after, more = None, None, float(shape.gemma)
    if shape.head_norms:
        q, k = (weights[f"{at}self_attn.{name}_norm.weight"] + more for name in "qk")
        heads = torch.cat([q.expand(shape.heads, -1), k.expand(shape.kv_heads, -1)])
    if shape.gemma:
        after = weights[f"{at}post_attention_layernorm.weight"] + more, weights[f"{at}post_feedforward_layernorm.weight"] + more
    return matrices, norms, UntaughtParts(bias, heads, after)


def model_of(weights: dict[str, Tensor], frozen: FrozenWeights, shape: DecoderShape, before: list[int], dtype: torch.dtype) -> LlamaModel:
    """The decoder to compute with, in `dtype`, with the base's weights."""
    layers = [
        DecoderLayer(**{place: matrices[place].to(dtype, copy=True) for place in PLACES}, beside=beside.to(dtype))
        for matrices, beside in zip(frozen.layers, frozen.beside, strict=True)
    ]
    table, output = ends(weights, shape)
    return LlamaModel(shape, table.to(dtype), output.to(dtype), layers, torch.tensor(before, dtype=torch.long))


def ends(weights: Mapping[str, Tensor], shape: DecoderShape, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The token vectors as input of the first layer, and the output matrix with the last norm folded in; only these `rows`, if given."""
    table = weights["model.embed_tokens.weight"]
    output = weights.get("lm_head.weight", table)
    table, output = (table, output) if rows is None else (table[rows], output[rows])
    return table * shape.width**0.5 if shape.gemma else table, output * (weights["model.norm.weight"] + float(shape.gemma))


def unfolded(weights: dict[str, Tensor], change: WeightChange) -> dict[str, Tensor]:
    """The trained weights by their names in transformers, in 32 bits, with the norms divided out of the matrices."""
    taught = dict(weights)
    for number in range(change.shape.layers):
        for place in PLACES:
            if change.rounded:
                stored = change.stored(place, number)
                taught |= {name: stored[rows] for name, rows in parts(change.shape, place, number)}
                continue
            moved = (change.matrix(place, number) - change.frozen.layers[number][place]) / change.frozen.norms[number][place]
            for name, rows in parts(change.shape, place, number):
                taught[name] = weights[name] + moved[rows]
    return taught


def factors(weights: dict[str, Tensor], adapters: LoraAdapters) -> dict[str, tuple[Tensor, Tensor]]:
    """(down, up) by the transformers name of the matrix that each pair changes, for an adapter that other programs load."""
    found = {}
    for (place, number), (down, up) in adapters.tensors.items():
        outer = down / _norm(weights, adapters.shape, place, number)
        for name, rows in parts(adapters.shape, place, number):
            found[name] = outer, up[rows]
    return found


def parts(shape: DecoderShape, place: str, number: int) -> list[tuple[str, slice]]:
    """The transformers matrices that one fused matrix consists of, each with its rows in it."""
    at = f"model.layers.{number}."
    q, kv = shape.heads * shape.head, shape.kv_heads * shape.head
    return {
        QKV: [
            (at + "self_attn.q_proj.weight", slice(0, q)),
            (at + "self_attn.k_proj.weight", slice(q, q + kv)),
            (at + "self_attn.v_proj.weight", slice(q + kv, q + 2 * kv)),
        ],
        OUT: [(at + "self_attn.o_proj.weight", slice(None))],
        GATE_UP: [(at + "mlp.gate_proj.weight", slice(0, shape.inner)), (at + "mlp.up_proj.weight", slice(shape.inner, None))],
        DOWN: [(at + "mlp.down_proj.weight", slice(None))],
    }[place]


def _norm(weights: Mapping[str, Tensor], shape: DecoderShape, place: str, number: int) -> Tensor:
    """The weights of the norm before a matrix; 1 if there is none. Values near zero are raised to 1e-6, so that division is safe."""
    names = {QKV: "input_layernorm", GATE_UP: "pre_feedforward_layernorm" if shape.gemma else "post_attention_layernorm"}
    if place not in names:
        return torch.ones(1)
    found = weights[f"model.layers.{number}.{names[place]}.weight"] + float(shape.gemma)
    least = torch.full_like(found, 1e-6)
    return torch.where(found.abs() < least, torch.where(found < 0, -least, least), found)
