"""`/api/v1/models/…`: open a model that was built elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from smidgen.core.errors import RequestError
from smidgen.studio.api.access import Builder, Owner
from smidgen.studio.api.uploads import FILE_BODY, receive_file
from smidgen.studio.flows.data.uploads import forget_upload, new_upload
from smidgen.studio.flows.models.brought_models import open_folder, open_zip
from smidgen.studio.flows.project_overview import ProjectOverview, project_overview
from smidgen.studio.store.projects import StudioStore

MOST_MODEL = 2 << 30
"""Bytes of a ZIP file."""

FileName = Annotated[str, Query(max_length=300)]


class ModelFolder(BaseModel):
    """A folder of this machine with a model."""

    path: str = Field(min_length=1, max_length=4_000)


def model_routes(store: StudioStore, here: bool) -> APIRouter:
    """The routes of models from elsewhere. `here`: the Studio is open to this machine alone, so that its owner may name a folder."""
    router = APIRouter(prefix="/api/v1/models", tags=["models"])

    @router.post("/uploads", status_code=201, openapi_extra=FILE_BODY)
    async def open_model_file(person: Builder, request: Request, name: FileName) -> ProjectOverview:
        """Open a model from a ZIP file, as the page Report gives it: a project with the model as a finished build."""
        file, _ = new_upload(name)
        try:
            await receive_file(request, file, MOST_MODEL, "studio.model_is_larger_than_mb")
            project = await run_in_threadpool(open_zip, store, file, person.name)
        finally:
            forget_upload(file)
        return project_overview(project)

    @router.post("/folder", status_code=201)
    def open_model_folder(person: Owner, body: ModelFolder) -> ProjectOverview:
        """Open a model from a folder of this machine, of which a copy is made. Only where the Studio is open to this machine alone."""
        if not here:
            raise RequestError("studio.this_studio_does_not_open_folders", value=body.path, status=409, code="not_here")
        return project_overview(open_folder(store, Path(body.path), person.name))

    return router
