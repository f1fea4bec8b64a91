"""`/api/v1/projects/{project}/models/{model}/…`: try a model, correct it, and compare it with a large one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, TypeAdapter
from starlette.responses import FileResponse, StreamingResponse

from smidgen.core.errors import RequestError, SmidgenError
from smidgen.core.parts import dialogue_text
from smidgen.core.rows import Text
from smidgen.flows.local_model import Model
from smidgen.server.models import takes_pairs
from smidgen.studio.api.access import Builder, Editor, Viewer
from smidgen.studio.flows import answer_file
from smidgen.studio.flows.data import review
from smidgen.studio.flows.data.review import Correction
from smidgen.studio.flows.models import answering, large_model
from smidgen.studio.flows.models.answering import LONGEST_TEXT, AnsweringFacts, TriedAnswer, WrittenPiece
from smidgen.studio.flows.models.built_models import model_folder
from smidgen.studio.flows.models.call_words import call_in_words
from smidgen.studio.flows.models.large_model import LargeAnswer
from smidgen.studio.flows.models.open_models import OpenModels
from smidgen.studio.flows.models.project_point import project_point
from smidgen.studio.flows.run_process import parts_of_error
from smidgen.studio.flows.serving.shown import shown_kind
from smidgen.studio.store.projects import StudioStore

_MOST_TEXTS = 50
_MOST_LARGE = 20
_ANSWER = TypeAdapter(TriedAnswer)


class TriedText(BaseModel):
    """A text to try."""

    text: str = Field(min_length=1, max_length=LONGEST_TEXT)
    second: str | None = Field(None, max_length=LONGEST_TEXT, description="The second text, for a model of pairs.")
    earlier: list[Annotated[str, Field(max_length=LONGEST_TEXT)]] | None = Field(
        None, max_length=_MOST_TEXTS, description="What the same person said before, for a model that converses."
    )


class AnswerRequest(BaseModel):
    """Texts to answer."""

    texts: list[TriedText] = Field(min_length=1, max_length=_MOST_TEXTS)
    explain: bool = Field(False, description="Say which words mattered. For a single text.")
    language: str | None = Field(None, max_length=10, description="Of the words for a call; empty for any.")


class LargeRequest(BaseModel):
    """Texts for a large model. The key is sent to that server and stored nowhere."""

    url: str = Field(min_length=1, max_length=500, description="Base URL of an OpenAI-compatible server.")
    model: str = Field(min_length=1, max_length=200)
    key: str = Field("", max_length=500)
    texts: list[TriedText] = Field(min_length=1, max_length=_MOST_LARGE)


class CorrectionRequest(BaseModel):
    """The right answer to a text."""

    text: str = Field(min_length=1, max_length=LONGEST_TEXT)
    second: str | None = Field(None, max_length=LONGEST_TEXT)
    output: Any


class AnsweredRows(BaseModel):
    """The first rows of an answered file: its own columns, then the answer, its score, and the error of a row without one."""

    rows: list[dict[str, Any]]


def try_routes(store: StudioStore, models: OpenModels) -> APIRouter:
    """The routes of trying a model."""
    router = APIRouter(prefix="/api/v1/projects/{project}", tags=["try"])

    @router.get("/models/{model}/answering")
    def read_answering(person: Viewer, project: str, model: str) -> AnsweringFacts:
        """Read what can be tried with a model, and the score from which it answers by itself."""
        point = project_point(store, store.project(project), model)
        return answering.answering_facts(model_folder(store, project, model), point)

    @router.post("/models/{model}/answer")
    def answer(person: Viewer, project: str, model: str, body: AnswerRequest) -> list[TriedAnswer]:
        """Answer texts, in order. The model stays loaded for the next call."""
        if body.explain and len(body.texts) > 1:
            raise RequestError("studio.explanation_needs_single_text", texts=len(body.texts), param="explain")
        folder = model_folder(store, project, model)
        threshold = _threshold(store, project, model)
        here = store.project(project)
        with models.using(folder) as opened:
            texts = _texts(opened, body.texts)
            kind = shown_kind(opened.manifest.engine.engine)
            found = (kind.answers(here, opened, texts) if kind is not None else None) or answering.answer(
                opened, texts, threshold, body.explain
            )
        calls = [call_in_words(here, one.output, body.language or "") for one in found]
        return [replace(one, call_words=words, call_exact=exact) for one, (words, exact) in zip(found, calls, strict=True)]

    @router.post("/models/{model}/stream", response_class=StreamingResponse)
    def stream(person: Viewer, project: str, model: str, body: TriedText) -> StreamingResponse:
        """Write a text as server-sent events: `piece` for each addition, then `answer`, or `failed` with the reason."""
        folder = model_folder(store, project, model)
        threshold = _threshold(store, project, model)
        return StreamingResponse(
            _written(models, folder, body, threshold), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    @router.post("/models/{model}/large")
    def ask_large_model(person: Builder, project: str, model: str, body: LargeRequest) -> list[LargeAnswer]:
        """Ask a large model to do the job of this one on some texts, which leave this machine for its server."""
        large = large_model.LargeModel(body.url.strip(), body.model.strip(), body.key.strip())
        with models.using(model_folder(store, project, model)) as opened:
            return large_model.ask_large(opened, _texts(opened, body.texts), large)

    @router.get("/answer-files/{run}")
    def read_answers(person: Viewer, project: str, run: str, limit: int = Query(50, ge=1, le=500)) -> AnsweredRows:
        """Read the first rows of an answered file. The run `answer-file` made it from an upload; it is kept for a day."""
        return AnsweredRows(rows=answer_file.first_answers(store, project, run, limit))

    @router.get("/answer-files/{run}/{format}", response_class=FileResponse)
    def download_answers(person: Viewer, project: str, run: str, format: Literal["csv", "jsonl", "xlsx"]) -> FileResponse:
        """Download an answered file. In a CSV a cell that a spreadsheet would compute gets an apostrophe in front."""
        file = answer_file.answers_of(store, project, run, format)
        return FileResponse(
            file, media_type="application/octet-stream", filename=f"answers.{format}", headers={"Cache-Control": "no-store"}
        )

    @router.delete("/answer-files/{run}", status_code=204)
    def delete_answers(person: Builder, project: str, run: str) -> None:
        """Delete an answered file from this machine."""
        answer_file.forget_answers(store, project, run)

    @router.post("/corrections", status_code=201)
    def correct(person: Editor, project: str, body: CorrectionRequest) -> Correction:
        """Write down the right answer to a text: rows with this text get it, or a new row is added. Undo takes it back."""
        return review.correct(store.rows(project), store.project(project), body.text, body.second, body.output, person.name)

    return router


def _threshold(store: StudioStore, project: str, model: str) -> float | None:
    point = project_point(store, store.project(project), model)
    return None if point is None else point.threshold


def _texts(model: Model, texts: Sequence[TriedText]) -> list[Text]:
    pairs = takes_pairs(model)
    return [(one.text, one.second or "") if pairs else _said(model, one) if one.earlier else one.text for one in texts]


def _said(model: Model, one: TriedText) -> Text:
    """A message with what was said before it, as the model reads conversations; the message alone if it reads none."""
    messages = [{"role": "user", "content": said} for said in (*(one.earlier or ()), one.text)]
    return dialogue_text(model.task, messages) or one.text


def _written(models: OpenModels, folder: Path, body: TriedText, threshold: float | None) -> Iterator[str]:
    try:
        with models.using(folder) as opened:
            for part in answering.write(opened, _texts(opened, [body])[0], threshold):
                if isinstance(part, WrittenPiece):
                    yield _event("piece", {"text": part.text, "tokens": part.tokens, "seconds": round(part.seconds, 4)})
                else:
                    yield _event("answer", _ANSWER.dump_python(part, mode="json"))
    except SmidgenError as error:
        yield _event("failed", {"message": str(error), **parts_of_error(error)})


def _event(kind: str, body: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps(body, ensure_ascii=False)}\n\n"
