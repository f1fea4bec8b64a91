"""Certifying again: a refuted sample is not taken in another shape, and the audits of a claim go on where it is made once more."""

from __future__ import annotations

import shutil
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.certified_bundle import certified_bundle, pairs, unlooked, write_pairs  # noqa: F401
from tests.line_versions import line_of

from smidgen.bundles.open import read_manifest
from smidgen.core.errors import CertificateError, InputError
from smidgen.flows.certify.certificate_status import certificate_subject
from smidgen.flows.certify.certification import CertificateTerms, IssuedCertificate, certificate_standing, certify, revoke
from smidgen.flows.local_model import load
from smidgen.gateway import certificate, certificate_audit, revocation
from smidgen.gateway import certificate as papers
from smidgen.gateway.certificate import Certificate
from smidgen.gateway.certificate_status import CertificateState, CertificateWatch

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ROWS = pairs(1500, 3, start=20_000)


def run(bundle: Path, file: Path, **terms: Any) -> IssuedCertificate:
    with closing(load(bundle, 1)) as model:
        return certify(model, file, CertificateTerms(**terms), now=NOW)


def test_a_refuted_sample_with_other_rows_beside_it_is_the_refuted_one(certified_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    run(certified_bundle, write_pairs(tmp_path / "c.csv", ROWS))
    revoke(certified_bundle, "the audit found it", NOW)
    new = pairs(1500, 4, start=60_000)
    spaced = [(given.upper() + " !", wanted) for given, wanted in ROWS]
    for name, rows in {
        "more": [*ROWS, *new[:20]],
        "less": ROWS[1:],
        "turned": ROWS[::-1],
        "half": [*ROWS[:750], *new],
        "spaced": spaced,
    }.items():
        with pytest.raises(InputError, match="the sample of a revoked certificate"):
            run(certified_bundle, write_pairs(tmp_path / f"{name}.csv", rows))
    assert certificate_standing(certified_bundle, NOW).state is CertificateState.REVOKED
    assert run(certified_bundle, write_pairs(tmp_path / "new.csv", [*new, *ROWS[:100]])).certificate.n == 1600
    (gone,) = revocation.find_related(certified_bundle)
    assert gone.marks and "message" not in revocation.place(certified_bundle).read_text(encoding="utf-8")


def test_what_the_audits_refuted_is_known_too(certified_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    paper = run(certified_bundle, write_pairs(tmp_path / "c.csv", ROWS)).certificate
    while not certificate_audit.observe(certified_bundle, paper, 1.0, now=NOW):
        pass
    with pytest.raises(InputError, match="99% of the rows are of the sample of a revoked certificate"):
        run(certified_bundle, write_pairs(tmp_path / "more.csv", [*ROWS, *pairs(20, 4, start=60_000)]))


def test_a_claim_that_is_made_once_more_goes_on_with_its_audits(certified_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    file = write_pairs(tmp_path / "c.csv", ROWS)
    first = run(certified_bundle, file).certificate
    for number in range(12):
        certificate_audit.observe(certified_bundle, first, float(number % 4 == 0), now=NOW)
    assert not certificate_audit.read_audit(first).revoked and certificate_audit.read_audit(first).evidence > 1
    again = run(certified_bundle, file).certificate
    grown = run(certified_bundle, write_pairs(tmp_path / "grown.csv", [*ROWS, *pairs(300, 4, start=60_000)])).certificate
    for renewed in (again, grown):
        assert renewed.id != first.id and certificate_audit.read_audit(renewed).json() == certificate_audit.read_audit(first).json()
    asked = 12
    while not certificate_audit.observe(certified_bundle, grown, float(asked % 4 == 0), now=NOW):
        asked += 1
        grown = run(certified_bundle, file).certificate
        assert asked < 200, "a slow breach is revoked though it is certified again after every audit"


def test_other_terms_do_not_make_the_audits_forgotten(certified_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    file = write_pairs(tmp_path / "c.csv", ROWS)
    first = run(certified_bundle, file).certificate
    unlooked()
    assert certificate_audit.read_audit(run(certified_bundle, file, alpha=0.06).certificate).audits == 0  # nothing speaks against it yet
    unlooked()
    first = run(certified_bundle, file).certificate
    for number in range(12):
        certificate_audit.observe(certified_bundle, first, float(number % 4 == 0), now=NOW)
    unlooked()
    with pytest.raises(InputError, match="the audits since then speak against it"):
        run(certified_bundle, file, alpha=0.06)
    assert certificate_standing(certified_bundle, NOW).certificate == first
    new = run(certified_bundle, write_pairs(tmp_path / "new.csv", pairs(1500, 4, start=60_000)), alpha=0.06).certificate
    assert certificate_audit.read_audit(new).audits == 0, "rows of their own are a claim of its own"


def test_another_reference_is_another_claim(certified_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    file = write_pairs(tmp_path / "c.csv", ROWS)
    first = run(certified_bundle, file, reference="model", model="big").certificate
    assert first.reference.words == "the large model big"
    certificate_audit.observe(certified_bundle, first, 1.0, now=NOW)
    assert certificate_audit.read_audit(run(certified_bundle, file, reference="model").certificate).audits == 1
    assert certificate_audit.read_audit(run(certified_bundle, file, reference="gold").certificate).audits == 0
    with pytest.raises(InputError, match="--reference-model"):
        run(certified_bundle, file, reference="gold", model="big")


def test_of_a_line_what_refuted_one_version_certifies_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    line, ids = line_of(tmp_path / "support", 3)
    run(line.version(ids[2]), write_pairs(tmp_path / "c.csv", ROWS))
    revoke(line.version(ids[2]), "the audit found it", NOW)
    with pytest.raises(InputError, match="the sample of a revoked certificate"):
        run(line.version(ids[0]), write_pairs(tmp_path / "less.csv", ROWS[1:]))
    assert run(line.version(ids[0]), write_pairs(tmp_path / "new.csv", pairs(1500, 4, start=60_000))).certificate.n == 1500


def spoken_against(bundle: Path, file: Path) -> Certificate:
    """A certificate that audits speak against, and do not revoke yet."""
    paper = run(bundle, file).certificate
    for number in range(12):
        certificate_audit.observe(bundle, paper, float(number % 4 == 0), now=NOW)
    assert 1 < certificate_audit.read_audit(paper).evidence < 20
    return paper


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"format_version": 9}'])
def test_a_certificate_that_is_deleted_or_damaged_is_not_forgotten(
    certified_bundle: Path,  # noqa: F811
    tmp_path: Path,
    content: bytes | None,
) -> None:
    file = write_pairs(tmp_path / "c.csv", ROWS)
    paper = spoken_against(certified_bundle, file)
    place = papers.place(certified_bundle)
    place.unlink() if content is None else place.write_bytes(content)
    unlooked()
    with pytest.raises(InputError, match="the audits since then speak against it"):
        run(certified_bundle, file, alpha=0.06)
    unlooked()
    again = run(certified_bundle, file).certificate
    assert again.id != paper.id and certificate_audit.read_audit(again).json() == certificate_audit.read_audit(paper).json()
    # What came furthest counts, however often it is deleted.
    for _ in range(3):
        certificate_audit.observe(certified_bundle, again, 0.0, now=NOW)
    place.unlink()
    assert certificate_audit.read_audit(run(certified_bundle, file).certificate).audits == 15


def test_audits_whose_state_was_deleted_are_lost_and_the_certificate_does_not_hold(
    certified_bundle: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    file = write_pairs(tmp_path / "c.csv", ROWS)
    paper = run(certified_bundle, file).certificate
    assert certificate_audit.audit_file(paper.id).is_file() and certificate_standing(certified_bundle, NOW).valid
    certificate_audit.audit_file(paper.id).unlink()
    found = certificate_standing(certified_bundle, NOW)
    assert found.state is CertificateState.REVOKED and "the state of its audits cannot be read (it is gone" in found.why
    with pytest.raises(CertificateError, match=r"cannot be started or carried on.*it is gone"):
        run(certified_bundle, file)
    assert certificate_audit.observe(certified_bundle, paper, 0.0, now=NOW), "the next audit revokes it for good"
    new = run(certified_bundle, write_pairs(tmp_path / "new.csv", pairs(1500, 4, start=60_000))).certificate
    assert certificate_standing(certified_bundle, NOW).valid and certificate_audit.read_audit(new).audits == 0


def older(bundle: Path, file: Path) -> Certificate:
    """A certificate as an older smidgen gave it: without a state of audits, and in no register."""
    paper = run(bundle, file).certificate
    certificate_audit.audit_file(paper.id).unlink()
    shutil.rmtree(tmp_register())
    old = paper.model_copy(update={"begun": False}).signed()
    papers.write(old, bundle)
    assert "begun" not in papers.place(bundle).read_text(encoding="utf-8")
    return old


def tmp_register() -> Path:
    return papers.keys_folder().parent / "certificates"


def test_an_older_certificate_holds_as_it_did_and_its_audits_go_on(certified_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    file = write_pairs(tmp_path / "c.csv", ROWS)
    old = older(certified_bundle, file)
    assert certificate_standing(certified_bundle, NOW).valid and certificate_audit.read_audit(old).audits == 0
    certificate_audit.observe(certified_bundle, old, 1.0, now=NOW)
    new = run(certified_bundle, file).certificate
    assert (
        new.begun
        and certificate_audit.read_audit(new).audits == 1
        and [one.id for one in certificate.registered(new.bundle.sha256)] == [new.id]
    )


def test_an_older_certificate_that_cannot_be_read_is_not_taken_for_none(certified_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    file = write_pairs(tmp_path / "c.csv", ROWS)
    older(certified_bundle, file)
    papers.place(certified_bundle).write_bytes(b"{")
    with pytest.raises(CertificateError, match="the evidence of its audits would be lost"):
        run(certified_bundle, file)


def test_a_register_that_cannot_be_read_forgets_nothing(certified_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    file = write_pairs(tmp_path / "c.csv", ROWS)
    paper = spoken_against(certified_bundle, file)
    next((tmp_register() / paper.bundle.sha256).iterdir()).write_bytes(b"{")
    with pytest.raises(CertificateError, match="the register of the bundle's certificates cannot be read"):
        run(certified_bundle, file)


def test_on_another_machine_that_trusts_its_key_audits_begin_there(
    certified_bundle: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paper = run(certified_bundle, write_pairs(tmp_path / "c.csv", ROWS)).certificate
    given = papers.keys_folder() / "certificate.pub"
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "elsewhere"))
    (papers.keys_folder() / "trusted").mkdir(parents=True)
    shutil.copyfile(given, papers.keys_folder() / "trusted" / "first.pub")
    assert certificate_standing(certified_bundle, NOW).valid
    certificate_audit.observe(certified_bundle, paper, 0.0, now=NOW)
    assert certificate_audit.read_audit(paper).audits == 1


def test_a_copied_bundle_does_not_escape_its_revocation(certified_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    """By the manifest's hash: neither on the revoked sample, nor with a certificate of its own on much of it."""
    run(certified_bundle, write_pairs(tmp_path / "c.csv", ROWS))
    early, late = (tmp_path / place / "support" for place in ("early", "late"))
    shutil.copytree(certified_bundle, early)
    mine = run(early, write_pairs(tmp_path / "most.csv", ROWS[:1400])).certificate
    fresh = tmp_path / "fresh" / "support"
    shutil.copytree(certified_bundle, fresh)
    run(fresh, write_pairs(tmp_path / "new.csv", pairs(1500, 8, start=60_000)))
    watch = CertificateWatch(early, certificate_subject(read_manifest(early)), lambda: NOW)
    assert watch().valid and certificate_standing(early, NOW).valid
    revoke(certified_bundle, "the audit found it", NOW)
    shutil.copytree(certified_bundle, late)
    with pytest.raises(InputError, match="the sample of a revoked certificate"):
        run(late, tmp_path / "c.csv")
    found = certificate_standing(early, NOW)
    assert (found.state, "the audit found it" in found.why) == (CertificateState.REVOKED, True) and found.certificate == mine
    assert watch().state is CertificateState.REVOKED, "a server that has it open sees it"
    assert certificate_standing(fresh, NOW).valid, "a sample of its own says what it says"


def test_a_copy_is_found_where_the_revocation_was_written_by_an_older_smidgen(certified_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    """It wrote none by the manifest: the register of certificates knows which were of the same one."""
    run(certified_bundle, write_pairs(tmp_path / "c.csv", ROWS))
    revoke(certified_bundle, "drift", NOW)
    (written,) = (tmp_path / "home" / "revocations").glob("manifest-*.json")
    written.unlink()
    copy = tmp_path / "copy" / "support"
    shutil.copytree(certified_bundle, copy)
    with pytest.raises(InputError, match="the sample of a revoked certificate"):
        run(copy, tmp_path / "c.csv")
