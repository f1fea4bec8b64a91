"""`/api/v1/projects/{project}/code` and `…/models/{model}/code`: explain an error, write tests, find a bug."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from smidgen.code.studio.code_trial import (
    BugTraces,
    ErrorExplanation,
    FunctionTests,
    PythonSubject,
    bug_in_file,
    explain_error,
    python_subjects,
    tests_of_function,
)
from smidgen.studio.api.access import Builder, Viewer
from smidgen.studio.api.host import StudioHost
from smidgen.studio.flows.models.built_models import model_folder

_MOST_TEXT = 200_000
CodePath = Annotated[str, Field(min_length=1, max_length=1_000)]


class Traceback(BaseModel):
    """A text with a traceback of Python, or what pytest prints."""

    text: str = Field(min_length=1, max_length=_MOST_TEXT)


class TestedFunction(BaseModel):
    """A function to write tests for."""

    file: CodePath
    function: str = Field(min_length=1, max_length=200)


class BugSearch(BaseModel):
    """A file that may hold a bug, and tests some of which fail: files of the repository, or one that is given as text."""

    file: CodePath
    tests: list[CodePath] = Field(default_factory=list, max_length=20)
    given: str = Field("", max_length=_MOST_TEXT)


def code_routes(host: StudioHost) -> APIRouter:
    """The routes of help with code."""
    store, models = host.store, host.models
    router = APIRouter(prefix="/api/v1/projects/{project}", tags=["try"])

    @router.get("/code")
    def list_files(person: Viewer, project: str) -> list[PythonSubject]:
        """List the Python files of the repository, with their functions."""
        return python_subjects(store.project(project))

    @router.post("/code/explain")
    def explain(person: Viewer, project: str, body: Traceback) -> list[ErrorExplanation]:
        """Explain the last traceback in a text. Nothing is run, and no model is asked."""
        return explain_error(store.project(project), body.text)

    @router.post("/models/{model}/code/tests")
    def write_tests(person: Builder, project: str, model: str, body: TestedFunction) -> FunctionTests:
        """Write tests of a function. They are run in a sandbox; one that does not hold, or notices no fault, is thrown away."""
        with models.using(model_folder(store, project, model)) as opened:
            return tests_of_function(store.project(project), opened, body.file, body.function)

    @router.post("/models/{model}/code/bug")
    def search_bug(person: Builder, project: str, model: str, body: BugSearch) -> BugTraces:
        """Rank the lines of a file that failing tests run, and look for a change of one line with which every test passes."""
        with models.using(model_folder(store, project, model)) as opened:
            return bug_in_file(store.project(project), opened, body.file, body.tests, body.given)

    return router


part = code_routes
