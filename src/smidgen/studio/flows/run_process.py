"""The process of one run: `python -m smidgen.studio.flows.run_process RUN`.

It holds a lock file while it runs. The supervisor checks this lock to see whether the run is alive, also after a restart of the server.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from filelock import FileLock, Timeout

from smidgen.core.errors import DataError, SmidgenError, shown
from smidgen.parts import registry
from smidgen.store.files import home
from smidgen.studio.store.projects import StudioStore
from smidgen.studio.store.runs import Run, RunStore

_LOOK_SECONDS = 1.0
_TELL_SECONDS: Final = 0.4
_LONGEST: Final = 4_000
"""Characters of an error that are kept."""


class Stopped(Exception):
    """Somebody stopped the run."""


class RunProgress:
    """Progress of a run as events in the database. Raises Stopped where somebody stopped the run."""

    def __init__(self, runs: RunStore, run: str) -> None:
        self._runs, self._run = runs, run
        self._step, self._units = "", 0
        self._total: int | None = None
        self._facts: dict[str, float | str] = {}
        self._told = self._looked = 0.0

    def start(self, step: str, total: int | None = None) -> None:
        """Begin a step."""
        self._look()
        self._step, self._total, self._units, self._facts = step, total, 0, {}
        self._runs.tell(self._run, "step", {"step": step, "total": total})

    def advance(self, units: int = 1, **facts: float | str) -> None:
        """Count units as done; told a few times a second at most."""
        self._units += units
        self._facts.update(facts)
        now = time.monotonic()
        if now - self._looked >= _LOOK_SECONDS:
            self._look()
        if now - self._told >= _TELL_SECONDS or self._units == self._total:
            self._told = now
            self._runs.tell(self._run, "progress", {"step": self._step, "done": self._units, "total": self._total, "facts": self._facts})

    def finish(self, note: str = "") -> None:
        """End the step."""
        self._runs.tell(self._run, "step_done", {"step": self._step, "note": note})
        self._look()

    def say(self, text: str) -> None:
        """Tell a remark."""
        self._runs.tell(self._run, "remark", {"text": text})

    def _look(self) -> None:
        self._looked = time.monotonic()
        if self._runs.is_stopping(self._run):
            raise Stopped


RunKind: TypeAlias = Callable[[StudioStore, Run, RunProgress], Mapping[str, Any]]


@dataclass(frozen=True)
class QuickRun:
    """A kind of run that takes a minute at most, so that it does not wait for builds."""

    do: RunKind
    light = True

    def __call__(self, store: StudioStore, run: Run, progress: RunProgress) -> Mapping[str, Any]:
        """Do the run."""
        return self.do(store, run, progress)


def run_folder(id: str) -> Path:
    """The folder of what a run makes."""
    return home() / "studio" / "runs" / id


def is_alive(id: str) -> bool:
    """Whether the process of a run lives: whether it holds its lock."""
    lock = run_folder(id) / "lock"
    if not lock.exists():
        return False
    try:
        with FileLock(lock, timeout=0):
            return False
    except Timeout:
        return True


def main(id: str) -> int:
    """Do one run: take its lock, mark it as running, do it, write down how it ended. Returns the process's exit code."""
    folder = run_folder(id)
    folder.mkdir(parents=True, exist_ok=True)
    store = StudioStore()
    runs = RunStore(store.database)
    try:
        with FileLock(folder / "lock", timeout=0):
            return _do(store, runs, id)
    except Timeout:
        return 1  # another process does it already
    finally:
        store.close()


def _do(store: StudioStore, runs: RunStore, id: str) -> int:
    if not runs.start(id, os.getpid()):
        return 1
    run = runs.get(id)
    runs.tell(id, "begin", {})
    try:
        kind: RunKind = registry.find("studio.flows", run.kind.replace("_", "-"))
        result = kind(store, run, RunProgress(runs, id))
    except Stopped:
        runs.finish(id, "stopped")
        return 0
    except SmidgenError as error:
        runs.finish(id, "failed", error=_told(error))
        return error.exit_code
    runs.finish(id, "done", result=json.loads(json.dumps(dict(result))))
    return 0


def parts_of_error(error: SmidgenError) -> dict[str, Any]:
    """The parts of an error's message one by one, as a page puts them into its own words."""
    what, place = error.what, {}
    if isinstance(error, DataError):
        what, place = (
            error.fault,
            {"file": error.file, "row": None if error.row is None else error.row + error.above, "column": error.column},
        )
    told = {"what": what, "value": shown(error.value, _LONGEST), "todo": error.todo[:_LONGEST], "kind": type(error).__name__}
    return told | {name: value for name, value in place.items() if value is not None} | error.coded()


def _told(error: SmidgenError) -> dict[str, Any]:
    """The error as it is stored: the message without its advice, and its parts."""
    return {"message": f"{error.what}: {shown(error.value, _LONGEST)}.", **parts_of_error(error)}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
