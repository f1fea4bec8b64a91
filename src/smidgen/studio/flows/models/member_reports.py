"""The reports of the models that a model consists of."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from smidgen.core.errors import BundleError
from smidgen.judge import report as reports
from smidgen.judge import wording
from smidgen.judge.report import Report
from smidgen.judge.sections import Measured
from smidgen.studio.frozen import FrozenModel

MEMBERS = "members"
"""The folder in a bundle that has a folder for each member, by its role."""


class MemberReport(FrozenModel):
    """The report of a member, in short."""

    role: str
    student: str
    headline: str
    metrics: dict[str, Measured]
    names: dict[str, str] = Field(description="The names of its metrics.")
    baseline: str | None = Field(description="The strongest baseline; null without one.")
    baseline_value: float | None = Field(description="The headline metric of that baseline.")
    file: str = Field(description="Its whole report, among the model's files.")


def member_reports(folder: Path) -> list[MemberReport]:
    """The reports of a bundle's members, by role; none for a model of its own. A member without a report is left out."""
    found = []
    place = folder / MEMBERS
    for member in sorted(place.iterdir()) if place.is_dir() else ():
        try:
            found.append(_member_report(member.name, reports.read(member / "report.json")))
        except BundleError:
            continue
    return found


def _member_report(role: str, report: Report) -> MemberReport:
    base = report.strongest
    value = base.metrics.get(report.headline) if base is not None else None
    return MemberReport(
        role=role,
        student=report.student.kind,
        headline=report.headline,
        metrics=dict(report.metrics),
        names={name: wording.measure(name) for name in report.metrics},
        baseline=wording.other_name(base.name) if base is not None else None,
        baseline_value=value.value if value is not None else None,
        file=f"members/{role}/report.html",
    )
