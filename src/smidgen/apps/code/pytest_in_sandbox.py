"""Run pytest once for each variant of some files: `python pytest_in_sandbox.py`, inside a sandbox. Started by `pytest_runs`.

It reads what to do from its standard input, forks a process for each variant, and reports one JSON object a line. It runs on the user's
Python: standard library and pytest only.
"""

from __future__ import annotations

import gc
import io
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from types import FrameType
from typing import Any

_REPORT = int(os.environ.get("SMIDGEN_REPORT", "2"))
_MISSING, _MOST_SAID = 3, 600
_PAUSE = 0.01
_WAITING = 5
"""A test's time is the processor's. It may wait this many times as long."""
_SOME_LATE = 2
"""Tests that took too long; after them each gets a second at most, for they tend to have one cause."""
_NETWORK, _PROGRAM = "the network", "another program"
_TRIED = {"socket.connect": _NETWORK, "socket.getaddrinfo": _NETWORK, "subprocess.Popen": _PROGRAM, "os.system": _PROGRAM}


class _TestTookTooLong(BaseException):
    """A test has used its time."""


def main() -> None:
    """Run what is asked for."""
    asked = json.loads(sys.stdin.read())
    sys.path[:0] = [str(Path(path).resolve()) for path in asked["paths"]]
    try:
        import pytest
    except ImportError:
        _say({"missing": "pytest"})
        sys.exit(_MISSING)
    if not asked["plugins"]:
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        pytest.main(["--version"])  # imports pytest's own parts once, not in every process
    gc.freeze()  # no process looks through them for what could be freed
    before: dict[str, str | None] = {}
    for number, files in enumerate(asked["variants"]):
        for path in {*before, *files}:
            place = Path(path)
            if path not in before:
                before[path] = place.read_text(encoding="utf-8") if place.is_file() else None
            text = files.get(path, before[path])
            if text is None:
                place.unlink(missing_ok=True)
            else:
                place.write_text(text, encoding="utf-8")
        child = os.fork()
        if not child:
            _one(number, asked)
        if why := _ended(child, asked["variant_seconds"]):
            _say({"variant": number, "end": why})


def _say(message: Mapping[str, Any]) -> None:
    os.write(_REPORT, (json.dumps(message) + "\n").encode("ascii"))


def _ended(child: int, seconds: float) -> str:
    """Wait for a variant, and kill it after so many seconds: how it ended."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return "" if status == 0 else "died"
        time.sleep(_PAUSE)
    with suppress(OSError):
        os.killpg(child, signal.SIGKILL)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "time"


def _one(number: int, asked: Mapping[str, Any]) -> None:
    """Run the tests of one variant in this process, and end it."""
    import pytest

    os.setpgid(0, 0)
    nothing = os.open(os.devnull, os.O_RDWR)
    for held in range(3):
        os.dup2(nothing, held)
    tried = set[str]()

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        what = _TRIED.get(event)
        if what and what not in tried:
            tried.add(what)
            _say({"variant": number, "tried": what})

    sys.addaudithook(heard)
    flags = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", "addopts=", "--rootdir=.", *(["-x"] if asked["stop_at_first"] else [])]
    pytest.main([*flags, *asked["tests"]], plugins=[_Recorder(number, asked)])
    _say({"variant": number, "end": ""})
    os._exit(0)


class _Recorder:
    """A plugin that reports each test, bounds its time, and notes which lines of a file it runs."""

    def __init__(self, number: int, asked: Mapping[str, Any]) -> None:
        self._number, self._seconds = number, float(asked["test_seconds"])
        self._traced = str(Path(asked["trace"]).resolve()) if asked["trace"] else ""
        self._lines = set[int]()
        self._late = 0
        self._told = set[str]()

    def pytest_runtest_protocol(self, item: Any, nextitem: Any) -> None:
        self._lines.clear()

    def pytest_runtest_setup(self, item: Any) -> None:
        self._watch()

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call" or report.outcome != "passed":
            if report.nodeid in self._told:
                return
            self._told.add(report.nodeid)
            outcome = "error" if report.when != "call" and report.outcome == "failed" else report.outcome
            said = str(report.longreprtext) if report.outcome == "failed" else ""
            if "_TestTookTooLong" in said:
                outcome, self._late = "time", self._late + 1
            told = {"outcome": outcome, "said": _short(said), "lines": sorted(self._lines), "seconds": report.duration}
            _say({"variant": self._number, "test": report.nodeid, **told})
        if report.when == "teardown":
            self._rest()

    def pytest_collectreport(self, report: Any) -> None:
        if report.outcome == "failed":
            said = _short(str(report.longreprtext))
            _say({"variant": self._number, "test": report.nodeid, "outcome": "error", "said": said, "lines": [], "seconds": 0.0})

    def _watch(self) -> None:
        seconds = self._seconds if self._late < _SOME_LATE else min(1.0, self._seconds)
        for number, timer, longest in (
            (signal.SIGPROF, signal.ITIMER_PROF, seconds),
            (signal.SIGALRM, signal.ITIMER_REAL, _WAITING * seconds),
        ):
            signal.signal(number, _late)
            signal.setitimer(timer, longest)
        if self._traced:
            threading.settrace(self._trace)
            sys.settrace(self._trace)

    def _rest(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        if self._traced:
            sys.settrace(None)
            threading.settrace(None)

    def _trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename != self._traced:
            return None
        self._lines.add(frame.f_lineno)
        return self._trace_line

    def _trace_line(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            self._lines.add(frame.f_lineno)
        return self._trace_line


def _late(number: int, frame: FrameType | None) -> None:
    raise _TestTookTooLong


def _short(said: str) -> str:
    """The telling lines of a failure."""
    return "\n".join(_telling(said.splitlines()))[:_MOST_SAID]


def _telling(lines: list[str]) -> Iterator[str]:
    marked = [line[1:].strip() for line in lines if line.startswith("E ")]
    yield from marked[:4] or lines[-3:]


if __name__ == "__main__":
    main()
