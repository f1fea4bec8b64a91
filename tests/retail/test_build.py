"""A recommender from orders to a served bundle, a measurement on later orders, and a certificate."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from tests.made_once import made_once

from smidgen.cli.main import code
from smidgen.core.errors import RecipeError
from smidgen.flows.build.pipeline import build
from smidgen.flows.evaluation import evaluate
from smidgen.flows.local_model import load
from smidgen.judge.report import read
from smidgen.parts.recipe import make
from smidgen.server.app import create_app

pytestmark = pytest.mark.thorough


def write_orders(file: Path, customers: int, seed: int) -> None:
    """Customers who mostly buy the next item of a ring of forty."""
    rng = np.random.default_rng(seed)
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(["customer", "date", "items", "Description"])
        for customer in range(customers):
            item = int(rng.integers(40))
            for month in range(1, 5):
                writer.writerow([f"c{customer}", f"2026-{month:02d}-03", f"i{item}:{month}", f"Mug no. {item}"])
                item = (item + 1) % 40 if rng.uniform() < 0.7 else int(rng.integers(40))
        writer.writerow(["once", "2026-01-01", "i1", "Mug no. 1"])


def made(folder: Path) -> None:
    write_orders(folder / "orders.csv", 400, 0)
    write_orders(folder / "later.csv", 300, 1)
    asked = {"user": "customer", "item": "items", "time": "date"}
    recipe = make({"name": "shop", "task": "recommend", "data": {"train": str(folder / "orders.csv")}, "recommend": asked})
    build(recipe, folder / "shop", threads=1, listed=False)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "recommender", made)


def test_the_report_tells_how_it_was_measured(shop: Path) -> None:
    report = read(shop / "shop" / "report.json")
    assert report.student.kind == "ease" and report.headline == "hit_rate_10"
    assert report.metrics["hit_rate_10"].value > 0.6 and set(report.metrics) == {"hit_rate_10", "ndcg_10", "coverage"}
    assert report.baseline is not None and report.baseline.name == "popular" and report.baseline.change is not None
    assert report.baseline.change.low > 0.1 and report.cross_validation is None
    assert report.data.test_source is not None and "1 customers with one item teach nothing" in report.data.test_source
    card = (shop / "shop" / "README.md").read_text(encoding="utf-8")
    assert "It suggests items out of 40" in card and "word for word" not in card


def test_it_is_measured_on_later_orders_as_on_its_own(shop: Path) -> None:
    model = load(shop / "shop", 1)
    later = evaluate(model, shop / "later.csv")
    assert later.n == 300 and later.metrics["hit_rate_10"].value > 0.6 and later.ece < 0.15
    file = shop / "pairs.jsonl"
    file.write_text('{"input": "[\\"i4\\"]", "output": "i5"}\n', encoding="utf-8")
    assert evaluate(model, file).metrics["hit_rate_10"].value == 1


def test_it_is_served_as_one_text(shop: Path) -> None:
    model = load(shop / "shop", 1)
    with TestClient(create_app([model]), base_url="http://127.0.0.1") as client:
        found = client.post("/v1/recommend", json={"history": ["i3", "i4"], "n": 3}).json()
        first = found["items"][0]
        assert (first["id"], first["name"], found["because"]) == ("i5", "Mug no. 5", "bought") and "Mug no. 4" in first["reason"]
        said = client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "i3, i4"}]}).json()
        assert said["choices"][0]["message"]["content"].startswith("1. i5 Mug no. 5 (")
        assert client.post("/v1/recommend", json={"text": "a mug"}).json()["error"]["code"] == "texts_unknown"


def test_a_certificate_is_of_the_last_items_of_other_customers(shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = tmp_path / "shop"
    shutil.copytree(shop / "shop", bundle)
    asked = ["certify", str(bundle), "--data", str(shop / "later.csv"), "--reference", "gold", "--json"]
    assert code([*asked, "--alpha", "0.5"]) == 0
    found = json.loads(capsys.readouterr().out)
    certificate = found["certificate"]
    assert found["certified"] and certificate["task"] == "recommend" and 100 < certificate["calibration"]["n"] <= 300


def test_orders_without_named_columns_are_refused(shop: Path) -> None:
    recipe = make({"name": "x", "task": "recommend", "data": {"train": str(shop / "orders.csv")}})
    with pytest.raises(RecipeError, match="columns to make examples of are not named"):
        build(recipe, shop / "none", threads=1, listed=False)
