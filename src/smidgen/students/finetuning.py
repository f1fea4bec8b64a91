"""Fast fine-tuning of small BERT encoders on ordinary CPUs.

Why this file exists: on a 2-core CPU a fine-tuning step of a 6-layer MiniLM is
bound by ten large matrix products per layer, yet a stock training loop spends
most of its time elsewhere: padding, autocast copies, autograd bookkeeping, per
tensor optimiser calls, and OpenMP threads that the scheduler put on one core.
Here

* a batch is a list of *blocks*, rows of about one length, laid end to end in one
  ``[tokens, hidden]`` matrix, so linear layers never see much padding and the
  batch is still a random sample of rows (no length-sorted training order);
* forward and backward are written by hand, in the compute type (bf16 where
  the CPU has it), and gradients land directly in one flat buffer;
* one flat f32 master copy is updated by fused AdamW, a slice per layer;
* token embeddings are frozen (two thirds of the weights of MiniLM);
* the worker threads are pinned, one per core (see :func:`pin_threads`).

Everything random is a function of ``(seed, epoch)``: a run resumed from an
epoch's :meth:`Trainer.state_dict` is bit-identical to one never stopped.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Rows = Sequence[Sequence[int]] | dict[int, Sequence[int]]  # token ids by row number
LossFn = Callable[[Tensor, Tensor], Tensor]

_NEGATIVE = -1e4  # added to the scores of padding keys; finite, so no NaN in bf16
_BLOCK_COST = 12  # a further block costs about as much time as this many tokens
_TOKEN_ROUND = 64  # tokens of a batch are filled up to a multiple (see pack)
_MASK_BANK = 1 << 23  # elements of pre-drawn dropout mask (see DropoutBank)


# --------------------------------------------------------------------- machine


def best_dtype() -> torch.dtype:
    """bf16 where the CPU multiplies bf16 natively (4 times as fast), else f32."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return torch.float32
    return torch.bfloat16 if "avx512_bf16" in flags or "amx_bf16" in flags else torch.float32


def pin_threads(threads: int) -> bool:
    """Bind each OpenMP worker to a core of its own; says whether it could.

    A product of a millisecond ends in a barrier where workers spin. When the
    scheduler leaves two of them on one core, one spins through the time slice
    that the other needs: measured, products ran at half speed and small kernels
    took 8 or 16 ms (whole time slices) instead of 0.1 ms. Linux only.
    """
    torch.set_num_threads(threads)
    if not hasattr(os, "sched_setaffinity"):
        return False
    cores = sorted(os.sched_getaffinity(0))
    if threads < 2 or threads > len(cores):
        return False
    before = set(os.listdir("/proc/self/task"))
    torch.ones(1 << 20).add_(1)  # makes the workers exist
    workers = sorted(set(os.listdir("/proc/self/task")) - before, key=int)
    if len(workers) != threads - 1:  # a pool that was there before we came
        return False
    for tid, core in zip(workers, cores[1:], strict=False):
        os.sched_setaffinity(int(tid), {core})
    os.sched_setaffinity(0, {cores[0]})
    return True


# ------------------------------------------------------------------------ data


@dataclass(frozen=True)
class Block:
    """Rows of about one length, padded to ``length``: tokens start..start+rows*length."""

    start: int
    rows: int
    length: int
    row_start: int
    mask: Tensor | None  # [rows, length] f32, 1 = real token; None: no padding


@dataclass(frozen=True)
class PackedBatch:
    """One batch: all blocks' tokens end to end, and which data rows they are."""

    token_ids: Tensor  # [tokens] int64
    positions: Tensor  # [tokens] int64
    blocks: list[Block]
    rows: np.ndarray  # data row of each row, in block order


def split_lengths(lengths: Sequence[int], block_cost: int = _BLOCK_COST) -> list[tuple[int, int]]:
    """Cut ascending ``lengths`` into runs so that padding plus block overhead is least.

    Dynamic programme over the distinct lengths, so quick for any batch size.
    """
    values, counts = np.unique(np.asarray(lengths), return_counts=True)
    ends = np.concatenate([[0], np.cumsum(counts)])
    total = len(values)
    best = [0.0] + [math.inf] * total
    cut = [0] * (total + 1)
    for j in range(1, total + 1):
        for i in range(j):
            cost = best[i] + int(values[j - 1]) * int(ends[j] - ends[i]) + block_cost
            if cost < best[j]:
                best[j], cut[j] = cost, i
    runs: list[tuple[int, int]] = []
    j = total
    while j:
        runs.append((int(ends[cut[j]]), int(ends[j])))
        j = cut[j]
    return runs[::-1]


def pack(ids: Rows, rows: np.ndarray, pad_id: int = 0) -> PackedBatch:
    """Lay the given rows out as blocks, shortest first.

    Unused tokens fill the batch up to a multiple of ``_TOKEN_ROUND``: oneDNN
    compiles a kernel for each new matrix shape, and with a new token count in every
    batch that took a quarter of the training time.
    """
    order = rows[np.argsort([len(ids[r]) for r in rows], kind="stable")]
    lengths = [len(ids[r]) for r in order]
    tokens: list[np.ndarray] = []
    positions: list[np.ndarray] = []
    blocks: list[Block] = []
    start = 0
    for lo, hi in split_lengths(lengths):
        length, count = lengths[hi - 1], hi - lo
        grid = np.full((count, length), pad_id, dtype=np.int64)
        mask = np.zeros((count, length), dtype=np.float32)
        for i, r in enumerate(order[lo:hi]):
            grid[i, : len(ids[r])] = ids[r]
            mask[i, : len(ids[r])] = 1.0
        padded = lengths[lo] != length
        blocks.append(Block(start, count, length, lo, torch.from_numpy(mask) if padded else None))
        tokens.append(grid.reshape(-1))
        positions.append(np.tile(np.arange(length), count))
        start += count * length
    filler = np.full(-start % _TOKEN_ROUND, pad_id, dtype=np.int64)
    tokens.append(filler)
    positions.append(np.zeros_like(filler))
    return PackedBatch(
        torch.from_numpy(np.concatenate(tokens)),
        torch.from_numpy(np.concatenate(positions)),
        blocks,
        order,
    )


def plan_epoch(
    lengths: np.ndarray,
    seed: int,
    epoch: int,
    batch_rows: int,
    batch_tokens: int,
    bucket: int = 1,
) -> list[np.ndarray]:
    """The rows of each batch of an epoch: a fresh shuffle, cut by rows and tokens.

    With ``bucket`` > 1 every run of that many batches is sorted by length before
    the cut, then all batches are shuffled: fewer blocks a batch and less padding,
    while a batch still mixes rows of the whole data set. A last batch of under half
    the rows is dealt out to other batches instead of being a noisy step of its own.
    """
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(lengths))
    span = batch_rows * max(1, bucket)
    batches: list[list[int]] = []
    for at in range(0, len(order), span):
        chunk = order[at : at + span]
        if bucket > 1:
            chunk = chunk[np.argsort(lengths[chunk], kind="stable")]
        batches += _cut(chunk, lengths, batch_rows, batch_tokens)
    short = [b for b in batches if len(b) < batch_rows // 2 and _tokens(b, lengths) < batch_tokens // 2]
    if short and len(batches) > len(short):
        batches = [b for b in batches if not any(b is s for s in short)]
        for i, r in enumerate(r for b in short for r in b):
            batches[-1 - i % len(batches)].append(r)
    return [np.asarray(batches[i]) for i in rng.permutation(len(batches))]


def _tokens(rows: list[int], lengths: np.ndarray) -> int:
    return int(lengths[rows].sum())


def _cut(rows: np.ndarray, lengths: np.ndarray, batch_rows: int, batch_tokens: int) -> list[list[int]]:
    batches: list[list[int]] = [[]]
    tokens = 0
    for r in rows:
        full = len(batches[-1]) >= batch_rows or tokens + lengths[r] > batch_tokens
        if batches[-1] and full:
            batches.append([])
            tokens = 0
        batches[-1].append(int(r))
        tokens += int(lengths[r])
    return batches


def drop_tokens(ids: Sequence[int], p: float, rng: np.random.Generator) -> Sequence[int]:
    """``ids`` without a random share ``p`` of its inner tokens (the ends are special).

    Cheap augmentation: the label must not hang on any one word, and the batch gets
    shorter rather than dearer. At least one inner token stays.
    """
    inner = len(ids) - 2
    if inner < 2:
        return ids
    keep = rng.random(inner) >= p
    if not keep.any():
        return ids
    return [ids[0], *(t for t, k in zip(ids[1:-1], keep, strict=True) if k), ids[-1]]


class DropoutBank:
    """Dropout masks cut at random offsets from one pre-drawn bank.

    Drawing Bernoulli numbers costs 4 ns an element here, more than a layer norm;
    the bank makes dropout one multiply that is fused into the residual addition.
    """

    def __init__(self, p: float, seed: int, dtype: torch.dtype) -> None:
        generator = torch.Generator().manual_seed(seed)
        keep = torch.rand(_MASK_BANK, generator=generator) >= p
        self.bank = keep.to(torch.float32).div_(1 - p).to(dtype)
        self.rng = np.random.default_rng(seed)

    def reseed(self, seed: int, epoch: int) -> None:
        """Start an epoch's offsets afresh, so that they do not depend on the past."""
        self.rng = np.random.default_rng([seed, epoch, 1])

    def draw(self, rows: int, columns: int) -> Tensor:
        size = rows * columns
        if size > _MASK_BANK:
            times = -(-size // _MASK_BANK)
            return self.bank.repeat(times)[:size].view(rows, columns)
        offset = int(self.rng.integers(0, _MASK_BANK - size + 1))
        return self.bank[offset : offset + size].view(rows, columns)


# ----------------------------------------------------------------------- model

# Order inside a layer's slice of the flat buffer: matrices first (weight decay),
# then vectors (none), so that each layer is two contiguous slices.
_MATRICES = ("qkv.w", "out.w", "up.w", "down.w")
_VECTORS = ("qkv.b", "out.b", "ln1.w", "ln1.b", "up.b", "down.b", "ln2.w", "ln2.b")


@dataclass(frozen=True)
class Slice:
    """A stretch of the flat buffer that shares learning rate and decay."""

    start: int
    end: int
    depth: int  # 0 = lowest encoder layer
    decays: bool


class FastBert:
    """A post-norm BERT encoder with hand-written forward and backward.

    The weights of all layers are views into three flat buffers of one layout:
    ``master`` (f32, what the optimiser updates), ``weights`` (the compute type,
    what the products read) and ``grads`` (the compute type, what
    :meth:`backward` fills). With f32 compute ``weights`` *is* ``master``.
    Embeddings stay frozen in f32. Query, key and value are one product.

    It covers ``model_type: bert`` with absolute positions and exact gelu
    (MiniLM, BERT, BGE, E5, GTE-small ...). :meth:`forward` gives the pooled
    features; while training, it keeps what :meth:`backward` needs, once.
    """

    def __init__(self, config: dict[str, Any], tensors: dict[str, Tensor], dtype: torch.dtype):
        if config.get("model_type") != "bert" or config.get("hidden_act") != "gelu":
            raise ValueError("FastBert needs model_type bert with hidden_act gelu")
        if config.get("position_embedding_type", "absolute") != "absolute":
            raise ValueError("FastBert needs absolute position embeddings")
        self.config = config
        self.dtype = dtype
        self.hidden: int = config["hidden_size"]
        self.heads: int = config["num_attention_heads"]
        self.layers: int = config["num_hidden_layers"]
        self.eps: float = config["layer_norm_eps"]
        self.pooling = "mean"
        self.frozen_layers = 0  # so many of the lowest layers get no gradient
        self._prefix = "bert." if "bert.embeddings.LayerNorm.weight" in tensors else ""
        self._load_embeddings(tensors)
        self._load_layers(tensors)
        trained = self.tensors()
        self._untrained = {k: t for k, t in tensors.items() if k not in trained}
        self._saved: list[dict[str, Any]] | None = None
        self._batch: PackedBatch | None = None

    # -- loading and saving

    @classmethod
    def load(cls, folder: str | Path, dtype: torch.dtype | None = None) -> FastBert:
        """Read ``config.json`` and ``model.safetensors`` of a Hugging Face folder."""
        from safetensors.torch import load_file

        config = json.loads((Path(folder) / "config.json").read_text())
        tensors = load_file(str(Path(folder) / "model.safetensors"))
        return cls(config, tensors, dtype or best_dtype())

    def _load_embeddings(self, tensors: dict[str, Tensor]) -> None:
        pre = self._prefix + "embeddings."
        self.word = tensors[pre + "word_embeddings.weight"].float()
        self.position = tensors[pre + "position_embeddings.weight"].float() + tensors[pre + "token_type_embeddings.weight"][0].float()
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
        self.slices: list[Slice] = []
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
                self.slices.append(Slice(start, at, i, decays))
        self.master = torch.cat(parts)
        self.weights = self.master if self.dtype == torch.float32 else self.master.to(self.dtype)
        self.grads = torch.zeros(at, dtype=self.dtype)
        self._w = [self._views(self.weights, s) for s in shapes]
        self._g = [self._views(self.grads, s) for s in shapes]
        self._m = [self._views(self.master, s) for s in shapes]

    @staticmethod
    def _views(flat: Tensor, shapes: list[tuple[str, torch.Size, int]]) -> dict[str, Tensor]:
        return {n: flat[at : at + s.numel()].view(s) for n, s, at in shapes}

    def sync(self) -> None:
        """Round the updated master weights into the ones the products read."""
        if self.weights is not self.master:
            self.weights.copy_(self.master)

    def tensors(self) -> dict[str, Tensor]:
        """The encoder's layer weights under their Hugging Face names, f32 copies."""
        out: dict[str, Tensor] = {}
        for i, m in enumerate(self._m):
            pre = f"{self._prefix}encoder.layer.{i}."
            for kind, suffix in (("w", "weight"), ("b", "bias")):
                thirds = m[f"qkv.{kind}"].chunk(3)
                for n, t in zip(("query", "key", "value"), thirds, strict=True):
                    out[f"{pre}attention.self.{n}.{suffix}"] = t.clone()
                for ours, theirs in _HF_NAMES.items():
                    out[f"{pre}{theirs}.{suffix}"] = m[f"{ours}.{kind}"].clone()
        return out

    def save(self, folder: str | Path) -> None:
        """Write ``config.json`` and ``model.safetensors`` as they were read, retrained."""
        from safetensors.torch import save_file

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(self.config, indent=2))
        merged = {k: t.contiguous() for k, t in (self._untrained | self.tensors()).items()}
        save_file(merged, str(folder / "model.safetensors"), metadata={"format": "pt"})

    # -- forward

    def embed(self, batch: PackedBatch) -> Tensor:
        x = self.word[batch.token_ids] + self.position[batch.positions]
        return F.layer_norm(x, (self.hidden,), *self.emb_ln, self.eps).to(self.dtype)

    @torch.no_grad()
    def forward(self, batch: PackedBatch, train: bool = False, dropout: DropoutBank | None = None) -> Tensor:
        """Pooled features ``[rows, hidden]`` in f32, rows in the batch's order."""
        x = self.embed(batch)
        if dropout is not None:
            x = x * dropout.draw(*x.shape)
        biases = [_key_bias(b, self.dtype) for b in batch.blocks]
        saved: list[dict[str, Any]] = []
        for w in self._w:
            x, kept = self._layer(w, x, batch.blocks, biases, train, dropout)
            saved.append(kept)
        self._saved, self._batch = (saved, batch) if train else (None, None)
        return self._pool(x, batch)

    def _layer(
        self,
        w: dict[str, Tensor],
        x: Tensor,
        blocks: list[Block],
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

    def _attend(self, qkv: Tensor, context: Tensor, b: Block, bias: Tensor | None) -> tuple[Tensor, Tensor]:
        """Plain softmax attention of one block, written into its part of ``context``.

        For rows this short two batched products beat torch's CPU flash kernel,
        whose backward took 16 ms where this takes 1.
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
        """Fill ``grads`` from the gradient of the last training forward's features."""
        if self._saved is None or self._batch is None:
            raise RuntimeError("backward needs a forward(train=True) before it")
        batch, saved = self._batch, self._saved
        self._saved, self._batch = None, None
        dy: Tensor | None = self._pool_backward(dpooled, batch)
        for i in reversed(range(self.frozen_layers, self.layers)):
            assert dy is not None
            lowest = i == self.frozen_layers
            dy = self._layer_backward(self._w[i], self._g[i], saved[i], dy, batch.blocks, lowest)
            saved[i] = {}  # frees the layer's activations at once

    def _pool_backward(self, dpooled: Tensor, batch: PackedBatch) -> Tensor:
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
        blocks: list[Block],
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
        # frozen embeddings: nothing below the lowest layer wants a gradient
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
        return dh

    def _attend_backward(self, dcontext: Tensor, dqkv: Tensor, b: Block, split: Tensor, probs: Tensor) -> None:
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


_HF_NAMES = {
    "out": "attention.output.dense",
    "ln1": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "ln2": "output.LayerNorm",
}


def _used(blocks: list[Block]) -> int:
    """Tokens that belong to a block; after them comes filler (see :func:`pack`)."""
    last = blocks[-1]
    return last.start + last.rows * last.length


def _key_bias(b: Block, dtype: torch.dtype) -> Tensor | None:
    return None if b.mask is None else ((1 - b.mask) * _NEGATIVE).to(dtype)[:, None, None, :]


def _add_dropped(x: Tensor, update: Tensor, dropout: DropoutBank | None) -> tuple[Tensor, Tensor | None]:
    """``x + dropout(update)`` in one kernel, and the mask used."""
    if dropout is None:
        return x + update, None
    mask = dropout.draw(*x.shape)
    return torch.addcmul(x, update, mask), mask


def _linear_grads(g: dict[str, Tensor], name: str, dy: Tensor, x: Tensor) -> None:
    """Weight and bias gradient of ``y = x w^T + b``, straight into the flat buffer."""
    torch.mm(dy.t(), x, out=g[name + ".w"])
    torch.sum(dy, 0, out=g[name + ".b"])


# -------------------------------------------------------------------- training


@dataclass
class TrainConfig:
    """What a run does; the defaults are the measured recipe."""

    epochs: int = 5
    batch_rows: int = 64
    batch_tokens: int = 8192
    lr: float = 3e-4
    head_lr: float = 1e-3
    warmup: float = 0.1
    schedule: str = "linear"
    layer_decay: float = 1.0
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 1.0
    dropout: float = 0.1
    head_dropout: float = 0.1
    head_scale: float = 16.0
    label_smoothing: float = 0.1
    supcon: float = 0.0
    supcon_temp: float = 0.1
    memory: int = 0  # recent rows that the contrastive term also compares with
    token_drop: float = 0.0
    frozen_layers: int = 0
    bucket: int = 4
    ema: float = 0.0  # decay per step of the averaged weights; 0: none
    rdrop: float = 0.0
    max_length: int = 256
    seed: int = 0
    threads: int = 2


def default_config(rows: int, **overrides: Any) -> TrainConfig:
    """The recipe scaled to a data set by one rule.

    An epoch count that gives about 700 steps, between 5 and 20 epochs, at 64 rows
    a batch; under 4,000 rows 32, under 1,000 rows 16, so that small sets get steps
    enough. From 20,000 rows on 3 epochs do. Class count needs no rule: the head
    starts from class means, so 3 and 300 classes begin equally well.
    """
    batch = 64 if rows >= 4000 else 32 if rows >= 1000 else 16
    epochs = 3 if rows >= 20000 else min(20, max(5, round(700 * batch / max(1, rows))))
    return TrainConfig(**({"batch_rows": batch, "epochs": epochs} | overrides))


@dataclass
class Progress:
    """What the per-step callback gets."""

    step: int
    total_steps: int
    epoch: int
    loss: float
    seconds: float


class Head:
    """Scaled cosine-like classifier: ``scale * unit(features) @ w^T + b``, f32.

    Unit features make the start from class means a nearest-mean classifier,
    which all-MiniLM already does well, so no step is lost on a random head.
    """

    def __init__(self, hidden: int, classes: int, scale: float) -> None:
        self.flat = torch.zeros(classes * (hidden + 1))
        self.w = self.flat[: classes * hidden].view(classes, hidden)
        self.b = self.flat[classes * hidden :]
        self.scale = scale

    def logits(self, features: Tensor, flat: Tensor | None = None) -> Tensor:
        flat = self.flat if flat is None else flat
        n = self.w.numel()
        return F.linear(F.normalize(features, dim=1) * self.scale, flat[:n].view_as(self.w), flat[n:])

    def set_means(self, features: Tensor, targets: Tensor) -> None:
        """Rows become the classes' centred mean directions (classes unseen: 0).

        ``targets``: class numbers, or ``[rows, classes]`` weights (soft, multi-label).
        """
        unit = F.normalize(features, dim=1)
        centre = unit.mean(0)
        weight = F.one_hot(targets, len(self.w)) if targets.ndim == 1 else targets
        weight = weight.float()
        total = weight.sum(0)[:, None]
        self.w.copy_((weight.t() @ unit - total * centre) / total.clamp(min=1e-6))


class Trainer:
    """Fine-tunes a :class:`FastBert` and a :class:`Head` on labelled token ids."""

    def __init__(
        self,
        model: FastBert,
        ids: Sequence[Sequence[int]],
        targets: Tensor,
        classes: int,
        config: TrainConfig,
        loss_fn: LossFn | None = None,
        class_weights: Tensor | None = None,
    ) -> None:
        self.model, self.ids, self.targets, self.cfg = model, ids, targets, config
        self.lengths = np.array([len(i) for i in ids])
        self.head = Head(model.hidden, classes, config.head_scale)
        self.loss_fn = loss_fn or (lambda z, y: F.cross_entropy(z, y, weight=class_weights, label_smoothing=config.label_smoothing))
        self.plans = [
            plan_epoch(
                self.lengths,
                config.seed,
                e,
                config.batch_rows,
                config.batch_tokens,
                config.bucket,
            )
            for e in range(config.epochs)
        ]
        model.frozen_layers = config.frozen_layers
        self.rng = np.random.default_rng(config.seed)
        self.generator = torch.Generator()
        self.total_steps = sum(len(p) for p in self.plans)
        self.epoch = self.step = 0
        size = model.master.numel()
        self._grad32 = torch.zeros(size)
        self._moments = [torch.zeros(size), torch.zeros(size)]
        self._head_moments = [torch.zeros_like(self.head.flat) for _ in range(2)]
        self._steps = torch.zeros(())
        self._ema: list[Tensor] | None = None
        self.bank = DropoutBank(config.dropout, config.seed, model.dtype) if config.dropout else None
        self.losses: list[float] = []
        self._memory: tuple[Tensor, Tensor] | None = None

    def init_head(self, rows_per_class: int = 16) -> None:
        """Start the head from class means of a few rows each.

        A second of work that saves most of an epoch: the untrained all-MiniLM then
        already classifies BANKING77 at 75 %.
        """
        order = np.random.default_rng([self.cfg.seed, 2]).permutation(len(self.ids))
        if self.targets.ndim == 1:
            seen = np.zeros(len(self.head.w), dtype=np.int64)
            picked = []
            for r in order:
                c = int(self.targets[r])
                if seen[c] < rows_per_class:
                    seen[c] += 1
                    picked.append(int(r))
            rows = np.asarray(picked)
        else:
            rows = order[: rows_per_class * len(self.head.w)]
        features = encode(self.model, self.ids, rows)
        self.head.set_means(features, self.targets[torch.from_numpy(rows)])

    def _lr_factor(self) -> float:
        warm = max(1, round(self.cfg.warmup * self.total_steps))
        if self.step < warm:
            return (self.step + 1) / warm
        left = (self.total_steps - self.step) / max(1, self.total_steps - warm)
        return 0.5 * (1 - math.cos(math.pi * left)) if self.cfg.schedule == "cosine" else left

    def _loss(self, features: Tensor, flat: Tensor, targets: Tensor) -> Tensor:
        cfg = self.cfg
        dropped = features
        if cfg.head_dropout:
            keep = torch.rand(features.shape, generator=self.generator) >= cfg.head_dropout
            dropped = features * keep / (1 - cfg.head_dropout)
        logits = self.head.logits(dropped, flat)
        loss = self.loss_fn(logits, targets)
        if cfg.supcon:
            memory = self._memory
            loss = loss + cfg.supcon * supcon_loss(features, targets, cfg.supcon_temp, memory)
            if cfg.memory:
                new = (F.normalize(features.detach(), dim=1), targets)
                if memory is not None:
                    new = (torch.cat([new[0], memory[0]]), torch.cat([new[1], memory[1]]))
                self._memory = (new[0][: cfg.memory], new[1][: cfg.memory])
        return loss

    def train_step(self, rows: np.ndarray) -> float:
        """One optimiser step on the given data rows; gives the loss."""
        model, cfg = self.model, self.cfg
        ids: Rows = self.ids
        if cfg.token_drop:
            ids = {int(r): drop_tokens(ids[r], cfg.token_drop, self.rng) for r in rows}
        batch = pack(ids, rows)
        features = model.forward(batch, train=True, dropout=self.bank).requires_grad_()
        flat = self.head.flat.detach().requires_grad_()
        loss = self._loss(features, flat, self.targets[torch.from_numpy(batch.rows)])
        dfeatures, dhead = torch.autograd.grad(loss, (features, flat))
        model.backward(dfeatures)
        self._update(dhead)
        return float(loss.detach())

    @torch.no_grad()
    def _update(self, dhead: Tensor) -> None:
        model, cfg = self.model, self.cfg
        self._grad32.copy_(model.grads)
        if cfg.clip:
            norm = float(self._grad32.norm())
            if norm > cfg.clip:
                self._grad32.mul_(cfg.clip / norm)
        factor = self._lr_factor()
        for s in model.slices:
            if s.depth < model.frozen_layers:
                continue
            lr = cfg.lr * factor * cfg.layer_decay ** (model.layers - 1 - s.depth)
            decay = cfg.weight_decay if s.decays else 0.0
            tensors = (model.master, self._grad32, *self._moments)
            self._adamw([t[s.start : s.end] for t in tensors], lr, decay)
        self._adamw([self.head.flat, dhead, *self._head_moments], cfg.head_lr * factor, 0.0)
        self._steps += 1
        model.sync()
        self.step += 1
        if cfg.ema:
            now = [model.master, self.head.flat]
            if self._ema is None:
                self._ema = [t.clone() for t in now]
            else:
                decay = min(cfg.ema, self.step / (self.step + 10))
                for a, t in zip(self._ema, now, strict=True):
                    a.lerp_(t, 1 - decay)

    def _adamw(self, tensors: list[Tensor], lr: float, decay: float) -> None:
        p, g, m, v = tensors
        torch._fused_adamw_(
            [p], [g], [m], [v], [], [self._steps + 1], lr=lr, beta1=self.cfg.betas[0],
            beta2=self.cfg.betas[1], weight_decay=decay, eps=1e-8, amsgrad=False, maximize=False,
        )  # fmt: skip

    def run(
        self,
        on_step: Callable[[Progress], None] | None = None,
        on_epoch: Callable[[Trainer], None] | None = None,
    ) -> None:
        """Train from the current epoch to the last."""
        began = time.perf_counter()
        while self.epoch < self.cfg.epochs:
            self.rng = np.random.default_rng([self.cfg.seed, self.epoch, 3])
            self._memory = None  # so that an epoch does not depend on the one before
            self.generator.manual_seed(int(self.rng.integers(1 << 62)))
            if self.bank is not None:
                self.bank.reseed(self.cfg.seed, self.epoch)
            for rows in self.plans[self.epoch]:
                loss = self.train_step(rows)
                self.losses.append(loss)
                if on_step is not None:
                    took = time.perf_counter() - began
                    on_step(Progress(self.step, self.total_steps, self.epoch, loss, took))
            self.epoch += 1
            if on_epoch is not None:
                on_epoch(self)

    def use_average(self) -> None:
        """Put the averaged weights in place of the last ones (does nothing without EMA)."""
        if self._ema is not None:
            self.model.master.copy_(self._ema[0])
            self.head.flat.copy_(self._ema[1])
            self.model.sync()

    def state_dict(self) -> dict[str, Any]:
        """All that a run resumed at this epoch boundary needs."""
        state = {
            "epoch": self.epoch, "step": self.step, "master": self.model.master,
            "head": self.head.flat, "m": self._moments[0], "v": self._moments[1],
            "head_m": self._head_moments[0], "head_v": self._head_moments[1],
            "steps": self._steps,
        }  # fmt: skip
        if self._ema is not None:
            state["ema_master"], state["ema_head"] = self._ema
        return {k: t.clone() if isinstance(t, Tensor) else t for k, t in state.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.epoch, self.step = int(state["epoch"]), int(state["step"])
        self.model.master.copy_(state["master"])
        self.model.sync()
        self.head.flat.copy_(state["head"])
        for mine, name in zip(self._moments, ("m", "v"), strict=True):
            mine.copy_(state[name])
        for mine, name in zip(self._head_moments, ("head_m", "head_v"), strict=True):
            mine.copy_(state[name])
        self._steps = state["steps"].clone()
        self._ema = None
        if "ema_master" in state:
            self._ema = [state["ema_master"].clone(), state["ema_head"].clone()]


def supcon_loss(
    features: Tensor,
    targets: Tensor,
    temperature: float,
    memory: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Supervised contrastive loss (Khosla et al. 2020) within the batch.

    ``memory`` adds unit features and targets of recent batches as further rows to
    compare with: with many classes a batch alone holds hardly a pair of each.
    """
    z = F.normalize(features, dim=1)
    keys, key_targets = z, targets
    if memory is not None:
        keys, key_targets = torch.cat([z, memory[0]]), torch.cat([targets, memory[1]])
    own = torch.zeros(len(z), len(keys), dtype=torch.bool)
    own.fill_diagonal_(True)
    same = (targets[:, None] == key_targets[None, :]) & ~own
    scores = (z @ keys.t() / temperature).masked_fill(own, _NEGATIVE)
    logp = scores - scores.logsumexp(1, keepdim=True)
    count = same.sum(1)
    has = count > 0
    if not bool(has.any()):
        return features.sum() * 0
    return -((logp * same).sum(1)[has] / count[has]).mean()


# ------------------------------------------------------------------- inference


def encode(model: FastBert, ids: Sequence[Sequence[int]], rows: np.ndarray, batch_tokens: int = 4096) -> Tensor:
    """Features of the given rows, in their order; batches are length-sorted."""
    out = torch.empty(len(rows), model.hidden)
    where = {int(r): i for i, r in enumerate(rows)}
    for chunk in _chunks(ids, rows, batch_tokens):
        batch = pack(ids, chunk)
        out[[where[int(r)] for r in batch.rows]] = model.forward(batch)
    return out


def _chunks(ids: Sequence[Sequence[int]], rows: np.ndarray, batch_tokens: int) -> Iterator[np.ndarray]:
    chunk: list[int] = []
    tokens = 0
    for r in sorted((int(r) for r in rows), key=lambda r: len(ids[r])):
        if chunk and tokens + len(ids[r]) > batch_tokens:
            yield np.asarray(chunk)
            chunk, tokens = [], 0
        chunk.append(r)
        tokens += len(ids[r])
    if chunk:
        yield np.asarray(chunk)


def predict(trainer: Trainer, ids: Sequence[Sequence[int]]) -> Tensor:
    """Logits for new token ids."""
    with torch.no_grad():
        return trainer.head.logits(encode(trainer.model, ids, np.arange(len(ids))))


def tokenize(tokenizer_file: str | Path, texts: Sequence[str], max_length: int) -> list[list[int]]:
    """Token ids with the model's own tokenizer, cut to ``max_length``, unpadded."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length)
    return [e.ids for e in tokenizer.encode_batch(list(texts))]
