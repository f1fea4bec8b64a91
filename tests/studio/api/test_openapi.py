"""The description that the page's types are made from is that of the server, and is made anew from the code."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from tests.house.conftest import ROOT

from tools import studio_api, studio_page


def test_the_description_is_made_from_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edited = tmp_path / "openapi.json"
    edited.write_text("{}", encoding="utf-8")
    monkeypatch.setattr(studio_api, "FILE", edited)
    studio_api.main()
    written = edited.read_text(encoding="utf-8")
    assert written == studio_api.describe_api(), "two runs give the same"
    assert len(json.loads(written)["paths"]) > 100


def test_git_holds_no_generated_file() -> None:
    assert studio_api.FILE in studio_page.GENERATED and len(studio_page.GENERATED) == 2
    names = [file.relative_to(ROOT).as_posix() for file in studio_page.GENERATED]
    listed = subprocess.run(["git", "ls-files", "--cached", *names], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("no checkout of git")
    assert not listed.stdout
    ignored = subprocess.run(["git", "check-ignore", *names], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ignored.stdout.split() == names


def test_the_check_makes_the_types_before_it_reads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[str] = []

    def run(npm: str, command: list[str]) -> int:
        commands.append(command[2] if command[0] == "run" else command[0])
        return 0

    monkeypatch.setattr(studio_api, "main", lambda: None)
    monkeypatch.setattr(studio_api, "FILE", studio_page.SOURCES / "package.json")
    monkeypatch.setattr(studio_page, "_MODULES", tmp_path)
    monkeypatch.setattr(studio_page, "find_npm", lambda: "npm")
    monkeypatch.setattr(studio_page, "run_npm", run)
    assert studio_page.main(["--check"]) == 0
    assert studio_page.main(["--check"]) == 0
    assert commands[:5] == ["ci", "types", "check", "test", "build"] and commands[5] == "types"
