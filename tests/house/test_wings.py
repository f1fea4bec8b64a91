"""Take a wing out of the house, each in turn: the rest starts, builds, predicts and serves."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from tests.tried_model import SUBJECTS, ticket_rows

from smidgen.parts.registry import wings

from .conftest import ROOT, Shell

VERBS = {"studio": {"studio"}, "plans": {"solve"}, "code": {"code"}, "desk": set(), "retail": set()}
"""The verbs of the command line that go with each wing."""
TASKS = {"desk": "desk", "retail": "recommend", "code": "code", "plans": None, "studio": None}
"""The task that goes with it."""

_SERVE = """
from pathlib import Path
from fastapi.testclient import TestClient
from smidgen.flows.local_model import load
from smidgen.server.app import create_app
from smidgen.server.settings import ServeSettings

model = load(Path("model"))
with TestClient(create_app([model], ServeSettings()), base_url="http://127.0.0.1:8080") as client:
    print(client.get("/v1/models").json()["data"][0]["id"])
    said = {"model": "model", "messages": [{"role": "user", "content": "the refund for my lamp is late"}]}
    print(client.post("/v1/chat/completions", json=said).json()["choices"][0]["message"]["content"])
"""
_PARTS = """
import json
from smidgen.parts import registry

rooms = ("tasks", "students", "engines", "compress", "bases", "data", "flows.export", "demos", "corrections", "recipes", "server", "cli")
for room in rooms:
    for name in registry.names(room):
        registry.find(room, name)
print(json.dumps([sorted(registry.wings()), registry.names("cli"), registry.names("tasks")]))
"""
_STUDIO = """
import json
from contextlib import closing
from fastapi.testclient import TestClient
from smidgen.studio.api.access import StudioAccess
from smidgen.studio.api.app import StudioSettings, create_studio
from smidgen.studio.store.projects import StudioStore

with closing(StudioStore()) as store:
    access = StudioAccess(store)
    app, page = create_studio(store, access, StudioSettings(), None), {"X-Studio-Page": "1"}
    with TestClient(app, base_url="http://127.0.0.1:8765", headers=page) as client:
        assert client.get(f"/?link={access.new_link()}", follow_redirects=False).status_code == 303
        made = client.post("/api/v1/projects", json={"name": "Tickets", "task": "classify"})
        assert made.status_code == 201, made.text
        path = f"/api/v1/projects/{made.json()['id']}"
        print(json.dumps([client.get(place).status_code for place in ("/api/v1/parts/tasks", path, f"{path}/runs")]))
"""


def without(wing: str, folder: Path) -> Path:
    """A copy of the source that lacks this wing."""
    source = folder / "src"
    left_out = {ROOT / "src" / "smidgen" / wing, ROOT / "src" / "smidgen" / "studio" / "dist"}
    shutil.copytree(ROOT / "src", source, ignore=lambda place, names: [name for name in names if Path(place, name) in left_out])
    return source


def test_there_are_five_wings() -> None:
    assert sorted(wings()) == [f"smidgen.{wing}" for wing in sorted(VERBS)]


@pytest.mark.parametrize("wing", sorted(VERBS))
def test_the_house_stands_without(wing: str, tmp_path: Path) -> None:
    source = without(wing, tmp_path)
    with (tmp_path / "tickets.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("text", "team"), *((row.input, row.output) for row in ticket_rows())])
    with Shell(source, tmp_path, {}) as shell:
        there, verbs, tasks = json.loads(shell.run(script=_PARTS).stdout)
        assert there == [f"smidgen.{other}" for other in sorted(VERBS) if other != wing]
        assert VERBS[wing].isdisjoint(verbs) and TASKS[wing] not in tasks
        assert len(verbs) > 20
        shell.run("--help")
        checks = json.loads(shell.run("doctor", "--json").stdout)["checks"]
        (shown,) = (check for check in checks if check["name"] == f"wing {wing}")
        assert shown["state"] == "warn" and "not installed" in shown["value"]
        shell.run(
            *("build", "--task", "classify", "--data", "tickets.csv", "--input", "text", "--label", "team", "--out", "model", "--quiet"),
            *("--student", "linear"),
        )
        answers = shell.run("predict", "model", "--data", "tickets.csv", "--out", "-").stdout.splitlines()
        assert len(answers) == len(ticket_rows()) and {json.loads(line)["output"] for line in answers} == set(SUBJECTS)
        assert shell.run(script=_SERVE).stdout.split() == ["model", "refund"]
        if wing != "studio":
            assert json.loads(shell.run(script=_STUDIO).stdout) == [200, 200, 200]
        if wing in ("desk", "studio"):
            assert "no demo has this name" in shell.run("demo", f"--{wing}", "--no-open", ok=2).stderr
