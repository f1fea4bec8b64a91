"""Rows that cannot be used at all: an empty text, an output that the task does not understand."""

from __future__ import annotations

from collections import Counter

from smidgen.data.inspection import EXAMPLES, DataFinding, Survey, counted


def look(survey: Survey) -> list[DataFinding]:
    """One finding for all of them; an error where no row is left."""
    if not survey.unusable:
        return []
    reasons = Counter(error.fault for error in survey.unusable)
    why = "; ".join(f"{reason} ({count:,})" for reason, count in reasons.most_common(4))
    return [
        DataFinding(
            "unusable",
            "warning" if survey.rows else "error",
            len(survey.unusable),
            f"{counted(len(survey.unusable), 'row')} cannot be used: {why}",
            "Fill them in, or let --fix drop them.",
            tuple(error.row for error in survey.unusable[:EXAMPLES] if error.row is not None),
            {"reasons": dict(reasons)},
        )
    ]


part = look
