"""`/v1/completions`: OpenAI's older API. Each prompt is an input, and each choice's text an answer."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from smidgen.core.errors import RequestError
from smidgen.core.replies import Reply
from smidgen.core.rows import Text
from smidgen.server.models import GenerationSource, ServedBundle
from smidgen.server.openai.answers import DONE, Facts, LocalAnswer, NumberedReplies, TextFace, event, with_extra
from smidgen.server.openai.request_bodies import CompletionRequest
from smidgen.server.reply_json import Extra, Usage, completion_logprobs, counted_usage, require_logprobs, smidgen_field, usage
from smidgen.server.request import HttpRequest, face_request, face_router, fresh_id
from smidgen.server.service import Service
from smidgen.text.infilling import read_marks, read_part


class WrittenCompletions:
    """Completions of a model that writes: `own` texts for each prompt, given as the choices that the body asks for."""

    def __init__(self, model: ServedBundle, body: CompletionRequest, head: Mapping[str, Any], prompts: Sequence[str], own: int) -> None:
        self._model, self._body, self._head, self._prompts, self._own = model, body, head, prompts, own
        self._copies = (body.n or 1) // own

    def whole(self, read: Sequence[Sequence[Reply]], facts: Facts) -> dict[str, Any]:
        """Return one object with all choices."""
        choices = [choice for at, replies in enumerate(read) for choice in self._choices(at, replies)]
        return with_extra({**self._head, "choices": choices, "usage": self._usage([replies[-1] for replies in read])}, facts)

    async def events(self, replies: NumberedReplies, facts: Facts) -> AsyncIterator[bytes]:
        """Yield the pieces of all texts as they are written, usage if asked for, `[DONE]`."""
        finals: dict[int, Reply] = {}
        begun: dict[int, int] = {}
        async for at, reply in replies:
            choices = self._choices(at, [reply], begun.get(at, 0), at not in begun)
            begun[at] = begun.get(at, 0) + len(choices[0]["text"])
            if reply.final:
                finals[at] = reply
            yield event(with_extra({**self._head, "choices": choices}, facts if reply.final else {}))
        if _wants_usage(self._body):
            yield event({**self._head, "choices": [], "usage": self._usage([finals[at] for at in sorted(finals)])})
        yield DONE

    def text(self, read: Sequence[Sequence[Reply]]) -> str:
        """Return all texts."""
        return "".join(reply.piece.text for replies in read for reply in replies)

    def _choices(self, at: int, replies: Sequence[Reply], begun: int = 0, opens: bool = True) -> list[dict[str, Any]]:
        """Return text number `at`, or pieces of it, as choices. `begun`: characters given before. `opens`: whether this is the start."""
        text = "".join(reply.piece.text for reply in replies)
        if opens and self._body.echo:
            prompt = self._prompts[at // self._own]
            text, begun = prompt + text, len(prompt)
        last = replies[-1]
        end: dict[str, Any] = {"finish_reason": None}
        if last.final:
            end = {"finish_reason": last.piece.finish, "smidgen": smidgen_field(self._model, last)}
        logs = completion_logprobs(replies, begun) if self._body.logprobs is not None else None
        return [{"index": at * self._copies + copy, "text": text, "logprobs": logs, **end} for copy in range(self._copies)]

    def _usage(self, finals: Sequence[Reply]) -> dict[str, Any]:
        return counted_usage(finals, each=self._own, copies=self._copies)


def _write(
    service: Service, model: ServedBundle, body: CompletionRequest, head: dict[str, Any], prompts: Sequence[str], request: HttpRequest
) -> LocalAnswer:
    """Start the answer of a model that writes."""
    inputs = [_input(model, prompt, body.suffix) for prompt in prompts]
    service.check(model, inputs, "prompt")
    require_logprobs(model, body.logprobs is not None)
    own = (body.n or 1) if body.drawn() else 1
    options = {**body.options(), "logprobs": body.logprobs or 0}
    sources: list[GenerationSource] = [partial(model.write, text, **options, seed=seed) for text in inputs for seed in body.seeds(own)]
    form = WrittenCompletions(model, body, head, prompts, own)
    return LocalAnswer(service, model, request, form, streamed=bool(body.stream), generations=service.write(model, sources))


def _input(model: ServedBundle, prompt: str, suffix: str | None) -> Text:
    """Return a prompt as a bundle's input: for one that fills gaps, the text ahead and the text behind, as much of a long file as it reads.

    Raises RequestError for a suffix that the bundle does not read.
    """
    reach = model.form.writing.reach
    if reach is not None:
        return read_part(*((prompt, suffix) if suffix else read_marks(prompt) or (prompt, "")), reach)
    if suffix:
        raise RequestError("server.model_cannot_fill_in_the_middle", value=model.name, code="suffix_not_supported", param="suffix")
    return prompt


def _wants_usage(body: CompletionRequest) -> bool:
    return body.stream_options is not None and bool(body.stream_options.include_usage)


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


async def ask(service: Service, model: ServedBundle, body: CompletionRequest, request: HttpRequest) -> LocalAnswer:
    """Return a bundle's answer to a completion request."""
    prompts = [body.prompt] if isinstance(body.prompt, str) else body.prompt
    head = {
        "id": f"cmpl-{fresh_id()}",
        "object": "text_completion",
        "created": int(time.time()),
        "model": model.name,
        "system_fingerprint": model.id,
    }
    if model.at_once:
        return _write(service, model, body, head, prompts, request)
    replies = await service.ask(model, [_input(model, prompt, body.suffix) for prompt in prompts], request, "prompt")
    form = AnsweredCompletions(model, body, head, prompts)
    return LocalAnswer(service, model, request, form, streamed=bool(body.stream), read=[[reply] for reply in replies])


def face(service: Service) -> APIRouter:
    """Return the route."""
    router = face_router("OpenAI")

    @router.post("/v1/completions", response_model=Completion, summary="Answer one or more prompts")
    async def complete(body: CompletionRequest, request: Request) -> Response:
        received = face_request(request)
        return await (await ask(service, service.find(body.model, received), body, received)).response()

    return router


class AnsweredCompletions:
    """Completions of a bundle that does not write: one answer for each prompt, repeated for each choice."""

    def __init__(self, model: ServedBundle, body: CompletionRequest, head: Mapping[str, Any], prompts: Sequence[str]) -> None:
        self._model, self._body, self._head, self._prompts = model, body, head, prompts
        self._copies = body.n or 1

    def whole(self, read: Sequence[Sequence[Reply]], facts: Facts) -> dict[str, Any]:
        """Return one object with all choices."""
        return with_extra({**self._head, "choices": self._choices(read), "usage": self._usage(read)}, facts)

    async def events(self, replies: NumberedReplies, facts: Facts) -> AsyncIterator[bytes]:
        """Yield one chunk per choice, usage if asked for, `[DONE]`."""
        read = [[reply] async for _, reply in replies]
        *choices, last = self._choices(read)
        for choice in choices:
            yield event({**self._head, "choices": [choice]})
        yield event(with_extra({**self._head, "choices": [last]}, facts))
        if _wants_usage(self._body):
            yield event({**self._head, "choices": [], "usage": self._usage(read)})
        yield DONE

    def text(self, read: Sequence[Sequence[Reply]]) -> str:
        """Return all answers."""
        return "".join(self._contents(read))

    def _contents(self, read: Sequence[Sequence[Reply]]) -> list[str]:
        return [self._model.task.content(reply) for (reply,) in read]

    def _choices(self, read: Sequence[Sequence[Reply]]) -> list[dict[str, Any]]:
        choices: list[dict[str, Any]] = []
        for prompt, (reply,), content in zip(self._prompts, read, self._contents(read), strict=True):
            text = prompt + content if self._body.echo else content
            said = {"text": text, "logprobs": None, "finish_reason": "stop", "smidgen": smidgen_field(self._model, reply)}
            choices += [{"index": len(choices) + copy, **said} for copy in range(self._copies)]
        return choices

    def _usage(self, read: Sequence[Sequence[Reply]]) -> dict[str, int]:
        return usage([*self._prompts], self._contents(read) * self._copies)


answering = TextFace(CompletionRequest, ask)
part = face
