"""What is packed is what is opened, and nothing else is ever opened."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from smidgen.bundles.manifest import MANIFEST, MAX_MANIFEST_BYTES, EngineEntry, Manifest, name_fault
from smidgen.bundles.open import open_bundle
from smidgen.bundles.pack import pack
from smidgen.core.errors import BundleError, InputError


def _manifest(**changes: object) -> Manifest:
    facts: dict[str, object] = {
        "name": "support",
        "created": "2025-01-02T03:04:05Z",
        "smidgen_version": "0.1.0",
        "task": "classify",
        "form": {"labels": ["a", "b"], "temperature": 1.25},
        "engine": EngineEntry(engine="onnx", files=("model.onnx", "tokenizer.json"), options={"max_length": 32}),
    }
    return Manifest.model_validate({**facts, **changes})


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "plots").mkdir(parents=True)
    (folder / "model.onnx").write_bytes(bytes(range(256)) * 40)
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    (folder / "README.md").write_text("# Card\n", encoding="utf-8")
    (folder / "plots" / "risk.svg").write_text("<svg/>", encoding="utf-8")
    return folder


@pytest.fixture
def bundle(source: Path, tmp_path: Path) -> Path:
    pack(source, _manifest(), tmp_path / "bundle")
    return tmp_path / "bundle"


def test_what_is_packed_opens(source: Path, tmp_path: Path) -> None:
    written = pack(source, _manifest(), tmp_path / "made" / "bundle")
    opened = open_bundle(tmp_path / "made" / "bundle")
    assert opened.manifest == written
    assert opened.verified
    assert sorted(written.files) == ["README.md", "model.onnx", "plots/risk.svg", "tokenizer.json"]
    assert opened.size == sum(file.stat().st_size for file in source.rglob("*") if file.is_file())
    assert opened.manifest.form == {"labels": ["a", "b"], "temperature": 1.25}
    assert opened.manifest.engine.spec().options == {"max_length": 32}
    assert [entry.name for entry in (tmp_path / "made").iterdir()] == ["bundle"], "nothing half-made is left beside it"


def test_id_follows_the_content(source: Path, tmp_path: Path) -> None:
    first = pack(source, _manifest(), tmp_path / "one")
    again = pack(source, _manifest(), tmp_path / "two")
    (source / "tokenizer.json").write_text("{ }", encoding="utf-8")
    other = pack(source, _manifest(), tmp_path / "three")
    assert first.id == again.id == open_bundle(tmp_path / "one").id
    assert other.id != first.id
    assert len(first.id) == 12


def _rewrite(change: Callable[[dict], None]) -> Callable[[Path], None]:
    def act(bundle: Path) -> None:
        facts = json.loads((bundle / MANIFEST).read_text(encoding="utf-8"))
        change(facts)
        (bundle / MANIFEST).write_text(json.dumps(facts), encoding="utf-8")

    return act


def _named(name: str) -> Callable[[Path], None]:
    return _rewrite(lambda facts: facts["files"].update({name: facts["files"]["README.md"]}))


def _flip(bundle: Path) -> None:
    content = bytearray((bundle / "model.onnx").read_bytes())
    content[5000] ^= 1
    (bundle / "model.onnx").write_bytes(content)


def _link(bundle: Path) -> None:
    (bundle.parent / "outside.json").write_bytes((bundle / "tokenizer.json").read_bytes())
    (bundle / "tokenizer.json").unlink()
    (bundle / "tokenizer.json").symlink_to(bundle.parent / "outside.json")


def _link_folder(bundle: Path) -> None:
    (bundle / "plots").rename(bundle.parent / "elsewhere")
    (bundle / "plots").symlink_to(bundle.parent / "elsewhere", target_is_directory=True)


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a flipped bit": (_flip, "model.onnx"),
    "a longer file": (lambda bundle: (bundle / "README.md").open("a").write("x"), "README.md"),
    "a missing file": (lambda bundle: (bundle / "tokenizer.json").unlink(), "tokenizer.json"),
    "an extra file": (lambda bundle: (bundle / "more.json").write_text("{}"), "more.json"),
    "an extra file below": (lambda bundle: (bundle / "plots" / "more.svg").write_text(""), "plots/more.svg"),
    "a python file": (lambda bundle: (bundle / "model.py").write_text(""), "model.py"),
    "a pickle": (lambda bundle: (bundle / "model.bin").write_text(""), "model.bin"),
    "a hidden file": (lambda bundle: (bundle / ".hidden.json").write_text(""), ".hidden.json"),
    "a linked file": (_link, "tokenizer.json"),
    "a linked folder": (_link_folder, "plots"),
    "an absolute path": (_named("/etc/passwd.txt"), "/etc/passwd.txt"),
    "a path upward": (_named("../outside.json"), "../outside.json"),
    "a path upward inside": (_named("plots/../../outside.json"), "plots/../../outside.json"),
    "a drive": (_named("C:/outside.json"), "C:/outside.json"),
    "a backslash": (_named("..\\outside.json"), "..\\outside.json"),
    "a reserved name": (_named("plots/NUL.json"), "plots/NUL.json"),
    "an unknown version": (_rewrite(lambda facts: facts.update(format_version=2)), MANIFEST),
    "a version that is true": (_rewrite(lambda facts: facts.update(format_version=True)), MANIFEST),
    "no version": (_rewrite(lambda facts: facts.pop("format_version")), MANIFEST),
    "an unknown key": (_rewrite(lambda facts: facts.update(run="rm")), MANIFEST),
    "a hash that is none": (_rewrite(lambda facts: facts["files"]["README.md"].update(sha256="0")), MANIFEST),
    "an engine file not held": (_rewrite(lambda facts: facts["engine"].update(files=["weights.onnx"])), "weights.onnx"),
    "an engine file outside": (_rewrite(lambda facts: facts["engine"].update(files=["../weights.onnx"])), "../weights.onnx"),
    "an edited label": (_rewrite(lambda facts: facts["form"].update(labels=["other", "labels"])), MANIFEST),
    "an edited metric": (_rewrite(lambda facts: facts.update(headline="f1")), MANIFEST),
    "a broken seal": (_rewrite(lambda facts: facts.update(seal="0" * 64)), MANIFEST),
    "no manifest": (lambda bundle: (bundle / MANIFEST).unlink(), MANIFEST),
    "a manifest of bytes": (lambda bundle: (bundle / MANIFEST).write_bytes(b"\xff\xfe\x00"), MANIFEST),
    "a manifest of one list": (lambda bundle: (bundle / MANIFEST).write_text("[]"), MANIFEST),
    "a deep manifest": (lambda bundle: (bundle / MANIFEST).write_text("[" * 200_000), MANIFEST),
    "a doubled key": (lambda bundle: (bundle / MANIFEST).write_text('{"format_version":1,"format_version":1}'), MANIFEST),
    "an oversize manifest": (lambda bundle: (bundle / MANIFEST).write_bytes(b" " * (MAX_MANIFEST_BYTES + 1)), MANIFEST),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_refused_with_the_name_of_the_file(fault: str, bundle: Path) -> None:
    assert open_bundle(bundle).verified
    act, file = REFUSED[fault]
    act(bundle)
    with pytest.raises(BundleError) as caught:
        open_bundle(bundle)
    assert caught.value.file == file
    assert file.replace("\\", "\\\\") in str(caught.value) or fault == "no manifest" or file == MANIFEST


def test_a_folder_that_is_not_there_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such folder.*absent"):
        open_bundle(tmp_path / "absent")


def test_without_verifying_says_so(bundle: Path) -> None:
    _flip(bundle)
    assert open_bundle(bundle, verify=False).verified is False


def test_packing_replaces_a_bundle_whole(bundle: Path, source: Path) -> None:
    (source / "README.md").unlink()
    pack(source, _manifest(name="second"), bundle)
    assert open_bundle(bundle).manifest.name == "second"
    assert not (bundle / "README.md").exists()


def test_packing_keeps_the_old_bundle_where_it_fails(bundle: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = open_bundle(bundle).id
    monkeypatch.setattr("smidgen.bundles.pack.file_hash", lambda file: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        pack(source, _manifest(name="second"), bundle)
    assert open_bundle(bundle).id == before
    assert sorted(entry.name for entry in bundle.parent.iterdir()) == ["bundle", "source"]


def test_packing_loses_nothing_that_someone_put_into_an_older_bundle(bundle: Path, source: Path) -> None:
    (bundle / "data").mkdir()
    (bundle / "data" / "examples.csv").write_text("mine", encoding="utf-8")
    with pytest.raises(BundleError, match=r"1 more file: .*data/examples\.csv"):
        pack(source, _manifest(), bundle)
    assert (bundle / "data" / "examples.csv").read_text(encoding="utf-8") == "mine"
    assert (bundle / MANIFEST).is_file()


def test_packing_leaves_alone_what_a_broken_manifest_may_not_know(bundle: Path, source: Path) -> None:
    (bundle / MANIFEST).write_text("{", encoding="utf-8")
    with pytest.raises(BundleError, match="more files"):
        pack(source, _manifest(), bundle)


def test_packing_never_touches_what_is_no_bundle(source: Path, tmp_path: Path) -> None:
    mine = tmp_path / "thesis"
    mine.mkdir()
    (mine / "chapter.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(BundleError, match="not a bundle"):
        pack(source, _manifest(), mine)
    assert (mine / "chapter.txt").read_text(encoding="utf-8") == "years of work"


@pytest.mark.parametrize("name", ["weights.bin", "code.py", ".env.json", "model.pkl"])
def test_packing_refuses_what_opening_would(name: str, source: Path, tmp_path: Path) -> None:
    (source / name).write_bytes(b"x")
    with pytest.raises(BundleError) as caught:
        pack(source, _manifest(), tmp_path / "bundle")
    assert caught.value.file == name
    assert not (tmp_path / "bundle").exists()


def test_packing_needs_the_files_of_the_engine(source: Path, tmp_path: Path) -> None:
    (source / "model.onnx").unlink()
    with pytest.raises(BundleError) as caught:
        pack(source, _manifest(), tmp_path / "bundle")
    assert caught.value.file == "model.onnx"


def test_names_that_are_fine() -> None:
    names = ["smidgen.json", "plots/risk.svg", "a b.txt", "modèle.onnx", "v1.2.safetensors"]
    assert [name_fault(name) for name in names] == [None] * 5
