"""A BERT encoder with hand-written forward and backward passes, for training on ordinary processors.

A stock training loop spends most of its time on padding, autocast copies, autograd bookkeeping and optimiser calls per tensor. Here the
passes run in the compute type, and gradients go to one flat buffer, over which the optimiser runs once.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from smidgen.students.encoder_training.batches import DropoutBank, PackedBatch, PackedBlock
from smidgen.students.processor import best_dtype

NEGATIVE = -1e4  # added to the scores of padding keys; finite, so no NaN in bf16

# Order inside a layer's slice of the flat buffer: matrices first (weight decay), then vectors (none), so that each layer is two
# contiguous slices.
_MATRICES = ("qkv.w", "out.w", "up.w", "down.w")
_VECTORS = ("qkv.b", "out.b", "ln1.w", "ln1.b", "up.b", "down.b", "ln2.w", "ln2.b")
_HF_NAMES = {
    "out": "attention.output.dense",
    "ln1": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "ln2": "output.LayerNorm",
}


@dataclass(frozen=True)
class BufferSlice:
    """A range of the flat buffer with one learning rate and weight decay."""

    start: int
    end: int
    depth: int  # 0 = lowest encoder layer
    decays: bool


class FastBert:
    """A post-norm BERT encoder with hand-written forward and backward.

    The weights of all layers are views into three flat buffers of one layout: `master` (f32, updated by the optimiser), `weights` (the
    compute type, read by the products) and `grads` (the compute type, filled by `backward`). With f32 compute `weights` *is* `master`.

    Embeddings stay frozen in f32. Query, key and value are one product.

    It covers `model_type: bert` with absolute positions and exact gelu (MiniLM, BERT, BGE, E5, GTE-small ...). `forward` gives the pooled
    features; in training it also stores the activations that the next `backward` needs.
    """

    learns_embeddings = False

    def __init__(self, config: dict[str, Any], tensors: dict[str, Tensor], dtype: torch.dtype):
        if not self.covers(config):
            raise ValueError("FastBert needs model_type bert, hidden_act gelu and absolute positions")
        self.config = config
        self.dtype = dtype
        self.hidden: int = config["hidden_size"]
        self.heads: int = config["num_attention_heads"]
        self.layers: int = config["num_hidden_layers"]
        self.eps: float = config["layer_norm_eps"]
        self.pooling = "mean"
        self._prefix = "bert." if "bert.embeddings.LayerNorm.weight" in tensors else ""
        self._load_embeddings(tensors)
        self._load_layers(tensors)
        self._saved: list[dict[str, Any]] | None = None
        self._batch: PackedBatch | None = None
        self._embed_mask: Tensor | None = None

    # -- loading and saving

    @staticmethod
    def covers(config: dict[str, Any]) -> bool:
        """Whether the passes below compute a model with this `config.json` exactly."""
        return (
            config.get("model_type") == "bert"
            and config.get("hidden_act") == "gelu"
            and config.get("position_embedding_type", "absolute") == "absolute"
            and not config.get("is_decoder", False)
        )

    @classmethod
    def load(cls, folder: str | Path, dtype: torch.dtype | None = None) -> FastBert:
        """Read `config.json` and `model.safetensors` of a Hugging Face folder."""
        from safetensors.torch import load_file

        config = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
        tensors = load_file(str(Path(folder) / "model.safetensors"))
        return cls(config, tensors, dtype or best_dtype())

    def _load_embeddings(self, tensors: dict[str, Tensor]) -> None:
        pre = self._prefix + "embeddings."
        self.word = tensors[pre + "word_embeddings.weight"].float()
        self.position = tensors[pre + "position_embeddings.weight"].float()
        self.types = tensors[pre + "token_type_embeddings.weight"].float()
        self.emb_ln = (
            tensors[pre + "LayerNorm.weight"].float(),
            tensors[pre + "LayerNorm.bias"].float(),
        )

    def _layer_tensors(self, tensors: dict[str, Tensor], i: int) -> dict[str, Tensor]:
        pre = f"{self._prefix}encoder.layer.{i}."
        att = [f"{pre}attention.self.{n}." for n in ("query", "key", "value")]
        found = {
            "qkv.w": torch.cat([tensors[a + "weight"] for a in att]),
            "qkv.b": torch.cat([tensors[a + "bias"] for a in att]),
        }
        for ours, theirs in _HF_NAMES.items():
            found[ours + ".w"] = tensors[f"{pre}{theirs}.weight"]
            found[ours + ".b"] = tensors[f"{pre}{theirs}.bias"]
        return found

    def _load_layers(self, tensors: dict[str, Tensor]) -> None:
        parts: list[Tensor] = []
        self.slices: list[BufferSlice] = []
        shapes: list[list[tuple[str, torch.Size, int]]] = []
        at = 0
        for i in range(self.layers):
            found = self._layer_tensors(tensors, i)
            shapes.append([])
            for names, decays in ((_MATRICES, True), (_VECTORS, False)):
                start = at
                for name in names:
                    shapes[-1].append((name, found[name].shape, at))
                    parts.append(found[name].float().reshape(-1))
                    at += found[name].numel()
                self.slices.append(BufferSlice(start, at, i, decays))
        self.master = torch.cat(parts)
        self.weights = self.master if self.dtype == torch.float32 else self.master.to(self.dtype)
        self.grads = torch.zeros(at, dtype=self.dtype)
        self._shapes = shapes
        self._w = [self._views(self.weights, s) for s in shapes]
        self._g = [self._views(self.grads, s) for s in shapes]
        self._m = [self._views(self.master, s) for s in shapes]

    @staticmethod
    def _views(flat: Tensor, shapes: list[tuple[str, torch.Size, int]]) -> dict[str, Tensor]:
        return {n: flat[at : at + s.numel()].view(s) for n, s, at in shapes}

    def replica(self) -> FastBert:
        """A copy that shares the weights and has its own gradients and activations."""
        twin = copy.copy(self)
        twin.grads = torch.zeros_like(self.grads)
        twin._g = [self._views(twin.grads, s) for s in self._shapes]
        twin._saved = twin._batch = None
        return twin

    def sync(self) -> None:
        """Round the updated master weights into the weights that the products read."""
        if self.weights is not self.master:
            self.weights.copy_(self.master)

    def tensors(self) -> dict[str, Tensor]:
        """All weights of the encoder under their Hugging Face names, without a prefix, f32 copies."""
        out: dict[str, Tensor] = {
            "embeddings.word_embeddings.weight": self.word.clone(),
            "embeddings.position_embeddings.weight": self.position.clone(),
            "embeddings.token_type_embeddings.weight": self.types.clone(),
            "embeddings.LayerNorm.weight": self.emb_ln[0].clone(),
            "embeddings.LayerNorm.bias": self.emb_ln[1].clone(),
        }
        for i, m in enumerate(self._m):
            pre = f"encoder.layer.{i}."
            for kind, suffix in (("w", "weight"), ("b", "bias")):
                thirds = m[f"qkv.{kind}"].chunk(3)
                for n, t in zip(("query", "key", "value"), thirds, strict=True):
                    out[f"{pre}attention.self.{n}.{suffix}"] = t.clone()
                for ours, theirs in _HF_NAMES.items():
                    out[f"{pre}{theirs}.{suffix}"] = m[f"{ours}.{kind}"].clone()
        return out

    # -- forward

    def embed(self, batch: PackedBatch) -> Tensor:
        """Embeddings [tokens, hidden]. A token of a pair's second text has the vocabulary's size added to its number."""
        size = len(self.word)
        x = self.word[batch.token_ids % size] + self.position[batch.positions] + self.types[batch.token_ids // size]
        return F.layer_norm(x, (self.hidden,), *self.emb_ln, self.eps).to(self.dtype)

    @torch.no_grad()
    def forward(self, batch: PackedBatch, train: bool = False, dropout: DropoutBank | None = None) -> Tensor:
        """Pooled features `[rows, hidden]` in f32, rows in the batch's order; for a batch with units `[units, hidden]`."""
        x, mask = self.embed(batch), None
        if dropout is not None:
            mask = dropout.draw(*x.shape)
            x = x * mask
        biases = [_key_bias(b, self.dtype) for b in batch.blocks]
        saved: list[dict[str, Any]] = []
        for w in self._w:
            x, kept = self._layer(w, x, batch.blocks, biases, train, dropout)
            saved.append(kept)
        self._saved, self._batch, self._embed_mask = (saved, batch, mask) if train else (None, None, None)
        return self._pool(x, batch)

    def _layer(
        self,
        w: dict[str, Tensor],
        x: Tensor,
        blocks: list[PackedBlock],
        biases: list[Tensor | None],
        train: bool,
        dropout: DropoutBank | None,
    ) -> tuple[Tensor, dict[str, Any]]:
        size = (self.hidden,)
        qkv = torch.addmm(w["qkv.b"], x, w["qkv.w"].t())
        context = torch.empty_like(x)
        context[_used(blocks) :].zero_()
        attended = [self._attend(qkv, context, b, bias) for b, bias in zip(blocks, biases, strict=True)]
        out = torch.addmm(w["out.b"], context, w["out.w"].t())
        h1, mask1 = _add_dropped(x, out, dropout)
        y1, mean1, rstd1 = torch.native_layer_norm(h1, size, w["ln1.w"], w["ln1.b"], self.eps)
        up = torch.addmm(w["up.b"], y1, w["up.w"].t())
        act = F.gelu(up)
        down = torch.addmm(w["down.b"], act, w["down.w"].t())
        h2, mask2 = _add_dropped(y1, down, dropout)
        y2, mean2, rstd2 = torch.native_layer_norm(h2, size, w["ln2.w"], w["ln2.b"], self.eps)
        if not train:
            return y2, {}
        return y2, {
            "x": x, "attended": attended, "context": context, "mask1": mask1,
            "h1": h1, "stat1": (mean1, rstd1), "y1": y1, "up": up, "act": act,
            "mask2": mask2, "h2": h2, "stat2": (mean2, rstd2),
        }  # fmt: skip

    def _attend(self, qkv: Tensor, context: Tensor, b: PackedBlock, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        """Plain softmax attention of one block, written into its part of `context`.

        For rows this short two batched products beat torch's CPU flash kernel, whose backward took 16 ms where this takes 1.
        """
        heads, size = self.heads, self.hidden // self.heads
        part = qkv[b.start : b.start + b.rows * b.length]
        # one copy puts each head's rows next to each other: [3, rows*heads, length, size]
        split = part.view(b.rows, b.length, 3, heads, size).permute(2, 0, 3, 1, 4).contiguous()
        split = split.view(3, b.rows * heads, b.length, size)
        scores = torch.bmm(split[0], split[1].transpose(1, 2)).mul_(size**-0.5)
        if bias is not None:
            scores.view(b.rows, heads, b.length, b.length).add_(bias)
        probs = torch.softmax(scores, -1)
        result = torch.bmm(probs, split[2]).view(b.rows, heads, b.length, size)
        out = context[b.start : b.start + b.rows * b.length]
        out.view(b.rows, b.length, heads, size).copy_(result.transpose(1, 2))
        return split, probs

    def _pool(self, x: Tensor, batch: PackedBatch) -> Tensor:
        if batch.units is not None:
            return batch.units.mean(x)
        pooled = torch.empty(len(batch.rows), self.hidden)
        for b in batch.blocks:
            part = x[b.start : b.start + b.rows * b.length].view(b.rows, b.length, -1)
            into = pooled[b.row_start : b.row_start + b.rows]
            if self.pooling == "cls":
                into.copy_(part[:, 0])
            elif b.mask is None:
                into.copy_(part.mean(1, dtype=torch.float32))
            else:
                torch.sum(part.float() * b.mask[:, :, None], 1, out=into)
                into.div_(b.mask.sum(1, keepdim=True))
        return pooled

    # -- backward

    @torch.no_grad()
    def backward(self, dpooled: Tensor) -> None:
        """Fill `grads` from the gradient of the last training forward's features."""
        if self._saved is None or self._batch is None:
            raise RuntimeError("backward needs a forward(train=True) before it")
        batch, saved = self._batch, self._saved
        self._saved, self._batch = None, None
        dy: Tensor | None = self._pool_backward(dpooled, batch)
        for i in reversed(range(self.layers)):
            assert dy is not None
            lowest = i == 0 and not self.learns_embeddings
            dy = self._layer_backward(self._w[i], self._g[i], saved[i], dy, batch.blocks, lowest)
            saved[i] = {}  # frees the layer's activations at once
        if dy is not None:
            self._embed_backward(dy if self._embed_mask is None else dy * self._embed_mask, batch)

    def _embed_backward(self, dx: Tensor, batch: PackedBatch) -> None:
        """Gradients of the embeddings, of an encoder that learns them, from that of their sum after the layer norm [tokens, hidden]."""

    def _pool_backward(self, dpooled: Tensor, batch: PackedBatch) -> Tensor:
        if batch.units is not None:
            return batch.units.mean_backward(dpooled, len(batch.token_ids)).to(self.dtype)
        dy = torch.zeros(len(batch.token_ids), self.hidden, dtype=self.dtype)
        for b in batch.blocks:
            part = dy[b.start : b.start + b.rows * b.length].view(b.rows, b.length, -1)
            grad = dpooled[b.row_start : b.row_start + b.rows, None]
            if self.pooling == "cls":
                part[:, 0].copy_(grad[:, 0])
            elif b.mask is None:
                part.copy_((grad / b.length).expand_as(part))
            else:
                part.copy_(grad * (b.mask / b.mask.sum(1, keepdim=True))[:, :, None])
        return dy

    def _layer_backward(
        self,
        w: dict[str, Tensor],
        g: dict[str, Tensor],
        s: dict[str, Any],
        dy: Tensor,
        blocks: list[PackedBlock],
        lowest: bool,
    ) -> Tensor | None:
        dh2 = self._norm_backward(dy, s["h2"], s["stat2"], w, g, "ln2")
        ddown = dh2 if s["mask2"] is None else dh2 * s["mask2"]
        _linear_grads(g, "down", ddown, s["act"])
        dup = torch.ops.aten.gelu_backward(torch.mm(ddown, w["down.w"]), s["up"])
        _linear_grads(g, "up", dup, s["y1"])
        dy1 = torch.addmm(dh2, dup, w["up.w"])
        dh1 = self._norm_backward(dy1, s["h1"], s["stat1"], w, g, "ln1")
        dout = dh1 if s["mask1"] is None else dh1 * s["mask1"]
        _linear_grads(g, "out", dout, s["context"])
        dcontext = torch.mm(dout, w["out.w"])
        dqkv = torch.empty(dcontext.shape[0], 3 * self.hidden, dtype=self.dtype)
        dqkv[_used(blocks) :].zero_()
        for b, (split, probs) in zip(blocks, s["attended"], strict=True):
            self._attend_backward(dcontext, dqkv, b, split, probs)
        _linear_grads(g, "qkv", dqkv, s["x"])
        # frozen embeddings: no gradient is needed below the lowest layer
        return None if lowest else torch.addmm(dh1, dqkv, w["qkv.w"])

    def _norm_backward(
        self,
        dy: Tensor,
        h: Tensor,
        stats: tuple[Tensor, Tensor],
        w: dict[str, Tensor],
        g: dict[str, Tensor],
        name: str,
    ) -> Tensor:
        dh, dw, db = torch.ops.aten.native_layer_norm_backward(
            dy, h, [self.hidden], *stats, w[name + ".w"], w[name + ".b"], [True, True, True]
        )
        g[name + ".w"].copy_(dw)
        g[name + ".b"].copy_(db)
        return torch.as_tensor(dh)

    def _attend_backward(self, dcontext: Tensor, dqkv: Tensor, b: PackedBlock, split: Tensor, probs: Tensor) -> None:
        heads, size = self.heads, self.hidden // self.heads
        tokens = slice(b.start, b.start + b.rows * b.length)
        dctx = dcontext[tokens].view(b.rows, b.length, heads, size).transpose(1, 2)
        dctx = dctx.reshape(b.rows * heads, b.length, size)
        dprobs = torch.bmm(dctx, split[2].transpose(1, 2))
        dscores = torch.ops.aten._softmax_backward_data(dprobs, probs, -1, self.dtype)
        dscores.mul_(size**-0.5)
        dsplit = torch.empty_like(split)
        torch.bmm(dscores, split[1], out=dsplit[0])
        torch.bmm(dscores.transpose(1, 2), split[0], out=dsplit[1])
        torch.bmm(probs.transpose(1, 2), dctx, out=dsplit[2])
        out = dqkv[tokens].view(b.rows, b.length, 3, heads, size)
        out.copy_(dsplit.view(3, b.rows, heads, b.length, size).permute(1, 3, 0, 2, 4))


def _used(blocks: list[PackedBlock]) -> int:
    """The number of tokens that belong to a block; filler follows them (see `pack`)."""
    last = blocks[-1]
    return last.start + last.rows * last.length


def _key_bias(b: PackedBlock, dtype: torch.dtype) -> Tensor | None:
    return None if b.mask is None else ((1 - b.mask) * NEGATIVE).to(dtype)[:, None, None, :]


def _add_dropped(x: Tensor, update: Tensor, dropout: DropoutBank | None) -> tuple[Tensor, Tensor | None]:
    """`x + dropout(update)` in one kernel, and the mask used."""
    if dropout is None:
        return x + update, None
    mask = dropout.draw(*x.shape)
    return torch.addcmul(x, update, mask), mask


def _linear_grads(g: dict[str, Tensor], name: str, dy: Tensor, x: Tensor) -> None:
    """Weight and bias gradient of `y = x w^T + b`, straight into the flat buffer."""
    torch.mm(dy.t(), x, out=g[name + ".w"])
    torch.sum(dy, 0, out=g[name + ".b"])


class ShapedBert(FastBert):
    """`FastBert` with one trained row of the type table per shape. Call `learn` before training, and before the first replica.

    Most small encoders ignore case, but capitals help to tell a name from a word. The table of token types, of which one text uses a
    single row, has one trained row per shape here. All code for a BERT works unchanged, with shapes in place of types.
    """

    def learn(self, shapes: int) -> None:
        """Train a row for each shape, starting from the first type's. The rows are the end of `master`."""
        size = len(self.master)
        self.master = torch.cat([self.master, self.types[:1].repeat(shapes, 1).reshape(-1)])
        self.grads = torch.zeros(len(self.master), dtype=self.dtype)
        self.weights = self.master if self.dtype == torch.float32 else self.master.to(self.dtype)
        self._w, self._g, self._m = ([self._views(flat, s) for s in self._shapes] for flat in (self.weights, self.grads, self.master))
        self.slices = [*self.slices, BufferSlice(size, len(self.master), 0, False)]
        self.types = self.master[size:].view(shapes, self.hidden)
        self.learns_embeddings = True

    def _embed_backward(self, dx: Tensor, batch: PackedBatch) -> None:
        size = len(self.word)
        tokens, shapes = batch.token_ids % size, batch.token_ids // size
        total = self.word[tokens] + self.position[batch.positions] + self.types[shapes]
        weight, bias = self.emb_ln
        _, mean, rstd = torch.native_layer_norm(total, (self.hidden,), weight, bias, self.eps)
        dtotal, _, _ = torch.ops.aten.native_layer_norm_backward(
            dx.float(), total, [self.hidden], mean, rstd, weight, bias, [True, False, False]
        )
        gradient = torch.zeros_like(self.types).index_add_(0, shapes, dtotal)
        self.grads[-gradient.numel() :].copy_(gradient.reshape(-1))


def positions(folder: Path) -> int:
    """The most tokens that the encoder in a folder can read at once. Some tables begin with unused rows: two are left free."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    most = int(config.get("max_position_embeddings", 512))
    return most if FastBert.covers(config) else max(16, most - 2)
