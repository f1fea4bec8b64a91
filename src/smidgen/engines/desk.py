"""Run a desk: its members, each in its own engine, and the policy that says who answers what.

Its files are the members' bundles, in `members/ROLE/`, `policy.toml` and, if it has tools, `tools.toml`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from smidgen.apps.desk.desk import Desk
from smidgen.apps.desk.dialogue import answer_last
from smidgen.apps.desk.members import ROLES, Member
from smidgen.apps.desk.policy import parse_policy
from smidgen.apps.desk.reply_json import reply_output
from smidgen.apps.tools.tool_file import read_tools
from smidgen.core.errors import EngineError
from smidgen.core.forms import Form
from smidgen.core.parts import Engine, Raw, Runner, Task
from smidgen.core.replies import Reply
from smidgen.core.rows import Text, joined
from smidgen.engines.model_files import AGAIN
from smidgen.parts import registry

POLICY, TOOLS = "policy.toml", "tools.toml"


class DeskEngine(Engine):
    """The desk engine. Options:

    name: the desk's name.
    members: by role `{"task", "form", "engine", "options"}` of each member, whose files are in `members/ROLE/`.
    tools_folder: the folder that paths in `tools.toml` start from; without it the folder of the bundle.
    """

    name = "desk"

    def open(self, folder: Path, options: Mapping[str, Any], threads: int) -> DeskRunner:
        """Load every member. Raises EngineError if one cannot be loaded, or the options are invalid."""
        given = options.get("members")
        if not isinstance(given, Mapping) or not given or not given.keys() <= ROLES.keys():
            raise EngineError("the desk names no members, or unknown roles", value=given, todo=AGAIN)
        policy = parse_policy((folder / POLICY).read_text(encoding="utf-8"), POLICY)
        runners: dict[str, Runner] = {}
        try:
            members = {}
            for role, entry in given.items():
                if not isinstance(entry, Mapping):
                    raise EngineError("a member of the desk is invalid", value=entry, todo=AGAIN)
                engine: Engine = registry.find("engines", str(entry.get("engine")))
                runners[role] = engine.open(folder / "members" / role, entry.get("options", {}), threads)
                members[role] = _member(runners[role], entry)
        except EngineError:
            _close(runners.values())
            raise
        tools = read_tools(folder / TOOLS) if (folder / TOOLS).is_file() else ()
        return DeskRunner(Desk(str(options.get("name", "desk")), policy, members, tools), list(runners.values()))


def _member(runner: Runner, entry: Mapping[str, Any]) -> Member:
    """A loaded member as a function."""
    task: Task = registry.find("tasks", str(entry.get("task")))
    try:
        form: Form = task.read_form(entry.get("form", {}))
    except ValueError as error:
        raise EngineError(f"a member of the desk cannot answer: {error}", value=entry.get("task"), todo=AGAIN) from None
    formed = task.formed(form)

    def reply_to(text: str) -> Reply:
        (reply,) = formed.decode({**runner.run([text]), "inputs": [text]}, form)
        return reply

    return reply_to


class DeskRunner:
    """A loaded desk. As a model it answers the last message of a conversation, and makes no call that changes anything."""

    def __init__(self, desk: Desk, runners: Sequence[Runner]) -> None:
        self.desk, self._runners = desk, runners

    def run(self, texts: Sequence[Text]) -> Raw:
        """`replies`: for each text its reply as `output` and `score`."""
        answers = [answer_last(self.desk, joined(text)).reply for text in texts]
        return {"replies": [{"output": reply_output(reply), "score": reply.score} for reply in answers]}

    def close(self) -> None:
        """Release the members."""
        _close(self._runners)


def _close(runners: Any) -> None:
    for runner in runners:
        close = getattr(runner, "close", None)
        if close is not None:
            close()


part = DeskEngine()
