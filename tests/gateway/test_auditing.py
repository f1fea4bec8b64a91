"""Audits of a certificate in use: remembered, and revoking."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from tests.gateway.test_certificates import DAY, NOW, SUBJECT, folder, given, own_home  # noqa: F401

from smidgen.gateway import auditing, revocation
from smidgen.gateway.standing import Decision, State, standing
from smidgen.store import atomic


def test_good_audits_keep_it_and_bad_ones_revoke_it_through_restarts(folder: Path) -> None:  # noqa: F811
    paper = given(folder)
    for number in range(200):
        assert not auditing.observe(folder, paper, float(number % 40 == 0))
    assert standing(folder, SUBJECT, NOW).valid
    # Nothing is kept in memory: each audit is what a process does that has just been started.
    told = [auditing.observe(folder, paper, float(number % 4 == 0), now=NOW) for number in range(120)]
    first = told.index(True)
    assert 20 < first < 100 and all(told[first:])
    found = standing(folder, SUBJECT, NOW)
    assert (found.state, found.decide(1.0, now=NOW)) == (State.REVOKED, Decision.ESCALATE)
    assert "the audit found too many disagreements" in found.why and [gone.sample for gone in revocation.refuted(folder)] == ["d" * 64]
    assert auditing.audited(paper).audits == 320


def test_a_new_certificate_begins_anew(folder: Path) -> None:  # noqa: F811
    old = given(folder)
    for _ in range(20):
        auditing.observe(folder, old, 1.0)
    fresh = old.calibration.model_copy(update={"rows_sha256": "e" * 64})
    new = given(folder, id="0" * 31 + "2", calibration=fresh)
    assert standing(folder, SUBJECT, NOW + timedelta(hours=1)).valid
    assert (auditing.audited(new).audits, auditing.audited(old).revoked) == (0, True)


def test_the_revocation_is_written_again_where_it_was_lost(folder: Path, own_home: Path) -> None:  # noqa: F811
    """Killed after the state was written and before the revocation was."""
    paper = given(folder)
    for _ in range(20):
        auditing.observe(folder, paper, 1.0)
    for file in (revocation.place(folder), *(own_home / "revocations").iterdir()):
        file.unlink()
    found = standing(folder, SUBJECT, NOW)
    assert found.state is State.REVOKED and "the audits found" in found.why, "what the audits have come to is enough"
    assert auditing.observe(folder, paper, 0.0)
    assert revocation.revoked(folder, paper.id) is not None


def test_a_server_that_starts_writes_it_again(folder: Path, own_home: Path) -> None:  # noqa: F811
    paper = given(folder)
    auditing.observe(folder, paper, 1.0)
    auditing.mend(folder, paper)
    assert standing(folder, SUBJECT, NOW).valid
    for _ in range(20):
        auditing.observe(folder, paper, 1.0)
    for file in (revocation.place(folder), *(own_home / "revocations").iterdir()):
        file.unlink()
    auditing.mend(folder, paper)
    assert revocation.revoked(folder, paper.id) is not None and standing(folder, SUBJECT, NOW).state is State.REVOKED


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b" " * 70_000])
def test_a_state_that_cannot_be_read_revokes(folder: Path, own_home: Path, content: bytes) -> None:  # noqa: F811
    paper = given(folder)
    auditing.observe(folder, paper, 0.0)
    auditing.place(paper.id).write_bytes(content)
    assert standing(folder, SUBJECT, NOW).state is State.REVOKED and revocation.revoked(folder, paper.id) is None
    assert auditing.observe(folder, paper, 0.0)
    found = standing(folder, SUBJECT, NOW)
    assert found.state is State.REVOKED and "cannot be read" in found.why


def test_rare_audits_count_by_their_weight(folder: Path) -> None:  # noqa: F811
    """Five errors among requests of which one in twenty is audited stand for more than five among those of which every second is."""
    rare, often = given(folder), given(folder, id="0" * 31 + "2")
    for paper, probability in ((rare, 0.05), (often, 0.5)):
        auditing.declare(paper, 0.05)
        for _ in range(5):
            auditing.observe(folder, paper, 1.0, probability)
    assert auditing.audited(often).evidence < 10 < 1000 < auditing.audited(rare).evidence
    with pytest.raises(ValueError, match=r"0\.01, under the least that was declared: 0\.05\. Declare the least"):
        auditing.observe(folder, often, 1.0, probability=0.01)
    assert auditing.audited(often).audits == 5


def test_the_least_probability_is_declared_once(folder: Path) -> None:  # noqa: F811
    paper = given(folder)
    auditing.declare(paper, 0.05)
    auditing.observe(folder, paper, 1.0, 0.05)
    auditing.declare(paper, 0.05)
    before = auditing.audited(paper).json()
    with pytest.raises(ValueError, match=r"was declared as 0\.05, and is not 0\.5\. Keep to it"):
        auditing.declare(paper, 0.5)
    assert auditing.audited(paper).json() == before
    auditing.declare(paper, 0.5, anew=True)
    assert auditing.audited(paper).json() == {**before, "least_probability": 0.5}


def test_without_a_declaration_all_have_the_same_probability(folder: Path) -> None:  # noqa: F811
    paper = given(folder)
    for _ in range(2):
        auditing.observe(folder, paper, 0.0, 0.1)
    for other in (0.02, 0.5):
        with pytest.raises(ValueError, match=f"is {other}, and that of the audits before was 0.1. Where it varies, declare"):
            auditing.observe(folder, paper, 1.0, other)
    assert auditing.audited(paper).audits == 2
    auditing.declare(paper, 0.02)
    auditing.observe(folder, paper, 1.0, 0.5)
    assert auditing.audited(paper).audits == 3


def test_a_state_from_before_this_could_be_declared_goes_on_as_it_was(folder: Path) -> None:  # noqa: F811
    old, new = given(folder), given(folder, id="0" * 31 + "2")
    for paper in (old, new):
        auditing.observe(folder, paper, 1.0, 0.02)
    state = json.loads(auditing.place(old.id).read_bytes())
    assert state.pop("declared") is False
    auditing.place(old.id).write_text(json.dumps(state))
    for paper in (old, new):
        auditing.observe(folder, paper, 0.0, 0.02)
    assert auditing.audited(old).json() == auditing.audited(new).json()
    with pytest.raises(ValueError, match="declare the least"):
        auditing.observe(folder, old, 0.0, 1.0)


@pytest.mark.parametrize("least", [0.0, -1.0, float("nan"), 2.0])
def test_a_least_probability_that_cannot_be_takes_nothing_in(folder: Path, least: float) -> None:  # noqa: F811
    """With none at all, an audit would be no evidence; below that, errors would speak for the claim."""
    paper = given(folder)
    with pytest.raises(ValueError, match="probability"):
        auditing.declare(paper, least)
    with pytest.raises(ValueError, match="probability"):
        auditing.observe(folder, paper, 1.0, least)
    assert auditing.audited(paper).audits == 0 and not auditing.place(paper.id).exists()


def test_a_disk_that_is_full_keeps_no_revocation_back(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """The state cannot be written, and the revocation can."""
    paper = given(folder)
    assert not any(auditing.observe(folder, paper, 1.0, now=NOW) for _ in range(2))
    write = atomic.write

    def full(file: Path, content: bytes, mode: int = 0o644) -> None:
        if file == auditing.place(paper.id):
            raise OSError("no space left")
        write(file, content, mode)

    monkeypatch.setattr(atomic, "write", full)
    assert standing(folder, SUBJECT, NOW).valid
    with pytest.raises(OSError, match="no space left"):
        auditing.observe(folder, paper, 1.0, now=NOW)
    assert standing(folder, SUBJECT, NOW).state is State.REVOKED and not auditing.audited(paper).revoked


def test_of_a_certificate_by_segments_one_that_errs_is_not_hidden_by_the_others(folder: Path) -> None:  # noqa: F811
    (entry,) = given(folder).answering
    by = {"by": "label", "answering": tuple(entry.model_copy(update={"segment": name}) for name in ("good", "bad"))}
    paper = given(folder, id="0" * 31 + "3", **by)
    for number in range(400):
        revoked = auditing.observe(folder, paper, 0.0, now=NOW, segment="good")
        if number % 8 == 0:
            revoked = auditing.observe(folder, paper, float(number % 16 == 0), now=NOW, segment="bad")
        if revoked:
            break
    found = standing(folder, SUBJECT, NOW)
    assert found.state is State.REVOKED and "most speaks the segment bad against it" in found.why
    assert auditing.audited(paper).losses / auditing.audited(paper).audits < 0.08


WEEK = timedelta(days=7)


def test_lost_audits_count_as_wrong_through_restarts(folder: Path) -> None:  # noqa: F811
    """Every second one is lost, and none of the others is wrong."""
    paper = given(folder)
    told = []
    for _ in range(60):
        told.append(auditing.lost(folder, paper, now=NOW))
        auditing.observe(folder, paper, 0.0, now=NOW)
    assert 3 < told.index(True) < 40
    found = standing(folder, SUBJECT, NOW)
    assert found.state is State.REVOKED and "too many audits were never answered, which count as wrong" in found.why
    assert (auditing.audited(paper).losses, auditing.audited(paper).never_answered) == (0.0, 60)


def test_what_was_drawn_by_a_process_that_died_is_lost_and_counts_once(folder: Path) -> None:  # noqa: F811
    paper = given(folder)
    for _ in range(8):
        auditing.drawn(folder, paper, "dead", NOW)
    auditing.drawn(folder, paper, "alive", NOW + timedelta(minutes=14))
    auditing.observe(folder, paper, 0.0, now=NOW + timedelta(minutes=14), owner="alive")
    assert auditing.audited(paper).never_answered == 0 and auditing.kept(paper).open == {"dead": (8, NOW)}
    auditing.observe(folder, paper, 0.0, now=NOW + timedelta(minutes=16))
    found = auditing.audited(paper)
    assert found.never_answered == 8 and not found.revoked and auditing.kept(paper).open == {}
    one = given(folder, id="0" * 31 + "2")
    auditing.observe(folder, one, 0.0)
    auditing.lost(folder, one)
    auditing.observe(folder, one, 0.0)
    assert auditing.audited(one).evidence == found.evidence


def test_what_may_not_leave_is_neither_heard_nor_lost(folder: Path) -> None:  # noqa: F811
    paper = given(folder)
    auditing.drawn(folder, paper, "one", NOW)
    before = auditing.audited(paper).json()
    auditing.barred(folder, paper, "one", NOW)
    kept = auditing.kept(paper)
    assert (kept.barred, kept.open, kept.audit.json()) == (1, {}, before)


def test_a_certificate_without_audits_goes_stale_and_holds_again_when_one_comes(folder: Path) -> None:  # noqa: F811
    paper = given(folder, audit_days=7)
    auditing.answered(paper, 499, NOW)
    assert standing(folder, SUBJECT, NOW + WEEK + timedelta(hours=1)).valid, "so few that none may have been drawn"
    auditing.answered(paper, 1, NOW + timedelta(days=6))
    assert standing(folder, SUBJECT, NOW + WEEK).valid
    found = standing(folder, SUBJECT, NOW + WEEK + timedelta(hours=1))
    assert (found.state, found.decide(1.0, now=NOW + DAY)) == (State.UNAUDITED, Decision.ESCALATE)
    assert "no audit has come since 2026-06-01 12:00 UTC, though 500 answers were given: it allows 7 days of that" in found.why
    auditing.lost(folder, paper, now=NOW + WEEK)
    assert standing(folder, SUBJECT, NOW + WEEK + timedelta(hours=1)).state is State.UNAUDITED, "a lost one says nothing"
    auditing.observe(folder, paper, 0.0, now=NOW + WEEK)
    assert standing(folder, SUBJECT, NOW + 2 * WEEK).valid


def test_a_larger_share_should_be_heard_of_sooner(folder: Path) -> None:  # noqa: F811
    paper = given(folder, audit_days=7)
    auditing.declare(paper, 0.5)
    auditing.answered(paper, 20, NOW)
    assert standing(folder, SUBJECT, NOW + WEEK + timedelta(hours=1)).state is State.UNAUDITED


def test_an_older_certificate_knows_no_such_bound_and_is_written_as_before(folder: Path) -> None:  # noqa: F811
    paper = given(folder)
    assert b"audit_days" not in paper.content and "audit_days" in given(folder, audit_days=7).facts()
    paper = given(folder)
    auditing.answered(paper, 100_000, NOW)
    assert standing(folder, SUBJECT, NOW + 8 * WEEK).valid


def test_a_state_of_an_older_smidgen_goes_on(folder: Path) -> None:  # noqa: F811
    paper = given(folder)
    for number in range(30):
        auditing.observe(folder, paper, float(number % 15 == 0))
    state = json.loads(auditing.place(paper.id).read_bytes())
    old = {name: value for name, value in state.items() if name not in ("lost", "watch", "share", "each", "segments")}
    auditing.place(paper.id).write_text(json.dumps(old))
    assert auditing.audited(paper).audits == 30 and auditing.kept(paper).silence.answers == 0
    assert not auditing.observe(folder, paper, 0.0)
    assert "lost" in json.loads(auditing.place(paper.id).read_bytes())


@pytest.mark.parametrize("watch", [[], {"answers": -1}, {"since": "x"}, {"open": {"a": 3}}, {"open": {"a": [-1, 0]}}, {"since": 1e300}])
def test_a_damaged_watch_revokes(folder: Path, watch: object) -> None:  # noqa: F811
    paper = given(folder)
    auditing.observe(folder, paper, 0.0)
    state = json.loads(auditing.place(paper.id).read_bytes())
    auditing.place(paper.id).write_text(json.dumps({**state, "watch": watch}))
    assert standing(folder, SUBJECT, NOW).state is State.REVOKED


def test_what_is_under_way_is_not_carried_over_to_the_next_certificate(folder: Path) -> None:  # noqa: F811
    old, new = given(folder), given(folder, id="0" * 31 + "2")
    auditing.observe(folder, old, 1.0)
    auditing.drawn(folder, old, "one", NOW)
    auditing.go_on(old, new)
    assert auditing.audited(new).json() == auditing.audited(old).json() and auditing.kept(new).open == {}
