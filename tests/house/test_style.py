"""The worst habits in docstrings are counted, and the counts only fall. CONTRIBUTING.md, "Style", says how to write."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

MOST = {"What ": 153, "The same": 14, "See above.": 0}
"""The most docstrings that may begin with each. Lower a number when you mend some; never raise one."""


def docstrings(source: Path) -> list[tuple[str, str]]:
    """Every docstring under the folder, with its place."""
    found = []
    for file in sorted(source.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (text := ast.get_docstring(node)):
                found.append((f"{file.relative_to(source)}:{getattr(node, 'lineno', 1)}", text))
    return found


@pytest.mark.parametrize("tic", MOST)
def test_a_habit_only_gets_rarer(root: Path, tic: str) -> None:
    """Equal to the bound, so that a bound is lowered by whoever mends one."""
    seen = docstrings(root / "src" / "smidgen")
    faults = [place for place, text in seen if text.startswith(tic)]
    assert len(seen) > 3000
    assert len(faults) <= MOST[tic], f"{len(faults)} docstrings begin with {tic!r}, {MOST[tic]} may: {faults[-20:]}"
    assert len(faults) == MOST[tic], f"only {len(faults)} docstrings begin with {tic!r} now: lower the bound in MOST"
