"""What --fix writes: only what was promised is changed, every change is listed, the original stays, all formats."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from smidgen.core.errors import DataError
from smidgen.data.cleaning import Cleaning, clean
from smidgen.data.findings import mislabels
from smidgen.data.inspection import Survey
from smidgen.data.label_errors import SuspectLabel
from smidgen.data.tables import open_table, sources

ROWS: list[tuple[str, str]] = [
    ("where is my parcel with the blue lamp", "delivery"),  # 1
    ("I want my money back for the broken vase", "refund"),  # 2
    ("where is my parcel with the blue lamp", "delivery"),  # 3 repeats 1
    ("", "refund"),  # 4 empty
    ("the courier left my order at the wrong door", "Delivery"),  # 5 spelling
    ("this very message is in the test file", "refund"),  # 6 leaks
    ("can I pay by invoice as a company", "payment"),  # 7
    ("Can I pay by invoice, as a company?", "payment"),  # 8 near 7, kept
    ("can I pay by invoice as a company!", "refund"),  # 9 conflicts with the majority of 7 and 8
    ("my card was declined twice today", "payment"),  # 10
    ("my card was DECLINED twice today", "delivery"),  # 11 conflicts, a tie
    ("what time does the driver come tomorrow", "refund"),  # 12 mislabelled
]
TEST = [("This very message is in the test file!", "refund")]


def parse(cell: Any) -> str:
    if not isinstance(cell, str) or not cell.strip():
        raise ValueError("empty")
    return cell.strip()


def written(folder: Path, suffix: str, rows: list[tuple[str, str]] = ROWS) -> Path:
    source = next(one for one in sources().values() if suffix in one.suffixes)
    records = [{"id": f"n{number}", "text": text, "label": label} for number, (text, label) in enumerate(rows, start=1)]
    source.write(folder / f"data{suffix}", ("id", "text", "label"), records, {"delimiter": ";"})
    return folder / f"data{suffix}"


def mend(file: Path, out: Path, relabel: bool = False, said: SuspectLabel | None = None) -> Cleaning:
    table = open_table(file, input="text", label="label")
    bad: list[DataError] = []
    rows = list(table.rows(parse, bad.append))
    test = [row for row in rows if row.number == 6]
    survey = Survey(rows, bad, test)
    # Too few rows to judge: what a judge would have said is given.
    place = next(place for place, row in enumerate(rows) if row.number == 12)
    survey.proposals = [replace(said, place=place) if said else SuspectLabel(place, "refund", "Delivery", 0.01, 0.9)]
    return clean(table, survey, out, relabel, (file,))


@pytest.fixture(autouse=True)
def _judge_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mislabels, "LEAST_ROWS", 2)


def labels(file: Path) -> dict[str, str]:
    return {record["id"]: record["label"] for _, record in open_table(file, input="text", label="label").records()}


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet", ".xlsx"])
def test_the_cleaned_file_has_what_was_promised(tmp_path: Path, suffix: str) -> None:
    file = written(tmp_path, suffix)
    before = file.read_bytes()
    out = tmp_path / "out" / f"clean{suffix}"
    cleaning = mend(file, out)
    table = open_table(out, input="text", label="label")
    assert table.columns == ("id", "text", "label")
    assert table.source.name == open_table(file).source.name
    assert labels(out) == {
        "n1": "delivery",
        "n2": "refund",
        "n5": "delivery",
        "n7": "payment",
        "n8": "payment",
        "n9": "payment",
        "n10": "payment",
        "n11": "delivery",
        "n12": "refund",
    }
    assert (cleaning.kept, cleaning.dropped, cleaning.relabelled) == (9, 3, 2)
    assert file.read_bytes() == before
    assert sorted(path.name for path in out.parent.iterdir()) == sorted([out.name, f"{out.name}.changes.csv"])


@pytest.mark.parametrize(("given", "proposed"), [(0.01, 0.79), (0.3, 0.9)])
def test_a_proposal_that_is_not_clear_is_not_taken(tmp_path: Path, given: float, proposed: float) -> None:
    doubtful = SuspectLabel(0, "refund", "Delivery", given, proposed)
    assert not doubtful.clear
    assert mend(written(tmp_path, ".csv"), tmp_path / "clean.csv", True, doubtful).relabelled == 2


def test_every_change_is_listed_with_its_reason(tmp_path: Path) -> None:
    cleaning = mend(written(tmp_path, ".csv"), tmp_path / "clean.csv", relabel=True)
    with cleaning.changes_path.open(encoding="utf-8", newline="") as stream:
        changes = list(csv.DictReader(stream))
    assert list(changes[0]) == ["row", "column", "before", "after", "why"]
    assert [(change["row"], change["column"], change["before"], change["after"]) for change in changes] == [
        ("3", "text", ROWS[2][0], ""),
        ("4", "text", "", ""),
        ("5", "label", "Delivery", "delivery"),
        ("6", "text", ROWS[5][0], ""),
        ("9", "label", "refund", "payment"),
        ("12", "label", "refund", "delivery"),
    ]
    words = ["repeats an earlier row", "text is empty", "spelling", "test file", "majority", "mislabelled"]
    assert all(word in change["why"] for word, change in zip(words, changes, strict=True))
    assert labels(cleaning.path)["n12"] == "delivery"
    assert json.loads(json.dumps(cleaning.json()))["relabelled"] == 3


def test_delimiter_and_encoding_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes("\ufeffid;text;label\n1;où est mon colis;a\n2;un autre message ici;b\n2;un autre message ici;b\n".encode())
    cleaning = mend_plain(file, tmp_path / "b.csv")
    assert cleaning.path.read_bytes() == "\ufeffid;text;label\n1;où est mon colis;a\n2;un autre message ici;b\n".encode()


def mend_plain(file: Path, out: Path) -> Cleaning:
    table = open_table(file)
    return clean(table, Survey(list(table.rows(parse))), out)


def test_several_labels_keep_the_shape_of_their_cell(tmp_path: Path) -> None:
    cells: list[Any] = ["late | Refund", '["late", "refund"]', ["refund", "Refund"], "refund", "refund"]
    file = tmp_path / "a.jsonl"
    lines = [json.dumps({"input": f"message number {place} {'x' * place}", "output": cell}) + "\n" for place, cell in enumerate(cells)]
    file.write_text("".join(lines), encoding="utf-8")

    def several(cell: Any) -> list[str]:
        if isinstance(cell, list):
            return cell
        return json.loads(cell) if cell.startswith("[") else [part.strip() for part in cell.split("|")]

    table = open_table(file)
    clean(table, Survey(list(table.rows(several))), tmp_path / "b.jsonl")
    outputs = [record["output"] for _, record in open_table(tmp_path / "b.jsonl").records()]
    assert outputs == ["late | refund", '["late", "refund"]', ["refund"], "refund", "refund"]


def test_the_original_is_never_replaced_nor_another_format_written(tmp_path: Path) -> None:
    file = written(tmp_path, ".csv")
    with pytest.raises(DataError, match="replace the original"):
        mend(file, file)
    with pytest.raises(DataError, match=r"ends in \.csv"):
        mend(file, tmp_path / "clean.xlsx")
    with pytest.raises(DataError, match="format of the original"):
        mend(file, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_cleaning_twice_changes_nothing_more(tmp_path: Path) -> None:
    once = mend(written(tmp_path, ".csv"), tmp_path / "once.csv")
    twice = mend_plain(once.path, tmp_path / "twice.csv")
    assert (twice.dropped, twice.relabelled) == (0, 0)
    assert twice.path.read_bytes() == once.path.read_bytes()


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path, ".csv")
    monkeypatch.setattr(type(open_table(file).source), "write", _fails)
    with pytest.raises(OSError, match="full"):
        mend(file, tmp_path / "clean.csv")
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def _fails(self: object, path: Path, *rest: object) -> int:
    path.write_text("half", encoding="utf-8")
    raise OSError("the disk is full")
