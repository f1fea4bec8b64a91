"""The usage of a stream that a client did not ask for: asked for on the way out, and taken out on the way back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.upstream_stub import chunk

from smidgen.gateway.answer_reading import UsageEventFilter, asking_for_usage
from smidgen.gateway.json_edits import with_value

CHAT = b"/chat/completions"
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":30,"completion_tokens":4}}\n\n'
DONE = b"data: [DONE]\n\n"


def wished(body: bytes, tail: bytes = CHAT) -> bytes | None:
    return asking_for_usage(tail, body, json.loads(body))


def test_the_wish_is_all_that_is_changed() -> None:
    assert wished(b'{ "stream" :true,  "model":"m"}') == b'{"stream_options": {"include_usage": true},  "stream" :true,  "model":"m"}'
    given = b'{"stream":true,"stream_options" : {"include_usage":false, "x": 1} , "a":"\xc3\xa4"}'
    assert wished(given) == b'{"stream":true,"stream_options" : {"include_usage": true, "x": 1} , "a":"\xc3\xa4"}'
    assert wished(b'{"stream":true,"stream_options":null}') == b'{"stream":true,"stream_options":{"include_usage": true}}'
    assert with_value(b" { } ", "a", 1) == b' {"a": 1 } '


@pytest.mark.parametrize(
    "body",
    [b"{}", b'{"stream":false}', b'{"stream":true,"stream_options":{"include_usage":true}}', b'{"stream":true,"stream_options":"x"}'],
)
def test_what_asks_itself_or_is_no_stream_stays(body: bytes) -> None:
    assert wished(body) is None


def test_other_paths_say_it_unasked() -> None:
    body = b'{"stream":true}'
    assert [wished(body, tail) is None for tail in (CHAT, b"/completions", b"/responses", b"/embeddings")] == [False, False, True, True]


def passed(stream: bytes, size: int) -> bytes:
    change = UsageEventFilter()
    return b"".join(change.take(stream[at : at + size]) for at in range(0, len(stream), size)) + change.rest()


@pytest.mark.parametrize("size", [1, 2, 7, 10_000])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_the_event_with_the_usage_alone_is_taken_out_however_it_comes(size: int, end: bytes) -> None:
    before, after = chunk("from ") + b": a comment\n\n" + chunk('"usage"'), DONE
    whole = (before + USAGE + after).replace(b"\n", end)
    assert passed(whole, size) == (before + after).replace(b"\n", end)
    assert passed((before + USAGE.rstrip()).replace(b"\n", end), size) == before.replace(b"\n", end), "also where it is the last"


@pytest.mark.parametrize(
    "event",
    [
        {"choices": [], "prompt_filter_results": []},
        {"choices": [], "usage": None},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 1, "completion_tokens": 1}},
        {"usage": {"prompt_tokens": 1}},
        ["usage"],
    ],
)
def test_whatever_else_an_event_says_goes_on(event: Any) -> None:
    stream = b"data: " + json.dumps(event).encode() + b"\n\n" + DONE
    assert passed(stream, 5) == stream


def test_no_event_waits_for_the_next_and_none_without_end_is_kept() -> None:
    change = UsageEventFilter()
    assert change.take(chunk("a")) == chunk("a") and change.take(chunk("b")[:20]) == b"" and change.take(chunk("b")[20:]) == chunk("b")
    assert len(change.take(b"x" * 1_000_001)) == 1_000_001
    for broken in (b'data: {"usage"', b'data: "usage" \xff\n\n', b"data: " + b"[" * 100_000 + b'"usage"\n\n'):
        assert passed(broken, 10_000) == broken
