"""How the certificate of a served bundle stands; what its audits have found; and which certificate carries them on."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from smidgen.bundles.manifest import MANIFEST, Manifest
from smidgen.core.errors import CertificateError, InputError
from smidgen.gateway import certificate, certificate_audit
from smidgen.gateway import certificate as papers
from smidgen.gateway.certificate import Certificate, CertifiedBundle
from smidgen.gateway.certificate_status import CertificateState, CertificateStatus
from smidgen.gateway.certificate_watch import CertificateWatch
from smidgen.gateway.sample_reuse import RowFingerprints
from smidgen.stats.sequential_audit import SequentialAudit

# Vouching: how the certificate of a bundle that is being served stands, as often as it is asked.

StandingReader = Callable[[], CertificateStatus]
"""Looks at a certificate now. It reads files, and raises nothing."""


def certificate_subject(manifest: Manifest) -> CertifiedBundle:
    """A bundle as certificates name it."""
    return CertifiedBundle(
        name=manifest.name,
        id=manifest.id,
        sha256=hashlib.sha256(manifest.canonical()).hexdigest(),
        base_sha256=manifest.base.sha256 if manifest.base is not None else None,
    )


def standing_reader(folder: Path | None, manifest: Manifest | None, large: frozenset[str] | None = None) -> StandingReader:
    """Of a bundle that was opened from this folder. What counts is what was opened: a bundle put in its place meanwhile is another one, of
    which nothing is known. `large`: the names of the large model that requests escalate to; a certificate against another one does not
    hold."""
    if folder is None or manifest is None:
        none = CertificateStatus(CertificateState.NONE, "the model is in no folder that a certificate could be beside")
        return lambda: none
    watch = CertificateWatch(folder, certificate_subject(manifest), large=large, manifest=MANIFEST)
    paper = watch().certificate
    if paper is not None:
        # A home that cannot be written is no reason not to serve: then it was not this machine that audited.
        with contextlib.suppress(OSError):
            certificate_audit.revoke_if_due(folder, paper)
    return watch


def note_answer(vouch: StandingReader, found: CertificateStatus) -> None:
    """Note that an answer was given under the certificate that was found to hold: audits must follow some day."""
    if isinstance(vouch, CertificateWatch) and found.certificate is not None:
        vouch.answered(found.certificate)


async def read_standing(vouch: StandingReader) -> CertificateStatus:
    """How a certificate stands now; files are read in a thread, and only where one has changed."""
    known = vouch.known() if isinstance(vouch, CertificateWatch) else None
    return known if known is not None else await asyncio.to_thread(vouch)


# Auditing: a loss of an answer that a bundle gave goes into the test of the certificate that it was given under.

_log = logging.getLogger("smidgen.audit")


@dataclass(frozen=True, slots=True)
class AuditEvidence:
    """What the audits of a certificate have come to.

    Attributes:
        audits: how many were answered.
        losses: the sum of their losses.
        evidence: the largest so far, against the certificate.
        needed: with how much it is revoked.
        revoked: whether it is, by audits.
        lost: how many were drawn and never answered.
        barred: how many were drawn and could not leave.
        answers: given since the last audit that was answered.
    """

    audits: int
    losses: float
    evidence: float
    needed: float
    revoked: bool
    lost: int = 0
    barred: int = 0
    answers: int = 0


def declare(paper: Certificate, least_probability: float, *, anew: bool = False) -> None:
    """Say, once and before the audits, the least probability with which any request under this certificate is audited: needed where
    requests are audited with different ones, and then each loss is weighted by `least_probability` over its own. It is kept with the
    evidence.

    Args:
        least_probability: over 0, at most 1. The rarest requests count in full, the others less.
        anew: whether it takes the place of one that was declared before, from the next request on that is drawn. What was drawn under that
            one is taken in first. With one that goes by the request, the test would say nothing.

    Raises ValueError for one that cannot be, and for another than was declared before; OSError where it cannot be written.
    """
    certificate_audit.declare(paper, least_probability, anew=anew)


def drawn(bundle: Path, paper: Certificate, owner: str) -> None:
    """Write down that an audit was drawn, before it is asked: one that is never settled counts as lost. `owner`: who asks. Raises OSError
    where it cannot be written."""
    certificate_audit.note_drawn(bundle, paper, owner)


def barred(bundle: Path, paper: Certificate, owner: str) -> None:
    """Take in that an audit that was drawn may not leave. Raises OSError where it cannot be written."""
    certificate_audit.note_blocked(bundle, paper, owner)


def take_in(bundle: Path, paper: Certificate, loss: float | None, probability: float, segment: str | None = None, owner: str = "") -> bool:
    """Take in one audited answer; returns whether the certificate is revoked by its audits. From then on every request escalates.

    Args:
        bundle: folder of the bundle.
        paper: the certificate that the answer was given under.
        loss: of the answer against the certificate's reference, 0..1; where answers are right or wrong, 1 for a wrong one. None where the
            audit was drawn and never answered: see `stats/sequential_audit.py` for what that counts.
        probability: with which this request was chosen to be audited, decided before its loss was known. What people say of their own
            accord was not chosen in any such way, and is no audit: who complains is not a random client. Where `declare` was not called,
            it is the same for every request; else none is under what was declared.
        segment: of a certificate by segments, the request's: the label that was answered, or what its column has. None where that is not
            known: then the audit counts among all of them, and none of its own.
        owner: who drew it, where `drawn` was told.

    Raises ValueError for a loss or a probability that cannot be, OSError where the state cannot be written; then nothing is taken in.
    """
    if loss is None:
        revoked = certificate_audit.note_lost(bundle, paper, probability, segment=segment, owner=owner)
    else:
        revoked = certificate_audit.observe(bundle, paper, loss, probability, segment=segment, owner=owner)
    if revoked:
        _log.warning("the certificate %s of %s is revoked by its audits: every request to it escalates", paper.id, paper.bundle.name)
    return revoked


def evidence(paper: Certificate) -> AuditEvidence:
    """What there is so far. Raises OSError or ValueError where the state cannot be read."""
    kept = certificate_audit.read_state(paper)
    found = kept.audit
    return AuditEvidence(
        found.audits,
        found.losses,
        found.most,
        1 / found.delta,
        found.revoked,
        found.never_answered,
        kept.barred,
        kept.silence.answers,
    )


# Renewing: a certificate of the same bundle on much the same rows as the one before it makes the same claim once more, and goes on with
# its audits. Otherwise whoever certifies again each week, or deletes the one before, would never see a slow breach revoked.

_MOST_NEW = 0.5
"""Of a sample's rows, those that must not have been in the one before for its certificate to be a claim of its own."""


def begin_audits(bundle: Path, paper: Certificate) -> None:
    """Begin the audits of a certificate, which is not yet beside its bundle, and enter it in the register. Where it renews one that was
    given before, be that still beside the bundle or not, it goes on with the audits of that one: of several with those that came furthest.

    Raises InputError where it renews one on other terms and the audits so far speak against it: their state is of the terms before, and
    must not be forgotten; CertificateError where the certificates before, or their audits, cannot be read, or anything cannot be written.
    """
    furthest: dict[tuple[float, float], tuple[SequentialAudit, Certificate]] = {}
    for before in _before(bundle, paper):
        try:
            audit = certificate_audit.read_audit(before)
        except (OSError, ValueError) as error:
            raise _lost(before, error) from error
        terms = (before.alpha, before.delta)
        if terms not in furthest or _extent(audit) > _extent(furthest[terms][0]):
            furthest[terms] = (audit, before)
    same = furthest.pop((paper.alpha, paper.delta), None)
    for audit, before in furthest.values():
        if audit.evidence > 1:
            raise InputError(
                "most of these rows certified before, and the audits since then speak against it: new terms would discard those audits",
                value=f"evidence {audit.evidence:.3g} at alpha {before.alpha:g} and delta {before.delta:g}",
                todo="Draw a new calibration sample, or certify on the same terms, which keep the audits.",
            )
    try:
        if same is None:
            certificate_audit.begin(paper)
        else:
            certificate_audit.carry_over(same[1], paper)
    except OSError as error:
        raise _lost(same[1] if same is not None else paper, error) from error
    certificate.register(paper)


def _before(bundle: Path, paper: Certificate) -> list[Certificate]:
    """The certificates that this one renews: those that were given here, and the one that is beside the bundle. Raises CertificateError
    where it cannot be told which there were."""
    found = certificate.registered(paper.bundle.sha256)
    try:
        there = papers.read(papers.place(bundle))
    except CertificateError as error:
        if not error.missing and not found:
            raise CertificateError(
                "the certificate that is there cannot be read, and what its audits came to would be forgotten",
                value=error.what,
                todo="Put a copy of the file back. Where nothing was ever audited under it, move it away.",
            ) from error
    else:
        found += [there] if all(one.id != there.id for one in found) else []
    return [one for one in found if _renews(one, paper)]


def _extent(audit: SequentialAudit) -> tuple[int, float]:
    """How far audits have come. One certificate goes on with those of another, so that of two the further one has all of the other's."""
    return audit.audits, audit.evidence


def _lost(paper: Certificate, error: Exception) -> CertificateError:
    return CertificateError(
        "the audits of the certificate cannot be begun or carried on",
        value=f"{error} ({certificate_audit.audit_file(paper.id)})",
        todo="Where they were lost, draw a new calibration sample. Else make room on the disk.",
    )


def _renews(before: Certificate, paper: Certificate) -> bool:
    """Whether both are of the same bundle and loss against the same reference, and most of the rows are the same."""
    names = {before.reference.model, paper.reference.model} - {""}
    if before.bundle.sha256 != paper.bundle.sha256 or before.measure != paper.measure:
        return False
    if before.reference.kind != paper.reference.kind or len(names) > 1:
        return False
    first, second = before.calibration, paper.calibration
    if first.rows_sha256 == second.rows_sha256 or first.file_sha256 == second.file_sha256:
        return True
    with suppress(ValueError):
        return RowFingerprints.read(second.marks).share_in(RowFingerprints.read(first.marks)) >= 1 - _MOST_NEW
    return False
