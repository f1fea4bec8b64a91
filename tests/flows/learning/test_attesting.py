"""What certifies a challenger: whose outputs, each text once, answers that cannot be read among them, and every look paid for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from tests.certified_bundle import certified_bundle, pairs  # noqa: F401

from smidgen.core.errors import InputError
from smidgen.core.progress import Silent
from smidgen.flows.learn.learning_rows import LineRow, Source
from smidgen.flows.learn.line_certificate import CertificateRequest, LineCertification, certify_version
from smidgen.flows.local_model import Model, load
from smidgen.gateway.certificate import Certificate, JudgeError, Reference

from .test_material import NOW, taken


@pytest.fixture
def model(certified_bundle: Path) -> Iterator[Model]:  # noqa: F811
    with closing(load(certified_bundle, 1)) as made:
        yield made


def rows(n: int, source: Source = "upstream", start: int = 20_000, worst: float = 0.05, **more: object) -> list[LineRow]:
    return [taken(given, wanted, source, **more) for given, wanted in pairs(n, 3, 0.0, worst, start)]  # type: ignore[arg-type]


def attest(model: Model, /, some: list[LineRow], before: Certificate | None = None, look: int = 1, **asked: object) -> LineCertification:
    return certify_version(model, some, CertificateRequest(**{"likely": 0.0, **asked}), before, look, now=NOW, progress=Silent())  # type: ignore[arg-type]


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
    with pytest.raises(InputError, match=f"{next(iter(asked))} lies between 0 and 1"):
        CertificateRequest(**asked)  # type: ignore[arg-type]


def test_a_test_that_fails_was_a_look(model: Model) -> None:
    found = attest(model, rows(600, worst=1.0))
    assert found.certificate is None and found.looked and "no threshold can be certified" in found.why


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


def test_only_what_the_named_model_answered_certifies(model: Model) -> None:
    old, new = rows(300, model="old"), rows(150, start=40_000, worst=0.0, model="new", days=1)
    found = attest(model, [*old, *new], reference="model")
    assert found.certificate is not None and found.certificate.reference.words == "the large model new" and found.n == 150
    asked = attest(model, [*old, *new], reference="model", model="old")
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
