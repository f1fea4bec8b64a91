"""Access to a server: allowed Host headers, API keys, pages of other web origins, and a client's network address."""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import stat
import sys
from collections.abc import Collection, Iterable
from pathlib import Path

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from smidgen.server.errors import failure
from smidgen.server.request import OPEN_PATHS, HttpRequest

_log = logging.getLogger("smidgen.server")

LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")


class HostMiddleware:
    """Admits requests to these host names, with any port.

    A web page must not reach a loopback server through a host name that it points here (DNS rebinding).
    """

    def __init__(self, app: ASGIApp, names: Iterable[str]) -> None:
        self._app = app
        self._names = frozenset(name.lower().encode("ascii", "replace") for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403 if the Host header is missing or has another name."""
        if scope["type"] == "http" and self._name(scope) not in self._names:
            response = failure(
                403,
                "This server does not answer to that host name. Call it as localhost, or start it with --allow-host.",
                "host_not_allowed",
            )
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)

    @staticmethod
    def _name(scope: Scope) -> bytes:
        host: bytes = next((value for name, value in scope["headers"] if name == b"host"), b"").strip().lower()
        if host.startswith(b"["):
            return host.partition(b"]")[0] + b"]"
        return host.partition(b":")[0]


class KeyMiddleware:
    """Admits requests with one of the keys (`Authorization: Bearer KEY`), to any path; without a key, to `OPEN_PATHS` and `keyless` ones.

    Every key is compared, in constant time, so the time reveals nothing about any of them.

    Args:
        keys: the keys.
        file: more keys.
        keyless: patterns of paths that need none: see `KeylessRoute`.
    """

    def __init__(self, app: ASGIApp, keys: Iterable[str], file: KeyFile | None = None, keyless: Iterable[re.Pattern[str]] = ()) -> None:
        self._app, self._file = app, file
        self._keyless = tuple(keyless)
        self._hashes = [_digest(key) for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401 if the key is missing or wrong."""
        if scope["type"] == "http" and not self._is_open(scope["path"]) and not self._knows(scope):
            response = failure(401, "The API key is missing or wrong. Send it as: Authorization: Bearer KEY.", "invalid_api_key")
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_open(self, path: str) -> bool:
        return path in OPEN_PATHS or any(pattern.fullmatch(path) for pattern in self._keyless)

    def _knows(self, scope: Scope) -> bool:
        kept = self._file.hashes() if self._file is not None else ()
        return kept is None or _is_one_of(scope, [*self._hashes, *kept])


def bears_key(scope: Scope, keys: Iterable[str]) -> bool:
    """Return True if a request has one of these keys as its bearer token."""
    return _is_one_of(scope, [_digest(key) for key in keys])


def _is_one_of(scope: Scope, known: Iterable[bytes]) -> bool:
    given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    scheme, _, key = given.partition(b" ")
    if scheme.lower() != b"bearer":
        return False
    digest = hashlib.sha256(key.strip()).digest()
    return any([hmac.compare_digest(digest, one) for one in known])  # noqa: C419 a list: no early end


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8")).digest()


_MOST_KEY_BYTES = 1 << 20
_KEY_LINE = re.compile(r"([0-9a-f]{64})(\s.*)?")
_NO_KEY = "*"


class KeyFile:
    """The API keys in a file, read again whenever it changes: keys are made and revoked while the server runs.

    Each line has the SHA-256 of a key, in hex, and a name. A line `*` means that no key is needed. A file that is missing, or that others
    may change, admits nobody.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen: tuple[int, int, int] | None = None
        self._hashes: tuple[bytes, ...] = ()
        self._open = False

    def hashes(self) -> tuple[bytes, ...] | None:
        """The keys' hashes as they stand in the file now; None where no key is needed."""
        try:
            found = self._file.stat()
        except OSError:
            self._seen, self._hashes, self._open = None, (), False
            return ()
        mark = (found.st_mtime_ns, found.st_size, found.st_ino)
        if mark != self._seen:
            self._read(found.st_mode)
            self._seen = mark
        return None if self._open else self._hashes

    def _read(self, mode: int) -> None:
        self._hashes, self._open = (), False
        if sys.platform != "win32" and mode & (stat.S_IWGRP | stat.S_IWOTH):
            return
        try:
            with self._file.open("rb") as stream:
                lines = stream.read(_MOST_KEY_BYTES).decode("utf-8", "replace").splitlines()
        except OSError:
            return
        self._open = any(line.strip() == _NO_KEY for line in lines)
        matches = [_KEY_LINE.fullmatch(line.strip()) for line in lines]
        self._hashes = tuple(bytes.fromhex(match[1]) for match in matches if match is not None)


def from_other_origin(request: HttpRequest, allowed: Collection[str]) -> bool:
    """Return True if a page of another web origin sent the request. Browsers say where a page is from; other programs do not.

    A page must not spend the owner's money through a gateway on their machine. It can send some requests without permission, and does harm
    even if it cannot read the answer. `allowed`: origins as in `--cors`.
    """
    origin = request.header(b"origin").decode("latin-1").lower()
    if not origin:
        # A page's image or script is requested without an origin. Browsers then set this header, which a page cannot.
        return "*" not in allowed and request.header(b"sec-fetch-site").strip().lower() in (b"cross-site", b"same-site")
    if "*" in allowed or origin in {one.lower().rstrip("/") for one in allowed}:
        return False
    return origin.partition("://")[2] != request.header(b"host").decode("latin-1").lower()


PROXY_HEADERS = ("x-forwarded-for", "forwarded", "x-real-ip")
"""Headers in which a proxy tells who asks it."""


class ClientAddress:
    """Reads addresses, and warns once of a proxy that no setting names: all who come through it share its address, and its limits.

    Args:
        header: in which the operator's own proxy tells the address; empty without one.
        setting: where it is set, as the warning names it.
    """

    def __init__(self, header: str, setting: str) -> None:
        self._header, self._setting = header.lower(), setting
        self.unnamed = ""
        """The proxy's header that came and that no setting names; empty if none came."""

    def of(self, request: Request) -> str:
        """The address of who asks; empty if it is unknown."""
        named = request.headers.get(self._header, "").rpartition(",")[2].strip() if self._header else ""
        if not named and not self.unnamed:
            self._look_for_proxy(request)
        return named[:64] or (request.client.host if request.client else "")

    def _look_for_proxy(self, request: Request) -> None:
        self.unnamed = next((name for name in PROXY_HEADERS if name in request.headers and name != self._header), "")
        if self.unnamed:
            _log.warning(
                "requests come with the header %s, so a proxy stands in front, and no setting names it: "
                "everybody behind the proxy shares its address and its limits. Set %s, if your own proxy always writes it",
                self.unnamed,
                self._setting,
            )
