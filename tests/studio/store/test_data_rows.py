"""Rows under versions: edits, undo and redo, restoring, comparing, searching."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from smidgen.studio.store.data_rows import DataRow, ProjectRows, RowFilter
from smidgen.studio.store.projects import StudioStore
from smidgen.studio.store.tables import META, StudioError


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StudioStore]:
    opened = StudioStore(f"sqlite:///{tmp_path}/studio.db")
    yield opened
    opened.close()


@pytest.fixture
def rows(store: StudioStore) -> ProjectRows:
    found = store.rows(store.create("Tickets", "classify").id)
    found.add((DataRow(f"message {number}", output="ab"[number % 2]) for number in range(2_500)), "ann", "import", {"file": "a.csv"})
    return found


def content(rows: ProjectRows, version: int | None = None) -> list[DataRow]:
    return list(rows.each(version))


def test_rows_are_read_back_in_their_order(rows: ProjectRows) -> None:
    assert [row.input for row in content(rows)] == [f"message {number}" for number in range(2_500)]
    assert [row.key for row in rows.page(2_490, 100)] == list(range(2_491, 2_501))
    assert rows.outputs() == [("a", 1_250), ("b", 1_250)]
    (version,) = rows.versions()
    assert (version.number, version.author, version.action, version.rows, version.changed) == (1, "ann", "import", 2_500, 2_500)


def test_an_edit_is_a_version_and_the_older_one_stays(rows: ProjectRows) -> None:
    before = content(rows)
    made = rows.change([1, 2, 3], lambda row: replace(row, output="c"), "ben", "relabel", {})
    assert (made.number, made.changed, made.rows) == (2, 3, 2_500)
    assert [row.output for row in rows.page(0, 4)] == ["c", "c", "c", "b"]
    assert content(rows, 1) == before
    assert [change.key for change in rows.compare(1, 2)] == [1, 2, 3]
    first = rows.compare(1, 2)[0]
    assert first.before is not None and first.after is not None and (first.before.output, first.after.output) == ("a", "c")


def test_what_stays_as_it_was_is_no_change(rows: ProjectRows) -> None:
    assert rows.change([1, 2], lambda row: replace(row, output="a"), "ben", "relabel", {}).changed == 1


def test_a_removed_row_is_gone_from_the_next_version_alone(rows: ProjectRows) -> None:
    assert rows.change([5], lambda _: None, "ben", "drop", {}).rows == 2_499
    assert 5 not in [row.key for row in content(rows)] and 5 in [row.key for row in content(rows, 1)]
    (change,) = rows.compare(1, 2)
    assert change.after is None


def test_renaming_an_answer_changes_all_its_rows(rows: ProjectRows) -> None:
    assert rows.replace_output("a", "b", "ben", "rename", {}).changed == 1_250
    assert rows.outputs() == [("b", 2_500)]
    rows.undo("ben")
    assert rows.outputs() == [("a", 1_250), ("b", 1_250)]


def test_answers_are_merged_as_one_version_that_one_undo_takes_back(rows: ProjectRows) -> None:
    before = rows.outputs()
    made = rows.replace_outputs(["a", "b", "z"], "z", "ben", "rename", {})
    assert (made.number, rows.head()) == (2, 2) and made.changed == rows.count(RowFilter(output='"z"'))
    assert {output for output, _ in rows.outputs()} & {"a", "b"} == set()
    rows.undo("ben")
    assert rows.outputs() == before


def test_edits_are_undone_and_redone_in_their_order(rows: ProjectRows) -> None:
    states = [content(rows)]
    rows.replace_output("a", "c", "ben", "rename", {})
    states.append(content(rows))
    rows.change([7, 8], lambda _: None, "ben", "drop", {})
    states.append(content(rows))
    rows.add([DataRow("new", output="b")], "ben", "add", {})
    states.append(content(rows))
    undone = [content(rows) for _ in range(3) if rows.undo("ben")]
    assert undone == states[2::-1]
    redone = [content(rows) for _ in range(3) if rows.redo("ben")]
    assert redone == states[1:]
    assert rows.redo("ben") is None


def test_an_edit_after_an_undo_ends_what_could_be_redone(rows: ProjectRows) -> None:
    rows.change([1], lambda _: None, "ben", "drop", {})
    rows.undo("ben")
    rows.change([2], lambda _: None, "ben", "drop", {})
    assert rows.redo("ben") is None
    assert rows.steps()[1] is None


def test_a_restored_version_is_a_new_one(rows: ProjectRows) -> None:
    before = content(rows)
    rows.replace_output("a", "c", "ben", "rename", {})
    rows.change([1, 2], lambda _: None, "ben", "drop", {})
    made = rows.restore(1, "ann")
    assert made.number == 4 and content(rows) == before and content(rows, 3) != before
    with pytest.raises(StudioError, match="no such version"):
        rows.restore(9, "ann")


@pytest.mark.parametrize(
    ("where", "number"),
    [
        (RowFilter(search="MESSAGE 249"), 11),
        (RowFilter(search="100%"), 0),
        (RowFilter(output='"a"'), 1_250),
        (RowFilter(unlabelled=True), 0),
        (RowFilter(part="test"), 0),
        (RowFilter(keys=[1, 2, 9_999]), 2),
    ],
)
def test_a_filter_leaves_the_rows_that_are_meant(rows: ProjectRows, where: RowFilter, number: int) -> None:
    assert rows.count(where) == number == len(list(rows.each(None, where)))


def test_projects_do_not_see_one_another(store: StudioStore, rows: ProjectRows) -> None:
    other = store.rows(store.create("Other", "classify").id)
    other.add([DataRow("alone", output="a")], "ann", "import", {})
    rows.replace_output("a", "z", "ben", "rename", {})
    assert [(row.input, row.output, row.key) for row in content(other)] == [("alone", "a", 1)]


def test_a_deleted_project_takes_its_rows_along(store: StudioStore, rows: ProjectRows) -> None:
    store.delete(rows.project)
    assert store.projects() == []
    with pytest.raises(StudioError, match="no such project"):
        rows.head()
    with store.database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM data_rows").scalar() == 0


def test_a_database_of_a_later_smidgen_is_refused(tmp_path: Path) -> None:
    store = StudioStore(f"sqlite:///{tmp_path}/studio.db")
    with store.database.writing() as connection:
        connection.execute(META.update().values(value="99"))
    store.close()
    with pytest.raises(StudioError, match="later smidgen"):
        StudioStore(f"sqlite:///{tmp_path}/studio.db")
