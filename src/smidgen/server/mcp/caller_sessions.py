"""Sessions of MCP clients older than protocol 2026 that can ask a person: the server's question reaches them in no other way.

A client has one only if it says that it can ask. Each key has its sessions for itself: with another key they do not exist.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from smidgen.server.request import request_of

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

MOST_KEYS = 32
"""Most keys with sessions. Clients with further keys have none, so that they cannot confirm a call."""
MOST_SESSIONS = 64
"""Most sessions of a key. A further one is refused until another has ended."""
IDLE_SECONDS = 600.0
"""Seconds without a request after which a session ends."""
_VERSION, _SESSION = b"mcp-protocol-version", b"mcp-session-id"


@dataclass
class _KeyedSessions:
    """A key's sessions.

    Attributes:
        manager: holds them.
        task: in which they live.
        begun: set once they can be used, or have failed.
        used: when the last request came or ended.
    """

    manager: StreamableHTTPSessionManager
    task: asyncio.Task[None]
    begun: asyncio.Event
    used: float


class CallerSessions:
    """The sessions of all keys, in one event loop.

    Args:
        most_body: most bytes of a request.
    """

    def __init__(self, most_body: int) -> None:
        self._most_body = most_body
        self._of: dict[str, _KeyedSessions] = {}

    async def takes(self, scope: Scope, receive: Receive) -> tuple[bool, Receive]:
        """Return whether a request belongs to a session or opens one, and a function that receives its body."""
        from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

        request = request_of(scope)
        version = request.header(_VERSION)
        if version and version.decode("latin-1") not in HANDSHAKE_PROTOCOL_VERSIONS:
            return False, receive
        if request.header(_SESSION):
            return True, receive
        if request.method != "POST":
            return False, receive
        body = await request.read(receive)
        return _can_ask(body.json) and self._has_room(request.identity.key), request.replayed()

    async def answer(self, server: Server[Any], scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request in its session. A session of another key is not found."""
        request = request_of(scope)
        kept = self._of.get(request.identity.key)
        if kept is None and request.header(_SESSION):
            error = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "Session not found"}}
            await Response(json.dumps(error), 404, media_type="application/json")(scope, receive, send)
            return
        if kept is None:
            kept = self._opened(server, request.identity.key)
        clock = asyncio.get_running_loop().time
        kept.used = clock()
        await kept.begun.wait()
        try:
            await kept.manager.handle_request(scope, receive, send)
        finally:
            kept.used = clock()

    async def close(self) -> None:
        """End all sessions."""
        tasks = [kept.task for kept in self._of.values()]
        self._of.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _has_room(self, key: str) -> bool:
        """Whether this key may have a session. Keys whose sessions have all ended are forgotten first."""
        now = asyncio.get_running_loop().time()
        for one, kept in list(self._of.items()):
            if kept.task.done() or now - kept.used > IDLE_SECONDS:
                kept.task.cancel()
                del self._of[one]
        return key in self._of or len(self._of) < MOST_KEYS

    def _opened(self, server: Server[Any], key: str) -> _KeyedSessions:
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

        manager = StreamableHTTPSessionManager(
            server, session_idle_timeout=IDLE_SECONDS, max_request_body_size=self._most_body, max_sessions=MOST_SESSIONS
        )
        begun = asyncio.Event()

        async def run() -> None:
            try:
                async with manager.run():
                    begun.set()
                    await asyncio.Event().wait()
            finally:
                begun.set()

        kept = self._of[key] = _KeyedSessions(manager, asyncio.create_task(run()), begun, asyncio.get_running_loop().time())
        return kept


def _can_ask(body: Mapping[str, Any] | None) -> bool:
    """Whether a body opens a connection with a client that can put a question to a person."""
    if body is None or body.get("method") != "initialize":
        return False
    params = body.get("params")
    abilities = params.get("capabilities") if isinstance(params, Mapping) else None
    return isinstance(abilities, Mapping) and isinstance(abilities.get("elicitation"), Mapping)
