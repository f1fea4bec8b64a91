"""What a failing server says: when to come back, and why, with no key in it."""

from __future__ import annotations

import pytest

from smidgen.core.errors import failure_reason, one_line, retry_after


def test_when_to_come_back() -> None:
    assert retry_after({"retry-after": "3"}) == 3.0 and retry_after({"retry-after": "-1"}) == 0.0
    assert retry_after({"retry-after": "Thu, 01 Jan 1970 00:01:00 GMT"}, now=50.0) == 10.0
    assert [retry_after({"retry-after": value}) for value in ("soon", "nan", "inf", "-inf", "1e999", "")] == [None] * 6
    assert retry_after({}) is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": {"message": "no  model\\n here"}}', "no model here"),
        (b'{"error": "bad key sk-1"}', "bad key \u2026"),
        (b'{"message": "near it"}', "near it"),
        (b'{"error": {"message": 3}}', ""),
        (b"[1]", ""),
        (b"<html>", ""),
        (b"", ""),
        (b"[" * 100_000, ""),
    ],
)
def test_what_went_wrong(body: bytes, said: str) -> None:
    assert failure_reason(body, "sk-1") == said


def test_it_is_one_line_and_not_too_long() -> None:
    assert one_line("a\n\tb " * 200, None).startswith("a b a b") and len(one_line("x" * 999, None)) == 200
