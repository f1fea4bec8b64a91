"""`/api/v1/projects/{project}/documents` and `/questions`: documents with their passages, questions about them, and testing one."""

from __future__ import annotations

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from smidgen.core.errors import InputError
from smidgen.studio.api.access import Editor, Viewer
from smidgen.studio.flows.documents.project_documents import ReadFile, ShownPassage, read_files, shown_passage
from smidgen.studio.flows.documents.question_test import MEMBER, KeywordSearches, TestedQuestion, ask_model
from smidgen.studio.flows.documents.questions import AskedRow, QuestionList, add_question, read_questions, write_questions
from smidgen.studio.flows.models.built_models import model_folder
from smidgen.studio.flows.models.open_models import OpenModels
from smidgen.studio.store.projects import StudioStore
from smidgen.studio.store.tables import StudioMissing

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
