"""Try a project's desk with its tools and secrets as they are now: it looks up, and changes nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

from smidgen.core.conversations import DeskConversation, DeskReply, Turn
from smidgen.core.errors import SmidgenError
from smidgen.core.rows import Text, joined
from smidgen.desk.answering import Desk
from smidgen.desk.dialogue import read_messages
from smidgen.desk.engines import ReadingToolbox
from smidgen.desk.flows.live_desk import desk_of, tools_of
from smidgen.desk.reply_json import reply_output
from smidgen.flows.local_model import Model
from smidgen.studio.flows.material import material_kinds, material_path
from smidgen.studio.flows.models.answering import TriedAnswer, tried
from smidgen.studio.flows.tool_files.tool_secrets import tool_environment
from smidgen.studio.store.projects import Project


def desk_answers(project: Project, model: Model, texts: Sequence[Text]) -> list[TriedAnswer] | None:
    """A desk's answers to texts; `why` among the facts of one says why its call failed, for people of the business.

    None for another kind of model, and where the project's tools are not those that the desk has learnt.
    """
    desk = desk_of(model)
    if desk is None or "tools" not in material_kinds(project):
        return None
    try:
        tools = tools_of(model, material_path(project, "tools"))
    except SmidgenError:  # the page Tools says what is wrong with them
        return None
    began = time.perf_counter()
    with closing(ReadingToolbox(tools, tool_environment(project.id))) as toolbox:
        own = desk.live_with(toolbox, desk.name, changes=False).for_customers()
        given = [_last_reply(own, read_messages(joined(text))) for text in texts]
    seconds = (time.perf_counter() - began) / max(1, len(texts))
    raw = {"replies": [{"output": reply_output(one), "score": one.score} for one in given]}
    found = []
    for one, reply in zip(given, model.task.decode(raw, model.form), strict=True):
        why = one.facts.get("result", {}).get("why", "") if one.outcome == "failed" else ""
        found.append(tried(model, replace(reply, facts={**reply.facts, "why": why}) if why else reply, None, seconds))
    return found


def _last_reply(desk: Desk, messages: Sequence[str]) -> DeskReply:
    """The reply to the last message. What earlier ones looked up is looked up again, so that the desk remembers it as it will at work."""
    conversation = DeskConversation("try", desk.name, "studio")
    for message in messages[:-1]:
        now, found = datetime.now(UTC), desk.answer(conversation, message)
        turns = (*conversation.turns, Turn("customer", message, now), Turn("desk", found.reply.text, now, reply=found.reply))
        conversation = replace(conversation, turns=turns, state=found.state, status=found.status)
    return desk.answer(conversation, messages[-1]).reply
