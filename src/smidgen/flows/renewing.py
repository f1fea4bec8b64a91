"""Renewing: a certificate of the same bundle on much the same rows as the one before it makes the same claim once more, and goes on with
its audits. Otherwise whoever certifies again each week would never see a slow breach revoked."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from smidgen.core.errors import CertificateError, InputError
from smidgen.gateway import auditing
from smidgen.gateway import certificate as papers
from smidgen.gateway.certificate import Certificate
from smidgen.gateway.marks import Marks

_MOST_NEW = 0.5
"""Of a sample's rows, those that must not have been in the one before for its certificate to be a claim of its own."""


def go_on(bundle: Path, paper: Certificate) -> None:
    """Give a certificate, which is not yet beside its bundle, the audits of the one that is there, where it renews that one.

    Raises InputError where it renews it on other terms and the audits so far speak against it: their state is of the terms before, and must
    not be forgotten; CertificateError where it cannot be written.
    """
    try:
        before = papers.read(papers.place(bundle))
    except CertificateError:
        return  # none that could be read: nothing was answered under it
    if not _renews(before, paper):
        return
    try:
        if (before.alpha, before.delta) == (paper.alpha, paper.delta):
            auditing.go_on(before, paper)
            return
        evidence = auditing.audited(before).evidence
    except (OSError, ValueError) as error:
        raise CertificateError(
            "the audits of the certificate that this one would renew cannot be carried on",
            value=f"{auditing.place(before.id)}: {error}",
            todo="Draw a new calibration sample.",
        ) from error
    if evidence > 1:
        raise InputError(
            "most of these rows certified before, and the audits since then speak against it: other terms would make them forgotten",
            value=f"evidence {evidence:.3g} at alpha {before.alpha:g} and delta {before.delta:g}",
            todo="Draw a new calibration sample; or certify on the same terms, under which the audits go on.",
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
