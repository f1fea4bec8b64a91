"""A bundle's form and options come from whoever sealed it: what nothing can be decided by is refused when it is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.store.test_tokenizer_checks import PLAIN

from smidgen.bundles.manifest import MANIFEST, EngineEntry, Manifest
from smidgen.bundles.pack import pack
from smidgen.cli.main import code
from smidgen.core.errors import BundleError, EngineError
from smidgen.core.parts import Task
from smidgen.flows.local_model import load
from smidgen.parts import registry

LABELS = {"labels": ["a", "b", "c"], "multi_label": False, "temperature": 1.0}
UNKNOWN = {"labels": ["a", "b"], "multi_label": False, "temperature": 1.0, "unknown": "none", "unknown_threshold": 0.5}
SPANS = {"kinds": ["x"], "only": False, "threshold": 0.5, "span_slope": 1.0, "span_shift": 0.0, "temperature": 1.0, "shift": 0.0}
SCHEMA = {
    "type": "object",
    "properties": {"order": {"type": "string"}, "wish": {"type": "string", "enum": ["a", "b"]}},
    "required": ["order", "wish"],
    "additionalProperties": False,
}
WAY = {"kind": "text", "ways": [["same"], ["layout", ["FH-", 5], "same"]], "shapes": {"9": 1}, "list": False, "distinct": True}
PLAN = {
    "kinds": ["order"],
    "ways": [WAY],
    "choices": [{"path": "wish", "values": ["a", "b"]}],
    "threshold": 0.5,
    "temperatures": {"wish": 1.2},
}
FIELDS = {"schema": SCHEMA, "derived": False, "instruction": "Read.", "temperature": 1.0, "shift": 0.0, "tagged": PLAN}
TEXTS = {"instruction": "Write.", "max_tokens": 0, "max_words": 12, "attributes": False, "score": None}


def packed(folder: Path, form: dict[str, Any], outputs: int = 3, weight: float = 1.0, options: dict[str, Any] | None = None) -> Path:
    """A classifier whose graph gives so many outputs, sealed whatever its form says."""
    files = folder / "files"
    files.mkdir(parents=True)
    weights = numpy_helper.from_array(np.full((1, outputs), weight, np.float32), "w")
    nodes = [
        helper.make_node("Cast", ["input_ids"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["f"], ["m"], axes=[1], keepdims=1),
        helper.make_node("MatMul", ["m", "w"], ["logits"]),
    ]
    taken = [helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "t"]) for name in ("input_ids", "attention_mask")]
    graph = helper.make_graph(nodes, "g", taken, [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", outputs])], [weights])
    onnx.save_model(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), files / "model.onnx")
    (files / "tokenizer.json").write_text(json.dumps(PLAIN), encoding="utf-8")
    engine = EngineEntry(engine="onnx", files=("model.onnx", "tokenizer.json"), options={"max_length": 16} if options is None else options)
    facts: dict[str, Any] = {"created": "2026-01-01T00:00:00Z", "smidgen_version": "0.1.0", "task": "classify"}
    pack(files, Manifest(name="sealed", form=form, engine=engine, **facts), folder / "bundle")
    return folder / "bundle"


def test_what_is_whole_answers(tmp_path: Path) -> None:
    assert load(packed(tmp_path / "plain", LABELS), 1).predict(["a a"])[0].output == "a"
    assert load(packed(tmp_path / "unknown", UNKNOWN), 1).predict(["a"])[0].output in ("a", "b", "none")
    assert load(packed(tmp_path / "own", UNKNOWN, outputs=2), 1).predict(["a"])[0].score <= 1


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0},
        {"temperature": -1.0},
        {"temperature": "1"},
        {"temperature": 1e300},
        {"labels": ["a", "b"]},
        {"labels": ["a", "b", "c", "d"]},
        {"labels": ["a", "a", "b"]},
        {"labels": ["a", "b", 3]},
        {"labels": "abc"},
        {"labels": []},
        {"multi_label": "no"},
        {"multi_label": True},
        {"multi_label": True, "threshold": 7},
        {"unknown": 5, "unknown_threshold": 0.5},
        {"unknown": "none", "unknown_threshold": 2},
        {"unknown": "a", "unknown_threshold": 0.5},
    ],
)
def test_a_classifier_that_could_not_decide_is_not_loaded(change: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="cannot answer") as caught:
        load(packed(tmp_path, {**LABELS, **change}), 1)
    assert caught.value.file == MANIFEST


def test_weights_that_compute_no_numbers_are_not_loaded(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="not between 0 and 1"):
        load(packed(tmp_path, LABELS, weight=float("nan")), 1)


@pytest.mark.parametrize("options", [{"max_length": 0}, {"max_length": "x"}, {"max_length": True}, {"outputs": "logits"}, {"outputs": [3]}])
def test_options_that_cannot_be_are_refused(options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="option"):
        load(packed(tmp_path, LABELS, options=options), 1)


def bent(value: Any, path: str, new: Any) -> Any:
    """A copy of nested objects and lists with one value changed; it is taken out where `new` is None."""
    copy = json.loads(json.dumps(value))
    place, *rest = [int(step) if step.isdigit() else step for step in path.split(".")]
    holder = copy
    for step in rest:
        holder, place = holder[place], step
    if new is None:
        del holder[place]
    else:
        holder[place] = new
    return copy


BENT: dict[str, tuple[str, dict[str, Any], list[tuple[str, Any]]]] = {
    "spans": (
        "extract",
        SPANS,
        [("kinds", []), ("kinds", ["x", "x"]), ("temperature", 0), ("threshold", 5), ("span_slope", "a"), ("shift", None)],
    ),
    "fields": (
        "extract",
        FIELDS,
        [
            ("schema", {}),
            ("schema.properties", []),
            ("schema.properties.order.type", "nothing"),
            ("derived", "no"),
            ("temperature", 0),
            ("instruction", None),
            ("tagged", []),
            ("tagged.kinds", ["other"]),
            ("tagged.kinds", ["order", "order"]),
            ("tagged.kinds.0", "wish"),
            ("tagged.ways", []),
            ("tagged.ways.0.kind", "magic"),
            ("tagged.ways.0.ways", []),
            ("tagged.ways.0.ways.0.0", "reversed"),
            ("tagged.ways.0.ways.1.1.1", 10**9),
            ("tagged.ways.0.shapes.9", 7),
            ("tagged.choices.0.values", []),
            ("tagged.choices.0.path", "none.such"),
            ("tagged.threshold", -1),
            ("tagged.temperatures.wish", 0),
        ],
    ),
    "texts": (
        "write",
        TEXTS,
        [
            ("instruction", 3),
            ("attributes", 1),
            ("max_words", -1),
            ("max_tokens", 10**9),
            ("score", {"plain": {}}),
            ("score", 3),
            ("score", None),
        ],
    ),
}


def fault_of(task: Task, facts: dict[str, Any], raw: dict[str, Any] | None = None) -> str:
    """Why nothing can be decided by the form of a manifest; empty where it can."""
    try:
        return task.form_fault(task.read_form(facts), raw)
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize("which", BENT)
def test_a_form_of_every_task_is_looked_at(which: str) -> None:
    name, form, changes = BENT[which]
    task = registry.find("tasks", name)
    assert fault_of(task, form) == ""
    faults = {f"{path} {new}": fault_of(task, bent(form, path, new)) for path, new in changes}
    assert [change for change, fault in faults.items() if not fault] == []
    assert len(faults) == len(changes) >= 6


def test_a_plan_that_does_not_fit_what_the_model_finds_is_refused() -> None:
    task = registry.find("tasks", "extract")
    raw = {"spans": [[[0, 1, 0, 0.9]]], "choices": [[[0.5, 0.5]]], "inputs": ["a"]}
    assert fault_of(task, FIELDS, raw) == ""
    assert "choices" in fault_of(task, FIELDS, {**raw, "choices": [[[0.2, 0.3, 0.5]]]})
    assert "does not name" in fault_of(task, FIELDS, {**raw, "spans": [[[0, 1, 3, 0.9]]]})
    assert "number 2" in fault_of(task, SPANS, {"spans": [[[0, 1, 2, 0.9]]]})


@pytest.mark.parametrize(
    "odd", ['"\\ud800"', "NaN", "Infinity", "-Infinity", "1e999", "1" * 40, '{"\\udfff": 1}'], ids=lambda odd: odd[:12]
)
def test_one_odd_manifest_leaves_the_list_of_models_whole(
    odd: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    packed(tmp_path / "good", LABELS).rename(tmp_path / "whole")
    broken = packed(tmp_path / "bad", LABELS).rename(tmp_path / "broken")
    written = (broken / MANIFEST).read_text(encoding="utf-8")
    for place in ('"name": "sealed"', '"temperature": 1.0'):
        key, _, _ = place.partition(":")
        (broken / MANIFEST).write_text(written.replace(place, f"{key}: {odd}"), encoding="utf-8")
        with pytest.raises(BundleError, match="the manifest"):
            load(broken, 1)
        assert code(["models", "--json"]) == 0
        found = {Path(entry["folder"]).name: entry for entry in json.loads(capsys.readouterr().out)["bundles"]}
        assert "error" in found["broken"] and "error" not in found["whole"]
        assert code(["models"]) == 0 and "damaged" in capsys.readouterr().out
