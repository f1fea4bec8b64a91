"""Tests in a model's answer: how they are cut, and why some are thrown away."""

from __future__ import annotations

from smidgen.code.candidate_tests import (
    FAULTY,
    INVALID,
    OTHER,
    SLOW,
    UNSTEADY,
    WRONG,
    CandidateTest,
    candidates_in,
    chosen,
    noticed,
    standing,
)
from smidgen.code.pytest_runs import RanTest, RanVariant

ANSWER = '''Here are the tests:

```python
import pytest
import requests
from shop import total

def test_total():
    """Adds."""
    basket = [1, 2]
    assert total(basket) == 3
    assert total([]) == 0

def test_total_of_none():
    with pytest.raises(TypeError):
        total(None)

def test_other():
    assert 1 == 1

def total(x):
    return 3

def test_broken():
    assert total([1, 2'''


def _run(**outcomes: str) -> RanVariant:
    said = {"failed": "assert 1 == 2", "error": "NameError: x"}
    return RanVariant(
        [RanTest(f"test_smidgen_{name}.py::{name}", one, said.get(one, ""), frozenset()) for name, one in outcomes.items()], [], ""
    )


def test_an_answer_is_cut_into_tests_of_one_assertion() -> None:
    tests, thrown = candidates_in(ANSWER.replace("def total(x):\n    return 3\n", ""), "total")
    assert tests == [
        CandidateTest(("import pytest",), "    basket = [1, 2]\n    assert total(basket) == 3"),
        CandidateTest(("import pytest",), "    basket = [1, 2]\n    assert total([]) == 0"),
        CandidateTest(("import pytest",), "    with pytest.raises(TypeError):\n        total(None)"),
    ]
    assert thrown == [OTHER]
    assert (
        tests[0].text("test_1", "from shop import total").startswith("from shop import total\nimport pytest\n\n\ndef test_1():\n    basket")
    )


def test_a_test_of_something_that_it_defines_itself_is_none() -> None:
    assert candidates_in("def test_a():\n    def total(x):\n        return 3\n    assert total([1]) == 3\n", "total") == ([], [OTHER])
    assert candidates_in("I cannot do this.", "total") == ([], [INVALID])


def test_why_a_test_does_not_stand() -> None:
    first = _run(a="passed", b="failed", c="error", d="time", e="passed")
    second = _run(a="passed", b="failed", c="error", d="time", e="failed")
    assert standing("abcdef", [first, second]) == {"a": "", "b": WRONG, "c": FAULTY, "d": SLOW, "e": UNSTEADY, "f": SLOW}


def test_only_an_assertion_that_fails_notices_a_fault() -> None:
    runs = [_run(a="failed"), _run(a="error"), _run(a="passed"), _run(b="failed"), _run(a="failed")]
    assert noticed("a", runs) == {0, 4}


def test_tests_that_add_nothing_are_left_out() -> None:
    notices = {"a": {1}, "b": {1, 2, 3}, "c": {3, 4}, "d": set(), "e": {4}}
    assert chosen({name: frozenset(found) for name, found in notices.items()}) == ["b", "c"]
