"""Shapes of a conversation go to JSON and come back."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.examples import examples

from smidgen.core.conversations import Card, Citation, DeskReply, ProposedCall, Turn
from smidgen.core.errors import DataError
from smidgen.desk.store.codec import clean, facts_text, reply_from_json, reply_to_json, turn_from_json, turn_to_json

FULL = DeskReply(
    "proposed", "Shall I?", "act", "cancel", 0.9,
    (Citation("d1", "Returns", "30 days", 3, 10, "Returns > Time", 2, "https://shop.example/returns"), Citation("d2", "T", "x", 0, 1)),
    (Card("order", "Order", ({"name": "Lamp", "price": "19.00"}, {"name": "Pot"})), Card("facts", "Facts", ())),
    ProposedCall("c1", "cancel_order", {"order": "FH-1", "items": [1, 2]}, "Cancel order FH-1"),
    {"tried": ["answer", {"score": 0.2}]}, "de",
)  # fmt: skip


def test_a_full_and_an_empty_reply_come_back() -> None:
    for reply in (FULL, DeskReply("unanswered", "")):
        assert reply_from_json(json.loads(json.dumps(reply_to_json(reply)))) == reply
    assert reply_to_json(DeskReply("unanswered", "")) == {"outcome": "unanswered", "text": "", "score": 1.0}


@given(text=st.text(), score=st.floats(0, 1), start=st.integers(0, 10**9), page=st.none() | st.integers(1, 999), url=st.text())
@settings(max_examples=examples(20), deadline=None)
def test_any_reply_comes_back(text: str, score: float, start: int, page: int | None, url: str) -> None:
    reply = DeskReply("answered", text, text, "", score, (Citation(text, text, text, start, start + 1, text, page, url),))
    assert reply_from_json(json.loads(json.dumps(reply_to_json(reply)))) == reply


def test_a_turn_comes_back() -> None:
    turns = [
        Turn("desk", "Hi", datetime(2026, 1, 2, 3, 4, 5, 678, UTC), "t1", FULL),
        Turn("customer", "é", datetime(2026, 1, 1, tzinfo=UTC)),
    ]
    assert [turn_from_json(json.loads(json.dumps(turn_to_json(turn)))) for turn in turns] == turns


@pytest.mark.parametrize(
    "told", [{}, {"outcome": "won", "text": ""}, {"outcome": "answered", "text": "x", "citations": [{"document": "d"}]}]
)
def test_no_reply_is_refused(told: dict[str, object]) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        reply_from_json(told)


def test_facts_are_bounded_json() -> None:
    assert facts_text({"a": "é\0"}, "facts") == '{"a":"é\\u0000"}'
    with pytest.raises(DataError, match="too long"):
        facts_text({"a": "x" * 100}, "facts", 50)
    for bad in ({"a": float("nan")}, {"a": {1, 2}}):
        with pytest.raises(DataError, match="cannot be stored"):
            facts_text(bad, "facts")
    assert clean("a\0\ud83d", 2) == "a\ufffd" and clean("\ud83d") == "?"
