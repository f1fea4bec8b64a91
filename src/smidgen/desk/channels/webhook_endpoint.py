"""A webhook's address: sends signed messages to it, and judges its answer."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

import httpx

from smidgen.core.errors import retry_after
from smidgen.desk.channels.channel import DeliveryError
from smidgen.desk.channels.standard_webhooks import checked_address, is_public, secret_key, signed_headers

_SECONDS = 15.0
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class WebhookEndpoint:
    """An address that gets messages by Standard Webhooks. Redirects are not followed, and names of the own network are refused.

    Args:
        url: https, or http of this machine.
        secrets: those that sign; two while one is changed.

    Raises InputError for an invalid address or secret.
    """

    def __init__(self, url: str, secrets: Sequence[str], seconds: float = _SECONDS) -> None:
        self._url, self._secrets = checked_address(url), tuple(secrets)
        for one in self._secrets:
            secret_key(one)
        parts = urlsplit(url)
        self._host, self._port = str(parts.hostname), parts.port or 443
        self._local = self._host in _LOOPBACK
        self._client = httpx.Client(timeout=seconds, follow_redirects=False, trust_env=not self._local)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def send(self, id: str, body: bytes) -> None:
        """Send a message. Raises DeliveryError unless the answer is a 2xx."""
        if not self._local and not is_public(self._host, self._port):
            raise self._error("its name is unknown or of a private network", passing=True)
        try:
            with self._client.stream("POST", self._url, content=body, headers=signed_headers(self._secrets, id, body)) as response:
                status, after = response.status_code, retry_after(response.headers)
        except httpx.HTTPError as error:
            raise self._error(type(error).__name__, passing=True, unsure=True) from None
        if 200 <= status < 300:
            return
        # 410: the receiver wants no more. Every other status may be mended on the other side.
        raise self._error(f"HTTP {status}", passing=status != 410, after=after)

    def _error(self, value: str, passing: bool, after: float | None = None, unsure: bool = False) -> DeliveryError:
        return DeliveryError("desk.webhook_did_not_take_message", value=value, host=self._host, passing=passing, after=after, unsure=unsure)
