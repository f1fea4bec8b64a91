"""A plan as tools of a project's desk: what is added depends on whether a model reads sentences for the plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from smidgen.plans.flows.studio_plans import create_plan, set_settings, solve_plan
from smidgen.plans.studio.plan_tools import add_plan
from smidgen.studio.flows.samples import begin_project
from smidgen.studio.flows.tool_files.tools import read_project_tools
from smidgen.studio.store.projects import StudioStore

pytest.importorskip("mcp")


def test_a_plan_s_reader_takes_over_the_changes_once_it_is_chosen(store: StudioStore, tmp_path: Path) -> None:
    plan = create_plan("trips", "Trip", sample=True).id
    set_settings(plan, {"start": "Harbour Hotel"}, {"seconds": 0.2})
    solve_plan(plan)
    project = begin_project(store, "Guide", "desk")
    tools, _ = add_plan(project, plan, read_project_tools(project).file.stamp)
    ask, change = (card.tool for card in tools.cards)
    assert ask is not None and ask.name == "trips_plan" and not ask.waits
    assert change is not None and change.name == "change_trips_plan" and "days" in change.properties
    assert any(one.arguments.get("days") for one in change.examples)
    set_settings(plan, {"start": "Harbour Hotel"}, {"seconds": 0.2, "changes": str(tmp_path)})
    tools, _ = add_plan(project, plan, tools.file.stamp)
    _, said = (card.tool for card in tools.cards)
    assert said is not None and said.name == "change_trips_plan" and said.whole_messages == ("sentence",) and said.waits
    assert len(said.examples) == len(change.examples) and not any(one.arguments for one in said.examples)
