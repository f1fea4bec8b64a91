"""Connections to an upstream: our own, or httpx's client if the machine's settings name a proxy.

httpx's client does work for each response that a gateway does not want, such as cookies, which belong to other people, and redirects. Its
pool checks every connection twice for each request: with 64 connections, that takes longer than the rest of the gateway. Using one httpcore
connection directly takes half of that time.

httpcore protects its clean-up after a request against cancellation by anyio, but not by asyncio, which is how a client that disconnects
ends a request. A connection cancelled there counts as busy for ever. So a connection is reused only if its last request ended completely.
Any other is closed by a task that nobody cancels.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.request import getproxies

import httpcore
import httpx

_FAILURES = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError, httpcore.UnsupportedProtocol)


class UpstreamConnection:
    """One connection to an upstream, for one request after the other.

    Args:
        request: its scheme, host and port are the connection's.
        trusted: trusted certificates; None for httpcore's default.
        seconds: idle seconds after which it is not reused; None for no limit.
    """

    def __init__(self, request: httpx.Request, trusted: ssl.SSLContext | None, seconds: float | None) -> None:
        self._origin = _url(request).origin
        self._extent = ResponseExtent()
        self._line = httpcore.AsyncHTTPConnection(self._origin, trusted, seconds, network_backend=_MeasuredBackend(self._extent))

    def takes(self, request: httpx.Request) -> bool:
        """Return True if this request can use it: same origin, still open, and no unexpected bytes have come."""
        usable = self._line.is_available() and not self._line.has_expired() and self._extent.exact
        return usable and _url(request).origin == self._origin

    async def ask(self, request: httpx.Request, back: Callable[[bool], None]) -> httpx.Response:
        """Return the response as soon as its head is there. Raises as httpx does.

        `back` is called once when the response is closed, with True if it was read completely: only then can the connection be reused.
        """
        assert isinstance(request.stream, httpx.AsyncByteStream)
        asked = httpcore.Request(
            request.method, _url(request), headers=request.headers.raw, content=request.stream, extensions=request.extensions
        )
        self._extent.begin(request.method)
        with _httpx_errors(request):
            response = await self._line.handle_async_request(asked)
        return httpx.Response(
            response.status, headers=response.headers, stream=_ConnectionBody(response, request, back), extensions=dict(response.extensions)
        )

    async def aclose(self) -> None:
        """Close the connection."""
        await self._line.aclose()


_HEAD_END = re.compile(rb"\n\r?\n")
_LONGEST_HEAD = 200_000
_LONGEST_LINE = 8_192
_BODILESS = (204, 304)


class ResponseExtent:
    """Finds the end of a response in the incoming bytes. httpcore would give unexpected bytes after it to the next request.

    That request may be another person's. The parser implements RFC 9112's rules for a message's length and nothing else. A response that it
    cannot parse has no known end, so the connection is not reused.
    """

    def __init__(self) -> None:
        self._method, self._state, self._held, self._left, self._over = "", "fresh", b"", 0, False

    @property
    def exact(self) -> bool:
        """True if the last response ended and nothing came after it; or nothing was asked yet."""
        return self._state == "fresh" or (self._state == "done" and not self._over)

    def begin(self, method: str) -> None:
        """Start a request: the next bytes are its response."""
        self._method, self._state, self._held, self._left = method, "head", b"", 0

    def took(self, data: bytes) -> None:
        """Parse bytes that were read."""
        data = self._held + data
        self._held = b""
        while data:
            if self._state in ("fresh", "done"):
                self._over = True
                return
            if self._state in ("endless", "odd"):
                return
            step = self._head if self._state == "head" else self._body if self._state in ("body", "chunk") else self._line
            data = step(data)

    def _head(self, data: bytes) -> bytes:
        """Read a head. After the head of an interim response comes another one."""
        end = _HEAD_END.search(data)
        if end is None:
            return self._wait(data, _LONGEST_HEAD)
        lines = data[: end.start()].split(b"\n")
        fields = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines[1:])]
        parts = lines[0].split()
        status = int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 0
        lengths = {value for name, value in fields if name == b"content-length"}
        coded = [value.lower() for name, value in fields if name == b"transfer-encoding"]
        if status < 100 or status == 101 or len(lengths) > 1 or not all(value.isdigit() for value in lengths):
            self._state = "odd"
        elif status < 200:
            self._state = "head"
        elif self._method == "HEAD" or status in _BODILESS:
            self._state = "done"
        elif coded:
            self._state = "size" if coded == [b"chunked"] else "odd"
        elif lengths:
            self._left = int(next(iter(lengths)))
            self._state = "body" if self._left else "done"
        else:
            self._state = "endless"
        return data[end.end() :]

    def _body(self, data: bytes) -> bytes:
        """Skip a body of known length, or a chunk with its line break."""
        taken = min(self._left, len(data))
        self._left -= taken
        if not self._left:
            self._state = "done" if self._state == "body" else "size"
        return data[taken:]

    def _line(self, data: bytes) -> bytes:
        """Read the size of a chunk, or a trailer after the last one."""
        line, found, rest = data.partition(b"\n")
        if not found:
            return self._wait(data, _LONGEST_LINE)
        if self._state == "trailer":
            self._state = self._state if line.strip() else "done"
            return rest
        size = line.partition(b";")[0].strip()
        if not size or len(size) > 16 or not all(digit in b"0123456789abcdefABCDEF" for digit in size):
            self._state = "odd"
            return rest
        self._left = int(size, 16) + 2
        self._state = "chunk" if self._left > 2 else "trailer"
        return rest

    def _wait(self, data: bytes, most: int) -> bytes:
        """Keep an incomplete part until more bytes come."""
        if len(data) > most:
            self._state = "odd"
        self._held = data
        return b""


class _MeasuredBackend(httpcore.AsyncNetworkBackend):
    """httpcore's own network backend, whose streams report the bytes they read to a `ResponseExtent`."""

    def __init__(self, extent: ResponseExtent) -> None:
        self._extent, self._inner = extent, httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _MeasuredStream(await self._inner.connect_tcp(host, port, timeout, local_address, socket_options), self._extent)

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class _MeasuredStream(httpcore.AsyncNetworkStream):
    """A stream that reports the bytes read from it."""

    def __init__(self, inner: httpcore.AsyncNetworkStream, extent: ResponseExtent) -> None:
        self._inner, self._extent = inner, extent

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = await self._inner.read(max_bytes, timeout)
        self._extent.took(data)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        return _MeasuredStream(await self._inner.start_tls(ssl_context, server_hostname, timeout), self._extent)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _ConnectionBody(httpx.AsyncByteStream):
    """The body of a response. Its connection is reusable if the body was read to the end and closed without interruption.

    httpcore closes a partly read body itself. A cancelled read has also closed it, perhaps incompletely, and closing it once more does not
    show that.
    """

    def __init__(self, response: httpcore.Response, request: httpx.Request, back: Callable[[bool], None]) -> None:
        self._response, self._request = response, request
        self._back: Callable[[bool], None] | None = back
        self._read = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _httpx_errors(self._request):
            async for piece in self._response.aiter_stream():
                yield piece
        self._read = True

    async def aclose(self) -> None:
        back, self._back = self._back, None
        if back is None:
            return
        whole = False
        try:
            with _httpx_errors(self._request):
                await self._response.aclose()
            whole = self._read
        finally:
            back(whole)


def _url(request: httpx.Request) -> httpcore.URL:
    url = request.url
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)


@contextmanager
def _httpx_errors(request: httpx.Request) -> Iterator[None]:
    """Translate httpcore's errors to httpx's, which have the same names."""
    try:
        yield
    except _FAILURES as error:
        kind: type[httpx.TransportError] = getattr(httpx, type(error).__name__)
        raise kind(str(error), request=request) from error


_SCHEMES = ("http", "https", "all")
_MOST = 100
"""Most connections, by default."""
_CLOSING_SECONDS = 5.0
"""Longest time to close a connection, after which it is abandoned."""


def open_transport(limits: httpx.Limits, local: bool, secure: bool = True) -> httpx.AsyncBaseTransport:
    """Open the transport for one upstream. `local`: it is on this machine, so no proxy is used. `secure`: it uses TLS."""
    proxies = {} if local else getproxies()
    if not any(proxies.get(scheme) for scheme in _SCHEMES):
        return DirectTransport(limits, httpx.create_ssl_context(trust_env=not local) if secure else None)
    return _ProxyTransport(limits)


class DirectTransport(httpx.AsyncBaseTransport):
    """Connections to one upstream, opened as needed. The one used last is used next. Idle and interrupted ones are closed.

    Args:
        limits: most connections, and idle seconds after which one is closed.
        trusted: trusted certificates; None without https.
    """

    def __init__(self, limits: httpx.Limits, trusted: ssl.SSLContext | None = None) -> None:
        self._kept, self._trusted = limits.keepalive_expiry, trusted
        self._places = asyncio.Semaphore(limits.max_connections or _MOST)
        self._unused: deque[tuple[UpstreamConnection, float]] = deque()
        self._closing: set[asyncio.Task[None]] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the response as soon as its head is there. Its place is free again when it is closed.

        Raises httpx.PoolTimeout if no place becomes free in time, and as httpx does.
        """
        await self._tidy()  # first, because a cancellation here must not lose a place
        await self._place(request)
        try:
            connection = self._found(request)
        except BaseException:
            self._places.release()
            raise
        try:
            return await connection.ask(request, lambda whole: self._back(connection, whole))
        except BaseException:
            self._back(connection, whole=False)  # httpcore keeps no connection of a failed request
            raise

    async def aclose(self) -> None:
        """Close the idle connections."""
        while self._unused:
            await self._unused.pop()[0].aclose()
        if self._closing:
            await asyncio.wait(self._closing)

    async def _place(self, request: httpx.Request) -> None:
        """Take a place for one more request. Raises httpx.PoolTimeout if none becomes free in time."""
        if not self._places.locked():
            await self._places.acquire()  # a place is free, so no timeout is needed
            return
        try:
            async with asyncio.timeout(request.extensions.get("timeout", {}).get("pool")):
                await self._places.acquire()
        except TimeoutError:
            raise httpx.PoolTimeout("all connections are taken", request=request) from None

    def _found(self, request: httpx.Request) -> UpstreamConnection:
        """Return the reusable connection that was used last, or a new one."""
        while self._unused:
            connection, _ = self._unused.pop()
            if connection.takes(request):
                return connection
            self._close(connection)
        return UpstreamConnection(request, self._trusted, self._kept)

    def _back(self, connection: UpstreamConnection, whole: bool) -> None:
        """Take a connection back. `whole`: its request ended completely, and it can be reused.

        Otherwise it keeps its place until it is closed, so that there are never too many. Idle connections have no place, also while they
        are closed.
        """
        if whole:
            self._unused.append((connection, time.monotonic()))
            self._places.release()
            return
        self._close(connection).add_done_callback(lambda _: self._places.release())

    def _close(self, connection: UpstreamConnection) -> asyncio.Task[None]:
        """Close a connection in a task that nobody cancels."""
        closing = asyncio.get_running_loop().create_task(_close_quietly(connection))
        self._closing.add(closing)
        closing.add_done_callback(self._done)
        return closing

    def _done(self, closing: asyncio.Task[None]) -> None:
        self._closing.discard(closing)
        if not closing.cancelled():
            closing.exception()  # a connection that fails to close is gone as well

    async def _tidy(self) -> None:
        """Close the connection that was idle for longest, if it expired."""
        if self._unused and self._kept is not None and time.monotonic() - self._unused[0][1] > self._kept:
            await self._unused.popleft()[0].aclose()


async def _close_quietly(connection: UpstreamConnection) -> None:
    """Close a connection. Raises TimeoutError if that takes too long."""
    async with asyncio.timeout(_CLOSING_SECONDS):
        await connection.aclose()


class _ProxyTransport(httpx.AsyncBaseTransport):
    """httpx's client, which respects `HTTPS_PROXY`, `NO_PROXY` and related settings."""

    def __init__(self, limits: httpx.Limits) -> None:
        self._client = httpx.AsyncClient(limits=limits, follow_redirects=False, trust_env=True)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._client.send(request, stream=True)
        self._client.cookies.clear()
        return response

    async def aclose(self) -> None:
        await self._client.aclose()
