"""Whether a certificate is valid now, for this bundle. In any doubt it is not, and requests escalate.

Setting the clock back revives no expired certificate. The latest time at which this machine served under a certificate is kept in a small
file in smidgen's home, written about once a minute while the certificate is in use, and at once when it has expired. If the home cannot be
written, only the process remembers that time.
"""

from __future__ import annotations

import contextlib
import json
import math
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from smidgen.core.errors import BundleError, CertificateError, InputError
from smidgen.gateway import certificate as papers
from smidgen.gateway import certificate_audit, revocation, signing
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
        wanted = (segment or "") if self.certificate.by else ""
        return next((entry for entry in self.certificate.answering if entry.segment == wanted), None)

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
    if not signing.is_signed(found.content, found.key, found.signature):
        return CertificateState.UNSIGNED, "the signature is not that of its content: it was edited after it was signed"
    if found.key not in signing.trusted_keys():
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
