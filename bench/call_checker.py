"""Calls of the Berkeley Function-Calling Leaderboard, checked as it checks them: names, required and unknown arguments, types, values.

Each argument has a list of allowed values; an empty text among them means that it may be left out. Texts are compared without case, blanks
and the signs `,./-_*^`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_SIGNS = re.compile(r"[ ,./\-_*^]")
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "float": (float, int), "number": (float, int), "boolean": (bool,),
    "array": (list,), "tuple": (list,), "dict": (dict,), "object": (dict,), "any": (str, int, float, bool, list, dict),
}  # fmt: skip


def wrong(call: Mapping[str, Any] | None, function: Mapping[str, Any], allowed: Mapping[str, Any]) -> str:
    """Why a call is wrong, in a word or two; empty if it is right. `allowed`: `{function name: {argument: allowed values}}`."""
    ((name, values),) = allowed.items()
    if call is None:
        return "no call"
    if call["tool"] != name:
        return "another function"
    given, schema = call["arguments"], function["parameters"]
    if missing := [one for one in schema.get("required", ()) if one not in given]:
        return f"without {missing[0]}"
    for argument, value in given.items():
        if argument not in values or argument not in schema["properties"]:
            return f"unknown {argument}"
        if not _typed(value, schema["properties"][argument]):
            return f"type of {argument}"
        if not any(_same(value, one) for one in values[argument]):
            return f"value of {argument}"
    left_out = [one for one, own in values.items() if one not in given and "" not in own]
    return f"without {left_out[0]}" if left_out else ""


def _typed(value: Any, node: Mapping[str, Any]) -> bool:
    kinds = _TYPES.get(str(node.get("type")), ())
    if isinstance(value, bool) and bool not in kinds:
        return False
    if not isinstance(value, kinds):
        return False
    inner = node.get("items")
    return not isinstance(value, list) or not isinstance(inner, Mapping) or "type" not in inner or all(_typed(one, inner) for one in value)


def _same(value: Any, allowed: Any) -> bool:
    if isinstance(value, str) and isinstance(allowed, str):
        return _plain(value) == _plain(allowed)
    if isinstance(value, list) and isinstance(allowed, list):
        return len(value) == len(allowed) and all(_same(one, other) for one, other in zip(value, allowed, strict=True))
    if isinstance(value, dict) and isinstance(allowed, dict):
        return all(name in allowed and _among(one, allowed[name]) for name, one in value.items()) and all(
            name in value or (isinstance(own, Sequence) and "" in own) for name, own in allowed.items()
        )
    return bool(value == allowed) and isinstance(value, bool) == isinstance(allowed, bool)


def _among(value: Any, allowed: Any) -> bool:
    return any(_same(value, one) for one in allowed) if isinstance(allowed, list) else _same(value, allowed)


def _plain(text: str) -> str:
    return _SIGNS.sub("", text).lower().replace("'", '"')
