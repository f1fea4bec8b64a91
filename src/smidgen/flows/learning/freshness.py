"""Since when held-out rows say something of the traffic: since the line's latest revocation.

A revocation says that what was held out until then is not like the traffic any more. Certificates come and go with their versions, and a
version may be gone back from; so it is the line that remembers, and the moment only grows.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from smidgen.core.errors import CertificateError
from smidgen.gateway import certificate as papers
from smidgen.gateway import revocation
from smidgen.gateway.revocation import Revocation
from smidgen.store.line import Line, Pointer


def revocations(line: Line) -> frozenset[Revocation]:
    """Every revocation that is known of any version of the line, also of one that was swept up."""
    folder = line.folder / "versions"
    ids = {entry.name.partition(".")[0] for entry in folder.iterdir()} if folder.is_dir() else set()
    return frozenset(found for id in ids if id for found in revocation.known(line.version(id), _certificate(line.version(id))))


def remembered(line: Line, found: frozenset[Revocation], began: datetime) -> Pointer:
    """The pointer, which knows of these revocations from now on. One at a time that is not known was as late as can be: when this began.

    Where the moment grows, rows are fresh, and looks at them are counted anew. Raises as `Line.change` does.
    """
    pointer = line.read()
    latest = max((one.at or began for one in found), default=None)
    if latest is None or (pointer.fresh_since is not None and pointer.fresh_since >= latest):
        return pointer
    return line.change(lambda before: before.fresh(latest))


def _certificate(bundle: Path) -> str | None:
    """The id of the certificate beside a version; None where there is none that can be read."""
    try:
        return papers.read(papers.place(bundle)).id
    except CertificateError:
        return None
