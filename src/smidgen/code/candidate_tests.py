"""Tests that a model wrote: cut into small ones, and told apart by what becomes of them when they are run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from smidgen.code.own_code import AnyFunction, parsed
from smidgen.code.pytest_runs import LATE, PASSED, RanTest, RanVariant

_BLOCK = re.compile(r"```(?:python|py)?\s*\n(.*?)(?:```|\Z)", re.DOTALL)
_ASSERTED = ("assert ", "AssertionError", "Failed: DID NOT RAISE")
_TOO_LONG = 1_500
INVALID, OTHER, WRONG, FAULTY, SLOW, UNSTEADY, BLIND, NEEDLESS = (
    "not valid Python",
    "does not use the function",
    "expects something else than the code does",
    "ends with an error",
    "takes too long",
    "does not hold each time",
    "notices no fault",
    "notices no fault that the others miss",
)
"""Why a test is thrown away."""


@dataclass(frozen=True, slots=True)
class CandidateTest:
    """A test: the import lines that it needs, and its body, statements with the indentation of a function's."""

    imports: tuple[str, ...]
    body: str

    def text(self, name: str, subject: str) -> str:
        """A test file with this test alone. `subject`: the line that imports what is tested."""
        return "\n".join([subject, *self.imports, "", "", self.function(name)])

    def function(self, name: str) -> str:
        """The test as a function of this name."""
        return f"def {name}():\n{self.body}\n"


def candidates_in(answer: str, subject: str) -> tuple[list[CandidateTest], list[str]]:
    """The tests in a model's answer, each with one assertion where it can be cut so, and why others are thrown away.

    Args:
        answer: may have the code in a block, and may be cut off.
        subject: the name of what is tested.
    """
    blocks = _BLOCK.findall(answer) or [answer]
    found: dict[CandidateTest, None] = {}
    thrown: list[str] = []
    for block in blocks:
        tree = _longest_valid(block)
        if tree is None:
            thrown.append(INVALID)
            continue
        imports = tuple(ast.unparse(node) for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom) and _harmless(node))
        for function in _tests(tree):
            if any(isinstance(node, AnyFunction | ast.ClassDef) and node.name == subject for node in ast.walk(tree)) or function.args.args:
                thrown.append(OTHER)
                continue
            for body in _parts(function):
                if not any(
                    isinstance(node, ast.Name | ast.Attribute) and _name_of(node) == subject for one in body for node in ast.walk(one)
                ):
                    thrown.append(OTHER)
                    continue
                text = "\n".join(f"    {line}" for node in body for line in ast.unparse(node).split("\n"))
                if len(text) <= _TOO_LONG:
                    found.setdefault(CandidateTest(imports, text))
    return list(found), thrown


def _name_of(node: ast.Name | ast.Attribute) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr


def _longest_valid(block: str) -> ast.Module | None:
    """The tree of a text, or of its beginning where its end was cut off."""
    lines = block.rstrip().split("\n")
    for end in range(len(lines), 0, -1):
        if (tree := parsed("\n".join(lines[:end]))) is not None:
            return tree if tree.body else None
    return None


def _harmless(node: ast.Import | ast.ImportFrom) -> bool:
    """Whether an import is of a module whose name a test needs; what is tested is imported apart."""
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
    return all(name.partition(".")[0] in _KNOWN for name in names) and not getattr(node, "level", 0)


_KNOWN = frozenset(
    ("collections", "copy", "datetime", "decimal", "fractions", "functools", "itertools", "json", "math", "pytest", "re", "string")
)
"""Modules that a test may import."""


def _tests(tree: ast.Module) -> Iterator[AnyFunction]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            yield node


def _parts(function: AnyFunction) -> list[list[ast.stmt]]:
    """The body, once for each assertion at its top level: with the statements before it that are no assertions."""
    body = [node for node in function.body if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))]
    asserted = [number for number, node in enumerate(body) if isinstance(node, ast.Assert) or _raises(node)]
    if not asserted:
        return [body] if body else []
    return [[*(one for one in body[:number] if not isinstance(one, ast.Assert) and not _raises(one)), body[number]] for number in asserted]


def _raises(node: ast.stmt) -> bool:
    return isinstance(node, ast.With) and any("raises" in ast.unparse(item.context_expr) for item in node.items)


def standing(names: Sequence[str], runs: Sequence[RanVariant]) -> dict[str, str]:
    """For each test, why it does not stand on the code as it is; empty for one that held each time.

    Args:
        names: of the tests.
        runs: of all tests on the same code.
    """
    told = {}
    for name in names:
        outcomes = [_of(name, run) for run in runs]
        bad = next((one for one in outcomes if one is None or one.outcome != PASSED), None)
        if all(one is not None and one.outcome == PASSED for one in outcomes):
            told[name] = ""
        elif any(one is not None and one.outcome == PASSED for one in outcomes):
            told[name] = UNSTEADY
        elif bad is None or bad.outcome == LATE:
            told[name] = SLOW
        else:
            told[name] = WRONG if bad.said.startswith(_ASSERTED) else FAULTY
    return told


def noticed(name: str, runs: Sequence[RanVariant]) -> frozenset[int]:
    """The faulty variants (by their place) in which an assertion of the test fails. That the code itself breaks does not count."""
    found = ((number, _of(name, run)) for number, run in enumerate(runs))
    return frozenset(number for number, one in found if one is not None and one.outcome != PASSED and one.said.startswith(_ASSERTED))


def _of(name: str, run: RanVariant) -> RanTest | None:
    return next((test for test in run.tests if test.name.endswith(f"::{name}")), None)


def chosen(notices: Mapping[str, frozenset[int]]) -> list[str]:
    """Tests that together notice all that any of them notices: always the one that adds most, the first of equal ones."""
    left, kept = set[int]().union(*notices.values()), list[str]()
    while left:
        best = max(notices, key=lambda name: len(notices[name] & left))
        kept.append(best)
        left -= notices[best]
    return kept
