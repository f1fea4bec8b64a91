"""Numbers that a word before them makes personal, and forms that only personal numbers have."""

from __future__ import annotations

import pytest

from smidgen.privacy import text_patterns

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm5hIn0.c2lnbmF0dXJl-_x"


def found(text: str) -> list[tuple[str, str]]:
    return [(kind, text[start:end]) for kind, start, end in text_patterns.labelled_spans(text)]


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
        ("Phone: 20123456", "phone", "20123456"),
        ("Phone: (99) 645-791", "phone", "(99) 645-791"),
        ("fax no. = 12345", "phone", "12345"),
        ("Tel.: 20 12 34 56", "phone", "20 12 34 56"),
        ("mobile (home): 0151/2345678", "phone", "0151/2345678"),
        ('{"homePhone": 20123456}', "phone", "20123456"),
        ('{"work_phone_number": "20123456"}', "phone", "20123456"),
        ("phone 2: 20123456", "phone", "20123456"),
        ("dob: 19530412", "date", "19530412"),
        ("date of birth 12.04.1953", "date", "12.04.1953"),
        ('{"birthDate": "1953-04-12T00:00:00Z"}', "date", "1953-04-12"),
        ("D.O.B. = 041253", "date", "041253"),
        ("Birthday: 4/12/53", "date", "4/12/53"),
        ("zip: 12345-6789", "address", "12345-6789"),
        ('{"zip_code": "02134"}', "address", "02134"),
        ("postcode 1234", "address", "1234"),
        ("postal code #123-4567", "address", "123-4567"),
        ('{"lat": 52.5200066, "lon": 13.404954}', "place", "52.5200066"),
        ('{"lat": 52.5200066, "lon": 13.404954}', "place", "13.404954"),
        ("Longitude = -0.127758", "place", "-0.127758"),
        ('{"geoLng": 13.404}', "place", "13.404"),
        ("long: 13.404954", "place", "13.404954"),
        ("driver's license D1234567", "id", "D1234567"),
        ("my driving licence is d1234567", "id", "d1234567"),
        ("my account is 4455667", "id", "4455667"),
        ("account 4455667 shows nothing", "id", "4455667"),
        ("the MRN of Anna Schmidt is 558812", "id", "558812"),
        ("the passport number for my son was X1234567", "id", "X1234567"),
        ("MRN's 558812", "id", "558812"),
        ("the member is AB12CDE", "id", "AB12CDE"),
        ("my license plate is ABC123", "id", "ABC123"),
        ("insurance AB1234567", "id", "AB1234567"),
        ("pacemaker serial A12345", "device", "A12345"),
        ("the serial of the pump is 44-12034", "device", "44-12034"),
        ("serial: SN441", "device", "SN441"),
        ("my ZIP is 02139", "address", "02139"),
        ("the zip of my office was 8001", "address", "8001"),
        ("Cambridge, zip 02139", "address", "02139"),
        ("the postcode for delivery is 1234", "address", "1234"),
        (f"Bearer {JWT}.", "id", JWT),
        (f"token={JWT}&x=1", "id", JWT),
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
        "smartphone: 20123456",
        "phone the 20123456 people",
        "mobile: 10,000 users of 55.5 %",
        "cell: 1234",
        "zip 12345 files",
        "zip: 123",
        "unzip: 12345",
        "date of birth: 1953",
        "birthday in 1953",
        "lat: 52.52",
        "flat: 52.5200066",
        "2 m long 1.2345",
        "long: 1.234.5",
        "plateau: 13.404954",
        "eyJhbGciOi.eyJz",
        "a tax of 12500 and insurance 20000",
        "the tax is 12500",
        "account is 25000 euros",
        "account 1234.56",
        "policy 2023-24 review",
        "certificate ISO27001",
        "certificate sha256",
        "license GPLv3",
        "chart of 10000 patients",
        "member since 2019",
        "the account is closed since 12 May",
        "zip 1234",
        "zip 12345 archives",
        "serial port 9600",
        "serial killer of 1888",
    ],
)
def test_it_is_not(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize("text", ["l\u0131cence D1234567", "L\u0130CENCE D1234567", "in\u017furance AB1234567"])
def test_letters_that_count_as_others_where_case_does_not_matter_hide_no_word(text: str) -> None:
    assert [kind for kind, _ in found(text)] == ["id"]


@pytest.mark.parametrize(
    ("text", "mail"),
    [
        ("anna at example dot org", "anna at example dot org"),
        ("email me at anna dot smith AT example dot co dot uk please", "anna dot smith AT example dot co dot uk"),
        ("anna (at) example (dot) org", "anna (at) example (dot) org"),
        ("anna[at]example.org", "anna[at]example.org"),
        ("hallo anna ät beispiel punkt de", "anna ät beispiel punkt de"),
        ("anna@example dot org", "anna@example dot org"),
    ],
)
def test_an_address_in_words_is_found_whole(text: str, mail: str) -> None:
    assert ("email", mail) in found(text)


@pytest.mark.parametrize("text", ["look at example dot org", "we meet at noon dot", "see it at the dot", "order at example dot com"])
def test_a_preposition_makes_no_address(text: str) -> None:
    assert [kind for kind, _ in found(text) if kind == "email"] == []


@pytest.mark.parametrize(
    "text",
    [
        "card four one one one one one one one one one one one one one one one",
        "call zero one seven one, five five five, zero one four two",
        "Konto eins zwei zwei vier null null sieben acht neun",
    ],
)
def test_a_number_in_words_is_found(text: str) -> None:
    assert "number" in {kind for kind, *_ in text_patterns.every_span(text)}


@pytest.mark.parametrize(
    "text", ["count one two three four five six seven eight nine", "one or two, three or four", "five six seven eight"]
)
def test_counting_is_no_number(text: str) -> None:
    assert "number" not in {kind for kind, *_ in text_patterns.every_span(text)}
