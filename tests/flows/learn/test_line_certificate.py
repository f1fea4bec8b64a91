"""What certifies a challenger: whose outputs, each text once, answers that cannot be read among them, and every look paid for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests.certified_bundle import certified_bundle, pairs  # noqa: F401
from tests.flows.learn.test_learning_rows import NOW, taken
from tests.flows.learn.test_line_data import _home, line, recipe, store  # noqa: F401

from smidgen.cli import main
from smidgen.core.errors import InputError
from smidgen.core.progress import Silent
from smidgen.core.rows import Row
from smidgen.flows.certify.certification import certificate_standing
from smidgen.flows.certify.forecast import fewest_rows_likely
from smidgen.flows.learn import holdout, line_data
from smidgen.flows.learn.learning_rows import LearningRows, LineRow, Source
from smidgen.flows.learn.line_certificate import (
    LineCertification,
    RowsOutlook,
    certify_version,
    outlook,
    recertify,
)
from smidgen.flows.learn.settings import LineCertificateSettings, TrafficSettings
from smidgen.flows.local_model import Model, load
from smidgen.gateway.certificate import Certificate, JudgeError, Reference
from smidgen.store.line import Line
from smidgen.store.traffic.records import Exchange
from smidgen.store.traffic.store import opened


@pytest.fixture
def model(certified_bundle: Path) -> Iterator[Model]:  # noqa: F811
    with closing(load(certified_bundle, 1)) as made:
        yield made


def rows(n: int, source: Source = "upstream", start: int = 20_000, worst: float = 0.05, **more: object) -> list[LineRow]:
    return [taken(given, wanted, source, **more) for given, wanted in pairs(n, 3, 0.0, worst, start)]  # type: ignore[arg-type]


def attest(model: Model, /, some: list[LineRow], before: Certificate | None = None, look: int = 1, **asked: object) -> LineCertification:
    return certify_version(model, some, LineCertificateSettings(**{"likely": 0.0, **asked}), before, look, now=NOW, progress=Silent())  # type: ignore[arg-type]


def test_a_look_spends_its_share_of_delta_and_the_certificate_says_so(model: Model) -> None:
    some = rows(2000, worst=0.25)
    first, tenth = attest(model, some), attest(model, some, look=10)
    assert first.certificate is not None and tenth.certificate is not None and first.looked
    assert (first.certificate.delta, tenth.certificate.delta) == (0.05, 0.05)
    assert "look 1 at rows that stay, tested at δ/2" in first.certificate.method and "tested at δ/110" in tenth.certificate.method
    assert tenth.certificate.share < first.certificate.share  # the stricter test certifies less
    # 72 rows without an error are enough at 1 - 0.025, and 151 at 1 - 0.05/110.
    few = rows(120, worst=0.0)
    assert attest(model, few).certificate is not None
    none = attest(model, few, look=10)
    assert (
        none.certificate is None and "with confidence 0.999545" in none.why and not none.looked
    )  # too few for any test: nothing was looked at


def test_what_may_be_lost_of_all_is_as_the_champions_certificate_has_it(model: Model) -> None:
    some = rows(2000, worst=0.25)
    first, plain = attest(model, some, overall=0.01).certificate, attest(model, some).certificate
    assert first is not None and plain is not None and first.overall == 0.01 and plain.overall is None and first.share < plain.share
    following, other = attest(model, some, before=first).certificate, attest(model, some, before=first, overall=0.02).certificate
    assert following is not None and other is not None and (following.overall, other.overall) == (0.01, 0.02)
    assert attest(model, some, before=plain).certificate.overall is None  # type: ignore[union-attr]


@pytest.mark.parametrize("asked", [{"alpha": 0.0}, {"delta": 1.0}, {"overall": 0.0}, {"overall": float("nan")}])
def test_shares_that_are_none_are_refused_before_anything_is_built(asked: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(asked))):
        LineCertificateSettings(**asked)  # type: ignore[arg-type]


def test_a_test_that_fails_was_a_look(model: Model) -> None:
    found = attest(model, rows(600, worst=1.0))
    assert found.certificate is None and found.looked and "no threshold can be certified" in found.why
    assert "--held-out-aside" not in found.why


def test_a_failed_test_on_what_escalated_says_how_easier_rows_are_held_out(model: Model) -> None:
    found = attest(model, rows(600, worst=1.0, unsure=True))
    assert found.certificate is None and "--held-out-aside" in found.why


def test_what_people_corrected_is_not_what_the_large_model_said(model: Model) -> None:
    both = [*rows(500), *rows(300, "human", start=30_000)]
    by_model, by_people = attest(model, both, reference="model"), attest(model, both, reference="reviews")
    assert by_model.n == 500 and by_people.n == 300
    assert by_model.certificate is not None and by_people.certificate is not None
    assert not any("correct" in said for said in by_model.certificate.unchecked)
    assert any("who corrects an answer chooses which (300 of 300 texts)" in said for said in by_people.certificate.unchecked)
    gold = attest(model, [*rows(500, "data"), *rows(300, "human", start=30_000), *rows(50, start=40_000)], reference="gold")
    assert gold.n == 800


def test_answers_that_cannot_be_read_are_disagreements(model: Model) -> None:
    good = rows(500, worst=0.0)
    assert attest(model, good).certificate is not None
    refused = [taken(given, None, "upstream", heard=False, unread=True) for given, _ in pairs(60, 7, start=50_000)]
    mixed = attest(model, [*good, *refused])
    assert mixed.n == 560 and mixed.certificate is None and mixed.looked
    slightly = attest(model, [*good, *refused[:10]], alpha=0.1)
    assert slightly.certificate is not None and slightly.certificate.n == 510
    (entry,) = slightly.certificate.answering
    assert 0 < entry.loss <= 10
    assert attest(model, refused).certificate is None


def test_an_answer_that_names_nothing_known_is_heard_once_more_and_else_a_disagreement(model: Model) -> None:
    good = rows(500, worst=0.0)
    known = [taken(given, f" {wanted.upper()}.", "upstream", heard=False) for given, wanted in pairs(60, 7, 0.0, 0.0, start=50_000)]
    other = [taken(given, "perhaps", "upstream", heard=False) for given, _ in pairs(60, 7, start=50_000)]
    heard, unheard = attest(model, [*good, *known]), attest(model, [*good, *other])
    assert heard.certificate is not None and heard.certificate.n == 560
    assert sum(entry.loss for entry in heard.certificate.answering) == 0
    assert unheard.certificate is None and unheard.n == 560


def test_the_certificate_names_the_jobs_whose_requests_it_was_tested_on_and_no_others(model: Model) -> None:
    some = [*rows(300, jobs=("aaaaaaaaaaaaaaaa",)), *rows(40, start=30_000), *rows(59, start=40_000, jobs=("bbbbbbbbbbbbbbbb",))]
    some += rows(58, start=45_000, jobs=("dddddddddddddddd",))  # with which no claim of its own could be shown
    others = rows(50, "human", start=50_000, jobs=("cccccccccccccccc",))
    found = attest(model, [*some, *others], reference="model")
    assert found.certificate is not None and found.certificate.calibration.jobs == ("aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb")
    assert found.certificate.calibration.n == 457


def test_a_text_that_comes_again_is_one_row(model: Model) -> None:
    """Forty texts without an error, ten times each, are no four hundred rows: they could not show a risk under 5 %."""
    some = rows(40, worst=0.0)
    again = [taken(one.row.input.upper() + "!", one.row.output, "upstream", days=day) for day in range(1, 10) for one in some]  # type: ignore[union-attr]
    found = attest(model, [*some, *again])
    assert (found.n, found.certificate, found.looked) == (40, None, False)
    enough = rows(300, worst=0.0)
    done = attest(model, [*enough, *(taken(one.row.input, one.row.output, "upstream", days=1) for one in enough[:7])])  # type: ignore[arg-type]
    assert done.certificate is not None and done.certificate.n == 300
    assert any("7 times that one came again are left out" in said for said in done.certificate.unchecked)


def test_texts_that_were_altered_are_told_of(model: Model) -> None:
    some = rows(400)
    masked = [taken(one.row.input, one.row.output, "upstream", altered=place < 25) for place, one in enumerate(some)]  # type: ignore[arg-type]
    done = attest(model, masked)
    assert done.certificate is not None
    assert any("25 of 400 texts had it replaced; the traffic has not" in said for said in done.certificate.unchecked)
    plain = attest(model, some)
    assert plain.certificate is not None and not any("replaced" in said for said in plain.certificate.unchecked)


def test_rows_masked_in_doubt_do_not_certify_and_are_told_of(model: Model) -> None:
    some = rows(400, worst=0.0)
    wrong = [replace(one, doubtful=True, unread=True, heard=False, masked=True) for one in rows(60, start=60_000)]
    done, plain = attest(model, [*some, *wrong]).certificate, attest(model, some).certificate
    assert done is not None and plain is not None and (done.n, done.share) == (400, plain.share)
    counted = attest(model, [*some, *(replace(one, doubtful=False) for one in wrong)]).certificate
    assert counted is None or counted.share < done.share
    assert any("60 of 460 texts had one masked, and are left out" in said for said in done.unchecked)
    assert not any("perhaps nobody's" in said for said in plain.unchecked)


def test_only_what_the_named_model_answered_certifies(model: Model) -> None:
    old, new = rows(300, model="old"), rows(150, start=40_000, worst=0.0, model="new", days=1)
    found = attest(model, [*old, *new], reference="model")
    assert found.certificate is not None and found.certificate.reference.words == "the large model new" and found.n == 150
    asked = attest(model, [*old, *new], reference="model", reference_model="old")
    assert asked.certificate is not None and asked.certificate.reference.model == "old" and asked.n == 300
    unnamed = attest(model, rows(300), reference="model")
    assert unnamed.certificate is not None and "no name of it is known" in unnamed.certificate.reference.words
    assert "model" not in unnamed.certificate.facts()["reference"]
    gold = attest(model, rows(300, "data"))
    assert gold.certificate is not None and gold.certificate.reference.model == ""


def test_rows_that_escalated_for_doubt_are_told_of(model: Model) -> None:
    some = rows(400)
    picked = [taken(one.row.input, one.row.output, "upstream", unsure=place < 300) for place, one in enumerate(some)]  # type: ignore[arg-type]
    done = attest(model, picked, alpha=0.1)
    assert done.certificate is not None
    (said,) = [one for one in done.certificate.unchecked if "escalated because it was not sure" in one]
    assert "300 of 400 texts" in said and "--capture-days" in said and "--held-out-aside" in said
    plain = attest(model, some)
    assert plain.certificate is not None and not any("--held-out-aside" in one for one in plain.certificate.unchecked)


def test_a_judges_error_is_not_carried_over_to_answers_that_it_did_not_give(model: Model) -> None:
    plain = attest(model, rows(400)).certificate
    assert plain is not None
    judged = plain.model_copy(update={"reference": Reference(kind="judge", judge=JudgeError(wrong=1, reviewed=2000, bound=0.003))})
    found = attest(model, [*rows(400), *rows(300, "human", start=30_000)], judged)
    assert found.certificate is None and not found.looked and "judge" in found.why and "--reference" in found.why
    again = attest(model, rows(400), judged, reference="model")
    assert again.certificate is not None and again.certificate.reference.kind == "model"
    assert again.certificate.valid_until == NOW + timedelta(days=90)


def test_it_says_how_many_rows_are_missing(model: Model) -> None:
    """By the report, a part of the answers is right so often that a few hundred rows would show it."""
    some = rows(40, worst=0.2)
    found = attest(model, some, likely=0.8)
    assert found.certificate is None and not found.looked and found.outlook is not None
    needed = found.outlook.needed
    assert needed is not None and found.outlook.have == 40 and 72 <= needed < 1000
    assert found.json()["outlook"]["needed"] == needed
    enough = attest(model, rows(needed, worst=0.2), likely=0.8)
    assert enough.certificate is not None and enough.outlook is None
    failed = attest(model, rows(600, worst=1.0))
    assert failed.looked and failed.outlook is not None
    assert failed.outlook.needed is None or failed.outlook.needed > 600
    hopeless = attest(model, rows(80, worst=0.2), alpha=0.0001)
    assert hopeless.outlook is not None and (hopeless.outlook.needed or 10**9) > 10_000


MONDAY = datetime(2026, 6, 1, 12, tzinfo=UTC)  # a Monday
DAY = timedelta(days=1)


def came(*ago: timedelta, id: str = "r") -> list[LineRow]:
    return [LineRow(Row(f"text {number}", "yes"), "upstream", MONDAY - before, id=id) for number, before in enumerate(ago)]


def test_rows_that_come_evenly_say_the_day() -> None:
    rows = came(*(timedelta(hours=number) for number in range(1, 240)))  # one an hour, for ten days
    found = outlook(rows, 320, MONDAY)
    assert found.per_day == pytest.approx(24, rel=0.02) and found.have == 239
    assert found.ready is not None and abs(found.ready - (MONDAY + timedelta(days=81 / 24))) < timedelta(hours=2)
    assert found.said(MONDAY) == "239 of about 320 rows, ready on Thursday at this pace (23.9 a day)"
    far = outlook(rows, 1000, MONDAY)
    assert far.said(MONDAY) == "239 of about 1,000 rows, ready on 3 July 2026 at this pace (23.9 a day)"
    assert outlook(rows, 241, MONDAY).said(MONDAY).startswith("239 of about 241 rows, ready today")
    assert "over two years" in outlook(rows, 500_000, MONDAY).said(MONDAY)
    assert outlook(rows, 200, MONDAY).said(MONDAY) == "239 of about 200 rows: the next learning may test for it"


def test_the_pace_is_of_captured_rows_of_the_last_week_alone() -> None:
    old = came(*(8 * DAY for _ in range(50)))
    assert outlook(old, 100, MONDAY).said(MONDAY) == "50 of about 100 rows; none came in the last week"
    given = came(*(DAY for _ in range(50)), id="")
    assert outlook(given, 100, MONDAY).per_day == 0, "a file comes at once, and not again"
    young = came(*(timedelta(minutes=6 * number) for number in range(21)))  # two hours
    assert outlook(young, 100, MONDAY).per_day == pytest.approx(240)
    burst = came(*(timedelta(seconds=number) for number in range(31)))
    assert outlook(burst, 100, MONDAY).per_day == pytest.approx(30 * 24), "what came in half a minute is taken for an hour's"
    assert outlook(came(-DAY), 100, MONDAY).per_day == 0, "nor does what is of a time to come"


def test_where_no_number_of_rows_would_do_it_says_so() -> None:
    found = outlook(came(DAY), None, MONDAY)
    assert "no number would do" in found.said(MONDAY) and found.json()["needed"] is None
    assert RowsOutlook(1, 2, 0.0, None).json() == {"have": 1, "needed": 2, "per_day": 0.0, "ready": None}


def test_the_fewest_rows_are_found() -> None:
    assert fewest_rows_likely(lambda n: n / 1000, 0.8, 59) in range(800, 809)
    assert fewest_rows_likely(lambda n: float(n >= 60), 0.8, 59) == 60 and fewest_rows_likely(lambda n: 1.0, 0.8, 59) == 59
    assert fewest_rows_likely(lambda n: 0.5, 0.8, 59) is None


@pytest.fixture
def filled(line: Line, store: Any) -> Line:  # noqa: F811
    """A line with captured rows, of which its champion answers every ninth or so otherwise than the large model."""
    rows = pairs(3000, 3, 0.0, 0.6, 20_000)
    store.add(
        [
            Exchange(
                f"r{number}",
                NOW,
                "support",
                "/v1/chat/completions",
                text,
                "upstream",
                answer=said,
                model="big",
                answer_state="whole",
            )
            for number, (text, said) in enumerate(rows)
        ]
    )
    return line


def material(line: Line) -> Any:  # noqa: F811
    with closing(load(line.folder, 1)) as model:
        return line_data.collect_rows(line, line.read(), recipe(), model.form, TrafficSettings())


def again(line: Line, **asked: Any) -> Any:  # noqa: F811
    with closing(load(line.folder, 1)) as model:
        return recertify(model, LineCertificateSettings(likely=0.0, **asked))


def test_another_alpha_needs_no_training_and_is_a_look_of_its_own(filled: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smidgen.flows.learn.challenger.build", lambda *given, **more: pytest.fail("nothing is trained"))
    champion, held = filled.read().champion, material(filled)
    strict = again(filled, alpha=0.002)
    assert strict.certificate is None and not certificate_standing(filled.folder).valid and strict.n == held.certifying_texts > 300
    assert strict.outlook is not None and (strict.outlook.needed or 10**9) > strict.n
    looks = filled.read().looks
    assert looks == int(strict.looked)
    done = again(filled, alpha=0.1)
    assert done.certificate is not None and done.certificate.alpha == 0.1 and done.certificate.calibration.n == held.certifying_texts
    assert done.certificate.reference.kind == "model" and done.certificate.reference.model == "big"
    assert f"look {looks + 1} at rows that stay" in done.certificate.method
    pointer = filled.read()
    assert (pointer.looks, pointer.champion) == (looks + 1, champion) and certificate_standing(filled.folder).valid
    other = again(filled)
    assert other.certificate is not None and other.certificate.alpha == 0.1, "where nothing is said the terms stay"
    assert filled.read().looks == looks + 2


def test_what_a_version_learnt_from_certifies_nothing(filled: Line) -> None:
    """Half of the rows that are held out now were learnt from once: the line has that in writing."""
    held = material(filled).certifying
    known = held[: len(held) // 2]
    holdout.record_seen(filled, filled.read().champion or "", LearningRows(tuple(known), (), ()))
    done = again(filled, alpha=0.1)
    assert done.certificate is not None and done.certificate.calibration.n == len(held) - len(known)


def test_without_held_out_rows_nothing_is_looked_at(filled: Line) -> None:
    with opened() as traffic:
        traffic.delete_older(0)
    done = again(filled, alpha=0.1)
    assert done.certificate is None and "no held-out rows" in done.why and filled.read().looks == 0


def test_the_command_says_what_came_of_it(filled: Line, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.code(["certify", str(filled.folder), "--alpha", "0.1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["certified"] and told["certificate"]["alpha"] == 0.1
    assert main.code(["certify", str(filled.folder), "--alpha", "0.001"]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "not certified" in said and "to a certificate:" in said
    assert main.code(["certify", str(filled.folder), "--segment", "shop"]) == 2
    assert "give calibration pairs with --data" in " ".join(capsys.readouterr().err.split())
    version = filled.version(filled.read().champion or "")
    assert main.code(["certify", str(version)]) == 2
    assert "one thing at a time" in " ".join(capsys.readouterr().err.split())


def test_a_bundle_by_itself_keeps_no_rows(filled: Line) -> None:
    folder: Path = filled.version(filled.read().champion or "")
    with closing(load(folder, 1)) as model, pytest.raises(InputError, match="only a line"):
        recertify(model, LineCertificateSettings())
