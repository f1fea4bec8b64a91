"""Costs over HTTP: the figures of the command line, defaults from the project, and a price of one's own."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from smidgen.flows.cost_report import reckon_cost
from smidgen.studio.store.data_rows import DataRow
from smidgen.studio.store.projects import StudioStore
from smidgen.usage.break_even import CostSettings


@pytest.fixture
def costs(client: TestClient) -> str:
    project = client.post("/api/v1/projects", json={"name": "Tickets", "task": "classify"}).json()["id"]
    return f"/api/v1/projects/{project}/costs"


def ask(client: TestClient, costs: str, **query: Any) -> Any:
    answer = client.get(costs, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(("per_day", "growth", "share"), [(200.0, 0.0, 0.7), (50_000.0, 5.0, 0.95), (3e6, -2.0, 1.0)])
def test_the_figures_are_those_of_the_command_line(client: TestClient, costs: str, per_day: float, growth: float, share: float) -> None:
    found = ask(
        client, costs, requests_per_day=per_day, growth_percent=growth, share=share, tokens_in=400, tokens_out=20, model="gpt-6-luna"
    )
    told = CostSettings(
        requests_per_month=round(per_day * 365 / 12),
        tokens_in=400,
        tokens_out=20,
        share_local=share,
        growth=growth,
        model=("GPT-6 Luna",),
    )
    first = reckon_cost(told).against[0].found
    assert [month["hybrid_usd"] for month in found["months"]] == [month.hybrid_usd for month in first.months]
    assert found["llm_usd"] == first.llm_usd and found["both"]["saved_usd"] == pytest.approx(first.hybrid.saved_usd)
    assert (found["both"]["payback_month"], found["alone"]["payback_month"]) == (first.hybrid.payback_month, first.slm.payback_month)
    assert found["months"][-1]["saved_so_far_usd"] == pytest.approx(first.hybrid.saved_usd)
    assert found["saved_per_month_usd"] == pytest.approx(first.months[0].llm_usd - first.months[0].hybrid_usd)


def test_what_is_not_said_comes_from_the_project(client: TestClient, costs: str, store: StudioStore) -> None:
    nothing = ask(client, costs)
    assert (nothing["tokens_from"], nothing["share_from"], nothing["share"]) == ("assumed", "assumed", 0.8)
    assert (nothing["requests_per_month"], nothing["machine_usd_per_hour"]) == (10_000, 0)
    assert len(nothing["against"]) == len(client.get("/api/v1/prices").json()) > 5
    project = costs.split("/")[4]
    store.rows(project).add([DataRow("where is my parcel " * 40, output="delivery")] * 4, "ann", "import", {})
    store.update(project, settings={"look": {"requests": 3_650, "machine": 0.05, "model": "Claude Opus 5.5", "tokens_out": 33}})
    known = ask(client, costs)
    assert (known["tokens_from"], known["share_from"], known["share"]) == ("rows", "assumed", 0.8)
    assert (known["against"][0]["name"], known["tokens_out"]) == ("Claude Opus 5.5", 33)
    assert known["tokens_in"] > 190
    said = (known["requests_per_day"], known["requests_per_month"], known["machine_usd_per_hour"])
    assert said == (pytest.approx(120), 3_650, 0.05), "as a person said on either page"
    assert ask(client, costs, requests_per_day=200)["requests_per_day"] == 200
    store.update(project, settings={"look": {"requests": -1, "machine": "much", "model": "gone"}})
    assert ask(client, costs)["requests_per_month"] == 10_000


def test_an_own_price_and_energy_count(client: TestClient, costs: str) -> None:
    asked = {"model": "own", "price_in": 3.0, "price_out": 9.0, "tokens_in": 1_000, "tokens_out": 100, "requests_per_day": 1_000}
    found = ask(client, costs, **asked, machine_usd_per_hour=0.0, watts=50, usd_per_kwh=0.3, share=0.5)
    assert found["against"][0]["usd_per_request"] == pytest.approx(0.0039) and len(found["against"]) == 1
    assert found["energy_usd_per_month"] == pytest.approx(0.05 * 0.3 * 730) == found["machine_usd_per_month"]
    assert found["saved_per_month_usd"] == pytest.approx(0.5 * found["requests_per_month"] * 0.0039 - found["machine_usd_per_month"])


@pytest.mark.parametrize("query", [{"requests_per_day": 0}, {"share": 2}, {"model": "nobody"}, {"months": 0}, {"run": "none"}])
def test_what_cannot_be_computed_is_told(client: TestClient, costs: str, query: dict[str, Any]) -> None:
    answer = client.get(costs, params=query)
    assert answer.status_code in (400, 404, 409, 422) and answer.json()["error"]["message"]
