"""Numbers that a word before them makes personal, and forms that only personal numbers have."""

from __future__ import annotations

import pytest

from smidgen.data import labelled


def found(text: str) -> list[tuple[str, str]]:
    return [(kind, text[start:end]) for kind, start, end in labelled.spans(text)]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("MRN 00123-A", "id", "00123-A"),
        ("Medical record number: 558812", "id", "558812"),
        ("patient ID 77-1234", "id", "77-1234"),
        ("account no. 4455667", "id", "4455667"),
        ("policy #AB1234", "id", "AB1234"),
        ("member: X90812", "id", "X90812"),
        ("driving licence number is D123-4567", "id", "D123-4567"),
        ("Medicare 1EG4-TE5-MK73 card", "id", "1EG4-TE5-MK73"),
        ("VIN 1M8GDM9AXKP042788", "id", "1M8GDM9AXKP042788"),
        ("serial number SN-44-120", "device", "SN-44-120"),
        ("MAC 00:1B:44:11:3A:B7", "device", "00:1B:44:11:3A:B7"),
        ("a 93-year-old man", "age", "93"),
        ("aged 101", "age", "101"),
        ("91 y/o", "age", "91"),
        ("mrn: x90812", "id", "x90812"),
        ("MRN\n00123-A", "id", "00123-A"),
        ("**MRN:** 558812", "id", "558812"),
        ('the row {"mrn": "X90812"} of it', "id", "X90812"),
        ("patientid 77-1234", "id", "77-1234"),
        ("deviceid=d-8f3a21", "device", "d-8f3a21"),
        ("Age: (93)", "age", "93"),
        ('the row {"age": 93}', "age", "93"),
        ("age in years is 94", "age", "94"),
        ("see https://example.org/p?id=1.", "url", "https://example.org/p?id=1"),
        ("(www.example.org)", "url", "www.example.org"),
    ],
)
def test_it_is_found(text: str, kind: str, value: str) -> None:
    assert (kind, value) in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "the policy 2023 review",
        "account manager",
        "tax 2024",
        "patient since 1999",
        "aged 89",
        "a 45-year-old",
        "1M8GDM9A0KP042788",
        "page 93",
        "12:30:45:11",
        "deadline-2024-05",
        "deal 1234",
        "93y+o",
        "stage: 93",
    ],
)
def test_it_is_not(text: str) -> None:
    assert found(text) == []
