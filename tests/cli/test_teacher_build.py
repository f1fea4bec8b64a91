"""The command of the page "Use a large model as teacher", as it stands there, against a server on this machine."""

from __future__ import annotations

import csv
import json
import re
import shlex
from collections import Counter
from pathlib import Path

import pytest
from tests.conftest import LABELS, shop
from tests.teacher_server import Messages, teacher_server

from smidgen.cli.main import code
from smidgen.flows.build import teaching

PAGE = Path(__file__).parent.parent.parent / "docs" / "how-to" / "use-a-large-model-as-teacher.md"


def write(file: str, rows: list[tuple[str, str]]) -> None:
    with Path(file).open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerows([("text", "category"), *rows])


def test_the_page_s_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found = re.findall(r"```sh\n(smidgen build .*)\n```", PAGE.read_text(encoding="utf-8"))
    assert len(found) == 1
    rows = [row for row in shop("support_train") if row[1] in LABELS]
    seen: Counter[str] = Counter()
    few, rest = [], []
    for text, label in rows:
        seen[label] += 1
        (few if seen[label] <= 8 else rest).append((text, label))
    known = dict(rows)

    def answer(messages: Messages) -> str:
        return known[messages[-1]["content"]]

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(teaching, "embedder", lambda base=None, threads=None: None)
    write("labelled.csv", few)
    write("messages.csv", [(text, "") for text, _ in rest])
    with teacher_server(answer) as server:
        words = shlex.split(found[0].replace("http://127.0.0.1:11434/v1", server.url))
        # The quick student: what is taught does not depend on it.
        assert code([*words[1:], "--student", "linear", "--set", "gate.max_loss=0.2", "--threads", "1", "--quiet"]) == 0
        asked = len(server.seen)
    shown = " ".join(capsys.readouterr().out.split())
    assert "Taught by my-large-model" in shown and "unlabelled inputs learnt from" in shown and f"{asked} requests" in shown
    report = json.loads((tmp_path / "taught" / "report.json").read_text(encoding="utf-8"))
    assert report["teacher"]["kept"] > 0.9 * len(rest)
    assert report["data"]["train"] > 0.9 * len(rows)


def test_a_teacher_s_folder_is_found_from_where_the_user_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    write("labelled.csv", [(f"text {n} of {label}", label) for label in ("a", "b") for n in range(20)])
    words = ["build", "--task", "classify", "--data", "labelled.csv", "--unlabelled", "labelled.csv", "--out", "x", "--student", "linear"]
    assert code([*words, "--teacher", "no-such-bundle", "--quiet"]) == 2
    assert str(tmp_path / "here" / "no-such-bundle") in capsys.readouterr().err
    assert code([*words, "--teacher", "no-such-bundle", "--budget-usd", "-1", "--quiet"]) == 2
    assert "data.teacher.budget_usd" in capsys.readouterr().err
