"""Open a desk from its bundle, with the tools that may be called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from smidgen.core.replies import Reply
from smidgen.core.rows import Text, joined
from smidgen.desk.answering import Desk
from smidgen.desk.engines import TOOLS, packed_key, packed_tools
from smidgen.desk.live_test import live_replies
from smidgen.desk.reply_json import reply_output
from smidgen.flows.local_model import Model
from smidgen.store.calls import CallStore
from smidgen.tools.definition import Tool
from smidgen.tools.known_files import known_test_copy
from smidgen.tools.toolbox import Toolbox


def desk_of(model: Any) -> Desk | None:
    """The desk in a loaded model; None if it is another kind of model. It makes no call that changes anything."""
    found = getattr(getattr(model, "runner", None), "desk", None)
    return found if isinstance(found, Desk) else None


def live_desk(model: Model, calls: CallStore, tools: Path | None = None, environment: Mapping[str, str] | None = None) -> Desk:
    """The desk in a loaded model, which makes calls after the customer's yes.

    Args:
        model: a loaded desk.
        calls: where proposed calls wait, and calls are logged.
        tools: the tool file, which says how the tools are called; by default the one that the desk was built with.
        environment: where `${NAME}` in the tools is looked up; the process's own by default.

    Raises EngineError for a tool file with mistakes, or with other tools than the desk has learnt.
    """
    desk = desk_of(model)
    assert desk is not None, "the model is a desk"
    return desk.live_with(Toolbox(tools_of(model, tools), calls, environment), model.name).for_customers()


def serve_desk(model: Any) -> None:
    """Make a desk that is about to be served one for customers: see `Desk.for_customers`. Another model stays as it is."""
    desk = desk_of(model)
    if desk is not None:
        model.runner.desk = desk.for_customers()


def tools_of(model: Model, file: Path | None = None) -> tuple[Tool, ...]:
    """The tools of a desk, with how they are called: by a tool file, which is by default the one that the desk was built with.

    Raises EngineError for a file with mistakes, or whose tools are not those that the desk has learnt.
    """
    return packed_tools(model.folder, file)


def tried_replies(model: Model, texts: Sequence[Text], copy: str | None = None, tools: Path | None = None) -> list[Reply] | None:
    """The replies of a desk to conversations, with its calls made in a test copy; None without a copy.

    Args:
        copy: the test copy: see `live_replies`. By default that of the desk's recipe, where it was built on this machine.
        tools: the tool file; by default the one that the desk was built with.

    Raises InputError for a copy that cannot be used.
    """
    desk = desk_of(model)
    assert desk is not None, "the model is a desk"
    if copy is None and (model.folder / TOOLS).is_file():
        copy = known_test_copy(packed_key(model.folder))
    if copy is None:
        return None
    replies = live_replies(desk, [joined(text) for text in texts], copy, tools_of(model, tools))
    raw = [{"output": reply_output(reply), "score": reply.score} for reply in replies]
    return model.task.decode({"replies": raw}, model.form)
