"""`/api/v1/projects/{project}/code` and `…/models/{model}/code`: explain an error, write tests, find a bug."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from smidgen.code.flows.explanation import ExplainedError, excerpt
from smidgen.code.flows.fault import FoundBug
from smidgen.code.flows.made_tests import MadeTests, written_file
from smidgen.code.studio.code_trial import bug_in_file, explain_error, python_subjects, tests_of_function
from smidgen.studio.api.access import Builder, Viewer
from smidgen.studio.api.host import StudioHost
from smidgen.studio.flows.models.built_models import model_folder

_MOST_TEXT = 200_000
_MOST_SUSPECTS, _MOST_REPAIRS = 5, 3
CodePath = Annotated[str, Field(min_length=1, max_length=1_000)]


class PythonFileView(BaseModel):
    """A Python file of the repository."""

    path: str
    functions: list[str] = Field(description="Its public functions at the top.")
    tests: bool = Field(description="Whether pytest reads it as tests.")


class Traceback(BaseModel):
    """A text with a traceback of Python, or what pytest prints."""

    text: str = Field(min_length=1, max_length=_MOST_TEXT)


class CodeLine(BaseModel):
    """A line of a file with its number."""

    number: int
    text: str


class ErrorPlaceView(BaseModel):
    """A line of one's own code that an error went through, with the lines around it; none where the file was changed since."""

    file: str
    line: int
    function: str
    lines: list[CodeLine]


class ExplainedErrorView(BaseModel):
    """An error, the own lines that it went through, the innermost first, and what message and source show of its cause."""

    error: str
    message: str
    link: str = Field(description="How it came of the error before it; empty for the first.")
    places: list[ErrorPlaceView]
    causes: list[str]
    remarks: list[str]


class TestedFunction(BaseModel):
    """A function to write tests for."""

    file: CodePath
    function: str = Field(min_length=1, max_length=200)


class MadeTestsView(BaseModel):
    """Tests that hold on the code, twice, and notice a fault that is put into it."""

    code: str = Field(description="A test file; empty if no test held.")
    tests: int
    thrown: dict[str, int] = Field(description="How many others were thrown away, by reason.")
    noticed: int = Field(description="How many of the faults they notice.")
    faults: int = Field(description="Small faults that were put into the function.")


class BugSearch(BaseModel):
    """A file that may hold a bug, and tests some of which fail: files of the repository, or one that is given as text."""

    file: CodePath
    tests: list[CodePath] = Field(default_factory=list, max_length=20)
    given: str = Field("", max_length=_MOST_TEXT)


class FailingTestView(BaseModel):
    """A test that fails, and the line that tells why."""

    name: str
    said: str


class RepairView(BaseModel):
    """A change of one line with which every test passes. `before`: the line as it is; empty where one is inserted."""

    line: int
    before: str
    after: str


class FoundBugView(BaseModel):
    """The traces of a bug: the likeliest lines, and changes of one line with which every test passes."""

    file: str
    failing: list[FailingTestView]
    passing: int
    suspects: list[CodeLine]
    repairs: list[RepairView]
    others: int = Field(description="Further changes that pass every test.")
    tried: int = Field(description="Changes that were run.")
    seconds: float


def code_routes(host: StudioHost) -> APIRouter:
    """The routes of help with code."""
    store, models = host.store, host.models
    router = APIRouter(prefix="/api/v1/projects/{project}", tags=["try"])

    @router.get("/code")
    def list_files(person: Viewer, project: str) -> list[PythonFileView]:
        """List the Python files of the repository, with their functions."""
        found = python_subjects(store.project(project))
        return [PythonFileView(path=one.path, functions=list(one.functions), tests=one.tests) for one in found]

    @router.post("/code/explain")
    def explain(person: Viewer, project: str, body: Traceback) -> list[ExplainedErrorView]:
        """Explain the last traceback in a text. Nothing is run, and no model is asked."""
        return [_error_view(one) for one in explain_error(store.project(project), body.text)]

    @router.post("/models/{model}/code/tests")
    def write_tests(person: Builder, project: str, model: str, body: TestedFunction) -> MadeTestsView:
        """Write tests of a function. They are run in a sandbox; one that does not hold, or notices no fault, is thrown away."""
        with models.using(model_folder(store, project, model)) as opened:
            return _tests_view(tests_of_function(store.project(project), opened, body.file, body.function))

    @router.post("/models/{model}/code/bug")
    def search_bug(person: Builder, project: str, model: str, body: BugSearch) -> FoundBugView:
        """Rank the lines of a file that failing tests run, and look for a change of one line with which every test passes."""
        with models.using(model_folder(store, project, model)) as opened:
            return _bug_view(bug_in_file(store.project(project), opened, body.file, body.tests, body.given))

    return router


def _error_view(found: ExplainedError) -> ExplainedErrorView:
    places = [
        ErrorPlaceView(
            file=place.file.path,
            line=place.line,
            function=place.frame.function if place.frame.function != "<module>" else "",
            lines=[CodeLine(number=number, text=text) for number, text in excerpt(place)] if not place.changed else [],
        )
        for place in found.shown_places
    ]
    return ExplainedErrorView(
        error=found.error.name,
        message=found.error.message,
        link=found.link,
        places=places,
        causes=list(found.causes),
        remarks=list(found.remarks),
    )


def _tests_view(made: MadeTests) -> MadeTestsView:
    return MadeTestsView(
        code=written_file([made]) if made.tests else "",
        tests=len(made.tests),
        thrown=dict(made.thrown),
        noticed=made.noticed,
        faults=made.faults,
    )


def _bug_view(found: FoundBug) -> FoundBugView:
    repairs = [
        RepairView(line=one.edit.line, before="" if one.edit.inserted else found.lines[one.edit.line - 1], after=one.edit.text)
        for one in found.repairs[:_MOST_REPAIRS]
    ]
    return FoundBugView(
        file=found.file,
        failing=[FailingTestView(name=name, said=(said.splitlines() or [""])[0]) for name, said in found.failing],
        passing=found.passing,
        suspects=[CodeLine(number=one.line, text=found.lines[one.line - 1]) for one in found.suspects[:_MOST_SUSPECTS]],
        repairs=repairs,
        others=max(0, len(found.repairs) - _MOST_REPAIRS),
        tried=found.tried,
        seconds=round(found.seconds, 1),
    )


part = code_routes
