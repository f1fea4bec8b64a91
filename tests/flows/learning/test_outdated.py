"""Rows from before a revocation: which are learnt from, and whose word contradicts whose."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from smidgen.core.progress import Silent
from smidgen.core.rows import Row
from smidgen.flows.learn import learning_rows
from smidgen.flows.learn.learning_rows import LearningRows, LineRow, Source

REVOKED = datetime(2026, 6, 1, tzinfo=UTC)
LABELS = ("billing", "shipping", "returns", "other")


def embed(texts: Sequence[Any]) -> Any:
    """A text begins with the number of its cloud."""
    rng = np.random.default_rng(0)
    found = np.eye(16)[[int(text.split()[0]) for text in texts]] + rng.normal(scale=0.1, size=(len(texts), 16))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def rows(days: int, source: Source, shift: int = 0, count: int = 120) -> list[LineRow]:
    """Of each label as many; with `shift` the first two have changed names."""
    at = REVOKED + timedelta(days=days)
    names = (LABELS[1], LABELS[0], *LABELS[2:]) if shift else LABELS
    return [LineRow(Row(f"{number % 4} {source} {days} {number}", names[number % 4]), source, at) for number in range(count)]


def left(*parts: list[LineRow], revoked: datetime | None = REVOKED) -> LearningRows:
    material = LearningRows(tuple(one for part in parts for one in part), (), (), unusable=(("another reason", 3),))
    return learning_rows.drop_outdated(material, revoked, lambda: embed, Silent())


def test_what_newer_rows_contradict_is_left_out_and_counted() -> None:
    old, new = rows(-1, "upstream"), rows(1, "upstream", shift=1)
    found = left(old, new)
    assert found.learning == (*(one for one in old if one.row.output in LABELS[2:]), *new)
    assert dict(found.unusable) == {"another reason": 3, learning_rows.OUTDATED: 60}


def test_without_a_revocation_or_a_change_all_is_learnt_from() -> None:
    old, new = rows(-1, "upstream"), rows(1, "upstream", shift=1)
    assert left(old, new, revoked=None).learning == (*old, *new)
    assert left(old, rows(1, "upstream")).learning == (*old, *rows(1, "upstream"))
    assert left(old, new[:19]).learning == (*old, *new[:19]), "too few"


def test_a_large_model_does_not_contradict_a_file_and_people_contradict_both() -> None:
    given, captured, new = rows(-2, "data"), rows(-1, "upstream"), rows(1, "upstream", shift=1)
    found = left(given, captured, new)
    assert found.learning[: len(given)] == tuple(given) and dict(found.unusable)[learning_rows.OUTDATED] == 60
    corrected = left(given, captured, rows(1, "human", shift=1))
    assert dict(corrected.unusable)[learning_rows.OUTDATED] == 120


def test_without_an_encoder_nothing_is_left_out_and_it_is_said() -> None:
    said: list[str] = []

    class Told(Silent):
        def say(self, text: str) -> None:
            said.append(text)

    material = LearningRows((*rows(-1, "upstream"), *rows(1, "upstream", shift=1)), (), ())
    assert learning_rows.drop_outdated(material, REVOKED, lambda: None, Told()) is material
    assert len(said) == 1 and "smidgen pull minilm" in said[0]
