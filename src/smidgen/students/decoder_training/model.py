"""A Llama-like decoder for training on a CPU: forward and backward by hand, in the processor's fastest precision.

It saves work that a plain training loop does. The weights of norms are folded into the matrices behind them, so a norm is one scaling.
Queries, keys and values are one matrix, and so are gate and up. The tokens that every row begins with (a system prompt) are computed once
per block, not once per row. Only adapters get gradients: they are merged into the weights once per step, so that forward and backward use
plain matrices, and their gradients are products with a thin side. The output layer, a fifth of the model, is computed only at answer
tokens.

The mathematics follows transformers' LlamaForCausalLM (RMSNorm, rotary positions on halves, grouped queries, SwiGLU), and Qwen2, Qwen3
and Gemma 3, whose differences `DecoderShape` names; tests compare each with transformers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from smidgen.gguf.architectures import DecoderShape


@dataclass
class DecoderLayer:
    """The matrices of one layer, (outputs, inputs), and its other weights."""

    qkv: Tensor
    out: Tensor
    gate_up: Tensor
    down: Tensor
    beside: UntaughtParts


@dataclass(frozen=True)
class UntaughtParts:
    """The weights of a layer that are not trained: all but its matrices. None for those that it lacks.

    Attributes:
        bias: of queries, keys and values.
        head_norms: (heads and key heads, head) weights of the norm of each query's and key's head.
        after: (width,) weights of the norms of the attention's and the feed-forward's outputs, before they are added.
    """

    bias: Tensor | None = None
    head_norms: Tensor | None = None
    after: tuple[Tensor, Tensor] | None = None

    def to(self, dtype: torch.dtype) -> UntaughtParts:
        """A copy in another precision."""
        bias, head_norms = (None if one is None else one.to(dtype) for one in (self.bias, self.head_norms))
        return UntaughtParts(bias, head_norms, None if self.after is None else (self.after[0].to(dtype), self.after[1].to(dtype)))


@dataclass
class RowBlock:
    """Rows that are computed together.

    A row is an input and an answer; or an input and several answers to it, one after the other, which do not attend to one another, so that
    the input is computed once for all.

    Attributes:
        ids: (rows, length) token ids after the shared ones, padded on the right.
        answers: positions of the tokens that predict an answer's token, in the rows laid end to end.
        targets: the tokens after them.
        weights: the weight of each in the loss.
        parts: (rows, length) 0 for a token of the input, n for one of the n-th answer; None if every row has one answer.
        positions: (rows, length) of each token after the shared ones; every answer's begin after its input's. None if they are simply
            0, 1, 2, ...
        drawn: (answers,) True for a token that the student sampled itself; None if there is none.
    """

    ids: Tensor
    answers: Tensor
    targets: Tensor
    weights: Tensor
    parts: Tensor | None = None
    positions: Tensor | None = None
    drawn: Tensor | None = None


@dataclass
class BlockPositions:
    """The rotary angles and masks of a block's tokens, shared by all layers.

    Attributes:
        rows, length: the block's size.
        turns: cosines and sines of the rows' positions, (length, head / 2), or (rows, length, head / 2) if rows differ.
        mask: (rows or 1, length, keys) 0 if a token may attend to the key, else minus infinity.
        first_turns, first_mask: those of the tokens that all rows begin with.
    """

    rows: int
    length: int
    turns: tuple[Tensor, Tensor]
    mask: Tensor
    first_turns: tuple[Tensor, Tensor]
    first_mask: Tensor


@dataclass
class LayerActivations:
    """The activations of a layer that the backward pass needs. `raw`: queries and keys before their norm by head; `told`: outputs of
    attention and feed-forward before their norm; None without these norms."""

    x: Tensor
    x_scale: Tensor
    q: Tensor
    k: Tensor
    v: Tensor
    chances: Tensor
    own_chances: Tensor | None
    heads: Tensor
    mid: Tensor
    mid_scale: Tensor
    gate_up: Tensor
    act: Tensor
    raw: Tensor | None = None
    told: tuple[Tensor, Tensor] | None = None


class GuideModel(Protocol):
    """A model over the student's tokens."""

    output: Tensor

    def last(self, block: RowBlock) -> Tensor:
        """See `LlamaModel.last`."""
        ...


@dataclass(frozen=True)
class DecoderGuide:
    """Another decoder over the student's tokens, whose probabilities are learnt beside the answers.

    Attributes:
        model: the other decoder; it gets no gradients.
        share: the weight of its probabilities in the target of each answer token, 0..1; the rest is the answer's own token.
        temperature: both models' logits are divided by it before the comparison; see `model.divergence`.
        beta: 0 the forward divergence, 1 the reverse one, generalised Jensen-Shannon between; see `model.divergence`.
    """

    model: GuideModel
    share: float
    temperature: float = 1.0
    beta: float = 0.0

    def shares(self, block: RowBlock) -> Tensor:
        """(answers,) the guide's share at each token; 1 if the student sampled the answer itself, 0 if the token is not to come."""
        found = torch.full((len(block.targets),), self.share)
        found = found if block.drawn is None else torch.where(block.drawn, torch.ones(()), found)
        return found.masked_fill(block.weights < 0, 0)


@dataclass
class WorkerGradients:
    """One worker's sums of gradients, by place and layer, in the order of the parameters."""

    sums: dict[tuple[str, int], tuple[Tensor, ...]] = field(default_factory=dict)


_MOST_MASKS = 64


class RotaryPositions:
    """Rotary angles and attention masks of a decoder, computed at first use.

    Attributes:
        shape: the decoder's sizes.
        first: the number of tokens that all rows begin with.
        dtype: the precision of cosines, sines and masks.
    """

    def __init__(self, shape: DecoderShape, first: int, dtype: torch.dtype) -> None:
        self.shape, self.first, self.dtype = shape, first, dtype
        self._turns: dict[bool, tuple[Tensor, Tensor]] = {}
        self._masks: dict[tuple[int, int, bool], Tensor] = {}

    def turns(self, size: int, near: bool = False) -> tuple[Tensor, Tensor]:
        """(at least `size`, head / 2) cosines and sines of the positions' angles; `near`: of the layers with a sliding window."""
        known = self._turns.get(near)
        if known is None or len(known[0]) < max(1, size):
            size = max(256, 1 << max(0, size - 1).bit_length())
            angles = torch.arange(size, dtype=torch.float64)[:, None] / periods(self.shape, near)
            known = self._turns[near] = angles.cos().to(self.dtype), angles.sin().to(self.dtype)
        return known

    def ground(self, block: RowBlock, near: bool = False) -> BlockPositions:
        """Angles and masks of a block's tokens; `near`: in the layers with a sliding window."""
        first, (rows, length) = self.first, block.ids.shape
        before = self._part(self.turns(first, near), slice(0, first)), self._mask(first, 0, near)[None]
        if block.parts is None or block.positions is None:
            turns = self._part(self.turns(first + length, near), slice(first, first + length))
            return BlockPositions(rows, length, turns, self._mask(length, first, near)[None], *before)
        cos, sin = self.turns(first + int(block.positions.max()) + 1, near)
        own, seen = block.parts[:, :, None], block.parts[:, None, :]
        hidden = (seen != 0) & (seen != own)
        mask = torch.zeros(rows, length, first + length, dtype=self.dtype)
        mask[:, :, first:].masked_fill_(hidden, float("-inf"))
        mask += self._mask(length, first)
        if near:
            place = first + block.positions
            keys = torch.cat([torch.arange(first).expand(rows, -1), place], dim=1)
            mask.masked_fill_(place[:, :, None] - keys[:, None, :] >= self.shape.window, float("-inf"))
        return BlockPositions(rows, length, (cos[first + block.positions], sin[first + block.positions]), mask, *before)

    def _part(self, turns: tuple[Tensor, Tensor], part: slice) -> tuple[Tensor, Tensor]:
        return turns[0][part], turns[1][part]

    def _mask(self, length: int, first: int, near: bool = False) -> Tensor:
        """(length, first + length) 0 if a token may attend to another, else minus infinity: for tokens after itself, or too far before.
        Padding comes after every token that counts."""
        near = near and first + length > self.shape.window
        if (length, first, near) not in self._masks:
            if len(self._masks) > _MOST_MASKS:
                self._masks.clear()
            own = torch.full((length, length), float("-inf")).triu(1)
            mask = torch.cat([torch.zeros(length, first), own], dim=1)
            if near:
                mask += torch.full(mask.shape, float("-inf")).tril(first - self.shape.window)
            self._masks[(length, first, near)] = mask.to(self.dtype)
        return self._masks[(length, first, near)]


def periods(shape: DecoderShape, near: bool = False) -> Tensor:
    """(head / 2,) the divisor of each rotary pair's angle: powers of theta (Su et al. 2021), stretched if the model stretches them."""
    theta = shape.near_theta if near else shape.theta
    found = theta ** (torch.arange(0, shape.head, 2, dtype=torch.float64) / shape.head)
    return found if near or not shape.stretch else found * torch.tensor(shape.stretch, dtype=torch.float64)


def divergence(logits: Tensor, seen: Tensor, temperature: float, beta: float) -> tuple[Tensor, Tensor]:
    """The divergence of a student from its guide for each row (n,), nats, and its gradient by the student's logits (n, vocabulary), in f32.

    With p the guide's probabilities and q the student's, both of logits divided by a temperature T (Hinton et al. 2015):

    - beta 0, forward: the cross-entropy -sum p log q, which is KL(p|q) plus a constant.
    - beta 1, reverse: KL(q|p).
    - between: the generalised Jensen-Shannon divergence beta KL(p|m) + (1 - beta) KL(q|m) with m = beta p + (1 - beta) q (Agarwal et al.
      2024), unscaled: near its ends it is about beta (1 - beta) of the KL there.

    All are multiplied by T squared, so that gradients are as large at every temperature.

    Args:
        logits: (n, vocabulary) the student's.
        seen: (n, vocabulary) the guide's.
        temperature: above 0.
        beta: 0..1.
    """
    t = temperature
    wanted, own = (torch.log_softmax(x.float() / t, dim=-1) for x in (seen, logits))
    p, q = wanted.exp(), own.exp()
    if beta == 0:
        return -(p * own).sum(-1) * (t * t), (q - p) * t
    if beta == 1:
        ratio = own - wanted
        found = (q * ratio).sum(-1)
        return found * (t * t), q * (ratio - found[:, None]) * t
    mixed = torch.logaddexp(wanted + torch.tensor(beta).log(), own + torch.tensor(1 - beta).log())
    ratio = own - mixed
    back = (q * ratio).sum(-1)
    found = beta * (p * (wanted - mixed)).sum(-1) + (1 - beta) * back
    return found * (t * t), q * (ratio - back[:, None]) * ((1 - beta) * t)


QKV, OUT, GATE_UP, DOWN = "qkv", "out", "gate_up", "down"
PLACES = (QKV, OUT, GATE_UP, DOWN)
"""The matrices of a layer that adapters change."""
_LOSS_ROWS = 256
"""The most answer tokens whose logits are in memory at once: 25 MB for 49,152 tokens in 16 bits."""
_NEVER_SURE = 0.01
"""A token that is not to come counts as no likelier than all but this: else one of them would outweigh all others."""


class LlamaModel:
    """A decoder with its weights in the precision of its computation.

    Attributes:
        shape: its sizes.
        table: (vocabulary, width) token vectors, the input of the first layer.
        output: (vocabulary, width) the output matrix with the last norm folded in.
        layers: the matrices with their norms folded in; adapters are merged into these.
        before: ids of the tokens that all rows begin with.
        positions: rotary angles and masks.
    """

    def __init__(self, shape: DecoderShape, table: Tensor, output: Tensor, layers: list[DecoderLayer], before: Tensor) -> None:
        self.shape, self.table, self.output, self.layers, self.before = shape, table, output, layers, before
        self.dtype = table.dtype
        self.positions = RotaryPositions(shape, len(before), self.dtype)

    def loss(
        self,
        block: RowBlock,
        gradients: WorkerGradients | None,
        taught: TaughtWeights | None,
        rate: float,
        guide: DecoderGuide | None = None,
    ) -> tuple[float, float]:
        """The summed weighted cross-entropy of the block's answers (nats) and the sum of its weights.

        With `gradients`, the gradients of the trained weights, for the sum times `rate`, are added to it. With a `guide` the target mixes
        the answers with its probabilities. A token of a weight below zero is learnt not to come: its gradients are those of the
        unlikelihood -log(1 - p) (Welleck et al. 2020), and it is not in the sums.
        """
        x, grounds = self._begun(block)
        keep = gradients is not None
        kept: list[LayerActivations] = []
        for layer, ground in zip(self.layers, grounds, strict=True):
            x, saved = self._forward(x, layer, ground)
            if keep:
                kept.append(saved)
        seen = guide.model.last(block) if guide is not None else None
        shares = guide.shares(block) if guide is not None else None
        places = block.answers + len(self.before)
        last = x[places]
        scale = self.scale_of(last)
        last_unit = last * scale
        total, dlast = 0.0, torch.zeros_like(last) if keep else last
        for start in range(0, len(places), _LOSS_ROWS):
            part = slice(start, start + _LOSS_ROWS)
            logits = last_unit[part] @ self.output.T
            targets, weights = block.targets[part], block.weights[part]
            pull: tuple[Tensor, Tensor, Tensor] | None = None
            if guide is not None and seen is not None and shares is not None:
                pull = (*divergence(logits, seen[part] @ guide.model.output.T, guide.temperature, guide.beta), shares[part])
            if not keep:
                losses = torch.nn.functional.cross_entropy(logits.float(), targets, reduction="none")
                losses = losses if pull is None else torch.lerp(losses, pull[0], pull[2])
                total += float((losses * weights.clamp(min=0)).sum())
                continue
            chances = torch.softmax(logits, dim=-1)
            at = torch.arange(len(targets))
            own = chances[at, targets].float()
            losses = -own.clamp(min=1e-9).log()
            chances[at, targets] -= 1.0
            if pull is not None:
                losses = torch.lerp(losses, pull[0], pull[2])
                chances = torch.lerp(chances.float(), pull[1], pull[2][:, None]).to(self.dtype)
            total += float((losses * weights.clamp(min=0)).sum())
            # Of -log(1 - p) by the logits: that of -log(p), times -p / (1 - p).
            steps = torch.where(weights < 0, weights * own / (1 - own).clamp(min=_NEVER_SURE), weights)
            chances *= (steps * rate).to(chances.dtype)[:, None]
            dlast[part] = chances @ self.output
        if gradients is not None and taught is not None:
            dx = torch.zeros_like(x)
            # Several answers to one input are predicted from its last token: their gradients add up.
            dx.index_add_(0, places, self._norm_back(dlast, last, scale))
            for number in range(len(self.layers) - 1, -1, -1):
                dx = self._backward(dx, kept.pop(), number, grounds[number], gradients, taught)
        return total, float(block.weights.clamp(min=0).sum())

    def last(self, block: RowBlock) -> Tensor:
        """(answers, width) the input of the output layer for each answer token."""
        x, grounds = self._begun(block)
        for layer, ground in zip(self.layers, grounds, strict=True):
            x, _ = self._forward(x, layer, ground)
        x = x[block.answers + len(self.before)]
        return x * self.scale_of(x)

    def influences(self, block: RowBlock) -> Tensor:
        """(layers,) the influence of each layer on answer tokens: 1 - cosine of its input and output, summed over them (block influence,
        Men et al. 2024)."""
        x, grounds = self._begun(block)
        places, found = block.answers + len(self.before), []
        for layer, ground in zip(self.layers, grounds, strict=True):
            y, _ = self._forward(x, layer, ground)
            found.append((1 - torch.cosine_similarity(x[places].float(), y[places].float(), dim=-1)).sum())
            x = y
        return torch.stack(found)

    def activity(self, block: RowBlock) -> Tensor:
        """(layers, inner) the absolute activation of each feed-forward neuron on answer tokens, summed over them."""
        x, grounds = self._begun(block)
        places, found = block.answers + len(self.before), []
        for layer, ground in zip(self.layers, grounds, strict=True):
            x, kept = self._forward(x, layer, ground)
            found.append(kept.act[places].float().abs().sum(0))
        return torch.stack(found)

    def _begun(self, block: RowBlock) -> tuple[Tensor, list[BlockPositions]]:
        """The input of the first layer, and the angles and masks of each layer."""
        far = self.positions.ground(block)
        near = self.positions.ground(block, near=True) if any(self.shape.near) else far
        grounds = [near if self.shape.near and self.shape.near[number] else far for number in range(len(self.layers))]
        return torch.cat([self.table[self.before], self.table[block.ids].flatten(0, 1)]), grounds

    def heads_normed(self, qkv: Tensor, norms: Tensor) -> tuple[Tensor, Tensor]:
        """Queries, keys and values (n, qkv) with queries and keys normed by head, and those two before the norm: (n, heads and key heads,
        head)."""
        edge = norms.numel()
        raw = qkv[:, :edge].view(len(qkv), *norms.shape)
        return torch.cat([(raw * self.scale_of(raw) * norms).flatten(1), qkv[:, edge:]], dim=1), raw

    def active(self, gate: Tensor) -> Tensor:
        """The activation of the feed-forward layers."""
        return torch.nn.functional.gelu(gate, approximate="tanh") if self.shape.gemma else torch.nn.functional.silu(gate)

    def scale_of(self, x: Tensor) -> Tensor:
        """One over the root mean square of each token, (n, 1)."""
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
        scale: Tensor = (norm.square() / x.shape[-1] + self.shape.eps).rsqrt().to(self.dtype)
        return scale

    def _norm_back(self, dy: Tensor, x: Tensor, scale: Tensor) -> Tensor:
        """The gradient of x, where y = x * scale(x)."""
        along = (dy * x).sum(-1, keepdim=True, dtype=torch.float32) / x.shape[-1]
        s = scale.float()
        return torch.addcmul(dy * scale, x, (along * s * s * s).to(self.dtype), value=-1)

    def _forward(self, x: Tensor, layer: DecoderLayer, ground: BlockPositions) -> tuple[Tensor, LayerActivations]:
        shape, first, rows, length = self.shape, len(self.before), ground.rows, ground.length
        x_scale = self.scale_of(x)
        qkv = (x * x_scale) @ layer.qkv.T
        beside, raw, told = layer.beside, None, None
        if beside.bias is not None:
            qkv += beside.bias
        if beside.head_norms is not None:
            qkv, raw = self.heads_normed(qkv, beside.head_norms)
        q, k, v = self._split(qkv, first, ground)
        heads = torch.empty(len(x), shape.heads * shape.head, dtype=self.dtype)
        own_chances = None
        if first:
            out = heads[:first].view(1, first, shape.kv_heads, shape.group, shape.head)
            own_chances = self._attend(q[0], k[0], v[0], ground.first_mask, out)
            k_all, v_all = (torch.cat([head.expand(-1, rows, -1, -1), tail], dim=2) for head, tail in ((k[0], k[1]), (v[0], v[1])))
        else:
            k_all, v_all = k[1], v[1]
        out = heads[first:].view(rows, length, shape.kv_heads, shape.group, shape.head)
        chances = self._attend(q[1], k_all, v_all, ground.mask, out)
        mid, attended = self.added(x, heads, layer.out, beside, 0)
        mid_scale = self.scale_of(mid)
        gate_up = (mid * mid_scale) @ layer.gate_up.T
        act = self.active(gate_up[:, : shape.inner])
        act *= gate_up[:, shape.inner :]
        y, thought = self.added(mid, act, layer.down, beside, 1)
        if attended is not None and thought is not None:
            told = attended, thought
        q_all = q[1] if not first else torch.cat([q[0].flatten(1, 3), q[1].flatten(1, 3)], dim=1)
        return y, LayerActivations(x, x_scale, q_all, k_all, v_all, chances, own_chances, heads, mid, mid_scale, gate_up, act, raw, told)

    def added(self, x: Tensor, inner: Tensor, matrix: Tensor, beside: UntaughtParts, which: int) -> tuple[Tensor, Tensor | None]:
        """x plus the product of `inner` and a matrix, normed if the layer norms it; and the product before its norm, or None."""
        if beside.after is None:
            return torch.addmm(x, inner, matrix.T), None
        told = inner @ matrix.T
        return torch.addcmul(x, told * self.scale_of(told), beside.after[which]), told

    def _split(self, qkv: Tensor, first: int, ground: BlockPositions) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Rotated queries (kv, rows, group, length, head) and keys, and values (kv, rows, length, head): first for the shared tokens, as
        one row, then for the rows."""
        s = self.shape
        edge, end = s.heads * s.head, (s.heads + s.kv_heads) * s.head
        found: tuple[list[Tensor], list[Tensor], list[Tensor]] = ([], [], [])
        stretches = ((slice(0, first), 1, first, ground.first_turns), (slice(first, None), ground.rows, ground.length, ground.turns))
        for part, n, size, turns in stretches:
            q = qkv[part, :edge].view(n, size, s.kv_heads, s.group, s.head).permute(2, 0, 3, 1, 4)
            k = qkv[part, edge:end].view(n, size, s.kv_heads, s.head).permute(2, 0, 1, 3)
            v = qkv[part, end:].view(n, size, s.kv_heads, s.head).permute(2, 0, 1, 3).contiguous()
            found[0].append(_turned(q, _by_group(turns)))
            found[1].append(_turned(k, turns))
            found[2].append(v)
        return found

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor, out: Tensor) -> Tensor:
        """Write the attention's output into `out` (rows, length, kv, group, head); returns its weights (kv * rows, group * length,
        keys)."""
        kv, rows, group, length, head = q.shape
        q2, k2, v2 = q.reshape(kv * rows, group * length, head), k.reshape(kv * rows, -1, head), v.reshape(kv * rows, -1, head)
        scores = q2 @ k2.transpose(1, 2)
        scores *= head**-0.5
        scores.view(kv, rows, group, length, -1).add_(mask[None, :, None])
        chances = torch.softmax(scores, dim=-1)
        out.copy_((chances @ v2).view(kv, rows, group, length, head).permute(1, 3, 0, 2, 4))
        return chances

    def _attend_back(self, dout: Tensor, q: Tensor, k: Tensor, v: Tensor, chances: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients of queries (kv, rows, group, length, head), keys and values (kv, rows, keys, head); `dout` has the shape of `out` in
        `_attend`."""
        rows, length, kv, group, head = dout.shape
        d = dout.permute(2, 0, 3, 1, 4).reshape(kv * rows, group * length, head)
        q2, k2, v2 = q.reshape(kv * rows, group * length, head), k.reshape(kv * rows, -1, head), v.reshape(kv * rows, -1, head)
        dv = chances.transpose(1, 2) @ d
        dchances = d @ v2.transpose(1, 2)
        dscores = torch._softmax_backward_data(dchances, chances, -1, self.dtype)
        dscores *= head**-0.5
        dq, dk = dscores @ k2, dscores.transpose(1, 2) @ q2
        return dq.view(kv, rows, group, length, head), dk.view(kv, rows, -1, head), dv.view(kv, rows, -1, head)

    def _backward(
        self, dy: Tensor, kept: LayerActivations, number: int, ground: BlockPositions, gradients: WorkerGradients, taught: TaughtWeights
    ) -> Tensor:
        shape, first, layer, rows, length = self.shape, len(self.before), self.layers[number], ground.rows, ground.length
        after, told = layer.beside.after, kept.told
        dthought = dy if after is None or told is None else self._norm_back(dy * after[1], told[1], self.scale_of(told[1]))
        taught.collect(gradients, DOWN, number, kept.act, dthought)
        dact = dthought @ layer.down
        gate, up = kept.gate_up[:, : shape.inner], kept.gate_up[:, shape.inner :]
        dgate_up = torch.empty_like(kept.gate_up)
        torch.mul(dact, self.active(gate), out=dgate_up[:, shape.inner :])
        dact *= up
        back = torch.ops.aten.gelu_backward(dact, gate, approximate="tanh") if shape.gemma else torch.ops.aten.silu_backward(dact, gate)
        dgate_up[:, : shape.inner] = back
        taught.collect(gradients, GATE_UP, number, kept.mid * kept.mid_scale, dgate_up)
        dmid = self._norm_back(dgate_up @ layer.gate_up, kept.mid, kept.mid_scale)
        dmid += dy
        dattended = dmid if after is None or told is None else self._norm_back(dmid * after[0], told[0], self.scale_of(told[0]))
        taught.collect(gradients, OUT, number, kept.heads, dattended)
        dheads = dattended @ layer.out
        size = (shape.kv_heads, shape.group, shape.head)
        if first:
            inner = shape.group * first
            q_first = kept.q[:, :inner].view(shape.kv_heads, 1, shape.group, first, shape.head)
            q_rows = kept.q[:, inner:].view(shape.kv_heads, rows, shape.group, length, shape.head)
        else:
            q_first, q_rows = kept.q[:, :0], kept.q
        dq, dk, dv = self._attend_back(dheads[first:].view(rows, length, *size), q_rows, kept.k, kept.v, kept.chances)
        dqkv = torch.empty(len(dy), (shape.heads + 2 * shape.kv_heads) * shape.head, dtype=self.dtype)
        if first and kept.own_chances is not None:
            k_first, v_first = kept.k[:, :1, :first], kept.v[:, :1, :first]
            own = self._attend_back(dheads[:first].view(1, first, *size), q_first, k_first, v_first, kept.own_chances)
            dk_first = own[1] + dk[:, :, :first].sum(1, keepdim=True)
            dv_first = own[2] + dv[:, :, :first].sum(1, keepdim=True)
            self._joined(dqkv[:first], own[0], dk_first, dv_first, ground.first_turns)
        self._joined(dqkv[first:], dq, dk[:, :, first:], dv[:, :, first:], ground.turns)
        norms, raw = layer.beside.head_norms, kept.raw
        if norms is not None and raw is not None:
            own_part = dqkv[:, : norms.numel()].view(len(dqkv), *norms.shape)
            own_part.copy_(self._norm_back(own_part * norms, raw, self.scale_of(raw)))
        taught.collect(gradients, QKV, number, kept.x * kept.x_scale, dqkv)
        dx = self._norm_back(dqkv @ layer.qkv, kept.x, kept.x_scale)
        dx += dmid
        return dx

    def _joined(self, out: Tensor, dq: Tensor, dk: Tensor, dv: Tensor, turns: tuple[Tensor, Tensor]) -> None:
        """Write the gradients of rotated queries and keys, and of values, side by side into `out` (n, qkv)."""
        s = self.shape
        kv, rows, group, length, head = dq.shape
        edge, end = s.heads * head, (s.heads + kv) * head
        out[:, :edge].view(rows, length, kv, group, head).copy_(_turned(dq, _by_group(turns), back=True).permute(1, 3, 0, 2, 4))
        out[:, edge:end].view(rows, length, kv, head).copy_(_turned(dk, turns, back=True).permute(1, 2, 0, 3))
        out[:, end:].view(rows, length, kv, head).copy_(dv.permute(1, 2, 0, 3))


class TaughtWeights(Protocol):
    """The trained weights: adapters over the matrices, or the matrices themselves."""

    def collect(self, gradients: WorkerGradients, place: str, layer: int, x: Tensor, dy: Tensor) -> None:
        """Add the gradients at one matrix: its inputs were x (n, inputs), the gradient of its outputs is dy (n, outputs)."""
        ...


def _by_group(turns: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Cosines and sines shaped for queries, which have one more dimension, the group."""
    cos, sin = turns
    return (cos[:, None], sin[:, None]) if cos.dim() == 3 else turns


def _turned(x: Tensor, turns: tuple[Tensor, Tensor], back: bool = False) -> Tensor:
    """Rotate by the given cosines and sines of positions (the second-last dimension); `back` reverses the rotation."""
    cos, sin = turns
    half = x.shape[-1] // 2
    a, b = x[..., :half], x[..., half:]
    out = torch.empty(x.shape, dtype=x.dtype)
    if back:
        torch.addcmul(a * cos, b, sin, out=out[..., :half])
        torch.addcmul(b * cos, a, sin, value=-1, out=out[..., half:])
    else:
        torch.addcmul(a * cos, b, sin, value=-1, out=out[..., :half])
        torch.addcmul(b * cos, a, sin, out=out[..., half:])
    return out
