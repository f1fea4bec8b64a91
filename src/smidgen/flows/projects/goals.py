"""The kinds of jobs that a model can be built for, with the recipes that bring data to try them on."""

from __future__ import annotations

from dataclasses import dataclass

from smidgen.parts import registry


@dataclass(frozen=True, slots=True)
class Goal:
    """A kind of job. `samples`: names of recipes of this task that bring their own data."""

    task: str
    summary: str
    samples: tuple[str, ...]


def list_goals() -> list[Goal]:
    """One goal for each task that smidgen knows."""
    return [Goal(name, registry.find("tasks", name).summary, ()) for name in registry.names("tasks")]
