"""The pages Run and Learn in Chromium: a model put to work, called with a key, and what it passed on looked through by keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.studio_browser import SIZES, RunningStudio, browsing, needed, running_studio
from tests.studio_model import project_with_model
from tests.upstream_stub import UpstreamStub, upstream_stub

from smidgen.studio.store.projects import StudioStore

pytestmark = needed


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a project with a finished build, in the home of the Studio that follows."""
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    store = StudioStore()
    found, _ = project_with_model(store, tmp_path / "models")
    store.close()
    return found


@pytest.fixture
def studio(project: str, tmp_path: Path) -> Iterator[RunningStudio]:
    with running_studio(tmp_path / "home") as running:
        yield running


@pytest.fixture
def upstream() -> Iterator[UpstreamStub]:
    with upstream_stub() as stub:
        yield stub


def test_a_model_is_put_to_work_and_taught(studio: RunningStudio, project: str, upstream: UpstreamStub) -> None:
    with browsing(studio) as browser:
        page = browser.page
        browser.goto(f"/projects/{project}/run")
        page.get_by_text("Let a large model answer what yours is not sure of").click()
        page.get_by_label("Address", exact=True).fill(upstream.url)
        page.get_by_label("Name of the large model").fill("big")
        page.get_by_role("radio", name="Measured").check()
        page.get_by_text("More settings").click()
        page.get_by_text("Take names, addresses and numbers").click()
        page.get_by_role("button", name="Start", exact=True).click()
        page.get_by_text("Your model is running").wait_for()
        page.get_by_role("button", name="New key").click()
        page.get_by_label("What is it for?").fill("Web shop")
        page.get_by_role("button", name="Make the key").click()
        dialog = page.get_by_role("dialog")
        key = dialog.locator("code").inner_text()
        page.get_by_role("button", name="I have copied it").click()
        url = page.locator("code", has_text="/v1").first.inner_text()
        answered = []
        for said in ("w01 sure", "w98 unsure", "w97 unsure", "w99 unsure"):
            body = {"model": "support", "messages": [{"role": "user", "content": said}]}
            answer = httpx.post(
                f"{url}/chat/completions", json=body, headers={"Authorization": f"Bearer {key}"}, timeout=60, trust_env=False
            )
            answered.append(answer.headers["x-smidgen-answered-by"])
        assert answered == ["local", "upstream", "upstream", "upstream"]
        page.get_by_role("button", name="Passed on").click()
        page.get_by_text("Passed on to the large model").wait_for()
        page.get_by_text("w98 unsure").wait_for()
        browser.shot("run")
        assert browser.accessibility_faults() == []

        browser.goto(f"/projects/{project}/learn")
        waiting = studio.client.call("GET", f"projects/{project}/review")["waiting"]  # some texts are held out
        if waiting:
            page.get_by_text("your model's guess").first.wait_for()
            page.keyboard.press("2")
            page.get_by_text("1 done").wait_for()
            actions = [version["action"] for version in studio.client.call("GET", f"projects/{project}/versions")]
            assert actions[0] == "review"
        browser.shot("learn")
        assert browser.accessibility_faults() == []
        seen = 0
        for width, height in SIZES.values():
            page.set_viewport_size({"width": width, "height": height})
            assert browser.overflow() <= 0
            seen += 1
        assert seen == 2

        browser.goto(f"/projects/{project}/run")
        page.get_by_role("button", name="Stop").click()
        page.get_by_text("Your model is not running").wait_for()
        assert key not in json.dumps(studio.client.call("GET", f"projects/{project}/serving/keys"))

        page.context.clear_cookies()
        browser.goto("/")
        page.get_by_text("This page needs its link").wait_for()
        studio.client.call("PUT", "accounts/olga", {"role": "owner", "password": "correct horse battery"})
        browser.goto(f"/projects/{project}/run")
        page.get_by_text("Or open the link").wait_for()
        page.get_by_label("Name").fill("olga")
        page.get_by_label("Password").fill("correct horse battery")
        browser.shot("log-in-here")
        assert browser.accessibility_faults() == []
        page.get_by_role("button", name="Log in").click()
        page.get_by_text("Your model is not running").wait_for()
