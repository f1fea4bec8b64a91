"""Run a desk: its members, each in its own engine, and the policy that says who answers what.

Its files are the members' bundles, in `members/ROLE/`, `policy.toml` and, if it has tools, `tools.json`: what
they are, not how they are called.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from smidgen.apps.desk.desk import Desk
from smidgen.apps.desk.dialogue import answer_last
from smidgen.apps.desk.members import ROLES, Member
from smidgen.apps.desk.policy import parse_policy
from smidgen.apps.desk.reply_json import reply_output
from smidgen.apps.tools.definition import Tool, load_tools
from smidgen.apps.tools.tool_file import called_tools
from smidgen.apps.tools.toolbox import Toolbox
from smidgen.core.errors import EngineError, RecipeError
from smidgen.core.forms import Form
from smidgen.core.parts import Engine, Raw, Runner, Task
from smidgen.core.replies import Reply
from smidgen.core.rows import Text, joined
from smidgen.engines.model_files import AGAIN
from smidgen.parts import registry
from smidgen.store.calls import CallStore

POLICY, TOOLS = "policy.toml", "tools.json"


class DeskEngine(Engine):
    """The desk engine. Options:

    name: the desk's name.
    members: by role `{"task", "form", "engine", "options"}` of each member, whose files are in `members/ROLE/`.
    tools_file: the tool file that it was built with, for a server on the same machine.
    """

    name = "desk"

    def open(self, folder: Path, options: Mapping[str, Any], threads: int) -> DeskRunner:
        """Load every member. Raises EngineError if one cannot be loaded, or the options are invalid."""
        given = options.get("members")
        if not isinstance(given, Mapping) or not given or not given.keys() <= ROLES.keys():
            raise EngineError("the desk names no members, or unknown roles", value=given, todo=AGAIN)
        policy = parse_policy((folder / POLICY).read_text(encoding="utf-8"), POLICY)
        runners: dict[str, Runner] = {}
        no_intent = ""
        try:
            members = {}
            for role, entry in given.items():
                if not isinstance(entry, Mapping):
                    raise EngineError("a member of the desk is invalid", value=entry, todo=AGAIN)
                engine: Engine = registry.find("engines", str(entry.get("engine")))
                runners[role] = engine.open(folder / "members" / role, entry.get("options", {}), threads)
                members[role], form = _member(runners[role], entry)
                if role == "intents" and form.labelling is not None:
                    no_intent = form.labelling.unknown or ""
            tools = packed_tools(folder, options)
        except EngineError:
            _close(runners.values())
            raise
        toolbox = ReadingToolbox(tools) if tools else None
        desk = Desk(str(options.get("name", "desk")), policy, members, tools, toolbox, no_intent=no_intent)
        return DeskRunner(desk, [*runners.values(), *([toolbox] if toolbox is not None else [])])


def _member(runner: Runner, entry: Mapping[str, Any]) -> tuple[Member, Form]:
    """A loaded member as a function, and its form."""
    task: Task = registry.find("tasks", str(entry.get("task")))
    try:
        form: Form = task.read_form(entry.get("form", {}))
    except ValueError as error:
        raise EngineError(f"a member of the desk cannot answer: {error}", value=entry.get("task"), todo=AGAIN) from None
    formed = task.formed(form)
    turn: AbstractContextManager[Any] = nullcontext() if getattr(runner, "concurrent", False) else threading.Lock()

    def reply_to(text: str) -> Reply:
        with turn:
            raw = runner.run([text])
        (reply,) = formed.decode({**raw, "inputs": [text]}, form)
        return reply

    return reply_to, form


def packed_tools(folder: Path, options: Mapping[str, Any], file: Path | None = None) -> tuple[Tool, ...]:
    """The tools in a desk's files; empty if there are none.

    A bundle says what its tools are, and never how they are called: that says a tool file of this machine, by default the one that the desk
    was built with. Without it, every call fails. Raises EngineError if the tools cannot be read, or are others than the file's.
    """
    own = folder / TOOLS
    built_with = options.get("tools_file")
    if file is None and isinstance(built_with, str) and Path(built_with).is_file():
        file = Path(built_with)
    try:
        known = load_tools(own.read_text(encoding="utf-8")) if own.is_file() else ()
        return known if file is None else called_tools(known, file)
    except ValueError as error:
        raise EngineError(f"the desk's tools cannot be read: {error}", value=TOOLS, todo=AGAIN) from None
    except RecipeError as error:
        raise EngineError("the desk's tools cannot be called", value=str(error), todo="Correct the tool file, or build again.") from None


class ReadingToolbox(Toolbox):
    """A toolbox for calls that only read. Failed look-ups are counted in a file of its own, which goes with it."""

    def __init__(self, tools: Sequence[Tool]) -> None:
        self._folder = TemporaryDirectory(prefix="smidgen-desk-", ignore_cleanup_errors=True)
        self._calls = CallStore(Path(self._folder.name) / "calls.db")
        super().__init__(tools, self._calls)

    def close(self) -> None:
        """Remove the file."""
        self._calls.close()
        self._folder.cleanup()


class DeskRunner:
    """A loaded desk. As a model it answers the last message of a conversation, and makes no call that changes anything.

    Args:
        desk: the desk.
        held: all that must be closed with it, where it can be.
    """

    def __init__(self, desk: Desk, held: Sequence[Any]) -> None:
        self.desk, self._held = desk, held

    def run(self, texts: Sequence[Text]) -> Raw:
        """`replies`: for each text its reply as `output` and `score`."""
        answers = [answer_last(self.desk, joined(text)).reply for text in texts]
        return {"replies": [{"output": reply_output(reply), "score": reply.score} for reply in answers]}

    def close(self) -> None:
        """Release the members."""
        _close(self._held)


def _close(runners: Any) -> None:
    for runner in runners:
        close = getattr(runner, "close", None)
        if close is not None:
            close()


part = DeskEngine()
