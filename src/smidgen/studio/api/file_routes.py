"""`/api/v1/projects/{project}/material`, `/files`, `/documents` and `/questions`: the files of a project that is no table."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from smidgen.core.errors import InputError
from smidgen.flows.recipe_files import MaterialKind
from smidgen.flows.table_columns import TableColumns
from smidgen.studio.api.access import Editor, Viewer
from smidgen.studio.api.uploads import FILE_BODY, receive_file
from smidgen.studio.flows.data.uploads import forget_upload, new_upload
from smidgen.studio.flows.documents.project_documents import ReadFile, ShownPassage, TakenFiles, read_files, shown_passage, take_documents
from smidgen.studio.flows.documents.question_test import MEMBER, KeywordSearches, TestedQuestion, ask_model
from smidgen.studio.flows.documents.questions import AskedRow, QuestionList, add_question, read_questions, write_questions
from smidgen.studio.flows.material import (
    MOST_FILE_BYTES,
    ProjectFile,
    delete_file,
    files_named_by_recipes,
    files_of,
    material_name,
    read_file,
    write_file,
)
from smidgen.studio.flows.material_state import MaterialState, material_state
from smidgen.studio.flows.models.built_models import model_folder
from smidgen.studio.flows.models.open_models import OpenModels
from smidgen.studio.flows.table_columns import choose_columns, project_columns, take_table
from smidgen.studio.store.projects import StudioStore
from smidgen.studio.store.tables import StudioMissing

_UNPLAIN = re.compile(r"[^A-Za-z0-9_.-]")
_MOST_TEXT = 2_000_000
_MOST_ZIP = 1 << 30

FileName = Annotated[str, Query(min_length=1, max_length=1_000)]


class ProjectFileText(BaseModel):
    """The text of a file."""

    text: str = Field(max_length=_MOST_TEXT)


class ColumnsChange(BaseModel):
    """The columns of a table by role."""

    kind: MaterialKind
    chosen: dict[str, Annotated[str, Field(max_length=500)]] = Field(max_length=10)


def file_routes(store: StudioStore) -> APIRouter:
    """The routes of a project's files."""
    router = APIRouter(prefix="/api/v1/projects/{project}", tags=["files"])

    @router.get("/material")
    def read_material(person: Viewer, project: str) -> MaterialState:
        """Read what is there of each kind of files, and what to do next. A project of rows has no kinds."""
        return material_state(store, store.project(project))

    @router.get("/files")
    def list_files(person: Viewer, project: str) -> list[ProjectFile]:
        """List the project's files."""
        found = store.project(project)
        named = files_named_by_recipes(found)
        return [replace(file, named=file.name in named) for file in files_of(found)]

    @router.get("/files/text")
    def read_file_text(person: Viewer, project: str, name: FileName) -> ProjectFileText:
        """Read a text file of at most two million characters."""
        try:
            return ProjectFileText(text=read_file(store.project(project), name, _MOST_TEXT).decode("utf-8-sig"))
        except UnicodeDecodeError:
            raise InputError("studio.file_is_no_text", value=name) from None

    @router.put("/files/text")
    def write_file_text(person: Editor, project: str, name: FileName, body: ProjectFileText) -> ProjectFile:
        """Write a text file, new or in place of the one that is there."""
        return write_file(store.project(project), name, body.text.encode())

    @router.get("/files/content", response_class=Response)
    def download_file(person: Viewer, project: str, name: FileName) -> Response:
        """Download a file."""
        content = read_file(store.project(project), name)
        plain = _UNPLAIN.sub("_", PurePosixPath(name).name)
        headers = {"Content-Disposition": f'attachment; filename="{plain}"', "Cache-Control": "no-store"}
        return Response(content, media_type="application/octet-stream", headers=headers)

    @router.post("/files/uploads", status_code=201, openapi_extra=FILE_BODY)
    async def send_file(person: Editor, request: Request, project: str, name: FileName, kind: MaterialKind) -> TakenFiles:
        """Send a file of a kind. Documents are added by name, those of a ZIP file one by one; others replace their one file."""
        found = store.project(project)
        material_name(found, kind)  # refuses a kind that the project has not, before anything is sent
        if kind == "repository":
            raise InputError("studio.source_files_are_not_sent_one_by_one", value=name)
        file, _ = new_upload(PurePosixPath(name).name)
        most = _MOST_ZIP if name.lower().endswith(".zip") else MOST_FILE_BYTES
        try:
            await receive_file(request, file, most, "studio.file_is_larger_than_mb")
            if kind == "documents":
                return await run_in_threadpool(take_documents, found, file, name)
            place = await run_in_threadpool(take_table, found, kind, file)
        finally:
            forget_upload(file)
        return TakenFiles((place,), ())

    @router.get("/columns")
    def read_columns(person: Viewer, project: str) -> list[TableColumns]:
        """Read which column of each table is what: chosen by people, or guessed by its name and content."""
        return project_columns(store.project(project))

    @router.put("/columns")
    def change_columns(person: Editor, project: str, body: ColumnsChange) -> list[TableColumns]:
        """Choose the columns of a table. An empty name leaves the choice to the guess."""
        return choose_columns(store, store.project(project), body.kind, body.chosen)

    @router.delete("/files", status_code=204)
    def remove_file(person: Editor, project: str, name: FileName) -> None:
        """Delete a file."""
        delete_file(store.project(project), name)

    return router


_MOST_PASSAGES = 500


class DocumentFile(BaseModel):
    """A file of documents: what was read of it, or why it could not be."""

    name: str = Field(description="From the project's folder.")
    size: int
    changed: float = Field(description="Seconds since 1970.")
    title: str = Field(description="That of its first document.")
    documents: int
    passages: int
    pages: int | None = Field(description="The last page that a passage begins on; null without pages.")
    problem: str = Field(description="Why it could not be read; empty if it was.")


class ProjectDocuments(BaseModel):
    """All files of documents. `ids`: of all documents, for the answers of questions."""

    files: list[DocumentFile]
    passages: int
    ids: list[str]


class QuestionToTest(BaseModel):
    """A question, and the model to ask; without a model, keywords alone find passages."""

    question: str = Field(min_length=1, max_length=2_000)
    model: str | None = Field(None, max_length=100)


class QuestionEntry(BaseModel):
    """A question with the words that answer it; null where the documents do not say."""

    question: str = Field(min_length=1, max_length=20_000)
    text: str | None = Field(None, max_length=20_000)
    document: str = Field("", max_length=2_000, description="The id of the document with the words; empty for any.")


class QuestionsChange(BaseModel):
    """All questions anew. `state`: the mark that was read with them."""

    rows: list[QuestionEntry] = Field(max_length=20_000)
    state: str = Field(max_length=100)


def document_routes(store: StudioStore, models: OpenModels) -> APIRouter:
    """The routes of documents and questions."""
    router = APIRouter(prefix="/api/v1/projects/{project}", tags=["documents"])
    searches = KeywordSearches()

    @router.get("/documents")
    def list_documents(person: Viewer, project: str) -> ProjectDocuments:
        """List the files of documents with what was read of each. A file that cannot be read is in the list with the reason."""
        found = read_files(store.project(project))
        ids = sorted({document.id for file in found for document in file.documents})
        return ProjectDocuments(files=[_document_file(file) for file in found], passages=sum(len(file.passages) for file in found), ids=ids)

    @router.get("/documents/passages")
    def list_passages(
        person: Viewer, project: str, name: str = Query(min_length=1, max_length=1_000), offset: int = Query(0, ge=0)
    ) -> list[ShownPassage]:
        """List passages of a file, at most 500 from an offset."""
        file = next((one for one in read_files(store.project(project)) if one.name == name), None)
        if file is None:
            raise StudioMissing("studio.there_is_no_such_file", value=name)
        return [shown_passage(passage) for passage in file.passages[offset : offset + _MOST_PASSAGES]]

    @router.post("/documents/test")
    def ask_documents(person: Viewer, project: str, body: QuestionToTest) -> TestedQuestion:
        """Test a question: with a model as it was built, or by keywords on the documents as they are now."""
        found = store.project(project)
        if body.model is None:
            return searches.ask(read_files(found), body.question)
        folder = model_folder(store, project, body.model)
        own = folder / MEMBER if (folder / MEMBER).is_dir() else folder
        with models.using(own) as opened:
            return ask_model(opened, body.question)

    @router.get("/questions")
    def list_questions(person: Viewer, project: str) -> QuestionList:
        """List the questions that teach and measure the model."""
        return read_questions(store.project(project))

    @router.put("/questions")
    def change_questions(person: Editor, project: str, body: QuestionsChange) -> QuestionList:
        """Replace all questions. Refused if somebody else has changed them since they were read."""
        rows = [AskedRow(row.question, row.text, row.document) for row in body.rows]
        return write_questions(store.project(project), rows, body.state)

    @router.post("/questions", status_code=201)
    def add_asked_question(person: Editor, project: str, body: QuestionEntry) -> QuestionList:
        """Add a question. One that is there already gets the new answer."""
        if not body.question.strip():
            raise InputError("studio.question_is_empty", value=body.question)
        return add_question(store.project(project), AskedRow(body.question.strip(), body.text, body.document))

    return router


def _document_file(file: ReadFile) -> DocumentFile:
    pages = [passage.page for passage in file.passages if passage.page is not None]
    return DocumentFile(
        name=file.name,
        size=file.size,
        changed=file.changed,
        title=file.documents[0].title if file.documents else "",
        documents=len(file.documents),
        passages=len(file.passages),
        pages=max(pages, default=None),
        problem=file.problem,
    )
