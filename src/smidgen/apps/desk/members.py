"""The members of a desk: its models, by role."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from smidgen.core.replies import Reply

Member: TypeAlias = Callable[[str], Reply]
"""A model of the desk: a text in, its reply out. Safe for several threads."""

ROLES: Mapping[str, str] = {
    "intents": "sorts messages by what the customer wants",
    "answer": "answers from documents",
    "act": "finds the tool and its arguments",
    "recommend": "suggests products",
}
"""The roles of members, with what each does."""
