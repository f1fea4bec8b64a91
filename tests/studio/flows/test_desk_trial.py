"""Try a project's desk: with the project's tools and secrets of now, look-ups that are really made, and nothing changed."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from tests.desk_project import TOOLS, desk_bundle

from smidgen.desk.studio.desk_trial import desk_answers
from smidgen.flows.local_model import load
from smidgen.studio.flows.recipes.project_recipe import project_folder
from smidgen.studio.flows.tool_files.tool_secrets import keep_secret
from smidgen.studio.store.projects import StudioStore

GUARDED = TOOLS.replace("[tools.cancel_order.http]", 'guard = "SELECT id FROM orders WHERE id = :order"\n[tools.cancel_order.http]')


def test_a_secret_that_is_set_later_holds_at_once(store: StudioStore, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    project = store.create("Shop", "desk").id
    store.update(project, settings={"recipe": {"name": "shop", "task": "desk", "desk": {"tools": "tools.toml"}}})
    folder = project_folder(project)
    folder.mkdir(parents=True)
    (folder / "tools.toml").write_text(f'database = "${{SHOP}}"\n{GUARDED}', encoding="utf-8")
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.execute("CREATE TABLE orders AS SELECT 'FH-20104' AS id")
    said = ["cancel my order FH-20104", "yes"]
    talk = json.dumps([{"role": "user", "content": one} for one in said])
    model = load(desk_bundle(tmp_path_factory), 1)
    try:
        (before,) = desk_answers(store.project(project), model, said[:1]) or ()
        assert before.output["outcome"] == "failed" and "SHOP" in before.facts["why"]
        keep_secret(project, "SHOP", f"sqlite:///{tmp_path / 'shop.db'}")
        first, second = desk_answers(store.project(project), model, [said[0], talk]) or ()
    finally:
        model.close()
    assert [one.output["outcome"] for one in (first, second)] == ["proposed", "done"], "a yes is only rehearsed"
