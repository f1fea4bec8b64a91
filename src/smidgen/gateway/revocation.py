"""Revocations of certificates, which outlast restarts, copies and clean-ups.

Each is written to three places, and one of them suffices: beside the bundle, so that it moves with the bundle; and twice in smidgen's
home, by the certificate's id and by the SHA-256 of the bundle's manifest, so that it outlives the bundle's folder and applies to its
copies. Records only grow. A record that cannot be read revokes.
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

import filelock
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from smidgen.gateway.sample_reuse import RowFingerprints
from smidgen.store import files
from smidgen.store.files import home
from smidgen.store.line import line_of

SUFFIX = ".revocations.json"
_LOCK_SECONDS = 10
_MOST_BYTES = 16 * 1024 * 1024
MOST_REFUTED = 0.1
"""Share of a sample's rows above which it counts as a revoked certificate's sample."""


class Revocation(BaseModel):
    """A revocation: the certificate's id, the reason, the time, and the hash and fingerprints (`marks`) of its calibration sample."""

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
    """The file of the record beside the bundle in this folder."""
    folder = bundle.resolve()
    return folder.parent / f"{folder.name}{SUFFIX}"


def revoke(bundle: Path, certificate: str, reason: str, at: datetime, sample: str = "", marks: str = "", manifest: str = "") -> list[Path]:
    """Revoke a certificate that was given on this sample; returns the files written. Repeating it changes nothing.

    `manifest`: the SHA-256 of the bundle's manifest, which identifies copies of the bundle.
    Raises OSError if it could not be written in any place.
    """
    entry = Revocation(certificate=certificate, reason=reason, sample=sample, at=at, marks=marks)
    done, fault = [], None
    files = ([_manifest_file(manifest)] if manifest else []) + [place(bundle)]
    writes: list[Callable[[], Path]] = [functools.partial(_at_home, entry), *(functools.partial(_added, file, entry) for file in files)]
    for write in writes:
        try:
            done.append(write())
        except (OSError, ValueError) as error:  # read-only places, and damaged records, which revoke by themselves
            fault = error
    if not done:
        raise OSError(f"the revocation cannot be written: {fault}") from fault
    return done


def find_revocation(bundle: Path, certificate: str, manifest: str = "", sample: str = "", marks: str = "") -> Revocation | None:
    """The revocation of a certificate; None if it is not revoked.

    Args:
        manifest: the SHA-256 of the bundle's manifest: a revocation of another copy counts here, too.
        sample, marks: the certificate's. If its sample shares over `MOST_REFUTED` with a revoked one's, for the same manifest, it is
            revoked too.
    """
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
    return _of_a_copy(certificate, manifest, sample, marks) if manifest else None


def _of_a_copy(certificate: str, manifest: str, sample: str, marks: str) -> Revocation | None:
    """The revocation of another copy's certificate that has much the same sample."""
    file = _manifest_file(manifest)
    if not file.exists() and not file.is_symlink():
        return None
    try:
        entries = _read(file).revoked
    except (OSError, ValueError) as error:
        return Revocation(certificate=certificate, reason=f"the record of revocations cannot be read ({file.name}: {error})")
    return next((entry for entry in entries if entry.certificate == certificate or shared(sample, marks, [entry]) > MOST_REFUTED), None)


def shared(sample: str, marks: str, entries: Iterable[Revocation]) -> float:
    """The largest share of a sample's rows that is in the sample of a revoked certificate, 0..1."""
    most = 0.0
    for entry in entries:
        most = max(most, float(bool(sample) and entry.sample == sample))
        with contextlib.suppress(ValueError):
            most = max(most, RowFingerprints.read(marks).share_in(RowFingerprints.read(entry.marks)))
    return most


def watched_files(bundle: Path, certificate: str, manifest: str = "") -> list[Path]:
    """The files that `find_revocation` reads."""
    return [_home_file(certificate), place(bundle), *([_manifest_file(manifest)] if manifest else [])]


def list_revocations(bundle: Path, certificate: str | None = None) -> frozenset[Revocation]:
    """Every revocation of the bundle in this folder, even if the folder is gone: from the record beside it, and from the named
    certificate's record in smidgen's home. A record that cannot be read gives one revocation without a time."""
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
    """Copy the record beside one bundle to another, byte for byte: a damaged one stays damaged, and revokes. If the other has a record,
    merge both. Without a record, do nothing. Raises OSError if it cannot be read or written."""
    given, there = place(source), place(target)
    if not given.exists() and not given.is_symlink():
        return
    with given.open("rb") as stream:
        content = stream.read(_MOST_BYTES + 1)
    with filelock.FileLock(home() / "revocations.lock", timeout=_LOCK_SECONDS):
        if not there.exists() and not there.is_symlink():
            files.write(there, content)
            return
        try:
            before = _read(there).revoked
        except (OSError, ValueError):
            return  # the damaged record revokes everything already
        try:
            more = _read(given).revoked
        except (OSError, ValueError):
            files.write(there, content)
            return
        _write(there, Revocations(revoked=(*before, *(entry for entry in more if entry not in before))))


def find_related(bundle: Path, manifest: str = "", certificates: Iterable[str] = ()) -> tuple[Revocation, ...]:
    """The readable revocations of the bundle, of the other versions of its line, and of its copies. Their samples do not reflect today's
    traffic.

    Args:
        manifest: the SHA-256 of the bundle's manifest.
        certificates: ids of certificates for that manifest.
    """
    records = [place(bundle)]
    if line_of(bundle) is not None:
        records = sorted(bundle.resolve().parent.glob(f"*{SUFFIX}"))
    records += [_manifest_file(manifest)] if manifest else []
    found: list[Revocation] = []
    for record in (*records, *map(_home_file, certificates)):
        with contextlib.suppress(OSError, ValueError):
            found += [entry for entry in _read(record).revoked if entry not in found]
    return tuple(found)


def _at_home(entry: Revocation) -> Path:
    file = _home_file(entry.certificate)
    file.parent.mkdir(exist_ok=True)
    if not file.exists():
        _write(file, Revocations(revoked=(entry,)))
    return file


def _added(file: Path, entry: Revocation) -> Path:
    file.parent.mkdir(exist_ok=True)
    with filelock.FileLock(home() / "revocations.lock", timeout=_LOCK_SECONDS):
        before = _read(file).revoked if file.exists() else ()
        if all(known.certificate != entry.certificate for known in before):
            _write(file, Revocations(revoked=(*before, entry)))
    return file


def _home_file(certificate: str) -> Path:
    return home() / "revocations" / f"{certificate}.json"


def _manifest_file(sha256: str) -> Path:
    return home() / "revocations" / f"manifest-{sha256}.json"


def _write(file: Path, record: Revocations) -> None:
    facts = record.model_dump(mode="json")
    for entry in facts["revoked"]:
        if not entry["marks"]:
            del entry["marks"]  # an older smidgen does not know the field
    files.write(file, (json.dumps(facts, ensure_ascii=False, indent=2) + "\n").encode("utf-8"))


def _read(file: Path) -> Revocations:
    """The record in a file. Raises OSError, or ValueError if the content is not a record."""
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
