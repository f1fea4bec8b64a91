"""Of several answers to one input the best are taught, wherever they stand in the file."""

from __future__ import annotations

from smidgen.core.rows import Row
from smidgen.students.decoder_training.examples import chosen

GOOD = [f"the blue lamp is {word} and stands on the desk" for word in ("small", "tall", "round", "bright", "new", "old")]
ODD = [f"{number} {number} {number}" for number in range(14)]


def test_the_best_are_found_behind_others() -> None:
    rows = [Row("lamp", [*ODD, *GOOD])]
    assert {row.output for row in chosen(rows, {}, 6)} == set(GOOD)


def test_as_many_are_taught_as_are_asked_for() -> None:
    rows = [Row("lamp", answer, number) for number, answer in enumerate([*ODD, *GOOD], start=1)]
    assert len(chosen(rows, {}, 16)) == 16
    assert [row.output for row in chosen(rows, {}, 100)] == [*ODD, *GOOD]
