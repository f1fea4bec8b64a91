"""The table of corrections that an owner fills in with a spreadsheet."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from smidgen.core.errors import DataError, InputError
from smidgen.desk.flows import corrections
from smidgen.desk.flows.correction_table import ReviewCounts, read_table, write_table
from smidgen.desk.store.conversation_store import ConversationStore

from .test_corrections import asked, store  # noqa: F401


def rows_of(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8-sig"), newline="")))


def saved(file: Path, rows: list[dict[str, str]], delimiter: str = ",") -> None:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    file.write_text(out.getvalue(), encoding="utf-8", newline="")


def test_the_owner_fills_in_a_table(store: ConversationStore, tmp_path: Path) -> None:  # noqa: F811
    file = tmp_path / "review.csv"
    asked(store, '=HYPERLINK("x")', "Yes, by Monday.")
    asked(store, "Kites?", "No kites here.")
    asked(store, "Vegan?", thumb="wrong")
    asked(store, "Later", "Soon enough.")
    assert write_table(store, file) == 4
    rows = rows_of(file)
    by_question = {row["question"]: row for row in rows}
    assert '\'=HYPERLINK("x")' in by_question and by_question["Vegan?"]["said"] == "I do not know."
    by_question['\'=HYPERLINK("x")'] |= {"approve": "Yes", "intent": "order/status"}
    by_question["Kites?"]["approve"] = "no"
    by_question["Vegan?"]["approve"] = "unanswerable"
    saved(file, rows, ";")
    assert read_table(store, file, "Ann") == ReviewCounts(2, 1, 1)
    found = {one.question: one for one in corrections.list_corrections(store, "approved").corrections}
    assert found['=HYPERLINK("x")'].intent == "order/status" and found["Vegan?"].intent == "" and found["Vegan?"].unanswerable
    assert write_table(store, file) == 1


def test_mistakes_are_told_together_and_the_rest_is_stored(store: ConversationStore, tmp_path: Path) -> None:  # noqa: F811
    file = tmp_path / "review.csv"
    asked(store, "Kites?", "No kites here.")
    asked(store, "Hours?", thumb="wrong")
    asked(store, "Vegan?", "Yes it is.")
    write_table(store, file)
    rows = rows_of(file)
    for row in rows:
        row["approve"] = {"Kites?": "perhaps", "Hours?": "yes", "Vegan?": "yes"}[row["question"]]
    saved(file, rows)
    with pytest.raises(DataError, match=r"perhaps.*nothing to learn|nothing to learn.*perhaps"):
        read_table(store, file, "Ann")
    assert [one.question for one in corrections.list_corrections(store, "approved").corrections] == ["Vegan?"]
    file.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(InputError, match="lacks a column"):
        read_table(store, file, "Ann")
