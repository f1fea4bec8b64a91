"""Train the lexical baseline: weights of features and of transitions between tags, by maximum likelihood."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from smidgen.core.parts import Raw
from smidgen.core.progress import Progress
from smidgen.core.rows import Text, joined
from smidgen.students.encoder_training.bert import NEGATIVE
from smidgen.students.tagger_training import chain_loss
from smidgen.text import tagging
from smidgen.text.tagging import MOST_CHARACTERS, TagChain, allowed_transitions, features

Numbered = tuple[list[list[int]], NDArray[np.int64]]
"""A text: the feature numbers of each word, and its tags."""


@dataclass(frozen=True)
class LexicalTrainingConfig:
    """Passes, rows per step, the rate of the first step, and weight decay."""

    epochs: int
    batch_rows: int
    learning_rate: float
    decay: float


def trained(
    rows: Sequence[Numbered], size: int, tags: int, course: LexicalTrainingConfig, seed: int, progress: Progress
) -> dict[str, Tensor]:
    """`weight` (features, tags) and `transitions` (tags, tags), f32: the mean over the second half of the passes, which is steadier than
    the last values (Polyak and Juditsky 1992)."""
    weight, transitions = torch.zeros(size, tags, requires_grad=True), torch.zeros(tags, tags, requires_grad=True)
    mean = [torch.zeros(size, tags), torch.zeros(tags, tags)]
    squares = [torch.full((size, tags), 1e-6), torch.full((tags, tags), 1e-6)]
    barred = [torch.zeros(mask.shape).masked_fill(~torch.from_numpy(mask), NEGATIVE) for mask in allowed_transitions((tags - 1) // 4)]
    rng = np.random.default_rng([seed, 5])
    batches = max(1, len(rows) // course.batch_rows)
    progress.start("train lexical", course.epochs * batches)
    kept = 0
    for epoch in range(course.epochs):
        # Rows of similar length together: a batch takes as many chain steps as its longest row.
        order = sorted(rng.permutation(len(rows)).tolist(), key=lambda place: len(rows[place][1]))
        for part in (np.array_split(order, batches)[place] for place in rng.permutation(batches)):
            batch = [rows[place] for place in part]
            sizes = [len(gold) for _, gold in batch]
            logits = _emissions([word for words, _ in batch for word in words], weight)
            grid = torch.nn.utils.rnn.pad_sequence(list(torch.split(logits, sizes)), batch_first=True)
            gold = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(gold) for _, gold in batch], batch_first=True)
            loss = chain_loss(grid, gold, torch.tensor(sizes), transitions + barred[0], barred[1], barred[2]) / len(batch)
            found = torch.autograd.grad(loss, (weight, transitions))
            with torch.no_grad():
                for parameter, gradient, square in zip((weight, transitions), found, squares, strict=True):
                    gradient = gradient + course.decay * parameter
                    square.addcmul_(gradient, gradient)
                    parameter.addcdiv_(gradient, square.sqrt(), value=-course.learning_rate)
            progress.advance(1, loss=float(loss.detach()) / max(1.0, float(np.mean(sizes))))
        if epoch >= course.epochs // 2:
            kept += 1
            for total, parameter in zip(mean, (weight, transitions), strict=True):
                total += (parameter.detach() - total) / kept
    return {"weight": mean[0], "transitions": mean[1]}


def computed(folder: Path, texts: Sequence[Text]) -> Raw:
    """`spans` of texts by the trained baseline in `folder`."""
    table: dict[str, Any] = json.loads((folder / "features.json").read_text(encoding="utf-8"))
    tensors = load_file(folder / "lexical.safetensors")
    index = {entry: place for place, entry in enumerate(table["features"])}
    chain = TagChain(tensors["transitions"].numpy())
    found = []
    for text in (joined(text)[:MOST_CHARACTERS] for text in texts):
        units = tagging.units(text, table["level"])
        words = features([text[start:end] for start, end in units], table["names"])
        numbers = [[index[entry] for entry in word if entry in index] for word in words]
        likely = chain.spans(_emissions(numbers, tensors["weight"]).numpy()) if units else []
        found.append([[units[a][0], units[b][1], kind, round(chance, 6)] for a, b, kind, chance in likely])
    return {"spans": found}


def _emissions(words: Sequence[Sequence[int]], weight: Tensor) -> Tensor:
    """Log weights [words, tags]: the sum over each word's features."""
    offsets = torch.tensor(np.concatenate([[0], np.cumsum([len(word) for word in words])[:-1]]), dtype=torch.int64)
    flat = torch.tensor([entry for word in words for entry in word], dtype=torch.int64)
    return torch.nn.functional.embedding_bag(flat, weight, offsets, mode="sum")
