"""A label that is seen once, and is another spelling of a common one, is a finding with the command that mends it, and no error."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.build_steps import rows_of

from smidgen.cli.main import code
from smidgen.core.errors import DataError
from smidgen.parts.recipe import make

LABELS = ["Delivery"] * 20 + ["Refund"] * 20


def file_of(folder: Path, labels: list[str]) -> Path:
    file = folder / "my data.csv"
    rows = [f"some text {n} about {label.split()[0].lower()},{label}" for n, label in enumerate(labels)]
    file.write_text("text,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return file


def test_a_build_takes_it_for_the_common_spelling(tmp_path: Path) -> None:
    file = file_of(tmp_path, [*LABELS, "delivery", "RE-FUND"])
    recipe = make({"task": "classify", "data": {"train": str(file), "input": "text", "label": "label"}})
    examples = rows_of(recipe)
    assert examples.form.labels == ("Delivery", "Refund")
    (note,) = [note for note in examples.notes if "spelling" in note]
    assert "'delivery' as 'Delivery'" in note and "'RE-FUND' as 'Refund'" in note
    assert f"smidgen check '{file}' --label label --fix OUT" in note


def test_several_labels(tmp_path: Path) -> None:
    file = file_of(tmp_path, [*LABELS, "delivery|Refund"])
    data = {"train": str(file), "input": "text", "label": "label"}
    examples = rows_of(make({"task": "classify", "data": data, "classify": {"multi_label": True}}))
    assert examples.form.labels == ("Delivery", "Refund")


def test_a_label_that_is_alone_is_still_an_error(tmp_path: Path) -> None:
    file = file_of(tmp_path, [*LABELS, "delivery", "alone"])
    recipe = make({"task": "classify", "data": {"train": str(file), "input": "text", "label": "label"}})
    with pytest.raises(DataError, match="'alone'"):
        rows_of(recipe)


def test_two_common_spellings_stay_two_labels(tmp_path: Path) -> None:
    file = file_of(tmp_path, [*LABELS, *["delivery"] * 5])
    recipe = make({"task": "classify", "data": {"train": str(file), "input": "text", "label": "label"}})
    examples = rows_of(recipe)
    assert examples.form.labels == ("Delivery", "Refund", "delivery")
    assert not [note for note in examples.notes if "spelling" in note]


def test_check_gives_the_command_that_mends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("smidgen.flows.data_check.embedder", lambda threads: None)
    monkeypatch.chdir(tmp_path)
    file_of(tmp_path, [*LABELS, "delivery"])
    assert code(["check", "my data.csv", "--label", "label"]) == 0
    said = capsys.readouterr().out
    command = "smidgen check 'my data.csv' --input text --label label --fix 'my data.clean.csv'"
    assert command in said
    assert code(["check", "my data.csv", "--input", "text", "--label", "label", "--fix", "my data.clean.csv"]) == 0
    assert "delivery,delivery" not in (tmp_path / "my data.clean.csv").read_text(encoding="utf-8")
