"""A solved plan that is asked and changed: its sentences come from the solution."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.house.conftest import ROOT

from smidgen.core.errors import EngineError, InputError
from smidgen.plans.flows import problem, served_plan
from smidgen.plans.flows.problem import open_problem, read_plan, write_plan
from smidgen.plans.flows.served_plan import ServedPlan

SAMPLES = ROOT / "src" / "smidgen" / "samples" / "alderwick"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The plan of a trip."""
    tables = [f"trips.places={json.dumps(str(SAMPLES / 'places.csv'))}", 'trips.start="Harbour Hotel"', "solve.seconds=0.2"]
    write_plan(open_problem("trips", tables).solve(), tmp_path)
    return tmp_path


def test_it_says_what_the_plan_says_of_a_place(folder: Path) -> None:
    plan = ServedPlan(folder)
    visit = read_plan(folder / "plan.json")["result"]["days"][0]["visits"][0]
    said = plan.ask(visit["place"].lower())
    assert said["sentence_en"] == f"{visit['place']}: day 1, Saturday, from {visit['begins']} to {visit['ends']}."
    assert len(said["solved"]) == 10 and set(said) == {"sentence_en", "solved"}
    assert plan.ask()["sentence_en"].startswith("1 day with ")
    with pytest.raises(InputError, match="no place of the plan has this name"):
        plan.ask("Eiffel Tower")


def test_a_change_is_made_and_kept(folder: Path) -> None:
    plan = ServedPlan(folder)
    with pytest.raises(InputError, match="is being solved"):
        plan.change({"days": 2})
    plan.warm_up()
    said = plan.change({"days": 2})
    assert said["changed_en"] == "Plan again: 2 days." and said["sentence_en"].startswith("2 days with ")
    kept = read_plan(folder / "plan.json")
    assert kept["changes"][0]["change"] == {"days": 2} and len(kept["result"]["days"]) == 2
    with pytest.raises(InputError, match="no place has this name"):
        plan.change({"skip": ["Eiffel Tower"]})
    assert read_plan(folder / "plan.json") == kept


def read(text: str) -> tuple[float, dict[str, Any]]:
    """A sentence as a model reads it: its score, and the change."""
    place = text.partition("leave out the ")[2]
    if not text.startswith("Two days"):
        return 0.9, {"skip": [place]} if place else {}
    return 0.3 if "or so" in text else 0.6 if place else 0.9, {"days": 2}


@pytest.fixture
def said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> ServedPlan:
    """The plan of a trip, for which a model reads sentences."""

    def predict(texts: list[str]) -> list[Any]:
        return [SimpleNamespace(score=score, output=output) for score, output in map(read, texts)]

    monkeypatch.setattr(problem, "load", lambda folder: SimpleNamespace(predict=predict, close=lambda: None))
    told = read_plan(folder / "plan.json")
    told["solve"]["changes"] = str(folder)
    (folder / "plan.json").write_text(json.dumps(told), encoding="utf-8")
    plan = ServedPlan(folder)
    plan.warm_up()
    return plan


def test_a_sentence_changes_the_plan_as_it_was_read(said: ServedPlan, folder: Path) -> None:
    assert said.reads_sentences and said.would_change("Two days, please") == {"change_en": "Plan again: 2 days."}
    assert read_plan(folder / "plan.json")["changes"] == []
    assert said.change("Two days, please")["sentence_en"].startswith("2 days with ")
    assert [one["change"] for one in read_plan(folder / "plan.json")["changes"]] == [{"days": 2}]


def test_a_sentence_may_tell_two_changes(said: ServedPlan, folder: Path) -> None:
    both = said.would_change("Two days, please. Also leave out the Toy Museum")
    assert both["change_en"].count(".") == 2 and "2 days." in both["change_en"] and "Toy Museum" in both["change_en"]
    said.change("Two days, please. Also leave out the Toy Museum")
    assert [one["change"] for one in read_plan(folder / "plan.json")["changes"]] == [{"days": 2}, {"skip": ["Toy Museum"]}]


def test_what_was_not_read_is_said_before_the_yes(said: ServedPlan) -> None:
    assert said.would_change("Two days with a budget of 900") == {"change_en": "Plan again: 2 days. (not read: 900)"}


@pytest.mark.parametrize(
    ("sentence", "why"),
    [
        ("Two days or so", "30% sure of this change, and 50% is needed"),
        ("Lovely weather", "no change was found"),
        ("", "the sentence is empty"),
    ],
)
def test_a_sentence_that_was_not_understood_changes_nothing(said: ServedPlan, folder: Path, sentence: str, why: str) -> None:
    for ask in (said.would_change, said.change):
        with pytest.raises(InputError, match=why):
            ask(sentence)
    assert read_plan(folder / "plan.json")["changes"] == []


def test_a_sentence_with_too_many_changes_is_refused(said: ServedPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served_plan, "_MOST_CHANGES", 1)
    with pytest.raises(InputError, match="more than 1 changes"):
        said.would_change("Two days, please. Also leave out the Toy Museum")


def test_a_sentence_with_another_number_is_not_said(folder: Path) -> None:
    told = read_plan(folder / "plan.json")
    told["sentences"][0] = "777 days of sun."
    (folder / "plan.json").write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises(EngineError, match="777"):
        ServedPlan(folder).ask()


def test_whoever_asks_waits_not_long(folder: Path) -> None:
    told = read_plan(folder / "plan.json")
    told["solve"]["seconds"] = 600.0
    (folder / "plan.json").write_text(json.dumps(told), encoding="utf-8")
    assert served_plan._with_short_search(open_problem(folder)).recipe.solve.seconds == served_plan.SEARCH_SECONDS


def test_a_folder_without_a_plan(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no plan in this folder"):
        ServedPlan(tmp_path)
