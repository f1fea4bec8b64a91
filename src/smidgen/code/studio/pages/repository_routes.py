"""`/api/v1/projects/{project}/repository`: the source files of a project that completes code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from smidgen.code.studio.repository import ProjectRepository, project_repository, take_archive, take_folder
from smidgen.core.errors import RequestError
from smidgen.studio.api.access import Editor, Owner, Viewer
from smidgen.studio.api.host import StudioHost
from smidgen.studio.api.uploads import FILE_BODY, receive_file
from smidgen.studio.flows.data.uploads import forget_upload, new_upload

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


part = repository_routes
