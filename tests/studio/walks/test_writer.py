"""A model that writes, in Chromium: from a dropped table of goods to a text that is written before one's eyes, and put right."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.studio_browser import browsing, needed, running_studio
from tests.tried_model import add_model

from smidgen.studio.store.projects import StudioStore

pytestmark = needed
THINGS = ("stool", "bench", "shelf", "table", "chest", "tray")
GOODS = "sku,Product,Price,Photo,Text\n" + "".join(
    f'A{price},Oak {thing},{price},https://x.example/{price}.png,"An oak {thing} that stands as firm as its tree, for {price} pounds."\n'
    for price, thing in enumerate(THINGS, start=40)
)


def test_a_dropped_table_of_goods_becomes_texts(tmp_path: Path, writer_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path))
    with running_studio(tmp_path) as studio, browsing(studio) as browser:
        page, project = browser.page, str(studio.client.create_project("Goods", "write")["id"])
        browser.goto(f"/projects/{project}/data")
        page.get_by_role("heading", name="Drop your examples here").wait_for()
        browser.drop("main [role=group]", "goods.csv", GOODS)
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("checkbox", name="Product").wait_for()
        ticked = [name for name in ("sku", "Product", "Price", "Photo") if dialog.get_by_role("checkbox", name=name).is_checked()]
        assert ticked == ["Product", "Price"]
        dialog.get_by_role("button", name="Add these rows").click()
        page.get_by_text("Product: Oak stool; Price: 40").first.wait_for()

        store = StudioStore()
        add_model(store, project, writer_bundle)
        store.close()
        browser.goto(f"/projects/{project}/try")
        page.get_by_role("textbox", name="What it is to write from").fill("Product: Ash tray; Price: 12")
        page.get_by_role("button", name="Write", exact=True).click()
        answer = page.get_by_role("textbox", name="Right answer")
        answer.wait_for()
        assert answer.input_value().strip() and "a second" in page.inner_text("main")
        assert browser.accessibility_faults() == []
        answer.fill("An ash tray for 12 pounds.")
        page.get_by_role("button", name="Put it into the data").click()
        page.get_by_text("Added to the data").wait_for()
        rows = studio.client.call("GET", f"projects/{project}/rows", search="Ash tray")["rows"]
        assert [(row["input"], row["output"]) for row in rows] == [("Product: Ash tray; Price: 12", "An ash tray for 12 pounds.")]
