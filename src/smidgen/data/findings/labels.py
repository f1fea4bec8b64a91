"""Findings about labels: their number of rows, names that look alike, and names that stand for a missing value."""

from __future__ import annotations

import contextlib
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from smidgen.core.errors import MissingExtra
from smidgen.data.findings.mislabels import propose_labels
from smidgen.data.inspection import DataFinding, Survey, counted

FEW = 8
"""Labels with fewer rows than this can hardly be learnt and not be measured."""
UNEVEN = 20.0
"""Ratio of the largest label's rows to the median label's from which it is reported."""
CLOSE = 0.9
"""Cosine of two names' vectors from which they are reported."""
_MOST = 1_000
"""Most labels that are compared by meaning."""
_LEAST = 5
"""Least letters of names that are compared by single letters: in shorter ones, one letter makes another word."""
_SEPARATORS = re.compile(r"[\W_]+")
_MISSING = frozenset(
    {"nan", "-nan", "1.#ind", "1.#qnan", "na", "n/a", "n.a.", "#n/a", "#na", "<na>", "none", "null", "nil", "nat"}
    | {"missing", "undefined", "(blank)", "(empty)", "-", "--", "?", "."}
)
"""Names that spreadsheets and programs write for a missing value, in lower case."""


def look(survey: Survey) -> Iterator[DataFinding]:
    """Rows of each label, spellings that --fix merges, and names that a person should check."""
    yield from _counts(survey)
    variants = spelling_variants(survey.counts)
    if variants:
        shown = [" = ".join(repr(name) for name in names) + _form(names) for names in variants]
        text = f"{counted(len(variants), 'label')} spelt in more than one way: {'; '.join(shown[:3])}"
        details = {"variants": [{name: survey.counts[name] for name in names} for names in variants[: survey.examples]]}
        number = sum(len(names) - 1 for names in variants)
        yield DataFinding("label_names", "warning", number, text, "Let --fix merge them into the commonest spelling.", details=details)
    yield from _missing(survey)
    merged = {frozenset((one, other)) for names in variants for one in names for other in names}
    alike = [pair for pair in _alike(survey) if frozenset(pair[:2]) not in merged]
    alike = _not_told_apart(survey, alike) if alike else []
    if alike:
        shown = [f"{one!r} and {other!r} ({why})" for one, other, why in alike]
        text = f"{counted(len(alike), 'pair')} of label names look alike: {'; '.join(shown[:3])}"
        todo = "Merge those that mean the same; keep the others."
        yield DataFinding("label_names.alike", "note", len(alike), text, todo, details={"pairs": list(map(list, alike[: survey.examples]))})


def _counts(survey: Survey) -> Iterator[DataFinding]:
    """Too few labels, labels of too few rows, and imbalance."""
    rows = counted(len(survey.rows), "row")
    if survey.labels is None:
        yield DataFinding("counts", "note", len(survey.rows), f"{rows} that can be learnt from")
        return
    counts = dict(survey.counts.most_common())
    sizes = sorted(counts.values())
    each = f", {sizes[0]:,} to {sizes[-1]:,} rows each" if sizes else ""
    labels = counted(len(counts), "label")
    yield DataFinding("counts", "note", len(survey.rows), f"{rows} under {labels}{each}", details={"labels": counts})
    if len(counts) < 2:
        todo = "Add rows of another label, or choose another column of labels (--label)."
        yield DataFinding("counts.one", "error", 1, f"there is one label only: {next(iter(counts), '')!r}", todo)
        return
    left = Counter[str]()
    again = respelt(counts)  # a build reads these under their common spelling
    for label, count in counts.items():
        left[again.get(label, label)] += count
    once = [label for label, count in left.items() if count == 1]
    if not survey.unknown.issuperset(once):
        yield DataFinding(
            "counts.once",
            "warning",
            len(once),
            f"{counted(len(once), 'label')} with one row, which a build leaves out: {_listed(once)}",
            "Add a second row to each, correct its spelling, or merge it. The model never answers a label that is left out.",
            tuple(_rows_of(survey, once)[: survey.examples]),
            {"labels": once, "nearest": nearest_labels(survey, once)},
        )
        if len(set(left) - set(once) - survey.unknown) < (2 if survey.single else 1):
            text = "too few labels have two rows: a build leaves out the others, and needs two"
            yield DataFinding("counts.left", "error", 1, text, "Add rows, so that at least two labels have two rows each.")
    few = {label: count for label, count in counts.items() if 1 < count < FEW}
    if few:
        text = f"{counted(len(few), 'label')} with fewer than {FEW} rows: {_listed(list(few))}"
        todo = "Add examples of them, or merge them with a label that is handled the same way."
        yield DataFinding(
            "counts.few", "warning", len(few), text, todo, details={"labels": few, "nearest": nearest_labels(survey, list(few))}
        )
    median = sizes[len(sizes) // 2]
    if sizes[-1] >= UNEVEN * median:
        largest = next(iter(counts))
        text = f"{largest!r} has {sizes[-1]:,} rows, {sizes[-1] / median:.0f} times the median label"
        todo = "Expect the rare labels to be missed; use class weights, or keep fewer rows of it."
        yield DataFinding("counts.uneven", "warning", 1, text, todo, details={"label": largest, "rows": sizes[-1], "median": median})


def _missing(survey: Survey) -> Iterator[DataFinding]:
    """Labels that read as a missing value. Some are real (NA is Namibia), so --fix leaves them."""
    names = [name for name in survey.counts if name.strip().casefold() in _MISSING]
    if names:
        rows = _rows_of(survey, names)
        yield DataFinding(
            "label_names.missing",
            "warning",
            len(rows),
            f"{counted(len(rows), 'row')} {'has' if len(rows) == 1 else 'have'} a label that reads as a missing value: "
            f"{', '.join(map(repr, names[:5]))}",
            "Fill in the labels, or remove the rows; keep a name that is meant.",
            tuple(rows[: survey.examples]),
            {"labels": {name: survey.counts[name] for name in names}},
        )


def nearest_labels(survey: Survey, labels: Sequence[str]) -> dict[str, str]:
    """Map each of these labels to the one that it may be merged with: nearest in meaning, or without vectors in its letters.

    A label that resembles none has no entry.
    """
    names = list(survey.counts)
    if not 2 <= len(names) <= _MOST:
        return {}
    own = [names.index(label) for label in labels]
    if survey.embed is not None:
        vectors = survey.embed([" ".join(_words(name)) or name for name in names])
        vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        alike = vectors[own] @ vectors.T
    else:
        threes = [{word[place : place + 3] for word in _words(name) for place in range(max(1, len(word) - 2))} for name in names]
        alike = np.array([[len(threes[one] & other) / max(1, len(threes[one] | other)) for other in threes] for one in own])
    alike[np.arange(len(own)), own] = 0.0
    alike[:, [name in survey.unknown for name in names]] = 0.0  # "none of these" is near to nothing
    best = alike.argmax(axis=1)
    return {names[one]: names[other] for one, other, row in zip(own, best.tolist(), alike, strict=True) if row[other] > 0}


def _rows_of(survey: Survey, labels: list[str]) -> list[int]:
    return [row.number for row, own in zip(survey.rows, survey.labels or (), strict=True) if not set(labels).isdisjoint(own)]


def _listed(labels: list[str], most: int = 5) -> str:
    more = f" and {len(labels) - most} more" if len(labels) > most else ""
    return ", ".join(repr(label) for label in labels[:most]) + more


def spelling_variants(counts: Mapping[str, int]) -> list[list[str]]:
    """Groups of labels that differ only in case, spacing, punctuation and Unicode form, the commonest spelling first."""
    same: dict[str, list[str]] = defaultdict(list)
    for name in counts:
        same[_plain(name)].append(name)
    groups = [sorted(names, key=lambda name: (-counts[name], name)) for names in same.values() if len(names) > 1]
    return sorted(groups)


def respelt(counts: Mapping[str, int]) -> dict[str, str]:
    """Map each label seen once to a spelling of it that is seen more often, if there is one."""
    return {name: names[0] for names in spelling_variants(counts) for name in names[1:] if counts[name] == 1}


def _form(names: Sequence[str]) -> str:
    """A note for names that differ only in their invisible Unicode form."""
    plain = {unicodedata.normalize("NFC", name) for name in names}
    return " (the same letters in two Unicode forms, NFC and NFD)" if len(plain) < len(names) else ""


def _alike(survey: Survey) -> list[tuple[str, str, str]]:
    """Pairs of labels that may be the same, each with the reason."""
    found: dict[frozenset[str], tuple[str, str, str]] = {}
    for one, other, why in (*_plurals(survey), *_one_letter(survey), *_meanings(survey)):
        found.setdefault(frozenset((one, other)), (one, other, why))
    return list(found.values())


def _not_told_apart(survey: Survey, alike: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """The pairs without those whose rows differ: `light_on` and `light_off` look alike and are two things."""
    with contextlib.suppress(MissingExtra):  # without the judges, people judge
        propose_labels(survey)
    told = survey.judgement
    return alike if told is None else [pair for pair in alike if not told.tells_apart(*pair[:2])]


def _plurals(survey: Survey) -> Iterator[tuple[str, str, str]]:
    stems: dict[str, list[str]] = defaultdict(list)
    for name in sorted(survey.counts):
        stems[" ".join(_stem(word) for word in _words(name))].append(name)
    for names in stems.values():
        yield from ((names[0], other, "singular and plural") for other in names[1:])


def _one_letter(survey: Survey) -> Iterator[tuple[str, str, str]]:
    """Pairs of names one insertion, deletion or replacement apart, by the neighbourhood of deletions (as in SymSpell): linear in their
    length."""
    cut: dict[str, list[str]] = defaultdict(list)
    for name in sorted(survey.counts):
        plain = _plain(name)
        if len(plain) < _LEAST:
            continue
        for key in {plain, *(plain[:place] + "_" + plain[place + 1 :] for place in range(len(plain)))}:
            cut[key].append(name)
        for key in {plain[:place] + plain[place + 1 :] for place in range(len(plain))}:
            cut[key].append(name)
    seen: set[tuple[str, str]] = set()
    for names in cut.values():
        for place, one in enumerate(names):
            for other in names[place + 1 :]:
                if one != other and (one, other) not in seen and _within_one(_plain(one), _plain(other)):
                    seen.add((one, other))
                    yield one, other, "one letter apart"


def _within_one(one: str, other: str) -> bool:
    """Whether one edit makes them equal, and it is not of a digit: `tier 1` and `tier 2` are two things."""
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    end = 0
    while end < min(len(one), len(other)) - start and one[-1 - end] == other[-1 - end]:
        end += 1
    a, b = one[start : len(one) - end], other[start : len(other) - end]
    return max(len(a), len(b)) == 1 and not any(character.isdigit() for character in a + b)


def _meanings(survey: Survey) -> Iterator[tuple[str, str, str]]:
    names = sorted(survey.counts)
    if survey.embed is None or not 2 <= len(names) <= _MOST:
        return
    vectors = survey.embed([" ".join(_words(name)) or name for name in names])
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    alike = np.triu(vectors @ vectors.T, k=1)
    order = np.argsort(-alike, axis=None)[: int((alike >= CLOSE).sum())]
    for place in order.tolist():
        one, other = divmod(place, len(names))
        if re.findall(r"\d+", names[one]) == re.findall(r"\d+", names[other]):
            yield names[one], names[other], f"close in meaning, {alike[one, other]:.2f}"


def _words(name: str) -> list[str]:
    return _SEPARATORS.sub(" ", unicodedata.normalize("NFC", name.casefold())).split()


def _plain(name: str) -> str:
    return "".join(_words(name)) or name


def _stem(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


part = look
