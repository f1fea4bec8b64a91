"""Errors of the Studio's API: the usual shape, and the parts of the message one by one, so that a page can say them in its own language."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from smidgen.core.errors import NotStored, RequestError, SmidgenError
from smidgen.server.errors import ErrorDetail, failure
from smidgen.studio.flows.run_process import parts_of_error


class StudioErrorDetail(ErrorDetail):
    """The error of a response. `message` holds `what`, `value` and `todo` in one text."""

    what: str | None = Field(None, description="What happened, without its place and value.")
    todo: str | None = Field(None, description="What to do next; further lines list what is to be corrected.")
    kind: str | None = Field(None, description="The class of the error, such as DataError.")
    file: str | None = Field(None, description="The file at fault.")
    row: int | None = Field(None, description="The data row at fault, from 1.")
    column: str | None = Field(None, description="The column at fault.")


class StudioErrorReply(BaseModel):
    """The body of every reply that is not a success."""

    error: StudioErrorDetail


STUDIO_RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": StudioErrorReply, "description": "The request cannot be answered; `error.message` says why."},
    "5XX": {"model": StudioErrorReply, "description": "The server cannot answer now, or failed."},
}
"""The errors of every route, for OpenAPI."""


def tell_errors(app: FastAPI) -> None:
    """Register the handlers of smidgen's own errors. One that the command line calls the caller's mistake is one here, too."""

    async def on_refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestError)
        return failure(error.status, str(error), error.code, error.param, parts=parts_of_error(error))

    async def on_error(_: Request, error: Exception) -> Response:
        assert isinstance(error, SmidgenError)
        status = 404 if isinstance(error, NotStored) else 400 if error.exit_code == 2 else 409
        return failure(status, str(error), type(error).__name__, parts=parts_of_error(error))

    app.add_exception_handler(RequestError, on_refused)
    app.add_exception_handler(SmidgenError, on_error)
