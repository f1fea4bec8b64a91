"""The line remembers since when held-out rows say something of the traffic."""

from __future__ import annotations

import shutil
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.certified_bundle import pairs, write_pairs
from tests.line_versions import line_of

from smidgen.core.errors import BundleError
from smidgen.data import splits as drawn
from smidgen.data.splits import SplitSide
from smidgen.flows.certify.certification import CertificateTerms, certificate_standing, certify
from smidgen.flows.learn import holdout, promotion
from smidgen.flows.learn.holdout import LineSides, record_learnt_texts
from smidgen.flows.local_model import load
from smidgen.gateway import certificate_audit, revocation
from smidgen.gateway.certificate import Certificate
from smidgen.gateway.certificate_status import CertificateState
from smidgen.store.files import home
from smidgen.store.line import LastLearning, Line

NOW = datetime(2026, 6, 1, tzinfo=UTC)
CERTIFICATE = "ab" * 16


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Line:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    return line_of(tmp_path / "support", 2)[0]


def since(line: Line, began: datetime = NOW) -> datetime | None:
    return holdout.remember_revocations(line, holdout.known_revocations(line), began).fresh_since


def certified(line: Line, tmp_path: Path, now: datetime = NOW) -> Certificate:
    """The champion's certificate. It answers the other way round."""
    file = write_pairs(tmp_path / "c.csv", [(given, "no" if wanted == "yes" else "yes") for given, wanted in pairs(1500, 3, 0.0, 0.1)])
    with closing(load(line.folder, 1)) as model:
        return certify(model, file, CertificateTerms(alpha=0.1), now=now).certificate


def test_a_revocation_of_any_version_counts_and_the_moment_only_grows(line: Line) -> None:
    assert since(line) is None and line.read().fresh_since is None
    earlier, champion = line.read().history[0].champion, line.read().champion
    assert champion is not None and champion != earlier
    line.change(lambda found: found.model_copy(update={"looks": 4, "contests": 7}))
    revocation.revoke(line.version(earlier), CERTIFICATE, "found", NOW)
    assert since(line) == NOW
    assert (line.read().looks, line.read().contests) == (0, 0)  # the rows that count now were never looked at
    line.change(lambda found: found.model_copy(update={"looks": 1}))
    revocation.revoke(line.version(champion), "cd" * 16, "found before", NOW - timedelta(days=1))
    assert (since(line), line.read().looks) == (NOW, 1)
    revocation.revoke(line.version(champion), "ef" * 16, "found again", NOW + timedelta(days=1))
    assert (since(line, NOW + timedelta(days=1)), line.read().looks) == (NOW + timedelta(days=1), 0)


def test_a_revocation_of_a_time_to_come_was_when_it_is_first_seen(line: Line) -> None:
    """A clock that was ahead for a moment must not stop the line until the calendar catches up."""
    champion = line.version(line.read().champion or "")
    revocation.revoke(champion, CERTIFICATE, "found by a clock that was ahead", NOW + timedelta(days=365))
    for later in (0, 1, 30, 364, 365, 400):
        assert since(line, NOW + timedelta(days=later)) == NOW, "and it does not move with every learning"
    assert line.read().counted == (CERTIFICATE,)
    revocation.revoke(champion, "cd" * 16, "found again", NOW + timedelta(days=2))
    assert since(line, NOW + timedelta(days=3)) == NOW + timedelta(days=2), "another one counts as ever"


def test_a_moment_that_was_remembered_by_a_clock_that_was_ahead_is_now(line: Line) -> None:
    ahead = NOW + timedelta(days=365)
    revocation.revoke(line.version(line.read().champion or ""), CERTIFICATE, "found", ahead)
    assert since(line, ahead) == ahead
    line.change(lambda found: found.model_copy(update={"looks": 3}))
    assert since(line, NOW) == NOW and line.read().looks == 3
    assert since(line, NOW + timedelta(days=1)) == NOW and since(line, ahead + timedelta(days=1)) == NOW


def test_a_moment_that_comes_within_a_day_is_waited_for(line: Line) -> None:
    """It may be the clock of now that is behind by some hours, and then what was found out must not be forgotten."""
    soon = NOW + timedelta(hours=14)
    revocation.revoke(line.version(line.read().champion or ""), CERTIFICATE, "found", soon)
    assert since(line, soon) == soon and since(line, NOW) == soon


def test_a_clock_of_before_the_versions_were_made_forgets_nothing(line: Line) -> None:
    """A machine that has lost its time begins in 1970, or when its firmware was made."""
    began = datetime(2015, 1, 1, tzinfo=UTC)
    revocation.revoke(line.version(line.read().champion or ""), CERTIFICATE, "found", NOW)
    assert since(line, began) == NOW and line.read().counted == ()
    assert since(line, NOW + timedelta(days=9)) == NOW
    assert since(line, began) == NOW


def test_a_pointer_without_revocations_is_one_that_an_older_smidgen_reads(line: Line) -> None:
    assert "counted" not in line.file.read_text(encoding="utf-8")
    revocation.revoke(line.version(line.read().champion or ""), CERTIFICATE, "found", NOW)
    since(line)
    assert "counted" in line.file.read_text(encoding="utf-8")


def test_rows_that_were_looked_at_are_not_fresh_for_an_older_revocation_that_is_heard_of_late(line: Line) -> None:
    last = LastLearning(at=NOW + timedelta(days=2), outcome="kept", why="")
    line.change(lambda found: found.model_copy(update={"looks": 4, "contests": 7, "last": last}))
    revocation.revoke(line.version(line.read().champion or ""), CERTIFICATE, "found", NOW)
    assert (since(line), line.read().looks, line.read().contests) == (NOW, 4, 7)
    revocation.revoke(line.version(line.read().champion or ""), "cd" * 16, "found", NOW + timedelta(days=2))
    assert (since(line, NOW + timedelta(days=2)), line.read().looks, line.read().contests) == (NOW + timedelta(days=2), 0, 0)


def test_what_is_revoked_in_smidgens_home_alone_counts_and_is_not_swept_up_with_its_version(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion = line.read().champion
    assert champion is not None
    paper = certified(line, tmp_path)
    revocation.revoke(line.version(champion), paper.id, "found", NOW)
    revocation.place(line.version(champion)).unlink()
    assert [one.at for one in holdout.known_revocations(line)] == [NOW]
    assert since(line) == NOW
    monkeypatch.setattr(promotion, "KEPT", 0)
    line.change(lambda found: found.model_copy(update={"champion": found.history[0].champion, "history": ()}))
    promotion.sweep_line(line)
    shutil.rmtree(home() / "revocations")
    assert champion not in line.versions() and holdout.known_revocations(line) == frozenset()
    assert line.read().fresh_since == NOW


def test_a_revocation_that_stands_only_in_the_state_of_the_audits_counts(line: Line, tmp_path: Path) -> None:
    """The process was killed after it had written the state, and before it wrote the revocation; and no server has opened it since."""
    version = line.version(line.read().champion or "")
    paper = certified(line, tmp_path)
    for _ in range(20):
        certificate_audit.observe(version, paper, 1.0)
    revocation.place(version).unlink()
    (home() / "revocations" / f"{paper.id}.json").unlink()
    assert {one.certificate for one in holdout.known_revocations(line)} == {paper.id}
    assert revocation.find_revocation(version, paper.id) is not None, "it is written now"
    assert since(line, NOW + timedelta(days=1)) == NOW + timedelta(days=1)


def test_where_it_cannot_be_written_the_line_goes_on(line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certified(line, tmp_path)

    def fails(*given: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(certificate_audit, "revoke_if_due", fails)
    assert holdout.known_revocations(line) == frozenset()


def test_what_is_revoked_while_a_version_is_put_in_its_place_makes_it_stale(line: Line, tmp_path: Path) -> None:
    """Also within the second in which it was certified: certificates know no parts of one."""
    now = NOW + timedelta(milliseconds=300)
    paper = certified(line, tmp_path, now)
    assert paper.created == NOW
    before = holdout.known_revocations(line)
    assert not holdout.was_revoked_since(line, before, now) and certificate_standing(line.folder, now).valid
    revocation.revoke(line.version(line.read().history[0].champion), CERTIFICATE, "found", now + timedelta(milliseconds=100))
    assert holdout.was_revoked_since(line, before, now + timedelta(milliseconds=200))
    assert certificate_standing(line.folder, now + timedelta(seconds=1)).state is CertificateState.STALE and line.read().counted == (
        CERTIFICATE,
    )


@pytest.mark.parametrize("content", [b"{", b'{"format_version": 1, "revoked": [{"certificate": "x", "reason": "y"}]}'])
def test_a_revocation_at_a_time_that_is_not_known_was_as_late_as_can_be(line: Line, content: bytes) -> None:
    champion = line.read().champion
    assert champion is not None
    revocation.place(line.version(champion)).write_bytes(content)
    assert since(line, NOW) == NOW
    assert since(line, NOW + timedelta(days=1)) == NOW + timedelta(days=1)  # nobody knows that it was not since then


@pytest.fixture
def line_on_sides(tmp_path: Path) -> Line:
    made = Line(tmp_path / "line")
    made.begin("support")
    return made


def held(line_on_sides: Line) -> list[str]:
    pointer = line_on_sides.read()
    texts = [f"text number {number}" for number in range(100)]
    return [text for text in texts if drawn.assign_side(text, pointer.key, pointer.held_out) is not SplitSide.LEARNING]


def test_what_is_learnt_from_is_remembered_however_it_is_spelt_and_by_no_word_of_it(line_on_sides: Line) -> None:
    first, second, third, *_ = held(line_on_sides)
    record_learnt_texts(line_on_sides, [first, first, (second, "and more")])
    record_learnt_texts(line_on_sides, [third.upper()])
    found = LineSides(line_on_sides, line_on_sides.read())
    assert [found.of(text) for text in (first, f" {first.upper()}!", (second, "and more"), third)] == [SplitSide.LEARNING] * 4
    assert found.of(second) is not SplitSide.LEARNING, "a pair is another text than a half of it"
    said = (line_on_sides.folder / "rows" / "learnt.txt").read_text(encoding="ascii").split()
    assert len(said) == 3 and all(len(name) == 24 for name in said)
    other = Line(line_on_sides.folder.parent / "other")
    other.begin("other")
    record_learnt_texts(other, [first])
    assert (other.folder / "rows" / "learnt.txt").read_text(encoding="ascii").split()[0] not in said, "only the line knows its names"


def test_nothing_is_written_where_nothing_is_new(line_on_sides: Line) -> None:
    record_learnt_texts(line_on_sides, [])
    assert not (line_on_sides.folder / "rows").exists()


def test_what_cannot_be_read_is_not_forgotten_in_silence(line_on_sides: Line) -> None:
    record_learnt_texts(line_on_sides, held(line_on_sides)[:1])
    (line_on_sides.folder / "rows" / "learnt.txt").write_bytes(b"\xff")
    with pytest.raises(BundleError, match="cannot be read"):
        LineSides(line_on_sides, line_on_sides.read())
    with pytest.raises(BundleError, match="cannot be read"):
        record_learnt_texts(line_on_sides, held(line_on_sides)[:1])
