"""The members of a desk: its models, by role. A role may have a member for one language more: `answer-de` beside `answer`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from smidgen.core.replies import Reply
from smidgen.desk.policy import REDACTION

Member: TypeAlias = Callable[[str], Reply]
"""A model of the desk: a text in, its reply out. Safe for several threads."""

ROLES: Mapping[str, str] = {
    "intents": "sorts messages by what the customer wants",
    "answer": "answers from documents",
    "act": "finds the tool and its arguments",
    "recommend": "suggests products",
    REDACTION: "finds personal data",
}
"""The roles of members, with what each does."""
_NAME = re.compile(rf"({'|'.join(ROLES)})(?:-([a-z]{{2}}))?")


def role_and_language(name: str) -> tuple[str, str]:
    """The role of a member's name, and the language that it is for; empty for all that have no member of their own. Both are empty for a
    name that no member may have."""
    found = _NAME.fullmatch(name)
    return (found[1], found[2] or "") if found else ("", "")


def member_for(members: Mapping[str, Member], role: str, language: str) -> Member | None:
    """The member of a role for a language: its own, or the one for all; None if there is neither."""
    return members.get(f"{role}-{language}") or members.get(role)


def languages_of(name: str, names: Iterable[str], languages: Iterable[str]) -> tuple[str, ...]:
    """The languages that a member answers in: its own, or those of the desk that have no member of their own."""
    role, own = role_and_language(name)
    others = {language for other in names for its_role, language in [role_and_language(other)] if its_role == role}
    return (own,) if own else tuple(one for one in languages if one not in others)
