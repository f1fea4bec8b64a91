"""What says what a text is: the words of its field's name, those of the one above, and what stands beside it."""

from __future__ import annotations

import pytest

from smidgen.gateway.labels import Label


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
    assert Label(name).words == words


def test_a_field_knows_the_one_above() -> None:
    cvv = Label("card").within({"cvv": {"value": "123"}}, "cvv")
    assert (cvv.words, cvv.within({"value": "123"}, "value").words) == ("card cvv", "cvv value")
    assert len(Label("x" * 500, "y" * 500).words) == 61


def test_a_value_that_is_named_beside_it_has_that_name() -> None:
    for pair in ({"name": "cvv", "value": "123"}, {"key": "cvv", "value": "123"}, {"label": "cvv", "value": 123}):
        assert Label().within(pair, "value").words == "cvv"
    assert Label().within({"name": "", "value": 1}, "value").words == "value"
    assert Label().within({"name": "cvv", "note": 1}, "note").words == "note"


def test_what_stands_beside_is_short_and_has_the_digits_of_a_card() -> None:
    value = {"pan": "4111 1111 1111 1111", "number": 4111111111111111, "yes": True, "n": 12, "note": "x" * 300 + "4111111111111111"}
    label = Label("card").by(value)
    beside = ("4111 1111 1111 1111", "4111111111111111")
    assert label.within(value, "n").beside == label.within(value, "n").by({"a": 1}).within({"a": 1}, "a").beside == beside
    assert label.within(value, "pan").beside == beside[1:], "nothing stands beside itself"
    many = {str(place): "4" * 13 for place in range(50)}
    assert len(Label().by(many).within(many, "x").beside) == 8 and Label("x").by({"n": 1}) == Label("x")
