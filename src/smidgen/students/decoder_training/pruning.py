"""Prune a trained decoder: drop layers, feed-forward neurons, or both, and train the rest again.

The layers with the least influence on answer tokens are dropped (block influence; ShortGPT, Men et al. 2024), but never the first or the
last. In each layer, the neurons with the least score are dropped: the mean activity on answer tokens, times the norm of the neuron's
column in the matrix behind. All layers keep equally many neurons, so every engine can run the result. The second training starts from the
trained weights, and learns the answers and the whole model's probabilities, half and half.
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

NEURON_STEP = 32
"""The number of kept neurons is a multiple of this, the block size of quantised matrices."""


def neurons_left(inner: int, share: float) -> int:
    """The number of neurons that remain of `inner` without this share. Raises TrainError if none would be dropped, or too few remain."""
    left = round(inner * (1 - share) / NEURON_STEP) * NEURON_STEP
    if not NEURON_STEP <= left < inner:
        todo = f"Choose another share; a layer keeps a multiple of {NEURON_STEP} neurons."
        raise TrainError("this share of the neurons cannot be dropped", value=f"{share:.0%} of {inner}", todo=todo)
    return left


def lasting_neurons(activity: Tensor, change: WeightChange, share: float) -> list[list[int]]:
    """The numbers of the remaining neurons of each layer, ascending.

    Args:
        activity: (layers, inner) mean absolute activity of each neuron.
        change: the trained decoder's.
        share: the share of neurons to drop.
    """
    left = neurons_left(change.shape.inner, share)
    found = []
    for number, active in enumerate(activity):
        says = active * torch.linalg.vector_norm(change.matrix(DOWN, number), dim=0)
        found.append(sorted(says.topk(left).indices.tolist()))
    return found


def narrowed(change: WeightChange, neurons: Sequence[Sequence[int]]) -> WeightChange:
    """The change with only these neurons of each layer."""
    shape, frozen = replace(change.shape, inner=len(neurons[0])), change.frozen
    layers = [
        {place: _part_of_matrix(place, matrix, kept) for place, matrix in layer.items()}
        for layer, kept in zip(frozen.layers, neurons, strict=True)
    ]
    less = FrozenWeights(layers, frozen.norms, frozen.beside)
    made = change.fresh(shape, less)
    for (place, number), tensors in change.tensors.items():
        for mine, theirs in zip(made.tensors[place, number], tensors, strict=True):
            # Of an adapter's two factors only one has neurons.
            mine.copy_(theirs if mine.shape == theirs.shape else _part_of_matrix(place, theirs, neurons[number]))
    return made


def _part_of_matrix(place: str, matrix: Tensor, kept: Sequence[int]) -> Tensor:
    """The rows or columns of a matrix for these neurons; the whole matrix if it has no neurons."""
    at = torch.tensor(kept)
    if place == GATE_UP:
        return matrix[torch.cat([at, at + len(matrix) // 2])]
    return matrix[:, at] if place == DOWN else matrix


LEAST_LAYERS = 3
"""The least number of remaining layers."""
GUIDED = 0.5
"""The weight of the whole model's probabilities in the second training."""


def lasting_layers(influences: Sequence[float], drop: int) -> list[int]:
    """The numbers of the remaining layers, ascending. Raises TrainError if fewer than three would remain."""
    count = len(influences)
    check_layers_left(count, drop)
    inner = np.argsort(np.asarray(influences)[1:-1], kind="stable") + 1
    gone = set(inner[:drop].tolist())
    return [number for number in range(count) if number not in gone]


def check_layers_left(count: int, drop: int) -> None:
    """Raise TrainError if dropping these of `count` layers leaves fewer than three. Dropping none is always possible."""
    if drop and count - drop < LEAST_LAYERS:
        raise TrainError(
            "too few layers would be left", value=f"{drop} of {count} dropped", todo=f"Drop {max(0, count - LEAST_LAYERS)} at most."
        )


def healer(teacher: DecoderTrainer, change: WeightChange, course: DecoderTrainConfig) -> DecoderTrainer:
    """A trainer for the pruned decoder, `change`, guided by the whole one, or by the guide of its training. It takes over the examples and
    the workers."""
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
    # A larger guide is better than the whole model.
    return DecoderTrainer(
        model, change, lessons, held, course, teacher.workers, teacher.guide or DecoderGuide(whole, GUIDED), teacher.drawing
    )


def shortened(change: WeightChange, layers: Sequence[int]) -> WeightChange:
    """The change with only those layers, renumbered."""
    whole = change.frozen
    frozen = FrozenWeights([whole.layers[n] for n in layers], [whole.norms[n] for n in layers], [whole.beside[n] for n in layers])
    made = change.fresh(replace(change.shape, layers=len(layers)), frozen)
    for at, number in enumerate(layers):
        for place in PLACES:
            for mine, theirs in zip(made.tensors[(place, at)], change.tensors[(place, number)], strict=True):
                mine.copy_(theirs)
    return made


def pruned(
    teacher: DecoderTrainer, settings: DecoderSettings, progress: Progress
) -> tuple[WeightChange, list[int] | None, list[list[int]] | None]:
    """Prune the trained decoder. Returns the change of the rest, the remaining layers, and the remaining neurons of each of these; None if
    all remain. Both are chosen on the whole decoder. Raises TrainError if too little would remain."""
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
