"""Findings about single rows: unusable rows, texts too long or too short, and personal data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from smidgen.data.inspection import EXAMPLES, DataFinding, Survey, counted, verb
from smidgen.privacy.identifiers import identifier_spans

LONG = 1_200
"""Characters: about 256 tokens of English, the reading limit of the starter encoder."""
SHORT = 3
_CHARACTERS = 20_000
"""Most characters of one text that are searched for personal data."""


def look(survey: Survey) -> Iterator[DataFinding]:
    """Unusable rows (an error if no other row is left), lengths, personal data."""
    if survey.unusable:
        reasons = Counter(error.fault for error in survey.unusable)
        why = "; ".join(f"{reason} ({count:,})" for reason, count in reasons.most_common(4))
        yield DataFinding(
            "unusable",
            "warning" if survey.rows else "error",
            len(survey.unusable),
            f"{counted(len(survey.unusable), 'row')} cannot be used: {why}",
            "Fill them in, or let --fix drop them.",
            tuple(error.row for error in survey.unusable[:EXAMPLES] if error.row is not None),
            {"reasons": dict(reasons)},
        )
    if survey.rows:
        yield from _lengths(survey)
    yield from _personal(survey)


def _lengths(survey: Survey) -> Iterator[DataFinding]:
    lengths = [len(text) for text in survey.texts]
    ordered = sorted(lengths)
    median, high = ordered[len(ordered) // 2], ordered[int(0.99 * (len(ordered) - 1))]
    text = f"texts have {median:,} characters at the median, {high:,} at the 99th percentile, {ordered[-1]:,} at most"
    yield DataFinding("lengths", "note", len(lengths), text, details={"median": median, "p99": high, "longest": ordered[-1]})
    long = sorted((place for place, length in enumerate(lengths) if length > LONG), key=lambda place: -lengths[place])
    if long:
        yield DataFinding(
            "lengths.long",
            "warning" if len(long) > 0.05 * len(lengths) else "note",
            len(long),
            f"{counted(len(long), 'text')} of more than {LONG:,} characters: an encoder reads about that much and no more",
            "Put what decides the label first, or shorten them.",
            tuple(survey.rows[place].number for place in long[:EXAMPLES]),
        )
    short = [survey.rows[place].number for place, length in enumerate(lengths) if length < SHORT]
    if short:
        text = f"{counted(len(short), 'text')} of fewer than {SHORT} characters"
        todo = "Check whether such short texts can be labelled."
        yield DataFinding("lengths.short", "note", len(short), text, todo, tuple(short[:EXAMPLES]))


def _personal(survey: Survey) -> Iterator[DataFinding]:
    """The amount of personal data of each kind, and the rows that hold it; never the data itself."""
    kinds: Counter[str] = Counter()
    rows = []
    for row, text in zip(survey.rows, survey.texts, strict=True):
        # A cheap test first: every kind has an @, a colon or a digit.
        if "@" not in text and ":" not in text and not any(character in text for character in "0123456789"):
            continue
        found = Counter(kind for kind, _, _ in identifier_spans(text[:_CHARACTERS]))
        if found:
            kinds.update(found)
            rows.append(row.number)
    if rows:
        listed = ", ".join(f"{kind} {count:,}" for kind, count in kinds.most_common())
        yield DataFinding(
            "personal",
            "warning",
            len(rows),
            f"{counted(len(rows), 'row')} {verb(len(rows), 'hold')} personal data: {listed}",
            "Replace it by placeholders before you train, or make sure that you may use it: a model can repeat what it was taught.",
            tuple(rows[:EXAMPLES]),
            {"kinds": dict(kinds.most_common())},
        )


part = look
