"""One connection to an upstream: httpcore's, asked directly, which takes half of the time that httpx's transport around it takes."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

import httpcore
import httpx

_FAILURES = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError, httpcore.UnsupportedProtocol)


class Connection:
    """See above. It is for one request after the other.

    Args:
        request: what it is made for: it goes to that request's scheme, host and port.
        trusted: the certificates that it trusts.
        seconds: after which without use it is not used again; None for any.
    """

    def __init__(self, request: httpx.Request, trusted: ssl.SSLContext, seconds: float | None) -> None:
        self._origin = _url(request).origin
        self._line = httpcore.AsyncHTTPConnection(self._origin, trusted, seconds)

    def takes(self, request: httpx.Request) -> bool:
        """Whether this request can go over it: to where it leads, and nobody has hung up, or sent more than was asked for."""
        usable = self._line.is_available() and not self._line.has_expired() and not self._more
        return usable and _url(request).origin == self._origin

    @property
    def _more(self) -> bool:
        """Whether something came behind the last answer. httpcore would give it to the next request, which may be another person's."""
        line = self._line._connection
        return not isinstance(line, httpcore.AsyncHTTP11Connection) or line._h11_state.trailing_data[0] != b""

    async def ask(self, request: httpx.Request, back: Callable[[bool], None]) -> httpx.Response:
        """The response as soon as its head is there. `back` is called once when it is closed, and told whether it came whole to its end:
        only then can the connection be used again. Raises as httpx does."""
        assert isinstance(request.stream, httpx.AsyncByteStream)
        asked = httpcore.Request(
            request.method, _url(request), headers=request.headers.raw, content=request.stream, extensions=request.extensions
        )
        with _told(request):
            response = await self._line.handle_async_request(asked)
        return httpx.Response(
            response.status, headers=response.headers, stream=_Lent(response, request, back), extensions=dict(response.extensions)
        )

    async def aclose(self) -> None:
        """Close it."""
        await self._line.aclose()


class _Lent(httpx.AsyncByteStream):
    """The body of a response, whose connection is given back once it is closed: whole where it was read to its end and closed undisturbed.
    What was read in part httpcore closes itself; and a reading that was cancelled has closed it already, by itself, and maybe not to the
    end, of which closing it once more says nothing."""

    def __init__(self, response: httpcore.Response, request: httpx.Request, back: Callable[[bool], None]) -> None:
        self._response, self._request = response, request
        self._back: Callable[[bool], None] | None = back
        self._read = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _told(self._request):
            async for piece in self._response.aiter_stream():
                yield piece
        self._read = True

    async def aclose(self) -> None:
        back, self._back = self._back, None
        if back is None:
            return
        whole = False
        try:
            with _told(self._request):
                await self._response.aclose()
            whole = self._read
        finally:
            back(whole)


def _url(request: httpx.Request) -> httpcore.URL:
    url = request.url
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)


@contextmanager
def _told(request: httpx.Request) -> Iterator[None]:
    """Failures of httpcore's as httpx's, which have the same names."""
    try:
        yield
    except _FAILURES as error:
        kind: type[httpx.TransportError] = getattr(httpx, type(error).__name__)
        raise kind(str(error), request=request) from error
