"""The same text under two labels: one of them is wrong, or the labels overlap."""

from __future__ import annotations

from collections import Counter, defaultdict

from smidgen.data.inspection import EXAMPLES, DataFinding, Survey, counted


def look(survey: Survey) -> list[DataFinding]:
    """Texts (case, punctuation and spacing aside) that stand under more than one output."""
    found = conflicting(survey)
    if not found:
        return []
    rows = sum(len(places) for places in found)
    pairs = Counter(" / ".join(sorted({_shown(survey, place) for place in places})) for places in found)
    return [
        DataFinding(
            "conflicts",
            "warning",
            rows,
            f"{counted(len(found), 'text')} in {counted(rows, 'row')} under more than one label",
            "Decide for one label each; --fix takes the majority where there is one and leaves ties to you.",
            tuple(survey.rows[place].number for places in found for place in places)[:EXAMPLES],
            {
                "texts": [
                    [{"row": survey.rows[place].number, "label": _shown(survey, place)} for place in places[:EXAMPLES]]
                    for places in found[:EXAMPLES]
                ],
                "labels": dict(pairs.most_common(EXAMPLES)),
            },
        )
    ]


def conflicting(survey: Survey) -> list[list[int]]:
    """Places of rows that share a text but not an output, grouped by text."""
    if survey.labels is None:
        return []
    same: dict[str, list[int]] = defaultdict(list)
    for place, folded in enumerate(survey.folded):
        same[folded].append(place)
    labels = survey.labels
    return [places for places in same.values() if len({labels[place] for place in places}) > 1]


def _shown(survey: Survey, place: int) -> str:
    assert survey.labels is not None
    return "|".join(survey.labels[place])


part = look
