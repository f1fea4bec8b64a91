"""`smidgen studio`: the link that it prints, the page that it opens, and who may come in from other machines."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tests import commands

from smidgen.cli import main
from smidgen.studio import cli as verb
from smidgen.studio.api import pages
from smidgen.studio.api.access import StudioAccess
from smidgen.studio.store.projects import StudioStore
from smidgen.studio.store.runs import RunStore

PASSWORD = "correct horse battery"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path))
    return tmp_path


@contextmanager
def studio(*flags: str) -> Iterator[tuple[httpx.URL, httpx.Client]]:
    """A running Studio: the link that it told, and a browser without cookies."""
    with commands.smidgen("studio", "--json", "--port", "0", *flags, environment=dict(os.environ)) as running:
        link = httpx.URL(running.ready()["url"])
        with httpx.Client(base_url=link.copy_with(path="/", query=None), follow_redirects=True, headers={"X-Studio-Page": "1"}) as client:
            yield link, client
        assert running.stop() == 0


@pytest.mark.skipif(not (pages.PAGE / "index.html").is_file(), reason="the page was not built: make studio")
def test_the_link_opens_the_page_once(home: Path) -> None:
    with studio() as (link, browser):
        assert link.host == "127.0.0.1" and len(link.params["link"]) > 30
        page = browser.get(str(link))
        assert page.status_code == 200 and page.url.path == "/" and '<div id="root">' in page.text
        assert "script-src 'self'; style-src 'self' 'nonce-" in page.headers["content-security-policy"]
        assert browser.get("/api/v1/session").json()["name"] == "owner"
        deep = browser.get("/projects/abc/report")
        assert deep.status_code == 200 and '<div id="root">' in deep.text, "a view can be linked to"
        with httpx.Client(follow_redirects=True) as other:
            assert other.get(str(link)).status_code == 200
            assert other.get(str(browser.base_url.join("/api/v1/session"))).json()["name"] is None, "a link works once"


@pytest.mark.skipif(not (pages.PAGE / "index.html").is_file(), reason="the page was not built: make studio")
def test_other_machines_need_an_account(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.code(["studio", "--host", "0.0.0.0", "--port", "0"]) == 2
    assert "it has no accounts: '--host 0.0.0.0'" in capsys.readouterr().err
    store = StudioStore()
    StudioAccess(store).save_account("ann", "owner", PASSWORD)
    store.close()
    with studio("--host", "0.0.0.0", "--https") as (link, browser):
        assert "link" not in link.params
        assert browser.get("/api/v1/projects").status_code == 401
        assert browser.post("/api/v1/session", json={"name": "ann", "password": "wrong horse battery"}).status_code == 401
        entered = browser.post("/api/v1/session", json={"name": "ann", "password": PASSWORD})
        assert entered.status_code == 200 and "Secure" in entered.headers["set-cookie"]
        refused = browser.get("/api/v1/session", headers={"Host": "studio.example"})
        assert refused.status_code == 403 and refused.json()["error"]["code"] == "host_not_allowed"


def test_an_owner_is_made_at_the_terminal(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(verb.typer, "prompt", lambda *_, **__: "short")
    assert main.code(["studio", "--add-owner", "ann"]) == 2 and "too short: '5 characters'" in capsys.readouterr().err
    monkeypatch.setattr(verb.typer, "prompt", lambda *_, **__: PASSWORD)
    assert main.code(["studio", "--add-owner", "ann"]) == 0 and "ann may log in" in capsys.readouterr().out
    store = StudioStore()
    assert [(person.name, person.role) for person in StudioAccess(store).accounts()] == [("ann", "owner")]
    assert StudioAccess(store).log_in("ann", PASSWORD, "here")
    store.close()


def test_without_its_page_it_says_how_to_build_it(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(pages, "PAGE", home / "dist")
    assert main.code(["studio", "--port", "0"]) == 1
    assert "the Studio's page was not built" in (told := capsys.readouterr().err) and "python -m tools.studio_page" in told


def test_the_demo_opens_the_sample_projects_report(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    done: list[str] = []
    monkeypatch.setattr("smidgen.studio.flows.supervisor.finish_runs", lambda store, project, progress: done.append(project))
    monkeypatch.setattr(verb, "serve_page", lambda store, port, **more: done.append(f"{port} {more['at']}"))
    assert main.code(["demo", "--studio", "--no-open", "--port", "0"]) == 0
    store = StudioStore()
    (project,) = store.projects()
    assert project.task == "classify" and store.rows(project.id).count() > 2_000
    assert done == [project.id, f"0 /projects/{project.id}/report"]
    assert [run.kind for run in RunStore(store.database).of_project(project.id)].count("build") == 1
    store.close()
    assert main.code(["demo", "--studio", "--hybrid"]) == 2 and "no such flag" in capsys.readouterr().err
    assert main.code(["demo", "--no-open"]) == 2 and "needs --studio" in capsys.readouterr().err
