"""A text states only numbers of a result."""

from __future__ import annotations

from smidgen.plans.numbers import missing_numbers, numbers_in, strange_numbers


def test_numbers_occur_as_values_and_in_texts() -> None:
    result = {"order": 40, "per_day": 11.8, "at": "17:40", "legs": [{"km": 1250}], "change": -3, "open": True}
    said = "Order 40 by 17:40: about 11.8 a day are sold, 3 fewer; 1,250 km."
    assert strange_numbers(said, result) == []


def test_strange_numbers_are_named_as_written() -> None:
    assert strange_numbers("Order 41, a dozen or 11.83 a day.", {"order": 40, "per_day": 11.8}) == ["41", "a dozen", "11.83"]


def test_a_truth_value_is_no_number() -> None:
    assert strange_numbers("1 van", {"open": True, "none": None}) == ["1"]


def test_numbers_that_were_read_once_are_the_same() -> None:
    known = numbers_in({"order": 40, "at": "17:40"})
    assert known == {40, 17} and strange_numbers("Order 40 by 17:40, not 41.", known) == ["41"]


def test_missing_numbers() -> None:
    assert missing_numbers("Order 40.", "order: 40; days: 5") == ["5"]
