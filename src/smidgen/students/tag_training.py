"""Training of taggers: `Trainer` with units in place of rows, and the loss of a linear chain over their tags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from smidgen.stats import chains
from smidgen.stats.tag_reader import Reader
from smidgen.students.any_encoder import AnyEncoder
from smidgen.students.bert import NEGATIVE, FastBert
from smidgen.students.finetuning import Head, TrainConfig, Trainer
from smidgen.students.packing import PackedBatch, pack, units_of
from smidgen.students.tag_lessons import Lessons
from smidgen.students.workers import Workers

_TINY = 1e-37
"""What the weight of a path that cannot be is taken as, so that its logarithm is a number."""


class TagHead(Head):
    """Log weights of tags, linear in a unit's features, and between tags; and of the values of choices, linear in the mean of a text's
    tokens. `flat` holds rows (of tags, then of values), bias and transitions, f32."""

    def __init__(self, hidden: int, tags: int, values: int = 0) -> None:
        rows = tags + values
        super().__init__(hidden, rows, 1.0)
        self.tags = tags
        self.flat = torch.zeros(rows * (hidden + 1) + tags * tags)
        self.w = self.flat[: rows * hidden].view(rows, hidden)
        self.b = self.flat[rows * hidden : rows * (hidden + 1)]
        self.transitions = self.flat[rows * (hidden + 1) :].view(tags, tags)

    def logits(self, features: Tensor, flat: Tensor | None = None) -> Tensor:
        """Log weights [units, tags + values] of features [units, hidden]."""
        flat = self.flat if flat is None else flat
        n = self.w.numel()
        return F.linear(features, flat[:n].view_as(self.w), flat[n : n + len(self.w)])

    def between(self, flat: Tensor) -> Tensor:
        """Log weights [tags, tags] between tags."""
        return flat[len(self.w) * (self.w.shape[1] + 1) :].view(self.tags, self.tags)


class TagTrainer(Trainer):
    """Fine-tunes an encoder and a `TagHead` on lessons. `choices` are how many values each choice has; where there are any, the last unit
    of each lesson is the whole window, and what is learnt is the likelihood of tags and choices together."""

    def __init__(
        self,
        model: FastBert | AnyEncoder,
        lessons: Lessons,
        reader: Reader,
        tags: int,
        config: TrainConfig,
        workers: Workers | None,
        choices: Sequence[int] = (),
    ) -> None:
        head = TagHead(model.hidden, tags, sum(choices))
        super().__init__(model, lessons.ids, torch.zeros(0), tags, config, workers=workers, head=head)
        self.lessons, self.before, self.choices = lessons, len(reader.before), tuple(choices)
        may, opens, closes = (torch.from_numpy(mask) for mask in chains.allowed((tags - 1) // 4))
        self._barred = [torch.zeros(mask.shape).masked_fill(~mask, NEGATIVE) for mask in (may, opens, closes)]

    def init_head(self, rows_per_class: int = 16) -> None:
        """The head starts from nothing: every tag is as likely as any other."""

    def _batch(self, worker: int, rows: np.ndarray) -> PackedBatch:
        batch = pack(self.ids, rows)
        return replace(batch, units=units_of(batch, self.lessons.pieces, self.before))

    def _loss(self, features: Tensor, flat: Tensor, rows: np.ndarray) -> Tensor:
        head = self.head
        assert isinstance(head, TagHead)
        tags = [torch.from_numpy(self.lessons.tags[r]) for r in rows]
        sizes = [len(own) for own in tags]
        logits = head.logits(self._dropped(features), flat)
        chosen = torch.zeros(())
        if self.choices:
            # The unit behind each row's own is the whole window.
            ends = torch.cumsum(torch.tensor([size + 1 for size in sizes]), 0) - 1
            chosen = choice_loss(
                logits[ends, head.tags :], torch.from_numpy(np.stack([self.lessons.choices[r] for r in rows])), self.choices
            )
            own = torch.ones(len(logits), dtype=torch.bool)
            own[ends] = False
            logits = logits[own, : head.tags]
        grid = torch.nn.utils.rnn.pad_sequence(list(torch.split(logits, sizes)), batch_first=True)
        gold = torch.nn.utils.rnn.pad_sequence(tags, batch_first=True)
        loss = chain_loss(grid, gold, torch.tensor(sizes), head.between(flat) + self._barred[0], self._barred[1], self._barred[2])
        return (loss + chosen) / sum(sizes)


def choice_loss(logits: Tensor, gold: Tensor, choices: Sequence[int]) -> Tensor:
    """Negative log-likelihood of choices, summed over rows and choices.

    Args:
        logits: [rows, values] log weights, those of one choice after those of another.
        gold: [rows, choices] numbers of the values, -1 where none of them is right: that row teaches nothing of the choice.
        choices: how many values each has.
    """
    parts = torch.split(logits, list(choices), dim=1)
    return torch.stack([F.cross_entropy(part, gold[:, place], reduction="sum", ignore_index=-1) for place, part in enumerate(parts)]).sum()


def chain_loss(logits: Tensor, gold: Tensor, sizes: Tensor, between: Tensor, opens: Tensor, closes: Tensor) -> Tensor:
    """Negative log-likelihood of the gold tags under a linear chain, summed over rows.

    Args:
        logits: [rows, units, tags] log weights, padded.
        gold: [rows, units] tags, padded.
        sizes: [rows] units of each row, one at least.
        between: [tags, tags] log weights from one tag to the next; opens, closes: [tags] of the first and the last.
    """
    rows = torch.arange(len(gold))
    there = torch.arange(gold.shape[1])[None, :] < sizes[:, None]
    path = (logits.gather(2, gold[:, :, None])[:, :, 0] * there).sum(1)
    path = path + (between[gold[:, :-1], gold[:, 1:]] * there[:, 1:]).sum(1) + opens[gold[:, 0]] + closes[gold[rows, sizes - 1]]
    alpha, weights = opens + logits[:, 0], between.exp()
    for place in range(1, gold.shape[1]):
        # A product of matrices, each row's largest taken out before and put back after: with fifty tags a tenth of what summing
        # logarithms pair by pair costs, which is more than the encoder does.
        most = alpha.detach().amax(1, keepdim=True)
        stepped = torch.log(((alpha - most).exp() @ weights).clamp_min(_TINY)) + most + logits[:, place]
        alpha = torch.where(there[:, place, None], stepped, alpha)
    return (torch.logsumexp(alpha + closes, 1) - path).sum()
