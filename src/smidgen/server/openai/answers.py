"""A bundle's answer to a request for text: its replies, the content in the requested form, and the response, whole or as an event stream.

A face does not depend on who asks. A client that calls it directly gets the response while a text is being written. The gateway reads the
answer to its end first, because the replies decide who answers. Then it adds facts to the field `smidgen`, and sends it.

Structured output: clients that classify ask for `{"type": "json_schema", "json_schema": {"schema": {"properties": {"category": {"enum":
[...]}}}}}` and get `{"category": "refund"}`. A bundle whose answers are objects gives the object for `json_object`, also where its text is
words. A bundle that fills fields answers with the JSON text of an object that fits its schema, or with a refusal. A schema that the answer
does not fit is refused.

Tools: a call is given only with every argument that its tool needs. Otherwise the answer asks for what is missing.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, cast

from pydantic import BaseModel
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from smidgen.core.errors import RequestError
from smidgen.core.forms import Form
from smidgen.core.parts import Task
from smidgen.core.replies import Reply
from smidgen.core.rows import Text
from smidgen.core.tool_calls import CallMode, FoundCall, ToolAnswer, ToolsAsked
from smidgen.gateway.headers import Headers
from smidgen.server.errors import error_body
from smidgen.server.models import Generation, ServedBundle, merged_replies, read_generations
from smidgen.server.reply_json import answer, as_json
from smidgen.server.request import HttpRequest
from smidgen.server.service import Service
from smidgen.tasks import field_schema

DONE = b"data: [DONE]\n\n"
EVENT_STREAM = "text/event-stream"
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
"""Headers that keep proxies from buffering pieces."""


def event(value: Mapping[str, Any]) -> bytes:
    """Return one event."""
    return b"data: " + as_json(value) + b"\n\n"


class EventStream(StreamingResponse):
    """A stream of events. `on_end` is called however it ends, to stop the writing for it.

    A failure after the first event cannot change the status. It becomes the last event, with OpenAI's `error`.
    """

    def __init__(self, events: AsyncIterator[bytes], on_end: Callable[[], None]) -> None:
        super().__init__(_with_failure(events), media_type=EVENT_STREAM, headers=HEADERS)
        self._on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._on_end()


async def _with_failure(events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        async for one in events:
            yield one
    except RequestError as error:
        yield event(error_body(error))


Facts: TypeAlias = Mapping[str, Any]
"""Facts that the gateway adds to the field `smidgen`: who answered, under which certificate, at which cost."""
NumberedReplies: TypeAlias = AsyncIterator[tuple[int, Reply]]
"""Replies of several texts as they come, each with the number of its text."""


class AnswerFormat(Protocol):
    """The form of an answer in one face."""

    def whole(self, read: Sequence[Sequence[Reply]], facts: Facts) -> dict[str, Any]:
        """Return the answer as one object. `read` has the replies of each text."""
        ...

    def events(self, replies: NumberedReplies, facts: Facts) -> AsyncIterator[bytes]:
        """Yield the answer as the events of a stream, with the facts in the event that ends the text."""
        ...

    def text(self, read: Sequence[Sequence[Reply]]) -> str:
        """Return the text of the answer; empty for a refusal."""
        ...


class LocalAnswer:
    """A bundle's answer to one request.

    Args:
        service: counts written texts.
        model: the bundle.
        request: the request.
        form: the face's form of the answer.
        streamed: whether a stream is asked for.
        read: the replies of each text, if they are complete.
        generations: texts that are still being written. They are closed in any case.
    """

    def __init__(
        self,
        service: Service,
        model: ServedBundle,
        request: HttpRequest,
        form: AnswerFormat,
        *,
        streamed: bool,
        read: Sequence[Sequence[Reply]] = (),
        generations: Sequence[Generation] = (),
    ) -> None:
        self.model = model
        self._service, self._request, self._form, self._streamed = service, request, form, streamed
        self._read, self._generations = read, generations

    @property
    def replies(self) -> list[Reply]:
        """The final reply of each text, once it was read."""
        return [replies[-1] for replies in self._read]

    @property
    def text(self) -> str:
        """The text of the answer, once it was read."""
        return self._form.text(self._read)

    async def response(self) -> Response:
        """Return the response for a client that asked the face. Errors are raised before a stream begins if possible.

        A client that disconnects stops the writing.
        """
        with ExitStack() as stack:
            await self._begin(stack)
            if self._streamed and self._generations:
                events = self._form.events(self._counted(merged_replies(self._generations)), {})
                return EventStream(events, stack.pop_all().close)
            await self._complete()
        if self._streamed:
            return StreamingResponse(self._form.events(_in_turn(self._read), {}), media_type=EVENT_STREAM, headers=HEADERS)
        return answer(self._form.whole(self._read, {}))

    async def complete(self) -> None:
        """Read the answer to its end. Raises RequestError if it fails, or the client disconnects meanwhile."""
        with ExitStack() as stack:
            await self._begin(stack)
            await self._complete()

    async def send(self, send: Send, facts: Facts, marks: Headers) -> None:
        """Send the complete answer with these facts and headers."""
        if self._streamed:
            body = b"".join([event async for event in self._form.events(_in_turn(self._read), facts)])
            own = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
            kind = f"{EVENT_STREAM}; charset=utf-8"
        else:
            body, own, kind = as_json(self._form.whole(self._read, facts)), [], "application/json"
        head = [*own, (b"content-type", kind.encode()), (b"content-length", str(len(body)).encode()), *marks]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": body})

    async def _begin(self, stack: ExitStack) -> None:
        for generation in self._generations:
            stack.callback(generation.close)
        if self._generations:
            await self._service.while_there(self._request, self._generations[0].begun())

    async def _complete(self) -> None:
        if not self._generations:
            return
        self._read = await self._service.while_there(self._request, read_generations(self._generations))
        for reply in self.replies:
            self._service.wrote(self.model, reply, self._request)

    async def _counted(self, replies: NumberedReplies) -> NumberedReplies:
        """Yield the replies, and count each text when it ends."""
        async for number, reply in replies:
            if reply.final:
                self._service.wrote(self.model, reply, self._request)
            yield number, reply


def with_extra(value: dict[str, Any], facts: Facts) -> dict[str, Any]:
    """Add the facts, if there are any, as the field `smidgen` of an object without one."""
    return {**value, "smidgen": dict(facts)} if facts else value


async def _in_turn(read: Sequence[Sequence[Reply]]) -> NumberedReplies:
    """Yield complete replies, text after text."""
    for number, replies in enumerate(read):
        for reply in replies:
            yield number, reply


@dataclass(frozen=True, slots=True)
class TextFace:
    """A face at which a bundle answers a request for text.

    Attributes:
        body: the type of its request bodies.
        ask: starts a bundle's answer to a body. Raises RequestError if that is not possible.
    """

    body: type[BaseModel]
    ask: Callable[[Service, ServedBundle, Any, HttpRequest], Awaitable[LocalAnswer]]


_MAX_REFERENCES = 8


@dataclass(frozen=True, slots=True)
class RequestedField:
    """A requested object with one field: its name, whether it is a list, and the allowed values (None: any)."""

    name: str
    listed: bool
    values: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class RequestedFormat:
    """The form of the content that a request asks for.

    Attributes:
        field: an object with this one field; None for another form.
        whole: the answer as an object, from a model that answers with objects without a schema.
    """

    field: RequestedField | None = None
    whole: bool = False

    def content(self, task: Task, form: Form, reply: Reply, text: Text) -> str:
        """Return an answer as the content of a message. Raises RequestError if it does not fit."""
        if self.whole:
            return task.teaching.write(reply.output, form, text) if task.teaching is not None else task.content(Reply(reply.output, 1.0))
        return task.content(reply) if self.field is None else _as_field(self.field, task.labelled(reply.output, form))


def requested_format(response_format: dict[str, Any] | None, form: Form) -> RequestedFormat:
    """Return the form that a `response_format` asks for. Raises RequestError, 422, if no answer of this form could fit."""
    if form.answer_schema is not None:
        _check_schema(response_format, form.answer_schema)
        return RequestedFormat()
    if form.json_answers and (response_format or {}).get("type") == "json_object":
        return RequestedFormat(whole=True)
    return RequestedFormat(_requested_field(response_format))


def _requested_field(response_format: dict[str, Any] | None) -> RequestedField | None:
    kind = (response_format or {}).get("type", "text")
    if response_format is None or kind == "text":
        return None
    wrapped = response_format.get("json_schema")
    schema = wrapped.get("schema") if isinstance(wrapped, dict) else None
    if kind != "json_schema" or not isinstance(schema, dict):
        raise _unfit_label(f"type {kind!r}"[:80])
    root = _resolved(schema, schema)
    fields = root.get("properties")
    if not isinstance(fields, dict) or len(fields) != 1:
        raise _unfit_label(f"{len(fields) if isinstance(fields, dict) else 0} fields")
    name, field = next(iter(fields.items()))
    field = _resolved(field, schema)
    listed = field.get("type") == "array"
    value = _resolved(field.get("items", {}), schema) if listed else field
    if value.get("type", "string") != "string":
        raise _unfit_label(f"a field of type {value.get('type')}"[:80])
    choices = value.get("enum", [value["const"]] if "const" in value else None)
    if choices is not None and not (isinstance(choices, list) and all(isinstance(choice, str) for choice in choices)):
        raise _unfit_label("choices that are not strings")
    return RequestedField(name, listed, None if choices is None else frozenset(choices))


def _as_field(field: RequestedField, output: Any) -> str:
    if field.listed and isinstance(output, str):
        output = [output]
    labels = output if isinstance(output, list) else [output]
    if isinstance(output, list) != field.listed or not all(isinstance(label, str) for label in labels):
        raise _unfit_label("an answer of another kind")
    if field.values is not None and not field.values.issuperset(labels):
        raise _unfit_label(f"the answer {output!r}")
    return json.dumps({field.name: output}, ensure_ascii=False)


def _resolved(schema: Any, root: dict[str, Any]) -> dict[str, Any]:
    """Resolve the references of a schema (`#/$defs/Label`)."""
    for _ in range(_MAX_REFERENCES):
        if not isinstance(schema, dict):
            raise _unfit_label("something that is not a schema")
        reference = schema.get("$ref")
        if reference is None:
            return schema
        if not isinstance(reference, str) or not reference.startswith("#/"):
            raise _unfit_label("a reference to another document")
        schema = root
        for step in reference[2:].split("/"):
            schema = schema.get(step) if isinstance(schema, dict) else None
    raise _unfit_label("references in a circle")


def _unfit_label(value: str) -> RequestError:
    return RequestError(
        "server.label_cannot_be_given_in_this_format", value=value, code="unsupported_response_format", param="response_format"
    )


def _check_schema(response_format: Mapping[str, Any] | None, schema: Mapping[str, Any]) -> None:
    """Raise RequestError, 422, for a `response_format` that answers with this schema may not fit.

    Plain text and `json_object` always fit. A `json_schema` must describe the same fields with the same types. Their order, titles,
    descriptions and the notation for null do not matter.
    """
    kind = (response_format or {}).get("type", "text")
    if response_format is None or kind in ("text", "json_object"):
        return
    wrapped = response_format.get("json_schema")
    requested = wrapped.get("schema") if isinstance(wrapped, Mapping) else None
    if kind != "json_schema" or not isinstance(requested, Mapping):
        raise _unfit_fields(f"type {kind!r}"[:80])
    normal, mistakes = field_schema.normal(requested)
    if mistakes:
        raise _unfit_fields(mistakes[0])
    if _unordered(field_schema.bare(normal)) != _unordered(field_schema.bare(dict(schema))):
        own, others = set(schema["properties"]), set(normal["properties"])
        apart = [f"{name!r} is no field of this model" for name in sorted(others - own)] + [f"no {name!r}" for name in sorted(own - others)]
        raise _unfit_fields("; ".join(apart)[:300] or "the same fields with other types or other required ones")


def refusal_of(reply: Reply) -> str | None:
    """Return why there is no answer; None if there is one."""
    why = reply.facts.get("refused")
    return f"No answer that fits the schema can be given: {why}." if why else None


def _unordered(schema: Any) -> Any:
    """Return a schema in which the order of fields, required fields and choices does not matter."""
    if isinstance(schema, Mapping):
        return {name: _unordered(sorted(value, key=repr) if name in ("required", "enum") else value) for name, value in schema.items()}
    return [_unordered(one) for one in schema] if isinstance(schema, list) else schema


def _unfit_fields(value: str) -> RequestError:
    return RequestError(
        "server.fields_cannot_be_given_in_this_format", value=value, code="unsupported_response_format", param="response_format"
    )


_MODES = ("none", "auto", "required")
_MOST_TOOLS = 128


def requested_tools(model: ServedBundle, raw: Mapping[str, Any]) -> ToolsAsked | None:
    """Return the tools of a request; None where the bundle calls no tools, or another form of answer is asked for.

    Raises RequestError for tools or a choice that cannot be.
    """
    if model.task.calls is None or raw.get("response_format") not in (None, {"type": "text"}):
        return None
    tools = raw.get("tools")
    if raw.get("logprobs") and not tools:  # the score of the answer, which is then a text
        return None
    if tools is not None and (not isinstance(tools, list) or not all(isinstance(tool, Mapping) for tool in tools)):
        raise _refused("server.tools_are_no_list", "tools", value=type(tools).__name__)
    if tools and len(tools) > _MOST_TOOLS:
        raise _refused("server.there_are_too_many_tools", "tools", value=len(tools), most=_MOST_TOOLS)
    if odd := next((str(tool.get("type"))[:80] for tool in tools or () if tool.get("type", "function") != "function"), None):
        raise _refused("server.tool_is_no_function", "tools", value=odd)
    mode, named = _choice(raw.get("tool_choice"))
    return ToolsAsked(tuple(tools) if tools else None, mode, named)


def _choice(choice: Any) -> tuple[CallMode, str | None]:
    """Return the mode, and the tool that is demanded. Raises RequestError for another choice."""
    if choice is None:
        return "auto", None
    if choice in _MODES:
        return cast("CallMode", choice), None
    if isinstance(choice, Mapping) and choice.get("type") == "function":
        function = choice.get("function", choice)  # the Responses API has the name beside the type
        name = function.get("name") if isinstance(function, Mapping) else None
        if isinstance(name, str) and name:
            return "required", name
    raise _refused("server.tool_choice_is_not_supported", "tool_choice", value=json.dumps(choice, default=str)[:120])


async def answer_with_tools(
    service: Service, model: ServedBundle, text: Text, asked: ToolsAsked, request: HttpRequest, param: str
) -> ToolAnswer:
    """Return a bundle's answer to a message. Raises RequestError for tools that it can neither call nor be asked about."""
    calls = model.task.calls
    assert calls is not None
    described = calls.texts(asked, model.form)
    (reply,) = await service.ask(model, [text], request, param)
    vectors: list[list[float]] = []
    if described:
        try:
            vectors = await service.embed(model, [text, *described], request, "tools")
        except RequestError as error:
            if error.code != "embeddings_not_supported":
                raise
            raise _refused("server.model_calls_only_its_own_tools", "tools", value=model.name) from error
    return calls.answer(text, reply, asked, model.form, vectors)


def tool_result(content: str) -> ToolAnswer:
    """Return the result of a tool as the answer, as it was sent: the model has no words of its own to tell it in."""
    return ToolAnswer(None, content, None, 0.0, {"unscored": "a tool's result, as it was sent"})


def tool_reply(answer: ToolAnswer) -> Reply:
    """Return an answer as a reply, for the field `smidgen`."""
    return Reply(answer.output, answer.score, facts=answer.facts)


def call_json(call: FoundCall, name: str, arguments: str | None = None) -> dict[str, Any]:
    """Return a call in the form of a chat completion. `name`: its id. `arguments`: those to show instead of its own."""
    shown = call_arguments(call) if arguments is None else arguments
    return {"id": name, "type": "function", "function": {"name": call.name, "arguments": shown}}


def call_arguments(call: FoundCall) -> str:
    """Return the arguments as JSON."""
    return json.dumps(dict(call.arguments), ensure_ascii=False)


def counted_text(answer: ToolAnswer) -> str:
    """Return the text by which an answer's size is counted."""
    return answer.content if answer.call is None else answer.call.name + call_arguments(answer.call)


def _refused(message: str, param: str, **pieces: Any) -> RequestError:
    return RequestError(message, status=400, code="unsupported_tools", param=param, **pieces)
