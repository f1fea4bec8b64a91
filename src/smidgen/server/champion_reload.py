"""New champions while serving: a changed champion is loaded and warmed beside the old one, then takes its place.

Each line is watched separately: a rollback is urgent, even while another line is busy.
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
from smidgen.server.served_bundle import ServedBundle, warm
from smidgen.server.service import Service
from smidgen.store.line import Line

EVERY_SECONDS = 1.0
"""How often pointers are looked at. A look is one `stat`."""
AGAIN_SECONDS = 60.0
"""After how long a champion is tried once more that could not be opened for what may pass: want of memory, of files, of a process."""
_MOST_RETIRING = 3
"""Champions of a line that may still be answering their last requests; then the next one waits."""
_LET_GO_SECONDS = 0.5
"""How long is waited for the last that holds a champion which has ended; then what is free by then is given back."""
_LASTING = (BundleError, InputError)
"""What is wrong with a champion, or with its pointer, and stays so until somebody writes anew."""
_log = logging.getLogger("smidgen.server")

PointerStamp = tuple[int, ...]


@dataclass
class _WatchedLine:
    """A line, its pointer as it was when it was last read, when to read it again though it has not changed, and the champions that are on
    their way out."""

    line: Line
    stamp: PointerStamp | None = None
    again: float | None = None
    retiring: set[asyncio.Task[None]] = field(default_factory=set)


class ChampionReload:
    """Watches the pointers of the served lines.

    Args:
        service: where the models are.
        lines: by the name that they are served under.
    """

    def __init__(self, service: Service, lines: Mapping[str, Line]) -> None:
        self._service = service
        self._watches = {name: _WatchedLine(line) for name, line in lines.items()}
        # A thread for each line, and not those that all share: while champions load, requests need these for their certificates.
        self._threads = ThreadPoolExecutor(max(1, len(lines)), "succession")
        self._stopping = False
        for name in lines:
            service.metering.refusing.labels(name).set(0)

    async def run(self) -> None:
        """Watch each line until cancelled."""
        async with asyncio.TaskGroup() as watching:
            for name, watch in self._watches.items():
                watching.create_task(self._watched(name, watch))

    async def stop(self, running: asyncio.Task[None]) -> None:
        """Stop watching; a model that is being loaded is closed again. The service ends the models that were replaced."""
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
        # Before it is read: what is written meanwhile is seen at the next look.
        watch.stamp, watch.again = stamp, None
        while len(watch.retiring) >= _MOST_RETIRING:
            await asyncio.wait(watch.retiring, return_when=asyncio.FIRST_COMPLETED)
        old = self._service.models[name]
        try:
            model = await loop.run_in_executor(self._threads, self._opened, watch.line, name, old.id)
        except Exception as error:  # noqa: BLE001 whatever a new champion cannot do, the old one can: it must go on, and so must the watch
            why = str(error) if isinstance(error, SmidgenError) else type(error).__name__
            _log.error("%s: the new champion is refused, and %s goes on answering: %s", name, old.id, why)
            self._service.metering.swaps.labels(name, "refused").inc()
            self._service.metering.refusing.labels(name).set(1)
            loop.call_soon(self._give)  # once nothing of the error holds what was opened
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
        """Give the memory of a champion back to the system. The heap alone would keep most of it, in pieces."""
        if not self._stopping:
            asyncio.get_running_loop().run_in_executor(self._threads, _memory_returned, old)

    def _opened(self, line: Line, name: str, present: str) -> ServedBundle | None:
        """In a thread: the champion that the pointer names, loaded and warm; None where it is the present one."""
        pointer = line.read()
        if pointer.champion == present:
            return None
        model = local_model.load(line.folder, self._service.settings.limits.threads)
        with contextlib.ExitStack() as undo:
            undo.callback(model.close)
            if model.name != name:
                raise InputError("the line has another name than when it was opened", value=model.name, todo="Start the server anew.")
            warm(model)
            if not self._stopping:
                undo.pop_all()
        return model


def _memory_returned(old: weakref.ref[ServedBundle] | None) -> None:
    """Return free memory to the system, in a thread, once nothing holds the old champion, or after a moment: the thread that ended it may
    hold it for longer than it reports."""
    latest = time.monotonic() + _LET_GO_SECONDS
    while old is not None and old() is not None and time.monotonic() < latest:
        time.sleep(0.005)
    memory.trim()


def _stamp(file: Path) -> PointerStamp:
    """A stamp of the pointer file, which changes when it is written; empty where the file cannot be read."""
    try:
        found = file.stat()
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino
