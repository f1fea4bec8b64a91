"""Open a model that was built elsewhere: its bundle, as a ZIP file or a folder, becomes a project with that model as a finished build.

A ZIP file may come from anyone. It is looked through before anything is unpacked, and every size in it is bounded. What was unpacked is
opened like any bundle: no file but those of the manifest, every hash right, nothing that can execute.
"""

from __future__ import annotations

import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from smidgen.bundles.manifest import MANIFEST, MAX_FILES, name_fault
from smidgen.bundles.open import Bundle, folder_of, open_bundle
from smidgen.core.errors import BundleError, InputError, SmidgenError
from smidgen.flows.local_model import load
from smidgen.flows.projects.models.built_models import BUILD
from smidgen.flows.projects.models.model_report import report_summary
from smidgen.flows.projects.recipes.project_recipe import recipe_mistakes, save_recipe
from smidgen.flows.projects.run_process import run_folder
from smidgen.judge import report as reports
from smidgen.parts.recipe import parsed
from smidgen.store.files import home
from smidgen.store.studio.runs import RunStore, new_run_id
from smidgen.store.studio.store import Project, StudioStore

BROUGHT = "brought"
"""The project's setting that holds the id of the bundle which it began with."""
MOST_UNPACKED: Final = 8 << 30
"""Bytes of a bundle."""
_MOST_GROWTH: Final = 30
"""How many times larger than the ZIP file its content may be: weights hardly shrink, and reports by ten times at most."""
_SMALL: Final = 16 << 20
"""Bytes of content that may have grown more."""
_MOST_DIRECTORY: Final = 1 << 20
"""Bytes of the ZIP file's own list of files."""
_SPARE: Final = 1 << 30
"""Bytes of the disk that are left free."""
_PIECE = 1 << 20
_END, _FAR_END = b"PK\x05\x06", b"PK\x06\x07"
_TAIL = 22 + (1 << 16) + 20
_ENCRYPTED = 0x1
_READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_MAC = "__MACOSX/"
"""Where macOS puts its own notes on the files."""
_AGAIN = "Download the model again, and send that file as it is."


def open_zip(store: StudioStore, archive: Path, author: str, name: str | None = None) -> Project:
    """Make a project from a bundle in a ZIP file. Raises InputError and BundleError for one that is none, or must not be opened."""
    return _brought(store, lambda folder: unpack(archive, folder), author, name)


def open_folder(store: StudioStore, path: Path, author: str, name: str | None = None) -> Project:
    """Make a project from a copy of the bundle in a folder, or of a line's champion. Raises as `open_bundle` does."""
    place = path.expanduser()
    if not place.is_absolute():
        raise InputError("the path is incomplete", value=str(path), todo="Give the full path, such as /srv/models/support.")
    bundle = open_bundle(folder_of(place))
    _fits(bundle.size)

    def copy(folder: Path) -> None:
        for file in (MANIFEST, *bundle.manifest.files):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(bundle.folder / file, folder / file, follow_symlinks=False)

    return _brought(store, copy, author, name)


def _brought(store: StudioStore, fill: Callable[[Path], None], author: str, name: str | None) -> Project:
    """Fill a folder, open it as a bundle, and make the project. Where anything fails, nothing is left."""
    id = new_run_id()
    place = run_folder(id)
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix="opening-") as scratch:
        folder = Path(scratch) / "model"
        folder.mkdir()
        fill(folder)
        bundle = open_bundle(folder)
        with closing(load(folder, 1)):  # it can answer here, or the error says why not
            pass
        report = _report(bundle)
        place.mkdir(mode=0o700)
        folder.rename(place / "model")
    project = store.create(name or bundle.manifest.name, bundle.manifest.task, {BROUGHT: bundle.id})
    _take_recipe(store, project, place / "model")
    result = {"model": str(place / "model"), "version": 0, "seconds": None, "report": report}
    RunStore(store.database).add_done(id, project.id, BUILD, {BROUGHT: bundle.id}, author, result)
    return store.project(project.id)


def _report(bundle: Bundle) -> Mapping[str, Any]:
    """The summary of the bundle's report; empty for a bundle without one."""
    file = "report.json"
    return report_summary(reports.read(bundle.folder / file)) if file in bundle.manifest.files else {}


def _take_recipe(store: StudioStore, project: Project, folder: Path) -> None:
    """Give the project the bundle's recipe, without the data that stayed elsewhere; where it cannot be used here, the usual one stands."""
    file = folder / "recipe.toml"
    if not file.is_file():
        return
    try:
        tree = dict(parsed(file.read_text(encoding="utf-8"), file.name))
        tree.pop("data", None)
        if not recipe_mistakes(project, tree):
            save_recipe(store, project, tree)
    except (SmidgenError, UnicodeDecodeError):
        return


def unpack(archive: Path, folder: Path) -> None:
    """Unpack the bundle in a ZIP file into an empty folder.

    Raises InputError for a file that is no ZIP file, or holds no bundle; BundleError for anything that a bundle cannot hold.
    """
    _bound_directory(archive)
    try:
        with zipfile.ZipFile(archive) as packed:
            entries = _entries(packed.infolist(), archive)
            for name, entry in entries.items():
                _write(packed, entry, folder / name)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, ValueError, struct.error) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise InputError("the ZIP file is damaged", value=archive.name, todo=_AGAIN) from None


def _bound_directory(archive: Path) -> None:
    """Refuse a file without the end of a ZIP file, and one whose list of files would fill the memory."""
    size = archive.stat().st_size
    with archive.open("rb") as stream:
        stream.seek(max(0, size - _TAIL))
        tail = stream.read(_TAIL)
    place = tail.rfind(_END)
    if place < 0 or len(tail) < place + 22:
        raise InputError("this is not a ZIP file", value=archive.name, todo="Send the ZIP file of a model, as the page Report gives it.")
    listed, length = struct.unpack_from("<HI", tail, place + 10)
    if _FAR_END in tail or length > _MOST_DIRECTORY or listed > 2 * MAX_FILES:
        raise BundleError("the ZIP file holds too many files for a model", value=f"over {MAX_FILES}", todo=_AGAIN, file=archive.name)


def _entries(found: Sequence[zipfile.ZipInfo], archive: Path) -> Mapping[str, zipfile.ZipInfo]:
    """The files by their names in the bundle. All is in one folder of the ZIP file, or in none."""
    files = [entry for entry in found if not entry.is_dir() and not entry.filename.startswith(_MAC)]
    manifests = [entry.filename for entry in files if entry.filename.rpartition("/")[2] == MANIFEST]
    outer = min((name.removesuffix(MANIFEST) for name in manifests), key=len, default=None)
    if outer is None or outer.count("/") > 1:
        todo = f"Send the ZIP file of a whole model: one with a {MANIFEST}."
        raise InputError("there is no model in this ZIP file", value=archive.name, todo=todo)
    if len(files) > MAX_FILES:
        raise BundleError("there are too many files", value=f"over {MAX_FILES}", todo="A bundle is a small folder.", file=archive.name)
    named: dict[str, zipfile.ZipInfo] = {}
    seen: set[str] = set()
    for entry in files:
        name = entry.filename.removeprefix(outer)
        fault = _fault(entry, name, outer, seen)
        if fault:
            raise BundleError(f"a file does not belong in a bundle: {fault}", value=entry.filename, todo=_AGAIN, file=name)
        seen.add(name.casefold())
        named[name] = entry
    total = sum(entry.file_size for entry in files)
    if total > max(_SMALL, _MOST_GROWTH * archive.stat().st_size):
        what = "the ZIP file's content is far larger than itself"
        raise BundleError(what, value=f"{total >> 20:,} MB", todo=_AGAIN, file=archive.name)
    _fits(total)
    return named


def _fault(entry: zipfile.ZipInfo, name: str, outer: str, seen: set[str]) -> str | None:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if not entry.filename.startswith(outer):
        return "it lies beside the model's folder"
    if fault := name_fault(name):
        return fault
    if kind not in (0, stat.S_IFREG):
        return "it is a link, or no file at all"
    if entry.flag_bits & _ENCRYPTED:
        return "it is locked with a password"
    if entry.compress_type not in _READABLE:
        return "it is packed in a way that is not read here"
    return "its name occurs twice" if name.casefold() in seen else None


def _fits(size: int) -> None:
    if size > MOST_UNPACKED:
        todo = "Serve it from the command line: smidgen serve DIR."
        raise InputError(f"the model is larger than {MOST_UNPACKED >> 30} GB", value=f"{size >> 20:,} MB", todo=todo)
    free = shutil.disk_usage(home()).free
    if size + _SPARE > free:
        raise InputError("there is not enough room on the disk", value=f"{free >> 20:,} MB free", todo="Make room, then open it again.")


def _write(packed: zipfile.ZipFile, entry: zipfile.ZipInfo, file: Path) -> None:
    """Unpack a file; no more of it than was told."""
    file.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with packed.open(entry) as source, file.open("xb") as target:
        while piece := source.read(_PIECE):
            written += len(piece)
            if written > entry.file_size:
                raise zipfile.BadZipFile(entry.filename)
            target.write(piece)
