"""The columns of a recipe's tables: who bought what and when, a message and its kind. Chosen by people, or guessed by name and content."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import Field
from pydantic.dataclasses import dataclass

from smidgen.core.errors import DataError, InputError
from smidgen.data.item_ids import item_ids
from smidgen.data.source import DataSettings
from smidgen.data.tables import open_columns
from smidgen.flows.recipe_files import MaterialKind, files_named

_LOOKED_AT = 500
"""Rows that show what a column holds."""
_LEAST_SCORE = 1.0
_DELIMITERS = (",", ";", "\t", "|")
_WORD = re.compile(r"[^\W_]+")
_INNER = re.compile(r"(?<=[a-zäöü])(?=[A-ZÄÖÜ])")
"""Where a word begins within `CustomerId`."""
_DAY = re.compile(r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}([ T].*)?")
_STAMP = re.compile(r"\d{9,13}")
_DECIMAL = re.compile(r"-?\d+[.,]\d+")
_LATER = frozenset({"delivered", "promised", "updated", "birth", "birthday", "shipped", "geliefert", "geburtsdatum"})
"""Words of times that are not when something was bought."""


@dataclass(frozen=True, slots=True)
class _Role:
    """The use of a column: the setting that names it, words of such columns, and a sign of its cells, 0 to 4."""

    setting: str
    words: str
    sign: Callable[[Sequence[str], frozenset[str]], float]
    optional: bool = False


@dataclass(frozen=True, slots=True)
class TableColumns:
    """The columns of a table.

    Attributes:
        kind: of the table.
        file: its name.
        columns: all of them, in its order.
        chosen: the column of each role; empty where none was chosen and none looks like it.
        optional: the roles that the table may go without.
        guessed: the roles whose column was guessed.
    """

    kind: MaterialKind
    file: Annotated[str, Field(exclude=True)]
    columns: tuple[str, ...]
    chosen: Mapping[str, str]
    optional: tuple[str, ...]
    guessed: tuple[str, ...]


def _is_time(cell: str) -> bool:
    if _DAY.fullmatch(cell) or _STAMP.fullmatch(cell):
        return True
    try:
        datetime.fromisoformat(cell)
    except ValueError:
        return False
    return not cell.isdecimal()


def _time_sign(cells: Sequence[str], known: frozenset[str]) -> float:
    return 2.0 if cells and sum(map(_is_time, cells)) >= 0.9 * len(cells) else -9.0


def _item_sign(cells: Sequence[str], known: frozenset[str]) -> float:
    """Ids of the catalogue; without one, values that come again."""
    if _are_decimals(cells):
        return -9.0
    ids = [id for cell in cells for id in _ids(cell)]
    return 4 * sum(id in known for id in ids) / max(1, len(ids)) + 0.5 * (1 < len(set(ids)) < len(ids))


def _ids(cell: str) -> list[str]:
    try:
        return item_ids(cell)
    except ValueError:
        return []


def _user_sign(cells: Sequence[str], known: frozenset[str]) -> float:
    """Values that come again, but not few of them."""
    share = len(set(cells)) / max(1, len(cells))
    return -9.0 if _are_decimals(cells) else 1.0 if 0.05 < share < 1 else 0.0


def _are_decimals(cells: Sequence[str]) -> bool:
    return bool(cells) and all(_DECIMAL.fullmatch(cell) for cell in cells)


def _label_sign(cells: Sequence[str], known: frozenset[str]) -> float:
    """Few short values."""
    return 2.0 if len(set(cells)) <= max(2, len(cells) / 2) and max(map(len, cells), default=99) <= 60 else 0.0


def _text_sign(cells: Sequence[str], known: frozenset[str]) -> float:
    """Several words."""
    return min(2.0, sum(len(cell.split()) for cell in cells) / max(1, len(cells)) / 2)


ROLES: Mapping[str, Mapping[str, _Role]] = MappingProxyType(
    {
        "orders": {
            "item": _Role(
                "recommend.item",
                "item items product products sku article articles asin goods stockcode itemcode productcode ean gtin movie book song track "
                "artikel produkt produkte ware artikelnummer artikelnr produktnummer",
                _item_sign,
            ),
            "time": _Role(
                "recommend.time",
                "time date ordered created timestamp day when datum zeit bestellt bestelldatum kaufdatum rechnungsdatum",
                _time_sign,
                optional=True,
            ),
            "user": _Role(
                "recommend.user",
                "user customer client buyer member reviewer account email mail kunde kundin kunden kundennummer kundennr käufer nutzer",
                _user_sign,
            ),
        },
        "intents": {
            "label": _Role(
                "data.label",
                "intent label category kind type topic class tag absicht kategorie art thema klasse anliegen",
                _label_sign,
            ),
            "input": _Role(
                "data.input",
                "text message input question utterance example query nachricht frage anfrage beispiel satz",
                _text_sign,
            ),
        },
    }
)


def with_columns(tree: Mapping[str, Any], task: str, folder: Path) -> dict[str, Any]:
    """A recipe that names the columns of its tables, where it named none that these have. Raises InputError where one is not known."""
    named = dict(tree)
    for one in columns_in(tree, task, folder):
        unknown = next((role for role, column in one.chosen.items() if not column and role not in one.optional), None)
        if unknown is not None and first_rows(folder / files_named(tree, task)[one.kind], 1)[1]:
            raise InputError("flows.it_is_not_known_which_column_is_what", value=f"{one.kind}: {unknown}")
        for role in one.guessed:
            section, _, name = ROLES[one.kind][role].setting.partition(".")
            named[section] = {**dict(named.get(section) or {}), name: one.chosen[role]}
    return named


def with_columns_of(tree: Mapping[str, Any], task: str, folder: Path, named: Collection[str]) -> tuple[dict[str, Any], list[str]]:
    """A recipe with the columns of a person's own table of orders, and what to say of those that were found.

    A column that the recipe names for its own rows, and this table lacks, gives way to one that looks like it.

    Args:
        tree: the recipe, with the table.
        task: its task.
        folder: what its paths count from.
        named: settings that the person named, such as `recommend.user`: they stay.

    Raises InputError where no column looks like one that is needed.
    """
    found, said = dict(tree), list[str]()
    for one in columns_in(tree, task, folder):
        roles = {role: own for role, own in ROLES[one.kind].items() if own.setting not in named}
        unknown = next((own for role, own in roles.items() if not one.chosen[role] and not own.optional), None)
        if unknown is not None:
            raise InputError("flows.no_column_fits_this_role", value=", ".join(one.columns), partition=unknown.setting.partition(".")[2])
        found = name_columns(found, ROLES[one.kind], {role: one.chosen[role] for role in roles})
        if guessed := {role: one.chosen[role] for role in roles if role in one.guessed}:
            flags = ", ".join(f"--{roles[role].setting.partition('.')[2]}" for role in guessed)
            told = ", ".join(f"{role}: {column}" for role, column in guessed.items())
            said.append(f"Columns of {Path(one.file).name} found by their names and cells: {told}. Name others: {flags}.")
    return found, said


def name_columns(tree: Mapping[str, Any], roles: Mapping[str, _Role], chosen: Mapping[str, str]) -> dict[str, Any]:
    """A recipe with these columns named; an empty one is no longer named."""
    named = dict(tree)
    for role, column in chosen.items():
        section, _, name = roles[role].setting.partition(".")
        kept = {key: value for key, value in dict(named.get(section) or {}).items() if key != name}
        named[section] = {**kept, **({name: column} if column else {})}
    return named


def columns_in(tree: Mapping[str, Any], task: str, folder: Path) -> list[TableColumns]:
    """The tables of a recipe whose columns have roles, as far as they can be read."""
    named, found = files_named(tree, task), list[TableColumns]()
    for kind, name in named.items():
        columns, rows = first_rows(folder / name)
        if not columns:
            columns, rows = _rows_of_any_format(folder / name)
        if kind not in ROLES or not columns:
            continue
        known = _catalogue_ids(folder / named["catalogue"]) if "catalogue" in named else frozenset()
        said = {role: _said(tree, one.setting) for role, one in ROLES[kind].items()}
        said = {role: column for role, column in said.items() if column in columns}
        guesses = _guessed(ROLES[kind], columns, rows, said, known)
        optional = tuple(role for role, one in ROLES[kind].items() if one.optional)
        chosen = {role: said.get(role, guesses.get(role, "")) for role in ROLES[kind]}
        found.append(TableColumns(kind, name, columns, chosen, optional, tuple(guesses)))
    return found


def _said(tree: Mapping[str, Any], setting: str) -> str:
    section, _, name = setting.partition(".")
    held = tree.get(section)
    return str(held.get(name) or "") if isinstance(held, Mapping) else ""


def _guessed(
    roles: Mapping[str, _Role], columns: Sequence[str], rows: Sequence[Mapping[str, str]], said: Mapping[str, str], known: frozenset[str]
) -> dict[str, str]:
    """A column for each role that has none, as far as one looks like it; no column has two roles."""
    found: dict[str, str] = {}
    for role, one in roles.items():
        free = [column for column in columns if column not in said.values() and column not in found.values()]
        scores = {column: _score(one, column, [cell for row in rows if (cell := row[column].strip())], known) for column in free}
        best = max(free, key=lambda column: scores[column], default="")
        if role not in said and best and scores[best] >= _LEAST_SCORE:
            found[role] = best
    return found


def _score(role: _Role, column: str, cells: Sequence[str], known: frozenset[str]) -> float:
    words, wanted = _WORD.findall(_INNER.sub(" ", column).lower()), role.words.split()
    whole = "".join(words)
    named = 3.0 if whole in wanted and len(words) == 1 else 2.0 if set(wanted) & {*words, whole} else 0.0
    later = 2.0 if _LATER & set(words) else 0.0
    identifier = 1.5 if words[-1:] == ["id"] and named < 2 else 0.0
    return named - later - identifier + role.sign(cells, known)


def _catalogue_ids(file: Path) -> frozenset[str]:
    """All cells of a catalogue: its ids are among them."""
    return frozenset(cell for row in first_rows(file, 20_000)[1] for cell in row.values())


def first_rows(file: Path, most: int = _LOOKED_AT) -> tuple[tuple[str, ...], list[dict[str, str]]]:
    """The columns of a table in CSV or JSONL, and its first rows; nothing if it is not there or cannot be read."""
    if not file.is_file():
        return (), []
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            if file.suffix.lower() in (".jsonl", ".ndjson"):
                return _of_lines(islice(stream, most))
            reader = csv.DictReader(stream, delimiter=delimiter_of(stream.readline()))
            stream.seek(0)
            rows = [{name: row.get(name) or "" for name in reader.fieldnames or ()} for row in islice(reader, most)]
            return tuple(reader.fieldnames or ()), rows
    except (OSError, ValueError, RecursionError, csv.Error):
        return (), []


def _rows_of_any_format(file: Path) -> tuple[tuple[str, ...], list[dict[str, str]]]:
    """The columns and the first rows of a table in any format and encoding to look at; what cannot be read is left out."""
    if not file.is_file():
        return (), []
    try:
        table = open_columns(file, settings=DataSettings(max_rows=_LOOKED_AT))
    except DataError:
        return (), []
    records = [record for _, record in table.each() if not isinstance(record, DataError)]
    return table.columns, [{name: _cell(record.get(name)) for name in table.columns} for record in records]


def delimiter_of(header: str) -> str:
    """The character that separates the names of a CSV table's columns."""
    return max(_DELIMITERS, key=header.count)


def _of_lines(lines: Iterable[str]) -> tuple[tuple[str, ...], list[dict[str, str]]]:
    rows = [row for line in lines if line.strip() and isinstance(row := json.loads(line), dict)]
    columns = tuple(dict.fromkeys(str(name) for row in rows for name in row))
    return columns, [{name: _cell(row.get(name)) for name in columns} for row in rows]


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)


def written_table(columns: Sequence[str], rows: Iterable[Mapping[str, str]], delimiter: str = ",") -> bytes:
    """A table as CSV."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, columns, delimiter=delimiter, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode("utf-8")
