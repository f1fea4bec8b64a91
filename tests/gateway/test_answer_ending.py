"""How an answer went, in one word: the same whether it came whole or as a stream."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from tests.gateway.states import states

from smidgen.core.replies import NOT_COMPARABLE, AnswerState

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
