"""The audit of a certificate in use: takes in losses, remembers them through restarts, and revokes when the evidence is in.

The state is a small file in smidgen's home, one a certificate, and is there from the moment that it is given. Several processes may write
to it; they take turns. One that cannot be read, or is gone, is evidence that was lost, and the certificate is revoked: it must be given
anew. A state that says so counts as a revocation, whether that was written down as well or not.

Two kinds of certificates may have none yet: those of an older smidgen, and those that another machine gave.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import filelock

from smidgen.gateway import revocation, signing
from smidgen.gateway.certificate import Certificate
from smidgen.stats.audit import Audit
from smidgen.store import atomic
from smidgen.store.home import home

_LOCK_SECONDS = 10
_MOST_BYTES = 16 * 1024 * 1024


def begin(paper: Certificate) -> None:
    """Write down, before a certificate is given, that there was no audit under it yet. Raises OSError where that cannot be done."""
    with _turn(file := place(paper.id)):
        _write(file, Audit(paper.alpha, paper.delta, segments=_segments(paper)))


def declare(paper: Certificate, least_probability: float, *, anew: bool = False) -> None:
    """Say the least probability with which any request under this certificate is audited, before the requests are drawn that it is of.
    It is kept with the evidence, and each loss weighs the less, the more its request's probability is above it. The same again changes
    nothing; a state that cannot be read is left to the next audit, which revokes.

    Args:
        least_probability: over 0, at most 1.
        anew: whether one that was declared before is replaced: losses of requests that were drawn under that one must be taken in by now.

    Raises ValueError for a probability that cannot be, and for another one than was declared before; OSError where it cannot be written.
    """
    with _turn(file := place(paper.id)):
        try:
            audit = _read(file, paper)
        except (OSError, ValueError):
            return
        if audit.declared and audit.least_probability == least_probability:
            return
        if audit.declared and not anew:
            raise ValueError(
                f"the least probability of an audit under this certificate was declared as {audit.least_probability}, and is not "
                f"{least_probability}. Keep to it; or take in the audits drawn so far, and then declare it anew."
            )
        audit.declare(least_probability)
        _write(file, audit)


def observe(
    bundle: Path, paper: Certificate, loss: float, probability: float = 1.0, now: datetime | None = None, segment: str | None = None
) -> bool:
    """Take in one audited answer, and revoke the certificate where the evidence against it is in; returns whether it is revoked by audits.

    Args:
        bundle: folder of the bundle whose certificate `paper` is.
        loss: of the answer against the reference, 0..1; where answers are right or wrong, 1 for a wrong one.
        probability: with which this request was chosen to be audited, decided before the loss was known: none under what was declared, or
            where nothing was, always the same.
        segment: the request's, where the certificate is by segments and it is known.

    Raises ValueError for a loss or a probability that cannot be, and then takes nothing in; OSError where the state cannot be written.
    """
    now = now or datetime.now(UTC)
    with _turn(file := place(paper.id)):
        try:
            audit = _read(file, paper)
        except (OSError, ValueError) as error:
            _revoke(bundle, paper, f"the state of its audit cannot be read ({file.name}: {error})", now)
            return True
        revoked = audit.observe(loss, probability, segment)
        try:
            _write(file, audit)
        finally:
            if revoked:
                # Every time, not the first alone: a process that was killed between the two writes leaves the second to the next. And where
                # the state cannot be written, the revocation may be: one of the two is enough.
                _revoke(bundle, paper, f"the audit found too many disagreements: {words(audit)}", now)
    return revoked


def audited(paper: Certificate) -> Audit:
    """What the audits of a certificate have come to. Raises OSError or ValueError for a state that cannot be read."""
    return _read(place(paper.id), paper)


def go_on(before: Certificate, paper: Certificate) -> None:
    """Let a certificate go on with the audits of the one before it, which claims as much of the same bundle: a claim that is made once more
    is not tested anew. A state that cannot be read stays so, and the certificate does not hold. Raises OSError where it cannot be written.
    """
    source, target = place(before.id), place(paper.id)
    if not source.exists():
        begin(paper)
        return
    with _turn(source):
        content = source.read_bytes()
    atomic.write(target, content)


def mend(bundle: Path, paper: Certificate, now: datetime | None = None) -> None:
    """Revoke a certificate whose audits said so, where a process was killed before it wrote that down. Raises OSError where it cannot be
    written; a state that cannot be read is left to the next audit, and until then nothing is answered under the certificate."""
    try:
        audit = audited(paper)
    except (OSError, ValueError):
        return
    if audit.revoked:
        _revoke(bundle, paper, f"the audit found too many disagreements: {words(audit)}", now or datetime.now(UTC))


def place(certificate: str) -> Path:
    """Where the state of a certificate's audits lies, by its id."""
    return home() / "audits" / f"{certificate}.json"


def words(audit: Audit) -> str:
    """A state for a reader."""
    found = f"a loss of {audit.losses:.4g} in {audit.audits:,} audits, evidence {audit.most:.3g} of {1 / audit.delta:.3g}"
    if audit.worst is None:
        return found
    name, count, losses = audit.worst
    return f"{found}; most speaks the segment {name} against it, {losses:.4g} in {count:,}"


def _segments(paper: Certificate) -> tuple[str, ...]:
    """Those that a certificate promises something of, each by itself."""
    return tuple(entry.segment for entry in paper.answering) if paper.by else ()


def _turn(file: Path) -> filelock.BaseFileLock:
    """Of those who write to a state, one at a time."""
    file.parent.mkdir(exist_ok=True)
    return filelock.FileLock(file.with_suffix(".lock"), timeout=_LOCK_SECONDS)


def _write(file: Path, audit: Audit) -> None:
    atomic.write(file, (json.dumps(audit.json()) + "\n").encode("ascii"))


def _revoke(bundle: Path, paper: Certificate, reason: str, now: datetime) -> None:
    sample, manifest = paper.calibration, paper.bundle.sha256
    if revocation.revoked(bundle, paper.id) is None:
        revocation.revoke(bundle, paper.id, reason, now, sample.rows_sha256, sample.marks, manifest)


def _read(file: Path, paper: Certificate) -> Audit:
    try:
        with file.open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        if paper.begun and paper.key == signing.own():
            raise ValueError("it is gone, and with it what the audits had come to") from None
        return Audit(paper.alpha, paper.delta, segments=_segments(paper))
    if len(content) > _MOST_BYTES:
        raise ValueError("it is too large")
    state = json.loads(content)
    if not isinstance(state, dict):
        raise ValueError("it is no object")
    audit = Audit.from_json(state, _segments(paper))
    if (audit.alpha, audit.delta) != (paper.alpha, paper.delta):
        raise ValueError("it is of another certificate")
    return audit
