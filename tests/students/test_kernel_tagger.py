"""The kernel tagger: what it learns with a frozen encoder, and that the engine serves what was trained."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.forms import field_form
from tests.students.test_encoder import tiny_base  # noqa: F401
from tests.students.test_tagger import CHOICES_FORM, chosen, gold, marked, outputs, rows, training

from smidgen.core.errors import EngineError, TrainError
from smidgen.core.parts import Workspace
from smidgen.core.progress import Silent
from smidgen.core.rows import Row
from smidgen.engines.kernel_tagger import part as engine
from smidgen.students.kernel_tagger import KernelTaggerSettings, _copies, part
from smidgen.text.tag_heads import TagHeads, signs_vector
from smidgen.text.tagging import TagChain, TaggerReader


def reader_of_words() -> TaggerReader:
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "lamp": 1, "money": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return TaggerReader.of(tokenizer, 16, "words", False, 3)


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


def test_a_text_has_only_spans_of_the_kinds_of_its_value() -> None:
    reader, text = reader_of_words(), "lamp money"
    reading = reader.read([text])[0]
    states = [[np.eye(4, dtype=np.float32)[: len(reader.ids(reading, window))] for window in reader.windows(reading)]]
    emissions = np.zeros((4, 9), np.float32)
    emissions[:, 4], emissions[:, 8] = 6, 3  # every word is a thing, and less likely a wish
    empty, table = np.zeros((1, 9), np.float32), np.zeros((9, 9), np.float32)
    marks = np.array([[0.5, 0.5, 0.5, 0.5], [0.5, -0.5, 0.5, -0.5]], np.float32)
    chosen = np.array([[1, 0.6, 0], [0, 0, 1]], np.float32)
    heads = TagHeads({}, emissions, empty, table[0], TagChain(table), marks, chosen, [3], 2.0, (), [[1], [0], []])
    (found,) = heads.raw([text], reader, [reading], states)["spans"]
    assert {tuple(span[2:3] + span[4:]) for span in found} == {(1, 0), (0, 1)}, "wishes for the first value, things for the second"
    assert len(found) >= 4 and all(span[3] > 0.5 for span in found[:2])
    (plain,) = replace(heads, own=()).raw([text], reader, [reading], states)["spans"]
    assert {span[2] for span in plain if span[3] > 0.5} == {0} and {len(span) for span in plain} == {4}


def test_a_question_about_a_thing_is_told_from_the_wish_to_have_it_done_by_signs(tiny_base: Path, tmp_path: Path) -> None:  # noqa: F811
    wishes = [f"please cancel the order {number}" for number in range(20, 32)]
    asked = ["when can the order be cancelled?", "why is an order cancelled?", "who may cancel the order?"]
    made = [Row(text, {"spans": [], "choices": [0]}) for text in wishes]
    job = replace(training(tiny_base, made), settings=KernelTaggerSettings(epochs=1, copies=0, max_length=32))
    found, fresh = {}, ["how is the order cancelled?", wishes[0]]
    for name, texts in (("none", []), ("asked", asked)):
        folder = tmp_path / name
        folder.mkdir()
        told = {"path": "tool", "values": ["cancel", None], "kinds": [[], []], "texts": ["", texts]}
        form = field_form({}, tagged={"kinds": ["thing"], "choices": [told]})
        part.fit(replace(job, form=form), Workspace(folder, 1, Silent()))
        found[name] = [own[0][1] for own in part.raw(folder, fresh, 1)["choices"]]
    served = engine.open(tmp_path / "out", part.export(folder, tmp_path / "out").options, 1).run(fresh)
    assert np.allclose([own[0][1] for own in served["choices"]], found["asked"], atol=1e-3)
    facts = json.loads((tmp_path / "out" / "tag_heads.json").read_text(encoding="utf-8"))
    for signs in (2, 0):
        (tmp_path / "out" / "tag_heads.json").write_text(json.dumps({**facts, "signs": signs}), encoding="utf-8")
        with pytest.raises(EngineError):
            engine.open(tmp_path / "out", {}, 1)
    assert facts["signs"] > 0
    assert found["none"][0] < 0.5 < found["asked"][0], "several texts may describe no call"
    assert found["asked"][1] < 0.5
    assert np.isclose(signs_vector("how?") @ signs_vector("when, then?"), 1) and signs_vector("how?") @ signs_vector("cancel 12") == 0


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
