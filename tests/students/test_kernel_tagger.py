"""The kernel tagger: what it learns with a frozen encoder, and that the engine serves what was trained."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.students.test_encoder import tiny_base  # noqa: F401
from tests.students.test_tagger import CHOICES_FORM, chosen, gold, marked, outputs, rows, training

from smidgen.core.errors import EngineError, TrainError
from smidgen.core.parts import Workspace
from smidgen.core.progress import Silent
from smidgen.core.rows import Row
from smidgen.engines.kernel_tagger import part as engine
from smidgen.students.kernel_tagger import KernelTaggerSettings, _copies, part


def test_it_learns_spans_and_choices_and_is_served_as_trained(tiny_base: Path, tmp_path: Path) -> None:  # noqa: F811
    trained, out = tmp_path / "trained", tmp_path / "out"
    trained.mkdir()
    settings = KernelTaggerSettings(epochs=10, copies=1, max_length=32)
    job = replace(training(tiny_base, [*marked(160), *marked(3)]), form=CHOICES_FORM, settings=settings)
    part.fit(job, Workspace(trained, 1, Silent()))
    fresh = rows(40, seed=9)
    texts = [*(str(row.input) for row in fresh), " ".join(str(row.input) for row in fresh[:12]), ""]
    reference = part.raw(trained, texts, 1)
    assert np.mean([a == b for a, b in zip(outputs(reference), gold(fresh), strict=False)]) > 0.85
    taken = [[int(np.argmax(own)) for own in choices] for choices in reference["choices"]]
    assert np.mean([a == chosen(row) for a, row in zip(taken, fresh, strict=False)]) > 0.6, "a random encoder tells texts apart, too"
    spec = part.export(trained, out)
    assert set(spec.files) == {"model.onnx", "tokenizer.json", "tag_heads.json", "tag_heads.safetensors"}
    served = engine.open(out, spec.options, 1).run(texts)
    assert outputs(served) == outputs(reference) and len(served["choices"]) == 42
    flat = [[chance for choices in raw["choices"] for own in choices for chance in own] for raw in (reference, served)]
    assert len(flat[0]) == 42 * 5 and np.allclose(*flat, atol=1e-3)
    facts = json.loads((out / "tag_heads.json").read_text(encoding="utf-8"))
    for changes in (
        {"choices": [2, 4]},
        {"choices": [5, 0]},
        {"level": "x"},
        {"gamma": 0},
        {"features": facts["features"][1:]},
        {"level": None},
    ):
        (out / "tag_heads.json").write_text(json.dumps({**facts, **changes}), encoding="utf-8")
        with pytest.raises(EngineError):
            engine.open(out, spec.options, 1)
    assert len(facts["features"]) > 20


def test_a_copy_has_other_words_in_place_of_its_spans() -> None:
    taught = [
        Row(
            "order FH-12 for Ann",
            {"spans": [{"start": 6, "end": 11, "label": "id"}, {"start": 16, "end": 19, "label": "who"}], "choices": [1]},
        ),
        Row("thank you so much", {"spans": [], "choices": [0]}),
    ]
    copies = _copies(taught, 5, 0)
    assert len(copies) == 5 and copies == _copies(taught, 5, 0), "a row without spans has none"
    for copy in copies:
        first, last = copy.output["spans"]
        words = [str(copy.input)[span["start"] : span["end"]] for span in (first, last)]
        assert words[0].startswith("FH-") and words[1][0].isupper() and copy.output["choices"] == [1]
        assert str(copy.input) == f"order {words[0]} for {words[1]}"
    assert len({copy.input for copy in copies}) > 1


def test_it_needs_a_base_and_texts(tiny_base: Path, tmp_path: Path) -> None:  # noqa: F811
    job = replace(training(tiny_base, marked(4)), form=CHOICES_FORM, settings=KernelTaggerSettings())
    with pytest.raises(TrainError, match="needs a base"):
        part.fit(replace(job, base=None), Workspace(tmp_path, 1, Silent()))
