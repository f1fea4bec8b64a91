"""`/v1/completions`: OpenAI's older face. Each prompt is an input; the answer is the choice's text."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response, StreamingResponse

from smidgen.server import continuation
from smidgen.server.answers import Extra, Usage, extra, usage
from smidgen.server.bodies import CompletionRequest
from smidgen.server.errors import RESPONSES, answer
from smidgen.server.events import DONE, HEADERS, event
from smidgen.server.ids import fresh
from smidgen.server.service import Service


class CompletionChoice(BaseModel):
    """One choice, with the field `smidgen` beside OpenAI's."""

    index: int
    text: str
    logprobs: dict[str, Any] | None = None
    finish_reason: Literal["stop", "length"]
    smidgen: Extra


class Completion(BaseModel):
    """A completion."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage
    system_fingerprint: str


def face(service: Service) -> APIRouter:
    """The route."""
    router = APIRouter(tags=["OpenAI"], responses=RESPONSES)

    @router.post("/v1/completions", response_model=Completion, summary="Answer one or more prompts")
    async def complete(body: CompletionRequest, request: Request) -> Response:
        model = service.find(body.model)
        prompts = [body.prompt] if isinstance(body.prompt, str) else body.prompt
        head = {
            "id": f"cmpl-{fresh()}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": model.name,
            "system_fingerprint": model.id,
        }
        if model.at_once:
            return await continuation.complete(service, model, body, head, prompts, request)
        replies = await service.ask(model, prompts, request, "prompt")
        contents = [model.task.content(reply) for reply in replies]
        copies = body.n or 1
        choices: list[dict[str, Any]] = []
        for prompt, reply, content in zip(prompts, replies, contents, strict=True):
            text = prompt + content if body.echo else content
            said = {"text": text, "logprobs": None, "finish_reason": "stop", "smidgen": extra(model, reply)}
            choices += [{"index": len(choices) + copy, **said} for copy in range(copies)]
        sizes = usage([*prompts], contents * copies)
        if body.stream:
            wants_usage = body.stream_options is not None and bool(body.stream_options.include_usage)
            events = _events(head, choices, sizes if wants_usage else None)
            return StreamingResponse(events, media_type="text/event-stream", headers=HEADERS)
        return answer({**head, "choices": choices, "usage": sizes})

    return router


async def _events(head: dict[str, Any], choices: list[dict[str, Any]], sizes: dict[str, int] | None) -> AsyncIterator[bytes]:
    """One chunk a choice, usage where asked, `[DONE]`."""
    for choice in choices:
        yield event({**head, "choices": [choice]})
    if sizes is not None:
        yield event({**head, "choices": [], "usage": sizes})
    yield DONE


part = face
