"""The interfaces through which a desk uses its models and its tools."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from smidgen.apps.tools.definition import Tool
from smidgen.core.conversations import Facts
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

CallState: TypeAlias = Literal["ok", "nothing", "refused", "failed"]
"""How a call ended: `ok`; `nothing`: it ran, and there is nothing for these arguments; `refused`: too many tries; `failed`."""


@dataclass(frozen=True, slots=True)
class CallResult:
    """The result of a call: how it ended, its rows (names to values), and for people of the business why it failed."""

    state: CallState
    rows: Sequence[Facts] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """For whom a call is made: the conversation, its channel, and the customer's address there."""

    conversation: str
    channel: str
    address: str


RunCall: TypeAlias = Callable[[Tool, Mapping[str, Any], Caller], CallResult]
"""Makes a call. Never raises for a call that fails: the result says so."""
