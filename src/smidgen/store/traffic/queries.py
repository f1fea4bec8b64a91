"""Queries over stored requests: those of one kind, and those of a period."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Connection

from smidgen.core.placeholders import PromptFrame
from smidgen.store.traffic.records import MOST_TEXT, from_timestamp, to_timestamp
from smidgen.store.traffic.tables import REQUESTS

# A kind is a template (the system messages, the form of the answer) without variable words (dates, numbers, names) and, within it, the
# frame of its texts. Only requests that a small model can answer alone count.

_MOST_NAMES = 5
_OK = 200


@dataclass(frozen=True, slots=True)
class PromptKind:
    """A kind of template, by its hash: the path of its requests, whether they have system messages, their number, and the hash of the exact
    template if all of them share it; else empty."""

    hash: str
    path: str
    system: bool
    requests: int
    exact: str


@dataclass(frozen=True, slots=True)
class KindTotals:
    """The totals of a kind of request.

    Attributes:
        requests: stored ones, answered by anyone.
        distinct: distinct stored texts.
        local, upstream: the number answered here, and upstream.
        cost_usd: of those answered upstream with a known price, from the price list or the server's settings.
        unpriced: answered upstream without a known price.
        asked: the most frequent model names in them, the first one first.
    """

    requests: int
    distinct: int
    local: int
    upstream: int
    cost_usd: float
    unpriced: int
    asked: tuple[tuple[str, int], ...]


def frequent_kinds(connection: Connection, most: int) -> list[PromptKind]:
    """The `most` most frequent kinds."""
    one, count = REQUESTS.c, sql.func.count()
    system = sql.func.max(one.system_hash)
    first, last = sql.func.min(one.template_hash), sql.func.max(one.template_hash)
    found = connection.execute(
        sql.select(one.kind_hash, sql.func.min(one.path), system, count, first, last)
        .where(*_suited(), one.kind_hash != "")
        .group_by(one.kind_hash)
        .order_by(count.desc(), one.kind_hash)
        .limit(most)
    )
    return [PromptKind(row[0], row[1], bool(row[2]), row[3], row[4] if row[4] == row[5] else "") for row in found]


def join_kinds(connection: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
    """Assign older requests with the templates of these rows to their kinds: an older smidgen stored none."""
    one = REQUESTS.c
    for template, kind in {(row["template_hash"], row["kind_hash"]) for row in rows if row["template_hash"] != row["kind_hash"]}:
        others = sql.and_(one.template_hash == template, one.kind_hash != kind)
        connection.execute(sql.update(REQUESTS).where(others).values(kind_hash=kind))


def count_unsuited(connection: Connection, most: int) -> dict[str, int]:
    """Count the requests that no small model can do, by the reason, the most frequent first."""
    count, odd = sql.func.count(), REQUESTS.c.odd
    found = connection.execute(sql.select(odd, count).where(odd != "").group_by(odd).order_by(count.desc(), odd).limit(most))
    return {row[0]: row[1] for row in found}


def newest_since(connection: Connection, template: str, most: int) -> float | None:
    """The time since which there are `most` requests of a template; None if there are no more than that."""
    when = sql.select(REQUESTS.c.time).where(*_suited(), REQUESTS.c.kind_hash == template)
    return connection.scalar(when.order_by(REQUESTS.c.time.desc()).offset(most).limit(1))


def kind_totals(connection: Connection, template: str, frame: PromptFrame, without: Sequence[PromptFrame]) -> KindTotals:
    """The totals of a template's requests whose text has this frame, and none of the others."""
    one, count = REQUESTS.c, sql.func.count()
    mine = [*_suited(), one.kind_hash == template, _in(frame), *(sql.not_(_in(other)) for other in without)]
    upstream = sql.and_(one.answered_by == "upstream", one.status == _OK)
    totals = sql.select(
        count.label("requests"),
        sql.func.count(one.input.distinct()).label("distinct"),
        sql.func.count(sql.case((one.answered_by == "local", 1))).label("local"),
        sql.func.count(sql.case((one.answered_by == "upstream", 1))).label("upstream"),
        sql.func.coalesce(sql.func.sum(one.cost_usd), 0.0).label("cost"),
        sql.func.count(sql.case((sql.and_(upstream, one.cost_usd.is_(None)), 1))).label("unpriced"),
    ).where(*mine)
    names = sql.select(one.asked, count).where(*mine).group_by(one.asked).order_by(count.desc(), one.asked).limit(_MOST_NAMES)
    total, asked = connection.execute(totals).mappings().one(), connection.execute(names).all()
    return KindTotals(
        requests=total["requests"],
        distinct=total["distinct"],
        local=total["local"],
        upstream=total["upstream"],
        cost_usd=float(total["cost"]),
        unpriced=total["unpriced"],
        asked=tuple((name, number) for name, number in asked),
    )


def _suited() -> tuple[sql.ColumnElement[bool], ...]:
    return REQUESTS.c.odd == "", REQUESTS.c.input.is_not(None)


def _in(frame: PromptFrame) -> sql.ColumnElement[bool]:
    """The condition that a text has this frame. It compares parts of the text, because SQLite's LIKE ignores case."""
    text: Any = REQUESTS.c.input
    length = sql.func.length(text)
    begins, ends = len(frame.begins), len(frame.ends)
    return sql.and_(
        length >= begins + ends,
        sql.func.substr(text, 1, begins) == frame.begins,
        sql.func.substr(text, length - ends + 1, ends) == frame.ends,
    )


_PAGE = 500
"""Requests read at once. A long walk holds no transaction between pages, so that deleted data can go meanwhile."""

OpenConnection = Callable[[], AbstractContextManager[Connection]]


@dataclass(frozen=True, slots=True)
class StoredText:
    """One request: its id and time, its stored text, the score of the answer by the bundle `bundle_id`, whether it is held out, and whether
    personal data was removed from the text."""

    id: str
    time: datetime
    input: str
    bundle_id: str
    local_score: float | None
    held_out: bool
    altered: bool


def select_stretch(
    reading: OpenConnection,
    asked: str | None,
    most: int,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    newest: bool = True,
    kinds: Mapping[str, Sequence[PromptFrame]] | None = None,
) -> list[StoredText]:
    """The newest `most` requests, or the first ones, that named a bundle, the oldest first; only those with an uncut text that a small
    model reads.

    Args:
        reading: opens a connection to read by.
        asked: the requested model name; None for any.
        since, until: only requests from this time on, and before that one.
        kinds: templates or kinds, each with frames of which a text must have one; None for any.
    """
    one = REQUESTS.c
    wanted: list[sql.ColumnElement[bool]] = [one.odd == "", sql.func.length(one.input) < MOST_TEXT]
    if asked is not None:
        wanted.append(one.asked == asked)
    if kinds is not None:
        wanted.append(sql.or_(one.template_hash.in_(list(kinds)), one.kind_hash.in_(list(kinds))))
    if since is not None:
        wanted.append(one.time >= to_timestamp(since))
    if until is not None:
        wanted.append(one.time < to_timestamp(until))
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
    texts = [
        StoredText(row.id, from_timestamp(row.time), row.input, row.bundle_id, row.local_score, row.held_out, row.altered) for row in found
    ]
    return texts[::-1] if newest else texts


def _frames(kinds: Mapping[str, Sequence[PromptFrame]], row: Any) -> list[PromptFrame]:
    """The requested frames of its template, or of its kind."""
    return [frame for hash in {row.template_hash, row.kind_hash} for frame in kinds.get(hash, ())]
