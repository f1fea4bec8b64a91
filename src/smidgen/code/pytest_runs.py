"""Run a repository's tests in the sandbox, as they are and with other texts of some files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from smidgen.core.errors import InputError, MachineError
from smidgen.machine.sandbox import Interpreter, SandboxLimits, SandboxResult, SandboxWork, run_confined

_RUNNER = "pytest_in_sandbox.py"
_OUTPUT = 16 << 20
_DISK, _MOST_COPIED = 256 << 20, 1 << 30
"""Bytes that tests may write, and of a repository that is copied."""
PASSED, FAILED, ERROR, LATE = "passed", "failed", "error", "time"
"""Outcomes of a test: it held; it did not; it could not be run; it used up its time."""


@dataclass(frozen=True, slots=True)
class RanTest:
    """A test that was run: its name (as pytest has it), its outcome, the telling lines of its failure, the lines that it ran of the traced
    file, and how long it took."""

    name: str
    outcome: str
    said: str
    lines: frozenset[int]
    seconds: float = 0.0


@dataclass
class RanVariant:
    """The tests of one variant, in their order.

    Attributes:
        tests: those that ended.
        tried: what they tried and must not: `the network`, `another program`.
        ended: how the run ended: empty for by itself, `time`, `died`, or `not run` (to its end).
    """

    tests: list[RanTest] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    ended: str = "not run"

    @property
    def all_passed(self) -> bool:
        """Whether there were tests, and each held or was skipped by its author."""
        held = [test for test in self.tests if test.outcome == PASSED]
        return not self.ended and bool(held) and all(test.outcome in (PASSED, "skipped") for test in self.tests)


@dataclass(frozen=True)
class TestingPlace:
    """Where tests are run.

    Attributes:
        repository: the folder of the code.
        files: paths of the files in it that are copied.
        python: runs them.
        paths: folders in it that imports start from.
        confined: see `run_confined`.
        plugins: whether pytest loads the plugins that are installed; it takes seconds for each variant.
    """

    __test__ = False  # not a test itself
    repository: Path
    files: Sequence[str]
    python: Interpreter
    paths: Sequence[str]
    confined: bool = True
    plugins: bool = False

    def run(
        self,
        tests: Sequence[str],
        variants: Sequence[Mapping[str, str]] = ({},),
        *,
        trace: str | None = None,
        test_seconds: float = 5.0,
        variant_seconds: float = 30.0,
        seconds: float = 300.0,
        stop_at_first: bool = False,
    ) -> list[RanVariant]:
        """Run tests once for each variant.

        Args:
            tests: files, folders or names of tests, as pytest takes them.
            variants: each a mapping from paths to other texts.
            trace: path of the file whose lines are noted.
            test_seconds: the longest that one test may compute; it may wait five times as long.
            variant_seconds, seconds: the longest that one variant and all together may take.
            stop_at_first: whether a variant ends at the first test that does not hold.

        Raises MachineError if the sandbox cannot be made or pytest is not there, InputError for a repository that is too large for it.
        """
        runner = Path(__file__).with_name(_RUNNER)
        asked = {
            **{"tests": list(tests), "variants": [dict(variant) for variant in variants], "trace": trace, "paths": list(self.paths)},
            **{"test_seconds": test_seconds, "variant_seconds": variant_seconds, "stop_at_first": stop_at_first, "plugins": self.plugins},
        }
        place = f".smidgen/{_RUNNER}"
        work = SandboxWork(
            [self.python.path, "-s", f"{{work}}/{place}"],
            self.repository,
            self.files,
            {place: runner.read_text(encoding="utf-8")},
            self.python.folders,
            json.dumps(asked),
        )
        size = sum((self.repository / name).stat().st_size for name in self.files)
        if size > _MOST_COPIED:
            value = f"{size / 1e6:,.0f} MB in {len(self.files):,} files"
            raise InputError("code.folder_is_too_large_for_sandbox", value=value)
        limits = SandboxLimits(seconds=seconds, output=_OUTPUT, disk=_DISK + size)
        result = run_confined(work, limits, confined=self.confined)
        return _read(result, len(variants), self.python)


def _read(result: SandboxResult, count: int, python: Interpreter) -> list[RanVariant]:
    found = [RanVariant() for _ in range(count)]
    for line in result.report:
        try:
            told = json.loads(line)
        except ValueError:  # cut at a limit
            continue
        if "missing" in told:
            raise MachineError("code.pytest_is_not_installed", value=python.path, path=python.path)
        variant = found[told["variant"]]
        if "test" in told:
            variant.tests.append(RanTest(told["test"], told["outcome"], told["said"], frozenset(told["lines"]), told["seconds"]))
        elif "tried" in told:
            variant.tried.append(told["tried"])
        else:
            variant.ended = told["end"]
    if not any(variant.tests or variant.ended != "not run" for variant in found):
        said = result.errors.strip()[-300:] or f"exit code {result.code} {result.stopped}"
        raise MachineError("code.tests_could_not_be_run", value=said)
    return found


def import_paths(paths: Sequence[str], file: str) -> tuple[str, list[str]]:
    """The name under which a file is imported, and the folders that imports start from, the nearest first.

    Args:
        paths: all files of the repository, with slashes.
        file: one of them. Raises InputError if its name cannot be imported.
    """
    there = set(paths)
    path = PurePosixPath(file)
    parts = [path.stem] if path.name != "__init__.py" else []
    folder = path.parent
    while folder.parts and str(folder / "__init__.py") in there:
        parts.insert(0, folder.name)
        folder = folder.parent
    if not parts or not all(part.isidentifier() for part in parts):
        raise InputError("code.file_has_no_valid_module_name", value=file)
    return ".".join(parts), list(dict.fromkeys([str(folder), ".", *(["src"] if any(one.startswith("src/") for one in there) else [])]))
