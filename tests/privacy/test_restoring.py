"""Answers on their way back: values in place of stand-ins, in objects and in streams however they are cut; the rest keeps every byte."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from smidgen.privacy.placeholders import Placeholders
from smidgen.privacy.restoring import restorer

ANNA = 'Anna "A" Schmidt'
PLACES = Placeholders({"[PERSON_1]": ANNA, "[CARD_1]": "4111111111111111"})
CHAT, COMPLETIONS, RESPONSES = "/chat/completions", "/completions", "/responses"
JSON, STREAM = "application/json", "text/event-stream; charset=utf-8"


def through(tail: str, kind: str, pieces: Iterable[bytes], body: dict[str, Any] | None = None) -> list[bytes]:
    change = restorer(tail, kind, PLACES, body or {})
    assert change is not None
    return [*(change.take(piece) for piece in pieces), change.rest()]


def events(data: bytes) -> list[Any]:
    return [json.loads(block.split(b"data: ", 1)[1]) for block in data.split(b"\n\n") if b"data: {" in block]


def sse(*values: Any, done: bool = True) -> bytes:
    return b"".join(b"data: " + json.dumps(value).encode() + b"\n\n" for value in values) + (b"data: [DONE]\n\n" if done else b"")


def chunk(finish: str | None = None, index: int = 0, **delta: Any) -> dict[str, Any]:
    return {"id": "c", "object": "chat.completion.chunk", "choices": [{"index": index, "delta": delta, "finish_reason": finish}]}


def said(stream: bytes, field: str = "content", index: int = 0) -> str:
    found = [choice["delta"].get(field) or "" for event in events(stream) for choice in event["choices"] if choice["index"] == index]
    return "".join(found)


def test_a_whole_answer_gets_its_values_back() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"to":"[PERSON_1]"}'}}
    answer = {"choices": [{"message": {"content": "Dear [Person_1] [PERSON_2]", "tool_calls": [call]}}], "usage": {"total_tokens": 5}}
    data = json.dumps(answer).encode()
    found = json.loads(b"".join(through(CHAT, JSON, [data[:20], data[20:]])))
    message = found["choices"][0]["message"]
    assert message["content"] == f"Dear {ANNA} [PERSON_2]"
    assert json.loads(message["tool_calls"][0]["function"]["arguments"]) == {"to": ANNA}
    assert found["usage"] == {"total_tokens": 5}


def test_content_that_is_json_stays_json() -> None:
    data = json.dumps({"choices": [{"message": {"content": '{"who": "[PERSON_1]"}'}}]}).encode()
    found = json.loads(b"".join(through(CHAT, JSON, [data])))
    assert json.loads(found["choices"][0]["message"]["content"]) == {"who": ANNA}


@pytest.mark.parametrize("data", [b'{"a" :  "no stand-in", "n": 1.50}', b'{"a": "[PERSON_1]"', b"", b"<html>[PERSON_1]</html>"])
def test_what_needs_no_change_or_cannot_be_read_keeps_every_byte(data: bytes) -> None:
    assert b"".join(through(CHAT, JSON, [data])) == data


def test_an_answer_too_large_to_be_read_goes_on_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smidgen.privacy.restoring.MOST", 10)
    pieces = [b'{"a": "[PER', b'SON_1]"', b"}"]
    assert through(CHAT, JSON, pieces) == [pieces[0], pieces[1], pieces[2], b""]


def test_what_is_not_understood_is_not_touched() -> None:
    assert restorer("/embeddings", JSON, PLACES, {}) is None
    assert restorer(CHAT, "text/plain", PLACES, {}) is None
    assert restorer(CHAT, JSON, Placeholders({}), {}) is None


TEXT = "Dear [PERSON_1], not [PERSON_3] but [link]; [CARD_1"


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 100])
@pytest.mark.parametrize("bytes_at_once", [1, 7, 10_000])
def test_a_stand_in_cut_across_chunks_and_packets_is_one(size: int, bytes_at_once: int) -> None:
    pieces = [TEXT[at : at + size] for at in range(0, len(TEXT), size)]
    stream = sse(chunk(role="assistant", content=""), *(chunk(content=piece) for piece in pieces), chunk("stop"))
    sent = through(CHAT, STREAM, [stream[at : at + bytes_at_once] for at in range(0, len(stream), bytes_at_once)])
    assert said(b"".join(sent)) == f"Dear {ANNA}, not [PERSON_3] but [link]; [CARD_1"
    assert b"".join(sent).endswith(b"data: [DONE]\n\n")
    assert [event["choices"][0]["finish_reason"] for event in events(b"".join(sent))][-1] == "stop"


def test_no_more_is_held_back_than_could_become_a_stand_in() -> None:
    change = restorer(CHAT, STREAM, PLACES, {})
    assert change is not None
    sent = [said(change.take(sse(chunk(content=piece), done=False))) for piece in ("Hi [", "PERSON", "_1", "] and [P", "S]", " end")]
    assert sent == ["Hi ", "", "", f"{ANNA} and ", "[PS]", " end"]


def test_events_without_stand_ins_keep_every_byte() -> None:
    odd = b'event: x\ndata:  {"choices" : [ {"index":0,"delta":{"content":"a [1] b"}}]}\r\n\r\n'
    stream = b": hello\n\n" + odd + b"id: 3\n\ndata: no json\n\ndata: [DONE]\n\nrest"
    assert b"".join(through(CHAT, STREAM, [stream[:30], stream[30:]])) == stream


def test_choices_and_tool_calls_are_followed_each_for_itself() -> None:
    def call(index: int, piece: str) -> dict[str, Any]:
        return {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}

    stream = sse(
        chunk(content="[PER"),
        chunk(index=1, content="[CA"),
        chunk(content="SON_1]"),
        chunk(index=1, content="RD_1]"),
        chunk(**call(0, '{"to": "[PERS')),
        chunk(**call(1, '{"card": "[CARD')),
        chunk(**call(0, 'ON_1]"}')),
        chunk(**call(1, '_1]"}')),
        chunk("tool_calls"),
    )
    sent = b"".join(through(CHAT, STREAM, [stream]))
    assert (said(sent), said(sent, index=1)) == (ANNA, "4111111111111111")
    written = ["", ""]
    for event in events(sent):
        for piece in event["choices"][0]["delta"].get("tool_calls", ()):
            written[piece["index"]] += piece["function"]["arguments"]
    assert [json.loads(text) for text in written] == [{"to": ANNA}, {"card": "4111111111111111"}]


@pytest.mark.parametrize("end", [[chunk("length")], []])
def test_what_was_held_back_comes_at_the_end(end: list[dict[str, Any]]) -> None:
    call = {"tool_calls": [{"index": 2, "function": {"arguments": '["[CARD'}}]}
    sent = b"".join(through(CHAT, STREAM, [sse(chunk(content="so [PERSON_"), chunk(**call), *end)]))
    assert said(sent) == "so [PERSON_"
    pieces = [piece for event in events(sent) for piece in event["choices"][0]["delta"].get("tool_calls", ())]
    assert "".join(piece["function"]["arguments"] for piece in pieces if piece["index"] == 2) == '["[CARD'
    assert sent.endswith(b"data: [DONE]\n\n")


def test_a_streamed_answer_that_is_to_be_json_stays_json() -> None:
    body = {"response_format": {"type": "json_schema", "json_schema": {}}}
    sent = b"".join(through(CHAT, STREAM, [sse(chunk(content='{"who":"[PER'), chunk(content='SON_1]"}'), chunk("stop"))], body))
    assert json.loads(said(sent)) == {"who": ANNA}


def test_completions_are_streamed_with_their_values() -> None:
    stream = sse(
        *({"choices": [{"index": 0, "text": piece, "finish_reason": None}]} for piece in ("a [PERSON", "_1] b [CA")),
        {"choices": [{"index": 0, "text": "", "finish_reason": "stop"}]},
    )
    sent = events(b"".join(through(COMPLETIONS, STREAM, [stream])))
    assert "".join(event["choices"][0]["text"] for event in sent) == f"a {ANNA} b [CA"


def typed(kind: str, **more: Any) -> bytes:
    value = {"type": kind, "item_id": "msg_1", "output_index": 0, **more}
    return f"event: {kind}\ndata: {json.dumps(value)}\n\n".encode()


def test_responses_are_streamed_with_their_values() -> None:
    whole = "to [PERSON_1] [CARD"
    stream = b"".join(
        [
            typed("response.created", response={"output": []}),
            *(typed("response.output_text.delta", content_index=0, delta=piece) for piece in ("to [PER", "SON_1", "] [CARD")),
            typed("response.output_text.done", content_index=0, text=whole),
            typed("response.function_call_arguments.delta", delta='{"to":"[PERS'),
            typed("response.function_call_arguments.delta", delta='ON_1]"}'),
            typed("response.function_call_arguments.done", arguments='{"to":"[PERSON_1]"}'),
            typed("response.completed", response={"output": [{"content": [{"type": "output_text", "text": whole}]}]}),
        ]
    )
    sent = b"".join(through(RESPONSES, STREAM, [stream[at : at + 11] for at in range(0, len(stream), 11)]))
    found = events(sent)
    assert "".join(event["delta"] for event in found if event["type"] == "response.output_text.delta") == f"to {ANNA} [CARD"
    arguments = [event["delta"] for event in found if event["type"] == "response.function_call_arguments.delta"]
    assert json.loads("".join(arguments)) == {"to": ANNA}
    done = {event["type"]: event for event in found}
    assert done["response.output_text.done"]["text"] == f"to {ANNA} [CARD"
    assert json.loads(done["response.function_call_arguments.done"]["arguments"]) == {"to": ANNA}
    assert done["response.completed"]["response"]["output"][0]["content"][0]["text"] == f"to {ANNA} [CARD"
    kinds = [event["type"] for event in found]
    assert kinds.index("response.output_text.done") > max(place for place, kind in enumerate(kinds) if kind == "response.output_text.delta")
    named = [block.split(b"\n")[0][7:].decode() for block in sent.split(b"\n\n") if block]
    assert named == kinds, "each event is named by its type, those that were made here too"


def test_a_streamed_answer_that_is_json_unasked_stays_json() -> None:
    for pieces in (['\n {"who":"[PER', 'SON_1]"}'], ["[", '{"who":"[PER', 'SON_1]"}]'], ["[ ", "\n", '"[PER', 'SON_1]"]']):
        sent = b"".join(through(CHAT, STREAM, [sse(*(chunk(content=piece) for piece in pieces), chunk("stop"))]))
        assert ANNA in json.dumps(json.loads(said(sent)), ensure_ascii=False).replace('\\"', '"')
    plain = sse(*(chunk(content=piece) for piece in ("[", "PERSON_1", "] says: ", "[1] [PERSON_1]")), chunk("stop"))
    assert said(b"".join(through(CHAT, STREAM, [plain]))) == f"{ANNA} says: [1] {ANNA}"


FENCED = 'Here:\n```json\n{"who": "[PERSON_1]",\n "all": ["[PERSON_1]"]}\n```\nHe said: "Dear [PERSON_1]"'


@pytest.mark.parametrize("size", [1, 3, 7, 200])
def test_json_within_an_answer_stays_json_and_prose_stays_prose(size: int) -> None:
    pieces = [FENCED[at : at + size] for at in range(0, len(FENCED), size)]
    streamed = said(b"".join(through(CHAT, STREAM, [sse(*(chunk(content=piece) for piece in pieces), chunk("stop"))])))
    data = json.dumps({"choices": [{"message": {"content": FENCED}}]}).encode()
    whole = json.loads(b"".join(through(CHAT, JSON, [data])))["choices"][0]["message"]["content"]
    for text in (streamed, whole):
        assert json.loads(text.split("```")[1].removeprefix("json")) == {"who": ANNA, "all": [ANNA]}
        assert text.endswith(f'He said: "Dear {ANNA}"')


def parted(*texts: str, **more: Any) -> dict[str, Any]:
    return chunk(content=[{"type": "text", "text": text, **more} for text in texts])


def listed(stream: bytes) -> list[dict[str, Any]]:
    """The parts of a streamed answer whose content comes in lists."""
    contents = [choice["delta"].get("content") for event in events(stream) for choice in event["choices"]]
    return [part for content in contents if isinstance(content, list) for part in content]


def test_content_that_comes_in_lists_of_parts_is_followed_part_by_part() -> None:
    stream = sse(parted("Dear [PERS"), parted("ON_1], ", "[CARD"), parted("_1] [PER"), chunk("stop"))
    sent = b"".join(through(CHAT, STREAM, [stream]))
    assert "".join(part["text"] for part in listed(sent)) == f"Dear {ANNA}, 4111111111111111 [PER"
    assert all(part["type"] == "text" for part in listed(sent))


@pytest.mark.parametrize("last", [[chunk("stop")], [chunk("stop", content="")], [chunk("stop", content=None)], []])
def test_what_was_held_back_of_a_part_comes_as_one(last: list[dict[str, Any]]) -> None:
    first = chunk(content=[{"type": "text", "index": 1, "text": "b [CARD"}, {"type": "text", "index": 0, "text": "a [PER"}])
    sent = b"".join(through(CHAT, STREAM, [sse(first, *last)]))
    texts = {index: "".join(part["text"] for part in listed(sent) if part.get("index") == index) for index in (0, 1)}
    assert texts == {0: "a [PER", 1: "b [CARD"} and sent.endswith(b"data: [DONE]\n\n")


def test_parts_within_parts_are_followed_too() -> None:
    def thought(text: str) -> dict[str, Any]:
        return chunk(content=[{"type": "thinking", "thinking": [{"type": "text", "text": text}]}])

    sent = b"".join(
        through(CHAT, STREAM, [sse(thought("so [PER"), parted("Dear [CARD"), thought("SON_1] [CA"), parted("_1]"), chunk("stop"))])
    )
    parts = listed(sent)
    assert "".join(inner["text"] for part in parts for inner in part.get("thinking", ())) == f"so {ANNA} [CA"
    assert "".join(part.get("text", "") for part in parts) == "Dear 4111111111111111"


def test_a_last_piece_that_is_a_text_keeps_what_it_says() -> None:
    sent = b"".join(through(CHAT, STREAM, [sse(parted("a [PER"), chunk("stop", content=" end"))]))
    assert [part["text"] for part in listed(sent)] == ["a ", " end[PER"]


@pytest.mark.parametrize("calls", [None, {}, "x"])
def test_calls_that_are_none_are_no_reason_to_break_off(calls: Any) -> None:
    """The last piece of a stream may say `"tool_calls": null`, with the end of an argument still held back."""
    call = {"tool_calls": [{"index": 0, "function": {"arguments": '["[CARD'}}]}
    sent = b"".join(through(CHAT, STREAM, [sse(chunk(**call), chunk("stop", tool_calls=calls))]))
    pieces = [piece for event in events(sent) for piece in event["choices"][0]["delta"].get("tool_calls") or ()]
    assert "".join(piece["function"]["arguments"] for piece in pieces) == '["[CARD'


def test_what_was_held_back_goes_behind_a_last_event_without_its_blank_line() -> None:
    stream = sse(chunk(content="so [PER"), done=False) + sse(chunk(content="SON_1] and [CARD"), done=False).rstrip()
    sent = b"".join(through(CHAT, STREAM, [stream]))
    assert said(sent) == f"so {ANNA} and [CARD" and len(events(sent)) == 3


def test_a_piece_of_an_event_comes_last() -> None:
    torn = sse(chunk(content="x"), done=False)[:40]
    sent = b"".join(through(CHAT, STREAM, [sse(chunk(content="so [CARD"), done=False) + torn]))
    assert sent.endswith(torn) and said(sent[: -len(torn)]) == "so [CARD"


def test_events_that_are_put_between_are_numbered_on() -> None:
    stream = b"".join(
        [
            typed("response.created", sequence_number=0),
            typed("response.output_text.delta", sequence_number=1, content_index=0, delta="to [CARD"),
            typed("response.output_text.done", sequence_number=2, content_index=0, text="to [CARD"),
            typed("response.output_text.delta", sequence_number=3, content_index=1, delta="a [PER"),
            typed("response.completed", sequence_number=4, response={"output": []}),
        ]
    )
    found = events(b"".join(through(RESPONSES, STREAM, [stream])))
    assert [event["sequence_number"] for event in found] == list(range(7))
    assert "".join(event.get("delta", "") for event in found) == "to [CARDa [PER"
