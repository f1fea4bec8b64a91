"""A test that asserts something "for each X" also says how many X it saw: over nothing, every such assertion holds."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .conftest import ROOT

Function = ast.FunctionDef | ast.AsyncFunctionDef
WRITTEN_OUT = {"zip", "enumerate", "sorted", "reversed", "list", "tuple", "set", "dict"}
COUNTED = {"len", "sum", "set", "sorted"}


def test_loops_say_how_many_they_saw() -> None:
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    loops, faults = 0, []
    for file in files:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        constants = written_out_names(tree.body)
        within = [node for owner in tree.body if isinstance(owner, ast.ClassDef) for node in owner.body]
        for function in (node for node in [*tree.body, *within] if isinstance(node, Function) and node.name.startswith("test_")):
            known = constants | written_out_names(function.body)
            for loop in asserting_loops(function):
                loops += 1
                if not sure(loop.iter, known) and not counts(function):
                    faults.append(f"{file.relative_to(ROOT).as_posix()}:{loop.lineno} {ast.unparse(loop.iter)[:60]}")
    assert len(files) > 15
    assert loops > 15
    assert faults == []


def test_the_rule_sees_what_it_is_for() -> None:
    bad = "def test_x():\n    for file in folder.glob('*'):\n        assert file"
    good = bad + "\n    assert len(found) == 3"
    counter = "def test_x():\n    seen = 0\n    for file in folder.glob('*'):\n        seen += 1\n        assert file\n    assert seen == 3"
    literal = "def test_x():\n    for number in (1, 2):\n        assert number"
    verdicts = []
    for text in (bad, good, counter, literal):
        (function,) = ast.parse(text).body
        assert isinstance(function, ast.FunctionDef)
        (loop,) = asserting_loops(function)
        verdicts.append(sure(loop.iter, set()) or counts(function))
    assert verdicts == [False, True, True, True]


def asserting_loops(function: Function) -> list[ast.For]:
    """The function's outermost loops that assert inside."""
    loops = [
        node for node in ast.walk(function) if isinstance(node, ast.For) and any(isinstance(inner, ast.Assert) for inner in ast.walk(node))
    ]
    inner = {id(nested) for loop in loops for nested in ast.walk(loop) if nested is not loop}
    return [loop for loop in loops if id(loop) not in inner]


def written_out_names(body: list[ast.stmt]) -> set[str]:
    """Names that are given a value which is written out in the file: one sees how many there are."""
    found: set[str] = set()
    for node in _statements(body):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None and sure(node.value, found):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


def sure(iterable: ast.expr, known: set[str]) -> bool:
    """Whether an iterable is written out, so that it cannot be empty without anyone noticing."""
    if isinstance(iterable, ast.Tuple | ast.List | ast.Set | ast.Dict):
        elements = iterable.keys if isinstance(iterable, ast.Dict) else iterable.elts
        return any(not isinstance(element, ast.Starred) for element in elements if element is not None)
    if isinstance(iterable, ast.Name):
        return iterable.id in known
    if isinstance(iterable, ast.Constant):
        return bool(iterable.value)
    if (
        isinstance(iterable, ast.Call)
        and isinstance(iterable.func, ast.Attribute)
        and iterable.func.attr in ("items", "keys", "values", "split")
    ):
        return sure(iterable.func.value, known)
    if isinstance(iterable, ast.Call) and isinstance(iterable.func, ast.Name):
        name, arguments = iterable.func.id, iterable.args
        if name == "range":
            return all(isinstance(argument, ast.Constant) or sure(argument, known) for argument in arguments)
        if name == "zip":  # strict, or every one of them sure
            strict = any(keyword.arg == "strict" and ast.unparse(keyword.value) == "True" for keyword in iterable.keywords)
            return (any if strict else all)(sure(argument, known) for argument in arguments)
        return name in WRITTEN_OUT and bool(arguments) and sure(arguments[0], known)
    return False


def counts(function: Function) -> bool:
    """Whether an assertion speaks of a number of things: a length, a sum, a counter, or a whole collection at once."""
    counters = {node.target.id for node in ast.walk(function) if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name)}
    for check in (node for node in ast.walk(function) if isinstance(node, ast.Assert)):
        for node in ast.walk(check.test):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in COUNTED:
                return True
            if isinstance(node, ast.Name) and node.id in counters:
                return True
    return False


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        yield statement
        for inner in ("body", "orelse", "finalbody"):
            yield from _statements(getattr(statement, inner, []) if not isinstance(statement, ast.FunctionDef | ast.ClassDef) else [])
