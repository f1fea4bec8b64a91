"""A request on its way out: every text in it is found and masked, and what cannot be read is told.

Whatever is not known to be structure is a text: a field that OpenAI adds tomorrow is masked today.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from smidgen.core.errors import RedactionError
from smidgen.gateway import coded_bytes, structure
from smidgen.gateway.labels import Label

ROUTES = frozenset({"/chat/completions", "/completions", "/responses", "/embeddings", "/moderations"})
"""Behind `/v1`: where a body is known, so that the texts in it can be masked."""

_DEEPEST = 100
_FREE = frozenset({"metadata"}) | structure.VALUES
"""What the client says in its own words, wherever it stands."""
_READ = {
    **dict.fromkeys(("content", "output"), structure.TEXT_PARTS),
    "outputs": structure.TEXT_PARTS | {"logs"},
    "input": structure.TEXT_PARTS | structure.ITEMS,
}
"""Lists whose parts say of which type they are, and the types that are texts, or are read by their fields."""
_CALLED = frozenset({"function", "function_call", "custom", "custom_tool_call", "json_schema", "mcp", "tool"})
"""Where `name` is that of a tool or a schema, and not of somebody."""
_KEPT_UPSTREAM = ("previous_response_id", "conversation")
"""Where a request goes on from what the upstream keeps: stand-ins of then are not known now, and those of now would mean another."""
_TOKENS = frozenset({"prompt", "input"})
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
            own = label.within(body, name)
            if name == "model" and structure.is_model(value):
                done[name] = value
            else:
                done[self._name(name)] = (
                    self._field(name, value, own, "", 0) if name in structure.BODY else self._foreign(name, value, own, 0)
                )
        return done

    def _name(self, name: str) -> str:
        """The name of a field; one that may be more than that is masked as a text."""
        return name if structure.FIELD.fullmatch(name) else self.text(name, Label())

    def _field(self, name: str, value: Any, label: Label, above: str, depth: int) -> Any:
        """The value of a field. `above` says in which field the object stands, or of which type it is."""
        if structure.is_file(name, value):
            return self._unread(f"the field {name}", value)
        if name in _TOKENS and isinstance(value, list) and any(_is_tokens(inner) for inner in (value, *value)):
            return self._unread(f"token numbers in {name}", value)
        if structure.is_structure(name, value, above, label.above):
            return value
        if name == "variables" and label.above == "prompt" and isinstance(value, dict):
            return {self._inner_name(key): self._given(inner, label.within(value, key), depth + 1) for key, inner in value.items()}
        if label.above not in structure.SCHEMAS:
            if name in _FREE or (name == "arguments" and isinstance(value, dict | list)):
                return self._leaves(value, label, depth + 1)
            if name in ("content", "input", "output") and isinstance(value, dict):
                return self._foreign(name, value, label, depth + 1)
        return self._value(value, name, label, depth + 1)

    def _value(self, value: Any, name: str, label: Label, depth: int) -> Any:
        if depth > _DEEPEST:
            raise _deep()
        if isinstance(value, str):
            return self.text(value, label)
        if isinstance(value, list):
            return [self._item(inner, name, label, depth) for inner in value]
        if isinstance(value, dict):
            return self._object(value, name, label.by(value), depth)
        if isinstance(value, int | float) and not isinstance(value, bool):
            counted = name in structure.COUNTED or label.above == "logit_bias"
            return self._counted(value, name, label) if counted else self._number(value, label)
        return value

    def _counted(self, value: float, name: str, label: Label) -> float:
        """A number of the interface, in whose place no text can stand. Raises RedactionError for a long one that would be masked."""
        written = str(value) if isinstance(value, int) else repr(value)
        if structure.is_ordinary(name, value) or not math.isfinite(value) or self._mask(written, label) == written:
            return value
        raise RedactionError(
            "a number of the interface may be somebody's number",
            value=name,
            todo="Give it at most eight digits, six of them behind the point.",
        )

    def _item(self, value: Any, name: str, label: Label, depth: int) -> Any:
        """One of a list; one of a message's parts may be what is no text, and so may one of what is put in."""
        kind = value.get("type") if isinstance(value, dict) else None
        if kind == "item_reference":
            raise _kept("item_reference")
        known = _READ.get(name)
        if known is not None and isinstance(kind, str) and kind not in known:
            return self._unread("a part that is not text", value)
        return self._value(value, name, label, depth + 1)

    def _object(self, value: dict[str, Any], name: str, label: Label, depth: int) -> dict[str, Any]:
        kind = value.get("type")
        called = name if name in _CALLED else kind if isinstance(kind, str) and kind in _CALLED | {"function_call_output"} else ""
        if value.get("role") in ("tool", "function"):
            called = "tool"
        done: dict[str, Any] = {}
        for key, inner in value.items():
            own = label.within(value, key)
            strange = isinstance(value.get("role"), str) and key not in structure.MESSAGE and isinstance(inner, dict | list)
            done[self._name(key)] = self._foreign(key, inner, own, depth) if strange else self._field(key, inner, own, called, depth)
        return done

    def _given(self, value: Any, label: Label, depth: int) -> Any:
        """One of the variables of a prompt that the upstream keeps: a text, or a part as messages have them."""
        if depth > _DEEPEST:
            raise _deep()
        if isinstance(value, list):
            return [self._given(inner, label, depth + 1) for inner in value]
        if isinstance(value, dict) and isinstance(value.get("type"), str):
            if value["type"] not in structure.TEXT_PARTS:
                return self._unread("a part that is not text", value)
            return self._object(value, "content", label.by(value), depth)
        return self._foreign("", value, label, depth)

    def _foreign(self, name: str, value: Any, label: Label, depth: int) -> Any:
        """A field that the interface does not know: nothing in it is structure, and what is no text is told all the same."""
        return self._unread(f"the field {name}", value) if structure.is_file(name, value) else self._leaves(value, label, depth, files=True)

    def text(self, text: str, label: Label, depth: int = 0) -> str:
        """A text masked; JSON in it stays JSON, for each of its texts is masked for itself. Bytes in it stay, and what is around them is
        masked."""
        inner = _inner(text)
        if inner is not None:
            done = self._leaves(inner, label, depth)
            return text if done == inner else json.dumps(done, ensure_ascii=False)
        coded = coded_bytes.stretches(text)
        if not coded:
            return self._mask(text, label)
        self.unread.append("bytes as a text")
        pieces, at = [], 0
        for start, end in (*coded, (len(text), len(text))):
            pieces += [self._mask(text[at:start], label) if text[at:start].strip() else text[at:start], text[start:end]]
            at = end
        return "".join(pieces)

    def _leaves(self, value: Any, label: Label, depth: int, files: bool = False) -> Any:
        """JSON of no known shape: all of it is text, names of fields and long numbers too. `files`: it is no text's, and what says in it
        that it is a file is one."""
        if depth > _DEEPEST:
            raise _deep()
        if isinstance(value, str):
            return self.text(value, label, depth + 1)
        if isinstance(value, list):
            return [self._leaves(inner, label, depth + 1, files) for inner in value]
        if isinstance(value, dict):
            if files and structure.is_medium(value):
                return self._unread("a part that is not text", value)
            named = {key: self._inner_name(key) for key in value}
            own = label.by(value)
            return {named[key]: self._leaf(key, inner, own.within(value, key), depth + 1, files) for key, inner in value.items()}
        return self._number(value, label) if isinstance(value, int | float) and not isinstance(value, bool) else value

    def _leaf(self, name: str, value: Any, label: Label, depth: int, files: bool) -> Any:
        return self._foreign(name, value, label, depth) if files else self._leaves(value, label, depth)

    def _inner_name(self, name: str) -> str:
        """The name of a field in such JSON; one that may be more than that is masked as a text."""
        return name if not self._names and structure.INNER_FIELD.fullmatch(name) else self.text(name, Label())

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


def _deep() -> RedactionError:
    return RedactionError("JSON is nested too deeply to be read", value=f"{_DEEPEST} levels", todo="Send it flatter.")


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
