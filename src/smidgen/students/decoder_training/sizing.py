"""Fit a decoder to a size limit: find how many neurons and layers to drop, from the sizes of its tensors, before any training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from smidgen.core.errors import GateError
from smidgen.core.parts import FittedSettings, TensorBytes, Training
from smidgen.core.progress import Progress, Silent
from smidgen.students.decoder_training.files import DecoderSizes, sizes_of
from smidgen.students.decoder_training.pruning import NEURON_STEP, neurons_left
from smidgen.students.settings import DecoderSettings
from smidgen.students.vocabulary import kept_tokens

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


def _too_large(most: float, told: str, size: float, todo: str, other: str) -> GateError:
    return GateError(
        "no form of the decoder fits the size limit",
        value=f"at most {most:g} MB; {told}",
        todo=f"{todo} (--max-size-mb {math.ceil(size * 10) / 10:g}), name a smaller base (--base){other}.",
    )
