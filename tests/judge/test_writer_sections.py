"""From a writer's replies to the sections of its report."""

from __future__ import annotations

import numpy as np
import pytest
from tests.judge import writers

from smidgen.core.replies import Reply
from smidgen.core.rows import Row
from smidgen.judge import report as reports
from smidgen.judge.answer_sections import samples
from smidgen.judge.sections import Stated


def test_sections_say_what_was_measured(tmp_path):
    made = writers.report()
    assert made.graded and made.per_class == () and made.confusion is None
    grades = made.metrics["rougeL"]
    last = made.risk_coverage.points[-1]
    assert last.coverage == 1 and 1 - last.risk == pytest.approx(grades.value, abs=1e-6)
    bins = made.calibration.bins
    assert sum(entry.n for entry in bins) == grades.n
    assert sum(entry.n * entry.accuracy for entry in bins) / grades.n == pytest.approx(grades.value, abs=1e-6)
    assert all(entry.low <= entry.accuracy <= entry.high for entry in bins)
    file = tmp_path / "report.json"
    file.write_text(made.json_text(), encoding="utf-8")
    assert reports.read(file) == made


def test_samples_are_the_worst_and_an_even_spread():
    rows = [Row(f"text {number}", [f"wanted {number}", "b", "c", "d"], number + 1) for number in range(100)]
    facts = {"finished": False, "missing": [{"key": "colour", "value": "red"}], "unsupported": []}
    replies = [Reply(f"got {number}", 0.5, facts=facts) for number in range(100)]
    grades = np.linspace(0, 1, 100)[::-1].tolist()
    found = samples(rows, replies, grades)
    assert len(found) == 18 and [sample.weak for sample in found] == [True] * 6 + [False] * 12
    assert [sample.row for sample in found[:6]] == [100, 99, 98, 97, 96, 95]
    assert found[-1].row == 1 and found[0].wanted == ("wanted 99", "b", "c")
    assert found[0].cut and found[0].missing == (Stated(key="colour", value="red"),) and found[0].unsupported == ()
    spread = [sample.grade for sample in found[6:]]
    assert spread == sorted(spread) and max(np.diff(spread)) < 0.1


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_few_rows_are_samples_once_each(count):
    rows = [Row(f"text {number}", "a") for number in range(count)]
    found = samples(rows, [Reply("a", 0.5)] * count, [0.5] * count)
    assert sorted(sample.text for sample in found) == sorted(str(row.input) for row in rows)
