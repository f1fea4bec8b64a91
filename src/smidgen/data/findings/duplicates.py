"""Rows that repeat another: exactly, or nearly."""

from __future__ import annotations

import unicodedata
from collections import defaultdict

from smidgen.data.inspection import EXAMPLES, NEAR_ROWS, DataFinding, Survey, counted, verb
from smidgen.text import near_duplicates


def look(survey: Survey) -> list[DataFinding]:
    """Exact duplicates (text and output the same) and near ones (similar text under the same output)."""
    found = []
    repeats = exact(survey)
    if repeats:
        found.append(
            DataFinding(
                "duplicates",
                "warning" if len(repeats) > 0.01 * len(survey.rows) else "note",
                len(repeats),
                f"{counted(len(repeats), 'row')} {verb(len(repeats), 'repeat')} an earlier row exactly",
                "Let --fix drop them; a build drops them anyway unless data.dedupe is off.",
                tuple(survey.rows[place].number for place in list(repeats)[:EXAMPLES]),
                {"pairs": [[survey.rows[first].number, survey.rows[place].number] for place, first in list(repeats.items())[:EXAMPLES]]},
            )
        )
    found += _forms(survey)
    close = _near(survey)
    if close:
        share = len(close) / len(survey.rows)
        bounded = f", among {NEAR_ROWS:,} rows looked at" if len(survey.rows) > NEAR_ROWS else ""
        found.append(
            DataFinding(
                "duplicates.near",
                "warning" if share > 0.05 else "note",
                len(close),
                f"{counted(len(close), 'row')} nearly {verb(len(close), 'repeat')} another row with the same output "
                f"({share:.1%} of all{bounded})",
                "They teach little; a split keeps such rows on one side, so that they do not flatter the measured quality.",
                tuple(survey.rows[other].number for _, other, _ in close[:EXAMPLES]),
                {
                    "pairs": [[survey.rows[a].number, survey.rows[b].number, round(s, 3)] for a, b, s in close[:EXAMPLES]],
                    "similar": near_duplicates.SIMILAR,
                },
            )
        )
    return found


def _forms(survey: Survey) -> list[DataFinding]:
    """Texts in another Unicode form than the rest: `é` as one character, and as a letter with an accent behind it, are two texts."""
    other = [place for place, text in enumerate(survey.texts) if not unicodedata.is_normalized("NFC", text)]
    composed = sum(not survey.texts[place].isascii() for place in range(len(survey.texts))) - len(other)
    if not other or not composed:
        return []
    return [
        DataFinding(
            "duplicates.forms",
            "warning" if len(other) > 0.01 * len(survey.rows) else "note",
            len(other),
            f"{counted(len(other), 'text')} {'is' if len(other) == 1 else 'are'} in another Unicode form than the {composed:,} others "
            "with letters beyond ASCII (NFD against NFC): what looks the same is not",
            "Save all texts in one form, NFC; programs on a Mac often write NFD.",
            tuple(survey.rows[place].number for place in other[:EXAMPLES]),
        )
    ]


def exact(survey: Survey) -> dict[int, int]:
    """Place of each row that repeats an earlier one (text, trimmed, and output), and the place of that one."""
    first: dict[tuple[str, str], int] = {}
    repeats = {}
    for place, row in enumerate(survey.rows):
        earlier = first.setdefault((survey.texts[place].strip(), repr(row.output)), place)
        if earlier != place:
            repeats[place] = earlier
    return repeats


def _near(survey: Survey) -> list[tuple[int, int, float]]:
    """One entry per row that nearly repeats another: (that one, the row, similarity)."""
    same: dict[tuple[str, str], list[int]] = defaultdict(list)
    repeats = exact(survey)
    for place in range(len(survey.rows)):
        if place not in repeats:
            same[survey.folded[place], repr(survey.rows[place].output)].append(place)
    close = {place: (places[0], 1.0) for places in same.values() for place in places[1:]}
    for one, other, similarity in survey.near_pairs:
        a, b = min(one, other), max(one, other)
        if survey.rows[a].output == survey.rows[b].output:
            close.setdefault(b, (a, similarity))
    return sorted(((first, place, similarity) for place, (first, similarity) in close.items()), key=lambda entry: (-entry[2], entry[1]))


part = look
