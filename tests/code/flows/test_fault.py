"""A bug that is found: the lines in their order, and a change with which every test passes."""

from __future__ import annotations

from typing import Any

import pytest

from smidgen.code.flows.fault import find_bug
from smidgen.code.flows.repository_place import OpenedCode
from smidgen.core.errors import InputError


def test_a_change_is_shown_only_if_every_test_passes(shop: OpenedCode, told_model: Any) -> None:
    model = told_model(
        lines={"return value": "return 5", "if value > high:": "if value > high: return high"}, likely={"return value": 0.01}
    )
    found = find_bug(shop.place, shop.file, ["test_shop.py"], model)
    assert [(name, said.splitlines()[0]) for name, said in found.failing] == [("test_shop.py::test_high", "assert 9 == 5")]
    assert found.passing == 1
    assert [one.line for one in found.suspects] == [6, 5]
    repairs = {(one.edit.line, one.edit.text.strip(), one.by) for one in found.repairs}
    assert repairs == {(6, "return 5", "model"), (6, "return high", "edit")}
    assert found.tried > 10
    assert found.json()["lines"][0] == {"line": 6, "source": "        return value", "tests": 1.0, "model": 0.5}


def test_without_a_model_tests_and_usual_edits_alone_count(shop: OpenedCode) -> None:
    found = find_bug(shop.place, shop.file, ["test_shop.py"], None)
    assert found.suspects[0].line == 6
    assert [one.edit.text.strip() for one in found.repairs] == ["return high"]


def test_a_bug_that_no_small_change_mends_has_no_repair(shop: OpenedCode) -> None:
    (shop.place.repository / "test_shop.py").write_text(
        "from shop import doubled\ndef test_it(): assert doubled(3) == 'six'\n", encoding="utf-8"
    )
    assert find_bug(shop.place, shop.file, ["test_shop.py"], None).repairs == ()


@pytest.mark.parametrize(
    ("tests", "said"),
    [
        ("from shop import doubled\ndef test_it(): assert doubled(3) == 6\n", "every test passes"),
        ("def test_it(): assert 1 == 2\n", "no failing test runs a line"),
        ("x = 1\n", "no test was run"),
    ],
)
def test_what_points_at_no_bug_is_refused(shop: OpenedCode, tests: str, said: str) -> None:
    (shop.place.repository / "test_shop.py").write_text(tests, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        find_bug(shop.place, shop.file, ["test_shop.py"], None)
