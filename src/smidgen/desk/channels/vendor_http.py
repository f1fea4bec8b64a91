"""Requests to a vendor's API: bounded, without redirects, and with each failure told as passing or final."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from smidgen.core.errors import InputError, one_line, retry_after
from smidgen.desk.channels.channel import DeliveryError

SECONDS = 15.0
_MOST_ANSWER = 2_000_000
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_KEY_SECONDS = 300.0
"""The wait after a refused key: somebody has to change it first."""


def checked_base(url: str, name: str) -> str:
    """The base URL of an API without a slash at its end. Raises InputError unless it is https, or http of this machine.

    name: of the API, with its article.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    clean = url.isascii() and not any(sign.isspace() for sign in url) and not parts.query and not parts.fragment
    safe = parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)
    if not host or port == 0 or not clean or not safe or parts.username is not None or parts.password is not None:
        raise InputError("desk.service_url_cannot_be_used", value=host or "no host", name=name)
    return url.rstrip("/")


class VendorApi:
    """A vendor's HTTP API. Safe for several threads.

    Args:
        name: of the vendor, for messages.
        base: its base URL.
        headers: those of each request; they may hold the key and are never shown.
        key: removed from a vendor's words in case it repeats the key.
    """

    def __init__(self, name: str, base: str, headers: Mapping[str, str], key: str, seconds: float = SECONDS) -> None:
        self.name, self._key = name, key
        self._base = checked_base(base, f"the API of {name}")
        local = urlsplit(self._base).hostname in _LOOPBACK
        self._client = httpx.Client(timeout=seconds, headers=dict(headers), follow_redirects=False, trust_env=not local)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None, query: Mapping[str, Any] | None = None) -> Any:
        """The JSON of the vendor's answer. Raises DeliveryError for another status, or if no answer came."""
        try:
            status, headers, content = self._exchange(method, path, body, query)
        except httpx.ConnectError as error:
            raise DeliveryError("desk.vendor_cannot_be_reached", value=type(error).__name__, name=self.name, passing=True) from None
        except httpx.HTTPError as error:
            # The request may have arrived: its answer did not.
            raise DeliveryError(
                "desk.vendor_did_not_answer", value=type(error).__name__, name=self.name, passing=True, unsure=True
            ) from None
        try:
            told = json.loads(content) if content.strip() else {}
        except (ValueError, RecursionError):
            told = {}
            if status < 400:
                raise DeliveryError(
                    "desk.vendor_answered_no_json", value=f"HTTP {status}", name=self.name, passing=True, unsure=True
                ) from None
        if 200 <= status < 300:
            return told
        refusal = self.failed(status, headers, told)
        refusal.answer = told
        raise refusal

    def failed(self, status: int, headers: Mapping[str, str], told: Any, why: str = "") -> DeliveryError:
        """The error of a status: busy and broken servers pass, a refused key waits for people, and every other refusal is final."""
        reason = one_line(why or _reason(told), self._key)
        value = f"HTTP {status} {reason}".strip()
        if status == 429 or status == 408 or status >= 500:
            unsure = status >= 500 and status != 503
            after = retry_after(headers)
            return DeliveryError("desk.vendor_is_busy_or_broken", value=value, name=self.name, passing=True, after=after, unsure=unsure)
        if status in (401, 403):
            return DeliveryError("desk.vendor_refused_key", value=value, name=self.name, passing=True, after=_KEY_SECONDS)
        return self.final(value)

    def final(self, value: str) -> DeliveryError:
        """The error of a message that this vendor will never take."""
        return DeliveryError("desk.vendor_refused_message", value=value, name=self.name, passing=False)

    def passing(self, value: str, after: float | None = None) -> DeliveryError:
        """The error of a message that this vendor may take later."""
        return DeliveryError("desk.vendor_cannot_take_message_now", value=value, name=self.name, passing=True, after=after)

    def _exchange(
        self, method: str, path: str, body: Mapping[str, Any] | None, query: Mapping[str, Any] | None
    ) -> tuple[int, Mapping[str, str], bytes]:
        asked = None if body is None else dict(body)
        with self._client.stream(method, self._base + path, params=dict(query) if query else None, json=asked) as response:
            content = b""
            for piece in response.iter_bytes():
                content += piece
                if len(content) > _MOST_ANSWER:
                    raise DeliveryError("desk.vendor_answered_too_much", name=self.name, most=_MOST_ANSWER, passing=True, unsure=True)
            return response.status_code, response.headers, content


def _reason(told: Any) -> str:
    """The vendor's reason, in one of the usual places."""
    if not isinstance(told, dict):
        return ""
    error = told.get("error", told.get("description", told.get("message", "")))
    text = error.get("message", "") if isinstance(error, dict) else error
    return text if isinstance(text, str) else ""
