"""Help with a project's code: explain an error, write tests, find a bug. What a machine wrote or changed runs in a sandbox alone."""

from __future__ import annotations

import ast
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from smidgen.code.flows.code_model import CodeModel
from smidgen.code.flows.explanation import ExplainedError, explained
from smidgen.code.flows.fault import FoundBug, find_bug
from smidgen.code.flows.made_tests import MadeTests, made_tests, subjects_of
from smidgen.code.flows.repository_place import OpenedCode, open_code
from smidgen.code.own_code import PythonFile
from smidgen.code.repository import CodeFile, read_repository
from smidgen.core.errors import DataError, InputError, RequestError
from smidgen.flows.local_model import Model
from smidgen.studio.flows.material import material_path
from smidgen.studio.store.projects import Project

_GIVEN = "test_given_in_the_studio.py"
_BUG_SECONDS = 90.0
_SAMPLES = 2
_RUNNING = threading.Lock()
"""Code is run for one person at a time: it takes a whole core."""


@dataclass(frozen=True, slots=True)
class PythonSubject:
    """A Python file of a project's repository. `functions`: the public ones at its top. `tests`: whether pytest reads it as tests."""

    path: str
    functions: tuple[str, ...]
    tests: bool


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


def explain_error(project: Project, text: str) -> list[ExplainedError]:
    """Explain the last traceback in a text with the project's files. Nothing is run. Raises InputError for a text without one."""
    return explained(text, material_path(project, "repository"))


def tests_of_function(project: Project, model: Model, file: str, function: str) -> MadeTests:
    """Tests of a function: those that hold on the code and notice a fault that is put into it.

    Raises InputError for a file or a function that the project lacks, RequestError if code is being run already, MachineError where it
    cannot be run apart from the machine.
    """
    with _opened(project, file) as (opened, _):
        (subject,) = subjects_of(opened.file, function)
        return made_tests(opened, subject, CodeModel(model.runner), samples=_SAMPLES)


def bug_in_file(project: Project, model: Model, file: str, tests: Sequence[str], given: str) -> FoundBug:
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
        return find_bug(opened.place, opened.file, names, CodeModel(model.runner), seconds=_BUG_SECONDS)


@contextmanager
def _opened(project: Project, file: str, given: str = "") -> Iterator[tuple[OpenedCode, str]]:
    """A copy of the repository, open at a file, and the folder of the copy in which the repository's paths begin.

    A repository that is itself a package keeps its folder, since its modules import one another by it.
    """
    place = material_path(project, "repository")
    ahead = f"{place.name}/" if (place / "__init__.py").is_file() else ""
    name = _known(project, file)
    if not _RUNNING.acquire(blocking=False):
        raise RequestError("code.code_is_being_run_already", value=file, status=409, code="busy")
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
