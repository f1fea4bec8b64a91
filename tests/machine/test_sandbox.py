"""The sandbox: what a program must not do is stopped, and said."""

from __future__ import annotations

import errno
import platform
import sys
import time
from pathlib import Path

import pytest

from smidgen.core.errors import MachineError
from smidgen.machine import sandbox, sandbox_start
from smidgen.machine.sandbox import SandboxLimits, SandboxResult, SandboxWork, interpreter, run_confined, why_not_confined

confined = pytest.mark.skipif(bool(why_not_confined()) if sys.platform.startswith("linux") else True, reason="no namespaces here")


def _ran(code: str, source: Path = Path(), copied: tuple[str, ...] = (), **limits: float) -> SandboxResult:
    python = interpreter()
    work = SandboxWork([python.path, "-c", code], source, copied, {"given.txt": "à"}, python.folders, "said")
    return run_confined(work, SandboxLimits(**{"seconds": 5.0, **limits}))  # type: ignore[arg-type]


@confined
def test_a_program_gets_its_files_its_input_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "a.py").write_text("A = 7\n", encoding="utf-8")
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    code = (
        "import os, sys; sys.path.insert(0, '.'); from lib.a import A\n"
        "print(A, open('given.txt').read(), sys.stdin.read(), sorted(os.listdir('.')), os.environ['HOME'] == os.getcwd())\n"
        "print([name for name in os.environ if 'KEY' in name or 'SMIDGEN_HOME' in name])\n"
        "os.write(int(os.environ['SMIDGEN_REPORT']), b'told\\n'); print('to errors', file=sys.stderr); sys.exit(3)"
    )
    result = _ran(code, tmp_path, ("lib/a.py",))
    assert result.output == "7 à said ['given.txt', 'lib'] True\n[]\n"
    assert (result.code, result.errors, result.report, result.stopped) == (3, "to errors\n", ["told"], "")


@confined
@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import socket; socket.create_connection(('192.0.2.1', 80), 2)", "Network is unreachable"),
        ("import socket; socket.create_connection(('127.0.0.1', 22), 2)", "Network is unreachable"),
        ("import socket; socket.getaddrinfo('example.org', 80)", "gaierror"),
        ("open('big', 'wb').truncate(1 << 30)", "File too large"),
        ("[open(str(n), 'wb').write(bytes(1 << 20)) for n in range(40)]", "No space left on device"),
        ("bytearray(3 << 29)", "MemoryError"),
        (f"open({str(Path.home() / '.bashrc')!r})", "No such file or directory"),
        (f"open({__file__!r})", "No such file or directory"),
        ("open('/usr/bin/new', 'w')", "Read-only file system|Permission denied"),
        ("import os; os.listdir('/proc/1')", "No such file or directory"),
    ],
)
def test_what_a_program_must_not_do_fails(code: str, said: str) -> None:
    result = _ran(code, disk=24 << 20, file=16 << 20)
    assert any(words in result.errors for words in said.split("|")), result.errors
    assert result.code == 1


@confined
@pytest.mark.parametrize(
    ("code", "stopped"),
    [
        ("import time; time.sleep(60)", "time"),
        ("while True: pass", "time"),
        ("import os, time\nif not os.fork(): os.setsid()\ntime.sleep(60)", "time"),
        ("text = 'x' * 65536\nwhile True: print(text)", "output"),
    ],
)
def test_a_program_without_an_end_is_ended(code: str, stopped: str) -> None:
    began = time.monotonic()
    result = _ran(code, seconds=0.8)
    assert result.stopped == stopped and result.code != 0
    assert len(result.output) <= SandboxLimits().output
    assert time.monotonic() - began < 8


@confined
def test_a_program_that_forks_for_ever_is_ended() -> None:
    result = _ran("import os\nwhile True: os.fork()", seconds=1.5, processes=12)
    assert result.stopped in ("processes", "time") or "Resource temporarily unavailable" in result.errors


@confined
def test_memory_of_all_processes_together_is_bounded() -> None:
    code = "import os, time\nfor _ in range(5):\n  if not os.fork(): held = bytearray(os.urandom(60 << 20)); time.sleep(9)\ntime.sleep(9)"
    assert _ran(code, memory=200 << 20, seconds=8.0).stopped == "memory"


@confined
def test_what_a_program_leaves_behind_ends_with_it() -> None:
    began = time.monotonic()
    result = _ran("import os, time\nif not os.fork():\n  os.setsid(); time.sleep(60)\nprint('end')")
    assert (result.output, result.stopped) == ("end\n", "")
    assert time.monotonic() - began < 5


def test_where_nothing_can_be_cut_off_nothing_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sandbox.sys, "platform", "darwin")
    file = tmp_path / "ran"
    with pytest.raises(MachineError, match=r"nothing was run.*--unconfined"):
        _ran(f"open({str(file)!r}, 'w')")
    assert not file.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="no limits there")
def test_without_confinement_the_limits_hold(tmp_path: Path) -> None:
    python = interpreter()
    work = SandboxWork([python.path, "-c", "import os, time; print(os.getcwd() == os.environ['HOME']); time.sleep(60)"])
    result = run_confined(work, SandboxLimits(seconds=0.8), confined=False)
    assert result.stopped == "time"


def test_a_python_that_does_not_run_is_said() -> None:
    with pytest.raises(MachineError, match="--python"):
        interpreter("/nowhere/python")


_CALL = "import ctypes; c = ctypes.CDLL(None, use_errno=True); print(c.syscall({}), ctypes.get_errno())"


@confined
def test_forbidden_system_calls_fail() -> None:
    column = sandbox_start._ARCHITECTURES[platform.machine()][1]
    calls = {name: f"{numbers[column]}, 0, 0, 0, 0, 0" for name, numbers in sandbox_start._FORBIDDEN.items()}
    calls["clone with a namespace"] = f"{sandbox_start._CLONE[column]}, {0x10000000 | 17}, 0, 0, 0, 0"
    lines = ["import ctypes; c = ctypes.CDLL(None, use_errno=True)"]
    lines += [f"ctypes.set_errno(0); print({name!r}, c.syscall({words}), ctypes.get_errno())" for name, words in calls.items()]
    assert len(calls) > 40
    assert _ran("\n".join(lines)).output.splitlines() == [f"{name} -1 {errno.EPERM}" for name in calls]


@confined
@pytest.mark.parametrize(
    ("code", "number"),
    [
        (_CALL.format("435, 0, 0"), errno.ENOSYS),
        (_CALL.format("500, 0, 0"), errno.ENOSYS),
        ("import socket\ntry: socket.socket(40, 1)\nexcept OSError as error: print(-1, error.errno)", errno.EAFNOSUPPORT),
        ("import socket\ntry: socket.socket(16, 3)\nexcept OSError as error: print(-1, error.errno)", errno.EAFNOSUPPORT),
    ],
)
def test_calls_of_later_kernels_and_other_sockets_are_answered_as_unknown(code: str, number: int) -> None:
    assert _ran(code).output == f"-1 {number}\n"


@confined
def test_threads_processes_and_sockets_of_a_program_work() -> None:
    code = (
        "import socket, subprocess, sys, threading\nsocket.socket(); socket.socketpair()\n"
        "one = threading.Thread(target=print, args=('thread',)); one.start(); one.join()\n"
        "print(subprocess.run([sys.executable, '-c', 'print(7)'], capture_output=True, text=True).stdout)"
    )
    assert _ran(code).output == "thread\n7\n\n"


def test_an_unknown_architecture_is_refused() -> None:
    with pytest.raises(OSError, match="riscv64"):
        sandbox_start._forbidding("riscv64")
    assert sandbox_start._forbidding("aarch64") != sandbox_start._forbidding("x86_64")
