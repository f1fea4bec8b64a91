"""`smidgen code`: what a user sees of an explained error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from smidgen.cli.main import code

TOLD = """Traceback (most recent call last):
  File "/app/till.py", line 2, in pay
    return table[name]
           ~~~~~^^^^^^
KeyError: 'bun'
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "till.py").write_text("def pay(table, name):\n    return table[name]\n", encoding="utf-8")
    (tmp_path / "told.txt").write_text(TOLD, encoding="utf-8")
    return tmp_path


def test_an_explained_error_is_printed_with_its_line(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code(["code", "explain", str(repository / "told.txt"), "--repo", str(repository)]) == 0
    said = capsys.readouterr().out
    assert "KeyError: 'bun'" in said and ">    2     return table[name]" in said
    assert "`name` was 'bun'" in said
    assert code(["code", "explain", str(repository / "told.txt"), "--repo", str(repository), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["errors"][0]["places"][0]["file"] == "till.py"


def test_what_cannot_be_explained_is_refused(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code(["code", "improve", "till.py"]) == 2
    assert code(["code", "explain", str(repository / "till.py")]) == 2
    assert code(["code", "explain", str(repository / "nothing.txt")]) == 2
    assert code(["code", "bug", "till.py", "--repo", str(repository)]) == 2
    assert code(["code", "tests"]) == 2
    assert code(["code", "explain", str(repository / "told.txt"), "--repo", str(repository / "nowhere")]) == 2
    assert code(["code", "tests", "other.py", "--repo", str(repository)]) == 2
    assert code(["code", "tests", "till.py", "--repo", str(repository), "--out", str(repository / "till.py")]) == 2
    said = capsys.readouterr().err
    assert "no such task" in said and "no traceback of Python" in said and "no such file" in said
    assert "a Python file is needed" in said and "there is no such folder" in said
    assert "--test tests/test_shop.py" in said and "no such file in the folder" in said and "such a file already" in said
