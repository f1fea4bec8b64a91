"""How an answer of a chat completion or a completion went, from its choices: whole, or as the pieces of a stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smidgen.core.answer_state import AnswerState

_WHOLE = "stop"
_CALLING = ("tool_calls", "function_call")
_FILTERED, _FAILED = "content_filter", "error"
_FIRST: tuple[AnswerState, ...] = ("broken", "odd", "tools", "refused")
"""What was seen in an answer, the one that counts first."""
_PARTS = (None, "text", "output_text")


class Ending:
    """See above.

    Attributes:
        finish: why it ended, in the upstream's word; empty while, or where, it does not say.
    """

    def __init__(self) -> None:
        self.finish = ""
        self._seen: set[AnswerState] = set()
        self._choices = 0

    @property
    def is_broken(self) -> bool:
        """Whether it was told so."""
        return "broken" in self._seen

    def broken(self) -> None:
        """There was a failure in it, or something that cannot be read."""
        self._seen.add("broken")

    def take(self, choices: Any, place: str) -> None:
        """The choices of an answer (`place` is `message`), or of one piece of it (`delta`)."""
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
        """How it went. `ended`: whether it came to its end, as it was sent; `long`: whether there was more text than `text`."""
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
            return "cut"  # also where nobody says why it ended: it may have been for its length
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
