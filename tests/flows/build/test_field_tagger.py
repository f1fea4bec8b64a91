"""Fields by a tagger, the whole path: marked, taught, made small, gated, packed, served; and which of the two students is taken."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from jsonschema import Draft202012Validator
from tests.build_steps import candidate
from tests.flows.build.served_bundle import ServedBundle
from tests.students.test_encoder import tiny_base  # noqa: F401
from tests.students.tiny_decoder import tiny_decoder

from smidgen.bases import lookup
from smidgen.core.errors import InputError
from smidgen.flows.build.candidates import choose_candidate
from smidgen.flows.build.pipeline import build
from smidgen.flows.export.exporter import export
from smidgen.flows.local_model import load
from smidgen.judge.report import read
from smidgen.parts.recipe import make
from smidgen.server.app import create_app
from smidgen.students.settings import StudentSettings

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "thing": {"type": "string", "maxLength": 12},
        "count": {"type": ["integer", "null"], "minimum": 1},
        "wish": {"enum": ["money_back", "another"]},
    },
    "required": ["thing", "count", "wish"],
}
TEXT = "i want to return 3 lamp please"


def examples() -> list[tuple[str, dict[str, Any]]]:
    """Texts of the tiny encoder's few words, to which every number is the same unknown one."""
    found = []
    for thing in ("lamp", "plate", "parcel"):
        for number in range(1, 17):
            count = number if number % 3 else None
            amount = f"{count} " if count else ""
            found.append((f"i want to return {amount}{thing} please", {"thing": thing, "count": count, "wish": "money_back"}))
            found.append(
                (f"where is my {amount}{thing} order {'please' * (number % 2)}", {"thing": thing, "count": count, "wish": "another"})
            )
            found.append((f"{thing} broken {amount}refund", {"thing": thing, "count": None, "wish": "money_back"}))
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tagged")
    (folder / "schema.json").write_text(json.dumps(SCHEMA), encoding="utf-8")
    with (folder / "rows.jsonl").open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps({"text": text, "fields": fields}) + "\n" for text, fields in examples())
    return folder


@pytest.fixture(scope="module")
def bundle(folder: Path, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:  # noqa: F811
    """Built with a tiny encoder, and a tiny decoder for the baseline in place of the starter."""
    decoder = tiny_decoder(folder / "decoder")
    real = lookup.find

    def found(name: str, progress: Any = None, family: str | None = None) -> Any:
        return real(str(decoder) if name == "auto" and family == "decoder" else name, progress, family)

    tree = {
        "name": "orders",
        "task": "extract",
        "data": {"train": "rows.jsonl", "input": "text", "label": "fields", "holdout": 0.2, "test_share": 0.2},
        "extract": {"schema_file": "schema.json"},
        "base": {"name": str(tiny_base)},
        "student": {"kind": "tagger", "baseline": "full"},
        "train": {"epochs": 90, "learning_rate": 0.004, "precision": "f32", "max_length": 32},
        "compress": {"method": "int8-dynamic"},
        "gate": {"max_loss": 0.2},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lookup, "find", found)
        yield build(make(tree, folder=folder), tmp_path_factory.mktemp("built") / "orders", threads=1).folder


def test_the_report_tells_of_fields(bundle: Path) -> None:
    report = read(bundle / "report.json")
    assert report.student.kind == "tagger" and report.student.method == "int8-dynamic" and report.student.engine == "tagger"
    assert report.headline == "f1" and report.metrics["f1"].value > 0.8
    assert [row.label for row in report.per_class] == ["thing", "count", "wish"]
    assert report.baseline is not None and report.baseline.name == "prompted" and report.baseline.change is not None
    assert report.fillings and report.parity is not None and report.parity.passed
    assert report.parity.min_agreement == 0.97, "it is no writer: what it finds is held to be the same"
    assert report.calibration is not None and report.calibration.temperature is not None
    manifest = json.loads((bundle / "smidgen.json").read_text(encoding="utf-8"))
    assert manifest["form"]["tagged"]["kinds"] == ["thing", "count"]
    assert manifest["form"]["tagged"]["choices"] == [{"path": "wish", "values": ["money_back", "another"]}]
    assert list(manifest["form"]["tagged"]["temperatures"]) == ["wish"]
    assert '"token-classification"' in (bundle / "README.md").read_text(encoding="utf-8")


def test_whatever_the_text_the_answer_fits_the_schema_or_there_is_none(bundle: Path) -> None:
    texts = [TEXT, "", " ", "?", "thanks", '{"thing": 5}', "\N{PILE OF POO}" * 40, "x" * 4000, "lamp " * 3000, "where is my 7 plate order"]
    valid, replies = Draft202012Validator(SCHEMA), load(bundle, 1).predict(texts)
    assert replies[0].output == {"thing": "lamp", "count": 3, "wish": "money_back"}
    assert replies[0].facts["spans"] == {"thing": [[19, 23]], "count": [[17, 18]]}
    refused = [reply for reply in replies if reply.output is None]
    given = [reply for reply in replies if reply.output is not None]
    assert replies[1] in refused and len(given) >= 2 and len(refused) + len(given) == 10
    assert all(reply.score == 0.0 and reply.facts["refused"] for reply in refused)
    assert all(valid.is_valid(reply.output) and 0 < reply.score <= 1 for reply in given)


@pytest.fixture(scope="module")
def rows(folder: Path) -> Path:
    return folder / "rows.jsonl"


class TestServed(ServedBundle):
    text = TEXT


def test_it_fills_in_and_says_what_it_chose(bundle: Path) -> None:
    model = load(bundle, 1)
    with TestClient(create_app([model]), base_url="http://127.0.0.1") as client:
        asked = {"model": "orders", "messages": [{"role": "user", "content": TEXT}]}
        own = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
        message = client.post("/v1/chat/completions", json={**asked, "response_format": own}).json()["choices"][0]["message"]
        assert json.loads(message["content"]) == {"thing": "lamp", "count": 3, "wish": "money_back"} and message["refusal"] is None
        without = next(text for text in ("?", "thanks", "help", "...", "-") if model.predict([text])[0].output is None)
        nothing = {"model": "orders", "messages": [{"role": "user", "content": without}]}
        message = client.post("/v1/chat/completions", json=nothing).json()["choices"][0]["message"]
        assert message["content"] is None and "thing has no value" in message["refusal"]
        wish = {"wish": {"type": "choice", "criteria": {"money_back": None, "another": None}}}
        asked_of = {
            text: client.post("/v1/systemone", json={"state": text, "questions": wish}).json() for text in (TEXT, "where is my lamp order")
        }
        chosen = [reply["answers"]["wish"] for reply in asked_of.values()]
        assert [one["choice"] for one in chosen] == ["money_back", "another"]
        assert all(one["probabilities"][one["choice"]] > 0.5 and one["option_mass"] > 0.9 for one in chosen)


def test_it_goes_to_the_browser(bundle: Path, tmp_path: Path) -> None:
    done = export(bundle, "onnx-web", tmp_path / "out")
    told = json.loads((done.folder / "decision.json").read_text(encoding="utf-8"))
    assert list(told["schema"]["properties"]) == ["thing", "count", "wish"] and told["plan"]["kinds"] == ["thing", "count"]
    with pytest.raises(InputError, match=r"cannot be exported to ollama.*--to onnx-web, or serve it"):
        export(bundle, "ollama", tmp_path / "never")


@pytest.mark.parametrize(("tagger", "decoder", "chosen"), [(0.80, 0.90, "decoder"), (0.90, 0.80, "tagger"), (0.895, 0.90, "tagger")])
def test_the_better_by_f1_is_taken_and_of_two_as_good_the_faster(tagger: float, decoder: float, chosen: str) -> None:
    measured = [
        candidate("tagger", "plain", tagger, 3.0, 100.0),
        candidate("decoder", "plain", decoder, 300.0, 100.0, tokens_per_second=150.0),
        candidate("prompted", "plain", 0.5, 400.0, 100.0, baseline=True),
    ]
    taken, reason, why_not = choose_candidate(measured, StudentSettings(), "f1")
    assert taken.student == chosen and "F1" in reason and len(why_not) == 2
