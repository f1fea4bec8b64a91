"""What a server of the Responses API answers, as OpenAI's documents show it."""

from __future__ import annotations

import json
from typing import Any

USAGE = {
    "input_tokens": 5,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 3,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 8,
}


def response(text: str, status: str = "completed", **more: Any) -> dict[str, Any]:
    """A whole one, with a reasoning item before its message."""
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "status": status, "content": [part]}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "model": "big",
        "output": [{"id": "rs_1", "type": "reasoning", "summary": []}, message],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": USAGE,
        **more,
    }


def event(kind: str, **said: Any) -> bytes:
    """One event of a stream."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **said})}\n\n".encode()


def events(*pieces: str) -> list[bytes]:
    """A whole stream, with the text in these pieces."""
    whole = "".join(pieces)
    place = {"item_id": "msg_1", "output_index": 1, "content_index": 0}
    last = response(whole)
    part = last["output"][1]["content"][0]
    started = {**response(""), "status": "in_progress", "output": [], "usage": None}
    opened = {**last["output"][1], "status": "in_progress", "content": []}
    told: list[tuple[str, dict[str, Any]]] = [
        ("response.created", {"response": started}),
        ("response.in_progress", {"response": started}),
        ("response.output_item.added", {"output_index": 0, "item": last["output"][0]}),
        ("response.output_item.done", {"output_index": 0, "item": last["output"][0]}),
        ("response.output_item.added", {"output_index": 1, "item": opened}),
        ("response.content_part.added", {**place, "part": {**part, "text": ""}}),
        *(("response.output_text.delta", {**place, "delta": piece, "logprobs": [], "obfuscation": "x7"}) for piece in pieces),
        ("response.output_text.done", {**place, "text": whole, "logprobs": []}),
        ("response.content_part.done", {**place, "part": part}),
        ("response.output_item.done", {"output_index": 1, "item": last["output"][1]}),
        ("response.completed", {"response": last}),
    ]
    return [event(kind, sequence_number=number, **said) for number, (kind, said) in enumerate(told)]
