"""The recipes of solvers that come with smidgen, for `smidgen init --recipe`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from smidgen.plans.flows.sample_plans import sample_plan


@dataclass(frozen=True, slots=True)
class PlanRecipe:
    """The sample recipe of a solver, with its tables."""

    solver: str

    def files(self, recipe: str) -> dict[str, bytes]:
        """The content of each file by its name. `recipe`: that of the recipe file."""
        plan = sample_plan(self.solver)
        assert plan is not None, "each solver that ships has a sample"
        return {recipe: plan.text.encode("utf-8"), **dict(plan.tables.values())}

    def command(self, folder: Path, recipe: str) -> str:
        """The command that solves the recipe in a folder."""
        return f"smidgen solve {folder / recipe} --out {folder / 'plan'}"


part_routes = PlanRecipe("routes")
part_stock = PlanRecipe("stock")
part_trips = PlanRecipe("trips")
