"""`/api/v1/solvers` and `/api/v1/plans`: problems that a library solves from tables, changed by sentences; a plan as a desk's tools."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse

from smidgen.bundles.open import read_manifest
from smidgen.core.errors import SmidgenError
from smidgen.parts import registry
from smidgen.plans.changes import MAX_SENTENCE_LENGTH
from smidgen.plans.flows.sample_plans import sample_solvers
from smidgen.plans.flows.studio_plans import (
    MAX_SECONDS,
    MAX_TABLE_BYTES,
    PlanTable,
    StudioPlan,
    all_plans,
    create_plan,
    delete_plan,
    make_change,
    propose_change,
    result_file,
    set_settings,
    set_table,
    settings_schema,
    solve_plan,
    studio_plan,
)
from smidgen.plans.solver_recipe import ROOM
from smidgen.plans.solving import Solver, Status
from smidgen.plans.studio.plan_tools import add_plan
from smidgen.studio.api.access import Editor, Owner, Viewer
from smidgen.studio.api.host import StudioHost
from smidgen.studio.api.tool_routes import ShownTools, shown_tools
from smidgen.studio.api.uploads import FILE_BODY, receive_file
from smidgen.studio.flows.data.uploads import forget_upload, new_upload
from smidgen.studio.flows.models.built_models import model_folder, models_of
from smidgen.studio.store.projects import StudioStore

_SHOWN_ROWS = 200
_INERT = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox",
    "X-Content-Type-Options": "nosniff",
}
"""Headers of a plan's own file, which is shown and runs nothing."""


class OfferedSolver(BaseModel):
    """A solver: a kind of problem that a library solves."""

    name: str
    title: str
    summary: str
    settings: dict[str, Any] = Field(description="The JSON Schema of its settings, without its tables.")
    changes: dict[str, Any] | None = Field(description="The JSON Schema of a change; null if a sentence cannot change such a plan.")
    examples: list[str] = Field(description="Sentences that change such a plan.")
    sample: bool = Field(description="Whether it has a sample with tables.")


class CountedChange(BaseModel):
    """A change that counts."""

    words: str
    sentence: str
    at: str


class SolvedTable(BaseModel):
    """A table of a solution: its first rows, as texts."""

    name: str
    title: str
    columns: list[str]
    rows: list[list[str]]
    count: int


class PlanSolution(BaseModel):
    """The last solution of a plan."""

    status: Status
    sentences: list[str]
    remarks: list[str]
    changes: list[CountedChange]
    seconds: float
    tables: list[SolvedTable]
    pictures: list[str]
    files: list[str]


class PlanCard(BaseModel):
    """A plan in the list of plans."""

    id: str
    name: str
    solver: str
    title: str
    status: Status | None
    changed: float


class ChangeReader(BaseModel):
    """A built model that may read sentences."""

    project: str
    name: str
    chosen: bool


class ShownPlan(BaseModel):
    """A plan: its tables, its settings and its last solution."""

    id: str
    name: str
    solver: str
    settings: dict[str, Any]
    seconds: float
    tables: list[PlanTable]
    readers: list[ChangeReader] = Field(description="The models that may read sentences which change the plan.")
    solved: PlanSolution | None


class NewPlan(BaseModel):
    """A new plan."""

    solver: str = Field(max_length=100)
    name: str = Field(min_length=1, max_length=100)
    sample: bool = False


class PlanSettings(BaseModel):
    """The settings of a plan. `reader`: the project whose newest model reads sentences; null for none."""

    settings: dict[str, Any]
    seconds: float = Field(10.0, gt=0.0, le=MAX_SECONDS)
    reader: str | None = Field(None, max_length=100)


class WantedChange(BaseModel):
    """A change, as a sentence or as an object that fits the solver's schema."""

    sentence: str = Field("", max_length=MAX_SENTENCE_LENGTH)
    change: dict[str, Any] | None = None


class UnderstoodChange(BaseModel):
    """A change as it was understood; it counts after `POST .../changes`."""

    change: dict[str, Any]
    words: str
    score: float
    unread: list[str] = Field(description="Times, numbers and known names of the sentence that are not in the change.")
    rest: str = Field(description="What the sentence says after this change: another one.")


class ConfirmedChange(BaseModel):
    """A change that a person confirmed, and the sentence that it came from."""

    change: dict[str, Any]
    sentence: str = Field("", max_length=MAX_SENTENCE_LENGTH)


def plan_routes(host: StudioHost) -> APIRouter:
    """The routes of solvers and plans."""
    store = host.store
    router = APIRouter(prefix="/api/v1", tags=["plans"])
    _list_routes(router)
    _table_routes(router, store)
    _solving_routes(router, store)
    return router


def _list_routes(router: APIRouter) -> None:
    @router.get("/solvers")
    def list_solvers(person: Viewer) -> list[OfferedSolver]:
        """List the kinds of problems that can be solved."""
        samples = sample_solvers()
        return [_offered(registry.find(ROOM, name), name in samples) for name in registry.names(ROOM)]

    @router.get("/plans")
    def list_plans(person: Viewer) -> list[PlanCard]:
        """List the plans, the last changed first."""
        return [_plan_card(plan) for plan in all_plans()]

    @router.post("/plans", status_code=201)
    def new_plan(person: Editor, body: NewPlan) -> PlanCard:
        """Make a plan, empty or with the solver's sample."""
        return _plan_card(create_plan(body.solver, body.name, body.sample))

    @router.delete("/plans/{plan}", status_code=204)
    def remove_plan(person: Editor, plan: str) -> None:
        """Delete a plan with its tables and its solution."""
        delete_plan(plan)


def _table_routes(router: APIRouter, store: StudioStore) -> None:
    @router.get("/plans/{plan}")
    def read_plan(person: Viewer, plan: str) -> ShownPlan:
        """Read a plan."""
        return _plan_view(store, studio_plan(plan))

    @router.put("/plans/{plan}/settings")
    def change_settings(person: Editor, plan: str, body: PlanSettings) -> ShownPlan:
        """Replace the settings of a plan."""
        solve: dict[str, Any] = {"seconds": body.seconds}
        if body.reader is not None:
            solve["changes"] = str(_reader_folder(store, body.reader))
        return _plan_view(store, set_settings(plan, body.settings, solve))

    @router.post("/plans/{plan}/tables/{setting}/uploads", openapi_extra=FILE_BODY)
    async def send_table(
        person: Editor, request: Request, plan: str, setting: str, name: Annotated[str, Query(min_length=1, max_length=300)]
    ) -> ShownPlan:
        """Send a table, in place of the one before."""
        file, _ = await run_in_threadpool(new_upload, name)
        try:
            await receive_file(request, file, MAX_TABLE_BYTES, "plans.table_is_larger_than_mb")
            return _plan_view(store, await run_in_threadpool(set_table, plan, setting, file, name))
        finally:
            await run_in_threadpool(forget_upload, file)

    @router.delete("/plans/{plan}/tables/{setting}")
    def remove_table(person: Editor, plan: str, setting: str) -> ShownPlan:
        """Take a table away."""
        return _plan_view(store, set_table(plan, setting, None))


def _solving_routes(router: APIRouter, store: StudioStore) -> None:
    @router.post("/plans/{plan}/solve")
    def solve(person: Editor, plan: str, changes: Literal["keep", "forget"] = "keep") -> ShownPlan:
        """Solve a plan, with the changes made so far or without them."""
        return _plan_view(store, solve_plan(plan, changes == "keep"))

    @router.post("/plans/{plan}/proposals")
    def propose(person: Editor, plan: str, body: WantedChange) -> UnderstoodChange:
        """Understand a change. Nothing is changed."""
        found = propose_change(plan, body.change if body.change is not None else body.sentence)
        return UnderstoodChange(change=dict(found.change), words=found.words, score=found.score, unread=list(found.unread), rest=found.rest)

    @router.post("/plans/{plan}/changes")
    def confirm(person: Editor, plan: str, body: ConfirmedChange) -> ShownPlan:
        """Make a change that a person confirmed, and solve the plan again."""
        return _plan_view(store, make_change(plan, body.change, body.sentence))

    @router.get("/plans/{plan}/files/{name}", response_class=FileResponse)
    def read_file(person: Viewer, plan: str, name: str) -> FileResponse:
        """Read a file of the solution: a table, a picture, the page."""
        return FileResponse(result_file(plan, name), headers=_INERT)


def _offered(solver: Solver, sample: bool) -> OfferedSolver:
    return OfferedSolver(
        name=solver.name,
        title=solver.title,
        summary=solver.summary,
        settings=settings_schema(solver),
        changes=dict(solver.changes) or None,
        examples=list(solver.examples),
        sample=sample,
    )


def _plan_card(plan: StudioPlan) -> PlanCard:
    status = plan.solved["status"] if plan.solved is not None else None
    return PlanCard(id=plan.id, name=plan.name, solver=plan.solver.name, title=plan.solver.title, status=status, changed=plan.changed)


def _plan_view(store: StudioStore, plan: StudioPlan) -> ShownPlan:
    return ShownPlan(
        id=plan.id,
        name=plan.name,
        solver=plan.solver.name,
        settings=dict(plan.settings),
        seconds=float(plan.solve.get("seconds", 10.0)),
        tables=list(plan.tables),
        readers=_readers(store, plan.solver, str(plan.solve.get("changes", ""))) if plan.solver.changes else [],
        solved=_solved(plan.id, plan.solved) if plan.solved is not None else None,
    )


def _readers(store: StudioStore, solver: Solver, chosen: str) -> list[ChangeReader]:
    """The projects with a model that reads fields of this solver's changes, and no others."""
    found = []
    for project in store.projects():
        if "fields" in registry.declared("tasks", project.task, "answer_kinds", ()) and models_of(store, project.id):
            folder = _reader_folder(store, project.id)
            fields = _model_fields(folder)
            if str(folder) == chosen or (fields and fields <= set(solver.changes["properties"])):
                found.append(ChangeReader(project=project.id, name=project.name, chosen=str(folder) == chosen))
    return found


def _model_fields(folder: Path) -> set[str]:
    try:
        return set(read_manifest(folder).form["schema"]["properties"])
    except (SmidgenError, KeyError, TypeError):
        return set()


def _reader_folder(store: StudioStore, project: str) -> Path:
    builds = models_of(store, store.project(project).id)
    return model_folder(store, project, builds[0].id if builds else "")


def _solved(plan: str, content: Mapping[str, Any]) -> PlanSolution:
    names = list(content["files"])
    tables = [_table(result_file(plan, f"{name}.csv"), title) for name, title in content["tables"].items()]
    return PlanSolution(
        status=content["status"],
        sentences=content["sentences"],
        remarks=content["remarks"],
        changes=[CountedChange(words=one["words"], sentence=one["sentence"], at=one["at"]) for one in content["changes"]],
        seconds=content["seconds"],
        tables=tables,
        pictures=[name for name in names if name.endswith(".svg")],
        files=names,
    )


def _table(file: Path, title: str) -> SolvedTable:
    with file.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream)
        columns, rows, count = next(reader), [], 0
        for row in reader:
            count += 1
            if count <= _SHOWN_ROWS:
                rows.append(row)
    return SolvedTable(name=file.stem, title=title, columns=columns, rows=rows, count=count)


class PlanChoice(BaseModel):
    """A plan of the Studio, which was made."""

    plan: str = Field(min_length=1, max_length=100)
    stamp: str = Field(max_length=64)


def plan_tool_routes(host: StudioHost) -> APIRouter:
    """The route that adds a plan's tools to a project."""
    router = APIRouter(prefix="/api/v1/projects/{project}/tools", tags=["tools"])

    @router.put("/plan")
    def choose_plan(person: Owner, project: str, body: PlanChoice) -> ShownTools:
        """Add the tools of a plan: the desk asks it at once, and changes it after a yes."""
        return shown_tools(host.store, project, *add_plan(host.store.project(project), body.plan, body.stamp))

    return router


def plan_pages(host: StudioHost) -> APIRouter:
    """The routes of plans, and of a plan as tools."""
    router = plan_routes(host)
    router.routes.extend(plan_tool_routes(host).routes)
    return router


part = plan_pages
