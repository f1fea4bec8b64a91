"""Which students a build trains, from which bases, with which settings, made small by which methods: what the recipe asks for, and what the
rows allow."""

from __future__ import annotations

from collections.abc import Sequence

from smidgen.bases import finding
from smidgen.bases.settings import AUTO, BaseSettings
from smidgen.compress.settings import CompressSettings
from smidgen.core.bases import Base
from smidgen.core.errors import BaseError, RecipeError
from smidgen.core.parts import Form, Marking, Task
from smidgen.core.progress import Progress
from smidgen.core.settings import Settings
from smidgen.core.sizes import Foretelling
from smidgen.judge.gate_settings import GateSettings
from smidgen.parts import registry
from smidgen.parts.recipe import Recipe
from smidgen.students.decoder_settings import DecoderSettings
from smidgen.students.settings import StudentSettings

_FEW_BITS = 5
"""A form of so many bits a weight gains from teaching that ends rounded."""


def students(recipe: Recipe, task: Task, form: Form, progress: Progress, *, more: bool = False) -> list[str]:
    """The students to train: the asked one, or all that can learn the task; the baseline last, unless none is wanted. Says which cannot,
    and why.

    Args:
        more: rows are still to come: who cannot learn from those that are there may be able to then.

    Raises RecipeError where the asked one cannot learn from these rows, or none that may be shipped can be made small by the method that
    was named, or a gate needs the baseline that is not wanted.
    """
    asked = recipe.settings(StudentSettings).kind
    barred = task.barred(form) if isinstance(task, Marking) else {}
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
    # A static student asked for by name is distilled from a fine-tuned encoder, so that one is trained as its teacher.
    if asked == "static" and "encoder" in task.students:
        kinds = ["encoder", "static"]
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
        return {family: finding.find(AUTO, progress, family) for family in families}
    named = finding.find(asked, progress, families[0] if len(families) == 1 else None)
    if named.family not in families:
        raise BaseError(
            f"this base is of the family {named.family}, and {' or '.join(families)} is needed",
            value=asked,
            todo="Name another with --base, or leave it out for the starter.",
        )
    return {family: named if named.family == family else finding.find(AUTO, progress, family) for family in families}


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
    able = [registry.find("compress", name) for name in methods(recipe)]
    if any(isinstance(method, Foretelling) and method.bits <= _FEW_BITS for method in able):
        return settings
    return settings.model_copy(update={"qat": "none"})


def methods(recipe: Recipe) -> list[str]:
    """The methods to make models small by: the asked one, or all."""
    asked = recipe.settings(CompressSettings).method
    if asked == "none":
        return []
    return registry.names("compress") if asked == "auto" else [registry.find("compress", asked).name]
