"""HTTP on the wire: uvicorn's fast protocol, with an end to what it takes in before a request has even begun.

Bodies, texts and requests are bounded further in. Here it is the head: its size, and the time that it may take to arrive.
"""

from __future__ import annotations

import asyncio
import re

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from smidgen.server.errors import failure

MAX_HEAD = 64 * 1024
"""Most bytes of request line and headers."""

_HOST = re.compile(rb"(?:[A-Za-z0-9._-]{0,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
"""A name or an address, and a port. Servers differ in which host `127.0.0.1:80@evil` names: it is none."""

HEAD_SECONDS = 20.0
"""Longest that a head may take, counted from the connection or from the request's first byte."""


class Wire(HttpToolsProtocol):
    """One connection. A head that is too large gets 431, and one that is too slow 408. What is not HTTP, or names no host or two, gets 400.
    All are in the error shape, and the connection is closed."""

    head_seconds = HEAD_SECONDS
    _in_head = True
    _head = 0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has come; it must now say what it wants."""
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self._head_is_over()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Some bytes have come: at most what the loop reads at a time, so checking after them is soon enough."""
        super().data_received(data)
        if self._in_head:
            self._head += len(data)
            if self._head > MAX_HEAD and not self.transport.is_closing():
                message = f"The request's headers are larger than {MAX_HEAD // 1024} kB. Send fewer or shorter ones."
                self._refuse(431, b"Request Header Fields Too Large", message, "headers_too_large")

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self._head_is_over()
        self._wait_for_head()

    def on_headers_complete(self) -> None:
        """The head is there; what comes now is bounded elsewhere."""
        self._head_is_over()
        hosts = [value for name, value in self.headers if name == b"host"]
        if len(hosts) > 1 or (hosts and not _HOST.fullmatch(hosts[0])):
            raise ValueError("the request names no host, or two")  # the parser answers it with 400
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Say in the error shape what cannot be a request, and close."""
        self._refuse(400, b"Bad Request", msg, "invalid_http")

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
