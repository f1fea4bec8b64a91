"""Queries: bound values, one SELECT, a connection that only reads, and bounds."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from smidgen.core.errors import InputError, MissingExtra
from smidgen.tools import sql_calls
from smidgen.tools.definition import SqlTarget
from smidgen.tools.sql_calls import named_parameters, psycopg_statement, run_query, shown_database, shown_statement, statement_faults


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    base = sqlite3.connect(tmp_path / "shop.db")
    base.executescript("CREATE TABLE t (id TEXT, n INTEGER, note TEXT); INSERT INTO t VALUES ('a', 1, 'x'), ('b', 2, NULL);")
    base.close()
    return tmp_path


def asked(folder: Path, sql: str, most: int = 20, **values: Any) -> list[dict[str, Any]]:
    return run_query(SqlTarget(sql, "sqlite:///shop.db", str(folder)), values, {}, most)


def test_a_query_with_bound_values(folder: Path) -> None:
    assert asked(folder, "SELECT id, n FROM t WHERE id = :id", id="a") == [{"id": "a", "n": 1}]
    assert asked(folder, "WITH w AS (SELECT * FROM t) SELECT count(*) AS n FROM w WHERE :no IS NULL") == [{"n": 2}]
    assert asked(folder, "SELECT id FROM t WHERE id IN (SELECT value FROM json_each(:ids))", ids=["b", "c"]) == [{"id": "b"}]
    assert len(asked(folder, "SELECT id FROM t", most=1)) == 2  # one more, so that the reader knows of it


@pytest.mark.parametrize("value", ["a' OR '1'='1", "a'; DROP TABLE t; --", "' UNION SELECT sql, 1 FROM sqlite_master --", ":id", "a\x00b"])
def test_a_value_is_never_a_part_of_the_statement(folder: Path, value: str) -> None:
    assert asked(folder, "SELECT id, n FROM t WHERE id = :id", id=value) == []
    assert asked(folder, "SELECT :id AS said", id=value) == [{"said": value}]
    assert asked(folder, "SELECT count(*) AS n FROM t") == [{"n": 2}]


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM t",
        "SELECT 1; DELETE FROM t",
        "WITH w AS (SELECT 1) DELETE FROM t",
        "WITH w AS (INSERT INTO t VALUES ('c', 3, '') RETURNING id) SELECT * FROM w",
        "PRAGMA writable_schema = 1",
        "ATTACH 'other.db' AS other",
        "SELECT * INTO copy FROM t",
        "SELECT 1 /* ; */; UPDATE t SET n = 0",
        "/* SELECT */ DROP TABLE t",
        "SELECT ?",
        "SELECT $$x$$",
        "EXPLAIN SELECT 1",
    ],
)
def test_other_statements_are_refused(folder: Path, sql: str) -> None:
    assert statement_faults(sql)
    with pytest.raises(InputError, match="refused"):
        asked(folder, sql)


def test_words_in_quotes_and_names_are_no_statements() -> None:
    for sql in (
        "SELECT 'delete; drop' AS \"update\" FROM t -- insert",
        "SELECT replace(id, 'a', 'b') FROM t;",
        "SELECT updated_at FROM settings",
    ):
        assert statement_faults(sql) == [], sql


@pytest.mark.parametrize(
    "sql", ["DELETE FROM t", "UPDATE t SET n = 9", "PRAGMA user_version = 7", "CREATE TABLE u (x)", "ATTACH ':memory:' AS m"]
)
def test_the_connection_itself_only_reads(folder: Path, sql: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even a statement that the check has let through."""
    monkeypatch.setattr(sql_calls, "statement_faults", lambda _: [])
    with pytest.raises(InputError, match="cannot be run"):
        asked(folder, sql)
    monkeypatch.undo()
    assert asked(folder, "SELECT sum(n) AS n FROM t") == [{"n": 3}]


def test_dangerous_functions_and_endless_queries_are_stopped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="cannot be run"):
        asked(folder, "SELECT load_extension('x')")
    with pytest.raises(InputError, match="cannot be run"):
        asked(folder, "SELECT zeroblob(1000000000)")
    monkeypatch.setattr(sql_calls, "MOST_SECONDS", 0.05)
    with pytest.raises(InputError, match="took longer"):
        asked(folder, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n")


def test_a_missing_or_strange_database_is_told(folder: Path) -> None:
    with pytest.raises(InputError, match="missing"):
        run_query(SqlTarget("SELECT 1", "sqlite:///other.db", str(folder)), {}, {})
    for url in ("mysql://me:hidden@host/x", "sqlite://", "sqlite:///shop.db?mode=rw", "nonsense"):
        with pytest.raises(InputError) as told:
            run_query(SqlTarget("SELECT 1", url, str(folder)), {}, {})
        assert "hidden" not in str(told.value)
    with pytest.raises(InputError, match="SHOP"):
        run_query(SqlTarget("SELECT 1", "${SHOP}", str(folder)), {}, {})


def test_names_in_quotes_and_comments_are_no_parameters() -> None:
    sql = "SELECT ':a', \":b\", x::text -- :c\n FROM t /* :d */ WHERE y = :e AND z=:f AND y = :e AND w LIKE '%:g'"
    assert named_parameters(sql) == ["e", "f"]
    assert "y = %(e)s AND z=%(f)s" in psycopg_statement(sql) and "x::text" in psycopg_statement(sql) and "'%%:g'" in psycopg_statement(sql)
    assert shown_statement("SELECT :a, :b, :c, ':d'", {"a": "o'x", "b": True, "d": 1}) == "SELECT 'o''x', 1, NULL, ':d'"


def test_postgresql_by_url(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = SqlTarget("SELECT 1", "${SHOP_DATABASE}", str(folder))
    assert shown_database(target) == "${SHOP_DATABASE}"
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(MissingExtra):
        run_query(target, {}, {"SHOP_DATABASE": "postgresql://me:hidden@127.0.0.1:1/x"})


@pytest.mark.parametrize(
    "call", ["lo_create(0)", "pg_read_file('x')", "PG_TERMINATE_BACKEND (1)", "dblink_exec('x', 'y')", "set_config('a', 'b', true)"]
)
def test_postgresql_gets_no_function_that_writes_all_the_same(folder: Path, call: str) -> None:
    target = SqlTarget(f"SELECT {call}", "${SHOP_DB}", str(folder))
    with pytest.raises(InputError, match="function is not allowed"):
        run_query(target, {}, {"SHOP_DB": "postgresql://u@127.0.0.1:1/x"})
