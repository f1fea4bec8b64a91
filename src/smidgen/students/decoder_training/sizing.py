"""How small a decoder can be: what of it has to go so that it is as small as was asked, found by its sizes before anything is taught."""

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
"""What of a decoder may be left out at the most: neurons first, for at one size they lose less than layers."""
SPARE = 0.01
"""What is narrowed is to be so much smaller than the limit; a size that is foretold may be wrong by as much."""

Weigh: TypeAlias = Callable[[int, int], tuple[float, str]]
"""Layers, and neurons of each -> MB in the smallest form that may be shipped, and its name."""


def fitted(
    training: Training, settings: DecoderSettings, forms: Mapping[str, TensorBytes], most: float, progress: Progress, other: str
) -> FittedSettings:
    """The settings, with as much left out as the size needs. Raises GateError where that would be too much."""
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
        told = f"{by} would be {small:.1f} MB with {_left_out(sizes, gone, left)} left out, and more is not sensible"
        raise _too_large(most, told, small / (1 - SPARE), "Ask for more", other)
    share = round(1 - left / sizes.inner, 4)
    why = f"at most {most:g} MB were asked for, and whole it would be {size:.1f} MB in its smallest form ({form}), so "
    why += f"{_left_out(sizes, gone, left)} are left out, which makes about {small:.1f} MB ({by})"
    return FittedSettings(settings.model_copy(update={"drop_neurons": share, "drop_layers": gone}), why)


def _shapes(sizes: DecoderSizes, weigh: Weigh, most: float) -> Iterator[tuple[int, int, float, str]]:
    """Layers that go and neurons that stay, with MB and form, of all that fit: the fewest layers first, and of these the most neurons."""
    layers, _ = _fewest(sizes)
    for gone in range(layers + 1):
        for left in _widths(sizes.inner):
            size, form = weigh(sizes.layers - gone, left)
            if size <= most * (1 - SPARE):
                yield gone, left, size, form


def _widths(inner: int) -> list[int]:
    """How many neurons of a layer may stay, from all of them down."""
    least = max(NEURON_STEP, NEURON_STEP * math.ceil((1 - MOST_NEURONS) * inner / NEURON_STEP))
    return [inner, *range((inner - 1) // NEURON_STEP * NEURON_STEP, least - 1, -NEURON_STEP)]


def _fewest(sizes: DecoderSizes) -> tuple[int, int]:
    """The most layers that may go, and the fewest neurons that may stay."""
    return min(sizes.most_layers, int(MOST_LAYERS * sizes.layers)), _widths(sizes.inner)[-1]


def _left_out(sizes: DecoderSizes, gone: int, left: int) -> str:
    neurons = f"{1 - left / sizes.inner:.0%} of the feed-forward neurons" if left < sizes.inner else ""
    layers = f"{gone} of {sizes.layers} layers" if gone else ""
    return " and ".join(part for part in (neurons, layers) if part) or "nothing"


def _too_large(most: float, told: str, size: float, todo: str, other: str) -> GateError:
    return GateError(
        "no form of the decoder can be as small as was asked for",
        value=f"at most {most:g} MB; {told}",
        todo=f"{todo} (--max-size-mb {math.ceil(size * 10) / 10:g}), name a smaller base (--base){other}.",
    )
