"""Resolve a path that names a bundle or a line. A line stands for its champion."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from smidgen.bundles.open import Bundle, open_bundle
from smidgen.core.errors import BundleError, InputError
from smidgen.store.line import POINTER, Line, is_line


@dataclass(frozen=True, slots=True)
class FoundBundle:
    """An opened bundle, and the line that it is the champion of, with the line's name; None for a bundle by itself."""

    bundle: Bundle
    line: Line | None = None
    name: str | None = None


def folder_of(path: Path) -> Path:
    """The folder of the bundle: the path itself, or that of a line's champion. Raises InputError where a line has none yet, BundleError
    where its pointer cannot be read."""
    return _champion(Line(path))[1] if is_line(path) else path


def find_bundle(path: Path) -> FoundBundle:
    """Open the bundle, or the line's champion, with every hash verified.

    Raises InputError and BundleError as `open_bundle` does, for a line without a champion, and for a champion that is another bundle than
    the one that was promoted.
    """
    if not is_line(path):
        return FoundBundle(open_bundle(path))
    line = Line(path)
    name, _, champion = _champion(line)
    return FoundBundle(open_version(line, champion), line, name)


def open_version(line: Line, id: str) -> Bundle:
    """Open a version of a line. Raises InputError where it is not there; BundleError where it must not be opened."""
    folder = line.version(id)
    if not folder.is_dir():
        known = ", ".join(line.versions()[:10]) or "none"
        raise InputError("the line has no such version", value=f"{id} in {line.folder}", todo=f"There are: {known}.")
    bundle = open_bundle(folder)
    if bundle.id != id:
        raise BundleError(
            "the version is another bundle than its folder says",
            value=f"{bundle.id} in {folder}",
            todo="Go back to an earlier one: smidgen rollback.",
            file=POINTER,
        )
    return bundle


def _champion(line: Line) -> tuple[str, Path, str]:
    """The line's name, and its champion's folder and id."""
    pointer = line.read()
    if pointer.champion is None:
        raise InputError(
            "the line has no champion yet", value=str(line.folder), todo="Let it learn one: smidgen learn LINE --data FILE --task TASK."
        )
    return pointer.name, line.version(pointer.champion), pointer.champion
