"""Certificates: what is written, what holds, and that whatever does not hold escalates."""

from __future__ import annotations

import base64
import json
import math
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from smidgen.core.errors import CertificateError
from smidgen.core.replies import Reply
from smidgen.gateway import certificate as papers
from smidgen.gateway import revocation, route
from smidgen.gateway.certificate import Certificate, CertificateSample, CertifiedBundle, CertifiedSegment, JudgeError, Reference
from smidgen.gateway.certificate_status import CertificateState, CertificateStatus, Decision, check_certificate
from smidgen.gateway.route import RequestedModel

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
SUBJECT = CertifiedBundle(name="support", id="0123456789ab", sha256="a" * 64, base_sha256="b" * 64)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    monkeypatch.setenv("SMIDGEN_HOME", str(home))
    return home


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    bundle = tmp_path / "models" / "support"
    bundle.mkdir(parents=True)
    return bundle


def paper(**changes: Any) -> Certificate:
    facts: dict[str, Any] = {
        "id": "0" * 31 + "1",
        "statement": papers.statement(0.05, 0.05, NOW + 90 * DAY),
        "bundle": SUBJECT,
        "task": "classify",
        "loss": "the answer is not the reference's",
        "reference": Reference(kind="gold"),
        "alpha": 0.05,
        "delta": 0.05,
        "answering": (CertifiedSegment(threshold=0.8, n=1000, answered=700, loss=20.0, bound=0.041),),
        "method": "exact binomial",
        "calibration": CertificateSample(file_sha256="c" * 64, rows_sha256="d" * 64, n=1000),
        "created": NOW,
        "valid_until": NOW + 90 * DAY,
        "smidgen_version": "0.1.0",
    }
    return Certificate(**{**facts, **changes})


def given(folder: Path, **changes: Any) -> Certificate:
    signed = paper(**changes).signed()
    papers.write(signed, folder)
    return signed


def test_a_certificate_holds_and_is_read_as_it_was_written(folder: Path) -> None:
    signed = given(folder)
    found = check_certificate(folder, SUBJECT, NOW + DAY)
    assert (found.state, found.certificate) == (CertificateState.VALID, signed)
    assert found.valid and "2026-08-30" in found.why
    assert papers.place(folder) == folder.parent / "support.certificate.json"
    assert sorted(entry.name for entry in folder.parent.iterdir()) == ["support", "support.certificate.json"]
    facts = json.loads(papers.place(folder).read_text(encoding="utf-8"))
    assert facts["statement"] == (
        "of the requests answered locally, at most α = 0.05 disagree with the reference, with confidence 1−δ = 0.95, for traffic "
        "exchangeable with the calibration sample; valid until 2026-08-30 12:00 UTC or until revoked."
    )
    assert signed.share == 0.7 and signed.n == 1000


def test_the_jobs_that_it_knows_are_signed_and_one_that_knows_none_is_written_as_it_was_before(folder: Path) -> None:
    older = given(folder)
    assert "jobs" not in older.facts()["calibration"] and b"jobs" not in older.content
    knowing = given(folder, calibration=CertificateSample(file_sha256="c" * 64, rows_sha256="d" * 64, n=1000, jobs=("0123456789abcdef",)))
    found = check_certificate(folder, SUBJECT, NOW)
    assert found.valid and found.certificate == knowing and found.certificate.calibration.jobs == ("0123456789abcdef",)
    facts = json.loads(papers.place(folder).read_text(encoding="utf-8"))
    facts["calibration"]["jobs"] = ["0123456789abcdef", "ffffffffffffffff"]
    papers.place(folder).write_text(json.dumps(facts), encoding="utf-8")
    assert check_certificate(folder, SUBJECT, NOW).state is CertificateState.UNSIGNED


def test_what_names_another_model_stays_here_only_where_the_certificate_knows_its_job() -> None:
    calibration = CertificateSample(file_sha256="c" * 64, rows_sha256="d" * 64, n=1000, jobs=("aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"))
    knowing = CertificateStatus(CertificateState.VALID, "for this test", paper(calibration=calibration))
    older = CertificateStatus(CertificateState.VALID, "for this test", paper())
    known, unknown = frozenset(["bbbbbbbbbbbbbbbb", "cccccccccccccccc"]), frozenset(["cccccccccccccccc"])
    assert route.decision_before(knowing, RequestedModel("s", names_bundle=False, jobs=known)).local
    for held, jobs in ((knowing, unknown), (knowing, frozenset[str]()), (older, known)):
        asked = RequestedModel("s", names_bundle=False, jobs=jobs).at_least(0.5)
        assert route.decision_before(held, asked).why == "job"
        assert route.decision_after(held, asked, [Reply("yes", 1.0)], {}).why == "job"
    assert route.decision_before(older, RequestedModel("s")).local


def test_what_names_another_large_model_than_the_certificate_goes_there() -> None:
    calibration = CertificateSample(file_sha256="c" * 64, rows_sha256="d" * 64, n=1000, jobs=("aaaaaaaaaaaaaaaa",))
    held = CertificateStatus(
        CertificateState.VALID, "for this test", paper(calibration=calibration, reference=Reference(kind="model", model="big"))
    )
    asked = RequestedModel("s", names_bundle=False, jobs=frozenset(["aaaaaaaaaaaaaaaa"]), model="big")
    assert route.decision_before(held, asked).local and route.decision_before(held, RequestedModel("s")).local
    assert route.decision_before(held, replace(asked, model="another")).why == "another large model"
    unnamed = CertificateStatus(CertificateState.VALID, "for this test", paper(calibration=calibration, reference=Reference(kind="model")))
    assert route.decision_before(unnamed, replace(asked, model="another")).local


def test_an_answer_that_the_request_cuts_short_escalates() -> None:
    held, cut = (
        CertificateStatus(CertificateState.VALID, "for this test", paper()),
        Reply("yes", 0.9, piece=SimpleNamespace(finish="length")),
    )
    for name in ("max_tokens", "max_completion_tokens", "max_output_tokens"):
        assert route.decision_after(held, RequestedModel("s"), [cut], {name: 3}).explanation == f"no local answer ({name} cuts it short)"
    assert route.decision_after(held, RequestedModel("s"), [cut], {}).why != "no local answer"


def test_it_decides_by_its_threshold(folder: Path) -> None:
    given(folder)
    found = check_certificate(folder, SUBJECT, NOW)
    decisions = [found.decide(score, now=NOW) for score in (0.8, 1.0, 0.79999, 0.0, math.nan, math.inf)]
    assert [decision is Decision.ANSWER for decision in decisions] == [True, True, False, False, False, False]
    assert found.decide(0.9, "anything", NOW) is Decision.ANSWER  # there are no segments: all are alike
    assert found.decide(0.9, now=NOW + 90 * DAY) is Decision.ESCALATE  # it ran out while the process went on
    assert found.decide(0.9, now=NOW - DAY) is Decision.ESCALATE


def test_segments_have_their_own_thresholds_and_unknown_ones_escalate(folder: Path) -> None:
    entries = tuple(
        CertifiedSegment(segment=name, threshold=at, n=500, answered=400, loss=4.0, bound=0.04) for name, at in (("a", 0.6), ("b", 0.9))
    )
    given(folder, by="label", answering=entries)
    found = check_certificate(folder, SUBJECT, NOW)
    asked = [("a", 0.7), ("b", 0.7), ("b", 0.95), ("c", 1.0), ("", 1.0), (None, 1.0)]
    assert [found.decide(score, name, NOW) is Decision.ANSWER for name, score in asked] == [True, False, True, False, False, False]


def test_everything_that_does_not_hold_escalates_and_says_why(folder: Path) -> None:
    other = CertifiedBundle(name="support", id="ffffffffffff", sha256="e" * 64, base_sha256="b" * 64)
    grown = CertifiedBundle(name="support", id="ffffffffffff", sha256="e" * 64, base_sha256="f" * 64)
    seen = [check_certificate(folder, SUBJECT, NOW)]
    given(folder)
    seen += [check_certificate(folder, other, NOW), check_certificate(folder, grown, NOW), check_certificate(folder, SUBJECT, NOW - DAY)]
    seen += [check_certificate(folder, SUBJECT, NOW + 90 * DAY)]
    revocation.revoke(folder, paper().id, "too many errors", NOW)
    seen += [check_certificate(folder, SUBJECT, NOW)]
    assert [found.state for found in seen] == [
        CertificateState.NONE,
        CertificateState.BUNDLE,
        CertificateState.BASE,
        CertificateState.EARLY,
        CertificateState.EXPIRED,
        CertificateState.REVOKED,
    ]
    assert all(found.decide(1.0, now=NOW) is Decision.ESCALATE and found.why and not found.valid for found in seen)
    assert "too many errors" in seen[-1].why


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"format_version": 2}',
        b'{"format_version": true}',
        b'{"format_version": 1}',
        b"\xff\xfe",
        b"[" * 100_000,
        b" " * (17 << 20),
    ],
    ids=["empty", "cut", "list", "null", "newer", "bool", "bare", "no-text", "deep", "large"],
)
def test_a_damaged_file_does_not_hold(folder: Path, content: bytes) -> None:
    papers.place(folder).write_bytes(content)
    found = check_certificate(folder, SUBJECT, NOW)
    assert (found.state, found.decide(1.0, now=NOW)) == (CertificateState.DAMAGED, Decision.ESCALATE)


def test_a_folder_in_its_place_does_not_hold(folder: Path) -> None:
    papers.place(folder).mkdir()
    assert check_certificate(folder, SUBJECT, NOW).state is CertificateState.DAMAGED


def test_no_field_can_be_edited(folder: Path) -> None:
    """Every value of the file, one after another: it is then damaged, or its signature is wrong."""
    given(folder)
    file = papers.place(folder)
    whole = json.loads(file.read_text(encoding="utf-8"))
    edits = 0
    for path in paths(whole):
        facts = json.loads(json.dumps(whole))
        holder = facts
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = altered(holder[path[-1]])
        file.write_text(json.dumps(facts), encoding="utf-8")
        state = check_certificate(folder, SUBJECT, NOW).state
        edits += 1
        assert state in (CertificateState.UNSIGNED, CertificateState.DAMAGED), path
    assert edits >= 28
    file.write_text(json.dumps(whole), encoding="utf-8")
    assert check_certificate(folder, SUBJECT, NOW).valid


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [inner for step, entry in steps for inner in paths(entry, (*path, step))]
    return found or [path]


def altered(value: Any) -> Any:
    if value is None or value == []:
        return "x" if value is None else ["x"]
    if isinstance(value, str):
        return value[:-1] + ("1" if value[-1:] != "1" else "2") if value else "x"
    return value * 0.99 if isinstance(value, float) else value + 1


def test_another_machines_key_is_not_trusted_until_it_is_told_to_be(folder: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given(folder)
    published = own_home / "keys" / "certificate.pub"
    elsewhere = own_home.parent / "elsewhere"
    monkeypatch.setenv("SMIDGEN_HOME", str(elsewhere))
    assert check_certificate(folder, SUBJECT, NOW).state is CertificateState.UNSIGNED
    (elsewhere / "keys" / "trusted").mkdir(parents=True)
    (elsewhere / "keys" / "trusted" / "builder.pub").write_bytes(published.read_bytes())
    assert check_certificate(folder, SUBJECT, NOW).valid
    assert not (elsewhere / "keys" / "certificate.pem").exists()  # looking makes no key


def test_a_trusted_key_of_an_unknown_kind_is_passed_over(folder: Path, own_home: Path) -> None:
    given(folder)
    (own_home / "keys" / "trusted").mkdir()
    # A public key of the algorithm 1.2.3.4, which there is not.
    strange = bytes.fromhex("3010" + "3007" + "06032a0304" + "0500" + "0305" + "00deadbeef")
    pem = f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(strange).decode()}\n-----END PUBLIC KEY-----\n"
    (own_home / "keys" / "trusted" / "strange.pub").write_text(pem, encoding="ascii")
    assert check_certificate(folder, SUBJECT, NOW).valid


def test_a_stranger_who_signs_properly_is_not_believed(folder: Path) -> None:
    papers.signing_key()
    stranger = Ed25519PrivateKey.generate()
    named = paper().model_copy(update={"key": papers.public_key(stranger)})
    papers.write(named.model_copy(update={"signature": papers.sign(stranger, named.content)}), folder)
    assert check_certificate(folder, SUBJECT, NOW).state is CertificateState.UNSIGNED
    raw = stranger.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert raw not in (papers.keys_folder() / "certificate.pub").read_bytes()


@pytest.mark.skipif(os.name == "nt", reason="permissions are another thing on Windows")
def test_the_key_is_its_owners_alone(own_home: Path) -> None:
    papers.signing_key()
    file = own_home / "keys" / "certificate.pem"
    assert file.stat().st_mode & 0o777 == 0o600 and file.parent.stat().st_mode & 0o777 == 0o700
    assert papers.public_key(papers.signing_key()) == papers.public_key(papers.signing_key())
    file.chmod(0o644)
    with pytest.raises(CertificateError, match="chmod 600"):
        papers.signing_key()
    file.chmod(0o600)
    file.write_text("no key", encoding="utf-8")
    with pytest.raises(CertificateError, match="cannot be read"):
        papers.signing_key()
    assert papers.trusted_keys() == frozenset()


def test_one_record_of_a_revocation_is_enough(folder: Path, own_home: Path) -> None:
    signed = given(folder)
    files = revocation.revoke(folder, signed.id, "drift", NOW, signed.calibration.rows_sha256)
    assert len(files) == 2 and [gone.sample for gone in revocation.find_related(folder)] == ["d" * 64]
    beside = revocation.place(folder)
    kept = beside.read_bytes()
    beside.unlink()
    assert check_certificate(folder, SUBJECT, NOW).state is CertificateState.REVOKED
    beside.write_bytes(kept)
    (own_home / "revocations" / f"{signed.id}.json").unlink()
    assert check_certificate(folder, SUBJECT, NOW).state is CertificateState.REVOKED


def test_writing_the_certificate_again_does_not_bring_it_back(folder: Path) -> None:
    signed = given(folder)
    revocation.revoke(folder, signed.id, "drift", NOW)
    papers.place(folder).unlink()
    papers.write(signed, folder)
    assert check_certificate(folder, SUBJECT, NOW).state is CertificateState.REVOKED
    given(folder, id="0" * 31 + "2")
    assert check_certificate(folder, SUBJECT, NOW).valid


def test_a_second_revocation_changes_nothing_and_others_are_added(folder: Path) -> None:
    for name, reason in (("1" * 32, "first"), ("1" * 32, "again"), ("2" * 32, "other")):
        revocation.revoke(folder, name, reason, NOW)
    entries = json.loads(revocation.place(folder).read_text(encoding="utf-8"))["revoked"]
    assert [(entry["certificate"][0], entry["reason"]) for entry in entries] == [("1", "first"), ("2", "other")]


@pytest.mark.parametrize("content", [b"", b"{}x", b'{"revoked": 3}', b'{"format_version": 9, "revoked": []}'])
@pytest.mark.parametrize("where", ["beside", "home"])
def test_a_record_that_cannot_be_read_revokes(folder: Path, own_home: Path, content: bytes, where: str) -> None:
    signed = given(folder)
    file = revocation.place(folder) if where == "beside" else own_home / "revocations" / f"{signed.id}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    found = check_certificate(folder, SUBJECT, NOW)
    assert found.state is CertificateState.REVOKED and "cannot be read" in found.why


def test_a_damaged_record_beside_still_lets_a_revocation_be_written(folder: Path, own_home: Path) -> None:
    signed = given(folder)
    revocation.place(folder).write_bytes(b"half")
    assert revocation.revoke(folder, signed.id, "drift", NOW) == [own_home / "revocations" / f"{signed.id}.json"]
    assert revocation.place(folder).read_bytes() == b"half"


@pytest.mark.parametrize(
    "change",
    [
        {"answering": ()},
        {"answering": (CertifiedSegment(threshold=0.8, n=100, answered=90, loss=2.0, bound=0.06),)},
        {"answering": (CertifiedSegment(segment="a", threshold=0.8, n=100, answered=90, loss=2.0, bound=0.04),)},
        {"valid_until": NOW},
        {"created": datetime(2026, 6, 1)},
        {"alpha": 1.0},
        {"delta": 0.0},
        {"id": "../../x"},
        {"surprise": 1},
    ],
)
def test_what_no_certificate_says_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        paper(**change)


def test_a_judge_comes_with_its_error_and_nothing_else_does() -> None:
    judged = Reference(kind="judge", judge=JudgeError(wrong=3, reviewed=400, bound=0.02))
    assert "3 of 400" in judged.words and Reference(kind="model").words == "the large model (no name of it is known)"
    for wrong in ({"kind": "judge"}, {"kind": "gold", "judge": JudgeError(wrong=0, reviewed=1, bound=1.0)}):
        with pytest.raises(ValueError):
            Reference(**wrong)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a folder that it may not write to")
def test_a_folder_that_cannot_be_written_to_is_said(folder: Path) -> None:
    folder.parent.chmod(0o500)
    try:
        with pytest.raises(CertificateError, match="cannot be written"):
            given(folder)
    finally:
        folder.parent.chmod(0o700)
