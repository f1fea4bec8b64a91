"""What a check finds: one shape for every kind of finding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Severity: TypeAlias = Literal["error", "warning", "note"]
"""`error`: no model can be built from these rows. `warning`: the model or its measured quality suffers. `note`: worth knowing."""

EXAMPLES = 20
"""Most row numbers and details that a finding lists."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding.

    Attributes:
        kind: its name (`duplicates`), which is that of the file that finds it, and where needed what of it (`duplicates.near`).
        severity: how much it matters.
        count: how many rows (or labels, for findings about labels) it concerns; 0 where nothing was wrong.
        text: what was found, one sentence without a full stop.
        todo: what to do, one sentence; empty for a plain fact.
        rows: numbers of rows that show it, the most telling first.
        details: more of it, JSON-ready.
    """

    kind: str
    severity: Severity
    count: int
    text: str
    todo: str = ""
    rows: tuple[int, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        """As it stands in `check --json`."""
        return {
            "kind": self.kind,
            "severity": self.severity,
            "count": self.count,
            "text": self.text,
            "todo": self.todo,
            "rows": list(self.rows),
            "details": dict(self.details),
        }


def verb(number: int, plural: str) -> str:
    """A regular verb as it stands after a number of things: `holds` after 1 row, `hold` after 2."""
    return f"{plural}s" if number == 1 else plural


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun: `1 row`, `1,204 rows`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
