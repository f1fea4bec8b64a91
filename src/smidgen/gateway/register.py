"""The register of the certificates that were given here, by the bundle that they are of: what audits found against one is not forgotten
because its file beside the bundle was deleted or damaged. It only grows; it lies in smidgen's home, in `certificates/`."""

from __future__ import annotations

import json
from pathlib import Path

from smidgen.core.errors import CertificateError
from smidgen.gateway import certificate as papers
from smidgen.gateway.certificate import Certificate
from smidgen.store import atomic
from smidgen.store.home import home


def enter(paper: Certificate) -> None:
    """Keep a copy of a certificate. Raises CertificateError where it cannot be written."""
    file = _folder(paper.bundle.sha256) / f"{paper.id}.json"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(file, (json.dumps(paper.facts(), ensure_ascii=False) + "\n").encode("utf-8"))
    except OSError as error:
        raise CertificateError(
            "the certificate cannot be entered in the register", value=f"{file}: {error.strerror}", todo="Make room on the disk."
        ) from error


def given(sha256: str) -> list[Certificate]:
    """The certificates of the bundle whose manifest has this SHA-256. Raises CertificateError where one of them cannot be read."""
    folder = _folder(sha256)
    try:
        return [papers.read(file) for file in sorted(folder.glob("*.json"))]
    except CertificateError as error:
        raise CertificateError(
            "the register of the bundle's certificates cannot be read, and what audits found would be forgotten",
            value=f"{folder}: {error.what}",
            todo="Put a copy of the folder back.",
        ) from error


def _folder(sha256: str) -> Path:
    return home() / "certificates" / sha256
