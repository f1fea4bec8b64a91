"""Payment data: numbers in longer rows of digits, security codes, stripes, and when a card runs out near its number."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from smidgen.privacy import identifiers

VISA, AMEX = "4111111111111111", "378282246310005"


def found(text: str) -> list[tuple[str, str]]:
    return [(kind, text[start:end]) for kind, start, end in identifiers.card_spans(text)]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (f"card {VISA}.", VISA),
        ("4111 1111 1111 1111 123", "4111 1111 1111 1111"),
        ("4111.1111.1111.1111", "4111.1111.1111.1111"),
        ("12 4111-1111-1111-1111 99", "4111-1111-1111-1111"),
        (f"no{AMEX}x", AMEX),
        (f"order 7 {VISA} 12/27", VISA),
    ],
)
def test_a_number_is_found_in_a_row_of_digits(text: str, number: str) -> None:
    assert ("card", number) in found(text)


@pytest.mark.parametrize("text", ["4111111111111112", "1234567812345670", "9111111111111111111111111", "tel 030 1234567"])
def test_what_fails_its_check_or_begins_as_no_network_does_is_none(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("4111 1111\n1111 1111", "4111 1111\n1111 1111"),
        ("> 4111 1111\r\n> 1111 1111", "4111 1111\r\n> 1111 1111"),
        ("4111\t1111\t1111\t1111", "4111\t1111\t1111\t1111"),
        ("12\t4111\t1111\t1111\t1111\t1227\t123", "4111\t1111\t1111\t1111"),
        ("4111,1111,1111,1111", "4111,1111,1111,1111"),
        ("my card is 4111, 1111, 1111, 1111", "4111, 1111, 1111, 1111"),
        ("4111  -  1111  -  1111  -  1111", "4111  -  1111  -  1111  -  1111"),
        ("| 4111 | 1111 | 1111 | 1111 |", "4111 | 1111 | 1111 | 1111"),
        ("credit card\n4111\n1111\n1111\n1111", "4111\n1111\n1111\n1111"),
        ("3782\t822463\t10005", "3782\t822463\t10005"),
        ("3056,930902,5904", "3056,930902,5904"),
        ("6011|0009|9013|9424", "6011|0009|9013|9424"),
    ],
)
def test_a_number_is_found_whose_groups_stand_apart(text: str, number: str) -> None:
    assert ("card", number) in found(text)


def test_cards_one_after_the_other_are_no_list_of_numbers() -> None:
    rows = "4111\t1111\t1111\t1111\n5500\t0000\t0000\t0004"
    assert found(rows) == [("card", "4111\t1111\t1111\t1111"), ("card", "5500\t0000\t0000\t0004")]


@pytest.mark.parametrize(
    "text",
    [
        "4111,1111,1111,1112",
        "1234\t5678\t1234\t5670",
        "9876,4111,1111,1111,1111",
        "4111,1111,1111,1111,9876",
        "4111, 1111, 1111, 1111",
        "4111\n1111\n1111\n1111",
        "4111 - 1111, 1111 - 1111",
        "411,1111,1111,11111",
        "4111\x1c1111\t1111\t1111",
        "\x1c, 4111\t1111\t1111\t1111",
    ],
)
def test_four_numbers_of_four_digits_are_no_card_by_their_check_digit_alone(text: str) -> None:
    assert found(text) == []


def _table(draw: random.Random) -> str:
    """Ten rows of five columns of four digits."""
    return "\n".join("\t".join(str(draw.randint(1000, 9999)) for _ in range(5)) for _ in range(10))


def _square(draw: random.Random) -> str:
    """Ten rows of four columns, with signs between them."""
    return "\n".join("| " + " | ".join(str(draw.randint(1000, 9999)) for _ in range(4)) + " |" for _ in range(10))


def _orders(draw: random.Random) -> str:
    """Order numbers in a sentence, the next about as high as the one before."""
    first = draw.randint(1000, 9000)
    return f"Where are my orders {', '.join(str(first + 7 * draw.randint(0, 90)) for _ in range(draw.randint(4, 9)))}? They are late."


def _column(draw: random.Random) -> str:
    """A number a line."""
    return "sales\n" + "\n".join(str(draw.randint(1000, 9999)) for _ in range(draw.randint(4, 30)))


def _mixed(draw: random.Random) -> str:
    """Rows as an export has them: a number, an amount, a quantity, a year, a code."""
    row = "{},{}.{:02},{},{},{}"
    kinds = ((1000, 99999), (1, 999), (0, 99), (1, 60), (2015, 2027), (1000, 9999))
    return "\n".join(row.format(*(draw.randint(*kind) for kind in kinds)) for _ in range(12))


@pytest.mark.parametrize("made", [_table, _square, _orders, _column, _mixed])
def test_texts_of_many_plain_numbers_seldom_look_like_cards(made: Callable[[random.Random], str]) -> None:
    draw = random.Random(17)
    texts = [made(draw) for _ in range(500)]
    assert sum(any(kind == "card" for kind, _ in found(text)) for text in texts) <= 5, "one text in a hundred at most"


def test_four_plain_numbers_that_stand_alone_seldom_look_like_a_card() -> None:
    draw = random.Random(17)
    texts = ["\t".join(str(draw.randint(1000, 9999)) for _ in range(4)) for _ in range(2_000)]
    assert sum(found(text) != [] for text in texts) <= 0.05 * len(texts), "a network's first digits, and one in ten by the check digit"


def test_codes_are_found_by_their_name() -> None:
    texts = ("CVV: 123", "cvc2 is 9876", "security code 123", "card verification value=321", "Prüfziffer 123", "CVV2 number 456")
    assert [[value for kind, value in found(text) if kind == "cvv"] for text in texts] == [
        ["123"],
        ["9876"],
        ["123"],
        ["321"],
        ["123"],
        ["456"],
    ]
    assert found("cvv 12345, page 123, csc") == []


@pytest.mark.parametrize(
    "text",
    [
        "cvv\n123",
        "CVV (123)",
        "CVV-Code: 123",
        'the row {"cvv": "123"} of it',
        'the row {\\"cvv\\": \\"123\\"} of it',
        "Security code - 123",
        "securitycode=123",
        "cvv value: 123",
        "the CVV for this card is 123",
        "my security code on the back is 123",
        "My CVV's 123",
        "My CVV\u2019s 123",
        "CID 123",
        "CAV2 123",
        "The security code: it is 123",
        "CVC of my Visa, 123",
        "the CVV for the card ending in 1111 is 123",
        "the three digits on the back of my card are 123",
    ],
)
def test_a_code_is_found_however_it_is_set_apart_from_its_name(text: str) -> None:
    assert found(text) == [("cvv", "123")]


def test_a_code_stands_behind_the_number_of_its_card_as_well() -> None:
    assert found(f"the CVV for {VISA} is 123") == [("cvv", "123"), ("card", VISA)]
    spaced = "4111 1111 1111 1111"
    assert found(f"the CVV for {spaced} is 123") == [("cvv", "123"), ("card", spaced)]
    assert found(f"the CVV for {spaced} is wrong") == [("card", spaced)], "a group of the card's is no code"


@pytest.mark.parametrize(
    "text",
    ["security code for door 123", "cid:1234", "the CVV was changed in 2024", "CVE-2024 1234", "a card security code has 3 or 4 digits"],
)
def test_other_numbers_behind_its_name_are_no_code(text: str) -> None:
    assert found(text) == []


def test_stripes_are_found_and_hide_the_number_in_them() -> None:
    first = f"%B{VISA}^DOE/JANE^27121010000000000000?"
    second = f";{VISA}=27121010000012345678?"
    assert found(f"swipe {first} {second}") == [("track", first), ("track", second)]


def test_a_month_counts_near_a_card_alone() -> None:
    assert ("expiry", "12/27") in found(f"{VISA} 12/27")
    assert ("expiry", "03-2028") in found(f"exp 03-2028, card {VISA}")
    assert ("expiry", "0328") in found(f"card {VISA}, expires 0328")
    assert ("expiry", "2028-03") in found(f"{VISA}; exp date: 2028-03")
    assert [kind for kind, _ in found(f"{VISA}; exp month: 3, exp_year 2028, exp year 2028")] == ["card", "expiry", "expiry"]
    assert "expiry" not in [kind for kind, _ in found("due 12/27")]
    assert "expiry" not in [kind for kind, _ in found(f"{VISA} {'and more words ' * 8} 12/27")]
    assert "expiry" not in [kind for kind, _ in found(f"{VISA} on 12/27/2025, 13/27")]


def test_a_long_row_of_single_digits_ends_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(identifiers, "luhn", lambda digits: bool(asked.append(digits)))
    assert found("4 " * 20_000) == []
    assert 100_000 < len(asked) <= 7 * 20_000, "seven lengths at each place, and no more"
