"""`/api/v1/projects/{project}/code` and `…/repository`: explain an error, write tests, find a bug; the source files of a project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

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
from smidgen.code.studio.repository import ProjectRepository, project_repository, take_archive, take_folder
from smidgen.core.errors import RequestError
from smidgen.studio.api.access import Builder, Editor, Owner, Viewer
from smidgen.studio.api.host import StudioHost
from smidgen.studio.api.uploads import FILE_BODY, receive_file
from smidgen.studio.flows.data.uploads import forget_upload, new_upload
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


_MOST_ARCHIVE = 1 << 30


class RepositoryFolder(BaseModel):
    """A folder of this machine."""

    path: str = Field(min_length=1, max_length=4_000)


def repository_routes(host: StudioHost) -> APIRouter:
    """The routes of repositories. `here`: the Studio is open to this machine alone, so that its owner may name a folder."""
    store, here = host.store, host.here
    router = APIRouter(prefix="/api/v1/projects/{project}/repository", tags=["files"])

    @router.get("")
    def read(person: Viewer, project: str) -> ProjectRepository:
        """Read which source files there are."""
        return project_repository(store.project(project))

    @router.post("/uploads", status_code=201, openapi_extra=FILE_BODY)
    async def send(
        person: Editor, request: Request, project: str, name: Annotated[str, Query(min_length=1, max_length=300)]
    ) -> ProjectRepository:
        """Send a ZIP file of the repository, in place of the files before. Only source files are kept."""
        found = store.project(project)
        file, _ = await run_in_threadpool(new_upload, name)
        try:
            await receive_file(request, file, _MOST_ARCHIVE, "code.source_files_are_larger_than_mb")
            return await run_in_threadpool(take_archive, found, file)
        finally:
            await run_in_threadpool(forget_upload, file)

    @router.post("/folder", status_code=201)
    def name_folder(person: Owner, project: str, body: RepositoryFolder) -> ProjectRepository:
        """Copy the source files of a folder of this machine. Only where the Studio is open to this machine alone."""
        if not here:
            raise RequestError("code.this_studio_does_not_open_folders", value=body.path, status=409, code="not_here")
        return take_folder(store.project(project), Path(body.path))

    return router


def code_pages(host: StudioHost) -> APIRouter:
    """The routes of help with code, and of the repository."""
    router = code_routes(host)
    router.routes.extend(repository_routes(host).routes)
    return router


part = code_pages
