"""The bench of the border: what counts as masked, and where it reads from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bench import border
from bench.data import NoData

TEXT = "Anna Schmidt pays with 4111 1111 1111 1111"


def texts() -> list[border.Text]:
    return [border.Text(TEXT, ((0, 12, "PERSON"), (23, 42, "CREDIT_CARD")), "a"), border.Text("Bo", ((0, 2, "PERSON"),), "b")]


def test_wholly_is_every_letter_and_touched_is_one() -> None:
    found = [[(0, 4), (23, 27), (28, 42)], [(0, 2)]]
    assert border.share(texts(), found, ["CREDIT_CARD"], whole=True) == 1.0, "a blank between groups shows nothing"
    assert border.share(texts(), found, ["PERSON"], whole=True) == 0.5
    assert border.share(texts(), found, ["PERSON"], whole=False) == 1.0
    low, high = border.interval(texts(), found, ["PERSON"])
    assert (low, high) == (0.0, 1.0)


def test_the_table_has_a_row_a_type_and_one_over_all() -> None:
    rows = border.table("file", texts(), [[], []], [[(0, 12), (23, 42)], []])
    assert [row[1:5] for row in rows] == [
        ["CREDIT_CARD", "1", "0.0%", "100.0%"],
        ["PERSON", "2", "0.0%", "50.0%"],
        ["all", "3", "0.0%", "66.7%"],
    ]


def test_patterns_alone_find_what_has_a_form() -> None:
    assert border.finder("patterns")(TEXT) == [(23, 42)]


def test_types_that_are_not_meant_are_left_out(tmp_path: Path) -> None:
    spans = [{"start_position": 0, "end_position": 4, "entity_type": kind} for kind in ("PERSON", "TITLE", "AGE")]
    file = tmp_path / "texts.json"
    file.write_text(json.dumps([{"full_text": "Anna", "spans": spans, "template_id": 3}]), encoding="utf-8")
    assert border.read(file) == [border.Text("Anna", ((0, 4, "PERSON"),), "3")]
    with pytest.raises(NoData, match="is not here"):
        border.read(tmp_path / "none.json")
