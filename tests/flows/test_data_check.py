"""What a file teaches is guessed from its cells, and what is not clear is said."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from smidgen.core.errors import DataError
from smidgen.flows.data_check import check_data, guess_task

TEXTS = [f"the {thing} number {number} came late and in pieces" for number in range(40) for thing in ("lamp", "vase")]


def table(file: Path, columns: dict[str, list[Any]], delimiter: str = ",", encoding: str = "utf-8") -> Path:
    with file.open("w", encoding=encoding, newline="") as stream:
        writer = csv.writer(stream, delimiter=delimiter)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return file


def test_labels_are_seen_by_their_repeating(tmp_path: Path) -> None:
    numbers = list(range(80))
    file = table(tmp_path / "a.csv", {"Nr": numbers, "Größe": TEXTS, "Zuständig": ["Küche", "Lager"] * 40}, ";", "cp1252")
    found = guess_task(file)
    assert (found.task, found.input, found.label, found.doubts) == ("classify", "Größe", "Zuständig", ())
    assert guess_task(file, task="write", label="Zuständig").task == "write" and found.columns == ("Nr", "Größe", "Zuständig")
    with pytest.raises(DataError, match="no column looks like answers"):
        guess_task(file, task="write")


def test_texts_objects_and_spans(tmp_path: Path) -> None:
    drafts = table(tmp_path / "b.csv", {"draft": TEXTS, "corrected": [f"{text}." for text in TEXTS]})
    found = guess_task(drafts, input="draft")
    assert (found.task, found.label) == ("write", "corrected")
    with (tmp_path / "c.jsonl").open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps({"text": text, "fields": {"thing": text.split()[1]}}) + "\n" for text in TEXTS)
    assert (guess_task(tmp_path / "c.jsonl").task, guess_task(tmp_path / "c.jsonl").label) == ("extract", "fields")
    spans = [json.dumps([{"start": 4, "end": 8, "label": "thing"}])] * len(TEXTS)
    assert guess_task(table(tmp_path / "d.csv", {"text": TEXTS, "spans": spans})).task == "extract"


@pytest.mark.parametrize("write", [dict, json.dumps], ids=["objects", "texts"])
@pytest.mark.parametrize(
    ("keys", "task"),
    [
        (("name", "arguments"), "act"),
        (("tool", "arguments"), "act"),
        (("id", "text"), "answer"),
        (("id", "text", "page"), "extract"),
        (("tool", "price"), "extract"),
        (("name", "email"), "extract"),
    ],
)
def test_a_column_of_objects_is_told_by_their_keys(tmp_path: Path, write: Any, keys: tuple[str, ...], task: str) -> None:
    """Some objects recur, as labels do, and in some rows there is none."""
    values = [{key: {"order": str(row % 7)} if key == "arguments" else f"{key}-{row % 7}" for key in keys} for row in range(len(TEXTS))]
    cells = [None if row % 5 == 0 else write(value) for row, value in enumerate(values)]
    lines = [json.dumps({"text": text, "output": cell}) for text, cell in zip(TEXTS, cells, strict=True)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    found = guess_task(tmp_path / "a.jsonl")
    assert (found.task, found.label, found.doubts) == (task, "output", ())
    assert check_data(tmp_path / "a.jsonl", label="output").task.name == task


def test_what_is_not_clear_is_said(tmp_path: Path) -> None:
    two = {"text": TEXTS, "mood": ["good", "bad"] * 40, "place": ["north", "south", "east", "west"] * 20}
    found = guess_task(table(tmp_path / "a.csv", two))
    assert found.task == "classify" and len(found.doubts) == 1 and "'mood'" in found.doubts[0] and "'place'" in found.doubts[0]
    assert guess_task(tmp_path / "a.csv", label="place").doubts == ()
    prose = {"first": TEXTS, "second": [f"{text} again" for text in TEXTS], "kind": ["x", "y"] * 40}
    assert "whether 'second' is the text" in guess_task(table(tmp_path / "b.csv", prose)).doubts


def test_no_answers_no_guess(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no column looks like answers.*--label"):
        guess_task(table(tmp_path / "a.csv", {"text": TEXTS, "number": [str(number * 7) for number in range(80)]}))
