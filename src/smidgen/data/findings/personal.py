"""Personal data in the texts: how much of each kind, never which."""

from __future__ import annotations

from collections import Counter

from smidgen.data.inspection import EXAMPLES, DataFinding, Survey, counted, verb
from smidgen.privacy.identifiers import identifier_spans

_CHARACTERS = 20_000
"""Of one text; personal data further in is not looked for."""


def look(survey: Survey) -> list[DataFinding]:
    """Counts by kind, and the rows that hold some."""
    kinds: Counter[str] = Counter()
    rows = []
    for row, text in zip(survey.rows, survey.texts, strict=True):
        # A cheap look first: every kind has an @, a colon or a digit.
        if "@" not in text and ":" not in text and not any(character in text for character in "0123456789"):
            continue
        found = Counter(kind for kind, _, _ in identifier_spans(text[:_CHARACTERS]))
        if found:
            kinds.update(found)
            rows.append(row.number)
    if not rows:
        return []
    listed = ", ".join(f"{kind} {count:,}" for kind, count in kinds.most_common())
    return [
        DataFinding(
            "personal",
            "warning",
            len(rows),
            f"{counted(len(rows), 'row')} {verb(len(rows), 'hold')} personal data: {listed}",
            "Replace it by placeholders before you train, or make sure that you may use it: a model can repeat what it was taught.",
            tuple(rows[:EXAMPLES]),
            {"kinds": dict(kinds.most_common())},
        )
    ]


part = look
