"""Rows that newer ones contradict: those whose meaning changed, and none of the others."""

from __future__ import annotations

import numpy as np
import pytest

from smidgen.data.label_errors import LEAST_KEPT, LEAST_NEWER, Labels, contradicted_rows
from smidgen.stats.kernel_ridge import Floats32

CLASSES, WIDTH = 10, 32
OTHER = np.array([1, 0, *range(2, CLASSES)])
"""The first two labels have changed their meaning."""


def clouds(rng: np.random.Generator, n: int, blur: float = 0.6) -> tuple[Floats32, Labels]:
    labels = rng.integers(CLASSES, size=n)
    found = np.eye(WIDTH)[labels] + rng.normal(scale=blur / np.sqrt(WIDTH), size=(n, WIDTH))
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32), labels


@pytest.mark.parametrize("newer", [60, 600])
def test_what_changed_its_meaning_is_found_and_nothing_else(newer: int) -> None:
    rng = np.random.default_rng(newer)
    (old, said), (new, now) = clouds(rng, 800), clouds(rng, newer)
    found, changed = contradicted_rows(old, said, new, OTHER[now]), said < 2
    assert found[changed].mean() > 0.95 and found[~changed].mean() < 0.01
    assert not contradicted_rows(old, said, new, now).any(), "nothing changed"


def test_single_errors_contradict_nothing() -> None:
    rng = np.random.default_rng(1)
    (old, said), (new, now) = clouds(rng, 800), clouds(rng, 400)
    slips = np.where(rng.random(400) < 0.15, rng.integers(CLASSES, size=400), now)
    assert contradicted_rows(old, said, new, slips).mean() < 0.01


def test_what_was_hard_before_contradicts_nothing() -> None:
    """Labels that no model can tell apart are erred on now as they were then."""
    rng = np.random.default_rng(2)
    (old, said), (new, now) = clouds(rng, 800), clouds(rng, 400)
    said, now = (np.where(labels < 4, rng.integers(4, size=len(labels)), labels) for labels in (said, now))
    assert contradicted_rows(old, said, new, now).mean() < 0.05


def test_a_label_that_would_be_lost_keeps_its_rows() -> None:
    rng = np.random.default_rng(3)
    (old, said), (new, now) = clouds(rng, 800), clouds(rng, 400)
    gone = np.where(now == 0, 1, now)
    assert not contradicted_rows(old, said, new, gone)[said == 0].any(), "nothing is called 0 any more"
    gone[:LEAST_KEPT] = 0
    assert contradicted_rows(old, said, new, gone)[said == 0].mean() > 0.9


def test_few_newer_rows_contradict_nothing() -> None:
    rng = np.random.default_rng(4)
    (old, said), (new, now) = clouds(rng, 200), clouds(rng, LEAST_NEWER - 1)
    assert not contradicted_rows(old, said, new, (now + 1) % CLASSES).any()
    assert contradicted_rows(old[:0], said[:0], *clouds(rng, 100)).shape == (0,)
