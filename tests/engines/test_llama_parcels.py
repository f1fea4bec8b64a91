from __future__ import annotations

from typing import Any

from smidgen.engines.llama_protocol import PieceSender


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
