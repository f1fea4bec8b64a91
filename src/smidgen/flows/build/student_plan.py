"""Which students a build trains: from which bases, with which settings, made small by which methods, guided by which larger decoder."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from smidgen.bases import folder, lookup
from smidgen.bases.settings import AUTO, BaseSettings
from smidgen.bases.starter import starters
from smidgen.bundles.manifest import MANIFEST
from smidgen.bundles.open import Bundle, open_bundle
from smidgen.compress.settings import CompressSettings
from smidgen.core.errors import BaseError, GateError, RecipeError
from smidgen.core.forms import Form
from smidgen.core.parts import HALF, Base, PredictsSize, Task, TensorBytes, Training, bytes_in_16_bits
from smidgen.core.progress import Progress, Silent
from smidgen.core.settings import Settings
from smidgen.flows.build.examples import Examples
from smidgen.flows.build.training import StudentTrainer
from smidgen.judge.quality_gate import GateSettings
from smidgen.parts import registry
from smidgen.parts.recipe import Recipe
from smidgen.store.hashing import file_hash
from smidgen.store.home import home
from smidgen.students.decoder import need_torch
from smidgen.students.settings import DecoderSettings, StudentSettings
from smidgen.students.vocabulary import ids_kept_of, tokenizer_hash

if TYPE_CHECKING:
    from smidgen.students.decoder_training.files import DecoderSizes


# Which students a build trains, from which bases, with which settings, made small by which methods: what the recipe asks for, and what
# the rows allow.

_FEW_BITS = 5
"""A form of so many bits a weight gains from teaching that ends rounded."""


def students_to_train(recipe: Recipe, task: Task, form: Form, progress: Progress, *, more: bool = False) -> list[str]:
    """The students to train: the asked one, or all that can learn the task; the baseline last, unless none is wanted. Says which cannot,
    and why.

    Args:
        more: rows are still to come: who cannot learn from those that are there may be able to then.

    Raises RecipeError where the asked one cannot learn from these rows, or none that may be shipped can be made small by the method that
    was named, or a gate needs the baseline that is not wanted.
    """
    asked = recipe.settings(StudentSettings).kind
    barred = task.barred(form)
    for name, why in ({} if more else barred).items():
        if asked == name:
            raise RecipeError(
                "the student that is asked for cannot learn from these rows",
                value=f"{name}: {why}",
                todo=f"Ask for another: --student {task.students[0]}, or auto. Or mend the rows or the schema.",
            )
        if asked == "auto":
            progress.say(f"{name} is not tried: {why}")
    kinds = [*(barred if more else ()), *task.students] if asked == "auto" else [asked]
    # The teacher of a student that is asked for by name is trained before it.
    teacher = None if asked == "auto" else registry.find("students", asked).teacher
    if teacher in task.students:
        kinds = [teacher, asked]
    _made_small(recipe, [kind for kind in kinds if asked in ("auto", kind) and (kind != task.baseline or asked == kind)])
    others = [kind for kind in kinds if kind != task.baseline]
    if recipe.settings(StudentSettings).baseline != "none" or asked == task.baseline:
        return [*others, task.baseline]
    if recipe.settings(GateSettings).must_beat_baseline:
        raise RecipeError(
            "the gate asks for a model that beats the baseline, and no baseline is to be trained",
            value="gate.must_beat_baseline with student.baseline = none",
            todo="Leave one of the two out: --no-must-beat-baseline, or --baseline auto.",
        )
    return others


def _made_small(recipe: Recipe, kinds: Sequence[str]) -> None:
    """Refuse a method that knows none of these students' engines. Raises RecipeError."""
    asked = recipe.settings(CompressSettings).method
    if asked in ("auto", "none"):
        return
    engines = {registry.find("students", kind).engine for kind in kinds}
    if engines & set(registry.find("compress", asked).engines):
        return
    able = [name for name in registry.names("compress") if engines & set(registry.find("compress", name).engines)]
    raise RecipeError(
        f"the method that is asked for cannot make {' or '.join(kinds)} smaller",
        value=asked,
        todo=f"Name another: --compress {', '.join([*able, 'auto'])} or none.",
    )


def bases_of(recipe: Recipe, kinds: Sequence[str], progress: Progress) -> dict[str, Base]:
    """A base of every family that the students start from: the one that was named, and the starters of the others.

    Raises BaseError where the named one is of no family that is needed.
    """
    families = list(dict.fromkeys(family for kind in kinds if (family := registry.find("students", kind).base_family)))
    asked = recipe.settings(BaseSettings).name
    if asked == AUTO or not families:
        return {family: lookup.find(AUTO, progress, family) for family in families}
    named = lookup.find(asked, progress, families[0] if len(families) == 1 else None)
    if named.family not in families:
        raise BaseError(
            f"this base is of the family {named.family}, and {' or '.join(families)} is needed",
            value=asked,
            todo="Name another with --base, or leave it out for the starter.",
        )
    return {family: named if named.family == family else lookup.find(AUTO, progress, family) for family in families}


def settings_of(recipe: Recipe, kind: str, task: Task) -> Settings:
    """`[train]` belongs to the student that was asked for, or to the task's first; the others have their defaults."""
    asked = recipe.settings(StudentSettings).kind
    owner = task.students[0] if asked == "auto" else asked
    settings: type[Settings] = registry.find("students", kind).settings
    given = recipe.sections["train"]
    if kind == owner and not isinstance(given, settings) and given.model_fields_set:
        raise RecipeError(
            "the settings in [train] are those of another student than these rows need",
            value=", ".join(sorted(given.model_fields_set)),
            todo=f'Name it: kind = "{kind}" in [student], or --student {kind}.',
        )
    return _rounding(recipe, given if kind == owner and isinstance(given, settings) else settings())


def _rounding(recipe: Recipe, settings: Settings) -> Settings:
    """The settings, without rounding in 4 bits where that was left to the build and nothing of so few bits may be shipped."""
    if not isinstance(settings, DecoderSettings) or settings.qat != "auto":
        return settings
    able = [registry.find("compress", name) for name in methods_to_try(recipe)]
    if any(isinstance(method, PredictsSize) and method.bits <= _FEW_BITS for method in able):
        return settings
    return settings.model_copy(update={"qat": "none"})


def methods_to_try(recipe: Recipe) -> list[str]:
    """The methods to make models small by: the asked one, or all."""
    asked = recipe.settings(CompressSettings).method
    if asked == "none":
        return []
    return registry.names("compress") if asked == "auto" else [registry.find("compress", asked).name]


# How each student is taught; and what of a decoder has to go so that it is as small as was asked, found by its sizes before anything is
# taught.

MOST_NEURONS, MOST_LAYERS = 0.6, 1 / 3
"""What of a decoder may be left out at the most: neurons first, for at one size they lose less than layers."""
SPARE = 0.01
"""What is narrowed is to be so much smaller than the limit; a size that is foretold may be wrong by as much."""

Weigh: TypeAlias = Callable[[int, int], tuple[float, str]]
"""Layers, and neurons of each -> MB in the smallest form that may be shipped, and its name."""


@dataclass(frozen=True)
class StudentFit:
    """A student's settings, and in a clause why they leave something of it out that nobody asked to be left out."""

    settings: Settings
    why: str = ""


def fit_students(recipe: Recipe, examples: Examples, bench: StudentTrainer, kinds: Sequence[str]) -> dict[str, StudentFit]:
    """How each student is taught.

    Raises:
        GateError: a decoder cannot be as small as was asked, and no other student is to be taught.
        RecipeError: as `entrants.settings_of`. TrainError, BaseError: a decoder that could not be taught.
    """
    found = {kind: StudentFit(settings_of(recipe, kind, bench.task)) for kind in kinds}
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


def _forms(recipe: Recipe, kind: str) -> dict[str, TensorBytes]:
    """What a decoder may be shipped in, by name; none where a method does not tell what it would store."""
    able = [registry.find("compress", name) for name in methods_to_try(recipe)]
    able = [method for method in able if registry.find("students", kind).engine in method.engines]
    if not all(isinstance(method, PredictsSize) for method in able):
        return {}
    plain: dict[str, TensorBytes] = {HALF: bytes_in_16_bits} if recipe.settings(CompressSettings).method in ("auto", "none") else {}
    return plain | {method.name: method.stored for method in able}


def _fitted(
    recipe: Recipe,
    examples: Examples,
    bench: StudentTrainer,
    kind: str,
    settings: DecoderSettings,
    forms: dict[str, TensorBytes],
    most: float,
) -> StudentFit:
    """The settings, with as much left out as the size needs. Raises GateError where that would be too much."""
    need_torch()
    from smidgen.students.decoder_training.files import sizes_of
    from smidgen.students.decoder_training.pruning import neurons_left
    from smidgen.students.vocabulary import kept_tokens

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
        inner = neurons_left(sizes.inner, settings.drop_neurons) if settings.drop_neurons else sizes.inner
        size, form = weigh(sizes.layers - settings.drop_layers, inner)
        if size > most * (1 + SPARE):
            first = "Leave drop_layers and drop_neurons to the build" if settings.pruned else "Build without an adapter apart"
            raise _too_large(recipe, most, f"{form} would be {size:.1f} MB", size, f"{first}. Or ask for more")
        return StudentFit(settings)
    if size <= most:
        return StudentFit(settings)
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
    return StudentFit(settings, why)


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
    from smidgen.students.decoder_training.pruning import NEURON_STEP

    least = max(NEURON_STEP, NEURON_STEP * math.ceil((1 - MOST_NEURONS) * inner / NEURON_STEP))
    return [inner, *range((inner - 1) // NEURON_STEP * NEURON_STEP, least - 1, -NEURON_STEP)]


def _fewest(sizes: DecoderSizes) -> tuple[int, int]:
    """The most layers that may go, and the fewest neurons that may stay."""
    return min(sizes.most_layers, int(MOST_LAYERS * sizes.layers)), _widths(sizes.inner)[-1]


def _left_out(sizes: DecoderSizes, gone: int, left: int) -> str:
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


# The guide of a recipe: a larger decoder, out of a bundle or as a base, whose chances of every token a decoder is taught.

OTHER = (
    "Chances can be learnt only of the same tokens: name a larger model of the base's own family (for smollm2: "
    "hf:HuggingFaceTB/SmolLM2-360M-Instruct), a bundle that was taught on one, or another base (--base)."
)


def open_guide(recipe: Recipe, base: Base | None, form: Form, progress: Progress) -> Base | None:
    """The guide that the training settings name, verified; None where they name none.

    Args:
        recipe: what is to be built.
        base: the decoder that the student starts from.
        form: what the student is told.
        progress: is told where a bundle was taught with other words.

    Raises:
        RecipeError: it has other tokens than the base, or is a bundle that does not write, or keeps its adapter apart.
        BaseError, UnknownPart, BundleError: it cannot be found, or not be trusted.
    """
    settings = recipe.sections["train"]
    name = getattr(settings, "guide", None)
    if name is None or base is None:
        return None
    local = recipe.folder / Path(name).expanduser()
    place = local if local.is_dir() else Path(name).expanduser()
    if name not in starters() and (place / MANIFEST).is_file():
        found = _of_bundle(place, form, progress)
    else:
        found = lookup.find(str(place) if place.is_dir() and name not in starters() else name, progress, "decoder")
    whole = getattr(settings, "vocabulary", "") == "whole" or getattr(settings, "adapter", False)
    same = tokenizer_hash(found.folder) == tokenizer_hash(base.folder)
    if not same and (whole or ids_kept_of(base.folder, found.folder) is None):
        raise RecipeError(f"the guide's tokens are not those of the base {base.name}", value=name, todo=OTHER)
    return found


def _of_bundle(place: Path, form: Form, progress: Progress) -> Base:
    """The taught weights of a bundle as a base. Nothing is written into the bundle: what they need beside them lies in smidgen's own
    folder."""
    bundle = open_bundle(place)
    manifest = bundle.manifest
    weights = [name for name in manifest.engine.files if name.endswith(".gguf")]
    if manifest.engine.engine != "llama" or not weights:
        raise RecipeError("this bundle does not write, and cannot guide a model that does", value=str(place), todo="Name one that writes.")
    if len(weights) > 1:
        raise RecipeError(
            "this bundle keeps what it was taught in an adapter apart, and a guide is one model",
            value=str(place),
            todo="Build it without --adapter, or name its base as the guide.",
        )
    told, own = str(manifest.form.get("instruction", "")), form.writing.instruction
    if told != own:
        progress.say(f"the guide was taught with another instruction ({told[:80]!r}), and will be told this one")
    opened = folder.find(_linked(bundle, weights[0]))
    licence = next((entry.licence for entry in manifest.licences if entry.what == "data"), "unknown")
    licence = " and ".join(dict.fromkeys([manifest.base.licence, licence] if manifest.base else [licence]))
    return Base(manifest.name, opened.folder, opened.sha256, licence, f"bundle {manifest.name}, {bundle.id}", "decoder")


def _linked(bundle: Bundle, weights: str) -> Path:
    """A folder of smidgen's own with the bundle's weights and tokenizer in it, by links where the system makes them."""
    out = home() / "opened" / bundle.id[:16]
    out.mkdir(parents=True, exist_ok=True)
    for name in (weights, "tokenizer.json"):
        place, source = out / name, (bundle.folder / name).resolve()
        if place.is_symlink() and place.resolve() == source:
            continue
        if place.is_file() and not place.is_symlink() and file_hash(place) == bundle.manifest.files[name].sha256:
            continue
        place.unlink(missing_ok=True)
        try:
            place.symlink_to(source)
        except OSError:
            part = place.with_name(f"{name}.{os.getpid()}.part")
            shutil.copyfile(source, part)
            part.replace(place)
    return out
