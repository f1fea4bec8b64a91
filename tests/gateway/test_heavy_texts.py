"""A text that is a large share of the requests is answered here only if its own answer is known to be right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.gateway.test_certificate import own_home, paper  # noqa: F401

from smidgen.core.replies import Reply
from smidgen.gateway import certificate as papers
from smidgen.gateway import route
from smidgen.gateway.certificate import Certificate, CertificateSample
from smidgen.gateway.route import HeavyTexts
from smidgen.gateway.sample_reuse import RowFingerprints

PAPER = paper()  # alpha 0.05: a text is heavy from 1 % on
YES = [Reply("yes", 0.99)]


@pytest.fixture(autouse=True)
def fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route, "_LEAST_REQUESTS", 200)
    monkeypatch.setattr(route, "_MOST_TEXTS", 256)


def traffic(
    heavy: HeavyTexts, one_in: int, requests: int = 1000, text: str = "again and again", under: Certificate = PAPER
) -> Iterator[bool]:
    """Requests, each so many-th of which has this text; what is decided on that one."""
    for number in range(requests):
        if number % one_in == 0:
            yield heavy.escalates(text, YES, under)
        else:
            assert not heavy.escalates(f"another {number}", YES, under)


def test_only_a_text_over_a_fifth_of_alpha_escalates_and_not_before_enough_requests() -> None:
    assert not any(traffic(HeavyTexts(), 250))
    found = list(traffic(HeavyTexts(), 50))
    assert not any(found[:4]) and all(found[5:]) and len(found) == 20
    assert not any(traffic(HeavyTexts(), 50, under=paper(alpha=0.2))), "a promise of more allows more"
    spaced = list(traffic(HeavyTexts(), 50, text="  Again and AGAIN "))
    assert any(spaced) and spaced == found


def test_of_more_texts_than_are_counted_none_hides() -> None:
    """All others are new texts, and the table is full long since: at 1.25 % the count alone is under the bound."""
    found = list(traffic(HeavyTexts(), 80, requests=20_000))
    assert all(found[-50:])


def test_the_reference_is_asked_once_and_its_word_decides() -> None:
    now = [0.0]
    heavy = HeavyTexts(lambda: now[0])
    assert list(traffic(heavy, 20))[-1]
    assert heavy.take_check("again and again") and not heavy.take_check("Again and again"), "one that is under way is enough"
    now[0] = 61.0
    assert heavy.take_check("again and again"), "it got no answer"
    heavy.settle("again and again", True)
    assert not heavy.escalates("again and again", YES, PAPER) and not heavy.take_check("again and again")
    other = paper(id="0" * 31 + "2")
    assert heavy.escalates("again and again", YES, other), "another certificate may have another reference"
    heavy.settle("again and again", False)
    assert heavy.escalates("again and again", YES, other) and not heavy.take_check("again and again")


@pytest.mark.parametrize(("label", "escalates"), [("yes", False), ("no", True)])
def test_a_text_of_the_certificates_sample_is_known(label: str, escalates: bool) -> None:
    marks = RowFingerprints.of([("again and again", label), ("something else", "yes")], papers.signing_key()).text
    sample = CertificateSample(file_sha256="c" * 64, rows_sha256="d" * 64, n=1000, marks=marks)
    signed: Any = paper(calibration=sample).signed()
    assert list(traffic(HeavyTexts(), 20, under=signed))[-1] is escalates
