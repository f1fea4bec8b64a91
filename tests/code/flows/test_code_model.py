"""The model that fills gaps: a filling ends with its line, a given text has a probability, an answer ends with its code."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

from tests.made_once import made_once
from tests.students.tiny_coder import built_coder

from smidgen.code.flows.code_model import around, open_code_model
from smidgen.core.errors import InputError


def test_a_built_model_fills_weighs_and_answers(tmp_path_factory: pytest.TempPathFactory) -> None:
    lines = ["def net(gross):", "    return gross / 1.19", "", "x = 1"]
    gap = around(lines, 2)
    assert gap == ("def net(gross):\n    ", "\n\nx = 1")
    with open_code_model(made_once(tmp_path_factory, "coder", built_coder) / "out", threads=1) as model:
        filling = model.fill(*gap, tokens=6)
        assert "\n" not in filling.text and 0 <= filling.probability <= 1
        again = model.fill(*gap, tokens=6)
        assert (again.text, again.probability) == (filling.text, pytest.approx(filling.probability, rel=1e-2))
        likely = [model.likelihood(*gap, text) for text in (lines[1].strip(), "return net(net)", 'print("é")')]
        assert all(0 < one < 1 for one in likely) and len(set(likely)) == 3
        assert len(model.answer("You write tests.", "Write one.", tokens=5)) < 200


def test_a_model_of_another_task_is_refused(bundle: Path) -> None:
    with pytest.raises(InputError, match="does not complete code"), open_code_model(bundle):
        pass
