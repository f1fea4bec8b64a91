"""Tests that a model wrote: shown only if they hold on the code and notice a fault in it."""

from __future__ import annotations

from typing import Any

import pytest

from smidgen.code.flows.made_tests import made_tests, subjects_of, written_file
from smidgen.code.flows.repository_place import OpenedCode
from smidgen.core.errors import InputError

ANSWER = """```python
from shop import most

def test_many():
    assert most(3, 5) == 3
    assert most(9, 5) == 9
    assert most(1, 5) == 4
    assert most(1, 5) is not None

def test_error():
    assert most() == 1

def test_nothing():
    most(1, 2)

def test_network():
    import socket
    socket.create_connection(("192.0.2.1", 80))
    assert most(3, 5) == 3
```"""


def test_only_tests_that_hold_and_notice_a_fault_are_kept(shop: OpenedCode, told_model: Any) -> None:
    function = subjects_of(shop.file, "most")[0]
    model = told_model(answers=[ANSWER, "Sorry."])
    made = made_tests(shop, function, model, samples=2)
    assert "def most(value, high):" in model.asked[0] and "from shop import most" in model.asked[0]
    assert {test.body.strip() for test in made.tests} == {"assert most(3, 5) == 3", "assert most(9, 5) == 9"}
    assert made.thrown == {
        **{"not valid Python": 1, "expects something else than the code does": 1, "ends with an error": 2},
        **{"notices no fault": 1, "notices no fault that the others miss": 1},
    }
    assert 1 < made.noticed < made.faults
    text = written_file([made])
    assert text.startswith("from shop import most\n\n\ndef test_most_1():\n    assert most(")
    runs = shop.place.run(["test_made.py"], [{"test_made.py": text}])
    assert runs[0].all_passed and len(runs[0].tests) == 2


def test_where_nothing_holds_nothing_is_shown(shop: OpenedCode, told_model: Any) -> None:
    made = made_tests(shop, subjects_of(shop.file, "doubled")[0], told_model(answers=["I cannot."]), samples=1)
    assert (made.tests, made.noticed, dict(made.thrown)) == ((), 0, {"not valid Python": 1})


def test_a_function_that_is_not_there_is_said(shop: OpenedCode) -> None:
    assert [one.name for one in subjects_of(shop.file, None)] == ["most", "doubled"]
    with pytest.raises(InputError, match="most, doubled"):
        subjects_of(shop.file, "mos")
