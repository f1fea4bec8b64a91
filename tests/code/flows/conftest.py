"""A small shop with a bug, and a model that says what a test tells it to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from smidgen.code.flows.code_model import LineFilling
from smidgen.code.flows.repository_place import OpenedCode, open_code
from smidgen.machine.sandbox import why_not_confined

SHOP = '''"""Prices."""


def most(value, high):
    if value > high:
        return value
    return value


def doubled(value):
    return value * 2
'''
TESTS = """from shop import most
def test_high(): assert most(9, 5) == 5
def test_under(): assert most(3, 5) == 3
"""


@dataclass
class ToldModel:
    """Stands for a model. `lines`: what it writes in place of a line; others it leaves. `likely`: of texts. `answers`: one by one."""

    lines: Mapping[str, str] = field(default_factory=dict)
    likely: Mapping[str, float] = field(default_factory=dict)
    answers: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def fill(self, ahead: str, behind: str, *, temperature: float = 0.0, seed: int = 0, tokens: int = 48) -> LineFilling:
        """The text for the line that stands in the shop between these."""
        line = SHOP[len(ahead) : len(SHOP) - len(behind)]
        self.asked.append(line)
        return LineFilling(self.lines.get(line, line), 0.9)

    def likelihood(self, ahead: str, behind: str, text: str) -> float:
        """As told; else 0.9."""
        return self.likely.get(text, 0.9)

    def answer(self, instruction: str, asked: str, *, temperature: float = 0.0, seed: int = 0, tokens: int = 512) -> str:
        """The next of the answers."""
        self.asked.append(asked)
        return self.answers.pop(0)


@pytest.fixture
def shop(tmp_path: Path) -> OpenedCode:
    """The shop, opened. Skips where there is no sandbox."""
    if why_not_confined():
        pytest.skip("no sandbox here")
    (tmp_path / "shop.py").write_text(SHOP, encoding="utf-8")
    (tmp_path / "test_shop.py").write_text(TESTS, encoding="utf-8")
    return open_code(tmp_path, "shop.py", None)


@pytest.fixture
def told_model() -> type[ToldModel]:
    """Makes a model that says what it is told."""
    return ToldModel
