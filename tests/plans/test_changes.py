"""What a sentence says and its change does not; and sentences that tell several changes."""

from __future__ import annotations

from typing import Any

import pytest
from tests.studio.api.test_german import has_german

from smidgen.core.errors import InputError
from smidgen.plans.changes import read_sentence, reading, unread, valid_change
from smidgen.plans.routing.events import KINDS
from smidgen.plans.solvers.routes import part as routes
from smidgen.plans.solvers.stock import part as stock
from smidgen.plans.solvers.trips import part as trips
from smidgen.plans.stock.ordering import MAX_LEAD_DAYS

NAMES = ("Mill Lane", "Station Road", "Van 2", "The Anchor")
LEFT_OUT: list[tuple[str, dict[str, Any], list[str]]] = [
    ("Mill Lane is closed until 2 pm", {"kind": "road_closed", "streets": ["Mill Lane"], "ends": "2 pm"}, []),
    ("Mill Lane is closed until 2 pm", {"kind": "road_closed", "streets": ["Mill Lane"]}, ["2 pm"]),
    ("mill lane and station road are jammed", {"kind": "jam", "streets": ["mill lane"]}, ["station road"]),
    ("Jam on Mill Lane, half an hour", {"kind": "jam", "streets": ["Mill Lane"], "minutes": 30}, []),
    ("Jam on Mill Lane, half an hour", {"kind": "jam", "streets": ["Mill Lane"]}, ["half an hour"]),
    ("add The Anchor, a dozen crates", {"kind": "new_stop", "stop": "The Anchor", "load": 12}, []),
    ("add The Anchor, 12 crates by noon", {"kind": "new_stop", "stop": "The Anchor"}, ["noon", "12"]),
    ("Stoke takes three weeks from tomorrow", {"kind": "lead_time", "supplier": "Stoke", "days": 21}, ["tomorrow"]),
    ("Van 2 is off, so is the other one", {"kind": "van_broken", "van": "Van 2"}, []),
]


@pytest.mark.parametrize(("sentence", "change", "left"), LEFT_OUT, ids=[str(number) for number in range(len(LEFT_OUT))])
def test_times_numbers_and_names_that_a_change_lacks(sentence: str, change: dict[str, Any], left: list[str]) -> None:
    assert unread(sentence, change, NAMES) == left


KNOWN = {
    "Mill Lane is closed": {"kind": "road_closed", "streets": ["Mill Lane"]},
    "van 2 is down": {"kind": "van_broken", "van": "van 2"},
    "cancel The Anchor": {"kind": "stop_cancelled", "stop": "The Anchor"},
}


def predict(texts: list[str]) -> list[tuple[float, Any]]:
    """A model that knows three sentences, and finds no change in anything else."""
    return [(0.95, {**KNOWN[text], "ends": None}) if text in KNOWN else (0.9, {"kind": None, "streets": []}) for text in texts]


@pytest.mark.parametrize("link", [" and ", ". ", "; ", ", also ", "\n", " - "])
def test_a_sentence_of_two_changes_is_read_in_two_steps(link: str) -> None:
    first = read_sentence(f"Mill Lane is closed{link}van 2 is down", predict)
    assert first.output["kind"] == "road_closed" and first.rest.removeprefix("also ") == "van 2 is down" and first.score < 0.95


def test_three_changes_and_one() -> None:
    first = read_sentence("Mill Lane is closed, van 2 is down and cancel The Anchor", predict)
    second = read_sentence(first.rest, predict)
    assert (first.output["kind"], second.output["kind"], second.rest) == ("road_closed", "van_broken", "cancel The Anchor")
    whole = read_sentence("cancel The Anchor", predict)
    assert whole == (0.95, {**KNOWN["cancel The Anchor"], "ends": None}, "cancel The Anchor", "")


def test_an_unsure_reading_of_the_whole_gives_way_to_a_surer_one_of_its_parts() -> None:
    def unsure(texts: list[str]) -> list[tuple[float, Any]]:
        return [(0.4, {"kind": "jam"}) if " and " in text else one for text, one in zip(texts, predict(texts), strict=True)]

    first = read_sentence("Mill Lane is closed and van 2 is down", unsure)
    assert first.output["kind"] == "road_closed" and first.words == "Mill Lane is closed" and first.rest == "van 2 is down"
    assert read_sentence("Mill Lane is closed and that is sad", unsure).output == {"kind": "jam"}


def test_a_sure_reading_that_leaves_a_known_name_out_gives_way_to_its_parts() -> None:
    def bold(texts: list[str]) -> list[tuple[float, Any]]:
        return [(0.97, {"kind": "van_broken", "van": "van 2"}) if " and " in text else predict([text])[0] for text in texts]

    sentence = "Mill Lane is closed and van 2 is down"
    assert read_sentence(sentence, bold).output["kind"] == "van_broken", "without names nothing is missed"
    first = read_sentence(sentence, bold, NAMES)
    assert first.output["kind"] == "road_closed" and first.rest == "van 2 is down"


@pytest.mark.parametrize("sentence", ["Mill Lane is open again", "thanks, and goodbye", "Mill Lane is closed and that is sad", ""])
def test_where_no_cut_gives_changes_none_is_found(sentence: str) -> None:
    assert read_sentence(sentence, predict).output == {"kind": None, "streets": []}


TOWN = {
    "street": ["Rope Walk", "Weir Lane"],
    "van": ["Bertha"],
    "stop": ["Gino's", "Hope Street Dental", "Both"],
    "town": ["Leeds", "Both"],
}


def read(sentence: str, output: dict[str, Any], seen: list[str] | None = None) -> dict[str, Any]:
    """The reading of a sentence where a model finds `output`. `seen`: gets the text that the model sees."""
    told = seen if seen is not None else []

    def model(texts: list[str]) -> list[tuple[float, Any]]:
        told.extend(texts)
        return [(0.7, output) for _ in texts]

    score, found = reading(model, routes, TOWN)([sentence])[0]
    assert score == 0.7
    return dict(found)


def test_a_model_sees_usual_names_and_its_values_are_the_words_of_the_sentence() -> None:
    seen: list[str] = []
    found = read("Bertha died on weir ln, skip Gino's", {"kind": "van_broken", "van": "van 3"}, seen)
    assert seen == ["van 3 died on Mill Lane, skip Parker's Bakery"] and found == {"kind": "van_broken", "van": "Bertha"}
    assert read("chuck Gino's on the end", {"kind": "new_stop", "stop": "chuck Parker's Bakery"})["stop"] == "Gino's", "no word beside it"
    assert read("Gino's is off", {"kind": "stop_cancelled", "stop": "Parker"})["stop"] == "Gino's", "a part of it"
    assert read("Mo's is off", {"kind": "stop_cancelled", "stop": "Mo's"})["stop"] == "Mo's", "an unknown name stays"
    assert read("Both, in Leeds", {"kind": "stop_cancelled", "stop": "Both"}, seen)["stop"] == "Both"
    assert seen[-1] == "Both, in Leeds", "a name of two kinds, and one without usual names, stay"


def test_usual_names_in_the_sentence_are_not_taken_again_and_several_keep_their_order() -> None:
    seen: list[str] = []
    jam = {"kind": "jam", "streets": ["Station Street", "Church Road", "lane 2"]}
    found = read("Rope Walk and Weir Lane like Mill Lane, lane 2", jam, seen)
    assert seen == ["Church Road and Station Street like Mill Lane, lane 2"]
    assert found["streets"] == ["Weir Lane", "Rope Walk"], "words that are no name go beside one that is"
    assert read("foo and rope walk", {"kind": "jam", "streets": ["foo", "Mill Lane"]})["streets"] == ["foo", "rope walk"]


def test_a_model_that_finds_nothing_is_left_alone() -> None:
    assert read("Gino's says hello", {"kind": None, "stop": "Parker's Bakery"}) == {"kind": None}
    assert reading(lambda texts: [(0.1, None)], routes, TOWN)(["Gino's"]) == [(0.1, None)]


MISFITS: list[tuple[Any, dict[str, Any], str]] = [
    (routes, {"kind": "explosion"}, f"the change does not fit in its field kind: 'explosion'. It must be one of: {', '.join(KINDS)}."),
    (routes, {"kind": "jam", "minutes": 0}, "the change does not fit in its field minutes: 0. It must be a whole number, 1 or more."),
    (
        routes,
        {"kind": "jam", "minutes": "ten"},
        "the change does not fit in its field minutes: 'ten'. It must be a whole number, 1 or more.",
    ),
    (
        routes,
        {"kind": "jam", "streets": "Mill Lane"},
        "the change does not fit in its field streets: 'Mill Lane'. It must be a list of texts.",
    ),
    (routes, {"kind": "jam", "streets": ["Mill Lane", 7]}, "in its field streets: ['Mill Lane', 7]. It must be a list of texts."),
    (
        routes,
        {"kind": "jam", "street": ["Mill Lane"]},
        "the change has a field that is not known: 'street'. Did you mean streets? Known are: kind, str",
    ),
    (
        routes,
        {"streets": ["Mill Lane"]},
        'the change lacks its field kind: \'{"streets": ["Mill Lane"]}\'. It must be one of: road_closed, jam',
    ),
    (routes, {"van": None}, "the change is empty: '{\"van\": null}'. Known are: kind, streets, "),
    (stock, {"kind": "lead_time", "days": 4000}, f"in its field days: 4000. It must be a whole number from 0 to {MAX_LEAD_DAYS}."),
    (stock, {"kind": "stock", "item": "x" * 121}, "It must be a text of at most 120 letters."),
    (trips, {"budget": -1}, "in its field budget: -1. It must be a number, 0 or more."),
]


@pytest.mark.parametrize(("solver", "change", "said"), MISFITS, ids=[str(number) for number in range(len(MISFITS))])
def test_a_change_that_does_not_fit_is_told_with_its_field_its_value_and_what_is_permitted(
    solver: Any, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError) as caught:
        valid_change(solver, change)
    assert said in str(caught.value) and has_german(caught.value.what) and has_german(caught.value.todo)
    must = caught.value.todo.removeprefix("It must be ").removesuffix(".")
    assert must == caught.value.todo.removesuffix(".") or has_german(must)
