"""Puts the findings about a survey together. Each kind of finding is a file in `findings/`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from smidgen.core.errors import MissingExtra
from smidgen.data.finding import Finding
from smidgen.data.survey import Survey
from smidgen.parts import registry

_ORDER = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True)
class Inspection:
    """What was found.

    Attributes:
        rows: how many rows could be used.
        findings: the gravest first.
        skipped: kinds that could not be looked for, and why.
        facts: about the file: its name, columns, encoding.
    """

    rows: int
    findings: tuple[Finding, ...]
    skipped: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def buildable(self) -> bool:
        """Whether a model can be built from these rows: no finding is an error."""
        return all(finding.severity != "error" for finding in self.findings)

    def of(self, kind: str) -> Finding | None:
        """The finding of a kind, where there is one."""
        return next((finding for finding in self.findings if finding.kind == kind), None)

    def json(self) -> dict[str, Any]:
        """As `check --json` prints it."""
        return {
            **self.facts,
            "rows": self.rows,
            "buildable": self.buildable,
            "findings": [finding.json() for finding in self.findings],
            "skipped": dict(self.skipped),
        }


def inspect(survey: Survey, facts: Mapping[str, Any] | None = None) -> Inspection:
    """Look for every kind of finding. A kind whose package is not installed is listed as skipped, with the line that installs it."""
    found: list[Finding] = []
    skipped = {}
    for name in registry.names("data.findings"):
        try:
            found += registry.find("data.findings", name)(survey)
        except MissingExtra as missing:
            skipped[name.replace("-", "_")] = str(missing)
    found.sort(key=lambda finding: _ORDER[finding.severity])
    return Inspection(len(survey.rows), tuple(found), skipped, facts or {})
