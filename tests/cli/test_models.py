"""`smidgen models` and `smidgen pull`: what is on this machine."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.line_versions import line_of

from smidgen.cli.main import code
from smidgen.store import files


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, and an empty folder to stand in."""
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    monkeypatch.setenv("SMIDGEN_HOME", str(home))
    monkeypatch.chdir(here)
    return here


def listed(capsys: pytest.CaptureFixture[str]) -> dict[str, list[dict[str, object]]]:
    capsys.readouterr()
    assert code(["models", "--json"]) == 0
    told: dict[str, list[dict[str, object]]] = json.loads(capsys.readouterr().out)
    return told


def test_an_empty_machine_says_what_to_do(own_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code(["models"]) == 0
    told = capsys.readouterr().out
    assert "smidgen init" in told and "smidgen pull minilm" in told
    assert [base["here"] for base in listed(capsys)["bases"]] == [False, False, False, False]


def test_a_remembered_bundle_is_listed_with_its_headline(own_home: Path, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files.remember_bundle(bundle)
    (entry,) = listed(capsys)["bundles"]
    assert entry["name"] == "tiny" and entry["task"] == "classify" and entry["headline"] == "accuracy"
    metric = entry["metric"]
    assert isinstance(metric, dict) and 0 < metric["low"] <= metric["value"] <= metric["high"] <= 1
    assert entry["size_mb"] and Path(str(entry["folder"])) == bundle.resolve()
    assert code(["models"]) == 0
    assert "tiny" in capsys.readouterr().out


def test_a_bundle_in_this_folder_is_listed_once(own_home: Path, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(bundle, own_home / "copied")
    assert [entry["folder"] for entry in listed(capsys)["bundles"]] == [str((own_home / "copied").resolve())]
    files.remember_bundle(own_home / "copied")
    assert len(listed(capsys)["bundles"]) == 1


def test_a_damaged_bundle_is_listed_as_such(own_home: Path, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copied = shutil.copytree(bundle, own_home / "copied")
    (copied / "smidgen.json").write_text("{", encoding="utf-8")
    (entry,) = listed(capsys)["bundles"]
    assert "manifest" in str(entry["error"])
    assert code(["models"]) == 0
    told = capsys.readouterr().out
    assert "damaged" in told and "manifest" in told.partition("damaged")[2] and str(copied.resolve()) in told


def test_pull_shows_what_is_here(capsys: pytest.CaptureFixture[str]) -> None:
    """The bases were fetched before the tests, so nothing is fetched now."""
    assert code(["pull", "minilm", "--json"]) == 0
    (base,) = json.loads(capsys.readouterr().out)
    assert base["name"] == "minilm" and base["licence"] == "Apache-2.0" and len(base["sha256"]) == 64
    assert code(["pull", "minlm"]) == 2
    assert "Did you mean 'minilm'?" in capsys.readouterr().err


def test_a_line_is_listed_by_its_champion(own_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line, ids = line_of(own_home / "support", 2)
    files.remember_bundle(line.folder)
    (found,) = listed(capsys)["bundles"]
    assert (found["id"], found["folder"]) == (ids[1], str(line.folder.resolve()))
    line.point(ids[0], by="rollback", why="back", instead_of=ids[1])
    (found,) = listed(capsys)["bundles"]
    assert found["id"] == ids[0], "who serves now, without anybody remembering it"
