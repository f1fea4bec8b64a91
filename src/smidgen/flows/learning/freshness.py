"""Since when held-out rows say something of the traffic: since the line's latest revocation.

A revocation says that what was held out until then is not like the traffic any more. Certificates come and go with their versions, and a
version may be gone back from; so it is the line that remembers, and the moment only grows.

A clock that was ahead for a while may have dated a revocation, or the moment itself. What is to come cannot have been: it is now, once, and
is not moved again when its day has come.
"""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from smidgen.bundles.open import read_manifest
from smidgen.core.errors import BundleError, CertificateError
from smidgen.gateway import auditing, revocation
from smidgen.gateway import certificate as papers
from smidgen.gateway.revocation import Revocation
from smidgen.store.line import MOST_COUNTED, Line, Pointer

_PATIENCE = timedelta(days=1)
"""So far ahead a remembered moment is waited for: it may be the clock of now that is behind, by a time zone."""
_ID = re.compile("[0-9a-f]{32}")


def revocations(line: Line) -> frozenset[Revocation]:
    """Every revocation that is known of any version of the line, also of one that was swept up. Where the audits of a version's certificate
    say that it is revoked, and nobody has written that down yet, it is written first."""
    folder = line.folder / "versions"
    ids = {entry.name.partition(".")[0] for entry in folder.iterdir()} if folder.is_dir() else set()
    return frozenset(found for id in ids if id for found in _of(line.version(id)))


def _of(version: Path) -> frozenset[Revocation]:
    try:
        paper = papers.read(papers.place(version))
    except CertificateError:
        return revocation.known(version)
    with contextlib.suppress(OSError):  # neither place can be written: then the line cannot be either
        auditing.mend(version, paper)
    return revocation.known(version, paper.id)


def remembered(line: Line, found: frozenset[Revocation], now: datetime) -> Pointer:
    """The pointer, which knows of these revocations from now on. Each counts once, at its own time, or now where that is to come. One at a
    time that is not known was as late as can be: now, each time.

    Where the moment grows, rows are fresh, and looks at them are counted anew. Raises as `Line.change` does.
    """
    told = not _behind(line, now)
    pointer = line.read()
    if _counted(pointer, found, now, told) == pointer:
        return pointer
    return line.change(lambda before: _counted(before, found, now, told))


def overtaken(line: Line, known: frozenset[Revocation], now: datetime) -> bool:
    """Whether a certificate of the line was revoked since these revocations were all that were known, while a version was put in its place.
    Then its own certificate, which was given before that, is made stale. Raises as `Line.change` does."""
    found = revocations(line)
    if found == known:
        return False
    remembered(line, found, now)
    # Certificates know whole seconds, and it may be of this one.
    line.change(lambda before: before.fresh(now + timedelta(seconds=1)))
    return True


def _counted(pointer: Pointer, found: frozenset[Revocation], now: datetime, told: bool) -> Pointer:
    """What the pointer says then. Where the clock does not tell the time (`told`), every moment stands as it is written, and none is done
    with."""
    if told and pointer.fresh_since is not None and pointer.fresh_since - now > _PATIENCE:
        pointer = pointer.model_copy(update={"fresh_since": now})
    new = [one for one in found if one.at is None or one.certificate not in pointer.counted]
    latest = max((min(one.at or now, now) if told else one.at or now for one in new), default=None)
    if latest is not None:
        pointer = pointer.fresh(latest)
    done = sorted({one.certificate for one in new if told and one.at is not None and _ID.fullmatch(one.certificate)})
    return pointer.model_copy(update={"counted": (*pointer.counted, *done)[-MOST_COUNTED:]})


def _behind(line: Line, now: datetime) -> bool:
    """Whether the clock says a time at which none of the line's versions was made yet. A machine that has lost its time begins long ago; it
    must not take all that was found out since for what is to come."""
    made: list[datetime] = []
    for id in line.versions():
        with contextlib.suppress(BundleError, ValueError):
            moment = datetime.fromisoformat(read_manifest(line.version(id)).created)
            made.append(moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC))
    return bool(made) and now < min(made)
