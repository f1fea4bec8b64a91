"""Help with a project's code: explain an error, write tests, find a bug. What a machine wrote or changed runs in a sandbox alone."""

from __future__ import annotations

import ast
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from pydantic import Field
from pydantic.dataclasses import dataclass

from smidgen.code.flows.code_model import CodeModel
from smidgen.code.flows.explanation import ExplainedError, excerpt, explained
from smidgen.code.flows.fault import FoundBug, find_bug
from smidgen.code.flows.made_tests import MadeTests, made_tests, subjects_of, written_file
from smidgen.code.flows.repository_place import OpenedCode, open_code
from smidgen.code.own_code import PythonFile
from smidgen.code.repository import CodeFile, read_repository
from smidgen.core.errors import DataError, InputError, RequestError
from smidgen.flows.local_model import Model
from smidgen.studio.flows.material import material_path
from smidgen.studio.frozen import FrozenModel
from smidgen.studio.store.projects import Project

_GIVEN = "test_given_in_the_studio.py"
_BUG_SECONDS = 90.0
_SAMPLES = 2
_MOST_SUSPECTS, _MOST_REPAIRS = 5, 3
_RUNNING = threading.Lock()
"""Code is run for one person at a time: it takes a whole core."""


@dataclass(frozen=True, slots=True)
class PythonSubject:
    """A Python file of a project's repository. `functions`: the public ones at its top. `tests`: whether pytest reads it as tests."""

    path: str
    functions: tuple[str, ...]
    tests: bool


class CodeLine(FrozenModel):
    """A line of a file with its number."""

    number: int
    text: str


class ErrorPlace(FrozenModel):
    """A line of one's own code that an error went through, with the lines around it; none where the file was changed since."""

    file: str
    line: int
    function: str
    lines: list[CodeLine]


class ErrorExplanation(FrozenModel):
    """An error, the own lines that it went through, the innermost first, and what message and source show of its cause."""

    error: str
    message: str
    link: str = Field(description="How it came of the error before it; empty for the first.")
    places: list[ErrorPlace]
    causes: list[str]
    remarks: list[str]


class FunctionTests(FrozenModel):
    """Tests that hold on the code, twice, and notice a fault that is put into it."""

    code: str = Field(description="A test file; empty if no test held.")
    tests: int
    thrown: dict[str, int] = Field(description="How many others were thrown away, by reason.")
    noticed: int = Field(description="How many of the faults they notice.")
    faults: int = Field(description="Small faults that were put into the function.")


class FailingTest(FrozenModel):
    """A test that fails, and the line that tells why."""

    name: str
    said: str


class OneLineRepair(FrozenModel):
    """A change of one line with which every test passes. `before`: the line as it is; empty where one is inserted."""

    line: int
    before: str
    after: str


class BugTraces(FrozenModel):
    """The traces of a bug: the likeliest lines, and changes of one line with which every test passes."""

    file: str
    failing: list[FailingTest]
    passing: int
    suspects: list[CodeLine]
    repairs: list[OneLineRepair]
    others: int = Field(description="Further changes that pass every test.")
    tried: int = Field(description="Changes that were run.")
    seconds: float


def python_subjects(project: Project) -> list[PythonSubject]:
    """The Python files of a project's repository that are valid, in their order."""
    return [_subject(file) for file in _files(project) if file.path.endswith(".py")]


def _subject(file: CodeFile) -> PythonSubject:
    name = PurePosixPath(file.path).name
    tree = PythonFile(file.path, file.text).tree
    named = (one.name for one in (tree.body if tree is not None else ()) if isinstance(one, ast.FunctionDef))
    functions = tuple(one for one in named if not one.startswith("_"))
    return PythonSubject(file.path, functions, name.startswith("test_") or name.endswith("_test.py"))


def _files(project: Project) -> Sequence[CodeFile]:
    try:
        return read_repository(material_path(project, "repository")).files
    except DataError:  # no source code yet
        return ()


def explain_error(project: Project, text: str) -> list[ErrorExplanation]:
    """Explain the last traceback in a text with the project's files. Nothing is run. Raises InputError for a text without one."""
    return [_explanation(one) for one in explained(text, material_path(project, "repository"))]


def tests_of_function(project: Project, model: Model, file: str, function: str) -> FunctionTests:
    """Tests of a function: those that hold on the code and notice a fault that is put into it.

    Raises InputError for a file or a function that the project lacks, RequestError if code is being run already, MachineError where it
    cannot be run apart from the machine.
    """
    with _opened(project, file) as (opened, _):
        (subject,) = subjects_of(opened.file, function)
        return _function_tests(made_tests(opened, subject, CodeModel(model.runner), samples=_SAMPLES))


def bug_in_file(project: Project, model: Model, file: str, tests: Sequence[str], given: str) -> BugTraces:
    """Find a bug in a file.

    Args:
        project: its repository holds the file.
        model: says how it would write a line.
        file: path of the file.
        tests: paths of test files in the repository.
        given: a test file that is in no repository, as text; empty for none.

    Raises as `tests_of_function` does, and InputError if no test fails.
    """
    if not tests and not given.strip():
        raise InputError("code.failing_tests_are_needed_in_repository", value=file)
    with _opened(project, file, given) as (opened, ahead):
        names = [f"{ahead}{_known(project, test)}" for test in tests] + ([_GIVEN] if given.strip() else [])
        return _bug_traces(find_bug(opened.place, opened.file, names, CodeModel(model.runner), seconds=_BUG_SECONDS))


@contextmanager
def _opened(project: Project, file: str, given: str = "") -> Iterator[tuple[OpenedCode, str]]:
    """A copy of the repository, open at a file, and the folder of the copy in which the repository's paths begin.

    A repository that is itself a package keeps its folder, since its modules import one another by it.
    """
    place = material_path(project, "repository")
    ahead = f"{place.name}/" if (place / "__init__.py").is_file() else ""
    name = _known(project, file)
    if not _RUNNING.acquire(blocking=False):
        raise RequestError("code.code_is_already_running", value=file, status=409, code="busy")
    try:
        with tempfile.TemporaryDirectory(prefix="smidgen-code-") as scratch:
            top = Path(scratch).resolve()
            shutil.copytree(place, top / ahead, symlinks=True, dirs_exist_ok=True)
            if given.strip():
                (top / _GIVEN).write_text(given, encoding="utf-8")
            yield open_code(top, str(top / ahead / name), None), ahead
    finally:
        _RUNNING.release()


def _known(project: Project, file: str) -> str:
    if file not in {one.path for one in _files(project)}:
        raise InputError("code.repository_has_no_such_file", value=file)
    return file


def _explanation(found: ExplainedError) -> ErrorExplanation:
    places = [
        ErrorPlace(
            file=place.file.path,
            line=place.line,
            function=place.frame.function if place.frame.function != "<module>" else "",
            lines=[CodeLine(number=number, text=text) for number, text in excerpt(place)] if not place.changed else [],
        )
        for place in found.shown_places
    ]
    return ErrorExplanation(
        error=found.error.name,
        message=found.error.message,
        link=found.link,
        places=places,
        causes=list(found.causes),
        remarks=list(found.remarks),
    )


def _function_tests(made: MadeTests) -> FunctionTests:
    return FunctionTests(
        code=written_file([made]) if made.tests else "",
        tests=len(made.tests),
        thrown=dict(made.thrown),
        noticed=made.noticed,
        faults=made.faults,
    )


def _bug_traces(found: FoundBug) -> BugTraces:
    repairs = [
        OneLineRepair(line=one.edit.line, before="" if one.edit.inserted else found.lines[one.edit.line - 1], after=one.edit.text)
        for one in found.repairs[:_MOST_REPAIRS]
    ]
    return BugTraces(
        file=found.file,
        failing=[FailingTest(name=name, said=(said.splitlines() or [""])[0]) for name, said in found.failing],
        passing=found.passing,
        suspects=[CodeLine(number=one.line, text=found.lines[one.line - 1]) for one in found.suspects[:_MOST_SUSPECTS]],
        repairs=repairs,
        others=max(0, len(found.repairs) - _MOST_REPAIRS),
        tried=found.tried,
        seconds=round(found.seconds, 1),
    )
