"""Writes with a decoder in torch: greedily, many texts at once. The reference that the served engine is held against, not what serves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from smidgen.students.llama import Llama
from smidgen.students.workers import Workers

_ROWS = 32


@dataclass
class Written:
    """What was written for one text: token ids without the end token, the mean of their probabilities, whether the end was reached."""

    ids: list[int]
    probability: float
    finished: bool


def write(
    model: Llama,
    prompts: Sequence[Sequence[int]],
    stop: Sequence[int],
    most: int,
    workers: Workers,
    advance: Callable[[int], None] = lambda rows: None,
) -> list[Written]:
    """Continue each prompt (ids after the model's own `before`) greedily until a stop token, or `most` tokens.

    Prompts of like length go together; each worker takes batches of its own.
    """
    order = sorted(range(len(prompts)), key=lambda place: (len(prompts[place]), place))
    batches = [order[start : start + _ROWS] for start in range(0, len(order), _ROWS)]
    found: list[Written | None] = [None] * len(prompts)

    def work(worker: int) -> None:
        for batch in batches[worker :: workers.count]:
            for place, written in zip(batch, _Batch(model, [prompts[p] for p in batch], most).run(stop, most), strict=True):
                found[place] = written
            advance(len(batch))

    with torch.no_grad():
        workers.map(work)
    return [written for written in found if written is not None]


class _Batch:
    """Prompts of one batch, padded on the left, with the keys and values of all that was read."""

    def __init__(self, model: Llama, prompts: Sequence[Sequence[int]], most: int) -> None:
        self.model, shape = model, model.shape
        before = model.before.tolist()
        self.length = len(before) + max(len(prompt) for prompt in prompts)
        self.ids = torch.zeros(len(prompts), self.length, dtype=torch.long)
        self.pad = torch.tensor([self.length - len(before) - len(prompt) for prompt in prompts])
        for row, prompt in enumerate(prompts):
            self.ids[row, int(self.pad[row]) :] = torch.tensor([*before, *prompt])
        size = (len(prompts), shape.kv_heads, self.length + most, shape.head)
        self.keys = [torch.zeros(size, dtype=model.dtype) for _ in model.layers]
        self.values = [torch.zeros(size, dtype=model.dtype) for _ in model.layers]

    def run(self, stop: Sequence[int], most: int) -> list[Written]:
        rows = len(self.ids)
        written: list[list[int]] = [[] for _ in range(rows)]
        chances: list[list[float]] = [[] for _ in range(rows)]
        finished = [False] * rows
        ids, at = self.ids, 0
        alive = torch.arange(rows)
        for _ in range(most):
            logits = self._step(ids, at, alive)
            at += ids.shape[1]
            best = logits.argmax(-1)
            chance = torch.softmax(logits, -1).gather(1, best[:, None])[:, 0]
            keep = []
            for place, (row, token, p) in enumerate(zip(alive.tolist(), best.tolist(), chance.tolist(), strict=True)):
                if token in stop:
                    finished[row] = True
                else:
                    written[row].append(token)
                    chances[row].append(p)
                    keep.append(place)
            if not keep:
                break
            alive, ids = alive[keep], best[keep][:, None]
        return [Written(ids_, sum(c) / len(c) if c else 0.0, done) for ids_, c, done in zip(written, chances, finished, strict=True)]

    def _step(self, ids: Tensor, at: int, alive: Tensor) -> Tensor:
        """Logits (rows, vocabulary) after the last of `ids` (rows, n), which stand from place `at` on."""
        model, shape = self.model, self.model.shape
        rows, n = ids.shape
        place = torch.arange(at, at + n)
        positions = (place[None] - self.pad[alive][:, None]).clamp(min=0)
        cos, sin = model.turns(int(positions.max()) + 1)
        cos, sin = cos[positions][:, None], sin[positions][:, None]
        seen = torch.arange(at + n)
        hidden = (seen[None, None] > place[None, :, None]) | (seen[None, None] < self.pad[alive][:, None, None])
        # A place of the padding sees itself, so that its softmax is defined; nothing looks at it.
        hidden &= seen[None, None] != place[None, :, None]
        mask = torch.zeros(hidden.shape, dtype=model.dtype).masked_fill_(hidden, float("-inf"))[:, None]
        x = model.table[ids].flatten(0, 1)
        q_end, k_end = shape.heads * shape.head, (shape.heads + shape.kv_heads) * shape.head
        for number, layer in enumerate(model.layers):
            qkv = (x * model.scale_of(x)) @ layer.qkv.T
            if layer.bias is not None:
                qkv += layer.bias
            q = _turned(qkv[:, :q_end].view(rows, n, shape.heads, shape.head).transpose(1, 2), cos, sin)
            k = _turned(qkv[:, q_end:k_end].view(rows, n, shape.kv_heads, shape.head).transpose(1, 2), cos, sin)
            self.keys[number][alive, :, at : at + n] = k
            self.values[number][alive, :, at : at + n] = qkv[:, k_end:].view(rows, n, shape.kv_heads, shape.head).transpose(1, 2)
            keys, values = self.keys[number][alive, :, : at + n], self.values[number][alive, :, : at + n]
            heads = torch.nn.functional.scaled_dot_product_attention(q, keys, values, attn_mask=mask, enable_gqa=True)
            x = torch.addmm(x, heads.transpose(1, 2).reshape(rows * n, -1), layer.out.T)
            gate_up = (x * model.scale_of(x)) @ layer.gate_up.T
            x = torch.addmm(x, torch.nn.functional.silu(gate_up[:, : shape.inner]) * gate_up[:, shape.inner :], layer.down.T)
        last = x.view(rows, n, -1)[:, -1]
        return ((last * model.scale_of(last)) @ model.output.T).float()


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)
