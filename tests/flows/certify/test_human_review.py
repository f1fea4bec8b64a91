"""Audits by people: which answers are drawn, in which order they count, once each, and what they do to the certificate."""

from __future__ import annotations

import csv
import errno
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.certified_bundle import answer, certified_bundle, pairs, text, write_pairs  # noqa: F401

from smidgen.cli.main import code
from smidgen.core.errors import CertificateError, DataError, InputError
from smidgen.flows.certify import certificate_status, human_review
from smidgen.flows.certify.certification import CertificateTerms, certify, revoke
from smidgen.flows.local_model import load
from smidgen.gateway import certificate_audit
from smidgen.gateway.certificate import Certificate
from smidgen.store.traffic.records import Exchange
from smidgen.store.traffic.store import TrafficStore, opened

BEGAN = datetime.now(UTC) - timedelta(hours=2)
OTHER = {"no": "yes", "yes": "no"}


@pytest.fixture
def paper(certified_bundle: Path, tmp_path: Path) -> Certificate:  # noqa: F811
    return given_on(certified_bundle, tmp_path, CertificateTerms())


def given_on(bundle: Path, tmp_path: Path, terms: CertificateTerms) -> Certificate:
    model = load(bundle, 1)
    try:
        return certify(model, write_pairs(tmp_path / "calibration.csv", pairs(1500, 3, start=20_000)), terms).certificate
    finally:
        model.close()


@pytest.fixture
def store(certified_bundle: Path) -> Iterator[TrafficStore]:  # noqa: F811
    with opened(held_out=0.2) as found:
        yield found


def fill(store: TrafficStore, certificate: str, count: int, start: int = 0, **changes: Any) -> None:
    """Answers of the surest words, one a second."""
    facts: dict[str, Any] = {
        "asked": "support",
        "path": "/v1/chat/completions",
        "answered_by": "local",
        "certificate": certificate,
        **changes,
    }
    store.add(
        [
            Exchange(
                id=f"req_{number}",
                time=BEGAN + timedelta(seconds=number),
                input=text(number % 10, number),
                local_output=json.dumps(answer(number % 10)),
                **facts,
            )
            for number in range(start, start + count)
        ]
    )


def drawn(bundle: Path, store: TrafficStore, share: float | None = None) -> list[str]:
    with human_review.open_review(bundle, store, share) as review:
        return [given.id for given in review.waiting()]


def right(given: Any) -> str:
    said: str = json.loads(given.local_output)
    return said


def test_a_share_is_drawn_by_the_request_and_nothing_else(certified_bundle: Path, store: TrafficStore, paper: Certificate) -> None:  # noqa: F811
    fill(store, paper.id, 2000)
    found = drawn(certified_bundle, store, 0.1)
    assert 150 < len(found) < 250  # 200 are expected, with a standard deviation of 13
    assert found == sorted(found, key=lambda id: int(id.removeprefix("req_"))) and drawn(certified_bundle, store, 0.1) == found
    assert len(drawn(certified_bundle, store)) < 80  # nothing was taken in: another share may still be chosen
    assert len(drawn(certified_bundle, store, 1.0)) == 2000


@pytest.mark.parametrize(
    "changes",
    [
        {"answered_by": "upstream"},
        {"why": "no certificate"},
        {"truncated": True},
        {"time": datetime.now(UTC) + timedelta(days=1)},
    ],
)
def test_what_was_not_answered_here_under_it_is_not_drawn(
    certified_bundle: Path,  # noqa: F811
    store: TrafficStore,
    paper: Certificate,
    changes: dict[str, Any],
) -> None:
    facts: dict[str, Any] = {"id": "r", "time": BEGAN, "input": "w01 x", "local_output": '"yes"', "answered_by": "local"}
    store.add([Exchange(**{**facts, "asked": "support", "path": "/", "certificate": paper.id, **changes})])
    fill(store, "f" * 32, 50)
    assert drawn(certified_bundle, store, 1.0) == []


def test_what_people_say_is_taken_in_once_and_in_order(certified_bundle: Path, store: TrafficStore, paper: Certificate) -> None:  # noqa: F811
    fill(store, paper.id, 12)
    with human_review.open_review(certified_bundle, store, 1.0) as review:
        first, second, third, *_ = review.waiting()
        with pytest.raises(ValueError, match="in the order"):
            review.take_in(second, right(second))
        assert not review.take_in(first, right(first)) and not review.take_in(second, OTHER[right(second)])
        with pytest.raises(ValueError, match="not one of its labels"):
            review.take_in(third, "perhaps")
        assert not review.take_in(third, None)
        with pytest.raises(ValueError, match="in the order"):
            review.take_in(first, right(first))
    found = certificate_status.evidence(paper)
    assert (found.audits, found.losses) == (3, 2.0)
    assert drawn(certified_bundle, store) == [f"req_{number}" for number in range(3, 12)]
    with pytest.raises(InputError, match="another share"):
        drawn(certified_bundle, store, 0.5)


def test_corrections_are_learnt_from_but_for_what_is_held_out(certified_bundle: Path, store: TrafficStore, paper: Certificate) -> None:  # noqa: F811
    fill(store, paper.id, 60)
    with human_review.open_review(certified_bundle, store, 1.0) as review:
        sides = {given.id: given.held_out for given in review.waiting()}
        for given in list(review.waiting()):
            review.take_in(given, right(given))
    taught = {pair.id: pair for pair in store.pairs(held_out=None)}
    assert taught.keys() == {id for id, held_out in sides.items() if not held_out} and 0 < len(taught) < 60
    assert {pair.whose for pair in taught.values()} == {"human"}


@pytest.mark.parametrize("counted", [False, True])
def test_a_loss_counts_once_though_the_process_ends_within(
    certified_bundle: Path,  # noqa: F811
    store: TrafficStore,
    paper: Certificate,
    monkeypatch: pytest.MonkeyPatch,
    counted: bool,
) -> None:
    fill(store, paper.id, 5)
    real = certificate_audit.observe

    def killed(*given: Any, **more: Any) -> bool:
        if counted:
            real(*given, **more)
        raise KeyboardInterrupt

    with human_review.open_review(certified_bundle, store, 1.0) as review:
        given = next(review.waiting())
        monkeypatch.setattr(certificate_audit, "observe", killed)
        with pytest.raises(KeyboardInterrupt):
            review.take_in(given, OTHER[right(given)])
    monkeypatch.setattr(certificate_audit, "observe", real)
    assert drawn(certified_bundle, store) == [f"req_{number}" for number in range(1, 5)]
    assert (certificate_status.evidence(paper).audits, certificate_status.evidence(paper).losses) == (1, 1.0)


@pytest.mark.parametrize("fails", ["correction", "state"])
def test_where_either_cannot_be_written_nothing_is_taken_in_and_it_is_asked_again(
    certified_bundle: Path,  # noqa: F811
    store: TrafficStore,
    paper: Certificate,
    monkeypatch: pytest.MonkeyPatch,
    fails: str,
) -> None:
    fill(store, paper.id, 5, held_out=False)

    def full(*given: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with human_review.open_review(certified_bundle, store, 1.0) as review:
        given = next(review.waiting())
        with monkeypatch.context() as patch:
            patch.setattr(*((TrafficStore, "feedback") if fails == "correction" else (human_review.files, "write")), full)
            with pytest.raises(OSError, match="No space"):
                review.take_in(given, OTHER[right(given)])
    assert certificate_status.evidence(paper).audits == 0
    with human_review.open_review(certified_bundle, store, 1.0) as review:
        assert next(review.waiting()).id == given.id
        review.take_in(given, OTHER[right(given)])
    assert (certificate_status.evidence(paper).audits, certificate_status.evidence(paper).losses) == (1, 1.0)
    assert [(pair.id, pair.reference) for pair in store.pairs()] == [(given.id, OTHER[right(given)])], "what was said is kept"


def test_wrong_answers_revoke_and_then_there_is_nothing_to_audit(certified_bundle: Path, store: TrafficStore, paper: Certificate) -> None:  # noqa: F811
    fill(store, paper.id, 60)
    with human_review.open_review(certified_bundle, store, 1.0) as review:
        for given in list(review.waiting()):
            if review.take_in(given, OTHER[right(given)]):
                break
    assert 1 < certificate_status.evidence(paper).audits < 40 and certificate_status.evidence(paper).revoked
    with pytest.raises(CertificateError, match="nothing to audit"):
        drawn(certified_bundle, store)


def test_only_what_people_are_the_reference_of_is_theirs_to_audit(certified_bundle: Path, store: TrafficStore, tmp_path: Path) -> None:  # noqa: F811
    with pytest.raises(CertificateError, match="nothing to audit"):
        drawn(certified_bundle, store)
    given_on(certified_bundle, tmp_path, CertificateTerms(reference="model", model="big"))
    with pytest.raises(InputError, match="gold labels or reviews"):
        drawn(certified_bundle, store)
    revoke(certified_bundle, "for the test")


def test_a_certificate_that_renews_another_keeps_the_share_of_its_audits(
    certified_bundle: Path,  # noqa: F811
    store: TrafficStore,
    paper: Certificate,
    tmp_path: Path,
) -> None:
    fill(store, paper.id, 3)
    with human_review.open_review(certified_bundle, store, 0.9) as review:
        given = next(review.waiting())
        review.take_in(given, right(given))
    again = given_on(certified_bundle, tmp_path, CertificateTerms())
    assert again.id != paper.id and certificate_status.evidence(again).audits == 1
    with human_review.open_review(certified_bundle, store) as review:
        assert review.share == 0.9
    with pytest.raises(InputError, match="another share"):
        drawn(certified_bundle, store, 0.5)


@pytest.mark.parametrize("share", [0.0, -0.1, 1.5])
def test_shares_that_cannot_be_are_refused(certified_bundle: Path, store: TrafficStore, paper: Certificate, share: float) -> None:  # noqa: F811
    with pytest.raises(InputError, match="over 0"):
        drawn(certified_bundle, store, share)


def test_two_reviews_at_once_and_a_damaged_state_are_refused(certified_bundle: Path, store: TrafficStore, paper: Certificate) -> None:  # noqa: F811
    fill(store, paper.id, 3)
    with human_review.open_review(certified_bundle, store, 1.0) as review:
        with pytest.raises(InputError, match="is running"):
            drawn(certified_bundle, store)
        review.take_in(next(review.waiting()), "yes")
        file = review._file
    file.write_text('{"share": 1.0}', encoding="utf-8")
    with pytest.raises(CertificateError, match="counted twice"):
        drawn(certified_bundle, store)


def test_a_file_is_filled_in_and_taken_as_far_as_it_goes(
    certified_bundle: Path,  # noqa: F811
    store: TrafficStore,
    paper: Certificate,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fill(store, paper.id, 6)
    file, bundle = tmp_path / "audits.csv", str(certified_bundle)
    assert code(["audit", bundle, "--share", "1", "--export", str(file)]) == 0
    with file.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["id"] for row in rows] == [f"req_{number}" for number in range(6)] and {row["output"] for row in rows} == {""}
    assert file.stat().st_mode & 0o077 == 0
    said = [answer(0), "?", answer(2), "", answer(4), answer(5)]

    def filled(said: list[str]) -> None:
        with file.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["id", "text", "output"])
            writer.writerows([row["id"], row["text"], output] for row, output in zip(rows, said, strict=True))

    filled([*said[:2], "perhaps", *said[3:]])
    capsys.readouterr()
    assert code(["audit", bundle, "--share", "1", "--take", str(file), "--json"]) == 2
    assert (
        "Nothing of the file was taken in" in " ".join(capsys.readouterr().err.split()) and certificate_status.evidence(paper).audits == 0
    )
    filled(said)
    assert code(["audit", bundle, "--share", "1", "--take", str(file), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["taken_in"], facts["waiting"], facts["losses"], facts["revoked"]) == (3, 3, 1.0, False)
    assert code(["audit", bundle, "--take", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["taken_in"] == 0


def test_formulas_and_damaged_files(certified_bundle: Path, store: TrafficStore, paper: Certificate, tmp_path: Path) -> None:  # noqa: F811
    facts: dict[str, Any] = {"asked": "support", "path": "/", "answered_by": "local", "certificate": paper.id, "local_output": '"yes"'}
    store.add([Exchange(id="r", time=BEGAN, input="=HYPERLINK(1)", **facts)])
    with human_review.open_review(certified_bundle, store, 1.0) as review:
        assert human_review.write_review_file(review.waiting(), tmp_path / "a.csv") == 1
    assert "'=HYPERLINK" in (tmp_path / "a.csv").read_text(encoding="utf-8-sig")
    for content, words in (("id,text\nr,x\n", "a column is missing"), ("id,text,output\nr,x,yes\nr,x,no\n", "two outputs")):
        (tmp_path / "b.csv").write_text(content, encoding="utf-8")
        with pytest.raises(DataError, match=words):
            human_review.read_review_file(tmp_path / "b.csv")
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="cannot be read"):
        human_review.read_review_file(tmp_path / "b.csv")


def test_people_are_asked_in_a_terminal_and_do_not_see_the_answer(
    certified_bundle: Path,  # noqa: F811
    store: TrafficStore,
    paper: Certificate,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fill(store, paper.id, 4)
    lines = iter(["nope", answer(0), "2", "?", ""])
    monkeypatch.setattr("builtins.input", lambda prompt: next(lines))
    assert code(["audit", str(certified_bundle), "--share", "1"]) == 0
    told = capsys.readouterr()
    shown = " ".join(told.out.split())
    assert text(0, 0) in shown and text(3, 3) in shown and "1 no, 2 yes" in shown
    assert "3 taken in, 1 wait" in shown and "not one of its labels" in " ".join(told.err.split())
    assert certificate_status.evidence(paper).losses == 1.0 + float(answer(1) != "yes")


def test_wrong_usage_and_a_revocation_have_their_exit_codes(
    certified_bundle: Path,  # noqa: F811
    store: TrafficStore,
    paper: Certificate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill(store, paper.id, 60)
    assert code(["audit", str(certified_bundle), "--export", "a.csv", "--take", "b.csv"]) == 2
    monkeypatch.setattr("builtins.input", lambda prompt: "?")
    assert code(["audit", str(certified_bundle), "--share", "1"]) == 1
    assert certificate_status.evidence(paper).revoked
