"""Run pytest once for each variant of some files: `python pytest_in_sandbox.py`, inside a sandbox. Started by `pytest_runs`.

It reads what to do from its standard input, forks a process for each variant, and reports one JSON object a line. It runs on the user's
Python: standard library and pytest only.

Only this parent has the report's descriptor. A variant's process tells its outcomes by a pipe, each with a secret of its own. The parent
believes them only if every line has the secret, the process ended after pytest did, every collected test was told of, and pytest's exit
code agrees. So a test that leaves early, that writes to every descriptor, or that forks and goes on twice makes the variant fail. This does
not hold against code that searches pytest's own process for the secret, or that replaces pytest's functions: tests and pytest share it.
"""

from __future__ import annotations

import gc
import io
import json
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias

_REPORT = int(os.environ.get("SMIDGEN_REPORT", "2"))
_MISSING, _MOST_SAID = 3, 600
_PAUSE = 0.01
_MOST_TOLD = 8 << 20
"""Bytes that one variant may tell."""
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
        secret = secrets.token_hex(16)
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)
            os.close(_REPORT)
            os.environ.pop("SMIDGEN_REPORT", None)
            _one(asked, _teller(writing, secret))
        os.close(writing)
        _pass_on(number, *_ended(child, reading, asked["variant_seconds"]), secret)
        os.close(reading)


Tell: TypeAlias = Callable[[Mapping[str, Any]], None]


def _say(message: Mapping[str, Any]) -> None:
    os.write(_REPORT, (json.dumps(message) + "\n").encode("ascii"))


def _teller(writing: int, secret: str) -> Tell:
    """The way in which a variant's process tells its parent. A process that a test forked tells nothing, and ends."""
    own, write, leave = os.getpid(), os.write, os._exit

    def tell(message: Mapping[str, Any]) -> None:
        if os.getpid() != own:
            leave(1)
        rest = (secret + json.dumps(message) + "\n").encode("ascii")
        while rest:
            rest = rest[write(writing, rest) :]

    return tell


def _pass_on(number: int, why: str, told: bytes, secret: str) -> None:
    """Report what a variant's process told, as far as it may be believed."""
    lines = told.decode("ascii", "replace").splitlines()
    genuine = all(line.startswith(secret) for line in lines[:-1]) and (bool(why) or not lines or lines[-1].startswith(secret))
    messages = []
    for line in lines if genuine else ():
        with suppress(ValueError):  # cut off in the middle
            messages.append(json.loads(line.removeprefix(secret)))
    tests = [one for one in messages if "test" in one]
    for one in messages:
        if "test" in one or "tried" in one:
            _say({"variant": number, **one})
    if not why:
        end = messages[-1] if messages else {}
        failed = any(one["outcome"] not in ("passed", "skipped") for one in tests)
        ended = "end" in end and sum("end" in one for one in messages) == 1
        every = ended and (end["stopped"] or {*end["collected"]} <= {one["test"] for one in tests})
        agreed = ended and end["end"] in ((1, 2, 3) if failed else (0, 5))
        why = "" if every and agreed else "died"
    _say({"variant": number, "end": why})


def _ended(child: int, reading: int, seconds: float) -> tuple[str, bytes]:
    """Wait for a variant, and kill it after so many seconds: how it ended, and what it told."""
    os.set_blocking(reading, False)
    until, told, why = time.monotonic() + seconds, b"", "time"
    while time.monotonic() < until and len(told) < _MOST_TOLD:
        ended, status = os.waitpid(child, os.WNOHANG)
        told += _waiting(reading)
        if ended:
            why = "" if status == 0 else "died"
            break
        time.sleep(_PAUSE)
    with suppress(OSError):
        os.killpg(child, signal.SIGKILL)  # also what it left behind
    if why == "time":
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return why, told + _waiting(reading)


def _waiting(reading: int) -> bytes:
    found = b""
    with suppress(BlockingIOError):
        while len(found) < _MOST_TOLD and (part := os.read(reading, 65_536)):
            found += part
    return found


def _one(asked: Mapping[str, Any], tell: Tell) -> None:
    """Run the tests of one variant in this process, and end it."""
    import pytest

    leave = os._exit
    os.setpgid(0, 0)
    nothing = os.open(os.devnull, os.O_RDWR)
    for held in range(3):
        os.dup2(nothing, held)
    tried = set[str]()

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        what = _TRIED.get(event)
        if what and what not in tried:
            tried.add(what)
            tell({"tried": what})

    sys.addaudithook(heard)
    flags = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", "addopts=", "--rootdir=.", *(["-x"] if asked["stop_at_first"] else [])]
    recorder = _Recorder(asked, tell)
    code = int(pytest.main([*flags, *asked["tests"]], plugins=[recorder]))
    tell({"end": code, "collected": recorder.collected, "stopped": asked["stop_at_first"] and code != 0})
    leave(0)


class _Recorder:
    """A plugin that reports each test, bounds its time, and notes which lines of a file it runs."""

    def __init__(self, asked: Mapping[str, Any], tell: Tell) -> None:
        self._tell, self._seconds = tell, float(asked["test_seconds"])
        self.collected: list[str] = []
        self._traced = str(Path(asked["trace"]).resolve()) if asked["trace"] else ""
        self._lines = set[int]()
        self._late = 0
        self._told = set[str]()

    def pytest_collection_finish(self, session: Any) -> None:
        self.collected = [item.nodeid for item in session.items]

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
            self._tell({"test": report.nodeid, **told})
        if report.when == "teardown":
            self._rest()

    def pytest_collectreport(self, report: Any) -> None:
        if report.outcome == "failed":
            said = _short(str(report.longreprtext))
            self._tell({"test": report.nodeid, "outcome": "error", "said": said, "lines": [], "seconds": 0.0})

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
