"""An upstream's answer, read while it passes: in any pieces."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import pytest

from smidgen.gateway.answer_reading import MOST_BYTES, AnswerReader, AnswerUsage, ReadAnswer, decompressed, read_answer

SSE = "text/event-stream; charset=utf-8"


def read(content: bytes, kind: str = "application/json", step: int | None = None) -> AnswerReader:
    reading = AnswerReader(kind)
    for start in range(0, len(content), step or max(1, len(content))):
        reading.feed(content[start : start + (step or len(content))])
    reading.end()
    return reading


def events(*found: Any, end: str = "\n\n") -> bytes:
    return "".join(f"data: {one if isinstance(one, str) else json.dumps(one)}{end}" for one in found).encode()


def delta(text: str, index: int = 0) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": {"content": text}}]}


def test_a_whole_completion() -> None:
    whole = {
        "choices": [
            {"index": 0, "message": {"content": "für"}},
            {"index": 1, "message": {"content": "b", "tool_calls": [{"function": {"arguments": "{}"}}]}},
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3},
    }
    found = read(json.dumps(whole).encode())
    assert (found.text, found.usage, found.written, found.whole) == ("für", AnswerUsage(7, 3), 7, True)
    assert read(b'{"choices":[{"text":"a"}]}').text == "a"
    assert read(b'{"data":[],"usage":{"prompt_tokens":9,"total_tokens":9}}').usage == AnswerUsage(9, 0)
    response = {"output": [{"content": [{"type": "output_text", "text": "hi"}]}], "usage": {"input_tokens": 1, "output_tokens": 2}}
    assert (read(json.dumps(response).encode()).text, read(json.dumps(response).encode()).usage) == ("hi", AnswerUsage(1, 2))


@pytest.mark.parametrize("step", [1, 7, 1000])
@pytest.mark.parametrize("end", ["\n\n", "\r\n\r\n"])
def test_a_stream_in_any_pieces(step: int, end: str) -> None:
    stream = events(
        delta("für "),
        delta("x", 1),
        delta("alle"),
        {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 3}},
        "[DONE]",
        end=end,
    )
    found = read(b": hello\n\n" + stream, SSE, step)
    assert (found.text, found.usage, found.written, found.events, found.whole) == ("für alle", AnswerUsage(5, 3), 10, 3, True)


def test_a_stream_of_the_responses_kind() -> None:
    done = {"type": "response.completed", "response": {"usage": {"input_tokens": 4, "output_tokens": 6}}}
    found = read(events({"type": "response.output_text.delta", "delta": "Hi"}, done), SSE)
    assert (found.text, found.usage, found.events, found.whole) == ("Hi", AnswerUsage(4, 6), 1, True)
    assert found.ended and not found.failed
    for kind, failed in (("response.incomplete", False), ("response.failed", True)):
        short = read(events({"type": "response.output_text.delta", "delta": "Hi"}, {**done, "type": kind}), SSE)
        assert (short.whole, short.ended, short.failed, short.usage) == (False, True, failed, AnswerUsage(4, 6))


def test_one_that_broke_off_is_not_whole() -> None:
    found = read(events(delta("a"))[:-2], SSE)
    assert (found.text, found.usage, found.whole, found.ended) == ("a", None, False, False)
    assert not read(b'{"choices": [').ended
    assert read(events(delta("a"), "[DONE]"), SSE).ended and read(b'{"choices": []}').ended


@pytest.mark.parametrize(
    "found",
    [
        {"error": {"message": "overloaded"}},
        {"choices": [{"index": 0, "finish_reason": "error", "message": {"content": "a"}, "delta": {"content": "a"}}]},
        {"choices": [{"index": 0, "error": {"code": 502}, "message": {"content": ""}, "delta": {}}]},
    ],
    ids=["error", "finish", "a choice"],
)
def test_a_failure_with_a_good_status_is_one(found: dict[str, Any]) -> None:
    assert read(json.dumps(found).encode()).failed
    assert read(events(delta("a"), found, "[DONE]"), SSE).failed
    assert read(events(delta("a"), {"type": "error", "message": "x"}, "[DONE]"), SSE).failed
    assert not read(events(delta("a"), {"error": None}, "[DONE]"), SSE).failed


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"[1]", b'{"choices": 3, "usage": []}', b'{"choices":[1,{"message":2}],"usage":{"prompt_tokens":true}}']
)
def test_what_is_not_understood_says_nothing(content: bytes) -> None:
    for kind in ("application/json", SSE):
        found = read(content if kind != SSE else b"data: " + content + b"\n\n", kind)
        assert (found.text, found.usage, found.written) == ("", None, 0)


def test_what_is_too_large_is_not_kept() -> None:
    found = AnswerReader("application/json")
    for _ in range(MOST_BYTES // 1_000_000 + 2):
        found.feed(b" " * 1_000_000)
    found.end()
    assert not found.whole and found._pieces == []


JSON = "application/json"


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
