"""Translate a model's chat template (Jinja) into Go's template language, which Ollama uses, and prove that both agree."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# The translation is checked before export: it is filled in with conversations, and must give the text of the model's own template.
# Supported are fields (`.Role`), `$`, variables, texts, numbers, `if`, `else`, `else if`, `range`, `end`, and the functions below. Trimming
# (`{{-`) is not: the templates written here do not need it.

_ACTION = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|\d+|[()]|\$?\.?[A-Za-z_][\w.]*|\$\.[A-Za-z_][\w.]*|\$|\.)')

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "eq": lambda first, *others: any(first == other for other in others),
    "ne": lambda first, second: first != second,
    "not": lambda value: not value,
    "len": len,
    "slice": lambda items, start=0, end=None: items[start:end],
    # Go's `and` and `or` stop at the first deciding value, and return it.
    "and": lambda *values: next((value for value in values if not value), values[-1]),
    "or": lambda *values: next((value for value in values if value), values[-1]),
}


@dataclass
class _GoNode:
    """A text, or an action with its body."""

    kind: str
    words: str = ""
    body: list[_GoNode] = field(default_factory=list)
    otherwise: list[_GoNode] = field(default_factory=list)


def fill_go_template(template: str, values: Mapping[str, Any]) -> str:
    """Fill in a template with values by name. Raises ValueError for unsupported syntax."""
    nodes, rest = _parse(_tokens(template), 0)
    if rest is not None:
        raise ValueError(f"{{{{{rest}}}}} without a beginning")
    return _run(nodes, values, {"$": values})


def _tokens(template: str) -> list[tuple[str, str]]:
    found, at = [], 0
    for action in _ACTION.finditer(template):
        if action.start() > at:
            found.append(("text", template[at : action.start()]))
        if action[1].startswith("-") or action[1].endswith("-"):
            raise ValueError("trimming is not known here")
        found.append(("action", action[1].strip()))
        at = action.end()
    return [*found, ("text", template[at:])] if at < len(template) else found


def _parse(pieces: list[tuple[str, str]], depth: int) -> tuple[list[_GoNode], str | None]:
    """Nodes up to an `end` or `else` of this depth, which is returned beside them; `pieces` is consumed."""
    nodes = []
    while pieces:
        kind, words = pieces.pop(0)
        if kind == "text":
            nodes.append(_GoNode("text", words))
        elif words == "end" or words == "else" or words.startswith("else if "):
            return nodes, words
        elif words.startswith(("if ", "range ")):
            name, of = words.split(" ", 1)
            nodes.append(_enclosing(name, of, pieces, depth))
        else:
            nodes.append(_GoNode("value", words))
    if depth:
        raise ValueError("an action has no end")
    return nodes, None


def _enclosing(kind: str, words: str, pieces: list[tuple[str, str]], depth: int) -> _GoNode:
    node = _GoNode(kind, words)
    node.body, closing = _parse(pieces, depth + 1)
    if closing == "else":
        node.otherwise, closing = _parse(pieces, depth + 1)
    elif closing is not None and closing.startswith("else if "):
        node.otherwise = [_enclosing("if", closing.removeprefix("else if "), pieces, depth)]
    return node


def _run(nodes: Sequence[_GoNode], dot: Any, names: dict[str, Any]) -> str:
    return "".join(_shown(node, dot, names) for node in nodes)


def _shown(node: _GoNode, dot: Any, names: dict[str, Any]) -> str:
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
    """A function with its arguments, or a single operand; up to a closing bracket, which stays in the rest."""
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


# The model's template (Jinja) is filled in with marks instead of messages. The texts between the marks are its pieces: the opening and
# close of a user's turn and an assistant's, the beginning with and without a system message, the opening of the answer. A Go template is
# made of the pieces, and both are filled in with conversations of many forms: unless they agree exactly in all, there is no translation.

Message = Mapping[str, str]
Render = Callable[[Sequence[Message], bool], str]
"""Renders a conversation as the text that the model reads. The flag: whether to open the answer. Raises ValueError if it is refused."""

SYSTEM, FIRST, ANSWER, SECOND = "MARKOFTHESYSTEM", "MARKOFTHEUSER", "MARKOFTHEANSWER", "MARKOFTHESECOND"


@dataclass(frozen=True)
class TemplatePieces:
    """The pieces of a template around the messages.

    Attributes:
        before_system, after_system: around the system message.
        without: the beginning if there is no system message.
        user, user_end, assistant, assistant_end: around the turns.
        joined: whether the system message is part of the first user's turn, which then begins with `before_system`.
        opening: opens the answer.
    """

    before_system: str
    after_system: str
    without: str
    user: str
    user_end: str
    assistant: str
    assistant_end: str
    joined: bool
    opening: str


def translate_template(render: Render) -> str:
    """The Go template that agrees with `render`. Raises ValueError, with the reason, if there is none."""
    template = write_go_template(pieces_of(render))
    for messages in _conversations():
        if fill_go_template(template, ollama_values(messages)) != _said(render, messages, True):
            raise ValueError(f"its turns are not made of pieces that stay the same (seen with {len(messages)} messages)")
    return template


def ollama_values(messages: Sequence[Message]) -> dict[str, object]:
    """The values that Ollama gives a template for a conversation."""
    named = [{"Role": message["role"], "Content": message["content"]} for message in messages]
    return {"System": "\n\n".join(m["Content"] for m in named if m["Role"] == "system"), "Messages": named}


def pieces_of(render: Render) -> TemplatePieces:
    """The pieces of a template. Raises ValueError if it loses a text or its pieces do not fit one another."""
    first, answer, second = _turn("user", FIRST), _turn("assistant", ANSWER), _turn("user", SECOND)
    lead, between, back, tail = _split(render, [first, answer, second], True, (FIRST, ANSWER, SECOND))
    user_end = _split(render, [first], False, (FIRST,))[-1]
    assistant_end = _split(render, [first, answer], False, (FIRST, ANSWER))[-1]
    user = _less(back, assistant_end, front=True)
    assistant = _less(between, user_end, front=True)
    opening = _less(tail, user_end, front=True)
    before, after, *_ = _split(render, [_turn("system", SYSTEM), first, answer, second], True, (SYSTEM, FIRST, ANSWER, SECOND))
    joined = not after.endswith(user)
    return TemplatePieces(
        before_system=before,
        after_system=after if joined else _less(after, user, front=False),
        without=_less(lead, user, front=False),
        user=user,
        user_end=user_end,
        assistant=assistant,
        assistant_end=assistant_end,
        joined=joined,
        opening=opening,
    )


def write_go_template(pieces: TemplatePieces) -> str:
    """The Go template of the pieces. Raises ValueError if a piece contains Go template syntax."""
    for piece in (vars(pieces)).values():
        if isinstance(piece, str) and ("{{" in piece or "}}" in piece):
            raise ValueError("its own text holds double braces")
    p = pieces
    user = f"{{{{ if not (and $.System (eq $i 1)) }}}}{p.user}{{{{ end }}}}" if p.joined else p.user
    return (
        f"{{{{ if .System }}}}{p.before_system}{{{{ .System }}}}{p.after_system}{{{{ else }}}}{p.without}{{{{ end }}}}"
        f'{{{{ range $i, $m := .Messages }}}}{{{{ if eq .Role "user" }}}}{user}{{{{ .Content }}}}{p.user_end}'
        f'{{{{ else if eq .Role "assistant" }}}}{p.assistant}{{{{ .Content }}}}{p.assistant_end}{{{{ end }}}}{{{{ end }}}}{p.opening}'
    )


def write_single_turn(before: str, after: str) -> str:
    """The Go template that answers the last message alone, ignoring earlier ones. Raises ValueError as `write_go_template` does."""
    if any(brace in piece for piece in (before, after) for brace in ("{{", "}}")):
        raise ValueError("its prompt holds double braces")
    last = "{{ if eq (len (slice $.Messages $i)) 1 }}"
    return f"{{{{ range $i, $m := .Messages }}}}{last}{before}{{{{ .Content }}}}{after}{{{{ end }}}}{{{{ end }}}}"


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _split(render: Render, messages: Sequence[Message], opened: bool, marks: Sequence[str]) -> list[str]:
    """The pieces before, between and after the marks, each of which must occur once, in this order."""
    rest = _said(render, messages, opened)
    found = []
    for mark in marks:
        before, hit, rest = rest.partition(mark)
        if not hit or mark in rest:
            raise ValueError("it loses or repeats what is said")
        found.append(before)
    return [*found, rest]


def _said(render: Render, messages: Sequence[Message], opened: bool) -> str:
    try:
        return render(messages, opened)
    except ValueError as error:
        raise ValueError(f"it refuses a plain conversation ({error})") from None


def _less(text: str, piece: str, *, front: bool) -> str:
    if not (text.startswith(piece) if front else text.endswith(piece)):
        raise ValueError("a turn is closed otherwise in the middle of a conversation than at its end")
    return text[len(piece) :] if front else text[: len(text) - len(piece)]


def _conversations() -> list[list[dict[str, str]]]:
    """Conversations of one to seven turns, with and without system messages, of short, long, odd and many-lined texts."""
    said = [
        "Hello",
        "A longer text, of two sentences. It has figures: 1, 22, 333.",
        "Two\nlines",
        "naïve café — “quoted” 'text'",
        "?",
        "x" * 300,
    ]
    found = []
    for turns in (1, 3, 5, 7):
        for offset in range(len(said)):
            messages = [_turn("user" if at % 2 == 0 else "assistant", said[(at + offset) % len(said)]) for at in range(turns)]
            # Unique words, so that a template that loses them is noticed.
            told = f"Instruction {turns}.{offset}: {said[(turns + offset) % len(said)]}"
            found += [messages, [_turn("system", told), *messages]]
    return found
