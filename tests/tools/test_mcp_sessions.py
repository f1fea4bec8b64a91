"""Connections to MCP servers over Streamable HTTP are kept between calls, and are few; a server that was started anew is asked again."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from mcp.server.mcpserver import MCPServer
from starlette.responses import JSONResponse
from tests.eventually import eventually

from smidgen.tools.definition import McpTarget
from smidgen.tools.http_calls import OutcomeUnknown
from smidgen.tools.mcp_servers import call_tool, read_definitions, save_definitions
from smidgen.tools.mcp_sessions import McpSessions, NoMcpAnswer
from smidgen.tools.tool_settings import McpSettings


class Letters:
    """An MCP server over HTTP, on one port for all its lives. `seen`: its requests, by method; of a POST, also what it asks for."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/mcp"
        self.seen: Counter[str] = Counter()
        self.sent: list[str] = []
        self.slow = 0.0

    @contextlib.contextmanager
    def alive(self) -> Iterator[None]:
        server, seen = MCPServer("letters"), self.seen

        @server.tool(description="Send a letter")
        def send_letter(to: str) -> str:
            self.sent.append(to)
            time.sleep(self.slow)
            return f"sent to {to}"

        inner = server.streamable_http_app()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                body = (await receive()).get("body", b"")
                asked = next((word for word in ("initialize", "tools/list", "tools/call") if f'"{word}"'.encode() in body), "")
                seen[f"{scope['method']} {asked}".strip()] += 1
                if b'"server/discover"' in body:  # as a server of the protocol with sessions answers, which most are
                    fault = {"jsonrpc": "2.0", "id": json.loads(body)["id"], "error": {"code": -32601, "message": "Method not found"}}
                    await JSONResponse(fault)(scope, receive, send)
                    return
                told: list[Any] = [{"type": "http.request", "body": body, "more_body": False}]

                async def again() -> Any:
                    return told.pop() if told else await receive()

                await inner(scope, again, send)
            else:
                await inner(scope, receive, send)

        runner = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1))
        listening = socket.socket()
        self._socket.close()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", self.port))
        thread = threading.Thread(target=runner.run, args=([listening],), daemon=True)
        thread.start()
        eventually(lambda: runner.started, 20)
        try:
            yield
        finally:
            runner.should_exit = True
            thread.join(10)
            listening.close()


def send(target: McpTarget, to: str, sessions: McpSessions) -> Sequence[Any]:
    return call_tool(target, {"to": to}, {}, True, sessions)


def chosen(url: str, folder: Path) -> McpTarget:
    """The tool of the server, as it is described now."""
    settings = McpSettings(url=url, definitions="letters.json")
    assert save_definitions(settings, folder, {}) == ["send_letter"]
    (found,) = read_definitions(folder / "letters.json", settings, folder)
    assert isinstance(found.target, McpTarget)
    return found.target


def test_a_connection_is_kept_and_opened_again_for_a_server_that_was_started_anew(tmp_path: Path) -> None:
    letters = Letters()
    with contextlib.closing(McpSessions()) as sessions:
        with letters.alive():
            target = chosen(letters.url, tmp_path)
            letters.seen.clear()
            assert [send(target, name, sessions) for name in ("Nia", "Bo", "Ed")] == [["sent to Nia"], ["sent to Bo"], ["sent to Ed"]]
            assert (letters.seen["POST initialize"], letters.seen["POST tools/call"]) == (1, 3)
        with pytest.raises(NoMcpAnswer, match="cannot be asked"):
            send(target, "nobody", sessions)
        with letters.alive():
            assert send(target, "Ada", sessions) == ["sent to Ada"] and letters.sent == ["Nia", "Bo", "Ed", "Ada"]
            began = letters.seen["DELETE"]
            sessions.close()
            assert letters.seen["DELETE"] == began + 1, "the session is ended at the server"


def test_a_kept_connection_whose_server_forgot_it_is_opened_anew_and_nothing_is_done_twice(tmp_path: Path) -> None:
    letters = Letters()
    with contextlib.closing(McpSessions()) as sessions:
        with letters.alive():
            target = chosen(letters.url, tmp_path)
            assert send(target, "Nia", sessions) == ["sent to Nia"]
        with letters.alive():
            assert send(target, "Bo", sessions) == ["sent to Bo"]
    assert letters.sent == ["Nia", "Bo"]


def test_they_are_few_and_do_not_rest_for_long(tmp_path: Path) -> None:
    first, second = Letters(), Letters()
    with first.alive(), second.alive(), contextlib.closing(McpSessions(most=1, idle=0.2)) as sessions:
        targets = [chosen(one.url, tmp_path) for one in (first, second)]
        for one in (first, second):
            one.seen.clear()
        for target in (targets[0], targets[1], targets[0]):
            send(target, "Nia", sessions)
        assert (first.seen["POST initialize"], second.seen["POST initialize"]) == (2, 1)
        eventually(lambda: first.seen["DELETE"] == 2 and second.seen["DELETE"] == 1, 10)


def test_a_call_without_an_answer_may_have_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    letters = Letters()
    with letters.alive(), contextlib.closing(McpSessions()) as sessions:
        target = chosen(letters.url, tmp_path)
        send(target, "Nia", sessions)
        monkeypatch.setattr("smidgen.tools.mcp_servers.MOST_SECONDS", 0.3)
        letters.slow = 1.0
        with pytest.raises(OutcomeUnknown):
            send(target, "Bo", sessions)
        assert letters.sent == ["Nia", "Bo"], "it is not done again"
