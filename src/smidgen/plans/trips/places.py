"""Places of a region, from a table: where they are, how long a visit takes, what it costs, when they are open."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from smidgen.plans.routing.problem import DAY, Spot
from smidgen.plans.routing.table_rows import NAMES, NamedColumns, TableRow, rows_of
from smidgen.plans.routing.tables import spot_of, unique_names, unswapped
from smidgen.plans.solving import ProblemTable
from smidgen.text.column_names import column_key
from smidgen.text.opening_hours import CLOSED, WEEKDAYS, Hours, OpeningHours, by_weekday, read_day, read_opening_hours

_USUAL_VISIT = 60 * 60
PLACE_COLUMNS = ("name", "latitude", "longitude", "kind", "minutes", "price", "score", "tags", "window", *WEEKDAYS)
"""The roles that columns of the table may have; `window` is the hours of the whole week."""
OSM_KINDS = ("tourism", "amenity", "leisure", "historic", "shop", "natural")
"""Keys of OpenStreetMap that say of which kind a place is (wiki.openstreetmap.org/wiki/Map_features)."""
_FREE = ("free", "free entry", "no", "none", "gratis", "frei", "kostenlos", "kostenfrei", "eintritt frei")
_CURRENCY = re.compile(r"[€£$]|\b(?:eur|euros?|gbp|usd|chf)\b\.?", re.IGNORECASE)
_OSM_TYPES = ("node", "way", "relation")


@dataclass(frozen=True, slots=True)
class Place:
    """A place to visit.

    Attributes:
        spot: where it is; its name is unique.
        kind: such as museum or restaurant.
        lasts: seconds of a visit.
        price: for one person.
        score: how much it is worth seeing; 1 for an ordinary place.
        tags: what it is known for, and its kind.
        hours: when it is open; None where the table's words are not read.
        words: of the table on its hours.
    """

    spot: Spot
    kind: str
    lasts: int
    price: float
    score: float
    tags: frozenset[str]
    hours: OpeningHours | None
    words: str = ""

    @property
    def name(self) -> str:
        """Its name."""
        return self.spot.name


def read_places(table: ProblemTable, *, located: bool) -> list[Place]:
    """The places of a table. Raises DataError for a cell that cannot be used. `located`: whether each must have coordinates."""
    rows = rows_of(table)
    kinds = kind_columns(table)
    named = [row for row in rows if row.text("name", "")] if kinds != ("kind",) else rows
    rows = named or rows
    places = [_place(row, located, kinds) for row in rows]
    unique_names(rows, [place.name for place in places])
    unswapped(rows, [place.spot for place in places])
    return places


def kind_columns(table: ProblemTable) -> tuple[str, ...]:
    """The columns that say of which kind a place is: one, or those of OpenStreetMap. A `type` that says `node` is no kind."""
    columns = NamedColumns(table)
    found = columns.named("kind")
    own = tuple(name for name in OSM_KINDS if columns.named(name) is not None)
    if found is None or not own:
        return own or ("kind",)
    cells = [
        str(value or "").strip().casefold() for _, row in table.rows for name, value in row.items() if name.strip().casefold() == found
    ]
    named = column_key(found) in NAMES["kind"] and not all(cell in ("", *_OSM_TYPES) for cell in cells)
    return ("kind",) if named else own


def nameless(table: ProblemTable) -> int:
    """How many rows of a table of OpenStreetMap have no name, such as those of benches. They are left out; of another table, refused."""
    rows = rows_of(table)
    return sum(not row.text("name", "") for row in rows) if kind_columns(table) != ("kind",) else 0


def _place(row: TableRow, located: bool, columns: Sequence[str]) -> Place:
    kinds = [kind for name in columns for part in re.split(r"[,;/|]", row.text(name, "")) if (kind := _kind_in_words(part, name))]
    hours, words = _weekly_hours(row)
    return Place(
        spot=spot_of(row, "name", "latitude", "longitude", located),
        kind=kinds[0] if kinds else "",
        lasts=row.minutes("minutes", most=24 * 60) if row.text("minutes", "") else _USUAL_VISIT,
        price=_price(row),
        score=row.number_of("score", 1.0, least=0, most=1e4),
        tags=row.words("tags") | frozenset(kinds),
        hours=hours,
        words=words,
    )


def _price(row: TableRow) -> float:
    if row.text("price", "").casefold() in _FREE:
        return 0.0
    return row.number_of("price", 0.0, least=0, most=1e5, beside=_CURRENCY)


def _kind_in_words(word: str, column: str) -> str:
    """A kind in words: `theme_park` is a theme park; `historic=yes` says no more than historic."""
    word = word.strip().casefold()
    if column not in OSM_KINDS:
        return word
    return column if word == "yes" else "" if word == "no" else word.replace("_", " ")


def _weekly_hours(row: TableRow) -> tuple[OpeningHours | None, str]:
    whole = row.text("window", "")
    if not whole or any(row.text(weekday, "") for weekday in WEEKDAYS):
        return by_weekday(_hours_of_weekday(row, weekday) for weekday in WEEKDAYS), ""
    return read_opening_hours(whole), whole


def _hours_of_weekday(row: TableRow, weekday: str) -> Hours:
    """The stretches in a cell such as `9:00-12:00, 13:00-17:00`; an empty cell is always open, `closed` never."""
    text = row.text(weekday, "").casefold()
    if not text:
        return ((0, DAY),)
    if text in CLOSED:
        return ()
    found = []
    for part, begin, end in read_day(text, r"[,;]", r"\s*(?:-|–|to|bis)\s*"):
        if begin is None or end is None:
            row.fail("plans.cell_is_no_opening_hours", weekday, value=part)
        if end <= begin:
            row.fail("plans.place_closes_before_it_opens", weekday, value=part)
        found.append((begin, end))
    return tuple(sorted(found))


def tags_of(places: Sequence[Place]) -> list[str]:
    """Every tag and kind of some places, sorted."""
    return sorted({tag for place in places for tag in place.tags})
