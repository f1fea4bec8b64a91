"""Standard Webhooks 1.0: sign and verify messages, and check the address that they go to.

`webhook-id` is equal at every attempt, so a receiver drops repeats. `webhook-signature` is `v1,` and the base64 HMAC-SHA256 of
`id.timestamp.body`; while a secret is changed there are several, with spaces between them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import math
import secrets
import socket
import time
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from smidgen.core.errors import InputError, RequestError

PREFIX = "whsec_"
TOLERANCE_SECONDS = 300.0
_FEWEST, _MOST = 24, 64
"""The specification's bounds on a secret, in bytes."""
_MOST_SIGNATURES = 20
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def new_secret() -> str:
    """A new secret, as the specification writes it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def secret_key(secret: str) -> bytes:
    """The key of a secret. Raises InputError for one that is invalid; the message does not show it."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX) + "==", validate=False)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or not _FEWEST <= len(key) <= _MOST:
        raise InputError("desk.webhook_secret_is_invalid", secret=len(secret), fewest=_FEWEST, most=_MOST)
    return key


def signed_headers(secrets_: Sequence[str], id: str, body: bytes, now: float | None = None) -> dict[str, str]:
    """The headers of a message, signed by each of these secrets."""
    stamp = str(math.floor(time.time() if now is None else now))
    signatures = " ".join(_signature(secret_key(one), id, stamp, body) for one in secrets_)
    return {"webhook-id": id, "webhook-timestamp": stamp, "webhook-signature": signatures, "content-type": "application/json"}


def verify(secrets_: Sequence[str], headers: Mapping[str, str], body: bytes, now: float | None = None) -> str:
    """Check a message that came in; returns its id. `headers` have lower-case names.

    Raises RequestError for one that none of the secrets signed, or whose time is over five minutes off.
    """
    id, stamp, given = (headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    recent = stamp.isascii() and stamp.isdigit() and len(stamp) <= 12
    recent = recent and abs((time.time() if now is None else now) - int(stamp)) <= TOLERANCE_SECONDS
    right = False
    for one in secrets_:
        expected = _signature(secret_key(one), id, stamp, body).encode()
        for signature in given.split(" ")[:_MOST_SIGNATURES]:
            right |= hmac.compare_digest(expected, signature.encode("utf-8", "replace"))
    if not (id and recent and right):
        raise RequestError("desk.signature_of_webhook_is_wrong", value=id[:80], status=401, code="invalid_signature")
    return id


def checked_address(url: str) -> str:
    """The address of a webhook. Raises InputError unless it is https, or http of this machine; the message shows only the host."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    clean = url.isascii() and not any(sign.isspace() for sign in url) and not parts.fragment and port != 0 and len(url) <= 2_000
    safe = parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)
    if not host or not clean or not safe or parts.username is not None or parts.password is not None:
        raise InputError("desk.address_of_webhook_cannot_be_used", value=host or "no host")
    return url


def is_public(host: str, port: int) -> bool:
    """Whether a host of an https address is on the internet, and not in this machine's own network.

    A name may resolve differently a moment later. The certificate of https then names the wrong host, so an internal server's is refused.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return bool(found) and all(ipaddress.ip_address(str(one[4][0]).partition("%")[0]).is_global for one in found)


def _signature(key: bytes, id: str, stamp: str, body: bytes) -> str:
    content = f"{id}.{stamp}.".encode("utf-8", "replace") + body
    return "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
