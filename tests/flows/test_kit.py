"""A wheel of smidgen, installed in an empty environment, works; a kit installs it without a network, and not where a byte of it changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from smidgen.bases import web_runtime
from smidgen.cli.main import code
from smidgen.flows import kit

pytest.importorskip("hatchling")
CLOSED = {"PIP_NO_INDEX": "1", "PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}
"""No index is asked, whatever the machine's own settings are."""
FILES_OF_THE_WHEEL = """
import importlib.resources, json, smidgen
from smidgen.flows.export import onnx_web
package = importlib.resources.files("smidgen")
pages = [name for names in onnx_web.SCRIPTS.values() for name in names]
found = [(package / "flows/export/web" / name).is_file() for name in (*pages, *onnx_web.SHARED, "index.html")]
sample = (package / "samples/homeware/support_train.csv").is_file()
studio = (package / "studio/dist/index.html").is_file()
print(json.dumps([smidgen.__file__, all(found), len(found), sample and studio]))
"""


def environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON", "SMIDGEN"))}
    return {**kept, **CLOSED, "SMIDGEN_HOME": str(home), "PYTHONUTF8": "1"}


def python_of(place: Path) -> Path:
    return place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def lend(place: Path) -> None:
    """What smidgen needs is lent to an environment from the one that runs the tests; smidgen itself is not, for it came by its wheel."""
    folder = subprocess.run(
        [python_of(place), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, text=True, check=True
    ).stdout.strip()
    (Path(folder) / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kit.own_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def made(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """A kit with smidgen's own wheel alone: the others are what is on the network."""
    monkeypatch.setattr(kit, "own_wheel", lambda out: Path(shutil.copy(wheel, out)))
    monkeypatch.setattr(kit, "dependencies", lambda own, extras: None)
    assert code(["kit", str(tmp_path / "kit"), "--base", "minilm", "--web", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["wheels"] == 1 and told["bases"] == ["minilm"] and told["web"] and told["sha256"] == kit.kit_digest(tmp_path / "kit")
    return tmp_path / "kit"


def test_a_kit_installs_without_a_network(made: Path, tmp_path: Path) -> None:
    place, home = tmp_path / "env", tmp_path / "home"
    assert {file.stat().st_mode & 0o777 for file in made.rglob("*") if file.is_file()} == {0o644} or os.name == "nt"
    command = [sys.executable, str(made / "install.py"), str(place), "--no-deps", "--no-doctor"]
    done = subprocess.run(command, env=environment(home), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shown = subprocess.run([python_of(place), "-m", "pip", "show", "smidgen"], capture_output=True, text=True, check=True).stdout
    assert "Version: 0.1.0" in shown
    lend(place)
    told = {"env": environment(home), "cwd": tmp_path, "capture_output": True, "text": True, "check": False}
    where = subprocess.run([python_of(place), "-c", FILES_OF_THE_WHEEL], **told)
    file, whole, pages, sample = json.loads(where.stdout)
    assert Path(file).is_relative_to(place) and whole and sample and pages > 15, "it is the wheel's, with all its files"
    doctor = subprocess.run([python_of(place), "-m", "smidgen", "doctor", "--json"], **told)
    assert doctor.returncode == 0 and json.loads(doctor.stdout)["ok"] is True, doctor.stderr
    listed = subprocess.run([python_of(place), "-m", "smidgen", "models", "--json"], **told)
    assert json.loads(listed.stdout)["bundles"] == []
    web_runtime.verified(made / "web" / web_runtime.folder().name)


@pytest.mark.parametrize("how", ["changed", "added", "gone"])
def test_a_kit_that_was_altered_installs_nothing(how: str, made: Path, tmp_path: Path) -> None:
    file = made / "bases" / "minilm" / "config.json"
    if how == "gone":
        file.unlink()
    elif how == "added":
        (made / "wheels" / "other-1.0-py3-none-any.whl").write_bytes(b"x")
    else:
        file.write_bytes(file.read_bytes() + b" ")
    command = [sys.executable, str(made / "install.py"), str(tmp_path / "env"), "--no-deps"]
    done = subprocess.run(command, env=environment(tmp_path / "home"), capture_output=True, text=True, check=False)
    assert done.returncode == 1 and ("config.json" in done.stderr or "other-1.0" in done.stderr)
    assert not (tmp_path / "env").exists()


def test_the_needs_of_a_wheel_are_those_of_its_extras(wheel: Path) -> None:
    serving, training = kit.requirements(wheel, ()), kit.requirements(wheel, ("train",))
    names = {line.split(">")[0].split("=")[0].strip() for line in serving}
    assert "onnxruntime" in names and "torch" not in names and "pytest" not in names
    assert any(line.startswith("torch>=") and ";" not in line for line in training)
    assert any(line.startswith("uvloop") and "sys_platform" in line for line in serving) and len(serving) > 20


def test_a_place_that_is_taken_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("x", encoding="utf-8")
    assert code(["kit", str(tmp_path)]) == 2 and "not an empty folder" in capsys.readouterr().err
    assert code(["kit", str(tmp_path / "new"), "--base", "nix"]) == 2 and not (tmp_path / "new").exists()
