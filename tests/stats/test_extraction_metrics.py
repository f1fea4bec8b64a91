"""Scores of spans, by hand and by resampling; the curve of Platt."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from smidgen.stats import calibration, extraction_metrics


def made(*entries: tuple[int, int, str]) -> list[dict[str, Any]]:
    return [{"start": start, "end": end, "label": label} for start, end, label in entries]


GOLD = [made((0, 4, "a"), (5, 9, "b")), made((0, 2, "a")), [], made((3, 6, "b"))]
GOT = [made((0, 4, "a"), (5, 8, "b")), made((0, 2, "a")), made((1, 2, "a")), []]


def test_scores_are_strict_and_pooled() -> None:
    found = extraction_metrics.measure_spans(GOLD, GOT)
    assert found["precision"].value == 0.5 and found["recall"].value == 0.5 and found["f1"].value == 0.5
    assert found["exact_match"].value == 0.25
    assert all(metric.low <= metric.value <= metric.high and metric.n == 4 for metric in found.values())
    assert extraction_metrics.count_exact(GOLD, GOT) == 0.5


def test_a_label_that_is_wrong_is_a_span_that_is_wrong() -> None:
    assert extraction_metrics.measure_spans([made((0, 4, "a"))], [made((0, 4, "b"))])["f1"].value == 0.0


def test_all_right_still_has_a_width_and_nothing_to_count_is_no_number() -> None:
    right = extraction_metrics.measure_spans(GOLD, GOLD)
    assert right["f1"].value == 1.0 and 0.3 < right["f1"].low < 1.0
    none = extraction_metrics.measure_spans([[], []], [[], []])
    assert math.isnan(none["f1"].value) and none["exact_match"].value == 1.0
    assert extraction_metrics.measure_spans([], [])["f1"].n == 0


def test_the_interval_holds_what_resampling_gives() -> None:
    rng = np.random.default_rng(0)
    gold = [made((0, 4, "a")) for _ in range(300)]
    got = [row if rng.random() < 0.8 else [] for row in gold]
    f1 = extraction_metrics.measure_spans(gold, got)["f1"]
    draws = [extraction_metrics.count_exact([gold[i] for i in own], [got[i] for i in own]) for own in rng.integers(0, 300, (400, 300))]
    assert f1.low == pytest.approx(np.quantile(draws, 0.025), abs=0.01)
    assert f1.high == pytest.approx(np.quantile(draws, 0.975), abs=0.01)


def test_scores_of_each_label() -> None:
    a, b, c = extraction_metrics.per_label(GOLD, GOT, ["a", "b", "c"])
    assert (a.support, a.predicted, a.precision.value, a.recall.value) == (2, 3, 2 / 3, 1.0)
    assert a.f1.value == pytest.approx(0.8)
    assert b.f1.value == 0.0
    assert c.support == 0 and math.isnan(c.f1.value)


def test_a_change_is_paired() -> None:
    rng = np.random.default_rng(1)
    gold = [made((0, 4, "a"), (6, 9, "b")) for _ in range(400)]
    before = [row if rng.random() < 0.6 else row[:1] for row in gold]
    after = [row if rng.random() < 0.3 else old for row, old in zip(gold, before, strict=True)]
    moved = extraction_metrics.span_change(gold, before, after)
    assert moved.value == pytest.approx(extraction_metrics.count_exact(gold, after) - extraction_metrics.count_exact(gold, before))
    assert 0 < moved.low < moved.value < moved.high
    still = extraction_metrics.span_change(gold, before, before)
    assert still.value == 0.0 and still.low < 0.0 < still.high


def test_the_curve_finds_what_made_the_answers() -> None:
    rng = np.random.default_rng(2)
    scores = rng.normal(size=20_000) * 3
    right = rng.random(20_000) < calibration.platt_probability(scores, 0.6, -0.5)
    slope, shift = calibration.fit_platt(scores, right)
    assert slope == pytest.approx(0.6, abs=0.03) and shift == pytest.approx(-0.5, abs=0.06)
    assert np.isfinite(calibration.logit([0.0, 1.0])).all()


@pytest.mark.parametrize("right", [[True] * 5, [False] * 5, []])
def test_few_rows_move_the_curve_little(right: list[bool]) -> None:
    slope, shift = calibration.fit_platt(np.linspace(-2, 2, len(right)), right)
    assert 0.05 <= slope <= 20 and abs(shift) < 3
