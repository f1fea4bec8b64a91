"""Findings about rows that repeat others: in the file, under another label, and in the test file."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator

from smidgen.core.rows import joined
from smidgen.data.inspection import NEAR_ROWS, DataFinding, Survey, counted, verb
from smidgen.text import near_duplicates


def look(survey: Survey) -> Iterator[DataFinding]:
    """Conflicts, duplicates and leakage."""
    yield from _conflicts(survey)
    yield from _duplicates(survey)
    if survey.test:
        yield from _leakage(survey)


def conflicting(survey: Survey) -> list[list[int]]:
    """Rows that share a text (case, punctuation and spacing aside) but not their labels, grouped by text, as places in the survey."""
    if survey.labels is None:
        return []
    same: dict[str, list[int]] = defaultdict(list)
    for place, folded in enumerate(survey.folded):
        same[folded].append(place)
    labels = survey.labels
    return [places for places in same.values() if len({labels[place] for place in places}) > 1]


def exact(survey: Survey) -> dict[int, int]:
    """Map each row that repeats an earlier one (trimmed text and output) to the earlier one, both by place."""
    first: dict[tuple[str, str], int] = {}
    repeats = {}
    for place, row in enumerate(survey.rows):
        earlier = first.setdefault((survey.texts[place].strip(), repr(row.output)), place)
        if earlier != place:
            repeats[place] = earlier
    return repeats


def leaking(survey: Survey) -> dict[int, int]:
    """Map each training row whose text (case, punctuation and spacing aside) is in the test file, by place, to the test row's number."""
    tests = {near_duplicates.fold_text(joined(row.input)): row.number for row in reversed(survey.test)}
    return {place: tests[text] for place, text in enumerate(survey.folded) if text in tests}


def _conflicts(survey: Survey) -> Iterator[DataFinding]:
    found = conflicting(survey)
    if not found:
        return
    rows = sum(map(len, found))
    shown = {place: "|".join(labels) for place, labels in enumerate(survey.labels or ())}
    pairs = Counter(" / ".join(sorted({shown[place] for place in places})) for places in found)
    texts = [
        [{"row": survey.rows[place].number, "label": shown[place]} for place in places[: survey.examples]]
        for places in found[: survey.examples]
    ]
    yield DataFinding(
        "conflicts",
        "warning",
        rows,
        f"{counted(len(found), 'text')} in {counted(rows, 'row')} under more than one label",
        "Decide for one label each; --fix takes the majority where there is one and leaves ties to you.",
        tuple(survey.rows[place].number for places in found for place in places)[: survey.examples],
        {"texts": texts, "labels": dict(pairs.most_common(survey.examples))},
    )


def _duplicates(survey: Survey) -> Iterator[DataFinding]:
    """Exact duplicates (equal text and output) and near ones (similar text, equal output)."""
    rows = survey.rows
    repeats = exact(survey)
    if repeats:
        yield DataFinding(
            "duplicates",
            "warning" if len(repeats) > 0.01 * len(rows) else "note",
            len(repeats),
            f"{counted(len(repeats), 'row')} {verb(len(repeats), 'repeat')} an earlier row exactly",
            "Let --fix drop them; a build drops them anyway unless data.dedupe is off.",
            tuple(rows[place].number for place in list(repeats)[: survey.examples]),
            {"pairs": [[rows[first].number, rows[place].number] for place, first in list(repeats.items())[: survey.examples]]},
        )
    # `é` as one character, and as a letter followed by an accent, are two texts.
    other = [place for place, text in enumerate(survey.texts) if not unicodedata.is_normalized("NFC", text)]
    composed = sum(not text.isascii() for text in survey.texts) - len(other)
    if other and composed:
        yield DataFinding(
            "duplicates.forms",
            "warning" if len(other) > 0.01 * len(rows) else "note",
            len(other),
            f"{counted(len(other), 'text')} {'is' if len(other) == 1 else 'are'} in another Unicode form than the {composed:,} others "
            "with letters beyond ASCII (NFD against NFC): what looks the same is not",
            "Save all texts in one form, NFC; programs on a Mac often write NFD.",
            tuple(rows[place].number for place in other[: survey.examples]),
        )
    close = _near_repeats(survey, repeats)
    if close:
        share = len(close) / len(rows)
        bounded = f", among {NEAR_ROWS:,} rows looked at" if len(rows) > NEAR_ROWS else ""
        pairs = [[rows[a].number, rows[b].number, round(s, 3)] for a, b, s in close[: survey.examples]]
        yield DataFinding(
            "duplicates.near",
            "warning" if share > 0.05 else "note",
            len(close),
            f"{counted(len(close), 'row')} nearly {verb(len(close), 'repeat')} another row with the same output "
            f"({share:.1%} of all{bounded})",
            "They teach little; a split keeps such rows on one side, so that they do not flatter the measured quality.",
            tuple(rows[other].number for _, other, _ in close[: survey.examples]),
            {"pairs": pairs, "similar": near_duplicates.SIMILAR},
        )


def _near_repeats(survey: Survey, repeats: dict[int, int]) -> list[tuple[int, int, float]]:
    """Near-duplicates: (the earlier row, the row that nearly repeats it, similarity), one entry for each repeating row."""
    same: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place in range(len(survey.rows)):
        if place not in repeats:
            same[survey.folded[place], repr(survey.rows[place].output)].append(place)
    close = {place: (places[0], 1.0) for places in same.values() for place in places[1:]}
    for one, other, similarity in survey.near_pairs:
        a, b = min(one, other), max(one, other)
        if survey.rows[a].output == survey.rows[b].output:
            close.setdefault(b, (a, similarity))
    return sorted(((first, place, similarity) for place, (first, similarity) in close.items()), key=lambda entry: (-entry[2], entry[1]))


def _leakage(survey: Survey) -> Iterator[DataFinding]:
    """Test texts that also occur among the training rows, exactly or nearly: the model would be measured on its training data."""
    same = leaking(survey)
    if same:
        tests = len(set(same.values()))
        yield DataFinding(
            "leakage",
            "warning",
            len(same),
            f"{counted(len(same), 'training row')} {verb(len(same), 'hold')} a text of the test file "
            f"({tests / len(survey.test):.1%} of the test rows)",
            "Let --fix drop them from the training file: what is measured on them says nothing.",
            tuple(survey.rows[place].number for place in list(same)[: survey.examples]),
            {"pairs": [[survey.rows[place].number, number] for place, number in list(same.items())[: survey.examples]]},
        )
    close = _near_tests(survey, same)
    if close:
        tests = len({number for _, number, _ in close})
        yield DataFinding(
            "leakage.near",
            "warning" if tests > 0.01 * len(survey.test) else "note",
            len(close),
            f"{counted(len(close), 'training row')} nearly {verb(len(close), 'repeat')} a test row "
            f"({tests / len(survey.test):.1%} of the test rows)",
            "Expect the measured quality to be a little too good, or take them out.",
            tuple(survey.rows[place].number for place, _, _ in close[: survey.examples]),
            {
                "pairs": [
                    [survey.rows[place].number, number, round(similarity, 3)] for place, number, similarity in close[: survey.examples]
                ]
            },
        )


def _near_tests(survey: Survey, same: dict[int, int]) -> list[tuple[int, int, float]]:
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
