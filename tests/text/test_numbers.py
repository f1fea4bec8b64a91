"""Numbers in digits and in words: found where they stand, read as what they say."""

from __future__ import annotations

import pytest

from smidgen.text import numbers


@pytest.mark.parametrize(
    ("words", "number"),
    [
        ("£1,250.50", 1250.5),
        ("1.250,50 €", 1250.5),
        ("1,250", 1250),
        ("1 000 000", 1_000_000),
        ("1,234,567", 1_234_567),
        ("12,5", 12.5),
        ("5kg", 5),
        ("x2", 2),
        ("-3", -3),
        ("two", 2),
        ("Twenty-five", 25),
        ("one hundred and five", 105),
        ("two thousand three hundred", 2300),
        ("a dozen", 12),
        ("half a dozen", 6),
        ("two dozen", 24),
        ("a couple", 2),
        ("0,500", 0.5),
        ("0.125", 0.125),
        ("2500,125", 2500.125),
        ("2 500,125", 2500.125),
        ("12345678901234567", 12345678901234567),
        ("9" * 400, None),
        ("9" * 5000, None),
        ("-£5", -5),
        ("−€ 1,250.50", -1250.5),
        ("£-5", -5),
        ("minus 5", -5),
        ("minus five", -5),
        ("minus", None),
        ("two thousand and five", 2005),
        ("a thousand and one", 1001),
        ("one million and two", 1_000_002),
        ("two thousand and five hundred", 2500),
        ("five and six", 5),
        ("one hundred and five and six", 105),
        ("two thousand and, say, five", 2000),
        ("a mug", None),
        ("A4", None),
        ("", None),
    ],
)
def test_numbers_are_read(words: str, number: float | None) -> None:
    found = numbers.read(words)
    assert found == number and isinstance(found, float) == isinstance(number, float)


def test_the_mark_settles_what_could_be_either() -> None:
    assert numbers.read("1,250", ",") == 1.25 and numbers.either_way("1,250") and numbers.either_way("1.250")
    assert not any(numbers.either_way(words) for words in ("1250", "1.250,50", "12,5", "two")) and numbers.read("1.250", ",") == 1250


def test_a_number_that_can_be_read_in_one_way_tells_its_mark() -> None:
    assert [numbers.mark(words) for words in ("12,50", "1.250,75", "0,125", "2500,125", "1.250.000")] == [","] * 5
    assert [numbers.mark(words) for words in ("£12.50", "1,250.75", "0.125", "1,250,000")] == ["."] * 4
    assert [numbers.mark(words) for words in ("1,250", "1.250", "1250", "two", "two of 1.5", "")] == [None] * 6
    assert numbers.read("0.125", ",") == 0.125 and not numbers.either_way("0,500")


def test_they_are_found_where_they_stand() -> None:
    text = "Order 20731: ordered 12 plates at £4.50, box had eight. Both lids of A4 gone. It is -£5 to minus five, 7-8."
    found = ["20731", "12", "4.50", "eight", "Both", "-£5", "minus five", "7", "8"]
    assert [text[start:end] for start, end in numbers.find(text)] == found
