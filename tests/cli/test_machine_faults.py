"""Faults of the machine are told as such, with exit code 1: no home, a full disk, a file limit, a disk that is read-only."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smidgen.cli.main import code
from smidgen.core.errors import MachineError, SmidgenError

ROWS = "text,label\n" + "".join(f"some message number {n} about {'orders' if n % 2 else 'money'},{'ab'[n % 2]}\n" for n in range(24))


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command that fails by the machine says."""
    capsys.readouterr()
    assert code(list(arguments)) == 1
    said = capsys.readouterr().err
    assert "internal error" not in said and "defect" not in said, said
    return " ".join(said.split())


@pytest.mark.parametrize(
    "verb", [["models"], ["status"], ["traffic"], ["learn", "line"], ["certify", "x", "--show"]], ids=lambda verb: verb[0]
)
def test_a_home_that_cannot_be_made(
    verb: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "file" / "home"))
    monkeypatch.delenv("SMIDGEN_TRAFFIC_URL", raising=False)
    if verb[0] in ("learn", "certify"):
        capsys.readouterr()
        assert code(verb) in (1, 2) and "internal error" not in capsys.readouterr().err
    else:
        said = told(capsys, *verb)
        assert "home cannot be made" in said and "SMIDGEN_HOME" in said and str(tmp_path / "file" / "home") in said


def test_doctor_says_that_there_is_no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "file"))
    assert code(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "cache folder" in said and "home cannot be made" in said and "SMIDGEN_HOME" in said and "python" in said


FAULTS = [
    (errno.ENOSPC, "disk is full", "Make room"),
    (errno.EROFS, "read-only", "another disk"),
    (errno.EMFILE, "too many files open", "ulimit -n"),
    (errno.EACCES, "permission is denied", "permissions"),
    (errno.EFBIG, "size limit", "ulimit -f"),
]


@pytest.mark.parametrize(("number", "words", "todo"), FAULTS, ids=[errno.errorcode[fault[0]] for fault in FAULTS])
def test_faults_while_a_file_is_written(
    number: int, words: str, todo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "new"

    def fails(self: Path, *args: Any, **options: Any) -> Any:
        if str(self).startswith(str(target)):
            raise OSError(number, os.strerror(number), str(self))
        return real(self, *args, **options)

    real: Callable[..., Any] = Path.open
    monkeypatch.setattr(Path, "open", fails)
    said = told(capsys, "init", str(target))
    assert words in said and todo in said and str(target) in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_below_standard_output(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(ROWS, encoding="utf-8")
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-m", "smidgen", "models", "--json"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=120, check=False
        )
    assert done.returncode == 1
    assert "disk is full" in done.stderr and "defect" not in done.stderr and "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs ulimit")
def test_a_limit_on_the_size_of_files(tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", f"ulimit -f 0; exec {sys.executable} -m smidgen init {tmp_path / 'new'}"],
        **{"capture_output": True, "text": True, "timeout": 120, "check": False},
    )
    assert done.returncode == 1
    assert "size limit" in done.stderr and "defect" not in done.stderr


def test_a_library_with_words_of_its_own(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fails() -> None:
        raise RuntimeError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("smidgen.cli.models._folders", fails)
    assert "disk is full" in told(capsys, "models")


def test_a_panic_of_a_library_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Panic(BaseException):
        pass

    def fails() -> None:
        raise Panic("index out of bounds")

    monkeypatch.setattr("smidgen.cli.models._folders", fails)
    monkeypatch.delenv("SMIDGEN_DEBUG", raising=False)
    assert code(["models"]) == 1
    said = capsys.readouterr().err
    assert "Panic: index out of bounds" in said and "Traceback" not in said


def test_memory_that_is_not_there(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fails() -> None:
        raise MemoryError

    monkeypatch.setattr("smidgen.cli.models._folders", fails)
    assert "not enough memory" in told(capsys, "models")


def test_the_error_is_both_ours_and_the_systems() -> None:
    error = MachineError.told_by(OSError(errno.ENOSPC, "No space left on device", "/a/file"))
    assert isinstance(error, SmidgenError) and isinstance(error, OSError)
    assert error.errno == errno.ENOSPC and error.exit_code == 1
    assert str(error) == "the disk is full: '/a/file'. Make room, then run the same command again."
    assert MachineError.told_by(error) is error


@pytest.mark.parametrize(("verb", "kept"), [("build", True), ("predict", True), ("learn", True), ("models", False)])
def test_ctrl_c_says_what_is_kept(verb: str, kept: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Stopped:
        def main(self, **_: Any) -> None:
            raise KeyboardInterrupt

    monkeypatch.setattr("smidgen.cli.main.typer.main.get_command", lambda app: Stopped())
    assert code([verb]) == 130
    said = capsys.readouterr().err
    assert "Stopped." in said and ("are kept: run the same command to go on" in said) == kept
