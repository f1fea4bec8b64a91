"""Change a TOML text and keep its words: comments, order and layout stay wherever the new tree says the same as the old text.

A text is read as tables, each with its entries; an entry that does not change stays as it is written, letter by letter. What comes out is
read again: if it does not say exactly what was asked for, the tree is written anew, without the comments.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Path: TypeAlias = tuple[str, ...]
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_WIDEST = 110
"""Letters of a table that is written on one line."""
_DEEPEST = 12


@dataclass(frozen=True, slots=True)
class EditedToml:
    """A TOML text. `kept` is False if the comments of the text before could not be kept."""

    text: str
    kept: bool


@dataclass(slots=True)
class _TomlEntry:
    """`key = value` with the comment lines directly above it; or, without a path, other lines."""

    lead: str
    text: str
    path: Path = ()
    value: Any = None


@dataclass(slots=True)
class _Table:
    """A table as it is written: its header with the comment lines directly above, and what stands in it. `listed`: `[[one of several]]`."""

    path: Path = ()
    lead: str = ""
    header: str = ""
    listed: bool = False
    entries: list[_TomlEntry] = field(default_factory=list)


def edited(text: str, tree: Mapping[str, Any]) -> EditedToml:
    """The TOML text of a tree, in the words of an earlier text where both say the same."""
    try:
        before = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return EditedToml(plain(tree), not text.strip())
    if before == tree and _order(before) == _order(tree):
        return EditedToml(text, True)
    made = _merged(text, before, tree)
    try:
        if made is not None and tomllib.loads(made) == tree:
            return EditedToml(made, True)
    except tomllib.TOMLDecodeError:
        pass
    return EditedToml(plain(tree), "#" not in text)


def renamed(text: str, path: Path, name: str) -> str:
    """The text with another name for a table, where it stands; the text as it is if the table has no header of its own."""
    tables = _tables(text)
    for table in tables:
        if table.path[: len(path)] == path and not table.listed:
            table.path = (*path[:-1], name, *table.path[len(path) :])
            table.header = f"[{'.'.join(map(_key, table.path))}]\n"
    return "".join(table.lead + table.header + "".join(entry.lead + entry.text for entry in table.entries) for table in tables)


def plain(tree: Mapping[str, Any]) -> str:
    """A tree as TOML, its tables one below the other."""
    return "".join(_written_table((), tree)).lstrip("\n")


def _order(tree: Any) -> Any:
    """The order of a tree's names, at each depth."""
    return [(name, _order(value)) for name, value in tree.items()] if isinstance(tree, Mapping) else None


def _merged(text: str, before: Mapping[str, Any], tree: Mapping[str, Any]) -> str | None:
    """The text with what differs written anew; None if its layout cannot be followed."""
    tables = _tables(text)
    if any(table.listed for table in tables):
        return None
    placed = {table.path for table in tables if isinstance(_at(tree, table.path), Mapping)}
    out: list[tuple[Path, str]] = []
    for table in tables:
        own = _at(tree, table.path)
        if not isinstance(own, Mapping):  # gone, and what stands apart from its entries is of no entry
            out.append((table.path[:-1], "".join(one.text for one in table.entries if not one.path and "#" in one.text)))
            continue
        out.append((table.path, table.lead + table.header + "".join(_entries(table, own, placed))))
    for path, value in _new_tables(before, tree, (), placed):
        place = _place_after(out, path)
        piece = "".join(_written_table(path, value))
        head = out[place - 1] if place else None
        if head is not None and head[1] and not head[1].endswith("\n"):
            out[place - 1] = (head[0], head[1] + "\n")
        out.insert(place, (path, piece if place else piece.lstrip("\n")))
    return "".join(piece for _, piece in out)


def _place_after(out: Sequence[tuple[Path, str]], path: Path) -> int:
    """The place behind the last table with which a path has most steps in common."""
    shared = [sum(1 for _ in _common(path, other)) for other, _ in out]
    most = max(shared, default=0)
    return max((number + 1 for number, count in enumerate(shared) if count == most), default=len(out)) if most else len(out)


def _common(one: Path, other: Path) -> Iterator[str]:
    for left, right in zip(one, other, strict=False):
        if left != right:
            return
        yield left


def _entries(table: _Table, own: Mapping[str, Any], placed: set[Path]) -> Iterator[str]:
    """A table's lines: unchanged entries as they stand, changed ones written anew, new ones behind them, in the order of the tree."""
    known = [entry for entry in table.entries if entry.path]
    kept = [entry for entry in known if _at(own, entry.path) is not None]
    names = list(dict.fromkeys(entry.path[0] for entry in kept))
    fresh = [name for name in own if name not in names and not any(path[: len(table.path) + 1] == (*table.path, name) for path in placed)]
    fresh = [name for name in fresh if not _is_table((*table.path, name), own[name])]
    lines = {id(entry): _line(entry, own) for entry in kept}
    wanted = [name for name in own if name in names or name in fresh]
    moved = [name for name in wanted if name in names] != names or (fresh and wanted[-len(fresh) :] != fresh)
    if not moved:
        gone = {id(entry) for entry in known} - lines.keys()
        texts = [(lines.get(id(entry), entry.lead + entry.text) if id(entry) not in gone else "") for entry in table.entries]
        last = max((number + 1 for number, entry in enumerate(table.entries) if entry.path), default=0)
        yield from texts[:last]
        if fresh and last and not "".join(texts[:last]).endswith("\n"):
            yield "\n"
        yield from (f"{_key(name)} = {_value(own[name])}\n" for name in fresh)
        yield from texts[last:]
        return
    spare = [entry.text for entry in table.entries if not entry.path]
    yield from spare[:1] if table.entries and not table.entries[0].path else ()
    for name in wanted:
        if name in fresh:
            yield f"{_key(name)} = {_value(own[name])}\n"
        for entry in kept:
            if entry.path[0] == name:
                line = lines[id(entry)]
                yield line if line.endswith("\n") else line + "\n"
    yield from spare[1:] if table.entries and not table.entries[0].path else spare


def _line(entry: _TomlEntry, own: Mapping[str, Any]) -> str:
    value = _at(own, entry.path)
    if value == entry.value and type(value) is type(entry.value):
        return entry.lead + entry.text
    return entry.lead + f"{'.'.join(map(_key, entry.path))} = {_value(value)}\n"


def _new_tables(before: Any, tree: Mapping[str, Any], path: Path, placed: set[Path]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """The tables of a tree that no header of the text begins."""
    for name, value in tree.items():
        where = (*path, name)
        if not isinstance(value, Mapping):
            continue
        old = before.get(name) if isinstance(before, Mapping) else None
        if any(other[: len(where)] == where for other in placed):
            if where not in placed:  # only tables in it have a header: what else it has gets one of its own
                deeper = {other[len(where)] for other in placed if other[: len(where)] == where}
                rest = {key: part for key, part in value.items() if key not in deeper and not _is_table((*where, key), part)}
                if rest:
                    yield where, rest
            yield from _new_tables(old or {}, value, where, placed)
        elif old is None and _is_table(where, value):
            yield where, value


def _at(tree: Any, path: Path) -> Any:
    for step in path:
        tree = tree.get(step) if isinstance(tree, Mapping) else None
    return tree


# Reading a text.


def _tables(text: str) -> list[_Table]:
    """The tables of a text that TOML's own reader has read, in order; the first has no header."""
    tables = [_Table()]
    waiting: list[str] = []
    for piece in _pieces(text):
        stripped = piece.strip()
        if not stripped or stripped.startswith("#"):
            waiting.append(piece)
            continue
        begin = len(waiting)
        while begin and waiting[begin - 1].strip():
            begin -= 1
        if begin == 0 and waiting and len(tables) == 1 and not tables[0].entries:
            begin = len(waiting)  # the comment at the top is the file's
        if waiting[:begin]:
            tables[-1].entries.append(_TomlEntry("", "".join(waiting[:begin])))
        lead, waiting = "".join(waiting[begin:]), []
        if stripped.startswith("["):
            found = tomllib.loads(piece)
            tables.append(_Table(tuple(_steps(found)), lead, piece, stripped.startswith("[[")))
        else:
            found = tomllib.loads(piece)
            path, value = _first(found)
            tables[-1].entries.append(_TomlEntry(lead, piece, path, value))
    if waiting:
        tables[-1].entries.append(_TomlEntry("", "".join(waiting)))
    return tables


def _steps(found: Any) -> Iterator[str]:
    """The names that lead to the empty table of a header alone."""
    while isinstance(found, Mapping) and found:
        name, found = next(iter(found.items()))
        yield name
        found = found[0] if isinstance(found, list) and found else found


def _first(found: Mapping[str, Any]) -> tuple[Path, Any]:
    """The name and the value of an entry alone. One with dots counts by its first name, with all that it says of it."""
    name, value = next(iter(found.items()))
    return (name,), value


def _pieces(text: str) -> Iterator[str]:
    """The lines of a text; an entry of several lines (a list, a long text) is one."""
    start = place = depth = 0
    while place < len(text):
        char = text[place]
        if text.startswith(('"""', "'''"), place):
            place = _end_of_text(text, place + 3, text[place : place + 3])
        elif char in "\"'":
            place = _end_of_text(text, place + 1, char)
        elif char == "#":
            place = text.find("\n", place) if "\n" in text[place:] else len(text)
        elif char == "\n" and depth == 0:
            place += 1
            yield text[start:place]
            start = place
        else:
            depth += (char in "[{") - (char in "]}")
            place += 1
    if start < len(text):
        yield text[start:]


def _end_of_text(text: str, place: int, quotes: str) -> int:
    """The place behind the end of a quoted text."""
    while place < len(text):
        if text[place] == "\\" and quotes[0] == '"':
            place += 2
        elif text.startswith(quotes, place):
            place += len(quotes)
            while len(quotes) == 3 and text.startswith(quotes[0], place):  # up to two quotes may stand before the last three
                place += 1
            return place
        else:
            place += 1
    return place


# Writing a tree.


def _is_table(path: Path, value: Any) -> bool:
    """Whether a value is written below a header of its own."""
    if not isinstance(value, Mapping) or not value:
        return False
    if len(path) <= 2:
        return True
    return len(path) < _DEEPEST and (any(isinstance(part, Mapping) for part in value.values()) or len(_value(value)) > _WIDEST)


def _written_table(path: Path, table: Mapping[str, Any]) -> Iterator[str]:
    own = {name: value for name, value in table.items() if not _is_table((*path, name), value)}
    if path and (own or not table):
        yield f"\n[{'.'.join(map(_key, path))}]\n"
    yield from (f"{_key(name)} = {_value(value)}\n" for name, value in own.items())
    for name, value in table.items():
        if name not in own:
            yield from _written_table((*path, name), value)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)


def _value(value: Any) -> str:
    """A value as TOML. A list of tables stands on several lines, and so does a text that has several."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _long_text(value) if "\n" in value.strip("\n") else _text(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(name)} = {_inline(part)}" for name, part in value.items()) + " }" if value else "{}"
    if isinstance(value, list | tuple):
        if any(isinstance(part, Mapping) for part in value):
            return "[\n" + "".join(f"  {_inline(part)},\n" for part in value) + "]"
        return "[" + ", ".join(map(_inline, value)) + "]"
    return str(value)


def _inline(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(name)} = {_inline(part)}" for name, part in value.items()) + " }" if value else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return _value(value)


def _text(text: str) -> str:
    """A text on one line. JSON's strings are TOML's, but for a control character that JSON does not escape."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _long_text(text: str) -> str:
    """A text of several lines."""
    lines = [_text(line)[1:-1].replace('\\"', '"').replace('"""', '""\\"') for line in text.split("\n")]
    if lines[-1].endswith('"'):
        lines[-1] = lines[-1][:-1] + '\\"'
    return '"""\n' + "\n".join(lines) + '"""'
