"""How many pairs there are: counted by the database, which reads no answer for it. It is asked every half minute, of a store of any size.

The rule is that of `learning.pair`, said in SQL. It knows no white space but blanks, so that an answer of nothing but line breaks counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Connection

from smidgen.core.frames import Frame
from smidgen.store.traffic import learning
from smidgen.store.traffic.shapes import MOST_TEXT
from smidgen.store.traffic.tables import FEEDBACK, REQUESTS

_PAGE = 500
_OK = 200


def count(
    reading: Callable[[], AbstractContextManager[Connection]],
    asked: str | None,
    since: float | None,
    until: float | None,
    template: str | None,
    frames: Sequence[Frame],
) -> int:
    """The pairs of both sides. Where only texts in certain frames are meant, those texts are read, and nothing else.

    Args:
        reading: opens a connection to read by.
        asked, since, until, template: as `learning.page` has them.
        frames: in one of which a text must stand; none for any.
    """
    one = REQUESTS.c
    wanted = [*learning.could_be(asked, None, since, until, template), _is_pair()]
    if not frames:
        with reading() as connection:
            return int(connection.scalar(sql.select(sql.func.count()).select_from(REQUESTS).where(*wanted)) or 0)
    found = 0
    after: tuple[float, str] | None = None
    while True:
        behind = [] if after is None else [learning.behind(after)]
        texts = sql.select(one.time, one.id, one.input).where(*wanted, *behind).order_by(one.time, one.id).limit(_PAGE)
        with reading() as connection:
            rows = connection.execute(texts).all()
        if not rows:
            return found
        after = (rows[-1].time, rows[-1].id)
        found += sum(any(frame.holds(row.input) for frame in frames) for row in rows)


def _is_pair() -> sql.ColumnElement[bool]:
    one, said = REQUESTS.c, FEEDBACK.c
    unusable = sql.or_(said.altered, said.truncated, sql.func.trim(said.corrected) == "")
    corrected = _newest(sql.case((unusable, 0), else_=1), said.corrected.is_not(None))
    verdict = _newest(said.verdict, said.verdict.is_not(None))
    upstream = sql.and_(one.answered_by == "upstream", one.status == _OK)
    whole = sql.and_(upstream, one.answer_state.in_(("", "whole")), one.answer.is_not(None))
    teaching = sql.or_(
        corrected == 1,
        sql.and_(corrected.is_(None), one.answered_by == "local", one.audit_answer.is_not(None)),
        sql.and_(corrected.is_(None), whole, sql.func.coalesce(verdict, "") != "down"),
    )
    measuring = sql.and_(
        sql.not_(sql.and_(one.truncated, sql.func.length(one.input) >= MOST_TEXT)),
        sql.or_(sql.and_(upstream, one.answer_state != "broken"), corrected == 1),
    )
    return sql.or_(sql.and_(sql.not_(one.held_out), teaching), sql.and_(one.held_out, measuring))


def _newest(what: Any, where: sql.ColumnElement[bool]) -> sql.ScalarSelect[Any]:
    """Of what people said of a request the newest of its kind; NULL where there is none."""
    said = FEEDBACK.c
    mine = sql.select(what).where(said.request_id == REQUESTS.c.id, where).order_by(said.number.desc()).limit(1)
    return mine.correlate(REQUESTS).scalar_subquery()
