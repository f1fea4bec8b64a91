"""API keys: who may call."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

from smidgen.server.errors import failure

OPEN = frozenset({"/", "/healthz", "/readyz", "/docs", "/openapi.json"})
"""Paths that need no key: they tell whether the server lives and what it takes, and nothing about bundles or traffic."""


class Keys:
    """Lets a request through that bears one of the keys (`Authorization: Bearer KEY`).

    Every key is compared, in constant time, so that the time taken tells nothing about any of them.
    """

    def __init__(self, app: ASGIApp, keys: Iterable[str]) -> None:
        self._app = app
        self._hashes = [_digest(key) for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401 without a key or with a wrong one."""
        if scope["type"] == "http" and scope["path"] not in OPEN and not self._knows(scope):
            response = failure(401, "The API key is missing or wrong. Send it as: Authorization: Bearer KEY.", "invalid_api_key")
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _knows(self, scope: Scope) -> bool:
        return _is_one_of(scope, self._hashes)


def bears(scope: Scope, keys: Iterable[str]) -> bool:
    """Whether a request bears one of these keys as its bearer token."""
    return _is_one_of(scope, [_digest(key) for key in keys])


def _is_one_of(scope: Scope, known: Iterable[bytes]) -> bool:
    given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    scheme, _, key = given.partition(b" ")
    if scheme.lower() != b"bearer":
        return False
    digest = hashlib.sha256(key.strip()).digest()
    return any([hmac.compare_digest(digest, one) for one in known])  # noqa: C419 a list: no early end


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8")).digest()
