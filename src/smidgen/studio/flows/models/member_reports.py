"""The reports of the models that a model consists of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from smidgen.core.errors import BundleError
from smidgen.judge import report as reports
from smidgen.judge.report import Report

MEMBERS = "members"
"""The folder in a bundle that has a folder for each member, by its role."""


@dataclass(frozen=True, slots=True)
class MemberReport:
    """A member's role, and its own report."""

    role: str
    report: Report


def member_reports(folder: Path) -> list[MemberReport]:
    """The reports of a bundle's members, by role; none for a model of its own. A member without a report is left out."""
    found = []
    place = folder / MEMBERS
    for member in sorted(place.iterdir()) if place.is_dir() else ():
        try:
            found.append(MemberReport(member.name, reports.read(member / "report.json")))
        except BundleError:
            continue
    return found
