"""A request is read from a text as people and programs write it; nothing in it can make it fail."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smidgen.data.item_ids import item_ids
from smidgen.retail.requests import MAX_ITEMS, SuggestionRequest, parse_request, written

KNOWN = {"CE-1", "CE-2", "7"}


@pytest.mark.parametrize(
    ("cell", "ids"),
    [
        ("RU-004:1;RU-009:2", ["RU-004", "RU-009"]),
        ("CE-1", ["CE-1"]),
        ("a|b;a", ["a", "b"]),
        ('["a", "b:2", 7]', ["a", "b", "7"]),
        (7.0, ["7"]),
        (["x"], ["x"]),
    ],
)
def test_items_of_a_cell(cell: object, ids: list[str]) -> None:
    assert item_ids(cell) == ids


@pytest.mark.parametrize("cell", ["", "  ", ";", None, "[", [], [None], True, {"a": 1}, "x" * 201])
def test_cells_that_are_no_items(cell: object) -> None:
    with pytest.raises(ValueError, match=r"empty|list|text|characters"):
        item_ids(cell)


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        ('["CE-1", 7, "new"]', SuggestionRequest(("CE-1", "7", "new"))),
        ("CE-1, CE-2:3", SuggestionRequest(("CE-1", "CE-2"))),
        ("CE-1\nnew\n", SuggestionRequest(("CE-1", "new"))),
        ("a warm blanket, for a sofa", SuggestionRequest(text="a warm blanket, for a sofa")),
        ("a lamp under 40 cm", SuggestionRequest(text="a lamp under 40 cm")),
        ("a mug, bis 20 Euro", SuggestionRequest(text="a mug", most=20.0)),
        ('{"text": "under £7.50 a mug"}', SuggestionRequest(text="a mug", most=7.5)),
        ("", SuggestionRequest()),
        ("[unclosed", SuggestionRequest(text="[unclosed")),
        (
            '{"history": ["CE-1", null], "text": " mug ", "n": 3, "exclude": ["7"], "in_stock": true, "language": "de"}',
            SuggestionRequest(("CE-1",), "mug", 3, frozenset({"7"}), True, "de"),
        ),
        ('{"n": 100000, "language": "xx", "in_stock": 1, "history": "CE-1"}', SuggestionRequest(count=MAX_ITEMS)),
        ('{"n": -4}', SuggestionRequest(count=1)),
        ('{"n": true}', SuggestionRequest()),
    ],
)
def test_requests(text: str, request_: SuggestionRequest) -> None:
    assert parse_request(text, KNOWN) == request_


@pytest.mark.parametrize(
    ("text", "history", "words"),
    [
        ("What goes with the Oak Stool?", ("7",), ""),
        ("Was passt zum Oak Stool?", ("7",), ""),
        ("She bought CE-1 and CE-2. What would you suggest?", ("CE-1", "CE-2"), ""),
        ("a warm blanket that goes with the oak stool tall", ("CE-2",), "a warm blanket that goes with the"),
        ("Show me the Oak Stool", (), "Show me the Oak Stool"),
        ("what goes with my sofa", (), "what goes with my sofa"),
        ("it matches oak stools", (), "it matches oak stools"),
    ],
)
def test_items_in_a_sentence_are_a_history(text: str, history: tuple[str, ...], words: str) -> None:
    assert parse_request(text, KNOWN, {"oak stool": "7", "oak stool tall": "CE-2"}) == SuggestionRequest(history, words)


@given(st.text(max_size=200) | st.lists(st.integers() | st.text(max_size=5) | st.none(), max_size=5).map(str))
def test_any_text_is_a_request(text: str) -> None:
    found = parse_request(text, KNOWN)
    assert 1 <= found.count <= MAX_ITEMS and all(found.history)


def test_a_history_is_read_as_it_was_written() -> None:
    assert parse_request(written(["CE-1", 'odd "id", with comma']), KNOWN).history == ("CE-1", 'odd "id", with comma')


def test_what_looks_like_an_id_is_no_word() -> None:
    assert parse_request("ZZ-9", {"CE-001"}).history == ("ZZ-9",)
    assert parse_request("4 mugs", {"CE-001"}).text == "4 mugs" and parse_request("blanket", {"CE-001"}).text == "blanket"
