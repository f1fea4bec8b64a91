"""The model's process: whatever happens to it costs the requests in flight and nothing else, and it never outlives its owner."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.engines.llama_model import ENDLESS
from tests.engines.llama_model import options as few
from tests.eventually import eventually

from smidgen.core.errors import EngineError
from smidgen.core.progress import Cancellation, Cancelled
from smidgen.engines import llama_process
from smidgen.engines.llama import LlamaRunner, part
from smidgen.engines.llama_process import LlamaProcess
from smidgen.engines.llama_protocol import LONGEST

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals")


def options(**more: Any) -> dict[str, Any]:
    return few(before=[1], after=[], **{"context": 4096, **more})


@pytest.fixture(scope="module")
def runner(babbler: Path) -> LlamaRunner:
    return part.open(babbler, options(max_tokens=4000), 1)


def gone(pid: int) -> bool:
    """Whether the process has ended; a child that is not waited for shows as a zombie."""
    try:
        os.kill(pid, 0)
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return True


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_threads_of_the_model_do_not_turn_for_long_beside_other_programs(runner: LlamaRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    runner.run(["Say hi."])
    assert b"GOMP_SPINCOUNT=1000" in Path(f"/proc/{runner.pid}/environ").read_bytes().split(b"\0")
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    assert "GOMP_SPINCOUNT" not in llama_process._environment(), "who has said how threads wait is obeyed"


@posix
def test_killed_it_fails_those_in_flight_and_the_next_starts_it_again(runner: LlamaRunner) -> None:
    before = runner.run(["Say hi."])["texts"]
    failed: list[EngineError] = []

    def ask() -> None:
        try:
            list(runner.write("Count.", grammar=ENDLESS))
        except EngineError as error:
            failed.append(error)

    answer = runner.write("Count.", grammar=ENDLESS)
    next(answer)
    threads = [threading.Thread(target=ask) for _ in range(6)]  # more than there are slots
    for thread in threads:
        thread.start()
    child = runner._process._child
    assert child is not None
    # One that asks only after the kill would rightly start the process again, and write on.
    eventually(lambda: len(child._boxes) >= 7)
    pid = runner.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(EngineError, match=r"process ended before it answered.*SIGKILL.*Send the request again"):
        list(answer)
    for thread in threads:
        thread.join(10)
    assert len(failed) == 6 and runner.pid is None
    assert runner.run(["Say hi."])["texts"] == before
    assert runner.pid not in (None, pid)


@posix
def test_killed_while_nobody_asks_nobody_is_told(runner: LlamaRunner) -> None:
    pid = runner.pid
    assert pid is not None
    os.kill(pid, signal.SIGSEGV)
    time.sleep(0.3)
    assert runner.run(["Say hi."])["texts"][0]


@posix
def test_one_that_hangs_is_ended(runner: LlamaRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner._process, "_silent_seconds", 0.5)
    runner.run(["Say hi."])
    pid = runner.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(EngineError, match=r"said nothing for 0\.5 seconds"):
        runner.run(["Say hi."])
    eventually(lambda: gone(pid))
    monkeypatch.undo()
    assert runner.run(["Say hi."])["texts"][0]


@pytest.mark.skipif(sys.platform != "linux", reason="reads what a process was started with")
@pytest.mark.parametrize(("own", "wanted"), [(None, "1048576"), ("65536", "65536")])
def test_what_files_are_read_into_goes_back_to_the_system(
    babbler: Path, monkeypatch: pytest.MonkeyPatch, own: str | None, wanted: str
) -> None:
    """glibc is told from what size on it gives blocks back; whoever set that himself keeps it."""
    monkeypatch.delenv("MALLOC_MMAP_THRESHOLD_", raising=False)
    if own is not None:
        monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", own)
    runner = part.open(babbler, options(max_tokens=4), 1)
    try:
        given = Path(f"/proc/{runner.pid}/environ").read_bytes().split(b"\0")
    finally:
        runner.close()
    assert [line for line in given if line.startswith(b"MALLOC")] == [f"MALLOC_MMAP_THRESHOLD_={wanted}".encode()]


def test_a_request_too_large_for_the_wire_hurts_nobody(runner: LlamaRunner) -> None:
    from smidgen.core.errors import RequestError

    with pytest.raises(RequestError, match=str(LONGEST)):
        list(runner.write("a", grammar="#" * LONGEST))
    assert runner.run(["Say hi."])["texts"][0]


def test_closing_ends_it_and_every_request(runner: LlamaRunner) -> None:
    answer = runner.write("Count.", grammar=ENDLESS)
    next(answer)
    pid = runner.pid
    assert pid is not None
    began = time.monotonic()
    runner.close()
    runner.close()
    assert time.monotonic() - began < 30  # not the minutes that a start may take
    eventually(lambda: gone(pid))
    with pytest.raises(EngineError, match="the model was closed"):
        list(answer)
    with pytest.raises(EngineError, match=r"closed.*Open it again"):
        runner.run(["Say hi."])


def test_it_goes_with_the_runner_that_nobody_holds(babbler: Path) -> None:
    runner = part.open(babbler, options(), 1)
    pid = runner.pid
    assert pid is not None
    del runner
    gc.collect()
    eventually(lambda: gone(pid))


@posix
def test_it_goes_with_the_program_that_started_it(babbler: Path) -> None:
    code = """
import sys
from pathlib import Path
from typing import Any
from smidgen.engines.llama import part
runner = part.open(Path(sys.argv[1]), {"before": [1], "context": 64, "slots": 1}, 1)
print(runner.pid, flush=True)
sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", code, str(babbler)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        os.kill(pid, 0)
        parent.kill()
        parent.wait(10)
        eventually(lambda: gone(pid))


@pytest.mark.parametrize("content", [b"", b"GGUF", b"no model at all" * 100])
def test_a_damaged_model_is_told_at_once(content: bytes, babbler: Path, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes((babbler / "tokenizer.json").read_bytes())
    (tmp_path / "model.gguf").write_bytes(content)
    with pytest.raises(EngineError, match=r"cannot load the model.*model\.gguf"):
        part.open(tmp_path, options(), 1)


def test_one_that_is_never_ready_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "sleeper"))
    (tmp_path / "sleeper").write_text("#!/bin/sh\nexec sleep 60\n", encoding="utf-8")
    (tmp_path / "sleeper").chmod(0o755)
    began = time.monotonic()
    with pytest.raises(EngineError, match=r"not ready after 0\.3 seconds"):
        LlamaProcess({"model": "m"}, start_seconds=0.3).mailbox()
    assert time.monotonic() - began < 30  # not the minute that it sleeps


def test_one_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "broken"))
    (tmp_path / "broken").write_text("#!/bin/sh\necho no room left >&2\nexit 3\n", encoding="utf-8")
    (tmp_path / "broken").chmod(0o755)
    with pytest.raises(EngineError, match="ended with code 3; it last said: no room left"):
        LlamaProcess({"model": "m"}).mailbox()


@pytest.mark.parametrize("whole", [True, False])
def test_an_errand_that_is_called_off_waits_for_nothing_more(whole: bool, babbler: Path) -> None:
    """It is in line in the process, of which nothing is heard before its turn."""
    runner = part.open(babbler, options(slots=1, max_tokens=4000), 1)
    errand, ended = Cancellation(), threading.Event()

    def ask() -> None:
        with suppress(Cancelled), errand.bound():
            _ = runner.run(["Say hi."]) if whole else list(runner.write("Say hi."))
            return
        ended.set()

    try:
        other = runner.write("Count.", grammar=ENDLESS)
        next(other)
        child = runner._process._child
        assert child is not None
        thread = threading.Thread(target=ask)
        thread.start()
        eventually(lambda: len(child._boxes) >= 2)
        errand.call_off()
        assert ended.wait(0.5), "not at the next look at the clock"
        assert len(child._boxes) == 1 and next(other).text
        thread.join(10)
        other.close()
        with pytest.raises(Cancelled), errand.bound():
            runner.run(["Say hi."])
        assert runner.run(["Say hi."])["texts"][0] and not child._boxes
    finally:
        runner.close()


scripts = pytest.mark.skipif(sys.platform == "win32", reason="a script as a program")


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


@scripts
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


@scripts
def test_the_same_files_are_loaded_again(bundle: Path) -> None:
    process = opened(bundle)
    process.mailbox()
    child = process._child
    assert child is not None
    child.end("the test ended it")
    process.mailbox()
    assert starts(bundle) == process.starts == 2
    process.close()


@scripts
def test_files_that_are_changed_while_they_are_read_are_not_answered_from(bundle: Path) -> None:
    (bundle.parent / "meanwhile").write_text(f"open({str(bundle / 'model.gguf')!r}, 'ab').write(b'more')", encoding="utf-8")
    process = opened(bundle)
    with pytest.raises(EngineError, match="files were changed"):
        process.mailbox()
    assert starts(bundle) == 1 and process.pid is None
    process.close()
