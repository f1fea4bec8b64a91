"""Certificate status: whether a served bundle's certificate holds, its audits, and the certificate that carries them on."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from smidgen.bundles.manifest import MANIFEST, Manifest
from smidgen.core.errors import CertificateError, InputError
from smidgen.gateway import certificate, certificate_audit
from smidgen.gateway import certificate as papers
from smidgen.gateway.certificate import Certificate, CertifiedBundle
from smidgen.gateway.certificate_audit import Contradiction
from smidgen.gateway.certificate_status import CertificateState, CertificateStatus, CertificateWatch, StatusReader
from smidgen.gateway.sample_reuse import RowFingerprints
from smidgen.stats.sequential_audit import SequentialAudit

# Status: whether the certificate of a served bundle holds, read as often as needed.


def certificate_subject(manifest: Manifest) -> CertifiedBundle:
    """Return the bundle's identity as certificates name it."""
    return CertifiedBundle(
        name=manifest.name,
        id=manifest.id,
        sha256=hashlib.sha256(manifest.canonical()).hexdigest(),
        base_sha256=manifest.base.sha256 if manifest.base is not None else None,
    )


def status_reader(folder: Path | None, manifest: Manifest | None, large: frozenset[str] | None = None) -> StatusReader:
    """Return a reader of the certificate's status for a bundle opened from this folder.

    The bundle as opened counts: if another one takes its place in the folder, the certificate no longer applies. `large`: the names of the
    large model that requests escalate to; a certificate against another model does not hold.
    """
    if folder is None or manifest is None:
        none = CertificateStatus(CertificateState.NONE, "the model is in no folder that a certificate could be beside")
        return lambda: none
    watch = CertificateWatch(folder, certificate_subject(manifest), large=large, manifest=MANIFEST)
    paper = watch().certificate
    if paper is not None:
        # Serving goes on if the home cannot be written. In that case this machine did not audit.
        with contextlib.suppress(OSError):
            certificate_audit.revoke_if_due(folder, paper)
    return watch


# Audits: the loss of an audited answer enters the sequential test of the certificate that it was given under.


@dataclass(frozen=True, slots=True)
class LineEvidence:
    """Result of the audits of all versions of a line since its last revocation.

    Attributes:
        versions: number of the certificates' own tests whose audits it counted.
        audits, losses, evidence, needed: as in `AuditEvidence`; at `needed`, all these certificates are revoked.
    """

    versions: int
    audits: int
    losses: float
    evidence: float
    needed: float


@dataclass(frozen=True, slots=True)
class AuditEvidence:
    """Result of a certificate's audits so far.

    Attributes:
        audits: number of answered audits.
        losses: sum of their losses.
        evidence: largest evidence so far against the certificate.
        needed: evidence that revokes it.
        revoked: whether audits have revoked it.
        lost: audits that were drawn and never answered.
        barred: audits that were drawn and could not be sent.
        answers: answers given since the last answered audit.
        unanswered: whether too many audits got lost.
        suspended: clients, by the hash of their key, whose audits alone contradicted the certificate.
        clients: audits and losses by client.
        against: the latest audits that spoke against the certificate.
        line: what those of all versions of its line came to; None if it has counted none of this certificate.
    """

    audits: int
    losses: float
    evidence: float
    needed: float
    revoked: bool
    lost: int = 0
    barred: int = 0
    answers: int = 0
    unanswered: bool = False
    suspended: tuple[str, ...] = ()
    clients: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    against: tuple[Contradiction, ...] = ()
    line: LineEvidence | None = None


def evidence(paper: Certificate) -> AuditEvidence:
    """Return the evidence so far. Raises OSError or ValueError if the state cannot be read."""
    kept = certificate_audit.read_state(paper)
    found, of_line = kept.audit, None
    if kept.line is not None and kept.test in kept.line.tests:
        every = kept.line.audit
        of_line = LineEvidence(len(kept.line.tests), every.audits, every.losses, every.most, every.needed)
    return AuditEvidence(
        found.audits,
        found.losses,
        found.most,
        found.needed,
        bool(kept.revocation),
        found.never_answered,
        kept.barred,
        kept.silence.answers,
        found.unanswered,
        tuple(sorted(kept.suspended)),
        found.clients,
        kept.against,
        of_line,
    )


# Renewal: a certificate of the same bundle on mostly the same rows repeats the claim of the one before, and carries on its audits.
# Otherwise, certifying again each week, or deleting the old certificate, would hide a slow breach for ever.

_MOST_NEW = 0.5
"""A certificate with at least this share of new rows is a claim of its own."""


def begin_audits(bundle: Path, paper: Certificate) -> None:
    """Begin the audits of a certificate that is not yet beside its bundle, and register it.

    If it renews earlier certificates, beside the bundle or not, it carries on the audits that came furthest.

    Raises InputError if it renews one on other terms and the audits so far speak against it, because their state fits only the old terms
    and must not be dropped; CertificateError if earlier certificates or their audits cannot be read, or files cannot be written.
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
                "flows.audits_speak_against_these_rows",
                evidence=f"{audit.evidence:.3g}",
                alpha=f"{before.alpha:g}",
                delta=f"{before.delta:g}",
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
    """Return the certificates that this one renews, among those registered here and the one beside the bundle.

    Raises CertificateError if they cannot be read.
    """
    found = certificate.registered(paper.bundle.sha256)
    try:
        there = papers.read(papers.place(bundle))
    except CertificateError as error:
        if not error.missing and not found:
            raise CertificateError("flows.certificate_beside_bundle_is_unreadable", value=error.what) from error
    else:
        found += [there] if all(one.id != there.id for one in found) else []
    return [one for one in found if _renews(one, paper)]


def _extent(audit: SequentialAudit) -> tuple[int, float]:
    """Order the audits of related certificates. One certificate carries on those of another, so the further state includes the other's."""
    return audit.audits, audit.evidence


def _lost(paper: Certificate, error: Exception) -> CertificateError:
    return CertificateError("flows.audits_cannot_be_started_or_continued", value=f"{error} ({certificate_audit.audit_file(paper.id)})")


def _renews(before: Certificate, paper: Certificate) -> bool:
    """Return True if both have the same bundle, loss and reference, and mostly the same rows."""
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
