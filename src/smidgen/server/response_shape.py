"""A response in the shape of OpenAI's Responses API: one message of the assistant, as an object or as the events of a stream."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from smidgen.gateway.response_request import LOCAL_ID
from smidgen.server.bodies import ResponsesRequest
from smidgen.server.errors import as_json
from smidgen.server.ids import fresh
from smidgen.server.served import Served


class ResponseShape:
    """The one answer to one request. It is stored nowhere, and says so: `store` is false whatever the request leaves open.

    Args:
        model: the bundle.
        body: the request.
        refuses: whether the answer is a refusal; known before a stream of one begins.
    """

    def __init__(self, model: Served, body: ResponsesRequest, refuses: bool = False) -> None:
        name = fresh()
        self._message = f"msg_{name}"
        self._kind = "refusal" if refuses else "output_text"
        self._number = -1
        self._head: dict[str, Any] = {
            "id": f"{LOCAL_ID}{name}",
            "object": "response",
            "created_at": int(time.time()),
            "background": False,
            "error": None,
            "instructions": None,  # they were not read: a bundle has its own
            "max_output_tokens": body.max_output_tokens,
            "metadata": body.metadata or {},
            "model": model.name,
            "parallel_tool_calls": True,
            "previous_response_id": None,
            "store": False,
            "temperature": body.temperature,
            "text": {"format": body.wanted or {"type": "text"}},
            "tool_choice": "auto",
            "tools": [],
            "top_p": body.top_p,
            "truncation": "disabled",
        }

    def whole(self, text: str, usage: Mapping[str, Any], extra: Mapping[str, Any], cut: bool = False) -> dict[str, Any]:
        """The response as it is in the end. `usage` is that of a chat completion; `cut`: the text reached its longest."""
        status = "incomplete" if cut else "completed"
        return {
            **self._head,
            "status": status,
            "completed_at": None if cut else int(time.time()),
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "output": [self._item(status, [self._part(text)])],
            "usage": _usage(usage),
            "smidgen": dict(extra),
        }

    def begin(self) -> bytes:
        """The events before the first piece."""
        started = {**self._head, "status": "in_progress", "incomplete_details": None, "output": [], "usage": None}
        return b"".join(
            [
                self._event("response.created", response=started),
                self._event("response.in_progress", response=started),
                self._event("response.output_item.added", output_index=0, item=self._item("in_progress", [])),
                self._event("response.content_part.added", **self._place, part=self._part("")),
            ]
        )

    def piece(self, text: str) -> bytes:
        """The event with a piece of the text."""
        return self._event(f"response.{self._kind}.delta", **self._place, delta=text, **self._logs)

    def end(self, text: str, whole: Mapping[str, Any]) -> bytes:
        """The events behind the last piece. `text` is all of it, and `whole` the response as it is in the end."""
        (item,) = whole["output"]
        field = "refusal" if self._kind == "refusal" else "text"
        return b"".join(
            [
                self._event(f"response.{self._kind}.done", **self._place, **{field: text}, **self._logs),
                self._event("response.content_part.done", **self._place, part=self._part(text)),
                self._event("response.output_item.done", output_index=0, item=item),
                self._event(f"response.{whole['status']}", response=whole),
            ]
        )

    @property
    def _place(self) -> dict[str, Any]:
        return {"item_id": self._message, "output_index": 0, "content_index": 0}

    @property
    def _logs(self) -> dict[str, Any]:
        return {} if self._kind == "refusal" else {"logprobs": []}

    def _part(self, text: str) -> dict[str, Any]:
        if self._kind == "refusal":
            return {"type": "refusal", "refusal": text}
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}

    def _item(self, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
        return {"id": self._message, "type": "message", "role": "assistant", "status": status, "content": content}

    def _event(self, kind: str, **said: Any) -> bytes:
        """One event, numbered."""
        self._number += 1
        body = as_json({"type": kind, "sequence_number": self._number, **said})
        return f"event: {kind}\n".encode("ascii") + b"data: " + body + b"\n\n"


def _usage(usage: Mapping[str, Any]) -> dict[str, Any]:
    """A chat completion's usage by its names here."""
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    return {
        "input_tokens": usage["prompt_tokens"],
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
        "output_tokens": usage["completion_tokens"],
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage["total_tokens"],
    }
