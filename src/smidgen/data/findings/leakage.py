"""Rows of the training file that stand in the test file too: the model would be examined on what it was told."""

from __future__ import annotations

from smidgen.core.rows import joined
from smidgen.data.inspection import EXAMPLES, NEAR_ROWS, DataFinding, Survey, counted, verb
from smidgen.text import near_duplicates


def look(survey: Survey) -> list[DataFinding]:
    """Test texts that are in the training rows, the same or nearly so."""
    if not survey.test:
        return []
    found = []
    same = leaking(survey)
    if same:
        tests = len(set(same.values()))
        found.append(
            DataFinding(
                "leakage",
                "warning",
                len(same),
                f"{counted(len(same), 'training row')} {verb(len(same), 'hold')} a text of the test file "
                f"({tests / len(survey.test):.1%} of the test rows)",
                "Let --fix drop them from the training file: what is measured on them says nothing.",
                tuple(survey.rows[place].number for place in list(same)[:EXAMPLES]),
                {"pairs": [[survey.rows[place].number, number] for place, number in list(same.items())[:EXAMPLES]]},
            )
        )
    close = _near(survey, same)
    if close:
        tests = len({number for _, number, _ in close})
        found.append(
            DataFinding(
                "leakage.near",
                "warning" if tests > 0.01 * len(survey.test) else "note",
                len(close),
                f"{counted(len(close), 'training row')} nearly {verb(len(close), 'repeat')} a test row "
                f"({tests / len(survey.test):.1%} of the test rows)",
                "Expect the measured quality to be a little too good, or take them out.",
                tuple(survey.rows[place].number for place, _, _ in close[:EXAMPLES]),
                {"pairs": [[survey.rows[place].number, number, round(similarity, 3)] for place, number, similarity in close[:EXAMPLES]]},
            )
        )
    return found


def leaking(survey: Survey) -> dict[int, int]:
    """Place of each training row whose text (case, punctuation and spacing aside) is in the test file, and the test row's number."""
    tests = {near_duplicates.fold_text(joined(row.input)): row.number for row in reversed(survey.test)}
    return {place: tests[text] for place, text in enumerate(survey.folded) if text in tests}


def _near(survey: Survey, same: dict[int, int]) -> list[tuple[int, int, float]]:
    """(place of the training row, number of the test row, similarity), one entry per training row, the nearest first."""
    places = [place for place in survey.sample(NEAR_ROWS) if place not in same]
    tests = survey.test[:NEAR_ROWS]
    texts = [survey.folded[place] for place in places] + [near_duplicates.fold_text(joined(row.input)) for row in tests]
    border = len(places)
    closest: dict[int, tuple[float, int]] = {}
    for one, other, similarity in near_duplicates.near_pairs(texts):
        if one < border <= other:
            entry = (similarity, tests[other - border].number)
            closest[places[one]] = max(closest.get(places[one], entry), entry)
    return sorted(((place, number, similarity) for place, (similarity, number) in closest.items()), key=lambda entry: (-entry[2], entry[0]))


part = look
