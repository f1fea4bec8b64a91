"""Errors in OpenAI's shape: `{"error": {"message", "type", "param", "code"}}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from smidgen.core.errors import RequestError, shown
from smidgen.server.reply_json import answer

RETRY_AFTER = "1"
"""Seconds after which a refused client may retry. A queue of short texts empties within one."""

_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
_CODES = {400: "invalid_json", 404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}
REMEDY = {
    400: "Send one JSON document in UTF-8.",
    404: "GET /docs lists the routes.",
    405: "GET /docs lists the methods of each route.",
    413: "Send less at a time; who runs the server can start it with a larger --max-body-mb.",
}
"""What to do, by status."""


class ErrorDetail(BaseModel):
    """The error of a response."""

    message: str = Field(description="What happened, with which value, and what to do.")
    type: str = Field(description="The kind of failure: invalid_request_error, authentication_error, rate_limit_error, server_error, ...")
    param: str | None = Field(None, description="The field at fault.")
    code: str | None = Field(None, description="A short stable name of the failure.")
    message_code: str | None = Field(None, description="The code of the message, by which a program shows it in its own language.")
    values: dict[str, Any] | None = Field(None, description="What fills in the message, by name.")
    value: str | None = Field(None, description="The value it happened with.")


class ErrorReply(BaseModel):
    """The body of every reply that is not a success."""

    error: ErrorDetail


RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ErrorReply, "description": "The request cannot be answered; `error.message` says why."},
    "5XX": {"model": ErrorReply, "description": "The server cannot answer now, or failed."},
}
"""The errors of every route, for OpenAPI."""


class DetailedRefusal(RequestError):
    """A refused request whose reply has more fields than the error."""

    def __init__(self, message: str, /, *, beside: Mapping[str, Any], **pieces: Any) -> None:
        self.beside = dict(beside)
        super().__init__(message, **pieces)


def failure(
    status: int,
    message: str,
    code: str,
    param: str | None = None,
    beside: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    parts: Mapping[str, Any] | None = None,
) -> Response:
    """Return a response in the error shape. 429 and 503 say when to retry. `parts`: further fields of the error."""
    sent = dict(headers or {})
    if status in (429, 503):
        sent.setdefault("Retry-After", RETRY_AFTER)
    if status == 401:
        sent["WWW-Authenticate"] = "Bearer"
    body = _shape(status, message, code, param)
    return answer({"error": {**body["error"], **(parts or {})}, **(beside or {})}, status, sent)


def error_body(error: RequestError) -> dict[str, Any]:
    """Return the body of a refusal, for a stream that has begun."""
    body = _shape(error.status, str(error), error.code, error.param)
    return {"error": {**body["error"], **coded(error)}}


def coded(error: RequestError) -> dict[str, Any]:
    """Return the fields by which a program shows an error in its own language; none for an error without a code."""
    return {**error.coded(), "value": shown(error.value)} if error.message_code else {}


def refused(error: RequestError) -> Response:
    """Return the response to a refused request."""
    beside = error.beside if isinstance(error, DetailedRefusal) else None
    return failure(error.status, str(error), error.code, error.param, beside, parts=coded(error))


def invalid(mistakes: Sequence[Mapping[str, Any]]) -> Response:
    """Return the response to a body of the wrong shape. It names the first mistake and its place, never the value."""
    if any(mistake["type"] == "json_invalid" for mistake in mistakes):
        return failure(400, f"The body is not JSON. {REMEDY[400]}", _CODES[400])
    first = mistakes[0]
    param = ".".join(str(step) for step in first["loc"] if step != "body") or None
    where = f"{param}: " if param else ""
    more = f" ({len(mistakes) - 1} more mistakes)" if len(mistakes) > 1 else ""
    detail = [{"loc": [*mistake["loc"]], "msg": mistake["msg"], "type": mistake["type"]} for mistake in mistakes[:20]]
    message = f"{where}{first['msg']}{more}. GET /docs shows what this route takes."
    return failure(422, message, "invalid_request", param, {"detail": detail})


def unrouted(scope: Scope, error: HTTPException) -> Response:
    """Return the response to a request without a route, or with an incomplete body."""
    status = error.status_code
    request = shown(f"{scope['method']} {scope['path']}", 120)
    message = f"{error.detail}: {request}. {REMEDY.get(status, '')}".strip()
    return failure(status, message, _CODES.get(status, "http_error"), headers=error.headers)


def handle_in(app: FastAPI) -> None:
    """Register the error handlers."""

    async def on_refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestError)
        return refused(error)

    async def on_invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return invalid(error.errors())

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return unrouted(request.scope, error)

    app.add_exception_handler(RequestError, on_refused)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)


def _shape(status: int, message: str, code: str, param: str | None) -> dict[str, Any]:
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
