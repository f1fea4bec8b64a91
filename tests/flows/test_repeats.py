"""Traffic repeats itself: a text that comes ten times is one draw of the model's errors, and counts once."""

from __future__ import annotations

import math
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from tests.certified_bundle import certified_bundle, pairs, write_pairs  # noqa: F401

from smidgen.core.rows import Row
from smidgen.flows.calibration_sample import once
from smidgen.flows.certifying import Terms, certify
from smidgen.flows.live import load
from smidgen.stats.certified import Claim, Step, certified

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ALPHA = DELTA = 0.05
PAIRS, SEEDS = 1000, 500
ALLOWANCE = 2.33 * math.sqrt(DELTA * (1 - DELTA) / SEEDS)
"""What 500 seeds may show over a true 5 %, once in a hundred such tests."""
TRIES = [Step(1 - part, part) for part in (0.25, 0.5, 1.0)]


def wrongly_certified(drop: bool) -> float:
    """Over many samples of traffic in which few texts are most of what comes (Zipf), and each text is answered wrongly with a chance a hair
    over alpha whatever its score: the share of samples that get a certificate all the same."""
    found = 0
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        weight = 1 / np.arange(1, 2001) ** 1.1
        wrong, score = rng.random(2000) < ALPHA + 0.0005, rng.random(2000)
        rows = [Row(f"text {number}", number) for number in rng.choice(2000, PAIRS, p=weight / weight.sum()).tolist()]
        texts = np.array([row.output for row in (once(rows) if drop else rows)])
        found += certified(score[texts], wrong[texts].astype(float), TRIES, Claim(ALPHA, DELTA)).threshold is not None
    return found / SEEDS


def test_repeats_that_count_once_keep_to_delta_and_those_that_count_each_time_do_not() -> None:
    assert wrongly_certified(True) <= DELTA + ALLOWANCE < wrongly_certified(False)


def test_each_text_stays_once_as_it_came_last_in_each_segment() -> None:
    rows = [Row("Where is it?", "a", 1), Row("another", "b", 2), Row("where is  it", "c", 3), Row(("Where is", "that"), "d", 4)]
    assert [row.output for row in once(rows)] == ["b", "c", "d"]
    assert [row.output for row in once(rows, {1: "north", 2: "north", 3: "south"})] == ["a", "b", "c", "d"]
    assert [row.output for row in once(rows, {1: "north", 2: "north", 3: "north"})] == ["b", "c", "d"]


def test_a_sample_of_repeats_is_no_larger_than_its_texts_and_it_says_so(certified_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    rows = pairs(1500, 3, start=20_000)
    with closing(load(certified_bundle, 1)) as model:
        plain = certify(model, write_pairs(tmp_path / "plain.csv", rows), Terms(), now=NOW).certificate
        again = certify(model, write_pairs(tmp_path / "again.csv", [*rows, *rows[:400], *rows[:400]]), Terms(), now=NOW).certificate
    assert plain.unchecked == () and again.answering == plain.answering and again.n == 1500
    assert again.unchecked == ("how often each text comes: each stands once here, and 800 times that one came again are left out",)
