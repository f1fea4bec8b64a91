"""A tagger that also makes choices by the whole text: its loss, what it learns, and that the engine serves what was trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.students.test_encoder import tiny_base  # noqa: F401
from tests.students.test_tagger import gold, outputs, rows, training

from smidgen.core.errors import EngineError
from smidgen.core.parts import Workspace
from smidgen.core.progress import Silent
from smidgen.core.rows import Row
from smidgen.engines.tagger import part as engine
from smidgen.students.tagger import part
from smidgen.students.tagger_training import choice_loss

FORM = {
    "tagged": {"kinds": ["thing", "wish"], "choices": [{"path": "a", "values": [True, False]}, {"path": "b", "values": ["x", "y", None]}]}
}


def chosen(row: Row) -> list[int]:
    """Whether the text speaks of something broken; whether of a refund, or else of a lamp, or of neither."""
    text = str(row.input)
    return [0 if "broken" in text else 1, 0 if "refund" in text else 1 if "lamp" in text else 2]


def marked(count: int, seed: int = 0) -> list[Row]:
    return [replace(row, output={"spans": row.output, "choices": chosen(row)}) for row in rows(count, seed)]


def test_the_loss_is_the_likelihood_of_the_choices_that_are_known() -> None:
    logits = torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
    first, second = logits[:, :2].log_softmax(1), logits[:, 2:].log_softmax(1)
    wanted = -(first[0, 1] + second[0, 2] + second[1, 0])
    assert float(choice_loss(logits, torch.tensor([[1, 2], [-1, 0]]), (2, 3))) == pytest.approx(float(wanted), abs=1e-6)


def test_it_learns_spans_and_choices_and_is_served_as_trained(tiny_base: Path, tmp_path: Path) -> None:  # noqa: F811
    trained, out = tmp_path / "trained", tmp_path / "out"
    trained.mkdir()
    job = replace(training(tiny_base, marked(400), epochs=24, learning_rate=4e-3), form=FORM)
    part.fit(job, Workspace(trained, 1, Silent()))
    fresh = rows(40, seed=9)
    # Longer than a window; nothing at all.
    texts = [*(str(row.input) for row in fresh), " ".join(str(row.input) for row in fresh[:12]), ""]
    reference = part.raw(trained, texts, 1)
    assert np.mean([a == b for a, b in zip(outputs(reference), gold(fresh), strict=False)]) > 0.9
    taken = [[int(np.argmax(own)) for own in choices] for choices in reference["choices"]]
    assert np.mean([a == chosen(row) for a, row in zip(taken, fresh, strict=False)]) > 0.9
    spec = part.export(trained, out)
    assert spec.options["choices"] == [2, 3]
    served = engine.open(out, spec.options, 1).run(texts)
    assert outputs(served) == outputs(reference) and len(served["choices"]) == 42
    flat = [[chance for choices in raw["choices"] for own in choices for chance in own] for raw in (reference, served)]
    assert len(flat[0]) == 42 * 5 and np.allclose(*flat, atol=1e-3)
    assert all(sum(own) == pytest.approx(1, abs=1e-4) for choices in served["choices"] for own in choices)
    for choices, said in (([], "different tags"), ([2, 4], "different tags"), ([5, 0], "option 'choices' cannot be")):
        with pytest.raises(EngineError, match=said):
            engine.open(out, {**spec.options, "choices": choices}, 1)
