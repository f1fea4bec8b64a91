"""Teach a small transformer what is bought after what: every item of every customer is predicted from those before it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from smidgen.core.errors import TrainError
from smidgen.core.progress import Progress
from smidgen.retail.next_item import UNTAUGHT, NextItemModel
from smidgen.retail.students.purchases import Numbers, Purchases

_WIDTH, _BLOCKS, _HEADS, _DROPOUT = 64, 2, 2, 0.3
_EPOCHS, _RATE, _WARM = 24, 4e-3, 0.04
_MIN_BATCH_ITEMS, _MAX_BATCH_ITEMS, _EPOCH_STEPS = 200, 2_000, 100
"""Items that are predicted at a step, about: so many that an epoch has at least a hundred steps, within these bounds."""
_NEGATIVES = 2_000
"""Negative samples of each step."""
_LAG = 0.02
"""Share of the time by which training may lag before the time sets the learning rate."""
_SHARPNESSES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0, 1.2)
"""Factors of the logits. A model that was taught to the end is too sure of itself."""


class _Block(nn.Module):
    """Attention to what was bought before, then two layers; each adds to the state."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.between = nn.LayerNorm(_WIDTH), nn.LayerNorm(_WIDTH)
        self.look, self.out = nn.Linear(_WIDTH, 3 * _WIDTH), nn.Linear(_WIDTH, _WIDTH)
        self.up, self.down = nn.Linear(_WIDTH, 4 * _WIDTH), nn.Linear(4 * _WIDTH, _WIDTH)

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        """(rows, length, width) to the same shape."""
        rows, length, width = state.shape
        projected = self.look(self.before(state)).view(rows, length, 3, _HEADS, width // _HEADS)
        query, key, value = projected.permute(2, 0, 3, 1, 4)
        dropout = _DROPOUT if self.training else 0.0
        seen = F.scaled_dot_product_attention(query, key, value, is_causal=True, dropout_p=dropout)
        state = state + F.dropout(self.out(seen.transpose(1, 2).reshape(rows, length, width)), _DROPOUT, self.training)
        return state + F.dropout(self.down(F.relu(self.up(self.between(state)))), _DROPOUT, self.training)


class _Network(nn.Module):
    """See `NextItemModel`, whose names of parameters these are."""

    def __init__(self, items: int, window: int) -> None:
        super().__init__()
        self.items, self.places = nn.Embedding(items, _WIDTH), nn.Embedding(window, _WIDTH)
        self.blocks = nn.ModuleList(_Block() for _ in range(_BLOCKS))
        self.last, self.bias = nn.LayerNorm(_WIDTH), nn.Parameter(torch.zeros(items))
        for table in (self.items, self.places):
            nn.init.normal_(table.weight, std=0.02)

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        """(rows, length) numbers of items to (rows, length, width) states."""
        state = self.items(numbers) * _WIDTH**0.5 + self.places.weight[: numbers.shape[1]]
        state = F.dropout(state, _DROPOUT, self.training)
        for block in self.blocks:
            state = block(state)
        last: torch.Tensor = self.last(state)
        return last


def taught_model(purchases: Purchases, window: int, seconds: float, threads: int, seed: int, progress: Progress) -> NextItemModel:
    """A model taught on all customers but the held-out rows, which only set how sure it is of itself.

    Each step sets the right items against `_NEGATIVES` that are drawn evenly and stand for all. The learning rate falls to nothing by the
    last epoch, or by the end of so many `seconds` if that is earlier. Raises TrainError if its numbers run away.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, 71])
    rows = [items[max(0, end - window - 1) : end] for items in purchases.customers for end in range(len(items), 1, -window)]
    known = np.flatnonzero(purchases.buyers > 0)
    network = _Network(len(purchases.goods), window)
    optimiser = torch.optim.AdamW(network.parameters(), lr=_RATE, betas=(0.9, 0.98), weight_decay=0.0)
    size = min(_MAX_BATCH_ITEMS, max(_MIN_BATCH_ITEMS, sum(len(row) - 1 for row in rows) // _EPOCH_STEPS))
    began, steps = time.monotonic(), _EPOCHS * sum(1 for _ in _batches(rows, size, np.random.default_rng(seed)))
    progress.start("teach a transformer what is bought next", _EPOCHS)
    network.train()
    step = 0
    for _ in range(_EPOCHS):
        for batch in _batches(rows, size, rng):
            done, spent = step / steps, (time.monotonic() - began) / seconds
            if spent > done + _LAG:  # else the clock changes nothing, so that the same purchases teach the same
                done = spent
            if done >= 1:
                break
            for group in optimiser.param_groups:
                group["lr"] = _RATE * min(1.0, done / _WARM + 0.01) * (1 - done)
            others = rng.choice(known, min(_NEGATIVES, len(known)), replace=False)
            loss = _loss(network, [rows[place] for place in batch], torch.from_numpy(others), len(known) / len(others))
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            step += 1
        progress.advance(1)
    if not all(bool(torch.isfinite(tensor).all()) for tensor in network.state_dict().values()):
        raise TrainError("retail.transformer_numbers_are_not_finite", step=step)
    arrays = {name: np.ascontiguousarray(tensor.detach().numpy()) for name, tensor in network.state_dict().items()}
    untaught = np.ones(len(purchases.goods), np.bool_)
    untaught[np.concatenate([np.zeros(0, np.int64), *rows])] = False
    arrays["bias"][untaught] = UNTAUGHT
    model = _calibrated(NextItemModel(arrays, _HEADS), purchases)
    progress.finish(f"{step:,} steps, {len(rows):,} histories")
    return model


def _batches(rows: Sequence[Numbers], size: int, rng: np.random.Generator) -> Iterator[list[int]]:
    """Batches of places of rows with similar lengths, each of about `size` items, in random order."""
    lengths = np.array([len(row) for row in rows])
    order = np.argsort(lengths + 2 * rng.random(len(rows)), kind="stable").tolist()
    batches: list[list[int]] = [[]]
    longest = 0
    for place in order:
        longest = max(longest, len(rows[place]) - 1)
        if batches[-1] and longest * (len(batches[-1]) + 1) > size:
            batches.append([])
            longest = len(rows[place]) - 1
        batches[-1].append(place)
    for number in rng.permutation(len(batches)).tolist():
        yield batches[number]


def _loss(network: _Network, rows: Sequence[Numbers], others: torch.Tensor, each: float) -> torch.Tensor:
    """The mean cross-entropy of the next items against `others`, each of which stands for `each` items."""
    length = max(map(len, rows)) - 1
    given, expected = np.zeros((len(rows), length), np.int64), np.full((len(rows), length), -1, np.int64)
    for place, row in enumerate(rows):
        given[place, : len(row) - 1], expected[place, : len(row) - 1] = row[:-1], row[1:]
    real = torch.from_numpy((expected >= 0).reshape(-1))
    right = torch.from_numpy(expected.reshape(-1))[real]
    states = network(torch.from_numpy(given)).reshape(-1, _WIDTH)[real]
    own = (states * network.items(right)).sum(dim=1) + network.bias[right]
    against = states @ network.items(others).T + network.bias[others] + math.log(each)
    against = against.masked_fill(others[None, :] == right[:, None], -1e9)
    loss: torch.Tensor = (torch.logsumexp(torch.cat([own[:, None], against], dim=1), dim=1) - own).mean()
    return loss


def _calibrated(model: NextItemModel, purchases: Purchases) -> NextItemModel:
    """Scale the logits so that the held-out items are most likely (Guo et al. 2017). Unseen items do not count."""
    surprise = np.zeros(len(_SHARPNESSES))
    for history, bought_next in zip(purchases.histories, purchases.next_items.tolist(), strict=True):
        if model.arrays["bias"][bought_next] > UNTAUGHT:
            surprise -= [np.log(max(1e-12, float(model.probabilities(history, factor)[bought_next]))) for factor in _SHARPNESSES]
    factor, arrays = np.float32(_SHARPNESSES[int(surprise.argmin())]), dict(model.arrays)
    for name in ("last.weight", "last.bias"):
        arrays[name] = arrays[name] * factor
    arrays["bias"] = np.where(arrays["bias"] > UNTAUGHT, arrays["bias"] * factor, arrays["bias"]).astype(np.float32)
    return NextItemModel(arrays, model.heads)
