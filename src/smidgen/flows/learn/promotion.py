"""Promote a version of a line, and roll back to an earlier one.

Files are put in place in this order: revocations, certificate, bundle, pointer. A crash between any two leaves the line unchanged.
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

# Promotion.

KEPT = 10
"""Number of earlier champions to keep for rolling back."""
WORK = ".work-"
"""Prefix of the folders in which a line's next version is built."""


def promote(line: Line, made: Path, *, by: Who, why: str, instead_of: str | None) -> str:
    """Move a bundle in the line's folder to its place among the versions, with certificate and revocations, and point the line to it.

    Returns the version's id. Raises BundleError if it cannot be moved, LineBusy if the champion is no longer `instead_of`: the line is then
    unchanged.
    """
    id = read_manifest(made).id
    target = line.version(id)
    try:
        target.parent.mkdir(exist_ok=True)
        # Revocations first, then the certificate: at no moment does a version lack its certificate, or hold a revoked one.
        revocation.carry(made, target)
        if not target.exists():
            if papers.place(made).is_file():
                papers.place(made).replace(papers.place(target))
            _settle(made)
            made.replace(target)
            _settle(target.parent)
    except OSError as error:
        raise BundleError("flows.version_cannot_be_put_into_line", value=f"{target}: {error.strerror}") from error
    open_version(line, id)
    line.point(id, by=by, why=why, instead_of=instead_of)
    return id


def remove_killed_learning(line: Line) -> None:
    """Remove the files of a learning cycle that was killed, which include captured texts.

    Does nothing while another process learns, or if the files cannot be removed: serving the line must not fail for it.
    """
    if not _leftovers(line):
        return
    with contextlib.suppress(LineBusy, OSError), line.learning():
        _remove(line)


def sweep_line(line: Line) -> None:
    """Remove unfinished work and versions too old to roll back to. Revocations stay. Call it under the line's lock for learning."""
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
    """Flush a folder to disk: after a power cut, a pointer must not name files that are lost."""
    places = [folder, *folder.rglob("*")]
    for place in places:
        if place.is_dir() and os.name == "nt":
            continue  # Windows does so by itself
        handle = os.open(place, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


# Rollback to an earlier champion, without training or copying.


@dataclass(frozen=True)
class RollbackResult:
    """The champion now, the one before, and the status of the new champion's certificate."""

    line: str
    champion: str
    before: str
    standing: CertificateStatus

    def json(self) -> dict[str, Any]:
        """Return the result, JSON-ready."""
        return {"line": self.line, "champion": self.champion, "before": self.before, "certificate": self.standing.json()}


def roll_back(folder: Path, to: str | None = None, reason: str | None = None, now: datetime | None = None) -> RollbackResult:
    """Point the line to an earlier champion: the previous one, or version `to`. All its hashes are verified first.

    The line first takes note of all revocations, so that a certificate from before the latest does not hold. Raises InputError if there is
    no such version or it serves already; BundleError if it must not be opened; LineBusy if the champion was changed meanwhile. The pointer
    then stays.
    """
    line = Line(folder)
    pointer = line.read()
    remove_killed_learning(line)
    if pointer.champion is None:
        raise InputError("flows.line_has_no_champion", value=str(folder))
    before = earlier(pointer.history)
    if to is None and not before:
        known = ", ".join(id for id in line.versions() if id != pointer.champion) or "none"
        raise InputError("flows.there_is_no_earlier_champion", value=pointer.champion, known=known)
    wanted = to if to is not None else before[-1]
    if wanted == pointer.champion:
        raise InputError("flows.this_version_is_serving_already", value=wanted)
    bundle = open_version(line, wanted)
    # This comes before the pointer: a certificate that the latest revocation has outdated must not hold for a moment.
    revoked = holdout.known_revocations(line)
    holdout.remember_revocations(line, revoked, now or datetime.now(UTC))
    line.point(wanted, by="rollback", why=reason or f"back from {pointer.champion}", instead_of=pointer.champion, now=now)
    holdout.was_revoked_since(line, revoked, now or datetime.now(UTC))
    return RollbackResult(
        pointer.name, wanted, pointer.champion, certificates.check_certificate(bundle.folder, certificate_subject(bundle.manifest), now)
    )
