"""Revocations: once a certificate is revoked it stays so, through restarts, copies and clean-ups.

Each stands in two places, and one of them is enough: beside the bundle, so that it goes where the bundle goes, and in smidgen's home, so
that it outlives what is done to the bundle's folder. Both only grow. A record that cannot be read counts as one that revokes.
"""

from __future__ import annotations

import contextlib
import json
from datetime import datetime
from pathlib import Path

import filelock
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from smidgen.store import atomic
from smidgen.store.home import home
from smidgen.store.line import line_of

SUFFIX = ".revocations.json"
_LOCK_SECONDS = 10
_MOST_BYTES = 16 * 1024 * 1024


class Revocation(BaseModel):
    """Which certificate, of which calibration sample (the hash of its rows, and their marks), why, and when."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    certificate: str
    reason: str
    sample: str = ""
    at: AwareDatetime | None = None
    marks: str = ""


class Revocations(BaseModel):
    """The record beside a bundle."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: int = 1
    revoked: tuple[Revocation, ...] = ()


def place(bundle: Path) -> Path:
    """Where the record beside the bundle in this folder lies."""
    folder = bundle.resolve()
    return folder.parent / f"{folder.name}{SUFFIX}"


def revoke(bundle: Path, certificate: str, reason: str, at: datetime, sample: str = "", marks: str = "") -> list[Path]:
    """Revoke a certificate of a bundle, given on this sample; returns where that was written down. A second time changes nothing.

    Raises OSError where it could not be written in either place.
    """
    entry = Revocation(certificate=certificate, reason=reason, sample=sample, at=at, marks=marks)
    done, fault = [], None
    for write in (_at_home, _beside):
        try:
            done.append(write(bundle, entry))
        except (OSError, ValueError) as error:  # read-only places, and a record that is damaged and so revokes all by itself
            fault = error
    if not done:
        raise OSError(f"the revocation cannot be written: {fault}") from fault
    return done


def revoked(bundle: Path, certificate: str) -> Revocation | None:
    """The revocation of a certificate; None where it is not revoked."""
    for file, every in ((_home_file(certificate), True), (place(bundle), False)):
        if not file.exists() and not file.is_symlink():
            continue
        try:
            record = _read(file)
        except (OSError, ValueError) as error:
            return Revocation(certificate=certificate, reason=f"the record of revocations cannot be read ({file.name}: {error})")
        found = next((entry for entry in record.revoked if every or entry.certificate == certificate), None)
        if found is not None:
            return found
        if every:
            return Revocation(certificate=certificate, reason=f"the record of revocations is empty ({file.name})")
    return None


def watched(bundle: Path, certificate: str) -> list[Path]:
    """All that `revoked` reads: a change of any of these may change what it says."""
    return [_home_file(certificate), place(bundle)]


def known(bundle: Path, certificate: str | None = None) -> frozenset[Revocation]:
    """Every revocation of a certificate of the bundle in this folder, which need not be there any more: by the record beside it, and by the
    one in smidgen's home of the certificate that is named. A record that cannot be read is one revocation, at a time that is not known."""
    found: set[Revocation] = set()
    for file, every in ((place(bundle), False), *(((_home_file(certificate), True),) if certificate is not None else ())):
        if not file.exists() and not file.is_symlink():
            continue
        try:
            entries = _read(file).revoked
        except (OSError, ValueError):
            entries = ()
            every = True
        unknown = Revocation(certificate=certificate or "", reason=f"the record of revocations cannot be read ({file.name})")
        found |= set(entries) or ({unknown} if every else set())
    return frozenset(found)


def carry(source: Path, target: Path) -> None:
    """Put the record beside one bundle beside another, as it is to the byte: a damaged one stays damaged, and revokes. Where that one has a
    record, too, both are kept; nothing that is revoked comes back. Does nothing where there is no record. Raises OSError where it cannot be
    read or written."""
    given, there = place(source), place(target)
    if not given.exists() and not given.is_symlink():
        return
    with given.open("rb") as stream:
        content = stream.read(_MOST_BYTES + 1)
    with filelock.FileLock(home() / "revocations.lock", timeout=_LOCK_SECONDS):
        if not there.exists() and not there.is_symlink():
            atomic.write(there, content)
            return
        try:
            before = _read(there).revoked
        except (OSError, ValueError):
            return  # it revokes all, and what is carried can revoke no more
        try:
            more = _read(given).revoked
        except (OSError, ValueError):
            atomic.write(there, content)
            return
        _write(there, Revocations(revoked=(*before, *(entry for entry in more if entry not in before))))


def refuted(bundle: Path) -> tuple[Revocation, ...]:
    """The revocations of the bundle, and of the other versions of its line, as far as the records beside them can be read: what their
    samples say of today's traffic was found to be wrong."""
    records = [place(bundle)]
    if line_of(bundle) is not None:
        records = sorted(bundle.resolve().parent.glob(f"*{SUFFIX}"))
    found: list[Revocation] = []
    for record in records:
        with contextlib.suppress(OSError, ValueError):
            found += _read(record).revoked
    return tuple(found)


def _at_home(bundle: Path, entry: Revocation) -> Path:
    file = _home_file(entry.certificate)
    file.parent.mkdir(exist_ok=True)
    if not file.exists():
        _write(file, Revocations(revoked=(entry,)))
    return file


def _beside(bundle: Path, entry: Revocation) -> Path:
    file = place(bundle)
    with filelock.FileLock(home() / "revocations.lock", timeout=_LOCK_SECONDS):
        before = _read(file).revoked if file.exists() else ()
        if all(known.certificate != entry.certificate for known in before):
            _write(file, Revocations(revoked=(*before, entry)))
    return file


def _home_file(certificate: str) -> Path:
    return home() / "revocations" / f"{certificate}.json"


def _write(file: Path, record: Revocations) -> None:
    facts = record.model_dump(mode="json")
    for entry in facts["revoked"]:
        if not entry["marks"]:
            del entry["marks"]  # an older smidgen knows of none
    atomic.write(file, (json.dumps(facts, ensure_ascii=False, indent=2) + "\n").encode("utf-8"))


def _read(file: Path) -> Revocations:
    """The record in a file. Raises OSError, or ValueError where it is none."""
    with file.open("rb") as stream:
        content = stream.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise ValueError("it is too large")
    try:
        record = Revocations.model_validate_json(content)
    except ValidationError as error:
        raise ValueError(error.errors()[0]["msg"]) from error
    if record.format_version != 1:
        raise ValueError(f"its format version {record.format_version} is unknown")
    return record
