"""A database of an earlier smidgen is brought to this version, and then has the tables of a new one."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sql

from smidgen.studio.store.projects import StudioStore
from smidgen.studio.store.tables import KEYS, META, REVIEWS, SERVERS, StudioError

LATER = (SERVERS, KEYS, REVIEWS)


def shape(store: StudioStore) -> dict[str, list[tuple[str, bool]]]:
    """Each table with its columns, and whether each may be empty."""
    with store.database.reading() as connection:
        seen = sql.inspect(connection)
        return {
            name: sorted((str(column["name"]), bool(column["nullable"])) for column in seen.get_columns(name))
            for name in seen.get_table_names()
        }


def test_a_first_version_becomes_this_one(tmp_path: Path) -> None:
    new, old = (StudioStore(f"sqlite:///{tmp_path}/{name}.db") for name in ("new", "old"))
    project = old.create("Tickets", "classify").id
    with old.database.writing() as connection:
        for table in LATER:
            connection.execute(sql.text(f"DROP TABLE {table.name}"))
        connection.execute(sql.update(META).where(META.c.name == "version").values(value="1"))
    old.close()
    again = StudioStore(f"sqlite:///{tmp_path}/old.db")
    assert shape(again) == shape(new) and len(shape(again)) == 11
    assert again.project(project).name == "Tickets"
    new.close()
    again.close()


def test_a_later_version_is_refused(tmp_path: Path) -> None:
    store = StudioStore(f"sqlite:///{tmp_path}/later.db")
    with store.database.writing() as connection:
        connection.execute(sql.update(META).where(META.c.name == "version").values(value="99"))
    store.close()
    with pytest.raises(StudioError, match="later smidgen"):
        StudioStore(f"sqlite:///{tmp_path}/later.db")
