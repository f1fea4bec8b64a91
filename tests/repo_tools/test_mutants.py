"""Every hand-made fault still fits the source: whoever moves or changes that code mends the mutant with it."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import Path

import pytest
from tests.house.conftest import ROOT
from tools.mutants import Mutant, Unfit, mutants, mutated, sources
from tools.mutants.__main__ import Copy

SOURCE = "def spent(a, b):\n    if a > b:\n        return a\n\n    return b\n"


def test_every_mutant_applies_and_is_python() -> None:
    texts, every = sources(), mutants()
    rooms = set()
    for mutant in every:
        file, faulty = mutated(mutant, texts)
        assert faulty != texts[file], f"{mutant.id} changes nothing"
        ast.parse(faulty)
        assert len(mutant.breaks) > 20 and mutant.breaks.endswith("."), f"{mutant.id} does not say what it breaks"
        rooms.add(file.relative_to(ROOT / "src" / "smidgen").parts[0])
    assert len(every) >= 40
    there = {folder.name for folder in (ROOT / "src" / "smidgen").iterdir() if any(folder.glob("*.py"))}
    assert there - rooms == set(), "these rooms have no mutant"


def test_the_tests_of_a_mutant_are_there() -> None:
    seen = 0
    for mutant in mutants():
        assert mutant.tests, f"{mutant.id} names no tests"
        for test in mutant.tests:
            name, _, function = test.partition("::")
            place = ROOT / name
            assert place.exists(), f"{mutant.id}: {name} is gone; name the tests that catch it now"
            text = place.read_text(encoding="utf-8") if place.is_file() else ""
            assert not function or re.search(rf"def {re.escape(function)}\b", text), f"{mutant.id}: {test} is gone"
            seen += 1
    assert seen >= 40


def test_the_gate_runs_the_tests_of_a_mutant() -> None:
    """`make test` leaves out what is marked thorough, and must catch every mutant all the same."""
    seen = 0
    for mutant in mutants():
        for test in mutant.tests:
            name, _, function = test.partition("::")
            if not function:
                continue
            long = thorough((ROOT / name).read_text(encoding="utf-8"))
            assert function not in long and "" not in long, f"{mutant.id}: {test} is thorough, so `make test` does not run it"
            seen += 1
    assert seen >= 40


def thorough(text: str) -> set[str]:
    """The functions of a file of tests that are marked thorough; "" stands for the whole file."""
    found = set()
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef):
            # Of a test whose longer parameters are marked the gate runs the others.
            if any(ast.unparse(mark).startswith("pytest.mark.thorough") for mark in node.decorator_list):
                found.add(node.name)
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark" and "mark.thorough" in ast.unparse(node.value):
            found.add("")
    return found


def test_marks_are_found_on_functions_and_on_files() -> None:
    assert thorough("@pytest.mark.thorough\n@pytest.mark.skipif(x)\ndef test_a():\n    pass\n\ndef test_b():\n    pass\n") == {"test_a"}
    assert thorough("pytestmark = [pytest.mark.thorough]\n") == {""}
    some = "@pytest.mark.parametrize('a', [1, pytest.param(2, marks=pytest.mark.thorough)])\ndef test_a(a):\n    pass\n"
    assert thorough(some) == set()


@pytest.mark.parametrize("indent", ["", "        "])
def test_a_snippet_is_found_at_any_indentation_and_keeps_it(indent: str) -> None:
    text = "".join(f"{indent}{line}\n" if line else "\n" for line in SOURCE.splitlines())
    mutant = Mutant(
        "id", "room", "It breaks.", "\nif a > b:\n    return a\n\nreturn b\n", "\nif a >= b:\n    return a\n\nreturn b\n", ("t",)
    )
    file, faulty = mutated(mutant, {Path("a.py"): text, Path("b.py"): "x = 1\n"})
    assert file == Path("a.py")
    assert faulty == text.replace("a > b", "a >= b")


@pytest.mark.parametrize(("find", "times"), [("return c", 0), ("return", 0), ("x = 1", 2)])
def test_a_snippet_that_is_gone_or_not_alone_is_named(find: str, times: int) -> None:
    texts = {Path("a.py"): SOURCE, Path("b.py"): "x = 1\n", Path("c.py"): "def f():\n    x = 1\n"}
    with pytest.raises(Unfit, match=rf"room.toml: id: its snippet occurs {times} times"):
        mutated(Mutant("id", "room", "It breaks.", find, "pass", ("t",)), texts)


FAULT = Mutant("id", "room", "It breaks.", "if a > b:", "if a < b:", ("tests/test_spent.py",))


@pytest.mark.parametrize(
    ("mutant", "all_tests", "verdict", "by"),
    [
        (FAULT, True, "caught", "tests/test_spent.py::test_the_larger"),
        (replace(FAULT, tests=("tests/test_other.py",)), False, "survived", ""),
        (replace(FAULT, replace="if a b:"), False, "broken", "pytest ended with"),
        (replace(FAULT, find="if c:"), False, "broken", "its snippet occurs 0 times"),
    ],
    ids=["caught", "survived", "no Python", "no such code"],
)
def test_a_mutant_is_caught_by_a_failing_test_and_by_nothing_else(
    mutant: Mutant, all_tests: bool, verdict: str, by: str, tmp_path: Path
) -> None:
    source = tmp_path / "src" / "smidgen" / "spent.py"
    source.parent.mkdir(parents=True)
    source.write_text(SOURCE, encoding="utf-8")
    (tmp_path / "tests").mkdir()
    load = f"import runpy\nspent = runpy.run_path({str(source)!r})['spent']\n"
    for name, body in (("spent", "def test_the_larger():\n    assert spent(2, 1) == 2\n"), ("other", "def test_nothing():\n    pass\n")):
        (tmp_path / "tests" / f"test_{name}.py").write_text(load + body, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    found = Copy(tmp_path).judged(mutant, all_tests, 300)
    assert (found.verdict, found.by) == (verdict, by) or (verdict == "broken" == found.verdict and by in found.by)
    assert source.read_text(encoding="utf-8") == SOURCE, "the source is put back"


def test_what_was_compiled_of_a_text_is_not_taken_for_a_fault_of_the_same_length(tmp_path: Path) -> None:
    source, copy = tmp_path / "src" / "smidgen" / "spent.py", Copy(tmp_path)
    source.parent.mkdir(parents=True)
    source.write_text(SOURCE, encoding="utf-8")
    times = [int(source.stat().st_mtime)]
    for _ in range(2):
        with copy.faulty(FAULT):
            times.append(int(source.stat().st_mtime))
            assert source.stat().st_size == len(SOURCE)
        times.append(int(source.stat().st_mtime))
    assert len(set(times)) == 5


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ('[[mutant]]\nid = "a"\nfind = "x"\nreplace = "y"\ntests = []\n', "a: missing or unknown: breaks"),
        ('[[mutant]]\nid = "a"\nbreaks = "It."\nfind = "x"\nreplace = "y"\ntests = []\n' * 2, "a: the id stands twice"),
        ('[[mutant]]\nid = "a"\nbreaks = "It."\nfind = "x"\nreplace = "y"\ntests = []\nfile = "f"\n', "unknown: file"),
    ],
)
def test_a_table_that_is_written_wrongly_is_named(tables: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "room.toml").write_text(tables, encoding="utf-8")
    with pytest.raises(Unfit, match=message):
        mutants(tmp_path)
