"""Test a desk on conversations with calls that are really made: against a test copy of the business's systems, never the real ones."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from smidgen.apps.desk.dialogue import read_messages
from smidgen.apps.desk.reply_json import reply_output
from smidgen.apps.tools.definition import HttpTarget, SqlTarget, Tool
from smidgen.apps.tools.demo_shop import demo_shop
from smidgen.apps.tools.environment import VARIABLE
from smidgen.apps.tools.toolbox import Toolbox
from smidgen.core.conversations import DeskConversation, Turn
from smidgen.core.errors import InputError
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, joined
from smidgen.flows.desk.opening import desk_of, tools_of
from smidgen.flows.local_model import Model
from smidgen.store.calls import CallStore

SAMPLE_SHOP = "sample-shop"
"""In place of a file: a copy of the sample shop's system, fresh for each conversation."""
_MOST_BYTES = 100_000


def live_replies(model: Model, rows: Sequence[Row], place: str, tools: Path | None = None) -> list[Reply]:
    """The replies of a desk to the rows of conversations, each conversation from its first message on, with its calls made.

    Args:
        model: a loaded desk.
        rows: as `read_conversations` gives them.
        place: a JSON file with the values of the variables that tools name, for a test copy of the systems; or `sample-shop`.
        tools: the tool file; by default the one that the desk was built with.

    Raises InputError if the model is no desk, or a call might change something elsewhere than in the test copy.
    """
    desk = desk_of(model)
    if desk is None:
        raise InputError("calls are made for desks", value=model.name, todo="Leave out --tools-env.")
    known = tools_of(model, tools)
    found: list[Reply] = []
    for _, some in groupby(rows, key=lambda row: row.number):
        with _environment(place) as values, tempfile.TemporaryDirectory(prefix="smidgen-test-") as folder:
            _check_targets(known, values, place)
            with closing(CallStore(Path(folder) / "calls.db")) as calls, closing(Toolbox(known, calls, values)) as toolbox:
                live = desk.live_with(toolbox, model.name)
                raw = _talked(live, list(some))
        found += model.task.decode({"replies": raw}, model.form)
    return found


def _talked(desk: object, rows: Sequence[Row]) -> list[dict[str, object]]:
    """The desk's replies to the rows of one conversation, which share their first messages."""
    from smidgen.apps.desk.desk import Desk

    assert isinstance(desk, Desk)
    conversation = DeskConversation(f"test-{rows[0].number}", desk.name, "test")
    raw: list[dict[str, object]] = []
    said = 0
    for row in rows:
        for message in read_messages(joined(row.input))[said:]:
            now, answer = datetime.now(UTC), desk.answer(conversation, message)
            turns = (*conversation.turns, Turn("customer", message, now), Turn("desk", answer.reply.text, now, reply=answer.reply))
            conversation = replace(conversation, turns=turns, state=answer.state, status=answer.status)
            said += 1
        raw.append({"output": reply_output(answer.reply), "score": answer.reply.score})
    return raw


@contextmanager
def _environment(place: str) -> Iterator[Mapping[str, str]]:
    """The values of the variables of a test copy."""
    if place == SAMPLE_SHOP:
        with tempfile.TemporaryDirectory(prefix="smidgen-shop-") as folder, demo_shop(Path(folder)) as shop:
            yield shop.environment
        return
    file = Path(place)
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise ValueError("it is too large")
        told = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(told, dict):
            raise ValueError("it is no object")
    except (OSError, ValueError) as error:
        todo = f'Write a JSON object such as {{"SHOP_URL": "http://127.0.0.1:9000"}}, or {SAMPLE_SHOP!r} for the sample\'s shop.'
        raise InputError(f"the file of the test copy cannot be read ({error})", value=place, todo=todo) from None
    yield {str(name): str(value) for name, value in told.items()}


def _check_targets(tools: Sequence[Tool], values: Mapping[str, str], place: str) -> None:
    """Refuse tools that change something and might reach the real systems: whose address is fixed, or is the one of the environment."""
    same = sorted(name for name, value in values.items() if os.environ.get(name, "").strip() == value.strip() and _is_address(value))
    if same and place != SAMPLE_SHOP:
        todo = "Give the address of a test copy: calls of the test conversations really change things there."
        raise InputError("the test copy has the address of the real system", value=same[0], todo=todo)
    for tool in tools:
        if not tool.changes or tool.target is None:
            continue
        address = (
            tool.target.url if isinstance(tool.target, HttpTarget) else tool.target.database if isinstance(tool.target, SqlTarget) else ""
        )
        first = VARIABLE.match(address)
        if first is None or first[1] not in values:
            todo = "Begin its address with a variable, such as ${SHOP_URL}, and give that in the file of --tools-env."
            raise InputError("a tool that changes something has no address in the test copy", value=tool.name, todo=todo)


def _is_address(value: str) -> bool:
    return "://" in value
