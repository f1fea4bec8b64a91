"""What a sentence says and its change does not; and sentences that tell several changes."""

from __future__ import annotations

from typing import Any

import pytest

from smidgen.apps.solve.changes import read_sentence, unread

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
