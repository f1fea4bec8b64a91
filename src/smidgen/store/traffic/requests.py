"""Stored requests as a list to look through, and figures over them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

import sqlalchemy as sql
from pydantic import PlainSerializer
from sqlalchemy.engine import Connection

from smidgen.store.traffic.records import from_timestamp, to_timestamp
from smidgen.store.traffic.tables import FEEDBACK, REQUESTS

RequestGroup = Literal["all", "local", "uncertified", "passed_on", "cached", "failed", "audited", "corrected", "unpriced", "to_review"]
RequestOrder = Literal["newest", "slowest", "least_sure"]
Timestamp = Annotated[datetime, PlainSerializer(datetime.timestamp, return_type=float)]
"""A time that JSON has as seconds since 1970."""
MOST_DAYS = 366
_OK = 200
_MOST_REASONS = 30
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class RequestFilter:
    """Which stored requests are meant: those from `since` on, of a group, passed on for the reason `why`, with these letters in them."""

    since: datetime | None = None
    group: RequestGroup = "all"
    why: str | None = None
    search: str = ""


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """One stored request, with what people said of its answer.

    Attributes:
        input, answer: as they were stored: personal data may have been taken out.
        local_output: the small model's answer, as JSON, whoever answered in the end.
        audit_answer: the large model's answer in an audit.
        corrected: the newest correction by a person; `verdict`: their thumb.
    """

    id: str
    time: Timestamp
    asked: str
    input: str | None
    answered_by: str
    why: str
    status: int
    local_output: str | None
    local_score: float | None
    certificate: str
    model: str
    answer: str | None
    cost_usd: float | None
    saved_usd: float | None
    local_ms: float | None
    upstream_ms: float | None
    held_out: bool
    altered: bool
    audit_answer: str | None
    corrected: str | None
    verdict: str | None


@dataclass(frozen=True, slots=True)
class DayCount:
    """The requests of one day (UTC), by who answered."""

    day: date
    local: int
    passed_on: int
    other: int


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds for an answer: the median, and the 99th percentile."""

    median: float
    p99: float


@dataclass(frozen=True, slots=True)
class TrafficFigures:
    """Figures over the stored requests of a time.

    Attributes:
        uncertified: answered here, but not under a certificate.
        local_ms, upstream_ms: of the answers here and upstream; None without any.
        unpriced: answered upstream at an unknown price; `unsaved`: answered here, and what that saved is unknown.
        audited: answered here, and the large model was asked, too.
        reasons: why requests were passed on, the most frequent first.
    """

    requests: int
    local: int
    uncertified: int
    passed_on: int
    cached: int
    failed: int
    audited: int
    corrected: int
    cost_usd: float
    saved_usd: float
    unpriced: int
    unsaved: int
    local_ms: Latency | None
    upstream_ms: Latency | None
    reasons: Mapping[str, int]
    days: Sequence[DayCount]


def select_requests(
    connection: Connection, where: RequestFilter, offset: int, limit: int, order: RequestOrder = "newest"
) -> tuple[int, list[StoredRequest]]:
    """How many requests a filter leaves, and `limit` of them after the first `offset`."""
    one = REQUESTS.c
    wanted = _conditions(where)
    total = connection.scalar(sql.select(sql.func.count()).select_from(REQUESTS).where(*wanted)) or 0
    orders: dict[RequestOrder, tuple[Any, ...]] = {
        "newest": (one.time.desc(), one.id.desc()),
        "slowest": (sql.func.coalesce(one.local_ms, 0.0).desc(), one.id),
        "least_sure": (sql.func.coalesce(one.local_score, 0.0), one.id),
    }
    rows = list(connection.execute(sql.select(REQUESTS).where(*wanted).order_by(*orders[order]).limit(limit).offset(offset)))
    said = _opinions(connection, [row.id for row in rows])
    return int(total), [_request(row, said.get(row.id, (None, None))) for row in rows]


def find_request(connection: Connection, id: str) -> StoredRequest | None:
    """One request; None if there is none."""
    row = connection.execute(sql.select(REQUESTS).where(REQUESTS.c.id == id)).one_or_none()
    return None if row is None else _request(row, _opinions(connection, [id]).get(id, (None, None)))


def count_among(connection: Connection, where: RequestFilter, ids: Collection[str]) -> int:
    """How many of these requests a filter leaves."""
    wanted, listed, total = _conditions(where), sorted(ids), 0
    for start in range(0, len(listed), _AT_ONCE):
        part = REQUESTS.c.id.in_(listed[start : start + _AT_ONCE])
        total += int(connection.scalar(sql.select(sql.func.count()).select_from(REQUESTS).where(part, *wanted)) or 0)
    return total


def figures(connection: Connection, since: datetime, now: datetime) -> TrafficFigures:
    """Figures over the requests from `since` on."""
    one, by = REQUESTS.c, REQUESTS.c.answered_by
    wanted = [one.time >= to_timestamp(since)]
    local, upstream = by == "local", by == "upstream"

    def number(*conditions: sql.ColumnElement[bool]) -> Any:
        return sql.func.count(sql.case((sql.and_(*conditions), 1)))

    row = connection.execute(
        sql.select(
            sql.func.count().label("requests"),
            number(local).label("local"),
            number(local, one.certificate == "").label("uncertified"),
            number(upstream).label("passed_on"),
            number(by == "cache").label("cached"),
            number(one.status != _OK).label("failed"),
            number(one.audit_answer.is_not(None)).label("audited"),
            number(_corrected()).label("corrected"),
            sql.func.coalesce(sql.func.sum(one.cost_usd), 0.0).label("cost"),
            sql.func.coalesce(sql.func.sum(one.saved_usd), 0.0).label("saved"),
            number(upstream, one.status == _OK, one.cost_usd.is_(None)).label("unpriced"),
            number(local, one.saved_usd.is_(None)).label("unsaved"),
        ).where(*wanted)
    ).one()
    count = sql.func.count()
    reasons = sql.select(one.why, count).where(*wanted, sql.not_(local), one.why != "").group_by(one.why)
    found = connection.execute(reasons.order_by(count.desc(), one.why).limit(_MOST_REASONS)).all()
    return TrafficFigures(
        requests=row.requests,
        local=row.local,
        uncertified=row.uncertified,
        passed_on=row.passed_on,
        cached=row.cached,
        failed=row.failed,
        audited=row.audited,
        corrected=row.corrected,
        cost_usd=float(row.cost),
        saved_usd=float(row.saved),
        unpriced=row.unpriced,
        unsaved=row.unsaved,
        local_ms=_quantiles(connection, one.local_ms, [*wanted, local]),
        upstream_ms=_quantiles(connection, one.upstream_ms, [*wanted, upstream]),
        reasons={why: int(total) for why, total in found},
        days=_days(connection, since, now),
    )


def _conditions(where: RequestFilter) -> list[sql.ColumnElement[bool]]:
    one, by = REQUESTS.c, REQUESTS.c.answered_by
    groups: dict[RequestGroup, list[sql.ColumnElement[bool]]] = {
        "all": [],
        "local": [by == "local"],
        "uncertified": [by == "local", one.certificate == ""],
        "passed_on": [by == "upstream"],
        "cached": [by == "cache"],
        "failed": [one.status != _OK],
        "audited": [one.audit_answer.is_not(None)],
        "corrected": [_corrected()],
        "unpriced": [by == "upstream", one.status == _OK, one.cost_usd.is_(None)],
        "to_review": [
            *(one.odd == "", one.input.is_not(None), sql.not_(one.truncated), sql.not_(one.held_out)),
            sql.or_(sql.and_(by != "local", one.why != ""), _corrected()),  # without a model nothing is passed on by one
        ],
    }
    wanted = groups[where.group]
    if where.since is not None:
        wanted.append(one.time >= to_timestamp(where.since))
    if where.why is not None:
        wanted += [one.why == where.why, by != "local"]
    if where.search:
        letters = where.search.replace("!", "!!").replace("%", "!%").replace("_", "!_")
        wanted.append(one.input.ilike(f"%{letters}%", escape="!"))
    return wanted


def _corrected() -> sql.ColumnElement[bool]:
    said = sql.or_(FEEDBACK.c.corrected.is_not(None), FEEDBACK.c.verdict == "down")
    return sql.select(FEEDBACK.c.number).where(FEEDBACK.c.request_id == REQUESTS.c.id, said).exists()


def _quantiles(connection: Connection, column: Any, wanted: list[sql.ColumnElement[bool]]) -> Latency | None:
    """By the nearest rank."""
    known = [*wanted, column.is_not(None), REQUESTS.c.status == _OK]
    total = connection.scalar(sql.select(sql.func.count()).select_from(REQUESTS).where(*known)) or 0
    if not total:
        return None

    def at(share: float) -> float:
        place = max(1, math.ceil(share * total)) - 1
        return float(connection.execute(sql.select(column).where(*known).order_by(column).limit(1).offset(place)).scalar_one())

    return Latency(at(0.5), at(0.99))


def _days(connection: Connection, since: datetime, now: datetime) -> list[DayCount]:
    one, by = REQUESTS.c, REQUESTS.c.answered_by
    day, last = since.astimezone(UTC).date(), now.astimezone(UTC).date()
    day = max(day, last - timedelta(days=MOST_DAYS - 1))
    found = []
    while day <= last:
        begins = datetime(day.year, day.month, day.day, tzinfo=UTC)
        within = (one.time >= to_timestamp(max(begins, since)), one.time < to_timestamp(begins + timedelta(days=1)))
        counts = sql.select(
            sql.func.count().label("all"),
            sql.func.count(sql.case((by == "local", 1))).label("local"),
            sql.func.count(sql.case((by == "upstream", 1))).label("upstream"),
        ).where(*within)
        row = connection.execute(counts).one()
        found.append(DayCount(day, row.local, row.upstream, row.all - row.local - row.upstream))
        day += timedelta(days=1)
    return found


def _opinions(connection: Connection, ids: Sequence[str]) -> dict[str, tuple[str | None, str | None]]:
    """The newest correction and the newest thumb on each of these requests."""
    found: dict[str, tuple[str | None, str | None]] = {}
    said = sql.select(FEEDBACK).where(FEEDBACK.c.request_id.in_(ids)).order_by(FEEDBACK.c.number)
    for row in connection.execute(said) if ids else ():
        corrected, verdict = found.get(row.request_id, (None, None))
        found[row.request_id] = (row.corrected or corrected, row.verdict or verdict)
    return found


def _request(row: Any, said: tuple[str | None, str | None]) -> StoredRequest:
    names = (
        *("id", "asked", "input", "answered_by", "why", "status", "local_output", "local_score", "certificate", "model", "answer"),
        *("cost_usd", "saved_usd", "local_ms", "upstream_ms", "held_out", "altered", "audit_answer"),
    )
    return StoredRequest(**{name: getattr(row, name) for name in names}, time=from_timestamp(row.time), corrected=said[0], verdict=said[1])
