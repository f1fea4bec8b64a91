"""A desk's project in the Studio, with the sample shop's files, and no model."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

from smidgen.studio.flows.recipes.project_recipe import project_folder
from smidgen.studio.store.projects import Project, StudioStore

SAMPLE = Path(str(importlib.resources.files("smidgen") / "samples" / "homeware"))
FILES = ("tools.toml", "desk_policy.toml", "support.toml", "answer.toml", "act.toml", "recommend.toml", "products.csv", "orders.csv")
CONVERSATIONS = 6


def shop_project(store: StudioStore) -> Project:
    """Make the project. Its conversations are the first few of the sample, of even place."""
    tree = {
        "name": "shop",
        "task": "desk",
        "desk": {
            "policy": "desk_policy.toml",
            "tools": "tools.toml",
            "conversations": "conversations.jsonl",
            "members": {"intents": "support.toml", "answer": "answer.toml", "act": "act.toml", "recommend": "recommend.toml"},
        },
    }
    project = store.create("Shop", "desk", {"recipe": tree})
    folder = project_folder(project.id)
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (folder / name).write_bytes((SAMPLE / name).read_bytes())
    (folder / "support_train.csv").write_text("text,intent\nhi,order/status\nho,feedback/praise\nhu,order/status\n", encoding="utf-8")
    lines = (SAMPLE / "desk_conversations.jsonl").read_text(encoding="utf-8").splitlines()
    (folder / "conversations.jsonl").write_text("".join(f"{line}\n" for line in lines[: 2 * CONVERSATIONS : 2]), encoding="utf-8")
    return project
