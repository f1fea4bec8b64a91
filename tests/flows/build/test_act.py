"""Calls of tools, the whole path: learnt by the baseline, calibrated, packed, measured, served."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from tests.action_examples import call, examples, write
from tests.flows.build.served_bundle import ServedBundle

from smidgen.cli.main import code
from smidgen.flows.build.pipeline import build
from smidgen.flows.local_model import load
from smidgen.judge.report import read
from smidgen.parts.recipe import make

TEXT = "where is order FH-107 today"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("act")
    write(folder)
    return folder


@pytest.fixture(scope="module")
def bundle(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = {
        "name": "calls",
        "task": "act",
        "data": {"train": "rows.jsonl", "holdout": 0.2, "test_share": 0.2},
        "act": {"tools": "tools.json"},
        "student": {"kind": "lexical"},
        "train": {"epochs": 5},
    }
    return build(make(tree, folder=folder), tmp_path_factory.mktemp("built") / "calls", threads=1).folder


@pytest.fixture(scope="module")
def rows(folder: Path) -> Path:
    return folder / "rows.jsonl"


class TestServed(ServedBundle):
    text = TEXT


def test_the_report_has_the_metrics_and_the_card_the_tools(bundle: Path) -> None:
    report = read(bundle / "report.json")
    assert report.headline == "exact_match" and report.metrics["exact_match"].value > 0.8
    assert {"tool_accuracy", "argument_f1", "abstain_recall"} < set(report.metrics)
    assert report.calibration is not None and report.parity is not None and report.parity.passed
    card = (bundle / "README.md").read_text(encoding="utf-8")
    assert r"return\_order(order, reason): Send an order back." in card and "It calls nothing itself." in card


def test_a_call_is_complete_or_says_what_is_missing(bundle: Path) -> None:
    asked, lacking, nothing = load(bundle, 1).predict([TEXT, "where is order please", "thank you so much"])
    assert asked.output == call("order_status", order="FH-107") and "missing" not in asked.facts
    assert lacking.output == call("order_status") and lacking.facts["missing"] == ["order"]
    assert nothing.output is None and len(examples()) > 70


def test_a_chat_shows_the_call_in_words(bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{TEXT}\nthank you so much\n"))
    assert code(["chat", str(bundle)]) == 0
    said = capsys.readouterr().out
    assert "Order status (order: FH-107)" in said and "No tool fits." in said and "{" not in said


def test_rows_of_another_task_are_refused(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"input": f"question {n}", "output": {"id": "a.md", "text": "words"} if n % 2 else None} for n in range(6)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert code(["eval", str(bundle), "--data", str(tmp_path / "rows.jsonl")]) == 2
    assert "no output of these rows is one of the task act" in " ".join(capsys.readouterr().err.split())


def test_examples_of_a_tool_file_teach_without_a_table(tmp_path: Path) -> None:
    lines = ['database = "sqlite:///shop.sqlite"']
    for tool, query in (("order_status", "orders"), ("invoice", "invoices")):
        words = "where is" if tool == "order_status" else "send me the invoice of"
        own = ", ".join(f'{{ message = "{words} FH-{n}", arguments = {{ order = "FH-{n}" }} }}' for n in range(100, 112))
        lines += [
            f"[tools.{tool}]",
            f'description = "Look up {query}"',
            'words = "Look up {order}"',
            "changes = false",
            f'sql = "SELECT * FROM {query} WHERE id = :order"',
            f"examples = [{own}]",
            'arguments.order = { pattern = "FH-[0-9]{3}" }',
        ]
    (tmp_path / "tools.toml").write_text("\n".join(lines), encoding="utf-8")
    command = ["build", "--task", "act", "--tools", str(tmp_path / "tools.toml"), "--student", "lexical", "--out", str(tmp_path / "out")]
    assert code([*command, "--set", "train.epochs=4", "--threads", "1"]) == 0
    manifest = json.loads((tmp_path / "out" / "smidgen.json").read_text(encoding="utf-8"))
    assert [tool["name"] for tool in manifest["form"]["tools"]] == ["order_status", "invoice"]
    (reply,) = load(tmp_path / "out", 1).predict(["send me the invoice of FH-103"])
    assert reply.output == call("invoice", order="FH-103")
