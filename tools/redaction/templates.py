"""Templates: one a line in `templates/*.txt`.

`{slot}` is filled by a value; `{person:a}` and `{email:a}` belong to one person; `{de.city}` is a value of one language. `[a|b|]` is one
of these, which may be nested. `\\n` and `\\t` are a line break and a tab; a backslash makes any other sign stand for itself.
"""

from __future__ import annotations

import functools
import random
import zlib
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "templates"
DEV = 7
"""One template in so many is kept apart from those that the model learns from."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A place to be filled: its name, the language it asks for, and whom it belongs to; both may be empty."""

    name: str
    language: str
    bound: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Alternatives, each a sequence of nodes."""

    among: tuple[tuple[Node, ...], ...]


Node = str | Slot | Choice


@dataclass(frozen=True, slots=True)
class Template:
    """One template: the file it stands in, and its nodes."""

    register: str
    nodes: tuple[Node, ...]


@functools.cache
def templates(dev: bool) -> tuple[Template, ...]:
    """All templates of one side, in the order of the files."""
    found = []
    for file in sorted(FOLDER.glob("*.txt")):
        for line in file.read_text(encoding="utf-8").splitlines():
            if line and not line.startswith("#") and (zlib.crc32(line.encode()) % DEV == 0) == dev:
                found.append(Template(file.stem, parse(line)))
    return tuple(found)


def parse(line: str) -> tuple[Node, ...]:
    """A line as nodes. Raises ValueError where a bracket is not closed."""
    nodes, at = _sequence(line, 0, "")
    if at != len(line):
        raise ValueError(f"a bracket is closed that was not opened, at {at}: {line}")
    return nodes


def spelled(nodes: tuple[Node, ...], rng: random.Random) -> list[str | Slot]:
    """The nodes with every choice made."""
    out: list[str | Slot] = []
    for node in nodes:
        if isinstance(node, Choice):
            out += spelled(rng.choice(node.among), rng)
        else:
            out.append(node)
    return out


def _sequence(line: str, at: int, ends: str) -> tuple[tuple[Node, ...], int]:
    nodes: list[Node] = []
    text = ""
    while at < len(line) and line[at] not in ends:
        sign = line[at]
        if sign in "[{" and text:
            nodes.append(text)
            text = ""
        if sign == "[":
            choice, at = _choice(line, at + 1)
            nodes.append(choice)
        elif sign == "{":
            close = line.index("}", at)
            nodes.append(_slot(line[at + 1 : close]))
            at = close + 1
        elif sign == "\\":
            text += {"n": "\n", "t": "\t"}.get(line[at + 1], line[at + 1])
            at += 2
        elif sign == "]":
            break
        else:
            text += sign
            at += 1
    return (*nodes, text) if text else tuple(nodes), at


def _choice(line: str, at: int) -> tuple[Choice, int]:
    among = []
    while True:
        nodes, at = _sequence(line, at, "|]")
        among.append(nodes)
        if at >= len(line):
            raise ValueError(f"a bracket is not closed: {line}")
        at += 1
        if line[at - 1] == "]":
            return Choice(tuple(among)), at


def _slot(text: str) -> Slot:
    name, _, bound = text.partition(":")
    language, _, plain = name.rpartition(".")
    return Slot(plain, language, bound)
