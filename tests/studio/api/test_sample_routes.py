"""Examples over HTTP."""

from __future__ import annotations

from starlette.testclient import TestClient


def test_a_project_begins_with_an_example(client: TestClient) -> None:
    samples = client.get("/api/v1/samples").json()
    assert {sample["name"] for sample in samples} >= {"support", "field-extraction", "summaries"}
    made = client.post("/api/v1/samples/support", json={"name": "Our inbox"}).json()
    assert (made["name"], made["task"], made["version"]) == ("Our inbox", "classify", 2)
    assert client.get(f"/api/v1/projects/{made['id']}/data").json()["test_rows"] > 10
    assert client.post("/api/v1/samples/nothing", json={}).status_code == 400


def test_the_sample_project_opens_with_its_build_under_way(client: TestClient) -> None:
    opened = client.post("/api/v1/sample-project", json={}).json()
    runs = client.get(f"/api/v1/projects/{opened['id']}/runs").json()
    assert sorted((run["kind"], run["state"]) for run in runs) == [("build", "queued"), ("look", "queued")]
    assert client.post("/api/v1/sample-project", json={}).json()["id"] == opened["id"]
