"""Routes below `/api/v1/projects/{project}`: the first answer, what the check found and how it is mended, labelling."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from smidgen.core.errors import RequestError
from smidgen.studio.api.access import Editor, Viewer
from smidgen.studio.api.report_routes import OperatingPointView, point_view
from smidgen.studio.flows.costs import DAYS_A_MONTH, CostQuestion, Source, monthly_saving
from smidgen.studio.flows.data.findings import FindingItem, OpenFinding, Shape, keep_items, open_findings
from smidgen.studio.flows.data.labelling import MOST_ANSWERS, RowAnswer, answer_rows, label_queue
from smidgen.studio.flows.data.personal_data import MOST_ROWS as REDACTED_ROWS
from smidgen.studio.flows.data.personal_data import preview_redaction, redact_rows
from smidgen.studio.flows.look import ANSWER, newest_look, read_look
from smidgen.studio.flows.models.project_point import newest_model, project_point
from smidgen.studio.store.data_rows import DataRow, DataVersion
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


class LookView(BaseModel):
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
    point: OperatingPointView | None = Field(description="Where the newest model answers by itself; null without one.")
    seconds: float | None


class SavingView(BaseModel):
    """A month's cost with a large model alone, and with the small one before it, in US dollars."""

    share: float = Field(description="The share of requests that the small model answers.")
    share_from: Source
    requests: int
    model: str
    models: list[str]
    machine_usd_per_hour: float
    llm_usd: float
    both_usd: float
    saved: float
    assumptions: list[str]


class NameCount(BaseModel):
    """A label, and how many rows have it."""

    label: str
    rows: int


class FindingItemView(BaseModel):
    """One place of a finding that still holds."""

    id: str
    rows: list[DataRow]
    other: DataRow | None = Field(description="The row that the first one repeats.")
    names: list[NameCount]
    proposed: str | None
    chance: float | None = Field(description="The probability of the proposed label, or how similar two texts are.")
    why: str


class FindingView(BaseModel):
    """Something that the check found. `open` counts the items that still hold, `items` are the first of them."""

    kind: str
    severity: Literal["error", "warning", "note"]
    count: int
    text: str
    todo: str
    shape: Shape
    details: dict[str, Any]
    open: int
    items: list[FindingItemView]


class KeepRequest(BaseModel):
    """Items to keep as they are, or to show again."""

    ids: list[str] = Field(min_length=1, max_length=_MOST_IDS)
    kept: bool = True


class RedactRequest(BaseModel):
    """Rows whose personal data is replaced by placeholders; null for all in which the check finds some."""

    keys: list[int] | None = Field(None, min_length=1, max_length=REDACTED_ROWS)


class RedactedRowView(BaseModel):
    """A row before and after; `fault`: why it stays as it is."""

    key: int
    before: str
    after: str
    second_before: str | None
    second_after: str | None
    fault: str


class RedactionView(BaseModel):
    """The first rows as they would be, and how many are meant in all."""

    total: int
    most: int = Field(description="Rows that are changed at once.")
    rows: list[RedactedRowView]


class RedactedView(BaseModel):
    """Rows that were redacted, as one new version; null where nothing changed."""

    version: DataVersion | None
    left: int = Field(description="Rows that could not be made safe, and stay as they are.")
    faults: list[str]


class SuggestedLabel(BaseModel):
    """A label that a quick model gives, and its probability."""

    label: str
    chance: float


class QueuedRowView(BaseModel):
    """A row to label."""

    row: DataRow
    reason: Literal["unlabelled", "suspect"]
    suggestions: list[SuggestedLabel] = Field(description="The likeliest first.")


class LabelQueueView(BaseModel):
    """The next rows to label, and how many wait."""

    look: str | None
    since: int = Field(description="Rows that were labelled since that look.")
    unlabelled: int
    suspects: int
    rows: list[QueuedRowView]


class AnswerEntry(BaseModel):
    """An answer to a row; `undo` takes an earlier one back."""

    key: int
    output: Any
    undo: bool = False


class AnswersRequest(BaseModel):
    """Answers to rows, saved as one version."""

    answers: list[AnswerEntry] = Field(min_length=1, max_length=MOST_ANSWERS)


_NOTHING: dict[str, Any] = {"version": None, "rows": 0, "looked_at": 0, "unlabelled": 0, "by": None, "why_not": "", "seconds": None}


def _item(item: FindingItem) -> FindingItemView:
    return FindingItemView(
        id=item.id,
        rows=list(item.rows),
        other=item.other,
        names=[NameCount(label=label, rows=rows) for label, rows in item.names],
        proposed=item.proposed,
        chance=item.chance,
        why=item.why,
    )


def _finding(found: OpenFinding, most: int) -> FindingView:
    plain = {name: getattr(found, name) for name in ("kind", "severity", "count", "text", "todo", "shape")}
    return FindingView(**plain, details=dict(found.details), open=len(found.items), items=[_item(item) for item in found.items[:most]])


def look_routes(store: StudioStore) -> APIRouter:
    """The routes of looks, findings and labelling."""
    router = APIRouter(prefix="/api/v1/projects/{project}", tags=["look"])

    @router.get("/look")
    def read_first_answer(person: Viewer, project: str) -> LookView:
        """Read the first answer from the data, as far as it is known. A look starts by itself after an import."""
        head = store.project(project).version
        newest, told = newest_look(store, project)
        run = LookRun(id=newest.id, state=newest.state, error=dict(newest.error) if newest.error else None) if newest else None
        found = (read_look(told, ANSWER) if told is not None else None) or _NOTHING
        model = newest_model(store, project)
        point = None if model is None else project_point(store, store.project(project), model)
        return LookView(run=run, head=head, point=point_view(point), **{"answer": None, **found})

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
    ) -> SavingView:
        """Compute what the project's model saves a month, or before there is one, what the first answer would."""
        here = store.project(project)
        _, told = newest_look(store, project)
        found = read_look(told, ANSWER) if told is not None else None
        if (found is None or found.get("answer") is None) and newest_model(store, project) is None:
            raise RequestError("studio.there_is_no_first_answer_yet", value=project, status=409, code="no_answer")  # fmt: skip
        a_day = None if requests is None else requests / DAYS_A_MONTH
        asked = CostQuestion(requests_per_day=a_day, model=model, machine_usd_per_hour=machine_usd_per_hour, risk=risk)
        return SavingView(**asdict(monthly_saving(store, here, asked)))

    @router.get("/findings")
    def list_findings(person: Viewer, project: str, most: int = Query(50, ge=1, le=_MOST_ITEMS)) -> list[FindingView]:
        """List what the newest look found, the gravest first, with the items that still hold."""
        store.project(project)
        return [_finding(found, most) for found in open_findings(store, project)]

    @router.post("/findings/keep")
    def keep(person: Editor, project: str, body: KeepRequest) -> None:
        """Keep items as they are, so that they are not shown again; or show them again."""
        keep_items(store.project(project).id, body.ids, body.kept)

    @router.post("/personal-data/preview")
    def preview_placeholders(person: Editor, project: str, body: RedactRequest) -> RedactionView:
        """Show rows as they would be with placeholders for their personal data. Nothing is changed."""
        found = preview_redaction(store, project, body.keys)
        rows = [
            RedactedRowView(
                key=row.before.key,
                before=row.before.input,
                after=row.after.input,
                second_before=row.before.second,
                second_after=row.after.second,
                fault=row.fault,
            )
            for row in found.rows
        ]
        return RedactionView(total=found.total, most=REDACTED_ROWS, rows=rows)

    @router.post("/personal-data", status_code=201)
    def replace_personal_data(person: Editor, project: str, body: RedactRequest) -> RedactedView:
        """Replace the personal data in rows by placeholders, as one new version. Answers are not touched."""
        made, done = redact_rows(store, project, body.keys, person.name)
        left = sum(bool(row.fault) for row in done.rows)
        return RedactedView(version=made, left=left, faults=list(done.faults))

    @router.get("/label-queue")
    def read_label_queue(person: Viewer, project: str, most: int = Query(100, ge=1, le=MOST_ANSWERS)) -> LabelQueueView:
        """Read the next rows to label: those that look mislabelled, then those without an answer, the one that teaches most first."""
        store.project(project)
        queue = label_queue(store, project, most)
        rows = [
            QueuedRowView(
                row=one.row,
                reason=one.reason,
                suggestions=[SuggestedLabel(label=label, chance=chance) for label, chance in one.suggestions],
            )
            for one in queue.rows
        ]
        return LabelQueueView(look=queue.look, since=queue.since, unlabelled=queue.unlabelled, suspects=queue.suspects, rows=rows)

    @router.post("/answers", status_code=201)
    def save_answers(person: Editor, project: str, body: AnswersRequest) -> DataVersion | None:
        """Give rows their answers as one new version; null where nothing changed. An answer that a row has already confirms it."""
        answers = [RowAnswer(entry.key, entry.output, entry.undo) for entry in body.answers]
        made = answer_rows(store, project, answers, person.name)
        return made

    return router
