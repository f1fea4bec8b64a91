"""A project of the Studio whose model is a small desk: intents by words, one answer with fixed words, one tool, a person."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.made_once import made_once
from tests.tried_model import add_model

from smidgen.core.progress import Silent
from smidgen.flows.build.pipeline import build
from smidgen.parts import recipe
from smidgen.studio.store.projects import StudioStore

POLICY = """
languages = ["en", "de"]
[intents]
"human" = "person"
"cancel" = "act cancel_order"
"hours" = "say hours"
[texts.hours]
en = "We are open from 9 to 5."
"""
TOOLS = """
[tools.cancel_order]
description = "Cancel an order"
words = "Cancel order {order}"
[tools.cancel_order.http]
method = "POST"
url = "http://127.0.0.1:9/orders/{order}?key=${SHOP_KEY}"
[tools.cancel_order.arguments]
order = { pattern = "FH-[0-9]{5}", title = "order number" }
"""
_SAID = {
    "human": ["talk to a real person", "speak to a human", "I want a person", "give me a human being", "let me talk with somebody real"],
    "cancel": ["cancel my order", "please cancel the order", "stop my order", "I want to cancel it", "call off my order"],
    "hours": [
        "when are you open",
        "what are your opening hours",
        "are you open on saturdays",
        "opening times please",
        "how late are you open",
    ],
}
_TALKS = """{"turns": [{"say": "speak to a human", "expect": {"outcome": "handed_over"}}]}
{"turns": [{"say": "what are your opening hours", "expect": {"outcome": "answered", "contains": "9 to 5"}}]}
{"turns": [{"say": "cancel my order FH-20104", "expect": {"outcome": "proposed"}}]}
{"turns": [{"say": "when are you open", "expect": {"outcome": "answered"}}]}
"""


def desk_bundle(factory: pytest.TempPathFactory) -> Path:
    """The folder of the desk's bundle, whose name is `shop`."""

    def make(folder: Path) -> None:
        lines = [f"{ending},{label}" for label, said in _SAID.items() for one in said for ending in (one, f"{one} please", f"hello {one}")]
        (folder / "intents.csv").write_text("text,intent\n" + "\n".join(lines) + "\n", encoding="utf-8")
        data = {"train": "intents.csv", "input": "text", "label": "intent"}
        student = {"kind": "linear", "baseline": "none"}
        member = {"name": "intents", "task": "classify", "data": data, "student": student}
        build(recipe.make(member, folder=folder), folder / "intents", threads=1, progress=Silent(), listed=False)
        for name, text in (("policy.toml", POLICY), ("tools.toml", TOOLS), ("talks.jsonl", _TALKS)):
            (folder / name).write_text(text, encoding="utf-8")
        own = {"members": {"intents": "intents"}, "policy": "policy.toml", "tools": "tools.toml", "conversations": "talks.jsonl"}
        made = recipe.make({"name": "shop", "task": "desk", "desk": own}, folder=folder)
        build(made, folder / "desk", threads=1, progress=Silent(), listed=False)

    return made_once(factory, "studio-desk", make) / "desk"


def desk_project(store: StudioStore, bundle: Path) -> str:
    """The id of a project with this desk as its finished build."""
    project = store.create("Shop", "desk").id
    add_model(store, project, bundle)
    return project
