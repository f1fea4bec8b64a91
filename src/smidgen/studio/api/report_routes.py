"""`/api/v1/projects/{project}/models/{model}` and `…/costs`: a model's report, its mistakes, its change, its files, and what it saves."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import FileResponse, StreamingResponse

from smidgen.bundles.open import open_bundle, read_manifest
from smidgen.flows.export.exporter import target_states
from smidgen.flows.operating_point import OperatingPoint
from smidgen.judge import wording
from smidgen.judge.report import Report
from smidgen.studio.api.access import Builder, Viewer
from smidgen.studio.flows.costs import OWN_MODEL, CostQuestion, PricedModel, ProjectCosts, large_models, project_costs
from smidgen.studio.flows.material import ProjectOverview, project_overview
from smidgen.studio.flows.models.built_models import ModelAnswer, model_folder, read_answers
from smidgen.studio.flows.models.downloads import bundle_file, zip_bundle
from smidgen.studio.flows.models.member_reports import MemberReport, member_reports
from smidgen.studio.flows.models.model_report import (
    ConfusionMap,
    ModelComparison,
    choose_operating_point,
    compare_models,
    confusion_map,
    earlier_model,
    read_report,
)
from smidgen.studio.flows.models.project_point import project_point
from smidgen.studio.store.data_rows import DataRow, RowFilter
from smidgen.studio.store.projects import StudioStore

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_MOST_CHANGES = 100
Verdict = Literal["yes", "barely", "no", "open"]


class ModelExport(BaseModel):
    """A program that models are exported to, and whether it takes this one."""

    target: str
    summary: str
    command: str = Field(description="The command that writes its files; empty where it does not take the model.")
    why: str = Field(description="Why it does not; empty where it does.")
    todo: str = Field(description="The build that it would take.")


class ModelFile(BaseModel):
    """A file of a model's bundle."""

    name: str
    size: int = Field(description="Bytes.")


class BuiltModel(BaseModel):
    """A model's report, and what goes with it.

    `names`: the displayed name of each metric. `baseline_name`: the strongest baseline in words. `verdict`: whether the model is better:
    `yes`, `barely`, `no` or `open`.
    """

    id: str
    report: Report
    names: dict[str, str]
    baseline_name: str | None
    verdict: Verdict
    sentence: str = Field(description="The verdict in a sentence.")
    has_answers: bool = Field(description="Whether the answers to single test rows were stored.")
    files: list[ModelFile]
    members: list[MemberReport] = Field(description="The reports of the models that it consists of; empty for a model of its own.")


class TestedAnswer(BaseModel):
    """A test row with the model's answer, and the row as it is in the data now."""

    key: int = Field(description="The row's key; 0 where it is not in the data.")
    input: str
    second: str | None
    wanted: Any = Field(description="The answer in the data when the model was built.")
    answer: Any
    score: float
    grade: float = Field(description="1 for right, 0 for wrong; between them for a graded task.")
    now: DataRow | None = Field(description="The row in the newest version; null where it was removed.")


class AnswerPage(BaseModel):
    """Some answers, and how many there are."""

    total: int
    answers: list[TestedAnswer]


class OperatingPointChoice(BaseModel):
    """A point of the risk-coverage curve, by its threshold, and the costs in US dollars that it was chosen by."""

    threshold: float
    wrong_cost: float | None = Field(None, ge=0, le=1e9)
    escalation_cost: float | None = Field(None, ge=0, le=1e9)


def report_routes(store: StudioStore) -> APIRouter:
    """The routes of models' reports."""
    router = APIRouter(prefix="/api/v1/projects/{project}/models/{model}", tags=["models"])

    @router.get("")
    def read_model(person: Viewer, project: str, model: str) -> BuiltModel:
        """Read a model's report."""
        report = read_report(store, project, model)
        verdict, sentence = wording.verdict(report)
        files = read_manifest(model_folder(store, project, model)).files
        return BuiltModel(
            id=model,
            report=report,
            names={name: wording.measure(name) for name in report.metrics},
            baseline_name=wording.other_name(report.strongest.name) if report.strongest else None,
            verdict=cast(Verdict, verdict),
            sentence=sentence,
            has_answers=bool(read_answers(model)),
            files=[ModelFile(name=name, size=entry.size) for name, entry in sorted(files.items())],
            members=member_reports(model_folder(store, project, model)),
        )

    @router.get("/confusion")
    def read_confusion(person: Viewer, project: str, model: str) -> ConfusionMap | None:
        """Read which labels the model mistakes for which; null for answers that are not single labels."""
        model_folder(store, project, model)
        return confusion_map(read_answers(model))

    @router.get("/answers")
    def list_answers(
        person: Viewer,
        project: str,
        model: str,
        wanted: str | None = None,
        answer: str | None = None,
        wrong: bool = False,
        offset: int = Query(0, ge=0),
        limit: int = Query(50, ge=1, le=200),
    ) -> AnswerPage:
        """List test rows with the model's answers, the surest first: of a cell of the confusion map, only wrong ones, or all."""
        model_folder(store, project, model)
        found = [one for one in read_answers(model) if _is_meant(one, wanted, answer, wrong)]
        found.sort(key=lambda one: -one.score)
        shown = found[offset : offset + limit]
        rows = store.rows(project)
        keys = [one.key for one in shown if one.key]
        now = {row.key: row for row in rows.page(0, len(keys), RowFilter(keys=keys))} if keys else {}
        return AnswerPage(total=len(found), answers=[_tested(one, now.get(one.key)) for one in shown])

    @router.get("/changes")
    def read_changes(person: Viewer, project: str, model: str, earlier: str | None = None) -> ModelComparison | None:
        """Compare a model with an earlier one, by default the one built before it; null where there is none."""
        model_folder(store, project, model)
        other = earlier or earlier_model(store, project, model)
        return None if other is None else compare_models(store, project, other, model, _MOST_CHANGES)

    @router.get("/operating-point")
    def read_point(person: Viewer, project: str, model: str) -> OperatingPoint | None:
        """Read from which score the model answers by itself; null where nothing was measured."""
        return project_point(store, store.project(project), model)

    @router.post("/operating-point")
    def choose_point(person: Builder, project: str, model: str, body: OperatingPointChoice) -> ProjectOverview:
        """Store from which score on the model is to answer by itself, in the project's settings, for serving."""
        return project_overview(choose_operating_point(store, project, model, body.threshold, body.wrong_cost, body.escalation_cost))

    @router.get("/exports")
    def list_exports(person: Viewer, project: str, model: str) -> list[ModelExport]:
        """List the programs that `smidgen export` writes models for, those that take this one first."""
        folder = model_folder(store, project, model)
        command = f"smidgen export {shlex.quote(str(folder))} --to"
        return [
            ModelExport(
                target=one.name, summary=one.summary, command="" if one.why else f"{command} {one.name}", why=one.why, todo=one.todo
            )
            for one in target_states(open_bundle(folder))
        ]

    @router.get("/files/{name:path}", response_class=FileResponse)
    def download_file(person: Viewer, project: str, model: str, name: str) -> FileResponse:
        """Download a file of the model's bundle."""
        file = bundle_file(model_folder(store, project, model), name)
        return FileResponse(file, filename=file.name, content_disposition_type="attachment")

    @router.get("/bundle.zip", response_class=StreamingResponse)
    def download_bundle(person: Viewer, project: str, model: str) -> StreamingResponse:
        """Download the whole bundle as a ZIP file."""
        folder = model_folder(store, project, model)
        name = _UNSAFE.sub("-", read_manifest(folder).name).strip("-.") or "model"
        headers = {"Content-Disposition": f'attachment; filename="{name}.zip"'}
        return StreamingResponse(zip_bundle(folder, name), media_type="application/zip", headers=headers)

    return router


def _is_meant(one: ModelAnswer, wanted: str | None, answer: str | None, wrong: bool) -> bool:
    labels: Sequence[str | None] = one.labels or (None, None)
    return wanted in (None, labels[0]) and answer in (None, labels[1]) and not (wrong and one.grade >= 1)


def _tested(one: ModelAnswer, now: DataRow | None) -> TestedAnswer:
    fields = {name: getattr(one, name) for name in ("key", "input", "second", "wanted", "answer", "score", "grade")}
    return TestedAnswer(**fields, now=now)


class CostQuery(BaseModel):
    """A question about costs; what is left out comes from the project and its model."""

    requests_per_day: float | None = Field(None, gt=0, le=1e9)
    model: str | None = Field(None, max_length=200, description=f"The large model to compare with; {OWN_MODEL!r} takes the prices here.")
    price_in: float | None = Field(None, ge=0, le=1e6, description="Dollars per million tokens that it reads.")
    price_out: float | None = Field(None, ge=0, le=1e6, description="Dollars per million tokens that it writes.")
    tokens_in: float | None = Field(None, ge=0, le=1e7)
    tokens_out: float | None = Field(None, ge=0, le=1e7)
    share: float | None = Field(None, ge=0, le=1, description="Part of the requests that is answered here.")
    machine_usd_per_hour: float | None = Field(None, ge=0, le=1e4)
    watts: float = Field(0.0, ge=0, le=1e5, description="Power that the machine takes.")
    usd_per_kwh: float = Field(0.0, ge=0, le=100)
    growth_percent: float = Field(0.0, ge=-50, le=100, description="By how much requests grow in a month.")
    months: int = Field(12, ge=1, le=60)
    run: str | None = Field(None, max_length=50, description="The model; the newest without it.")


def cost_routes(store: StudioStore) -> APIRouter:
    """The routes of costs."""
    router = APIRouter(prefix="/api/v1", tags=["costs"])

    @router.get("/prices")
    def list_prices(person: Viewer) -> list[PricedModel]:
        """List the large models of the shipped price list."""
        return large_models()

    @router.get("/projects/{project}/costs")
    def compute_costs(person: Viewer, project: str, query: Annotated[CostQuery, Query()]) -> ProjectCosts:
        """Compute when the project's model pays, and what it saves."""
        fields = query.model_dump()
        asked = CostQuestion(**{("bundle_run" if name == "run" else name): value for name, value in fields.items()})
        return project_costs(store, store.project(project), asked)

    return router
