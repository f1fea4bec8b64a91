"""The server's process and its HTTP protocol: takes the port, serves, bounds what it reads of a connection, and stops on a signal."""

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
from smidgen.server.settings import ListenSettings, ServeSettings

MAX_HEAD = 64 * 1024
"""Most bytes of request line and headers."""
_LINE_SIGNS = 4
"""Bytes of a header besides its name and its value: the colon, a blank and the end of the line."""

_HOST = re.compile(rb"(?:[A-Za-z0-9._-]{0,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
"""A name or an address, and a port. Servers differ in which host `127.0.0.1:80@evil` names: it is none."""

HEAD_SECONDS = 20.0
"""Longest that a head may take, counted from the connection or from the request's first byte."""


class BoundedHttpProtocol(HttpToolsProtocol):
    """One connection. A head that is too large gets 431, and one that is too slow 408. What is not HTTP, or names no host or two, gets 400.
    All are in the error shape, and the connection is closed."""

    head_seconds = HEAD_SECONDS
    _in_head = True
    _head = 0
    _too_large = False
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected; its request must come in time."""
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self._head_is_over()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Some bytes have come: at most what the loop reads at a time, so checking after them is soon enough. A head that ends in them is
        checked when it does."""
        begun = self._in_head
        super().data_received(data)
        if begun and self._in_head:
            self._head += len(data)
            if self._head > MAX_HEAD and not self.transport.is_closing():
                self._refuse_large_head()

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self._head_is_over()
        self._wait_for_head()

    def on_headers_complete(self) -> None:
        """The head is complete; the body is bounded elsewhere."""
        self._head_is_over()
        self._too_large = len(self.url) + sum(len(name) + len(value) + _LINE_SIGNS for name, value in self.headers) > MAX_HEAD
        if self._too_large:
            raise ValueError("the head is too large")  # the parser answers it with `send_400_response`
        hosts = [value for name, value in self.headers if name == b"host"]
        if len(hosts) > 1 or (hosts and not _HOST.fullmatch(hosts[0])):
            raise ValueError("the request names no host, or two")  # the parser answers it with 400
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no valid request in the error shape, and close."""
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
    """A socket bound to the address; nothing connects before the server listens on it.

    Raises SmidgenError for a port that is taken or not allowed, InputError for an address that this machine does not have.
    """
    try:
        found = socket.getaddrinfo(listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise InputError("the host is not an address", value=listen.host, todo="Try --host 127.0.0.1 or --host 0.0.0.0.") from error
    family, kind, protocol, _, address = found[0]
    bound = socket.socket(family, kind, protocol)
    try:
        if sys.platform != "win32":  # there it would let two servers share a port
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise _port_error(error, listen) from error
    bound.set_inheritable(True)
    return bound


def url_of(bound: socket.socket) -> str:
    """The address of a bound socket, as a client on this machine would call it."""
    host, port = bound.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(app: ASGIApp, bound: socket.socket, settings: ServeSettings, on_ready: Callable[[], None] = lambda: None) -> None:
    """Serve until SIGTERM or Ctrl-C; then stop listening, finish running requests for at most `drain_seconds`, and return.

    A second signal stops at once. `on_ready` is called when the port answers.
    """
    _log_to_stderr()
    gc.collect()
    gc.freeze()  # what is loaded now stays: the collector need not look at it between requests
    gc.collect()  # or it would wait with its next full round until a quarter as much as that has come
    _UvicornServer(config_of(app, settings), on_ready).run(sockets=[bound])


def config_of(app: ASGIApp, settings: ServeSettings) -> uvicorn.Config:
    """How uvicorn is to run the application."""
    return uvicorn.Config(
        app,
        http=BoundedHttpProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, round(settings.limits.drain_seconds)),
        ws="none",
    )


class _UvicornServer(uvicorn.Server):
    """uvicorn's server, but a stop signal is a normal end: uvicorn itself would die of it again after draining."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at the first signal, at once at the second."""
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
        return SmidgenError("the port is in use", value=where, todo="Stop the program that has it, or choose another with --port (0: any).")
    if error.errno == errno.EACCES:
        return SmidgenError("this user may not take the port", value=where, todo="Choose a port above 1023 with --port.")
    return InputError("this machine does not have the address", value=where, todo="Try --host 127.0.0.1 or --host 0.0.0.0.")


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PrintableFormatter("%(asctime)s %(message)s"))
    for name, level in (("smidgen", logging.INFO), ("uvicorn", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(level)
        logger.propagate = False
