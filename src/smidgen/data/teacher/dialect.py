"""What a server takes of a request. Newer models know `max_tokens` by another name, and those that reason take no temperature: a server
that refuses one of these says which, and is then asked without it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from smidgen.data.teacher.exchange import Question

_MAX_TOKENS, _TEMPERATURE, _SEED = "max_tokens", "temperature", "seed"
_CHANGEABLE = frozenset((_MAX_TOKENS, _TEMPERATURE, _SEED))
_NAMED = re.compile(rf"\b(?:{'|'.join(sorted(_CHANGEABLE))})\b")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a server is asked.

    Attributes:
        refused: settings of an answer that it does not take. The bound on its tokens never goes missing: it goes by its newer name.
    """

    refused: frozenset[str] = frozenset()

    @property
    def heated(self) -> bool:
        """Whether it takes a temperature; a server that takes none samples as it always does."""
        return _TEMPERATURE not in self.refused

    def without(self, names: frozenset[str]) -> Dialect:
        """The same, without these settings as well."""
        return Dialect(self.refused | names)

    def settings(self, question: Question) -> dict[str, Any]:
        """What a request says of the answer that is wanted."""
        bound = "max_completion_tokens" if _MAX_TOKENS in self.refused else _MAX_TOKENS
        wanted: dict[str, Any] = {bound: question.max_tokens, _TEMPERATURE: question.temperature}
        if question.temperature > 0:
            wanted[_SEED] = question.vote
        return {name: value for name, value in wanted.items() if name not in self.refused}


def refused(body: bytes) -> frozenset[str]:
    """Which of the settings that a request can do without the body of a refusal names: as its `param`, or else in its words."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return frozenset()
    error = found.get("error", found) if isinstance(found, dict) else None
    if isinstance(error, str):
        return frozenset(_NAMED.findall(error))
    if not isinstance(error, dict):
        return frozenset()
    if isinstance(error.get("param"), str) and error["param"]:
        return _CHANGEABLE & {error["param"]}
    message = error.get("message")
    return frozenset(_NAMED.findall(message)) if isinstance(message, str) else frozenset()
