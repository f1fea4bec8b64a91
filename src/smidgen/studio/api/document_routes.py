"""`/api/v1/projects/{project}/documents` and `/questions`: documents with their passages, questions about them, and testing one."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from smidgen.core.errors import InputError
from smidgen.studio.api.access import Editor, Viewer
from smidgen.studio.flows.documents.project_documents import ReadFile, read_files
from smidgen.studio.flows.documents.question_test import MEMBER, KeywordSearches, TestedQuestion, Verdict, ask_model
from smidgen.studio.flows.documents.questions import AskedRow, QuestionList, add_question, read_questions, write_questions
from smidgen.studio.flows.models.built_models import model_folder
from smidgen.studio.flows.models.open_models import OpenModels
from smidgen.studio.store.projects import StudioStore
from smidgen.studio.store.tables import StudioMissing

_MOST_PASSAGES = 500


class DocumentFileView(BaseModel):
    """A file of documents: what was read of it, or why it could not be."""

    name: str = Field(description="From the project's folder.")
    size: int
    changed: float = Field(description="Seconds since 1970.")
    title: str = Field(description="That of its first document.")
    documents: int
    passages: int
    pages: int | None = Field(description="The last page that a passage begins on; null without pages.")
    problem: str = Field(description="Why it could not be read; empty if it was.")


class DocumentsView(BaseModel):
    """All files of documents. `ids`: of all documents, for the answers of questions."""

    files: list[DocumentFileView]
    passages: int
    ids: list[str]


class PassageView(BaseModel):
    """A passage of a document."""

    document: str
    number: int
    title: str
    heading: str
    text: str
    page: int | None
    question: str = Field(description="Of a FAQ entry, its question.")


class ConsideredView(BaseModel):
    """A passage that may answer a question."""

    passage: PassageView
    start: int = Field(description="Where the words to quote begin, in characters of the passage.")
    end: int
    keywords: float = Field(description="How well its words fit; 1 for the best passage.")
    meaning: float | None = Field(description="How near its meaning is to the question's, at most 1; null without a model.")


class QuestionToTest(BaseModel):
    """A question, and the model to ask; without a model, keywords alone find passages."""

    question: str = Field(min_length=1, max_length=2_000)
    model: str | None = Field(None, max_length=100)


class TestedQuestionView(BaseModel):
    """The passages considered, and whether the first quotation would be given."""

    verdict: Verdict
    passages: list[ConsideredView]
    chance: float | None = Field(description="The probability that the first quotation is right; null without a model.")
    threshold: float | None = Field(description="From this probability on it is given.")


class AskedRowView(BaseModel):
    """A question with the words that answer it; null where the documents do not say."""

    question: str = Field(min_length=1, max_length=20_000)
    text: str | None = Field(None, max_length=20_000)
    document: str = Field("", max_length=2_000, description="The id of the document with the words; empty for any.")


class QuestionsView(BaseModel):
    """The questions that people ask, in order."""

    rows: list[AskedRowView]
    state: str = Field(description="A mark of the questions as they are now.")
    unreadable: int = Field(description="Lines of the file that are no questions.")


class QuestionsChange(BaseModel):
    """All questions anew. `state`: the mark that was read with them."""

    rows: list[AskedRowView] = Field(max_length=20_000)
    state: str = Field(max_length=100)


def document_routes(store: StudioStore, models: OpenModels) -> APIRouter:
    """The routes of documents and questions."""
    router = APIRouter(prefix="/api/v1/projects/{project}", tags=["documents"])
    searches = KeywordSearches()

    @router.get("/documents")
    def list_documents(person: Viewer, project: str) -> DocumentsView:
        """List the files of documents with what was read of each. A file that cannot be read is in the list with the reason."""
        found = read_files(store.project(project))
        ids = sorted({document.id for file in found for document in file.documents})
        return DocumentsView(files=[_file_view(file) for file in found], passages=sum(len(file.passages) for file in found), ids=ids)

    @router.get("/documents/passages")
    def list_passages(
        person: Viewer, project: str, name: str = Query(min_length=1, max_length=1_000), offset: int = Query(0, ge=0)
    ) -> list[PassageView]:
        """List passages of a file, at most 500 from an offset."""
        file = next((one for one in read_files(store.project(project)) if one.name == name), None)
        if file is None:
            raise StudioMissing("studio.there_is_no_such_file", value=name)
        return [_passage_view(passage) for passage in file.passages[offset : offset + _MOST_PASSAGES]]

    @router.post("/documents/test")
    def ask_documents(person: Viewer, project: str, body: QuestionToTest) -> TestedQuestionView:
        """Test a question: with a model as it was built, or by keywords on the documents as they are now."""
        found = store.project(project)
        if body.model is None:
            return _tested_view(searches.ask(read_files(found), body.question))
        folder = model_folder(store, project, body.model)
        own = folder / MEMBER if (folder / MEMBER).is_dir() else folder
        with models.using(own) as opened:
            return _tested_view(ask_model(opened, body.question))

    @router.get("/questions")
    def list_questions(person: Viewer, project: str) -> QuestionsView:
        """List the questions that teach and measure the model."""
        return _questions_view(read_questions(store.project(project)))

    @router.put("/questions")
    def change_questions(person: Editor, project: str, body: QuestionsChange) -> QuestionsView:
        """Replace all questions. Refused if somebody else has changed them since they were read."""
        rows = [AskedRow(row.question, row.text, row.document) for row in body.rows]
        return _questions_view(write_questions(store.project(project), rows, body.state))

    @router.post("/questions", status_code=201)
    def add_asked_question(person: Editor, project: str, body: AskedRowView) -> QuestionsView:
        """Add a question. One that is there already gets the new answer."""
        if not body.question.strip():
            raise InputError("studio.question_is_empty", value=body.question)
        return _questions_view(add_question(store.project(project), AskedRow(body.question.strip(), body.text, body.document)))

    return router


def _file_view(file: ReadFile) -> DocumentFileView:
    pages = [passage.page for passage in file.passages if passage.page is not None]
    return DocumentFileView(
        name=file.name,
        size=file.size,
        changed=file.changed,
        title=file.documents[0].title if file.documents else "",
        documents=len(file.documents),
        passages=len(file.passages),
        pages=max(pages, default=None),
        problem=file.problem,
    )


def _tested_view(found: TestedQuestion) -> TestedQuestionView:
    passages = [
        ConsideredView(passage=_passage_view(one.passage), **{name: getattr(one, name) for name in ("start", "end", "keywords", "meaning")})
        for one in found.passages
    ]
    return TestedQuestionView(verdict=found.verdict, passages=passages, chance=found.chance, threshold=found.threshold)


def _passage_view(passage: object) -> PassageView:
    return PassageView(**{name: getattr(passage, name) for name in PassageView.model_fields})


def _questions_view(found: QuestionList) -> QuestionsView:
    return QuestionsView(rows=[AskedRowView(**asdict(row)) for row in found.rows], state=found.state, unreadable=found.unreadable)
