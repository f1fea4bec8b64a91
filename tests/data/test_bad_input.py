"""Every kind of bad file is refused in words that name the file, the row, the column and what to do; none of them fills memory."""

from __future__ import annotations

import tracemalloc
import zipfile
from pathlib import Path

import pytest

from smidgen.core.errors import DataError
from smidgen.data.source import DataSettings, ReadLimits
from smidgen.data.tables import open_table
from smidgen.data.xlsx import part as xlsx

GOOD = "text,label\n" + "".join(f"some message number {n},{'ab'[n % 2]}\n" for n in range(20))


def fault(folder: Path, content: str | bytes, name: str = "bad.csv", **options: object) -> DataError:
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    with pytest.raises(DataError) as caught:
        list(open_table(file, **options).rows())  # type: ignore[arg-type]
    error = caught.value
    assert error.file == name
    assert error.todo.strip()
    return error


CASES: list[tuple[str, str | bytes, str, int | None, str | None]] = [
    # name, content, words of the message, row, column
    ("empty.csv", "", "the file is empty", None, None),
    ("header.csv", "text,label\n", "holds no rows", None, None),
    ("ragged.csv", GOOD + "a,b,c\n", "3 cells, the header has 2", 21, None),
    ("short.csv", GOOD + "abc\n", "1 cells, the header has 2", 21, None),
    ("nul.csv", GOOD + "a\0b,c\n", "NUL", 21, "text"),
    ("blank.csv", ",\na,b\n", "holds no rows", None, None),
    ("open.csv", GOOD + '"a quote opens,b\nand never closes,c\n', "never closed", 21, None),
    ("inner.csv", GOOD + '"He said "hi" to me",b\n', "goes on after its closing quote", 21, None),
    (
        "mixed.csv",
        ("text,label\n" + "où est ma commande,café\n" * 9).encode() + "ça va là,b\n".encode("cp1252"),
        "mixes text encodings",
        10,
        "text",
    ),
    ("binary.csv", bytes(range(256)) * 40, "binary", None, None),
    ("doc.csv", b"%PDF-1.7 something", "this is PDF, not a table", None, None),
    ("old.xls", b"\xd0\xcf\x11\xe0" + bytes(600), "XLS/DOC", None, None),
    ("page.csv", "<!DOCTYPE html><html></html>", "HTML", None, None),
    ("prose.txt", "It was a dark night\nand it rained, a lot\nand then, well, it stopped\n", "may not be a table", 1, None),
    ("one.csv", "text\nhello there\nhow are you\n", "one column only", None, None),
    ("headless.csv", GOOD.split("\n", 1)[1], "not like column names", None, None),
    ("blanks.csv", GOOD + "  ,b\n", "text is empty", 21, "text"),
    ("cut.jsonl", '{"input": "a b", "output": "c"}\n{"input":\n', "not JSON", 2, None),
    ("first.jsonl", '"input": "a b", "output": "c"}\n{"input": "d e", "output": "f"}\n', "Correct line 1 (", 1, None),
    ("open.txt", '\n{"input": "a b", "output": "c"\n{"input": "d e", "output": "f"}\n', "Correct line 2 (", 1, None),
    ("lists.jsonl", '["a", "b"]\n["c", "d"]\n', "not JSON", None, None),
    ("numbers.json", "[1, 2]", "not an object", 1, None),
    ("deep.jsonl", '{"input":' + "[" * 100_000 + "\n", "not JSON", 1, None),
    ("half.jsonl", '{"input": "a\\ud800 b", "output": "c"}\n', "half a character", 1, "input"),
    ("nested.jsonl", '{"input": {"a": 1}, "output": "c"}\n', "not a text", 1, "input"),
    ("broken.parquet", b"PAR1 nothing PAR1", "Parquet file cannot be read", None, None),
    ("broken.xlsx", b"PK\x03\x04 nothing", "workbook is damaged", None, None),
]


@pytest.mark.parametrize(("name", "content", "words", "row", "column"), CASES, ids=[case[0] for case in CASES])
def test_bad_files(tmp_path: Path, name: str, content: str | bytes, words: str, row: int | None, column: str | None) -> None:
    options = {"input": "input"} if name == "nested.jsonl" else {}
    error = fault(tmp_path, content, name, **options)
    assert words in str(error)
    assert (error.row, error.column) == (row, column)
    assert error.exit_code == 2


def test_no_such_column_says_what_was_meant(tmp_path: Path) -> None:
    error = fault(tmp_path, GOOD, label="lable")
    assert "Did you mean 'label'?" in str(error)
    assert "text, label" in str(error)
    assert "too many columns" in str(fault(tmp_path, GOOD, input="text,label,more"))


def test_a_folder_and_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a folder"):
        open_table(tmp_path)
    with pytest.raises(DataError, match="no such file"):
        open_table(tmp_path / "absent.csv")
    assert "no such text encoding" in str(fault(tmp_path, GOOD, settings=DataSettings(encoding="utf-9")))


def test_an_output_that_the_task_refuses_is_named_or_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text(GOOD + "one more,zzz\nand the last,a\n", encoding="utf-8")

    def parse(cell: str) -> str:
        if len(cell) > 1:
            raise ValueError("too long")
        return cell

    with pytest.raises(DataError, match="too long") as caught:
        list(open_table(file).rows(parse))
    assert (caught.value.row, caught.value.column, caught.value.value) == (21, "label", "zzz")
    bad: list[DataError] = []
    kept = list(open_table(file).rows(parse, bad.append))
    assert (len(kept), [error.row for error in bad]) == (21, [21])


@pytest.mark.parametrize("name", ["cell.csv", "quoted.csv", "cell.jsonl"])
def test_a_cell_of_200_mb_is_refused_without_reading_it(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    start = {"cell.csv": GOOD, "quoted.csv": GOOD + '"', "cell.jsonl": '{"input": "a b", "output": "c"}\n{"input": "'}[name]
    block = ("word " * 200 + ("\n" if name == "quoted.csv" else "")) * 1_000
    with file.open("w", encoding="utf-8", newline="") as out:
        out.write(start)
        for _ in range(200):
            out.write(block)
    assert file.stat().st_size > 200_000_000
    tracemalloc.start()
    with pytest.raises(DataError, match=r"more than 4,000,000 characters") as caught:
        list(open_table(file).rows())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert caught.value.row == (2 if name == "cell.jsonl" else 21)
    assert peak < 60 << 20


def test_a_long_cell_is_named_with_its_column(tmp_path: Path) -> None:
    small = DataSettings(max_cell=1000)
    error = fault(tmp_path, GOOD + "x" * 2000 + ",b\n", settings=small)
    assert (error.row, error.column) == (21, "text")
    assert "raise data.max_cell" in error.todo
    assert fault(tmp_path, '{"input": "' + "x" * 2000 + '", "output": "c"}\n', "a.jsonl", settings=small).column == "input"


def test_a_workbook_that_unpacks_without_end_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        archive.writestr("xl/worksheets/sheet1.xml", bytes(64 << 20))
    assert file.stat().st_size < 1 << 20
    from smidgen.data.source import SourceFile

    origin = SourceFile(file, file.name, file.read_bytes()[:100], ReadLimits(unpacked=8 << 20))
    tracemalloc.start()
    with pytest.raises(DataError, match="unpacks to more than 8 MiB"):
        xlsx.open(origin)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20


def test_columns_without_a_name_and_with_the_same_name_get_one(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("text,,label,text,text_2\na b,c,d,e,f\n", encoding="utf-8")
    assert open_table(file).columns == ("text", "column_2", "label", "text_3", "text_2")
