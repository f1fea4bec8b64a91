"""Prunes a taught decoder: drops layers, neurons of the feed-forward layers, or both, and teaches what is left again.

Layers: those go that turn the vectors of the answers' tokens least (block influence; ShortGPT, Men et al. 2024). The first and the last
stay. Neurons: of each layer those go that are least active on the answers' tokens, in the mean, times the norm of their column in the
matrix behind. All layers keep as many, so every engine runs what is left. It starts from what was taught, and learns the answers and the
whole model's chances of them, half and half.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from smidgen.core.errors import TrainError
from smidgen.core.progress import Progress
from smidgen.students.decoder_training.adapters import FrozenWeights, WeightChange, sizes
from smidgen.students.decoder_training.layers import DecoderGuide, DecoderLayer
from smidgen.students.decoder_training.model import DOWN, GATE_UP, PLACES, LlamaModel
from smidgen.students.decoder_training.training import DecoderTrainConfig, DecoderTrainer
from smidgen.students.settings import DecoderSettings

# Neurons.

NEURON_STEP = 32
"""Numbers of neurons that are kept are multiples of it: packed forms store matrices in blocks of so many."""


def neurons_left(inner: int, share: float) -> int:
    """How many of `inner` neurons stay where this share is to go. Raises TrainError where that is none less, or hardly one."""
    left = round(inner * (1 - share) / NEURON_STEP) * NEURON_STEP
    if not NEURON_STEP <= left < inner:
        todo = f"Leave out another share; a layer keeps a multiple of {NEURON_STEP}."
        raise TrainError("the neurons cannot be left out so", value=f"{share:.0%} of {inner}", todo=todo)
    return left


def lasting_neurons(activity: Tensor, change: WeightChange, share: float) -> list[list[int]]:
    """Of each layer the numbers of the neurons that stay, ascending.

    Args:
        activity: (layers, inner) mean activity of each neuron, without its sign.
        change: of the decoder as it was taught.
        share: of the neurons, which are to go.
    """
    left = neurons_left(change.shape.inner, share)
    found = []
    for number, active in enumerate(activity):
        says = active * torch.linalg.vector_norm(change.matrix(DOWN, number), dim=0)
        found.append(sorted(says.topk(left).indices.tolist()))
    return found


def narrowed(change: WeightChange, neurons: Sequence[Sequence[int]]) -> WeightChange:
    """The change with these neurons of each layer alone, from where it stands."""
    shape, frozen = replace(change.shape, inner=len(neurons[0])), change.frozen
    layers = [
        {place: _part_of_matrix(place, matrix, kept) for place, matrix in layer.items()}
        for layer, kept in zip(frozen.layers, neurons, strict=True)
    ]
    less = FrozenWeights(layers, frozen.norms, frozen.beside)
    made = change.fresh(shape, less)
    for (place, number), tensors in change.tensors.items():
        for mine, theirs in zip(made.tensors[place, number], tensors, strict=True):
            # Of an adapter one of the two factors has the neurons; of a matrix the one that there is.
            mine.copy_(theirs if mine.shape == theirs.shape else _part_of_matrix(place, theirs, neurons[number]))
    return made


def _part_of_matrix(place: str, matrix: Tensor, kept: Sequence[int]) -> Tensor:
    """The rows or columns of a matrix that belong to the neurons; the whole matrix, where none does."""
    at = torch.tensor(kept)
    if place == GATE_UP:
        return matrix[torch.cat([at, at + len(matrix) // 2])]
    return matrix[:, at] if place == DOWN else matrix


# Layers.

LEAST_LAYERS = 3
"""Layers that stay at least."""
GUIDED = 0.5
"""The share of what the healed model learns that comes from the whole one."""


def lasting_layers(influences: Sequence[float], drop: int) -> list[int]:
    """The numbers of the layers that stay, ascending. Raises TrainError where fewer than three would."""
    count = len(influences)
    check_layers_left(count, drop)
    inner = np.argsort(np.asarray(influences)[1:-1], kind="stable") + 1
    gone = set(inner[:drop].tolist())
    return [number for number in range(count) if number not in gone]


def check_layers_left(count: int, drop: int) -> None:
    """Refuse to drop so many of `count` layers that fewer than three would stay, with TrainError. To drop none is always possible."""
    if drop and count - drop < LEAST_LAYERS:
        raise TrainError(
            "too few layers would be left", value=f"{drop} of {count} dropped", todo=f"Drop {max(0, count - LEAST_LAYERS)} at most."
        )


def healer(teacher: DecoderTrainer, change: WeightChange, course: DecoderTrainConfig) -> DecoderTrainer:
    """A teacher of what is left of the decoder, `change`, guided by the whole one, or by the guide that there was. It takes over the
    lessons and the workers."""
    whole = teacher.model
    layers = [
        DecoderLayer(
            **{place: torch.empty(size, dtype=whole.dtype) for place, size in sizes(change.shape).items()},
            beside=beside.to(whole.dtype),
        )
        for beside in change.frozen.beside
    ]
    model = LlamaModel(change.shape, whole.table, whole.output, layers, whole.before)
    change.merge(model, teacher.workers)
    lessons, held = ([lesson for group in groups for lesson in group] for groups in (teacher.groups, teacher.held))
    # A larger guide knows better than the whole model what is to be written.
    return DecoderTrainer(
        model, change, lessons, held, course, teacher.workers, teacher.guide or DecoderGuide(whole, GUIDED), teacher.drawing
    )


def shortened(change: WeightChange, layers: Sequence[int]) -> WeightChange:
    """The change of those layers, numbered anew, from where it stands."""
    whole = change.frozen
    frozen = FrozenWeights([whole.layers[n] for n in layers], [whole.norms[n] for n in layers], [whole.beside[n] for n in layers])
    made = change.fresh(replace(change.shape, layers=len(layers)), frozen)
    for at, number in enumerate(layers):
        for place in PLACES:
            for mine, theirs in zip(made.tensors[(place, at)], change.tensors[(place, number)], strict=True):
                mine.copy_(theirs)
    return made


# Both together.


def pruned(
    teacher: DecoderTrainer, settings: DecoderSettings, progress: Progress
) -> tuple[WeightChange, list[int] | None, list[list[int]] | None]:
    """The change of what is left, the layers that stay, and the neurons of each of these; None where all stay. Both are chosen by the whole
    decoder. Raises TrainError where too little would be left."""
    change, layers, neurons = teacher.change, None, None
    if settings.drop_neurons:
        neurons = lasting_neurons(teacher.activity(), change, settings.drop_neurons)
        progress.say(f"{len(neurons[0])} of {change.shape.inner} neurons of each feed-forward layer stay")
    if settings.drop_layers:
        layers = lasting_layers(teacher.influences().tolist(), settings.drop_layers)
        progress.say(f"{len(layers)} of {change.shape.layers} layers stay: {', '.join(map(str, layers))}")
        change = shortened(change, layers)
        neurons = None if neurons is None else [neurons[number] for number in layers]
    return (change if neurons is None else narrowed(change, neurons)), layers, neurons
