"""Models that think before they answer: how it shows, and an answer without it.

What is thought is paid for and counts toward the bound on an answer. It stands in a field of its own, or before the answer between
`<think>` and `</think>`; some servers put the first of these into the prompt, so that the second stands alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from smidgen.data.teacher.exchange import Answer

_OPEN, _CLOSE = "<think>", "</think>"
_FIELDS = ("reasoning_content", "reasoning")


def shows(message: dict[str, Any], usage: Any) -> bool:
    """Whether a message of a completion, or what it took, tells that its model thought."""
    details = usage.get("completion_tokens_details") if isinstance(usage, dict) else None
    tokens = details.get("reasoning_tokens") if isinstance(details, dict) else None
    if isinstance(tokens, int) and tokens > 0:
        return True
    return any(isinstance(message.get(field), str) and message[field].strip() for field in _FIELDS)


def spoken(answer: Answer) -> Answer:
    """The answer without what was thought before it. Where the thinking does not end, the answer was cut off, and there is none."""
    text = answer.text.lstrip()
    opened = text.startswith(_OPEN)
    thought, closed, said = text.removeprefix(_OPEN).partition(_CLOSE)
    if not opened and (not closed or _OPEN in thought):
        return answer
    if not closed:
        return replace(answer, text="", finished=False, thought=True)
    return replace(answer, text=said.lstrip(), thought=answer.thought or bool(thought.strip()))
