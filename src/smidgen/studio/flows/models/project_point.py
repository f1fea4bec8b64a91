"""The operating point of a project's model: what a person chose for it, else what its certificate or its report says."""

from __future__ import annotations

from smidgen.flows.operating_point import OperatingPoint, chosen_score, operating_point
from smidgen.studio.flows.models.built_models import model_folder, models_of
from smidgen.studio.store.projects import Project, StudioStore

OPERATING_POINT = "operating_point"
"""The project's setting that holds the chosen point: `model`, `threshold`, and the costs that it was chosen by."""


def newest_model(store: StudioStore, project: str) -> str | None:
    """The newest model of a project; None before the first."""
    return next((run.id for run in models_of(store, project)), None)


def project_point(store: StudioStore, project: Project, model: str) -> OperatingPoint | None:
    """The operating point of a model of a project; None where nothing was measured. Raises InputError if there is no such model."""
    return operating_point(model_folder(store, project.id, model), chosen_score(project.settings.get(OPERATING_POINT), model))
