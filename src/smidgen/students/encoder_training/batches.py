"""Texts to token numbers, to batches, and to features by an encoder.

Batches have little padding: rows of similar length are laid end to end, and a batch is still a random sample of the rows.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
import torch
from torch import Tensor

from smidgen.core.rows import Text

if TYPE_CHECKING:
    from smidgen.students.processor import Workers

Rows: TypeAlias = Sequence[Sequence[int]] | dict[int, Sequence[int]]  # token ids by row number
_BLOCK_COST = 12  # an additional block takes about as much time as this many tokens
_TOKEN_ROUND = 32  # the tokens of a batch are filled up to a multiple of this (see pack)
_MASK_BANK = 1 << 23  # elements of pre-drawn dropout mask (see DropoutBank)


@dataclass(frozen=True)
class PackedBlock:
    """Rows of similar length, padded to `length`: tokens start..start+rows*length."""

    start: int
    rows: int
    length: int
    row_start: int
    mask: Tensor | None  # [rows, length] f32, 1 = real token; None: no padding


@dataclass(frozen=True)
class PackedBatch:
    """One batch: the tokens of all blocks end to end, and the data rows that they belong to."""

    token_ids: Tensor  # [tokens] int64
    positions: Tensor  # [tokens] int64
    blocks: list[PackedBlock]
    rows: np.ndarray  # data row of each row, in block order
    units: TokenUnits | None = None  # for features of units instead of rows


@dataclass(frozen=True)
class TokenUnits:
    """The tokens of each unit (such as a word) in a batch, one entry for each token of each unit."""

    tokens: Tensor  # [entries] int64, places in the batch
    owners: Tensor  # [entries] int64, the unit, counted over the batch
    shares: Tensor  # [entries, 1] f32, one over the tokens of the unit
    count: int

    def mean(self, x: Tensor) -> Tensor:
        """Means `[units, hidden]` in f32 of token states `[tokens, hidden]`."""
        return torch.zeros(self.count, x.shape[1]).index_add_(0, self.owners, x[self.tokens].float() * self.shares)

    def mean_backward(self, dmean: Tensor, tokens: int) -> Tensor:
        """The gradient of the states of `tokens` tokens, f32, from that of the means."""
        return torch.zeros(tokens, dmean.shape[1]).index_add_(0, self.tokens, dmean[self.owners] * self.shares)


def units_of(batch: PackedBatch, pieces: Sequence[np.ndarray], before: int) -> TokenUnits:
    """The units of a batch, in the order of its rows. `pieces` holds for each data row (units, 2): the first piece of each unit, and one
    past its last; `before` is the number of special tokens before a row's first piece."""
    tokens, owners, sizes = [], [], []
    count = 0
    for block in batch.blocks:
        for place in range(block.rows):
            own = pieces[batch.rows[block.row_start + place]]
            size = own[:, 1] - own[:, 0]
            ends = np.cumsum(size)
            # Each unit's first token, then one more for each further entry of that unit.
            steps = np.arange(int(size.sum())) - np.repeat(ends - size, size)
            tokens.append(np.repeat(own[:, 0], size) + steps + block.start + place * block.length + before)
            owners.append(np.repeat(np.arange(count, count + len(own)), size))
            sizes.append(np.repeat(size, size))
            count += len(own)
    shares = 1.0 / np.concatenate(sizes).astype(np.float32)
    return TokenUnits(
        torch.from_numpy(np.concatenate(tokens)), torch.from_numpy(np.concatenate(owners)), torch.from_numpy(shares)[:, None], count
    )


def split_lengths(lengths: Sequence[int], block_cost: int = _BLOCK_COST) -> list[tuple[int, int]]:
    """Cut ascending `lengths` into runs with the least sum of padding and block overhead.

    Dynamic programme over the distinct lengths, so it is quick for any batch size.
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

    Unused tokens fill the batch up to a multiple of `_TOKEN_ROUND`: oneDNN compiles a kernel for each new matrix shape, and with a new
    token count in every batch that took a quarter of the training time.
    """
    order = rows[np.argsort([len(ids[r]) for r in rows], kind="stable")]
    lengths = [len(ids[r]) for r in order]
    tokens: list[np.ndarray] = []
    positions: list[np.ndarray] = []
    blocks: list[PackedBlock] = []
    start = 0
    for lo, hi in split_lengths(lengths):
        length, count = lengths[hi - 1], hi - lo
        grid = np.full((count, length), pad_id, dtype=np.int64)
        mask = np.zeros((count, length), dtype=np.float32)
        for i, r in enumerate(order[lo:hi]):
            grid[i, : len(ids[r])] = ids[r]
            mask[i, : len(ids[r])] = 1.0
        padded = lengths[lo] != length
        blocks.append(PackedBlock(start, count, length, lo, torch.from_numpy(mask) if padded else None))
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

    With `bucket` > 1 every run of that many batches is sorted by length before the cut, then all batches are shuffled: fewer blocks per
    batch and less padding, while a batch still mixes rows of the whole data set. A last batch of under half the rows is dealt out to other
    batches instead of being a noisy step of its own.
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


def plan_pairs(targets: np.ndarray, seed: int, epoch: int, batch_rows: int) -> list[np.ndarray]:
    """The rows of each batch of an epoch, laid out as pairs of one class (a class's odd row is alone), so that even with few rows per class
    every row meets another of its class in its batch."""
    rng = np.random.default_rng([seed, epoch])
    groups: list[np.ndarray] = []
    for target in np.unique(targets):
        own = rng.permutation(np.flatnonzero(targets == target))
        groups += [own[at : at + 2] for at in range(0, len(own), 2)]
    flat = np.concatenate([groups[number] for number in rng.permutation(len(groups))])
    return np.array_split(flat, max(1, round(len(flat) / batch_rows)))


def drop_tokens(ids: Sequence[int], p: float, rng: np.random.Generator) -> Sequence[int]:
    """`ids` without a random share `p` of its inner tokens (the ends are special).

    A cheap augmentation: the label must not depend on a single word, and batches get shorter. At least one inner token stays.
    """
    inner = len(ids) - 2
    if inner < 2:
        return ids
    keep = rng.random(inner) >= p
    if not keep.any():
        return ids
    return [ids[0], *(t for t, k in zip(ids[1:-1], keep, strict=True) if k), ids[-1]]


def chunks(ids: Sequence[Sequence[int]], rows: np.ndarray, batch_tokens: int) -> Iterator[np.ndarray]:
    """Rows sorted by length, in batches of at most `batch_tokens` tokens."""
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

    def fork(self, *seed: int) -> DropoutBank:
        """A bank of the same masks, with its own random offsets."""
        twin = copy.copy(self)
        twin.rng = np.random.default_rng(list(seed))
        return twin

    def draw(self, rows: int, columns: int) -> Tensor:
        """A mask [rows, columns], scaled so that its mean is one."""
        size = rows * columns
        if size > _MASK_BANK:
            times = -(-size // _MASK_BANK)
            return self.bank.repeat(times)[:size].view(rows, columns)
        offset = int(self.rng.integers(0, _MASK_BANK - size + 1))
        return self.bank[offset : offset + size].view(rows, columns)


class PoolingEncoder(Protocol):
    """An encoder that gives one vector of `hidden` numbers per row."""

    hidden: int

    def forward(self, batch: PackedBatch) -> Tensor:
        """Pooled features [rows, hidden], rows in the batch's order."""
        ...


def tokenize(tokenizer_file: Path, texts: Sequence[Text], max_length: int, vocabulary: int) -> list[list[int]]:
    """Token numbers of each text with the model's own tokenizer, special tokens added, cut to `max_length`, unpadded.

    A token of a pair's second text has `vocabulary` added to its number, so one list carries both number and type.
    """
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length, strategy="longest_first")
    encodings = tokenizer.encode_batch(list(texts))
    pairs = any(not isinstance(text, str) for text in texts)
    return [[number + vocabulary * kind for number, kind in zip(e.ids, e.type_ids, strict=True)] if pairs else e.ids for e in encodings]


def encode(
    model: PoolingEncoder,
    ids: Sequence[Sequence[int]],
    rows: np.ndarray,
    workers: Workers | None = None,
    batch_tokens: int = 4096,
) -> Tensor:
    """Pooled features [rows, hidden] of the given rows, in their order; batches are sorted by length and dealt out to the workers."""
    out = torch.empty(len(rows), model.hidden)
    where = {int(r): i for i, r in enumerate(rows)}
    parts = list(chunks(ids, rows, batch_tokens))

    def work(share: int) -> None:
        count = workers.count if workers else 1
        for part in parts[share::count]:
            batch = pack(ids, part)
            out[[where[int(r)] for r in batch.rows]] = model.forward(batch)

    if workers is None:
        work(0)
    else:
        workers.map(work)
    return out


LEAST, MOST = 128, 512
_STEP = 64
_WHOLE = 0.95
"""The share of the texts to read in full; the longest few must not slow down all."""
_AT_ONCE = 512
"""Texts to tokenise at once, to bound memory."""
_CHARACTERS = 16
"""Most characters to read of a text, per token of the limit."""


def tokens_to_read(tokenizer_file: Path, texts: Sequence[Text], most: int = MOST) -> int:
    """The least number of tokens from 128 to `most`, in steps of 64, into which 95 of 100 texts fit, special tokens included."""
    from tokenizers import Tokenizer

    if not texts:
        return min(LEAST, most)
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    cut = most * _CHARACTERS
    short: list[Text] = [text[:cut] if isinstance(text, str) else (text[0][:cut], text[1][:cut]) for text in texts]
    batches = (short[start : start + _AT_ONCE] for start in range(0, len(short), _AT_ONCE))
    lengths = [len(encoding.ids) for batch in batches for encoding in tokenizer.encode_batch(batch)]
    needed = float(np.quantile(lengths, _WHOLE, method="higher"))
    return min(most, max(LEAST, _STEP * int(np.ceil(needed / _STEP))))
