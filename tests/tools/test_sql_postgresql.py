"""Queries on a real PostgreSQL, where one is named: SMIDGEN_TEST_POSTGRES_URL, a database in which a table may be made."""

from __future__ import annotations

import datetime
import os
import time
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sql

from smidgen.core.errors import InputError
from smidgen.tools import sql_calls
from smidgen.tools.definition import SqlTarget
from smidgen.tools.results import clean_rows
from smidgen.tools.sql_calls import run_query, shown_database

URL = os.environ.get("SMIDGEN_TEST_POSTGRES_URL", "")
ENVIRONMENT = {"SHOP_DB": URL.replace("postgresql+psycopg", "postgresql")}

pytestmark = pytest.mark.skipif(not URL, reason="SMIDGEN_TEST_POSTGRES_URL names no database")


@pytest.fixture
def table() -> Iterator[str]:
    """A table of orders; yields its name."""
    name = f"orders_{uuid.uuid4().hex[:8]}"
    engine = sql.create_engine(URL)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE {name} (id text, n integer, price numeric(8, 2), made date, note text)")
        connection.exec_driver_sql(f"INSERT INTO {name} VALUES ('FH-1', 1, 19.50, '2026-05-01', '50%% off'), ('FH-2', 2, 5, NULL, NULL)")
    yield name
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP TABLE {name}")
    engine.dispose()


def asked(statement: str, most: int = 20, **values: Any) -> list[dict[str, Any]]:
    return run_query(SqlTarget(statement, "${SHOP_DB}", "."), values, ENVIRONMENT, most)


def test_named_values_are_bound_and_rows_come_back(table: str) -> None:
    found = asked(f"SELECT * FROM {table} WHERE id = :id", id="FH-1")
    assert found == [{"id": "FH-1", "n": 1, "price": Decimal("19.50"), "made": datetime.date(2026, 5, 1), "note": "50% off"}]
    rows, cut, _ = clean_rows(found, (), 20)
    assert not cut and rows[0]["n"] == 1 and str(rows[0]["price"]).startswith("19.5") and rows[0]["made"] == "2026-05-01"
    assert asked(f"SELECT id FROM {table} WHERE note LIKE '50%' AND n::int = :n", n=1) == [{"id": "FH-1"}]
    assert asked(f"SELECT id FROM {table} WHERE id = :id", id="x' OR '1'='1") == []
    # a parameter without a value is NULL
    assert [row["id"] for row in asked(f"SELECT id FROM {table} WHERE (:least::int IS NULL OR n >= :least) ORDER BY id")] == [
        "FH-1",
        "FH-2",
    ]
    assert len(asked(f"SELECT id FROM {table}", most=1)) == 2


def test_it_only_reads(table: str) -> None:
    changing = [
        f"WITH gone AS (DELETE FROM {table} RETURNING id) SELECT id FROM gone",
        f"SELECT id FROM {table}; DELETE FROM {table}",
        f"INSERT INTO {table} VALUES ('x')",
        "SELECT setval('none', 1)",
        "SELECT pg_sleep(0) FROM pg_create_restore_point('x')",
        "SELECT lo_create(0)",
        'SELECT "lo_create" (0)',
        "SELECT pg_read_file('postgresql.conf')",
        "SELECT set_config('transaction_read_only', 'off', false)",
    ]
    for statement in changing:
        with pytest.raises(InputError):
            asked(statement)
    assert asked(f"SELECT count(*) AS n FROM {table}") == [{"n": 2}]


def test_a_slow_query_ends_and_says_nothing_of_the_password(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql_calls, "MOST_SECONDS", 0.3)
    begun = time.monotonic()
    with pytest.raises(InputError, match="statement timeout"):
        asked("SELECT count(*) FROM generate_series(1, 1000000000000)")
    assert time.monotonic() - begun < 10
    wrong = SqlTarget("SELECT 1", "${SHOP_DB}", ".")
    with pytest.raises(InputError) as caught:
        run_query(wrong, {}, {"SHOP_DB": "postgresql://shop:hush-hush@127.0.0.1:1/none"})
    assert "hush-hush" not in str(caught.value) and shown_database(wrong) == "${SHOP_DB}"
