"""What an upstream's bytes say, streamed or not; what is not one whole text says nothing."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import pytest

from smidgen.gateway.answer_reading import ReadAnswer, decompressed, read_answer

JSON, SSE = "application/json", "text/event-stream; charset=utf-8"


def whole(message: Any = None, finish: str = "stop", **more: Any) -> bytes:
    choice = {"index": 0, "message": message or {"role": "assistant", "content": "late"}, "finish_reason": finish}
    return json.dumps({"choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 2}, **more}).encode()


def stream(*events: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + b"data: [DONE]\n\n"


def piece(content: str | None = None, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {**({} if content is None else {"content": content}), **delta}, "finish_reason": finish}]}


def test_a_whole_answer_is_read() -> None:
    assert read_answer(JSON, whole()) == ReadAnswer("late", "stop", 3, 2, "whole")
    assert read_answer(JSON, b'{"choices":[{"text":" late","finish_reason":"stop"}]}') == ReadAnswer(" late", "stop", None, None, "whole")


def test_a_stream_is_put_together() -> None:
    usage = {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 1}}
    body = stream(piece("", role="assistant"), piece("la"), piece("te"), piece(None, "stop"), usage)
    assert read_answer(SSE, body) == ReadAnswer("late", "stop", 7, 1, "whole")
    assert read_answer(SSE, body.replace(b"\n", b"\r")) == ReadAnswer("late", "stop", 7, 1, "whole")
    assert read_answer(SSE, b": a comment\r\n\r\n" + body.replace(b"\n", b"\r\n")) == ReadAnswer("late", "stop", 7, 1, "whole")
    old = stream({"choices": [{"index": 0, "text": "la"}]}, {"choices": [{"index": 0, "text": "te", "finish_reason": "stop"}]})
    assert read_answer(SSE, old).text == "late"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[1]",
        b"no json",
        b'{"choices":7}',
        b'{"choices":[7]}',
        whole(finish="length"),
        whole({"content": None, "tool_calls": [{"id": "x"}]}),
        whole({"content": "x", "refusal": "no"}),
        whole({"content": [{"type": "text"}]}),
        whole({"content": "  "}),
        whole(choices=[{}, {}]),
        b'{"choices":[' * 5000,
    ],
)
def test_what_is_not_one_whole_text_has_none(body: bytes) -> None:
    assert read_answer(JSON, body).text is None and read_answer(JSON, body).state != "whole"


@pytest.mark.parametrize(
    "events",
    [
        (piece("la"),),
        (piece("la"), piece(None, "length")),
        (piece("la"), {"error": {"message": "broke off"}}, piece(None, "stop")),
        (piece("la"), piece(None, "stop", tool_calls=[{"index": 0}])),
        ({"choices": [{"index": 1, "delta": {"content": "b"}, "finish_reason": "stop"}]},),
        (7, piece("la", "stop")),
    ],
)
def test_a_stream_that_is_not_one_whole_text_has_none(events: tuple[Any, ...]) -> None:
    assert read_answer(SSE, stream(*events)).text is None


def test_sizes_that_cannot_be_are_not_believed() -> None:
    for wrong in (-1, 2**40, "3", True, None, 1.5):
        assert read_answer(JSON, whole(usage={"prompt_tokens": wrong, "completion_tokens": 2})).tokens_in is None


def test_encodings() -> None:
    body = b"a text " * 100
    for encoding, sent in (("", body), ("identity", body), ("gzip", gzip.compress(body)), ("deflate", zlib.compress(body))):
        assert decompressed(sent, encoding, 10_000) == body
    assert decompressed(body, "", 10) is None
    assert decompressed(gzip.compress(b"x" * 1_000_000), "gzip", 10_000) is None
    assert decompressed(gzip.compress(body)[:-9], "gzip", 10_000) is None
    assert decompressed(body, "gzip", 10_000) is None and decompressed(body, "br", 10_000) is None
