"""Whether a certificate is valid now, for this bundle. In any doubt it is not, and requests escalate.

A `CertificateWatch` gives the status at every request, for the price of a few calls of `stat`. A status depends on a handful of small
files: the certificate, two records of revocations, the trusted keys, a line's pointer, the state of the audits, the bundle's manifest.
Reading and verifying them takes about a millisecond. `stat` of each takes a thousandth of that, and shows any change; then all are read
anew. The state of the audits changes with each audit, and is then read alone. The time is checked on every call.

Setting the clock back revives no expired certificate. The latest time at which this machine served under a certificate is kept in a small
file in smidgen's home, written about once a minute while the certificate is in use, and at once when it has expired. If the home cannot be
written, only the process remembers that time.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import math
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from smidgen.core.errors import BundleError, CertificateError, InputError
from smidgen.gateway import certificate as papers
from smidgen.gateway import certificate_audit, revocation
from smidgen.gateway.certificate import Certificate, CertifiedBundle, CertifiedSegment
from smidgen.gateway.certificate_audit import AuditState, UnauditedAnswers
from smidgen.store import files
from smidgen.store.files import home
from smidgen.store.line import line_of

CLOCK_SLACK = timedelta(minutes=5)
"""How far a clock may go back, as a time server may set it, and still be trusted."""

_EACH = timedelta(minutes=1)
_MOST_BYTES = 1000
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def clock_file(certificate: str) -> Path:
    """The file of a certificate's latest time, by the certificate's id."""
    return home() / "clocks" / f"{certificate}.json"


def latest_time(certificate: str) -> datetime:
    """The latest recorded time of a certificate; 1970 if there is none. Raises OSError or ValueError if it cannot be read."""
    try:
        with clock_file(certificate).open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        return _LONG_AGO
    if len(content) > _MOST_BYTES:
        raise ValueError("it is too large")
    found = json.loads(content)
    seconds = found.get("seen") if isinstance(found, dict) else None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not math.isfinite(seconds):
        raise ValueError("it has no valid time")
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError) as error:
        raise ValueError("its time is out of range") from error


class CertificateClock:
    """The latest time seen under one certificate, in memory and on disk.

    Args:
        certificate: its id.
        ends: when it expires.

    Raises OSError or ValueError if its file cannot be read.
    """

    def __init__(self, certificate: str, ends: datetime) -> None:
        self.certificate, self._ends = certificate, ends
        self._seen = self._kept = latest_time(certificate)

    def see(self, now: datetime) -> datetime:
        """Record the time `now`; returns the latest time."""
        if now > self._seen:
            self._seen = now
        return self._seen

    def due(self, now: datetime) -> bool:
        """Whether the time is due for writing."""
        return now - self._kept >= _EACH or (now >= self._ends > self._kept)

    def keep(self) -> None:
        """Write the time if possible; another process may have written a later one."""
        self._kept = self._seen  # also if it fails: the next attempt comes in a minute, not at the next request
        file = clock_file(self.certificate)
        with contextlib.suppress(OSError, ValueError):
            file.parent.mkdir(exist_ok=True)
            self._seen = max(self._seen, latest_time(self.certificate))
            files.write(file, (json.dumps({"seen": self._seen.timestamp()}) + "\n").encode("ascii"))


_ANEW = "what it was tested on says nothing of the traffic now. Let the line learn, or certify on a sample drawn since"


class CertificateState(StrEnum):
    """The state of a certificate. Only `VALID` lets a request be answered locally."""

    VALID = "valid"
    NONE = "none"
    DAMAGED = "damaged"
    UNSIGNED = "signature wrong"
    BASE = "base changed"
    BUNDLE = "bundle changed"
    REVOKED = "revoked"
    STALE = "stale"
    UNAUDITED = "not audited"
    LOST = "audits lost"
    REFERENCE = "another large model"
    EARLY = "not yet valid"
    EXPIRED = "expired"
    SET_BACK = "clock set back"


REVIVED_BY_AUDITS = frozenset({CertificateState.UNAUDITED, CertificateState.LOST})
"""States that end when fresh audits are answered. Requests escalate, and are audited all the same."""


class Decision(StrEnum):
    """Who answers a request."""

    ANSWER = "answer"
    ESCALATE = "escalate"


@dataclass(frozen=True, slots=True)
class CertificateStatus:
    """The state of a bundle's certificate when it was checked.

    Attributes:
        why: the reason, a clause.
        certificate: the certificate, if one could be read; trust it only in the state `VALID`.
        silence: the answers since its last audit.
        stale_from: when it goes stale, if that is known.
        unanswered: why it is stale because too many audits got lost; empty if it is not.
        suspended: clients, by the hash of their key, whose audits alone contradicted it. Their requests escalate.
    """

    state: CertificateState
    why: str
    certificate: Certificate | None = None
    silence: UnauditedAnswers = field(default_factory=UnauditedAnswers)
    stale_from: datetime | None = None
    unanswered: str = ""
    suspended: frozenset[str] = frozenset()

    def with_audits(self, kept: AuditState) -> CertificateStatus:
        """The status with this state of its audits."""
        unanswered = certificate_audit.describe_lost(kept.audit) if kept.audit.unanswered else ""
        found = self.with_silence(kept.silence, kept.share)
        return replace(found, unanswered=unanswered, suspended=kept.suspended)

    def with_silence(self, silence: UnauditedAnswers, share: float) -> CertificateStatus:
        """The status with these answers since the last audit; `share` of the answers is audited."""
        until = silence.stale_from(self.certificate, share) if self.certificate is not None else None
        return replace(self, silence=silence, stale_from=until)

    @property
    def valid(self) -> bool:
        """Whether the certificate was valid."""
        return self.state is CertificateState.VALID

    def decide(self, score: float, segment: str | None = None, now: datetime | None = None) -> Decision:
        """Decide who answers a request whose local answer has this score.

        Args:
            score: the reply's.
            segment: the request's, if the certificate is by segments: the answered label, or the value of the column. A segment that is not
                certified escalates.
            now: the time, by default the clock's; if the certificate is not valid then, the request escalates.
        """
        if not self.valid or self.certificate is None or _outside(self.certificate, now or datetime.now(UTC)) is not None:
            return Decision.ESCALATE
        entry = self.certified_segment(segment)
        return Decision.ANSWER if entry is not None and math.isfinite(score) and score >= entry.threshold else Decision.ESCALATE

    def certified_segment(self, segment: str | None = None) -> CertifiedSegment | None:
        """The entry of a segment; None if it is not certified."""
        if self.certificate is None:
            return None
        name = (segment or "") if self.certificate.by else ""
        return next((entry for entry in self.certificate.answering if entry.segment == name), None)

    def json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "state": self.state.value,
            "why": self.why,
            "certificate": self.certificate.facts_for_reader() if self.certificate is not None else None,
        }


def check_certificate(bundle: Path, subject: CertifiedBundle, now: datetime | None = None) -> CertificateStatus:
    """Check the certificate beside the bundle in this folder, whose manifest is that of `subject`. Never raises: a certificate that cannot
    be read is not valid."""
    found = status_in_files(bundle, subject)
    if not found.valid or found.certificate is None:
        return found
    try:
        seen = latest_time(found.certificate.id)
    except (OSError, ValueError) as error:
        return status_without_time(found.certificate, error)
    return status_at(found, now or datetime.now(UTC), seen)


def status_in_files(bundle: Path, subject: CertifiedBundle, large: frozenset[str] | None = None) -> CertificateStatus:
    """Check the certificate by files alone. The time of a `VALID` one must still be checked: see `status_at`. Never raises.

    `large`: the names of the large model that requests escalate to; None leaves that unchecked.
    """
    file = papers.place(bundle)
    try:
        found = papers.read(file)
    except CertificateError as error:
        if error.missing:
            return CertificateStatus(CertificateState.NONE, f"there is no {file.name} beside the bundle")
        return CertificateStatus(CertificateState.DAMAGED, str(error))
    kept = None
    try:
        state, why = _state(found, bundle, subject)
        if state is CertificateState.VALID:
            kept = certificate_audit.read_state(found)
    except (OSError, ValueError) as error:
        state, why = CertificateState.DAMAGED, f"it cannot be checked ({error})"
    if state is CertificateState.VALID and not _against(found, large):
        state, why = (
            CertificateState.REFERENCE,
            f"it is against {found.reference.words}, and requests escalate to {', '.join(sorted(large or ()))}",
        )
    return CertificateStatus(state, why, found) if kept is None else CertificateStatus(state, why, found).with_audits(kept)


def status_at(found: CertificateStatus, now: datetime, seen: datetime) -> CertificateStatus:
    """Check a status at a time. `seen` is the latest time of this machine: a certificate that had expired by then stays expired, and a
    clock far behind it is not trusted."""
    if not found.valid or found.certificate is None:
        return found
    if seen - now > CLOCK_SLACK:
        then, before = (f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC" for moment in (now, seen))
        why = f"this machine's clock says {then}, and it said {before} before: set it right, or certify again"
        return CertificateStatus(CertificateState.SET_BACK, why, found.certificate)
    outside = _outside(found.certificate, max(now, seen))
    if outside is not None:
        return CertificateStatus(*outside, found.certificate)
    if found.unanswered:
        return replace(found, state=CertificateState.LOST, why=found.unanswered)
    if found.stale_from is not None and max(now, seen) > found.stale_from:
        return replace(found, state=CertificateState.UNAUDITED, why=certificate_audit.describe_silence(found.certificate, found.silence))
    return found


def status_without_time(certificate: Certificate, error: Exception) -> CertificateStatus:
    """The status of a certificate whose latest time cannot be read."""
    return CertificateStatus(
        CertificateState.SET_BACK, f"the latest time that this machine had cannot be read ({error}): certify again", certificate
    )


def _state(found: Certificate, bundle: Path, subject: CertifiedBundle) -> tuple[CertificateState, str]:
    if not papers.is_signed(found.content, found.key, found.signature):
        return CertificateState.UNSIGNED, "the signature is not that of its content: it was edited after it was signed"
    if found.key not in papers.trusted_keys():
        return CertificateState.UNSIGNED, "it is signed with a key that this machine does not trust"
    if found.bundle.base_sha256 != subject.base_sha256:
        return CertificateState.BASE, "the bundle grew from other weights than the certified one"
    if found.bundle.sha256 != subject.sha256:
        return CertificateState.BUNDLE, f"it is for the bundle {found.bundle.id}, and this is {subject.id}"
    gone = revocation.find_revocation(bundle, found.id, found.bundle.sha256, found.calibration.rows_sha256, found.calibration.marks)
    if gone is not None:
        return CertificateState.REVOKED, f"{gone.reason} ({gone.at:%Y-%m-%d %H:%M} UTC)" if gone.at else gone.reason
    try:
        audited = certificate_audit.read_state(found).revocation
    except ValueError as error:
        return CertificateState.REVOKED, f"the state of its audits cannot be read ({error})"
    if audited:
        return CertificateState.REVOKED, audited
    since = _fresh_since(bundle)
    if since is not None and found.created < since.replace(microsecond=0):
        when = f"{since.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        return CertificateState.STALE, f"it is of before {when}, when a certificate of its line was revoked: {_ANEW}"
    return CertificateState.VALID, f"until {found.valid_until.astimezone(UTC):%Y-%m-%d %H:%M} UTC, or until it is revoked"


def _fresh_since(bundle: Path) -> datetime | None:
    """The time since which a line's held-out rows reflect its traffic; None outside lines. Raises OSError if the line cannot be read."""
    line = line_of(bundle)
    try:
        return line.read().fresh_since if line is not None else None
    except (BundleError, InputError) as error:
        raise OSError(f"the line's record of revocations cannot be read: {error}") from error


def _against(found: Certificate, large: frozenset[str] | None) -> bool:
    """Whether the reference, if it is a large model, is the one that requests escalate to. Older certificates name none."""
    return large is None or not found.reference.large or found.reference.large in large


def _outside(found: Certificate, now: datetime) -> tuple[CertificateState, str] | None:
    """Why a certificate is not valid at this time; None if it is."""
    if now < found.created:
        return CertificateState.EARLY, f"it begins on {found.created.astimezone(UTC):%Y-%m-%d %H:%M} UTC, later than this machine's clock"
    if now >= found.valid_until:
        return CertificateState.EXPIRED, f"it ended on {found.valid_until.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return None


_SETTLED_NS = 2_000_000_000
"""Coarsest file times in use. A file changed less than this ago could change again with the same stamp, so it is read anew."""

_WRITE_EACH = timedelta(minutes=1)
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
        return None if held.clock.due(now) else status_at(held.standing, now, held.clock.see(now))

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
        return status_at(held.standing, now, seen)

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
            *papers.key_files(),
            *self._pointers,
            *(revocation.watched_files(self._bundle, name, manifest) if name else ()),
        ):
            stamps[str(path)] = stamp(path)
        audited = tuple((str(path), stamp(path)) for path in (certificate_audit.watched_files(self._bundle, paper) if name else ()))
        found = status_in_files(self._bundle, self._subject, self._large)
        if found.valid and _content(self._manifest) != self._opened:
            found = replace(found, state=CertificateState.BUNDLE, why=_REBUILT)
        clock = None
        if found.valid and found.certificate is not None:
            try:
                clock = self._clock_of(found)
            except (OSError, ValueError) as error:
                found = status_without_time(found.certificate, error)
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
        due = given.kept is None or now - given.kept >= _WRITE_EACH or given.count >= _AT_ONCE
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


StatusReader = Callable[[], CertificateStatus]
"""Reads a certificate's current status from files. Raises nothing."""


async def read_status(reader: StatusReader) -> CertificateStatus:
    """The status now. Files are read in a thread, and only if one has changed."""
    known = reader.known() if isinstance(reader, CertificateWatch) else None
    return known if known is not None else await asyncio.to_thread(reader)


def note_answer(reader: StatusReader, found: CertificateStatus) -> None:
    """Record that an answer was given under this valid certificate, so that audits are due."""
    if isinstance(reader, CertificateWatch) and found.certificate is not None:
        reader.answered(found.certificate)
