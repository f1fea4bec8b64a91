"""The engine of recommenders refuses what is damaged."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.retail.shelf import shelf

from smidgen.core.errors import EngineError
from smidgen.retail.engines import part_goods as part
from smidgen.retail.ranking import write_ranking


def test_it_answers_in_order(tmp_path: Path) -> None:
    write_ranking(shelf(), tmp_path)
    found = part.open(tmp_path, {}, 1).run(["mug", "nothing known", '{"history": ["mug"], "n": 1}'])
    assert found["because"] == ["bought", "popular", "bought"] and found["ranked"][2] == ["lamp"] and found["sure"].shape == (3,)
    assert part.open(tmp_path, {}, 1).run([])["ranked"] == []


def test_a_damaged_ranking(tmp_path: Path) -> None:
    write_ranking(shelf(), tmp_path)
    (tmp_path / "goods.json").write_text("[", encoding="utf-8")
    with pytest.raises(EngineError, match="the ranking cannot be loaded"):
        part.open(tmp_path, {}, 1)


@pytest.mark.parametrize(
    "encoder", [{"engine": "llama", "options": {}}, {"engine": "onnx", "options": 3}, {"engine": "onnx", "options": {}}]
)
def test_an_encoder_that_cannot_be(tmp_path: Path, encoder: dict) -> None:
    write_ranking(shelf(near=1.0), tmp_path, encoder)
    with pytest.raises(EngineError):
        part.open(tmp_path, {}, 1)
