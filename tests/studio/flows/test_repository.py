"""The repository of a project that completes code."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from smidgen.code.studio.repository import FileEnding, project_repository, take_archive, take_folder
from smidgen.core.errors import DataError, InputError
from smidgen.studio.flows.material import material_path
from smidgen.studio.flows.samples import begin_project
from smidgen.studio.store.projects import Project, StudioStore

SECRET = 'password = "hunter2secret99"\n'


@pytest.fixture
def project() -> Project:
    """A new project that completes code."""
    return begin_project(StudioStore(), "Ours", "complete")


def packed(file: Path, content: dict[str, str]) -> Path:
    """A ZIP file of these files."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in content.items():
            archive.writestr(name, text)
    return file


def test_a_new_project_has_no_files(project: Project) -> None:
    assert project_repository(project).files == 0


def test_source_files_of_a_zip_are_kept_and_replace_those_before(project: Project, tmp_path: Path) -> None:
    content = {"shop/till.py": "def total(): ...\n", "shop/keys.py": SECRET, "shop/logo.png": "x", "../out.py": "x = 1\n"}
    found = take_archive(project, packed(tmp_path / "a.zip", content))
    assert found.names == ("out.py", "shop/till.py") and found.endings == (FileEnding(".py", 2),)
    assert any("password" in remark for remark in found.remarks)
    assert not list(material_path(project, "repository").rglob("keys.py"))
    again = take_archive(project, packed(tmp_path / "b.zip", {"app/main.go": "package main\n"}))
    assert again.names == ("app/main.go",) == project_repository(project).names


def test_a_folder_of_this_machine_is_copied(project: Project, tmp_path: Path) -> None:
    (tmp_path / "ours" / "node_modules").mkdir(parents=True)
    (tmp_path / "ours" / "a.py").write_text("a = 1\n", encoding="utf-8")
    (tmp_path / "ours" / "node_modules" / "b.js").write_text("b\n", encoding="utf-8")
    assert take_folder(project, tmp_path / "ours").names == ("a.py",)
    (tmp_path / "ours" / "a.py").write_text("a = 2\n", encoding="utf-8")
    assert (material_path(project, "repository") / "a.py").read_text(encoding="utf-8") == "a = 1\n", "it is a copy"


def test_a_bad_zip_keeps_the_files_before(project: Project, tmp_path: Path) -> None:
    take_archive(project, packed(tmp_path / "a.zip", {"a.py": "a = 1\n"}))
    (tmp_path / "bad.zip").write_bytes(b"PK nonsense")
    with pytest.raises(InputError, match="cannot be unpacked"):
        take_archive(project, tmp_path / "bad.zip")
    with pytest.raises(DataError, match="no source code"):
        take_archive(project, packed(tmp_path / "none.zip", {"readme.txt": "hello"}))
    assert project_repository(project).names == ("a.py",)
