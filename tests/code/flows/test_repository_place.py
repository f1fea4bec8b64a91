"""A file of a repository is opened: its module, its Python, and whether its code is confined."""

from __future__ import annotations

import importlib
import shutil
import sys
import venv
from pathlib import Path

import pytest

from smidgen.code.flows import repository_place
from smidgen.code.flows.repository_place import open_code
from smidgen.core.errors import InputError, MachineError
from smidgen.machine.sandbox import why_not_confined


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


@pytest.mark.skipif(bool(why_not_confined()), reason="no sandbox here")
def test_a_python_of_the_repository_runs_in_the_sandbox_alone(tmp_path: Path) -> None:
    folder, ran = tmp_path / "r", tmp_path / "ran"
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / "shop.py").write_text("x = 1\n", encoding="utf-8")
    python = folder / ".venv" / "bin" / "python"
    told = f'[[3, 12], ["{tmp_path}", "{Path.home()}", "{folder}/.venv/lib"]]'
    python.write_text(f"#!/bin/sh\ntouch {ran}\necho '{told}'\n", encoding="utf-8")
    python.chmod(0o755)
    opened = open_code(folder, "shop.py", None)
    assert not ran.exists()
    assert opened.place.python.folders == (f"{folder}/.venv", f"{folder}/.venv/lib"), "it opens nothing outside by what it says"
    python.unlink()
    python.symlink_to("/bin/sh")
    with pytest.raises(MachineError, match="--python"):
        open_code(folder, "shop.py", None)


@pytest.mark.skipif(bool(why_not_confined()), reason="no sandbox here")
def test_an_environment_of_the_repository_runs_its_tests(tmp_path: Path) -> None:
    venv.create(tmp_path / ".venv", symlinks=True)
    (packages,) = (tmp_path / ".venv" / "lib").glob("python*/site-packages")
    (packages / "only_here.py").write_text("x = 1\n", encoding="utf-8")
    for name in ("pytest", "_pytest", "pluggy", "iniconfig", "packaging", "pygments"):
        shutil.copytree(Path(importlib.import_module(name).__file__ or "").parent, packages / name)
    shutil.copy(importlib.import_module("py").__file__ or "", packages / "py.py")
    (tmp_path / "shop.py").write_text("import only_here\n", encoding="utf-8")
    (tmp_path / "test_shop.py").write_text("import shop\ndef test_it(): assert shop.only_here.x == 1\n", encoding="utf-8")
    (run,) = open_code(tmp_path, "shop.py", None).place.run(["test_shop.py"])
    assert run.all_passed
