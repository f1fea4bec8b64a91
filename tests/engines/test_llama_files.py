"""A model's process that is started again loads what it loaded first, or nothing."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from smidgen.core.errors import EngineError
from smidgen.engines.llama_process import LlamaProcess

posix = pytest.mark.skipif(sys.platform == "win32", reason="a script as a program")


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with weights and an adapter, for a process that says that it is ready and does nothing. Beside it, it counts its starts in
    `starts`, and does as it is told in `meanwhile` before it is ready."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    for name in ("model.gguf", "shop.gguf"):
        (folder / name).write_bytes(b"what was packed")
    starts, meanwhile, worker = tmp_path / "starts", tmp_path / "meanwhile", tmp_path / "worker"
    meanwhile.touch()
    lines = (
        f"#!{sys.executable}",
        "import sys",
        "sys.stdin.readline()",
        f"open({str(starts)!r}, 'a').write('x')",
        f"exec(open({str(meanwhile)!r}).read())",
        "print('{\"ready\": true}', flush=True)",
        "sys.stdin.read()",
    )
    worker.write_text("\n".join(lines) + "\n", encoding="utf-8")
    worker.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(worker))
    return folder


def opened(bundle: Path) -> LlamaProcess:
    return LlamaProcess({"model": str(bundle / "model.gguf"), "adapters": [str(bundle / "shop.gguf")]}).shared()


def starts(bundle: Path) -> int:
    return len((bundle.parent / "starts").read_text())


def _rebuilt(bundle: Path) -> None:
    """As packing does: the same names, the same sizes, other files."""
    shutil.copytree(bundle, bundle.parent / "new")
    bundle.rename(bundle.parent / "old")
    (bundle.parent / "new").rename(bundle)


def _overwritten(bundle: Path) -> None:
    with (bundle / "model.gguf").open("r+b") as file:
        file.write(b"W")
    os.utime(bundle / "model.gguf", ns=(1, 1))  # whatever the disk's clock can tell apart


def _adapter_changed(bundle: Path) -> None:
    (bundle / "shop.gguf").write_bytes(b"something longer than it")


def _gone(bundle: Path) -> None:
    (bundle / "model.gguf").unlink()


@posix
@pytest.mark.parametrize("change", [_rebuilt, _overwritten, _adapter_changed, _gone])
def test_other_files_in_the_place_of_those_that_were_opened_are_not_loaded(bundle: Path, change: Callable[[Path], None]) -> None:
    process = opened(bundle)
    process.mailbox()
    child = process._child
    assert child is not None
    change(bundle)
    process.mailbox()  # the one that runs has what it read
    child.end("the test ended it")
    for _ in range(2):
        with pytest.raises(EngineError, match=r"files were changed since it was opened: .*\.gguf.*Restart the server"):
            process.mailbox()
    assert starts(bundle) == process.starts == 1
    process.close()


@posix
def test_the_same_files_are_loaded_again(bundle: Path) -> None:
    process = opened(bundle)
    process.mailbox()
    child = process._child
    assert child is not None
    child.end("the test ended it")
    process.mailbox()
    assert starts(bundle) == process.starts == 2
    process.close()


@posix
def test_files_that_are_changed_while_they_are_read_are_not_answered_from(bundle: Path) -> None:
    (bundle.parent / "meanwhile").write_text(f"open({str(bundle / 'model.gguf')!r}, 'ab').write(b'more')", encoding="utf-8")
    process = opened(bundle)
    with pytest.raises(EngineError, match="files were changed"):
        process.mailbox()
    assert starts(bundle) == 1 and process.pid is None
    process.close()
