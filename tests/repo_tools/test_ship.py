"""A built bundle is put into the package only where it is whole, small and passed its gates; and what is there goes into the wheel."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from tests.house.conftest import ROOT
from tests.redaction_bundle import passed, redaction_bundle  # noqa: F401
from tests.students.test_encoder import tiny_base  # noqa: F401

import smidgen
from smidgen.bundles.open import open_bundle
from smidgen.bundles.pack import pack
from smidgen.core.errors import BundleError, GateError, InputError
from smidgen.flows import redaction_model
from tools import ship


def repacked(bundle: Path, out: Path, **changes: str) -> Path:
    """The bundle with other files (`report_json`), or another method of its engine."""
    files, told = out.with_name("files"), open_bundle(bundle).manifest
    shutil.copytree(bundle, files)
    method = changes.pop("method", told.engine.method)
    for name, text in changes.items():
        (files / name.replace("_", ".")).write_text(text, encoding="utf-8")
    pack(files, told.model_copy(update={"engine": told.engine.model_copy(update={"method": method})}), out)
    return out


def test_it_is_copied_without_its_page_and_opens(redaction_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    out = tmp_path / "package" / "redaction"
    for _ in range(2):  # the second replaces the first
        shipped = ship.ship(redaction_bundle, out)
    assert shipped.verified and shipped.folder == out
    files = {entry.name for entry in redaction_bundle.iterdir()}
    assert {entry.name for entry in out.iterdir()} == files - {"report.html"} and "report.html" in files
    monkeypatch.setattr(redaction_model, "SHIPPED", out)
    assert redaction_model.redactor().mask("where is my lamp") == "where is my [PERSON_1]"


def test_what_is_too_large_is_refused(redaction_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    assert ship.MOST_BYTES == 17_000_000
    monkeypatch.setattr(ship, "MOST_BYTES", 10_000)
    with pytest.raises(InputError, match="too large for the package"):
        ship.ship(redaction_bundle, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_did_not_pass_is_refused(redaction_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    cases = (
        ({"report_json": passed(False).json_text()}, GateError, "parity gate"),
        ({"report_json": passed().model_copy(update={"parity": None}).json_text()}, GateError, "parity gate"),
        ({"recipe_toml": (redaction_bundle / "recipe.toml").read_text(encoding="utf-8").replace("0.85", "0.95")}, GateError, "f1 is 0.9"),
        ({"method": "fp32"}, InputError, "not made small"),
    )
    for number, (changes, kind, reason) in enumerate(cases):
        (tmp_path / str(number)).mkdir()
        changed = repacked(redaction_bundle, tmp_path / str(number) / "bundle", **changes)
        with pytest.raises(kind, match=reason):
            ship.ship(changed, tmp_path / "out")
    assert not (tmp_path / "out").exists() and len(cases) == 4


def test_a_damaged_bundle_is_refused(redaction_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    shutil.copytree(redaction_bundle, tmp_path / "copy")
    (tmp_path / "copy" / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(BundleError, match=r"tokenizer\.json"):
        ship.ship(tmp_path / "copy", tmp_path / "out")
    assert ship.main([str(tmp_path / "copy")]) == 1
    assert "tokenizer.json" in capsys.readouterr().err


def test_what_lies_in_the_package_goes_into_the_wheel() -> None:
    """The build takes all of the package's folder but what git leaves out, and the Studio's page."""
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel == {"packages": ["src/smidgen"]}
    assert redaction_model.SHIPPED.parts[-3:] == ("smidgen", "shipped", "redaction")
    names = ("smidgen.json", "model.onnx", "tokenizer.json", "chain.safetensors", "report.json", "recipe.toml", "README.md")
    paths = [f"src/smidgen/shipped/redaction/{name}" for name in names]
    asked = subprocess.run(["git", "check-ignore", *paths], cwd=ROOT, capture_output=True, text=True, check=False)
    if asked.returncode == 128:
        pytest.skip("this is no clone")
    assert (asked.returncode, asked.stdout) == (1, "")


def test_the_model_of_the_package_is_one_that_may_be_there() -> None:
    """Small, whole, without the page of its report; and it knows a person, an address and a company when it sees one."""
    bundle = open_bundle(redaction_model.SHIPPED)
    assert bundle.size <= ship.MOST_BYTES and bundle.manifest.engine.method.startswith("int8")
    assert not set(ship.LEFT_OUT) & set(bundle.manifest.files)
    safe = smidgen.redactor(threads=1).mask("Margaret Holloway of Harbour Foods Ltd lives at 12 Rose Lane, Bristol BS1 4DJ.")
    assert safe == "[PERSON_1] of [ORGANISATION_1] lives at [ADDRESS_1]."
