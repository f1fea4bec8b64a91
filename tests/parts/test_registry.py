"""Parts are found by file name, without importing them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from smidgen.core.errors import UnknownPart
from smidgen.parts import registry


def test_names_are_files_that_declare_a_part() -> None:
    assert "classify" in registry.names("tasks")
    assert {"encoder", "linear", "static"} <= set(registry.names("students"))
    assert "settings" not in registry.names("students")


def test_a_file_may_declare_several_parts() -> None:
    assert {"q4-0", "q8-0", "int8-static"} <= set(registry.names("compress")) and "gguf-method" not in registry.names("compress")
    assert registry.find("compress", "q4-0").name == "q4-0"


def test_a_wrong_name_says_what_there_is() -> None:
    with pytest.raises(UnknownPart, match=r"Did you mean 'encoder'\? Available: .*linear"):
        registry.find("students", "encoderr")


def test_listing_imports_no_part() -> None:
    code = (
        "import sys; from smidgen.parts import registry; registry.names('students'); registry.names('tasks');"
        "print([m for m in sys.modules if m.startswith(('smidgen.students.', 'smidgen.tasks.', 'numpy'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
