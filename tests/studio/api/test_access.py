"""Who may do what: links, sessions, accounts, roles on every route, and calls from other sites' pages."""

from __future__ import annotations

import itertools
import re
import time
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from smidgen.core.errors import RequestError
from smidgen.store.sqlite_wal import writing
from smidgen.studio.api import access as rules
from smidgen.studio.api.access import COOKIE, ROLES, StudioAccess
from smidgen.studio.api.app import StudioSettings, create_studio
from smidgen.studio.store.projects import StudioStore

from .conftest import OURS

OPEN = {("GET", "/api/v1/session"), ("POST", "/api/v1/session"), ("DELETE", "/api/v1/session")}
PASSWORD = "correct horse battery"


def every_route(client: TestClient) -> list[tuple[str, str, str]]:
    """Method, path and permission of each route of the API."""
    found = []
    for route in client.app.routes:  # type: ignore[attr-defined]
        routes = [route] if isinstance(route, APIRoute) else list(getattr(getattr(route, "original_router", None), "routes", []))
        for one in routes:
            if isinstance(one, APIRoute) and one.path.startswith("/api/"):
                needed = [getattr(part.call, "permission", None) for part in one.dependant.dependencies]
                for method in one.methods:
                    found.append((method, one.path, next((name for name in needed if name), "")))
    return found


def test_a_link_opens_one_session_once(stranger: TestClient, access: StudioAccess) -> None:
    link = access.new_link()
    assert stranger.get("/api/v1/projects").status_code == 401
    answer = stranger.get(f"/?link={link}", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie and link not in cookie
    assert stranger.get("/api/v1/session").json()["role"] == "owner"
    stranger.cookies.clear()
    assert "set-cookie" not in stranger.get(f"/?link={link}", follow_redirects=False).headers


@pytest.mark.parametrize(
    ("to", "place"),
    [
        ("/projects/a1/report", "/projects/a1/report"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("", "/"),
    ],
)
def test_a_link_leads_to_a_page_of_the_studio_alone(stranger: TestClient, access: StudioAccess, to: str, place: str) -> None:
    answer = stranger.get("/", params={"link": access.new_link(), "to": to}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, place)


@pytest.mark.parametrize("link", ["", "x", "é" * 40])
def test_a_wrong_link_opens_nothing(stranger: TestClient, link: str) -> None:
    assert COOKIE not in stranger.get("/", params={"link": link}, follow_redirects=False).cookies


def test_an_old_link_opens_nothing(access: StudioAccess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "_LINK_SECONDS", -1.0)
    assert access.follow_link(access.new_link()) is None


def test_every_route_asks_for_a_permission(stranger: TestClient) -> None:
    routes = every_route(stranger)
    assert len(routes) > 25
    assert {(method, path) for method, path, permission in routes if not permission} == OPEN


@pytest.mark.parametrize("role", ["viewer", "builder", "owner"])
def test_a_role_may_call_what_it_grants_and_nothing_else(
    stranger: TestClient, access: StudioAccess, monkeypatch: pytest.MonkeyPatch, role: Any
) -> None:
    monkeypatch.setattr(access, "person", lambda _: rules.Person("ann", role))
    stranger.cookies.set(COOKIE, "any")
    seen = 0
    for method, path, permission in every_route(stranger):
        if not permission:
            continue
        place = re.sub(r"\{(number|older|newer)\}", "1", path)
        status = stranger.request(method, re.sub(r"\{\w+\}", "none", place)).status_code
        assert (status == 403) == (permission not in ROLES[role]), (method, path, status)
        seen += 1
    assert seen > 20


def test_another_sites_page_changes_nothing(client: TestClient) -> None:
    wanted = {"name": "x", "task": "classify"}
    assert client.post("/api/v1/projects", json=wanted, headers={"X-Studio-Page": "0"}).status_code == 403
    assert client.post("/api/v1/projects", json=wanted, headers={**OURS, "Origin": "http://evil.example"}).status_code == 403
    assert client.post("/api/v1/projects", json=wanted, headers={**OURS, "Origin": "http://127.0.0.1:8765"}).status_code == 201


def test_a_large_body_is_refused_before_it_is_read(client: TestClient) -> None:
    wanted = '{"name": "x", "task": "classify"}'
    large = client.post("/api/v1/projects", content=wanted, headers={"Content-Length": str(17 << 20)})
    assert large.status_code == 413 and large.json()["error"]["code"] == "body_too_large"
    untold = client.post("/api/v1/projects", content=iter([wanted.encode()]), headers={"Content-Type": "application/json"})
    assert untold.status_code == 413
    assert client.post("/api/v1/projects", content=wanted, headers={"Content-Type": "application/json"}).status_code == 201


def test_another_host_name_is_refused(client: TestClient) -> None:
    assert client.get("/api/v1/session", headers={"Host": "evil.example"}).status_code == 403


def test_beyond_this_machine_a_link_opens_nothing(store: StudioStore) -> None:
    access = StudioAccess(store, accounts_needed=True)
    client = TestClient(create_studio(store, access, StudioSettings(), None), base_url="http://127.0.0.1", headers=OURS)
    assert "set-cookie" not in client.get(f"/?link={access.new_link()}", follow_redirects=False).headers


def test_people_log_in_and_out(stranger: TestClient, access: StudioAccess) -> None:
    assert stranger.get("/api/v1/session").json()["has_accounts"] is False
    access.save_account("boss", "owner", PASSWORD)
    assert stranger.get("/api/v1/session").json()["has_accounts"] is True
    access.save_account("ann", "builder", PASSWORD)
    assert stranger.post("/api/v1/session", json={"name": "ann", "password": "wrong"}).status_code == 401
    assert stranger.post("/api/v1/session", json={"name": "nobody", "password": PASSWORD}).status_code == 401
    assert stranger.get("/api/v1/openapi.json").status_code == 401
    told = stranger.post("/api/v1/session", json={"name": "ann", "password": PASSWORD}).json()
    assert "/api/v1/session" in stranger.get("/api/v1/openapi.json").json()["paths"]
    assert (told["name"], told["role"], "manage" in told["permissions"]) == ("ann", "builder", False)
    assert stranger.delete("/api/v1/session").status_code == 204
    assert stranger.get("/api/v1/session").json()["name"] is None


def test_a_session_ends_when_it_is_idle_or_old(access: StudioAccess, monkeypatch: pytest.MonkeyPatch) -> None:
    access.save_account("ann", "owner", PASSWORD)
    cookie = access.log_in("ann", PASSWORD, "127.0.0.1")
    assert access.person(cookie) is not None
    now = rules.time.time()
    for later in (rules.IDLE_SECONDS + 1, rules.SESSION_SECONDS + 1):
        monkeypatch.setattr(rules.time, "time", lambda later=later: now + later)
        assert access.person(cookie) is None


def test_nobody_waits_while_a_large_file_is_added(access: StudioAccess, monkeypatch: pytest.MonkeyPatch) -> None:
    access.save_account("ann", "owner", PASSWORD)
    cookie, now = access.log_in("ann", PASSWORD, "127.0.0.1"), time.time()
    monkeypatch.setattr(rules.time, "time", lambda: now + 3_600)
    file = access._store.database.file
    assert file is not None
    with writing(file, 1):
        began = time.monotonic()
        assert access.person(cookie) is not None
        assert time.monotonic() - began < 2
    access.person(cookie)
    monkeypatch.setattr(rules.time, "time", lambda: now + 3_600 + rules.IDLE_SECONDS - 1)
    assert access.person(cookie) is not None


def test_a_changed_account_ends_its_sessions(access: StudioAccess) -> None:
    access.save_account("ann", "owner", PASSWORD)
    access.save_account("ben", "builder", PASSWORD)
    cookie = access.log_in("ben", PASSWORD, "127.0.0.1")
    access.save_account("ben", "viewer", None)
    assert access.person(cookie) is None


def test_failed_log_ins_are_limited(access: StudioAccess) -> None:
    access.save_account("ann", "owner", PASSWORD)
    for _ in range(5):
        with pytest.raises(RequestError, match="wrong"):
            access.log_in("ann", "no", "10.0.0.1")
    with pytest.raises(RequestError, match="too many") as refused:
        access.log_in("ann", PASSWORD, "10.0.0.1")
    assert refused.value.status == 429
    assert access.log_in("ann", PASSWORD, "10.0.0.2")


def test_who_tries_many_names_does_not_free_the_one_under_attack(access: StudioAccess, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all that is counted the oldest is forgotten, not everything; and another address is not locked out."""
    monkeypatch.setattr(rules, "_MOST_COUNTED", 3)
    for _ in range(5):
        access._count_try("ann", "10.0.0.1")
    for number in range(10):
        access._count_try(f"name{number}", "10.0.0.1")
        with pytest.raises(RequestError, match="too many"):
            access._count_try("ann", "10.0.0.1")
    access._count_try("ann", "10.0.0.2")
    assert len(access._failed) == 3


def test_log_ins_are_counted_by_the_address_that_the_proxy_tells(store: StudioStore, caplog: pytest.LogCaptureFixture) -> None:
    access = StudioAccess(store, accounts_needed=True)

    def statuses(app: FastAPI) -> list[int]:
        with TestClient(app, base_url="http://127.0.0.1") as client:
            body, own = {"name": "ann", "password": "no"}, {"x-studio-page": "1"}
            return [
                client.post("/api/v1/session", json=body, headers={**own, "x-real-ip": address}).status_code
                for address in (*["203.0.113.5"] * 6, "203.0.113.6")
            ]

    named = StudioSettings(accounts_needed=True, address_header="x-real-ip")
    assert statuses(create_studio(store, access, named, None)) == [*[401] * 5, 429, 401]
    assert not [one for one in caplog.records if "proxy" in one.getMessage()]
    assert statuses(create_studio(store, access, StudioSettings(accounts_needed=True), None)) == [*[401] * 5, 429, 429]
    assert len([one for one in caplog.records if "--address-header" in one.getMessage()]) == 1


def test_the_last_owner_stays(access: StudioAccess) -> None:
    access.save_account("ann", "owner", PASSWORD)
    access.save_account("ben", "viewer", PASSWORD)
    for attempt, name in itertools.product((access.delete_account, lambda name: access.save_account(name, "viewer", None)), ["ann"]):
        with pytest.raises(RequestError, match="no owner"):
            attempt(name)
    with pytest.raises(RequestError, match="needs a password"):
        access.save_account("cleo", "viewer", None)


def test_the_database_holds_neither_cookies_nor_passwords(access: StudioAccess, store: StudioStore) -> None:
    access.save_account("ann", "owner", PASSWORD)
    cookie = access.log_in("ann", PASSWORD, "127.0.0.1")
    with store.database.reading() as connection:
        stored = str(connection.exec_driver_sql("SELECT * FROM sessions").all()) + str(
            connection.exec_driver_sql("SELECT * FROM accounts").all()
        )
    assert cookie not in stored and PASSWORD not in stored and "argon2id" in stored
