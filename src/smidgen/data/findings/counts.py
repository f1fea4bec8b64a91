"""Rows per label: too few labels, labels with too few rows, imbalance."""

from __future__ import annotations

from smidgen.data.findings.label_names import respelt
from smidgen.data.inspection import EXAMPLES, DataFinding, Survey, counted

FEW = 8
"""Under this many rows a label can hardly be learnt, and not be measured."""
UNEVEN = 20.0
"""The largest label has this many times the rows of the median one."""


def look(survey: Survey) -> list[DataFinding]:
    """Counts per label and what is wrong with them."""
    counts = survey.counts
    if survey.labels is None:
        return [DataFinding("counts", "note", len(survey.rows), f"{counted(len(survey.rows), 'row')} that can be learnt from")]
    ordered = dict(counts.most_common())
    sizes = sorted(ordered.values())
    found = [
        DataFinding(
            "counts",
            "note",
            len(survey.rows),
            f"{counted(len(survey.rows), 'row')} under {counted(len(counts), 'label')}"
            + (f", {sizes[0]:,} to {sizes[-1]:,} rows each" if sizes else ""),
            details={"labels": ordered},
        )
    ]
    if len(counts) < 2:
        only = next(iter(counts), "")
        found.append(
            DataFinding(
                "counts.one",
                "error",
                1,
                f"there is one label only: {only!r}",
                "Add rows of another label, or name another column with --label.",
            )
        )
        return found
    again = respelt(counts)  # a build takes these under their common spelling
    once = [label for label, count in ordered.items() if count == 1 and label not in again]
    if once:
        rows = _rows_of(survey, set(once))
        found.append(
            DataFinding(
                "counts.once",
                "error",
                len(once),
                f"{counted(len(once), 'label')} seen once, so that it cannot be both learnt and measured: {_listed(once)}",
                "Add examples of them, correct their spelling, or remove the rows.",
                rows,
                {"labels": once},
            )
        )
    few = [label for label, count in ordered.items() if 1 < count < FEW]
    if few:
        found.append(
            DataFinding(
                "counts.few",
                "warning",
                len(few),
                f"{counted(len(few), 'label')} with fewer than {FEW} rows: {_listed(few)}",
                "Add examples of them, or merge them with a label that is handled the same way.",
                details={"labels": {label: ordered[label] for label in few}},
            )
        )
    median = sizes[len(sizes) // 2]
    if sizes[-1] >= UNEVEN * median:
        largest = next(iter(ordered))
        found.append(
            DataFinding(
                "counts.uneven",
                "warning",
                1,
                f"{largest!r} has {sizes[-1]:,} rows, {sizes[-1] / median:.0f} times the median label",
                "Expect the rare labels to be missed; use class weights, or keep fewer rows of it.",
                details={"label": largest, "rows": sizes[-1], "median": median},
            )
        )
    return found


def _rows_of(survey: Survey, wanted: set[str]) -> tuple[int, ...]:
    assert survey.labels is not None
    numbers = [row.number for row, labels in zip(survey.rows, survey.labels, strict=True) if wanted.intersection(labels)]
    return tuple(numbers[:EXAMPLES])


def _listed(labels: list[str], most: int = 5) -> str:
    more = f" and {len(labels) - most} more" if len(labels) > most else ""
    return ", ".join(repr(label) for label in labels[:most]) + more


part = look
