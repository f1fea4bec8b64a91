"""Events of a day: a closed road, a jam, ice, a broken van, other opening hours, a new stop, a cancelled one.

An event names streets, vans and stops in a dispatcher's words. A name that fits nothing, or several things, is refused: nothing is guessed.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from smidgen.core.errors import InputError
from smidgen.plans.routing.distances import NEVER, beeline
from smidgen.plans.routing.network import StreetNetwork, nearest_on
from smidgen.plans.routing.problem import DAY, PLACES, Problem, Stop, StreetEvent, clock, seconds_of
from smidgen.plans.routing.travel import Slowdown, Travel
from smidgen.plans.solving import Telling
from smidgen.text import clock as clock_words
from smidgen.text import durations
from smidgen.text.names import folded

KINDS = ("road_closed", "jam", "ice", "van_broken", "hours_changed", "new_stop", "stop_cancelled", "cleared")
SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "kind": {"enum": list(KINDS), "description": "what happened"},
        "streets": {
            "type": "array",
            "items": {"type": "string"},
            "description": "the streets that it is about, in the words of the sentence",
        },
        "van": {"type": ["string", "null"], "description": "the van that cannot drive, or can again"},
        "stop": {"type": ["string", "null"], "description": "the customer that is new, cancelled, wanted again, or has other hours"},
        "begins": {"type": ["string", "null"], "description": "from when, in the words of the sentence"},
        "ends": {"type": ["string", "null"], "description": "until when, or when the customer closes, in the words of the sentence"},
        "minutes": {"type": ["integer", "null"], "minimum": 1, "description": "how many minutes longer a jammed street takes"},
        "load": {"type": ["integer", "null"], "minimum": 1, "description": "how much the new stop gets"},
    },
    "required": ["kind"],
    "additionalProperties": False,
}
"""The JSON schema of one event."""

USUAL: Mapping[str, Sequence[str]] = {
    "street": ("Mill Lane", "Church Road", "Station Street", "Park Avenue", "Castle Street", "Victoria Road"),
    "van": ("van 3", "van 7", "van 5"),
    "stop": ("Parker's Bakery", "Miller Pharmacy", "Rose Cafe"),
}
"""Usual names of streets, vans and stops."""
TELLING: Mapping[str, Telling] = {
    "road_closed": Telling(r"(?:is |are )?(?:closed|shut|blocked|impassable)|closure", "from|to|until|till|til|after|of|between|both ways"),
    "jam": Telling(
        r"(?:there is a |there's a )?(?:traffic )?jam|jammed|gridlock(?:ed)?|heavy traffic|backed up",
        "on|in|from|until|till|more|extra|add|about",
    ),
    "ice": Telling(r"(?:black )?ice|icy|frozen|slippery", "there is|on|in|from|until|till"),
    "van_broken": Telling(
        r"(?:has )?(?:broke|broken) down|(?:is )?(?:broken|out of service)|(?:will not|won['’]?t|does not|doesn['’]?t) start|"
        r"cannot drive|has a puncture|has a flat tyre",
        "",
    ),
    "hours_changed": Telling(r"closes?|opens?|(?:is )?(?:only )?open|opening hours", "only|at|from|to|until|till|between|of|for"),
    "new_stop": Telling(
        r"new stop|add|additional (?:stop|delivery)|extra (?:stop|delivery|drop)|wants a delivery",
        "for|at|to|before|after|between|from|crates?|boxes|trays?|stop",
    ),
    "stop_cancelled": Telling(
        r"(?:has |is )?cancell?ed|cancels?|does not need a delivery|needs no delivery", "stop|the stop|delivery to|the delivery to|at|for"
    ),
    "cleared": Telling(r"(?:is |are )?(?:open again|repaired|back on the road|reopened|clear again)", ""),
}
"""The words that tell each kind of event."""
_OF_KIND = {
    "road_closed": ("streets", "begins", "ends"),
    "jam": ("streets", "begins", "ends", "minutes"),
    "ice": ("streets", "begins", "ends"),
    "van_broken": ("van",),
    "hours_changed": ("stop", "begins", "ends"),
    "new_stop": ("stop", "begins", "ends", "load"),
    "stop_cancelled": ("stop",),
    "cleared": ("streets", "van", "stop"),
}
"""The fields of each kind of event."""
_ON_STREETS = ("road_closed", "jam", "ice")
_KIND_OF = {"streets": "street", "van": "van", "stop": "stop"}
_PART_OF_DAY = r"(?: ?[ap]\.?m\b\.?| (?:in the|this) (?:morning|afternoon|evening)\b| tonight\b| at night\b)"
_ABOUT = r"(?: (?:about|around|roughly|at least))?\s*$"
_UNTIL = re.compile(rf"\b(?:until|untill|till|til|thru|through to|up to|bis){_ABOUT}", re.IGNORECASE)
_SINCE = re.compile(rf"\b(?:from|after|as of|starting(?: at| from)?|beginning at|past|since|ab|von){_ABOUT}", re.IGNORECASE)
_BEFORE = re.compile(rf"\b(?:before|ahead of|earlier than){_ABOUT}", re.IGNORECASE)
_BY = re.compile(rf"\b(?:by|latest|no later than){_ABOUT}", re.IGNORECASE)
_OR_LATER = re.compile(r"\s*(?:or later|onwards?|at the earliest)\b", re.IGNORECASE)
_OR_EARLIER = re.compile(r"\s*(?:at the latest|or earlier|latest)\b", re.IGNORECASE)
_CLOSED = re.compile(
    r"\b(?:no|not|never|nobody|no[ -]?one|none|closed?|closes|closing|shuts?|shutting|locked|unmanned|away|gone|leaves?|hold off|refuses?|"
    r"unavailable|busy|cannot|without|break|siesta|lunch|prayers)\b|\w+n['’]t\b|\b(?:wo|ca|do|is|are|did|does|should|could|was|were|ha[sv]e?)nt\b",
    re.IGNORECASE,
)
"""Before `until 3` or `after 3`: the customer does not take goods then."""
_OPENS = re.compile(r"\b(?:re)?open(?:s|ed|ing)?\b", re.IGNORECASE)
_CLAUSE = re.compile(r"[,;:.!?]|\b(?:and|but|so|or)\b", re.IGNORECASE)
_WHOLE_PART_OF_DAY = re.compile(r"(?:this |the )?(?:morning|afternoon|evening|day|today|tonight)", re.IGNORECASE)
"""Too vague for a plan to keep."""

_NO_END = 2 * DAY


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of a problem that a person has to confirm: the problem after it, and the change in one sentence."""

    problem: Problem
    text: str


def edit(problem: Problem, event: Mapping[str, Any]) -> Edit:
    """The edit that an event makes. Raises InputError for what the problem lacks, and for what the event leaves open."""
    kind = event.get("kind")
    unknown = [name for name in event if name != "kind" and name not in _OF_KIND.get(str(kind), event)]
    if unknown:
        raise InputError(
            "plans.event_has_no_such_field", value=event[unknown[0]], kind=kind, strange=unknown[0], of_kind=", ".join(_OF_KIND[str(kind)])
        )
    if kind in _ON_STREETS:
        return _on_streets(problem, event, str(kind))
    if kind == "van_broken":
        return _van_broken(problem, _named(event, "van"))
    if kind == "hours_changed":
        return _hours_changed(problem, event)
    if kind == "new_stop":
        return _new_stop(problem, event)
    if kind == "stop_cancelled":
        name = known_as(_named(event, "stop"), [name for name in problem.stop if name not in problem.cancelled], "stop")
        return Edit(replace(problem, cancelled=problem.cancelled | {name}), f"Cancel {name}.")
    if kind == "cleared":
        return _cleared(problem, event)
    raise InputError("plans.this_is_no_kind_of_event", value=kind, kinds=", ".join(KINDS))


def settled(event: Mapping[str, Any], sentence: str, named: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """An event that a model read in a sentence, as the sentence leaves no doubt about it.

    Fields that its kind lacks go; where no kind was found, all go. The only street, van or stop that stands in the sentence is the
    one that is meant. Words such as `until` and `not before` tell whether its only time is its beginning or its end. `tonight` belongs to
    the hour before it.

    Args:
        named: the known names in the sentence, in its words, by kind.
    """
    kind = event.get("kind")
    kept = {name: event[name] for name in _OF_KIND.get(str(kind), ()) if event.get(name)}
    needed = {name: _KIND_OF[name] for name in _OF_KIND.get(str(kind), ()) if name in _KIND_OF}
    if kind not in ("ice", None) and not any(name in kept for name in needed):
        only = [(name, named[one][0]) for name, one in needed.items() if len(named.get(one, ())) == 1]
        kept |= {name: [words] if name == "streets" else words for name, words in only} if len(only) == 1 else {}
    times: dict[str, str] = {name: str(kept.pop(name)) for name in ("begins", "ends") if name in kept}
    times = {name: words for name, words in times.items() if not _WHOLE_PART_OF_DAY.fullmatch(words.strip())}
    if len(times) == 1 and kind is not None:
        (name, words), *_ = times.items()
        times = {_begins_or_ends(str(kind), words, sentence) or name: words}
    return {"kind": kind, **kept, **{name: _with_part_of_day(words, sentence) for name, words in times.items()}}


def _begins_or_ends(kind: str, words: str, sentence: str) -> str:
    """Whether the only time of an event is its beginning or its end, by the words beside it; empty where that is in doubt.

    A street is closed `until 3`. A customer is open `until 3`, and closed `until 3`: then it opens.
    """
    before, found, after = sentence.partition(words)
    if not found:
        return ""
    if kind in _ON_STREETS:
        since = _SINCE.search(before)
        opens = since and _OPENS.search(_CLAUSE.split(before[: since.start()])[-1])
        return "ends" if _UNTIL.search(before) or opens else "begins" if since else ""
    if _OR_LATER.match(after) or _OR_EARLIER.match(after):
        return "begins" if _OR_LATER.match(after) else "ends"
    if _CLOSED.search(re.split(r"[.!?]", after)[0]):
        return ""
    if _BY.search(before):
        return "ends"
    until, since = _UNTIL.search(before) or _BEFORE.search(before), _SINCE.search(before)
    word = until or since
    if word is None:
        return ""
    closed = _CLOSED.search(_CLAUSE.split(before[: word.start()])[-1])
    return "ends" if bool(until) != bool(closed) else "begins"


def _with_part_of_day(words: str, sentence: str) -> str:
    found = re.search(rf"(?<!\w){re.escape(words)}{_PART_OF_DAY}", sentence, re.IGNORECASE)
    return words if found is None or clock_words.tells_half(words) else found.group()


def _named(event: Mapping[str, Any], field: str) -> str:
    value = event.get(field)
    if not isinstance(value, str) or not value.strip():
        raise InputError("plans.event_lacks_name", value=event.get("kind"), field=field)
    return value


def _holds(name: str, words: Sequence[str]) -> bool:
    """Whether a name has all of some words, in any order; a possessive counts as the word."""
    own = set(folded(name).split())
    return bool(words) and all(own & {word, f"{word}s", word.removesuffix("s")} for word in words)


def known_as(name: str, known: Iterable[str], what: str) -> str:
    """The known name that some words mean: the same but for case and spelling of `street`, or the only one that they are a part of, in
    this order or another. Raises InputError otherwise."""
    names = list(known)
    sought = folded(name)
    same = [other for other in names if folded(other) == sought]
    if not same and sought:
        part = re.compile(rf"\b{re.escape(sought)}\b")
        same = [other for other in names if part.search(folded(other))]
        same = same or [other for other in names if folded(other).replace(" ", "") == sought.replace(" ", "")]
        same = same or [other for other in names if _holds(other, sought.split())]
    if len(same) == 1:
        return same[0]
    if same:
        raise InputError("plans.more_than_one_has_this_name", value=name, kind=what, same=", ".join(sorted(same)[:8]))
    near = difflib.get_close_matches(sought, [folded(other) for other in names], n=3, cutoff=0.5)
    meant = [other for other in names if folded(other) in near][:3]
    raise InputError(
        "plans.nothing_has_this_name_but_some_are_near" if meant else "plans.nothing_has_this_name",
        value=name,
        kind=what,
        meant=" or ".join(meant) if meant else None,
        names=None if meant else (", ".join(sorted(names)[:8]) or "none"),
    )


def _period(problem: Problem, event: Mapping[str, Any]) -> tuple[int, int]:
    """From when until when an event lasts; what is past stays as it was."""
    earliest = problem.now or 0
    begins, ends = window(event, earliest)
    begins, ends = earliest if begins is None else begins, _NO_END if ends is None else ends
    if ends <= begins:
        raise InputError("plans.event_ends_before_it_begins", value=f"{clock(begins)}–{clock(ends)}")
    return max(begins, earliest), ends


def window(event: Mapping[str, Any], earliest: int) -> tuple[int | None, int | None]:
    """Seconds after midnight of the beginning and the end of an event, as far as it says them. Of two readings of an hour the end takes
    the one after the beginning, or after `earliest`."""
    begins = _time_of_day(event["begins"], "the beginning") if event.get("begins") else None
    if not event.get("ends"):
        return begins, None
    words = str(event["ends"])
    lasts = durations.read(words) or durations.read(f"next {words}")
    if lasts is not None and clock_words.read(words) is None and not _AN_HOUR.fullmatch(words.strip()):
        return begins, (earliest if begins is None else begins) + lasts
    ends = _time_of_day(words, "the end", earliest if begins is None else begins)
    if begins is not None and _AFTERNOON.search(words) and not clock_words.tells_half(str(event["begins"])) and begins + _NOON < ends:
        begins += _NOON  # `from 6 to 8 pm`
    return begins, ends


_NOON = 12 * 3600
_AN_HOUR = re.compile(r"(?:[5-9]|1\d|2[0-3])h(?:\d\d)?", re.IGNORECASE)
"""`16h` is a time of day, `2h` a stretch of time."""
_AFTERNOON = re.compile(r"p\.?m\b|afternoon|evening|night", re.IGNORECASE)


def _time_of_day(words: str, meant: str, after: int = 0) -> int:
    """Seconds after midnight of a time in a dispatcher's words. Where they do not tell the half of the day, one to five is in the
    afternoon, and an hour that is not after `after` is in the second half."""
    found = seconds_of(words, meant)
    if clock_words.tells_half(words) or not 0 < found < _NOON:
        return found
    return found + _NOON if found < 6 * 3600 or found <= after < found + _NOON else found


# Streets.


def street_names(problem: Problem) -> list[str]:
    """The streets that the files know: those of the table of streets, otherwise those of the stops' addresses."""
    return sorted(problem.streets) or sorted({street for stop in problem.stops if (street := street_of(stop.address))})


def street_of(address: str) -> str:
    """The street of an address: without its house number before or after it, and without its town."""
    street = address.split(",")[0].strip()
    bare = re.sub(r"\s+\d+\s*[a-z]?(?:\s*[-/]\s*\d+\s*[a-z]?)?$", "", street, flags=re.IGNORECASE)
    return bare if bare != street else re.sub(r"^\d+\s?[a-z]?\s+", "", street, flags=re.IGNORECASE)


def _on_streets(problem: Problem, event: Mapping[str, Any], kind: str) -> Edit:
    known = street_names(problem)
    streets = tuple(dict.fromkeys(known_as(name, known, "street") for name in event.get("streets") or ()))
    if not streets and kind != "ice":
        raise InputError("plans.event_names_no_street", value=kind)
    begins, ends = _period(problem, event)
    minutes = event.get("minutes") if kind == "jam" else None
    happened = StreetEvent(kind, streets, begins, ends, minutes)
    after = replace(problem, events=(*problem.events, happened))
    after = replace(after, travel=replace(after.travel, slowdowns=slowdowns(after)))
    when = (
        f"{'' if begins <= (problem.now or 0) else f' from {clock(begins)}'}{'' if ends >= _NO_END else f' until {clock(ends)}'}"
        or " for the whole day"
    )
    where = ", ".join(streets) or "all streets"
    text = {
        "road_closed": f"Close {where}{when}",
        "jam": f"Jam on {where}{when}: " + (f"each takes {minutes} minutes longer" if minutes else f"{problem.rules.jam:g} times as long"),
        "ice": f"Ice on {where}{when}: {problem.rules.ice:g} times as long",
    }[kind]
    return Edit(after, f"{text}. {_effect_text(problem, after, happened)}")


def _effect_text(problem: Problem, after: Problem, event: StreetEvent) -> str:
    time = max(event.begins, 0)
    before, then = problem.travel.at(time), after.travel.at(time)
    legs = int((then > before).sum())
    text = f"{legs} of {before.size - len(before)} ways between places take longer."
    network = problem.travel.network
    if not event.streets:
        return text
    if network is not None:
        walks = []
        if event.kind == "road_closed":
            for stop in problem.stops:
                point = stop.spot.point or (0.0, 0.0)
                old, new = network.door(point), network.door(point, event.streets)
                if old and (new is None or new.metres > old.metres + 1):
                    walks.append(stop.name)
        return f"{text} Reached on foot from the nearest open street: {', '.join(walks)}." if walks else text
    if problem.streets:
        near = f"{problem.rules.corridor:g} m"
        source = "the table of minutes" if problem.travel.source == "matrix" else problem.travel.source
        streets_unknown = f"Travel times by {source} do not say which streets they use"
        return f"{text} {streets_unknown}: a way counts if its straight line comes within {near} of one."
    return f"{text} No table of streets is given: only ways to and from stops with such an address count."


def slowdowns(problem: Problem) -> tuple[Slowdown, ...]:
    """The slowdowns of all events of a problem: one for each stretch of time in which the same events last."""
    bounds = sorted({bound for event in problem.events for bound in (event.begins, event.ends)})
    made = []
    for begin, end in pairwise(bounds):
        active = [event for event in problem.events if event.begins <= begin and event.ends >= end]
        if active:
            factors, metres = _travel_factors(problem, active)
            made.append(Slowdown(factors, begin, end, metres))
    return tuple(made)


def _travel_factors(problem: Problem, events: Sequence[StreetEvent]) -> tuple[npt.NDArray[np.float64], Any]:
    travel, rules = problem.travel, problem.rules
    found = np.ones(travel.seconds.shape)
    metres = None
    for event in events:
        if not event.streets:
            found *= rules.ice
    on_streets = [event for event in events if event.streets]
    if travel.network is not None and on_streets:
        closed, slow = _street_state(problem, on_streets)
        seconds, metres = travel.network.times(closed, slow)
        base = travel.seconds
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where((base > 0) & (base < NEVER), seconds / base, 1.0)
        ratio[(seconds >= NEVER) & (base < NEVER)] = np.inf
        return found * np.maximum(ratio, 1.0), metres
    for event in on_streets:
        touched = _legs_on_streets(problem, event.streets)
        if event.minutes:
            with np.errstate(divide="ignore"):
                longer = np.where(travel.seconds > 0, 1 + 60 * event.minutes / np.maximum(travel.seconds, 1), 1.0)
            found = np.where(touched, found * longer, found)
        else:
            found[touched] *= {"road_closed": rules.detour, "jam": rules.jam, "ice": rules.ice}[event.kind]
    return found, metres


def _street_state(problem: Problem, events: Sequence[StreetEvent]) -> tuple[set[str], dict[str, float]]:
    closed = {street for event in events if event.kind == "road_closed" for street in event.streets}
    slow: dict[str, float] = {}
    network = problem.travel.network
    for event in events:
        if network is not None and event.kind != "road_closed":
            for street in event.streets:
                slow[street] = slow.get(street, 1.0) * _street_factor(network, street, event, problem)
    return closed, slow


def driven_path(problem: Problem, origin: str, target: str, time: int) -> list[tuple[float, float]]:
    """The points of a leg on the streets as they are at a time of day; empty where no streets are known to lead there."""
    network, place = problem.travel.network, problem.travel.place
    if network is None:
        return []
    closed, slow = _street_state(problem, [event for event in problem.events if event.begins <= time < event.ends])
    return network.path(place[origin], place[target], closed, slow)


def _street_factor(network: StreetNetwork, street: str, event: StreetEvent, problem: Problem) -> float:
    if not event.minutes:
        return problem.rules.ice if event.kind == "ice" else problem.rules.jam
    usual = sum(beeline(piece.start, piece.end) / (piece.kmh / 3.6) for piece in network.pieces if piece.street == street)
    return 1 + 60 * event.minutes / max(usual, 1.0)


def _legs_on_streets(problem: Problem, streets: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which ways count as using a street, where only straight lines are known."""
    travel: Travel = problem.travel
    spots = [*(stop.spot for stop in (*problem.stops, *problem.customers.values()))]
    spots += [spot for van in (*problem.vans, *problem.broken) for spot in (van.start, van.end)]
    points = {spot.name: spot.point for spot in spots}
    size = len(travel.names)
    found = np.zeros((size, size), dtype=bool)
    if not problem.streets:
        for stop in problem.stops:
            if street_of(stop.address) in streets:
                number = travel.place[stop.name]
                found[number, :] = found[:, number] = True
    lines = [line for street in streets for line in problem.streets.get(street, ())]
    for i in range(size):
        for j in range(i + 1, size):
            one, other = points.get(travel.names[i]), points.get(travel.names[j])
            if one and other and any(_is_near(one, other, line, problem.rules.corridor) for line in lines):
                found[i, j] = found[j, i] = True
    np.fill_diagonal(found, False)
    return found


def _is_near(one: tuple[float, float], other: tuple[float, float], line: Sequence[tuple[float, float]], metres: float) -> bool:
    for begin, end in pairwise(line):
        if _segments_cross(one, other, begin, end):
            return True
        ends = ((begin, one, other), (end, one, other), (one, begin, end), (other, begin, end))
        if any(nearest_on(point, *piece)[1] <= metres for point, *piece in ends):
            return True
    return False


def _segments_cross(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float], d: tuple[float, float]) -> bool:
    def side(p: tuple[float, float], q: tuple[float, float], r: tuple[float, float]) -> float:
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0


# Vans and stops.


_VANS = ("van", "truck", "lorry", "unit", "vehicle", "car", "wagen", "transporter")


def _van_broken(problem: Problem, words: str) -> Edit:
    names = [van.name for van in problem.vans]
    # `vehicle 2` and `Dave's van` are known by what is left without the word for a van.
    bare = [word for word in folded(words).split() if word not in _VANS]
    left_over = (
        [other for other in names if _holds(other, bare)] if not any(_holds(other, folded(words).split()) for other in names) else []
    )
    name = left_over[0] if len(left_over) == 1 else known_as(words, names, "van")
    van = next(van for van in problem.vans if van.name == name)
    left = tuple(other for other in problem.vans if other is not van)
    after = replace(problem, vans=left, broken=(*problem.broken, van))
    when = f" from {clock(problem.now)}" if problem.now is not None else ""
    others = "the other van, as far as it has" if len(left) == 1 else f"the other {len(left)} vans, as far as they have"
    return Edit(after, f"{name} does not drive{when}. Its stops go to {others} room.")


def _new_hours(event: Mapping[str, Any], stop: Stop) -> tuple[int, int]:
    opens, closes = window(event, stop.opens)
    return stop.opens if opens is None else opens, stop.closes if closes is None else closes


def _hours_changed(problem: Problem, event: Mapping[str, Any]) -> Edit:
    stop = problem.stop[known_as(_named(event, "stop"), problem.stop, "stop")]
    if not event.get("begins") and not event.get("ends"):
        raise InputError("plans.event_says_no_time", value=stop.name)
    opens, closes = _new_hours(event, stop)
    if closes < opens:
        value = f"{clock(opens)}–{clock(closes)}"
        raise InputError("plans.stop_would_close_before_it_opens", value=value, name=stop.name)
    text = f"{stop.name} takes goods from {clock(opens)} to {clock(closes)} instead of {clock(stop.opens)} to {clock(stop.closes)}."
    changed = replace(stop, opens=opens, closes=closes)
    return Edit(replace(problem, stops=tuple(changed if other is stop else other for other in problem.stops)), text)


def _new_stop(problem: Problem, event: Mapping[str, Any]) -> Edit:
    words = _named(event, "stop")
    free = {name: stop for name, stop in problem.customers.items() if name not in problem.stop}
    twice = [name for name in problem.stop if folded(name) == folded(words)]
    if twice:
        raise InputError("plans.this_stop_is_in_plan_already", value=twice[0])
    try:
        stop = free[known_as(words, free, "customer")]
    except InputError as error:
        todo = f"{error.todo} A new stop needs its place: add a row with its coordinates to the table of customers."
        raise InputError(error.what, value=error.value, todo=todo) from None
    if event.get("load") is not None:
        stop = replace(stop, demand=int(event["load"]) * PLACES)
    opens, closes = _new_hours(event, stop)
    stop = replace(stop, opens=opens, closes=closes)
    if stop.closes < stop.opens:
        value = f"{clock(stop.opens)}–{clock(stop.closes)}"
        raise InputError("plans.window_ends_before_it_begins", value=value)
    load = f"{stop.demand / PLACES:g}"
    text = f"Add {stop.name} ({stop.address or 'no address'}): load {load}, from {clock(stop.opens)} to {clock(stop.closes)}."
    return Edit(replace(problem, stops=(*problem.stops, stop)), text)


def _cleared(problem: Problem, event: Mapping[str, Any]) -> Edit:
    if event.get("van"):
        name = known_as(_named(event, "van"), [van.name for van in problem.broken], "van that stands still")
        van = next(van for van in problem.broken if van.name == name)
        broken = tuple(other for other in problem.broken if other is not van)
        return Edit(replace(problem, vans=(*problem.vans, van), broken=broken), f"{name} drives again.")
    if event.get("stop"):
        name = known_as(_named(event, "stop"), problem.cancelled, "cancelled stop")
        return Edit(replace(problem, cancelled=problem.cancelled - {name}), f"Deliver to {name} after all.")
    known = list(dict.fromkeys(street for one in problem.events for street in one.streets))
    streets = {known_as(name, known, "street with an event") for name in event.get("streets") or ()}
    gone = [one for one in problem.events if streets & set(one.streets) or (not streets and not one.streets)]
    if not gone:
        raise InputError("plans.no_such_event_is_in_plan", value="cleared")
    left = [replace(one, streets=tuple(street for street in one.streets if street not in streets)) for one in gone]
    kept = (*(one for one in problem.events if one not in gone), *(one for one in left if one.streets))
    after = replace(problem, events=kept)
    after = replace(after, travel=replace(after.travel, slowdowns=slowdowns(after)))
    return Edit(after, f"{', '.join(sorted(streets)) or 'All streets'}: as before the event{'s' if len(gone) > 1 else ''}.")
