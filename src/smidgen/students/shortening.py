"""Drops the layers of a taught decoder that change least, and teaches what is left of it again from what the whole model says.

Which ones: those that turn the vectors of the answers' tokens least (block influence; ShortGPT, Men et al. 2024). The first and the last
layer stay. What is left starts from what was taught, and learns the answers and the whole model's chances of them, half and half.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from smidgen.core.errors import TrainError
from smidgen.students.adapters import Change, Frozen, sizes
from smidgen.students.blocks import Guide, Layer
from smidgen.students.llama import PLACES, Llama
from smidgen.students.teaching import Course, Teacher

LEAST = 3
"""Layers that stay at least."""
GUIDED = 0.5
"""The share of what the healed model learns that comes from the whole one."""


def lasting(influences: Sequence[float], drop: int) -> list[int]:
    """The numbers of the layers that stay, ascending. Raises TrainError where fewer than three would."""
    count = len(influences)
    enough(count, drop)
    inner = np.argsort(np.asarray(influences)[1:-1], kind="stable") + 1
    gone = set(inner[:drop].tolist())
    return [number for number in range(count) if number not in gone]


def enough(count: int, drop: int) -> None:
    """Refuse to drop so many of `count` layers that fewer than three would stay, with TrainError. To drop none is always possible."""
    if drop and count - drop < LEAST:
        raise TrainError("too few layers would be left", value=f"{drop} of {count} dropped", todo=f"Drop {max(0, count - LEAST)} at most.")


def healer(teacher: Teacher, change: Change, course: Course) -> Teacher:
    """A teacher of what is left of the decoder, `change`, guided by the whole one, or by the guide that there was. It takes over the
    lessons and the workers."""
    whole = teacher.model
    layers = [
        Layer(
            **{place: torch.empty(size, dtype=whole.dtype) for place, size in sizes(change.shape).items()},
            beside=beside.to(whole.dtype),
        )
        for beside in change.frozen.beside
    ]
    model = Llama(change.shape, whole.table, whole.output, layers, whole.before)
    change.merge(model, teacher.workers)
    lessons, held = ([lesson for group in groups for lesson in group] for groups in (teacher.groups, teacher.held))
    # A larger guide knows better than the whole model what is to be written.
    return Teacher(model, change, lessons, held, course, teacher.workers, teacher.guide or Guide(whole, GUIDED), teacher.drawing)


def shortened(change: Change, layers: Sequence[int]) -> Change:
    """The change of those layers, numbered anew, from where it stands."""
    whole = change.frozen
    frozen = Frozen([whole.layers[n] for n in layers], [whole.norms[n] for n in layers], [whole.beside[n] for n in layers])
    made = change.fresh(replace(change.shape, layers=len(layers)), frozen)
    for at, number in enumerate(layers):
        for place in PLACES:
            for mine, theirs in zip(made.tensors[(place, at)], change.tensors[(place, number)], strict=True):
                mine.copy_(theirs)
    return made
