"""Export a bundle: opened, turned into another program's files by the target that was named, put in place whole."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smidgen.bundles.manifest import files_below
from smidgen.bundles.open import Bundle
from smidgen.core.errors import InputError
from smidgen.core.progress import Progress, Silent
from smidgen.flows import bundle_paths
from smidgen.flows.export.target import SERVE, ExportNotes, ExportRefusal, ExportTarget, plain_name
from smidgen.parts import registry
from smidgen.store.hashing import file_hash

ROOM = "flows.export"
"""Where the targets are: one file each."""


_MODE = 0o644


@dataclass(frozen=True)
class ExportResult:
    """What was written: of which bundle, for what, where, and what is to be said of it."""

    name: str
    id: str
    target: str
    folder: Path
    told: ExportNotes

    def json(self) -> dict[str, Any]:
        """As `smidgen export --json` prints it: every file with its SHA-256 and size in bytes."""
        files = {
            name: {"sha256": file_hash(self.folder / name), "size": (self.folder / name).stat().st_size}
            for name in files_below(self.folder)
        }
        facts = {"name": self.name, "bundle": self.id, "to": self.target, "folder": str(self.folder), "files": files}
        return {**facts, "notes": list(self.told.notes), "commands": list(self.told.commands)}


def export_targets() -> dict[str, str]:
    """The targets that there are, each with what it writes, in a clause."""
    return {name: registry.find(ROOM, name).summary for name in registry.names(ROOM)}


def export(bundle: Path, target: str, out: Path | None = None, progress: Progress | None = None) -> ExportResult:
    """Write a bundle as the files of another program.

    Args:
        bundle: the folder of a bundle or a line; every hash is checked first.
        target: for which program.
        out: the folder to make, new or empty; default: the bundle's name and the target's, in the current folder.

    Raises:
        UnknownPart: there is no such target.
        InputError: the bundle cannot be handed over so (the message says what to do instead), or `out` is taken.
        BundleError: the bundle must not be opened.
    """
    progress = progress or Silent()
    part: ExportTarget = registry.find(ROOM, target)
    progress.start(f"export to {target}")
    opened = bundle_paths.find_bundle(bundle).bundle
    place = out or Path(f"{plain_name(opened.manifest.name)}-{target}")
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise InputError("the place for the export is not an empty folder", value=str(place), todo="Name a new one with --out.")
    try:
        part.check(opened)
    except ExportRefusal as refusal:
        raise InputError(refusal.what, value=refusal.value, todo=other_targets(opened, target, refusal.todo)) from refusal
    place.parent.mkdir(parents=True, exist_ok=True)
    # Made beside its place and renamed into it: there is never half an export.
    with tempfile.TemporaryDirectory(prefix=f".{place.name}-", dir=place.parent) as beside:
        fresh = Path(beside) / "new"
        fresh.mkdir()
        told = part.write(opened, fresh)
        _set_modes(fresh)
        if place.exists():
            place.rmdir()
        fresh.replace(place)
    progress.finish(str(place))
    return ExportResult(opened.manifest.name, opened.id, target, place, told)


def other_targets(bundle: Bundle, target: str, todo: str = SERVE) -> str:
    """What to do with a bundle that a target does not take: every other target that takes it, after asking each; and what always works."""
    others = [name for name in registry.names(ROOM) if name != target and is_taken(bundle, name)]
    offer = f"Export it --to {' or '.join(others)}, or serve it: smidgen serve." if others else SERVE
    return offer if todo == SERVE else f"{todo} {offer}"


def is_taken(bundle: Bundle, target: str) -> bool:
    """Whether a target takes a bundle."""
    try:
        registry.find(ROOM, target).check(bundle)
    except ExportRefusal:
        return False
    return True


def _set_modes(folder: Path) -> None:
    """Every file readable by all and writable by its owner, whatever library wrote it; nothing of it can be run."""
    for file in folder.rglob("*"):
        if file.is_file():
            file.chmod(_MODE)
