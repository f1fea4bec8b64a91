"""What the path and the query of a request are made of: words of the interface, ids, and what may be anything and is read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_WORDS = frozenset(
    (
        *("chat", "completions", "responses", "embeddings", "moderations", "models", "files", "content", "uploads", "parts", "complete"),
        *("input_items", "input_tokens", "conversations", "items", "batches", "cancel", "assistants", "threads", "messages", "runs"),
        *("steps", "submit_tool_outputs", "vector_stores", "file_batches", "search", "images", "generations", "edits", "variations"),
        *("audio", "speech", "transcriptions", "translations", "fine_tuning", "jobs", "events", "checkpoints", "permissions", "pause"),
        *("resume", "containers", "evals", "videos", "realtime", "sessions", "usage", "limit", "order", "after", "before", "asc", "desc"),
        *("include", "purpose", "stream", "starting_after", "metadata", "filter", "model", "true", "false", "fine-tune"),
        *("assistants_output", "batch", "created_at", "user", "all", "in_progress", "completed", "failed", "cancelled", "api-version"),
        *("v1", "engines", "deployments"),
    )
)
"""Of OpenAI's interface."""
_ID = re.compile(
    r"(?:[a-z]{2,20}[_-])?"
    r"(?:[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|(?=(?:[A-Za-z]*[0-9]+[A-Za-z]+){2})[A-Za-z0-9]{16,255})"
)
"""A UUID, or a long row of letters and digits, well mixed, behind a short word or alone: what servers make up, and nobody is called."""
_LONGEST_ID = 300
_APART = re.compile(r"[^\W\d_][\W_]+[^\W\d_]")


@dataclass(frozen=True, slots=True)
class Odd:
    """What of an address is neither a word of the interface nor an id.

    Attributes:
        texts: that may be language.
        coded: that have a digit and no two words: of those a form alone could tell that they are personal.
    """

    texts: tuple[str, ...]
    coded: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.texts or self.coded)


def odd(steps: Iterable[str], query: Iterable[tuple[str, str]]) -> Odd:
    """What there is to be read of the steps of a path and the names and values of a query. What a value is its name may say (`cvv=123`).
    What stands behind `models` is a model's name, which is no language; in a body it leaves as well."""
    texts: dict[str, None] = {}
    coded: dict[str, None] = {}

    def take(text: str, language: bool = True) -> bool:
        if not text.strip() or text in _WORDS or (len(text) <= _LONGEST_ID and _ID.fullmatch(text)):
            return False
        plain = language and (_APART.search(text) or not any(map(str.isdigit, text)))
        (texts if plain else coded)[text] = None
        return True

    before = True
    for step in steps:
        take(step, before)
        before = before and step != "models"
    for name, value in query:
        take(name)
        if take(value):
            coded[f"{name}: {value}"] = None
    return Odd(tuple(texts), tuple(coded))
