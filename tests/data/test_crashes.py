"""Files that once ended in an internal error, a hang or an aborted process. Each is refused in words, or read; each is made here."""

from __future__ import annotations

import datetime
import os
import sys
import threading
import time
import zipfile
from pathlib import Path

import polars
import pytest
import xlsxwriter

from smidgen.cli.main import code
from smidgen.core.errors import DataError
from smidgen.data import reader_process
from smidgen.data.source import ReadLimits, SourceFile
from smidgen.data.tables import DataTable, open_table
from smidgen.data.xlsx import part as xlsx

GOOD = "text,label\n" + "".join(f"some café number {n},{'ab'[n % 2]}\n" for n in range(20))
JSON_ROWS = "".join(f'{{"input": "some café {n}", "output": "{chr(97 + n % 2)}"}}\n' for n in range(20))


def sheet(file: Path, cells: str, name: str = "S") -> Path:
    """A workbook of one worksheet, written by hand: a library would not."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    head = '<?xml version="1.0" encoding="UTF-8"?>'
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "[Content_Types].xml",
            f'{head}<Types xmlns="{package}/content-types"><Default Extension="xml" ContentType="application/xml"/>'
            '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/></Types>',
        )
        archive.writestr(
            "_rels/.rels",
            f'{head}<Relationships xmlns="{package}/relationships"><Relationship Id="rId1" Type="{office}/officeDocument" '
            'Target="xl/workbook.xml"/></Relationships>',
        )
        archive.writestr(
            "xl/workbook.xml",
            f'{head}<workbook xmlns="{main}" xmlns:r="{office}"><sheets><sheet name="{name}" sheetId="1" r:id="rId1"/></sheets></workbook>',
        )
        archive.writestr(
            "xl/_rels/workbook.xml.rels",
            f'{head}<Relationships xmlns="{package}/relationships"><Relationship Id="rId1" Type="{office}/worksheet" '
            'Target="worksheets/sheet1.xml"/></Relationships>',
        )
        archive.writestr("xl/worksheets/sheet1.xml", f'{head}<worksheet xmlns="{main}"><sheetData>{cells}</sheetData></worksheet>')
    return file


def cell(place: str, text: str) -> str:
    row = "".join(sign for sign in place if sign.isdigit())
    return f'<row r="{row}"><c r="{place}" t="inlineStr"><is><t>{text}</t></is></c></row>'


def each(table: DataTable) -> tuple[list[str], list[DataError]]:
    """Texts that were read, and errors of rows that were not."""
    bad: list[DataError] = []
    return [str(row.input) for row in table.rows(bad=bad.append)], bad


def test_a_cell_far_outside_the_table(tmp_path: Path) -> None:
    file = sheet(tmp_path / "far.xlsx", cell("A1", "text") + cell("XFD1048576", "b"))
    assert file.stat().st_size < 4096
    with pytest.raises(DataError, match=r"within .* GB of memory") as caught:
        open_table(file)
    assert "Ctrl-End" in caught.value.todo


def test_a_worksheet_written_by_hand_is_read(tmp_path: Path) -> None:
    rows = "".join(cell(f"A{n}", f"some message {n}") for n in range(2, 30))
    table = open_table(sheet(tmp_path / "near.xlsx", cell("A1", "text") + rows), need_label=False)
    assert sum(1 for _ in table.rows()) == 28


def test_a_workbook_that_takes_too_long(tmp_path: Path) -> None:
    file = tmp_path / "slow.xlsx"
    with xlsxwriter.Workbook(str(file)) as book:
        book.add_worksheet().write_row(0, 0, ["text", "label"])
    with pytest.raises(DataError, match="not read after"):
        xlsx.open(SourceFile(file, file.name, file.read_bytes()[:100], ReadLimits(seconds=0.001)))


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_reader_that_is_aborted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.xlsx"
    with xlsxwriter.Workbook(str(file)) as book:
        book.add_worksheet().write_row(0, 0, ["text", "label"])
    monkeypatch.setattr(reader_process, "__name__", "antigravity_that_is_no_module")
    with pytest.raises(DataError, match="cannot be read within"):
        open_table(file)


def test_nothing_is_imported_from_the_folder_one_stands_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with xlsxwriter.Workbook(str(tmp_path / "a.xlsx")) as book:
        page = book.add_worksheet()
        for number, cells in enumerate([("text", "label"), *(("a b c", "xy"[n % 2]) for n in range(9))]):
            page.write_row(number, 0, cells)
    (tmp_path / "fastexcel.py").write_text("open('was_run', 'w').close()", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert sum(1 for _ in open_table("a.xlsx").rows()) == 9
    assert not (tmp_path / "was_run").exists()


def broken_parquets(folder: Path) -> list[Path]:
    """Files with a few bytes changed or cut away, and one with which polars aborts the process."""
    file = folder / "whole.parquet"
    days = [datetime.date(2024, 1, 1)] * 300
    rows = {"text": [f"some text {n}" for n in range(300)], "label": ["a", "b"] * 150, "day": days, "list": [[1, 2, 3]] * 300}
    polars.DataFrame(rows).write_parquet(file, compression="uncompressed")
    content = file.read_bytes()
    made = []
    for number, place in enumerate(range(4, len(content) - 8, len(content) // 8)):
        broken = bytearray(content)
        for offset in range(number % 4 + 1):
            broken[min(len(broken) - 9, place + offset)] ^= (0xFF, 0x80, 0x7F)[number % 3]
        made.append(folder / f"{number}.parquet")
        made[-1].write_bytes(bytes(broken) if number % 5 else content[:place] + content[-8:])
    return made


def test_broken_parquet_files(tmp_path: Path) -> None:
    refused = 0
    files = broken_parquets(tmp_path)
    for file in files:
        try:
            for _ in open_table(file, input="text", label="label").rows():
                pass
        except DataError as error:
            assert error.file == file.name
            refused += 1
    assert len(files) >= 8 and refused >= 2


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_parquet_file_that_aborts_its_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.parquet"
    polars.DataFrame({"text": ["some text"], "label": ["a"]}).write_parquet(file)
    (tmp_path / "abort").mkdir()
    (tmp_path / "abort" / "sitecustomize.py").write_text("import os; os.abort()", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'abort'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    with pytest.raises(DataError, match=r"cannot be read within .* GB"):
        open_table(file)


def test_a_date_that_python_does_not_know(tmp_path: Path) -> None:
    file = tmp_path / "dates.parquet"
    days = polars.Series([13_520_000, 19_000], dtype=polars.Int32).cast(polars.Date)
    moments = polars.Series([2**62, 10**15]).cast(polars.Datetime("us"))
    polars.DataFrame({"text": ["a b c", "d e f"], "label": ["x", "y"], "day": days, "moment": moments}).write_parquet(file)
    assert [number for number, _ in open_table(file).records()] == [1, 2]
    rows = list(open_table(file, input="text", label="day").rows())
    assert [row.output for row in rows] == ["+38986-07-03", "2022-01-08"]
    inside = tmp_path / "inside.parquet"
    polars.DataFrame({"text": ["a b c"], "label": ["x"], "day": [datetime.date(2024, 1, 1)]}).write_parquet(inside)
    assert next(open_table(inside, input="text", label="day").rows()).output == datetime.date(2024, 1, 1)


def test_rows_without_columns(tmp_path: Path) -> None:
    file = tmp_path / "empty.jsonl"
    file.write_text("{}\n" * 30, encoding="utf-8")
    with pytest.raises(DataError, match="no columns"):
        open_table(file)
    file.write_text("{}\n" + JSON_ROWS, encoding="utf-8")
    texts, bad = each(open_table(file))
    assert len(texts) == 20 and [error.row for error in bad] == [1]


def test_json_that_is_nested_deep(tmp_path: Path) -> None:
    file = tmp_path / "deep.jsonl"
    deep = '{"input": "a b", "output": "a", "more": ' + "[" * 900 + "]" * 900 + "}\n"
    file.write_text(JSON_ROWS + deep + '{"input": "last one", "output": "a"}\n', encoding="utf-8")
    texts, bad = each(open_table(file))
    assert texts[-1] == "last one" and [(error.row, error.column) for error in bad] == [(21, "more")]
    assert "more than 64 deep" in str(bad[0])
    array = tmp_path / "deep.json"
    array.write_text("[" + ",".join((JSON_ROWS + deep).splitlines()) + "]", encoding="utf-8")
    assert [error.row for error in each(open_table(array))[1]] == [21]


def test_labels_of_half_a_character(tmp_path: Path) -> None:
    file = tmp_path / "half.jsonl"
    file.write_text(
        JSON_ROWS + '{"input": "a b", "output": "\\ud83d"}\n{"input": "c d", "output": ["x", {"\\udc00": 1}]}\n', encoding="utf-8"
    )
    texts, bad = each(open_table(file))
    assert len(texts) == 20 and [error.row for error in bad] == [21, 22]
    for error in bad:
        str(error).encode("utf-8")


ROWS_AMONG_GOOD = [
    ("ragged", b"one,two,three\n", "3 cells"),
    ("not UTF-8", "où est,a\n".encode("cp1252"), "mixes text encodings"),
    ("NUL", b"a\0b,a\n", "NUL"),
    ("a quote goes on", b'"He said "hi" to me",a\n', "closing quote"),
    ("a quote never closes", b'"a quote opens,a\n', "never closed"),
    ("long", b"x" * 4_100_000 + b",a\n", "more than 4,000,000 characters"),
]


@pytest.mark.parametrize(("name", "line", "words"), ROWS_AMONG_GOOD, ids=[case[0] for case in ROWS_AMONG_GOOD])
def test_one_bad_row_of_a_csv_does_not_lose_the_rest(tmp_path: Path, name: str, line: bytes, words: str) -> None:
    file = tmp_path / "bad.csv"
    file.write_bytes(GOOD.encode() + line + b"the last one,b\n")
    texts, bad = each(open_table(file, settings=None))
    assert texts[-1] == "the last one" and len(texts) == 21
    assert [error.row for error in bad] == [21] and words in str(bad[0])
    with pytest.raises(DataError, match=words):
        list(open_table(file).rows())


def test_one_bad_line_of_jsonl_does_not_lose_the_rest(tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    bad_lines = [
        b'{"input": "cut\n',
        b'["no object"]\n',
        b'{"input": "\xff", "output": "a"}\n',
        b'{"input": "' + b"x" * 4_100_000 + b'"}\n',
    ]
    file.write_bytes(JSON_ROWS.encode() + b"".join(bad_lines) + b'{"input": "the last one", "output": "b"}\n')
    texts, bad = each(open_table(file))
    assert texts[-1] == "the last one" and len(texts) == 21
    assert [error.row for error in bad] == [21, 22, 23, 24]


def test_wide_text_with_half_a_character(tmp_path: Path) -> None:
    file = tmp_path / "wide.csv"
    file.write_bytes(
        b"\xff\xfe" + GOOD.encode("utf-16-le") + "a b ".encode("utf-16-le") + b"\x00\xd8" + ",a\nlast one,b\n".encode("utf-16-le")
    )
    texts, bad = each(open_table(file))
    assert texts[-1] == "last one" and [error.row for error in bad] == [21]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    told: list[BaseException] = []

    def look() -> None:
        try:
            open_table(tmp_path / "pipe.csv")
        except DataError as error:
            told.append(error)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(timeout=20)
    assert [str(error) for error in told if "pipe or a device" in str(error)]


LOOPS = [["check", "loop.csv"], ["build", "loop.toml"], ["build", "--task", "classify", "--data", "loop.csv", "--out", "x"]]


@pytest.mark.skipif(not hasattr(os, "symlink") or sys.platform == "win32", reason="needs symbolic links")
@pytest.mark.parametrize("call", LOOPS, ids=" ".join)
def test_a_link_to_itself(call: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("loop.csv", "loop.toml"):
        (tmp_path / name).symlink_to(name)
    assert code(call) in (1, 2)
    said = capsys.readouterr().err
    assert "internal error" not in said and ("form a loop" in said or "no such recipe" in said)


RECIPES = {
    "arrays": "task = " + "[" * 5000 + "]" * 5000,
    "tables": 'task = "classify"\n' + "".join(f"[{'.'.join(['a'] * depth)}]\n" for depth in (900, 3000)),
    "inline": "a = " + "{b = " * 3000 + "1" + "}" * 3000,
    "dotted": ".".join(["a"] * 5_000) + " = 1",
    "bytes": "\udcff",
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_that_is_nested_deep(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "deep.toml"
    file.write_bytes(RECIPES[name].encode("utf-8", "surrogateescape"))
    assert code(["build", str(file)]) == 2
    said = capsys.readouterr().err
    assert "internal error" not in said and "recipe" in said


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_recipe_that_is_a_named_pipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    done: list[int] = []
    thread = threading.Thread(target=lambda: done.append(code(["build", str(tmp_path / "pipe.toml")])), daemon=True)
    began = time.monotonic()
    thread.start()
    thread.join(timeout=20)
    assert done == [2] and time.monotonic() - began < 20


def test_a_column_whose_name_is_markup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.csv"
    file.write_text(GOOD.replace("text,label", "[/x] text,[bold]label"), encoding="utf-8")
    assert code(["check", str(file), "--input", "[/x] text", "--label", "[bold]label"]) == 0
    assert "[/x] text" in capsys.readouterr().out
    assert code(["check", str(file), "--input", "[/nope]", "--label", "[bold]label"]) == 2
    assert "[/nope]" in capsys.readouterr().err


def test_a_worksheet_whose_name_excel_would_not_take(tmp_path: Path) -> None:
    rows = "".join(cell(f"A{n}", f"some message {n}") for n in range(2, 30))
    table = open_table(sheet(tmp_path / "odd.xlsx", cell("A1", "text") + rows, "[/x]:*?" + "long " * 9), need_label=False)
    assert table.source.write(tmp_path / "again.xlsx", table.columns, (record for _, record in table.records()), table.facts) == 28
    assert open_table(tmp_path / "again.xlsx", need_label=False).facts["sheet"].startswith("__x____long")
