"""How a completion or a response ended: whole, cut short, refused or broken; read from one object or from a stream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from smidgen.core.replies import AnswerState

_WHOLE = "stop"
_CALLING = ("tool_calls", "function_call")
_FILTERED, _FAILED = "content_filter", "error"
_FIRST: tuple[AnswerState, ...] = ("broken", "odd", "tools", "refused")
"""States noted while an answer is read, in order of precedence."""
_PARTS = (None, "text", "output_text")


class CompletionEnding:
    """How a chat completion ended.

    Attributes:
        finish: the upstream's `finish_reason`; empty until it gives one.
    """

    def __init__(self) -> None:
        self.finish = ""
        self._seen: set[AnswerState] = set()
        self._choices = 0

    @property
    def is_broken(self) -> bool:
        """Whether `broken` was called."""
        return "broken" in self._seen

    def broken(self) -> None:
        """Note a failure in the answer, or a part that cannot be read."""
        self._seen.add("broken")

    def take(self, choices: Any, place: str) -> None:
        """Read the choices of an answer (`place` is `message`), or of one chunk of a stream (`delta`)."""
        given = choices if isinstance(choices, list) else []
        if len(given) > 1:
            self._seen.add("odd")
        for choice in given:
            self._choices += 1
            if isinstance(choice, Mapping) and choice.get("index") in (None, 0):
                self._take(choice, place)
            else:
                self._seen.add("odd")

    def state(self, text: str, ended: bool, long: bool) -> AnswerState:
        """The state of the answer. `ended`: whether the transfer was complete; `long`: whether more text came than `text`."""
        if not self._choices or not (ended or self.finish) or self.finish == _FAILED:
            return "broken"
        for state in _FIRST:
            if state in self._seen:
                return state
        if self.finish in _CALLING:
            return "tools"
        if self.finish == _FILTERED:
            return "refused"
        if self.finish != _WHOLE:
            return "cut"  # also without a finish reason: the length may be the cause
        if long:
            return "long"
        return "whole" if text.strip() else "blank"

    def _take(self, choice: Mapping[str, Any], place: str) -> None:
        finish = choice.get("finish_reason")
        self.finish = finish if isinstance(finish, str) and finish else self.finish
        if choice.get("error"):
            self._seen.add("broken")
        message = choice.get(place)
        if isinstance(message, Mapping):
            if message.get("tool_calls") or message.get("function_call"):
                self._seen.add("tools")
            if message.get("refusal"):
                self._seen.add("refused")
            plain = _is_text(message.get("content"))
        else:
            # The last piece of a stream may have neither a message nor a text.
            plain = message is None and isinstance(choice.get("text", "" if place == "delta" else None), str)
        if not plain:
            self._seen.add("odd")


def _is_text(content: Any) -> bool:
    """Whether the content of a message is text and nothing else."""
    if not isinstance(content, list):
        return content is None or isinstance(content, str)
    return all(isinstance(part, Mapping) and part.get("type") in _PARTS and isinstance(part.get("text"), str) for part in content)


TEXT_DELTA = "response.output_text.delta"
DELTAS = frozenset(
    {
        TEXT_DELTA,
        "response.refusal.delta",
        "response.function_call_arguments.delta",
        "response.custom_tool_call_input.delta",
        "response.reasoning_text.delta",
        "response.reasoning_summary_text.delta",
    }
)
"""Events of a `/v1/responses` stream that carry a piece of text."""
ENDS = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})
"""The last events of such a stream; each carries the whole response."""

_COMPLETED, _INCOMPLETE = "completed", "incomplete"


def is_response(found: Mapping[str, Any]) -> bool:
    """Whether an object is a response, and not a completion."""
    return found.get("object") == "response" or ("output" in found and "choices" not in found)


def texts_of(response: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """Each text of a response, with True if it is part of the answer. Reasoning, refusals and tool arguments are not."""
    for item in _all(response.get("output")):
        told = item.get("type", "message") == "message"
        for part in _all(item.get("content")):
            if isinstance(part.get("text"), str):
                yield part["text"], told and part.get("type", "output_text") == "output_text"
            elif isinstance(part.get("refusal"), str):
                yield part["refusal"], False
        for part in _all(item.get("summary")):
            if isinstance(part.get("text"), str):
                yield part["text"], False
        for name in ("arguments", "input"):
            if isinstance(item.get(name), str):
                yield item[name], False


class ResponseEnding:
    """How a response ended.

    Attributes:
        finish: the upstream's `status`; empty until it gives one.
    """

    def __init__(self) -> None:
        self.finish = ""
        self._seen: set[AnswerState] = set()
        self._over = False
        self._reason = ""

    def broken(self) -> None:
        """Note a failure in the answer, or a part that cannot be read."""
        self._seen.add("broken")

    def take(self, response: Mapping[str, Any], said: str = "") -> None:
        """Read a whole response: a plain answer, or the one in a stream's last event, whose name without `response.` is `said`."""
        self._over = True
        status, details = response.get("status"), response.get("incomplete_details")
        self.finish = status if isinstance(status, str) and status else said
        if said and self.finish != said:
            self.broken()
        reason = details.get("reason") if isinstance(details, Mapping) else None
        self._reason = reason if isinstance(reason, str) else ""
        if response.get("error"):
            self.broken()
        items = response.get("output")
        if not isinstance(items, list):
            self.broken()
            return
        for item in items:
            self._item(item)
        if sum(isinstance(item, Mapping) and item.get("type", "message") == "message" for item in items) > 1:
            self._seen.add("odd")

    def state(self, text: str, ended: bool, long: bool) -> AnswerState:
        """The state of the answer. `ended` is not used: only a whole response shows that it is complete. `long`: more text came than
        `text`."""
        if not self._over:
            return "broken"
        for state in _FIRST:
            if state in self._seen:
                return state
        if self._reason == _FILTERED:
            return "refused"
        if self.finish in ("", _INCOMPLETE) or self._reason:
            return "cut"  # also without a status: the length may be the cause
        if self.finish != _COMPLETED:
            return "broken"
        if long:
            return "long"
        return "whole" if text.strip() else "blank"

    def _item(self, item: Any) -> None:
        kind = item.get("type", "message") if isinstance(item, Mapping) else None
        if not isinstance(item, Mapping) or not isinstance(kind, str):
            self._seen.add("odd")
        elif kind == "message":
            content = item.get("content")
            parts = content if isinstance(content, list) else [None]
            for part in parts:
                shape = part.get("type", "output_text") if isinstance(part, Mapping) else None
                if shape == "refusal":
                    self._seen.add("refused")
                elif shape != "output_text" or not isinstance(part, Mapping) or not isinstance(part.get("text"), str):
                    self._seen.add("odd")
        elif kind.endswith("_call"):
            self._seen.add("tools")
        elif kind != "reasoning":
            self._seen.add("odd")


def _all(found: Any) -> Iterator[Mapping[str, Any]]:
    """The objects in a list; nothing if it is not a list."""
    return (one for one in found if isinstance(one, Mapping)) if isinstance(found, list) else iter(())
