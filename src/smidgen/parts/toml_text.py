"""Change a TOML text and keep its words: comments, order and layout stay wherever the new tree says the same as the old text.

The text is edited as tomlkit's syntax tree. What comes out is read again: if it does not say exactly the new tree, the tree is written
anew, without the comments.
"""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import tomlkit
from tomlkit.container import Container
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT, Array, Comment, Item, Key, Null, String, StringType, Table, Trivia, Whitespace

Path: TypeAlias = tuple[str, ...]
Body: TypeAlias = list[tuple[Key | None, Item]]
_INLINE_WIDTH = 110
"""Characters of a table that is written on one line."""
_TABLE_DEPTH = 12


@dataclass(frozen=True, slots=True)
class EditedToml:
    """A TOML text. `kept` is False if the comments of the text before could not be kept."""

    text: str
    kept: bool


def edited(text: str, tree: Mapping[str, Any]) -> EditedToml:
    """The TOML text of a tree, in the words of an earlier text where both say the same."""
    try:
        before = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return EditedToml(plain(tree), not text.strip())
    if before == tree and _order(before) == _order(tree):
        return EditedToml(text, True)
    try:
        document = tomlkit.parse(text if text.endswith("\n") else text + "\n")
        file_comment = sum(1 for _ in itertools.takewhile(lambda part: isinstance(part[1], Comment), document.body))
        _attach_comments(document.body, [], file_comment)
        _update(document, before, tree)
        made = document.as_string()
        if tomllib.loads(made) == tree:
            return EditedToml(made, True)
    except (TOMLKitError, tomllib.TOMLDecodeError, RecursionError):
        pass
    return EditedToml(plain(tree), "#" not in text)


def renamed(text: str, path: Path, name: str) -> str:
    """The text with another name for a table, where it stands; the text as it is if the table has no header of its own."""
    document = tomlkit.parse(text)
    _rename(document.body, path, name)
    return document.as_string()


def plain(tree: Mapping[str, Any]) -> str:
    """A tree as TOML, its tables one below the other."""
    document = tomlkit.document()
    _update(document, {}, tree)
    return document.as_string().lstrip("\n")


def _order(tree: Any) -> Any:
    """The order of a tree's names, at each depth."""
    return [(name, _order(value)) for name, value in tree.items()] if isinstance(tree, Mapping) else None


# The document is edited in the bodies of its containers, each a list of keys and items. Their indexes by key, which serve look-ups, are not
# kept up to date: the document is written straight after.


def _rename(body: Body, path: Path, name: str) -> None:
    for place, (key, item) in enumerate(body):
        if key is not None and key.key == path[0] and isinstance(item, Table) and not key.is_dotted():
            if len(path) > 1:
                _rename(item.value.body, path[1:], name)
            else:
                item.invalidate_display_name()
                body[place] = (tomlkit.key(name), item)


def _attach_comments(body: Body, above: list[tuple[Body, int]], start: int = 0) -> None:
    """Make the comment lines directly above an entry or a header a part of it, so that they go where it goes.

    `above`: the places of comment lines directly above the body. `start`: behind the comment at the top of a file, which stays.
    """
    for place, (key, item) in enumerate(body[start:], start):
        if isinstance(item, Comment):
            above.append((body, place))
        elif key is None:
            above.clear()
        elif isinstance(item, Table) and item.is_super_table() and not key.is_dotted():
            _attach_comments(item.value.body, above)
        else:
            trivia = _first_trivia(item)
            trivia.indent = "".join(lines[number][1].as_string() for lines, number in above) + trivia.indent
            for lines, number in above:
                lines[number] = (None, Null())
            above.clear()
            for table in item.body if isinstance(item, AoT) else [item] if _has_header(key, item) else []:
                _attach_comments(table.value.body, above)


def _first_trivia(item: Item) -> Trivia:
    """The space and comments around an item; of an array of tables, and of dotted keys, those of the first one."""
    while isinstance(item, AoT) or (isinstance(item, Table) and item.is_super_table()):
        parts = item.body if isinstance(item, AoT) else [part for key, part in item.value.body if key is not None]
        item = parts[0]
    return item.trivia


def _has_header(key: Key | None, item: Item) -> bool:
    return key is not None and isinstance(item, Table) and not key.is_dotted()


def _update(container: Container, before: Mapping[str, Any], tree: Mapping[str, Any], path: Path = ()) -> None:
    """Make a container hold a tree: what does not differ from the tree before stays as it is written, what is new comes last."""
    body = container.body
    for place, (key, item) in enumerate(body):
        if key is None or (isinstance(item, AoT) and key.key in tree):  # a changed array of tables fails the check, and is written anew
            continue
        old, value = before[key.key], tree.get(key.key)
        if isinstance(item, Table) and not key.is_dotted() and isinstance(value, Mapping):
            if not value and item.is_super_table():  # it needs a header now
                body[place] = (key, tomlkit.table(is_super_table=False))
                continue
            elsewhere = {name for one, part in body if one == key and part is not item for name in _names(part)} - _names(item)
            own = {name: part for name, part in value.items() if name not in elsewhere}
            _update(item.value, old, own, (*path, key.key))
        elif value is None or _has_header(key, item):
            body[place] = (None, Whitespace("".join(_detached_comments(item))))
        elif value != old or type(value) is not type(old):
            made = _item(value)
            vars(made.trivia).update(vars(_first_trivia(item)))
            body[place] = (tomlkit.key(key.key) if key.is_dotted() else key, made)
    known = {key.key for key, _ in body if key is not None}
    end = max((place + 1 for place, (key, item) in enumerate(body) if key is not None and not _has_header(key, item)), default=0)
    for name, value in tree.items():
        where = (*path, name)
        if name in known:
            continue
        if _is_table(where, value):
            table = tomlkit.table(is_super_table=all(_is_table((*where, part), value[part]) for part in value))
            table.trivia.indent = "" if table.is_super_table() else "\n"
            _update(table.value, {}, value, where)
            body.append((tomlkit.key(name), table))
        else:
            body.insert(end, (tomlkit.key(name), _item(value)))
            end += 1
    places = [place for place, (key, item) in enumerate(body) if key is not None and not _has_header(key, item)]
    order = {name: number for number, name in enumerate(tree)}
    entries = sorted((body[place] for place in places), key=lambda entry: order[entry[0].key] if entry[0] is not None else 0)
    for place, entry in zip(places, entries, strict=True):
        body[place] = entry


def _names(item: Item) -> set[str]:
    return {key.key for key, _ in item.value.body if key is not None} if isinstance(item, Table) else set()


def _detached_comments(item: Item) -> Iterator[str]:
    """The comments in a table that belong to no entry, each with an empty line before it."""
    for _, part in item.value.body if isinstance(item, Table) else ():
        if isinstance(part, Comment):
            yield "\n" + part.as_string()
        yield from _detached_comments(part)


def _is_table(path: Path, value: Any) -> bool:
    """Whether a value is written below a header of its own."""
    if not isinstance(value, Mapping) or not value:
        return False
    if len(path) <= 2:
        return True
    nested = any(isinstance(part, Mapping) for part in value.values())
    return len(path) < _TABLE_DEPTH and (nested or len(_item(value).as_string()) > _INLINE_WIDTH)


def _item(value: Any) -> Item:
    """A value as TOML. A list of tables stands on several lines, and so does a text that has several."""
    if isinstance(value, str) and "\n" in value.rstrip("\n") and "\r" not in value and not value.startswith("\n"):
        written = tomlkit.string(value, multiline=True).as_string()
        return String(StringType.MLB, value, "\n" + written[3:-3], Trivia())
    made = _inline(value)
    if isinstance(made, Array):
        made.multiline(any(isinstance(part, Mapping) for part in value))
    return made


def _inline(value: Any) -> Item:
    if isinstance(value, Mapping):
        table = tomlkit.inline_table()
        for name, part in value.items():
            table.append(tomlkit.key(name), _inline(part))
        return table
    if isinstance(value, list | tuple):
        array = tomlkit.array()
        for part in value:
            array.append(_inline(part))
        return array
    made: Item = tomlkit.item(value)
    return made
