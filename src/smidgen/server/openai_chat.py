"""`/v1/chat/completions`: what every OpenAI client speaks. The last user message is the input; the answer is the assistant's message."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response, StreamingResponse

from smidgen.core.errors import RequestError
from smidgen.core.replies import Reply
from smidgen.server import conversation, filling
from smidgen.server.answers import Extra, Usage, extra, usage
from smidgen.server.bodies import ChatMessage, ChatRequest
from smidgen.server.errors import RESPONSES, answer
from smidgen.server.events import DONE, HEADERS, event
from smidgen.server.ids import fresh
from smidgen.server.logprobs import token
from smidgen.server.served import Served, input_of
from smidgen.server.service import Service
from smidgen.server.structured import Wanted, shaped, wanted_of


class AssistantMessage(BaseModel):
    """The answer."""

    role: Literal["assistant"]
    content: str | None
    refusal: str | None = None
    tool_calls: list[dict[str, Any]] | None = None


class ChatChoice(BaseModel):
    """One choice; that of a model that writes has the field `smidgen`, too."""

    index: int
    message: AssistantMessage
    logprobs: dict[str, Any] | None = None
    finish_reason: Literal["stop", "length", "tool_calls"]
    smidgen: Extra | None = None


class ChatCompletion(BaseModel):
    """A chat completion, with the field `smidgen` beside OpenAI's."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage
    system_fingerprint: str
    smidgen: Extra


def face(service: Service) -> APIRouter:
    """The route."""
    router = APIRouter(tags=["OpenAI"], responses=RESPONSES)

    @router.post("/v1/chat/completions", response_model=ChatCompletion, summary="Answer the last message of the user")
    async def chat(body: ChatRequest, request: Request) -> Response:
        model = service.find(body.model)
        head = {
            "id": f"chatcmpl-{fresh()}",
            "created": int(time.time()),
            "model": model.name,
            "system_fingerprint": model.id,
        }
        if model.at_once:
            alone = conversation.taught(body, await request.json())
            asked = input_of(model, _last_said(body.messages)) if alone else None
            return await conversation.converse(service, model, body, head, asked, request)
        text = input_of(model, _last_said(body.messages))
        filled = "schema" in model.form
        if filled:
            filling.check(body.response_format, model.form["schema"])
        wanted = None if filled else wanted_of(body.response_format)
        (reply,) = await service.ask(model, [text], request, "messages")
        content = model.task.content(reply) if wanted is None else shaped(wanted, reply)
        sizes = usage([text], [content] * (body.n or 1))
        if body.stream:
            return StreamingResponse(_events(body, head, model, reply, content, sizes), media_type="text/event-stream", headers=HEADERS)
        refusal = filling.refusal(reply)
        message = {"role": "assistant", "content": None if refusal else content, "refusal": refusal}
        logs = _logs(body, model, reply, content, wanted)
        choices = [{"index": place, "message": message, "logprobs": logs, "finish_reason": "stop"} for place in range(body.n or 1)]
        return answer({**head, "object": "chat.completion", "choices": choices, "usage": sizes, "smidgen": extra(model, reply)})

    return router


def _last_said(messages: list[ChatMessage]) -> list[str]:
    """The pieces of text of the user's last message. Raises RequestError where there is none, or where it is more than text."""
    said = next((message for message in reversed(messages) if message.role == "user"), None)
    if said is None:
        raise RequestError(
            "there is no message of the user", value=f"{len(messages)} messages", todo="Send one with role user.", param="messages"
        )
    if said.content is None or isinstance(said.content, str):
        return [said.content or ""]
    for part in said.content:
        if part.type not in ("text", "input_text") or part.text is None:
            raise RequestError(
                "a piece of the message is not text", value=part.type, todo="Send text only.", code="unsupported_content", param="messages"
            )
    return [part.text for part in said.content if part.text]


def _logs(body: ChatRequest, model: Served, reply: Reply, content: str, wanted: Wanted | None) -> dict[str, Any] | None:
    """The score in the place where OpenAI's clients look for it: the whole answer is one token."""
    if not body.logprobs or wanted is not None:
        return None
    others = [(model.task.content(Reply(output, score)), score) for output, score in reply.alternatives]
    tops = [(content, reply.score), *others][: body.top_logprobs or 0]
    return {"content": [{**token(content, reply.score), "top_logprobs": [token(text, score) for text, score in tops]}], "refusal": None}


async def _events(
    body: ChatRequest, head: dict[str, Any], model: Served, reply: Reply, content: str, sizes: dict[str, int]
) -> AsyncIterator[bytes]:
    """The answer as chunks: role, content, end with the field `smidgen`, usage where asked, `[DONE]`."""
    wants_usage = body.stream_options is not None and bool(body.stream_options.include_usage)
    common = {**head, "object": "chat.completion.chunk", **({"usage": None} if wants_usage else {})}

    def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
        choices = [{"index": place, "delta": delta, "logprobs": None, "finish_reason": finish} for place in range(body.n or 1)]
        return event({**common, "choices": choices, **more})

    yield chunk({"role": "assistant", "content": ""})
    refusal = filling.refusal(reply)
    yield chunk({"refusal": refusal} if refusal else {"content": content})
    yield chunk({}, "stop", smidgen=extra(model, reply))
    if wants_usage:
        yield event({**common, "choices": [], "usage": sizes})
    yield DONE


part = face
