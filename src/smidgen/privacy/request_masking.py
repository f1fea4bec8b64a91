"""Mask a request: walk through its body, mask every text in it, and report the parts that cannot be read.

Everything that is not known structure is text: a field that OpenAI adds tomorrow is masked today. The name of a field may tell what its
text is: a security code is three digits. The large model reads the parts of one message as one text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from smidgen.core.errors import RedactionError
from smidgen.privacy import encodings, identifiers, request_structure
from smidgen.privacy.redactor import Redactor
from smidgen.privacy.request_structure import TEXT_PARTS
from smidgen.text import words

_PART_LISTS = ("content", "output", "summary")


def adjoining_texts(body: Mapping[str, Any]) -> Iterator[list[str]]:
    """Yield runs of two or more adjacent text parts in the messages and items of a body."""
    for name in ("messages", "input"):
        items = body.get(name)
        for item in items if isinstance(items, list) else ():
            if isinstance(item, Mapping):
                for field in _PART_LISTS:
                    yield from _adjoining_parts(item.get(field))
    yield from _adjoining_parts(body.get("input"))


def _adjoining_parts(parts: Any) -> Iterator[list[str]]:
    """Yield the runs in one list of parts. A part that is not text ends a run."""
    together: list[str] = []
    for part in (*parts, None) if isinstance(parts, list) else ():
        kind, text = (part.get("type"), part.get("text")) if isinstance(part, Mapping) else (None, None)
        if isinstance(kind, str) and kind in TEXT_PARTS and isinstance(text, str):
            together += [text] if text else []
            continue
        if len(together) > 1:
            yield together
        together = []


_DIGITS, _LONGEST_NUMBER, _LONG_TEXT, _MOST = 13, 30, 200, 8
_NAMING = ("name", "key", "field", "label")


@dataclass(frozen=True, slots=True)
class FieldContext:
    """The place of a text in a body.

    Attributes:
        name: name of its field; empty if it is in none.
        above: name of the field around that one.
        beside: short texts with enough digits for a card number, in other fields of the object, or of one around it.
        inside: such texts in the fields of this object, each with its name.
    """

    name: str = ""
    above: str = ""
    beside: tuple[str, ...] = ()
    inside: tuple[tuple[str, str], ...] = ()

    @property
    def words(self) -> str:
        """The names, as words separated by blanks."""
        return words.field_words(self.above, self.name)

    def within(self, value: Mapping[str, Any], name: str) -> FieldContext:
        """Return the context of a field of an object. In `{"name": "cvv", "value": "123"}`, the value takes the name `cvv`."""
        naming = (value.get(word) for word in _NAMING) if name == "value" else ()
        called = next((found for found in naming if isinstance(found, str) and found), name)
        beside = (*self.beside, *(text for field, text in self.inside if field != name))
        return FieldContext(called, self.name, beside[-_MOST:])

    def by(self, value: Mapping[str, Any]) -> FieldContext:
        """Return the context of an object's fields, with the digits that they reveal about one another."""
        texts = ((name, _scalar(inner)) for name, inner in value.items())
        found = tuple((name, text) for name, text in texts if sum(map(str.isdigit, text)) >= _DIGITS)
        return replace(self, inside=found[:_MOST]) if found or self.inside else self


def _scalar(value: Any) -> str:
    """Return a short text or a whole number as a text; else an empty one."""
    if isinstance(value, str):
        return value if len(value) <= _LONG_TEXT else ""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**_LONGEST_NUMBER else ""


MASKED_PATHS = frozenset({"/chat/completions", "/completions", "/responses", "/embeddings", "/moderations"})
"""Paths under `/v1` with a known body, whose texts can be masked."""

_DEEPEST = 100
_FREE = frozenset({"metadata"}) | request_structure.VALUES
"""Fields that hold the client's own words, anywhere."""
_READ = {
    **dict.fromkeys(("content", "output"), request_structure.TEXT_PARTS),
    "outputs": request_structure.TEXT_PARTS | {"logs"},
    "input": request_structure.TEXT_PARTS | request_structure.ITEMS,
}
"""Lists whose parts name their type, and the types that are texts or are read field by field."""
_CALLED = frozenset({"function", "function_call", "custom", "custom_tool_call", "json_schema", "mcp", "tool"})
"""Places where `name` is that of a tool or a schema, not of a person."""
_KEPT_UPSTREAM = ("previous_response_id", "conversation")
"""Fields by which a request continues from state of the upstream: its placeholders are unknown here, and could clash with new ones."""
_TOKENS = frozenset({"prompt", "input"})
_LONG = 99_999_999
"""Up to here a number has eight digits. It is masked only if the name of its field, or a known value, says so."""

Mask = Callable[[str, FieldContext], str]
"""Changes a text, given its content and context."""


def read_once(body: bytes) -> dict[str, Any] | None:
    """Parse a body as an object; None if it is none, or repeats a field name, because another reader could then read a value that was not
    seen."""
    try:
        found = json.loads(body.decode("utf-8"), object_pairs_hook=_pairs)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


class BodyWalk:
    """One walk through a body.

    Args:
        mask: changes a text.
        short: changes a number of up to eight digits, or with a fraction, as a text; by default such numbers stay.
        names: whether all field names in JSON of unknown shape are texts, even if they look like field names.

    Attributes:
        unread: short descriptions of parts that cannot be read.
    """

    def __init__(self, mask: Mask, short: Mask | None = None, names: bool = False) -> None:
        self._mask, self._short, self._names = mask, short, names
        self.unread: list[str] = []

    def body(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the body with its texts masked. Unreadable parts stay in it and are listed in `unread`.

        Raises RedactionError if it continues from state of the upstream, or is nested too deeply; and the errors of `mask`.
        """
        kept = next((name for name in _KEPT_UPSTREAM if body.get(name)), None)
        if kept is not None:
            raise _kept(kept)
        label = FieldContext().by(body)
        done: dict[str, Any] = {}
        for name, value in body.items():
            own = label.within(body, name)
            if name == "model" and request_structure.is_model(value):
                done[name] = value
            else:
                done[self._name(name)] = (
                    self._field(name, value, own, "", 0) if name in request_structure.BODY else self._foreign(name, value, own, 0)
                )
        return done

    def _name(self, name: str) -> str:
        """Return the name of a field, masked as a text if it may be more than a name."""
        return name if request_structure.FIELD.fullmatch(name) else self.text(name, FieldContext())

    def _field(self, name: str, value: Any, label: FieldContext, above: str, depth: int) -> Any:
        """Return the masked value of a field. `above`: the field that the object is in, or its type."""
        if request_structure.is_file(name, value) or request_structure.is_unread(name, value):
            return self._unread(f"the field {name}", value)
        if name in _TOKENS and isinstance(value, list) and any(_is_tokens(inner) for inner in (value, *value)):
            return self._unread(f"token numbers in {name}", value)
        if request_structure.is_structure(name, value, above, label.above):
            return value
        if name == "variables" and label.above == "prompt" and isinstance(value, dict):
            return {self._inner_name(key): self._given(inner, label.within(value, key), depth + 1) for key, inner in value.items()}
        if label.above not in request_structure.SCHEMAS:
            if name in _FREE or (name == "arguments" and isinstance(value, dict | list)):
                return self._leaves(value, label, depth + 1)
            if name in ("content", "input", "output") and isinstance(value, dict):
                return self._foreign(name, value, label, depth + 1)
        return self._value(value, name, label, depth + 1)

    def _value(self, value: Any, name: str, label: FieldContext, depth: int) -> Any:
        if depth > _DEEPEST:
            raise _deep()
        if isinstance(value, str):
            return self.text(value, label)
        if isinstance(value, list):
            return [self._item(inner, name, label, depth) for inner in value]
        if isinstance(value, dict):
            return self._object(value, name, label.by(value), depth)
        if isinstance(value, int | float) and not isinstance(value, bool):
            counted = name in request_structure.COUNTED or label.above == "logit_bias"
            return self._counted(value, name, label) if counted else self._number(value, label)
        return value

    def _counted(self, value: float, name: str, label: FieldContext) -> float:
        """Check a number of the interface, which no text can replace. Raises RedactionError for a long one that would be masked."""
        written = str(value) if isinstance(value, int) else repr(value)
        if request_structure.is_ordinary(name, value) or not math.isfinite(value) or self._mask(written, label) == written:
            return value
        raise RedactionError("privacy.number_may_be_personal_data", value=name)

    def _item(self, value: Any, name: str, label: FieldContext, depth: int) -> Any:
        """Return the masked item of a list. A part of a message or an input may be of a type that is not text."""
        kind = value.get("type") if isinstance(value, dict) else None
        if kind == "item_reference":
            raise _kept("item_reference")
        known = _READ.get(name)
        if known is not None and isinstance(kind, str) and kind not in known:
            return self._unread("a part that is not text", value)
        return self._value(value, name, label, depth + 1)

    def _object(self, value: dict[str, Any], name: str, label: FieldContext, depth: int) -> dict[str, Any]:
        kind = value.get("type")
        called = name if name in _CALLED else kind if isinstance(kind, str) and kind in _CALLED | {"function_call_output"} else ""
        if value.get("role") in ("tool", "function"):
            called = "tool"
        done: dict[str, Any] = {}
        for key, inner in value.items():
            own = label.within(value, key)
            strange = isinstance(value.get("role"), str) and key not in request_structure.MESSAGE and isinstance(inner, dict | list)
            done[self._name(key)] = self._foreign(key, inner, own, depth) if strange else self._field(key, inner, own, called, depth)
        return done

    def _given(self, value: Any, label: FieldContext, depth: int) -> Any:
        """Return a masked variable of a prompt that the upstream stores: a text, or a part as in messages."""
        if depth > _DEEPEST:
            raise _deep()
        if isinstance(value, list):
            return [self._given(inner, label, depth + 1) for inner in value]
        if isinstance(value, dict) and isinstance(value.get("type"), str):
            if value["type"] not in request_structure.TEXT_PARTS:
                return self._unread("a part that is not text", value)
            return self._object(value, "content", label.by(value), depth)
        return self._foreign("", value, label, depth)

    def _foreign(self, name: str, value: Any, label: FieldContext, depth: int) -> Any:
        """Return a masked field that the interface does not know: nothing in it is structure, but files are still reported."""
        return (
            self._unread(f"the field {name}", value)
            if request_structure.is_file(name, value)
            else self._leaves(value, label, depth, files=True)
        )

    def text(self, text: str, label: FieldContext, depth: int = 0) -> str:
        """Return a text masked. JSON in it stays JSON, with each string masked separately. Bytes in it stay."""
        inner = _inner(text)
        if inner is not None:
            done = self._leaves(inner, label, depth)
            return text if done == inner else json.dumps(done, ensure_ascii=False)
        coded = encodings.base64_spans(text)
        if not coded:
            return self._mask(text, label)
        self.unread.append("bytes as a text")
        pieces, at = [], 0
        for start, end in (*coded, (len(text), len(text))):
            pieces += [self._mask(text[at:start], label) if text[at:start].strip() else text[at:start], text[start:end]]
            at = end
        return "".join(pieces)

    def _leaves(self, value: Any, label: FieldContext, depth: int, files: bool = False) -> Any:
        """Mask JSON of unknown shape: all of it is text, including field names and long numbers.

        `files`: the JSON is not inside a text, so an object that declares itself a file is one.
        """
        if depth > _DEEPEST:
            raise _deep()
        if isinstance(value, str):
            return self.text(value, label, depth + 1)
        if isinstance(value, list):
            return [self._leaves(inner, label, depth + 1, files) for inner in value]
        if isinstance(value, dict):
            if files and request_structure.is_medium(value):
                return self._unread("a part that is not text", value)
            named = {key: self._inner_name(key) for key in value}
            own = label.by(value)
            return {named[key]: self._leaf(key, inner, own.within(value, key), depth + 1, files) for key, inner in value.items()}
        return self._number(value, label) if isinstance(value, int | float) and not isinstance(value, bool) else value

    def _leaf(self, name: str, value: Any, label: FieldContext, depth: int, files: bool) -> Any:
        return self._foreign(name, value, label, depth) if files else self._leaves(value, label, depth)

    def _inner_name(self, name: str) -> str:
        """Return the name of a field in such JSON, masked as a text if it may be more than a name."""
        return name if not self._names and request_structure.INNER_FIELD.fullmatch(name) else self.text(name, FieldContext())

    def _number(self, value: float, label: FieldContext) -> Any:
        """Mask a number. A long whole number may be a card's or an account's; any other one only if its name, or a known value, says so.

        Its placeholder is a text.
        """
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
    return RedactionError("privacy.json_is_nested_too_deeply_to_be_read", deepest=_DEEPEST)


def _kept(name: str) -> RedactionError:
    return RedactionError("privacy.request_continues_what_upstream_keeps", value=name)


def _is_tokens(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(inner, int) for inner in value)


def _inner(text: str) -> Any:
    """Parse a text as a JSON object, list or string; None if it is none, or repeats a field name."""
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


def masking(redactor: Redactor) -> tuple[Mask, Mask]:
    """Return the functions that mask the texts of a walk, and its numbers of up to eight digits or with a fraction."""

    def text(text: str, label: FieldContext) -> str:
        said = _words_before(label)
        return redactor.mask(text, said and f"{said}: ")

    return text, lambda number, label: redactor.named(number, _words_before(label))


def _words_before(label: FieldContext) -> str:
    """Return the words in front of a text: a card number beside it, if there is one, and the name of its field."""
    words = label.words
    if not words:
        return ""
    card = next((text[slice(*place)] for text in label.beside for place in identifiers.card_numbers(text)), "")
    return f"{card}; {words}" if card else words
