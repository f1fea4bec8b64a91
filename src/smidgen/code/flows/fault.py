"""Find a bug: rank the lines of a file that failing tests run, and look for a change of one line with which every test passes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from smidgen.code.edits import LineEdit, edits_of
from smidgen.code.fault_lines import SuspectLine, is_code, ochiai, ranked, surprise
from smidgen.code.flows.code_model import CodeModel, around
from smidgen.code.own_code import PythonFile, parsed
from smidgen.code.pytest_runs import LATE, PASSED, RanVariant, TestingPlace
from smidgen.core.errors import InputError
from smidgen.core.progress import Progress, Silent

_ASKED_LINES = 8
"""Lines for which the model is asked."""
_SAMPLED_LINES, _SAMPLES = 2, 2
"""Suspect lines for which it is asked again, and how often."""
_WARM = 0.8
_TRIED_EDITS = 400
_LEAST_SECONDS, _TIMES_AS_LONG, _MOST_SECONDS = 0.5, 5.0, 10.0
"""A test of changed code may compute five times as long as the longest that ended on the code as it is, within these bounds."""
_LIKELIEST = 5
"""Repairs that the model compares."""


@dataclass(frozen=True, slots=True)
class FoundRepair:
    """A change of one line with which all tests pass. `by`: `model` or `edit`. `likelihood`: of its text for the model, 0..1; 0 without."""

    edit: LineEdit
    by: str
    likelihood: float = 0.0


@dataclass(frozen=True, slots=True)
class FoundBug:
    """The traces of a bug in tests and model.

    Attributes:
        file: path of the file.
        lines: its lines, as they are.
        failing: the tests that fail, with the telling lines of each.
        passing: how many pass.
        suspects: the lines, the likeliest first.
        repairs: the changes, the likeliest first.
        tried: how many changes were run.
        seconds: how long it took.
    """

    file: str
    lines: Sequence[str]
    failing: tuple[tuple[str, str], ...]
    passing: int
    suspects: tuple[SuspectLine, ...]
    repairs: tuple[FoundRepair, ...]
    tried: int
    seconds: float

    def json(self) -> dict[str, Any]:
        """The bug, JSON-ready."""
        return {
            "file": self.file,
            "failing": [{"test": name, "said": said} for name, said in self.failing],
            "passing": self.passing,
            "lines": [
                {"line": one.line, "source": self.lines[one.line - 1], "tests": round(one.by_tests, 3), "model": round(one.by_model, 3)}
                for one in self.suspects
            ],
            "repairs": [
                {
                    **{"line": one.edit.line, "text": one.edit.text, "inserted": one.edit.inserted},
                    **{"by": one.by, "likelihood": round(one.likelihood, 4)},
                }
                for one in self.repairs
            ],
            "tried": self.tried,
            "seconds": round(self.seconds, 1),
        }


def find_bug(
    place: TestingPlace,
    file: PythonFile,
    tests: Sequence[str],
    model: CodeModel | None,
    *,
    seconds: float = 120.0,
    progress: Progress | None = None,
) -> FoundBug:
    """Rank the lines of a file, and look for repairs.

    Args:
        place: where tests are run.
        file: the file that may hold the bug.
        tests: as pytest takes them; some must fail.
        model: is asked for other texts of lines; without one, tests and small edits alone count.
        seconds: the longest time for running changes.
        progress: of the steps.

    Raises InputError if no test fails, or none runs a line of the file.
    """
    progress, began = progress or Silent(), time.monotonic()
    progress.start("running the tests")
    place, first = _as_they_are(place, file, tests)
    failing = [test for test in first.tests if test.outcome not in (PASSED, "skipped")]
    passing = sum(test.outcome == PASSED for test in first.tests)
    by_tests = {line: value for line, value in ochiai(first.tests).items() if is_code(file.lines, line)}
    _check(file, first, bool(failing), bool(by_tests))
    progress.finish(f"{len(failing)} of {len(first.tests)} fail")
    order = [one.line for one in ranked(by_tests, {})]
    by_model, offered = _asked(model, file, order[:_ASKED_LINES], progress)
    suspects = ranked(by_tests, by_model)
    offered += _sampled(model, file, suspects[:_SAMPLED_LINES])
    candidates = dict.fromkeys(offered, "model")
    for edit in edits_of(file, [one.line for one in suspects])[:_TRIED_EDITS]:
        candidates.setdefault(edit, "edit")
    progress.start("running changes of one line")
    kept, tried = _kept(place, file, tests, first, candidates, seconds)
    progress.finish(f"{len(kept)} of {tried} pass every test")
    repairs = _compared(model, file, [FoundRepair(edit, candidates[edit]) for edit in kept])
    told = tuple((test.name, test.said) for test in failing)
    return FoundBug(file.path, file.lines, told, passing, tuple(suspects), tuple(repairs), tried, time.monotonic() - began)


def _as_they_are(place: TestingPlace, file: PythonFile, tests: Sequence[str]) -> tuple[TestingPlace, RanVariant]:
    """The tests of the code as it is; with the plugins of pytest if some tests need them."""
    (first,) = place.run(tests, trace=file.path)
    if not first.tests or any("fixture '" in test.said or "async def" in test.said for test in first.tests):
        place = replace(place, plugins=True)
        (first,) = place.run(tests, trace=file.path, variant_seconds=60.0)
    return place, first


def _check(file: PythonFile, first: RanVariant, fails: bool, runs: bool) -> None:
    if not first.tests:
        raise InputError("code.no_test_was_run", value=first.ended or file.path)
    if not fails:
        value = f"{len(first.tests)} tests"
        raise InputError("code.every_test_passes", value=value)
    if not runs:
        said = next(test.said for test in first.tests if test.outcome not in (PASSED, "skipped"))
        raise InputError("code.no_failing_test_runs_this_file", value=file.path, said=said)


def _asked(model: CodeModel | None, file: PythonFile, lines: Sequence[int], progress: Progress) -> tuple[dict[int, float], list[LineEdit]]:
    """For each line, how little the model expects it, and the text that it would write."""
    found, offered = dict[int, float](), list[LineEdit]()
    if model is None:
        return found, offered
    progress.start("asking the model for each line")
    for line in sorted(lines):  # in their order, so that what was read ahead of one is read already for the next
        gap = around(file.lines, line)
        edit = _edit(file, line, model.fill(*gap).text)
        offered += [edit] if edit is not None else []
        found[line] = surprise(model.likelihood(*gap, file.lines[line - 1].strip()))
    progress.finish(f"{len(offered)} of {len(lines)} would be other lines")
    return found, offered


def _sampled(model: CodeModel | None, file: PythonFile, suspects: Sequence[SuspectLine]) -> list[LineEdit]:
    """More texts for the likeliest lines, and lines that may be missing before them."""
    if model is None:
        return []
    found = []
    for one in suspects:
        gap = around(file.lines, one.line)
        found += [_edit(file, one.line, model.fill(*gap, temperature=_WARM, seed=seed).text) for seed in range(_SAMPLES)]
        before = _gap(file, LineEdit(one.line, "", inserted=True))
        found.append(_edit(file, one.line, model.fill(*before).text, inserted=True))
    return [edit for edit in found if edit is not None]


def _edit(file: PythonFile, line: int, text: str, *, inserted: bool = False) -> LineEdit | None:
    """A line with another text, or a text before it; None if it is the same as the line, or the file would not be valid."""
    old = file.lines[line - 1]
    if not text.strip() or text.strip() == old.strip():
        return None
    edit = LineEdit(line, old[: len(old) - len(old.lstrip())] + text.strip(), inserted)
    return edit if parsed(edit.made(file.lines)) is not None else None


def _kept(
    place: TestingPlace, file: PythonFile, tests: Sequence[str], first: RanVariant, candidates: Mapping[LineEdit, str], seconds: float
) -> tuple[list[LineEdit], int]:
    """The changes with which every test passes, and how many were run: first the tests that failed, then all."""
    edits = list(candidates)
    failing = [test.name for test in first.tests if test.outcome not in (PASSED, "skipped")]
    longest = max((test.seconds for test in first.tests if test.outcome != LATE), default=0.0)
    limit = min(max(_LEAST_SECONDS, _TIMES_AS_LONG * longest), _MOST_SECONDS)
    limits: dict[str, Any] = {"test_seconds": limit, "variant_seconds": 30.0, "seconds": seconds, "stop_at_first": True}
    runs = place.run(failing, [{file.path: edit.made(file.lines)} for edit in edits], **limits) if edits else []
    tried = sum(run.ended != "not run" or bool(run.tests) for run in runs)
    able = [edit for edit, run in zip(edits, runs, strict=True) if run.all_passed]
    whole = place.run(tests, [{file.path: edit.made(file.lines)} for edit in able], **limits) if able else []
    return [edit for edit, run in zip(able, whole, strict=True) if run.all_passed], tried


def _compared(model: CodeModel | None, file: PythonFile, repairs: Sequence[FoundRepair]) -> list[FoundRepair]:
    """The repairs, the likeliest for the model first; beyond the first few, as they come."""
    if model is None:
        return list(repairs)
    some = [replace(one, likelihood=model.likelihood(*_gap(file, one.edit), one.edit.text.strip())) for one in repairs[:_LIKELIEST]]
    return [*sorted(some, key=lambda one: (one.edit.inserted, -one.likelihood)), *repairs[_LIKELIEST:]]


def _gap(file: PythonFile, edit: LineEdit) -> tuple[str, str]:
    """The texts around an edit."""
    ahead, behind = around(file.lines, edit.line)
    return (ahead, f"\n{file.lines[edit.line - 1]}{behind}") if edit.inserted else (ahead, behind)
