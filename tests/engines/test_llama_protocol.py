"""The messages between smidgen and the process that runs llama.cpp."""

from __future__ import annotations

import io
import math
from typing import Any

import pytest

from smidgen.engines.llama_protocol import LONGEST, PieceSender, packed, receive


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def piece(text: str, **more: Any) -> dict[str, Any]:
    return {"id": 7, "text": text, "count": 1, "tokens": [[1, text, -0.5, []]], **more}


def test_the_first_piece_goes_at_once_and_those_shortly_after_it_together() -> None:
    sent: list[dict[str, Any]] = []
    clock = Clock()
    parcels = PieceSender(sent.append, 0.02, clock=clock)
    parcels.add(piece("a"))
    assert [message["text"] for message in sent] == ["a"]
    for text in ("b", "c"):
        clock.now += 0.008
        parcels.add(piece(text))
    assert len(sent) == 1, "both came within the time"
    clock.now += 0.008
    parcels.add(piece("d"))
    assert [message["text"] for message in sent] == ["a", "bcd"]
    assert sent[1]["count"] == 3
    assert [token[1] for token in sent[1]["tokens"]] == ["b", "c", "d"]
    assert sent[1]["id"] == 7


def test_what_waits_is_sent_by_a_flush_and_once() -> None:
    sent: list[dict[str, Any]] = []
    parcels = PieceSender(sent.append, 60.0, clock=Clock())
    parcels.add(piece("a"))
    parcels.add(piece("b"))
    parcels.flush()
    parcels.flush()
    assert [message["text"] for message in sent] == ["a", "b"]


def test_a_change_of_a_message_goes_alone_and_after_what_waited() -> None:
    sent: list[dict[str, Any]] = []
    parcels = PieceSender(sent.append, 60.0, clock=Clock())
    for one in (piece("a"), piece("b"), piece("", delta={"content": "c"}), piece("d")):
        parcels.add(one)
    assert [(message["text"], "delta" in message) for message in sent] == [("a", False), ("b", False), ("", True)]


def test_without_time_every_piece_goes_alone() -> None:
    sent: list[dict[str, Any]] = []
    parcels = PieceSender(sent.append, 0.0, clock=Clock())
    for text in "abc":
        parcels.add(piece(text))
    assert [message["text"] for message in sent] == ["a", "b", "c"]


def test_apart_each_piece_stays_one_and_a_change_of_a_message_too() -> None:
    sent: list[dict[str, Any]] = []
    clock = Clock()
    parcels = PieceSender(sent.append, 0.02, apart=True, clock=clock)
    pieces = [piece("a"), piece("b"), piece("", delta={"content": "c"}), piece("d"), piece("e")]
    for one in pieces:
        parcels.add(one)
        clock.now += 0.006
    assert sent == [pieces[0], {"id": 7, "parts": pieces[1:]}]
    parcels.add(pieces[0])
    parcels.flush()
    assert sent[2:] == [pieces[0]], "one alone is no message of parts"


def test_messages_come_back_as_they_were() -> None:
    messages = [{"id": 1, "text": "zwei\nZeilen – 🙂"}, {"id": 2, "text": "\ud800"}, {}]
    stream = io.BytesIO(b"".join(packed(message) for message in messages))
    assert [receive(stream), receive(stream), receive(stream), receive(stream)] == [*messages, None]


def test_a_line_that_was_cut_is_the_end() -> None:
    assert receive(io.BytesIO(packed({"id": 1})[:-1])) is None


def test_no_line_is_longer_than_the_bound() -> None:
    with pytest.raises(ValueError, match=str(LONGEST)):
        packed({"text": "a" * LONGEST})
    stream = io.BytesIO(b'{"a": "' + b"x" * 1000 + b'"}\n')
    with pytest.raises(ValueError, match="over 100 bytes"):
        receive(stream, longest=100)
    assert stream.tell() == 101, "no more of it was read"


@pytest.mark.parametrize("line", [b"[1]\n", b"nonsense\n", b"\xff\n", b"3\n"])
def test_what_is_no_object_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError):
        receive(io.BytesIO(line))


def test_what_json_cannot_say_is_not_sent() -> None:
    with pytest.raises(ValueError):
        packed({"temperature": math.nan})
