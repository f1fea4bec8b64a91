"""Events change a problem, or are refused where a name or a time leaves something open."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.route_problems import drawn

from smidgen.core.errors import InputError
from smidgen.plans.routing.events import edit, known_as, settled, street_of
from smidgen.plans.routing.network import StreetNetwork, StreetPiece
from smidgen.plans.routing.problem import Problem, Spot, Stop, Van
from smidgen.plans.routing.sources import by_streets, straight_lines

H = 3600


def town(streets: bool = True) -> Problem:
    """Three shops on two streets round a block, two vans, and a customer who is not served today."""
    corners = [(48.0, 11.0), (48.0, 11.01), (48.01, 11.01), (48.01, 11.0)]
    pieces = [
        StreetPiece(name, corners[n], corners[(n + 1) % 4], 30) for n, name in enumerate(("Mill Lane", "High Street", "Quay", "Rope Walk"))
    ]

    def stop(name: str, address: str, latitude: float, longitude: float) -> Stop:
        return Stop(Spot(name, latitude, longitude), address, 200, 8 * H, 17 * H, 300)

    stops = (
        stop("Baker Moll", "Mill Lane 4", 48.0, 11.004),
        stop("The Anchor", "Quay 12", 48.01, 11.006),
        stop("Baker Pike", "12 High Street", 48.005, 11.01),
    )
    extra = stop("Vale Lab", "Rope Walk 2", 48.004, 11.0)
    depot = Spot("Depot", 48.0, 11.0)
    vans = tuple(Van(f"Van {n}", 1000, 7 * H, 18 * H, depot, depot) for n in (1, 2))
    spots = [depot, *(one.spot for one in stops), extra.spot]
    points = [(spot.latitude or 0.0, spot.longitude or 0.0) for spot in spots]
    names = [spot.name for spot in spots]
    travel = by_streets(names, StreetNetwork(pieces, points)) if streets else straight_lines(names, points, 30)
    lines = {piece.street: [[piece.start, piece.end]] for piece in pieces} if streets else {}
    return Problem(stops, vans, travel, {extra.name: extra}, lines)


def test_a_closed_street_makes_the_ways_past_it_longer_until_it_opens() -> None:
    problem = town()
    made = edit(problem, {"kind": "road_closed", "streets": ["mill lane"], "ends": "2 pm"})
    place = problem.travel.place
    before = problem.travel.lasts(place["Depot"], place["Baker Pike"], 9 * H)
    assert made.problem.travel.lasts(place["Depot"], place["Baker Pike"], 9 * H) > 1.5 * before
    assert made.problem.travel.lasts(place["Depot"], place["Baker Pike"], 15 * H) == before
    assert made.text.startswith("Close Mill Lane until 14:00.") and "on foot" in made.text and "Baker Moll" in made.text


def test_two_closed_streets_are_reckoned_together() -> None:
    problem = edit(town(), {"kind": "road_closed", "streets": ["Mill Lane"]}).problem
    problem = edit(problem, {"kind": "road_closed", "streets": ["Rope Walk"], "begins": "10:00", "ends": "two hours"}).problem
    place = problem.travel.place
    assert problem.travel.lasts(place["Depot"], place["Baker Pike"], 9 * H) < 900
    assert problem.travel.lasts(place["Depot"], place["Baker Pike"], 10 * H) > 2 * H, "no way out before Rope Walk opens again"


def test_straight_lines_say_that_they_know_no_streets() -> None:
    made = edit(town(streets=False), {"kind": "jam", "streets": ["Mill Lane"], "minutes": 10})
    place = made.problem.travel.place
    one, other = place["Baker Moll"], place["The Anchor"]
    assert made.problem.travel.lasts(one, other, 9 * H) == pytest.approx(town(False).travel.lasts(one, other, 9 * H) + 600, abs=1)
    assert "only ways to and from stops with such an address count" in made.text
    lined = replace(town(streets=False), streets=town().streets)
    told = edit(lined, {"kind": "road_closed", "streets": ["Mill Lane"]}).text
    assert "do not say which streets they use: a way counts if its straight line comes within 60 m" in told


def test_ice_without_a_street_is_everywhere() -> None:
    problem = town()
    made = edit(problem, {"kind": "ice", "ends": "10 am"})
    assert (made.problem.travel.at(8 * H) >= 1.5 * problem.travel.at(8 * H) - 1).all()
    assert (made.problem.travel.at(11 * H) == problem.travel.at(11 * H)).all()


def test_stops_and_vans_change() -> None:
    problem = town()
    assert [van.name for van in edit(problem, {"kind": "van_broken", "van": "van 2"}).problem.vans] == ["Van 1"]
    later = edit(problem, {"kind": "hours_changed", "stop": "Anchor", "ends": "half past three"})
    assert later.problem.stop["The Anchor"].closes == 15 * H + 1800 and "instead of 08:00 to 17:00" in later.text
    grown = edit(problem, {"kind": "new_stop", "stop": "Vale Lab", "load": 7, "ends": "noon"})
    assert (grown.problem.stop["Vale Lab"].demand, grown.problem.stop["Vale Lab"].closes) == (700, 12 * H)
    assert edit(problem, {"kind": "stop_cancelled", "stop": "the Anchor"}).problem.cancelled == {"The Anchor"}


def test_an_hour_without_am_is_in_the_afternoon() -> None:
    words = ("3 o'clock", "half past one", "5:30", "05:30", "3 am", "four in the morning", "8", "noon", "17:00")
    closes = [
        edit(early(), {"kind": "hours_changed", "stop": "The Anchor", "ends": word}).problem.stop["The Anchor"].closes for word in words
    ]
    assert [time / H for time in closes] == [15, 13.5, 17.5, 5.5, 3, 4, 8, 12, 17]


@pytest.mark.parametrize(
    ("begins", "ends", "window"),
    [
        ("1430", "16h", (14.5, 16)),
        ("9", "half five", (9, 17.5)),
        ("10", "6", (10, 18)),
        ("6", "8 pm", (18, 20)),
        ("9", "5pm", (9, 17)),
        ("ten thirty", "an hour and a half", (10.5, 12)),
        ("quarter to eleven", "7", (10.75, 19)),
        ("08:00", "8 this evening", (8, 20)),
    ],
)
def test_two_times_tell_each_other_the_half_of_the_day(begins: str, ends: str, window: tuple[float, float]) -> None:
    event = edit(town(), {"kind": "jam", "streets": ["Quay"], "begins": begins, "ends": ends}).problem.events[0]
    assert (event.begins / H, event.ends / H) == window


def test_an_end_without_am_is_after_now() -> None:
    event = edit(replace(town(), now=16 * H), {"kind": "jam", "streets": ["Quay"], "ends": "7"}).problem.events[0]
    assert (event.begins, event.ends) == (16 * H, 19 * H)


KNOWN_AS = {
    "van number two": "Van 2", "the 3": "Van 3", "#4": "Van 4", "vehicle 2": "Van 2", "white sprinter": "Sprinter 12 (white)",
    "KX21ABC": "KX21 ABC", "Dave's van": "Dave", "Sprinter twelve": "Sprinter 12 (white)",
}  # fmt: skip


@pytest.mark.parametrize("words", KNOWN_AS)
def test_vans_are_known_by_number_plate_colour_and_driver(words: str) -> None:
    depot = town().vans[0].start
    names = ("Van 1", "Van 2", "Van 3", "Van 4", "Sprinter 12 (white)", "Sprinter 13 (blue)", "KX21 ABC", "KX21 ABD", "Dave")
    problem = replace(town(), vans=tuple(Van(name, 1000, 7 * H, 18 * H, depot, depot) for name in names))
    assert edit(problem, {"kind": "van_broken", "van": words}).text.startswith(f"{KNOWN_AS[words]} does not drive")


@pytest.mark.parametrize("words", ["the Sprinter", "van 22", "truck", "my van", "KX21"])
def test_a_van_that_may_be_another_is_refused(words: str) -> None:
    depot = town().vans[0].start
    names = ("Van 1", "Van 2", "Sprinter 12 (white)", "Sprinter 13 (blue)", "KX21 ABC", "KX21 ABD")
    with pytest.raises(InputError, match=r"no van has this name|more than one van has"):
        edit(
            replace(town(), vans=tuple(Van(name, 1000, 7 * H, 18 * H, depot, depot) for name in names)),
            {"kind": "van_broken", "van": words},
        )


def test_streets_are_known_in_other_spellings() -> None:
    known = (
        "St. Mary's Road",
        "St. Mark's Road",
        "Mill Lane",
        "Mill Street",
        "Fifth Avenue",
        "The Crescent",
        "Bahnhofstraße",
        "Prince's Walk",
    )
    said = ("St Marys Rd", "saint mary's rd.", "mill ln", "Mill St.", "Fifth Ave", "Crescent", "Bahnhofstr.", "princes walk")
    found = [known_as(words, known, "street") for words in said]
    assert found == [known[0], known[0], known[2], known[3], known[4], known[5], known[6], known[7]]
    with pytest.raises(InputError, match="Did you mean Mill Lane or Mill Street"):
        known_as("Mil Street", known, "street")


def early() -> Problem:
    """The town with an inn that is open since midnight."""
    problem = town()
    return replace(problem, stops=tuple(replace(stop, opens=0) for stop in problem.stops))


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"kind": "road_closed", "streets": ["Elm Street"]}, "no street has this name"),
    ({"kind": "road_closed"}, "names no street"),
    ({"kind": "jam", "streets": ["Quay"], "begins": "3 pm", "ends": "2 pm"}, "ends before it begins"),
    ({"kind": "jam", "streets": ["Quay"], "ends": "soon"}, "no time of day"),
    ({"kind": "jam", "streets": ["Quay"], "ends": "some hours"}, "the end is no time of day"),
    ({"kind": "van_broken", "van": "Van 9"}, "no van has this name"),
    ({"kind": "van_broken"}, "names no van"),
    ({"kind": "stop_cancelled", "stop": "Baker"}, "more than one stop has this name"),
    ({"kind": "hours_changed", "stop": "The Anchor"}, "says no time"),
    ({"kind": "hours_changed", "stop": "The Anchor", "ends": "07:00"}, "would close before it opens"),
    ({"kind": "new_stop", "stop": "Nobody's"}, "no customer has this name"),
    ({"kind": "new_stop", "stop": "The Anchor"}, "in the plan already"),
    ({"kind": "party"}, "no kind of event"),
    ({"kind": "van_broken", "van": "Van 2", "begins": "noon"}, "van_broken takes no begins"),
    ({"kind": "jam", "streets": ["Quay"], "load": 3}, "jam takes no load"),
]


@pytest.mark.parametrize(("event", "said"), REFUSED, ids=[str(number) for number in range(len(REFUSED))])
def test_what_the_problem_lacks_is_refused(event: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        edit(town(), event)


def test_the_street_of_an_address() -> None:
    found = [street_of(address) for address in ("Mill Lane 4", "12 High Street", "Quay 12b, Alderwick", "5th Avenue 12-14", "Hof", "")]
    assert found == ["Mill Lane", "High Street", "Quay", "5th Avenue", "Hof", ""]


def test_an_event_of_the_day_begins_now_at_the_earliest() -> None:
    problem = replace(drawn(3), now=10 * H)
    made = edit(problem, {"kind": "ice", "begins": "8:00"}).problem
    assert made.events[0].begins == 10 * H


SETTLED = [
    ("shut until 3", {"kind": "road_closed", "streets": ["Quay"], "begins": "3"}, {"streets": ["Quay"], "ends": "3"}),
    ("icy after five pm", {"kind": "ice", "ends": "five pm"}, {"begins": "five pm"}),
    ("open until 3", {"kind": "hours_changed", "stop": "Moll", "begins": "3"}, {"stop": "Moll", "ends": "3"}),
    ("closed until 3", {"kind": "hours_changed", "stop": "Moll", "ends": "3"}, {"stop": "Moll", "begins": "3"}),
    ("they can't be there before 9", {"kind": "hours_changed", "stop": "Moll", "ends": "9"}, {"stop": "Moll", "begins": "9"}),
    ("be there before 9", {"kind": "hours_changed", "stop": "Moll", "begins": "9"}, {"stop": "Moll", "ends": "9"}),
    ("nobody there past 4", {"kind": "hours_changed", "stop": "Moll", "begins": "4"}, {"stop": "Moll", "ends": "4"}),
    ("no lunch, only after 2", {"kind": "hours_changed", "stop": "Moll", "ends": "2"}, {"stop": "Moll", "begins": "2"}),
    ("before 9 nobody is there", {"kind": "hours_changed", "stop": "Moll", "begins": "9"}, {"stop": "Moll", "begins": "9"}),
    ("come at 2 or later", {"kind": "new_stop", "stop": "Moll", "ends": "2"}, {"stop": "Moll", "begins": "2"}),
    ("deliver by noon", {"kind": "new_stop", "stop": "Moll", "begins": "noon"}, {"stop": "Moll", "ends": "noon"}),
    ("closed this afternoon", {"kind": "road_closed", "streets": ["Quay"], "begins": "this afternoon"}, {"streets": ["Quay"]}),
    ("from 3 till 5", {"kind": "jam", "streets": ["Quay"], "begins": "5", "ends": "3"}, {"streets": ["Quay"], "begins": "5", "ends": "3"}),
    ("it freezes from seven tonight", {"kind": "ice", "begins": "seven"}, {"begins": "seven tonight"}),
    ("closes at 7 pm", {"kind": "hours_changed", "stop": "Moll", "ends": "7"}, {"stop": "Moll", "ends": "7 pm"}),
    ("Van 2 died on Quay", {"kind": "van_broken", "van": "Van 2", "streets": ["Quay"], "ends": None}, {"van": "Van 2"}),
    ("all fine", {"kind": None, "stop": "Moll"}, {}),
]


@pytest.mark.parametrize(("sentence", "read", "meant"), SETTLED, ids=[sentence for sentence, *_ in SETTLED])
def test_an_event_is_corrected_where_its_sentence_leaves_no_doubt(sentence: str, read: dict[str, Any], meant: dict[str, Any]) -> None:
    assert settled(read, sentence, {}) == {"kind": read["kind"], **meant}


def test_the_only_known_name_of_the_kind_is_meant_where_none_was_found() -> None:
    assert settled({"kind": "van_broken"}, "Bertha", {"van": ["Bertha"], "stop": ["Moll"]})["van"] == "Bertha"
    assert settled({"kind": "jam"}, "Quay", {"street": ["Quay"]})["streets"] == ["Quay"]
    assert "van" not in settled({"kind": "van_broken"}, "1 or 2", {"van": ["Van 1", "Van 2"]}), "nothing is guessed"
    assert "streets" not in settled({"kind": "ice"}, "Quay", {"street": ["Quay"]}), "ice may be everywhere"
    assert settled({"kind": "stop_cancelled", "stop": "Moll"}, "", {"stop": ["Pike"]})["stop"] == "Moll"


def test_what_is_over_is_taken_back() -> None:
    before = town()
    closed = edit(edit(before, {"kind": "road_closed", "streets": ["Mill Lane", "Quay"]}).problem, {"kind": "ice"}).problem
    place = before.travel.place["Depot"], before.travel.place["Baker Pike"]
    made = edit(closed, {"kind": "cleared", "streets": ["mill ln"]})
    assert made.text == "Mill Lane: as before the event." and [one.streets for one in made.problem.events] == [(), ("Quay",)]
    assert made.problem.travel.lasts(*place, 9 * H) < closed.travel.lasts(*place, 9 * H)
    thawed = edit(made.problem, {"kind": "cleared"})
    assert thawed.text == "All streets: as before the event." and [one.kind for one in thawed.problem.events] == ["road_closed"]
    last = edit(thawed.problem, {"kind": "cleared", "streets": ["Quay"]}).problem
    assert last.events == () and last.travel.lasts(*place, 9 * H) == before.travel.lasts(*place, 9 * H)


def test_a_van_and_a_cancelled_stop_come_back() -> None:
    problem = edit(edit(town(), {"kind": "van_broken", "van": "Van 2"}).problem, {"kind": "stop_cancelled", "stop": "The Anchor"}).problem
    back = edit(problem, {"kind": "cleared", "van": "van two"})
    assert back.text == "Van 2 drives again." and [van.name for van in back.problem.vans] == ["Van 1", "Van 2"] and not back.problem.broken
    again = edit(back.problem, {"kind": "cleared", "stop": "Anchor"})
    assert again.text == "Deliver to The Anchor after all." and not again.problem.cancelled
    refused = [{"van": "Van 1"}, {"stop": "Baker Moll"}, {"streets": ["Mill Lane"]}, {}]
    for event in refused:
        with pytest.raises(InputError):
            edit(again.problem, {"kind": "cleared", **event})
    assert len(refused) == 4
