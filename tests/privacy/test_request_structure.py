"""Of a path and a query: words of the interface and ids pass, the rest is read."""

from __future__ import annotations

import pytest

from smidgen.privacy.request_masking import FieldContext
from smidgen.privacy.request_structure import unknown_parts


@pytest.mark.parametrize(
    "step",
    [
        "files",
        "",
        "resp_68a1b2c3d4e5f6078192a3b4c5d6e7f8123456789012ab34",
        "file-AbC1dEf2GhI3jKl4MnO5pQ",
        "550e8400-e29b-41d4-a716-446655440000",
        "batch_550e8400-e29b-41d4-a716-446655440000",
    ],
)
def test_words_of_the_interface_and_ids_are_not_read(step: str) -> None:
    assert not unknown_parts([step], [])


@pytest.mark.parametrize("step", ["m.holloway", "margaret-holloway", "Margaret Holloway", "m.holloway@example.org", "user-margaret-1"])
def test_what_may_be_language_is_read_by_the_model(step: str) -> None:
    assert unknown_parts(["files", step], []).texts == (step,)


@pytest.mark.parametrize("step", ["tel-030-1234567", "card-4111111111111111", "card4111111111111111", "file-1", "20", "user-4x1"])
def test_what_has_a_digit_and_no_two_words_is_read_by_its_form(step: str) -> None:
    found = unknown_parts(["files", step], [])
    assert (found.texts, found.coded) == ((), (step,))


def test_the_name_of_a_model_is_no_language() -> None:
    found = unknown_parts(["", "models", "mistral-large-latest", "m.holloway@example.org"], [])
    assert (found.texts, found.coded) == ((), ("mistral-large-latest", "m.holloway@example.org"))


def test_a_value_is_read_with_its_name() -> None:
    found = unknown_parts([], [("cvv", "123"), ("limit", "20"), ("after", "file-AbC1dEf2GhI3jKl4MnO5pQ"), ("order", "asc")])
    assert (found.texts, found.coded) == (("cvv",), ("123", "cvv: 123", "20", "limit: 20"))


def test_a_long_step_is_read_soon_and_whole() -> None:
    long = "1" + "a" * 60_000
    assert unknown_parts([long], []).coded == (long,)


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
