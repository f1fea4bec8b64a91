"""The store of traffic: stores captured requests and people's feedback, gives pairs to train on, and deletes.

Opened with `opened()`. Its methods may be called from several threads and processes. Each raises TrafficError if the database fails.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, timedelta
from types import TracebackType
from typing import Any, TypeVar

import sqlalchemy as sql
from sqlalchemy.engine import Connection

from smidgen.core.errors import InputError
from smidgen.core.placeholders import UNFRAMED, PromptFrame
from smidgen.store.database import Database
from smidgen.store.traffic import pairs, queries, sampling
from smidgen.store.traffic.queries import KindTotals, PromptKind, StoredText, join_kinds, select_stretch
from smidgen.store.traffic.records import (
    LOST,
    MOST_COMMENT,
    MOST_NAME,
    MOST_TEXT,
    STORED,
    AuditAnswer,
    DeletedTraffic,
    Exchange,
    Feedback,
    LateLabel,
    StoredShare,
    TrafficCounts,
    TrafficError,
    TrafficPair,
    from_timestamp,
    to_timestamp,
)
from smidgen.store.traffic.requests import (
    RequestFilter,
    RequestOrder,
    StoredRequest,
    TrafficFigures,
    count_among,
    figures,
    find_request,
    select_requests,
)
from smidgen.store.traffic.sampling import DrawnAnswer, KeyedHash, Place
from smidgen.store.traffic.tables import ALIASES, FEEDBACK, KEPT, LABELS, OUTCOMES, REQUESTS, prepare, prepared, url_of

HELD_OUT = 0.2
"""Default held-out share of a new store."""
MOST_DAYS = 36_500
_MOST_GROUPS = 20
_AT_ONCE = 500
_Text = TypeVar("_Text", str, str | None)


def opened(url: str | None = None, held_out: float | None = None, make: bool = True) -> TrafficStore:
    """The store of `url`, else of the environment's `SMIDGEN_TRAFFIC_URL`, else `traffic.db` in smidgen's home; created if missing.

    Args:
        url: `sqlite:////folder/file.db` or `postgresql+psycopg://user:password@host/database`.
        held_out: the share of texts that is never trained on. A store keeps its first one.
        make: whether to create a missing SQLite file.

    Raises:
        InputError: the URL is invalid; the share is out of range, or differs from the store's own.
        MissingExtra: PostgreSQL's driver is not installed.
        TrafficError: the database cannot be opened, or was made by a later smidgen; or it is missing, and `make` is False.
    """
    if held_out is not None and not 0 <= held_out < 1:
        raise InputError("store.held_out_share_is_out_of_range", value=held_out)
    database = Database(url_of(url), "the traffic store", TrafficError)
    if not make and database.file is not None and not database.file.exists():
        raise TrafficError("store.there_is_no_traffic_store", value=database.shown)
    return TrafficStore(database, held_out)


class TrafficStore:
    """The traffic store."""

    def __init__(self, database: Database, held_out: float | None = None) -> None:
        self._database, self._wanted = database, held_out
        self._lock = threading.Lock()
        self._sides = KeyedHash("", 0.0)
        self._opened()

    def __enter__(self) -> TrafficStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def place(self) -> str:
        """The store's URL, without a password."""
        return self._database.shown

    @property
    def held_out(self) -> float:
        """The share of texts that is never trained on."""
        return self._sides.share

    def holds_out(self, input: str) -> bool:
        """Whether a text is on the held-out side."""
        return self._sides.held_out(_text(input)[:MOST_TEXT], "")

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

    def add(self, exchanges: Sequence[Exchange]) -> int:
        """Store requests, on the disk when this returns; returns how many were new. A request with a known id is left out: a client may
        choose its requests' ids, and must not overwrite another's."""
        if not exchanges:
            return 0
        with self._writing() as connection:
            known = set(connection.scalars(sql.select(REQUESTS.c.id).where(REQUESTS.c.id.in_([one.id for one in exchanges]))))
            new = {exchange.id: exchange for exchange in reversed(exchanges) if exchange.id not in known}
            if new:
                connection.execute(_insert(connection, REQUESTS), rows := [self._row(new[id]) for id in reversed(new)])
                join_kinds(connection, rows)
                if aliases := [alias for exchange in new.values() for alias in self._aliases(exchange)]:
                    connection.execute(_insert(connection, ALIASES), aliases)
        self._still_there()
        return len(new)

    def feedback(self, said: Feedback) -> bool:
        """Store a person's feedback, on the disk when this returns; False if no stored request has that id."""
        # PostgreSQL locks the request so that it cannot be deleted in between; SQLite has one writer at a time.
        asked = sql.select(REQUESTS.c.id).where(REQUESTS.c.id == said.request_id).with_for_update(read=True, key_share=True)
        with self._writing() as connection:
            if connection.scalar(asked) is None:
                return False
            connection.execute(sql.insert(FEEDBACK), self._said(said))
        self._still_there()
        return True

    def audited(self, found: AuditAnswer) -> bool:
        """Store the large model's answer in an audit with its request, to train on. Returns False, and stores nothing, if the request is
        not
        stored, was not answered here, or is held out: audits are drawn with a share of their own, and must neither choose nor certify."""
        one = REQUESTS.c
        mine = sql.and_(one.id == found.id, one.answered_by == "local", sql.not_(one.held_out))
        kept = {"audit_answer": _text(found.answer), "audit_model": _text(found.model)[:MOST_NAME]}
        with self._writing() as connection:
            return connection.execute(sql.update(REQUESTS).where(mine).values(kept)).rowcount > 0

    def labels(self) -> list[tuple[str, str]]:
        """The answers that are known to be labels, each as (hash of the key that asked, label)."""
        with self._reading() as connection:
            found = connection.execute(sql.select(LABELS.c.key_hash, LABELS.c.label).order_by(LABELS.c.time))
            return [(row.key_hash, row.label) for row in found]

    def know(self, labels: Sequence[tuple[str, str]], late: Sequence[LateLabel], now: datetime | None = None) -> int:
        """Store new labels, and correct answers that were stored masked before they were known; returns how many were corrected."""
        time, done = to_timestamp(now or datetime.now(UTC)), 0
        rows = [{"key_hash": key[:MOST_NAME], "label": _text(label)[:MOST_NAME], "time": time} for key, label in labels]
        if not rows and not late:
            return 0
        with self._writing() as connection:
            if rows:
                connection.execute(_insert(connection, LABELS), rows)
            for one in late:
                done += connection.execute(_put_right(one)).rowcount
        self._still_there()
        return done

    def add_outcomes(self, outcomes: Mapping[str, int], now: datetime | None = None) -> None:
        """Add to today's counts of the outcomes of requests that were to be stored, by the reason."""
        day = (now or datetime.now(UTC)).date().isoformat()
        rows = [{"day": day, "outcome": outcome, "requests": number} for outcome, number in outcomes.items() if number]
        if not rows:
            return
        with self._writing() as connection:
            added = _upsert(connection, OUTCOMES)
            together = {"requests": OUTCOMES.c.requests + added.excluded.requests}
            connection.execute(added.on_conflict_do_update(index_elements=["day", "outcome"], set_=together), rows)
        self._still_there()

    def seen(self, since: datetime | None = None) -> StoredShare:
        """The part of the traffic that was stored, from the day of `since` on. Days before a smidgen that counts are unknown."""
        one = OUTCOMES.c
        wanted = () if since is None else (one.day >= since.astimezone(UTC).date().isoformat(),)
        total = sql.func.sum(one.requests)
        with self._reading() as connection:
            found = connection.execute(sql.select(one.outcome, total, sql.func.min(one.day)).where(*wanted).group_by(one.outcome)).all()
        counts = {outcome: int(number) for outcome, number, _ in found}
        first = min((date.fromisoformat(day) for _, _, day in found), default=None)
        return StoredShare(counts.get(STORED, 0), {name: counts[name] for name in LOST if counts.get(name)}, first)

    def pairs(
        self,
        asked: str | None = None,
        held_out: bool | None = False,
        since: datetime | None = None,
        until: datetime | None = None,
        template: str | None = None,
    ) -> Iterator[TrafficPair]:
        """Texts with answers, the oldest first. All are of requests that a small model can answer alone, and no text was cut.

        For training: the reference is the newest correction by a person if there is one, else the upstream's whole answer, to the request
        or to an audit of it. A request with a thumb down and no correction is left out, until a thumb up takes it back. For measuring, no
        held-out
        request is left out for its quality: the reference is the upstream's answer, whatever people said about it, and empty if that was
        not a whole text (`TrafficPair.state`); a correction is in `corrected`. A small model's own answer is never a reference.

        Args:
            asked: the bundle, or the model, that requests named; None for all.
            held_out: False for the pairs to train on, True for those that must never be trained on, None for both.
            since: only requests that came at this time or later.
            until: only those that came before.
            template: only those of this kind; see `TrafficCounts.groups`.
        """
        first, last = (to_timestamp(time) if time is not None else None for time in (since, until))
        after: tuple[float, str] | None = None
        while True:
            statement = pairs.select_page(asked, held_out, first, last, template, after)
            with self._reading() as connection:
                rows = connection.execute(statement).all()
                said = pairs.feedback_by_request(connection, [row.id for row in rows])
            if not rows:
                return
            after = (rows[-1].time, rows[-1].id)
            for row in rows:
                pair = pairs.make_pair(row, said.get(row.id))
                if pair is not None:
                    yield pair

    def pair_count(
        self,
        asked: str | None,
        since: datetime | None,
        until: datetime | None,
        template: str | None = None,
        frames: Sequence[PromptFrame] = (),
    ) -> int:
        """Count the pairs of both sides; with frames, only of texts that have one of them."""
        first, last = (to_timestamp(time) if time is not None else None for time in (since, until))
        return pairs.count_pairs(self._reading, asked, first, last, template, frames)

    def stretch(
        self,
        asked: str | None,
        most: int,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        newest: bool = True,
        kinds: Mapping[str, Sequence[PromptFrame]] | None = None,
    ) -> list[StoredText]:
        """The newest `most` requests that named a bundle, or the first ones, the oldest first; see `select_stretch`."""
        return select_stretch(self._reading, asked, most, since=since, until=until, newest=newest, kinds=kinds)

    def drawn(self, certificate: str, share: float, after: Place | None, until: datetime) -> Iterator[DrawnAnswer]:
        """The local answers under a certificate that people should audit, the oldest first; see `sampling.drawn_answers`."""
        self._opened()
        return sampling.drawn_answers(self._reading, self._sides, certificate, share, after, to_timestamp(until))

    def find(self, id: str) -> Mapping[str, Any] | None:
        """One stored request, by the names of its columns; None if there is none."""
        with self._reading() as connection:
            row = connection.execute(sql.select(REQUESTS).where(REQUESTS.c.id == id)).mappings().one_or_none()
        return dict(row) if row is not None else None

    def requests(self, where: RequestFilter, offset: int, limit: int, order: RequestOrder = "newest") -> tuple[int, list[StoredRequest]]:
        """How many requests a filter leaves, and `limit` of them after the first `offset`."""
        with self._reading() as connection:
            return select_requests(connection, where, offset, limit, order)

    def find_request(self, id: str) -> StoredRequest | None:
        """One stored request with what people said of it; None if there is none."""
        with self._reading() as connection:
            return find_request(connection, id)

    def count_among(self, where: RequestFilter, ids: Collection[str]) -> int:
        """How many of these requests a filter leaves."""
        with self._reading() as connection:
            return count_among(connection, where, ids)

    def figures(self, since: datetime, now: datetime | None = None) -> TrafficFigures:
        """Figures over the requests from `since` on."""
        with self._reading() as connection:
            return figures(connection, since, now or datetime.now(UTC))

    def totals(self) -> TrafficCounts:
        """The totals of the store."""
        one, by = REQUESTS.c, REQUESTS.c.answered_by
        totals = sql.select(
            sql.func.count().label("requests"),
            *(sql.func.count(sql.case((by == who, 1))).label(who) for who in ("local", "upstream", "cache", "none")),
            sql.func.count(sql.case((one.held_out, 1))).label("held_out"),
            sql.func.min(one.time).label("first"),
            sql.func.max(one.time).label("last"),
            sql.func.coalesce(sql.func.sum(one.cost_usd), 0.0).label("cost"),
            sql.func.coalesce(sql.func.sum(one.saved_usd), 0.0).label("saved"),
        ).select_from(REQUESTS)
        opinions = sql.select(sql.func.count().label("all"), sql.func.count(FEEDBACK.c.corrected).label("corrected")).select_from(FEEDBACK)
        with self._reading() as connection:
            total, said = connection.execute(totals).mappings().one(), connection.execute(opinions).mappings().one()
            asked, groups = _frequent(connection, one.asked), _frequent(connection, one.kind_hash)
        first, last = (from_timestamp(time) if time is not None else None for time in (total["first"], total["last"]))
        return TrafficCounts(
            requests=total["requests"],
            local=total["local"],
            upstream=total["upstream"],
            cached=total["cache"],
            unanswered=total["none"],
            held_out=total["held_out"],
            feedback=said["all"],
            corrected=said["corrected"],
            first=first,
            last=last,
            cost_usd=float(total["cost"]),
            saved_usd=float(total["saved"]),
            asked=asked,
            groups=groups,
        )

    def templates(self, most: int) -> list[PromptKind]:
        """The most frequent templates of requests that a small model can answer alone."""
        with self._reading() as connection:
            return queries.frequent_kinds(connection, most)

    def unsuited(self, most: int) -> dict[str, int]:
        """Count the requests that no small model can do, by the reason."""
        with self._reading() as connection:
            return queries.count_unsuited(connection, most)

    def tally(self, template: str, frame: PromptFrame = UNFRAMED, without: Sequence[PromptFrame] = ()) -> KindTotals:
        """The totals of a kind: of a template, with texts that have this frame and none of the others."""
        with self._reading() as connection:
            return queries.kind_totals(connection, template, frame, without)

    def newest(self, template: str, most: int) -> datetime | None:
        """The time since which there are at most `most` requests of a template; None if that is all of them."""
        with self._reading() as connection:
            time = queries.newest_since(connection, template, most)
        return from_timestamp(math.nextafter(time, math.inf)) if time is not None else None

    def template(self, said: str) -> str:
        """The stored hash of a template, or of a kind."""
        return self._sides.hashed("template", said)

    def delete_user(self, user: str) -> DeletedTraffic:
        """Delete all requests and all feedback of a user, by any id that clients gave. Blanks around an id are ignored."""
        self._opened()
        names = {self._user(user), self._sides.hashed("user", user)}  # also in the form of an older smidgen
        if "" in names:
            raise InputError("store.user_has_no_id", value=user)
        further = sql.select(ALIASES.c.request_id).where(ALIASES.c.user_hash.in_(names))
        return self._delete(sql.or_(REQUESTS.c.user_hash.in_(names), REQUESTS.c.id.in_(further)), FEEDBACK.c.user_hash.in_(names))

    def delete_older(self, days: float, now: datetime | None = None, *, kept_days: float | None = None) -> DeletedTraffic:
        """Delete all requests that came this many days ago or earlier, with their feedback. Those in a line's reservoir are deleted after
        `kept_days`, if that is longer. Raises InputError for days under 0 or over 36,500."""
        for count in (days, *(() if kept_days is None else (kept_days,))):
            if not 0 <= count <= MOST_DAYS:
                raise InputError("store.days_is_out_of_range", value=count, most_days=MOST_DAYS)
        now = now or datetime.now(UTC)
        old = REQUESTS.c.time <= to_timestamp(now - timedelta(days=days))
        if kept_days is not None and kept_days > days:
            kept = sql.select(KEPT.c.request_id).where(KEPT.c.request_id == REQUESTS.c.id).exists()
            old = sql.and_(old, sql.or_(REQUESTS.c.time <= to_timestamp(now - timedelta(days=kept_days)), sql.not_(kept)))
        with self._writing() as connection:
            connection.execute(sql.delete(OUTCOMES).where(OUTCOMES.c.day < (now - timedelta(days=days)).date().isoformat()))
            connection.execute(sql.delete(LABELS).where(LABELS.c.time <= to_timestamp(now - timedelta(days=days))))
        return self._delete(old)

    def keep(self, line: str, ids: Iterable[str], *, add: bool = False) -> int:
        """Make these requests the reservoir of a line; returns its size. Requests that are not stored any more are left out.

        Args:
            line: the line's name, a hash.
            add: whether earlier requests stay in the reservoir.
        """
        wanted = sorted(set(ids))
        with self._writing() as connection:
            if not add:
                connection.execute(sql.delete(KEPT).where(KEPT.c.line == line))
            for start in range(0, len(wanted), _AT_ONCE):
                part = wanted[start : start + _AT_ONCE]
                # PostgreSQL locks the requests so that they cannot be deleted in between; SQLite has one writer at a time.
                there = sql.select(REQUESTS.c.id).where(REQUESTS.c.id.in_(part)).with_for_update(read=True, key_share=True)
                if rows := [{"line": line, "request_id": id} for id in connection.scalars(there)]:
                    connection.execute(_insert(connection, KEPT), rows)
            count = sql.select(sql.func.count()).select_from(KEPT).where(KEPT.c.line == line)
            return int(connection.scalar(count) or 0)

    def delete_asked(self, asked: str) -> DeletedTraffic:
        """Delete all requests that named this bundle or model, with their feedback."""
        return self._delete(REQUESTS.c.asked == asked)

    def _delete(self, requests: sql.ColumnElement[bool], feedback: sql.ColumnElement[bool] | None = None) -> DeletedTraffic:
        own = FEEDBACK.c.request_id.in_(sql.select(REQUESTS.c.id).where(requests))
        with self._writing() as connection:
            said = connection.execute(sql.delete(FEEDBACK).where(own if feedback is None else sql.or_(own, feedback))).rowcount
            gone = connection.execute(sql.delete(REQUESTS).where(requests)).rowcount
        return DeletedTraffic(gone, said, self._database.scrub(table.name for table in (REQUESTS, ALIASES, FEEDBACK, KEPT, LABELS)))

    def _row(self, one: Exchange) -> dict[str, Any]:
        """The stored form of a request: texts cut to their limits, names hashed, and its side."""
        texts = [_text(text) for text in (one.input, one.answer, one.local_output)]
        cut = [None if text is None else text[:MOST_TEXT] for text in texts]
        return {
            **{name: getattr(one, name) for name in _AS_IT_IS},
            **{name: _text(getattr(one, name))[:MOST_NAME] for name in _NAMES},
            "time": to_timestamp(one.time),
            "input": cut[0],
            "answer": cut[1],
            "local_output": cut[2],
            "user_hash": self._user(one.user),
            "system_hash": self._sides.hashed("system", one.system),
            "template_hash": self._sides.hashed("template", one.template),
            "kind_hash": self._sides.hashed("template", one.kind or one.template),
            "key_hash": one.key[:MOST_NAME],
            "audit_answer": None,
            "audit_model": "",
            "held_out": self._sides.held_out(cut[0], one.id) if one.held_out is None else one.held_out,
            "truncated": one.truncated or cut != texts,
        }

    def _aliases(self, one: Exchange) -> list[dict[str, str]]:
        """The further ids of a request's user."""
        hashes = {self._user(user) for user in one.also} - {"", self._user(one.user)}
        return [{"request_id": _text(one.id)[:MOST_NAME], "user_hash": name} for name in sorted(hashes)]

    def _user(self, user: str | None) -> str:
        return self._sides.hashed("user", (user or "").strip())

    def _said(self, said: Feedback) -> dict[str, Any]:
        corrected = _text(said.corrected)
        comment = _text(said.comment)
        return {
            "request_id": said.request_id,
            "time": to_timestamp(said.time),
            "verdict": said.verdict,
            "corrected": None if corrected is None else corrected[:MOST_TEXT],
            "comment": None if comment is None else comment[:MOST_COMMENT],
            "user_hash": self._user(said.user),
            "key_hash": said.key[:MOST_NAME],
            "altered": said.altered,
            "truncated": corrected is not None and len(corrected) > MOST_TEXT,
        }

    def _reading(self) -> AbstractContextManager[Connection]:
        self._opened()
        return self._database.reading()

    def _writing(self) -> AbstractContextManager[Connection]:
        self._opened()
        return self._database.writing()

    def _still_there(self) -> None:
        """Raise TrafficError if the file was deleted: a deleted file accepts all writes, and all of them are lost."""
        if not self._database.there:
            raise TrafficError("store.traffic_store_was_deleted_meanwhile", value=self.place)

    def _opened(self) -> None:
        """Open the database if it is not open, or if its file was replaced."""
        with self._lock:
            if self._database.there:
                return
            self._database.open()
            try:
                with self._database.reading() as connection:
                    meta = prepared(connection)
                if meta is None:
                    with self._database.writing() as connection:
                        meta = prepare(connection, HELD_OUT if self._wanted is None else self._wanted)
                self._sides = KeyedHash(meta["key"], float(meta["held_out"]))
                if self._wanted is not None and self._sides.share != self._wanted:
                    raise InputError(
                        "store.traffic_store_holds_out_another_share", share=f"{self._sides.share:g}", wanted=f"{self._wanted:g}"
                    )
            except (TrafficError, InputError, ValueError):
                self._database.close()
                raise


_NAMES = ("id", "asked", "path", "answered_by", "why", "odd", "bundle_id", "certificate", "model")
_AS_IT_IS = (
    *("status", "local_score", "tokens_in", "tokens_out", "tokens_estimated", "cost_usd", "saved_usd", "local_ms", "upstream_ms"),
    *("altered", "doubtful", "answer_state"),
)


def _text(text: _Text) -> _Text:
    """A text in the form that every database accepts: without zero characters and lone surrogates."""
    return text if text is None else text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd")


def _put_right(late: LateLabel) -> sql.Update:
    """The statement that replaces a masked text by its original. A held-out request stores no audit's answer; see
    `TrafficStore.audited`."""
    one, said = REQUESTS.c, _text(late.said)[:MOST_TEXT]
    if late.what == "answer":
        return (
            sql.update(REQUESTS)
            .where(one.id == late.id, one.answer == late.stored)
            .values(answer=said, doubtful=sql.and_(one.doubtful, one.altered))
        )
    if late.what == "audit":
        mine = sql.and_(one.id == late.id, one.answered_by == "local", sql.not_(one.held_out))
        return sql.update(REQUESTS).where(mine).values(audit_answer=said, audit_model=_text(late.model)[:MOST_NAME])
    about, time = FEEDBACK.c, to_timestamp(late.time or datetime.now(UTC))
    same = sql.and_(about.request_id == late.id, about.time == time, about.corrected == late.stored)
    return sql.update(FEEDBACK).where(same).values(corrected=said, altered=False)


def _insert(connection: Connection, table: sql.Table) -> Any:
    """An insertion that can skip rows that another process has just written."""
    return _upsert(connection, table).on_conflict_do_nothing()


def _upsert(connection: Connection, table: sql.Table) -> Any:
    """An insertion for which a conflict clause can be set."""
    from sqlalchemy.dialects import postgresql, sqlite

    return (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)


def _frequent(connection: Connection, column: sql.Column[str]) -> dict[str, int]:
    count = sql.func.count()
    found = connection.execute(sql.select(column, count).group_by(column).order_by(count.desc(), column).limit(_MOST_GROUPS))
    return {name: number for name, number in found if name}
