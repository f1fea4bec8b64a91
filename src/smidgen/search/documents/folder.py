"""Read documents: a folder, a file, or a JSONL of texts. A file that has not changed is not read again."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.util
import json
import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smidgen.core.errors import DataError, InputError, MissingExtra
from smidgen.core.printable import HALVES
from smidgen.search.documents import faq_tables, markup, office_files, passages, web_pages
from smidgen.search.documents.document import MOST_PASSAGES, MOST_TEXT, Passage, SourceDocument, TextBlock
from smidgen.store import files
from smidgen.store.files import home

MOST_FILES = 10_000
MOST_BYTES = 50 << 20
"""Most bytes of one file."""
MOST_FOLDER_BYTES = 1 << 30
_MOST_CACHED = 5_000
_NAMED = 5
_CONTROLS = {number: None for number in range(32) if chr(number) not in "\n\r\t"}
SUFFIXES = (".md", ".markdown", ".html", ".htm", ".xhtml", ".pdf", ".docx", ".txt", ".csv", ".xlsx", ".jsonl")


@dataclass(frozen=True, slots=True)
class DocumentReading:
    """Documents as they were read.

    Attributes:
        documents: in the order of their ids.
        problems: a sentence for each file that could not be read.
        files: files that were read; `cached` of them without opening them, because they have not changed.
    """

    documents: tuple[SourceDocument, ...]
    problems: tuple[str, ...] = ()
    files: int = 0
    cached: int = 0

    def passages(self) -> list[Passage]:
        """The passages of all documents. Raises DataError for too many."""
        found = [passage for document in self.documents for passage in passages.passages_of(document)]
        if len(found) > MOST_PASSAGES or sum(len(passage.text) for passage in found) > MOST_TEXT:
            raise DataError(
                "search.documents_are_too_many_for_one_model", found=len(found), most_passages=MOST_PASSAGES, most_text=MOST_TEXT
            )
        return found


def read_documents(path: Path | str) -> DocumentReading:
    """Read all documents of a folder, one file, or a JSONL with `{"id", "text"}` a line.

    A file that cannot be read becomes a problem, and the others are read. Hidden files, links that lead out of the folder, and files of
    other kinds are left out.

    Raises:
        InputError: there is no such file or folder.
        DataError: none of the files can be read, or they are too many.
        MissingExtra: a file needs a package that is not installed.
    """
    top = Path(path).expanduser()
    if not top.exists():
        raise InputError("search.there_is_no_such_file_or_folder", value=str(path))
    whole = top.is_dir()
    found, problems, documents, cached = list(_walk(top)) if whole else [top], list[str](), list[SourceDocument](), 0
    if len(found) > MOST_FILES:
        raise DataError("search.folder_holds_too_many_files", value=f"{len(found):,}", most_files=MOST_FILES)
    total = 0
    for file in found:
        name = unicodedata.normalize("NFC", file.relative_to(top).as_posix() if whole else file.name)
        try:
            total += (size := file.stat().st_size)
            if total > MOST_FOLDER_BYTES:
                raise DataError("search.documents_are_too_large_together", total=total >> 20, most=MOST_FOLDER_BYTES >> 20)
            read, old = _file(file, name, size)
        except (ValueError, OSError) as error:
            problems.append(f"{name} is left out: {error.strerror or error if isinstance(error, OSError) else error}")
            continue
        documents += read
        cached += old
    documents = [document for document in documents if document.blocks]
    if not documents:
        value = "; ".join(problems[:_NAMED]) or str(path)
        raise DataError("search.no_document_holds_text", value=value, suffixes=", ".join(SUFFIXES))
    if twice := _repeated(documents):
        raise DataError("search.two_documents_have_same_id", value=sorted(twice)[0])
    return DocumentReading(tuple(sorted(documents, key=lambda one: one.id)), tuple(problems), len(found) - len(problems), cached)


def _repeated(documents: list[SourceDocument]) -> set[str]:
    seen, twice = set[str](), set[str]()
    for document in documents:
        (twice if document.id in seen else seen).add(document.id)
    return twice


def _walk(top: Path) -> Iterator[Path]:
    """The readable files of a folder and the folders in it, sorted by path. Links to places outside are not followed."""
    real = top.resolve()
    for folder, folders, names in os.walk(top):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            file = Path(folder) / name
            if name.startswith((".", "~$")) or file.suffix.lower() not in SUFFIXES or HALVES.search(name) or not name.isprintable():
                continue
            if file.is_file() and file.resolve().is_relative_to(real):
                yield file


_NEEDED = {".pdf": ("pypdf", "pypdf"), ".docx": ("docx", "python-docx"), ".html": ("lxml", "lxml"), ".htm": ("lxml", "lxml")}
_NEEDED[".xhtml"] = _NEEDED[".html"]
"""The module and the package that read a kind of file, where they come with an extra."""


def check_packages(place: Path) -> None:
    """Raise MissingExtra if documents in a folder need a package that is not installed: before work begins that would end with it."""
    for suffix in sorted({file.suffix.lower() for file in (_walk(place) if place.is_dir() else [place])}):
        module, package = _NEEDED.get(suffix, ("json", ""))
        if importlib.util.find_spec(module) is None:
            raise MissingExtra(package, "desk")


def forget_reading(place: Path) -> None:
    """Delete what was kept of a document, or of all in a folder, as they were read. Another file like it is read again."""
    for file in _walk(place) if place.is_dir() else [place]:
        if file.suffix.lower() in SUFFIXES:
            _kept(file.read_bytes(), file.suffix.lower()).unlink(missing_ok=True)


def _kept(content: bytes, suffix: str) -> Path:
    """The place of a document as it was read."""
    key = hashlib.sha256(f"{_version()} {suffix} {hashlib.sha256(content).hexdigest()}".encode()).hexdigest()
    return home() / "documents" / f"{key}.json"


def _file(file: Path, name: str, size: int) -> tuple[list[SourceDocument], bool]:
    """The documents of a file, and whether they come from the cache. Raises ValueError, a clause, or OSError."""
    if size > MOST_BYTES:
        raise ValueError(f"it has {size >> 20:,} MiB; {MOST_BYTES >> 20} are the most")
    content = file.read_bytes()
    suffix = file.suffix.lower()
    place = _kept(content, suffix)
    held = _cached(place)
    told = held if held is not None else _parts(content, suffix)
    if held is None:
        _store(place, told)
    stem = file.stem.replace("_", " ").replace("-", " ").strip()
    return [
        SourceDocument(
            str(part["id"]) or name, str(part["title"]) or stem, tuple(TextBlock(**block) for block in part["blocks"]), str(part["url"])
        )
        for part in told
    ], held is not None


def _parts(content: bytes, suffix: str) -> list[dict[str, Any]]:
    """The documents in a file as JSON. Raises ValueError, a clause."""
    title = url = ""
    if suffix == ".jsonl":
        return _lines(content)
    if suffix == ".pdf":
        title, blocks = office_files.read_pdf(content)
    elif suffix == ".docx":
        title, blocks = office_files.read_docx(content)
    elif suffix == ".csv":
        blocks = faq_tables.read_faq_csv(content)
    elif suffix == ".xlsx":
        blocks = faq_tables.read_faq_workbook(content)
    elif suffix in (".html", ".htm", ".xhtml"):
        title, url, blocks = web_pages.read_web_page(content)
    elif suffix == ".txt":
        blocks = markup.read_plain_text(_text(content))
    else:
        title, url, blocks = markup.read_markdown(_text(content))
    if not any(not block.level for block in blocks):
        raise ValueError("it holds no text")
    return [{"id": "", "title": title, "url": url, "blocks": [_told(block) for block in blocks]}]


def _lines(content: bytes) -> list[dict[str, Any]]:
    """A document for each line of a JSONL: `id` and `text`; optional `title`, `url`, and `question` of a FAQ entry."""
    found = []
    for number, line in enumerate(_text(content).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            told = json.loads(line)
        except (ValueError, RecursionError):
            raise ValueError(f"line {number} is no JSON") from None
        told = told if isinstance(told, dict) else {}
        one = {name: told.get(name, "") for name in ("id", "text", "title", "url", "question")}
        one["id"] = str(one["id"]) if isinstance(one["id"], int) else one["id"]
        if not all(isinstance(value, str) for value in one.values()) or not one["id"].strip() or not one["text"].strip():
            raise ValueError(f'line {number} is no object with "id" and "text"')
        url = one["url"] if one["url"].startswith(("https://", "http://")) else ""
        asked = " ".join(one["question"].split())
        blocks = [TextBlock(" ".join(one["text"].split()), question=asked)] if asked else markup.read_plain_text(one["text"])
        found.append({"id": one["id"].strip(), "title": one["title"], "url": url, "blocks": [_told(block) for block in blocks]})
    if not found:
        raise ValueError("it holds no lines")
    return found


def _told(block: TextBlock) -> dict[str, Any]:
    return {name: value for name, value in dataclasses.asdict(block).items() if value not in (None, "", 0)}


def _text(content: bytes) -> str:
    """The bytes as text without control characters. Raises ValueError, a clause, if they are no text."""
    if b"\0" in content[:4096] and not content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError("it is no text file")
    for encoding in ("utf-16",) if content.startswith((b"\xff\xfe", b"\xfe\xff")) else ("utf-8-sig", "cp1252"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        return text.translate(_CONTROLS)
    return content.decode("latin-1")


@functools.cache
def _version() -> str:
    """A hash of the readers: a changed reader reads every file again."""
    room = Path(__file__).parent
    return hashlib.sha256(b"".join(file.read_bytes() for file in sorted(room.glob("*.py")))).hexdigest()[:16]


def _cached(place: Path) -> list[dict[str, Any]] | None:
    try:
        told = json.loads(place.read_text(encoding="utf-8"))
        os.utime(place)
    except (OSError, ValueError):
        return None
    return told if isinstance(told, list) else None


def _store(place: Path, told: list[dict[str, Any]]) -> None:
    place.parent.mkdir(mode=0o700, exist_ok=True)
    files.write(place, json.dumps(told, ensure_ascii=False).encode("utf-8"), 0o600)
    held = list(place.parent.glob("*.json"))
    if len(held) > _MOST_CACHED:
        for old in sorted(held, key=lambda file: file.stat().st_mtime)[: len(held) - _MOST_CACHED]:
            old.unlink(missing_ok=True)
