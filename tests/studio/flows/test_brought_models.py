"""A model that was built elsewhere becomes a project; a ZIP file that holds anything else is refused, and leaves nothing."""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from smidgen.bundles.manifest import MANIFEST
from smidgen.bundles.open import open_bundle
from smidgen.core.errors import BundleError, InputError, SmidgenError
from smidgen.flows.local_model import load
from smidgen.store.files import home
from smidgen.studio.flows.models import brought_models, model_zip
from smidgen.studio.flows.models.brought_models import open_folder, open_zip
from smidgen.studio.flows.models.built_models import model_folder, models_of
from smidgen.studio.flows.models.downloads import zip_bundle
from smidgen.studio.flows.models.model_report import read_report
from smidgen.studio.flows.recipes.project_recipe import recipe_tree
from smidgen.studio.store.projects import Project, StudioStore

Change = Callable[[dict[str, bytes]], None]


def zipped(bundle: Path, place: Path, change: Change | None = None, prefix: str = "tickets/") -> Path:
    """The bundle as a ZIP file, its files changed."""
    files = {name: (bundle / name).read_bytes() for name in (MANIFEST, *open_bundle(bundle).manifest.files)}
    if change is not None:
        change(files)
    archive = place / "model.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(prefix + name, content)
    return archive


def is_whole(store: StudioStore, project: Project, bundle: Path) -> None:
    (run,) = models_of(store, project.id)
    folder = model_folder(store, project.id, run.id)
    assert open_bundle(folder).id == open_bundle(bundle).id and run.request == {"brought": open_bundle(bundle).id}
    assert (project.task, project.version, recipe_tree(project)["student"]["kind"]) == ("classify", 0, "linear")
    assert read_report(store, project.id, run.id).headline == (run.result or {})["report"]["headline"] == "accuracy"
    model = load(folder, 1)
    assert model.predict(["the parcel for my tent is late"])[0].output == "delivery"
    model.close()


def test_what_the_studio_packed_opens_again(store: StudioStore, bundle: Path, tmp_path: Path) -> None:
    archive = tmp_path / "model.zip"
    archive.write_bytes(b"".join(zip_bundle(bundle, "tickets")))
    is_whole(store, open_zip(store, archive, "ann"), bundle)


def test_a_zip_of_the_files_alone_or_from_a_mac_opens_too(store: StudioStore, bundle: Path, tmp_path: Path) -> None:
    def mac(files: dict[str, bytes]) -> None:
        files["__MACOSX/._smidgen.json"] = b"\0\5\x16\7"

    is_whole(store, open_zip(store, zipped(bundle, tmp_path, mac, ""), "ann", "Mine"), bundle)
    assert [project.name for project in store.projects()] == ["Mine"]


def test_a_folder_opens_as_a_copy(store: StudioStore, bundle: Path) -> None:
    is_whole(store, open_folder(store, bundle, "ann"), bundle)
    with pytest.raises(InputError, match="the path is incomplete"):
        open_folder(store, Path("models/support"), "ann")
    with pytest.raises(InputError, match="no such folder"):
        open_folder(store, Path("/no/such/folder"), "ann")
    assert len(store.projects()) == 1


def drop(name: str) -> Change:
    return lambda files: files.__delitem__(name)


def put(name: str, content: bytes = b"{}") -> Change:
    return lambda files: files.__setitem__(name, content)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (put("../../escaped.json"), "leads out of the folder"),
        (put("/etc/cron.json"), "leads out of the folder"),
        (put("a\\..\\b.json"), "backslash"),
        (put("run.py", b"print()"), "its kind is not one"),
        (put("weights.pkl", b"\x80\x04."), "its kind is not one"),
        (put(".hidden.json"), "hidden"),
        (put("more.json"), "the manifest does not name"),
        (put("REPORT.json"), "occurs twice"),
        (put("report.json"), "was changed after packing"),
        (drop("report.json"), "a file is missing"),
        (drop(MANIFEST), "no model in this ZIP file"),
        (put(MANIFEST), "format version is unknown"),
        (put("zeros.json", bytes(40 << 20)), "far larger than itself"),
        (lambda files: files.update({f"f{number}.json": b"" for number in range(1_001)}), "too many files"),
    ],
)
def test_a_zip_file_with_anything_else_is_refused(
    store: StudioStore, bundle: Path, tmp_path: Path, change: Change, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(brought_models, "unpack_apart", model_zip.unpack)  # a process for each would take seconds
    archive = zipped(bundle, tmp_path, change)
    before = {file for file in tmp_path.rglob("*") if file.is_file()}
    with pytest.raises(SmidgenError, match=told):
        open_zip(store, archive, "ann")
    left = {file for file in tmp_path.rglob("*") if file.is_file()} - before
    assert store.projects() == [] and left == set() and not [*(home() / "studio" / "runs").iterdir()]


def test_links_passwords_and_lies_about_sizes_are_refused(store: StudioStore, bundle: Path, tmp_path: Path) -> None:
    link = zipfile.ZipInfo("tickets/card.md")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive = zipped(bundle, tmp_path)
    with zipfile.ZipFile(archive, "a") as packed:
        packed.writestr(link, "/etc/passwd")
    with pytest.raises(BundleError, match="it is a link"):
        open_zip(store, archive, "ann")
    plain = zipped(bundle, tmp_path).read_bytes()
    locked = bytearray(plain)
    locked[plain.rfind(b"PK\x01\x02") + 8] |= 1
    lying = bytearray(plain)
    first = plain.find(b"PK\x01\x02")
    lying[first + 24 : first + 28] = (10).to_bytes(4, "little")
    for content, told in ((locked, "password"), (lying, "damaged|changed|manifest"), (plain[:200], "not a ZIP"), (b"", "not a ZIP")):
        archive.write_bytes(content)
        with pytest.raises(SmidgenError, match=told):
            open_zip(store, archive, "ann")
    assert store.projects() == []


def test_a_zip_file_that_breaks_its_reader_or_takes_too_long_harms_nothing_else(
    store: StudioStore, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = zipped(bundle, tmp_path, put("report.html", bytes(8 << 20)))
    for bound, most, told in (("_MEMORY", 1 << 20, "within 0.0 GB of memory"), ("_SECONDS", 0.01, "not read after 0.01 s")):
        with monkeypatch.context() as patch, pytest.raises(SmidgenError, match=told):
            patch.setattr(model_zip, bound, most)
            open_zip(store, archive, "ann")
    assert store.projects() == [] and not [*(home() / "studio" / "runs").iterdir()]
    is_whole(store, open_zip(store, zipped(bundle, tmp_path), "ann"), bundle)


def test_memory_that_ends_within_zlib_is_not_told_as_a_damaged_file(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise zlib.error("Error -4 while decompressing data: insufficient memory")

    monkeypatch.setattr(model_zip, "_write", full)
    with pytest.raises(MemoryError):
        model_zip.unpack(zipped(bundle, tmp_path), tmp_path / "model")


def test_a_list_of_files_that_fills_the_memory_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "many.zip"
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as packed:
        for number in range(2_500):
            packed.writestr(f"m/{number}.json", b"")
    archive.write_bytes(held.getvalue())
    monkeypatch.setattr(model_zip.zipfile, "ZipFile", lambda *_: pytest.fail("it was read"))
    with pytest.raises(BundleError, match="too many files"):
        model_zip.unpack(archive, tmp_path / "model")


def test_a_model_that_does_not_fit_the_disk_is_told(store: StudioStore, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_zip, "_SPARE", 1 << 62)
    with pytest.raises(InputError, match="not enough room"):
        open_folder(store, bundle, "ann")
    assert store.projects() == []
