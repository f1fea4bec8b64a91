"""Routes below `/api/v1/projects/{project}`: the first answer, what the check found and how it is mended, labelling."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from smidgen.core.errors import RequestError
from smidgen.flows.operating_point import OperatingPoint
from smidgen.studio.api.access import Editor, Viewer
from smidgen.studio.flows.costs import DAYS_A_MONTH, CostQuestion, MonthlySaving, monthly_saving
from smidgen.studio.flows.data.findings import OpenFinding, keep_items, open_findings
from smidgen.studio.flows.data.labelling import MOST_ANSWERS, LabelQueue, RowAnswer, answer_rows, label_queue
from smidgen.studio.flows.data.personal_data import MOST_ROWS as REDACTED_ROWS
from smidgen.studio.flows.data.personal_data import preview_redaction, redact_rows
from smidgen.studio.flows.look import ANSWER, newest_look, read_look
from smidgen.studio.flows.models.project_point import newest_model, project_point
from smidgen.studio.store.data_rows import DataVersion
from smidgen.studio.store.projects import StudioStore
from smidgen.studio.store.runs import RunState

_MOST_ITEMS = 1_000
_MOST_IDS = 10_000


class MeasuredShare(BaseModel):
    """A share with its 95 % interval."""

    value: float
    low: float
    high: float


class RiskPoint(BaseModel):
    """How many rows would be answered if at most a share of `risk` of the answers may be wrong."""

    risk: float
    coverage: float = Field(description="The share of rows that would be answered; 0 where too few rows can show the risk.")
    wrong: float = Field(description="The share of wrong answers that was seen among them.")
    threshold: float | None = Field(description="The least score of an answer; null where the risk cannot be shown.")
    needed: int | None = Field(None, description="Where it cannot: about how many rows it takes; null where no number would do.")


class FirstAnswer(BaseModel):
    """The answers of a quick model that had not seen the rows."""

    on: Literal["tests", "rows"] = Field("rows", description="Measured on the project's test rows, or on its rows one by one.")
    measured: int = Field(description="Rows on which it was measured: without repeated ones.")
    labels: int
    accuracy: MeasuredShare
    points: list[RiskPoint]
    curve: list[list[float]] = Field(description="Share answered and share wrong among them, from few answers to all.")
    confidence: float = Field(description="The confidence of each point.")
    tokens_in: float = Field(description="Tokens that a large model would read for one request.")
    tokens_out: float = Field(description="Tokens that it would write.")


class LookRun(BaseModel):
    """The newest look at the data."""

    id: str
    state: RunState
    error: dict[str, Any] | None


class DataLook(BaseModel):
    """The first answer from the data: the newest look, and what the newest one that has told its answer said."""

    run: LookRun | None = Field(description="The newest look; null before the first one.")
    version: int | None = Field(description="The version of the data that the answer is about; null before the first answer.")
    head: int = Field(description="The newest version of the data.")
    rows: int
    looked_at: int = Field(description="Rows that were read: of very many, a part.")
    unlabelled: int
    by: Literal["meaning", "words"] | None = Field(description="Whether texts are compared by meaning, or by their words alone.")
    why_not: str = Field(description="Why there is no answer: few_rows, one_label, many_labels, other_task; empty where there is one.")
    answer: FirstAnswer | None
    point: OperatingPoint | None = Field(description="Where the newest model answers by itself; null without one.")
    seconds: float | None


class KeepRequest(BaseModel):
    """Items to keep as they are, or to show again."""

    ids: list[str] = Field(min_length=1, max_length=_MOST_IDS)
    kept: bool = True


class RedactRequest(BaseModel):
    """Rows whose personal data is replaced by placeholders; null for all in which the check finds some."""

    keys: list[int] | None = Field(None, min_length=1, max_length=REDACTED_ROWS)


class RowPreview(BaseModel):
    """A row before and after; `fault`: why it stays as it is."""

    key: int
    before: str
    after: str
    second_before: str | None
    second_after: str | None
    fault: str


class RedactionPreview(BaseModel):
    """The first rows as they would be, and how many are meant in all."""

    total: int
    most: int = Field(description="Rows that are changed at once.")
    rows: list[RowPreview]


class AppliedRedaction(BaseModel):
    """Rows that were redacted, as one new version; null where nothing changed."""

    version: DataVersion | None
    left: int = Field(description="Rows that could not be made safe, and stay as they are.")
    faults: list[str]


class AnswerEntry(BaseModel):
    """An answer to a row; `undo` takes an earlier one back."""

    key: int
    output: Any
    undo: bool = False


class AnswersRequest(BaseModel):
    """Answers to rows, saved as one version."""

    answers: list[AnswerEntry] = Field(min_length=1, max_length=MOST_ANSWERS)


_NOTHING: dict[str, Any] = {"version": None, "rows": 0, "looked_at": 0, "unlabelled": 0, "by": None, "why_not": "", "seconds": None}


def look_routes(store: StudioStore) -> APIRouter:
    """The routes of looks, findings and labelling."""
    router = APIRouter(prefix="/api/v1/projects/{project}", tags=["look"])

    @router.get("/look")
    def read_first_answer(person: Viewer, project: str) -> DataLook:
        """Read the first answer from the data, as far as it is known. A look starts by itself after an import."""
        head = store.project(project).version
        newest, told = newest_look(store, project)
        run = LookRun(id=newest.id, state=newest.state, error=dict(newest.error) if newest.error else None) if newest else None
        found = (read_look(told, ANSWER) if told is not None else None) or _NOTHING
        model = newest_model(store, project)
        point = None if model is None else project_point(store, store.project(project), model)
        return DataLook(run=run, head=head, point=point, **{"answer": None, **found})

    @router.get("/look/saving")
    def read_saving(
        person: Viewer,
        project: str,
        risk: float | None = Query(None, gt=0, lt=1, description="The share of wrong answers that is allowed."),
        requests: int | None = Query(None, ge=1, le=10**9, description="Requests a month; as the project assumes without it."),
        model: str | None = Query(None, max_length=200, description="The large model, as the price list names it."),
        machine_usd_per_hour: float | None = Query(
            None, ge=0, le=1e4, description="What the small model's machine costs; 0 for one that you have."
        ),
    ) -> MonthlySaving:
        """Compute what the project's model saves a month, or before there is one, what the first answer would."""
        here = store.project(project)
        _, told = newest_look(store, project)
        found = read_look(told, ANSWER) if told is not None else None
        if (found is None or found.get("answer") is None) and newest_model(store, project) is None:
            raise RequestError("studio.there_is_no_first_answer_yet", value=project, status=409, code="no_answer")  # fmt: skip
        a_day = None if requests is None else requests / DAYS_A_MONTH
        asked = CostQuestion(requests_per_day=a_day, model=model, machine_usd_per_hour=machine_usd_per_hour, risk=risk)
        return monthly_saving(store, here, asked)

    @router.get("/findings")
    def list_findings(person: Viewer, project: str, most: int = Query(50, ge=1, le=_MOST_ITEMS)) -> list[OpenFinding]:
        """List what the newest look found, the gravest first, with the items that still hold."""
        store.project(project)
        return [replace(found, items=found.items[:most]) for found in open_findings(store, project)]

    @router.post("/findings/keep")
    def keep(person: Editor, project: str, body: KeepRequest) -> None:
        """Keep items as they are, so that they are not shown again; or show them again."""
        keep_items(store.project(project).id, body.ids, body.kept)

    @router.post("/personal-data/preview")
    def preview_placeholders(person: Editor, project: str, body: RedactRequest) -> RedactionPreview:
        """Show rows as they would be with placeholders for their personal data. Nothing is changed."""
        found = preview_redaction(store, project, body.keys)
        rows = [
            RowPreview(
                key=row.before.key,
                before=row.before.input,
                after=row.after.input,
                second_before=row.before.second,
                second_after=row.after.second,
                fault=row.fault,
            )
            for row in found.rows
        ]
        return RedactionPreview(total=found.total, most=REDACTED_ROWS, rows=rows)

    @router.post("/personal-data", status_code=201)
    def replace_personal_data(person: Editor, project: str, body: RedactRequest) -> AppliedRedaction:
        """Replace the personal data in rows by placeholders, as one new version. Answers are not touched."""
        made, done = redact_rows(store, project, body.keys, person.name)
        left = sum(bool(row.fault) for row in done.rows)
        return AppliedRedaction(version=made, left=left, faults=list(done.faults))

    @router.get("/label-queue")
    def read_label_queue(person: Viewer, project: str, most: int = Query(100, ge=1, le=MOST_ANSWERS)) -> LabelQueue:
        """Read the next rows to label: those that look mislabelled, then those without an answer, the one that teaches most first."""
        store.project(project)
        return label_queue(store, project, most)

    @router.post("/answers", status_code=201)
    def save_answers(person: Editor, project: str, body: AnswersRequest) -> DataVersion | None:
        """Give rows their answers as one new version; null where nothing changed. An answer that a row has already confirms it."""
        answers = [RowAnswer(entry.key, entry.output, entry.undo) for entry in body.answers]
        made = answer_rows(store, project, answers, person.name)
        return made

    return router
