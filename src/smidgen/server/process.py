"""The server's process and HTTP protocol: bind the port, serve, limit what is read of a connection, and stop on a signal."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import logging
import re
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from smidgen.core.errors import InputError, SmidgenError
from smidgen.core.printable import PrintableFormatter
from smidgen.server.errors import failure
from smidgen.server.settings import ListenSettings

MAX_HEAD = 64 * 1024
"""Most bytes of request line and headers."""
_LINE_SIGNS = 4
"""Bytes of a header besides name and value: the colon, a blank and the line end."""

_HOST = re.compile(rb"(?:[A-Za-z0-9._-]{0,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
"""A name or an address, and a port. Servers disagree about the host of `127.0.0.1:80@evil`, so that is invalid."""

HEAD_SECONDS = 20.0
"""Longest time for a head, counted from the connection or from the request's first byte."""


class BoundedHttpProtocol(HttpToolsProtocol):
    """One connection, which refuses invalid requests in the error shape and then closes.

    A head that is too large gets 431, one that is too slow 408. A request that is not HTTP, or names no single host, gets 400.
    """

    head_seconds = HEAD_SECONDS
    _in_head = True
    _head = 0
    _too_large = False
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the time limit for the first head."""
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the time limit."""
        self._head_is_over()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Handle received bytes, and limit an unfinished head. The loop reads limited pieces, so checking afterwards suffices.

        A head that ends within them is checked in `on_headers_complete`.
        """
        begun = self._in_head
        super().data_received(data)
        if begun and self._in_head:
            self._head += len(data)
            if self._head > MAX_HEAD and not self.transport.is_closing():
                self._refuse_large_head()

    def on_message_begin(self) -> None:
        """Start the time limit at the first byte of a request."""
        super().on_message_begin()
        self._head_is_over()
        self._wait_for_head()

    def on_headers_complete(self) -> None:
        """Check the complete head. The body is limited elsewhere."""
        self._head_is_over()
        self._too_large = len(self.url) + sum(len(name) + len(value) + _LINE_SIGNS for name, value in self.headers) > MAX_HEAD
        if self._too_large:
            raise ValueError("the head is too large")  # the parser answers it with `send_400_response`
        hosts = [value for name, value in self.headers if name == b"host"]
        if len(hosts) > 1 or (hosts and not _HOST.fullmatch(hosts[0])):
            raise ValueError("the request names no host, or two")  # the parser answers it with 400
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse an invalid request in the error shape, and close the connection."""
        if self._too_large:
            self._refuse_large_head()
        else:
            self._refuse(400, b"Bad Request", msg, "invalid_http")

    def _refuse_large_head(self) -> None:
        message = f"The request's headers are larger than {MAX_HEAD // 1024} kB. Send fewer or shorter ones."
        self._refuse(431, b"Request Header Fields Too Large", message, "headers_too_large")

    def _refuse(self, status: int, reason: bytes, message: str, code: str) -> None:
        self._head_is_over()
        body = bytes(failure(status, message, code).body)
        head = b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d" % len(body)
        self.transport.write(b"HTTP/1.1 %d %s\r\n%s\r\n\r\n%s" % (status, reason, head, body))
        self.transport.close()

    def _wait_for_head(self) -> None:
        self._in_head, self._head = True, 0
        self._timer = self.loop.call_later(self.head_seconds, self._too_slow)

    def _head_is_over(self) -> None:
        self._in_head = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        if not self.transport.is_closing():
            self._refuse(408, b"Request Timeout", "The request's headers did not arrive in time.", "request_timeout")


_BACKLOG = 2048
_KEEP_ALIVE_SECONDS = 30
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)]


def take_port(listen: ListenSettings) -> socket.socket:
    """Return a socket bound to the address. Nothing can connect before the server listens on it.

    Raises SmidgenError for a port that is taken or not allowed, InputError for an address that this machine does not have.
    """
    try:
        found = socket.getaddrinfo(listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise InputError("server.host_is_not_address", value=listen.host) from error
    family, kind, protocol, _, address = found[0]
    bound = socket.socket(family, kind, protocol)
    try:
        if sys.platform != "win32":  # on Windows this would let two servers share a port
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise _port_error(error, listen) from error
    bound.set_inheritable(True)
    return bound


def url_of(bound: socket.socket) -> str:
    """Return the URL of a bound socket for a client on this machine."""
    host, port = bound.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(app: ASGIApp, bound: socket.socket, drain_seconds: float, on_ready: Callable[[], None] = lambda: None) -> None:
    """Serve until SIGTERM or Ctrl-C; then stop listening, finish running requests for at most `drain_seconds`, and return.

    A second signal stops at once. `on_ready` is called when the port answers.
    """
    _log_to_stderr()
    gc.collect()
    gc.freeze()  # loaded objects stay, so the collector need not scan them between requests
    gc.collect()  # resets the count of objects, which would otherwise delay the next full collection
    _UvicornServer(config_of(app, drain_seconds), on_ready).run(sockets=[bound])


def config_of(app: ASGIApp, drain_seconds: float) -> uvicorn.Config:
    """Return the configuration of uvicorn."""
    return uvicorn.Config(
        app,
        http=BoundedHttpProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, round(drain_seconds)),
        ws="none",
    )


class _UvicornServer(uvicorn.Server):
    """uvicorn's server, but a stop signal is a normal end: uvicorn would raise it again after draining."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then call `on_ready`."""
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop gracefully at the first signal, at once at the second."""
        before = {number: signal.signal(number, self._stop) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True


def _port_error(error: OSError, listen: ListenSettings) -> SmidgenError:
    where = f"{listen.host}:{listen.port}"
    if error.errno == errno.EADDRINUSE:
        return SmidgenError("server.port_is_in_use", value=where)
    if error.errno == errno.EACCES:
        return SmidgenError("server.this_user_may_not_take_port", value=where)
    return InputError("server.this_machine_does_not_have_address", value=where)


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PrintableFormatter("%(asctime)s %(message)s"))
    for name, level in (("smidgen", logging.INFO), ("uvicorn", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(level)
        logger.propagate = False
