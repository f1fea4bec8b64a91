"""A file of a repository is opened: its module, its Python, and whether its code is confined."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from smidgen.core.errors import InputError
from smidgen.flows.code_help import repository_place
from smidgen.flows.code_help.repository_place import open_code


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "src" / "shop").mkdir(parents=True)
    for name, text in (("src/shop/__init__.py", ""), ("src/shop/till.py", "x = 1\n"), ("broken.py", "x (\n"), ("notes.txt", "x")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_a_file_is_opened_with_its_module_and_its_place(repository: Path) -> None:
    opened = open_code(repository, "src/shop/till.py", None)
    assert (opened.file.path, opened.module, opened.place.python.path) == ("src/shop/till.py", "shop.till", sys.executable)
    assert opened.place.confined and opened.place.files == ["broken.py", "notes.txt", "src/shop/__init__.py", "src/shop/till.py"]
    assert list(opened.place.paths) == ["src", "."]


def test_code_runs_unconfined_only_where_it_is_asked_for_and_there_is_no_sandbox(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    for reason in ("", "no namespaces"):
        monkeypatch.setattr(repository_place, "why_not_confined", lambda reason=reason: reason)
        told += [open_code(repository, "src/shop/till.py", None, or_unconfined=asked).place.confined for asked in (False, True)]
    assert told == [True, True, True, False]


@pytest.mark.parametrize(
    ("name", "said"), [("broken.py", "valid Python"), ("notes.txt", "valid Python"), ("no.py", "no such file"), ("../x", "no")]
)
def test_other_files_are_refused(repository: Path, name: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        open_code(repository, name, None)
