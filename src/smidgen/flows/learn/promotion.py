"""Promote a version of a line, and roll back to an earlier one.

What is revoked, certificate, bundle, pointer: in this order. Killed between any of these, the line is as it was.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from smidgen.bundles.open import open_version, read_manifest
from smidgen.core.errors import BundleError, InputError
from smidgen.flows.certify.certificate_status import certificate_subject
from smidgen.flows.learn import holdout
from smidgen.gateway import certificate as papers
from smidgen.gateway import certificate_status as certificates
from smidgen.gateway import revocation
from smidgen.gateway.certificate_status import CertificateStatus
from smidgen.store.line import Line, LineBusy, Who, earlier

# A new version put into its line: what is revoked, certificate, bundle, pointer. Killed between any of these, the line is as it was.

KEPT = 10
"""Champions before the present one that are kept, to go back to."""
WORK = ".work-"
"""What the folders are called in which a line's next version is made."""


def promote(line: Line, made: Path, *, by: Who, why: str, instead_of: str | None) -> str:
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
            todo="The champion stays. Free some disk space.",
        ) from error
    open_version(line, id)
    line.point(id, by=by, why=why, instead_of=instead_of)
    return id


def remove_killed_learning(line: Line) -> None:
    """Remove what a learning that was killed has left: captured texts are among it. Does nothing while another process learns, and
    where nothing may be removed: whoever opens the line to serve it must not fail for it."""
    if not _leftovers(line):
        return
    with contextlib.suppress(LineBusy, OSError), line.learning():
        _remove(line)


def sweep_line(line: Line) -> None:
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


# Back to an earlier champion, in a step that takes no training and no copying.


@dataclass(frozen=True)
class RollbackResult:
    """Who serves now, who did before, and how the certificate of the one that serves now stands."""

    line: str
    champion: str
    before: str
    standing: CertificateStatus

    def json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"line": self.line, "champion": self.champion, "before": self.before, "certificate": self.standing.json()}


def roll_back(folder: Path, to: str | None = None, reason: str | None = None, now: datetime | None = None) -> RollbackResult:
    """Point the line to an earlier champion: the one before the present one, or the version `to`, whose every hash is verified first. What
    was revoked of any version until now is remembered by the line: a certificate from before that does not hold.

    Raises InputError where there is none, or it serves already; BundleError where it must not be opened: the pointer then stays. LineBusy
    where the champion was changed meanwhile.
    """
    line = Line(folder)
    pointer = line.read()
    remove_killed_learning(line)
    if pointer.champion is None:
        raise InputError("the line has no champion", value=str(folder), todo="Run smidgen learn first.")
    before = earlier(pointer.history)
    if to is None and not before:
        known = ", ".join(id for id in line.versions() if id != pointer.champion) or "none"
        raise InputError("there is no earlier champion", value=pointer.champion, todo=f"Name a version with --to. There are: {known}.")
    wanted = to if to is not None else before[-1]
    if wanted == pointer.champion:
        raise InputError("this version is serving already", value=wanted, todo="Name another with --to, or leave it out.")
    bundle = open_version(line, wanted)
    # Before it serves: a certificate that the latest revocation has outdated must not hold for a moment.
    revoked = holdout.known_revocations(line)
    holdout.remember_revocations(line, revoked, now or datetime.now(UTC))
    line.point(wanted, by="rollback", why=reason or f"back from {pointer.champion}", instead_of=pointer.champion, now=now)
    holdout.was_revoked_since(line, revoked, now or datetime.now(UTC))
    return RollbackResult(
        pointer.name, wanted, pointer.champion, certificates.check_certificate(bundle.folder, certificate_subject(bundle.manifest), now)
    )
