"""Uploads that mean harm: each ends in a message, in bounded time and memory, and nothing else is lost."""

from __future__ import annotations

import json
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from smidgen.core.errors import DataError, InputError, RequestError
from smidgen.studio.flows.data import uploads
from smidgen.studio.flows.data.imports import import_file, preview_file, remembered_columns
from smidgen.studio.flows.data.upload_reader import LIMITS, read_upload
from smidgen.studio.store.data_rows import DataRow
from smidgen.studio.store.projects import StudioStore

SMALL = replace(LIMITS, unpacked=1 << 20, cells=10_000)
XLSX = {
    "[Content_Types].xml": '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>',
    "xl/workbook.xml": "<workbook/>",
}


def write(file: Path, content: str | bytes) -> Path:
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def bomb(file: Path) -> Path:
    """A workbook of some kilobytes that unpacks to 64 MB."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in XLSX.items():
            archive.writestr(name, content)
        archive.writestr("xl/worksheets/sheet1.xml", b" " * (64 << 20))
    assert file.stat().st_size < 200_000
    return file


def wide(file: Path) -> Path:
    names = ",".join(f"column {number}" for number in range(10_000))
    return write(file, f"{names}\n{','.join('x' for _ in range(10_000))}\n")


def long_line(file: Path) -> Path:
    with file.open("wb") as stream:
        stream.write(b"text,team\n")
        for _ in range(50):
            stream.write(b"a" * (1 << 20))
    return file


def packed_rows(file: Path) -> Path:
    """A Parquet file of some kilobytes whose rows come to 20 MB."""
    import polars

    polars.DataFrame({"text": ["a" * 1_000] * 20_000, "team": ["b"] * 20_000}).write_parquet(file)
    assert file.stat().st_size < 200_000
    return file


@pytest.mark.parametrize(
    ("name", "make", "said"),
    [
        ("bomb.xlsx", bomb, "unpacks to more than 1 MiB"),
        ("wide.csv", wide, "10,000 columns; at most 1,000"),
        ("long.csv", long_line, "more than 4,000,000 characters"),
        ("packed.parquet", packed_rows, "more than"),
    ],
)
def test_a_file_out_of_bounds_ends_in_a_message(store: StudioStore, tmp_path: Path, name: str, make: Any, said: str) -> None:
    project = store.create("Tickets", "classify")
    rows = store.rows(project.id)
    rows.add([DataRow("hello", output="a")], "ann", "add", {})
    file = make(tmp_path / name)
    columns = {"input": "text", "label": "team"} if name != "wide.csv" else {}
    with pytest.raises(DataError, match=said) as told:
        import_file(store, project, file, name, columns, "ann", limits=SMALL)
    assert name in str(told.value) and told.value.todo
    assert (rows.head(), rows.count()) == (1, 1), "nothing was added and nothing lost"
    left = [place.name for place in tmp_path.iterdir() if not place.name.startswith(("studio.db", "home"))]
    assert left == [name], "nothing is left behind"
    assert list(uploads.uploads_folder().iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows bounds no memory of a process")
def test_a_reader_that_takes_too_much_memory_ends_alone(tmp_path: Path) -> None:
    file = write(tmp_path / "list.json", "[" + ",".join('{"text": "some text", "team": "a"}' for _ in range(600_000)) + "]")
    with pytest.raises(DataError, match=r"cannot be read within 0\.2 GB of memory"):
        preview_file(file, "classify", limits=replace(LIMITS, memory=200 << 20))


def test_a_reader_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(DataError, match=r"not read after 0\.05 s"):
        preview_file(write(tmp_path / "a.csv", "text,team\nhello,a\n"), "classify", limits=replace(LIMITS, seconds=0.05))
    assert time.monotonic() - began < 30


def test_what_a_file_says_stays_text(store: StudioStore, tmp_path: Path) -> None:
    cells = ["=cmd|'/c calc'!A1", "<script>alert(1)</script>", "@SUM(1)", "grüß Gott 👍"]
    file = write(tmp_path / "tickets.csv", ("text,team\n" + "".join(f"{cell},a\n" for cell in cells)).encode("utf-16"))
    seen = preview_file(file, "classify")
    assert [row["text"] for row in seen.rows] == cells and seen.facts["encoding"] == "utf-16"
    project = store.create("Tickets", "classify")
    rows = store.rows(project.id)
    assert import_file(store, project, file, file.name, {}, "ann").version.rows == 4
    assert [row.input for row in rows.page(0, 9)] == cells


def test_a_preview_is_short_however_long_the_cells(tmp_path: Path) -> None:
    lines = [json.dumps({"text": "a" * 100_000, "more": {"list": ["b" * 1_000]}, "number": float("nan")}) for _ in range(60)]
    seen = preview_file(write(tmp_path / "long.jsonl", "\n".join(lines)), "classify")
    assert len(seen.rows) == 50 and {len(row["text"]) for row in seen.rows} == {501}
    json.dumps([dict(row) for row in seen.rows], allow_nan=False)


def test_records_keep_every_row_with_its_fault(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", "text,team\nhello,a\n\nbroken\nbye,b\n")
    told = read_upload("records", file, "classify", {}, tmp_path / "out.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert lines == [{"text": "hello", "team": "a"}, {}, {"text": "bye", "team": "b"}]
    assert list(told["faults"]) == ["2"] and told["rows"] == 3 and told["columns"] == ["text", "team"]


def test_a_wrong_setting_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="encoding"):
        preview_file(write(tmp_path / "a.csv", "text,team\nhello,a\n"), "classify", {"encoding": "none"})


def test_an_upload_lies_alone_and_is_forgotten_after_a_day(store: StudioStore, monkeypatch: pytest.MonkeyPatch) -> None:
    file, id = uploads.new_upload("../../etc/.x y.csv")
    assert file.parent == uploads.uploads_folder() / id and file.name == "x y.csv"
    file.write_text("text\n", encoding="utf-8")
    assert uploads.uploaded(id) == file
    for wrong in ("0" * 12, "..", "../uploads", ""):
        with pytest.raises(RequestError, match="no such upload"):
            uploads.uploaded(wrong)
    now = time.time()
    monkeypatch.setattr(uploads.time, "time", lambda: now + uploads.KEEP_SECONDS + 60)
    uploads.new_upload("b.csv")
    assert not file.parent.exists()


GOODS = """sku,Product,Price (GBP),Photo,Text
A1,Oak stool,49,https://x.example/1.png,"A stool of oak that stands as firm as the tree did, for £49."
A2,Pine; bench,129,,"Sit down, there is room for three on this bench of pine for £129."
A3,,,,"A shelf of ash that carries all your books and asks for nothing in return."
"""


def test_a_table_of_goods_becomes_texts_to_write_from(store: StudioStore, tmp_path: Path) -> None:
    file = write(tmp_path / "goods.csv", GOODS)
    seen = preview_file(file, "write")
    assert (seen.input, seen.label, seen.attributes) == (("Product", "Price (GBP)"), ("Text",), True)
    project = store.create("Goods", "write")
    rows = store.rows(project.id)
    assert remembered_columns(rows) is None
    added = import_file(store, project, file, file.name, {"input": list(seen.input), "label": list(seen.label)}, "ann")
    assert [row.input for row in rows.each()] == ["Product: Oak stool; Price GBP: 49", "Product: Pine, bench; Price GBP: 129"]
    assert added.skipped == 1 and "the text is empty" in added.faults[0]
    assert added.version.details["skipped"] == 1 and added.version.details["faults"][0]["row"] == 4

    remembered = remembered_columns(rows)
    assert remembered is not None and list(remembered.input) == ["Product", "Price (GBP)"]
    fewer = write(tmp_path / "new.csv", "Price (GBP),Note,Product\n12,a long note that nobody wants to see in any of the texts,Ash tray\n")
    out = tmp_path / "records.jsonl"
    told = read_upload("records", fewer, "write", {}, out, remembered=remembered)
    assert json.loads(out.read_text(encoding="utf-8"))[told["input"][0]] == "Product: Ash tray; Price GBP: 12"
    assert told["columns"] == ["Price (GBP)", "Note", "Product"]


def test_a_task_of_single_texts_takes_no_attributes(tmp_path: Path) -> None:
    file = write(tmp_path / "goods.csv", GOODS)
    assert preview_file(file, "classify").attributes is False
    with pytest.raises(DataError, match="too many columns"):
        read_upload("rows", file, "classify", {"input": ["sku", "Product", "Text"], "label": []}, tmp_path / "rows.jsonl")
