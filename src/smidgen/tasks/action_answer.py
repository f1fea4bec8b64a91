"""The answer of a model that calls tools to a chat request with tools: a call, a question for what is missing, or nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from smidgen.core.errors import RequestError
from smidgen.core.replies import Reply
from smidgen.core.rows import Text, joined
from smidgen.core.tool_calls import FoundCall, ToolAnswer, ToolsAsked
from smidgen.tasks import action_tools, action_zero_shot
from smidgen.tasks.action_form import ActionForm
from smidgen.tasks.action_tools import ToolFacts
from smidgen.tasks.field_schema import bare

_ASKING = {"en": "Please tell me: {names}.", "de": "Bitte nennen Sie: {names}."}
_ASKED = re.compile(r"(?:Please tell me|Bitte nennen Sie): .{1,2000}\.", re.DOTALL)
_GERMAN = frozenset(
    ("ich", "sie", "bitte", "und", "der", "die", "das", "ein", "eine", "mein", "meine", "nicht", "ist", "für", "mit", "möchte", "wo")
)
_WORD = re.compile(r"[^\W\d_]+")


def given_tools(asked: ToolsAsked, form: ActionForm) -> tuple[list[ToolFacts], bool]:
    """The tools that may be called, and whether all are the model's own. Raises RequestError for tools that cannot be called."""
    if asked.tools is None:
        tools, own = list(form.tools), True
    else:
        tools, mistakes = action_tools.normal(list(asked.tools))
        if mistakes:
            raise _refused("tasks.given_tools_cannot_be_used", value="; ".join(mistakes)[:300])
        known = {tool["name"]: tool["parameters"] for tool in form.tools}
        own = all(tool["name"] in known for tool in tools)
        changed = [tool["name"] for tool in tools if tool["name"] in known and bare(tool["parameters"]) != bare(known[tool["name"]])]
        if own and changed:
            raise _refused("tasks.tool_has_other_arguments", value=changed[0])
    if asked.named is not None and asked.named not in action_tools.called(tools):
        raise _refused("tasks.tool_choice_names_missing_tool", value=asked.named, param="tool_choice")
    return tools, own


def texts_of(asked: ToolsAsked, form: ActionForm) -> list[str]:
    """The texts whose vectors are needed to choose among tools that the model was not built with; empty if it was built with all."""
    tools, own = given_tools(asked, form)
    return [] if own or asked.mode == "none" else action_zero_shot.texts_of(tools)


def answer(text: Text, reply: Reply, asked: ToolsAsked, form: ActionForm, vectors: Sequence[Sequence[float]]) -> ToolAnswer:
    """The answer to a message. A call is given only with all arguments that its tool needs."""
    if asked.mode == "none":
        return ToolAnswer(None, "", reply.output, reply.score, {**reply.facts, "calls": "none are wanted"})
    tools, own = given_tools(asked, form)
    if not own:
        found = action_zero_shot.call(joined(text), tools, vectors, named=asked.named, required=asked.mode == "required", today=form.today)
        return _answered(text, found.call, 0.0, {**found.facts, "unscored": "the model was not built with these tools"}, tools)
    names = [asked.named] if asked.named is not None else list(action_tools.called(tools))
    chosen = reply
    if asked.mode == "required" or asked.named is not None or (reply.output is not None and reply.output["tool"] not in names):
        chosen = _among(reply, names, asked)
    return _answered(text, chosen.output, chosen.score, chosen.facts, tools)


def _among(reply: Reply, names: Sequence[str], asked: ToolsAsked) -> Reply:
    """The reply that calls the likeliest of some tools; without a demand, none if another tool is meant."""
    if asked.mode != "required" and asked.named is None:
        return Reply(None, reply.score, facts={"calls": "the message asks for a tool that the request does not have"})
    if reply.output is not None and reply.output["tool"] in names:
        return reply
    if reply.calling is None:
        raise _refused("tasks.model_cannot_be_made_to_call_tool", value=", ".join(names)[:200], param="tool_choice")
    chances = reply.chances or {}
    return reply.calling(max(names, key=lambda name: chances.get(name, 0.0)))


def _answered(text: Text, call: Mapping[str, Any] | None, score: float, facts: Mapping[str, Any], tools: Sequence[ToolFacts]) -> ToolAnswer:
    if call is None:
        return ToolAnswer(None, "", None, score, facts)
    if missing := facts.get("missing"):
        return ToolAnswer(None, asking(joined(text), call["tool"], missing, tools), dict(call), score, facts)
    return ToolAnswer(FoundCall(call["tool"], call["arguments"]), "", dict(call), score, facts)


def asking(text: str, tool: str, missing: Sequence[str], tools: Sequence[ToolFacts]) -> str:
    """The question for missing arguments, by their descriptions where these are short, else by their names."""
    schema = next(one["parameters"] for one in tools if one["name"] == tool)
    words = {word.casefold() for word in _WORD.findall(text)}
    language = "de" if words & _GERMAN or set("äöüß") & set(text.casefold()) else "en"
    return _ASKING[language].format(names=", ".join(_called(path, schema) for path in missing))


def is_asking(content: str) -> bool:
    """Whether an earlier message of the model is a question for missing arguments."""
    return _ASKED.fullmatch(content.strip()) is not None


_LONGEST = 60


def _called(path: str, schema: Mapping[str, Any]) -> str:
    node: Mapping[str, Any] = schema
    for name in path.split("."):
        node = node["properties"][name]
    described = str(node.get("description", "")).strip().rstrip(".")
    return described if 0 < len(described) <= _LONGEST else path.replace("_", " ").replace(".", " ")


def _refused(code: str, *, value: object, param: str = "tools") -> RequestError:
    return RequestError(code, value=value, status=400, code="unsupported_tools", param=param)
