"""Run a desk: its members, each in its own engine, and the policy that says who answers what.

Its files are the members' bundles, in `members/ROLE/`, `policy.toml`, if it has tools, `tools.json`: what they are,
not how they are called; and `confidence.json`: how sure it must be of a reply.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from smidgen.core.errors import EngineError, RecipeError
from smidgen.core.forms import Form
from smidgen.core.parts import Engine, Raw, Runner, Task
from smidgen.core.replies import Reply
from smidgen.core.rows import Text, joined
from smidgen.desk.answering import Desk
from smidgen.desk.confidence import DeskConfidence, read_confidence
from smidgen.desk.dialogue import answer_last
from smidgen.desk.members import Member, role_and_language
from smidgen.desk.policy import REDACTION, parse_policy
from smidgen.desk.quotations import QuotationSigns
from smidgen.desk.reply_json import reply_output
from smidgen.parts import registry
from smidgen.search.documents.document import read_passages
from smidgen.search.question_words import TellingWords, stems_of
from smidgen.store.calls import CallStore
from smidgen.tools.definition import Tool, load_tools
from smidgen.tools.known_files import desk_key, known_tool_file
from smidgen.tools.tool_file import called_tools
from smidgen.tools.toolbox import Toolbox

POLICY, TOOLS, CONFIDENCE = "policy.toml", "tools.json", "confidence.json"


class DeskEngine(Engine):
    """The desk engine. Options:

    name: the desk's name.
    members: by role `{"task", "form", "engine", "options"}` of each member, whose files are in `members/ROLE/`.
    """

    name = "desk"

    def open(self, folder: Path, options: Mapping[str, Any], threads: int) -> DeskRunner:
        """Load every member. Raises EngineError if one cannot be loaded, or the options are invalid."""
        given = options.get("members")
        if not isinstance(given, Mapping) or not given or not all(role_and_language(str(name))[0] for name in given):
            raise EngineError("desk.desk_names_no_members_or_unknown_roles", value=given)
        policy = parse_policy((folder / POLICY).read_text(encoding="utf-8"), POLICY)
        confidence = _confidence(folder / CONFIDENCE)
        runners: dict[str, Runner] = {}
        no_intent = ""
        try:
            members = {}
            for role, entry in given.items():
                if not isinstance(entry, Mapping):
                    raise EngineError("desk.member_of_desk_is_invalid", value=entry)
                if role == REDACTION:
                    continue  # whoever keeps conversations opens it
                engine: Engine = registry.find("engines", str(entry.get("engine")))
                runners[role] = engine.open(folder / "members" / role, entry.get("options", {}), threads)
                members[role], form = _member(runners[role], entry)
                if role_and_language(role)[0] == "intents" and form.labelling is not None:
                    no_intent = no_intent or form.labelling.unknown or ""
            tools = packed_tools(folder)
        except EngineError:
            _close(runners.values())
            raise
        toolbox = ReadingToolbox(tools) if tools else None
        signs = QuotationSigns(_words(folder / "members" / "answer" / "passages.json"), members.get("intents"), no_intent)
        desk = Desk(
            str(options.get("name", "desk")),
            policy,
            members,
            tools,
            toolbox,
            no_intent=no_intent,
            confidence=confidence,
            signs=signs,
        )
        return DeskRunner(desk, [*runners.values(), *([toolbox] if toolbox is not None else [])])


def _confidence(file: Path) -> DeskConfidence | None:
    """How sure the desk must be; None if it was built on too few conversations."""
    if not file.is_file():
        return None
    try:
        return read_confidence(json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, RecursionError) as error:
        raise EngineError("desk.desk_confidence_cannot_be_read", value=str(error)) from None


def _words(file: Path) -> TellingWords | None:
    """How telling each word is among the passages of the member `answer`; None without them."""
    if not file.is_file():
        return None
    try:
        passages = read_passages(json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, RecursionError) as error:
        raise EngineError("desk.passages_cannot_be_read", value=str(error)) from None
    return TellingWords(stems_of(passage.described) for passage in passages)


def _member(runner: Runner, entry: Mapping[str, Any]) -> tuple[Member, Form]:
    """A loaded member as a function, and its form."""
    task: Task = registry.find("tasks", str(entry.get("task")))
    try:
        form: Form = task.read_form(entry.get("form", {}))
    except ValueError as error:
        raise EngineError("desk.member_of_desk_cannot_answer", value=entry.get("task"), error=error) from None
    formed = task.formed(form)
    turn: AbstractContextManager[Any] = nullcontext() if getattr(runner, "concurrent", False) else threading.Lock()

    def reply_to(text: str) -> Reply:
        with turn:
            raw = runner.run([text])
        (reply,) = formed.decode({**raw, "inputs": [text]}, form)
        return reply

    return reply_to, form


def packed_tools(folder: Path, file: Path | None = None) -> tuple[Tool, ...]:
    """The tools in a desk's files; empty if there are none.

    A bundle says what its tools are, and never how they are called. That says a tool file of this machine: by default the one with which
    this desk was last built here. Without it, every call fails.

    Raises EngineError if the tools cannot be read, or are others than the file's.
    """
    own = folder / TOOLS
    try:
        told = own.read_text(encoding="utf-8") if own.is_file() else ""
        known = load_tools(told) if told else ()
        file = known_tool_file(packed_key(folder)) if file is None and told else file
        return known if file is None else called_tools(known, file)
    except ValueError as error:
        raise EngineError("desk.desk_tools_cannot_be_read", value=TOOLS, error=error) from None
    except RecipeError as error:
        raise EngineError("desk.desk_tools_cannot_be_called", value=str(error)) from None


def packed_key(folder: Path) -> str:
    """Return the key of a desk with tools, from its files: see `desk_key`."""
    members = {manifest.parent.name: manifest.parent for manifest in (folder / "members").glob("*/smidgen.json")}
    return desk_key((folder / TOOLS).read_text(encoding="utf-8"), (folder / POLICY).read_bytes(), members)


class ReadingToolbox(Toolbox):
    """A toolbox for calls that only read. Failed look-ups are counted in a file of its own, which goes with it."""

    def __init__(self, tools: Sequence[Tool], environment: Mapping[str, str] | None = None) -> None:
        self._folder = TemporaryDirectory(prefix="smidgen-desk-", ignore_cleanup_errors=True)
        self._calls = CallStore(Path(self._folder.name) / "calls.db")
        super().__init__(tools, self._calls, environment)

    def close(self) -> None:
        """Remove the file, and close the connections."""
        super().close()
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


part_desk = DeskEngine()
