"""The Host header: a web page must not reach a loopback server through a name that it made point here (DNS rebinding)."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

from smidgen.server.errors import failure

LOCAL = ("localhost", "127.0.0.1", "[::1]")


class Hosts:
    """Lets a request through that was sent to one of these names, with any port."""

    def __init__(self, app: ASGIApp, names: Iterable[str]) -> None:
        self._app = app
        self._names = frozenset(name.lower().encode("ascii", "replace") for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403 where the Host header is another name, or is missing."""
        if scope["type"] == "http" and self._name(scope) not in self._names:
            response = failure(
                403,
                "This server does not answer to that host name. Call it as localhost, or start it with --allow-host.",
                "host_not_allowed",
            )
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)

    @staticmethod
    def _name(scope: Scope) -> bytes:
        host: bytes = next((value for name, value in scope["headers"] if name == b"host"), b"").strip().lower()
        if host.startswith(b"["):
            return host.partition(b"]")[0] + b"]"
        return host.partition(b":")[0]
