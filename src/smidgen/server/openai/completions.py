"""`/v1/completions`: OpenAI's older API. Each prompt is an input; the answer is the choice's text."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response, StreamingResponse

from smidgen.core.replies import Reply
from smidgen.server.errors import RESPONSES, answer
from smidgen.server.http_request import fresh_id
from smidgen.server.model_queues import Generation, GenerationSource, merged_replies
from smidgen.server.openai.event_stream import DONE, HEADERS, event, respond
from smidgen.server.openai.request_bodies import CompletionRequest
from smidgen.server.reply_json import Extra, Usage, completion_logprobs, counted_usage, require_logprobs, smidgen_field, usage
from smidgen.server.served_bundle import ServedBundle
from smidgen.server.service import Service

# Completions of a model that writes: each prompt is answered as it was taught.


async def write_completions(
    service: Service, model: ServedBundle, body: CompletionRequest, head: dict[str, Any], prompts: Sequence[str], request: Request
) -> Response:
    """The response to a completion request."""
    service.check(model, list(prompts), "prompt")
    require_logprobs(model, body.logprobs is not None)
    count = body.n or 1
    own = count if body.drawn() else 1
    options = {**body.options(), "logprobs": body.logprobs or 0}
    sources: list[GenerationSource] = [partial(model.write, prompt, **options, seed=seed) for prompt in prompts for seed in body.seeds(own)]
    generations = service.write(model, sources)
    said = _WrittenPrompt(service, model, body, prompts, own, count)

    def whole(read: Sequence[Sequence[Reply]]) -> Response:
        choices = [choice for at, replies in enumerate(read) for choice in said.choices(at, replies)]
        return answer({**head, "choices": choices, "usage": said.usage([replies[-1] for replies in read])})

    return await respond(service, request, generations, _written_events(said, head, generations) if body.stream else None, whole)


class _WrittenPrompt:
    """The choices of a request: `own` texts for each prompt, given as `count` choices."""

    def __init__(
        self, service: Service, model: ServedBundle, body: CompletionRequest, prompts: Sequence[str], own: int, count: int
    ) -> None:
        self._service, self._model, self.body = service, model, body
        self._prompts, self._own, self._count = prompts, own, count

    def choices(self, at: int, replies: Sequence[Reply], begun: int = 0, opens: bool = True) -> list[dict[str, Any]]:
        """Text number `at` as choices; or pieces of it, where `begun` characters were given before, and `opens` says if it is the start."""
        text = "".join(reply.piece.text for reply in replies)
        if opens and self.body.echo:
            prompt = self._prompts[at // self._own]
            text, begun = prompt + text, len(prompt)
        last = replies[-1]
        end: dict[str, Any] = {"finish_reason": None}
        if last.final:
            self._service.wrote(self._model, last)
            end = {"finish_reason": last.piece.finish, "smidgen": smidgen_field(self._model, last)}
        logs = completion_logprobs(replies, begun) if self.body.logprobs is not None else None
        copies = self._count // self._own
        return [{"index": at * copies + copy, "text": text, "logprobs": logs, **end} for copy in range(copies)]

    def usage(self, finals: Sequence[Reply]) -> dict[str, Any]:
        """Sizes of all."""
        return counted_usage(finals, each=self._own, copies=self._count // self._own)


async def _written_events(said: _WrittenPrompt, head: Mapping[str, Any], generations: Sequence[Generation]) -> AsyncIterator[bytes]:
    """The pieces of all texts as they are written, usage where asked, `[DONE]`."""
    finals: dict[int, Reply] = {}
    begun: dict[int, int] = {}
    async for at, reply in merged_replies(generations):
        choices = said.choices(at, [reply], begun.get(at, 0), at not in begun)
        begun[at] = begun.get(at, 0) + len(choices[0]["text"])
        if reply.final:
            finals[at] = reply
        yield event({**head, "choices": choices})
    if said.body.stream_options is not None and said.body.stream_options.include_usage:
        yield event({**head, "choices": [], "usage": said.usage([finals[at] for at in sorted(finals)])})
    yield DONE


# `/v1/completions`: OpenAI's older face. Each prompt is an input; the answer is the choice's text.


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
            "id": f"cmpl-{fresh_id()}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": model.name,
            "system_fingerprint": model.id,
        }
        if model.at_once:
            return await write_completions(service, model, body, head, prompts, request)
        replies = await service.ask(model, prompts, request, "prompt")
        contents = [model.task.content(reply) for reply in replies]
        copies = body.n or 1
        choices: list[dict[str, Any]] = []
        for prompt, reply, content in zip(prompts, replies, contents, strict=True):
            text = prompt + content if body.echo else content
            said = {"text": text, "logprobs": None, "finish_reason": "stop", "smidgen": smidgen_field(model, reply)}
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
