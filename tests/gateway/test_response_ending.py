"""How a response of the Responses API went, in one word: the same whether it came whole or as a stream, and what of it is its text."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from tests.gateway.states import states

from smidgen.core.replies import AnswerState
from smidgen.gateway.answer_reading import AnswerReader, AnswerUsage, read_answer

SSE = "text/event-stream"
REASONING = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "thinking"}], "content": []}
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}


def text(*said: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": one, "annotations": []} for one in said]}


def response(*items: Any, status: str | None = "completed", **more: Any) -> dict[str, Any]:
    usage = {"input_tokens": 4, "output_tokens": 6, "total_tokens": 10}
    told = {"object": "response", "status": status, "error": None, "output": list(items), "usage": usage, **more}
    return {name: value for name, value in told.items() if value is not None or name == "error"}


def whole(*items: Any, **more: Any) -> tuple[str, bytes]:
    return "application/json", json.dumps(response(*items, **more)).encode()


def stream(*pieces: str, last: dict[str, Any] | None = None, kind: str = "completed", between: tuple[Any, ...] = ()) -> tuple[str, bytes]:
    events: list[Any] = [{"type": "response.created", "response": response(status="in_progress")}]
    events += [{"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": piece} for piece in pieces]
    events += [*between, *([{"type": f"response.{kind}", "response": last}] if last is not None else [])]
    shown = [one if isinstance(one, str) else json.dumps(one) for one in events]
    return SSE, "".join(f"event: x\ndata: {one}\n\n" for one in shown).encode()


CASES: list[tuple[AnswerState, tuple[str, bytes]]] = [
    ("whole", whole(text("late"))),
    ("whole", whole(REASONING, text("la", "te"))),
    ("whole", stream("la", "te", last=response(text("late")))),
    ("whole", stream(last=response(REASONING, text("late")))),  # a server that sends no pieces
    ("long", whole(text("x" * 1_000_001))),
    ("cut", whole(text("la"), status="incomplete", incomplete_details={"reason": "max_output_tokens"})),
    ("cut", whole(text("la"), status=None)),  # nobody says that it is whole
    ("cut", stream("la", last=response(text("la"), status="incomplete"), kind="incomplete")),
    ("refused", whole({"type": "message", "content": [{"type": "refusal", "refusal": "I will not"}]})),
    ("refused", whole(text("la"), status="incomplete", incomplete_details={"reason": "content_filter"})),
    ("tools", whole(CALL)),
    ("tools", whole(text("one moment"), {"type": "web_search_call", "status": "completed"})),
    ("tools", stream("la", last=response(text("la"), CALL))),
    ("blank", whole(text(" \n"))),
    ("blank", whole()),
    ("blank", stream(last=response(REASONING))),
    ("odd", whole(text("a"), text("b"))),
    ("odd", whole({"type": "a_kind_of_tomorrow"})),
    ("odd", whole({"type": "message", "content": [{"type": "output_image"}]})),
    ("odd", whole({"type": "message", "content": "late"})),
    ("odd", whole(7)),
    ("broken", whole(text("la"), status="failed")),
    ("broken", whole(status="queued")),
    ("broken", whole(text("la"), error={"code": "server_error", "message": "x"})),
    ("broken", ("application/json", b'{"object": "response", "output": 3, "status": "completed"}')),
    ("broken", stream("la")),
    ("broken", stream("la", between=("[DONE]",))),
    ("broken", stream("la", last=response(text("la"), status="failed"), kind="failed")),
    ("broken", stream("la", last=response(text("la"), status="incomplete"), kind="completed")),  # it says both
    ("broken", stream("la", last=response(text("another text")))),
    ("broken", stream("la", last=response(text("la")), between=("{",))),
    ("broken", stream("la", last={"status": "completed"})),
]


@pytest.mark.parametrize(("state", "answer"), CASES)
def test_how_it_went(state: AnswerState, answer: tuple[str, bytes]) -> None:
    assert states(*answer) == [state] * 2


def test_every_state_is_met() -> None:
    assert {state for state, _ in CASES} == set(get_args(AnswerState)) - {""}


def test_the_text_is_what_the_message_says_and_nothing_that_stands_beside_it() -> None:
    for kind, body in (whole(REASONING, text("la", "te")), stream("la", "te", last=response(REASONING, text("late")))):
        found = read_answer(kind, body)
        assert (found.text, found.state, found.finish) == ("late", "whole", "completed")
        assert (found.tokens_in, found.tokens_out) == (4, 6)
    cut = read_answer(*whole(text("la"), status="incomplete"))
    assert (cut.text, cut.state, cut.tokens_out) == (None, "cut", 6)


def test_all_that_was_written_counts_for_what_it_cost() -> None:
    reasoned = {"type": "response.reasoning_summary_text.delta", "delta": "hm"}
    called = {"type": "response.function_call_arguments.delta", "delta": "{}"}
    kind, body = stream("für", between=(reasoned, called))
    reading = AnswerReader(kind)
    reading.feed(body)
    reading.end()
    assert (reading.written, reading.events, reading.text, reading.ended, reading.usage) == (8, 3, "für", False, None)
    kind, body = whole(REASONING, CALL, text("für"))
    reading = AnswerReader(kind)
    reading.feed(body)
    reading.end()
    assert (reading.written, reading.text, reading.ended, reading.usage) == (14, "für", True, AnswerUsage(4, 6))
