"""Write tests: a model writes many, and those are shown that hold on the code and notice a fault in it."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smidgen.code.candidate_tests import BLIND, NEEDLESS, CandidateTest, candidates_in, chosen, noticed, standing
from smidgen.code.edits import edits_of
from smidgen.code.flows.code_model import CodeModel
from smidgen.code.flows.repository_place import OpenedCode
from smidgen.code.own_code import AnyFunction, PythonFile
from smidgen.core.errors import InputError
from smidgen.core.progress import Progress, Silent
from smidgen.core.rows import evenly

_INSTRUCTION = "You write short pytest tests in Python. You answer with one block of code."
_ASKED = (
    "Write pytest tests for `{name}`, which is in the module `{module}`:\n\n```python\n{source}\n```\n\n"
    "Write {count} small test functions. Each calls `{name}` with other arguments and has one assert. Begin with: {subject}"
)
_COUNT = 6
_WARM = 0.7
_MOST_FAULTS = 40
_MOST_SUBJECTS = 5
_MOST_SOURCE = 4_000
"""Characters of a function that the model reads."""


@dataclass(frozen=True, slots=True)
class MadeTests:
    """The tests of one function.

    Attributes:
        subject: its name.
        imported: the line that imports it.
        tests: those that hold and notice a fault.
        thrown: how many others were thrown away, by reason.
        noticed, faults: how many of the faults that were put into it the tests notice together.
    """

    subject: str
    imported: str
    tests: tuple[CandidateTest, ...]
    thrown: Mapping[str, int]
    noticed: int
    faults: int

    def functions(self) -> str:
        """The tests as functions, one after the other."""
        return "\n\n".join(test.function(f"test_{self.subject}_{number}") for number, test in enumerate(self.tests, start=1))

    def json(self) -> dict[str, Any]:
        """The tests, JSON-ready."""
        return {
            "function": self.subject,
            "tests": [test.text(f"test_{self.subject}_{number}", self.imported) for number, test in enumerate(self.tests, start=1)],
            "thrown_away": dict(self.thrown),
            "faults_noticed": self.noticed,
            "faults": self.faults,
        }


def subjects_of(file: PythonFile, name: str | None) -> Sequence[AnyFunction]:
    """The functions to test: the one of this name, or the first public ones. Raises InputError if there is none."""
    functions = [node for node in (file.tree.body if file.tree is not None else ()) if isinstance(node, ast.FunctionDef)]
    found = [one for one in functions if one.name == name] if name else [one for one in functions if not one.name.startswith("_")]
    if not found:
        there = ", ".join(one.name for one in functions) or "none"
        raise InputError("code.no_such_top_level_function", value=name or file.path, there=there)
    return found[:_MOST_SUBJECTS]


def made_tests(
    opened: OpenedCode, function: AnyFunction, model: CodeModel, *, samples: int = 3, progress: Progress | None = None
) -> MadeTests:
    """Write tests of one function.

    Args:
        opened: the file of the function.
        function: the function.
        model: writes them.
        samples: answers of the model.
        progress: of the steps.
    """
    progress = progress or Silent()
    file, place, module = opened.file, opened.place, opened.module
    subject, name = f"from {module} import {function.name}", function.name
    progress.start(f"writing tests of {name}")
    written, thrown = _written(file, module, function, model, samples)
    progress.finish(f"{len(written)}")
    names = {f"test_{number}": test for number, test in enumerate(written)}
    files = {f"test_smidgen_{key}.py": test.text(key, subject) for key, test in names.items()}
    progress.start("running them")
    runs = place.run(list(files), [files, files]) if files else []
    told = standing(list(names), runs)
    held = [key for key, why in told.items() if not why]
    faults = _faults(file, function)
    tests = [f"test_smidgen_{key}.py" for key in held]
    broken = place.run(tests, [{**files, file.path: text} for text in faults], test_seconds=1.0, variant_seconds=10.0) if held else []
    notices = {key: noticed(key, broken) for key in held}
    kept = chosen(notices) if notices else []
    progress.finish(f"{len(kept)} hold and notice a fault")
    why = Counter([*thrown, *(one for one in told.values() if one)])
    why.update(NEEDLESS if notices[key] else BLIND for key in held if key not in kept)
    together = frozenset[int]().union(*notices.values()) if notices else frozenset()
    return MadeTests(name, subject, tuple(names[key] for key in kept), dict(why), len(together), len(faults))


def _written(
    file: PythonFile, module: str, function: AnyFunction, model: CodeModel, samples: int
) -> tuple[list[CandidateTest], Sequence[str]]:
    source = "\n".join(file.lines[function.lineno - 1 : function.end_lineno])
    asked = _ASKED.format(
        name=function.name, module=module, source=source[:_MOST_SOURCE], count=_COUNT, subject=f"from {module} import {function.name}"
    )
    found: dict[CandidateTest, None] = {}
    thrown = []
    for sample in range(samples):
        tests, bad = candidates_in(model.answer(_INSTRUCTION, asked, temperature=_WARM if sample else 0.0, seed=sample), function.name)
        found |= dict.fromkeys(tests)
        thrown += bad
    return list(found), thrown


def _faults(file: PythonFile, function: AnyFunction) -> list[str]:
    """The file with one small fault each in the function's body."""
    lines = range(function.body[0].lineno, (function.end_lineno or function.lineno) + 1)
    return [edit.made(file.lines) for edit in evenly(edits_of(file, list(lines)), _MOST_FAULTS)]


def written_file(made: Sequence[MadeTests]) -> str:
    """One test file of all tests."""
    lines = dict.fromkeys(line for one in made for test in one.tests for line in test.imports)
    subjects = dict.fromkeys(one.imported for one in made if one.tests)
    return "\n".join([*lines, *subjects, "", "", "\n\n".join(one.functions() for one in made if one.tests)])
