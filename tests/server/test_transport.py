"""Connections to an upstream: used again while they are whole, closed where they are not, and none is lost."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any

import httpx
import pytest
from tests.local_server import serving

from smidgen.server.gateway import transport
from smidgen.server.gateway.transport import UpstreamConnection

LIMITS = httpx.Limits(max_connections=2)


def test_one_connection_serves_one_request_after_the_other(connections: Connections) -> None:
    async def ask() -> None:
        straight = transport.DirectTransport(LIMITS, trust_env=False)
        for _ in range(3):
            await _whole(straight, connections.url)
        await straight.aclose()

    asyncio.run(ask())
    assert connections.opened == 1


def test_requests_at_a_time_have_a_connection_each_and_the_last_used_is_used_next(connections: Connections) -> None:
    async def ask() -> list[int]:
        straight = transport.DirectTransport(LIMITS, trust_env=False)
        both = [await straight.handle_async_request(_request(connections.url)) for _ in range(2)]
        for response in both:
            await response.aread()
            await response.aclose()
            await response.aclose()  # closing it twice gives nothing back twice
        again = [int(await _whole(straight, connections.url)) for _ in range(3)]
        await straight.aclose()
        return again

    assert asyncio.run(ask()) == [2, 2, 2] and connections.opened == 2


def test_a_request_waits_for_a_connection_and_not_for_ever(connections: Connections) -> None:
    async def ask() -> int:
        straight = transport.DirectTransport(httpx.Limits(max_connections=1), trust_env=False)
        first = await straight.handle_async_request(_request(connections.url))
        with pytest.raises(httpx.PoolTimeout):
            await straight.handle_async_request(_request(connections.url, pool=0.05))
        waiting = asyncio.ensure_future(_whole(straight, connections.url, pool=30.0))
        await asyncio.sleep(0)
        await first.aread()
        await first.aclose()
        await waiting
        await straight.aclose()
        return connections.opened

    assert asyncio.run(ask()) == 1


def test_what_fails_or_is_given_up_gives_its_connection_back(connections: Connections) -> None:
    async def ask() -> bytes:
        straight = transport.DirectTransport(httpx.Limits(max_connections=1), trust_env=False)
        with pytest.raises(httpx.ConnectError):
            await straight.handle_async_request(_request("http://127.0.0.1:1/", pool=20.0))
        given_up = asyncio.ensure_future(straight.handle_async_request(_request(connections.url + "hold", pool=20.0)))
        while not connections.opened:
            await asyncio.sleep(0.01)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        said = await _whole(straight, connections.url, pool=5.0)
        await straight.aclose()
        return said

    assert asyncio.run(ask()) == b"2"


@pytest.mark.parametrize(
    ("step", "used", "times"),
    [
        ("connection.connect_tcp.complete", False, 1),
        ("http11.send_request_headers.complete", True, 2),
        ("http11.response_closed.started", True, 1),
    ],
)
def test_whoever_is_given_up_at_the_wrong_moment_blocks_no_connection_for_the_next(
    connections: Connections, step: str, used: bool, times: int
) -> None:
    """httpcore takes a lock then, and a native cancel that comes in it leaves the connection as it is, for good."""

    async def ask() -> int:
        straight = transport.DirectTransport(httpx.Limits(max_connections=1), trust_env=False)
        if used:
            await _whole(straight, connections.url)
        given_up, seen = _cancelled_at(straight, connections.url, step, times)
        with pytest.raises(asyncio.CancelledError):
            await given_up
        for _ in range(3):
            await _whole(straight, connections.url, pool=20.0)
        await straight.aclose()
        assert not straight._closing
        return len(seen)

    assert asyncio.run(ask()) == 1


def test_a_body_whose_reading_was_given_up_twice_gives_its_connection_up(connections: Connections) -> None:
    """The first cancel has the connection closed, the second leaves that undone, and closing it again would do nothing."""

    async def ask() -> None:
        straight = transport.DirectTransport(httpx.Limits(max_connections=1), trust_env=False)
        given_up, _ = _cancelled_at(straight, connections.url + "half", "http11.receive_response_body.started", 2)
        with pytest.raises(asyncio.CancelledError):
            await given_up
        await _whole(straight, connections.url, pool=20.0)
        await straight.aclose()

    asyncio.run(ask())


def test_a_connection_that_cannot_be_closed_keeps_nobody_waiting_for_ever(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask() -> None:
        straight = transport.DirectTransport(httpx.Limits(max_connections=1), trust_env=False)
        ended = []

        async def stuck(_: UpstreamConnection) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(True)

        with monkeypatch.context() as patched:
            patched.setattr(transport, "_CLOSING_SECONDS", 0.01)
            patched.setattr(UpstreamConnection, "aclose", stuck)
            with pytest.raises(httpx.ConnectError):
                await straight.handle_async_request(_request("http://127.0.0.1:1/", pool=20.0))
            assert len(straight._closing) == 1
            await _whole(straight, connections.url, pool=30.0)
        assert ended == [True] and not straight._closing
        await straight.aclose()

    asyncio.run(ask())


def test_a_request_that_is_given_up_while_an_old_connection_is_closed_keeps_no_place(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask() -> None:
        straight = transport.DirectTransport(httpx.Limits(max_connections=2, keepalive_expiry=0.0), trust_env=False)
        for response in [await straight.handle_async_request(_request(connections.url)) for _ in range(2)]:
            await response.aread()
            await response.aclose()
        closing = asyncio.Event()

        async def slow(_: UpstreamConnection) -> None:
            closing.set()
            await asyncio.Event().wait()

        with monkeypatch.context() as patched:
            patched.setattr(UpstreamConnection, "aclose", slow)
            given_up = asyncio.ensure_future(straight.handle_async_request(_request(connections.url)))
            async with asyncio.timeout(30):
                await closing.wait()
            given_up.cancel()
            with pytest.raises(asyncio.CancelledError):
                await given_up
        for response in [await straight.handle_async_request(_request(connections.url, pool=2.0)) for _ in range(2)]:
            await response.aread()
            await response.aclose()
        await straight.aclose()

    asyncio.run(ask())


def test_a_connection_that_the_upstream_has_closed_is_not_used_again(connections: Connections) -> None:
    async def ask() -> list[bytes]:
        straight = transport.DirectTransport(LIMITS, trust_env=False)
        said = []
        for number, path in enumerate(("bye", "close"), start=1):
            said.append(await _whole(straight, connections.url + path))
            async with asyncio.timeout(30):
                while connections.closed < number:
                    await asyncio.sleep(0.01)
        said += [await _whole(straight, connections.url) for _ in range(2)]
        await straight.aclose()
        return said

    assert asyncio.run(ask()) == [b"1", b"2", b"3", b"3"]


def test_what_an_upstream_sends_unasked_is_nobodys_answer(connections: Connections) -> None:
    async def ask() -> list[bytes]:
        straight = transport.DirectTransport(LIMITS, trust_env=False)
        said = [await _whole(straight, connections.url + path) for path in ("twice", "", "")]
        await straight.aclose()
        return said

    assert asyncio.run(ask()) == [b"1", b"2", b"2"]


def test_a_request_that_cannot_be_sent_takes_no_place(connections: Connections) -> None:
    async def ask() -> None:
        straight = transport.DirectTransport(httpx.Limits(max_connections=1), trust_env=False)
        with pytest.raises((httpx.UnsupportedProtocol, KeyError)):
            await straight.handle_async_request(_request("ftp://127.0.0.1/"))
        await _whole(straight, connections.url, pool=0.5)
        await straight.aclose()

    asyncio.run(ask())


@pytest.mark.parametrize(
    ("path", "failure"), [("hold", httpx.ReadTimeout), ("nothing", httpx.RemoteProtocolError), ("short", httpx.RemoteProtocolError)]
)
def test_failures_have_the_names_of_httpx(connections: Connections, path: str, failure: type[httpx.RequestError]) -> None:
    async def ask() -> None:
        straight = transport.DirectTransport(LIMITS, trust_env=False)
        request = _request(connections.url + path)
        request.extensions["timeout"]["read"] = 0.1 if path == "hold" else 30.0
        with pytest.raises(failure) as raised:
            await _read(straight, request)
        assert raised.value.request is request
        await _whole(straight, connections.url)
        await straight.aclose()

    asyncio.run(ask())


def test_connections_that_nobody_needs_are_closed(connections: Connections) -> None:
    async def ask() -> None:
        straight = transport.DirectTransport(httpx.Limits(max_connections=3, keepalive_expiry=0.05), trust_env=False)
        for response in [await straight.handle_async_request(_request(connections.url)) for _ in range(3)]:
            await response.aread()
            await response.aclose()
        async with asyncio.timeout(30):
            while connections.closed < 2:
                await asyncio.sleep(0.06)
                await _whole(straight, connections.url)
        await straight.aclose()

    asyncio.run(ask())


@dataclass
class Connections:
    """A server that answers with a connection's number, and counts how many were opened and closed. It holds back `/hold`, and the end of
    the answer to `/half`; it says that it hangs up after `/close`, and hangs up without a word after `/bye`, in the midst of `/short` and
    in place of `/nothing`. Behind the answer to `/twice` comes another."""

    url: str = ""
    opened: int = 0
    closed: int = 0


@pytest.fixture
def connections() -> Iterator[Connections]:
    state, ended, lock = Connections(), threading.Event(), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            with lock:
                state.opened += 1
                self.number = state.opened

        def finish(self) -> None:
            super().finish()
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)  # now, and not some time after it was counted
            with lock:
                state.closed += 1

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            if self.path == "/hold":
                ended.wait(30)
            self.close_connection = self.path in ("/bye", "/nothing", "/short")
            if self.path == "/nothing":
                return
            body = str(self.number).encode()
            with contextlib.suppress(OSError):
                self.send_response(200)
                self.send_header("Content-Length", str(len(body) + (10 if self.path in ("/half", "/short") else 0)))
                if self.path == "/close":
                    self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(body + (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil" if self.path == "/twice" else b""))
                if self.path == "/half":
                    ended.wait(30)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Nothing is printed."""

    with serving(Handler) as url:
        state.url = url.removesuffix("/v1") + "/"
        yield state
        ended.set()


def _request(url: str, pool: float = 5.0) -> httpx.Request:
    request = httpx.Request("POST", url, content=b"{}")
    request.extensions["timeout"] = httpx.Timeout(30.0, pool=pool).as_dict()
    return request


def _cancelled_at(straight: transport.DirectTransport, url: str, step: str, times: int = 1) -> tuple[asyncio.Task[bytes], list[str]]:
    """A request that is cancelled so often, at the first await after a step of httpcore's, and then at the next; and the steps seen."""
    request, seen = _request(url), list[str]()

    async def trace(name: str, _: Any) -> None:
        if name == step:
            seen.append(name)
            _soon(task.cancel, times)

    request.extensions["trace"] = trace
    task = asyncio.ensure_future(_read(straight, request))
    return task, seen


def _soon(work: Callable[[], Any], times: int) -> None:
    """Do it at the next turn of the loop, and at those after."""
    if times:
        asyncio.get_running_loop().call_soon(lambda: (work(), _soon(work, times - 1)))


async def _whole(straight: transport.DirectTransport, url: str, pool: float = 5.0) -> bytes:
    return await _read(straight, _request(url, pool))


async def _read(straight: transport.DirectTransport, request: httpx.Request) -> bytes:
    response = await straight.handle_async_request(request)
    try:
        return await response.aread()
    finally:
        await response.aclose()
