"""Answers from documents, from files to a served bundle: with questions that people asked, and without."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from safetensors.numpy import load_file, save_file
from tests.flows.build.served_bundle import ServedBundle
from tests.made_once import made_once
from tests.short_base import short_base

import smidgen
from smidgen.cli.main import code
from smidgen.core.errors import DataError, EngineError
from smidgen.engines.finder import part as finder
from smidgen.flows.local_model import load
from smidgen.judge.report import read
from smidgen.server.app import create_app

HOMEWARE = Path(smidgen.__file__).parent / "samples" / "homeware"
ASKED = {
    "how many days do i have to return something": ("policies.md", "You may return most things within 30 days"),
    "price of express delivery": ("policies.md", "£6.95 whatever the order value"),
    "are dogs on leads welcome in the showroom": ("policies.md", "Dogs on leads are welcome."),
    "do you print a catalogue": ("policies.md", "We do not print a catalogue."),
    "can i pay with cheques": ("policies.md", "We do not take cheques"),
}


def documents(folder: Path) -> Path:
    folder.mkdir()
    shutil.copyfile(HOMEWARE / "policies.md", folder / "policies.md")
    lines = (HOMEWARE / "faq.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "faq.csv").write_text("".join(lines[:9]), encoding="utf-8")
    return folder


def questions(file: Path) -> Path:
    rows = [{"input": asked, "output": {"id": name, "text": text}} for asked, (name, text) in ASKED.items()]
    rows += [{"input": f"{asked} again", "output": row["output"]} for asked, row in zip(ASKED, rows, strict=True)]
    strange = (
        "who is the king",
        "what do penguins eat",
        "where is the cheese",
        "how high is the mountain",
        "which song won",
        "why is rain wet",
    )
    rows += [{"input": f"{asked} {where}", "output": None} for asked in strange for where in ("on the moon", "in Peru")]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def make(out: Path) -> None:
        base = short_base(out / "base")
        flags = ["--compress", "none", "--quiet", "--threads", "1"]
        read = documents(out / "documents")
        (read / "broken.pdf").write_bytes(b"no pdf")
        asked = questions(out / "questions.jsonl")
        assert (
            code(
                [
                    "build",
                    "--task",
                    "answer",
                    "--documents",
                    str(HOMEWARE / "faq.csv"),
                    "--out",
                    str(out / "made"),
                    "--base",
                    str(base),
                    *flags,
                ]
            )
            == 0
        )
        given = ["--documents", str(read), "--data", str(asked), "--out", str(out / "asked")]
        assert code(["build", "--task", "answer", *given, *flags]) == 0

    return made_once(tmp_path_factory, "answers", make)


@pytest.fixture(scope="module")
def bundle(built: Path) -> Path:
    return built / "asked"


@pytest.fixture(scope="module")
def rows(built: Path) -> Path:
    return built / "questions.jsonl"


class TestServed(ServedBundle):
    text = "are dogs on leads welcome in the showroom"


def test_a_chat_and_a_response_stream_the_words_with_their_source(bundle: Path) -> None:
    said = "Dogs on leads are welcome.\n\nSource: "
    model = load(bundle, 1)
    with TestClient(create_app([model]), base_url="http://127.0.0.1") as client:
        messages = [{"role": "user", "content": TestServed.text}]
        lines = client.post("/v1/chat/completions", json={"model": model.name, "messages": messages, "stream": True}).text.splitlines()
        pieces = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
        words = "".join(piece["choices"][0]["delta"].get("content") or "" for piece in pieces if piece["choices"])
        assert len(pieces) > 1 and words.startswith(said)
        told = client.post("/v1/responses", json={"model": model.name, "input": TestServed.text}).json()
        assert told["output"][0]["content"][0]["text"] == words
        asked = {"model": model.name, "input": TestServed.text, "text": {"format": {"type": "json_object"}}}
        whole = client.post("/v1/responses", json=asked).json()
        assert json.loads(whole["output"][0]["content"][0]["text"]) == {"id": "policies.md", "text": "Dogs on leads are welcome."}


def test_a_question_gets_the_words_and_their_place(bundle: Path) -> None:
    model = load(bundle, 1)
    known, _ = model.predict(["are dogs on leads welcome in the showroom", "zzz qqq"])
    assert known.output == {"id": "policies.md", "text": "Dogs on leads are welcome."}
    assert known.facts["heading"] == "12. Showroom and contact" and known.facts["end"] - known.facts["start"] == 26
    text = (HOMEWARE / "policies.md").read_text(encoding="utf-8")
    assert known.output["text"] in text
    assert model.predict([("are dogs on leads welcome in the showroom", known.facts["passage"])])[0].output != known.output


def test_the_report_says_that_questions_were_made(built: Path) -> None:
    report = read(built / "made" / "report.json")
    assert report.data.made and "made from" in report.data.source and report.baseline is not None and report.baseline.name == "keywords"
    assert "abstain_recall" in report.metrics and report.metrics["cited"].value == 1.0
    card = (built / "made" / "README.md").read_text(encoding="utf-8")
    assert "Nobody asked them" in card and "Nobody asked them" not in (built / "asked" / "README.md").read_text(encoding="utf-8")


def test_the_bundle_has_its_own_passages_and_nothing_that_runs(bundle: Path) -> None:
    names = {file.name for file in bundle.iterdir()}
    assert {"passages.json", "vectors.safetensors", "model.onnx"} <= names and not [name for name in names if name.endswith((".db", ".py"))]
    assert len(json.loads((bundle / "passages.json").read_text(encoding="utf-8"))) == 24


def test_remembered_questions_name_sentences_that_are_there(bundle: Path, tmp_path: Path) -> None:
    tables = load_file(bundle / "vectors.safetensors")
    assert 0 < len(tables["remembered"]) <= len(ASKED) * 2 and "answers" in tables
    for name in ("passages.json", "model.onnx", "tokenizer.json"):
        shutil.copyfile(bundle / name, tmp_path / name)
    beyond = tables["answers"].copy()
    beyond[0, 1] = len(tables["sentences"])
    save_file({**tables, "answers": beyond}, tmp_path / "vectors.safetensors")
    with pytest.raises(EngineError, match="remembered questions"):
        finder.open(tmp_path, {}, 1)


def test_rows_must_fit_the_documents(built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from smidgen.core.rows import Row
    from smidgen.tasks.answer import AnswerSettings, part

    settings = AnswerSettings(documents=str(built / "documents"))
    with pytest.raises(DataError, match="not there"):
        part.files.for_students([Row("q", {"id": "other.md", "text": "x"}, 1)], settings)
    with pytest.raises(DataError, match="not in the document"):
        part.files.for_students([Row("q", {"id": "policies.md", "text": "we deliver to the moon"}, 1)], settings)
    assert part.files.for_students([Row("q", {"id": "policies.md", "text": "ogs on leads are wel"}, 1)], settings), (
        "words cut within are there"
    )
    assert part.files.remarks(settings) and "broken.pdf is left out" in part.files.remarks(settings)[0]
    assert code(["build", "--task", "answer", "--data", str(built / "questions.jsonl"), "--out", str(tmp_path / "none")]) == 2
    assert "--documents PATH" in capsys.readouterr().err
