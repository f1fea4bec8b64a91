"""Replace champions while serving: load and warm a new one beside the old one, then switch.

Each line is watched separately, because a rollback is urgent even while another line loads.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
import weakref
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from smidgen.core.errors import BundleError, InputError, SmidgenError
from smidgen.flows import local_model
from smidgen.machine import memory
from smidgen.server.models import ServedBundle, warm
from smidgen.server.service import Service
from smidgen.store.line import Line

EVERY_SECONDS = 1.0
"""Seconds between two checks of a pointer. A check is one `stat`."""
AGAIN_SECONDS = 60.0
"""Seconds before a champion is tried again that failed to open for a temporary reason: no memory, file handles or processes."""
_MOST_RETIRING = 3
"""Most champions of a line that may still finish their last requests. After that, the next one waits."""
_LET_GO_SECONDS = 0.5
"""Seconds to wait for the last reference to a closed champion before memory is returned to the system."""
_LASTING = (BundleError, InputError)
"""Faults of a champion or its pointer that persist until one of them is written again."""
_log = logging.getLogger("smidgen.server")

PointerStamp = tuple[int, ...]


@dataclass
class _WatchedLine:
    """A served line.

    Attributes:
        stamp: the pointer's file stamp when it was last read.
        again: when to read it again although it is unchanged.
        retiring: champions that finish their last requests.
    """

    line: Line
    stamp: PointerStamp | None = None
    again: float | None = None
    retiring: set[asyncio.Task[None]] = field(default_factory=set)


class ChampionReload:
    """Watches the pointers of the served lines.

    Args:
        service: has the models.
        lines: by the name under which they are served.
    """

    def __init__(self, service: Service, lines: Mapping[str, Line]) -> None:
        self._service = service
        self._watches = {name: _WatchedLine(line) for name, line in lines.items()}
        # Own threads, one per line: the shared ones are needed for requests' certificates while champions load.
        self._threads = ThreadPoolExecutor(max(1, len(lines)), "succession")
        self._stopping = False
        for name in lines:
            service.metering.refusing.labels(name).set(0)

    async def run(self) -> None:
        """Watch each line separately, until cancelled."""
        async with asyncio.TaskGroup() as watching:
            for name, watch in self._watches.items():
                watching.create_task(self._watched(name, watch))

    async def stop(self, running: asyncio.Task[None]) -> None:
        """Stop watching, and close a champion that is being loaded. The service ends retiring models."""
        self._stopping = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        running.cancel()
        ended = [running, *(task for watch in self._watches.values() for task in watch.retiring)]
        for task in ended:
            task.cancel()
        await asyncio.gather(*ended, return_exceptions=True)

    async def _watched(self, name: str, watch: _WatchedLine) -> None:
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            await self._look(name, watch)

    async def _look(self, name: str, watch: _WatchedLine) -> None:
        loop = asyncio.get_running_loop()
        stamp = await loop.run_in_executor(self._threads, _stamp, watch.line.file)
        due = watch.again is not None and time.monotonic() >= watch.again
        if stamp == watch.stamp and not due:
            return
        # Recorded before reading, so that a write during the read is seen at the next check.
        watch.stamp, watch.again = stamp, None
        while len(watch.retiring) >= _MOST_RETIRING:
            await asyncio.wait(watch.retiring, return_when=asyncio.FIRST_COMPLETED)
        old = self._service.models[name]
        try:
            model = await loop.run_in_executor(self._threads, self._opened, watch.line, name, old.id)
        except Exception as error:  # noqa: BLE001 whatever fails in a new champion, the old one and the watch must go on
            why = str(error) if isinstance(error, SmidgenError) else type(error).__name__
            _log.error("%s: the new champion is refused, and %s goes on answering: %s", name, old.id, why)
            self._service.metering.swaps.labels(name, "refused").inc()
            self._service.metering.refusing.labels(name).set(1)
            loop.call_soon(self._give)  # after the error no longer references the opened model
            if not isinstance(error, _LASTING) or isinstance(error.__cause__, OSError):
                watch.again = time.monotonic() + AGAIN_SECONDS
            return
        self._service.metering.refusing.labels(name).set(0)
        if model is None:
            return
        task = asyncio.create_task(self._service.retire(self._service.replace(model)))
        watch.retiring.add(task)
        task.add_done_callback(functools.partial(self._gone, watch, weakref.ref(old)))
        self._service.metering.swaps.labels(name, "promoted").inc()
        _log.info("%s: %s answers from now on, in place of %s", name, model.id, old.id)

    def _gone(self, watch: _WatchedLine, old: weakref.ref[ServedBundle], task: asyncio.Task[None]) -> None:
        watch.retiring.discard(task)
        self._give(old)

    def _give(self, old: weakref.ref[ServedBundle] | None = None) -> None:
        """Return a champion's memory to the system. The heap would keep most of it, fragmented."""
        if not self._stopping:
            asyncio.get_running_loop().run_in_executor(self._threads, _memory_returned, old)

    def _opened(self, line: Line, name: str, present: str) -> ServedBundle | None:
        """Load and warm the champion that the pointer names; None if it is the present one. Runs in a thread."""
        pointer = line.read()
        if pointer.champion == present:
            return None
        model = local_model.load(line.folder, self._service.settings.limits.threads)
        with contextlib.ExitStack() as undo:
            undo.callback(model.close)
            if model.name != name:
                raise InputError("server.line_was_renamed", value=model.name)
            warm(model)
            if not self._stopping:
                undo.pop_all()
        return model


def _memory_returned(old: weakref.ref[ServedBundle] | None) -> None:
    """Return free memory once nothing references the old champion, or after a moment, because its thread may hold it longer.

    Runs in a thread.
    """
    latest = time.monotonic() + _LET_GO_SECONDS
    while old is not None and old() is not None and time.monotonic() < latest:
        time.sleep(0.005)
    memory.trim()


def _stamp(file: Path) -> PointerStamp:
    """Return a value that changes when the pointer is written; empty if the file cannot be read."""
    try:
        found = file.stat()
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino
