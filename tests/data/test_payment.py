"""Payment data: numbers in longer rows of digits, security codes, stripes, and when a card runs out near its number."""

from __future__ import annotations

import pytest

from smidgen.data import payment

VISA, AMEX = "4111111111111111", "378282246310005"


def found(text: str) -> list[tuple[str, str]]:
    return [(kind, text[start:end]) for kind, start, end in payment.spans(text)]


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
    ],
)
def test_a_code_is_found_however_it_is_set_apart_from_its_name(text: str) -> None:
    assert found(text) == [("cvv", "123")]


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
    monkeypatch.setattr(payment, "luhn", lambda digits: bool(asked.append(digits)))
    assert found("4 " * 20_000) == []
    assert 100_000 < len(asked) <= 7 * 20_000, "seven lengths at each place, and no more"
