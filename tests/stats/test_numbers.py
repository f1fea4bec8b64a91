"""Numbers in digits and in words: found where they stand, read as what they say."""

from __future__ import annotations

import pytest

from smidgen.stats import numbers


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


def test_they_are_found_where_they_stand() -> None:
    text = "Order 20731: ordered 12 plates at £4.50, box had eight. Both lids of A4 gone."
    assert [text[start:end] for start, end in numbers.find(text)] == ["20731", "12", "4.50", "eight", "Both"]
