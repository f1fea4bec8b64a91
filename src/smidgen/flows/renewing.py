"""Renewing: a certificate of the same bundle on much the same rows as the one before it makes the same claim once more, and goes on with
its audits. Otherwise whoever certifies again each week, or deletes the one before, would never see a slow breach revoked."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from smidgen.core.errors import CertificateError, InputError
from smidgen.gateway import auditing, register
from smidgen.gateway import certificate as papers
from smidgen.gateway.certificate import Certificate
from smidgen.gateway.marks import Marks
from smidgen.stats.audit import Audit

_MOST_NEW = 0.5
"""Of a sample's rows, those that must not have been in the one before for its certificate to be a claim of its own."""


def go_on(bundle: Path, paper: Certificate) -> None:
    """Begin the audits of a certificate, which is not yet beside its bundle, and enter it in the register. Where it renews one that was
    given before, be that still beside the bundle or not, it goes on with the audits of that one: of several with those that came furthest.

    Raises InputError where it renews one on other terms and the audits so far speak against it: their state is of the terms before, and
    must not be forgotten; CertificateError where the certificates before, or their audits, cannot be read, or anything cannot be written.
    """
    furthest: dict[tuple[float, float], tuple[Audit, Certificate]] = {}
    for before in _before(bundle, paper):
        try:
            audit = auditing.audited(before)
        except (OSError, ValueError) as error:
            raise _lost(before, error) from error
        terms = (before.alpha, before.delta)
        if terms not in furthest or _extent(audit) > _extent(furthest[terms][0]):
            furthest[terms] = (audit, before)
    same = furthest.pop((paper.alpha, paper.delta), None)
    for audit, before in furthest.values():
        if audit.evidence > 1:
            raise InputError(
                "most of these rows certified before, and the audits since then speak against it: other terms would make them forgotten",
                value=f"evidence {audit.evidence:.3g} at alpha {before.alpha:g} and delta {before.delta:g}",
                todo="Draw a new calibration sample; or certify on the same terms, under which the audits go on.",
            )
    try:
        if same is None:
            auditing.begin(paper)
        else:
            auditing.go_on(same[1], paper)
    except OSError as error:
        raise _lost(same[1] if same is not None else paper, error) from error
    register.enter(paper)


def _before(bundle: Path, paper: Certificate) -> list[Certificate]:
    """The certificates that this one renews: those that were given here, and the one that is beside the bundle. Raises CertificateError
    where it cannot be told which there were."""
    found = register.given(paper.bundle.sha256)
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


def _extent(audit: Audit) -> tuple[int, float]:
    """How far audits have come. One certificate goes on with those of another, so that of two the further one has all of the other's."""
    return audit.audits, audit.evidence


def _lost(paper: Certificate, error: Exception) -> CertificateError:
    return CertificateError(
        "the audits of the certificate cannot be begun or carried on",
        value=f"{error} ({auditing.place(paper.id)})",
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
        return Marks.read(second.marks).share_in(Marks.read(first.marks)) >= 1 - _MOST_NEW
    return False
