"""Open a desk from its bundle, with the tools that may be called."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from smidgen.apps.desk.desk import Desk
from smidgen.apps.tools.definition import Tool
from smidgen.apps.tools.toolbox import Toolbox
from smidgen.engines.desk import packed_tools
from smidgen.flows.local_model import Model
from smidgen.store.calls import CallStore


def desk_of(model: Model) -> Desk | None:
    """The desk in a loaded model; None if it is another kind of model. It makes no call that changes anything."""
    found = getattr(model.runner, "desk", None)
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
    return desk.live_with(Toolbox(tools_of(model, tools), calls, environment), model.name)


def tools_of(model: Model, file: Path | None = None) -> tuple[Tool, ...]:
    """The tools of a desk, with how they are called: by a tool file, which is by default the one that the desk was built with.

    Raises EngineError for a file with mistakes, or whose tools are not those that the desk has learnt.
    """
    return packed_tools(model.folder, file)
