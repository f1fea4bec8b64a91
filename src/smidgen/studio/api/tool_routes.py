"""`/api/v1/projects/{project}/tools`: a project's tools, changed one by one; their dry runs, their secrets, and where more come from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from smidgen.studio.api.access import Editor, Owner, Viewer
from smidgen.studio.api.uploads import FILE_BODY, receive_file
from smidgen.studio.flows.data.uploads import forget_upload, new_upload
from smidgen.studio.flows.material import MOST_FILE_BYTES
from smidgen.studio.flows.models.built_models import model_folder, models_of
from smidgen.studio.flows.models.open_models import OpenModels
from smidgen.studio.flows.tool_files.text_files import FieldMistake
from smidgen.studio.flows.tool_files.tool_calls import Chooser, dry_run, find_call, named_tool, run_once
from smidgen.studio.flows.tool_files.tool_secrets import keep_secret, tool_environment
from smidgen.studio.flows.tool_files.tool_sources import (
    MOST_DOCUMENT,
    ask_server,
    database_tables,
    make_database,
    operations_in,
    save_document,
    save_server,
    take_database,
    tools_described,
)
from smidgen.studio.flows.tool_files.tools import (
    MOST_BYTES,
    ProjectTools,
    ToolCard,
    ToolKey,
    check_tool,
    delete_tool,
    read_project_tools,
    save_tool,
    save_tool_text,
    set_database,
)
from smidgen.studio.store.projects import StudioStore
from smidgen.tools.definition import FoundTool
from smidgen.tools.overview import exact_call

_MOST_CHOSEN = 100
_LONGEST_MESSAGE = 4_000
Stamp = Annotated[str, Query(max_length=64)]
SentName = Annotated[str, Query(min_length=1, max_length=300)]
_YOU: Chooser = "you"


class ToolPlace(BaseModel):
    """Where a tool stands in its file: in `[tools]`, or chosen of a document or a server, which is `origin`."""

    source: Literal["tools", "openapi", "mcp"] = "tools"
    origin: str = Field("", max_length=100)
    id: str = Field(min_length=1, max_length=200)

    def key(self) -> ToolKey:
        """The place as the flows know it."""
        return ToolKey(self.source, self.origin, self.id)


class ShownTool(BaseModel):
    """A tool. `settings` is what the file says of it; the rest is empty for a tool that cannot be read."""

    place: ToolPlace
    name: str
    description: str
    settings: dict[str, Any]
    kind: str = Field(description="How it is called: `sql`, `http`, `mcp`, or `none` if that is not known.")
    changes: bool
    waits: bool = Field(description="Whether a call waits for the customer's yes.")
    owner: list[str] = Field(description="The arguments that prove whose data is asked for.")
    schema_: dict[str, Any] = Field(alias="schema", description="The JSON Schema of its arguments.")
    words: dict[str, str] = Field(description="A call in words, by language.")
    variables: dict[str, bool] = Field(description="The variables that it names, and whether each has a value.")
    mistakes: list[FieldMistake]


class ToolSource(BaseModel):
    """A document or a server that tools are chosen of."""

    source: Literal["openapi", "mcp"]
    name: str
    settings: dict[str, Any]


class ShownTools(BaseModel):
    """The tools of a project. `stamp` goes back with a change: it is refused if somebody else made one meanwhile."""

    tools: list[ShownTool]
    sources: list[ToolSource]
    database: str
    tables: dict[str, list[str]] = Field(description="The columns of each of its tables, where it lies in the project's folder.")
    mistakes: list[FieldMistake] = Field(description="Those that stand at no tool.")
    text: str
    stamp: str
    secrets: dict[str, bool] = Field(description="Every variable that is named or kept, and whether it has a value. No value is ever told.")
    model: bool = Field(description="Whether a model was built that can find calls in messages.")
    kept_comments: bool = Field(description="False after a change that could not keep the comments of the file.")


class ToolChange(BaseModel):
    """A tool's settings. `before`: its place so far, where it has another name now; null for a new tool."""

    place: ToolPlace
    settings: dict[str, Any]
    before: ToolPlace | None = None
    stamp: str = Field("", max_length=64)


class ToolRemoval(BaseModel):
    """A tool to remove."""

    place: ToolPlace
    stamp: str = Field(max_length=64)


class ToolText(BaseModel):
    """The whole tool file as text."""

    text: str = Field(max_length=MOST_BYTES)
    stamp: str = Field(max_length=64)


class CallRequest(BaseModel):
    """A call to look at: by a message, or by a tool and its arguments."""

    tool: str = Field("", max_length=100)
    message: str = Field("", max_length=_LONGEST_MESSAGE)
    arguments: dict[str, Any] = Field(default_factory=dict)
    language: Literal["", "en", "de"] = ""


class DryRunResult(BaseModel):
    """The exact call that would be made, with secrets hidden. None was made."""

    tool: str = Field(description="Empty if the message asks for no tool.")
    by: Literal["model", "words", "you"] = Field(description="What found the call: the model, the message's own words, or you.")
    arguments: dict[str, Any]
    words: str
    kind: str
    call: dict[str, Any]
    exact: str = Field(description="The call as text, as it would go out; empty if it is not known how the tool is called.")
    missing: list[str]
    mistakes: dict[str, str]
    waits: bool
    changes: bool
    fault: str


class RunOnceRequest(BaseModel):
    """A call to make once. `confirmed`: the person has seen it and says yes."""

    tool: str = Field(min_length=1, max_length=100)
    arguments: dict[str, Any] = Field(default_factory=dict)
    confirmed: Literal[True]


class RunOnceResult(BaseModel):
    """The result of a call. `text`: what a customer would be told; `reason` is for people of the business."""

    status: str
    rows: list[dict[str, Any]]
    cut: bool
    text: str
    reason: str
    seconds: float


class SecretChange(BaseModel):
    """A secret to keep; an empty value removes it."""

    name: str = Field(min_length=1, max_length=64)
    value: str = Field(max_length=4096)


class ChoosableTool(BaseModel):
    """An operation or a tool that can be chosen."""

    id: str
    description: str
    changes: bool
    arguments: list[str]
    required: list[str]
    faults: list[str] = Field(description="Why it cannot be chosen.")


class DocumentText(BaseModel):
    """An OpenAPI document, JSON or YAML."""

    text: str = Field(min_length=1, max_length=MOST_DOCUMENT)


class DocumentChoice(BaseModel):
    """Operations of an OpenAPI document. An empty text keeps the document that is there."""

    text: str = Field("", max_length=MOST_DOCUMENT)
    server: str = Field("", max_length=1_000, description="The API's address, where it is not the document's; `${NAME}` for a variable.")
    headers: dict[str, str] = Field(default_factory=dict, max_length=20)
    chosen: dict[str, dict[str, Any]] = Field(min_length=1, max_length=_MOST_CHOSEN, description="Settings of each operation, by its id.")
    stamp: str = Field(max_length=64)


class ServerQuestion(BaseModel):
    """An MCP server to ask for its tools."""

    url: str = Field(min_length=1, max_length=1_000)
    headers: dict[str, str] = Field(default_factory=dict, max_length=20)


class ServerTools(BaseModel):
    """The tools of an MCP server: as it describes them, and as they can be chosen."""

    definitions: list[dict[str, Any]]
    tools: list[ChoosableTool]


class ServerChoice(ServerQuestion):
    """Tools of an MCP server, with what it says of them."""

    definitions: list[dict[str, Any]] = Field(max_length=200)
    chosen: dict[str, dict[str, Any]] = Field(min_length=1, max_length=_MOST_CHOSEN)
    stamp: str = Field(max_length=64)


class DatabaseChoice(BaseModel):
    """A database for all tools: its URL, or tables of the project to make one of."""

    url: str = Field("", max_length=1_000, description="`sqlite:///FILE` in the project's folder, or `${NAME}` for a variable.")
    tables: list[str] = Field(default_factory=list, max_length=20, description="CSV files of the project.")
    stamp: str = Field(max_length=64)


def tool_routes(store: StudioStore, models: OpenModels) -> APIRouter:
    """The routes of tools."""
    router = APIRouter(prefix="/api/v1/projects/{project}/tools", tags=["tools"])

    def view(project: str, tools: ProjectTools, kept: bool = True) -> ShownTools:
        return shown_tools(store, project, tools, kept)

    @router.get("")
    def read_tools(person: Viewer, project: str) -> ShownTools:
        """Read the tools of a project, with every mistake at its field."""
        return view(project, read_project_tools(store.project(project)))

    @router.post("/check")
    def check(person: Viewer, project: str, body: ToolChange) -> ShownTool:
        """Validate a tool without saving it."""
        card = check_tool(store.project(project), body.place.key(), body.settings, body.before.key() if body.before is not None else None)
        return _card(card, tool_environment(project))

    @router.put("")
    def save(person: Editor, project: str, body: ToolChange) -> ShownTools:
        """Add or change a tool. Comments of other parts of the file stay. One with mistakes is refused, with all of them."""
        key, before = body.place.key(), body.before.key() if body.before is not None else None
        return view(project, *save_tool(store.project(project), key, body.settings, body.stamp, before))

    @router.post("/delete")
    def remove(person: Editor, project: str, body: ToolRemoval) -> ShownTools:
        """Remove a tool from the file."""
        return view(project, delete_tool(store.project(project), body.place.key(), body.stamp))

    @router.put("/text")
    def save_text(person: Editor, project: str, body: ToolText) -> ShownTools:
        """Replace the whole tool file. One with mistakes is refused, with all of them."""
        return view(project, save_tool_text(store.project(project), body.text, body.stamp))

    @router.put("/database")
    def choose_database(person: Editor, project: str, body: DatabaseChoice) -> ShownTools:
        """Name the database that queries read, or make one of tables of the project."""
        found = store.project(project)
        if body.tables:
            return view(project, *make_database(found, body.tables, body.stamp))
        return view(project, *set_database(found, body.url, body.stamp))

    @router.post("/database/uploads", status_code=201, openapi_extra=FILE_BODY)
    async def send_database(person: Editor, request: Request, project: str, name: SentName, stamp: Stamp = "") -> ShownTools:
        """Send a SQLite database, and name it as the one that queries read."""
        found = store.project(project)
        file, _ = new_upload(PurePosixPath(name).name)
        try:
            await receive_file(request, file, MOST_FILE_BYTES, "studio.database_is_larger_than_mb")
            return view(project, *await run_in_threadpool(take_database, found, name, file, stamp))
        finally:
            forget_upload(file)

    @router.post("/dry-run")
    def look_at_call(person: Viewer, project: str, body: CallRequest) -> DryRunResult:
        """Show the exact call that a message or arguments lead to, with secrets hidden. Nothing is sent."""
        found = store.project(project)
        return _dry_run(found, read_project_tools(found), body)

    def _dry_run(found: Any, tools: ProjectTools, body: CallRequest) -> DryRunResult:
        name, arguments, by = body.tool, dict(body.arguments), _YOU
        if body.message.strip():
            newest = models_of(store, found.id)[:1]
            if newest:
                with models.using(model_folder(store, found.id, newest[0].id)) as model:
                    call = find_call(tools, body.message, body.tool, model)
            else:
                call = find_call(tools, body.message, body.tool, None)
            name, arguments, by = call.tool, {**call.arguments, **arguments}, call.by
        if not name:
            return _NO_CALL.model_copy(update={"by": by})
        tool = named_tool(tools, name)
        shown = dry_run(found, tool, arguments, body.language)
        return DryRunResult(
            tool=name,
            by=by,
            arguments=arguments,
            words=shown.words,
            kind=shown.kind,
            call=dict(shown.call),
            exact=exact_call(shown),
            missing=list(shown.missing),
            mistakes=dict(shown.mistakes),
            waits=shown.waits,
            changes=tool.changes,
            fault=shown.fault,
        )

    @router.post("/run")
    def run(person: Owner, project: str, body: RunOnceRequest) -> RunOnceResult:
        """Make one call of a tool that only reads. A tool that changes something is refused."""
        found = store.project(project)
        tool = named_tool(read_project_tools(found), body.tool)
        result, text = run_once(found, tool, body.arguments, person.name)
        rows = [dict(row) for row in result.rows]
        return RunOnceResult(
            status=result.status, rows=rows, cut=result.cut, text=text, reason=result.reason, seconds=round(result.seconds, 3)
        )

    @router.put("/secrets", status_code=204)
    def save_secret(person: Owner, project: str, body: SecretChange) -> None:
        """Keep a secret in a file that only the Studio's own user may read, or remove it. It is never shown again."""
        keep_secret(store.project(project).id, body.name, body.value)

    @router.post("/openapi")
    def read_document(person: Editor, project: str, body: DocumentText) -> list[ChoosableTool]:
        """List the operations in an OpenAPI document. Nothing is stored."""
        store.project(project)
        return [_offered(tool, faults) for tool, faults in operations_in(body.text)]

    @router.put("/openapi/{name}")
    def choose_operations(person: Editor, project: str, name: str, body: DocumentChoice) -> ShownTools:
        """Keep an OpenAPI document, and the operations of it that the desk may call."""
        settings = {"server": body.server, "headers": body.headers}
        return view(project, *save_document(store.project(project), name, body.text, settings, body.chosen, body.stamp))

    @router.post("/mcp")
    def list_server_tools(person: Owner, project: str, body: ServerQuestion) -> ServerTools:
        """Ask an MCP server for its tools. It is reached by https, or lies on this machine; no program is started."""
        entries = ask_server(store.project(project), body.url, body.headers)
        return ServerTools(definitions=entries, tools=[_offered(tool, faults) for tool, faults in tools_described(entries, body.url)])

    @router.put("/mcp/{name}")
    def choose_server_tools(person: Owner, project: str, name: str, body: ServerChoice) -> ShownTools:
        """Keep what an MCP server says of its tools, and those that the desk may call."""
        found = store.project(project)
        return view(project, *save_server(found, name, body.url, body.headers, body.definitions, body.chosen, body.stamp))

    return router


_NO_CALL = DryRunResult(
    tool="", by="you", arguments={}, words="", kind="none", call={}, exact="", missing=[], mistakes={}, waits=False, changes=False, fault=""
)


def shown_tools(store: StudioStore, project: str, tools: ProjectTools, kept: bool = True) -> ShownTools:
    """The tools of a project as the API tells them. `kept`: whether the file's comments were kept by the last change."""
    tables = database_tables(store.project(project), tools)
    return _view(tools, tables, tool_environment(project), bool(models_of(store, project)), kept)


def _view(tools: ProjectTools, tables: dict[str, list[str]], known: Mapping[str, str], model: bool, kept: bool) -> ShownTools:
    database = tools.tree.get("database")
    named = [name for card in tools.cards for name in card.variables]
    sources = [
        ToolSource(source=source, name=name, settings={key: value for key, value in given.items() if key not in ("operations", "tools")})
        for source in ("openapi", "mcp")
        for name, given in (tools.tree.get(source) or {}).items()
        if isinstance(given, dict)
    ]
    return ShownTools(
        tools=[_card(card, known) for card in tools.cards],
        sources=sources,
        database=database if isinstance(database, str) else "",
        tables=tables,
        mistakes=list(tools.mistakes),
        text=tools.file.text,
        stamp=tools.file.stamp,
        secrets={name: name in known for name in sorted({*named, *known})},
        model=model,
        kept_comments=kept,
    )


def _card(card: ToolCard, known: Mapping[str, str]) -> ShownTool:
    tool = card.tool
    return ShownTool(
        place=ToolPlace(source=card.key.source, origin=card.key.origin, id=card.key.id),
        name=tool.name if tool is not None else str(card.settings.get("name") or card.key.id),
        description=tool.description if tool is not None else str(card.settings.get("description", "")),
        settings=dict(card.settings),
        kind=card.kind,
        changes=tool.changes if tool is not None else True,
        waits=tool.waits if tool is not None else True,
        owner=list(tool.owner) if tool is not None else [],
        schema=dict(tool.schema) if tool is not None else {},
        words=dict(tool.words) if tool is not None else {},
        variables={name: name in known for name in card.variables},
        mistakes=list(card.mistakes),
    )


def _offered(tool: FoundTool, faults: list[str]) -> ChoosableTool:
    return ChoosableTool(
        id=tool.id,
        description=tool.description,
        changes=tool.changes,
        arguments=list(tool.schema.get("properties", {})),
        required=list(tool.schema.get("required", ())),
        faults=faults,
    )
