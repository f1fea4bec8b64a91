"""Templates of Go's `text/template`, as far as the templates that are written here go: parsed and filled in.

What is exported is checked before it is handed over: the template is filled in with conversations, and must give what the model's own
template gives. Known are fields (`.Role`), `$`, variables, texts, numbers, `if`, `else`, `else if`, `range`, `end`, and the functions
below. No trimming (`{{-`): the templates that are written here need none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_ACTION = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|\d+|[()]|\$?\.?[A-Za-z_][\w.]*|\$\.[A-Za-z_][\w.]*|\$|\.)')

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "eq": lambda first, *others: any(first == other for other in others),
    "ne": lambda first, second: first != second,
    "not": lambda value: not value,
    "len": len,
    "slice": lambda items, start=0, end=None: items[start:end],
    # Go's stop at the first that decides, and give that value.
    "and": lambda *values: next((value for value in values if not value), values[-1]),
    "or": lambda *values: next((value for value in values if value), values[-1]),
}


@dataclass
class _Node:
    """A text, or an action with what it encloses."""

    kind: str
    words: str = ""
    body: list[_Node] = field(default_factory=list)
    otherwise: list[_Node] = field(default_factory=list)


def fill(template: str, values: Mapping[str, Any]) -> str:
    """The text that a template gives for values by name. Raises ValueError for what is not known here."""
    nodes, rest = _parse(_pieces(template), 0)
    if rest is not None:
        raise ValueError(f"{{{{{rest}}}}} without a beginning")
    return _run(nodes, values, {"$": values})


def _pieces(template: str) -> list[tuple[str, str]]:
    found, at = [], 0
    for action in _ACTION.finditer(template):
        if action.start() > at:
            found.append(("text", template[at : action.start()]))
        if action[1].startswith("-") or action[1].endswith("-"):
            raise ValueError("trimming is not known here")
        found.append(("action", action[1].strip()))
        at = action.end()
    return [*found, ("text", template[at:])] if at < len(template) else found


def _parse(pieces: list[tuple[str, str]], depth: int) -> tuple[list[_Node], str | None]:
    """Nodes up to an `end` or `else` of this depth, which is given beside them; `pieces` is used up."""
    nodes = []
    while pieces:
        kind, words = pieces.pop(0)
        if kind == "text":
            nodes.append(_Node("text", words))
        elif words == "end" or words == "else" or words.startswith("else if "):
            return nodes, words
        elif words.startswith(("if ", "range ")):
            name, of = words.split(" ", 1)
            nodes.append(_enclosing(name, of, pieces, depth))
        else:
            nodes.append(_Node("value", words))
    if depth:
        raise ValueError("an action has no end")
    return nodes, None


def _enclosing(kind: str, words: str, pieces: list[tuple[str, str]], depth: int) -> _Node:
    node = _Node(kind, words)
    node.body, closing = _parse(pieces, depth + 1)
    if closing == "else":
        node.otherwise, closing = _parse(pieces, depth + 1)
    elif closing is not None and closing.startswith("else if "):
        node.otherwise = [_enclosing("if", closing.removeprefix("else if "), pieces, depth)]
    return node


def _run(nodes: Sequence[_Node], dot: Any, names: dict[str, Any]) -> str:
    return "".join(_shown(node, dot, names) for node in nodes)


def _shown(node: _Node, dot: Any, names: dict[str, Any]) -> str:
    if node.kind == "text":
        return node.words
    if node.kind == "value":
        return str(_value(node.words, dot, names))
    if node.kind == "if":
        return _run(node.body if _value(node.words, dot, names) else node.otherwise, dot, names)
    declared, _, of = node.words.rpartition(":=")
    variables = [name.strip() for name in declared.split(",")] if declared else []
    items = _value(of, dot, names)
    if not items:
        return _run(node.otherwise, dot, names)
    shown = []
    for number, item in enumerate(items):
        inner = {**names, **dict(zip(variables, (number, item) if len(variables) == 2 else (item,), strict=False))}
        shown.append(_run(node.body, item, inner))
    return "".join(shown)


def _value(words: str, dot: Any, names: Mapping[str, Any]) -> Any:
    tokens, at = [], 0
    words = words.strip()
    while at < len(words):
        found = _TOKEN.match(words, at)
        if found is None:
            raise ValueError(f"{words!r} is not known here")
        tokens.append(found[1])
        at = found.end()
    value, rest = _call(tokens, dot, names)
    if rest:
        raise ValueError(f"{words!r} is not known here")
    return value


def _call(tokens: list[str], dot: Any, names: Mapping[str, Any]) -> tuple[Any, list[str]]:
    """A function with its arguments, or a single operand; up to a closing bracket, which is left with the rest."""
    if tokens and tokens[0] in _FUNCTIONS:
        function, rest = _FUNCTIONS[tokens[0]], tokens[1:]
        arguments = []
        while rest and rest[0] != ")":
            value, rest = _operand(rest, dot, names)
            arguments.append(value)
        return function(*arguments), rest
    return _operand(tokens, dot, names)


def _operand(tokens: list[str], dot: Any, names: Mapping[str, Any]) -> tuple[Any, list[str]]:
    if not tokens:
        raise ValueError("an action is empty")
    first, rest = tokens[0], tokens[1:]
    if first == "(":
        value, rest = _call(rest, dot, names)
        if not rest or rest[0] != ")":
            raise ValueError("a bracket is not closed")
        return value, rest[1:]
    if first.startswith('"'):
        return re.sub(r"\\(.)", lambda found: {"n": "\n", "t": "\t"}.get(found[1], found[1]), first[1:-1]), rest
    if first.isdigit():
        return int(first), rest
    head, *path = first.split(".")
    if head == "":
        value = dot
    elif head in names:
        value = names[head]
    else:
        raise ValueError(f"{first!r} is not known here")
    for step in path:
        value = value[step] if step else value
    return value, rest
