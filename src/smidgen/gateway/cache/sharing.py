"""Whose answers a request may be given: nobody's but those of its own scope. What does not say whose it is has no scope, and no cache."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from smidgen.gateway.crossing import USER, secrets_of

Sharing = Literal["user", "key", "all"]
"""Who shares answers: the requests of one user of one key, those of one key, or all."""
Scope = list[Any]
"""Whose a request is, as values that JSON holds: two scopes are one only where they are equal."""

IDS = ("user", "safety_identifier")
"""Fields of a request that say who asks."""


def scope(sharing: Sharing, headers: Iterable[tuple[bytes, bytes]], body: Mapping[str, Any], apart: bool) -> Scope | None:
    """The scope of a request, from its headers and its body as the client sent them; None where it has none.

    A connection is no scope: a client's pool, or a proxy, sends many people's requests through one. So a request that names nobody is
    nobody's, and is neither kept nor answered from what is kept.

    Args:
        sharing: what the owner of the server said.
        headers, body: before anything was masked: `[PERSON_1]` is somebody else in each request.
        apart: whether clients' own keys go upstream. Then they separate in any case: who has no right to the upstream must not read what
            somebody else has paid for.
    """
    given = list(headers)
    keys = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in secrets_of(given)]
    if sharing == "all":
        return ["all", keys if apart else []]
    if sharing == "key":
        return ["key", keys] if keys else None
    ids = _ids(given, body)
    return ["user", keys, ids] if ids else None


def _ids(headers: list[tuple[bytes, bytes]], body: Mapping[str, Any]) -> list[list[str]]:
    """Each id that the request gives, by where it stands: `x-smidgen-user: 7` need not be the `user` 7. Blanks around one count nowhere.
    None at all where one is not a text: what it stands for is not known."""
    named: list[tuple[str, Any]] = [(name, body.get(name)) for name in IDS]
    named += [(USER.decode("latin-1"), value.decode("utf-8", "backslashreplace")) for name, value in headers if name.lower() == USER]
    if not all(value is None or isinstance(value, str) for _, value in named):
        return []
    return [[name, value.strip()] for name, value in named if value is not None and value.strip()]
