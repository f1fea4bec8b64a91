"""How an answer went, in one word: the same whether it came whole or as a stream."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from tests.gateway.reading_states import states

from smidgen.core.replies import NOT_COMPARABLE, AnswerState
from smidgen.gateway.answer_reading import AnswerReader, AnswerUsage, read_answer

SSE = "text/event-stream"


def whole(*choices: Any, **more: Any) -> tuple[str, bytes]:
    return "application/json", json.dumps({"choices": list(choices), **more}).encode()


def stream(*events: Any, end: str = "data: [DONE]\n\n") -> tuple[str, bytes]:
    shown = [one if isinstance(one, str) else json.dumps(one) for one in events]
    return SSE, ("".join(f"data: {one}\n\n" for one in shown) + end).encode()


def message(finish: str | None = "stop", content: Any = "late", **more: Any) -> dict[str, Any]:
    return {"index": 0, "message": {"role": "assistant", "content": content, **more}, "finish_reason": finish}


def piece(finish: str | None = None, index: int = 0, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": delta, "finish_reason": finish}]}


CALL = [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
CASES: list[tuple[AnswerState, tuple[str, bytes]]] = [
    ("whole", whole(message())),
    ("whole", whole({"index": 0, "text": "late", "finish_reason": "stop"})),
    ("whole", whole(message(content=[{"type": "text", "text": "la"}, {"type": "text", "text": "te"}]))),
    ("whole", whole(message(), error=None)),
    ("whole", stream(piece(content="la"), piece(content="te"), piece("stop"))),
    ("whole", stream(piece(content="late"), piece("stop"), end="")),  # its text came to its end, whatever was to follow
    ("long", whole(message(content="x" * 1_000_001))),
    ("long", stream(piece(content="x" * 1_000_000), piece(content="x"), piece("stop"))),
    ("cut", whole(message("length"))),
    ("cut", whole(message(None))),  # nobody says that it is whole
    ("cut", stream(piece(content="la"), piece("length"))),
    ("cut", stream(piece(content="la"))),
    ("refused", whole(message(content=None, refusal="I will not"))),
    ("refused", whole(message("content_filter"))),
    ("refused", stream(piece(refusal="I will"), piece("stop"))),
    ("tools", whole(message("tool_calls", content=None, tool_calls=CALL))),
    ("tools", whole(message(content="one moment", function_call={"name": "f", "arguments": "{}"}))),
    ("tools", stream(piece(tool_calls=CALL), piece("tool_calls"))),
    ("tools", stream(piece("tool_calls"))),
    ("blank", whole(message(content=" \n"))),
    ("blank", whole(message(content=None))),
    ("blank", stream(piece(role="assistant", content=""), piece("stop"))),
    ("odd", whole(message(), message())),
    ("odd", whole(message(content=[{"type": "image_url", "image_url": {"url": "x"}}]))),
    ("odd", whole({"index": 0, "finish_reason": "stop"})),
    ("odd", whole(7)),
    ("odd", stream(piece(content="a"), piece(index=1, content="b"), piece("stop"))),
    ("broken", whole()),
    ("broken", whole(message(), error={"message": "overloaded"})),
    ("broken", whole(message("error"))),
    ("broken", whole({**message(), "error": {"message": "overloaded"}})),
    ("broken", stream(piece(content="la"), {"type": "error", "error": {"message": "overloaded"}}, piece("stop"))),
    ("broken", stream(piece(content="la"), piece("error"))),
    ("broken", ("application/json", b"<html>")),
    ("broken", ("application/json", b'{"choices": [')),
    ("broken", ("application/json", b'{"choices": 7}')),
    ("broken", stream(piece(content="la"), end="")),
    ("broken", stream(piece(content="la"), {"error": {"message": "overloaded"}}, piece("stop"))),
    ("broken", stream(piece(content="la"), "{", piece("stop"))),
    ("broken", stream()),
]


@pytest.mark.parametrize(("state", "answer"), CASES)
def test_how_it_went(state: AnswerState, answer: tuple[str, bytes]) -> None:
    assert states(*answer) == [state] * 2


def test_every_state_is_met_and_all_but_three_are_unlike_any_answer() -> None:
    assert {state for state, _ in CASES} == set(get_args(AnswerState)) - {""}
    assert set(get_args(AnswerState)) - NOT_COMPARABLE == {"", "whole", "broken"}


REASONING = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "thinking"}], "content": []}
RESPONSE_CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}


def text(*said: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": one, "annotations": []} for one in said]}


def response(*items: Any, status: str | None = "completed", **more: Any) -> dict[str, Any]:
    usage = {"input_tokens": 4, "output_tokens": 6, "total_tokens": 10}
    told = {"object": "response", "status": status, "error": None, "output": list(items), "usage": usage, **more}
    return {name: value for name, value in told.items() if value is not None or name == "error"}


def whole_response(*items: Any, **more: Any) -> tuple[str, bytes]:
    return "application/json", json.dumps(response(*items, **more)).encode()


def response_stream(
    *pieces: str, last: dict[str, Any] | None = None, kind: str = "completed", between: tuple[Any, ...] = ()
) -> tuple[str, bytes]:
    events: list[Any] = [{"type": "response.created", "response": response(status="in_progress")}]
    events += [{"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": piece} for piece in pieces]
    events += [*between, *([{"type": f"response.{kind}", "response": last}] if last is not None else [])]
    shown = [one if isinstance(one, str) else json.dumps(one) for one in events]
    return SSE, "".join(f"event: x\ndata: {one}\n\n" for one in shown).encode()


RESPONSE_CASES: list[tuple[AnswerState, tuple[str, bytes]]] = [
    ("whole", whole_response(text("late"))),
    ("whole", whole_response(REASONING, text("la", "te"))),
    ("whole", response_stream("la", "te", last=response(text("late")))),
    ("whole", response_stream(last=response(REASONING, text("late")))),  # a server that sends no pieces
    ("long", whole_response(text("x" * 1_000_001))),
    ("cut", whole_response(text("la"), status="incomplete", incomplete_details={"reason": "max_output_tokens"})),
    ("cut", whole_response(text("la"), status=None)),  # nobody says that it is whole
    ("cut", response_stream("la", last=response(text("la"), status="incomplete"), kind="incomplete")),
    ("refused", whole_response({"type": "message", "content": [{"type": "refusal", "refusal": "I will not"}]})),
    ("refused", whole_response(text("la"), status="incomplete", incomplete_details={"reason": "content_filter"})),
    ("tools", whole_response(RESPONSE_CALL)),
    ("tools", whole_response(text("one moment"), {"type": "web_search_call", "status": "completed"})),
    ("tools", response_stream("la", last=response(text("la"), RESPONSE_CALL))),
    ("blank", whole_response(text(" \n"))),
    ("blank", whole_response()),
    ("blank", response_stream(last=response(REASONING))),
    ("odd", whole_response(text("a"), text("b"))),
    ("odd", whole_response({"type": "a_kind_of_tomorrow"})),
    ("odd", whole_response({"type": "message", "content": [{"type": "output_image"}]})),
    ("odd", whole_response({"type": "message", "content": "late"})),
    ("odd", whole_response(7)),
    ("broken", whole_response(text("la"), status="failed")),
    ("broken", whole_response(status="queued")),
    ("broken", whole_response(text("la"), error={"code": "server_error", "message": "x"})),
    ("broken", ("application/json", b'{"object": "response", "output": 3, "status": "completed"}')),
    ("broken", response_stream("la")),
    ("broken", response_stream("la", between=("[DONE]",))),
    ("broken", response_stream("la", last=response(text("la"), status="failed"), kind="failed")),
    ("broken", response_stream("la", last=response(text("la"), status="incomplete"), kind="completed")),  # it says both
    ("broken", response_stream("la", last=response(text("another text")))),
    ("broken", response_stream("la", last=response(text("la")), between=("{",))),
    ("broken", response_stream("la", last={"status": "completed"})),
]


def test_every_state_is_met() -> None:
    assert {state for state, _ in RESPONSE_CASES} == set(get_args(AnswerState)) - {""}


def test_the_text_is_what_the_message_says_and_nothing_that_stands_beside_it() -> None:
    for kind, body in (
        whole_response(REASONING, text("la", "te")),
        response_stream("la", "te", last=response(REASONING, text("late"))),
    ):
        found = read_answer(kind, body)
        assert (found.text, found.state, found.finish) == ("late", "whole", "completed")
        assert (found.tokens_in, found.tokens_out) == (4, 6)
    cut = read_answer(*whole_response(text("la"), status="incomplete"))
    assert (cut.text, cut.state, cut.tokens_out) == (None, "cut", 6)


def test_all_that_was_written_counts_for_what_it_cost() -> None:
    reasoned = {"type": "response.reasoning_summary_text.delta", "delta": "hm"}
    called = {"type": "response.function_call_arguments.delta", "delta": "{}"}
    kind, body = response_stream("für", between=(reasoned, called))
    reading = AnswerReader(kind)
    reading.feed(body)
    reading.end()
    assert (reading.written, reading.events, reading.text, reading.ended, reading.usage) == (8, 3, "für", False, None)
    kind, body = whole_response(REASONING, RESPONSE_CALL, text("für"))
    reading = AnswerReader(kind)
    reading.feed(body)
    reading.end()
    assert (reading.written, reading.text, reading.ended, reading.usage) == (14, "für", True, AnswerUsage(4, 6))
