"""The servers of projects: how each is to run, the process that it is, and the API keys that it takes."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Annotated, Any

import sqlalchemy as sql
from pydantic import Field
from pydantic.dataclasses import dataclass

from smidgen.store.database import Database
from smidgen.studio.store.tables import KEYS, REVIEWS, SERVERS, StudioMissing

KEY_PREFIX = "sk-smidgen-"


@dataclass(frozen=True, slots=True)
class ServerRecord:
    """A project's server as it was last written down. Times are in seconds since 1970.

    Attributes:
        wanted: whether it was started, and nobody stopped it.
        settings: how it runs, as JSON. It holds no secret.
        process: the number of its process and when that started, as text.
        error: how it ended by itself: `message`, and `log`, its last lines.
    """

    project: str
    wanted: bool
    settings: Mapping[str, Any]
    author: str
    process: str
    started: float | None
    ended: float | None
    error: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class ServingKey:
    """An API key of a project's server, without the key itself. Times are in seconds since 1970. `hash`: its
    SHA-256, which no page gets."""

    id: str
    name: str
    hash: Annotated[str, Field(exclude=True)]
    author: str
    created: float
    revoked: float | None


@dataclass(frozen=True, slots=True)
class MadeKey(ServingKey):
    """A key that was just made. `key` is shown this once, and stored nowhere."""

    key: str


_KEY = [KEYS.c[field.name] for field in fields(ServingKey)]


class ServerStore:
    """The servers of all projects. Each method raises StudioError where the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, project: str) -> ServerRecord | None:
        """The server of a project; None if it was never started."""
        with self._database.reading() as connection:
            row = connection.execute(sql.select(SERVERS).where(SERVERS.c.project == project)).one_or_none()
        return None if row is None else ServerRecord(**{**row._asdict(), "wanted": bool(row.wanted)})

    def started(self, project: str, settings: Mapping[str, Any], author: str, process: str) -> None:
        """Write down that a server was started."""
        record = ServerRecord(project, True, dict(settings), author, process, time.time(), None, None)
        with self._database.writing() as connection:
            connection.execute(sql.delete(SERVERS).where(SERVERS.c.project == project))
            connection.execute(sql.insert(SERVERS).values(asdict(record)))

    def ended(self, project: str, error: Mapping[str, Any] | None, process: str) -> None:
        """Write down that this process has ended: because somebody stopped it, or with an error. A later process stays as it is."""
        values = {"wanted": 0, "ended": time.time(), "error": error}
        mine = sql.and_(SERVERS.c.project == project, SERVERS.c.process == process)
        with self._database.writing() as connection:
            connection.execute(sql.update(SERVERS).where(mine).values(values))

    # Keys.

    def keys(self, project: str) -> list[ServingKey]:
        """The keys of a project, the newest first, revoked ones too."""
        chosen = sql.select(*_KEY).where(KEYS.c.project == project).order_by(KEYS.c.created.desc(), KEYS.c.id)
        with self._database.reading() as connection:
            return [ServingKey(**row._asdict()) for row in connection.execute(chosen)]

    def make_key(self, project: str, name: str, author: str) -> MadeKey:
        """Make a key."""
        text = KEY_PREFIX + secrets.token_urlsafe(24)
        hashed = hashlib.sha256(text.encode("ascii")).hexdigest()
        key = ServingKey(secrets.token_hex(6), name, hashed, author, time.time(), None)
        with self._database.writing() as connection:
            connection.execute(sql.insert(KEYS).values(project=project, **asdict(key)))
        return MadeKey(**asdict(key), key=text)

    def revoke_key(self, project: str, id: str) -> None:
        """Revoke a key for good."""
        mine = sql.and_(KEYS.c.project == project, KEYS.c.id == id)
        with self._database.writing() as connection:
            found = connection.execute(sql.update(KEYS).where(mine, KEYS.c.revoked.is_(None)).values(revoked=time.time())).rowcount
            known = found or connection.execute(sql.select(KEYS.c.id).where(mine)).one_or_none() is not None
        if not known:
            raise StudioMissing("studio.there_is_no_such_key", value=id)

    # Reviews of captured requests.

    def reviewed(self, project: str) -> set[str]:
        """The captured requests that somebody has looked at."""
        with self._database.reading() as connection:
            return set(connection.scalars(sql.select(REVIEWS.c.request).where(REVIEWS.c.project == project)))

    def review(self, project: str, request: str, decision: str, author: str) -> None:
        """Write down what somebody decided on a captured request."""
        mine = sql.and_(REVIEWS.c.project == project, REVIEWS.c.request == request)
        values = {"project": project, "request": request, "decision": decision, "author": author, "time": time.time()}
        with self._database.writing() as connection:
            connection.execute(sql.delete(REVIEWS).where(mine))
            connection.execute(sql.insert(REVIEWS).values(values))
