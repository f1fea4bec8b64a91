"""The forms of what cards say, and of numbers that a word makes personal, are the same wherever a text is redacted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.forms import label_form

from smidgen.data.teacher.prompts import JobDescription, describe_job, masked
from smidgen.privacy import text_patterns
from smidgen.privacy.redactor import Redactor, nothing

CARD = "My card 4111 1111 1111 1111 exp 12/27 CVV 737"
SAFE = "My card [CARD_1] exp [EXPIRY_1] CVV [CVV_1]"


def redactor() -> Redactor:
    return Redactor(forms=text_patterns.usual_spans)


def test_the_usual_forms_are_all_but_what_a_policy_asks_for() -> None:
    text = f"{CARD}, MRN 558812, aged 93, www.example.org, serial number SN-44-120, zip: 12345, lat 52.5200066"
    every, usual = set(text_patterns.every_span(text)), set(text_patterns.usual_spans(text))
    assert {kind for kind, _, _ in every - usual} == {"age", "url"} and usual < every
    assert {kind for kind, _, _ in usual} == {"card", "expiry", "cvv", "id", "device", "address", "place"}


def test_what_goes_to_a_teacher_keeps_no_security_code() -> None:
    opening = describe_job(f"as in: {CARD}", label_form(["refund", "MRN 558812"]), nothing)
    assert opening.description == f"as in: {SAFE}" and opening.form.labels == ("refund", "[ID_1]")
    begun = opening.fork()
    assert begun.mask("CVV 321, dob: 19530412") == "CVV [CVV_2], dob: [DATE_1]"
    safe = opening.safe(opening.fork())
    assert safe('{"cvv": 321, "mrn": 55881}') == '{"cvv": [CVV_2], "mrn": [ID_2]}'
    assert safe({"cvv": 321, "who": {"mrn": 55881}}) == {"cvv": "[CVV_2]", "who": {"mrn": "[ID_2]"}}
    assert JobDescription("", {}).safe(Redactor())({"cvv": 321}) == {"cvv": 321}, "on this machine nothing is changed"


def test_a_bank_account_whose_digits_are_like_a_cards_is_one() -> None:
    account = "GB09YRHY41966356777071"
    assert [kind for kind, _, _ in text_patterns.usual_spans(account)] == ["card"]
    assert redactor().mask(f"to {account}, card 4111 1111 1111 1111") == "to [IBAN_1], card [CARD_1]"
    assert Redactor(forms=text_patterns.every_span, allowed=frozenset({"iban"})).mask(account) == "GB09YRHY[CARD_1]"


@pytest.mark.parametrize(
    ("value", "safe"),
    [
        ({"cvv": 737, "mrn": 55881}, {"cvv": "[CVV_1]", "mrn": "[ID_1]"}),
        ({"cardSecurityCode": "737"}, {"cardSecurityCode": "[CVV_1]"}),
        ({"patient": {"id": "77-1234"}, "phone": 20123456}, {"patient": {"id": "[ID_1]"}, "phone": "[PHONE_1]"}),
        ([{"account": [4455667, 4455668.0]}], [{"account": ["[ID_1]", "[ID_2]"]}]),
        ({"lat": 52.5200066, "lon": "13.404954"}, {"lat": "[PLACE_1]", "lon": "[PLACE_2]"}),
        ({"dob": 19530412, "zip": 2134}, {"dob": "[DATE_1]", "zip": "[ADDRESS_1]"}),
        ({"a": "MRN 558812", "b": 558812, "c": "558812"}, {"a": "MRN [ID_1]", "b": "[ID_1]", "c": "[ID_1]"}),
    ],
)
def test_a_fields_name_says_what_is_in_it(value: Any, safe: Any) -> None:
    given = json.dumps(value)
    assert masked(value, redactor()) == safe and json.dumps(value) == given


@pytest.mark.parametrize(
    "value",
    [
        {"policy": 2023, "tax": "1900", "account": 1900.5, "plate": "1900.50", "n": 55881, "yes": True, "none": None, "age": 93},
        {"lat": 52.5, "code": 737, "url": "www.example.org"},
        [],
        "text",
        2023,
    ],
)
def test_a_name_that_says_nothing_takes_nothing_out(value: Any) -> None:
    assert masked(value, redactor()) == value


def test_names_of_fields_are_texts_and_what_must_stay_stays() -> None:
    one = redactor()
    one.keep("737", "a@example.org")
    assert masked({"cvv": 737, "a@example.org": 1, "b@example.org": "737"}, one) == {"cvv": 737, "a@example.org": 1, "[EMAIL_1]": "737"}
