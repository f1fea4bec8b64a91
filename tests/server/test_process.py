"""The serving process: how it starts, what it loads, how it stops."""

from __future__ import annotations

import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from tests.server.serving import serving

posix = pytest.mark.skipif(sys.platform == "win32", reason="stop signals are POSIX")


def no_longer_listening(url: str) -> None:
    """Wait until a server has stopped listening."""
    with httpx.Client(timeout=5) as client:
        for _ in range(10_000):
            try:
                client.get(f"{url}/readyz", headers={"Connection": "close"})
            except httpx.TransportError:
                return
    pytest.fail("the server went on listening")


@posix
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_drains(stop):
    with serving() as running, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(httpx.post, f"{running.url}/v1/classify", json={"input": "shipping"}, timeout=30)
        assert running.process.line() == "asked"
        running.process.send(stop)
        no_longer_listening(running.url)
        assert not running.process.ended
        running.let.set()
        reply = asked.result()
        assert reply.status_code == 200 and reply.json()["results"][0]["output"] == "shipping"
        assert running.process.exit_code() == 0
        assert running.process.line() == "False", "the serving process loaded torch"
        assert "POST /v1/classify 200" in running.process.log and "Traceback" not in running.process.log


@posix
def test_an_idle_server_stops_at_once_even_with_open_connections():
    with serving(open=True) as running, httpx.Client() as client:
        assert client.get(f"{running.url}/healthz").json() == {"status": "ok"}
        running.process.send(signal.SIGTERM)
        assert running.process.exit_code(10) == 0


@posix
def test_a_second_signal_does_not_wait():
    with serving() as running, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(httpx.post, f"{running.url}/v1/classify", json={"input": "shipping"}, timeout=30)
        assert running.process.line() == "asked"
        running.process.send(signal.SIGTERM)
        no_longer_listening(running.url)
        running.process.send(signal.SIGTERM)
        running.process.exit_code(10)
        reply = asked.result()
        assert reply.status_code == 503 and reply.json()["error"]["code"] == "stopping"
