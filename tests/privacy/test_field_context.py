"""What says what a text is: the words of its field's name, those of the one above, and what stands beside it."""

from __future__ import annotations

import pytest

from smidgen.privacy.request_masking import FieldContext


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cvv", "cvv"),
        ("card_security-code", "card security code"),
        ("cardSecurityCode", "card Security Code"),
        ("CVVCode", "CVV Code"),
        ("patient.mrn", "patient mrn"),
        ("cvv2", "cvv2"),
        ("", ""),
    ],
)
def test_a_name_is_read_as_words(name: str, words: str) -> None:
    assert FieldContext(name).words == words


def test_a_field_knows_the_one_above() -> None:
    cvv = FieldContext("card").within({"cvv": {"value": "123"}}, "cvv")
    assert (cvv.words, cvv.within({"value": "123"}, "value").words) == ("card cvv", "cvv value")
    assert len(FieldContext("x" * 500, "y" * 500).words) == 61


def test_a_value_that_is_named_beside_it_has_that_name() -> None:
    for pair in ({"name": "cvv", "value": "123"}, {"key": "cvv", "value": "123"}, {"label": "cvv", "value": 123}):
        assert FieldContext().within(pair, "value").words == "cvv"
    assert FieldContext().within({"name": "", "value": 1}, "value").words == "value"
    assert FieldContext().within({"name": "cvv", "note": 1}, "note").words == "note"


def test_what_stands_beside_is_short_and_has_the_digits_of_a_card() -> None:
    value = {"pan": "4111 1111 1111 1111", "number": 4111111111111111, "yes": True, "n": 12, "note": "x" * 300 + "4111111111111111"}
    label = FieldContext("card").by(value)
    beside = ("4111 1111 1111 1111", "4111111111111111")
    assert label.within(value, "n").beside == label.within(value, "n").by({"a": 1}).within({"a": 1}, "a").beside == beside
    assert label.within(value, "pan").beside == beside[1:], "nothing stands beside itself"
    many = {str(place): "4" * 13 for place in range(50)}
    assert len(FieldContext().by(many).within(many, "x").beside) == 8 and FieldContext("x").by({"n": 1}) == FieldContext("x")
