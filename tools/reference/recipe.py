"""Recipe settings: every section with type, range, default and flag, from the settings of the parts that own them."""

from __future__ import annotations

from smidgen.cli.flags import flag_of
from smidgen.core.settings import Settings, settings_of
from smidgen.parts import recipe, registry
from smidgen.plans.solver_recipe import ROOM, SolveSettings
from tools.reference.tables import cell, default, table, told, typed

_SHARED = tuple(recipe.OWNERS)


def parts() -> dict[str, str]:
    """The sections that every recipe may have, those of the tasks, those of the students."""
    tasks = registry.names("tasks")
    shared = recipe.owners_of(tasks[0])
    by_task = {task: recipe.owners_of(task)[task] for task in tasks}
    students = sorted(registry.names("students"))
    return {
        "shared": "\n".join(_section(f"[{name}]", name, shared[name]) for name in _SHARED),
        "tasks": "\n".join(_section(f"[{task}]", task, owner) for task, owner in by_task.items()),
        "students": "\n".join(
            _section(f"[train] of the student {name}", "train", registry.find("students", name).settings) for name in students
        ),
        "solvers": "\n".join(
            [_section("[solve]", "solve", SolveSettings)]
            + [_section(f"[{name}]", name, registry.find(ROOM, name).settings) for name in registry.names(ROOM)]
        ),
        "chosen": table(
            ("task", "students", "what the task is"),
            (
                (f"`{task}`", ", ".join(f"`{one}`" for one in part.students), part.summary)
                for task in tasks
                for part in [registry.find("tasks", task)]
            ),
        ),
    }


def _section(title: str, section: str, owner: type[Settings]) -> str:
    rows = []
    for name, field in settings_of(owner).items():
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        drawn = section == recipe.ROUTE or "flag" in extra
        rows.append((f"`{name}`", typed(field), default(field), f"`{flag_of(name, field)}`" if drawn else "", field.description))
    about, _ = told(owner)
    shown = table(("setting", "type", "default", "flag", "what it does"), rows) or "No settings.\n"
    return f"### {title}\n\n{cell(about)}\n\n{shown}"
