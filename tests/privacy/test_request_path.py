"""Of a path and a query: words of the interface and ids pass, the rest is read."""

from __future__ import annotations

import pytest

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
