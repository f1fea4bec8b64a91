"""HTTP by hand, for the golden transcripts: a client and an upstream that keep every byte, in the order in which it came."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

SECONDS = 30.0
"""Longest that anything is waited for."""
JSON = (("Content-Type", "application/json"),)


@dataclass(frozen=True)
class Head:
    """The first line of a message, and its header lines, as they came."""

    first: bytes
    lines: tuple[bytes, ...]

    def values(self, name: bytes) -> list[bytes]:
        """The values of a header."""
        pairs = (line.partition(b":") for line in self.lines)
        return [value.strip() for key, _, value in pairs if key.strip().lower() == name]

    def value(self, name: bytes) -> bytes:
        """The value of a header; empty where there is none."""
        return next(iter(self.values(name)), b"")


@dataclass(frozen=True)
class Got:
    """A message as it came. `end` says how its body ended; `first` is what of the body had come before the upstream went on."""

    head: Head
    body: bytes
    end: str = "whole"
    first: bytes | None = None


class _Ended(Exception):
    """The other side has closed the connection."""


class _Reader:
    """Reads messages from a socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection, self._kept = connection, b""

    def head(self) -> Head:
        """Raises _Ended."""
        while b"\r\n\r\n" not in self._kept:
            self.more()
        whole, _, self._kept = self._kept.partition(b"\r\n\r\n")
        first, *lines = whole.split(b"\r\n")
        return Head(first, tuple(lines))

    def more(self) -> None:
        piece = self._connection.recv(1 << 16)
        if not piece:
            raise _Ended
        self._kept += piece

    def line(self) -> bytes:
        while b"\r\n" not in self._kept:
            self.more()
        line, _, self._kept = self._kept.partition(b"\r\n")
        return line

    def exactly(self, size: int) -> Iterator[bytes]:
        """So many bytes, in pieces as they come."""
        while size:
            if not self._kept:
                self.more()
            piece, self._kept = self._kept[:size], self._kept[size:]
            size -= len(piece)
            yield piece

    def body(self, head: Head, bodiless: bool, until_closed: bool) -> Iterator[bytes]:
        """The body, in pieces as they come. Raises _Ended where it breaks off."""
        if bodiless:
            return
        if b"chunked" in head.value(b"transfer-encoding").lower():
            while size := int(self.line().partition(b";")[0], 16):
                yield from self.exactly(size)
                self.line()
            self.line()
        elif length := head.value(b"content-length"):
            yield from self.exactly(int(length))
        elif until_closed:
            with suppress(_Ended):
                while True:
                    if not self._kept:
                        self.more()
                    piece, self._kept = self._kept, b""
                    yield piece


@dataclass
class Answer:
    """What the upstream answers to one request.

    Attributes:
        status: of the first line, with its words.
        headers: in order. A length is added where there are no pieces and none is given.
        body: sent whole, where there are no pieces.
        pieces: sent one by one as chunks.
        hold: nothing after the first piece is sent before the client has it.
        cut: the connection is closed before the body has ended.
        raw: these bytes, and nothing else.
        silent: after the pieces, or where there are none at once, nothing is sent until the gateway gives up.
        release: where given, nothing is sent before it is set.
    """

    status: str = "200 OK"
    headers: Sequence[tuple[str, str]] = JSON
    body: bytes = b""
    pieces: Sequence[bytes] | None = None
    hold: bool = False
    cut: bool = False
    raw: bytes | None = None
    silent: bool = False
    release: threading.Event | None = None


@dataclass
class Upstream:
    """A running one.

    Attributes:
        port: where it listens.
        script: answers, one a request; then `usual` is given.
        seen: what it was sent.
        came: a request has come, since this was cleared.
        left: a connection was closed before its answer was over, since this was cleared.
        client_has_it: the client has read the first piece.
    """

    usual: Answer
    port: int = 0
    script: list[Answer] = field(default_factory=list)
    seen: list[Got] = field(default_factory=list)
    came: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)
    client_has_it: threading.Event = field(default_factory=threading.Event)

    def serve(self, connection: socket.socket) -> None:
        """Answer what comes over one connection, until it is closed."""
        with connection, suppress(_Ended, OSError):
            reader = _Reader(connection)
            while True:
                head = reader.head()
                body = b"".join(reader.body(head, bodiless=False, until_closed=False))
                answer = self.script.pop(0) if self.script else self.usual
                self.seen.append(Got(head, body))
                self.came.set()
                try:
                    going_on = self._send(connection, answer, head.first.startswith(b"HEAD "))
                except OSError:
                    self.left.set()
                    return
                if not going_on:
                    return

    def _send(self, connection: socket.socket, answer: Answer, bodiless: bool) -> bool:
        """Send it; whether the connection stays open."""
        if answer.silent and answer.pieces is None:
            return self._wait(connection)
        if answer.release is not None:
            answer.release.wait(SECONDS)
        if answer.raw is not None:
            connection.sendall(answer.raw)
            return False
        headers = list(answer.headers)
        if answer.pieces is not None:
            headers.append(("Transfer-Encoding", "chunked"))
        elif not any(name.lower() == "content-length" for name, _ in headers):
            headers.append(("Content-Length", str(len(answer.body) + (10 if answer.cut else 0))))
        head = "".join(f"{name}: {value}\r\n" for name, value in headers)
        connection.sendall(f"HTTP/1.1 {answer.status}\r\n{head}\r\n".encode("latin-1"))
        if bodiless:
            return True
        if answer.pieces is None:
            connection.sendall(answer.body)
            return not answer.cut
        for place, piece in enumerate(answer.pieces):
            if place == 1 and answer.hold:
                self.client_has_it.wait(SECONDS)
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        if answer.silent:
            return self._wait(connection)
        if not answer.cut:
            connection.sendall(b"0\r\n\r\n")
        return not answer.cut

    def _wait(self, connection: socket.socket) -> bool:
        """Wait until the other side closes the connection."""
        connection.settimeout(SECONDS)
        if not connection.recv(1):
            self.left.set()
        return False


@contextmanager
def upstream(usual: Answer) -> Iterator[Upstream]:
    """Serve until the block ends."""
    running = Upstream(usual)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        running.port = listening.getsockname()[1]

        def accept() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=running.serve, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield running
        finally:
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
    thread.join(SECONDS)


def ask(port: int, sent: bytes, had: threading.Event | None = None) -> list[Got]:
    """Send bytes over a connection of its own, and read what comes back: the last is the answer, before it may stand informational ones.
    `had` is set as soon as some of the body is there."""
    got: list[Got] = []
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(sent)
        reader = _Reader(connection)
        while True:
            head = reader.head()
            if head.first.split(b" ")[1].startswith(b"1"):
                got.append(Got(head, b""))
                continue
            status = head.first.split(b" ")[1]
            body, first, end = b"", None, "whole"
            try:
                for piece in reader.body(head, sent.startswith(b"HEAD ") or status in (b"204", b"304"), until_closed=True):
                    body += piece
                    if had is not None and not had.is_set():
                        first = body
                        had.set()
            except (_Ended, ConnectionResetError):
                end = "broken off"
            got.append(Got(head, body, end, first))
            return got
