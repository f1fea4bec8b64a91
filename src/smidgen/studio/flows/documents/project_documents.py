"""The documents of a project, file by file: what was read of each, its passages, and why a file could not be read."""

from __future__ import annotations

import functools
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from pydantic.dataclasses import dataclass

from smidgen.core.errors import InputError, SmidgenError
from smidgen.search.documents import passages as split
from smidgen.search.documents.document import Passage, SourceDocument
from smidgen.search.documents.folder import SUFFIXES, read_documents
from smidgen.studio.flows.material import (
    MOST_FILE_BYTES,
    MOST_FILES,
    MOST_PROJECT_BYTES,
    files_of,
    material_name,
    safe_name,
    write_file,
)
from smidgen.studio.flows.recipes.project_recipe import project_folder
from smidgen.studio.store.projects import Project

_MANY = ".jsonl"
"""A file of this kind holds several documents, each with an id of its own."""
_LEFT = ("__MACOSX", ".DS_Store", "Thumbs.db")
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file of documents: its name from the project's folder, what was read of it, or why it could not be, in words."""

    name: str
    size: int
    changed: float
    documents: tuple[SourceDocument, ...] = ()
    passages: tuple[Passage, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ShownPassage:
    """A passage of a document. `question`: of a FAQ entry, its question."""

    document: str
    number: int
    title: str
    heading: str
    text: str
    page: int | None
    question: str


@dataclass(frozen=True, slots=True)
class LeftOutFile:
    """A file of an upload that was not taken, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class TakenFiles:
    """The result of an upload: the files that are there now, and those that are not."""

    taken: tuple[str, ...]
    left_out: tuple[LeftOutFile, ...]


def read_files(project: Project) -> list[ReadFile]:
    """Every file of a project's documents, by name. A file that has not changed is not read again."""
    top, under = project_folder(project.id), material_name(project, "documents")
    held = files_of(project, under) if (top / under).exists() else []
    return [replace(_read(top / file.name, _inside(file.name, under), file.size, file.changed), name=file.name) for file in held]


def all_passages(files: Sequence[ReadFile]) -> list[Passage]:
    """The passages of all files. Of two documents with one id the first counts, as ids are unique."""
    seen, found = set[str](), list[Passage]()
    for file in files:
        for document in file.documents:
            if document.id not in seen:
                seen.add(document.id)
                found += [passage for passage in file.passages if passage.document == document.id]
    return found


def shown_passage(passage: Passage) -> ShownPassage:
    """Leave out of a passage what no page shows."""
    return ShownPassage(passage.document, passage.number, passage.title, passage.heading, passage.text, passage.page, passage.question)


def take_documents(project: Project, upload: Path, name: str) -> TakenFiles:
    """Put an uploaded file among the documents, or all files of a ZIP file. A file of the same name is replaced.

    Raises InputError for a ZIP file that is damaged or too large.
    """
    under = material_name(project, "documents")
    if PurePosixPath(name).suffix.lower() != ".zip":
        return _taken([(name, upload.read_bytes())], project, under)
    return _unpacked(project, upload, under)


def _taken(files: Sequence[tuple[str, bytes]], project: Project, under: str) -> TakenFiles:
    taken, left = list[str](), list[LeftOutFile]()
    for name, content in files:
        safe = safe_name(name)
        try:
            taken.append(write_file(project, f"{under}/{safe}", content).name)
        except InputError as error:
            left.append(LeftOutFile(name, error.what))
    return TakenFiles(tuple(taken), tuple(left))


def _unpacked(project: Project, archive: Path, under: str) -> TakenFiles:
    """The files of a ZIP file, one after another, so that only one is in memory."""
    taken, left, total = list[str](), list[LeftOutFile](), 0
    try:
        with zipfile.ZipFile(archive) as packed:
            entries = [one for one in packed.infolist() if not one.is_dir() and not _is_left(one.filename)]
            if len(entries) > MOST_FILES or sum(one.file_size for one in entries) > MOST_PROJECT_BYTES:
                raise InputError("studio.zip_file_holds_too_much", value=archive.name, files=MOST_FILES, size=MOST_PROJECT_BYTES >> 30)
            outer = _outer([one.filename for one in entries])
            for entry in entries:
                content = _content(packed, entry)
                total += len(content or b"")
                if content is None or total > MOST_PROJECT_BYTES:
                    left.append(LeftOutFile(entry.filename, "the file is too large"))
                    continue
                found = _taken([(entry.filename.removeprefix(outer), content)], project, under)
                taken += found.taken
                left += found.left_out
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise InputError("studio.zip_file_cannot_be_unpacked", value=str(error)[:200]) from None
    return TakenFiles(tuple(taken), tuple(left))


def _content(packed: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes | None:
    """The content of an entry; None for one of more bytes than a file may have, whatever it says of itself."""
    pieces, size = list[bytes](), 0
    with packed.open(entry) as source:
        while piece := source.read(_PIECE):
            size += len(piece)
            if size > MOST_FILE_BYTES:
                return None
            pieces.append(piece)
    return b"".join(pieces)


def _is_left(name: str) -> bool:
    """Whether an entry is what a system leaves in folders, or is hidden."""
    parts = PurePosixPath(name).parts
    return any(part in _LEFT or part.startswith((".", "~$")) for part in parts)


def _outer(names: Sequence[str]) -> str:
    """The folder that all lies in, with its slash; empty if there is none."""
    firsts = {name.partition("/")[0] for name in names}
    return f"{firsts.pop()}/" if len(firsts) == 1 and all("/" in name for name in names) else ""


def _inside(name: str, under: str) -> str:
    return PurePosixPath(name).name if name == under else name.removeprefix(f"{under}/")


@functools.lru_cache(maxsize=2_000)
def _read(file: Path, inside: str, size: int, changed: float) -> ReadFile:
    if file.suffix.lower() not in SUFFIXES:
        return ReadFile(inside, size, changed, problem=f"files of this kind are not read; these are: {', '.join(SUFFIXES)}")
    try:
        reading = read_documents(file)
        found = reading.documents if file.suffix.lower() == _MANY else tuple(replace(one, id=inside) for one in reading.documents)
        passages = tuple(passage for document in found for passage in split.passages_of(document))
    except SmidgenError as error:
        return ReadFile(inside, size, changed, problem=_reason(error, file.name))
    return ReadFile(inside, size, changed, found, passages)


def _reason(error: SmidgenError, name: str) -> str:
    """Why a file could not be read, in words."""
    told = str(error.value) if error.value is not None else ""
    prefix = f"{name} is left out: "
    if told.startswith(prefix):
        return told.removeprefix(prefix)
    return f"{error.what}. {error.todo}" if error.todo else error.what
