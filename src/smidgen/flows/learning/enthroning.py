"""A new version put into its line: what is revoked, certificate, bundle, pointer. Killed between any of these, the line is as it was."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from smidgen.bundles.open import read_manifest
from smidgen.core.errors import BundleError
from smidgen.flows import lines
from smidgen.gateway import certificate as papers
from smidgen.gateway import revocation
from smidgen.store.line import Line, LineBusy, Who, earlier

KEPT = 10
"""Champions before the present one that are kept, to go back to."""
WORK = ".work-"
"""What the folders are called in which a line's next version is made."""


def install(line: Line, made: Path, *, by: Who, why: str, instead_of: str | None) -> str:
    """Move a bundle, which lies in the line's folder, with its certificate and what is revoked of it to its place among the versions, and
    point to it. Returns its id.

    Raises BundleError where it cannot be moved, LineBusy where the champion is not `instead_of` any more: the line stays as it was.
    """
    id = read_manifest(made).id
    target = line.version(id)
    try:
        target.parent.mkdir(exist_ok=True)
        # What is revoked first, then the certificate: at no moment is there a version that lacks what it was given, or has what it lost.
        revocation.carry(made, target)
        if not target.exists():
            if papers.place(made).is_file():
                papers.place(made).replace(papers.place(target))
            _settle(made)
            made.replace(target)
            _settle(target.parent)
    except OSError as error:
        raise BundleError(
            "the version cannot be put into the line",
            value=f"{target}: {error.strerror}",
            todo="The champion stays. Make room on the disk.",
        ) from error
    lines.version(line, id)
    line.point(id, by=by, why=why, instead_of=instead_of)
    return id


def tidy(line: Line) -> None:
    """Remove what a learning that was killed has left: captured texts are among it. Does nothing while another process learns, and
    where nothing may be removed: whoever opens the line to serve it must not fail for it."""
    if not _leftovers(line):
        return
    with contextlib.suppress(LineBusy, OSError), line.learning():
        _remove(line)


def sweep(line: Line) -> None:
    """Remove what was left half done, and the versions that nobody would go back to; revocations stay. Call it under the line's lock for
    learning."""
    _remove(line)
    with line.locked():
        pointer = line.read()
        kept = {pointer.champion, *earlier(pointer.history)[-KEPT:], *(turn.champion for turn in pointer.history[-KEPT:])}
        for id in line.versions():
            if id not in kept:
                shutil.rmtree(line.version(id), ignore_errors=True)
                papers.place(line.version(id)).unlink(missing_ok=True)


def _leftovers(line: Line) -> list[Path]:
    return list(line.folder.glob(f"{WORK}*"))


def _remove(line: Line) -> None:
    for left in _leftovers(line):
        shutil.rmtree(left, ignore_errors=True)


def _settle(folder: Path) -> None:
    """See that all of a folder is on the disk: a pointer must not outlive in a power cut what it points to."""
    places = [folder, *folder.rglob("*")]
    for place in places:
        if place.is_dir() and os.name == "nt":
            continue  # it does so by itself
        handle = os.open(place, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
