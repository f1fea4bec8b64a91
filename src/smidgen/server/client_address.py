"""The network address of who asks: that of the connection, or what the operator's own proxy says."""

from __future__ import annotations

import logging

from starlette.requests import Request

PROXY_HEADERS = ("x-forwarded-for", "forwarded", "x-real-ip")
"""Headers in which a proxy tells who asks it."""
_log = logging.getLogger("smidgen.server")


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
