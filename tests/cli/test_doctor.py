"""`smidgen doctor`: says how each thing stands; fails only for what nothing works without."""

from __future__ import annotations

import importlib.metadata
import json
import socket
from pathlib import Path

import pytest

from smidgen.cli import doctor
from smidgen.cli.doctor import Check, checks
from smidgen.cli.main import code
from smidgen.store.step_results import StepResults


def found() -> dict[str, Check]:
    return {check.name: check for check in checks()}


def test_this_machine_is_fit_to_run_its_own_tests(capsys: pytest.CaptureFixture[str]) -> None:
    assert code(["doctor", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is True
    assert len(told["checks"]) >= 18
    assert all(set(check) == {"name", "state", "value", "mend", "required"} for check in told["checks"])


def test_whatever_is_not_well_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "4096")
    faults = [check for check in checks() if check.state != "ok"]
    assert len(faults) >= 1
    assert [check.name for check in faults if not check.mend] == []
    assert found()["OMP_NUM_THREADS"].state == "warn"


def test_a_missing_serving_package_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def version(name: str) -> str:
        if name == "onnxruntime":
            raise importlib.metadata.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert code(["doctor"]) == 1
    assert "onnxruntime" in capsys.readouterr().out


def test_a_missing_training_package_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name == "torch":
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert found()["torch"].mend.endswith("[train]'")
    assert code(["doctor"]) == 0


def test_bases_that_are_missing_or_altered_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path))
    assert found()["base minilm"].mend == "smidgen pull minilm"
    folder = tmp_path / "bases" / "minilm"
    folder.mkdir(parents=True)
    for name in ("model.safetensors", "config.json", "tokenizer.json"):
        (folder / name).write_bytes(b"not this")
    assert "SHA-256 differs" in found()["base minilm"].value


def test_a_port_that_is_taken_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(doctor, "PORT", server.getsockname()[1])
        assert doctor._port().state == "warn"
    monkeypatch.setattr(doctor, "PORT", 0)
    assert doctor._port().state == "ok"


def test_a_hub_that_does_not_answer_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
    assert list(checks(online=True))[-1].state == "warn"
    assert "model hub" not in found()


@pytest.mark.parametrize(("name", "hint"), [("scipy.sparse", True), ("sklearn", True), ("smidgen.none", False)])
def test_a_package_of_training_that_is_not_there_is_no_defect(
    name: str, hint: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A build that goes on from cached steps may meet one anywhere."""

    def broken(online: bool) -> object:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr("smidgen.cli.doctor.checks", broken)
    assert code(["doctor"]) == 1
    said = capsys.readouterr().err
    assert ("[train]" in said) == hint and ("defect" in said) != hint


def test_clean_removes_build_results_everywhere_and_says_how_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path))
    folders = [tmp_path / place / "steps" for place in ("", "studio/runs/r1/scratch", "studio/projects/p1/.build")]
    for folder in folders:
        steps = StepResults(folder)
        steps.run("fit", {}, lambda out: (out / "model").write_bytes(b"w" * 1000) and None)
        steps.close()
    running = StepResults(folders[0])
    running.run("fit", {"other": 1}, lambda out: (out / "model").write_bytes(b"w" * 500) and None)
    assert code(["doctor", "--clean", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["freed_bytes"] >= 3000 and 500 <= told["left_bytes"] < 1000
    assert [len(list(folder.glob("fit-*/model"))) for folder in folders] == [1, 0, 0], "a running build keeps its own"
    running.close()
