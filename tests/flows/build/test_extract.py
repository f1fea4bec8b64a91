"""Extracting, the whole path on real weights: built, gated, served, evaluated, predicted, checked."""

from __future__ import annotations

import csv
import importlib.resources
import json
import subprocess
import sys
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from smidgen.cli.main import code
from smidgen.core.errors import DataError
from smidgen.flows.build.pipeline import build
from smidgen.flows.evaluation import evaluate
from smidgen.flows.local_model import load
from smidgen.judge.report import read
from smidgen.parts.recipe import make
from smidgen.server.app import create_app

TEXT = "Where is my order FH-20999? I paid £45.00 on 7 March."


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sample of `smidgen init`: three rows in four to learn from, the others to test on, some of these with words for places."""
    file = importlib.resources.files("smidgen") / "samples" / "init" / "extract.csv"
    with file.open(encoding="utf-8", newline="") as stream:
        rows = [(row["text"], json.loads(row["spans"])) for row in csv.DictReader(stream)]
    folder = tmp_path_factory.mktemp("spans")
    for name, chosen in (("train", [r for n, r in enumerate(rows) if n % 4]), ("test", rows[::4])):
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["text", "spans"])
            for text, spans in chosen:
                words = [{"text": text[span["start"] : span["end"]], "label": span["label"]} for span in spans]
                alone = name == "test" and all(text.count(word["text"]) == 1 for word in words)
                writer.writerow([text, json.dumps(words if alone else spans)])
    return folder / "train.csv", folder / "test.csv"


@pytest.fixture(scope="module")
def bundle(data: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    wanted = make(
        {
            "name": "spans",
            "task": "extract",
            "data": {"train": str(data[0]), "test": str(data[1]), "input": "text", "label": "spans"},
            "train": {"epochs": 12},
            # So few rows: a single changed answer would be more than the usual gate allows.
            "gate": {"max_loss": 0.1, "min_agreement": 0.8},
        }
    )
    return build(wanted, tmp_path_factory.mktemp("bundles") / "spans", threads=1).folder


@pytest.mark.thorough
def test_the_report_tells_of_spans(bundle: Path) -> None:
    report = read(bundle / "report.json")
    assert report.headline == "f1"
    assert set(report.metrics) == {"f1", "precision", "recall", "exact_match"}
    assert report.metrics["f1"].value > 0.6
    assert [row.label for row in report.per_class] == ["amount", "date", "order_number", "product"]
    assert all(row.support for row in report.per_class)
    assert [label.label for label in report.data.labels] == ["amount", "date", "order_number", "product"]
    assert report.parity is not None and report.parity.passed
    assert report.baseline is not None and report.baseline.name == "lexical" and report.baseline.change is not None
    assert {entry.student for entry in report.alternatives} == {"tagger", "lexical"}
    assert {entry.method for entry in report.alternatives} >= {"fp32", "int8-dynamic", "int8-static"}
    assert report.calibration is not None and report.risk_coverage is not None
    assert all(": " in f"{mistake.gold}: {mistake.answer}" for mistake in report.mistakes)
    assert "out_of_scope" not in (bundle / "report.html").read_text(encoding="utf-8")


@pytest.mark.thorough
def test_what_is_reported_is_what_the_bundle_does(bundle: Path, data: tuple[Path, Path]) -> None:
    report, found = read(bundle / "report.json"), evaluate(load(bundle, 1), data[1])
    assert found.skipped == 0
    for name in ("f1", "precision", "recall", "exact_match"):
        assert found.metrics[name].value == pytest.approx(report.metrics[name].value)


@pytest.mark.thorough
def test_it_answers_over_http(bundle: Path) -> None:
    model = load(bundle, 1)
    (reply,) = model.predict([TEXT])
    assert {span["label"] for span in reply.output} <= {"amount", "date", "order_number", "product"}
    assert any(TEXT[span["start"] : span["end"]] == "FH-20999" for span in reply.output)
    assert reply.facts["texts"] == [TEXT[span["start"] : span["end"]] for span in reply.output]
    with TestClient(create_app([model]), base_url="http://127.0.0.1") as client:
        (answer,) = client.post("/v1/classify", json={"input": [TEXT]}).json()["results"]
        assert answer["output"] == reply.output and json.loads(answer["content"]) == reply.output
        asked = {"model": "spans", "messages": [{"role": "user", "content": TEXT}]}
        chat = client.post("/v1/chat/completions", json=asked).json()
        assert json.loads(chat["choices"][0]["message"]["content"]) == reply.output
        shaped = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"properties": {"label": {"type": "string"}}}}}
        assert client.post("/v1/chat/completions", json={**asked, "response_format": shaped}).status_code == 422
        assert client.get("/metrics").status_code == 200


@pytest.mark.thorough
def test_serving_loads_nothing_of_training(bundle: Path) -> None:
    script = f"""
import sys
from smidgen.flows.local_model import load
assert load({str(bundle)!r}, 1).predict(["where is FH-20999"])
heavy = {{"torch", "transformers", "sklearn", "onnx", "scipy"}} & {{name.partition(".")[0] for name in sys.modules}}
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.thorough
def test_predictions_and_checks(bundle: Path, data: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    assert code(["predict", str(bundle), "--data", str(data[1]), "--out", str(out)]) == 0
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 18 and all(isinstance(line["output"], list) for line in lines)
    assert code(["check", str(data[0]), "--task", "extract", "--input", "text", "--label", "spans"]) == 0


def test_spans_that_are_not_in_their_text_stop_a_build(tmp_path: Path) -> None:
    file = tmp_path / "bad.csv"
    file.write_text('text,spans\nhello there,"[{""start"": 0, ""end"": 40, ""label"": ""a""}]"\nhello,[]\n', encoding="utf-8")
    wanted = make({"name": "bad", "task": "extract", "data": {"train": str(file), "input": "text", "label": "spans"}})
    with pytest.raises(DataError, match=r"bad\.csv, row 1, column 'spans'.*ends at 40"):
        build(wanted, tmp_path / "out", threads=1)
