"""Looks at samples of their own: what a test spends is remembered, so that none is free that is tried again until it passes."""

from __future__ import annotations

import shutil
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.certified_bundle import certified_bundle, make, pairs, write_pairs  # noqa: F401

from smidgen.core.errors import CertificateError, InputError
from smidgen.flows.certify.certification import CertificateTerms, IssuedCertificate, certify
from smidgen.flows.local_model import load
from smidgen.stats.risk_bounds import binomial_upper_bound
from smidgen.store.files import home

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ROWS = pairs(800, 4, 0.03, 0.2, start=20_000)
"""On these alpha = 0.03 is not certified, and 0.10 is."""


def run(bundle: Path, file: Path, **terms: Any) -> IssuedCertificate:
    with closing(load(bundle, 1)) as model:
        return certify(model, file, CertificateTerms(**terms), now=NOW)


def test_another_alpha_after_one_that_failed_is_not_free(certified_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    file = write_pairs(tmp_path / "c.csv", ROWS)
    for _ in range(2):  # the same test gives the same, and spends nothing more
        with pytest.raises(CertificateError, match="no threshold can be certified"):
            run(certified_bundle, file, alpha=0.03)
    with pytest.raises(InputError, match=r"1 look, δ = 0.05 of 0.05.*Draw a new sample.*--delta 0\.1\."):
        run(certified_bundle, file, alpha=0.10)
    with pytest.raises(InputError, match="their confidence is used up"):
        run(certified_bundle, write_pairs(tmp_path / "more.csv", [*ROWS, *pairs(800, 9, start=60_000)]), alpha=0.10)
    done = run(certified_bundle, file, alpha=0.10, delta=0.1)
    (entry,) = done.certificate.answering
    assert entry.bound == pytest.approx(binomial_upper_bound(round(entry.loss), entry.answered, 0.05))
    assert done.certificate.delta == 0.1 and "1−δ = 0.9" in done.certificate.statement
    assert done.certificate.method.endswith("; tested at 0.05 of δ = 0.1, for 1 look at these rows spent 0.05")
    assert run(certified_bundle, file, alpha=0.10, delta=0.1).certificate.answering == done.certificate.answering


def test_rows_of_their_own_have_all_of_delta(certified_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    with pytest.raises(CertificateError):
        run(certified_bundle, write_pairs(tmp_path / "c.csv", ROWS), alpha=0.03)
    new = [*pairs(1500, 9, start=60_000), *ROWS[:100]]
    assert "spent" not in run(certified_bundle, write_pairs(tmp_path / "new.csv", new)).certificate.method


def test_another_bundle_or_a_copy_does_not_get_them_for_nothing(certified_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    file = write_pairs(tmp_path / "c.csv", ROWS)
    with pytest.raises(CertificateError):
        run(certified_bundle, file, alpha=0.03)
    copy = tmp_path / "copy" / "support"
    shutil.copytree(certified_bundle, copy)
    for other in (copy, make(tmp_path / "more", seed=1)):
        with pytest.raises(InputError, match="their confidence is used up"):
            run(other, file, alpha=0.10)


def test_a_test_that_passed_is_renewed_for_nothing_and_tried_otherwise_for_something(
    certified_bundle: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    run(certified_bundle, write_pairs(tmp_path / "c.csv", ROWS), alpha=0.10)
    grown = write_pairs(tmp_path / "grown.csv", [*ROWS, *pairs(300, 9, start=60_000)])
    assert run(certified_bundle, grown, alpha=0.10).certificate.delta == 0.05
    assert run(make(tmp_path / "more", seed=1), grown, alpha=0.10).certificate.delta == 0.05, "the next bundle has its own"
    with pytest.raises(InputError, match="their confidence is used up"):
        run(certified_bundle, grown, alpha=0.09)


def test_what_too_few_rows_cannot_show_spends_nothing(certified_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    file = write_pairs(tmp_path / "few.csv", ROWS[:50])
    with pytest.raises(CertificateError, match="pairs are needed"):
        run(certified_bundle, file)
    assert list((home() / "looks").iterdir()) == []


def test_of_all_requests_a_look_is_paid_for_too(certified_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    file = write_pairs(tmp_path / "c.csv", ROWS)
    with pytest.raises(CertificateError):
        run(certified_bundle, file, alpha=0.10, overall=0.0013)
    with pytest.raises(InputError, match=r"--delta 0\.1 --overall 0\.0026"):
        run(certified_bundle, file, alpha=0.11, overall=0.0013)
    done = run(certified_bundle, file, alpha=0.11, delta=0.1, overall=0.03)
    (entry,) = done.certificate.answering
    assert (entry.loss + 1) / 801 <= 0.03 - 0.0013 and done.certificate.overall == 0.03


def test_a_record_that_cannot_be_read_certifies_nothing(certified_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    file = write_pairs(tmp_path / "c.csv", ROWS)
    run(certified_bundle, file, alpha=0.10)
    (record,) = (home() / "looks").iterdir()
    record.write_text("{}", encoding="utf-8")
    with pytest.raises(CertificateError, match="the record of an earlier test on a sample cannot be read"):
        run(certified_bundle, file, alpha=0.10)
