"""A sandbox for programs that nobody has read: no network, no files but a copy, little time, memory, disk and output.

On Linux the program runs in namespaces of its own: a network without a device, a disk in memory that holds a copy of the given files, the
system's programs and its interpreter for reading, and no other process or file of the machine. Where the system does not allow that,
nothing is run, unless the caller asks for `confined=False`: then only the limits hold.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO, Any

from smidgen.core.errors import MachineError
from smidgen.machine.sandbox_start import WORK

_LOOK = 0.1
"""Seconds between two looks at a running sandbox."""
_GRACE = 10.0
"""Seconds for starting and for what a program leaves behind."""
_CHUNK = 65_536
_ASKED_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """The most that a program may use.

    Attributes:
        seconds: from its start to its end.
        memory: bytes of all its processes together; of address space for one.
        disk: bytes of all files that it writes.
        file: bytes of one file.
        processes: processes and threads.
        output: bytes of its output, of its error output, and of its report, each.
    """

    seconds: float = 20.0
    memory: int = 1 << 30
    disk: int = 256 << 20
    file: int = 64 << 20
    processes: int = 64
    output: int = 4 << 20


@dataclass(frozen=True, slots=True)
class SandboxWork:
    """A program for a sandbox.

    Attributes:
        command: the program (its whole path) and its arguments. `{work}` in one stands for the working folder.
        source: folder of the machine that files are copied from.
        copied: paths in it.
        written: further files by path, as texts.
        readable: files and folders of the machine that it may read besides the system's.
        given: its standard input.
    """

    command: Sequence[str]
    source: Path = Path()
    copied: Sequence[str] = ()
    written: Mapping[str, str] = field(default_factory=dict)
    readable: Sequence[str] = ()
    given: str = ""


@dataclass(frozen=True, slots=True)
class SandboxResult:
    """The end of a program.

    Attributes:
        code: its exit code; negative for a signal.
        output, errors: what it wrote, cut at the limit.
        report: the lines that it wrote to the descriptor in SMIDGEN_REPORT.
        stopped: why it was ended from outside: `time`, `memory`, `processes` or `output`; empty if it ended by itself.
        seconds: how long it ran.
    """

    code: int
    output: str
    errors: str
    report: Sequence[str]
    stopped: str
    seconds: float


def run_confined(work: SandboxWork, limits: SandboxLimits | None = None, *, confined: bool = True) -> SandboxResult:
    """Run a program to its end, or to its limits.

    Args:
        work: the program.
        limits: the most that it may use.
        confined: whether it must be cut off from network and files. Without it, the program runs with the limits alone, as this user.

    Raises MachineError if the sandbox cannot be made here.
    """
    limits = limits or SandboxLimits()
    if sys.platform == "win32" or (confined and not sys.platform.startswith("linux")):
        raise _unable(f"there is no sandbox for {sys.platform}")
    with tempfile.TemporaryDirectory(prefix="smidgen-sandbox-", ignore_cleanup_errors=True) as box:
        stage = Path(box) / "root"
        stage.mkdir()
        reading, writing = os.pipe()
        try:
            spec = _spec(work, limits, stage, writing, confined)
            file = Path(box) / "spec.json"
            file.write_text(json.dumps(spec), encoding="utf-8")
            start = Path(__file__).with_name("sandbox_start.py")
            process = subprocess.Popen(
                [sys.executable, "-I", str(start), str(file)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(writing,),
                env={"PATH": "/usr/bin:/bin"},
                cwd="/",
                start_new_session=True,
            )
        finally:
            os.close(writing)
        with os.fdopen(reading, "rb") as report:
            return _watched(process, report, work.given, limits)


_TOLD = """
import json, os, sys
found = [sys.prefix, sys.base_prefix, os.path.dirname(os.path.realpath(sys.executable)), *sys.path]
print(json.dumps([sys.version_info[:2], [path for path in found if path]]))
"""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python for programs in a sandbox: its path, its version, and the folders that it reads."""

    path: str
    version: tuple[int, int]
    folders: tuple[str, ...]


@cache
def interpreter(python: str = sys.executable) -> Interpreter:
    """Ask a Python what it reads: its own folders and its packages, also those that are installed in place.

    Raises MachineError if it does not run.
    """
    try:
        done = subprocess.run([python, "-I", "-c", _TOLD], capture_output=True, timeout=_ASKED_SECONDS, check=True, cwd="/")
        version, paths = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise MachineError("machine.this_python_does_not_run", value=f"{python}: {error}") from None
    homes = {str(Path.home()), "/"}
    return Interpreter(python, (version[0], version[1]), tuple(sorted({path for path in paths if path not in homes})))


_PYTHON_NAME = re.compile(r"python[0-9.]*")


def interpreter_of(repository: Path, python: str, *, confined: bool = True) -> Interpreter:
    """Ask a Python that lies in a repository, which may be a stranger's, what it reads. It runs in the sandbox.

    Its answer is believed for folders of the repository and for the libraries of the Python that its environment was made from. Packages
    that are installed elsewhere are not read; for them the user names the Python.

    Raises MachineError if it does not run.
    """
    base = Path(python).resolve()
    folders = [str(repository)]
    if repository not in base.parents:
        if not _PYTHON_NAME.fullmatch(base.name) or not any(base.parent.parent.glob("lib*/python3*")):
            raise MachineError("machine.this_is_not_python", value=f"{python}: {base}")
        folders += [str(base), *(str(place) for name in ("lib", "lib64") if (place := base.parent.parent / name).is_dir())]
    environment = [str(place) for place in (Path(python).parent.parent,) if place.is_dir()]
    done = run_confined(SandboxWork([python, "-I", "-c", _TOLD], readable=[*environment, *folders[1:]]), confined=confined)
    try:
        version, paths = json.loads(done.output)
        told = {os.path.normpath(str(path)) for path in paths}
        found = (int(version[0]), int(version[1]))
    except (ValueError, TypeError, IndexError):
        said = done.errors.strip()[-200:]
        raise MachineError("machine.this_python_does_not_run", value=f"{python}: {said}") from None
    own = {path for path in told if path != str(repository) and Path(path).resolve().is_relative_to(repository)}
    return Interpreter(python, found, tuple(sorted({*own, *environment, *folders[1:]})))


@cache
def why_not_confined() -> str:
    """Why programs cannot be cut off from network and files on this machine; empty if they can."""
    try:
        run_confined(SandboxWork(["/bin/true" if Path("/bin/true").exists() else "/usr/bin/true"]))
    except MachineError as error:
        return str(error.value)
    return ""


def _spec(work: SandboxWork, limits: SandboxLimits, stage: Path, report: int, confined: bool) -> dict[str, Any]:
    folder = WORK if confined else str(stage)
    temporary = "/tmp" if confined else str(stage)
    return {
        "confined": confined,
        "stage": str(stage),
        "report": report,
        "command": [part.replace("{work}", folder) for part in work.command],
        "source": str(work.source.resolve()),
        "copied": list(work.copied),
        "written": dict(work.written),
        "readable": list(work.readable),
        "env": {
            "PATH": "/usr/bin:/bin",
            "HOME": folder,
            "TMPDIR": temporary,
            "LANG": "C.UTF-8",
            "PYTHONUTF8": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONNOUSERSITE": "1",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "SMIDGEN_REPORT": str(report),
        },
        "limits": {
            "seconds": int(limits.seconds) + 1,
            "memory": limits.memory,
            "disk": limits.disk,
            "file": limits.file,
            "processes": limits.processes,
        },
    }


class _OutputReader(threading.Thread):
    """Reads one output to its end, and keeps it up to a limit. `over` is true beyond it."""

    def __init__(self, stream: IO[bytes], most: int) -> None:
        super().__init__(daemon=True)
        self._stream, self._most, self._parts, self._size = stream, most, list[bytes](), 0
        self.over = False
        self.start()

    def run(self) -> None:
        while chunk := os.read(self._stream.fileno(), _CHUNK):
            if self._size + len(chunk) > self._most:
                self.over = True
                chunk = chunk[: self._most - self._size]
            self._parts.append(chunk)
            self._size += len(chunk)

    def text(self) -> str:
        """The output. Waits for its end."""
        self.join(_GRACE)
        return b"".join(self._parts).decode("utf-8", "replace")


def _watched(process: subprocess.Popen[bytes], report: IO[bytes], given: str, limits: SandboxLimits) -> SandboxResult:
    """Wait for the end of a program, or end it. Raises MachineError if it was not started."""
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    began, stopped = time.monotonic(), ""
    readers = [_OutputReader(stream, limits.output) for stream in (process.stdout, process.stderr, report)]
    feeder = threading.Thread(target=_feed, args=(process.stdin, given.encode("utf-8")), daemon=True)
    feeder.start()
    try:
        while not stopped:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_LOOK)
                break
            stopped = _over(process.pid, time.monotonic() - began, readers, limits)
    finally:
        _end(process)
        feeder.join(_GRACE)
    output, errors, told = (reader.text() for reader in readers)
    for stream in (process.stdout, process.stderr):
        stream.close()
    if not stopped and any(reader.over for reader in readers):
        stopped = "output"
    lines = told.splitlines()
    try:
        first = json.loads(lines[0]) if lines else {}
    except ValueError:
        first = {}
    if not first.get("ready"):
        raise _unable(str(first.get("refused") or errors.strip()[-300:] or f"it ended with {process.returncode}"))
    return SandboxResult(process.returncode, output, errors, lines[1:], stopped, time.monotonic() - began)


def _over(pid: int, seconds: float, readers: Sequence[_OutputReader], limits: SandboxLimits) -> str:
    """The limit that a running program has passed; empty for none."""
    if seconds > limits.seconds:
        return "time"
    if any(reader.over for reader in readers):
        return "output"
    count, held = 0, 0
    for number in _family(pid):
        count += 1
        held += _resident(number)
    if count > limits.processes:
        return "processes"
    return "memory" if held > limits.memory else ""


def _feed(stream: IO[bytes], text: bytes) -> None:
    with suppress(OSError):
        stream.write(text)
    with suppress(OSError):
        stream.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program with all its processes."""
    for number in reversed(list(_family(process.pid))) if process.poll() is None else ():
        with suppress(OSError):
            os.kill(number, signal.SIGKILL)
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _family(pid: int) -> Iterator[int]:
    """A process and its descendants; only the process where the system does not tell."""
    children: dict[int, list[int]] = {}
    with suppress(OSError):
        for entry in os.scandir("/proc"):
            if entry.name.isdecimal():
                with suppress(OSError, IndexError, ValueError):
                    stat = Path(entry.path, "stat").read_text(encoding="ascii", errors="replace")
                    children.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry.name))
    waiting = [pid]
    while waiting:
        number = waiting.pop()
        yield number
        waiting += children.get(number, [])


def _resident(pid: int) -> int:
    """Bytes of memory that a process holds; 0 where the system does not tell."""
    with suppress(OSError, IndexError, ValueError):
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _unable(why: str) -> MachineError:
    return MachineError("machine.programs_cannot_be_cut_off_from_network", value=why)
