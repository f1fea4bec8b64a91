"""Ids of requests and replies, and whose a request is.

An id of ours is random: nobody can guess the next one, so that nobody can take it first or say something about a stranger's answer.
An id that a client chose is stored under the client's key, so that two clients may choose the same one.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from starlette.types import Scope

from smidgen.gateway.crossing import secret

OURS = "req_"
"""How the ids begin that this server gives to requests. A client's own id that begins so is replaced."""
REQUEST_ID = "smidgen.request_id"
"""Where a request's scope has its id."""
_KEY_DIGITS = 12
_RANDOM_BYTES = 12


def fresh() -> str:
    """A random name: 24 hexadecimal digits."""
    return secrets.token_bytes(_RANDOM_BYTES).hex()


def key_of(scope: Scope) -> str:
    """The first digits of the SHA-256 of the key that a request bears; empty where it bears none. From them nobody finds the key."""
    key = secret(scope["headers"])
    return hashlib.sha256(key).hexdigest()[:_KEY_DIGITS] if key else ""


def stored_id(id: str, key: str) -> str:
    """The id under which a request is stored: its own where this server gave it, else `KEY/ID` with the hash of the client's key. An id
    that is written so already stays."""
    return id if not key or id.startswith(OURS) or "/" in id else f"{key}/{id}"


@dataclass(frozen=True, slots=True)
class Asker:
    """A request by the id that it is stored under, and the hash of the key that asked."""

    id: str
    key: str


def asker(scope: Scope) -> Asker:
    """Those of a request."""
    key = key_of(scope)
    return Asker(stored_id(scope.get(REQUEST_ID, ""), key), key)
