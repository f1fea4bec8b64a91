"""How bytes get to an upstream: httpx's connection pool as it is, or, where the machine's settings name a proxy, through that.

httpx's client does more for each response than a gateway wants: it looks for cookies to keep, which are other people's, and for what is to
be followed, and takes its time for it.
"""

from __future__ import annotations

from urllib.request import getproxies

import httpx

_SCHEMES = ("http", "https", "all")


def opened(limits: httpx.Limits, local: bool) -> httpx.AsyncBaseTransport:
    """One for one upstream. `local`: it is this machine, which no proxy is asked for."""
    proxies = {} if local else getproxies()
    if not any(proxies.get(scheme) for scheme in _SCHEMES):
        return httpx.AsyncHTTPTransport(limits=limits, trust_env=not local)
    return _Proxied(limits)


class _Proxied(httpx.AsyncBaseTransport):
    """httpx's client, which knows `HTTPS_PROXY`, `NO_PROXY` and the rest of it."""

    def __init__(self, limits: httpx.Limits) -> None:
        self._client = httpx.AsyncClient(limits=limits, follow_redirects=False, trust_env=True)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._client.send(request, stream=True)
        self._client.cookies.clear()
        return response

    async def aclose(self) -> None:
        await self._client.aclose()
