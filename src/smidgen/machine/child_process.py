"""Start a module of smidgen as a process of its own: one that outlives this process, or one that reads a file within bounds.

A file that may come from anyone is read by a child with bounds on its memory and time. Whatever the file does to its reader ends that
process alone, and the parent raises an error. The child is sent JSON, and answers with JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from smidgen.core.errors import BundleError, DataError, MachineError, SmidgenError
from smidgen.core.printable import printable_json

_NO_MEMORY = 3
_ONE_THREAD = {"POLARS_MAX_THREADS": "1", "RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def module_command(module: str, *arguments: str) -> list[str]:
    """The command that runs a module with this Python. It imports nothing from the current folder, which may be a stranger's."""
    return [sys.executable, "-P", "-m", module, *arguments]


def start_detached(command: Sequence[str], log: BinaryIO, environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start a process that goes on when this process's terminal is closed, and writes to a log."""
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True)


def ask_child(module: str, message: Mapping[str, Any], seconds: float, *, group: bool = True) -> tuple[int, bytes]:
    """Run a module, send it a message in JSON, and return its exit code with its answer.

    `group`: what it starts, such as a workbook's own reader, ends with it. Raises subprocess.TimeoutExpired after `seconds`.
    """
    child = subprocess.Popen(
        module_command(module),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **_ONE_THREAD},
        start_new_session=group,
    )
    try:
        answer, _ = child.communicate(json.dumps(message).encode("ascii"), timeout=seconds)
    finally:
        _end(child, group)
    return child.returncode, answer


@dataclass(frozen=True, slots=True)
class WorkerErrors:
    """The codes of a worker's errors, by what is read: it took too long, it took too much memory, or it may have ended its reader."""

    slow: str
    large: str
    broken: str


def ask_worker(module: str, asked: Mapping[str, Any], memory: int, seconds: float, name: str, errors: WorkerErrors) -> dict[str, Any]:
    """Run a module, which calls `work`, as a process of its own, and return what it tells.

    Args:
        module: its name.
        asked: what it is to do.
        memory: bytes of the process, where the system can bound them.
        seconds: its time.
        name: of the file, for messages.
        errors: the codes for a file that breaks its reader or takes more.

    Raises BundleError and DataError: the module's own, and for a file that breaks its reader or takes more.
    """
    message = {"bounds": {"memory": memory, "seconds": seconds}, "asked": dict(asked)}
    try:
        code, answer = ask_child(module, message, seconds)
    except subprocess.TimeoutExpired:
        raise DataError(errors.slow, value=name, seconds=f"{seconds:g}") from None
    if code:
        raise DataError(errors.large if code == _NO_MEMORY else errors.broken, value=name, memory=f"{memory / 1e9:.1f}")
    told: dict[str, Any] = json.loads(answer)
    if fault := told.get("fault"):
        if fault["kind"] == BundleError.__name__ and "message_code" in fault:
            raise BundleError(fault["message_code"], value=fault["value"], file=fault["file"], **fault["values"])
        if fault["kind"] == BundleError.__name__:
            raise BundleError(fault["what"], value=fault["value"], todo=fault["todo"], file=fault["file"])
        raise error_of(fault)
    return told


def error_of(fault: Mapping[str, Any]) -> DataError:
    """The error of a file or of a row, from the parts in which the child tells it."""
    place: dict[str, Any] = {name: fault.get(name) for name in ("file", "row", "column")} | {"above": fault.get("above", 0)}
    if fault["kind"] == DataError.__name__ and "message_code" in fault:
        return DataError(fault["message_code"], value=fault["value"], **place, **fault["values"])
    return DataError(fault["what"], value=fault["value"], todo=fault["todo"], **place)


def _end(child: subprocess.Popen[bytes], group: bool) -> None:
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if group and os.name == "posix":
                os.killpg(child.pid, signal.SIGKILL)
            else:
                child.kill()
        child.wait()
    for stream in (child.stdin, child.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


# In the child.


def work(do: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> None:
    """Do what the parent asks, within its bounds, and tell it what came of it."""
    sent = json.loads(sys.stdin.buffer.read())
    bound_process(**sent["bounds"])
    told: Mapping[str, Any]
    try:
        told = do(sent["asked"])
    except MemoryError:
        sys.exit(_NO_MEMORY)
    except SmidgenError as error:
        told = {"fault": fault_of(error)}
    except OSError as error:
        told = {"fault": fault_of(MachineError.told_by(error, "the file cannot be read"))}
    sys.stdout.write(printable_json(told))


def fault_of(error: SmidgenError) -> dict[str, Any]:
    """An error in its parts: kind, what, value, todo and file; of data also the row and the column."""
    value = error.value if isinstance(error.value, int | float | str) else str(error.value)
    what, place = error.what, {"file": getattr(error, "file", None)}
    if isinstance(error, DataError):
        what, place = error.fault, {"file": error.file, "row": error.row, "column": error.column, "above": error.above}
    return {"kind": type(error).__name__, "what": what, "value": value, "todo": error.todo, **place, **error.coded()}


def bound_process(memory: int, seconds: float) -> None:
    """Bound this process's memory and processor time, if the system can. Its children inherit both."""
    try:
        import resource
    except ImportError:  # Windows: the parent's timeout still applies
        return
    for kind, most in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, int(seconds) + 1), (resource.RLIMIT_CORE, 0)):
        hard = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard),) * 2)
