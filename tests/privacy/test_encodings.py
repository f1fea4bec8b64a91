"""Escapes in a text that is not JSON as a whole are read as they are meant, and every place is known in the text as it is written."""

from __future__ import annotations

import itertools
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smidgen.core.errors import RedactionError
from smidgen.privacy import encodings, text_patterns
from smidgen.privacy.encodings import unescape
from smidgen.privacy.redactor import Redactor

MULLER = "M" + r"\u00fc" + "ller"


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        (r"a\nb\r\tc\fd\be", "a\nb\r\tc d e"),
        (r"a\\nb and a\\\nb", "a\\nb and a\\\nb"),
        (MULLER + r" \ud83d\ude00 \ud83d \u12", "Müller \N{GRINNING FACE} " + r"\ud83d \u12"),
        (r"O\'Brien said \"030\/12345\"", 'O\'Brien said "030/12345"'),
        (r"C:\new\reports, d:\temp and \\server\name\b", r"C:\new\reports, d:\temp and \\server\name\b"),
        (r"(\\server\name) `C:\new`", r"(\\server\name) `C:\new`"),
        (r'{"path":"C:\\new\nAnna","share":"\\\\server\\name\nBo"}', '{"path":"C:\\new\nAnna","share":"\\\\server\\name\nBo"}'),
        (r"Q:\nWho?\nA:\nAnna\nNINO:\nAB", "Q:\nWho?\nA:\nAnna\nNINO:\nAB"),
        (r"\d+\.\w \Z", r"\d+\.\w \Z"),
        ("no escape", "no escape"),
    ],
)
def test_escapes_are_read_from_left_to_right_and_paths_are_left_alone(text: str, plain: str) -> None:
    assert unescape(text).plain == plain


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a", " ", r"\n", r"\\", "\\", r"\u00fc", r"\ud83d\ude00", "C:\\", '"', "n"]), max_size=20))
def test_every_place_is_known_in_the_text_as_it_is_written(pieces: list[str]) -> None:
    text = "".join(pieces)
    seen = unescape(text)
    places = [seen.place(place) for place in range(len(seen.plain) + 1)]
    assert (places[0], places[-1]) == (0, len(text)) and places == sorted(set(places))
    written = [text[start:end] for start, end in itertools.pairwise(places)]
    assert [one if len(one) == 1 else unescape(one).plain for one in written] == list(seen.plain)


@pytest.mark.parametrize(
    ("value", "kind"),
    [("anna@example.org", "EMAIL"), ("AB123456C", "ID"), ("12345678Z", "ID"), ("030 12345", "PHONE"), ("+49 30 1234567", "PHONE")],
)
@pytest.mark.parametrize("form", ["Reply to: {}", "```json\n{}\n```", '{}\n{{"a": 1}}'])
def test_a_value_behind_an_escape_is_found_and_is_the_text_as_it_stood_there(value: str, kind: str, form: str) -> None:
    body = json.dumps({"body": f"Contact me at:\n{value}\nthanks"})
    redactor = Redactor()
    safe = redactor.mask(form.format(body))
    assert redactor.found == {f"[{kind}_1]": value}
    assert safe == form.format(body).replace(value, f"[{kind}_1]") and redactor.unmask(safe) == form.format(body)


def test_what_an_escape_hides_is_found_where_it_was_found_before() -> None:
    redactor = Redactor(lambda text: [("person", 0, 4)] if text == "Anna asks" else [])
    assert redactor.mask("Anna asks") == "[PERSON_1] asks"
    assert redactor.mask(r'so: {"to":"Dear\nAnna"}') == r'so: {"to":"Dear\n[PERSON_1]"}'
    other = Redactor(lambda text: [("person", 4, 4 + len(MULLER))] if text.startswith("by ") else [])
    assert other.mask(f'by "{MULLER}"; {MULLER}') == 'by "[PERSON_1]"; [PERSON_1]'
    assert other.mask("it was Müller") == "it was [PERSON_2]", "a value that is known, written otherwise"


def test_what_is_hidden_by_an_escape_alone_is_found_or_refused() -> None:
    redactor = Redactor()
    assert redactor.mask(r"anna\u0040example.org, 030\/1234567") == "[EMAIL_1], [PHONE_1]"
    assert redactor.unmask("[EMAIL_1]") == r"anna\u0040example.org"
    for hidden in (r"jane\u200b@example.org", r"card 4111 11\u200b11 1111 1111", r"tel 06\u202f12\u202f34\u202f56\u202f78"):
        with pytest.raises(RedactionError, match="normalised"):
            Redactor().mask(hidden)


def test_what_was_decided_on_is_not_refused_for_an_escape_beside_it() -> None:
    def model(text: str) -> list[tuple[str, int, int]]:
        return [("id", text.index("123456789012"), text.index("123456789012") + 12)] if "123456789012" in text else []

    text = r'file {"a":"b\nc"} 123456789012'
    assert Redactor(model, allowed=frozenset({"id"})).mask(text) == text
    with pytest.raises(RedactionError, match="a long number"):
        Redactor(model, allowed=frozenset({"id"})).mask(text + r" or 98765\u200b4321098")


@pytest.mark.parametrize(
    "text",
    [
        "GET /reset?email=anna%40example.org&tel=030%2F1234567",
        "GET /pay?card=4111%201111%201111%201111",
        "GET /pay?x=%41&card=4111+1111+1111+1111",
        "twice anna%2540example.org",
        "hidden jane%E2%80%8B%40example.org",
        r"escaped anna\u002540example.org",
    ],
)
def test_what_is_percent_encoded_is_refused(text: str) -> None:
    with pytest.raises(RedactionError, match="left in a text, encoded") as refused:
        Redactor().mask(text)
    assert "example" not in str(refused.value)


@pytest.mark.parametrize("text", ["100% of 4,000", "/a%20b?q=x%2Fy", "it is 50%25", "%d and %08x", "12%20 off"])
def test_other_percents_stay(text: str) -> None:
    assert Redactor().mask(text) == text


def test_a_long_text_of_escapes_takes_no_more_than_its_time() -> None:
    began = time.process_time()
    for text in (r"\n" * 100_000, "C:" * 100_000 + "\\", r"\\a" * 50_000, r"\u00fc" * 30_000, "%41" * 50_000):
        Redactor().mask(text)
    assert time.process_time() - began < 5


@pytest.mark.parametrize("form", ["&#{};", "&#x{:x};", "\\x{:02x}", "&amp;#{};"])
def test_a_card_in_character_references_does_not_leave(form: str) -> None:
    card = "".join(form.format(ord(digit)) for digit in "4111111111111111")
    with pytest.raises(RedactionError, match="left in a text, encoded"):
        Redactor(forms=text_patterns.usual_spans).mask(f"my card {card}")
    assert Redactor(forms=text_patterns.usual_spans).mask("Tom &amp; Jerry &#8211; 5 \\x41") == "Tom &amp; Jerry &#8211; 5 \\x41"


def test_a_data_address_needs_no_media_type() -> None:
    text = "see data:;base64,YW5uYUBleGFtcGxlLm9yZw=="
    assert encodings.base64_spans(text) == [(4, len(text))]
