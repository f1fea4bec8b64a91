"""`smidgen demo`, with the build itself left to its own tests: what is copied, what is shown."""

from __future__ import annotations

import csv
import importlib.resources
from pathlib import Path

import pytest

from smidgen.cli.demo import FILES, MESSAGES
from smidgen.cli.main import code
from smidgen.cli.report_summary import print_report
from smidgen.flows.build import pipeline as building
from smidgen.judge import report as reports
from smidgen.parts.recipe import Recipe


def test_its_messages_were_never_seen() -> None:
    known: set[str] = set()
    for name in FILES[1:]:
        file = importlib.resources.files("smidgen") / "samples" / "homeware" / name
        with file.open(encoding="utf-8", newline="") as stream:
            known |= {row["text"].strip().lower() for row in csv.DictReader(stream)}
    assert len(known) > 2000
    assert len(MESSAGES) >= 4
    assert [message for message in MESSAGES if message.lower() in known] == []


def test_it_leaves_the_sample_and_shows_the_whole_path(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[Recipe, Path]] = []

    def build(recipe: Recipe, out: Path, **_: object) -> building.BuildResult:
        asked.append((recipe, out))
        return building.BuildResult(bundle, reports.read(bundle / "report.json"), 12.0)

    monkeypatch.setattr(building, "build", build)
    assert code(["demo", "--dir", str(tmp_path / "demo")]) == 0
    ((recipe, out),) = asked
    assert recipe.name == "support" and recipe.folder == tmp_path / "demo" and out == tmp_path / "demo" / "support"
    assert sorted(file.name for file in (tmp_path / "demo").iterdir()) == sorted(FILES)
    shown = capsys.readouterr().out
    for piece in ("accuracy", "baseline", *MESSAGES, "smidgen serve", "curl http://127.0.0.1:8080/v1/chat/completions", "report.html"):
        assert piece in shown, piece


def test_it_leaves_other_peoples_files_alone(tmp_path: Path) -> None:
    (tmp_path / FILES[1]).write_text("mine", encoding="utf-8")
    assert code(["demo", "--dir", str(tmp_path)]) == 2
    assert (tmp_path / FILES[1]).read_text(encoding="utf-8") == "mine"


def test_a_report_with_nothing_measured_is_shown_without_fuss(capsys: pytest.CaptureFixture[str]) -> None:
    print_report(reports.Report(name="x", task="classify", created="2026-01-01T00:00:00Z", student=reports.StudentFacts(kind="linear")))
    assert "accuracy" not in capsys.readouterr().out


def test_a_report_shows_its_headline_with_interval(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = reports.read(bundle / "report.json")
    print_report(report)
    shown = capsys.readouterr().out
    metric = report.metrics["accuracy"]
    assert f"accuracy {metric.value:.1%}" in shown and f"{metric.low:.1%} to {metric.high:.1%}" in shown
    assert "chosen" in shown
