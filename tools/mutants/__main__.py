"""Runs the tests against each mutant in a copy of the tree: `python -m tools.mutants [--only ID|ROOM] [--all-tests] [--list]`.

The exit code is 0 where every mutant is caught, 1 where one survives or cannot be judged, 2 for wrong usage.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.mutants import ROOT, Mutant, Unfit, mutants, mutated, sources

CAUGHT, SURVIVED, BROKEN = "caught", "survived", "broken"
_PYTEST_FAILED = (1, 2)  # with several workers pytest says "interrupted" where it stops at the first failure
_ITSELF = "tests/repo_tools/test_mutants.py"
"""The test that every mutant fits the source: in a mutated copy it fails by that alone."""
_SECONDS, _SECONDS_OF_ALL = 300, 3600


@dataclass(frozen=True)
class Result:
    """What became of a mutant: caught (`by` is the test), survived, or broken (`by` says why)."""

    verdict: str
    by: str
    seconds: float = 0.0


class Copy:
    """A copy of the tree, in which the faults are made and the tests run."""

    def __init__(self, root: Path) -> None:
        self.root, self._writes = root, 0
        own = {"PYTHONPATH": str(root / "src"), "PYTHONUTF8": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        self._env = {**os.environ, **own}

    @contextmanager
    def faulty(self, mutant: Mutant) -> Iterator[None]:
        """Within the block the mutant's fault is in the copy. Raises Unfit where its snippet is not found."""
        file, text = mutated(mutant, sources(self.root))
        before = file.read_text(encoding="utf-8")
        self._write(file, text)
        try:
            yield
        finally:
            self._write(file, before)

    def _write(self, file: Path, text: str) -> None:
        """Write it with a time of its own: Python would take what it compiled of a text of the same length and second."""
        self._writes += 1
        file.write_text(text, encoding="utf-8")
        os.utime(file, (self._writes, self._writes))

    def judged(self, mutant: Mutant, all_tests: bool, seconds: float) -> Result:
        """Whether the tests catch the mutant."""
        start = time.monotonic()
        try:
            with self.faulty(mutant):
                code, told = self.run(() if all_tests else mutant.tests, seconds)
        except Unfit as error:
            return Result(BROKEN, str(error))
        taken = time.monotonic() - start
        failed = re.search(r"^FAILED (.+?)(?: - |$)", told, re.MULTILINE)
        if code in _PYTEST_FAILED and failed:
            return Result(CAUGHT, failed[1], taken)
        if code == 0:
            return Result(SURVIVED, "", taken)
        return Result(BROKEN, _last_words(code, told), taken)

    def run(self, tests: Sequence[str], seconds: float) -> tuple[int, str]:
        """Run tests, or all of them, until one fails; the exit code of pytest, and what it printed. 124 after so many seconds."""
        workers = () if tests else ("-n", "2", "--dist", "loadfile")
        command = [sys.executable, "-m", "pytest", "-x", "-rfE", "-p", "no:cacheprovider", f"--ignore={_ITSELF}", *workers, *tests]
        with tempfile.TemporaryDirectory(prefix="smidgen-mutants-run-", ignore_cleanup_errors=True) as scratch:
            command.append(f"--basetemp={scratch}/run")
            process = subprocess.Popen(
                command,
                **{"cwd": self.root, "env": self._env, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT},
                **{"text": True, "encoding": "utf-8", "errors": "replace"},
                start_new_session=True,
            )
            try:
                told, _ = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                _end(process)
                return 124, f"over the limit of {seconds:.0f} seconds"
        return process.returncode, told


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the mutants, print what became of each; returns the exit code."""
    asked = _asked(arguments)
    chosen = [mutant for mutant in mutants() if not asked.only or {mutant.id, mutant.room} & set(asked.only)]
    strangers = set(asked.only) - {name for mutant in chosen for name in (mutant.id, mutant.room)}
    if strangers:
        print(f"no mutant and no room has this name: {', '.join(sorted(strangers))}. `--list` shows them.", file=sys.stderr)
        return 2
    if asked.list:
        for mutant in chosen:
            print(f"{mutant.room:10} {mutant.id:32} {mutant.breaks}")
        return 0
    seconds = asked.seconds or (_SECONDS_OF_ALL if asked.all_tests else _SECONDS)
    with tempfile.TemporaryDirectory(prefix="smidgen-mutants-", ignore_cleanup_errors=True) as folder:
        copy = Copy(_copied(Path(folder).resolve() / "smidgen"))
        tests = () if asked.all_tests else tuple(dict.fromkeys(test for mutant in chosen for test in mutant.tests))
        code, told = copy.run(tests, seconds * 4)
        if code:
            print(f"{told}\nThe tests fail without any fault (see above): mend them first.", file=sys.stderr)
            return 1
        results = {}
        for mutant in chosen:
            found = results[mutant.id] = copy.judged(mutant, asked.all_tests, seconds)
            print(f"{found.verdict:9} {found.seconds:5.0f} s  {mutant.room:10} {mutant.id:32} {found.by}", flush=True)
    counts = {verdict: sum(found.verdict == verdict for found in results.values()) for verdict in (CAUGHT, SURVIVED, BROKEN)}
    print(", ".join(f"{count} {verdict}" for verdict, count in counts.items()))
    return 0 if counts[CAUGHT] == len(results) else 1


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.mutants", description="Run the tests against hand-made faults.")
    parser.add_argument(
        "--only", action="append", default=[], metavar="ID|ROOM", help="Run this mutant, or those of a room; may be repeated."
    )
    parser.add_argument("--all-tests", action="store_true", help="Run the whole suite against each, not its own tests.")
    parser.add_argument("--list", action="store_true", help="Print the mutants and run nothing.")
    parser.add_argument("--seconds", type=float, metavar="N", help="Stop the tests of a mutant after N seconds.")
    return parser.parse_args(arguments)


def _copied(into: Path) -> Path:
    """A copy of the files that git knows or would add, as they are in the working tree."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode("utf-8")
    for name in listed.split("\0"):
        file = ROOT / name
        if name and file.is_file():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, into / name)
    return into


def _end(process: subprocess.Popen[str]) -> None:
    """End the tests and all that they started."""
    if sys.platform == "win32":
        process.kill()
    else:
        import signal

        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _last_words(code: int, told: str) -> str:
    lines = [line for line in told.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("ERROR", "E  "))]
    return f"pytest ended with {code}: {(errors or lines or ['(nothing was printed)'])[-1][:160]}"


if __name__ == "__main__":
    raise SystemExit(main())
