"""The repository of a project that completes code: its source files, copied from a ZIP file or a folder of this machine."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from pydantic.dataclasses import dataclass

from smidgen.code.repository import MOST_BYTES, MOST_FILES, SUFFIXES, CodeFile, Repository, read_repository
from smidgen.core.errors import DataError, InputError
from smidgen.studio.flows.material import MOST_PROJECT_BYTES, material_path, safe_name
from smidgen.studio.store.projects import Project

_SHOWN = 500
_MOST_ENTRIES = 200_000
"""Entries of a ZIP file, whatever they are."""


@dataclass(frozen=True, slots=True)
class FileEnding:
    """An ending of files, such as `.py`, and how many have it."""

    ending: str
    files: int


@dataclass(frozen=True, slots=True)
class ProjectRepository:
    """A project's repository.

    Attributes:
        files: source files that are learnt from or tested on.
        lines: their lines.
        endings: files by ending, the commonest first.
        names: the paths of the first ones.
        remarks: a sentence for each reason to leave files out.
    """

    files: int
    lines: int
    endings: tuple[FileEnding, ...]
    names: tuple[str, ...]
    remarks: tuple[str, ...]


def project_repository(project: Project) -> ProjectRepository:
    """The repository that the project has. Without one, there are no files."""
    place = material_path(project, "repository")
    if not place.is_dir() or not any(place.rglob("*")):
        return _told(Repository((), ()))
    try:
        return _told(read_repository(place))
    except DataError:  # a person deleted the last source file
        return _told(Repository((), ()))


def take_folder(project: Project, folder: Path) -> ProjectRepository:
    """Copy the source files of a folder of this machine, in place of those that the project has.

    Raises DataError for a folder without source code.
    """
    found = read_repository(folder.expanduser())
    _replace(project, found.files)
    return _told(found)


def take_archive(project: Project, archive: Path) -> ProjectRepository:
    """Copy the source files of a ZIP file, in place of those that the project has.

    Raises InputError for a ZIP file that is damaged or too large, DataError for one without source code.
    """
    with tempfile.TemporaryDirectory() as folder:
        _unpack(archive, Path(folder))
        found = read_repository(Path(folder))
    _replace(project, found.files)
    return _told(found)


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack the files whose endings are of source code, each up to the most bytes that are read."""
    total = 0
    try:
        with zipfile.ZipFile(archive) as packed:
            entries = packed.infolist()
            if len(entries) > _MOST_ENTRIES:
                raise InputError("code.zip_file_holds_too_much", files=len(entries))
            named = [entry for entry in entries if not entry.is_dir() and SUFFIXES.fullmatch(PurePosixPath(entry.filename).suffix)]
            for entry in named[: 4 * MOST_FILES]:
                with packed.open(entry) as source:
                    content = source.read(MOST_BYTES + 1)
                total += len(content)
                name = safe_name(entry.filename)
                if total > MOST_PROJECT_BYTES or not name:
                    continue
                place = folder / name
                if (
                    not place.resolve().is_relative_to(folder.resolve())
                    or any(above.is_file() for above in place.parents)
                    or place.is_dir()
                ):
                    continue
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise InputError("code.zip_file_cannot_be_unpacked", value=str(error)[:200]) from None


def _replace(project: Project, files: Sequence[CodeFile]) -> None:
    place = material_path(project, "repository")
    fresh = place.with_name(f".{place.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    for file in files:
        target = fresh / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(file.text, encoding="utf-8", newline="")
    shutil.rmtree(place, ignore_errors=True)
    fresh.rename(place)


def _told(found: Repository) -> ProjectRepository:
    endings = Counter(PurePosixPath(file.path).suffix.lower() for file in found.files)
    lines = sum(file.text.count("\n") + (not file.text.endswith("\n")) for file in found.files)
    names = tuple(file.path for file in found.files)
    return ProjectRepository(
        len(names), lines, tuple(FileEnding(*one) for one in endings.most_common()), names[:_SHOWN], tuple(found.remarks())
    )
