"""Extracting, the whole path on real weights: built, gated, served, evaluated, predicted, checked."""

from __future__ import annotations

import csv
import importlib.resources
import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from tests.flows.build.served_bundle import ServedBundle

from smidgen.cli.main import code
from smidgen.core.errors import DataError
from smidgen.flows.build.pipeline import build
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


@pytest.fixture(scope="module")
def rows(data: tuple[Path, Path]) -> Path:
    return data[1]


@pytest.mark.thorough
class TestServed(ServedBundle):
    text = TEXT
    tested = True


@pytest.mark.thorough
def test_its_spans_are_found_and_no_other_shape_is_given(bundle: Path) -> None:
    model = load(bundle, 1)
    (reply,) = model.predict([TEXT])
    assert {span["label"] for span in reply.output} <= {"amount", "date", "order_number", "product"}
    assert any(TEXT[span["start"] : span["end"]] == "FH-20999" for span in reply.output)
    assert reply.facts["texts"] == [TEXT[span["start"] : span["end"]] for span in reply.output]
    with TestClient(create_app([model]), base_url="http://127.0.0.1") as client:
        shaped = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"properties": {"label": {"type": "string"}}}}}
        asked = {"model": "spans", "messages": [{"role": "user", "content": TEXT}], "response_format": shaped}
        assert client.post("/v1/chat/completions", json=asked).status_code == 422


@pytest.mark.thorough
def test_checks(data: tuple[Path, Path]) -> None:
    assert code(["check", str(data[0]), "--task", "extract", "--input", "text", "--label", "spans"]) == 0


def test_spans_that_are_not_in_their_text_stop_a_build(tmp_path: Path) -> None:
    file = tmp_path / "bad.csv"
    file.write_text('text,spans\nhello there,"[{""start"": 0, ""end"": 40, ""label"": ""a""}]"\nhello,[]\n', encoding="utf-8")
    wanted = make({"name": "bad", "task": "extract", "data": {"train": str(file), "input": "text", "label": "spans"}})
    with pytest.raises(DataError, match=r"bad\.csv, row 2, column 'spans'.*ends at 40"):
        build(wanted, tmp_path / "out", threads=1)
