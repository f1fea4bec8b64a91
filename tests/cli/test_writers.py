"""The verbs on a bundle that writes: chat, eval, predict."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from smidgen.cli.main import code

FRANCE, PARIS = "What is the capital of France?", "The capital of France is Paris."
ROWS = [(FRANCE, "It is Paris."), (FRANCE, PARIS), ("What is the capital of Italy?", "The capital of Italy is Rome."), ("", "nothing")]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    file = tmp_path / "rows.csv"
    file.write_text("input,output\n" + "".join(f"{text},{answer}\n" for text, answer in ROWS), encoding="utf-8")
    return file


def test_chat_writes_the_text_then_its_score(
    writer_bundle: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{FRANCE}\n\n{'word ' * 2000}\nSay [bold]hi[/].\n"))
    assert code(["chat", str(writer_bundle), "--threads", "1"]) == 0
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert lines[0] == PARIS and "█" in lines[1] and "7 tokens in" in lines[1]
    assert "too long" in told.err, "one that cannot be asked does not end the talk"
    assert len(lines) >= 4


def test_chat_as_json(writer_bundle: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{FRANCE}\n"))
    assert code(["chat", str(writer_bundle), "--json", "--threads", "1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["output"] == PARIS and 0 < found["score"] <= 1 and found["facts"] == {"tokens": 7, "finished": True}


def test_eval_counts_an_input_once_and_takes_its_best_reference(
    writer_bundle: Path, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code(["eval", str(writer_bundle), "--data", str(table), "--json", "--threads", "1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["n"] == 2 and found["skipped"] == 1
    assert set(found["metrics"]) == {"rouge1", "rouge2", "rougeL", "rougeLsum", "chrf"}
    assert found["metrics"]["rougeL"]["value"] == 1.0
    assert 0 < found["calibration"]["ece"] < 0.5 and found["tokens_per_second"] > 1
    assert code(["eval", str(writer_bundle), "--data", str(table), "--threads", "1"]) == 0
    assert "tokens/s" in capsys.readouterr().out


def test_predict_answers_every_row(writer_bundle: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.jsonl"
    assert code(["predict", str(writer_bundle), "--data", str(table), "--out", str(out), "--threads", "1"]) == 0
    found = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [entry["output"] for entry in found] == [PARIS, PARIS, "The capital of Italy is Rome.", None]
    assert found[0]["facts"]["finished"] is True and found[3]["row"] == 4
