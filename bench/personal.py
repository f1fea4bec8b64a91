"""Scoring of found personal data: which types of a data set and of a peer are which kinds, what counts, strict and by overlap.

The kinds were laid down before anything was run on the test files, from the names of their types alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

Span = tuple[int, int, str]
"""Start, end (exclusive), kind."""

LOCATION = "place or address"
GOLD = {
    "PERSON": "person",
    "GPE": LOCATION,
    "LOCATION": LOCATION,
    "STREET_ADDRESS": LOCATION,
    "ADDRESS": LOCATION,
    "ORGANIZATION": "organisation",
    "DATE_TIME": "date",
    "PHONE_NUMBER": "phone",
    "EMAIL_ADDRESS": "email",
    "CREDIT_CARD": "card",
    "IBAN_CODE": "iban",
    "US_SSN": "id",
    "US_DRIVER_LICENSE": "id",
}
"""The kinds that are scored, by the types of the test files. Types that are not here (title, prefix, age, nationality, zip code alone, IP
address, domain) are scored for nobody: see `counted`."""

PRESIDIO = {
    **{name: kind for name, kind in GOLD.items() if name not in ("GPE", "STREET_ADDRESS", "ADDRESS")},
    **dict.fromkeys(("US_PASSPORT", "US_BANK_NUMBER", "US_ITIN", "UK_NHS", "UK_NINO", "MEDICAL_LICENSE", "US_MBI", "UK_PASSPORT"), "id"),
}
"""The same of what Presidio finds. It has one type for places and addresses, so these are one kind for both sides."""

SMIDGEN = {
    "place": LOCATION,
    "address": LOCATION,
    **{kind: kind for kind in ("person", "organisation", "date", "phone", "email", "card", "iban", "id")},
}
"""The same of what smidgen's model finds."""

_RESAMPLES = 2000


@dataclass(frozen=True)
class Row:
    """A text of a test file: its spans that are scored, those of types that are not, and its template."""

    text: str
    gold: tuple[Span, ...]
    passed: tuple[tuple[int, int], ...]
    template: str


@dataclass(frozen=True)
class Scores:
    """F1 with its 95 % interval, precision and recall."""

    f1: float
    low: float
    high: float
    precision: float
    recall: float


def counted(row: Row, found: Iterable[Span]) -> list[Span]:
    """What is held against the gold spans: what was found, but for what touches a span of a type that is not scored and no scored one."""
    kept = []
    for span in found:
        touches = any(_meet(span, other) for other in row.gold)
        if touches or not any(span[0] < end and start < span[1] for start, end in row.passed):
            kept.append(span)
    return kept


def apart(found: Iterable[tuple[str, int, int, float]]) -> list[tuple[str, int, int]]:
    """Of findings that overlap the surest, and of equally sure ones the longest: what an anonymiser would go by."""
    kept: list[tuple[str, int, int]] = []
    for name, start, end, _ in sorted(found, key=lambda entry: (-entry[3], entry[1] - entry[2], entry[1])):
        if not any(start < b and a < end for _, a, b in kept):
            kept.append((name, start, end))
    return kept


def strict(rows: Sequence[Row], found: Sequence[Sequence[Span]]) -> Scores:
    """A span is right where its bounds and its kind are."""
    counts = [
        (len(set(row.gold) & set(own)), len(set(row.gold) & set(own)), len(set(row.gold)), len(set(own)))
        for row, own in zip(rows, found, strict=True)
    ]
    return _scores(rows, counts)


def by_overlap(rows: Sequence[Row], found: Sequence[Sequence[Span]]) -> Scores:
    """A gold span is found where a span of its kind touches it, and a found span is right where it touches a gold one of its kind."""
    counts = []
    for row, own in zip(rows, found, strict=True):
        met = sum(any(_meet(gold, span) and gold[2] == span[2] for span in own) for gold in row.gold)
        right = sum(any(_meet(gold, span) and gold[2] == span[2] for gold in row.gold) for span in own)
        counts.append((met, right, len(row.gold), len(own)))
    return _scores(rows, counts)


def covered(rows: Sequence[Row], found: Sequence[Sequence[Span]]) -> float:
    """The share of the letters and digits of gold spans that some found span covers, of whatever kind: what redaction would take out."""
    hidden = total = 0
    for row, own in zip(rows, found, strict=True):
        for start, end, _ in row.gold:
            places = [place for place in range(start, end) if row.text[place].isalnum()]
            total += len(places)
            hidden += sum(any(a <= place < b for a, b, _ in own) for place in places)
    return hidden / total if total else 0.0


def _scores(rows: Sequence[Row], counts: Sequence[tuple[int, int, int, int]]) -> Scores:
    """From gold spans found, found spans that are right, gold and found spans of each row. Templates are drawn, not rows: rows of one
    template are right or wrong together."""
    places = {name: place for place, name in enumerate(dict.fromkeys(row.template for row in rows))}
    table = np.zeros((len(places), 4))
    for row, entry in zip(rows, counts, strict=True):
        table[places[row.template]] += entry
    rng = np.random.default_rng(0)
    draws = rng.multinomial(len(table), np.full(len(table), 1 / len(table)), size=_RESAMPLES) @ table
    low, high = np.nanpercentile(_f1(draws), (2.5, 97.5))
    met, right, gold, found = table.sum(0)
    return Scores(float(_f1(table.sum(0)[None])[0]), float(low), float(high), right / max(found, 1), met / max(gold, 1))


def _f1(table: np.ndarray) -> np.ndarray:
    met, right, gold, found = table.T
    precision, recall = right / np.maximum(found, 1e-9), met / np.maximum(gold, 1e-9)
    return np.asarray(2 * precision * recall / np.maximum(precision + recall, 1e-9))


def _meet(a: Span, b: Span) -> bool:
    return a[0] < b[1] and b[0] < a[1]


Choice = Callable[[Span], bool]


def of_kind(rows: Sequence[Row], found: Sequence[Sequence[Span]], kind: str) -> tuple[list[Row], list[list[Span]]]:
    """Rows and findings with one kind alone."""
    ours = [Row(row.text, tuple(span for span in row.gold if span[2] == kind), row.passed, row.template) for row in rows]
    return ours, [[span for span in own if span[2] == kind] for own in found]
