"""Open the Studio's database, and keep its projects."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import sqlalchemy as sql
from pydantic.dataclasses import dataclass

from smidgen.store.database import Database, file_url, parse_url
from smidgen.store.files import home
from smidgen.studio.store.data_rows import ProjectRows
from smidgen.studio.store.tables import PROJECTS, StudioError, StudioMissing, prepare

URL_ENV = "SMIDGEN_STUDIO_URL"
FILE = "studio.db"
_PATIENCE_SECONDS = 120.0
"""How long a writer waits: a file of a million rows is added in one transaction, and neither a build nor the queue may fail over it."""


@dataclass(frozen=True, slots=True)
class Project:
    """A project: data, runs and models for one job. `created` and `changed` are in seconds since 1970; `version` is that of its data."""

    id: str
    name: str
    task: str
    created: float
    changed: float
    version: int
    settings: Mapping[str, Any]


class StudioStore:
    """The Studio's database. Its methods may be called from several threads; several processes may open it. Each raises StudioError where
    the database fails."""

    def __init__(self, url: str | None = None) -> None:
        given = url or os.environ.get(URL_ENV, "").strip()
        place = parse_url(given, "the Studio's database") if given else file_url(home() / FILE)
        self.database = Database(place, "the Studio's database", StudioError, _PATIENCE_SECONDS)
        self.database.open()
        with self.database.writing() as connection:
            prepare(connection)

    def close(self) -> None:
        """Close the connections."""
        self.database.close()

    def projects(self) -> list[Project]:
        """All projects, the last changed first."""
        with self.database.reading() as connection:
            return [Project(**row._asdict()) for row in connection.execute(sql.select(PROJECTS).order_by(PROJECTS.c.changed.desc()))]

    def project(self, id: str) -> Project:
        """One project."""
        with self.database.reading() as connection:
            row = connection.execute(sql.select(PROJECTS).where(PROJECTS.c.id == id)).one_or_none()
        if row is None:
            raise StudioMissing("studio.there_is_no_such_project", value=id)
        return Project(**row._asdict())

    def create(self, name: str, task: str, settings: Mapping[str, Any] | None = None) -> Project:
        """Make an empty project."""
        now = time.time()
        project = Project(secrets.token_hex(6), name, task, now, now, 0, dict(settings or {}))
        with self.database.writing() as connection:
            connection.execute(sql.insert(PROJECTS).values(asdict(project)))
        return project

    def update(self, id: str, *, name: str | None = None, settings: Mapping[str, Any] | None = None) -> Project:
        """Rename a project, or merge settings into its own."""
        current = self.project(id)
        merged = {**current.settings, **(settings or {})}
        values = {"name": name or current.name, "settings": merged, "changed": time.time()}
        with self.database.writing() as connection:
            connection.execute(sql.update(PROJECTS).where(PROJECTS.c.id == id).values(values))
        return self.project(id)

    def delete(self, id: str) -> None:
        """Delete a project with its rows, versions and runs."""
        self.project(id)
        with self.database.writing() as connection:
            connection.execute(sql.delete(PROJECTS).where(PROJECTS.c.id == id))

    def rows(self, project: str) -> ProjectRows:
        """The rows of a project's data."""
        return ProjectRows(self.database, project)
