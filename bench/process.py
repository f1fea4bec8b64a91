"""Programs run as a user runs them: bounded in time, in a process group of their own, with what they cost."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

POSIX = os.name == "posix"
THREAD_COUNTS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "SMIDGEN_THREADS")
_TAIL = 2000
_READY_POLL = 0.01


@dataclass(frozen=True)
class Ran:
    """A program that has ended. `peak_mb` is the largest resident memory of it or one of its children, in MB of 10^6 bytes; it and
    `cpu_seconds` are None where the system does not say."""

    command: tuple[str, ...]
    code: int
    seconds: float
    cpu_seconds: float | None
    peak_mb: float | None
    timed_out: bool
    stdout: str
    stderr_tail: str

    @property
    def trouble(self) -> str:
        """Why it failed, in a line; empty where it did not."""
        if self.timed_out:
            return f"stopped after {self.seconds:.0f} s"
        if self.code == 0:
            return ""
        last = (self.stderr_tail or self.stdout).strip().splitlines()[-3:]
        return f"exit {self.code}: {' / '.join(line.strip() for line in last)[-400:]}"

    def costs(self) -> dict[str, Any]:
        """What is kept of it beside its result."""
        kept = asdict(self)
        del kept["stdout"], kept["stderr_tail"]
        return {**kept, "trouble": self.trouble}


def run(command: Sequence[str | Path], *, limit: float, log: Path, env: Mapping[str, str] | None = None) -> Ran:
    """Run a program to its end, or for `limit` seconds. Its output goes to `log` with `.out` and `.err` added, so that it survives."""
    words = tuple(str(word) for word in command)
    log.parent.mkdir(parents=True, exist_ok=True)
    out, err = log.with_name(f"{log.name}.out"), log.with_name(f"{log.name}.err")
    late = threading.Event()
    with out.open("wb") as stdout, err.open("wb") as stderr:
        began = time.perf_counter()
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, env=_env(env), start_new_session=POSIX)

        def stop() -> None:
            late.set()
            kill(process)

        timer = threading.Timer(limit, stop)
        timer.daemon = True
        timer.start()
        try:
            cpu, peak = _wait(process)
        except BaseException:
            kill(process)
            process.wait()
            raise
        finally:
            timer.cancel()
        seconds = time.perf_counter() - began
    return Ran(words, process.returncode, seconds, cpu, peak, late.is_set(), _text(out), _text(err)[-_TAIL:])


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a program and all it has started."""
    with contextlib.suppress(OSError):
        if POSIX:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


@dataclass
class Server:
    """A program that serves. `ready_seconds` is from its start to its first 200 at `/readyz`."""

    process: subprocess.Popen[bytes]
    port: int
    ready_seconds: float = 0.0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def resident_mb(self) -> float | None:
        """Resident memory now."""
        return self._status("VmRSS")

    def peak_mb(self) -> float | None:
        """The most resident memory it has had."""
        return self._status("VmHWM")

    def cpu_seconds(self) -> float | None:
        """Processor seconds that it has used, its children among them that run now; None where the system does not say."""
        return _cpu_seconds(self.process.pid) if Path("/proc").is_dir() else None

    def maps_torch(self) -> bool | None:
        """Whether a library of torch is in its memory; None where the system does not say."""
        maps = Path(f"/proc/{self.process.pid}/maps")
        if not maps.is_file():
            return None
        return bool(re.search(r"/site-packages/torch/|/libtorch", maps.read_text(encoding="utf-8", errors="replace")))

    def _status(self, field: str) -> float | None:
        file = Path(f"/proc/{self.process.pid}/status")
        if not file.is_file():
            return None
        found = re.search(rf"^{field}:\s+(\d+) kB", file.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
        return int(found.group(1)) * 1024 / 1e6 if found else None


def _cpu_seconds(pid: int) -> float:
    """Of a process and its children, from `/proc`; nothing of one that has gone."""
    proc = Path(f"/proc/{pid}")
    try:
        fields = (proc / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        children = (proc / "task" / str(pid) / "children").read_text(encoding="utf-8").split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") + sum(_cpu_seconds(int(child)) for child in children)


class NotReady(Exception):
    """A server that did not come up."""


@contextlib.contextmanager
def serving(
    command: Sequence[str | Path],
    *,
    limit: float,
    log: Path,
    env: Mapping[str, str] | None = None,
    port: int | None = None,
    ready: str = "/readyz",
) -> Iterator[Server]:
    """Start a server on loopback (`{port}` in the command becomes `port`, or a free one), wait until it answers at the path `ready`, stop
    it at the end.

    Raises NotReady where it ends, or is not ready in `limit` seconds.
    """
    port = port or free_port()
    words = [str(word).replace("{port}", str(port)) for word in command]
    log.parent.mkdir(parents=True, exist_ok=True)
    err = log.with_name(f"{log.name}.err")
    with log.with_name(f"{log.name}.out").open("wb") as stdout, err.open("wb") as stderr:
        began = time.perf_counter()
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, env=_env(env), start_new_session=POSIX)
        try:
            while not _is_ready(port, ready):
                if process.poll() is not None:
                    raise NotReady(f"exit {process.returncode}: {_text(err)[-400:].strip()}")
                if time.perf_counter() - began > limit:
                    raise NotReady(f"not ready after {limit:.0f} s")
                time.sleep(_READY_POLL)
            yield Server(process, port, time.perf_counter() - began)
        finally:
            _stop(process)


def free_port() -> int:
    """A TCP port of loopback that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_ready(port: int, path: str) -> bool:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        finally:
            connection.close()
    except (OSError, http.client.HTTPException):
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask once, then insist."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=15)
    kill(process)
    process.wait()


def _wait(process: subprocess.Popen[bytes]) -> tuple[float | None, float | None]:
    """Wait for the end; processor seconds and peak memory in MB, of the program and the children it waited for."""
    if not POSIX:
        process.wait()
        return None, None
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return used.ru_utime + used.ru_stime, used.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def _env(extra: Mapping[str, str] | None) -> dict[str, str]:
    """Our environment plus `extra`: no hub, and no thread counts but those that the bench gives to both sides."""
    ours = {name: value for name, value in os.environ.items() if name not in THREAD_COUNTS}
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "PYTHONUTF8": "1"}
    return {**ours, **offline, **(extra or {})}


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")
