"""How each student is taught; and what of a decoder has to go so that it is as small as was asked, found by its sizes before anything is
taught."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from smidgen.compress.settings import CompressSettings
from smidgen.core.errors import GateError
from smidgen.core.parts import HALF, Training
from smidgen.core.progress import Silent
from smidgen.core.settings import Settings
from smidgen.core.sizes import Foretelling, Stored, whole
from smidgen.flows import entrants
from smidgen.flows.examples import Examples
from smidgen.flows.training import Bench
from smidgen.parts import registry
from smidgen.parts.recipe import Recipe
from smidgen.students.decoder import need_torch
from smidgen.students.decoder_settings import DecoderSettings
from smidgen.students.settings import StudentSettings

if TYPE_CHECKING:
    from smidgen.students.decoder_sizes import Sizes

MOST_NEURONS, MOST_LAYERS = 0.6, 1 / 3
"""What of a decoder may be left out at the most: neurons first, for at one size they lose less than layers."""
SPARE = 0.01
"""What is narrowed is to be so much smaller than the limit; a size that is foretold may be wrong by as much."""

Weigh: TypeAlias = Callable[[int, int], tuple[float, str]]
"""Layers, and neurons of each -> MB in the smallest form that may be shipped, and its name."""


@dataclass(frozen=True)
class Fitting:
    """A student's settings, and in a clause why they leave something of it out that nobody asked to be left out."""

    settings: Settings
    why: str = ""


def fittings(recipe: Recipe, examples: Examples, bench: Bench, kinds: Sequence[str]) -> dict[str, Fitting]:
    """How each student is taught.

    Raises:
        GateError: a decoder cannot be as small as was asked, and no other student is to be taught.
        RecipeError: as `entrants.settings_of`. TrainError, BaseError: a decoder that could not be taught.
    """
    found = {kind: Fitting(entrants.settings_of(recipe, kind, bench.task)) for kind in kinds}
    most = recipe.settings(StudentSettings).max_size_mb
    for kind, one in found.items():
        if most is None or not isinstance(one.settings, DecoderSettings) or not (forms := _forms(recipe, kind)):
            continue
        try:
            found[kind] = _fitted(recipe, examples, bench, kind, one.settings, forms, most)
        except GateError as error:
            if not {*kinds} - {kind, bench.task.baseline}:
                raise
            bench.progress.say(f"{error.what}: {error.value}")
    return found


def _forms(recipe: Recipe, kind: str) -> dict[str, Stored]:
    """What a decoder may be shipped in, by name; none where a method does not tell what it would store."""
    able = [registry.find("compress", name) for name in entrants.methods(recipe)]
    able = [method for method in able if registry.find("students", kind).engine in method.engines]
    if not all(isinstance(method, Foretelling) for method in able):
        return {}
    plain: dict[str, Stored] = {HALF: whole} if recipe.settings(CompressSettings).method in ("auto", "none") else {}
    return plain | {method.name: method.stored for method in able}


def _fitted(
    recipe: Recipe, examples: Examples, bench: Bench, kind: str, settings: DecoderSettings, forms: dict[str, Stored], most: float
) -> Fitting:
    """The settings, with as much left out as the size needs. Raises GateError where that would be too much."""
    need_torch()
    from smidgen.students.decoder_sizes import sizes_of
    from smidgen.students.keeping import kept_tokens
    from smidgen.students.narrowing import width

    base = bench.base(kind)
    assert base is not None
    bench.progress.start(f"see how small {kind} can be")
    rows, guide = bench.rows_for(kind, examples.train, examples.form), bench.guide if settings.guide else None
    training = Training(rows, (), examples.form, base, settings, bench.seed, guide=guide)
    kept = kept_tokens(training, settings, Silent())
    sizes = sizes_of(base.folder, kept)

    def weigh(layers: int, inner: int) -> tuple[float, str]:
        return min((sizes.megabytes(stored, layers, inner), name) for name, stored in forms.items())

    size, form = weigh(sizes.layers, sizes.inner)
    bench.progress.finish(f"{form}: {size:.1f} MB")
    if settings.pruned or settings.adapter:
        inner = width(sizes.inner, settings.drop_neurons) if settings.drop_neurons else sizes.inner
        size, form = weigh(sizes.layers - settings.drop_layers, inner)
        if size > most * (1 + SPARE):
            first = "Leave drop_layers and drop_neurons to the build" if settings.pruned else "Build without an adapter apart"
            raise _too_large(recipe, most, f"{form} would be {size:.1f} MB", size, f"{first}. Or ask for more")
        return Fitting(settings)
    if size <= most:
        return Fitting(settings)
    gone, left, small, by = next(_shapes(sizes, weigh, most), (0, 0, 0.0, ""))
    if not by:
        gone, left = _fewest(sizes)
        small, by = weigh(sizes.layers - gone, left)
        told = f"{by} would be {small:.1f} MB with {_left_out(sizes, gone, left)} left out, and more is not sensible"
        raise _too_large(recipe, most, told, small / (1 - SPARE), "Ask for more")
    share = round(1 - left / sizes.inner, 4)
    settings = settings.model_copy(update={"drop_neurons": share, "drop_layers": gone})
    why = f"at most {most:g} MB were asked for, and whole it would be {size:.1f} MB in its smallest form ({form}), so "
    why += f"{_left_out(sizes, gone, left)} are left out, which makes about {small:.1f} MB ({by})"
    bench.progress.say(f"{kind}: {why}")
    return Fitting(settings, why)


def _shapes(sizes: Sizes, weigh: Weigh, most: float) -> Iterator[tuple[int, int, float, str]]:
    """Layers that go and neurons that stay, with MB and form, of all that fit: the fewest layers first, and of these the most neurons."""
    layers, _ = _fewest(sizes)
    for gone in range(layers + 1):
        for left in _widths(sizes.inner):
            size, form = weigh(sizes.layers - gone, left)
            if size <= most * (1 - SPARE):
                yield gone, left, size, form


def _widths(inner: int) -> list[int]:
    """How many neurons of a layer may stay, from all of them down."""
    from smidgen.students.narrowing import STEP

    least = max(STEP, STEP * math.ceil((1 - MOST_NEURONS) * inner / STEP))
    return [inner, *range((inner - 1) // STEP * STEP, least - 1, -STEP)]


def _fewest(sizes: Sizes) -> tuple[int, int]:
    """The most layers that may go, and the fewest neurons that may stay."""
    return min(sizes.most_layers, int(MOST_LAYERS * sizes.layers)), _widths(sizes.inner)[-1]


def _left_out(sizes: Sizes, gone: int, left: int) -> str:
    neurons = f"{1 - left / sizes.inner:.0%} of the feed-forward neurons" if left < sizes.inner else ""
    layers = f"{gone} of {sizes.layers} layers" if gone else ""
    return " and ".join(part for part in (neurons, layers) if part) or "nothing"


def _too_large(recipe: Recipe, most: float, told: str, size: float, todo: str) -> GateError:
    method = recipe.settings(CompressSettings).method
    other = "" if method == "auto" else ", or leave the form to the build (--compress auto)"
    return GateError(
        "no form of the decoder can be as small as was asked for",
        value=f"at most {most:g} MB; {told}",
        todo=f"{todo} (--max-size-mb {math.ceil(size * 10) / 10:g}), name a smaller base (--base){other}.",
    )
