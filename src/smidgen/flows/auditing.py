"""Auditing: a loss of an answer that a bundle gave goes into the test of the certificate that it was given under."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from smidgen.gateway import auditing
from smidgen.gateway.certificate import Certificate

_log = logging.getLogger("smidgen.audit")


@dataclass(frozen=True, slots=True)
class Evidence:
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
    auditing.declare(paper, least_probability, anew=anew)


def drawn(bundle: Path, paper: Certificate, owner: str) -> None:
    """Write down that an audit was drawn, before it is asked: one that is never settled counts as lost. `owner`: who asks. Raises OSError
    where it cannot be written."""
    auditing.drawn(bundle, paper, owner)


def barred(bundle: Path, paper: Certificate, owner: str) -> None:
    """Take in that an audit that was drawn may not leave. Raises OSError where it cannot be written."""
    auditing.barred(bundle, paper, owner)


def take_in(bundle: Path, paper: Certificate, loss: float | None, probability: float, segment: str | None = None, owner: str = "") -> bool:
    """Take in one audited answer; returns whether the certificate is revoked by its audits. From then on every request escalates.

    Args:
        bundle: folder of the bundle.
        paper: the certificate that the answer was given under.
        loss: of the answer against the certificate's reference, 0..1; where answers are right or wrong, 1 for a wrong one. None where the
            audit was drawn and never answered: see `stats/audit.py` for what that counts.
        probability: with which this request was chosen to be audited, decided before its loss was known. What people say of their own
            accord was not chosen in any such way, and is no audit: who complains is not a random client. Where `declare` was not called,
            it is the same for every request; else none is under what was declared.
        segment: of a certificate by segments, the request's: the label that was answered, or what its column has. None where that is not
            known: then the audit counts among all of them, and none of its own.
        owner: who drew it, where `drawn` was told.

    Raises ValueError for a loss or a probability that cannot be, OSError where the state cannot be written; then nothing is taken in.
    """
    if loss is None:
        revoked = auditing.lost(bundle, paper, probability, segment=segment, owner=owner)
    else:
        revoked = auditing.observe(bundle, paper, loss, probability, segment=segment, owner=owner)
    if revoked:
        _log.warning("the certificate %s of %s is revoked by its audits: every request to it escalates", paper.id, paper.bundle.name)
    return revoked


def evidence(paper: Certificate) -> Evidence:
    """What there is so far. Raises OSError or ValueError where the state cannot be read."""
    kept = auditing.kept(paper)
    found = kept.audit
    return Evidence(
        found.audits,
        found.losses,
        found.most,
        1 / found.delta,
        found.revoked,
        found.never_answered,
        kept.barred,
        kept.silence.answers,
    )
