"""A solved plan that is asked and changed: its sentences come from the solution."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.house.conftest import ROOT

from smidgen.core.errors import EngineError, InputError
from smidgen.flows.plans import asked_plan
from smidgen.flows.plans.asked_plan import AskedPlan
from smidgen.flows.plans.problem import open_problem, read_plan, write_plan

SAMPLES = ROOT / "src" / "smidgen" / "samples" / "alderwick"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The plan of a trip."""
    tables = [f"trips.places={json.dumps(str(SAMPLES / 'places.csv'))}", 'trips.start="Harbour Hotel"', "solve.seconds=0.2"]
    write_plan(open_problem("trips", tables).solve(), tmp_path)
    return tmp_path


def test_it_says_what_the_plan_says_of_a_place(folder: Path) -> None:
    plan = AskedPlan(folder)
    visit = read_plan(folder / "plan.json")["result"]["days"][0]["visits"][0]
    said = plan.ask(visit["place"].lower())
    assert said["sentence_en"] == f"{visit['place']}: day 1, Saturday, from {visit['begins']} to {visit['ends']}."
    assert len(said["solved"]) == 10 and set(said) == {"sentence_en", "solved"}
    assert plan.ask()["sentence_en"].startswith("1 day with ")
    with pytest.raises(InputError, match="no place of the plan has this name"):
        plan.ask("Eiffel Tower")


def test_a_change_is_made_and_kept(folder: Path) -> None:
    plan = AskedPlan(folder)
    with pytest.raises(InputError, match="is being solved"):
        plan.change({"days": 2})
    plan.warm_up()
    said = plan.change({"days": 2})
    assert said["changed_en"] == "Plan anew: 2 days." and said["sentence_en"].startswith("2 days with ")
    kept = read_plan(folder / "plan.json")
    assert kept["changes"][0]["change"] == {"days": 2} and len(kept["result"]["days"]) == 2
    with pytest.raises(InputError, match="no place has this name"):
        plan.change({"skip": ["Eiffel Tower"]})
    assert read_plan(folder / "plan.json") == kept


def test_a_sentence_with_another_number_is_not_said(folder: Path) -> None:
    told = read_plan(folder / "plan.json")
    told["sentences"][0] = "777 days of sun."
    (folder / "plan.json").write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises(EngineError, match="777"):
        AskedPlan(folder).ask()


def test_whoever_asks_waits_not_long(folder: Path) -> None:
    told = read_plan(folder / "plan.json")
    told["solve"]["seconds"] = 600.0
    (folder / "plan.json").write_text(json.dumps(told), encoding="utf-8")
    assert asked_plan._bounded(open_problem(folder)).recipe.solve.seconds == asked_plan.MOST_SECONDS


def test_a_folder_without_a_plan(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no plan in this folder"):
        AskedPlan(tmp_path)
