"""The process: takes the port, serves, and on a stop signal finishes what it has begun and leaves with exit code 0."""

from __future__ import annotations

import contextlib
import errno
import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from smidgen.core.errors import InputError, SmidgenError
from smidgen.core.printable import PrintableFormatter
from smidgen.server.settings import ServeSettings
from smidgen.server.wire import Wire

_BACKLOG = 2048
_KEEP_ALIVE_SECONDS = 30
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)]


def take_port(settings: ServeSettings) -> socket.socket:
    """A socket bound to the address; nothing connects before the server listens on it.

    Raises SmidgenError for a port that is taken or not allowed, InputError for an address that this machine does not have.
    """
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise InputError("the host is not an address", value=settings.host, todo="Try --host 127.0.0.1 or --host 0.0.0.0.") from error
    family, kind, protocol, _, address = found[0]
    bound = socket.socket(family, kind, protocol)
    try:
        if sys.platform != "win32":  # there it would let two servers share a port
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise _not_bound(error, settings) from error
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
    _Server(config_of(app, settings), on_ready).run(sockets=[bound])


def config_of(app: ASGIApp, settings: ServeSettings) -> uvicorn.Config:
    """How uvicorn is to run the application."""
    return uvicorn.Config(
        app,
        http=Wire,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, round(settings.drain_seconds)),
        ws="none",
    )


class _Server(uvicorn.Server):
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


def _not_bound(error: OSError, settings: ServeSettings) -> SmidgenError:
    where = f"{settings.host}:{settings.port}"
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
