"""`smidgen start`: one command from a stranger's file to a model; it asks where somebody is there, and never guesses unseen."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import few, shop

from smidgen.cli import start as starting
from smidgen.cli.main import code


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A colleague's export: semicolons, cp1252, a repeated row, a label that one row has."""
    monkeypatch.chdir(tmp_path)
    rows = few(shop("support_train"), 6)
    rows = [*rows, rows[0], ("das Paket ist längst überfällig, bitte prüfen", "Größe/unklar")]
    with (tmp_path / "Anfragen 2026.csv").open("w", encoding="cp1252", newline="", errors="replace") as stream:
        writer = csv.writer(stream, delimiter=";")
        writer.writerow(["Nr", "Nachricht", "Zuständig"])
        writer.writerows((number, *row) for number, row in enumerate(rows, 1))
    return tmp_path / "Anfragen 2026.csv"


class Typed(io.StringIO):
    """Somebody at a keyboard."""

    def isatty(self) -> bool:
        return True


QUICK = ["--set", "student.kind=linear", "--threads", "1", "--no-open"]


def test_from_a_file_to_a_model(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = file.read_bytes()
    assert code(["start", str(file), "--yes", "--json", *QUICK]) == 0
    said = capsys.readouterr()
    found: dict[str, Any] = json.loads(said.out)
    assert found["task"] == "classify" and found["columns"] == {"input": "Nachricht", "label": "Zuständig"}
    assert Path(found["report"]).is_file() and Path(found["bundle"], "smidgen.json").is_file() and found["bundle"] == "Anfragen-2026"
    assert 0 < found["metrics"]["accuracy"]["value"] <= 1
    reasons = found["fixed"]["reasons"]
    assert reasons["dropped: no other row has its label"] == 1 and reasons["dropped: repeats an earlier row"] >= 1
    assert Path(found["fixed"]["file"]).is_file() and file.read_bytes() == before and "next:" not in said.err


def test_it_shows_and_asks_before_it_goes_on(file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Typed("y\ny\ny\n"))
    assert code(["start", str(file), *QUICK]) == 0
    said = capsys.readouterr()
    told = " ".join(said.out.split())
    for words in (
        "texts in the column Nachricht, answers in Zuständig",
        "The job: classify",
        "Fixes that can be made in a copy",
        "Its report:",
    ):
        assert words in told, words
    assert "next: smidgen chat Anfragen-2026" in said.err and "smidgen serve Anfragen-2026" in said.err
    # Refused at the last question: nothing is built.
    monkeypatch.setattr(sys, "stdin", Typed("y\ny\nn\n"))
    assert code(["start", str(file), "--out", "other", *QUICK]) == 1
    assert not Path("other").exists()


def test_a_wrong_guess_is_put_right(file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Typed("n\nNr. 5\nNachricht\nZuständig\nclassify\ny\nn\n"))
    assert code(["start", str(file), *QUICK]) == 1
    assert "Nr. 5 is none of: Nr, Nachricht, Zuständig" in " ".join(capsys.readouterr().err.split())


def test_nothing_is_guessed_where_nobody_is_there(file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    for more in ([], ["--json"]):
        assert code(["start", str(file), *more, *QUICK]) == 2
        assert "--yes" in capsys.readouterr().err
    Path("kept").mkdir()
    Path("kept", "notes.txt").write_text("mine", encoding="utf-8")
    assert code(["start", str(file), "--yes", "--out", "kept", *QUICK]) == 1, "a folder of something else is left alone"
    assert Path("kept", "notes.txt").is_file()


def test_the_report_opens_where_there_is_a_screen(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(starting.webbrowser, "open", opened.append)
    monkeypatch.setattr(starting, "_browser", lambda: True)
    assert code(["start", str(file), "--yes", "--quiet", *QUICK[:-1]]) == 0
    assert len(opened) == 1 and opened[0].startswith("file://") and opened[0].endswith("report.html")
    assert code(["start", str(file), "--yes", "--quiet", *QUICK]) == 0 and len(opened) == 1


def test_calls_take_the_file_of_their_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A column of calls is told by its form. The file of tools, which cannot be guessed, is asked for by the flag that `start` has."""
    monkeypatch.chdir(tmp_path)
    rows = [{"text": f"please stop the order number {number}", "output": {"tool": "stop", "arguments": {}}} for number in range(30)]
    Path("calls.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    assert code(["start", "calls.jsonl", "--yes", *QUICK[2:]]) == 2 and "--tools" in capsys.readouterr().err
    assert code(["start", "calls.jsonl", "--yes", "--tools", "none.json", *QUICK[2:]]) == 2 and "none.json" in capsys.readouterr().err
