"""Responses that were made here are stored nowhere: a request that goes on from one, or asks for it, is told so: the upstream could only
say that it does not know it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smidgen.core.errors import RequestError
from smidgen.gateway.response_request import LOCAL_ID
from smidgen.gateway.suited import RESPONSES

_FIELD = "previous_response_id"


def check(path: str, body: Mapping[str, Any] | None) -> None:
    """Raise RequestError, 400, for a request that goes on from a local response; 404, for a path that names one."""
    before = body.get(_FIELD) if body is not None and path == RESPONSES else None
    if isinstance(before, str) and before.startswith(LOCAL_ID):
        raise RequestError(
            "the response that this goes on from was made here, and is not stored",
            value=before,
            todo="Send the whole conversation in input; or ask for the first one with store: true, and the large model answers that, too.",
            status=400,
            code="previous_response_not_found",
            param=_FIELD,
        )
    named = path.removeprefix(f"{RESPONSES}/") if path.startswith(f"{RESPONSES}/{LOCAL_ID}") else ""
    if named:
        raise RequestError(
            "this response was made here, and is not stored",
            value=named,
            todo="Keep what you need of it when it comes, or ask with store: true, which the large model then answers.",
            status=404,
            code="not_found",
        )
