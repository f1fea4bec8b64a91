"""OpenAI's chat body as llama.cpp takes it: what is understood is passed on, what cannot be is refused, the rest is left out.

The conversation becomes a prompt by the template in the model's own file, which llama.cpp fills in. Where the template knows tools,
llama.cpp also reads their calls out of what the model writes; else `llama_tools` does. It would take special tokens in a message for
what they are: they are broken up here, so that no user can end their own message and begin the system's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from smidgen.core.errors import RequestError
from smidgen.engines.llama_options import Options
from smidgen.engines.llama_tools import Tools
from smidgen.engines.llama_wire import Message

PASSED = (
    "messages",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "temperature",
    "top_p",
    "seed",
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "reasoning_effort",
)
"""Fields that llama.cpp is given as they are, special tokens apart. Its own (`lora`, `id_slot`, `n_keep`, ...) are not for callers."""

PENALTIES = ("presence_penalty", "frequency_penalty")
"""By them a token is less likely where it stands among the last ones, of the prompt too. llama.cpp looks at 64."""

BREAK = "\u2060"
"""A word joiner: seen by no one, and enough to make plain characters of a special token."""


def request(body: Mapping[str, Any], options: Options, specials: Sequence[str], knows_tools: bool) -> tuple[Message, Tools | None]:
    """The request for the model's process, and what reads calls of tools out of the answer, where llama.cpp does not.

    `knows_tools` says whether the model's template does. Raises RequestError for a body that cannot be answered.
    """
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(message, dict) for message in messages):
        raise _refused("there are no messages", messages, "Send a list of messages, each with a role and a content.", "messages")
    for number, message in enumerate(messages):
        _only_text(message.get("content"), f"messages[{number}].content")
    if body.get("n") not in (None, 1):
        raise _refused("only one answer can be had at a time", body["n"], "Leave out n, and ask again for another answer.", "n")
    most = body.get("max_completion_tokens") or body.get("max_tokens") or options.max_tokens
    if not isinstance(most, int) or isinstance(most, bool) or most < 1:
        raise _refused("max_tokens cannot be", most, "Give a whole number from 1.", "max_tokens")
    tools = Tools(body["tools"], body.get("tool_choice")) if body.get("tools") and not knows_tools else None
    if tools is not None:
        body = {**body, "messages": tools.messages(messages), "tools": None, "tool_choice": None, "parallel_tool_calls": None}
        if tools.demanded:
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": "call", "schema": tools.schema()}}
    broken = _Breaker(specials)
    asked = {name: broken.all(body[name]) for name in PASSED if body.get(name) is not None}
    top = body.get("top_logprobs") or 0
    if not isinstance(top, int) or not 0 <= top <= 20:
        raise _refused("so many likeliest tokens cannot be given", top, "Ask for 0 to 20.", "top_logprobs")
    if asked.get("temperature"):
        asked["samplers"] = ["penalties", "temperature", "top_p"]
        asked.setdefault("top_p", 1.0)  # llama.cpp's own is less, and a single message is drawn from all
    else:
        # The likeliest token is another one after a penalty; without one, nothing comes before it.
        penalties = ["penalties"] if any(asked.get(name) for name in PENALTIES) else []
        asked |= {"temperature": 0.0, "samplers": [*penalties, "top_k"], "top_k": 1}
    asked |= {"max_tokens": min(most, options.context), "stream": True, "cache_prompt": True, "return_progress": True}
    asked |= {"timings_per_token": True, "post_sampling_probs": False}
    if not asked.get("tools"):  # llama.cpp gives no probabilities beside tools
        asked |= {"logprobs": True, "top_logprobs": max(1, top)}
    return {"do": "chat", "body": asked, "stop_ids": options.stop, "top": top, "context": options.context}, tools


def schema(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The JSON schema that a body's `response_format` asks the answer to fit; None where it asks for none."""
    asked = body.get("response_format")
    wrapped = asked.get("json_schema") if isinstance(asked, Mapping) else None
    found = wrapped.get("schema") if isinstance(wrapped, Mapping) else None
    return found if isinstance(found, Mapping) else None


class _Breaker:
    """Breaks up special tokens in all texts of a JSON value."""

    def __init__(self, specials: Sequence[str]) -> None:
        longest_first = sorted((special for special in specials if len(special) > 1), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def all(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._pattern.sub(lambda found: found[0][0] + BREAK + found[0][1:], value) if self._pattern else value
        if isinstance(value, Mapping):
            return {self.all(key): self.all(inner) for key, inner in value.items()}
        return [self.all(inner) for inner in value] if isinstance(value, list | tuple) else value


def _only_text(content: Any, where: str) -> None:
    """A model of text takes texts alone; llama.cpp would go and fetch an image's address."""
    parts = content if isinstance(content, list) else []
    if any(not isinstance(part, dict) or part.get("type") != "text" for part in parts):
        raise _refused("this model reads text alone", where, "Send parts of the type text.", where)


def _refused(what: str, value: object, todo: str, param: str) -> RequestError:
    return RequestError(what, value=value, todo=todo, status=400, param=param)
