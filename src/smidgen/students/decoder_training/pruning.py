"""Prune a trained decoder: drop layers, feed-forward neurons, or both, and train the rest again. And what has to go for a wanted size.

The layers with the least influence on answer tokens are dropped (block influence; ShortGPT, Men et al. 2024), but never the first or the
last. In each layer, the neurons with the least score are dropped: the mean activity on answer tokens, times the norm of the neuron's
column in the matrix behind. All layers keep equally many neurons, so every engine can run the result. The second training starts from the
trained weights, and learns the answers and the whole model's probabilities, half and half.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from smidgen.core.errors import GateError, TrainError
from smidgen.core.parts import FittedSettings, TensorBytes, Training
from smidgen.core.progress import Progress, Silent
from smidgen.students.decoder_training.adapters import FrozenWeights, WeightChange, sizes
from smidgen.students.decoder_training.files import LEAST_LAYERS, DecoderSizes, sizes_of
from smidgen.students.decoder_training.model import DOWN, GATE_UP, PLACES, DecoderGuide, DecoderLayer, LlamaModel
from smidgen.students.decoder_training.training import DecoderTrainConfig, DecoderTrainer
from smidgen.students.settings import DecoderSettings
from smidgen.students.vocabulary import kept_tokens

NEURON_STEP = 32
"""The number of kept neurons is a multiple of this, the block size of quantised matrices."""


def neurons_left(inner: int, share: float) -> int:
    """The number of neurons that remain of `inner` without this share. Raises TrainError if none would be dropped, or too few remain."""
    left = round(inner * (1 - share) / NEURON_STEP) * NEURON_STEP
    if not NEURON_STEP <= left < inner:
        raise TrainError("students.this_share_of_neurons_cannot_be_dropped", share=f"{share:.0%}", inner=inner, neuron_step=NEURON_STEP)
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
        raise TrainError("students.too_few_layers_would_be_left", drop=drop, count=count, most=max(0, count - LEAST_LAYERS))


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


MOST_NEURONS, MOST_LAYERS = 0.6, 1 / 3
"""The most of a decoder that may be dropped: neurons first, because at equal size they lose less quality than layers."""
SPARE = 0.01
"""A pruned decoder must be smaller than the limit by this share, because the predicted size may be wrong by as much."""

Weigh: TypeAlias = Callable[[int, int], tuple[float, str]]
"""Layers, and neurons of each -> MB in the smallest form that may be shipped, and its name."""


def fitted(
    training: Training, settings: DecoderSettings, forms: Mapping[str, TensorBytes], most: float, progress: Progress, other: str
) -> FittedSettings:
    """The settings, with as much dropped as the size limit needs. Raises GateError if that would be too much."""
    assert training.base is not None
    kept = kept_tokens(training, settings, Silent())
    sizes = sizes_of(training.base.folder, kept)

    def weigh(layers: int, inner: int) -> tuple[float, str]:
        return min((sizes.megabytes(stored, layers, inner), name) for name, stored in forms.items())

    size, form = weigh(sizes.layers, sizes.inner)
    progress.finish(f"{form}: {size:.1f} MB")
    if settings.pruned or settings.adapter:
        inner = neurons_left(sizes.inner, settings.drop_neurons) if settings.drop_neurons else sizes.inner
        size, form = weigh(sizes.layers - settings.drop_layers, inner)
        if size > most * (1 + SPARE):
            first = "Leave drop_layers and drop_neurons to the build" if settings.pruned else "Build without an adapter apart"
            raise _too_large(most, f"{form} would be {size:.1f} MB", size, f"{first}. Or ask for more", other)
        return FittedSettings(settings)
    if size <= most:
        return FittedSettings(settings)
    gone, left, small, by = next(_shapes(sizes, weigh, most), (0, 0, 0.0, ""))
    if not by:
        gone, left = _fewest(sizes)
        small, by = weigh(sizes.layers - gone, left)
        told = f"{by} would be {small:.1f} MB with {_left_out(sizes, gone, left)} left out, and dropping more is not sensible"
        raise _too_large(most, told, small / (1 - SPARE), "Ask for more", other)
    share = round(1 - left / sizes.inner, 4)
    why = f"the limit is {most:g} MB, and the whole model would be {size:.1f} MB in its smallest form ({form}), so "
    why += f"{_left_out(sizes, gone, left)} are left out, which makes about {small:.1f} MB ({by})"
    return FittedSettings(settings.model_copy(update={"drop_neurons": share, "drop_layers": gone}), why)


def _shapes(sizes: DecoderSizes, weigh: Weigh, most: float) -> Iterator[tuple[int, int, float, str]]:
    """Numbers of dropped layers and remaining neurons, with MB and form, of all variants that fit: the fewest dropped layers first, then
    the most neurons."""
    layers, _ = _fewest(sizes)
    for gone in range(layers + 1):
        for left in _widths(sizes.inner):
            size, form = weigh(sizes.layers - gone, left)
            if size <= most * (1 - SPARE):
                yield gone, left, size, form


def _widths(inner: int) -> list[int]:
    """Possible numbers of neurons per layer, from all of them down."""
    least = max(NEURON_STEP, NEURON_STEP * math.ceil((1 - MOST_NEURONS) * inner / NEURON_STEP))
    return [inner, *range((inner - 1) // NEURON_STEP * NEURON_STEP, least - 1, -NEURON_STEP)]


def _fewest(sizes: DecoderSizes) -> tuple[int, int]:
    """The most layers to drop, and the fewest neurons to keep."""
    return min(sizes.most_layers, int(MOST_LAYERS * sizes.layers)), _widths(sizes.inner)[-1]


def _left_out(sizes: DecoderSizes, gone: int, left: int) -> str:
    neurons = f"{1 - left / sizes.inner:.0%} of the feed-forward neurons" if left < sizes.inner else ""
    layers = f"{gone} of {sizes.layers} layers" if gone else ""
    return " and ".join(part for part in (neurons, layers) if part) or "nothing"


def _too_large(most: float, forms: str, size: float, todo: str, other: str) -> GateError:
    return GateError(
        "students.no_form_of_decoder_fits_size_limit",
        most=f"{most:g}",
        forms=forms,
        advice=todo,
        ceil=f"{math.ceil(size * 10) / 10:g}",
        other=other,
    )
