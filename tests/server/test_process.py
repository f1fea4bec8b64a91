"""The serving process: how it starts, what it loads, how it stops."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
posix = pytest.mark.skipif(sys.platform == "win32", reason="stop signals are POSIX")


@contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The script at work; killed if the test leaves it running."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.server.serving", *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def line(running: subprocess.Popen[str]) -> str:
    assert running.stdout is not None
    return running.stdout.readline().strip()


@posix
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_drains(stop):
    with process() as running, ThreadPoolExecutor(1) as pool:
        url = line(running)
        asked = pool.submit(httpx.post, f"{url}/v1/classify", json={"input": "shipping"}, timeout=30)
        assert line(running) == "asked"
        running.send_signal(stop)
        for _ in range(1000):  # until it has stopped listening
            try:
                httpx.get(f"{url}/readyz", timeout=5)
            except httpx.TransportError:
                break
        else:
            pytest.fail("the server went on listening")
        assert running.poll() is None
        running.stdin.write("go\n")
        running.stdin.flush()
        reply = asked.result()
        assert reply.status_code == 200 and reply.json()["results"][0]["output"] == "shipping"
        out, log = running.communicate(timeout=30)
        assert running.returncode == 0
        assert out.strip() == "False", "the serving process loaded torch"
        assert "POST /v1/classify 200" in log and "Traceback" not in log


@posix
def test_an_idle_server_stops_at_once_even_with_open_connections():
    with process("open") as running:
        url = line(running)
        with httpx.Client() as client:
            assert client.get(f"{url}/healthz").json() == {"status": "ok"}
            running.send_signal(signal.SIGTERM)
            assert running.wait(10) == 0


@posix
def test_a_second_signal_does_not_wait():
    with process() as running, ThreadPoolExecutor(1) as pool:
        url = line(running)
        asked = pool.submit(httpx.post, f"{url}/v1/classify", json={"input": "shipping"}, timeout=30)
        assert line(running) == "asked"
        running.send_signal(signal.SIGTERM)
        while True:
            try:
                httpx.get(f"{url}/readyz", timeout=5)
            except httpx.TransportError:
                break
        running.send_signal(signal.SIGTERM)
        running.wait(10)
        reply = asked.result()
        assert reply.status_code == 503 and reply.json()["error"]["code"] == "stopping"
