"""Figures over a desk's conversations: what was said and how it ended, and how each channel and listener delivers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import sqlalchemy as sql
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass as pydantic_dataclass

from smidgen.core.conversations import Outcome
from smidgen.desk.store.tables import CONVERSATIONS, DELIVERIES, DESK_EVENTS, OPINIONS, OUTBOX, TURNS
from smidgen.store.database import Database


@dataclass(frozen=True, slots=True)
class DeskFigures:
    """Figures since a time.

    Attributes:
        conversations: those with a message of a customer.
        messages: of customers.
        outcomes: the desk's replies by outcome.
        people: answers of people.
        handed_over: conversations that were passed to a person.
        up, down: thumbs.
    """

    conversations: int
    messages: int
    outcomes: Mapping[str, int]
    people: int
    handed_over: int
    up: int
    down: int


@pydantic_dataclass(frozen=True, slots=True, config=ConfigDict(json_schema_serialization_defaults_required=True))
class DeliveryFigures:
    """How a channel or a listener delivers: what waits, was delivered, is dead; and the last error of what waits or is dead."""

    conversations: int = 0
    waiting: int = 0
    delivered: int = 0
    dead: int = 0
    error: str = ""


def desk_figures(database: Database, since: float) -> DeskFigures:
    """The figures of the conversations in a database since a time, in seconds since 1970."""
    lately = TURNS.c.time >= since
    said = sql.select(TURNS.c.author, sql.func.count(), sql.func.count(TURNS.c.conversation.distinct())).where(lately)
    outcomes = get_args(Outcome)
    # A stored reply begins with its outcome (`codec.reply_to_json`), which both databases can compare.
    counted = [sql.func.count(sql.case((TURNS.c.reply.startswith(f'{{"outcome":"{name}"'), 1))) for name in outcomes]
    ended = sql.select(*counted).where(lately, TURNS.c.author == "desk")
    handed = sql.select(sql.func.count(DESK_EVENTS.c.conversation.distinct()))
    handed = handed.where(DESK_EVENTS.c.kind == "handed_over", DESK_EVENTS.c.time >= since)
    thumbs = sql.select(OPINIONS.c.verdict, sql.func.count()).where(OPINIONS.c.time >= since).group_by(OPINIONS.c.verdict)
    with database.reading() as connection:
        by_author = {row[0]: (int(row[1]), int(row[2])) for row in connection.execute(said.group_by(TURNS.c.author))}
        found = {name: int(number) for name, number in zip(outcomes, connection.execute(ended).one(), strict=True) if number}
        handed_over = int(connection.scalar(handed) or 0)
        opinions = {row[0]: int(row[1]) for row in connection.execute(thumbs)}
    messages, conversations = by_author.get("customer", (0, 0))
    people = by_author.get("person", (0, 0))[0]
    return DeskFigures(conversations, messages, found, people, handed_over, opinions.get("up", 0), opinions.get("down", 0))


def channel_figures(database: Database) -> dict[str, DeliveryFigures]:
    """By channel, how it delivers."""
    numbers = sql.select(CONVERSATIONS.c.channel, sql.func.count()).group_by(CONVERSATIONS.c.channel)
    with database.reading() as connection:
        conversations = {row[0]: int(row[1]) for row in connection.execute(numbers)}
        found = _delivery(connection, OUTBOX, OUTBOX.c.channel)
    return {name: DeliveryFigures(conversations.get(name, 0), **found.get(name, {})) for name in {*conversations, *found}}


def listener_figures(database: Database) -> dict[str, DeliveryFigures]:
    """By listener (`webhook:NAME`, `hand_over:mail`), how events reach it."""
    with database.reading() as connection:
        return {name: DeliveryFigures(**told) for name, told in _delivery(connection, DELIVERIES, DELIVERIES.c.listener).items()}


def _delivery(connection: sql.Connection, table: sql.Table, named: sql.ColumnElement[str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for name, state, number in connection.execute(sql.select(named, table.c.state, sql.func.count()).group_by(named, table.c.state)):
        found.setdefault(name, {})[state] = int(number)
    failed = sql.select(named, sql.func.max(table.c.number)).where(table.c.error != "", table.c.state != "delivered").group_by(named)
    for name, last in connection.execute(failed).all():
        found[name]["error"] = str(connection.scalar(sql.select(table.c.error).where(table.c.number == last)) or "")
    return found


def turn_authors(database: Database, conversation: str) -> dict[str, str]:
    """By turn, the name of the person who said it."""
    mine = sql.select(TURNS.c.id, TURNS.c.by).where(TURNS.c.conversation == conversation, TURNS.c.by != "")
    with database.reading() as connection:
        return {row.id: row.by for row in connection.execute(mine)}
