"""A stretch of what was asked: the texts of requests in their time, whoever answered them and however that went."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Connection

from smidgen.core.frames import Frame
from smidgen.store.traffic.shapes import MOST_TEXT, moment, stamp
from smidgen.store.traffic.tables import REQUESTS

_PAGE = 500
"""Requests that are read at once: a long walk holds no transaction, in whose time nothing that was deleted could go."""

Reading = Callable[[], AbstractContextManager[Connection]]


@dataclass(frozen=True, slots=True)
class Heard:
    """One request: its id and time, the text as it is stored, with which score the bundle `bundle_id` answered it, whether it is never
    learnt from, and whether personal data was taken out of the text."""

    id: str
    time: datetime
    input: str
    bundle_id: str
    local_score: float | None
    held_out: bool
    altered: bool


def stretch(
    reading: Reading,
    asked: str | None,
    most: int,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    newest: bool = True,
    kinds: Mapping[str, Sequence[Frame]] | None = None,
) -> list[Heard]:
    """The newest `most` requests, or the first ones, that named a bundle, the oldest first; of those with a text that a small model reads
    and that was kept whole.

    Args:
        reading: opens a connection to read by.
        asked: what they named; None for whatever they did.
        since, until: only requests that came at this time or later, and before that one.
        kinds: templates or kinds, and the frames in one of which a text of each must stand; None for any.
    """
    one = REQUESTS.c
    wanted: list[sql.ColumnElement[bool]] = [one.odd == "", sql.func.length(one.input) < MOST_TEXT]
    if asked is not None:
        wanted.append(one.asked == asked)
    if kinds is not None:
        wanted.append(sql.or_(one.template_hash.in_(list(kinds)), one.kind_hash.in_(list(kinds))))
    if since is not None:
        wanted.append(one.time >= stamp(since))
    if until is not None:
        wanted.append(one.time < stamp(until))
    order = (one.time.desc(), one.id.desc()) if newest else (one.time, one.id)
    columns = (one.id, one.time, one.input, one.bundle_id, one.local_score, one.held_out, one.altered, one.template_hash, one.kind_hash)
    found: list[Any] = []
    last: Any = None
    while len(found) < most:
        statement = (
            sql.select(*columns).where(*wanted).order_by(*order).limit(_PAGE if kinds is not None else min(_PAGE, most - len(found)))
        )
        if last is not None:
            at, id = last.time, last.id
            further = (one.time < at, one.id < id) if newest else (one.time > at, one.id > id)
            statement = statement.where(sql.or_(further[0], sql.and_(one.time == at, further[1])))
        with reading() as connection:
            rows = connection.execute(statement).all()
        if not rows:
            break
        last = rows[-1]
        found += [row for row in rows if kinds is None or any(frame.holds(row.input) for frame in _frames(kinds, row))]
    found = found[:most]
    texts = [Heard(row.id, moment(row.time), row.input, row.bundle_id, row.local_score, row.held_out, row.altered) for row in found]
    return texts[::-1] if newest else texts


def _frames(kinds: Mapping[str, Sequence[Frame]], row: Any) -> list[Frame]:
    """Those that are asked for of its template, or of its kind."""
    return [frame for hash in {row.template_hash, row.kind_hash} for frame in kinds.get(hash, ())]
