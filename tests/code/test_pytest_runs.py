"""Tests that are run in the sandbox: outcomes, lines, variants, and what they must not do."""

from __future__ import annotations

from pathlib import Path

import pytest

from smidgen.code.pytest_runs import TestingPlace, import_paths
from smidgen.core.errors import InputError
from smidgen.machine.sandbox import interpreter, why_not_confined

CALC = "def add(a, b):\n    if a > 5:\n        return a - b\n    return a + b\n"
TESTS = """import os, socket
import pytest
from calc import add

def test_right(): assert add(1, 2) == 3
def test_wrong(): assert add(6, 2) == 8
def test_endless():
    while True: pass
def test_network(): socket.create_connection(("192.0.2.1", 80), 1)
@pytest.mark.skip
def test_left_out(): pass
def test_leaves(): os._exit(0)
def test_never(): pass
"""


@pytest.mark.skipif(bool(why_not_confined()), reason="no sandbox here")
def test_outcomes_lines_and_variants(tmp_path: Path) -> None:
    (tmp_path / "calc.py").write_text(CALC, encoding="utf-8")
    (tmp_path / "test_calc.py").write_text(TESTS, encoding="utf-8")
    place = TestingPlace(tmp_path, ["calc.py", "test_calc.py"], interpreter(), ["."])
    mended = CALC.replace("a - b", "a + b")
    first, second, third, last = place.run(
        ["test_calc.py"],
        [{}, {"calc.py": mended, "test_calc.py": TESTS.split("def test_endless")[0]}, {"calc.py": "x("}, {"test_calc.py": "x = 1\n"}],
        trace="calc.py",
        test_seconds=0.5,
    )
    assert {test.name.partition("::")[2]: test.outcome for test in first.tests} == {
        **{"test_right": "passed", "test_wrong": "failed", "test_endless": "time"},
        **{"test_network": "failed", "test_left_out": "skipped"},
    }
    assert first.ended == "died" and not first.all_passed
    assert first.tried == ["the network"]
    lines = {test.name.partition("::")[2]: test.lines - {1} for test in first.tests}
    assert (lines["test_right"], lines["test_wrong"]) == ({2, 4}, {2, 3})
    assert "assert 4 == 8" in first.tests[1].said and "Network is unreachable" in first.tests[3].said
    assert second.all_passed
    assert [(test.outcome, "SyntaxError" in test.said) for test in third.tests] == [("error", True)]
    assert not last.tests and not last.all_passed


FAILS = "\ndef test_wrong(): assert 1 == 2\n"
LINE = '{"test": "test_x.py::test_wrong", "outcome": "passed", "said": "", "lines": [], "seconds": 0}'
FORGED = {
    "leaves": "import os\ndef test_a(): os._exit(0)" + FAILS,
    "leaves while it is read": "import os\nos._exit(0)" + FAILS,
    "asks to leave": "import sys\ndef test_a(): sys.exit(0)" + FAILS,
    "leaves at the end": "import atexit, os\natexit.register(os._exit, 0)" + FAILS,
    "writes everywhere": f"""import os
def test_a():
    for held in range(3, 256):
        for line in ({LINE!r}, '{{"variant": 0, "end": ""}}'):
            try: os.write(held, (line + chr(10)).encode())
            except OSError: pass
    os._exit(0)
{FAILS}""",
    "goes on twice": "import os\ndef test_a(): os.fork() or os._exit(0)" + FAILS,
    "leaves tests out": "import pytest\ndef test_a(request): request.session.items.clear(); pytest.exit('enough', 0)" + FAILS,
}


@pytest.mark.skipif(bool(why_not_confined()), reason="no sandbox here")
def test_no_test_can_tell_its_own_result(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text("def test_ok(): pass\n", encoding="utf-8")
    place = TestingPlace(tmp_path, ["test_x.py"], interpreter(), ["."])
    runs = place.run(["test_x.py"], [*({"test_x.py": text} for text in FORGED.values()), {}], variant_seconds=10)
    assert [name for name, run in zip(FORGED, runs, strict=False) if run.all_passed] == []
    assert not any(test.name.endswith("test_wrong") and test.outcome == "passed" for run in runs for test in run.tests)
    assert runs[-1].all_passed, "what follows is believed again"


def test_where_imports_start_from() -> None:
    files = ["pyproject.toml", "src/shop/__init__.py", "src/shop/till/__init__.py", "src/shop/till/pay.py", "tools/x.py"]
    assert import_paths(files, "src/shop/till/pay.py") == ("shop.till.pay", ["src", "."])
    assert import_paths(files, "src/shop/till/__init__.py") == ("shop.till", ["src", "."])
    assert import_paths(files, "tools/x.py") == ("x", ["tools", ".", "src"])
    with pytest.raises(InputError, match="imported"):
        import_paths(["my-file.py"], "my-file.py")
