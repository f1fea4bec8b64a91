"""The settings of a tool file: what may be written in it."""

from __future__ import annotations

from typing import Any, Literal

from smidgen.core.settings import Settings, setting
from smidgen.tools.definition import Confirm
from smidgen.tools.shown_values import ColumnKind


class ExampleSettings(Settings):
    """An example of a tool in a tool file."""

    message: str = setting(..., "Words of a customer.", min_length=1, max_length=4000)
    arguments: dict[str, Any] = setting({}, "The arguments that the message states.")


class HttpSettings(Settings):
    """An HTTP request in a tool file."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = setting("GET", "The method.")
    url: str = setting(..., "The address; {name} stands for an argument, ${NAME} for an environment variable.", min_length=1)
    headers: dict[str, str] = setting({}, "Header lines; ${NAME} stands for an environment variable.")
    body: Any = setting(None, "The body, sent as JSON.")
    result: str = setting("", "The names that lead to the rows in the answer, joined by dots.")


class ColumnSettings(Settings):
    """How a column of a tool's result is shown."""

    name: str | dict[str, str] = setting("", "Its name in words; a table has it by language.")
    kind: ColumnKind = setting("text", "date: an ISO date, written as people do. money: an amount. text: as it is.")
    currency: str = setting("", "Of money, the currency's ISO code: GBP.", pattern=r"^([A-Z]{3})?$")


class SeenSettings(Settings):
    """How a tool appears to customers, wherever it comes from."""

    confirm: Confirm = setting("always", "`never` lets a call that changes nothing run at once.")
    owner: list[str] = setting([], "The arguments that prove whose data is asked for.")
    answer: str | dict[str, str] = setting("", "The result in words, with {column} for a value of its first row.")
    nothing: str | dict[str, str] = setting("", "The words if nothing was found.")
    refusals: dict[str, str | dict[str, str]] = setting({}, "Words for a server's refusal, by its HTTP status: `409`.")
    card: Literal["order", "products", "facts"] = setting("facts", "How the result is shown.")
    columns: dict[str, ColumnSettings] = setting({}, "How columns of the result are shown, by their names.")
    titles: dict[str, str | dict[str, str]] = setting(
        {}, "Names in words, of arguments (`order_id`) and of their choices (`speed.NEXT_DAY`); a table has them by language."
    )
    links: list[str] = setting([], "Hosts whose links may stay in a result.")
    examples: list[ExampleSettings] = setting([], "Messages and the calls they ask for.")
    guard: str | None = setting(None, "A SELECT that must find a row before a call is proposed, and before it runs.")
    database: str | None = setting(None, "The database of this tool, where it is not the file's.")


class ToolSettings(SeenSettings):
    """A tool in a tool file."""

    description: str = setting(..., "What the tool does, in a sentence.", min_length=1, max_length=2000)
    words: str | dict[str, str] = setting(..., "A call in words, for the customer: `Look up order {order}`; a table has it by language.")
    changes: bool = setting(True, "Whether a call changes anything. Such a call always waits for the customer's yes.")
    arguments: dict[str, dict[str, Any]] = setting(
        {}, "Each argument's JSON Schema; `required = false` makes it optional, and `title` may be a table by language."
    )
    sql: str | None = setting(None, "One SELECT, with `:name` for an argument.")
    http: HttpSettings | None = setting(None, "An HTTP request.")


class ChosenSettings(SeenSettings):
    """An operation of an OpenAPI document, or a tool of an MCP server, that the desk may call."""

    name: str | None = setting(None, "The tool's name, where it is not the one it has there.")
    description: str | None = setting(None, "What it does, where the description there does not say it well.", max_length=2000)
    words: str | dict[str, str] = setting("", "A call in words, for the customer; without it the tool's name and its arguments.")
    changes: bool | None = setting(None, "Whether a call changes anything, where it is not as the document says.")
    result: str = setting("", "The names that lead to the rows in the answer, joined by dots.")
    preview: str = setting(
        "", "A tool of the same MCP server that says what the call would do: asked before the customer's yes. `words` may name its columns."
    )
    message: str = setting("", "A text argument that is the customer's message as it is, for a server that reads sentences itself.")
    values_from: dict[str, str | list[str]] = setting({}, "For text arguments, the values that messages name: a list, or FILE.csv:COLUMN.")


class OpenApiSettings(Settings):
    """An OpenAPI document in a tool file."""

    file: str = setting(..., "The document, JSON or YAML, relative to this file.", file=True)
    server: str | None = setting(None, "The address of the API, where it is not the document's; ${NAME} for a variable that has it.")
    headers: dict[str, str] = setting({}, "Header lines; ${NAME} stands for an environment variable.")
    operations: dict[str, ChosenSettings] = setting({}, "The operations that the desk may call, by operationId.")


class McpSettings(Settings):
    """An MCP server in a tool file."""

    command: list[str] = setting([], "The command that starts the server.")
    plan: str = setting("", "In place of a command: the folder of a plan that `smidgen solve` made; ${NAME} for a variable that has it.")
    url: str = setting("", "The server's address.")
    headers: dict[str, str] = setting({}, "Header lines; ${NAME} stands for an environment variable.")
    env: dict[str, str] = setting({}, "Variables of the started server; ${NAME} stands for an environment variable.")
    definitions: str = setting(..., "The file with the server's tools as they were when you chose them.", file=True)
    tools: dict[str, ChosenSettings] = setting({}, "The tools that the desk may call, by the server's names.")


class ToolFileSettings(Settings):
    """A tool file."""

    database: str | None = setting(None, "sqlite:///FILE, relative to this file, or ${NAME} for a URL in an environment variable.")
    tools: dict[str, ToolSettings] = setting({}, "The tools, by name.")
    openapi: dict[str, OpenApiSettings] = setting({}, "OpenAPI documents, each under a name of yours.")
    mcp: dict[str, McpSettings] = setting({}, "MCP servers, each under a name of yours.")
