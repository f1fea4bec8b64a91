"""A day of deliveries: stops, vans, travel times, and what is fixed already. All times are seconds after midnight, all lengths metres."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from smidgen.core.errors import InputError
from smidgen.plans.routing.tile_map import Tiles
from smidgen.plans.routing.travel import Travel

DAY = 24 * 3600
PLACES = 100
"""Steps of a unit of load: demands count in hundredths."""
NO_LIMIT = 1_000_000 * PLACES
"""The capacity of a van that has room for everything."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A place on the map. Latitude and longitude in degrees; None where only a matrix of travel times knows the place."""

    name: str
    latitude: float | None
    longitude: float | None

    @property
    def point(self) -> tuple[float, float] | None:
        """Latitude and longitude; None where they are not known."""
        return None if self.latitude is None or self.longitude is None else (self.latitude, self.longitude)


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop of a plan.

    Attributes:
        spot: where it is; its name is unique among all places.
        address: for people; empty if not given.
        demand: load in hundredths of a unit.
        opens: the earliest time at which the work may begin.
        closes: the latest one.
        service: seconds of the work there.
        priority: 1 to 9; of two stops that exclude each other the higher one is kept.
        optional: whether it may stay out if it costs too much time.
        skills: what a van must have for it.
    """

    spot: Spot
    address: str
    demand: int
    opens: int
    closes: int
    service: int
    priority: int = 1
    optional: bool = False
    skills: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """Its name."""
        return self.spot.name


@dataclass(frozen=True, slots=True)
class Break:
    """A driver's break: its seconds, and the earliest and the latest time at which it may begin. Who is back by then needs none."""

    seconds: int
    opens: int
    closes: int


@dataclass(frozen=True, slots=True)
class TakenBreak:
    """A break in a route: from when until when, and the place: where the van stood before, or the stop at which it waits."""

    begins: int
    ends: int
    place: str


@dataclass(frozen=True, slots=True)
class Van:
    """A van: its capacity in hundredths of a unit, its shift, where it starts and ends, its skills, and its driver's break."""

    name: str
    capacity: int
    leaves: int
    back: int
    start: Spot
    end: Spot
    skills: frozenset[str] = frozenset()
    rest: Break | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """How things are weighed: factors of travel time for jams, ice and detours, and costs in seconds of driving."""

    jam: float = 2.0
    ice: float = 1.5
    detour: float = 1.6
    corridor: float = 60.0
    van_cost: int = 1800
    optional_worth: int = 3600


@dataclass(frozen=True, slots=True)
class Visit:
    """A stop in a route: when the van arrives, when the work begins, and when it ends."""

    stop: str
    arrives: int
    begins: int
    ends: int


@dataclass(frozen=True, slots=True)
class Underway:
    """A van that has left.

    Attributes:
        leaves: when it left.
        visits: what it has served, or begun to, at the times recorded.
        heading: the stop that it is driving to; None if it stands.
        loaded: the stops of its last plan, whose goods may be on board.
        rest: the driver's break, if it has begun.
    """

    leaves: int
    visits: tuple[Visit, ...]
    heading: str | None = None
    loaded: frozenset[str] = frozenset()
    rest: TakenBreak | None = None

    @property
    def stops(self) -> tuple[str, ...]:
        """The stops that it keeps, in their order."""
        return (*(visit.stop for visit in self.visits), *([self.heading] if self.heading else []))


@dataclass(frozen=True, slots=True)
class StreetEvent:
    """Streets that are closed or slow for a while; no streets: all of them. `minutes`: what driving a whole street takes longer, where that
    is known."""

    kind: str
    streets: tuple[str, ...]
    begins: int
    ends: int
    minutes: int | None = None


@dataclass(frozen=True)
class Problem:
    """The whole problem.

    Attributes:
        stops: all stops, served ones too.
        vans: those that can drive.
        travel: times and lengths between all places, with what events changed.
        customers: places that a new stop may have, by name.
        streets: for each street its lines of points (latitude, longitude), for the map and for events.
        now: the time from which a plan may change; None before the day.
        underway: by van, what it has served or is driving to, once it has left.
        broken: vans that stand still; what they served is in `underway`.
        cancelled: stops that are not wanted any more.
        events: what happened on the streets.
        swap: whether a stop may move to another van after its van left.
        rules: how events and costs are weighed.
        seed: of the search.
        tiles: for a map with tiles; None: none is made.
        remarks: what was assumed or changed, in sentences.
    """

    stops: tuple[Stop, ...]
    vans: tuple[Van, ...]
    travel: Travel
    customers: Mapping[str, Stop] = field(default_factory=dict)
    streets: Mapping[str, Sequence[Sequence[tuple[float, float]]]] = field(default_factory=dict)
    now: int | None = None
    underway: Mapping[str, Underway] = field(default_factory=dict)
    broken: tuple[Van, ...] = ()
    cancelled: frozenset[str] = frozenset()
    events: tuple[StreetEvent, ...] = ()
    swap: bool = True
    rules: Rules = field(default_factory=Rules)
    seed: int = 0
    tiles: Tiles | None = None
    remarks: tuple[str, ...] = ()

    @cached_property
    def stop(self) -> Mapping[str, Stop]:
        """The stops by name."""
        return {stop.name: stop for stop in self.stops}

    @cached_property
    def holder(self) -> Mapping[str, str]:
        """By stop, the van that has left with its goods, where goods may not move to another one."""
        return {} if self.swap else {stop: van for van, under in self.underway.items() for stop in under.loaded}

    def noted(self, remark: str) -> Problem:
        """The problem with one more remark."""
        return replace(self, remarks=(*self.remarks, remark))


@dataclass(frozen=True, slots=True)
class Route:
    """The route of one van: when it leaves, its visits in their order, when it is back, seconds and metres of driving, and the break."""

    van: str
    leaves: int
    visits: tuple[Visit, ...]
    back: int
    driving: int
    metres: int
    rest: TakenBreak | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A stop that no van serves, and the constraint to relax.

    Attributes:
        stop: its name.
        constraint: `capacity`, `window`, `shift`, `skill`, several of them, or `travel` if no van can get there at all.
        reason: a sentence that says what would let it in, or that nothing small would.
        facts: the numbers of the sentence, by name.
    """

    stop: str
    constraint: str
    reason: str
    facts: Mapping[str, str | int | float]


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan: routes of the vans that drive, and what is left out."""

    routes: tuple[Route, ...]
    left_out: tuple[LeftOut, ...]


def clock(seconds: int) -> str:
    """A time of day as `HH:MM`; after midnight it counts on (`25:10`). Seconds are dropped."""
    return f"{seconds // 3600:02d}:{seconds % 3600 // 60:02d}"


def clock_up(seconds: int) -> str:
    """A time of day as `HH:MM`, rounded up to a whole minute."""
    return clock(-(-seconds // 60) * 60)


def units(amount: int) -> str:
    """An amount of load in units, without needless zeros."""
    return f"{amount / PLACES:.2f}".rstrip("0").rstrip(".")


def counted(number: int, thing: str) -> str:
    """A number of things: `1 stop`, `2 stops`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def seconds_of(text: str, meant: str) -> int:
    """Read a time of day in some words. Raises InputError."""
    from smidgen.text import clock as words

    found = words.read_alone(text)
    if found is None:
        raise InputError("plans.phrase_is_no_time_of_day", value=text, meant=meant)
    hours, minutes = map(int, found.split(":"))
    if hours * 60 + minutes > 24 * 60 or minutes > 59:
        raise InputError("plans.cell_is_no_time_of_day", value=text, meant=meant)
    return hours * 3600 + minutes * 60
