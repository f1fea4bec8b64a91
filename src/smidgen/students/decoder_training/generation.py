"""Generate texts with a decoder in torch, in batches.

Greedy generation is the reference for the served engine. Sampling draws the student's own answers, on which a guide corrects it
(generalised knowledge distillation, GKD; Agarwal et al. 2024).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from smidgen.students.decoder_training.examples import DecoderExample
from smidgen.students.decoder_training.model import LlamaModel
from smidgen.students.processor import Workers
from smidgen.text.infilling import first_of
from smidgen.text.repetition import RepetitionWatch, spelt

_ROWS = 32
_PLACES = 32768
"""The most positions for keys and values of a batch (750 MB for a 135 M model in 16 bits)."""
_LETTERS = 3
"""A low estimate of the mean characters of a token."""


@dataclass
class GeneratedText:
    """A generated text: token ids without the end token, the mean and the product of their probabilities, whether the end token came, and
    the probability of each token."""

    ids: list[int]
    probability: float
    likelihood: float
    finished: bool
    chances: Sequence[float] = ()


class AnswerBounds:
    """The texts with which the answers to prompts must begin, empty for those that may begin anyhow, and the texts that end each."""

    def __init__(self, tokenizer: Tokenizer, texts: Sequence[str], ends: Sequence[Collection[str]]) -> None:
        self.texts, self.ends, self._tokenizer = texts, ends, tokenizer
        self._tokens = [tokenizer.decode([number]) for number in range(tokenizer.get_vocab_size())]
        self._able: dict[str, Tensor] = {}

    def able(self, left: str, size: int) -> Tensor:
        """(size,) 0 for a token with which an answer may go on that must begin with `left`, minus infinity for any other."""
        if left not in self._able:
            found = torch.full((size,), float("-inf"))
            fits = [n for n, text in enumerate(self._tokens[:size]) if text and (text.startswith(left) or left.startswith(text))]
            found[fits] = 0.0
            self._able[left] = found
        return self._able[left]

    def after(self, left: str, token: int) -> str:
        """Return what is left of a beginning after a token."""
        return left[len(self._tokens[token]) :]

    def ended(self, place: int, ids: Sequence[int]) -> bool:
        """Whether an answer holds a text that ends it, behind the text with which it had to begin."""
        if not self.ends[place]:
            return False
        text = self._tokenizer.decode(list(ids), skip_special_tokens=False)
        return first_of(text[len(self.texts[place]) :], self.ends[place]) is not None


def write(
    model: LlamaModel,
    prompts: Sequence[Sequence[int]],
    stop: Sequence[int],
    most: int,
    workers: Workers,
    seeds: Sequence[int] | None = None,
    loop: int = 0,
    bounds: AnswerBounds | None = None,
) -> list[GeneratedText]:
    """Continue each prompt (ids after the model's own `before`) until a stop token, or `most` tokens: greedily, or by sampling with
    `seeds`. With `loop` a text is also cut if it repeats itself for about that number of characters. `bounds`: their beginnings and ends.

    Prompts of similar length share a batch; each worker takes its own batches.
    """
    order = sorted(range(len(prompts)), key=lambda place: (len(prompts[place]), place))
    batches = _batches(order, [len(prompts[place]) + len(model.before) + most for place in order], workers.count)
    found: list[GeneratedText | None] = [None] * len(prompts)

    def work(worker: int) -> None:
        with torch.no_grad():
            for number in range(worker, len(batches), workers.count):
                batch = batches[number]
                random = torch.Generator().manual_seed(_seed([*seeds, number])) if seeds is not None else None
                one = _PromptBatch(model, [prompts[p] for p in batch], most)
                one.bound(bounds, batch)
                written = one.run(stop, most, random, math.ceil(loop / _LETTERS))
                for place, text in zip(batch, written, strict=True):
                    found[place] = text

    workers.map(work)
    return [written for written in found if written is not None]


def _batches(order: Sequence[int], places: Sequence[int], count: int) -> list[Sequence[int]]:
    """`order` cut into batches for `count` workers, with bounds on rows and on positions (rows times the longest, which comes last)."""
    size, found, start = max(1, min(_ROWS, math.ceil(len(order) / count))), [], 0
    while start < len(order):
        stop = min(len(order), start + size)
        while stop > start + 1 and (stop - start) * places[stop - 1] > _PLACES:
            stop -= 1
        found.append(order[start:stop])
        start = stop
    return found


class _PromptBatch:
    """Prompts of one batch with their keys and values: first those of the shared tokens, computed once, then each row's own, padded on the
    left."""

    def __init__(self, model: LlamaModel, prompts: Sequence[Sequence[int]], most: int) -> None:
        self.model, shape = model, model.shape
        self._bounds: AnswerBounds | None = None
        self._left = [""] * len(prompts)
        self.shared = len(model.before)
        longest = max(len(prompt) for prompt in prompts)
        self.ids = torch.zeros(len(prompts), longest, dtype=torch.long)
        self.pad = torch.tensor([longest - len(prompt) for prompt in prompts])
        for row, prompt in enumerate(prompts):
            self.ids[row, int(self.pad[row]) :] = torch.tensor(list(prompt))
        size = (len(prompts), shape.kv_heads, self.shared + longest + most, shape.head)
        self.keys = [torch.zeros(size, dtype=model.dtype) for _ in model.layers]
        self.values = [torch.zeros(size, dtype=model.dtype) for _ in model.layers]
        if self.shared:
            self._read(model.before[None], 0, torch.arange(1))
            for cache in (*self.keys, *self.values):
                cache[:, :, : self.shared] = cache[:1, :, : self.shared]

    def bound(self, bounds: AnswerBounds | None, places: Sequence[int]) -> None:
        """Hold the rows' texts to the beginnings and ends at these places."""
        self._bounds, self._places = bounds, places
        self._left = [bounds.texts[place] if bounds is not None else "" for place in places]

    def _within(self, logits: Tensor, alive: Tensor) -> Tensor:
        """Logits with those tokens out that a row may not begin with."""
        if self._bounds is None or not any(self._left[row] for row in alive.tolist()):
            return logits
        size = logits.shape[-1]
        return logits + torch.stack(
            [self._bounds.able(left, size) if (left := self._left[row]) else torch.zeros(size) for row in alive.tolist()]
        )

    def run(self, stop: Sequence[int], most: int, random: torch.Generator | None = None, loop: int = 0) -> list[GeneratedText]:
        """Generate until every row has ended, has `most` tokens, or repeats itself for `loop` tokens: greedily, or by sampling with
        `random`."""
        rows = len(self.ids)
        written: list[list[int]] = [[] for _ in range(rows)]
        chances: list[list[float]] = [[] for _ in range(rows)]
        finished, loops = [False] * rows, [RepetitionWatch(loop) for _ in range(rows)]
        ids, at = self.ids, self.shared
        alive = torch.arange(rows)
        for _ in range(most):
            logits = self._read(ids, at, alive)
            at += ids.shape[1]
            chances_now = torch.softmax(logits, -1)
            best = self._within(logits, alive).argmax(-1) if random is None else torch.multinomial(chances_now, 1, generator=random)[:, 0]
            chance = chances_now.gather(1, best[:, None])[:, 0]
            keep = []
            for place, (row, token, p) in enumerate(zip(alive.tolist(), best.tolist(), chance.tolist(), strict=True)):
                if token in stop:
                    finished[row] = True
                else:
                    written[row].append(token)
                    chances[row].append(p)
                    if self._bounds is not None:
                        if self._left[row]:
                            self._left[row] = self._bounds.after(self._left[row], token)
                        finished[row] = self._bounds.ended(self._places[row], written[row])
                    if not finished[row] and not loops[row].feed(spelt([token])):
                        keep.append(place)
            if not keep:
                break
            alive, ids = alive[keep], best[keep][:, None]
        return [
            GeneratedText(own, sum(c) / len(c) if c else 0.0, math.prod(c) if c else 0.0, done, c)
            for own, c, done in zip(written, chances, finished, strict=True)
        ]

    def _read(self, ids: Tensor, at: int, alive: Tensor) -> Tensor:
        """Logits (rows, vocabulary) after the last of `ids` (rows, n), which are at positions `at` onwards of the rows `alive`."""
        model, shape = self.model, self.model.shape
        rows, n = ids.shape
        place, seen = torch.arange(at, at + n), torch.arange(at + n)
        pad = self.pad[alive][:, None]
        # The padding is between the shared tokens and the row's own.
        positions = torch.where(place[None] < self.shared, place[None], (place[None] - pad).clamp(min=self.shared))
        hidden = (seen[None, None] > place[None, :, None]) | ((seen >= self.shared) & (seen < self.shared + pad))[:, None]
        # A padding position attends to itself, so that its softmax is defined; no other position attends to it.
        hidden &= seen[None, None] != place[None, :, None]
        far = self._stand(positions, hidden)
        near = far
        if any(shape.near):
            own = torch.where(seen[None] < self.shared, seen[None], seen[None] - pad)
            near = self._stand(positions, hidden | (positions[:, :, None] - own[:, None, :] >= shape.window), near=True)
        everyone = len(alive) == len(self.ids)
        x = model.table[ids].flatten(0, 1)
        q_end, k_end = shape.heads * shape.head, (shape.heads + shape.kv_heads) * shape.head
        for number, layer in enumerate(model.layers):
            cos, sin, mask = near if shape.near and shape.near[number] else far
            qkv = (x * model.scale_of(x)) @ layer.qkv.T
            if layer.beside.bias is not None:
                qkv += layer.beside.bias
            if layer.beside.head_norms is not None:
                qkv, _ = model.heads_normed(qkv, layer.beside.head_norms)
            q = _turned(qkv[:, :q_end].view(rows, n, shape.heads, shape.head).transpose(1, 2), cos, sin)
            k = _turned(qkv[:, q_end:k_end].view(rows, n, shape.kv_heads, shape.head).transpose(1, 2), cos, sin)
            v = qkv[:, k_end:].view(rows, n, shape.kv_heads, shape.head).transpose(1, 2)
            mine = slice(None) if everyone else alive
            self.keys[number][mine, :, at : at + n] = k
            self.values[number][mine, :, at : at + n] = v
            keys = self.keys[number][mine, :, : at + n].reshape(rows * shape.kv_heads, at + n, shape.head)
            values = self.values[number][mine, :, : at + n].reshape(rows * shape.kv_heads, at + n, shape.head)
            scores = torch.baddbmm(mask, q.reshape(rows * shape.kv_heads, -1, shape.head), keys.transpose(1, 2), alpha=shape.head**-0.5)
            heads = (torch.softmax(scores, -1) @ values).view(rows, shape.heads, n, shape.head)
            x, _ = model.added(x, heads.transpose(1, 2).reshape(rows * n, -1), layer.out, layer.beside, 0)
            gate_up = (x * model.scale_of(x)) @ layer.gate_up.T
            x, _ = model.added(x, model.active(gate_up[:, : shape.inner]) * gate_up[:, shape.inner :], layer.down, layer.beside, 1)
        last = x.view(rows, n, -1)[:, -1]
        return ((last * model.scale_of(last)) @ model.output.T).float()

    def _stand(self, positions: Tensor, hidden: Tensor, near: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Cosines and sines of positions (rows, n), and the mask by head for the `hidden` pairs (rows, n, keys)."""
        model, shape, (rows, n) = self.model, self.model.shape, positions.shape
        cos, sin = model.positions.turns(int(positions.max()) + 1, near)
        mask = torch.zeros(hidden.shape, dtype=model.dtype).masked_fill_(hidden, float("-inf"))
        mask = mask[:, None, None].expand(-1, shape.kv_heads, shape.group, -1, -1).reshape(rows * shape.kv_heads, shape.group * n, -1)
        return cos[positions][:, None], sin[positions][:, None], mask


def _seed(seeds: Sequence[int]) -> int:
    """One seed from several."""
    return int(np.random.default_rng(list(seeds)).integers(1 << 62))


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


Group = tuple[DecoderExample, ...]
"""Examples with one common input."""


@dataclass(frozen=True)
class OwnAnswers:
    """Answers that the student samples itself in training.

    Attributes:
        share: share of a step's inputs, 0..1, whose answers are sampled; lambda in GKD.
        most: most tokens of a sampled answer.
        stop: ids that end an answer; the first is appended to it.
        seed: seeds all randomness together with the step's number: a repeated step draws identical answers.
    """

    share: float
    most: int
    stop: tuple[int, ...]
    seed: int = 0

    def put(self, model: LlamaModel, batch: Sequence[Group], step: int, workers: Workers) -> list[Group]:
        """Replace, for a share of a batch's inputs, their answers by one sampled answer of the same total weight. Sampling has no
        gradients."""
        places = np.flatnonzero(np.random.default_rng([self.seed, 7, step]).random(len(batch)) < self.share).tolist()
        sources = [batch[place][0].ids[: len(batch[place][0].ids) - batch[place][0].answer] for place in places]
        found = list(batch)
        if not places:
            return found
        drawn = write(model, [source.tolist() for source in sources], self.stop, self.most, workers, (self.seed, 8, step))
        for place, source, one in zip(places, sources, drawn, strict=True):
            ids = [*one.ids, *(self.stop[:1] if one.finished else ())]
            weight = sum(lesson.weight for lesson in batch[place])
            found[place] = (DecoderExample(np.concatenate([source, np.array(ids, dtype=np.int64)]), len(ids), weight, drawn=True),)
        return found
