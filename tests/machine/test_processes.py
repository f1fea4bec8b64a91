"""A process by name: it runs until it has ended, and another one with its number is not it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from smidgen.machine.processes import name_process, process_runs


def test_a_process_runs_until_it_ends() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    name = name_process(child.pid)
    assert process_runs(name)
    child.communicate(b"\n", timeout=60)
    assert not process_runs(name)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system does not tell when a process started")
def test_another_process_with_its_number_is_not_it() -> None:
    number, _, started = name_process(os.getpid()).partition(" ")
    assert process_runs(f"{number} {started}") and not process_runs(f"{number} {int(started) - 1}")


@pytest.mark.parametrize("name", ["", "0", "-1", "x y"])
def test_what_is_no_number_does_not_run(name: str) -> None:
    assert not process_runs(name)
