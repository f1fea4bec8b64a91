"""Every format comes out the same; columns, delimiters and encodings are found; a large file streams."""

from __future__ import annotations

import csv
import datetime
import decimal
import io
import json
import subprocess
import sys
from pathlib import Path

import polars
import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smidgen.core.errors import DataError
from smidgen.core.rows import Row, RowCells
from smidgen.data.source import DataSettings
from smidgen.data.tables import DataTable, open_columns, open_table, sources
from smidgen.tasks import field_schema

PAIRS = [("where is my parcel, please", "delivery"), ("naïve café: £5 off?", "price")] * 6


def text_of(delimiter: str = ",", end: str = "\n", names: tuple[str, str] = ("text", "category")) -> str:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end)
    writer.writerow(names)
    writer.writerows(PAIRS)
    return out.getvalue()


def write(folder: Path, name: str, content: str | bytes) -> Path:
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return file


def pairs(table: DataTable) -> list[tuple[object, object]]:
    return [(row.input, row.output) for row in table.rows()]


def as_json(indent: int | None = None) -> str:
    return json.dumps([{"text": text, "category": label} for text, label in PAIRS], indent=indent)


def workbook(file: Path, sheets: tuple[str, ...] = ("Data",)) -> Path:
    with xlsxwriter.Workbook(str(file)) as book:
        for place, name in enumerate(sheets):
            sheet = book.add_worksheet(name)
            for number, cells in enumerate([("text", "category"), *PAIRS] if place == len(sheets) - 1 else []):
                sheet.write_row(number, 0, cells)
    return file


def test_times_of_a_workbook_have_no_day(tmp_path: Path) -> None:
    with xlsxwriter.Workbook(str(tmp_path / "a.xlsx")) as book:
        sheet, clock, day = book.add_worksheet(), book.add_format({"num_format": "hh:mm"}), book.add_format({"num_format": "dd.mm.yyyy"})
        sheet.write_row(0, 0, ["from", "until", "day"])
        sheet.write_datetime(1, 0, datetime.time(8, 5), clock)
        sheet.write_datetime(1, 1, datetime.time(0, 0), clock)
        sheet.write_datetime(1, 2, datetime.datetime(2026, 12, 5), day)
    ((_, record),) = open_columns(tmp_path / "a.xlsx").records()
    assert record == {"from": "08:05:00", "until": "00:00:00", "day": "2026-12-05"}


def test_every_format_gives_the_same_rows(tmp_path: Path) -> None:
    lines = "".join(json.dumps({"text": text, "category": label}) + "\n" for text, label in PAIRS)
    polars.DataFrame({"text": [p[0] for p in PAIRS], "category": [p[1] for p in PAIRS]}).write_parquet(tmp_path / "a.parquet")
    files = {
        write(tmp_path, "a.csv", text_of()): "csv",
        write(tmp_path, "a.tsv", text_of("\t")): "csv",
        write(tmp_path, "a.jsonl", lines): "jsonl",
        write(tmp_path, "a.json", as_json()): "jsonl",
        write(tmp_path, "b.json", as_json(indent=2)): "jsonl",
        tmp_path / "a.parquet": "parquet",
        workbook(tmp_path / "a.xlsx"): "xlsx",
    }
    for file, source in files.items():
        table = open_table(file)
        assert (table.source.name, table.columns, pairs(table)) == (source, ("text", "category"), PAIRS)
        assert [row.number for row in table.rows()] == list(range(1, 13))
    assert len(files) == 7
    assert set(files.values()) == set(sources())


def test_content_decides_before_the_name(tmp_path: Path) -> None:
    named_wrongly = {
        write(tmp_path, "a.csv", as_json().replace("}, {", "}\n{").strip("[]")): "jsonl",
        write(tmp_path, "a.parquet", text_of()): "csv",
        workbook(tmp_path / "b.csv"): "xlsx",
        write(tmp_path, "data", text_of(";")): "csv",
    }
    for file, source in named_wrongly.items():
        table = open_table(file)
        assert table.source.name == source
        assert pairs(table) == PAIRS
    assert len(named_wrongly) == 4


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_delimiter_and_line_ends(tmp_path: Path, delimiter: str, end: str) -> None:
    table = open_table(write(tmp_path, "a.txt", text_of(delimiter, end)))
    assert pairs(table) == PAIRS
    assert table.facts["delimiter"] == delimiter


def test_excel_hint_and_unquoted_quotes_in_tsv(tmp_path: Path) -> None:
    assert pairs(open_table(write(tmp_path, "a.csv", "sep=;\n" + text_of(";")))) == PAIRS
    rows = 'text\tlabel\n"hello there\ta\na 5" pipe\tb\n'
    assert pairs(open_table(write(tmp_path, "a.tsv", rows))) == [('"hello there', "a"), ('a 5" pipe', "b")]


@pytest.mark.parametrize(
    ("encoding", "found"),
    [("utf-8", "utf-8"), ("utf-8-sig", "utf-8-sig"), ("utf-16", "utf-16"), ("utf-16-le", "utf-16-le"), ("cp1252", "cp1252")],
)
def test_encoding_is_found(tmp_path: Path, encoding: str, found: str) -> None:
    table = open_table(write(tmp_path, "a.csv", text_of().encode(encoding)))
    assert pairs(table) == PAIRS
    assert table.facts["encoding"] == found


@pytest.mark.parametrize(
    ("encoding", "texts"),
    [
        ("cp1250", ["Żółć źdźbło, proszę święta", "Dziękuję bardzo za łączność"]),
        ("cp1251", ["Где мой заказ", "Я хочу вернуть деньги"]),
        ("koi8_r", ["Где мой заказ", "Я хочу вернуть деньги"]),
        ("cp1253", ["Πού είναι η παραγγελία μου", "Θέλω επιστροφή χρημάτων"]),
        ("shift_jis", ["注文はどこですか", "返金してください"]),
        ("gb18030", ["我的订单在哪里", "我要退款"]),
    ],
)
def test_other_legacy_encodings(tmp_path: Path, encoding: str, texts: list[str]) -> None:
    content = "text,label\n" + "".join(f'"{text}",{place}x\n' for place, text in enumerate(texts)) * 9
    assert [row.input for row in open_table(write(tmp_path, "a.csv", content.encode(encoding))).rows()] == texts * 9


def test_an_encoding_that_is_given_is_taken(tmp_path: Path) -> None:
    file = write(tmp_path, "a.csv", "text,label\nčeština je hezká,ě\n".encode("cp1250") * 1)
    table = open_table(file, settings=DataSettings(encoding="cp1250"))
    assert pairs(table) == [("čeština je hezká", "ě")]


def test_columns_and_how_they_were_chosen(tmp_path: Path) -> None:
    file = write(tmp_path, "a.csv", "id,Message,team,lang\n" + "".join(f"{n},this is message {n},t{n % 3},en\n" for n in range(30)))
    guessed = open_table(file)
    assert (guessed.input.names, guessed.input.how) == (("Message",), "guessed")
    assert guessed.label is not None
    assert (guessed.label.names, guessed.label.how) == (("team",), "guessed")
    given_ = open_table(file, input="lang", label="Message")
    assert (str(given_.input), str(given_.label)) == ("lang (given)", "Message (given)")
    kept = open_table(file, remembered=("lang", "team"))
    assert (str(kept.input), str(kept.label)) == ("lang (remembered)", "team (remembered)")
    assert open_table(file, remembered=("gone", None)).input.how == "guessed"
    plain = open_table(write(tmp_path, "b.csv", "text,output,input\nx y,l,a b\nx z,m,a c\n"))
    assert (str(plain.input), str(plain.label)) == ("input (default)", "output (default)")


def test_columns_by_statistics(tmp_path: Path) -> None:
    rows = "".join(f"{n},the customer wrote something long {n},{'red' if n % 2 else 'blue'},{n * 1.5}\n" for n in range(40))
    table = open_table(write(tmp_path, "a.csv", "a,b,c,d\n" + rows))
    assert (table.input.name, table.label and table.label.name) == ("b", "c")


def test_text_pairs_and_a_file_without_labels(tmp_path: Path) -> None:
    file = write(tmp_path, "a.csv", "question,passage,label\nis it,it is,yes\nis it so,it is not,no\n")
    first = next(iter(open_table(file, input="question, passage").rows()))
    assert first == Row(("is it", "it is"), "yes", 1)
    alone = open_table(write(tmp_path, "b.csv", "text\nhello there\nhow are you\n"), need_label=False)
    assert alone.label is None
    assert pairs(alone) == [("hello there", None), ("how are you", None)]


def test_json_cells_stay_as_they_are_and_parse_gets_them(tmp_path: Path) -> None:
    file = write(tmp_path, "a.jsonl", '{"input": "a b", "output": ["x", "y"]}\n{"input": "c d", "output": "z"}\n')
    seen: list[object] = []
    outputs = [row.output for row in open_table(file).rows(lambda cell: seen.append(cell) or len(cell))]
    assert seen == [["x", "y"], "z"]
    assert outputs == [2, 1]


def test_a_table_says_the_same_of_its_fields_in_every_format(tmp_path: Path) -> None:
    day, orders = datetime.date(2026, 3, 5), [(f"order {n}", n, decimal.Decimal(n) / 4, n % 2 == 0) for n in range(8)]
    names = ("text", "count", "price", "paid")
    frame = polars.DataFrame(orders, schema=names, orient="row").with_columns(day=polars.lit(day))
    frame.write_parquet(tmp_path / "a.parquet")
    outputs = [row.output for row in open_table(tmp_path / "a.parquet", input="text", label="count,price,paid,day", most_labels=9).rows()]
    assert outputs[3] == {"count": 3, "price": 0.75, "paid": False, "day": "2026-03-05"} and outputs[4]["price"] == 1
    assert isinstance(outputs[4]["price"], int) and json.loads(json.dumps(outputs)) == outputs
    with xlsxwriter.Workbook(str(tmp_path / "a.xlsx")) as book:
        sheet = book.add_worksheet("Data")
        for number, cells in enumerate([names, *((text, n, float(price), paid) for text, n, price, paid in orders)]):
            sheet.write_row(number, 0, cells)
    cells = [row.output for row in open_table(tmp_path / "a.xlsx", input="text", label="count,price,paid", most_labels=9).rows()]
    assert all(isinstance(one, RowCells) for one in cells), "a workbook is read as texts, and what is a number has to be seen"
    kinds = {name: field_schema.kind_of(node)[0] for name, node in field_schema.derived(cells)["properties"].items()}
    assert kinds == {"count": "integer", "price": "number", "paid": "boolean"}


def test_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text_of().encode())))
    table = open_table("-")
    assert pairs(table) == PAIRS
    assert pairs(table) == PAIRS
    assert table.name == "standard input"


def test_max_rows_and_sheet(tmp_path: Path) -> None:
    assert len(list(open_table(write(tmp_path, "a.csv", text_of()), settings=DataSettings(max_rows=5)).rows())) == 5
    book = workbook(tmp_path / "a.xlsx", ("Empty", "Second", "Third"))
    assert open_table(book).facts["sheet"] == "Third"
    with pytest.raises(DataError, match="Did you mean 'Third'"):
        open_table(book, settings=DataSettings(sheet="Thrid"))


def test_a_workbook_as_offices_make_them(tmp_path: Path) -> None:
    """A sheet with totals first, titles above the table, empty columns, one without a name, and dates."""
    with xlsxwriter.Workbook(str(tmp_path / "office.xlsx")) as book:
        book.add_worksheet("Totals").write_row(1, 0, ["As of", "2026-11-01"])
        sheet = book.add_worksheet("Requests")
        sheet.merge_range("A1:F1", "Requests of the north branch", book.add_format())
        sheet.write_row(1, 0, ["Exported", "by H. Miller"])
        sheet.write_row(3, 0, ["Date", None, "Message", "Topic", None, "Topic"])
        day = book.add_format({"num_format": "dd.mm.yyyy"})
        for number, (text, label) in enumerate(PAIRS, start=4):
            sheet.write_datetime(number, 0, datetime.datetime(2026, 9, 1), day)
            sheet.write_row(number, 2, [text, label, None, "x", "note" if number == 9 else None])
    table = open_table(tmp_path / "office.xlsx")
    assert table.columns == ("Date", "Message", "Topic", "Topic_2", "column_7") and pairs(table) == PAIRS
    assert {name: table.facts[name] for name in ("sheet", "sheets", "above")} == {
        "sheet": "Requests",
        "sheets": "Totals\nRequests",
        "above": "3",
    }
    assert next(table.records())[1]["Date"] == "2026-09-01"
    totals = open_table(tmp_path / "office.xlsx", need_label=False, settings=DataSettings(sheet="Totals", header=False))
    assert list(totals.records()) == [(1, {"column_1": "As of", "column_2": "2026-11-01"})]


def test_lines_above_a_table_of_csv_are_left_out(tmp_path: Path) -> None:
    lines = "Requests of the north branch;\nAs of 1 November;\n;\n" + text_of(";")
    table = open_table(write(tmp_path, "export.csv", lines))
    assert (table.columns, table.facts["above"], pairs(table)) == (("text", "category"), "3", PAIRS)
    assert [number for number, _ in table.records()] == list(range(1, 13))
    with pytest.raises(DataError, match="row 17: the row has 3 cells"):
        list(open_table(write(tmp_path, "ragged.csv", lines + "a;b;c\n")).records())


def test_rows_are_counted_as_a_spreadsheet_shows_them(tmp_path: Path) -> None:
    """Blank rows before the titles, above the header and in the table count, in each of the formats that a spreadsheet opens."""
    rows = [[], ["Requests"], [], ["text", "category"], ["a first text", "x"], [], [], ["a second one", "y"], ["third", "y"], [], ["cut"]]
    for header in (True, False):
        shown = rows if header else [row for row in rows if "category" not in row]
        with xlsxwriter.Workbook(str(tmp_path / "blank.xlsx")) as book:
            sheet = book.add_worksheet()
            for place, row in enumerate(shown):
                sheet.write_row(place, 0, row)
        csv = "\n".join(";".join([*row, ""][:2]) if row and row[0] == "Requests" else ";".join(row) for row in shown) + "\n"
        for file in (tmp_path / "blank.xlsx", write(tmp_path, "blank.csv", csv)):
            table = open_table(file, settings=DataSettings(header=header, input=None if header else "column_1"), need_label=False)
            found = [(number + table.above, record) for number, record in table.each()]
            numbers = [shown.index(row) + 1 for row in shown if row and (len(row) == 2 or row == ["cut"]) and row[0] != "text"]
            assert [number for number, _ in found] == numbers, (file.name, header)
            if file.suffix == ".csv":
                assert isinstance(found[-1][1], DataError) and f"row {numbers[-1]}:" in str(found[-1][1])


def test_chats_become_what_was_asked_and_the_answer(tmp_path: Path) -> None:
    def turn(role: str, content: object) -> dict[str, object]:
        return {"role": role, "content": content}

    chats = [[turn("system", "Sort."), turn("user", text), turn("assistant", label)] for text, label in PAIRS]
    chats.append(
        [turn("user", [{"type": "text", "text": "hi"}]), turn("assistant", "hello"), turn("user", "bye"), turn("assistant", "end")]
    )
    lines = "".join(json.dumps({"messages": chat, "id": place}) + "\n" for place, chat in enumerate(chats))
    table = open_table(write(tmp_path, "chats.jsonl", lines))
    assert table.columns == ("id", "input", "output")
    assert pairs(table) == [*PAIRS, ("user: hi\nassistant: hello\nuser: bye", "end")]
    post = {"messages": ["a b", "c d"], "topic": "mail"}
    assert open_table(write(tmp_path, "posts.jsonl", f"{json.dumps(post)}\n"), need_label=False).columns == ("messages", "topic")


def test_a_list_of_sentences_is_one_text(tmp_path: Path) -> None:
    line = json.dumps({"source": ["One sentence.", "And another."], "label": "prose"})
    assert pairs(open_table(write(tmp_path, "a.jsonl", f"{line}\n"), input="source", label="label")) == [
        ("One sentence. And another.", "prose")
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="the peak of a process is not told there")
def test_two_hundred_thousand_rows_stream_in_bounded_memory(tmp_path: Path) -> None:
    file = tmp_path / "large.csv"
    words = "with some more words " * 8
    with file.open("w", encoding="utf-8", newline="") as out:
        out.write("text,label\n")
        out.writelines(f"a customer wrote message number {number} {words},label {number % 7}\n" for number in range(200_000))
    done = subprocess.run([sys.executable, "-c", STREAM, str(file)], capture_output=True, text=True, check=True)
    count, before, after = map(int, done.stdout.split())
    assert count == 200_000
    assert (after - before) * (1 if sys.platform == "darwin" else 1024) < 16 << 20 < file.stat().st_size


STREAM = """
import resource, sys
from smidgen.data.tables import open_table, sources
sources()
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
print(sum(1 for _ in open_table(sys.argv[1]).rows()), before, peak())
"""


CELLS = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t"), min_size=1, max_size=30).filter(
    lambda s: s.strip() and "\r" not in s
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=8),
    name=st.sampled_from(["h.csv", "h.tsv", "h.jsonl", "h.parquet", "h.xlsx"]),
)
def test_what_is_written_is_read_again(tmp_path: Path, rows: list[tuple[str, str]], name: str) -> None:
    suffix = Path(name).suffix
    if suffix == ".xlsx":
        # XML has no control characters, and a spreadsheet trims nothing but these.
        rows = [tuple("".join(c for c in cell if c.isprintable()).strip() or "x" for cell in row) for row in rows]  # type: ignore[misc]
    source = next(one for one in sources().values() if suffix in one.suffixes)
    records = [{"input": text, "output": label} for text, label in rows]
    facts = {"delimiter": "\t" if suffix == ".tsv" else ",", "encoding": "utf-8"}
    assert source.write(tmp_path / name, ("input", "output"), records, facts) == len(rows)
    assert pairs(open_table(tmp_path / name, input="input", label="output")) == rows


def test_cells_of_a_file_of_texts_are_told_from_typed_ones(tmp_path: Path) -> None:
    table, lines = tmp_path / "rows.csv", tmp_path / "rows.jsonl"
    table.write_text("text,count,name\nhello,2,x\nbye,,y\n", encoding="utf-8")
    lines.write_text('{"text": "hello", "count": 2, "name": "x"}\n{"text": "bye", "name": "y"}\n', encoding="utf-8")
    opened = open_table(table, input="text", label="count, name", most_labels=5)
    rows = list(opened.rows())
    assert opened.label is not None and opened.label.name == "count,name"
    assert [row.output for row in rows] == [{"count": "2", "name": "x"}, {"count": "", "name": "y"}]
    assert all(isinstance(row.output, RowCells) for row in rows)
    typed = list(open_table(lines, input="text", label="count,name", most_labels=5).rows())
    assert [row.output for row in typed] == [{"count": 2, "name": "x"}, {"count": None, "name": "y"}]
    assert not any(isinstance(row.output, RowCells) for row in typed)
    again = open_table(table, remembered=("text", "count,name"))
    assert again.label is not None and again.label.how == "remembered" and again.label.names == ("count", "name")


def test_a_number_too_large_for_the_task_names_its_row(tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("text,stars\nhello,4\nhi,inf\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"row 3, column 'stars': the output cannot be used \(cannot convert float infinity"):
        list(open_table(table, input="text", label="stars").rows(lambda cell: int(float(str(cell)))))


def test_a_row_that_cannot_be_used_names_its_columns(tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("text,count,name\nhello,2,x\n", encoding="utf-8")

    def refuse(cell: object) -> object:
        raise ValueError("no")

    with pytest.raises(DataError, match=r"row 2, column 'count,name': the output cannot be used \(no\)"):
        list(open_table(table, input="text", label="count,name", most_labels=2).rows(refuse))
    with pytest.raises(DataError, match="too many columns for --label"):
        open_table(table, input="text", label="count,name")
    with pytest.raises(DataError, match=r"no such column: 'nome'\. Did you mean 'name'"):
        open_table(table, input="text", label="count,nome", most_labels=2)


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_a_file_without_column_names_keeps_its_first_row(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"plain.{suffix}"
    if suffix == "csv":
        file.write_text("where is my parcel,delivery\nI want my money back,refund\n", encoding="utf-8")
    else:
        with xlsxwriter.Workbook(str(file)) as book:
            sheet = book.add_worksheet()
            sheet.write_row(0, 0, ["where is my parcel", "delivery"])
            sheet.write_row(1, 0, ["I want my money back", "refund"])
    table = open_table(file, input="column_1", label="column_2", settings=DataSettings(header=False))
    assert [(number, record) for number, record in table.records()] == [
        (1, {"column_1": "where is my parcel", "column_2": "delivery"}),
        (2, {"column_1": "I want my money back", "column_2": "refund"}),
    ]
    assert table.facts["header"] == "none" and "header" not in open_table(file, need_label=False).facts
