"""Whether a certificate holds now, for this bundle. Whatever is not certain escalates: never the other way."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from smidgen.core.errors import BundleError, CertificateError, InputError
from smidgen.gateway import auditing, clock, revocation, signing
from smidgen.gateway import certificate as papers
from smidgen.gateway.auditing import Silence
from smidgen.gateway.certificate import Answered, Certificate, Subject
from smidgen.store.line import line_of

_ANEW = "what it was tested on says nothing of the traffic now. Let the line learn, or certify on a sample drawn since"


class State(StrEnum):
    """How a certificate stands. Only `VALID` lets a request be answered locally."""

    VALID = "valid"
    NONE = "none"
    DAMAGED = "damaged"
    UNSIGNED = "signature wrong"
    BASE = "base changed"
    BUNDLE = "bundle changed"
    REVOKED = "revoked"
    STALE = "stale"
    UNAUDITED = "not audited"
    REFERENCE = "another large model"
    EARLY = "not yet valid"
    EXPIRED = "expired"
    SET_BACK = "clock set back"


class Decision(StrEnum):
    """Who answers a request."""

    ANSWER = "answer"
    ESCALATE = "escalate"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a bundle's certificate stood when it was looked at. `why` is a clause; `certificate` is there where it could be read, and is to
    be believed where the state is `VALID` alone. `silence`: the answers that were given since its last audit; it goes stale at
    `stale_from`, where that is known."""

    state: State
    why: str
    certificate: Certificate | None = None
    silence: Silence = field(default_factory=Silence)
    stale_from: datetime | None = None

    def after(self, silence: Silence, share: float) -> Standing:
        """The same where so many answers were given since the last audit; of the answers, `share` are audited."""
        until = silence.stale_from(self.certificate, share) if self.certificate is not None else None
        return replace(self, silence=silence, stale_from=until)

    @property
    def valid(self) -> bool:
        """Whether it held."""
        return self.state is State.VALID

    def decide(self, score: float, segment: str | None = None, now: datetime | None = None) -> Decision:
        """Who answers a request whose local answer has this score.

        Args:
            score: of the reply.
            segment: the request's, where the certificate is by segment: the label that is answered, or the value of the column. A segment
                that is not certified escalates.
            now: the time, which must be within the certificate's; the clock's by default.
        """
        if not self.valid or self.certificate is None or _outside(self.certificate, now or datetime.now(UTC)) is not None:
            return Decision.ESCALATE
        entry = self.answered(segment)
        return Decision.ANSWER if entry is not None and math.isfinite(score) and score >= entry.threshold else Decision.ESCALATE

    def answered(self, segment: str | None = None) -> Answered | None:
        """What is answered of a segment; None where it is not certified."""
        if self.certificate is None:
            return None
        wanted = (segment or "") if self.certificate.by else ""
        return next((entry for entry in self.certificate.answering if entry.segment == wanted), None)

    def json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "state": self.state.value,
            "why": self.why,
            "certificate": self.certificate.told() if self.certificate is not None else None,
        }


def standing(bundle: Path, subject: Subject, now: datetime | None = None) -> Standing:
    """Look at the certificate beside the bundle in this folder, whose manifest is that of `subject`. Raises nothing: what cannot be read
    does not hold."""
    found = written(bundle, subject)
    if not found.valid or found.certificate is None:
        return found
    try:
        seen = clock.latest(found.certificate.id)
    except (OSError, ValueError) as error:
        return timeless(found.certificate, error)
    return at(found, now or datetime.now(UTC), seen)


def written(bundle: Path, subject: Subject, large: frozenset[str] | None = None) -> Standing:
    """How the certificate stands by all that is written in files. One that is `VALID` still needs its time: see `at`. Raises nothing.

    `large`: the names of the large model that requests escalate to; None where that is not asked.
    """
    file = papers.place(bundle)
    try:
        found = papers.read(file)
    except CertificateError as error:
        if error.missing:
            return Standing(State.NONE, f"there is no {file.name} beside the bundle")
        return Standing(State.DAMAGED, str(error))
    kept = None
    try:
        state, why = _state(found, bundle, subject)
        if state is State.VALID:
            kept = auditing.kept(found)
    except (OSError, ValueError) as error:
        state, why = State.DAMAGED, f"it cannot be checked ({error})"
    if state is State.VALID and not _against(found, large):
        state, why = State.REFERENCE, f"it is against {found.reference.words}, and requests escalate to {', '.join(sorted(large or ()))}"
    return Standing(state, why, found) if kept is None else Standing(state, why, found).after(kept.silence, kept.share)


def at(found: Standing, now: datetime, seen: datetime) -> Standing:
    """The same at this time. `seen` is the latest time that this machine had: what ended by then has ended, and a clock that is far
    behind it tells no time."""
    if not found.valid or found.certificate is None:
        return found
    if seen - now > clock.SLACK:
        then, before = (f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC" for moment in (now, seen))
        why = f"this machine's clock says {then}, and it said {before} before: set it right, or certify again"
        return Standing(State.SET_BACK, why, found.certificate)
    outside = _outside(found.certificate, max(now, seen))
    if outside is not None:
        return Standing(*outside, found.certificate)
    if found.stale_from is not None and max(now, seen) > found.stale_from:
        return replace(found, state=State.UNAUDITED, why=auditing.unheard(found.certificate, found.silence))
    return found


def timeless(certificate: Certificate, error: Exception) -> Standing:
    """How one stands whose latest time cannot be read."""
    return Standing(State.SET_BACK, f"the latest time that this machine had cannot be read ({error}): certify again", certificate)


def _state(found: Certificate, bundle: Path, subject: Subject) -> tuple[State, str]:
    if not signing.verified(found.content, found.key, found.signature):
        return State.UNSIGNED, "the signature is not that of its content: it was edited after it was signed"
    if found.key not in signing.trusted():
        return State.UNSIGNED, "it is signed with a key that this machine does not trust"
    if found.bundle.base_sha256 != subject.base_sha256:
        return State.BASE, "the bundle grew from other weights than the certified one"
    if found.bundle.sha256 != subject.sha256:
        return State.BUNDLE, f"it is for the bundle {found.bundle.id}, and this is {subject.id}"
    gone = revocation.revoked(bundle, found.id, found.bundle.sha256, found.calibration.rows_sha256, found.calibration.marks)
    if gone is not None:
        return State.REVOKED, f"{gone.reason} ({gone.at:%Y-%m-%d %H:%M} UTC)" if gone.at else gone.reason
    try:
        audit = auditing.audited(found)
    except ValueError as error:
        return State.REVOKED, f"the state of its audits cannot be read ({error})"
    if audit.revoked:
        return State.REVOKED, f"the audits found too many disagreements: {auditing.words(audit)}"
    since = _fresh_since(bundle)
    if since is not None and found.created < since.replace(microsecond=0):
        when = f"{since.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        return State.STALE, f"it is of before {when}, when a certificate of its line was revoked: {_ANEW}"
    return State.VALID, f"until {found.valid_until.astimezone(UTC):%Y-%m-%d %H:%M} UTC, or until it is revoked"


def _fresh_since(bundle: Path) -> datetime | None:
    """Since when held-out rows say something of the traffic, of a version of a line. Raises OSError where the line cannot be read."""
    line = line_of(bundle)
    try:
        return line.read().fresh_since if line is not None else None
    except (BundleError, InputError) as error:
        raise OSError(f"what its line remembers of revocations cannot be read: {error}") from error


def _against(found: Certificate, large: frozenset[str] | None) -> bool:
    """Whether the large model, where it is the reference, is the one that is asked. An older certificate knows no name."""
    return large is None or not found.reference.large or found.reference.large in large


def _outside(found: Certificate, now: datetime) -> tuple[State, str] | None:
    """Why it does not hold at this time; None where it does."""
    if now < found.created:
        return State.EARLY, f"it begins on {found.created.astimezone(UTC):%Y-%m-%d %H:%M} UTC, later than this machine's clock"
    if now >= found.valid_until:
        return State.EXPIRED, f"it ended on {found.valid_until.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return None
