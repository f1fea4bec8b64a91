"""QuixBugs: 40 small Python programs with one faulty line each. Is the line found, and is there a change with which every test passes?

The programs and their tests are those of https://github.com/jkoppel/QuixBugs (MIT), commit 4257f44b0ff1181dedaedee6a447e133219fcebf: the
folders `python_programs`, `correct_python_programs`, `python_testcases` and `json_testcases` lie in `quixbugs/` of the data folder.
"""

from __future__ import annotations

import ast
import difflib
import functools
import math
import random
import re
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import results
from bench.context import Context
from bench.data import NoData
from smidgen.code.edits import edits_of
from smidgen.code.flows.code_model import CodeModel, open_code_model
from smidgen.code.flows.fault import FoundBug, find_bug
from smidgen.code.own_code import PythonFile, parsed
from smidgen.code.pytest_runs import TestingPlace
from smidgen.machine.sandbox import interpreter
from smidgen.stats.intervals import wilson

NAME = "quixbugs"
COLUMNS = ("what", "programs", "line first", "in the first 3", "in the first 5", "repaired", "95 %", "as the reference", "s each")
_QUICK = 2
_CONFTEST = "import pytest\npytest.use_correct = False\npytest.run_slow = False\n"
_BLOCK = re.compile(r"```(?:python)?\s*\n(.*?)(?:```|\Z)", re.DOTALL)
_ASKED = "This Python program has a bug in one line:\n\n```python\n{text}\n```\n\nFix the bug. Write the whole corrected program."


def run(context: Context) -> None:
    """Look for the bug of each program, then ask the model for the whole program in one question."""
    names = programs(context.data / "quixbugs")[: _QUICK if context.quick else None]
    found, until = [], time.monotonic() + 60 * (context.minutes or math.inf)
    with open_code_model(threads=context.used_threads) as model:
        for name in names:
            if time.monotonic() > until and not (context.keep == "all" and (context.out / "raw" / f"{NAME}-{name}.json").is_file()):
                continue
            work = functools.partial(_measured, context.data / "quixbugs", name, model)
            found.append(context.measured(f"{NAME}-{name}", {}, work, peer=False))
    section = results.Section(
        NAME,
        "QuixBugs: the faulty line, and its repair",
        "`smidgen code bug` with the starter `coder` as published: lines that failing tests run, ranked by the Ochiai coefficient, by "
        "how little the model expects the line, and by both; then changes of one line, written by the model or usual edits of "
        "mutation testing, run in the sandbox. Repaired: every test passes with a change. As the reference: the change that is shown first "
        "is, as a syntax tree, the reference's. The base line is the same model, asked once for the whole corrected program. Nothing was "
        "tuned on these programs. A line that is missing counts as found with a line beside its place. With `--minutes` only some "
        "programs, taken in an order that was drawn.",
        COLUMNS,
        facts={"load before": results.load_average()},
    )
    n, seconds = len(found), statistics.mean(one["s"] for one in found)
    for title, key in (("Ochiai", "tests"), ("model", "model"), ("both", "both")):
        ranks = [one["rank"][key] for one in found]
        row = [title, str(n), *(_share(sum(rank <= top for rank in ranks), n) for top in (1, 3, 5))]
        section.rows.append(
            [*row, *(_repaired(found, "repaired", "same", n) if key == "both" else ("", "", "")), f"{seconds:.0f}" if key == "both" else ""]
        )
    section.rows.append(["usual edits alone", str(n), "", "", "", *_repaired(found, "edits", None, n), ""])
    asked = statistics.mean(one["asked"]["s"] for one in found)
    section.rows.append(
        ["model asked once", str(n), "", "", "", *_repaired([one["asked"] for one in found], "repaired", "same", n), f"{asked:.0f}"]
    )
    results.publish(context, section)


def programs(folder: Path) -> list[str]:
    """The names of the programs that have a test, in an order that was drawn: a run that is stopped has measured a fair sample.

    Raises NoData if they are not here.
    """
    tests = folder / "python_testcases"
    if not tests.is_dir():
        raise NoData(f"{tests} is not here")
    names = [file.stem.removeprefix("test_") for file in sorted(tests.glob("test_*.py"))]
    there = [name for name in names if (folder / "python_programs" / f"{name}.py").is_file()]
    return random.Random(0).sample(there, len(there))


def faulty_lines(faulty: str, right: str) -> set[int]:
    """The lines of a program that differ from the reference; for a line that is missing there, those beside its place."""
    before, after = ([line.rstrip() for line in text.split("\n")] for text in (faulty, right))
    found = set[int]()
    for what, first, last, _, _ in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if what in ("replace", "delete"):
            found |= set(range(first + 1, last + 1))
        elif what == "insert":
            found |= {first, first + 1}
    return found


def _measured(data: Path, name: str, model: CodeModel) -> dict[str, Any]:
    faulty = (data / "python_programs" / f"{name}.py").read_text(encoding="utf-8")
    right = (data / "correct_python_programs" / f"{name}.py").read_text(encoding="utf-8")
    path, test = f"python_programs/{name}.py", f"python_testcases/test_{name}.py"
    code = _code(faulty)
    wrong = {line for line in faulty_lines(code, _code(right)) if line <= code.count("\n") + 1}
    with tempfile.TemporaryDirectory(prefix="smidgen-quixbugs-") as box:
        folder = Path(box)
        for part in (path, test, "python_testcases/load_testdata.py", "python_testcases/node.py", f"json_testcases/{name}.json"):
            if (data / part).is_file():
                (folder / part).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(data / part, folder / part)
        (folder / "conftest.py").write_text(_CONFTEST, encoding="utf-8")
        files = [file.relative_to(folder).as_posix() for file in sorted(folder.rglob("*")) if file.is_file()]
        place = TestingPlace(folder, files, interpreter(), ["python_testcases", "."])
        file = PythonFile(path, faulty)
        found = find_bug(place, file, [test], model)
        asked = _asked_once(place, file, right, test, model)
    usual = set(edits_of(file, [one.line for one in found.suspects]))
    return {
        "rank": {
            "tests": _rank(found, wrong, lambda one: (-one.by_tests, one.line)),
            "model": _rank(found, wrong, lambda one: (-one.by_model, one.line)),
            "both": _rank(found, wrong, None),
        },
        "repaired": bool(found.repairs),
        "edits": any(one.edit in usual for one in found.repairs),
        "same": bool(found.repairs) and _same(found.repairs[0].edit.made(file.lines), right),
        "repairs": [(one.edit.line, one.edit.text, one.by, one.likelihood) for one in found.repairs],
        "wrong": sorted(wrong),
        "tried": found.tried,
        "s": found.seconds,
        "asked": asked,
    }


def _asked_once(place: TestingPlace, file: PythonFile, right: str, test: str, model: CodeModel) -> dict[str, Any]:
    """The base line: the model writes the whole program in one go."""
    began = time.perf_counter()
    answer = model.answer("You are a helpful assistant.", _ASKED.format(text=_code(file.text)), tokens=400)
    block = _BLOCK.search(answer)
    text = block[1] if block else answer
    valid = parsed(text) is not None
    (run,) = place.run([test], [{file.path: text}], test_seconds=2.0, variant_seconds=10.0, stop_at_first=True) if valid else (None,)
    repaired = run is not None and run.all_passed
    return {"repaired": repaired, "same": repaired and _same(text, right), "valid": valid, "s": time.perf_counter() - began}


def _rank(found: FoundBug, wrong: set[int], key: Any) -> int:
    """The place of the first faulty line, counted from 1; 999 where it is not among the lines."""
    order = sorted(found.suspects, key=key) if key is not None else found.suspects
    return next((place for place, one in enumerate(order, start=1) if one.line in wrong), 999)


def _code(text: str) -> str:
    """A program without the description behind its function."""
    tree = ast.parse(text)
    last = max((node.end_lineno or 0 for node in tree.body if not _is_text(node)), default=0)
    return "\n".join(text.split("\n")[:last])


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _same(text: str, right: str) -> bool:
    tree = parsed(_code(text)) if parsed(text) is not None else None
    return tree is not None and ast.dump(tree) == ast.dump(ast.parse(_code(right)))


def _share(count: int, n: int) -> str:
    return f"{count} ({count / n:.0%})"


def _repaired(found: Sequence[dict[str, Any]], key: str, same: str | None, n: int) -> tuple[str, str, str]:
    count = sum(one[key] for one in found)
    low, high = wilson(count, n)
    return _share(count, n), f"{low:.0%} to {high:.0%}", str(sum(one[same] for one in found)) if same else ""
