"""The rows that a model got wrong, as a file in the form of the one they came from."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.certified_bundle import LABELS, answer, certified_bundle, text  # noqa: F401

from smidgen.cli import main
from smidgen.core.errors import DataError, InputError
from smidgen.core.forms import FieldForm, SpanForm
from smidgen.core.replies import Reply
from smidgen.data.tables import open_table
from smidgen.flows.answer_files import answer_file_for
from smidgen.flows.evaluation import evaluate
from smidgen.flows.local_model import Model, load

WRONG = {3, 17, 29}


@pytest.fixture
def model(certified_bundle: Path) -> Iterator[Model]:  # noqa: F811
    with closing(load(certified_bundle, 1)) as made:
        yield made


def rows() -> list[tuple[str, str, str]]:
    """Thirty rows, of which three have another label than the model gives; with a column of its own, and letters beyond ASCII."""
    made = []
    for number in range(30):
        wanted = answer(number)
        said = LABELS[1 - LABELS.index(wanted)] if number in WRONG else wanted
        made.append((f"{text(number, number)} für Zoë", said, f"note {number}"))
    return made


def source(file: Path, delimiter: str, encoding: str) -> Path:
    to = io.StringIO()
    writer = csv.writer(to, delimiter=delimiter, lineterminator="\n")
    writer.writerows([("text", "intent", "note"), *rows()])
    file.write_bytes(to.getvalue().encode(encoding))
    return file


@pytest.mark.parametrize(("delimiter", "encoding"), [(";", "cp1252"), (",", "utf-8"), (";", "utf-8-sig")])
def test_errors_are_in_the_dialect_of_the_data(model: Model, tmp_path: Path, delimiter: str, encoding: str) -> None:
    out = tmp_path / "errors.csv"
    found = evaluate(model, source(tmp_path / "test.csv", delimiter, encoding), errors=str(out))
    assert found.errors == 3 == found.json()["errors"] and found.metrics["accuracy"].value == pytest.approx(0.9)
    table = list(csv.reader(io.StringIO(out.read_bytes().decode(encoding)), delimiter=delimiter))
    assert table[0] == ["text", "intent", "note", "output", "score", "error"]
    assert [row[:3] for row in table[1:]] == [list(row) for number, row in enumerate(rows()) if number in WRONG]
    assert [row[3] for row in table[1:]] == [answer(number) for number in sorted(WRONG)]
    assert not list(tmp_path.glob("*.part"))
    again = open_table(out, label="intent", input="text")
    assert len(list(again.rows())) == 3, "the file can be read as data: put right, it is given again"


def test_errors_as_lines_and_as_a_workbook(model: Model, tmp_path: Path) -> None:
    data = tmp_path / "test.jsonl"
    data.write_text(
        "".join(json.dumps(dict(zip(("text", "intent", "output"), row, strict=True))) + "\n" for row in rows()), encoding="utf-8"
    )
    evaluate(model, data, errors=str(tmp_path / "errors.jsonl"))
    lines = [json.loads(line) for line in (tmp_path / "errors.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["output"] for line in lines] == [f"note {number}" for number in sorted(WRONG)]
    assert [line["smidgen output"] for line in lines] == [answer(number) for number in sorted(WRONG)]
    evaluate(model, data, errors=str(tmp_path / "errors.xlsx"))
    assert len(list(open_table(tmp_path / "errors.xlsx", input="text", label="intent").records())) == 3


def test_a_file_that_cannot_be_is_refused_before_anything_is_measured(model: Model, tmp_path: Path) -> None:
    data = source(tmp_path / "test.csv", ",", "utf-8")
    for name in ("errors.pdf", "-"):
        with pytest.raises(InputError):
            evaluate(model, data, errors=name)
    with pytest.raises(DataError, match="cannot be written"):
        evaluate(model, data, errors=str(tmp_path / "none" / "errors.csv"))


def test_the_command_says_where_they_are(certified_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    data, out = source(tmp_path / "test.csv", ";", "cp1252"), tmp_path / "errors.csv"
    assert main.code(["eval", str(certified_bundle), "--data", str(data), "--errors", str(out)]) == 0
    assert f"3 errors: {out}" in capsys.readouterr().out.replace("\n", "") and out.is_file()


def test_a_table_has_a_column_for_each_field_or_kind() -> None:
    schema = {
        "type": "object",
        "properties": {
            "size": {"type": ["string", "null"]},
            "tags": {"type": "array", "items": {"type": "string"}},
            "to": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
    fields = FieldForm(schema=schema, derived=True, instruction="", temperature=1.0, shift=0.0)
    table = answer_file_for("a.csv", ("text", "size"), None, "order", fields)
    assert table.head == b"text,size,smidgen size,tags,to.city,score,error\n"
    record, output = {"text": "hi", "size": "x"}, {"size": None, "tags": ["a", "b"], "to": {"city": "=Rome"}}
    assert table.row(1, record, Reply(output, 0.5)) == b"hi,x,,a; b,'=Rome,0.500000,\n"
    assert table.row(2, record, "it is too long") == b"hi,x,,,,0.000000,it is too long\n"
    assert table.row(3, record, Reply(None, 0.0, facts={"refused": "no"})) == b"hi,x,,,,0.000000,no\n"
    spans = SpanForm(kinds=("who", "day"), only=False, threshold=0.5, span_slope=1, span_shift=0, temperature=1, shift=0)
    found = [{"start": 0, "end": 3, "label": "who"}, {"start": 8, "end": 11, "label": "who"}]
    table = answer_file_for("a.csv", ("text",), None, None, spans)
    assert table.row(1, {"text": "Ann and Ben"}, Reply(found, 1.0, facts={"texts": ["Ann", "Ben"]})) == b"Ann and Ben,Ann; Ben,,1.000000,\n"
