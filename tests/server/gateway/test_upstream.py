"""Which way an upstream is asked: straight, or through the machine's proxy."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from tests.upstream_stub import Said, upstream_stub

from smidgen.server.gateway import transport
from smidgen.server.gateway.upstream import Upstream, UpstreamCall, UpstreamLimits
from smidgen.server.request import RequestBody

LIMITS = httpx.Limits(max_connections=2)
NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def test_a_proxy_is_asked_for_other_machines_only(monkeypatch: pytest.MonkeyPatch) -> None:
    with upstream_stub() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
        asked = asyncio.run(_asked("http://upstream.example/v1"))
        assert asked == 200 and [seen.path for seen in proxy.seen] == ["http://upstream.example/v1/chat/completions?a=1"]
        monkeypatch.setenv("no_proxy", "upstream.example")
        with pytest.raises((httpx.ConnectError, httpx.ConnectTimeout)):
            asyncio.run(_asked("http://upstream.example/v1"))
        assert len(proxy.seen) == 1


def test_this_machine_is_asked_straight(monkeypatch: pytest.MonkeyPatch) -> None:
    with upstream_stub() as stub, upstream_stub() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
        assert asyncio.run(_asked(stub.url)) == 200
        assert [seen.path for seen in stub.seen] == ["/v1/chat/completions?a=1"] and proxy.seen == []
    assert isinstance(transport.open_transport(LIMITS, local=True), transport.DirectTransport)


@pytest.mark.parametrize("through", [False, True])
def test_cookies_and_redirects_are_nobodys(monkeypatch: pytest.MonkeyPatch, through: bool) -> None:
    with upstream_stub() as stub:
        host = "http://upstream.example/v1" if through else stub.url
        if through:
            monkeypatch.setenv("http_proxy", stub.url.removesuffix("/v1"))
        moved = Said(status=307, headers={"Location": f"{host}/elsewhere", "Set-Cookie": "who=me"})
        stub.script = [moved, Said()]
        assert asyncio.run(_twice(host)) == [307, 200]
        assert ["cookie" in seen.headers for seen in stub.seen] == [False, False]


async def _asked(url: str) -> int:
    return (await _answers(url, 1))[0]


async def _twice(url: str) -> list[int]:
    return await _answers(url, 2)


async def _answers(url: str, times: int) -> list[int]:
    waits = UpstreamLimits(connect=2.0, read=5.0, whole=5.0, most=10_000)
    one = Upstream(1, url, "big", None, own_authorization=False, waits=waits, connections=2)
    body: dict[str, Any] = {"model": "x"}
    statuses = []
    try:
        for _ in range(times):
            response = await one.send(UpstreamCall("POST", b"/chat/completions", b"a=1", [], RequestBody(json.dumps(body).encode())))
            async for _piece in response.aiter_raw():
                pass
            await response.aclose()
            statuses.append(response.status_code)
    finally:
        await one.close()
    return statuses
