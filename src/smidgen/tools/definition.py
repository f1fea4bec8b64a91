"""A tool as models and people see it: its name, its arguments, whether it changes anything, and its call in words.

How a tool is called (a query, an HTTP request, an MCP server) is its `target`. A bundle holds tools without it: `to_json` leaves it out,
and the server reads it from the tool file.
"""

from __future__ import annotations

import json
import re
import string
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from smidgen.core.conversations import Facts
from smidgen.core.printable import printable
from smidgen.tools.shown_values import ByLanguage, ShownColumn, in_language, shown_date

Confirm: TypeAlias = Literal["always", "never"]
"""When a call waits for the customer's yes. A tool that changes something always waits."""

NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
"""A tool's name, and an argument's."""

_CODE = re.compile(r"[A-Z0-9]+(?:_[A-Z0-9]+)*|[a-z0-9]+(?:_[a-z0-9]+)+")
"""A choice that is a code: NEXT_DAY, next_day."""

LONGEST_ARGUMENT = 500
"""Characters of a text argument, where the schema states no `maxLength`."""

WHOLE_MESSAGE = "whole_message"
"""In the schema of a text argument: whether it is the customer's message as it is, which no model has to find."""


_SHOWN_VALUE = 200


@dataclass(frozen=True, slots=True)
class ToolExample:
    """A message of a customer, and the arguments of the call that it asks for; those that the message does not say are left out."""

    message: str
    arguments: Facts


@dataclass(frozen=True, slots=True)
class SqlTarget:
    """A query.

    Attributes:
        sql: one SELECT, with an argument's value at each `:name`.
        database: the URL of a SQLite file or of PostgreSQL, in which `${NAME}` stands for an environment variable.
        folder: a SQLite file's path is relative to it.
    """

    sql: str
    database: str
    folder: str


@dataclass(frozen=True, slots=True)
class HttpTarget:
    """An HTTP request. `{name}` stands for an argument, `${NAME}` for an environment variable, which may be secret.

    Attributes:
        method: GET, POST, PUT, PATCH or DELETE.
        url: where to; arguments stand in its path and its query only.
        headers: header lines; no argument stands in them.
        body: sent as JSON; a text that is just `{name}` becomes the argument's value with its type.
        result: the names that lead to the rows in the answer, joined by dots; empty if the answer is the rows.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    result: str = ""


@dataclass(frozen=True, slots=True)
class McpTarget:
    """A tool of an MCP server.

    Attributes:
        tool: the server's name of the tool.
        command: the command that starts the server, in `folder`; empty for one that is reached by `url`, and for a plan.
        headers, env: header lines, and variables of the started server; `${NAME}` stands for an environment variable.
        names: the server's names of arguments, by ours.
        description: a hash of the tool as the server described it when it was chosen. A server that says something else is not called.
        plan: the folder of a plan, which this program serves; empty for another server.
    """

    tool: str
    command: tuple[str, ...] = ()
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    folder: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    plan: str = ""

    @property
    def started(self) -> tuple[str, ...]:
        """The command that starts the server, a plan's too; empty for one that is reached by `url`."""
        return (sys.executable, "-P", "-m", "smidgen", "solve", self.plan, "--mcp") if self.plan else self.command

    @property
    def shown(self) -> str:
        """Where the server is, for people."""
        return self.url or self.plan or " ".join(self.command)


Target: TypeAlias = SqlTarget | HttpTarget | McpTarget
"""How a tool is called."""


@dataclass(frozen=True, slots=True)
class FoundTool:
    """A tool as somebody else describes it: an operation of an OpenAPI document, a tool of an MCP server.

    Attributes:
        id: its name there.
        description: its description there.
        schema: the JSON Schema of its arguments, with our names.
        changes: whether it may change something.
        target: how it is called.
        faults: why it cannot be used.
    """

    id: str
    description: str
    schema: Facts
    changes: bool
    target: Target
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool.

    Attributes:
        name: unique among the tools of a desk.
        description: what it does, for the model and for people.
        schema: the JSON Schema of its arguments: an object with `properties` and `required`. An argument's `title` is its name in words.
        changes: whether a call changes anything outside. Such a call always waits for the customer's yes.
        confirm: `never` lets a call that changes nothing run at once.
        words: a call in words, with an argument's value at each `{name}`: "Look up order {order}".
        examples: messages and the calls they ask for.
        owner: the arguments that prove whose data is asked for; each is required, and the query must match all of them.
        answer: the result in words, with a value of the result's first row at each `{column}`.
        nothing: the words if nothing was found, or if the proof of ownership does not match.
        refusals: words for a server's refusal, by its HTTP status (`409`), each by language.
        card: how the result is shown: `order`, `products` or `facts`.
        links: hosts whose links may stay in a result; every other link is taken out.
        titles: names in words by language, of arguments (`order`) and of their choices (`speed.NEXT_DAY`), where the schema's `title` is
            not enough.
        columns: how columns of the result are shown.
        target: how it is called; None where only the definition is known.
        guard: what must find a row before a call may be proposed, and again before it runs: a query, or a tool of an MCP server that
            says what the call would do. `words` may name the columns of its row.
    """

    name: str
    description: str
    schema: Facts
    changes: bool = True
    confirm: Confirm = "always"
    words: ByLanguage = field(default_factory=dict)
    examples: tuple[ToolExample, ...] = ()
    owner: tuple[str, ...] = ()
    answer: ByLanguage = field(default_factory=dict)
    nothing: ByLanguage = field(default_factory=dict)
    refusals: Mapping[str, ByLanguage] = field(default_factory=dict)
    card: Literal["order", "products", "facts"] = "facts"
    links: tuple[str, ...] = ()
    titles: Mapping[str, ByLanguage] = field(default_factory=dict)
    columns: Mapping[str, ShownColumn] = field(default_factory=dict)
    target: Target | None = None
    guard: SqlTarget | McpTarget | None = None

    @property
    def properties(self) -> Mapping[str, Any]:
        """The schema of each argument, by its name."""
        found: Mapping[str, Any] = self.schema.get("properties", {})
        return found

    @property
    def required(self) -> tuple[str, ...]:
        """The arguments that a call must have, in the schema's order; those that prove ownership are among them."""
        needed = {*self.schema.get("required", ()), *self.owner}
        return tuple(name for name in self.properties if name in needed)

    @property
    def whole_messages(self) -> tuple[str, ...]:
        """The arguments that are the customer's message as it is."""
        return tuple(name for name, node in self.properties.items() if node.get(WHOLE_MESSAGE) is True)

    @property
    def waits(self) -> bool:
        """Whether a call waits for the customer's yes."""
        return self.changes or self.confirm != "never"

    def title(self, argument: str, language: str = "") -> str:
        """An argument's name in words, in a language if the tool has it."""
        if told := in_language(self.titles.get(argument, {}), language):
            return printable(told)
        given = self.properties.get(argument, {}).get("title")
        return printable(given) if isinstance(given, str) and given.strip() else argument.replace("_", " ")

    def wording(self, arguments: Facts, language: str = "", told: Facts = MappingProxyType({})) -> str:
        """A call in words, for the customer. `told`: the row of a guard that says what the call would do, in full.

        Every argument is shown: one that the template leaves out stands in brackets behind, unless the guard's words are there.
        """
        plain = printable(self.name.replace("_", " ").capitalize())
        template = in_language(self.words, language) or plain
        others = set(slots(template)) - set(self.properties)
        if others and others <= set(told):
            return filled(
                template, {**told, **{name: self._spoken(name, value, language) for name, value in arguments.items()}}, whole=True
            )
        template = plain if others else template
        named = {name for name in slots(template) if name in arguments}
        said = {name: self._spoken(name, value, language) for name, value in arguments.items()}
        line = filled(template, said, whole=True)
        rest = [f"{self.title(name, language)}: {shown_value(value, whole=True)}" for name, value in said.items() if name not in named]
        return f"{line} ({', '.join(rest)})" if rest else line

    def _spoken(self, argument: str, value: Any, language: str) -> Any:
        """An argument's value as people say it: of a choice the title that the tool gives it, else as `spoken_value`."""
        if isinstance(value, list):
            return [self._spoken(argument, one, language) for one in value]
        told = in_language(self.titles.get(f"{argument}.{value}", {}), language) if isinstance(value, str | int) else ""
        return told or spoken_value(value, self.properties.get(argument, {}), language)


def plain_name(given: str) -> str:
    """A name in our manner: `orderId` and `order-id` become `order_id`. Empty if nothing is left of it."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", given)
    made = re.sub(r"[^a-z0-9]+", "_", parted.lower()).strip("_")[:64]
    return made if NAME.fullmatch(made) else ""


def slots(template: str) -> Iterator[str]:
    """The names in a template, `{name}`. Raises ValueError for a template that cannot be read, or that asks for more than a name."""
    for _, name, spec, conversion in string.Formatter().parse(template):
        if name is None:
            continue
        if not NAME.fullmatch(name) or spec or conversion:
            raise ValueError(f"{{{name}}} is not a name in lower-case letters, digits and underscores")
        yield name


def filled(template: str, values: Facts, whole: bool = False) -> str:
    """A template with each value at its name; one that is missing becomes empty, and a value is never read as a template.

    `whole`: no value is shortened.
    """
    pieces: list[str] = []
    for text, name, _, _ in string.Formatter().parse(template):
        pieces.append(text)
        if name is not None:
            pieces.append(shown_value(values[name], whole) if name in values else "")
    return "".join(pieces)


def spoken_value(value: Any, schema: Facts, language: str) -> Any:
    """An argument's value as people say it: a date in the language, and of a choice its title, or its code in words."""
    if isinstance(value, bool) and language.partition("-")[0] == "de":
        return "ja" if value else "nein"
    if isinstance(value, list):
        return [spoken_value(one, schema.get("items", {}), language) for one in value]
    if not isinstance(value, str):
        return value
    for choice in (*schema.get("oneOf", ()), *schema.get("anyOf", ())):
        if isinstance(choice, Mapping) and choice.get("const") == value and isinstance(choice.get("title"), str):
            return choice["title"]
    if value in schema.get("enum", ()):
        return value.replace("_", " ").lower() if _CODE.fullmatch(value) else value
    return value if "pattern" in schema else shown_date(value, language)


def shown_value(value: Any, whole: bool = False) -> str:
    """A value in words, on one line; at most 200 characters, unless it is to be shown `whole`."""
    if isinstance(value, bool):
        text = "yes" if value else "no"
    elif value is None:
        text = ""
    elif isinstance(value, Mapping):
        text = ", ".join(f"{name}: {shown_value(part, whole)}" for name, part in value.items())
    elif isinstance(value, Sequence) and not isinstance(value, str):
        text = ", ".join(shown_value(part, whole) for part in value)
    else:
        text = str(value)
    line = " ".join(printable(text).split())
    return line if whole or len(line) <= _SHOWN_VALUE else line[: _SHOWN_VALUE - 1] + "…"


_TOLD = (
    "name",
    "description",
    "schema",
    "changes",
    "confirm",
    "words",
    "owner",
    "answer",
    "nothing",
    "refusals",
    "card",
    "links",
    "titles",
    "columns",
)


def to_json(tool: Tool) -> dict[str, Any]:
    """A tool as JSON, without its target and its guard: nothing in it says how it is called."""
    told: dict[str, Any] = {name: getattr(tool, name) for name in _TOLD}
    told |= {name: dict(told[name]) for name in ("words", "answer", "nothing")}
    told |= {name: list(told[name]) for name in ("owner", "links")}
    told["titles"] = {name: dict(texts) for name, texts in tool.titles.items()}
    told["columns"] = {name: {"title": dict(one.title), "kind": one.kind, "currency": one.currency} for name, one in tool.columns.items()}
    told["refusals"] = {code: dict(texts) for code, texts in tool.refusals.items()}
    told["examples"] = [{"message": one.message, "arguments": dict(one.arguments)} for one in tool.examples]
    return told


def from_json(given: Mapping[str, Any]) -> Tool:
    """Read a tool that `to_json` wrote. Raises ValueError if it is none."""
    try:
        examples = tuple(ToolExample(str(one["message"]), dict(one["arguments"])) for one in given.get("examples", ()))
        told = {name: given[name] for name in _TOLD if name in given}
        told |= {name: tuple(given.get(name, ())) for name in ("owner", "links")}
        told["titles"] = {str(name): _texts(texts) for name, texts in given.get("titles", {}).items()}
        told["columns"] = {
            str(name): ShownColumn(_texts(one.get("title", {})), one.get("kind", "text"), str(one.get("currency", "")))
            for name, one in given.get("columns", {}).items()
        }
        made = Tool(**told, examples=examples)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"this is not a tool ({error!r})") from None
    if not isinstance(made.name, str) or not isinstance(made.schema, Mapping) or made.confirm not in ("always", "never"):
        raise ValueError("this is not a tool")
    return made


def _texts(given: Mapping[str, str]) -> dict[str, str]:
    return {str(language): str(text) for language, text in given.items()}


def dump_tools(tools: Sequence[Tool]) -> str:
    """Tools as a bundle holds them: what they are, not how they are called. So nobody's bundle can make a server start a program, or send a
    secret away."""
    return json.dumps({"tools": [to_json(tool) for tool in tools]}, ensure_ascii=False, indent=1) + "\n"


def load_tools(text: str) -> tuple[Tool, ...]:
    """Read tools that `dump_tools` wrote. Raises ValueError if they cannot be read."""
    try:
        return tuple(from_json(entry) for entry in json.loads(text)["tools"])
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"these are not tools ({error!r})") from None
