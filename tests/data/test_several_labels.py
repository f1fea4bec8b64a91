"""Outputs that stand in several columns."""

from __future__ import annotations

from pathlib import Path

import pytest

from smidgen.core.errors import DataError
from smidgen.core.rows import RowCells
from smidgen.data.tables import open_table


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


def test_a_row_that_cannot_be_used_names_its_columns(tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("text,count,name\nhello,2,x\n", encoding="utf-8")

    def refuse(cell: object) -> object:
        raise ValueError("no")

    with pytest.raises(DataError, match=r"row 1, column 'count,name': the output cannot be used \(no\)"):
        list(open_table(table, input="text", label="count,name", most_labels=2).rows(refuse))
    with pytest.raises(DataError, match="too many columns for --label"):
        open_table(table, input="text", label="count,name")
    with pytest.raises(DataError, match=r"no such column: 'nome'\. Did you mean 'name'"):
        open_table(table, input="text", label="count,nome", most_labels=2)
