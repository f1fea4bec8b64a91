"""Which stored requests can be learnt from, and whose answer counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Connection

from smidgen.store.traffic.shapes import Pair, Whose, moment
from smidgen.store.traffic.tables import FEEDBACK, REQUESTS

_PAGE = 500
"""Requests that are read at once: a long walk holds no transaction, in whose time nothing that was deleted could go."""


@dataclass(slots=True)
class Judgement:
    """What people say of an answer. `corrected`: the newest correction; `usable`: whether it can be learnt from; `down`: whether the newest
    verdict is a thumb down."""

    corrected: str | None = None
    usable: bool = True
    down: bool = False


def page(
    asked: str | None,
    held_out: bool | None,
    since: float | None,
    until: float | None,
    template: str | None,
    after: tuple[float, str] | None,
) -> sql.Select[Any]:
    """The next requests that could be pairs, behind the time and id of the last one."""
    one = REQUESTS.c
    wanted: list[sql.ColumnElement[bool]] = [one.odd == "", one.input.is_not(None), sql.not_(one.truncated)]
    if asked is not None:
        wanted.append(one.asked == asked)
    if held_out is not None:
        wanted.append(one.held_out if held_out else sql.not_(one.held_out))
    if since is not None:
        wanted.append(one.time >= since)
    if until is not None:
        wanted.append(one.time < until)
    if template is not None:
        wanted.append(one.template_hash == template)
    if after is not None:
        wanted.append(sql.or_(one.time > after[0], sql.and_(one.time == after[0], one.id > after[1])))
    return sql.select(REQUESTS).where(*wanted).order_by(one.time, one.id).limit(_PAGE)


def judged(connection: Connection, ids: Sequence[str]) -> dict[str, Judgement]:
    """What people say of these requests' answers."""
    found: dict[str, Judgement] = {}
    said = sql.select(FEEDBACK).where(FEEDBACK.c.request_id.in_(ids)).order_by(FEEDBACK.c.number)
    for row in connection.execute(said) if ids else ():
        one = found.setdefault(row.request_id, Judgement())
        if row.corrected is not None:
            one.corrected, one.usable = row.corrected, not (row.altered or row.truncated)
        if row.verdict is not None:
            one.down = row.verdict == "down"
    return found


def pair(row: Any, said: Judgement | None) -> Pair | None:
    """The pair of a request; None where there is no answer to learn from. A correction that cannot be used still says that the upstream's
    answer is wrong."""
    reference: str | None = row.answer
    whose: Whose = "upstream"
    if said is not None and said.corrected is not None:
        reference, whose = (said.corrected if said.usable else None), "human"
    elif said is not None and said.down:
        reference = None
    if reference is None or not reference.strip():
        return None
    return Pair(
        id=row.id,
        time=moment(row.time),
        asked=row.asked,
        bundle_id=row.bundle_id,
        input=row.input,
        reference=reference,
        whose=whose,
        held_out=row.held_out,
        answered_by=row.answered_by,
        local_output=row.local_output,
        local_score=row.local_score,
        model=row.model,
    )
