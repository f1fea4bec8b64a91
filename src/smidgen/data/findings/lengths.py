"""How long the texts are: those that a model would cut off, and those too short to say anything."""

from __future__ import annotations

from smidgen.data.inspection import EXAMPLES, DataFinding, Survey, counted

LONG = 1_200
"""Characters: about 256 tokens of English, which is what the starter encoder reads."""
SHORT = 3


def look(survey: Survey) -> list[DataFinding]:
    """Median and longest length; overlong and very short texts."""
    if not survey.rows:
        return []
    lengths = [len(text) for text in survey.texts]
    ordered = sorted(lengths)
    median, high = ordered[len(ordered) // 2], ordered[int(0.99 * (len(ordered) - 1))]
    found = [
        DataFinding(
            "lengths",
            "note",
            len(lengths),
            f"texts have {median:,} characters at the median, {high:,} at the 99th percentile, {ordered[-1]:,} at most",
            details={"median": median, "p99": high, "longest": ordered[-1]},
        )
    ]
    long = sorted((place for place, length in enumerate(lengths) if length > LONG), key=lambda place: -lengths[place])
    if long:
        found.append(
            DataFinding(
                "lengths.long",
                "warning" if len(long) > 0.05 * len(lengths) else "note",
                len(long),
                f"{counted(len(long), 'text')} of more than {LONG:,} characters: an encoder reads about that much and no more",
                "Put what decides the label first, or shorten them.",
                tuple(survey.rows[place].number for place in long[:EXAMPLES]),
            )
        )
    short = [place for place, length in enumerate(lengths) if length < SHORT]
    if short:
        found.append(
            DataFinding(
                "lengths.short",
                "note",
                len(short),
                f"{counted(len(short), 'text')} of fewer than {SHORT} characters",
                "Look whether they can be labelled at all.",
                tuple(survey.rows[place].number for place in short[:EXAMPLES]),
            )
        )
    return found


part = look
