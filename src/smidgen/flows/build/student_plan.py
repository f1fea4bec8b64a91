"""The students that a build trains: their bases, settings, compression methods, and the larger decoder that guides them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from smidgen.bases import lookup
from smidgen.bases.lookup import AUTO, BaseSettings
from smidgen.bases.starter import starters
from smidgen.bundles.manifest import MANIFEST
from smidgen.bundles.open import Bundle, open_bundle
from smidgen.compress import CompressSettings
from smidgen.core.errors import BaseError, GateError, RecipeError
from smidgen.core.forms import Form
from smidgen.core.parts import (
    HALF,
    Base,
    Student,
    Task,
    TensorBytes,
    Training,
    bytes_in_16_bits,
)
from smidgen.core.progress import Progress
from smidgen.core.settings import Settings
from smidgen.data.teacher.settings import TeacherSettings
from smidgen.flows.build.base_choice import encoder_choice
from smidgen.flows.build.training import rows_for
from smidgen.flows.build.work import BuildContext, PlannedStudent, Work
from smidgen.flows.local_model import read_task
from smidgen.judge.quality_gate import GateSettings
from smidgen.parts import registry
from smidgen.parts.recipe import Recipe
from smidgen.store.files import file_hash, home
from smidgen.students.settings import StudentSettings
from smidgen.students.vocabulary import ids_kept_of, tokenizer_hash

_FEW_BITS = 5
"""Most bits per weight of a form that gains from training that ends with rounding."""


def plan_students(work: Work, context: BuildContext) -> Work:
    """Plan the students, their bases and their guide, as far as known before a teacher adds rows."""
    kinds = students_to_train(work, context.progress, more=work.recipe.settings(TeacherSettings).source is not None)
    auto, said = encoder_choice(work, families_of(kinds))
    bases = bases_of(work, kinds, context.progress, auto)
    work = replace(work, notes=(*work.notes, said)) if said else work
    guide = open_guide(work.recipe, bases.get("decoder"), work.form, context.progress)
    return replace(work, kinds=tuple(kinds), bases=bases, guide=guide)


def settle_students(work: Work, context: BuildContext) -> Work:
    """Settle the students and their settings: a teacher's rows show which students can learn, and how."""
    if work.recipe.settings(TeacherSettings).source is not None:
        kinds = students_to_train(work, context.progress)
        auto, _ = encoder_choice(work, families_of(kinds))
        work = replace(work, kinds=tuple(kinds), bases=bases_of(work, kinds, context.progress, auto))
    for note in work.notes:
        context.progress.say(note)
    return replace(work, students=fit_students(work, context))


def students_to_train(work: Work, progress: Progress, *, more: bool = False) -> list[str]:
    """The students to train: the requested ones, or all that can learn the task; then the baseline, unless none is wanted; then those that
    combine partners. Reports the students that cannot learn, and why.

    Args:
        more: further rows will come: a student that cannot learn from the present rows may be able to then.

    Raises RecipeError if none of the requested ones can learn from these rows, if one of several is the baseline, if the named method can
    compress none that may be shipped, or if a gate needs the baseline that is not wanted.
    """
    recipe, task, asked = work.recipe, work.task, work.recipe.settings(StudentSettings)
    barred = dict(work.form.unfit_students)
    barred |= {name: why for name in asked.named if (why := registry.find("students", name).why_not(work.form))}
    if task.baseline in asked.among:
        raise RecipeError("flows.baseline_cannot_be_among_students", value=task.baseline, baseline=task.baseline)
    able = [name for name in asked.named if more or name not in barred]
    if asked.named and not able:
        raise RecipeError(
            "flows.requested_student_cannot_learn",
            value="; ".join(f"{name}: {barred[name]}" for name in asked.named),
            students=task.students[0],
        )
    for name, why in ({} if more else barred).items():
        if asked.kind == "auto" and (not asked.named or name in asked.named):
            progress.say(f"{name} is not tried: {why}")
    kinds = [*(barred if more else ()), *task.students] if not asked.named else _with_needed(able, task)
    joint = [kind for kind in kinds if registry.find("students", kind).partners]
    alone = [kind for kind in kinds if kind != task.baseline and kind not in joint]
    baseline = [task.baseline] if task.baseline and (asked.baseline != "none" or asked.kind == task.baseline) else []
    _made_small(recipe, [kind for kind in (*alone, *baseline) if kind in asked.named or (not asked.named and kind != task.baseline)])
    if not baseline and recipe.settings(GateSettings).must_beat_baseline:
        raise RecipeError("flows.gate_needs_baseline")
    return [*alone, *baseline, *joint]


def _with_needed(kinds: Sequence[str], task: Task) -> list[str]:
    """Students, each after those that must be trained before it."""
    return list(dict.fromkeys(name for kind in kinds for name in (*_needed_by(kind, task), kind)))


def _needed_by(kind: str, task: Task) -> list[str]:
    """The students that must be trained before one: its teacher, if this task has one, or its partners."""
    part = registry.find("students", kind)
    if part.partners:
        return list(part.partners)
    return [part.teacher] if part.teacher in task.students else []


def _made_small(recipe: Recipe, kinds: Sequence[str]) -> None:
    """Refuse a method that supports none of these students' engines. Raises RecipeError."""
    asked = recipe.settings(CompressSettings).method
    if asked in ("auto", "none") or not kinds:
        return
    engines = {registry.find("students", kind).engine for kind in kinds}
    if engines & set(registry.find("compress", asked).engines):
        return
    able = [name for name in registry.names("compress") if engines & set(registry.find("compress", name).engines)]
    raise RecipeError(
        "flows.compress_method_does_not_fit_student", value=asked, kinds=" or ".join(kinds), methods=", ".join([*able, "auto"])
    )


def families_of(kinds: Sequence[str]) -> list[str]:
    """The families of pretrained weights that students start from."""
    return list(dict.fromkeys(family for kind in kinds if (family := registry.find("students", kind).base_family)))


def bases_of(work: Work, kinds: Sequence[str], progress: Progress, encoder: str = AUTO) -> dict[str, Base]:
    """A base of every family that the students start from: the named one, and the starters of the others. `encoder`: the starter for
    encoders where none is named.

    Raises BaseError if the named one is of no needed family.
    """
    families = families_of(kinds)
    asked = work.recipe.settings(BaseSettings).name
    if asked == AUTO or not families:
        usual = {"encoder": encoder, "decoder": work.task.decoder or AUTO}
        return {family: lookup.find(usual.get(family, AUTO), progress, family) for family in families}
    named = lookup.find(asked, progress, families[0] if len(families) == 1 else None)
    if named.family not in families:
        raise BaseError("flows.base_is_of_wrong_family", value=asked, family=named.family, families=" or ".join(families))
    return {family: named if named.family == family else lookup.find(AUTO, progress, family) for family in families}


def settings_of(work: Work, kind: str) -> Settings:
    """The settings of a student. `[train]` belongs to the requested student, or to the task's first; the others have their defaults."""
    recipe, asked = work.recipe, work.recipe.settings(StudentSettings).kind
    owner = work.task.students[0] if asked == "auto" else asked
    settings: type[Settings] = registry.find("students", kind).settings
    given = recipe.sections["train"]
    if kind == owner and not isinstance(given, settings) and given.model_fields_set:
        raise RecipeError("flows.train_settings_are_for_another_student", value=", ".join(sorted(given.model_fields_set)), kind=kind)
    return _rounding(recipe, given if kind == owner and isinstance(given, settings) else settings())


def _rounding(recipe: Recipe, settings: Settings) -> Settings:
    """The settings, with 4-bit rounding turned off if it was left to the build and nothing of so few bits may be shipped."""
    if getattr(settings, "qat", "") != "auto":
        return settings
    able = [registry.find("compress", name) for name in methods_to_try(recipe)]
    if any(0 < method.bits <= _FEW_BITS for method in able):
        return settings
    return settings.model_copy(update={"qat": "none"})


def methods_to_try(recipe: Recipe) -> list[str]:
    """The compression methods to try: the named one, or all."""
    asked = recipe.settings(CompressSettings).method
    if asked == "none":
        return []
    return registry.names("compress") if asked == "auto" else [registry.find("compress", asked).name]


def fit_students(work: Work, context: BuildContext) -> dict[str, PlannedStudent]:
    """The plan of each student, by its name.

    Raises:
        GateError: a student cannot be as small as requested, and there is no other one to train.
        RecipeError: as `settings_of`. TrainError, BaseError: a decoder that could not be trained.
    """
    found: dict[str, PlannedStudent] = {}
    for kind in work.kinds:
        one = PlannedStudent(registry.find("students", kind), settings_of(work, kind))
        try:
            found[one.part.name] = _fitted(work, context, one)
        except GateError as error:
            if not {*work.kinds} - {kind, work.task.baseline}:
                raise
            context.progress.say(f"{error.what}: {error.value}")
            found[one.part.name] = one
    return found


def _fitted(work: Work, context: BuildContext, one: PlannedStudent) -> PlannedStudent:
    """The student with as much left out as the requested size needs, if it can leave out something. Raises GateError if that would be too
    much."""
    most, method = work.recipe.settings(StudentSettings).max_size_mb, work.recipe.settings(CompressSettings).method
    forms = _forms(work.recipe, one.part)
    if most is None or not forms or not one.part.shrinks:
        return one
    progress, name, settings = context.progress, one.part.name, one.settings
    progress.start(f"see how small {name} can be")
    guide = work.guide if getattr(settings, "guide", None) else None
    rows = rows_for(work, one.part, work.train)
    training = Training(rows, (), work.form, work.base_of(one.part), settings, work.recipe.seed, guide=guide)
    other = "" if method == "auto" else ", or leave the form to the build (--compress auto)"
    fitted = one.part.fitted(training, forms, most, progress, other)
    if fitted.why:
        progress.say(f"{name}: {fitted.why}")
    return PlannedStudent(one.part, *fitted)


def _forms(recipe: Recipe, part: Student) -> dict[str, TensorBytes]:
    """The forms in which a student may be shipped, by name; empty if a method cannot predict its size."""
    able = [method for name in methods_to_try(recipe) if part.engine in (method := registry.find("compress", name)).engines]
    if not all(method.bits for method in able):
        return {}
    plain: dict[str, TensorBytes] = {HALF: bytes_in_16_bits} if recipe.settings(CompressSettings).method in ("auto", "none") else {}
    return plain | {method.name: method.stored for method in able}


# The guide of a recipe: a larger decoder, from a bundle or as a base, whose token probabilities a decoder learns.

OTHER = (
    "Chances can be learnt only of the same tokens: name a larger model of the base's own family (for smollm2: "
    "hf:HuggingFaceTB/SmolLM2-360M-Instruct), a bundle that was taught on one, or another base (--base)."
)


def open_guide(recipe: Recipe, base: Base | None, form: Form, progress: Progress) -> Base | None:
    """The guide that the training settings name, verified; None if they name none.

    Args:
        recipe: the recipe to build.
        base: the decoder that the student starts from.
        form: the student's form, with its instruction.
        progress: is told if a bundle was trained with another instruction.

    Raises:
        RecipeError: it has other tokens than the base, or is a bundle that does not write, or has a separate adapter.
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
        raise RecipeError("flows.guide_tokens_are_not_those_of_base", value=name, name=base.name)
    return found


def _of_bundle(place: Path, form: Form, progress: Progress) -> Base:
    """The trained weights of a bundle as a base. Nothing is written into the bundle: further files go into smidgen's own folder."""
    bundle = open_bundle(place)
    manifest = bundle.manifest
    weights = [name for name in manifest.engine.files if name.endswith(".gguf")]
    if manifest.engine.engine != "llama" or not weights:
        raise RecipeError("flows.guide_does_not_write", value=str(place))
    if len(weights) > 1:
        raise RecipeError("flows.guide_has_separate_adapter", value=str(place))
    told, own = read_task(manifest)[1].writing.instruction, form.writing.instruction
    if told != own:
        progress.say(f"the guide was trained with another instruction ({told[:80]!r}), and now gets this one")
    opened = lookup.find_in_folder(_linked(bundle, weights[0]))
    licence = next((entry.licence for entry in manifest.licences if entry.what == "data"), "unknown")
    licence = " and ".join(dict.fromkeys([manifest.base.licence, licence] if manifest.base else [licence]))
    return Base(manifest.name, opened.folder, opened.sha256, licence, f"bundle {manifest.name}, {bundle.id}", "decoder")


def _linked(bundle: Bundle, weights: str) -> Path:
    """A folder of smidgen's own with the bundle's weights and tokenizer, as links if the system supports them."""
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
