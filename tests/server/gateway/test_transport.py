"""Connections to an upstream: used again while they are whole, closed where they are not, and none is lost."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import h11
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from tests.local_server import serving

from smidgen.server.gateway import transport
from smidgen.server.gateway.transport import DirectTransport, ResponseExtent, UpstreamConnection

LIMITS = httpx.Limits(max_connections=2)


def test_one_connection_serves_one_request_after_the_other(connections: Connections) -> None:
    async def ask() -> None:
        straight = transport.DirectTransport(LIMITS)
        for _ in range(3):
            await _whole(straight, connections.url)
        await straight.aclose()

    asyncio.run(ask())
    assert connections.opened == 1


def test_requests_at_a_time_have_a_connection_each_and_the_last_used_is_used_next(connections: Connections) -> None:
    async def ask() -> list[int]:
        straight = transport.DirectTransport(LIMITS)
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
        straight = transport.DirectTransport(httpx.Limits(max_connections=1))
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
        straight = transport.DirectTransport(httpx.Limits(max_connections=1))
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
        straight = transport.DirectTransport(httpx.Limits(max_connections=1))
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
        straight = transport.DirectTransport(httpx.Limits(max_connections=1))
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
        straight = transport.DirectTransport(httpx.Limits(max_connections=1))
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
        straight = transport.DirectTransport(httpx.Limits(max_connections=2, keepalive_expiry=0.0))
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
        straight = transport.DirectTransport(LIMITS)
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
        straight = transport.DirectTransport(LIMITS)
        said = [await _whole(straight, connections.url + path) for path in ("twice", "", "")]
        await straight.aclose()
        return said

    assert asyncio.run(ask()) == [b"1", b"2", b"2"]


def test_a_request_that_cannot_be_sent_takes_no_place(connections: Connections) -> None:
    async def ask() -> None:
        straight = transport.DirectTransport(httpx.Limits(max_connections=1))
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
        straight = transport.DirectTransport(LIMITS)
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
        straight = transport.DirectTransport(httpx.Limits(max_connections=3, keepalive_expiry=0.05))
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


def test_a_certificate_is_trusted_where_the_environment_says_so_and_for_its_own_name_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask(url: str, trust_env: bool) -> bytes:
        straight = DirectTransport(httpx.Limits(max_connections=2), httpx.create_ssl_context(trust_env=trust_env))
        said = b""
        try:
            for _ in range(2):
                response = await straight.handle_async_request(httpx.Request("POST", url, content=b"{}"))
                said += await response.aread()
                await response.aclose()
            return said
        finally:
            await straight.aclose()

    paper = _certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(paper))
    with _secret(paper) as port:
        assert asyncio.run(ask(f"https://localhost:{port}/", True)) == b"safesafe"
        for url, trust_env in ((f"https://localhost:{port}/", False), (f"https://127.0.0.1:{port}/", True)):
            with pytest.raises(httpx.ConnectError, match=r"(?i)certificate"):
                asyncio.run(ask(url, trust_env))


@contextlib.contextmanager
def _secret(paper: Path) -> Iterator[int]:
    """The port of a server that speaks TLS with this certificate."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"safe")

        def log_message(self, format: str, *arguments: Any) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(paper, paper.with_name("key.pem"))
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def _certificate(folder: Path) -> Path:
    """A certificate of `localhost`, which signs itself; its key lies beside it."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    paper = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, *plain))
    (folder / "paper.pem").write_bytes(paper.public_bytes(serialization.Encoding.PEM))
    return folder / "paper.pem"


HEAD = b"HTTP/1.1 200 OK\r\n"
WHOLE = {
    "of a length": HEAD + b"Content-Length: 4\r\n\r\nsafe",
    "of no length": HEAD + b"content-length:0\r\n\r\n",
    "chunked": HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\nsafe\r\n0\r\n\r\n",
    "chunked with a trailer": HEAD
    + b"Transfer-Encoding: Chunked\r\n\r\na;x=1\r\n0123456789\r\nF\r\n0\r\n\r\n0123456789\r\n0\r\nX: y\r\n\r\n",
    "behind an interim one": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + HEAD + b"Content-Length: 1\r\n\r\nx",
    "without a body": b"HTTP/1.1 204 No Content\r\n\r\n",
    "not modified": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
}
ENDLESS = {
    "until it closes": HEAD + b"\r\nsafe",
    "two lengths": HEAD + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nsafe",
    "a length that is none": HEAD + b"Content-Length: four\r\n\r\nsafe",
    "another coding": HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a size that is none": HEAD + b"Transfer-Encoding: chunked\r\n\r\n-4\r\nsafe\r\n0\r\n\r\n",
    "another protocol": b"HTTP/1.1 101 Switching\r\n\r\n",
    "no response": b"hello\r\n\r\n",
    "cut off": HEAD + b"Content-Length: 9\r\n\r\nsafe",
    "a head without an end": HEAD + b"X: " + b"y" * 300_000,
}


def read(content: bytes, cuts: list[int], method: str = "GET") -> ResponseExtent:
    extent = ResponseExtent()
    extent.begin(method)
    at = 0
    for cut in [*sorted(cuts), len(content)]:
        extent.took(content[at:cut])
        at = max(at, cut)
    return extent


@pytest.mark.parametrize("which", WHOLE)
def test_a_response_ends_where_it_ends(which: str) -> None:
    content = WHOLE[which]
    for step in (1, 2, 3, 7, len(content)):
        cuts = list(range(step, len(content), step))
        assert read(content, cuts).exact
        assert not read(content + b"HTTP/1.1 200 OK\r\n", cuts).exact, "another that nobody asked for"
        assert not read(content[:-1], [cut for cut in cuts if cut < len(content) - 1]).exact
    late = read(content, [])
    late.took(b"")
    assert late.exact
    late.took(b"x")
    late.begin("GET")
    late.took(WHOLE["of a length"])
    assert not late.exact, "once more has come the connection is not used again"


@pytest.mark.parametrize("which", ENDLESS)
def test_what_cannot_be_read_ends_nowhere(which: str) -> None:
    assert not read(ENDLESS[which], []).exact and not read(ENDLESS[which], [3, 20, 40]).exact


def test_an_answer_to_head_has_no_body() -> None:
    content = HEAD + b"Content-Length: 4\r\n\r\n"
    assert read(content, [], "HEAD").exact and not read(content, []).exact and ResponseExtent().exact


@given(st.lists(st.binary(min_size=1, max_size=30), max_size=4), st.lists(st.integers(0, 400), max_size=6), st.binary(max_size=3))
def test_it_agrees_with_the_library_that_reads_the_response(chunks: list[bytes], cuts: list[int], behind: bytes) -> None:
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    content = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n" + behind
    ours = h11.Connection(h11.CLIENT)
    ours.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    ours.send(h11.EndOfMessage())
    ours.receive_data(content)
    while type(ours.next_event()) is not h11.EndOfMessage:
        pass
    assert read(content, [cut for cut in cuts if cut < len(content)]).exact == (ours.trailing_data[0] == b"")
