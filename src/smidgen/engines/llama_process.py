"""The process that holds the model: start, watch and end it. If it dies, its requests fail and the next request starts another.

llama.cpp is C++: a fault in it ends its whole process. In a separate process, that costs only the requests under way.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO

from smidgen.core import progress
from smidgen.core.errors import EngineError
from smidgen.engines.llama_protocol import Message, packed, receive
from smidgen.machine import memory

# A bundle is verified when it is opened, and the process reads its files again whenever it is restarted. Files replaced in between were not
# verified, and no certificate covers them. So each start checks that they are still the files loaded first.

_FileFacts = tuple[int, ...]


class LoadedFiles:
    """The paths of weights and adapters, with each file's state at the first check."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = tuple(paths)
        self._first: dict[str, _FileFacts] | None = None

    def check(self) -> None:
        """Record the files' state the first time. Later raise EngineError if one was replaced or written to."""
        found = {path: _facts(path) for path in self._paths}
        if self._first is None:
            self._first = found
        for path in self._paths:
            if found[path] != self._first[path]:
                raise EngineError("engines.bundle_files_changed_since_opening", value=path)


def _facts(path: str) -> _FileFacts:
    """The file's identity, size and time of change; empty if it cannot be accessed."""
    try:
        found = Path(path).stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


START_SECONDS = 180.0
"""Longest time for loading: a model of some gigabytes from a slow disk."""

SILENT_SECONDS = 120.0
"""Silence after which a working process counts as hung. It reports each token and each part of a prompt that it has read."""

END_SECONDS = 5.0
"""Longest wait for an ended process to exit."""

_SAID = 20
"""Lines of its error output that are kept, to explain why it ended."""

_LONGEST_SAID = 1000
"""Most bytes of such a line that are read at once."""


class LlamaProcess:
    """The process that holds the model. `mailbox` starts it if it does not run. The process ends with this object.

    `facts`: its report of the loaded model. `starts`: how often it was started. Several users may share it, each after a call of `shared`;
    it ends when the last of them has closed it.
    """

    def __init__(self, opening: Message, start_seconds: float = START_SECONDS, silent_seconds: float = SILENT_SECONDS) -> None:
        self._opening, self._start_seconds, self._silent_seconds = opening, start_seconds, silent_seconds
        self._files = LoadedFiles([opening["model"], *opening.get("adapters", ())])
        self._lock = threading.Lock()
        self._child: ChildProcess | None = None
        self._finalizer: weakref.finalize[..., LlamaProcess] | None = None
        self._closed = False
        self._users = 0
        self.starts = 0
        self.facts: Message = {}

    def mailbox(self) -> Mailbox:
        """A mailbox for a caller's requests and replies. Raises EngineError if the process cannot be started, or would load changed
        files."""
        with self._lock:
            if self._closed:
                raise EngineError("engines.model_is_closed", value=self._opening.get("model"))
            if self._child is None or not self._child.alive:
                self._child = self._started()
                self.starts += 1
                self.facts = self._child.facts
                if self._finalizer is not None:
                    self._finalizer.detach()
                # The child's threads refer to the child only, so they do not keep this object alive.
                self._finalizer = weakref.finalize(self, self._child.end, "the model was closed")
            return Mailbox(self._child, self._silent_seconds)

    def _started(self) -> ChildProcess:
        self._files.check()
        child = ChildProcess(self._opening, self._start_seconds)
        try:
            self._files.check()  # they may have changed while the process read them
        except EngineError:
            child.end("the model's files were changed")
            raise
        return child

    def shared(self) -> LlamaProcess:
        """Share the process with one more user, who will close it."""
        with self._lock:
            self._users += 1
        return self

    @property
    def pid(self) -> int | None:
        """The id of the running process; None if none runs."""
        child = self._child
        return child.pid if child is not None and child.alive else None

    def close(self) -> None:
        """End the process, if nobody else uses it; requests under way fail. Returns within seconds, once a start that is under way is
        over."""
        with self._lock:
            self._users -= 1
            if self._users > 0:
                return
            self._closed = True
            child, self._child = self._child, None
        if child is not None:
            child.end("the model was closed")


class Mailbox:
    """The requests of one caller, and their replies in order of arrival. Used by one thread, for the work that it is bound to: cancelling
    that work ends every wait for a reply."""

    def __init__(self, child: ChildProcess, silent_seconds: float) -> None:
        self._child, self._silent_seconds = child, silent_seconds
        self._box: SimpleQueue[Message] = SimpleQueue()
        self._open: set[int] = set()
        self._asked = time.monotonic()
        self._cancellation = progress.current_cancellation()
        if self._cancellation is not None:
            self._cancellation.listen(self._wake)

    def ask(self, message: Message) -> int:
        """Send a request. Returns its number, which is the `id` of its replies.

        Raises EngineError if the process has ended, ValueError if the request is too long to be sent, Cancelled if the work was
        cancelled.
        """
        self._still_wanted()
        number = self._child.ask(message, self._box)
        self._open.add(number)
        self._asked = time.monotonic()
        return number

    def take(self) -> Message:
        """The next reply to any of the requests. Raises EngineError if the process has ended, or hangs (it is then ended); Cancelled at
        once if the work was cancelled."""
        while True:
            self._still_wanted()
            try:
                message = self._box.get(timeout=min(1.0, self._silent_seconds))
            except Empty:
                if time.monotonic() - max(self._child.heard, self._asked) > self._silent_seconds:
                    self._child.end(f"it had said nothing for {self._silent_seconds:g} seconds")
                continue
            if "off" in message:
                continue
            if "dead" in message:
                self._open.clear()
                raise _ended(message["dead"])
            if "end" in message or "error" in message:
                self._open.discard(message["id"])
            return message

    def close(self) -> None:
        """Cancel all open requests and drop their replies."""
        if self._cancellation is not None:
            self._cancellation.leave(self._wake)
        for number in self._open:
            self._child.cancel(number)
        self._open.clear()

    def _wake(self) -> None:
        self._box.put({"off": True})

    def _still_wanted(self) -> None:
        if self._cancellation is not None and self._cancellation.off:
            raise progress.Cancelled


class ChildProcess:
    """One run of the process, with the threads that write to it and read from it."""

    def __init__(self, opening: Message, start_seconds: float) -> None:
        self._numbers = itertools.count(1)
        self._boxes: dict[int, SimpleQueue[Message]] = {}
        self._lock = threading.Lock()
        self._outbox: SimpleQueue[bytes | None] = SimpleQueue()
        self._ready, self._refused = threading.Event(), ""
        self.facts: Message = {}
        self._why, self._dead = "", ""
        self._said: deque[str] = deque(maxlen=_SAID)
        self.heard = time.monotonic()
        command = [sys.executable, "-P", "-m", "smidgen.engines.llama_worker"]
        pipe = subprocess.PIPE
        self._popen = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=_environment())
        self.pid = self._popen.pid
        # Writing has a thread of its own, because the pipe of a hung process would block for ever.
        works = (self._listen, self._write, self._read)
        threads = [threading.Thread(target=work, name=f"smidgen-llama-{self.pid}", daemon=True) for work in works]
        self._listener = threads[0]  # started before the reader, which waits for it at the end
        for thread in threads:
            thread.start()
        self._outbox.put(packed(opening))
        if not self._ready.wait(start_seconds):
            self.end(f"it was not ready after {start_seconds:g} seconds")
        if self._refused or self._dead:
            self.end("it could not load the model")
            raise EngineError("engines.llama_cpp_cannot_load_model", opening=opening.get("model"), refused=self._refused or self._dead)

    @property
    def alive(self) -> bool:
        """Whether it accepts requests."""
        return not self._dead and self._popen.poll() is None

    def ask(self, message: Message, box: SimpleQueue[Message]) -> int:
        """Send a request whose replies go to `box`."""
        with self._lock:
            if self._dead:
                raise _ended(self._dead)
            number = next(self._numbers)
            line = packed({**message, "id": number})
            self._boxes[number] = box
        self._outbox.put(line)
        return number

    def cancel(self, number: int) -> None:
        """Cancel a request and ignore its further replies."""
        with self._lock:
            known = self._boxes.pop(number, None)
        if known is not None:
            self._outbox.put(packed({"do": "cancel", "id": number}))

    def end(self, why: str) -> None:
        """End the process, and wait until it has exited. The requests under way get `why`."""
        self._why = self._why or why
        self._finish()

    def _write(self) -> None:
        stream = self._popen.stdin
        assert stream is not None
        try:
            with stream:
                while (line := self._outbox.get()) is not None:
                    stream.write(line)
                    stream.flush()
        except (OSError, ValueError):  # it has ended; the reader tells everyone
            return

    def _read(self) -> None:
        stream = self._popen.stdout
        assert stream is not None
        try:
            with stream:
                while (message := _next(stream)) is not None:
                    self.heard = time.monotonic()
                    self._deliver(message)
        except ValueError as error:
            self._why = self._why or f"it sent {error}"
        finally:
            self._finish()

    def _deliver(self, message: Message) -> None:
        if "ready" in message or "refused" in message:
            self._refused, self.facts = message.get("refused", ""), message
            self._ready.set()
            return
        number = message.get("id", 0)
        with self._lock:
            done = "end" in message or "error" in message
            box = self._boxes.pop(number, None) if done else self._boxes.get(number)
        if box is not None and "busy" not in message:
            box.put(message)

    def _listen(self) -> None:
        stream = self._popen.stderr
        assert stream is not None
        with stream:
            while line := stream.readline(_LONGEST_SAID):
                self._said.append(line.decode("utf-8", "replace").strip())

    def _finish(self) -> None:
        """Make sure that it has exited, and tell all waiting requests. May be called by several threads."""
        if self._popen.poll() is None:
            self._popen.kill()
        try:
            code = self._popen.wait(END_SECONDS)
        except subprocess.TimeoutExpired:  # stuck in the kernel; waiting requests are told all the same
            code = 0
        self._listener.join(1.0)  # its last words
        with self._lock:
            self._dead = self._dead or self._why or _how(code, self._said)
            boxes, self._boxes = list(self._boxes.values()), {}
        self._outbox.put(None)
        self._ready.set()
        for box in boxes:
            box.put({"dead": self._dead})


def _next(stream: IO[bytes]) -> Message | None:
    try:
        return receive(stream)
    except OSError:
        return None


# llama.cpp's threads wait for one another hundreds of times a token. GNU OpenMP lets them turn for milliseconds before they sleep: beside
# other programs, whose turns on a core they then wait out, one token took 20 times as long as with this count (two cores, load 6).
_TURNS = {"GOMP_SPINCOUNT": "1000"}


def _environment() -> dict[str, str]:
    """The child's environment: it finds smidgen where this process did, and imports nothing from the current folder."""
    here = str(Path(__file__).parents[2])
    given = os.environ.get("PYTHONPATH")
    waiting = {} if {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys() else _TURNS
    own = {**waiting, **memory.loading_environment(os.environ)}
    return {**os.environ, **own, "PYTHONPATH": os.pathsep.join([here, given] if given else [here])}


def _how(code: int, said: deque[str]) -> str:
    if code < 0:
        try:
            how = f"it was ended by {signal.Signals(-code).name}"
        except ValueError:
            how = f"it was ended by signal {-code}"
    else:
        how = f"it ended with code {code}"
    last = next((line for line in reversed(said) if line), "")
    return f"{how}; it last said: {last}" if last else how


def _ended(why: str) -> EngineError:
    return EngineError("engines.model_process_ended_before_it_answered", value=why)
