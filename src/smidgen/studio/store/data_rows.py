"""The rows of a project's data, under versions: edit, undo, redo, restore, compare, search."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, Literal

import sqlalchemy as sql
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from sqlalchemy.engine import Connection
from sqlalchemy.sql.elements import ColumnElement

from smidgen.core.rows import Text
from smidgen.store.database import Database
from smidgen.studio.store.tables import PROJECTS, ROWS, VERSIONS, StudioMissing

Part = Literal["train", "test"]

_BATCH = 1_000
_CONTENT = (ROWS.c.key, ROWS.c.input, ROWS.c.second, ROWS.c.output, ROWS.c.part, ROWS.c.source)
_UNDO, _REDO = "undo", "redo"
_MOST_STEPS = 1_000
"""Versions that are looked through for what can be undone."""


@dataclass(frozen=True, slots=True, config=ConfigDict(json_schema_serialization_defaults_required=True))
class DataRow:
    """One example of a project. `key` names it for its whole life; 0 before it is stored.

    Attributes:
        input: the text.
        second: the second text of a pair; None for tasks with one text.
        output: the answer, as the task's JSON; None where it is not known yet.
        part: "train" or "test".
        source: where it came from: a file's name, "playground", "traffic".
    """

    key: int = dataclasses.field(default=0, kw_only=True)
    input: str
    second: str | None = None
    output: Any = None
    part: Part = "train"
    source: str = ""

    @property
    def text(self) -> Text:
        """The text, or both texts of a pair."""
        return self.input if self.second is None else (self.input, self.second)


@dataclass(frozen=True, slots=True)
class DataVersion:
    """One version of a project's data. `time` is in seconds since 1970. `reverses`: the version that an undo or redo took back."""

    number: int
    time: float
    author: str
    action: str
    details: Mapping[str, Any]
    rows: int
    changed: int
    reverses: int | None


@dataclass(frozen=True, slots=True)
class RowChange:
    """A row that differs between two versions: `before` is None for an added row, `after` for a removed one."""

    key: int
    before: DataRow | None
    after: DataRow | None


@dataclasses.dataclass(frozen=True)
class RowFilter:
    """Which rows are meant. All conditions must hold; an empty filter means every row.

    Attributes:
        search: letters that the input or the second text contains, in either case.
        output: the answer, as JSON text; `unlabelled` asks for rows without an answer instead.
        part: "train" or "test".
        keys: these rows alone.
        input: rows with exactly this text.
        holds: JSON of a label or a kind of span that the answer holds; with `field`, of that field's value.
        field: the field's own name.
    """

    search: str = ""
    output: str | None = None
    unlabelled: bool = False
    part: Part | None = None
    keys: Sequence[int] | None = None
    input: str | None = None
    holds: str | None = None
    field: str | None = None


class ProjectRows:
    """The rows of one project. Each edit makes a new version; its methods raise StudioError for a project or version that is not there."""

    def __init__(self, database: Database, project: str) -> None:
        self._database, self.project = database, project

    # Reading.

    def head(self) -> int:
        """The newest version's number; 0 before the first import."""
        with self._database.reading() as connection:
            return self._head(connection)

    def versions(self) -> list[DataVersion]:
        """All versions, the newest first."""
        chosen = sql.select(VERSIONS).where(VERSIONS.c.project == self.project).order_by(VERSIONS.c.number.desc())
        with self._database.reading() as connection:
            return [_version(row) for row in connection.execute(chosen)]

    def count(self, where: RowFilter = RowFilter(), version: int | None = None) -> int:
        """How many rows a filter leaves."""
        chosen = sql.select(sql.func.count()).select_from(ROWS).where(self._at(version), *_conditions(where))
        with self._database.reading() as connection:
            return int(connection.execute(chosen).scalar_one())

    def page(self, offset: int, limit: int, where: RowFilter = RowFilter(), version: int | None = None) -> list[DataRow]:
        """`limit` rows after the first `offset`, in the order in which they were added."""
        chosen = sql.select(*_CONTENT).where(self._at(version), *_conditions(where)).order_by(ROWS.c.key).limit(limit).offset(offset)
        with self._database.reading() as connection:
            return [_row(row) for row in connection.execute(chosen)]

    def each(self, version: int | None = None, where: RowFilter = RowFilter()) -> Iterator[DataRow]:
        """Every row, in the order in which they were added, in bounded memory."""
        after = -1
        while True:
            chosen = (
                sql.select(*_CONTENT).where(self._at(version), *_conditions(where), ROWS.c.key > after).order_by(ROWS.c.key).limit(_BATCH)
            )
            with self._database.reading() as connection:
                rows = [_row(row) for row in connection.execute(chosen)]
            yield from rows
            if len(rows) < _BATCH:
                return
            after = rows[-1].key

    def outputs(self, version: int | None = None) -> list[tuple[Any, int]]:
        """The answers that occur and how many rows have each, the most frequent first; None stands for rows without one."""
        number = sql.func.count()
        chosen = sql.select(ROWS.c.output, number).where(self._at(version)).group_by(ROWS.c.output).order_by(number.desc(), ROWS.c.output)
        with self._database.reading() as connection:
            return [(_answer(row[0]), int(row[1])) for row in connection.execute(chosen)]

    def compare(self, older: int, newer: int) -> list[RowChange]:
        """The rows that differ between two versions, in the order of their keys."""
        with self._database.reading() as connection:
            self._known(connection, older)
            self._known(connection, newer)
            before = self._differing(connection, older, newer)
            after = self._differing(connection, newer, older)
        keys = sorted(before.keys() | after.keys())
        return [RowChange(key, before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)]

    # Editing.

    def add(self, rows: Iterable[DataRow], author: str, action: str, details: Mapping[str, Any]) -> DataVersion:
        """Add rows; their keys are given here."""
        with self._editing(author, action, details) as edit:
            for batch in _batches(rows):
                edit.insert(batch)
            return edit.done()

    def change(
        self, keys: Sequence[int], alter: Callable[[DataRow], DataRow | None], author: str, action: str, details: Mapping[str, Any]
    ) -> DataVersion:
        """Replace rows by what `alter` makes of them; None removes a row. Rows that stay as they were are not counted as changed."""
        with self._editing(author, action, details) as edit:
            for row in edit.current(keys):
                edit.replace(row, alter(row))
            return edit.done()

    def replace_output(self, old: Any, new: Any, author: str, action: str, details: Mapping[str, Any]) -> DataVersion:
        """Give every row with the answer `old` the answer `new`: rename a label, or merge it into another."""
        return self.replace_outputs([old], new, author, action, details)

    def replace_outputs(self, old: Iterable[Any], new: Any, author: str, action: str, details: Mapping[str, Any]) -> DataVersion:
        """Give every row with one of these answers the answer `new`, as one version."""
        with self._editing(author, action, details) as edit:
            for one in {_stored(output) for output in old} - {_stored(new)}:
                edit.replace_output(one, _stored(new))
            return edit.done()

    def undo(self, author: str) -> DataVersion | None:
        """Take back the last edit that was not taken back yet; None where there is none."""
        return self._step(author, _UNDO)

    def redo(self, author: str) -> DataVersion | None:
        """Repeat the last edit that was undone; None where there is none, or where another edit came after the undo."""
        return self._step(author, _REDO)

    def steps(self) -> tuple[DataVersion | None, DataVersion | None]:
        """The versions that undo and redo would take back."""
        with self._database.reading() as connection:
            undone, redone = self._stacks(connection)
        return (undone[-1] if undone else None, redone[-1] if redone else None)

    def restore(self, version: int, author: str) -> DataVersion:
        """Make a new version with the rows of an older one."""
        with self._editing(author, "restore", {"version": version}) as edit:
            self._known(edit.connection, version)
            edit.put_back(self._differing(edit.connection, edit.head, version), self._differing(edit.connection, version, edit.head))
            return edit.done()

    # Within.

    def _step(self, author: str, action: str) -> DataVersion | None:
        with self._database.reading() as connection:
            undone, redone = self._stacks(connection)
        stack = undone if action == _UNDO else redone
        if not stack:
            return None
        last = stack[-1]
        with self._editing(author, action, {"version": last.number, "action": last.action}, last.number) as edit:
            edit.put_back(
                self._differing(edit.connection, last.number, last.number - 1),
                self._differing(edit.connection, last.number - 1, last.number),
            )
            return edit.done()

    def _stacks(self, connection: Connection) -> tuple[list[DataVersion], list[DataVersion]]:
        """The versions that can be undone, and those that can be redone; the next one is the last of each."""
        chosen = sql.select(VERSIONS).where(VERSIONS.c.project == self.project).order_by(VERSIONS.c.number.desc()).limit(_MOST_STEPS)
        undo: list[DataVersion] = []
        redo: list[DataVersion] = []
        for version in reversed([_version(row) for row in connection.execute(chosen)]):
            if version.action == _UNDO:
                if undo:
                    undo.pop()
                redo.append(version)
            elif version.action == _REDO:
                if redo:
                    redo.pop()
                undo.append(version)
            else:
                undo.append(version)
                redo.clear()
        return undo, redo

    def _head(self, connection: Connection) -> int:
        found = connection.execute(sql.select(PROJECTS.c.version).where(PROJECTS.c.id == self.project)).scalar()
        if found is None:
            raise StudioMissing("studio.there_is_no_such_project", value=self.project)
        return int(found)

    def _known(self, connection: Connection, version: int) -> None:
        if not 0 <= version <= self._head(connection):
            raise StudioMissing("studio.there_is_no_such_version_of_data", value=version)

    def _at(self, version: int | None) -> ColumnElement[bool]:
        """The condition of rows that a version holds; None is the newest."""
        ours = ROWS.c.project == self.project
        if version is None:
            return sql.and_(ours, ROWS.c.until.is_(None))
        return sql.and_(ours, ROWS.c.since <= version, sql.or_(ROWS.c.until.is_(None), ROWS.c.until > version))

    def _differing(self, connection: Connection, version: int, other: int) -> dict[int, DataRow]:
        """The rows of one version that the other does not hold in the same form, by key."""
        first, last = sorted((version, other))
        touched = sql.or_(sql.and_(ROWS.c.since > first, ROWS.c.since <= last), sql.and_(ROWS.c.until > first, ROWS.c.until <= last))
        return {row.key: _row(row) for row in connection.execute(sql.select(*_CONTENT).where(self._at(version), touched))}

    def _editing(self, author: str, action: str, details: Mapping[str, Any], reverses: int | None = None) -> _Edit:
        return _Edit(self, self._database, author, action, details, reverses)


class _Edit:
    """One edit in one transaction: closes rows of the newest version, and opens new ones in the next."""

    def __init__(
        self, rows: ProjectRows, database: Database, author: str, action: str, details: Mapping[str, Any], reverses: int | None
    ) -> None:
        self._rows, self._writing = rows, database.writing()
        self._author, self._action, self._details, self._reverses = author, action, details, reverses
        self._changed = 0

    def __enter__(self) -> _Edit:
        self.connection = self._writing.__enter__()
        self.head = self._rows._head(self.connection)
        self._next = self.head + 1
        largest = self.connection.execute(sql.select(sql.func.max(ROWS.c.key)).where(ROWS.c.project == self._rows.project)).scalar()
        self._key = int(largest or 0)
        return self

    def __exit__(self, *raised: Any) -> None:
        self._writing.__exit__(*raised)

    def current(self, keys: Sequence[int]) -> list[DataRow]:
        """Those of the rows that the newest version holds."""
        found = []
        for start in range(0, len(keys), _BATCH):
            chosen = sql.select(*_CONTENT).where(self._rows._at(None), ROWS.c.key.in_(list(keys[start : start + _BATCH])))
            found += [_row(row) for row in self.connection.execute(chosen)]
        return found

    def insert(self, rows: Sequence[DataRow]) -> None:
        """Open rows with new keys, or with their own."""
        values = []
        for row in rows:
            if not row.key:
                self._key += 1
            values.append(self._values(row, row.key or self._key))
        if values:
            self.connection.execute(sql.insert(ROWS), values)
            self._changed += len(values)

    def replace(self, row: DataRow, new: DataRow | None) -> None:
        """Close a row, and open what takes its place under the same key."""
        if new is not None and _same(row, new):
            return
        self._close([row.key])
        if new is not None:
            self.connection.execute(sql.insert(ROWS), [self._values(new, row.key)])
        self._changed += 1

    def replace_output(self, old: str | None, new: str | None) -> None:
        """Give all rows of an answer another one, by two statements however many they are."""
        has = ROWS.c.output.is_(None) if old is None else ROWS.c.output == old
        keys = sql.select(ROWS.c.key).where(self._rows._at(None), has)
        found = [int(key) for (key,) in self.connection.execute(keys)]
        taken = (
            sql.literal(self._rows.project),
            ROWS.c.key,
            sql.literal(self._next),
            ROWS.c.input,
            ROWS.c.second,
            sql.literal(new, sql.Text),
        )
        copies = sql.select(*taken, ROWS.c.part, ROWS.c.source).where(self._rows._at(None), has)
        names = ["project", "key", "since", "input", "second", "output", "part", "source"]
        before = sql.and_(ROWS.c.project == self._rows.project, ROWS.c.until.is_(None), ROWS.c.since < self._next, has)
        self.connection.execute(sql.insert(ROWS).from_select(names, copies))
        self.connection.execute(sql.update(ROWS).where(before).values(until=self._next))
        self._changed += len(found)

    def put_back(self, now: Mapping[int, DataRow], wanted: Mapping[int, DataRow]) -> None:
        """Close the rows of `now`, and open those that are wanted in their place."""
        keys = [key for key, row in now.items() if wanted.get(key) != row]
        self._close(keys)
        opened = [row for key, row in wanted.items() if now.get(key) != row]
        for start in range(0, len(opened), _BATCH):
            self.connection.execute(sql.insert(ROWS), [self._values(row, row.key) for row in opened[start : start + _BATCH]])
        self._changed += len({*keys, *(row.key for row in opened)})

    def done(self) -> DataVersion:
        """Write the new version down."""
        project = self._rows.project
        rows = self.connection.execute(sql.select(sql.func.count()).select_from(ROWS).where(self._rows._at(None))).scalar_one()
        version = DataVersion(self._next, time.time(), self._author, self._action, self._details, int(rows), self._changed, self._reverses)
        self.connection.execute(sql.insert(VERSIONS).values(project=project, **asdict(version)))
        self.connection.execute(sql.update(PROJECTS).where(PROJECTS.c.id == project).values(version=version.number, changed=version.time))
        return version

    def _close(self, keys: Sequence[int]) -> None:
        for start in range(0, len(keys), _BATCH):
            now = sql.and_(self._rows._at(None), ROWS.c.since < self._next, ROWS.c.key.in_(list(keys[start : start + _BATCH])))
            self.connection.execute(sql.update(ROWS).where(now).values(until=self._next))

    def _values(self, row: DataRow, key: int) -> dict[str, Any]:
        return {
            "project": self._rows.project,
            "key": key,
            "since": self._next,
            "until": None,
            "input": row.input,
            "second": row.second,
            "output": _stored(row.output),
            "part": row.part,
            "source": row.source,
        }


def _conditions(where: RowFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if where.search:
        texts = (ROWS.c.input, ROWS.c.second)
        conditions.append(sql.or_(*(text.ilike(f"%{_literally(where.search)}%", escape="!") for text in texts)))
    if where.holds is not None:
        named = "" if where.field is None else f"{_stored(where.field)}: "
        ends = ("",) if where.field is None else (",", "}")
        conditions.append(sql.or_(*(ROWS.c.output.like(f"%{_literally(named + where.holds + end)}%", escape="!") for end in ends)))
    if where.unlabelled:
        conditions.append(ROWS.c.output.is_(None))
    elif where.output is not None:
        conditions.append(ROWS.c.output == where.output)
    if where.part is not None:
        conditions.append(ROWS.c.part == where.part)
    if where.keys is not None:
        conditions.append(ROWS.c.key.in_(list(where.keys)))
    if where.input is not None:
        conditions.append(ROWS.c.input == where.input)
    return conditions


def _literally(text: str) -> str:
    """A text as a part of a pattern that has `!` before each sign of its own."""
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")


def _same(one: DataRow, other: DataRow) -> bool:
    return (one.input, one.second, one.output, one.part, one.source) == (other.input, other.second, other.output, other.part, other.source)


def _stored(output: Any) -> str | None:
    return None if output is None else json.dumps(output, ensure_ascii=False)


def _answer(stored: str | None) -> Any:
    return None if stored is None else json.loads(stored)


def _row(row: Any) -> DataRow:
    return DataRow(row.input, row.second, _answer(row.output), row.part, row.source, key=row.key)


def _version(row: Any) -> DataVersion:
    return DataVersion(**{field.name: getattr(row, field.name) for field in fields(DataVersion)})


def _batches(rows: Iterable[DataRow]) -> Iterator[list[DataRow]]:
    batch: list[DataRow] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    yield batch
