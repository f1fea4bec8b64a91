"""Completions of a model that writes: each prompt is answered as it was taught."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Any

from fastapi import Request
from starlette.responses import Response

from smidgen.core.replies import Reply
from smidgen.server.answers import counted, extra
from smidgen.server.bodies import CompletionRequest
from smidgen.server.errors import answer
from smidgen.server.events import DONE, event, respond
from smidgen.server.logprobs import need, of_completion
from smidgen.server.scribe import Sheet, Source, as_they_come
from smidgen.server.served import Served
from smidgen.server.service import Service


async def complete(
    service: Service, model: Served, body: CompletionRequest, head: dict[str, Any], prompts: Sequence[str], request: Request
) -> Response:
    """The response to a completion request."""
    service.check(model, list(prompts), "prompt")
    need(model, body.logprobs is not None)
    count = body.n or 1
    own = count if body.drawn() else 1
    options = {**body.options(), "logprobs": body.logprobs or 0}
    sources: list[Source] = [partial(model.write, prompt, **options, seed=seed) for prompt in prompts for seed in body.seeds(own)]
    sheets = service.write(model, sources)
    said = _Said(service, model, body, prompts, own, count)

    def whole(read: Sequence[Sequence[Reply]]) -> Response:
        choices = [choice for at, replies in enumerate(read) for choice in said.choices(at, replies)]
        return answer({**head, "choices": choices, "usage": said.usage([replies[-1] for replies in read])})

    return await respond(service, request, sheets, _events(said, head, sheets) if body.stream else None, whole)


class _Said:
    """The choices of a request: `own` texts for each prompt, given as `count` choices."""

    def __init__(self, service: Service, model: Served, body: CompletionRequest, prompts: Sequence[str], own: int, count: int) -> None:
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
            end = {"finish_reason": last.piece.finish, "smidgen": extra(self._model, last)}
        logs = of_completion(replies, begun) if self.body.logprobs is not None else None
        copies = self._count // self._own
        return [{"index": at * copies + copy, "text": text, "logprobs": logs, **end} for copy in range(copies)]

    def usage(self, finals: Sequence[Reply]) -> dict[str, Any]:
        """Sizes of all."""
        return counted(finals, each=self._own, copies=self._count // self._own)


async def _events(said: _Said, head: Mapping[str, Any], sheets: Sequence[Sheet]) -> AsyncIterator[bytes]:
    """The pieces of all texts as they are written, usage where asked, `[DONE]`."""
    finals: dict[int, Reply] = {}
    begun: dict[int, int] = {}
    async for at, reply in as_they_come(sheets):
        choices = said.choices(at, [reply], begun.get(at, 0), at not in begun)
        begun[at] = begun.get(at, 0) + len(choices[0]["text"])
        if reply.final:
            finals[at] = reply
        yield event({**head, "choices": choices})
    if said.body.stream_options is not None and said.body.stream_options.include_usage:
        yield event({**head, "choices": [], "usage": said.usage([finals[at] for at in sorted(finals)])})
    yield DONE
