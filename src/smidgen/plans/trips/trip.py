"""A trip: its days and wishes, and the day plans that serve them best."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from smidgen.core.errors import InputError
from smidgen.plans.routing.distances import NEVER
from smidgen.plans.routing.events import known_as, window
from smidgen.plans.routing.problem import Spot, clock
from smidgen.plans.routing.tile_map import Tiles
from smidgen.plans.routing.travel import Travel
from smidgen.plans.trips.places import Place, tags_of
from smidgen.plans.trips.search import DayFrame, Options, Orienteering, chosen
from smidgen.text.opening_hours import WEEKDAYS, Hours

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "days": {"type": ["integer", "null"], "minimum": 1, "maximum": 14, "description": "how many days"},
        "weekday": {"type": ["string", "null"], "description": "the weekday of the first day"},
        "begins": {"type": ["string", "null"], "description": "when a day begins, in the words of the wish"},
        "ends": {"type": ["string", "null"], "description": "when a day ends, in the words of the wish"},
        "budget": {"type": ["number", "null"], "minimum": 0, "description": "the most that one person wants to spend"},
        "want": {"type": "array", "items": {"type": "string"}, "description": "what they like, or who comes along"},
        "avoid": {"type": "array", "items": {"type": "string"}, "description": "what they do not want to see"},
        "lunch": {"type": ["string", "null"], "description": "where to have lunch: at a lake, or any"},
        "must": {"type": "array", "items": {"type": "string"}, "description": "places that have to be visited"},
        "skip": {"type": "array", "items": {"type": "string"}, "description": "places to leave out"},
    },
    "additionalProperties": False,
}
"""The JSON schema of wishes."""

_LIKED = 3.0
"""How much more a place with a liked tag is worth."""
_MUST_SEE = 1e5
"""What a place that must be seen is worth, or lunch: more than any other places together."""
_LUNCH = (11 * 3600 + 1800, 13 * 3600 + 1800)
"""First and last time at which lunch may begin."""
_ROUNDS = 4000
_SHOWN = 10
"""Places that a sentence lists."""


@dataclass(frozen=True)
class Trip:
    """A trip.

    Attributes:
        places: those of the table.
        travel: times between them, and the start.
        start: where each day begins and ends.
        days: how many.
        weekday: of the first day, 0 for Monday.
        begins: when each day begins, seconds after midnight.
        ends: when it ends.
        budget: most that one person spends on prices; inf without a limit.
        want: tags that are liked.
        avoid: tags of places that are left out.
        lunch: tag of places for lunch; `any` for every one; empty for none.
        eating: kinds of places for lunch; they are visited for nothing else.
        must: places that have to be visited.
        skip: places that are left out.
        seed: of the search.
        tiles: for a map with tiles; None: none is made.
        remarks: what was assumed, in sentences.
        date: of the first day; None where only its weekday is known.
    """

    places: tuple[Place, ...]
    travel: Travel
    start: Spot
    days: int
    weekday: int
    begins: int
    ends: int
    budget: float = math.inf
    want: frozenset[str] = frozenset()
    avoid: frozenset[str] = frozenset()
    lunch: str = ""
    eating: frozenset[str] = frozenset()
    must: frozenset[str] = frozenset()
    skip: frozenset[str] = frozenset()
    seed: int = 0
    tiles: Tiles | None = None
    remarks: tuple[str, ...] = ()
    date: datetime.date | None = None

    def hours(self, place: Place, day: int) -> Hours:
        """The hours of a place on a day of the trip, from 0; none where they are not known."""
        if place.hours is None or (place.hours.dated and self.date is None):
            return ()
        date = self.date + datetime.timedelta(days=day) if self.date is not None else None
        return place.hours.on((self.weekday + day) % 7, date)

    def not_read(self) -> list[str]:
        """Sentences on places that are left out, since their hours are not read."""
        unclear = [f"{place.name} ({place.words})" for place in self.places if place.hours is None]
        dated = [f"{place.name} ({place.words})" for place in self.places if place.hours is not None and place.hours.dated]
        remarks = [f"Left out, since their opening hours are not understood: {_listed(unclear)}."] if unclear else []
        if dated and self.date is None:
            remarks.append(f"Left out, since their opening hours depend on the date and no date is given for the trip: {_listed(dated)}.")
        return remarks


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


@dataclass(frozen=True, slots=True)
class TripVisit:
    """A visit: which place, when the traveller arrives, when it begins and ends."""

    place: Place
    arrives: int
    begins: int
    ends: int
    lunch: bool


@dataclass(frozen=True, slots=True)
class TripDay:
    """A day: its weekday (0 for Monday), when to leave, the visits, when to be back, metres of way."""

    weekday: int
    leaves: int
    visits: tuple[TripVisit, ...]
    back: int
    metres: int


@dataclass(frozen=True, slots=True)
class TripPlan:
    """A plan, and which wishes it could not serve, in sentences."""

    days: tuple[TripDay, ...]
    unserved: tuple[str, ...]


def planned(trip: Trip, seconds: float) -> TripPlan:
    """The best day plans found within some seconds."""
    # A place that has to be seen is seen, also among places that are avoided.
    usable = [p for p in trip.places if p.name not in trip.skip and (p.name in trip.must or not p.tags & trip.avoid)]
    options = [option for place in usable for option in _visit_options(trip, place, _prize(trip, place))]
    found = _search(trip, options, seconds) if options else [[] for _ in range(trip.days)]
    days = tuple(_timed_day(trip, number, visits) for number, visits in enumerate(found))
    return TripPlan(days, tuple(_unserved_wishes(trip, usable, days)))


def _prize(trip: Trip, place: Place) -> float:
    if place.name in trip.must:
        return _MUST_SEE
    return (place.score + 1e-3) * (_LIKED if place.tags & trip.want else 1.0)


@dataclass(frozen=True, slots=True)
class _VisitOption:
    """A way to visit a place: on which day, and when it may begin."""

    place: Place
    day: int
    opens: int
    latest: int
    prize: float
    lunch: bool


def _visit_options(trip: Trip, place: Place, prize: float) -> Iterable[_VisitOption]:
    eats = place.kind in trip.eating
    lunch = eats and trip.lunch != "" and (trip.lunch == "any" or trip.lunch in place.tags)
    if eats and not lunch and place.name not in trip.must:
        return
    for day in range(trip.days):
        for opens, closes in trip.hours(place, day):
            latest = closes - place.lasts
            if lunch:
                early, late = max(opens, _LUNCH[0]), min(latest, _LUNCH[1])
                if early <= late:
                    yield _VisitOption(place, day, early, late, _MUST_SEE / 2 + prize, True)
            elif opens <= latest:
                yield _VisitOption(place, day, opens, latest, prize, False)


def _search(trip: Trip, options: Sequence[_VisitOption], seconds: float) -> list[list[_VisitOption]]:
    number = trip.travel.place

    def column(values: Iterable[int]) -> Any:
        return np.array(list(values), dtype=np.int64)

    arrays = Options(
        place=column(number[option.place.name] for option in options),
        day=column(option.day for option in options),
        opens=column(option.opens for option in options),
        latest=column(option.latest for option in options),
        lasts=column(option.place.lasts for option in options),
        prize=np.array([option.prize for option in options]),
        price=np.array([option.place.price for option in options]),
        kind=column(0 if option.lunch else -1 for option in options),
    )
    start = number[trip.start.name]
    frames = tuple(DayFrame(start, start, trip.begins, trip.ends) for _ in range(trip.days))
    plan = chosen(Orienteering(trip.travel.at(0), arrays, frames, trip.budget), seconds, trip.seed, _ROUNDS)
    return [[options[option] for option in day] for day in plan.days]


def _timed_day(trip: Trip, number: int, options: Sequence[_VisitOption]) -> TripDay:
    place, legs = trip.travel.place, trip.travel.at(0)
    here, time, metres = place[trip.start.name], trip.begins, 0
    visits = []
    for option in options:
        there = place[option.place.name]
        arrives = time + int(legs[here, there])
        begins = max(arrives, option.opens)
        metres += int(trip.travel.metres[here, there])
        here, time = there, begins + option.place.lasts
        visits.append(TripVisit(option.place, arrives, begins, time, option.lunch))
    home = place[trip.start.name]
    leaves = trip.begins if not visits else visits[0].begins - int(legs[home, place[visits[0].place.name]])
    if visits:
        visits[0] = replace(visits[0], arrives=visits[0].begins)
    back = time + int(legs[here, home]) if visits else trip.begins
    return TripDay((trip.weekday + number) % 7, leaves, tuple(visits), back, metres + int(trip.travel.metres[here, home]))


def _unserved_wishes(trip: Trip, usable: Sequence[Place], days: Sequence[TripDay]) -> Iterable[str]:
    seen = {visit.place.name for day in days for visit in day.visits}
    for name in sorted(trip.must - seen):
        place = next(place for place in usable if place.name == name)
        yield f"{name} does not fit in: {_reason_left_out(trip, place)}."
    if trip.lunch:
        for number, day in enumerate(days, start=1):
            if not any(visit.lunch for visit in day.visits):
                where = "" if trip.lunch == "any" else f" with the tag {trip.lunch}"
                other = "further " if any(visit.lunch for day in days for visit in day.visits) else ""
                yield f"No lunch on day {number}: no {other}place for it{where} is open, near and within the budget."


def _reason_left_out(trip: Trip, place: Place) -> str:
    legs, number = trip.travel.at(0), trip.travel.place
    there = int(legs[number[trip.start.name], number[place.name]])
    if there >= NEVER:
        return "no way leads there"
    if place.hours is None or (place.hours.dated and trip.date is None):
        return "its opening hours are not read"
    options = list(_visit_options(trip, place, 1.0))
    if not options:
        return "it is closed on these days, or not open long enough"
    if place.price > trip.budget:
        return f"it costs {place.price:g}, and the budget is {trip.budget:g}"
    begins = min((max(trip.begins + there, option.opens) for option in options if trip.begins + there <= option.latest), default=None)
    if begins is None or begins + place.lasts + there > trip.ends:
        return f"the way there takes {there // 60} minutes, the visit {place.lasts // 60}, and the day ends at {clock(trip.ends)}"
    return "other wishes leave no time or money for it"


# Wishes.


def wished(trip: Trip, wish: Mapping[str, Any]) -> Trip:
    """The trip with wishes. Raises InputError for a tag or a place that the table lacks: nothing is guessed."""
    tags, names = tags_of(trip.places), [place.name for place in trip.places]
    new: dict[str, Any] = {}
    if wish.get("days"):
        new["days"] = int(wish["days"])
    if wish.get("weekday"):
        new["weekday"] = weekday_of(wish["weekday"])
        if trip.date is not None:
            new["date"] = trip.date + datetime.timedelta(days=(new["weekday"] - trip.weekday) % 7)
    begins, ends = window(wish, trip.begins)
    new |= {side: time for side, time in (("begins", begins), ("ends", ends)) if time is not None}
    if wish.get("budget") is not None:
        new["budget"] = float(wish["budget"])
    liked, avoided = ({_tag(word, tags) for word in wish.get(field) or ()} for field in ("want", "avoid"))
    new["want"] = (trip.want | liked) - avoided
    new["avoid"] = (trip.avoid | avoided) - liked
    if wish.get("lunch"):
        lunch = str(wish["lunch"])
        anywhere = lunch.strip().casefold() in ("any", "anywhere", "yes", "somewhere")
        eating = [place for place in trip.places if place.kind in trip.eating]
        new["lunch"] = "any" if anywhere else _tag(lunch, tags_of(eating))
    must, skip = ({known_as(word, names, "place") for word in wish.get(field) or ()} for field in ("must", "skip"))
    new["must"], new["skip"] = (trip.must | must) - skip, (trip.skip | skip) - must
    changed = replace(trip, **new)
    if changed.ends <= changed.begins:
        raise InputError("plans.changed_day_ends_before_it_begins", value=f"{clock(changed.begins)}–{clock(changed.ends)}")
    if changed == trip:
        raise InputError("plans.wish_changes_nothing", value=dict(wish))
    return changed


def weekday_of(word: str) -> int:
    """The number of a weekday, 0 for Monday. Raises InputError."""
    start = word.strip().casefold()[:3]
    found = [number for number, name in enumerate(WEEKDAYS) if len(start) >= 2 and name.startswith(start)]
    if len(found) != 1:
        raise InputError("plans.this_is_no_weekday", value=word, weekdays=", ".join(WEEKDAYS))
    return found[0]


def _tag(word: str, tags: Sequence[str]) -> str:
    """The tag of a word in singular or plural, with or without its article. Raises InputError."""
    bare = re.sub(r"^(?:a|an|the|my|our|some|at|by|with|on) ", "", re.sub(r"^(?:at|by|with|on) ", "", word.strip().casefold()))
    forms = {bare, bare.removesuffix("s"), bare.removesuffix("es"), f"{bare}s", bare.removesuffix("ies") + "y"}
    same = [tag for tag in tags if tag in forms or tag.removesuffix("s") in forms]
    if not same and bare in ("children", "child", "kid", "family", "toddler", "toddlers"):
        same = [tag for tag in tags if tag in ("kids", "children", "family")]
    if len(same) == 1:
        return same[0]
    raise InputError("plans.no_place_of_table_has_this_tag", value=word, tags=", ".join(tags[:30]))


def shown_wish(before: Trip, after: Trip) -> str:
    """The change that wishes make, in one sentence."""
    parts = []
    if after.days != before.days:
        parts.append(f"{after.days} days" if after.days != 1 else "one day")
    if after.weekday != before.weekday:
        date = f", {after.date.isoformat()}" if after.date is not None else ""
        parts.append(f"beginning on {WEEKDAYS[after.weekday].title()}{date}")
    if (after.begins, after.ends) != (before.begins, before.ends):
        parts.append(f"each day from {clock(after.begins)} to {clock(after.ends)}")
    if after.budget != before.budget:
        parts.append(f"at most {after.budget:g} a person")
    for text, old, new in (
        ("prefer", before.want, after.want),
        ("without", before.avoid, after.avoid),
        ("in any case", before.must, after.must),
        ("leave out", before.skip, after.skip),
    ):
        if new - old:
            parts.append(f"{text}: {', '.join(sorted(new - old))}")
    if after.lunch != before.lunch:
        parts.append("lunch every day" if after.lunch == "any" else f"lunch every day at a place with: {after.lunch}")
    return f"Plan again: {'; '.join(parts) or 'undo earlier wishes'}."
