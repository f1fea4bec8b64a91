"""Stand-ins go back into what a large model wrote: however it is cut, and never a value that is not meant."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smidgen.privacy.placeholders import Placeholders, PlaceholderStream, placeholders_like

FOUND = {"[PERSON_1]": 'Anna "Ann" Schmidt', "[PERSON_12]": "Bo", "[EMAIL_1]": "a@example.org", "[STAND_IN_1]": "[PERSON_7]"}
PLACES = Placeholders(FOUND)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Dear [PERSON_1],", 'Dear Anna "Ann" Schmidt,'),
        ("[Person_12] and [Email_1]", "Bo and a@example.org"),
        (r"[PERSON\_12], \[PERSON\_12\], \[PERSON_12\]", "Bo, Bo, Bo"),
        (r"C:\[PERSON_12]\docs", r"C:\Bo\docs"),
        ("[[PERSON_12]](mailto:[EMAIL_1])", "[Bo](mailto:a@example.org)"),
        ("[STAND_IN_1]", "[PERSON_7]"),
    ],
)
def test_a_stand_in_goes_back(written: str, read: str) -> None:
    assert PLACES.restored(written) == read


@pytest.mark.parametrize(
    "written",
    [
        "[PERSON_2]",
        "[PERSON_01]",
        "[PERSON_120]",
        "rows[person_1]",
        "[person_1]",
        "[Person 1]",
        "[PERSON 1]",
        "PERSON_1",
        "[PERSON_]",
        "[_1]",
        "[DATE_1]",
    ],
)
def test_what_may_be_something_else_stays(written: str) -> None:
    assert PLACES.restored(written) == written


def test_in_json_values_are_escaped() -> None:
    text = json.dumps({"to": "[PERSON_1]", "path": "a\\[PERSON_12]"})
    assert json.loads(PLACES.restored(text, escaped=True)) == {"to": FOUND["[PERSON_1]"], "path": "a\\Bo"}


PIECES = st.lists(
    st.sampled_from([*FOUND, "[Person_1]", r"\[PERSON\_12\]", "[PERSON_2]", "[", "]", "\\", "[PER", "SON_1", "_", "1", "a ", "[link](x)"]),
    max_size=12,
)


@given(PIECES, st.lists(st.integers(0, 80), max_size=12), st.sampled_from([True, False, None]))
def test_however_it_is_cut_the_text_is_the_same(pieces: list[str], cuts: list[int], escaped: bool | None) -> None:
    text = "".join(pieces)
    places = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    flow = PlaceholderStream(PLACES, escaped)
    sent = [flow.take(text[start:end]) for start, end in itertools.pairwise(places)]
    assert "".join(sent) + flow.rest() == PLACES.restored(text, bool(escaped)), "and none of these texts begins as JSON does"


ODD = {"[ADDRESS_1]": '12 "Elm"\nPath\\x', "[PERSON_1]": r"M\u00fcller\nBo", "[ID_1]": r"CORP\bob", "[EMAIL_1]": "a@example.org"}
STRANGE = Placeholders(ODD)
ESCAPED = {"[ADDRESS_1]": r"12 \"Elm\"\nPath\\x", "[PERSON_1]": r"M\u00fcller\nBo", "[ID_1]": r"CORP\\bob", "[EMAIL_1]": "a@example.org"}


@pytest.mark.parametrize(
    "text",
    [
        '```json\n{{"a": "{}", "b": 1}}\n```',
        'Here: {{"a":"{}"}}',
        'Here: {{"a":"to {}, x"}} and more',
        '```json\n{{\n  "n": 1,\n  "who": {{"name": "x", "to" : "{}"}}\n}}\n```',
        '```json\n["x",\n  "{}"]\n```',
        'so: {{"names": ["x", 1.5, null, "{}"]}}',
        'so: {{"{}": 1}}',
        'a 5" pipe, {{"a":"{}"}}',
        'He said: "x"\n{{"a":"{}"}}',
        r'so: {{"a":"x \" y: \"{}"}}',
        '{{"a":"x"}}\n{{"a":"{}"}}',
        '"key": "{}"',
        'so "a" : "{}"',
    ],
)
@pytest.mark.parametrize("place", ODD)
def test_in_a_string_of_json_in_another_text_values_are_escaped(text: str, place: str) -> None:
    assert STRANGE.restored(text.format(place)) == text.format(ESCAPED[place])


@pytest.mark.parametrize(
    "text",
    [
        'He said: "Dear {}"',
        '"Yes," he said: "Dear {}"',
        '"Yes", "no" and "Dear {}"',
        'so: {{"a": "x"}} and he said "Dear {}"',
        'so: {{"a": "x"}}: {}',
        'the "name: "{}"',
        '{{"a": "x\nDear {}',
        '"key"\n: he said: "{}"',
        "it's {}",
        '[the "name"]: "{}"',
        r"\"key\": \"{}\"",
    ],
)
@pytest.mark.parametrize("place", ODD)
def test_in_prose_they_are_not(text: str, place: str) -> None:
    assert STRANGE.restored(text.format(place)) == text.format(ODD[place])


QUOTED = st.lists(
    st.sampled_from([*ODD, '"a": "', '"', '",', "{", "[", ": ", "\\", "\n", "]", "}", "x ", "1", "tr", "ue", " " * 90, "[ADD", "RESS_1]"]),
    max_size=16,
)


@settings(deadline=None)
@given(QUOTED, st.lists(st.integers(0, 300), max_size=16))
def test_however_it_is_cut_a_string_of_json_is_one(pieces: list[str], cuts: list[int]) -> None:
    text = "".join(pieces)
    places = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    flow = PlaceholderStream(STRANGE, False)
    sent = [flow.take(text[start:end]) for start, end in itertools.pairwise(places)]
    assert "".join(sent) + flow.rest() == STRANGE.restored(text)


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("Dear [", 1),
        ("Dear [PERSON", 7),
        ("Dear [PERSON_1", 9),
        ("Dear [PX", 0),
        ("Dear [PERSON_3", 0),
        ("see [link", 0),
        ("x[p", 0),
        ("done.", 0),
        (r"a \[EM", 4),
    ],
)
def test_no_more_is_held_back_than_could_become_one(text: str, held: int) -> None:
    assert PLACES.held(text) == held
    assert Placeholders({}).held(text) == 0


def test_what_looks_like_a_stand_in_is_given_to_nobody() -> None:
    assert placeholders_like(r"a[person_1] [Person 2] \[STAND\_IN\_3\] [EMAIL_04] [x] []") == {
        "[PERSON_1]",
        "[PERSON_2]",
        "[STAND_IN_3]",
        "[EMAIL_4]",
    }
