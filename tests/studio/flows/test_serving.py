"""A project's server: started, answered, found again, stopped, told when it was killed; its keys; what is captured."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.eventually import eventually
from tests.studio_model import project_with_model
from tests.upstream_stub import UpstreamStub, upstream_stub

from smidgen.core.errors import InputError, SmidgenError
from smidgen.store.traffic.requests import RequestFilter
from smidgen.studio.flows.models.project_point import newest_model
from smidgen.studio.flows.recipes.project_recipe import save_recipe
from smidgen.studio.flows.run_process import run_folder
from smidgen.studio.flows.serving.live_traffic import list_requests, read_traffic
from smidgen.studio.flows.serving.servers import ModelServers, ServingSettings, keep_fallback_key, limits_of, serving_folder, write_keys
from smidgen.studio.store.projects import StudioStore
from smidgen.studio.store.runs import RunStore
from smidgen.studio.store.servers import ServerStore
from smidgen.usage.energy import LARGE_MODEL_WH

SECRET = "sk-large-model-secret"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StudioStore]:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    opened = StudioStore(f"sqlite:///{tmp_path}/studio.db")
    yield opened
    opened.close()


@pytest.fixture
def servers(store: StudioStore) -> Iterator[ModelServers]:
    made = ModelServers(store)
    yield made
    for project in store.projects():
        made.stop(project.id)


@pytest.fixture
def upstream() -> Iterator[UpstreamStub]:
    with upstream_stub() as stub:
        yield stub


def ask(url: str, text: str, key: str = "", model: str = "support") -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": text}]}
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.post(f"{url}/v1/chat/completions", json=body, headers=headers, timeout=30, trust_env=False)


def test_a_model_is_served_found_again_keyed_and_stopped(store: StudioStore, servers: ModelServers, tmp_path: Path) -> None:
    project, model = project_with_model(store, tmp_path / "models")
    assert servers.status(project).state == "stopped"
    assert servers.start(project, ServingSettings(model=model, redact=False), "ann").state == "starting"
    eventually(lambda: servers.status(project).state != "starting")
    found = servers.status(project)
    assert (found.state, found.name) == ("running", "support") and found.url.startswith("http://127.0.0.1:")
    assert ask(found.url, "w01 hello").json()["choices"][0]["message"]["content"] == "yes"
    with pytest.raises(InputError, match="runs already"):
        servers.start(project, ServingSettings(model=model), "ann")

    # Another Studio, as after a restart, finds it; it serves the same keys.
    again = ModelServers(store)
    assert (again.status(project).state, again.status(project).process) == ("running", found.process)
    key = ServerStore(store.database).make_key(project, "shop", "ann")
    text = key.key
    write_keys(store, project)
    assert [ask(found.url, "w01", used).status_code for used in ("", "wrong", text)] == [401, 401, 200]
    ServerStore(store.database).revoke_key(project, key.id)
    write_keys(store, project)
    assert ask(found.url, "w01", text).status_code == 401  # the last key is gone, and nobody may call

    assert again.stop(project).state == "stopped" and servers.status(project).state == "stopped"
    with pytest.raises(httpx.ConnectError):
        ask(found.url, "w01")
    total, rows = list_requests(project, RequestFilter(), 0, 10, "newest")
    assert total == 2 and {row.answered_by for row in rows} == {"local"}
    kept = serving_folder(project)
    assert text not in "".join(file.read_text(errors="replace") for file in kept.iterdir() if file.is_file())
    assert stat.S_IMODE((kept / "keys.txt").stat().st_mode) == 0o600 and stat.S_IMODE(kept.stat().st_mode) == 0o700


def test_what_the_model_is_not_sure_of_is_passed_on_and_each_figure_has_its_rows(
    store: StudioStore, servers: ModelServers, upstream: UpstreamStub, tmp_path: Path
) -> None:
    project, model = project_with_model(store, tmp_path / "models")
    keep_fallback_key(project, SECRET)
    settings = ServingSettings(
        model=model,
        fallback=upstream.url,
        fallback_model="big",
        price_in=1.0,
        price_out=2.0,
        local="measured",
        local_score=0.9,
        redact=False,
    )
    servers.start(project, settings, "ann")
    eventually(lambda: servers.status(project).state != "starting")
    url = servers.status(project).url
    sure, unsure = ask(url, "w01 sure"), ask(url, "w99 unsure")
    assert (sure.headers["x-smidgen-answered-by"], sure.headers["x-smidgen-uncertified"]) == ("local", "no certificate")
    assert 0 <= float(sure.headers["x-smidgen-measured-error"]) < 0.2
    assert (unsure.headers["x-smidgen-answered-by"], unsure.json()["choices"][0]["message"]["content"]) == ("upstream", "from above")
    assert upstream.seen[-1].headers["authorization"] == f"Bearer {SECRET}"

    command = Path(f"/proc/{servers.status(project).process}/cmdline")
    told = (command.read_text() if command.exists() else "") + str(ServerStore(store.database).get(project)) + str(servers.status(project))
    servers.stop(project)  # and so writes what it has captured
    told += (serving_folder(project) / "log.txt").read_text()
    assert "--fallback" in told and SECRET not in told

    live = read_traffic(store, project, model, 7)
    found = live.figures
    assert found is not None and live.energy_wh is not None
    assert live.energy_saved_wh == pytest.approx(LARGE_MODEL_WH - live.energy_wh)  # of the one request that was answered here
    assert (found.requests, found.local, found.uncertified, found.passed_on, found.audited) == (2, 1, 1, 1, 0)
    assert found.reasons == {"score": 1} and found.local_ms is not None and found.upstream_ms is not None
    assert found.saved_usd > 0 and found.cost_usd == pytest.approx((3 * 1.0 + 2 * 2.0) / 1e6)
    assert (found.days[-1].local, found.days[-1].passed_on, len(found.days)) == (1, 1, 7)
    groups = {"local": 1, "uncertified": 1, "passed_on": 1, "failed": 0, "audited": 0, "corrected": 0, "unpriced": 0}
    seen = {group: list_requests(project, RequestFilter(group=group), 0, 10, "newest")[0] for group in groups}  # type: ignore[arg-type]
    assert seen == groups
    (row,) = list_requests(project, RequestFilter(why="score"), 0, 10, "least_sure")[1]
    assert (row.input, row.answer, row.model) == ("w99 unsure", "from above", "big")
    assert list_requests(project, RequestFilter(search="W01"), 0, 10, "slowest")[0] == 1


def test_what_is_drawn_since_the_last_start_is_what_starts_next(store: StudioStore, servers: ModelServers, tmp_path: Path) -> None:
    project, model = project_with_model(store, tmp_path / "models")
    draw = lambda route: save_recipe(store, store.project(project), {"task": "classify", "route": route})  # noqa: E731
    draw({"local": "measured"})
    assert servers.status(project).settings.local == "measured"
    records = ServerStore(store.database)
    chosen = ServingSettings(model=model, port=8190, local="certified", fallback="https://own.example/v1", fallback_model="own")
    drawn = {"serving": chosen.model_dump(), "name": "support", "desk": False, "drawn": {"local": "measured"}}
    records.started(project, drawn, "ann", "1 never")
    records.ended(project, None, "1 never")
    assert servers.status(project).settings == chosen  # as it was chosen when it started
    draw({"local": "never", "fallback": ["https://drawn.example/v1"], "fallback_model": ["big"]})
    told = servers.status(project).settings
    assert (told.local, told.fallback, told.fallback_model, told.port) == ("never", "https://drawn.example/v1", "big", 8190)
    draw({})
    assert servers.status(project).settings.local == "measured"  # as without a recipe: nothing is certified
    records.started(project, {key: value for key, value in drawn.items() if key != "drawn"}, "ann", "1 never")
    records.ended(project, None, "1 never")
    assert servers.status(project).settings == chosen  # started by an older version, which did not write down what was drawn


def test_a_newer_model_takes_over_at_the_press_of_a_button(store: StudioStore, servers: ModelServers, tmp_path: Path) -> None:
    project, old = project_with_model(store, tmp_path / "models")
    servers.start(project, ServingSettings(model=old, local="measured", local_score=0.9, redact=False), "ann")
    eventually(lambda: servers.status(project).state == "running")
    with pytest.raises(InputError, match="no newer model"):
        servers.serve_newest(project, "ann")
    runs = RunStore(store.database)
    new = runs.enqueue(project, "build", {}, "ann").id
    runs.start(new, 1)
    shutil.copytree(run_folder(old) / "model", run_folder(new) / "model")
    runs.finish(new, "done", result={"model": "", "version": 1})
    before = servers.status(project)
    assert (before.settings.model, newest_model(store, project)) == (old, new)
    servers.serve_newest(project, "bob")
    eventually(lambda: servers.status(project).state == "running")
    after = servers.status(project)
    assert (after.settings.model, after.settings.port, after.settings.local) == (new, before.settings.port, "measured")
    assert after.settings.local_score is None and after.process != before.process, "a score of the old model says nothing of the new one"


def test_the_budget_of_the_recipe_holds(store: StudioStore, servers: ModelServers, upstream: UpstreamStub, tmp_path: Path) -> None:
    project, model = project_with_model(store, tmp_path / "models")
    route = {"fallback": "http://127.0.0.1:1/v1", "fallback_model": "other", "budget_day": 0.00001, "capture": "off"}
    save_recipe(store, store.project(project), {"name": "support", "task": "classify", "route": route})
    proposed = ServingSettings(model=model, fallback="http://127.0.0.1:1/v1", fallback_model="other", local="measured")
    assert servers.status(project).settings == proposed, "a first start proposes what the recipe says"
    settings = ServingSettings(model=model, fallback=upstream.url, fallback_model="big", price_in=1.0, price_out=2.0, redact=False)
    servers.start(project, settings, "ann")
    save_recipe(store, store.project(project), {"name": "support", "task": "classify"})
    assert (limits_of(store, project, True), limits_of(store, project, False)) == ({"budget_day": 0.00001}, {})
    eventually(lambda: servers.status(project).state != "starting")
    url = servers.status(project).url
    answers = [ask(url, f"w99 unsure {number}") for number in range(3)]
    servers.stop(project)
    assert answers[-1].status_code == 429 and "budget" in answers[-1].json()["error"]["message"], answers[-1].text
    sent = [answer.status_code for answer in answers].count(200)
    assert len(upstream.seen) == sent < 3
    assert list_requests(project, RequestFilter(group="failed"), 0, 10, "newest")[0] == 3 - sent


def test_a_killed_server_is_told(store: StudioStore, servers: ModelServers, tmp_path: Path) -> None:
    project, model = project_with_model(store, tmp_path / "models")
    started = servers.start(project, ServingSettings(model=model, redact=False), "ann")
    os.kill(started.process, signal.SIGKILL)
    eventually(lambda: ModelServers(store).status(project).state == "failed")
    assert "killed" in servers.status(project).message or servers.status(project).log
    assert servers.start(project, ServingSettings(model=model, port=started.settings.port, redact=False), "ann").state == "starting"


def test_a_server_that_cannot_start_says_why(store: StudioStore, servers: ModelServers, tmp_path: Path) -> None:
    project, model = project_with_model(store, tmp_path / "models")
    weights = next((tmp_path / "home" / "studio" / "runs" / model / "model").glob("*.safetensors"))
    weights.write_bytes(b"other weights")
    servers.start(project, ServingSettings(model=model), "ann")
    eventually(lambda: servers.status(project).state == "failed")
    assert any("linear.safetensors" in line for line in servers.status(project).log)


def test_no_process_starts_for_a_model_whose_files_are_gone(
    store: StudioStore, servers: ModelServers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, model = project_with_model(store, tmp_path / "models")
    run_folder(model).rename(tmp_path / "elsewhere")
    begun: list[object] = []
    monkeypatch.setattr("smidgen.studio.flows.serving.servers.start_detached", lambda *given, **_: begun.append(given))
    with pytest.raises(SmidgenError):
        servers.start(project, ServingSettings(model=model), "ann")
    assert begun == [] and servers.status(project).state == "stopped"


def test_settings_that_cannot_serve_are_refused(store: StudioStore, servers: ModelServers, tmp_path: Path) -> None:
    project, model = project_with_model(store, tmp_path / "models")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        cases = {
            "nothing to serve": ServingSettings(),
            "no such": ServingSettings(model="000000000000"),
            "no line": ServingSettings(model="line"),
            "address and a name": ServingSettings(model=model, fallback="http://127.0.0.1:9"),
            "two parts": ServingSettings(model=model, fallback="http://127.0.0.1:9", fallback_model="big", price_in=1.0),
            "in use": ServingSettings(model=model, port=port),
        }
        for message, settings in cases.items():
            with pytest.raises(Exception, match=message):
                servers.start(project, settings, "ann")
    assert servers.status(project).state == "stopped" and len(cases) == 6
