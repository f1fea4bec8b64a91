"""Leaves out neurons of a taught decoder's feed-forward layers: of each layer those that say least in the answers.

What one says: how strongly it is active on the answers' tokens, in the mean, times the norm of its column in the matrix behind it. All
layers keep as many, so that what is left is a plain decoder with a narrower inner layer, which every engine runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from smidgen.core.errors import TrainError
from smidgen.students.adapters import Change, Frozen
from smidgen.students.llama import DOWN, GATE_UP

STEP = 32
"""Numbers of neurons that are kept are multiples of it: packed forms store matrices in blocks of so many."""


def width(inner: int, share: float) -> int:
    """How many of `inner` neurons stay where this share is to go. Raises TrainError where that is none less, or hardly one."""
    left = round(inner * (1 - share) / STEP) * STEP
    if not STEP <= left < inner:
        todo = f"Leave out another share; a layer keeps a multiple of {STEP}."
        raise TrainError("the neurons cannot be left out so", value=f"{share:.0%} of {inner}", todo=todo)
    return left


def lasting(activity: Tensor, change: Change, share: float) -> list[list[int]]:
    """Of each layer the numbers of the neurons that stay, ascending.

    Args:
        activity: (layers, inner) mean activity of each neuron, without its sign.
        change: of the decoder as it was taught.
        share: of the neurons, which are to go.
    """
    left = width(change.shape.inner, share)
    found = []
    for number, active in enumerate(activity):
        says = active * torch.linalg.vector_norm(change.matrix(DOWN, number), dim=0)
        found.append(sorted(says.topk(left).indices.tolist()))
    return found


def narrowed(change: Change, neurons: Sequence[Sequence[int]]) -> Change:
    """The change with these neurons of each layer alone, from where it stands."""
    shape, frozen = replace(change.shape, inner=len(neurons[0])), change.frozen
    layers = [
        {place: _part(place, matrix, kept) for place, matrix in layer.items()} for layer, kept in zip(frozen.layers, neurons, strict=True)
    ]
    less = Frozen(layers, frozen.norms, frozen.beside)
    made = change.fresh(shape, less)
    for (place, number), tensors in change.tensors.items():
        for mine, theirs in zip(made.tensors[place, number], tensors, strict=True):
            # Of an adapter one of the two factors has the neurons; of a matrix the one that there is.
            mine.copy_(theirs if mine.shape == theirs.shape else _part(place, theirs, neurons[number]))
    return made


def _part(place: str, matrix: Tensor, kept: Sequence[int]) -> Tensor:
    """The rows or columns of a matrix that belong to the neurons; the whole matrix, where none does."""
    at = torch.tensor(kept)
    if place == GATE_UP:
        return matrix[torch.cat([at, at + len(matrix) // 2])]
    return matrix[:, at] if place == DOWN else matrix
