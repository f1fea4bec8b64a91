"""Low-rank adapters (LoRA, Hu et al. 2021) over the matrices of a decoder: weight + alpha / rank * up @ down."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from smidgen.students.decoder_shape import Shape
from smidgen.students.llama import DOWN, GATE_UP, OUT, PLACES, QKV, Adapted, Gradients, Layer, Llama
from smidgen.students.workers import Workers


@dataclass
class Frozen:
    """The base in 32 bits, with its norms folded in: what adapters are added to."""

    layers: list[dict[str, Tensor]]
    biases: list[Tensor | None]


class Adapters(Adapted):
    """The adapters: `down` (rank, inputs) starts at random, `up` (outputs, rank) at zero, so that the first step starts from the base."""

    def __init__(self, shape: Shape, rank: int, alpha: float, generator: torch.Generator) -> None:
        self.shape, self.rank, self.alpha = shape, rank, alpha
        self.scale = alpha / rank
        self.pairs: dict[tuple[str, int], tuple[Tensor, Tensor]] = {}
        for number in range(shape.layers):
            for place, (outputs, inputs) in sizes(shape).items():
                down = torch.empty(rank, inputs).uniform_(-1, 1, generator=generator) * (3 / inputs) ** 0.5
                self.pairs[(place, number)] = down, torch.zeros(outputs, rank)
        self._quick: dict[tuple[str, int], tuple[Tensor, Tensor]] = {}

    def parameters(self) -> list[Tensor]:
        """All tensors, in an order that does not change."""
        return [tensor for pair in self.pairs.values() for tensor in pair]

    def tensors(self) -> dict[str, Tensor]:
        """By name, for a file."""
        return {
            f"{place}.{number}.{end}": t
            for (place, number), pair in self.pairs.items()
            for end, t in zip(("down", "up"), pair, strict=True)
        }

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take the values that `tensors` gave."""
        for name, tensor in self.tensors().items():
            tensor.copy_(tensors[name])

    def merge(self, frozen: Frozen, model: Llama, workers: Workers) -> None:
        """Put base plus adapters into the model's matrices, in the model's precision; each worker a share of the layers."""
        with torch.no_grad():

            def work(worker: int) -> None:
                for number in range(worker, self.shape.layers, workers.count):
                    for place in PLACES:
                        getattr(model.layers[number], place).copy_(self.merged(frozen, place, number))

            workers.map(work)
            # Contiguous copies in the precision of the products, made once a step.
            self._quick = {key: (down.to(model.dtype), up.to(model.dtype)) for key, (down, up) in self.pairs.items()}

    def merged(self, frozen: Frozen, place: str, number: int) -> Tensor:
        """Base plus adapter of one matrix, in 32 bits."""
        down, up = self.pairs[(place, number)]
        return torch.addmm(frozen.layers[number][place], up, down, alpha=self.scale)

    def empty_gradients(self) -> Gradients:
        """Sums of zero."""
        return Gradients({key: (torch.zeros_like(down), torch.zeros_like(up)) for key, (down, up) in self.pairs.items()})

    def collect(self, gradients: Gradients, place: str, layer: int, x: Tensor, dy: Tensor) -> None:
        """See `Adapted`. Only products with a thin side: the gradient of the whole matrix is never formed."""
        down, up = self._quick[(place, layer)]
        of_down, of_up = gradients.sums[(place, layer)]
        of_up.add_(dy.T @ (x @ down.T), alpha=self.scale)
        of_down.add_((dy @ up).T @ x, alpha=self.scale)


def sizes(shape: Shape) -> dict[str, tuple[int, int]]:
    """(outputs, inputs) of each matrix of a layer."""
    q, kv = shape.heads * shape.head, shape.kv_heads * shape.head
    return {
        QKV: (q + 2 * kv, shape.width),
        OUT: (shape.width, q),
        GATE_UP: (2 * shape.inner, shape.width),
        DOWN: (shape.width, shape.inner),
    }


def frozen_of(weights: dict[str, Tensor], shape: Shape) -> Frozen:
    """The layers' matrices fused, with the weights of the norms before them folded in, in 32 bits."""
    layers: list[dict[str, Tensor]] = []
    biases: list[Tensor | None] = []
    for number in range(shape.layers):
        at = f"model.layers.{number}."
        before, after = weights[at + "input_layernorm.weight"], weights[at + "post_attention_layernorm.weight"]
        layers.append(
            {
                QKV: torch.cat([weights[f"{at}self_attn.{name}_proj.weight"] for name in "qkv"]) * before,
                OUT: weights[at + "self_attn.o_proj.weight"].clone(),
                GATE_UP: torch.cat([weights[f"{at}mlp.{name}_proj.weight"] for name in ("gate", "up")]) * after,
                DOWN: weights[at + "mlp.down_proj.weight"].clone(),
            }
        )
        has_bias = at + "self_attn.q_proj.bias" in weights
        biases.append(torch.cat([weights[f"{at}self_attn.{name}_proj.bias"] for name in "qkv"]) if has_bias else None)
    return Frozen(layers, biases)


def model_of(weights: dict[str, Tensor], frozen: Frozen, shape: Shape, before: list[int], dtype: torch.dtype) -> Llama:
    """The decoder to compute with, in `dtype`, not yet merged with any adapter."""
    table = weights["model.embed_tokens.weight"]
    output = weights.get("lm_head.weight", table) * weights["model.norm.weight"]
    layers = [
        Layer(
            *(matrices[place].to(dtype, copy=True) for place in PLACES),
            bias=None if bias is None else bias.to(dtype),
        )
        for matrices, bias in zip(frozen.layers, frozen.biases, strict=True)
    ]
    return Llama(shape, table.to(dtype), output.to(dtype), layers, torch.tensor(before, dtype=torch.long))


def unfolded(weights: dict[str, Tensor], adapters: Adapters, frozen: Frozen) -> dict[str, Tensor]:
    """The taught weights by their names in transformers, in 32 bits: what the adapters add, put back before the norms that were folded in."""
    shape = adapters.shape
    taught = dict(weights)
    for number in range(shape.layers):
        for place, (name, change) in _changes(weights, adapters, number).items():
            del place
            taught[name] = weights[name] + change
    return taught


def factors(weights: dict[str, Tensor], adapters: Adapters) -> dict[str, tuple[Tensor, Tensor]]:
    """(down, up) by the name in transformers of the matrix that each pair is laid over, for an adapter that others load."""
    shape, found = adapters.shape, {}
    for number in range(shape.layers):
        for place in PLACES:
            down, up = adapters.pairs[(place, number)]
            down = down / _norm(weights, place, number)
            for name, rows in _parts(shape, place, number):
                found[name] = down, up[rows]
    return found


def _changes(weights: dict[str, Tensor], adapters: Adapters, number: int) -> dict[str, tuple[str, Tensor]]:
    found = {}
    for place in PLACES:
        down, up = adapters.pairs[(place, number)]
        change = adapters.scale * (up @ (down / _norm(weights, place, number)))
        for name, rows in _parts(adapters.shape, place, number):
            found[name] = name, change[rows]
    return found


def _norm(weights: dict[str, Tensor], place: str, number: int) -> Tensor:
    """The weights of the norm before a matrix; 1 where there is none. None is taken as nearer to zero than float32 can divide by."""
    names = {QKV: "input_layernorm", GATE_UP: "post_attention_layernorm"}
    if place not in names:
        return torch.ones(1)
    found = weights[f"model.layers.{number}.{names[place]}.weight"]
    return torch.where(found.abs() < 1e-6, torch.where(found < 0, -1e-6, 1e-6), found)


def _parts(shape: Shape, place: str, number: int) -> list[tuple[str, slice]]:
    """The matrices of transformers that one of ours is made of, with their rows in it."""
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
