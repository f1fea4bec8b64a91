"""Small edits of source: each valid, each on its line, and the usual faults among them."""

from __future__ import annotations

import ast

from smidgen.code.edits import LineEdit, edits_of
from smidgen.code.own_code import PythonFile

TEXT = """def find(values, wanted):
    low, high = 0, len(values)
    while low < high:
        middle = (low + high) // 2
        if values[middle] == wanted and high:
            return min(values[low:high])
        low += 1
    return None


def ä(é):
    return é > 3  # ö
"""


def _on(line: int) -> set[str]:
    file = PythonFile("a.py", TEXT)
    return {edit.text.strip() for edit in edits_of(file, [line])}


def test_the_usual_faults_are_among_them() -> None:
    wanted = {
        2: {"low, high = 1, len(values)", "low, high = 0, len(wanted)", "pass"},
        3: {"while low <= high:", "while low > high:", "while not (low < high):", "while low < high - 1:"},
        4: {"middle = (low - high) // 2", "middle = (low + high) / 2", "middle = (low + high) // 3", "middle = low + high"},
        5: {
            "if values[middle] != wanted and high:",
            "if values[middle] == wanted or high:",
            "if high:",
            "if values[middle + 1] == wanted and high:",
        },
        6: {"return max(values[low:high])", "return min(values[low + 1:high])", "return min(values[:high])", "return None"},
        7: {"low -= 1", "low = 1", "low += 2"},
        8: {"return True"},
        12: {"return é >= 3  # ö", "return é > 4  # ö", "return é - 1 > 3  # ö"},
    }
    assert {line: missing for line, edits in wanted.items() if (missing := edits - _on(line))} == {}


def test_each_edit_is_valid_and_changes_its_line_alone() -> None:
    file = PythonFile("a.py", TEXT)
    edits = edits_of(file, range(1, 14))
    for edit in edits:
        made = edit.made(file.lines)
        ast.parse(made)
        changed = [number for number, (old, new) in enumerate(zip(file.lines, made.split("\n"), strict=True), start=1) if old != new]
        assert changed == [edit.line]
    assert len(edits) == len(set(edits)) > 60


def test_what_is_called_keeps_its_name() -> None:
    assert not any("high(values)" in text or "len + 1" in text for text in _on(2))


def test_an_inserted_line_comes_before() -> None:
    assert LineEdit(2, "b", inserted=True).made(["a", "c"]) == "a\nb\nc"
