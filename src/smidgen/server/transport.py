"""How bytes get to an upstream: httpx's connections, each by itself, or, where the machine's settings name a proxy, httpx's client.

httpx's client does more for each response than a gateway wants: it looks for cookies to keep, which are other people's, and for what is to
be followed, and takes its time for it. And its pool looks at every connection that it has, twice for each request: with 64 of them that
takes more than all the rest of the gateway.

httpcore guards what it has to do when a request is over against anyio's cancelling, and not against that of asyncio, which is how a client
that hangs up ends a request. Cancelled there, a connection counts as busy for good. So one is used again only where its last request came
to a whole end; any other is closed, by a task that nobody cancels.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from urllib.request import getproxies

import httpx

_SCHEMES = ("http", "https", "all")
_MOST = 100
"""Connections, where nothing is said."""
_CLOSING_SECONDS = 5.0
"""How long closing a connection may take; then it is let go as it is."""


def opened(limits: httpx.Limits, local: bool) -> httpx.AsyncBaseTransport:
    """One for one upstream. `local`: it is this machine, which no proxy is asked for."""
    proxies = {} if local else getproxies()
    if not any(proxies.get(scheme) for scheme in _SCHEMES):
        return Straight(limits, trust_env=not local)
    return _Proxied(limits)


class Straight(httpx.AsyncBaseTransport):
    """Connections to one upstream, as many as are needed at a time; the one that was used last is used next, and those that are not needed
    any more, or whose request did not come to its end, are closed. Each is one of httpx's own transports with room for one.

    Args:
        limits: how many there may be, and after how many seconds without use one is closed.
        trust_env: whether the environment may name certificates to trust.
    """

    def __init__(self, limits: httpx.Limits, trust_env: bool) -> None:
        self._one = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=limits.keepalive_expiry)
        self._trusted, self._trust_env = httpx.create_ssl_context(trust_env=trust_env), trust_env
        self._places = asyncio.Semaphore(limits.max_connections or _MOST)
        self._unused: deque[tuple[httpx.AsyncHTTPTransport, float]] = deque()
        self._closing: set[asyncio.Task[None]] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The response as soon as its head is there; its place is free again when it is closed. Raises httpx.PoolTimeout where none becomes
        free in time, and as httpx does."""
        await self._tidy()  # before there is anything to lose: whoever is cancelled here has no place yet
        await self._place(request)
        connection = self._unused.pop()[0] if self._unused else self._made()
        try:
            response = await connection.handle_async_request(request)
        except BaseException:
            self._back(connection, whole=False)  # whatever it was: httpcore keeps no connection of a request that failed
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _Lent(response.stream, lambda whole: self._back(connection, whole))
        return response

    async def aclose(self) -> None:
        """Close those that nobody uses."""
        while self._unused:
            await self._unused.pop()[0].aclose()
        if self._closing:
            await asyncio.wait(self._closing)

    async def _place(self, request: httpx.Request) -> None:
        """A place for one more request. Raises httpx.PoolTimeout where none becomes free in time."""
        if not self._places.locked():
            await self._places.acquire()  # at once: nothing need watch the time
            return
        try:
            async with asyncio.timeout(request.extensions.get("timeout", {}).get("pool")):
                await self._places.acquire()
        except TimeoutError:
            raise httpx.PoolTimeout("all connections are taken", request=request) from None

    def _made(self) -> httpx.AsyncHTTPTransport:
        return httpx.AsyncHTTPTransport(verify=self._trusted, limits=self._one, trust_env=self._trust_env)

    def _back(self, connection: httpx.AsyncHTTPTransport, whole: bool) -> None:
        """Take one back. `whole`: its request came to its end, and it can be used again; else it keeps its place until it is closed, lest
        there be more than there may be."""
        if whole:
            self._unused.append((connection, time.monotonic()))
            self._places.release()
            return
        closing = asyncio.get_running_loop().create_task(_close(connection))
        self._closing.add(closing)
        closing.add_done_callback(self._closed)

    def _closed(self, closing: asyncio.Task[None]) -> None:
        self._closing.discard(closing)
        self._places.release()
        if not closing.cancelled():
            closing.exception()  # one that fails at being closed is as gone as any other

    async def _tidy(self) -> None:
        """Close the one that was not used for longest, where that is long enough."""
        kept = self._one.keepalive_expiry
        if self._unused and kept is not None and time.monotonic() - self._unused[0][1] > kept:
            await self._unused.popleft()[0].aclose()


async def _close(connection: httpx.AsyncHTTPTransport) -> None:
    """Close one, in a time that ends. Raises TimeoutError where it does not."""
    async with asyncio.timeout(_CLOSING_SECONDS):
        await connection.aclose()


class _Lent(httpx.AsyncByteStream):
    """The body of a response, whose connection is given back once it is closed: whole where it was read to its end and closed undisturbed.
    What was read in part httpcore closes itself; and a reading that was cancelled has closed it already, by itself, and maybe not to the
    end, of which closing it once more says nothing."""

    def __init__(self, stream: httpx.AsyncByteStream, back: Callable[[bool], None]) -> None:
        self._stream = stream
        self._back: Callable[[bool], None] | None = back
        self._read = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            yield piece
        self._read = True

    async def aclose(self) -> None:
        back, self._back = self._back, None
        if back is None:
            return
        whole = False
        try:
            await self._stream.aclose()
            whole = self._read
        finally:
            back(whole)


class _Proxied(httpx.AsyncBaseTransport):
    """httpx's client, which knows `HTTPS_PROXY`, `NO_PROXY` and the rest of it."""

    def __init__(self, limits: httpx.Limits) -> None:
        self._client = httpx.AsyncClient(limits=limits, follow_redirects=False, trust_env=True)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._client.send(request, stream=True)
        self._client.cookies.clear()
        return response

    async def aclose(self) -> None:
        await self._client.aclose()
