"""A request on its way out: every text in it is found and masked, and what cannot be read is told.

Whatever is not known to be structure is a text: a field that OpenAI adds tomorrow is masked today.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from smidgen.core.errors import RedactionError
from smidgen.gateway.labels import Label

ROUTES = frozenset({"/chat/completions", "/completions", "/responses", "/embeddings", "/moderations"})
"""Behind `/v1`: where a body is known, so that the texts in it can be masked."""

_DEEPEST = 100
_TOKEN = re.compile(r"[A-Za-z$#][A-Za-z0-9_.:/$#-]{0,255}")
"""What ids and names of the interface are made of: no blank, no @, and no number alone."""
_WORD = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_FIELD = re.compile(r"(?![^0-9]*(?:[0-9][^0-9]*){5})[A-Za-z_$][A-Za-z0-9_.$-]{0,99}|[0-9]{1,6}")
"""The name of a field; with five digits and more it may be a number that says who somebody is, but for that of a token."""
_INNER_FIELD = re.compile(rf"(?![A-Z])(?:{_FIELD.pattern})")
"""The same in JSON of no known shape, where one with a capital may be somebody's name."""
_NAMES = frozenset(
    ("id", "$ref", "required", "call_id", "tool_call_id", "tool_choice", "server_label", "server_url", "format", "prompt_cache_retention")
)
_WORDS = frozenset(
    (
        *("role", "type", "object", "status", "service_tier", "reasoning_effort", "effort", "verbosity", "detail", "encoding_format"),
        *("truncation", "include", "modalities", "voice", "syntax", "search_context_size", "summary", "finish_reason"),
    )
)
"""Fields whose values are names, or words in small letters, of the interface, if they look like such."""
_SEALED = frozenset(("encrypted_content", "thought_signature"))
"""What the upstream wrote for itself, about texts that were masked when it read them."""
_FREE = frozenset(("metadata", "variables"))
"""Objects whose fields are the client's own."""
_CALLED = frozenset({"function", "function_call", "custom", "custom_tool_call", "json_schema", "mcp", "tool"})
"""Where `name` is that of a tool or a schema, and not of somebody."""
_TEXT_PARTS = frozenset({"text", "input_text", "output_text", "refusal", "summary_text", "reasoning_text"})
_FILES = frozenset({"file_data", "file_id", "file_url", "file_ids", "image_url", "input_audio", "vector_store_ids"})
_BYTES = frozenset({"url", "data"})
"""An object in such a field that has none of these describes a field of that name: it is a schema's."""
_DATA = re.compile(r"data:[^,\s]{0,200},|[A-Za-z0-9+/_=-]{1000,}\s*\Z", re.IGNORECASE)
"""Bytes as a text: what they show cannot be seen."""
_DATA_WITHIN = re.compile(r"\bdata:[a-z]{1,20}/[^,\s]{0,200};base64,", re.IGNORECASE)
"""The same in the midst of a text."""
_KEPT_UPSTREAM = ("previous_response_id", "conversation")
"""Where a request goes on from what the upstream keeps: stand-ins of then are not known now, and those of now would mean another."""
_TOKENS = frozenset({"prompt", "input"})
_COUNTED = frozenset(
    (
        *("seed", "created", "created_at", "expires_at", "n", "best_of", "logprobs", "top_logprobs", "top_k", "dimensions", "temperature"),
        *("max_tokens", "max_completion_tokens", "max_output_tokens", "max_tool_calls", "max_num_results", "compact_threshold", "top_p"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "minItems", "maxItems"),
        *("minProperties", "maxProperties", "minContains", "maxContains", "presence_penalty", "frequency_penalty", "score_threshold"),
    )
)
"""Numbers of the interface, and of schemas: a text in their place would be refused."""
_LONG = 99_999_999
"""A number up to here has eight digits, and is looked at only for what the name of its field says, and whether it is known."""

Mask = Callable[[str, Label], str]
"""Changes a text, for what is in it and for what is known of it."""


def read_once(body: bytes) -> dict[str, Any] | None:
    """The object that the body is; None where it is none, or names a field twice, so that another reader could read what was not seen."""
    try:
        found = json.loads(body.decode("utf-8"), object_pairs_hook=_pairs)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


class Walk:
    """One way through a body.

    Args:
        mask: changes a text.
        short: changes a number of up to eight digits, or with a fraction, as a text; by default none is changed.
        names: whether all names of fields in JSON of no known shape are texts, also those that look like such.

    Attributes:
        unread: what cannot be read, in a few words each; empty where all can be.
    """

    def __init__(self, mask: Mask, short: Mask | None = None, names: bool = False) -> None:
        self._mask, self._short, self._names = mask, short, names
        self.unread: list[str] = []

    def body(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The body with its texts masked. What cannot be read stays in it, and is told in `unread`.

        Raises RedactionError where it goes on from what the upstream keeps, or is nested too deeply; and what `mask` raises.
        """
        kept = next((name for name in _KEPT_UPSTREAM if body.get(name)), None)
        if kept is not None:
            raise _kept(kept)
        label = Label().by(body)
        done: dict[str, Any] = {}
        for name, value in body.items():
            named = name == "model" and isinstance(value, str) and _TOKEN.fullmatch(value)
            done[self._name(name)] = value if named else self._field(name, value, label.within(body, name), "", 0)
        return done

    def _name(self, name: str) -> str:
        """The name of a field; one that may be more than that is masked as a text."""
        return name if _FIELD.fullmatch(name) else self._mask(name, Label())

    def _field(self, name: str, value: Any, label: Label, above: str, depth: int) -> Any:
        """The value of a field. `above` says in which field the object stands, or of which type it is."""
        if name in _FILES and value and not (isinstance(value, dict) and not value.keys() & _BYTES):
            return self._unread(f"the field {name}", value)
        if name in _TOKENS and isinstance(value, list) and any(_is_tokens(inner) for inner in (value, *value)):
            return self._unread(f"token numbers in {name}", value)
        if _is_structure(name, value, above):
            return value
        if name in _FREE and depth <= 1:
            return self._leaves(value, label, depth + 1)
        return self._value(value, name, label, depth + 1)

    def _value(self, value: Any, name: str, label: Label, depth: int) -> Any:
        if depth > _DEEPEST:
            raise RedactionError("the request is nested too deeply to be read", value=f"{_DEEPEST} levels", todo="Send it flatter.")
        if isinstance(value, str):
            return self.text(value, label)
        if isinstance(value, list):
            return [self._item(inner, name, label, depth) for inner in value]
        if isinstance(value, dict):
            return self._object(value, name, label.by(value), depth)
        if isinstance(value, int | float) and not isinstance(value, bool) and name not in _COUNTED:
            return self._number(value, label)
        return value

    def _item(self, value: Any, name: str, label: Label, depth: int) -> Any:
        """One of a list; one of a message's parts may be what is no text."""
        kind = value.get("type") if isinstance(value, dict) else None
        if kind == "item_reference":
            raise _kept("item_reference")
        if name in ("content", "output") and isinstance(kind, str) and kind not in _TEXT_PARTS:
            return self._unread("a part that is not text", value)
        return self._value(value, name, label, depth + 1)

    def _object(self, value: dict[str, Any], name: str, label: Label, depth: int) -> dict[str, Any]:
        kind = value.get("type")
        called = name if name in _CALLED else kind if isinstance(kind, str) and kind in _CALLED | {"function_call_output"} else ""
        if value.get("role") in ("tool", "function"):
            called = "tool"
        done: dict[str, Any] = {}
        for key, inner in value.items():
            done[self._name(key)] = self._field(key, inner, label.within(value, key), called, depth)
        return done

    def text(self, text: str, label: Label, depth: int = 0) -> str:
        """A text masked; JSON in it stays JSON, for each of its texts is masked for itself."""
        if _DATA.match(text) or _DATA_WITHIN.search(text):
            return str(self._unread("bytes as a text", text))
        inner = _inner(text)
        if inner is None:
            return self._mask(text, label)
        done = self._leaves(inner, label, depth)
        return text if done == inner else json.dumps(done, ensure_ascii=False)

    def _leaves(self, value: Any, label: Label, depth: int) -> Any:
        """JSON of no known shape: all of it is text, names of fields and long numbers too."""
        if depth > _DEEPEST:
            raise RedactionError("JSON in a text is nested too deeply to be read", value=f"{_DEEPEST} levels", todo="Send it flatter.")
        if isinstance(value, str):
            return self.text(value, label, depth + 1)
        if isinstance(value, list):
            return [self._leaves(inner, label, depth + 1) for inner in value]
        if isinstance(value, dict):
            kept = frozenset() if self._names else frozenset(filter(_INNER_FIELD.fullmatch, value))
            named = {key: key if key in kept else self._mask(key, Label()) for key in value}
            own = label.by(value)
            return {named[key]: self._leaves(inner, own.within(value, key), depth + 1) for key, inner in value.items()}
        return self._number(value, label) if isinstance(value, int | float) and not isinstance(value, bool) else value

    def _number(self, value: float, label: Label) -> Any:
        """A whole number that may be a card's or an account's if it is long; any other one is what its name says, or a value that is known.
        Its stand-in is a text."""
        if not math.isfinite(value):
            return value
        whole = value == int(value)
        change = self._mask if whole and abs(value) > _LONG else self._short
        if change is None:
            return value
        written = str(int(value)) if whole else repr(value)
        sent = change(written, label)
        return sent if sent != written else value

    def _unread(self, what: str, value: Any) -> Any:
        self.unread.append(what)
        return value


def _is_structure(name: str, value: Any, above: str) -> bool:
    """Whether a value is a name or a word of the interface, or a list of such."""
    if name in _SEALED:
        return isinstance(value, str)
    shape = _WORD if name in _WORDS else _TOKEN if name in _NAMES or (name == "name" and above) else None
    words = value if isinstance(value, list) else [value]
    return shape is not None and all(isinstance(word, str) and shape.fullmatch(word) for word in words)


def _kept(name: str) -> RedactionError:
    return RedactionError(
        "the request goes on from what the upstream keeps, whose stand-ins are not known here",
        value=name,
        todo="Send the whole conversation instead.",
    )


def _is_tokens(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(inner, int) for inner in value)


def _inner(text: str) -> Any:
    """The object, list or text that a text is as JSON; None where it is none. One that names a field twice is not read as JSON."""
    if text.lstrip()[:1] not in ("{", "[", '"'):
        return None
    try:
        found = json.loads(text, object_pairs_hook=_pairs)
    except (ValueError, RecursionError):
        return None
    return found


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field is named twice")
    return found
