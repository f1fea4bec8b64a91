"""Unpack the ZIP file of a model, in a process of its own.

A ZIP file may come from anyone. It is looked through before anything is unpacked, and every size in it is bounded.
"""

from __future__ import annotations

import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from smidgen.bundles.manifest import MANIFEST, MAX_FILES, name_fault
from smidgen.core.errors import BundleError, InputError
from smidgen.machine.child_process import WorkerErrors, ask_worker, work
from smidgen.store.files import home

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
_ERRORS: Final = WorkerErrors(
    slow="studio.model_file_is_not_read_in_time",
    large="studio.model_file_needs_too_much_memory",
    broken="studio.model_file_breaks_its_reader",
)
_MEMORY: Final = 1 << 30
"""Bytes of the process that unpacks."""
_SECONDS: Final = 900.0


def unpack_apart(archive: Path, folder: Path) -> None:
    """Unpack the bundle in a ZIP file into an empty folder, in a process of its own. Raises DataError and BundleError as `unpack` does."""
    ask_worker(__name__, {"archive": str(archive), "folder": str(folder)}, _MEMORY, _SECONDS, archive.name, _ERRORS)


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
        if isinstance(error, zlib.error) and str(error).startswith("Error -4 "):  # Z_MEM_ERROR, which zlib's own allocations end in
            raise MemoryError from None
        raise InputError("studio.zip_file_is_damaged", value=archive.name) from None


def _bound_directory(archive: Path) -> None:
    """Refuse a file without the end of a ZIP file, and one whose list of files would fill the memory."""
    size = archive.stat().st_size
    with archive.open("rb") as stream:
        stream.seek(max(0, size - _TAIL))
        tail = stream.read(_TAIL)
    place = tail.rfind(_END)
    if place < 0 or len(tail) < place + 22:
        raise InputError("studio.this_is_not_zip_file", value=archive.name)
    listed, length = struct.unpack_from("<HI", tail, place + 10)
    if _FAR_END in tail or length > _MOST_DIRECTORY or listed > 2 * MAX_FILES:
        raise BundleError("studio.zip_file_holds_too_many_files_for_model", max_files=MAX_FILES, file=archive.name)


def _entries(found: Sequence[zipfile.ZipInfo], archive: Path) -> Mapping[str, zipfile.ZipInfo]:
    """The files by their names in the bundle. All is in one folder of the ZIP file, or in none."""
    files = [entry for entry in found if not entry.is_dir() and not entry.filename.startswith(_MAC)]
    manifests = [entry.filename for entry in files if entry.filename.rpartition("/")[2] == MANIFEST]
    outer = min((name.removesuffix(MANIFEST) for name in manifests), key=len, default=None)
    if outer is None or outer.count("/") > 1:
        raise InputError("studio.there_is_no_model_in_this_zip_file", value=archive.name)
    if len(files) > MAX_FILES:
        raise BundleError("bundles.there_are_too_many_files", max_files=MAX_FILES, file=archive.name)
    named: dict[str, zipfile.ZipInfo] = {}
    seen: set[str] = set()
    for entry in files:
        name = entry.filename.removeprefix(outer)
        fault = _fault(entry, name, outer, seen)
        if fault:
            raise BundleError("studio.file_does_not_belong_in_bundle", value=entry.filename, cause=fault, file=name)
        seen.add(name.casefold())
        named[name] = entry
    total = sum(entry.file_size for entry in files)
    if total > max(_SMALL, _MOST_GROWTH * archive.stat().st_size):
        raise BundleError("studio.zip_file_content_is_too_large", total=total >> 20, file=archive.name)
    check_room(total)
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


def check_room(size: int) -> None:
    """Raise InputError for a bundle of too many bytes, and where the disk has no room for it."""
    if size > MOST_UNPACKED:
        raise InputError("studio.model_is_too_large", most_unpacked=MOST_UNPACKED >> 30, size=size >> 20)
    free = shutil.disk_usage(home()).free
    if size + _SPARE > free:
        raise InputError("studio.there_is_not_enough_room_on_disk", free=free >> 20)


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


def _work(asked: Mapping[str, Any]) -> Mapping[str, Any]:
    unpack(Path(asked["archive"]), Path(asked["folder"]))
    return {}


if __name__ == "__main__":
    work(_work)
