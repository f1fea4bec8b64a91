"""Whether llama.cpp holds a text to a JSON schema.

It passes over a schema that it cannot hold to (a reference to nowhere, a kind of field that it does not know), and writes as if there
were none. So each new schema is tried: behind a mark that nothing but the schema's grammar would write first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from smidgen.core.errors import RequestError
from smidgen.engines.llama_wire import packed

MARK = "#>"
TOKENS = 4
"""Enough to write the mark, however the model splits it."""
_KEPT = 256
_STEP = 1e-9


class Schemas:
    """The schemas of one model that have been tried. `written` gives the first tokens that the model writes within a grammar."""

    def __init__(self, written: Callable[[str], str]) -> None:
        self._written = written
        self._held: OrderedDict[str, bool] = OrderedDict()

    def check(self, schema: Mapping[str, Any]) -> None:
        """Raise RequestError for a schema that a text cannot be held to, ValueError for one that JSON cannot say."""
        line = packed(dict(schema)).decode("ascii").strip()
        held = self._held.get(line)
        if held is None:
            held = self._written(grammar(line)).startswith(MARK)
            self._held[line] = held
            while len(self._held) > _KEPT:
                self._held.popitem(last=False)
        if not held:
            raise RequestError(
                "the answer cannot be held to this JSON schema",
                value=line,
                todo="Is each reference in it? Leave out what is rare: patterns, formats, conditions.",
                status=400,
                code="invalid_json_schema",
                param="response_format",
            )


def grammar(schema: str) -> str:
    """A grammar for the mark and what fits the schema, in the language of llguidance, which llama.cpp uses for schemas."""
    return f'%llguidance {{}}\nstart: "{MARK}" value\nvalue: %json {schema}'


def compact(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with the one spelling of JSON that a model is taught: no blanks, so that there is one way to write a value; and numbers
    with nine decimals at most, for a model that knows nothing better may write nothing but zeros to the end."""
    return {**_bounded(schema), "x-guidance": {"whitespace_flexible": False, "item_separator": ",", "key_separator": ":"}}


def _bounded(node: Mapping[str, Any]) -> dict[str, Any]:
    kinds = node.get("type")
    made = dict(node)
    if "number" in (kinds if isinstance(kinds, list) else [kinds]) and "enum" not in node:
        made.setdefault("multipleOf", _STEP)
    if "properties" in node:
        made["properties"] = {name: _bounded(inner) for name, inner in node["properties"].items()}
    if "items" in node:
        made["items"] = _bounded(node["items"])
    return made
