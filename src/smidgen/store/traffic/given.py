"""Answers that were given here under a certificate, and which of them people are to audit.

Which ones is drawn by a hash of the request's id and the certificate's, with the store's own key: nobody can choose an id that is drawn,
and nothing of how an answer went takes part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Connection

from smidgen.store.traffic.shapes import moment
from smidgen.store.traffic.sides import Sides
from smidgen.store.traffic.tables import REQUESTS

Place = tuple[float, str]
"""Where an answer stands: its time, seconds since 1970, and its request's id."""

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Given:
    """An answer given here.

    Attributes:
        id: of the request.
        time: when that came.
        input: the text, as it is stored: personal data may have been taken out of it.
        local_output: the answer, as JSON.
        held_out: whether the text is never learnt from.
        place: see above.
    """

    id: str
    time: datetime
    input: str
    local_output: str
    held_out: bool
    place: Place


def walk(
    reading: Callable[[], AbstractContextManager[Connection]],
    sides: Sides,
    certificate: str,
    share: float,
    after: Place | None,
    until: float,
) -> Iterator[Given]:
    """The answers that are drawn, the oldest first.

    Args:
        reading: opens a transaction; one for each page.
        certificate: the id of the one that they were given under.
        share: of those answers, 0..1, that are drawn.
        after: only answers behind this place.
        until: only those that came before, seconds since 1970.
    """
    while True:
        with reading() as connection:
            rows = connection.execute(_page(certificate, after, until)).all()
        if not rows:
            return
        for row in rows:
            after = (row.time, row.id)
            if sides.drawn(f"audit {certificate}", row.id, share):
                yield Given(row.id, moment(row.time), row.input, row.local_output, row.held_out, after)


def _page(certificate: str, after: Place | None, until: float) -> sql.Select[Any]:
    """The next answers under a certificate, behind a place. A text that was cut is not among them: nobody could judge it."""
    one = REQUESTS.c
    wanted: list[sql.ColumnElement[bool]] = [
        one.certificate == certificate,
        one.answered_by == "local",
        one.why == "",
        one.input.is_not(None),
        one.local_output.is_not(None),
        sql.not_(one.truncated),
        one.time < until,
    ]
    if after is not None:
        wanted.append(sql.or_(one.time > after[0], sql.and_(one.time == after[0], one.id > after[1])))
    columns = (one.id, one.time, one.input, one.local_output, one.held_out)
    return sql.select(*columns).where(*wanted).order_by(one.time, one.id).limit(_PAGE)
