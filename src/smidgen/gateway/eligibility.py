"""Which requests a bundle may answer, by the kind of bundle. Today every kind takes one text of a user.

A request holds a whole conversation and the tools that it offers. An `Eligibility` says which conversations a kind of bundle may take. An
unknown field is not eligible: one that OpenAI adds tomorrow escalates today.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
RESPONSES = "/v1/responses"
CERTIFIED_PATHS = (CHAT, COMPLETIONS, RESPONSES)
"""Paths at which a certificate decides who answers."""

_SHARED = frozenset(
    {
        *("model", "stream", "stream_options", "temperature", "top_p", "seed", "max_tokens", "user"),
        *("presence_penalty", "frequency_penalty", "logprobs"),
    }
)
_OF = {
    CHAT: _SHARED
    | {
        *("messages", "max_completion_tokens", "top_logprobs", "response_format", "metadata", "store", "service_tier"),
        *("reasoning_effort", "verbosity", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "parallel_tool_calls"),
    },
    COMPLETIONS: _SHARED | {"prompt"},
}
"""Fields that say how an answer is sampled, billed or sent, and not what is asked. The reply's facts show their effect on the score."""
_RANGES: Mapping[str, tuple[float, float]] = {
    "temperature": (0.0, 2.0),
    "top_p": (0.0, 1.0),
    "presence_penalty": (-2.0, 2.0),
    "frequency_penalty": (-2.0, 2.0),
    "max_tokens": (1.0, math.inf),
    "max_completion_tokens": (1.0, math.inf),
    "max_output_tokens": (1.0, math.inf),
}
"""What OpenAI's interface takes. The large model refuses any other value, so it is left to it."""
_CANONICAL = {
    CHAT: ("model", "messages", "response_format", "reasoning_effort", "verbosity"),
    COMPLETIONS: ("model", "prompt"),
    RESPONSES: ("model", "input", "instructions", "text", "reasoning"),
}
"""Fields that say what is asked, and of whom."""
_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
AUDIT_TOKENS = 4096
"""Limit of an audit's answer, where the request has one. It is far above any answer of a small model."""
_ASKED_IN = {CHAT: "messages", COMPLETIONS: "prompt", RESPONSES: "input"}
_MESSAGE = frozenset({"role", "content", "name"})
_PIECE = frozenset({"type", "text", "cache_control"})
_TEXT = ("text", "input_text")


@dataclass(frozen=True, slots=True)
class Conversation:
    """The messages and tools of a request, unchanged.

    Attributes:
        path: of the face.
        messages: all of them, including system messages, tool calls and their results. A prompt, or an input that is a text, becomes one
            user message. None if the request has no list of them.
        tools: those that the model may call.
    """

    path: str
    messages: Sequence[Any] | None
    tools: Sequence[Any] = ()


def conversation_of(path: str, body: Mapping[str, Any]) -> Conversation:
    """The conversation of a request to one of the faces."""
    said, tools = body.get(_ASKED_IN[path]), body.get("tools")
    if isinstance(said, str) and path != CHAT:
        said = [{"role": "user", "content": said}]
    elif path == COMPLETIONS:
        said = None  # several prompts are not a conversation
    return Conversation(path, said if isinstance(said, list) else None, tools if isinstance(tools, list) else ())


@dataclass(frozen=True, slots=True)
class Eligibility:
    """The requests that bundles of a kind may take.

    Attributes:
        odd: returns in a few words why they cannot take a conversation; None if they can.
        fields: fields of a request's body that they read, besides those that any bundle may ignore.
    """

    odd: Callable[[Conversation], str | None]
    fields: frozenset[str] = frozenset()


def _not_one_message(asked: Conversation) -> str | None:
    """The rule for one text of a user. System messages change nothing: a bundle has its own instruction."""
    if asked.path == COMPLETIONS:
        return None if asked.messages is not None else "not one prompt"
    if asked.path == RESPONSES:
        return odd_response_input(asked.messages)
    return odd_messages(asked.messages, fields=_MESSAGE, pieces=_PIECE, kinds=_TEXT)


ONE_MESSAGE = Eligibility(_not_one_message)
"""One text of a user, with system messages before it."""


def _no_conversation(asked: Conversation) -> str | None:
    """The rule for a whole conversation: texts of a user and answers of an assistant, the user's last. System messages change nothing."""
    if asked.path == COMPLETIONS:
        return _not_one_message(asked)
    messages = asked.messages
    if asked.path == RESPONSES:
        try:
            messages = response_messages(messages)
        except ValueError as error:
            return str(error)
    if not isinstance(messages, list) or not all(isinstance(message, Mapping) for message in messages):
        return "no messages"
    if not messages or messages[-1].get("role") != "user":
        return "words after the user's"
    for message in messages:
        if message.get("role") not in ("user", "assistant", *SYSTEM_ROLES):
            return "a message that is neither the user's nor the assistant's"
        if message.get("role") == "user":
            odd = odd_messages([message], fields=_MESSAGE, pieces=_PIECE, kinds=_TEXT)
        else:
            odd = next((f"the message's field {name}" for name, value in message.items() if name in _CALLS and not is_nothing(value)), None)
        if odd is not None:
            return odd
    return None


_CALLS = ("tool_calls", "function_call", "audio")
CONVERSATION = Eligibility(_no_conversation)
"""A conversation in texts, whose last message is the user's."""
_UNKNOWN = Eligibility(lambda asked: "what this bundle takes is not known here")
_KINDS = {"message": ONE_MESSAGE, "conversation": CONVERSATION}
"""Keyed by a task's attribute `takes`. A task without it takes one message."""


def eligibility_of(task: object) -> Eligibility:
    """The requests that the bundles of a task may take."""
    return _KINDS.get(getattr(task, "takes", "message"), _UNKNOWN)


def why_ineligible(path: str, body: Mapping[str, Any], eligibility: Eligibility = ONE_MESSAGE) -> str | None:
    """Why a bundle may not take a request to one of the faces, in a few words; None if it may."""
    if body.get("n") not in (None, 1):
        return "several choices"
    return _odd_fields(path, body, eligibility.fields) or eligibility.odd(conversation_of(path, body))


def canonical_request(path: str, body: Mapping[str, Any], eligibility: Eligibility = ONE_MESSAGE) -> dict[str, Any]:
    """The request that an audit sends in place of an eligible one: the same text, asked for in full.

    A small model ignores how an answer is to be sampled and cut, so its certificate is about the answer to the text. Penalties, seeds and
    a client's token limit are left out: with them, one client could make any right answer count as wrong. `temperature` and `top_p` stay
    where they make the answer no more random than the large model's own default of 1, because the reference of the calibration pairs was
    asked like this, and a more random one would disagree more often.
    """
    asked = {name: value for name, value in body.items() if name in _CANONICAL[path] or name in eligibility.fields}
    for name in ("temperature", "top_p"):
        if isinstance(value := body.get(name), int | float) and value <= 1:
            asked[name] = value
    return asked | {name: AUDIT_TOKENS for name in _LIMITS if body.get(name) is not None}


def _odd_fields(path: str, body: Mapping[str, Any], more: frozenset[str]) -> str | None:
    outside = next((name for name in _RANGES if not _is_usual(name, body.get(name))), None)
    if outside is not None:
        return f"the field {outside}"
    if path == RESPONSES:
        return odd_response_fields(body, more)
    known = _OF[path] | more | {"n"}
    strange = next((name for name, value in body.items() if name not in known and not is_nothing(value)), None)
    if strange is not None:
        return f"the field {strange}"
    if body.get("store") not in (None, False):  # a local answer is stored nowhere, and cannot be fetched
        return "the completion is to be stored"
    return None


def _is_usual(name: str, value: Any) -> bool:
    """Whether a field that says how an answer is sampled or cut is missing, or has a value that it may have."""
    low, high = _RANGES[name]
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high)


def text_of(path: str, body: Mapping[str, Any]) -> str:
    """The text of a one-message request, as the small model reads it."""
    messages = conversation_of(path, body).messages or ()
    content = messages[-1]["content"]
    return content if isinstance(content, str) else joined(piece["text"] for piece in content)


SYSTEM_ROLES = ("system", "developer")
"""Roles of system messages."""

_NOTHING: tuple[Any, ...] = (None, [], {}, "", False)


def odd_messages(messages: Any, *, fields: Collection[str], pieces: Collection[str], kinds: Collection[str]) -> str | None:
    """Why messages are not one text of a user, in a few words; None if they are. System messages before it are allowed.

    Args:
        messages: the request's.
        fields: fields that a user's message may have.
        pieces: fields that a piece of its content may have.
        kinds: types that such a piece may have.
    """
    if not isinstance(messages, list) or not all(isinstance(message, Mapping) for message in messages):
        return "no messages"
    if [message.get("role") for message in messages if message.get("role") not in SYSTEM_ROLES] != ["user"]:
        return "not one message of a user"
    said = messages[-1]
    if said.get("role") != "user":
        return "words to the system after the user's"
    other = next((name for name, value in said.items() if name not in fields and not is_nothing(value)), None)
    if other is not None:
        return f"the message's field {other}"
    content = said.get("content")
    if isinstance(content, str):
        return None
    if not isinstance(content, list) or not all(isinstance(piece, Mapping) for piece in content):
        return "a message without text"
    plain = all(piece.get("type") in kinds and isinstance(piece.get("text"), str) and piece.keys() <= set(pieces) for piece in content)
    return None if plain else "a piece that is not text"


def joined(pieces: Iterable[str]) -> str:
    """The non-empty pieces of a message, joined by newlines."""
    return "\n".join(piece for piece in pieces if piece)


def is_nothing(value: Any) -> bool:
    """Whether a field with this value counts as absent."""
    return any(value is none or (value == none and type(value) is type(none)) for none in _NOTHING)


LOCAL_RESPONSE_ID = "resp_smidgen_"
"""Start of a local response's id. Nothing is stored under it."""

_KNOWN = frozenset(
    {
        *("model", "input", "instructions", "stream", "stream_options", "temperature", "top_p", "max_output_tokens", "text", "reasoning"),
        *("user", "safety_identifier", "metadata", "store", "service_tier", "parallel_tool_calls", "truncation"),
        *("prompt_cache_key", "prompt_cache_retention", "prompt_cache_options"),
    }
)
"""Fields of a request to `/v1/responses` that say how an answer is sampled, billed or sent, and not what is asked. `include` and
`top_logprobs` are missing: they ask for data that no local answer has."""
_INNER = {"text": frozenset({"format", "verbosity"}), "reasoning": frozenset({"effort"})}
"""Fields that the objects `text` and `reasoning` may have. No bundle can summarise its reasoning."""
_ITEM = frozenset({"type", "role", "content"})
_RESPONSE_PIECE = frozenset({"type", "text"})


def odd_response_request(body: Mapping[str, Any]) -> str | None:
    """Why a request to `/v1/responses` is not one text of a user, in a few words; None if it is."""
    return odd_response_fields(body) or odd_response_input(body.get("input"))


def odd_response_fields(body: Mapping[str, Any], more: Collection[str] = ()) -> str | None:
    """Why the fields of a request to `/v1/responses` are not eligible, in a few words; None if they are known or in `more`.

    `instructions`, and system messages before the user's, change nothing: a bundle has its own. Without `store` the answer is not stored,
    and says so (`store: false`); only the upstream can store it.
    """
    strange = next((name for name, value in body.items() if name not in _KNOWN and name not in more and not is_nothing(value)), None)
    if strange is not None:
        return f"the field {strange}"
    if body.get("store") not in (None, False):
        return "the response is to be stored"
    if not isinstance(body.get("instructions", ""), str | None):
        return "the field instructions"
    for name, known in _INNER.items():
        value = body.get(name)
        if is_nothing(value):
            continue
        if not isinstance(value, Mapping) or any(inner not in known and not is_nothing(said) for inner, said in value.items()):
            return f"the field {name}"
    return None


def odd_response_input(asked: Any) -> str | None:
    """Why the input of a request to `/v1/responses` is not one text of a user, in a few words; None if it is."""
    if isinstance(asked, str):
        return None
    if isinstance(asked, list) and any(isinstance(item, Mapping) and item.get("type", "message") != "message" for item in asked):
        return "an item that is no message"
    return odd_messages(asked, fields=_ITEM, pieces=_RESPONSE_PIECE, kinds=("input_text",))


def response_messages(asked: Any) -> list[dict[str, Any]]:
    """The input of a request to `/v1/responses` as messages of a chat, each with its text. Raises ValueError with what it is instead."""
    if isinstance(asked, str):
        return [{"role": "user", "content": asked}]
    if not isinstance(asked, list) or not asked or not all(isinstance(item, Mapping) for item in asked):
        raise ValueError("no messages")
    return [_message_of(item) for item in asked]


def _message_of(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item of a response's input as a message of a chat: a message, a call of a function, or its result."""
    kind = item.get("type", "message")
    if kind == "function_call":
        called = {"name": item.get("name"), "arguments": item.get("arguments")}
        return {"role": "assistant", "content": "", "tool_calls": [{"id": item.get("call_id"), "type": "function", "function": called}]}
    if kind == "function_call_output":
        return {"role": "tool", "content": _text_in(item.get("output"))}
    if kind != "message" or item.get("role") not in ("user", "assistant", *SYSTEM_ROLES):
        raise ValueError("an item that is no message")
    return {"role": item["role"], "content": _text_in(item.get("content"))}


def _text_in(content: Any) -> str:
    if isinstance(content, str):
        return content
    plain = isinstance(content, list) and all(
        isinstance(piece, Mapping) and piece.get("type") in ("input_text", "output_text") and isinstance(piece.get("text"), str)
        for piece in content
    )
    if not plain:
        raise ValueError("a piece that is not text")
    return joined(piece["text"] for piece in content)


def response_pieces(body: Mapping[str, Any]) -> list[str]:
    """The pieces of the user's one text, of an eligible request."""
    asked = body["input"]
    content = asked if isinstance(asked, str) else asked[-1]["content"]
    return [content] if isinstance(content, str) else [piece["text"] for piece in content]


def system_messages(body: Mapping[str, Any], roles: tuple[str, ...]) -> list[Any]:
    """The system messages, unchanged: `instructions`, and the contents of items with these roles."""
    asked = body.get("input")
    items = asked if isinstance(asked, list) else []
    given = [body.get("instructions"), *(item.get("content") for item in items if isinstance(item, Mapping) and item.get("role") in roles)]
    return [words for words in given if not is_nothing(words)]


def response_format(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """`text.format` in the form of a chat completion's `response_format`; None if the request has none."""
    text = body.get("text")
    wanted = text.get("format") if isinstance(text, Mapping) else None
    if not isinstance(wanted, Mapping) or wanted.get("type") != "json_schema":
        return dict(wanted) if isinstance(wanted, Mapping) else None
    return {"type": "json_schema", "json_schema": {name: value for name, value in wanted.items() if name != "type"}}
