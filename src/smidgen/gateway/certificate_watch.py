"""Watch a certificate: its status at every request, for the price of a few calls of `stat`.

A status depends on a handful of small files: the certificate, two records of revocations, the trusted keys, a line's pointer, the state
of the audits, the bundle's manifest. Reading and verifying them takes about a millisecond. `stat` of each takes a thousandth of that, and
shows any change; then all are read anew. The state of the audits changes with each audit, and is then read alone. The time is checked on
every call.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from smidgen.core.errors import CertificateError
from smidgen.gateway import certificate as papers
from smidgen.gateway import certificate_audit, certificate_status, revocation, signing
from smidgen.gateway.certificate import Certificate, CertifiedBundle
from smidgen.gateway.certificate_status import CertificateClock, CertificateState, CertificateStatus
from smidgen.store.line import line_of

_SETTLED_NS = 2_000_000_000
"""Coarsest file times in use. A file changed less than this ago could change again with the same stamp, so it is read anew."""

_EACH = timedelta(minutes=1)
"""How often answers are written down; the first one at once."""
_RETRY = timedelta(seconds=10)
_AT_ONCE = 50
"""Count of answers that is written down at once."""

_HOMELESS = CertificateStatus(CertificateState.DAMAGED, "smidgen's home, which has the keys and the revocations, cannot be read")
_REBUILT = "the bundle's files were changed since it was opened: restart the server"

Stamp = tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class _LastStatus:
    """The last status, the stamps of its files and of the audits' two states taken before it was read, and its clock if it needs one."""

    standing: CertificateStatus
    stamps: tuple[tuple[str, Stamp], ...]
    clock: CertificateClock | None
    audits: tuple[tuple[str, Stamp], ...] = ()

    @property
    def changed(self) -> bool:
        """Whether any file has changed, except the state of the audits."""
        return any(stamp(path) != before for path, before in self.stamps)

    @property
    def audited(self) -> bool:
        """Whether the state of the audits has changed since."""
        return any(stamp(path) != before for path, before in self.audits)


@dataclass(slots=True)
class _UnwrittenAnswers:
    """Answers under a certificate that are not written down yet: their number and the time of the first; when some were last written; when
    writing last failed, and how many were counted then."""

    count: int = 0
    first: datetime | None = None
    kept: datetime | None = None
    tried: datetime | None = None
    unwritten: int = 0


class CertificateWatch:
    """The status of one bundle's certificate, for every request. Thread-safe.

    Args:
        bundle: its folder. A link is resolved once: a folder put in its place later is another bundle.
        subject: the bundle as it was opened.
        now: the time, for tests.
        large: the names of the large model that requests escalate to; None leaves that unchecked.
        manifest: the name of the manifest's file, if a changed manifest means another bundle; empty leaves it unchecked.
    """

    def __init__(
        self,
        bundle: Path,
        subject: CertifiedBundle,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        large: frozenset[str] | None = None,
        manifest: str = "",
    ) -> None:
        self._bundle, self._subject, self._now, self._large = bundle.resolve(), subject, now, large
        self._manifest = self._bundle / manifest if manifest else None
        self._opened = _content(self._manifest)
        line = line_of(self._bundle)
        self._pointers = (line.file,) if line is not None else ()
        self._held: _LastStatus | None = None
        self._clock: CertificateClock | None = None
        self._guard = threading.Lock()
        self._given: dict[str, _UnwrittenAnswers] = {}

    def answered(self, paper: Certificate) -> None:
        """Note that an answer was given under this certificate. A later call of the watch writes it down."""
        if not paper.audit_days:
            return
        now = self._now()
        with self._guard:
            if paper.id not in self._given:
                self._given = {paper.id: _UnwrittenAnswers()}  # a replaced certificate is not used any more
            given = self._given[paper.id]
            given.first = given.first if given.count else now
            given.count += 1

    def known(self) -> CertificateStatus | None:
        """The status, if nothing has changed since it was read; None if it must be read. Calls `stat` and reads no file."""
        held = self._held
        if held is None or held.changed or held.audited or self._due(held) is not None:
            return None
        if held.clock is None:
            return held.standing
        now = self._now()
        return None if held.clock.due(now) else certificate_status.status_at(held.standing, now, held.clock.see(now))

    def __call__(self) -> CertificateStatus:
        """The status now. Reads files if anything has changed, and writes the time if that is due; never raises."""
        held = self._held
        try:
            if held is not None and (due := self._due(held)) is not None:
                self._note(held, due)
            if held is None or held.changed or (held.audited and not self._read_audits(held)):
                held = self._read()
        except OSError:  # smidgen's home is gone and cannot be created
            return _HOMELESS
        held = self._held or held
        if held.clock is None:
            return held.standing
        now = self._now()
        seen = held.clock.see(now)
        if held.clock.due(now):
            held.clock.keep()
        return certificate_status.status_at(held.standing, now, seen)

    def _read(self) -> _LastStatus:
        began = time.time_ns()
        file = papers.place(self._bundle)
        stamps = {str(file): stamp(file)}
        try:
            paper = papers.read(file)
            name, manifest = paper.id, paper.bundle.sha256
        except CertificateError:
            name = manifest = ""
        # All stamps are taken before the reading that counts, so the next call sees a change made in between.
        own = (self._manifest,) if self._manifest is not None else ()
        for path in (
            *own,
            *signing.watched_files(),
            *self._pointers,
            *(revocation.watched_files(self._bundle, name, manifest) if name else ()),
        ):
            stamps[str(path)] = stamp(path)
        audited = tuple((str(path), stamp(path)) for path in (certificate_audit.watched_files(self._bundle, paper) if name else ()))
        found = certificate_status.status_in_files(self._bundle, self._subject, self._large)
        if found.valid and _content(self._manifest) != self._opened:
            found = replace(found, state=CertificateState.BUNDLE, why=_REBUILT)
        clock = None
        if found.valid and found.certificate is not None:
            try:
                clock = self._clock_of(found)
            except (OSError, ValueError) as error:
                found = certificate_status.status_without_time(found.certificate, error)
        held = _LastStatus(found, tuple(stamps.items()), clock, audited)
        same = (found.certificate.id if found.certificate is not None else "") == name
        fresh = any(isinstance(part, int) and part > began - _SETTLED_NS for mark in stamps.values() for part in mark[:2])
        # A status may be invalid because of a missing file handle or a slow disk: it is read anew until it is valid.
        sound = found.state in (CertificateState.VALID, CertificateState.NONE, CertificateState.REFERENCE)
        self._held = held if sound and same and not fresh else None
        return held

    def _read_audits(self, held: _LastStatus) -> bool:
        """Read the state of the audits alone, after an audit; False if it revokes, and all files must be read anew. Each audit writes the
        whole state, so none is missed for long."""
        if held.standing.certificate is None:
            return False
        now = tuple((path, stamp(path)) for path, _ in held.audits)
        try:
            kept = certificate_audit.read_state(held.standing.certificate)
        except (OSError, ValueError):
            return False
        revoked = bool(kept.revocation)
        if not revoked:
            self._held = replace(held, audits=now, standing=held.standing.with_audits(kept))
        return not revoked

    def _due(self, held: _LastStatus) -> _UnwrittenAnswers | None:
        """The answers that are due for writing; None if none are."""
        paper = held.standing.certificate
        given = self._given.get(paper.id) if paper is not None else None
        if given is None or not given.count:
            return None
        now = self._now()
        due = given.kept is None or now - given.kept >= _EACH or given.count >= _AT_ONCE
        return given if due and (given.tried is None or now - given.tried >= _RETRY) else None

    def _note(self, held: _LastStatus, given: _UnwrittenAnswers) -> None:
        """Write answers down. If that fails they are counted here, and written later."""
        assert held.standing.certificate is not None
        with self._guard:
            count, first = given.count, given.first
        now = self._now()
        try:
            certificate_audit.note_answers(held.standing.certificate, count, first or now, now)
        except (OSError, ValueError):
            given.tried = now
            silence = held.standing.silence
            unwritten = silence.more(count - given.unwritten, first or now)
            given.unwritten = count
            self._held = replace(held, standing=held.standing.with_silence(unwritten, certificate_audit.SHARE))
            return
        with self._guard:
            given.count -= count
            given.first, given.kept, given.tried, given.unwritten = None if not given.count else now, now, None, 0

    def _clock_of(self, found: CertificateStatus) -> CertificateClock:
        """The clock of a certificate; one object for as long as the certificate stays."""
        assert found.certificate is not None
        if self._clock is None or self._clock.certificate != found.certificate.id:
            self._clock = CertificateClock(found.certificate.id, found.certificate.valid_until)
        return self._clock


def _content(file: Path | None) -> bytes:
    """The hash of a file; empty if it cannot be read."""
    try:
        return hashlib.sha256(file.read_bytes()).digest() if file is not None else b""
    except OSError:
        return b""


def stamp(path: Path | str) -> Stamp:
    """The stamp of a file, from `stat`: its times, size and identity. A dangling link has another stamp than a missing file."""
    try:
        facts = os.stat(path)  # noqa: PTH116 called for every request, and a Path takes three times as long
    except FileNotFoundError:
        return ("link",) if os.path.islink(path) else ()  # noqa: PTH114 likewise
    except OSError as error:
        return ("fault", str(error.errno))
    return facts.st_mtime_ns, facts.st_ctime_ns, facts.st_size, facts.st_ino, facts.st_dev, facts.st_mode
