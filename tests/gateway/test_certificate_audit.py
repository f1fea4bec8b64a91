"""Audits of a certificate in use: remembered, and revoking."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from tests.gateway.test_certificate import DAY, NOW, SUBJECT, folder, given, own_home  # noqa: F401

from smidgen.gateway import certificate_audit as audit_log
from smidgen.gateway import revocation
from smidgen.gateway.certificate_audit import Contradiction
from smidgen.gateway.certificate_status import CertificateState, Decision, check_certificate
from smidgen.store import files


def test_good_audits_keep_it_and_bad_ones_revoke_it_through_restarts(folder: Path) -> None:  # noqa: F811
    paper = given(folder)
    for number in range(200):
        assert not audit_log.observe(folder, paper, float(number % 40 == 0))
    assert check_certificate(folder, SUBJECT, NOW).valid
    # Nothing is kept in memory: each audit is what a process does that has just been started.
    told = [audit_log.observe(folder, paper, float(number % 4 == 0), now=NOW) for number in range(120)]
    first = told.index(True)
    assert 20 < first < 100 and all(told[first:])
    found = check_certificate(folder, SUBJECT, NOW)
    assert (found.state, found.decide(1.0, now=NOW)) == (CertificateState.REVOKED, Decision.ESCALATE)
    assert "the audits found too many disagreements" in found.why and [gone.sample for gone in revocation.find_related(folder)] == [
        "d" * 64
    ]
    assert audit_log.read_audit(paper).audits == 320


def test_a_new_certificate_begins_anew(folder: Path) -> None:  # noqa: F811
    old = given(folder)
    for _ in range(20):
        audit_log.observe(folder, old, 1.0)
    fresh = old.calibration.model_copy(update={"rows_sha256": "e" * 64})
    new = given(folder, id="0" * 31 + "2", calibration=fresh)
    assert check_certificate(folder, SUBJECT, NOW + timedelta(hours=1)).valid
    assert (audit_log.read_audit(new).audits, audit_log.read_audit(old).revoked) == (0, True)


def test_the_revocation_is_written_again_where_it_was_lost(folder: Path, own_home: Path) -> None:  # noqa: F811
    """Killed after the state was written and before the revocation was."""
    paper = given(folder)
    for _ in range(20):
        audit_log.observe(folder, paper, 1.0)
    for file in (revocation.place(folder), *(own_home / "revocations").iterdir()):
        file.unlink()
    found = check_certificate(folder, SUBJECT, NOW)
    assert found.state is CertificateState.REVOKED and "the audits found" in found.why, "what the audits have come to is enough"
    assert audit_log.observe(folder, paper, 0.0)
    assert revocation.find_revocation(folder, paper.id) is not None


def test_a_server_that_starts_writes_it_again(folder: Path, own_home: Path) -> None:  # noqa: F811
    paper = given(folder)
    audit_log.observe(folder, paper, 1.0)
    audit_log.revoke_if_due(folder, paper)
    assert check_certificate(folder, SUBJECT, NOW).valid
    for _ in range(20):
        audit_log.observe(folder, paper, 1.0)
    for file in (revocation.place(folder), *(own_home / "revocations").iterdir()):
        file.unlink()
    audit_log.revoke_if_due(folder, paper)
    assert (
        revocation.find_revocation(folder, paper.id) is not None
        and check_certificate(folder, SUBJECT, NOW).state is CertificateState.REVOKED
    )


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b" " * 70_000])
def test_a_state_that_cannot_be_read_revokes(folder: Path, own_home: Path, content: bytes) -> None:  # noqa: F811
    paper = given(folder)
    audit_log.observe(folder, paper, 0.0)
    audit_log.audit_file(paper.id).write_bytes(content)
    assert (
        check_certificate(folder, SUBJECT, NOW).state is CertificateState.REVOKED and revocation.find_revocation(folder, paper.id) is None
    )
    assert audit_log.observe(folder, paper, 0.0)
    found = check_certificate(folder, SUBJECT, NOW)
    assert found.state is CertificateState.REVOKED and "cannot be read" in found.why


def test_rare_audits_count_by_their_weight(folder: Path) -> None:  # noqa: F811
    """Five errors among requests of which one in twenty is audited stand for more than five among those of which every second is."""
    rare, often = given(folder), given(folder, id="0" * 31 + "2")
    for paper, probability in ((rare, 0.05), (often, 0.5)):
        audit_log.declare(paper, 0.05)
        for _ in range(5):
            audit_log.observe(folder, paper, 1.0, probability)
    assert audit_log.read_audit(often).evidence < 10 < 1000 < audit_log.read_audit(rare).evidence
    with pytest.raises(ValueError, match=r"0\.01, below the declared least, 0\.05\. Declare the least"):
        audit_log.observe(folder, often, 1.0, probability=0.01)
    assert audit_log.read_audit(often).audits == 5


def test_the_least_probability_is_declared_once(folder: Path) -> None:  # noqa: F811
    paper = given(folder)
    audit_log.declare(paper, 0.05)
    audit_log.observe(folder, paper, 1.0, 0.05)
    audit_log.declare(paper, 0.05)
    before = audit_log.read_audit(paper).json()
    with pytest.raises(ValueError, match=r"was declared as 0\.05, not 0\.5\. Keep it"):
        audit_log.declare(paper, 0.5)
    assert audit_log.read_audit(paper).json() == before
    audit_log.declare(paper, 0.5, anew=True)
    assert audit_log.read_audit(paper).json() == {**before, "least_probability": 0.5}


def test_without_a_declaration_all_have_the_same_probability(folder: Path) -> None:  # noqa: F811
    paper = given(folder)
    for _ in range(2):
        audit_log.observe(folder, paper, 0.0, 0.1)
    for other in (0.02, 0.5):
        with pytest.raises(ValueError, match=f"is {other}, but that of earlier audits was 0.1. If it varies, declare"):
            audit_log.observe(folder, paper, 1.0, other)
    assert audit_log.read_audit(paper).audits == 2
    audit_log.declare(paper, 0.02)
    audit_log.observe(folder, paper, 1.0, 0.5)
    assert audit_log.read_audit(paper).audits == 3


def test_a_state_from_before_this_could_be_declared_goes_on_as_it_was(folder: Path) -> None:  # noqa: F811
    old, new = given(folder), given(folder, id="0" * 31 + "2")
    for paper in (old, new):
        audit_log.observe(folder, paper, 1.0, 0.02)
    state = json.loads(audit_log.audit_file(old.id).read_bytes())
    assert state.pop("declared") is False
    audit_log.audit_file(old.id).write_text(json.dumps(state))
    for paper in (old, new):
        audit_log.observe(folder, paper, 0.0, 0.02)
    assert audit_log.read_audit(old).json() == audit_log.read_audit(new).json()
    with pytest.raises(ValueError, match="declare the least"):
        audit_log.observe(folder, old, 0.0, 1.0)


@pytest.mark.parametrize("least", [0.0, -1.0, float("nan"), 2.0])
def test_a_least_probability_that_cannot_be_takes_nothing_in(folder: Path, least: float) -> None:  # noqa: F811
    """With none at all, an audit would be no evidence; below that, errors would speak for the claim."""
    paper = given(folder)
    with pytest.raises(ValueError, match="probability"):
        audit_log.declare(paper, least)
    with pytest.raises(ValueError, match="probability"):
        audit_log.observe(folder, paper, 1.0, least)
    assert audit_log.read_audit(paper).audits == 0 and not audit_log.audit_file(paper.id).exists()


def test_a_disk_that_is_full_keeps_no_revocation_back(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """The state cannot be written, and the revocation can."""
    paper = given(folder)
    assert not any(audit_log.observe(folder, paper, 1.0, now=NOW) for _ in range(2))
    write = files.write

    def full(file: Path, content: bytes, mode: int = 0o644) -> None:
        if file == audit_log.audit_file(paper.id):
            raise OSError("no space left")
        write(file, content, mode)

    monkeypatch.setattr(files, "write", full)
    assert check_certificate(folder, SUBJECT, NOW).valid
    with pytest.raises(OSError, match="no space left"):
        audit_log.observe(folder, paper, 1.0, now=NOW)
    assert check_certificate(folder, SUBJECT, NOW).state is CertificateState.REVOKED and not audit_log.read_audit(paper).revoked


def test_of_a_certificate_by_segments_one_that_errs_is_not_hidden_by_the_others(folder: Path) -> None:  # noqa: F811
    (entry,) = given(folder).answering
    by = {"by": "label", "answering": tuple(entry.model_copy(update={"segment": name}) for name in ("good", "bad"))}
    paper = given(folder, id="0" * 31 + "3", **by)
    for number in range(400):
        revoked = audit_log.observe(folder, paper, 0.0, now=NOW, segment="good")
        if number % 8 == 0:
            revoked = audit_log.observe(folder, paper, float(number % 16 == 0), now=NOW, segment="bad")
        if revoked:
            break
    found = check_certificate(folder, SUBJECT, NOW)
    assert found.state is CertificateState.REVOKED and "most speaks the segment bad against it" in found.why
    assert audit_log.read_audit(paper).losses / audit_log.read_audit(paper).audits < 0.08


WEEK = timedelta(days=7)


def test_lost_audits_make_it_stale_through_restarts_and_fresh_ones_revive_it(folder: Path) -> None:  # noqa: F811
    """Every second one is lost, and none of the others is wrong."""
    paper = given(folder)
    for number in range(60):
        assert not audit_log.observe(folder, paper, None, now=NOW)
        audit_log.observe(folder, paper, 0.0, now=NOW)
        assert number > 1 or check_certificate(folder, SUBJECT, NOW).valid, "a few may be chance"
    found = check_certificate(folder, SUBJECT, NOW)
    assert found.state is CertificateState.LOST and "too many audits were never answered" in found.why
    assert found.decide(1.0, now=NOW).value == "escalate"
    assert (audit_log.read_audit(paper).losses, audit_log.read_audit(paper).never_answered) == (0.0, 60)
    assert revocation.find_revocation(folder, paper.id) is None
    fresh = 0
    while not check_certificate(folder, SUBJECT, NOW).valid:
        audit_log.observe(folder, paper, 0.0, now=NOW)
        fresh += 1
        assert fresh < 200
    assert fresh > 60


def test_of_one_client_against_all_others_the_evidence_can_be_reviewed(folder: Path) -> None:  # noqa: F811
    paper = given(folder)
    for number in range(210):
        client = "bad" if number % 7 == 0 else f"good {number % 3}"
        found = Contradiction(NOW.timestamp(), client, "req_1", asked="x" * 5000, answered="here", reference="above")
        assert not audit_log.observe(folder, paper, float(client == "bad"), now=NOW, found=found)
    status = check_certificate(folder, SUBJECT, NOW)
    assert status.valid and status.suspended == {"bad"}
    kept = audit_log.read_state(paper)
    assert {(one.client, one.loss, one.request, one.answered, one.reference) for one in kept.against} == {
        ("bad", 1.0, "req_1", "here", "above")
    }
    assert max(len(one.asked) for one in kept.against) == 2000 and "bad" not in kept.audit.clients


@pytest.mark.parametrize("against", [["x"], [{"client": "a"}], [{"at": "x"}], 5])
def test_damaged_evidence_revokes(folder: Path, against: object) -> None:  # noqa: F811
    paper = given(folder)
    audit_log.observe(folder, paper, 0.0, now=NOW)
    file = audit_log.audit_file(paper.id)
    state = json.loads(file.read_text(encoding="utf-8"))
    state["watch"]["against"] = against
    file.write_text(json.dumps(state), encoding="utf-8")
    assert check_certificate(folder, SUBJECT, NOW).state is CertificateState.REVOKED


def test_what_was_drawn_by_a_process_that_died_is_lost_and_counts_once(folder: Path) -> None:  # noqa: F811
    paper = given(folder)
    for _ in range(8):
        audit_log.note_drawn(folder, paper, "dead", NOW)
    audit_log.note_drawn(folder, paper, "alive", NOW + timedelta(minutes=14))
    audit_log.observe(folder, paper, 0.0, now=NOW + timedelta(minutes=14), owner="alive")
    assert audit_log.read_audit(paper).never_answered == 0 and audit_log.read_state(paper).open == {"dead": (8, NOW)}
    audit_log.observe(folder, paper, 0.0, now=NOW + timedelta(minutes=16))
    found = audit_log.read_audit(paper)
    assert found.never_answered == 8 and not found.revoked and audit_log.read_state(paper).open == {}
    one = given(folder, id="0" * 31 + "2")
    audit_log.observe(folder, one, 0.0)
    audit_log.observe(folder, one, None)
    audit_log.observe(folder, one, 0.0)
    assert audit_log.read_audit(one).evidence == found.evidence


def test_what_may_not_leave_is_neither_heard_nor_lost(folder: Path) -> None:  # noqa: F811
    paper = given(folder)
    audit_log.note_drawn(folder, paper, "one", NOW)
    before = audit_log.read_audit(paper).json()
    audit_log.note_blocked(folder, paper, "one", NOW)
    kept = audit_log.read_state(paper)
    assert (kept.barred, kept.open, kept.audit.json()) == (1, {}, before)


def test_a_certificate_without_audits_goes_stale_and_holds_again_when_one_comes(folder: Path) -> None:  # noqa: F811
    paper = given(folder, audit_days=7)
    audit_log.note_answers(paper, 499, NOW)
    assert check_certificate(folder, SUBJECT, NOW + WEEK + timedelta(hours=1)).valid, "so few that none may have been drawn"
    audit_log.note_answers(paper, 1, NOW + timedelta(days=6))
    assert check_certificate(folder, SUBJECT, NOW + WEEK).valid
    found = check_certificate(folder, SUBJECT, NOW + WEEK + timedelta(hours=1))
    assert (found.state, found.decide(1.0, now=NOW + DAY)) == (CertificateState.UNAUDITED, Decision.ESCALATE)
    assert "no audit has come since 2026-06-01 12:00 UTC, though 500 answers were given: it allows 7 days of that" in found.why
    audit_log.observe(folder, paper, None, now=NOW + WEEK)
    assert check_certificate(folder, SUBJECT, NOW + WEEK + timedelta(hours=1)).state is CertificateState.UNAUDITED, (
        "a lost one says nothing"
    )
    audit_log.observe(folder, paper, 0.0, now=NOW + WEEK)
    assert check_certificate(folder, SUBJECT, NOW + 2 * WEEK).valid


def test_a_larger_share_should_be_heard_of_sooner(folder: Path) -> None:  # noqa: F811
    paper = given(folder, audit_days=7)
    audit_log.declare(paper, 0.5)
    audit_log.note_answers(paper, 20, NOW)
    assert check_certificate(folder, SUBJECT, NOW + WEEK + timedelta(hours=1)).state is CertificateState.UNAUDITED


def test_an_older_certificate_knows_no_such_bound_and_is_written_as_before(folder: Path) -> None:  # noqa: F811
    paper = given(folder)
    assert b"audit_days" not in paper.content and "audit_days" in given(folder, audit_days=7).facts()
    paper = given(folder)
    audit_log.note_answers(paper, 100_000, NOW)
    assert check_certificate(folder, SUBJECT, NOW + 8 * WEEK).valid


def test_a_state_of_an_older_smidgen_goes_on(folder: Path) -> None:  # noqa: F811
    paper = given(folder)
    for number in range(30):
        audit_log.observe(folder, paper, float(number % 15 == 0))
    state = json.loads(audit_log.audit_file(paper.id).read_bytes())
    old = {name: value for name, value in state.items() if name not in ("lost", "watch", "share", "each", "segments")}
    audit_log.audit_file(paper.id).write_text(json.dumps(old))
    assert audit_log.read_audit(paper).audits == 30 and audit_log.read_state(paper).silence.answers == 0
    assert not audit_log.observe(folder, paper, 0.0)
    assert "lost" in json.loads(audit_log.audit_file(paper.id).read_bytes())


@pytest.mark.parametrize("watch", [[], {"answers": -1}, {"since": "x"}, {"open": {"a": 3}}, {"open": {"a": [-1, 0]}}, {"since": 1e300}])
def test_a_damaged_watch_revokes(folder: Path, watch: object) -> None:  # noqa: F811
    paper = given(folder)
    audit_log.observe(folder, paper, 0.0)
    state = json.loads(audit_log.audit_file(paper.id).read_bytes())
    audit_log.audit_file(paper.id).write_text(json.dumps({**state, "watch": watch}))
    assert check_certificate(folder, SUBJECT, NOW).state is CertificateState.REVOKED


def test_what_is_under_way_is_not_carried_over_to_the_next_certificate(folder: Path) -> None:  # noqa: F811
    old, new = given(folder), given(folder, id="0" * 31 + "2")
    audit_log.observe(folder, old, 1.0)
    audit_log.note_drawn(folder, old, "one", NOW)
    audit_log.carry_over(old, new)
    assert audit_log.read_audit(new).json() == audit_log.read_audit(old).json() and audit_log.read_state(new).open == {}
