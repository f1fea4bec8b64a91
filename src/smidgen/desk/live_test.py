"""Test a desk on conversations with calls that are really made: in a test copy of the business's systems, never in the real ones."""

from __future__ import annotations

import json
import os
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from smidgen.core.conversations import DeskConversation, DeskReply, Turn
from smidgen.core.errors import InputError
from smidgen.desk.answering import Desk
from smidgen.desk.demo_shop import demo_shop
from smidgen.desk.dialogue import read_messages
from smidgen.machine.addresses import on_this_machine
from smidgen.store.calls import CallStore
from smidgen.tools.definition import McpTarget, SqlTarget, Tool
from smidgen.tools.environment import VARIABLE, expanded
from smidgen.tools.toolbox import Toolbox

SAMPLE_SHOP = "sample-shop"
"""In place of a file, or of the object in it: a copy of the sample shop's system, fresh for each conversation."""
_MOST_BYTES = 100_000
_SECONDS_TO_CONNECT = 2.0
_PORTS, _POSTGRES_PORT = {"http": 80, "https": 443}, 5432


def live_replies(desk: Desk, texts: Sequence[str], place: str, tools: Sequence[Tool] | None = None) -> list[DeskReply]:
    """A desk's reply to the last message of each text, with the calls of the whole conversation made. Texts that follow one another and
    continue one conversation are one conversation, and each of its calls is made once.

    Args:
        desk: the desk.
        texts: conversations, as `dialogue.written` gives them.
        place: a JSON file with the values of the variables that tools name, for a test copy of the systems; or `sample-shop`.
        tools: the tools, with how they are called; by default the desk's own.

    Raises InputError if the copy cannot be used, or a call might reach anything else.
    """
    return [reply for _, _, _, reply in _played(desk, texts, place, tools, live=True)]


def live_options(desk: Desk, texts: Sequence[str], place: str) -> list[list[list[DeskReply]]]:
    """The replies that a desk could give to the last message of each text: see `Desk.options`. Look-ups of earlier messages are made in the
    test copy, and nothing is changed there. Raises as `live_replies`."""
    return [own.options(conversation, message) for own, conversation, message, _ in _played(desk, texts, place, None, live=False)]


def fingerprint(place: str) -> str:
    """The content of a test copy's file. Raises InputError if it cannot be read."""
    return json.dumps(_read_values(place), sort_keys=True)


def _played(
    desk: Desk, texts: Sequence[str], place: str, tools: Sequence[Tool] | None, live: bool
) -> Iterator[tuple[Desk, DeskConversation, str, DeskReply]]:
    """For each text the desk with the copy's tools, the conversation before the last message, that message, and the reply to it."""
    known = desk.tools if tools is None else tuple(tools)
    for number, some in enumerate(_conversations([read_messages(text) for text in texts])):
        with _environment(place) as values, tempfile.TemporaryDirectory(prefix="smidgen-test-") as folder:
            if not number:
                _check(known, values)
            with closing(CallStore(Path(folder) / "calls.db")) as calls, closing(Toolbox(known, calls, values)) as toolbox:
                own = desk.live_with(toolbox, desk.name, changes=live)
                conversation = before = DeskConversation(f"test-{number}", desk.name, "test")
                said = 0
                for messages in some:
                    for message in messages[said:]:
                        now, before, answer = datetime.now(UTC), conversation, own.answer(conversation, message)
                        turns = (*before.turns, Turn("customer", message, now), Turn("desk", answer.reply.text, now, reply=answer.reply))
                        conversation = replace(before, turns=turns, state=answer.state, status=answer.status)
                    said = len(messages)
                    yield own, before, messages[-1], answer.reply


def _conversations(texts: Sequence[list[str]]) -> Iterator[list[list[str]]]:
    """Texts, each the messages up to one, in groups that are one conversation: each begins with the whole of the one before."""
    some: list[list[str]] = []
    for messages in texts:
        if some and not (len(messages) > len(some[-1]) and messages[: len(some[-1])] == some[-1]):
            yield some
            some = []
        some.append(messages)
    if some:
        yield some


@contextmanager
def _environment(place: str) -> Iterator[Mapping[str, str]]:
    """The values of the variables of a test copy."""
    values = _read_values(place)
    if values is None:
        with tempfile.TemporaryDirectory(prefix="smidgen-shop-") as folder, demo_shop(Path(folder)) as shop:
            yield shop.environment
    else:
        yield values


def _read_values(place: str) -> Mapping[str, str] | None:
    """The values in a test copy's file; None for the sample shop's."""
    if place == SAMPLE_SHOP:
        return None
    file = Path(place)
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise ValueError("it is too large")
        told = json.loads(file.read_text(encoding="utf-8"))
        if told == SAMPLE_SHOP:
            return None
        if not isinstance(told, dict):
            raise ValueError("it is no object")
    except (OSError, ValueError) as error:
        raise InputError("desk.file_of_test_copy_cannot_be_read", value=place, error=error) from None
    return {str(name): str(value).strip() for name, value in told.items()}


def _check(tools: Sequence[Tool], values: Mapping[str, str]) -> None:
    """Refuse a copy that lacks a variable, tools that might reach the real systems, and a copy that is not there.

    A tool that changes something must have its address from the copy's file. An address from it must be on this machine, and not the one
    in this process's environment.
    """
    named = {name for tool in tools for name in VARIABLE.findall(json.dumps([asdict(one) for one in (tool.target, tool.guard) if one]))}
    if missing := sorted(name for name in named if not values.get(name)):
        raise InputError("desk.test_copy_lacks_variable_of_tools", value=", ".join(missing))
    for tool in tools:
        for target in (tool.target, tool.guard):
            if target is None:
                continue
            if isinstance(target, McpTarget) and target.started:
                _check_command(tool, target, values)
                continue
            address = target.database if isinstance(target, SqlTarget) else target.url
            if name := VARIABLE.match(address):
                _check_other(name[1], values)
                _check_there(expanded(address, values), name[1], target.folder if isinstance(target, SqlTarget) else "")
            elif tool.changes and target is tool.target:
                raise InputError("desk.tool_has_no_address_in_test_copy", value=tool.name)


def _check_command(tool: Tool, target: McpTarget, values: Mapping[str, str]) -> None:
    """Refuse a started server that changes something and may work on the real data: its command must name a variable of the copy."""
    named = VARIABLE.findall(" ".join(target.started))
    if tool.changes and not named:
        raise InputError("desk.changing_tool_uses_no_test_copy", value=tool.name)
    for name in named:
        _check_other(name, values)


def _check_other(name: str, values: Mapping[str, str]) -> None:
    """Refuse the value of a variable that this process's environment has, too: it leads to the real system."""
    if os.environ.get(name, "").strip() == values[name]:
        raise InputError("desk.test_copy_has_address_of_real_system", value=name)


def _check_there(address: str, name: str, folder: str) -> None:
    """Raise InputError for an address elsewhere than on this machine, or where nothing is. A file's path is relative to `folder`."""
    parts = urlsplit(address)
    if parts.scheme == "sqlite":
        there = (Path(folder) / address.removeprefix("sqlite:///")).is_file()
    elif not on_this_machine(parts.hostname or ""):
        raise InputError("desk.test_copy_is_not_on_this_machine", value=name)
    else:
        try:
            port = parts.port or _PORTS.get(parts.scheme, _POSTGRES_PORT)
            socket.create_connection((parts.hostname or "", port), _SECONDS_TO_CONNECT).close()
            there = True
        except OSError:
            there = False
    if not there:
        raise InputError("desk.test_copy_does_not_answer", value=name)
