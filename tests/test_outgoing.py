"""The watch on the Studio's processes: it writes down each way out of this machine, and none within it. Nothing is sent here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests import commands
from tests.conftest import QUICK_BUILDS, quick_environment

TRIED = """
import contextlib, importlib.util, socket, sys

def tried(kind, work):
    it = socket.socket(socket.AF_INET, kind)
    it.close()  # a call tells where it is to go before it finds that
    with contextlib.suppress(OSError):
        work(it)

for host in ("192.0.2.1", "127.0.0.1", "0.0.0.0"):
    tried(socket.SOCK_STREAM, lambda it: it.connect((host, 1)))
    tried(socket.SOCK_STREAM, lambda it: it.connect_ex((host, 2)))
    tried(socket.SOCK_DGRAM, lambda it: it.sendto(b"", (host, 3)))
    if hasattr(socket.socket, "sendmsg"):
        tried(socket.SOCK_DGRAM, lambda it: it.sendmsg([b""], [], 0, (host, 4)))
    socket.getaddrinfo(host, 5, flags=socket.AI_NUMERICHOST)
with contextlib.suppress(OSError):
    socket.getaddrinfo("127.nowhere.invalid", 6)
try:
    import uvloop
except ImportError:
    print("no uvloop")
"""
"""Every way out of Python. uvloop has one that it does not tell of."""


def test_every_way_out_is_written_down(tmp_path: Path) -> None:
    log = tmp_path / "outgoing.log"
    environment = {**os.environ, "PYTHONPATH": str(commands.OUTGOING), "SMIDGEN_TEST_OUTGOING": str(log)}
    said = subprocess.run([sys.executable, "-c", TRIED], env=environment, capture_output=True, text=True, check=True).stdout
    told = [line.split()[:2] for line in log.read_text(encoding="utf-8").splitlines()]
    sent = [["socket.sendmsg", "192.0.2.1"]] if sys.platform != "win32" else []
    numbered = [[f"socket.{way}", "192.0.2.1"] for way in ("connect", "connect", "sendto")]
    assert told == [*numbered, *sent, ["socket.getaddrinfo", "192.0.2.1"], ["socket.getaddrinfo", "127.nowhere.invalid"]]
    assert said == "no uvloop\n"


def test_builds_of_processes_are_as_quick_as_those_of_the_tests() -> None:
    asked = [f"from {module} import {name}; assert {name} == {value!r}, {name}" for module, name, value in QUICK_BUILDS]
    asked.append("from smidgen.flows.build import footprint; assert footprint.measure_footprint(None, 1).peak_memory_mb == 200")
    subprocess.run([sys.executable, "-c", "\n".join(asked)], env={**os.environ, **quick_environment()}, check=True)
