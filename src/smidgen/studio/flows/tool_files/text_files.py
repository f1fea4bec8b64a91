"""A project's text files as two people may change them: each change names the text that it was made from."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic.dataclasses import dataclass

from smidgen.core.errors import InputError, RequestError
from smidgen.flows.recipe_files import MaterialKind
from smidgen.studio.flows.material import material_name, read_file, write_file
from smidgen.studio.store.projects import Project
from smidgen.studio.store.tables import StudioMissing

_changing = threading.Lock()


@dataclass(frozen=True, slots=True)
class TextFile:
    """A text file. `stamp` changes with its text; it is empty for a file that is not there yet."""

    name: str
    text: str
    stamp: str


@dataclass(frozen=True, slots=True)
class FieldMistake:
    """A mistake, and the field that it stands at: `words.en`; empty for one of the whole."""

    place: str
    text: str


def read_text(project: Project, kind: MaterialKind, most: int) -> TextFile:
    """Read a file. Raises InputError if the project has no such file, or if it cannot be read as text."""
    name = material_name(project, kind)
    try:
        content = read_file(project, name, most)
    except StudioMissing:
        return TextFile(name, "", "")
    try:
        return TextFile(name, content.decode("utf-8"), _stamp(content))
    except UnicodeDecodeError:
        raise InputError("studio.file_is_not_utf_8", value=name) from None


@contextmanager
def changing(project: Project, kind: MaterialKind, most: int, stamp: str) -> Iterator[TextFile]:
    """The file while it is changed: nobody else writes it within the block. Raises RequestError if it is no longer as `stamp` says."""
    with _changing:
        now = read_text(project, kind, most)
        if now.stamp != stamp:
            raise RequestError("studio.file_was_changed_meanwhile", value=now.name, status=409, code="changed_meanwhile")
        yield now


def write_text(project: Project, name: str, text: str, most: int) -> TextFile:
    """Replace a file. Raises InputError if it would be too large."""
    content = text.encode("utf-8")
    if len(content) > most:
        raise InputError("studio.file_would_be_too_large", content=len(content), most=most)
    write_file(project, name, content)
    return TextFile(name, text, _stamp(content))


def _stamp(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
