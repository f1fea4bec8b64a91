"""Receive a file as the body of a call: written to the disk piece by piece, never held in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from smidgen.core.errors import RequestError

FILE_BODY: dict[str, Any] = {
    "requestBody": {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}, "required": True}
}
"""How OpenAPI describes such a call. Its path ends with `/uploads`: the guard bounds the bodies of all others."""


async def receive_file(request: Request, file: Path, most: int, too_large: str) -> None:
    """Write the body to a file. Raises RequestError where it has more than `most` bytes, with the code `too_large`."""
    received = 0
    with file.open("wb") as out:
        async for chunk in request.stream():
            received += len(chunk)
            if received > most:
                break
            await run_in_threadpool(out.write, chunk)
    if received > most:
        raise RequestError(too_large, value=file.name, most=most >> 20, status=413, code="body_too_large")
