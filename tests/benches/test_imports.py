"""What benches take from smidgen is there: most of it is imported where it is used, which no other test runs."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"
OWN = [*BENCH.glob("*.py"), *BENCH.glob("[a-z]*/*.py")]
"""Not the environments of peers, which lie beside them."""
FILES = sorted(file for file in OWN if "from smidgen" in file.read_text(encoding="utf-8"))


def taken(file: Path) -> set[tuple[str, str]]:
    """Every (module, name) that a file imports from smidgen, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").split(".")[0] == "smidgen":
            found |= {(str(node.module), alias.name) for alias in node.names}
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(BENCH).as_posix())
def test_every_name_is_there(file: Path) -> None:
    names = taken(file)
    assert names
    assert [f"{module}.{name}" for module, name in sorted(names) if not there(module, name)] == []


def there(module: str, name: str) -> bool:
    if hasattr(importlib.import_module(module), name):
        return True
    try:
        importlib.import_module(f"{module}.{name}")
    except ModuleNotFoundError:
        return False
    return True


def test_a_name_that_is_gone_is_seen() -> None:
    assert not there("smidgen.students.vocabulary", "kept_ids")
    assert there("smidgen.students.vocabulary", "trim_decoder") and there("smidgen.students", "vocabulary")
