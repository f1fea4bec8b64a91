"""The order of one learning, where everything is real but the training: challengers are bundles that are known."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.certified_bundle import LABELS, make, pairs, write_pairs
from tests.line_versions import line_of, version

from smidgen.core.errors import BundleError, CertificateError, InputError
from smidgen.flows.build.work import GivenTables
from smidgen.flows.certify import certification
from smidgen.flows.certify.certificate_status import certificate_subject
from smidgen.flows.learn import challenger
from smidgen.flows.learn import cycle as flow
from smidgen.flows.learn.cycle import LearnResult, learn
from smidgen.flows.learn.promotion import promote, roll_back
from smidgen.flows.learn.settings import LearnSettings, LineCertificateSettings, TrafficSettings
from smidgen.flows.local_model import load
from smidgen.gateway import certificate as papers
from smidgen.gateway import certificate_audit, revocation
from smidgen.gateway.certificate import Certificate, CertificateSample, CertifiedSegment, Reference
from smidgen.gateway.certificate_status import CertificateState, CertificateWatch
from smidgen.store.files import home
from smidgen.store.line import Line, LineBusy
from smidgen.store.traffic.records import Exchange
from smidgen.store.traffic.store import opened

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
_NUMBERS = itertools.count(100)
Then = Callable[[], object]


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has a home of its own, and draws the same rows whichever tests ran before it in this process."""
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("tests.flows.learn.test_cycle._NUMBERS", itertools.count(100))


def trained(monkeypatch: pytest.MonkeyPatch, labels: tuple[str, str] = LABELS, then: Then = lambda: None, seed: int | None = None) -> None:
    """From now on training gives a bundle that answers rightly, or the other way round; `then` is what happens meanwhile. It is another one
    each time, or with a `seed` always the same."""

    def built(recipe: object, material: Any, work: Path, **more: object) -> challenger.BuiltChallenger:
        then()
        given = GivenTables(challenger.tabled((), (("text",), "intent"), "rows.jsonl"))
        return challenger.BuiltChallenger(make(work / "made", seed=seed or next(_NUMBERS), labels=labels), material, given)

    monkeypatch.setattr(challenger, "build_challenger", built)


def data(folder: Path, n: int = 1500, worst: float = 0.02) -> Path:
    """A file of rows that nobody had yet; hardly any of them is answered wrongly by whoever answers rightly. With `worst` 0.4 as many are
    as a bundle's report says."""
    number = next(_NUMBERS)
    return write_pairs(folder / f"data-{number}.csv", pairs(n, number, 0.0, worst, start=number * 20_000))


def run(line: Line, now: datetime, *files: Path, **more: Any) -> LearnResult:
    asked = LearnSettings(
        task="classify",
        data=files,
        threads=1,
        **{"margin": 0.1, "traffic": TrafficSettings(use=False), "certificate": LineCertificateSettings(alpha=0.1), **more},
    )
    return learn(line.folder, asked, now=now)


@pytest.fixture(autouse=True)
def _same_rows_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line draws its key by chance, and by that which rows it holds out: one draw in some is too unlucky for what is tested here."""
    monkeypatch.setattr("smidgen.store.line.secrets.token_hex", lambda size: "5e" * size)


@pytest.fixture
def line(tmp_path: Path) -> Line:
    """A line whose champion answers everything the wrong way round, and has no certificate."""
    made = Line(tmp_path / "support")
    bundle = make(tmp_path / "first", seed=1, labels=(LABELS[1], LABELS[0]))
    learn(made.folder, LearnSettings(start=bundle, traffic=TrafficSettings(use=False), threads=1, task="classify"), now=NOW - DAY)
    return made


def held(done: LearnResult) -> int:
    return int(done.rows["choosing"] + done.rows["certifying"])


def too_old(done: LearnResult) -> int:
    return int(done.rows["unusable"].get("held out, but too old", 0))


def test_each_learning_counts_what_it_looked_at_and_tests_for_nothing_in_vain(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(monkeypatch)
    first = run(line, NOW, data(tmp_path))
    assert first.promoted and first.certification is not None and first.certification.certificate is not None
    assert "look 1" in first.certification.certificate.method and first.comparison is not None and first.comparison.level == 0.0125
    assert (line.read().looks, line.read().contests) == (1, 1)
    second = run(line, NOW + DAY, data(tmp_path))
    # Alike, and the champion's certificate holds: a certificate would change nothing.
    assert second.outcome == "kept" and "none was tested for" in second.why and "could not be shown to be better" in second.why
    assert (line.read().looks, line.read().contests) == (1, 2)
    assert second.comparison is not None and second.comparison.level == pytest.approx(0.05 / 12)
    trained(monkeypatch, (LABELS[1], LABELS[0]))
    assert run(line, NOW + 2 * DAY, data(tmp_path)).outcome == "kept"
    assert (line.read().looks, line.read().contests) == (1, 3)


def test_one_that_answers_more_under_its_certificate_takes_over(line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained(monkeypatch)
    first = run(line, NOW, data(tmp_path, 1700, 0.4))
    assert first.promoted and first.certification is not None and first.certification.certificate is not None
    again = run(line, NOW + DAY, data(tmp_path, 12_000, 0.4), margin=0.02)
    assert again.promoted and again.share_comparison is not None and again.comparison is not None and not again.comparison.won
    shares = again.share_comparison
    assert shares.more and shares.challenger > shares.champion + 0.02 and shares.n > 500
    assert "it answers more under its certificate" in again.why and again.json()["reach"]["more"] is True
    assert line.read().looks == 2


def test_a_test_that_would_most_likely_be_in_vain_is_not_made(line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained(monkeypatch)
    spared = run(line, NOW, data(tmp_path, 1500, 0.4), certificate=LineCertificateSettings(alpha=0.03))
    assert spared.certification is not None and not spared.certification.looked and "with a chance of" in spared.certification.why
    assert line.read().looks == 0, "what was not looked at is not paid for"
    made = run(line, NOW + DAY, data(tmp_path, 10), certificate=LineCertificateSettings(alpha=0.03, likely=0.0))
    assert made.certification is not None and made.certification.looked and line.read().looks == 1


def test_a_look_that_breaks_off_is_paid_for(line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained(monkeypatch)

    def broken(*rows: object) -> object:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("smidgen.gateway.certificate.write", broken)  # the losses were seen by then
    with pytest.raises((OSError, CertificateError)):
        run(line, NOW, data(tmp_path))
    assert (line.read().looks, line.read().contests) == (1, 1)


def test_the_same_once_more_to_decide_otherwise_is_no_further_look(line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained(monkeypatch, seed=7)
    strict = {"certificate": LineCertificateSettings(alpha=0.004)}
    first = run(line, NOW, data(tmp_path), **strict)
    assert first.outcome == "kept" and "--uncertified promote would take it" in first.why
    seen = (line.read().looks, line.read().contests)
    other = run(line, NOW + DAY, **strict, level=0.04)
    assert (line.read().contests, other.comparison.look) == (2, 2)  # type: ignore[union-attr]
    again = run(line, NOW + 2 * DAY, **strict, level=0.04, uncertified="promote")
    assert again.promoted and again.comparison is not None and again.comparison.look == 2
    assert (line.read().looks, line.read().contests) == (seen[0], 2)


def counts(line: Line) -> tuple[int, int]:
    pointer = line.read()
    return pointer.looks, pointer.contests


def test_another_challenger_on_the_same_rows_is_a_look_of_its_own(line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained(monkeypatch)
    strict: dict[str, Any] = {"certificate": LineCertificateSettings(alpha=0.02, likely=0)}
    assert run(line, NOW, data(tmp_path, 3000, 1.0), **strict).outcome == "kept"
    assert counts(line) == (1, 1)
    assert run(line, NOW + DAY, **strict, uncertified="promote").promoted
    assert counts(line) == (2, 2)


def test_terms_that_are_inherited_from_another_certificate_are_other_terms(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody asks for another alpha: the champion's new certificate has one."""
    trained(monkeypatch, seed=7)

    def certified_by_hand(alpha: float) -> None:
        with closing(load(line.folder, 1)) as champion:
            entry = CertifiedSegment(threshold=0.5, n=1000, answered=700, loss=1.0, bound=alpha / 2)
            paper = Certificate(
                **{
                    "id": f"{int(alpha * 1000):032x}",
                    "statement": "by hand",
                    "bundle": certificate_subject(champion.manifest),
                    "task": "classify",
                },
                **{"loss": "wrong", "reference": Reference(kind="gold"), "alpha": alpha, "delta": 0.05, "answering": (entry,)},
                **{"method": "binomial", "calibration": CertificateSample(file_sha256="c" * 64, rows_sha256="d" * 64, n=1000)},
                **{"created": NOW, "valid_until": NOW + 90 * DAY, "smidgen_version": "0.1.0"},
            ).signed()
            papers.write(paper, champion.folder)

    inherits: dict[str, Any] = {"certificate": LineCertificateSettings(likely=0)}
    certified_by_hand(0.02)
    assert run(line, NOW, data(tmp_path, 3000, 1.0), **inherits).outcome == "kept"
    assert counts(line) == (1, 1)
    certified_by_hand(0.021)
    again = run(line, NOW + DAY, **inherits, uncertified="promote")
    assert again.certification is not None and again.certification.looked
    assert counts(line) == (2, 1), "the comparison is the same one, and the test another"


def test_a_revocation_is_remembered_through_promotions_and_rollbacks(line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained(monkeypatch)
    assert run(line, NOW, data(tmp_path)).promoted
    certification.revoke(line.folder, "the audit found it", NOW + DAY)
    again = run(line, NOW + 2 * DAY, data(tmp_path))
    old = too_old(again)
    assert again.promoted and old > 300 and 350 < held(again) < 550
    assert "look 1" in again.certification.certificate.method  # type: ignore[union-attr]
    assert certification.certificate_standing(line.folder, NOW + 2 * DAY).valid
    # The champion's own certificate holds now. What was held out before the revocation is no better for that.
    third = run(line, NOW + 3 * DAY, data(tmp_path, 300))
    assert too_old(third) == old and held(again) < held(third) < held(again) + 200
    roll_back(line.folder, line.read().history[0].champion)
    fourth = run(line, NOW + 4 * DAY, data(tmp_path, 300))
    assert too_old(fourth) == old and held(fourth) > held(third)
    assert line.read().fresh_since == NOW + DAY


def test_a_revocation_at_no_known_time_lifts_nothing(line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained(monkeypatch)
    assert run(line, NOW, data(tmp_path)).promoted
    revocation.place(line.version(line.read().champion or "")).write_bytes(b"{")
    done = run(line, NOW + DAY, data(tmp_path))
    assert done.outcome == "kept" and held(done) == 0 and too_old(done) > 600
    assert (line.read().fresh_since, line.read().looks) == (NOW + DAY, 0)


def test_a_revocation_while_it_learns_keeps_the_challenger_out(line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = line.read().champion
    trained(monkeypatch, then=lambda: revocation.revoke(line.version(before or ""), "ab" * 16, "found just now", NOW + DAY / 2))
    done = run(line, NOW, data(tmp_path))
    assert done.comparison is not None and done.comparison.won
    assert done.outcome == "kept" and "revoked while it learnt" in done.why
    assert line.read().champion == before and line.versions() == [before]
    trained(monkeypatch)
    later = run(line, NOW + DAY, data(tmp_path))
    assert later.promoted and line.read().fresh_since == NOW + DAY / 2


def test_what_the_audits_refuted_certifies_nothing_though_no_revocation_was_written(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the two: the state of the audits says so, and nobody has opened the version since."""
    trained(monkeypatch)
    first = run(line, NOW, data(tmp_path))
    assert first.promoted and first.certification is not None and first.certification.certificate is not None
    paper, version = first.certification.certificate, line.version(line.read().champion or "")
    for _ in range(40):
        certificate_audit.observe(version, paper, 1.0)
    revocation.place(version).unlink()
    (home() / "revocations" / f"{paper.id}.json").unlink()
    again = run(line, NOW + DAY, data(tmp_path))
    assert held(again) == 0 and too_old(again) > 600 and line.read().fresh_since == NOW + DAY


def test_a_revocation_while_it_is_put_in_its_place_makes_the_new_one_stale(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = line.read().champion or ""

    def interrupted(*given: Any, **more: Any) -> str:
        revocation.revoke(line.version(before), "ab" * 16, "found just now", NOW)
        return promote(*given, **more)

    trained(monkeypatch)
    monkeypatch.setattr("smidgen.flows.learn.promotion.promote", interrupted)
    done = run(line, NOW, data(tmp_path))
    assert done.promoted and done.certification is not None and done.certification.certificate is not None
    assert certification.certificate_standing(line.folder, NOW + DAY).state is CertificateState.STALE


def test_rows_that_the_first_version_was_trained_on_compare_nothing(line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained(monkeypatch)
    done = run(line, NOW, write_pairs(tmp_path / "train.csv", pairs(200, 1)), data(tmp_path, 300))
    assert done.rows["sources"]["original"] == 200 and 60 < held(done) < 120, "of the other file alone"


def test_what_a_version_learnt_of_held_out_texts_is_remembered(line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained(monkeypatch)
    monkeypatch.delenv("SMIDGEN_TRAFFIC_URL", raising=False)
    known = pairs(60, 5, start=70_000)
    with opened(held_out=0.0) as store:
        facts: dict[str, Any] = {"time": NOW - DAY, "asked": "support", "path": "/", "answered_by": "upstream", "answer": "no"}
        store.add([Exchange(id=f"r{number}", input=given, **facts) for number, (given, _) in enumerate(known)])
        first = run(line, NOW, write_pairs(tmp_path / "right.csv", known), data(tmp_path, 300), traffic=TrafficSettings())
        store.delete_older(0, NOW)
    again = run(line, NOW + DAY, data(tmp_path, 10), traffic=TrafficSettings(), uncertified="promote")
    assert held(first) < 130 and held(again) <= held(first) + 10, "they are not held out for having been deleted from the store"
    assert len((line.folder / "rows" / "learnt.txt").read_text(encoding="ascii").split()) > 10


def test_who_was_compared_with_another_champion_does_not_take_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line, ids = line_of(tmp_path / "support", 2)
    loaded = []

    def overtaken(folder: Path, threads: int | None) -> Any:
        """The champion is loaded, and then somebody goes back to the one before it."""
        loaded.append(load(folder, threads))
        if len(loaded) == 1:
            roll_back(folder)
        return loaded[-1]

    monkeypatch.setattr(flow, "load", overtaken)
    trained(monkeypatch)
    with pytest.raises(LineBusy, match="meanwhile"):
        run(line, NOW, data(tmp_path))
    assert loaded[0].id == ids[1] and line.read().champion == ids[0]


def test_a_line_whose_champion_has_no_recipe_does_one_job_too(line: Line) -> None:
    with pytest.raises(InputError, match="another task"):
        learn(line.folder, LearnSettings(task="write", traffic=TrafficSettings(use=False)))


@pytest.mark.parametrize("damaged", [False, True])
def test_a_bundle_is_taken_in_with_what_is_revoked_of_it(tmp_path: Path, damaged: bool) -> None:
    bundle = make(tmp_path / "models")
    file = write_pairs(tmp_path / "c.csv", pairs(1500, 3, start=20_000))
    certification.certify(load(bundle, 1), file, certification.CertificateTerms(), now=NOW)
    certification.revoke(bundle, "new products", NOW)
    shutil.rmtree(home() / "revocations")  # another machine's home, or one that was cleared
    if damaged:
        revocation.place(bundle).write_bytes(b'{"revoked": [')
    line = Line(tmp_path / "line")
    learn(line.folder, LearnSettings(start=bundle, traffic=TrafficSettings(use=False), task="classify", threads=1), now=NOW + DAY)
    taken = line.version(line.read().champion or "")
    assert papers.place(taken).is_file()
    assert certification.certificate_standing(line.folder, NOW + DAY).state is CertificateState.REVOKED
    assert revocation.place(taken).read_bytes() == revocation.place(bundle).read_bytes()
    assert line.read().fresh_since == (NOW + DAY if damaged else NOW)


def test_a_bundle_whose_revocations_cannot_be_read_is_not_taken_in(tmp_path: Path) -> None:
    bundle = make(tmp_path / "models")
    revocation.place(bundle).symlink_to(tmp_path / "gone.json")
    line = Line(tmp_path / "line")
    with pytest.raises(BundleError, match="cannot be copied into the line"):
        learn(line.folder, LearnSettings(start=bundle, traffic=TrafficSettings(use=False), task="classify", threads=1))
    assert not line.folder.exists()


def test_going_back_brings_back_no_certificate_of_before_a_revocation(line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained(monkeypatch)
    assert run(line, NOW, data(tmp_path)).promoted
    first = line.read().champion or ""
    with closing(load(line.folder, 1)) as champion:
        watch = CertificateWatch(champion.folder, certificate_subject(champion.manifest), lambda: NOW + 3 * DAY)
    assert watch().valid
    second = promote(line, version(line, 8), by="learn", why="another", instead_of=first)
    revocation.revoke(line.version(second), "cd" * 16, "the audit found it", NOW + 2 * DAY)
    done = roll_back(line.folder, now=NOW + 3 * DAY)
    assert done.champion == first and line.read().fresh_since == NOW + 2 * DAY
    assert done.standing.state is CertificateState.STALE and "2026-06-03" in done.standing.why and "was revoked" in done.standing.why
    assert watch().state is CertificateState.STALE, "nor for a server that has it open"
    assert certification.certificate_standing(line.folder, NOW + 3 * DAY).state is CertificateState.STALE
    # A new one, on rows from since then, holds; and for `learn` the champion is one without a certificate.
    again = run(line, NOW + 4 * DAY, data(tmp_path))
    assert again.promoted and "which the champion is not" in again.why
    assert certification.certificate_standing(line.folder, NOW + 4 * DAY).valid


def test_a_line_that_cannot_be_read_vouches_for_nothing(line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained(monkeypatch)
    assert run(line, NOW, data(tmp_path)).promoted
    with closing(load(line.folder, 1)) as champion:
        watch = CertificateWatch(champion.folder, certificate_subject(champion.manifest), lambda: NOW)
    assert watch().valid
    kept = line.file.read_bytes()
    line.file.write_bytes(b"{")
    assert watch().state is CertificateState.DAMAGED and "the line's record of revocations" in watch().why
    line.file.write_bytes(kept)
    assert watch().valid
