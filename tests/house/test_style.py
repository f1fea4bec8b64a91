"""The worst habits in docstrings are counted, and the counts only fall. CONTRIBUTING.md, "Style", says how to write."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from .conftest import ROOT

MOST = {"What ": 0, "The same": 0, "See above.": 0}
"""The most docstrings that may begin with each. Lower a number when you mend some; never raise one."""


@pytest.fixture(scope="module")
def docstrings(nodes: dict[Path, list[ast.AST]]) -> list[tuple[str, str]]:
    """Every docstring of the source, with its place."""
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    return [
        (f"{file.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}", text)
        for file, every in nodes.items()
        for node in every
        if isinstance(node, documented) and (text := ast.get_docstring(node))
    ]


@pytest.mark.parametrize("tic", MOST)
def test_a_habit_only_gets_rarer(docstrings: list[tuple[str, str]], tic: str) -> None:
    """Equal to the bound, so that a bound is lowered by whoever mends one."""
    faults = [place for place, text in docstrings if text.startswith(tic)]
    assert len(docstrings) > 3000
    assert len(faults) <= MOST[tic], f"{len(faults)} docstrings begin with {tic!r}, {MOST[tic]} may: {faults[-20:]}"
    assert len(faults) == MOST[tic], f"only {len(faults)} docstrings begin with {tic!r} now: lower the bound in MOST"
