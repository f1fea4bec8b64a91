"""Start queued runs, one heavy and one light one at a time, and pick up those whose process died."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import threading
import time

from smidgen.core.progress import Progress
from smidgen.machine.child_process import module_command, start_detached
from smidgen.parts import registry
from smidgen.studio.flows.run_process import is_alive, run_folder
from smidgen.studio.store.projects import StudioStore
from smidgen.studio.store.runs import Run, RunStore
from smidgen.studio.store.tables import StudioError

MOST_ATTEMPTS = 3
"""Starts of a run whose process dies each time; after them it has failed."""
_POLL_SECONDS = 0.5
_TROUBLE_SECONDS = 5.0
_log = logging.getLogger("smidgen.studio")
_PATIENCE_SECONDS = 20.0
"""How long a run may take to stop by itself, before its process is killed."""
_START_SECONDS = 30.0
"""How long a started process may take until it holds its lock."""


class Supervisor:
    """Starts runs in the order of the queue. A run goes on when the server ends; the next server finds it by its lock.

    `heavy` is how many runs may go on at once; `light`, how many of the quick kinds beside them.
    """

    def __init__(self, store: StudioStore, heavy: int = 1, light: int = 1) -> None:
        self._runs, self._most = RunStore(store.database), {False: heavy, True: light}
        self._wake, self._ended = threading.Event(), threading.Event()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._born: dict[str, float] = {}
        self._asked: dict[str, float] = {}
        self._thread = threading.Thread(target=self._watch, name="studio-supervisor", daemon=True)

    def start(self) -> None:
        """Begin to watch the queue."""
        self._thread.start()

    def close(self) -> None:
        """Watch no more. Runs go on."""
        self._ended.set()
        self._wake.set()
        self._thread.join(5)

    def wake(self) -> None:
        """Look at the queue now."""
        self._wake.set()

    def _watch(self) -> None:
        while not self._ended.is_set():
            pause = _POLL_SECONDS
            try:
                self.look()
            except (StudioError, OSError) as error:
                # A full disk or no memory for a process: the queue waits until there is.
                _log.error("The queue of runs cannot go on: %s. It is tried again in %g s.", error, _TROUBLE_SECONDS)
                pause = _TROUBLE_SECONDS
            self._wake.wait(pause)
            self._wake.clear()

    def look(self) -> None:
        """Look at the queue once: end what died, stop what is asked to, start what may start."""
        going = {False: 0, True: 0}
        waiting = []
        for run in self._runs.unfinished():
            if run.state == "queued":
                if self._is_starting(run):
                    going[_is_light(run)] += 1
                else:
                    waiting.append(run)
            elif is_alive(run.id):
                going[_is_light(run)] += 1
                if run.state == "stopping":
                    self._stop(run)
            else:
                self._bury(run)
        for run in waiting:
            light = _is_light(run)
            if going[light] < self._most[light]:
                going[light] += 1
                self._start(run)

    def _is_starting(self, run: Run) -> bool:
        process = self._processes.get(run.id)
        return process is not None and process.poll() is None and time.monotonic() - self._born[run.id] < _START_SECONDS

    def _start(self, run: Run) -> None:
        folder = run_folder(run.id)
        folder.mkdir(parents=True, exist_ok=True)
        command = module_command("smidgen.studio.flows.run_process", run.id)
        with (folder / "log.txt").open("ab") as log:
            self._processes[run.id] = start_detached(command, log)
        self._born[run.id] = time.monotonic()

    def _stop(self, run: Run) -> None:
        asked = self._asked.setdefault(run.id, time.monotonic())
        if time.monotonic() - asked > _PATIENCE_SECONDS and run.process:
            with contextlib.suppress(ProcessLookupError):
                os.kill(run.process, signal.SIGTERM if os.name == "nt" else signal.SIGKILL)

    def _bury(self, run: Run) -> None:
        """Deal with a run whose process is gone without a word."""
        self._processes.pop(run.id, None)
        if run.state == "stopping":
            self._runs.finish(run.id, "stopped")
        elif run.attempts >= MOST_ATTEMPTS:
            log = run_folder(run.id) / "log.txt"
            lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.exists() else []
            what = f"The run's process ended {run.attempts} times without a result"
            last, todo = lines[-1][:500] if lines else "", "See that the machine has memory and disk left, then resume it."
            message = f"{what}: {last}" if last else f"{what}."
            self._runs.finish(run.id, "failed", error={"message": message, "what": what, "value": last, "todo": todo})
        else:
            self._runs.requeue(run.id)


def _is_light(run: Run) -> bool:
    return bool(registry.declared("studio.flows", run.kind.replace("_", "-"), "light", False))


def finish_runs(store: StudioStore, project: str, progress: Progress) -> None:
    """Do a project's queued runs here, as a server would, and tell `progress` of each. Raises StudioError for one that fails."""
    supervisor, runs = Supervisor(store), RunStore(store.database)
    told: dict[str, tuple[int, int]] = {}
    waiting = [run.id for run in reversed(runs.of_project(project)) if not run.finished]
    while waiting:
        supervisor.look()
        run = runs.get(waiting[0])
        told[run.id] = _tell(runs, run, progress, *told.get(run.id, (0, 0)))
        if not run.finished:
            time.sleep(_POLL_SECONDS)
            continue
        waiting.pop(0)
        if run.state != "done":
            reason = (run.error or {}).get("message", "it was stopped")
            raise StudioError("studio.run_did_not_end_well", value=run.kind, reason=reason)


def _tell(runs: RunStore, run: Run, progress: Progress, after: int, done: int) -> tuple[int, int]:
    """Tell what a run has told since the event `after`; `done` counts the step's units so far. Returns both, as they are now."""
    while events := runs.events(run.id, after):
        for event in events:
            after, body = event.number, event.body
            if event.kind == "step":
                done = 0
                progress.start(str(body["step"]), body["total"])
            elif event.kind == "progress":
                progress.advance(int(body["done"]) - done, **body["facts"])
                done = int(body["done"])
            elif event.kind == "step_done":
                progress.finish(str(body["note"]))
            elif event.kind == "remark":
                progress.say(str(body["text"]))
    return after, done
