"""Learning over the Studio's API: a line that is not there yet, a captured request that becomes a row, and jobs without traffic."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from starlette.testclient import TestClient
from tests.studio_model import project_with_model

from smidgen.flows.jobs.discovery import find_jobs
from smidgen.store.traffic.records import Exchange
from smidgen.store.traffic.store import opened
from smidgen.studio.flows.serving.servers import traffic_url
from smidgen.studio.store.projects import StudioStore


def test_before_anything_was_captured_each_part_says_so(client: TestClient, store: StudioStore) -> None:
    path = f"/api/v1/projects/{store.create('Support', 'classify').id}"
    assert client.get(f"{path}/line").json() is None
    assert client.get(f"{path}/review").json() == {"waiting": 0, "done": 0, "requests": []}
    assert client.post(f"{path}/line/rollback", json={"version": "0" * 12}).status_code == 400
    assert client.post(f"{path}/jobs/00000000/project", json={"name": "Sorting"}).status_code == 400


def test_a_captured_request_becomes_a_row_or_is_skipped(client: TestClient, store: StudioStore, tmp_path: Path) -> None:
    project, _ = project_with_model(store, tmp_path / "models")
    path = f"/api/v1/projects/{project}"
    with opened(traffic_url(project)) as traffic:
        facts = {"answered_by": "upstream", "why": "score", "answer": "yes", "answer_state": "whole", "held_out": False}
        texts = ("w90 one", "w91 two")
        traffic.add(
            [Exchange(f"r{n}", datetime.now(UTC), "support", "/v1/chat/completions", said, **facts) for n, said in enumerate(texts)]
        )  # type: ignore[arg-type]
    assert client.get(f"{path}/review").json()["waiting"] == 2
    assert client.post(f"{path}/review/r0", json={}).status_code == 422
    made = client.post(f"{path}/review/r0", json={"output": "yes"}).json()
    assert (made["action"], made["changed"]) == ("review", 1)
    assert client.post(f"{path}/review/r1", json={"skip": True}).json() is None
    assert client.post(f"{path}/review/none", json={"skip": True}).status_code == 400
    after = client.get(f"{path}/review").json()
    assert (after["waiting"], after["done"]) == (0, 2)
    assert client.get(f"{path}/rows", params={"search": "w90 one"}).json()["rows"][0]["source"] == "traffic"


def test_a_job_becomes_a_project_whose_rows_are_looked_at(client: TestClient, store: StudioStore) -> None:
    project = store.create("Watch", "classify").id
    facts = {"answered_by": "upstream", "answer_state": "whole", "model": "big", "template": "t", "kind": "t", "held_out": False}
    with opened(traffic_url(project)) as traffic:
        traffic.add(
            [
                Exchange(
                    f"r{n}",
                    datetime.now(UTC),
                    "big",
                    "/v1/chat/completions",
                    f"message {n}",
                    answer=f"team {n % 2}",
                    system="sort",
                    **facts,
                )
                for n in range(40)
            ]
        )  # type: ignore[arg-type]
        (job,) = find_jobs(traffic, forecasts=False).jobs
    made = client.post(f"/api/v1/projects/{project}/jobs/{job.id}/project", json={"name": "Sorting"}).json()
    runs = client.get(f"/api/v1/projects/{made['id']}/runs").json()
    assert (made["task"], made["version"], [run["kind"] for run in runs]) == ("classify", 1, ["look"])
