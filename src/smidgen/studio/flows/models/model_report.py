"""A finished model as the Studio shows it: its report, confusion map, change from another model, operating point."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic.dataclasses import dataclass

from smidgen.core.errors import InputError
from smidgen.judge import report as reports
from smidgen.judge.classifier_sections import confusion_table
from smidgen.judge.report import Report
from smidgen.judge.sections import CoveragePoint, Delta, Measured
from smidgen.stats.intervals import paired_change, paired_grades
from smidgen.studio.flows.models.built_models import ModelAnswer, model_folder, models_of, read_answers
from smidgen.studio.flows.models.project_point import OPERATING_POINT
from smidgen.studio.store.data_rows import RowChange
from smidgen.studio.store.projects import Project, StudioStore

MOST_LABELS = 400
"""Most labels of a confusion map; of more, those with most mistakes."""
_TOLD = {"headline", "graded", "units", "metrics", "student", "speed", "training"}


@dataclass(frozen=True)
class ConfusionCell:
    """Rows of one label that were answered with another, or with the same. `down` is the wanted label's place in the list of labels,
    `across` the answered one's."""

    down: int
    across: int
    count: int


@dataclass(frozen=True)
class ConfusionMap:
    """Test rows by wanted and answered label; neighbours are those mistaken for each other.

    Attributes:
        cells: the cells with rows.
        left_out: labels that are not shown, and the wrong answers among their rows.
    """

    labels: tuple[str, ...]
    cells: tuple[ConfusionCell, ...]
    left_out: int
    left_out_errors: int


@dataclass(frozen=True)
class ModelComparison:
    """A model beside an earlier one.

    Attributes:
        before, after: the headline metric of each, on its own test rows.
        change: the change on the test rows that both builds share; None where they share none.
        shared: how many these are. `gained`, `lost`: those that became right, and wrong (graded: better, worse).
        corrected: shared rows whose wanted answer was changed in between.
        rows_changed: how many rows differ between the two versions of the data; `row_changes` are the first of them.
    """

    earlier: str
    headline: str
    before: Measured | None
    after: Measured | None
    change: Delta | None
    shared: int
    gained: int
    lost: int
    corrected: int
    rows_changed: int
    row_changes: Sequence[RowChange]


def read_report(store: StudioStore, project: str, model: str) -> Report:
    """The report of a model. Raises InputError if the project has no such model."""
    return reports.read(model_folder(store, project, model) / "report.json")


def report_summary(report: Report) -> dict[str, Any]:
    """The parts of a report that a build's result tells, and lists of builds show."""
    return report.model_dump(mode="json", include=_TOLD)


def confusion_map(answers: Sequence[ModelAnswer]) -> ConfusionMap | None:
    """The confusion map of answers that are single labels; None for any other."""
    pairs = [answer.labels for answer in answers if answer.labels is not None]
    if not pairs:
        return None
    seen = Counter(label for pair in pairs for label in pair)
    table = confusion_table([gold for gold, _ in pairs], [got for _, got in pairs], sorted(seen), MOST_LABELS)
    cells = tuple(ConfusionCell(down, across, count) for down, row in enumerate(table.counts) for across, count in enumerate(row) if count)
    return ConfusionMap(table.labels, cells, table.left_out, table.left_out_errors)


def earlier_model(store: StudioStore, project: str, model: str) -> str | None:
    """The model built before this one; None for the first."""
    ids = [run.id for run in models_of(store, project)]
    place = ids.index(model) + 1 if model in ids else len(ids)
    return ids[place] if place < len(ids) else None


def compare_models(store: StudioStore, project: str, earlier: str, later: str, most_changes: int) -> ModelComparison:
    """Compare two models of a project on the test rows that both builds share, and the versions of their data."""
    first, second = read_report(store, project, earlier), read_report(store, project, later)
    before = {answer.key: answer for answer in read_answers(earlier) if answer.key}
    pairs = [(before[answer.key], answer) for answer in read_answers(later) if answer.key in before]
    change = _change(pairs, second.graded)
    versions = [_version(store, project, model) for model in (earlier, later)]
    changes = store.rows(project).compare(*versions)
    headline = second.headline
    return ModelComparison(
        earlier=earlier,
        headline=headline,
        before=first.metrics.get(headline),
        after=second.metrics.get(headline),
        change=change,
        shared=len(pairs),
        gained=change.gained if change else 0,
        lost=change.lost if change else 0,
        corrected=sum(one.wanted != other.wanted for one, other in pairs),
        rows_changed=len(changes),
        row_changes=changes[:most_changes],
    )


def _change(pairs: Sequence[tuple[ModelAnswer, ModelAnswer]], graded: bool) -> Delta | None:
    if not pairs:
        return None
    before, after = (np.array([pair[side].grade for pair in pairs]) for side in (0, 1))
    found = paired_grades(before, after) if graded else paired_change(before > 0.5, after > 0.5)
    return Delta(value=found.value, low=found.low, high=found.high, p=found.p, gained=found.gained, lost=found.lost)


def _version(store: StudioStore, project: str, model: str) -> int:
    found = next(run for run in models_of(store, project) if run.id == model)
    return int((found.result or {})["version"])


def choose_operating_point(
    store: StudioStore, project: str, model: str, threshold: float, wrong_cost: float | None, escalation_cost: float | None
) -> Project:
    """Store the point of a model's risk-coverage curve that serving is to use, in the project's settings.

    `wrong_cost` and `escalation_cost`: what a wrong answer and a passed-on one cost in US dollars, as the person gave them.

    Raises InputError for a threshold that is not a point of the curve.
    """
    point = _point(read_report(store, project, model), threshold)
    costs: dict[str, Any] = {"wrong_cost": wrong_cost, "escalation_cost": escalation_cost}
    return store.update(project, settings={OPERATING_POINT: {"model": model, **point.model_dump(), **costs}})


def _point(report: Report, threshold: float) -> CoveragePoint:
    points = report.risk_coverage.points if report.risk_coverage else ()
    found = next((point for point in points if abs(point.threshold - threshold) < 1e-9), None)
    if found is None:
        raise InputError("studio.no_point_has_this_threshold", value=threshold)
    return found
