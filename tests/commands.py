"""`smidgen` as a process of its own, forked from one that has imported it: starting a server costs no second of imports.

What a fresh interpreter does, that it loads no torch and how it leaves, a few tests ask of `python -m smidgen` itself.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import runpy
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

PRELOADED = (
    *("smidgen.cli.main", "smidgen.cli.serve", "smidgen.server.app", "smidgen.server.process", "smidgen.server.gateway.routing"),
    *("smidgen.server.gateway.fallback", "smidgen.server.traffic.capture_setup", "smidgen.flows.local_model", "tests.server.serving"),
    *("smidgen.studio.cli", "smidgen.studio.api.app"),
)
"""Imported once. A name that is gone costs time alone."""
OUTGOING = Path(__file__).parent / "outgoing"
"""On the path of a process, it writes down what leaves this machine into the file that SMIDGEN_TEST_OUTGOING names, and makes builds as
quick as SMIDGEN_TEST_QUICK_BUILDS says."""
_PATIENCE = 300.0
"""Longest that a line is waited for, in seconds."""
FORKED = multiprocessing.get_context("forkserver" if sys.platform != "win32" else "spawn")
FORKED.set_forkserver_preload(list(PRELOADED))


class Running:
    """A process at work."""

    def __init__(self, process: BaseProcess, out: Connection, log: Path) -> None:
        self._process, self._log = process, log
        self.stdout = os.fdopen(os.dup(out.fileno()), encoding="utf-8")
        assert process.pid is not None
        self.pid = process.pid

    @property
    def log(self) -> str:
        """Its standard error."""
        return self._log.read_text(encoding="utf-8")

    @property
    def ended(self) -> bool:
        return self._process.exitcode is not None

    def line(self) -> str:
        """The next line of its standard output, when it is there; empty where it has ended, or says nothing for minutes."""
        patience = threading.Timer(_PATIENCE, self._process.kill)
        patience.start()
        try:
            return self.stdout.readline().rstrip("\n")
        finally:
            patience.cancel()

    def ready(self) -> dict[str, Any]:
        """What a server says with `--json` as soon as it answers."""
        line = self.line()
        assert line, f"the server did not start: {self.log}"
        told: dict[str, Any] = json.loads(line)
        return told

    def send(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def exit_code(self, seconds: float = 60.0) -> int:
        """Its exit code, when it has ended; below zero that of a signal."""
        self._process.join(seconds)
        assert self._process.exitcode is not None, "it goes on"
        return self._process.exitcode

    def stop(self) -> int:
        """Ask it to stop; its exit code."""
        self.send(signal.SIGTERM)
        return self.exit_code()


@contextmanager
def forked(work: Callable[..., object], *arguments: Any, environment: Mapping[str, str] | None = None) -> Iterator[Running]:
    """Run a function of a module as a process; killed if the block leaves it running."""
    reading, writing = FORKED.Pipe(duplex=False)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "stderr.log"
        log.touch()
        orders = work, arguments, dict(os.environ if environment is None else environment), writing, str(log)
        process = FORKED.Process(target=_begin, args=orders, daemon=True)
        process.start()
        writing.close()
        running = Running(process, reading, log)
        reading.close()
        try:
            yield running
        finally:
            process.kill()
            process.join()
            running.stdout.close()


def smidgen(*arguments: object, environment: Mapping[str, str] | None = None) -> Any:
    """`smidgen` with these arguments, as a process."""
    return forked(_smidgen, [str(argument) for argument in arguments], environment=environment)


def close() -> None:
    """Stop the process that others are forked from, and wait for it: then their processor time counts as that of this one's children."""
    forkserver._forkserver._stop()  # type: ignore[attr-defined]


def _smidgen(arguments: Sequence[str]) -> None:
    if "SMIDGEN_TEST_OUTGOING" in os.environ:  # what it starts reads this by itself
        runpy.run_path(str(OUTGOING / "sitecustomize.py"))
    sys.argv = ["smidgen", *arguments]
    runpy.run_module("smidgen", run_name="__main__", alter_sys=True)


def _begin(work: Callable[..., object], arguments: Sequence[Any], environment: Mapping[str, str], out: Connection, log: str) -> None:
    """In the new process: put its environment and its streams in their places, and go."""
    os.environ.clear()
    os.environ.update(environment)
    os.dup2(out.fileno(), 1)
    errors = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(errors, 2)
    os.close(errors)
    out.close()
    sys.stdout = open(1, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
    work(*arguments)
