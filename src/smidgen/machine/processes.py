"""Processes of this machine by name: a number that the system may give to another process later, and when the process started.
And the programs that are installed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import psutil


def name_process(number: int) -> str:
    """Name a process that runs: its number, and when it started, where the system tells."""
    return f"{number} {_started(number)}".strip()


def process_runs(name: str) -> bool:
    """Whether the process of this name still runs. Where the system does not tell when a process started, its number decides."""
    number, _, started = name.partition(" ")
    if not number.isdecimal() or int(number) <= 0:
        return False
    if started:
        return _started(int(number)) == started
    return bool(psutil.pid_exists(int(number)))


def _started(number: int) -> str:
    """When a process started, in ticks since the machine did; empty where that is unknown, and for a process that has ended."""
    try:
        fields = Path(f"/proc/{number}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    state, started = fields[0], fields[19]
    return "" if state in ("Z", "X") else started


def find_program(name: str) -> str | None:
    """The path of an installed program. It is never looked for in the current folder, which may be a stranger's."""
    for folder in map(Path, os.environ.get("PATH", os.defpath).split(os.pathsep)):
        for ending in (".exe", ".cmd") if os.name == "nt" else ("",):
            if folder.is_absolute() and (found := shutil.which(str(folder / (name + ending)))):
                return found
    return None
