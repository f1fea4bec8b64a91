"""Rows of the tables that routes and trips are planned from: columns are found by their names, and a bad cell is named."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NoReturn

from smidgen.core.errors import DataError, InputError
from smidgen.plans.routing.problem import DAY, seconds_of
from smidgen.plans.solving import ProblemTable
from smidgen.text import durations
from smidgen.text.column_names import column_like, columns_told

NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "name": (
            *("name", "stop", "customer", "client", "company", "recipient", "van", "vehicle", "driver", "place", "site", "title"),
            *("kunde", "kundenname", "firma", "empfänger", "fahrzeug", "wagen", "kennzeichen", "fahrer", "bezeichnung", "ort"),
        ),
        "address": ("address", "full_address", "adresse", "anschrift"),
        "road": ("street", "street_address", "road", "straße", "strasse"),
        "house": ("house_number", "hausnummer", "hausnr"),
        "postcode": ("postcode", "zip", "zip_code", "postal_code", "plz", "postleitzahl"),
        "town": ("city", "town", "stadt", "ort"),
        "latitude": ("latitude", "lat", "geo_lat", "breite", "breitengrad"),
        "longitude": ("longitude", "lon", "lng", "long", "geo_lon", "geo_lng", "länge", "längengrad"),
        "demand": (
            *("demand", "load", "quantity", "qty", "units", "crates", "boxes", "parcels", "pallets", "weight"),
            *("menge", "ladung", "kisten", "pakete", "paletten", "gewicht", "anzahl"),
        ),
        "opens": ("opens", "from", "earliest", "window_start", "ready_time", "von", "ab", "öffnet", "frühestens"),
        "closes": ("closes", "until", "latest", "window_end", "due_time", "due_date", "bis", "schließt", "spätestens"),
        "window": ("time_window", "window", "delivery_window", "opening_hours", "hours", "zeitfenster", "lieferfenster", "öffnungszeiten"),
        "minutes": (
            *("minutes", "service_minutes", "service_time", "service", "stop_minutes", "visit_minutes", "duration_minutes", "duration_min"),
            *("duration", "minuten", "standzeit", "aufenthalt", "dauer_minuten", "dauer_min", "dauer", "entladezeit"),
        ),
        "priority": ("priority", "priorität"),
        "optional": ("optional",),
        "skills": ("skills", "needs", "requires", "fähigkeiten", "braucht"),
        "capacity": ("capacity", "max_load", "payload", "kapazität", "ladekapazität", "zuladung", "nutzlast"),
        "starts": ("starts", "shift_start", "start_time", "from", "leaves", "schichtbeginn", "arbeitsbeginn", "beginn", "von", "ab"),
        "ends": ("ends", "shift_end", "end_time", "until", "back", "schichtende", "arbeitsende", "ende", "bis"),
        "start": ("start", "depot", "start_place", "start_location", "base", "startort", "standort", "lager"),
        "start_latitude": ("start_latitude", "start_lat", "depot_latitude", "depot_lat", "latitude", "lat", "breite", "breitengrad"),
        "start_longitude": (
            *("start_longitude", "start_lon", "start_lng", "depot_longitude", "depot_lon", "depot_lng"),
            *("longitude", "lon", "lng", "länge", "längengrad"),
        ),
        "break_minutes": ("break_minutes", "break", "pause", "pause_minuten"),
        "break_from": ("break_from", "pause_von"),
        "break_until": ("break_until", "pause_bis"),
        "end": ("end", "end_place", "zielort"),
        "end_latitude": ("end_latitude", "end_lat"),
        "end_longitude": ("end_longitude", "end_lon", "end_lng"),
        "street": ("street", "name", "straße", "strasse"),
        "kmh": ("kmh", "km/h", "speed", "tempo"),
        "oneway": ("oneway", "one_way", "einbahn"),
        "kind": ("kind", "category", "type", "art", "kategorie", "typ"),
        "price": ("price", "entry", "entrance_fee", "charge", "admission", "cost", "ticket", "preis", "eintritt"),
        "score": ("score", "rating", "stars", "bewertung"),
        "tags": ("tags", "labels", "themes", "features", "merkmale", "themen", "stichworte"),
        "monday": ("monday", "mon", "mo", "montag"),
        "tuesday": ("tuesday", "tue", "tu", "dienstag", "di"),
        "wednesday": ("wednesday", "wed", "we", "mittwoch", "mi"),
        "thursday": ("thursday", "thu", "th", "donnerstag", "do"),
        "friday": ("friday", "fri", "fr", "freitag"),
        "saturday": ("saturday", "sat", "sa", "samstag"),
        "sunday": ("sunday", "sun", "su", "sonntag", "so"),
    }
)
"""Names that a column may have, the usual one first."""
_LOADS = ("kg", "paletten", "kisten", "pakete", "stück", "stk", "pallets", "crates", "boxes", "parcels", "units", "l", "liter")
UNITS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"minutes": ("min", "mins", "minuten", "minutes"), "demand": _LOADS, "capacity": _LOADS, "price": ("eur", "euro", "gbp", "usd", "chf")}
)
"""Units that may follow these names: `Standzeit (min)`."""

_NUMBER = re.compile(r"[-+−]?\d+(?:[.,]\d+)?")
_THOUSANDS = re.compile(r"[1-9]\d{0,2}[.,]\d{3}")
_AMOUNTS = ("demand", "capacity", "price", "score")
"""Columns in which a mark before three digits may stand for thousands."""
_SINCE = re.compile(r"(?:after|from|since|ab|nach|von)\s+([^-–]+)")
_UNTIL = re.compile(r"(?:before|until|till|by|to|vor|bis)\s+([^-–]+)")
_STRETCH = re.compile(r"(?:from\s+|between\s+|von\s+|zwischen\s+)?(.+?)\s*(?:-|–|—|\bto\b|\bbis\b|\band\b|\bund\b|\buntil\b)\s*(.+)")
_YES, _NO = ("yes", "y", "true", "1", "x", "ja", "j"), ("no", "n", "false", "0", "", "nein")


class NamedColumns:
    """The columns of a table by what they hold."""

    def __init__(self, table: ProblemTable) -> None:
        self._keys = {column.strip().casefold(): column for column in table.columns}
        self._found: dict[str, str | None] = {}

    def named(self, name: str) -> str | None:
        """The column, in lower case, of one of `NAMES`, or of its own name; None if there is none."""
        if name not in self._found:
            known = NAMES.get(name, ())
            with_unit = [one + word + unit for one in known for word in ("_", "_in_") for unit in UNITS.get(name, ())]
            self._found[name] = name if name in self._keys else column_like(self._keys, known) or column_like(self._keys, with_unit)
        return self._found[name]

    def written(self, name: str) -> str:
        """The column as the file writes it; empty if there is none."""
        return self._keys[column] if (column := self.named(name)) is not None else ""

    def unit(self, name: str) -> str:
        """The unit in the column's own name; empty if it has none."""
        column = self.named(name) or ""
        last = re.split(r"[\W_]+", column.strip(" ).]"))[-1]
        return last if last in UNITS.get(name, ()) else ""

    def remarks(self, file: str, roles: Iterable[str]) -> list[str]:
        """Remarks on columns that have an unusual name, and on unused ones."""
        found = {role: self._keys[column] for role in roles if (column := self.named(role)) is not None}
        return columns_told(file, self._keys.values(), found)


class TableRow:
    """One row of a table; each method reads a cell, or raises DataError that names it."""

    def __init__(self, table: ProblemTable, number: int, cells: Mapping[str, Any], columns: NamedColumns) -> None:
        self.table, self.number, self._columns = table, number, columns
        self._cells = {str(name).strip().casefold(): value for name, value in cells.items()}

    def column(self, name: str) -> str | None:
        """The file's own name for a column; None if it has none."""
        return self._columns.named(name)

    def text(self, name: str, default: str | None = None) -> str:
        """A cell as text. An empty one is the default; without a default it is a mistake."""
        column = self.column(name)
        value = "" if column is None or self._cells.get(column) is None else " ".join(str(self._cells[column]).split())
        if value:
            return value
        if default is None:
            if column is None:
                self._missing(name)
            self.fail("plans.cell_is_empty", name, value="")
        return default

    def number_of(
        self,
        name: str,
        default: float | None = None,
        *,
        least: float = -math.inf,
        most: float = math.inf,
        beside: re.Pattern[str] | None = None,
    ) -> float:
        """A cell as a number, with a decimal point or a decimal comma. `beside`: what may stand once before or behind it."""
        column = self.column(name)
        value = self._cells.get(column) if column is not None else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            found = float(value)
        else:
            text = self.text(name, None if default is None else "")
            if not text and default is not None:
                return default
            text = beside.sub("", text, count=1).strip() if beside is not None else text
            if not _NUMBER.fullmatch(text):
                self.fail("plans.cell_is_no_coordinate_or_amount", name, value=text)
            if name in _AMOUNTS and _THOUSANDS.fullmatch(text):
                whole, part = re.split("[.,]", text)
                self.fail(
                    "plans.number_may_have_thousands_or_decimals",
                    name,
                    value=text,
                    whole=f"{whole}{part}",
                    decimal=f"{float(f'{whole}.{part}'):g}",
                )
            found = float(text.replace(",", ".").replace("−", "-"))
        if not least <= found <= most or not math.isfinite(found):
            value = self._cells[column or name]
            self.fail("plans.number_is_out_of_range", name, value=value, least=f"{least:g}", most=f"{most:g}")
        return found

    def minutes(self, name: str, *, most: float) -> int:
        """A cell with minutes, or with words such as `1 h 30`, as seconds; an empty one is 0."""
        text = self.text(name, "")
        seconds = None if not text or _NUMBER.fullmatch(text) else durations.read(text)
        if seconds is not None and seconds <= most * 60:
            return seconds
        if seconds is None and text and not _NUMBER.fullmatch(text):
            self.fail("plans.cell_is_no_minutes", name, value=text)
        return round(self.number_of(name, 0.0, least=0, most=most) * 60)

    def time(self, name: str, default: int) -> int:
        """A cell as seconds after midnight."""
        text = self.text(name, "")
        if re.fullmatch(r"\d{1,2}:\d{2}:\d{2}", text):
            text = text[:-3]
        try:
            return seconds_of(text, "the cell") if text else default
        except InputError:
            self.fail("plans.cell_is_no_time", name, value=text)

    def window(self, name: str) -> tuple[int, int] | None:
        """A cell such as `8:00-12:00`, `after 9` or `bis 11 Uhr` as seconds after midnight; None for an empty one."""
        text = self.text(name, "").casefold()
        if not text:
            return None
        for form, (first, last) in ((_STRETCH, (1, 2)), (_SINCE, (1, None)), (_UNTIL, (None, 1))):
            match = form.fullmatch(text)
            if match is None:
                continue
            try:
                opens = seconds_of(match[first], "the cell") if first else 0
                closes = seconds_of(match[last], "the cell") if last else DAY
            except InputError:
                continue
            if opens < closes:
                return opens, closes
            self.fail("plans.window_in_cell_ends_before_it_begins", name, value=text)
        self.fail("plans.cell_is_no_stretch_of_time", name, value=text)

    def truth(self, name: str) -> bool:
        """A cell as yes or no; an empty one is no."""
        text = self.text(name, "").casefold()
        if text not in (*_YES, *_NO):
            self.fail("plans.cell_is_neither_yes_nor_no", name, value=text)
        return text in _YES

    def words(self, name: str) -> frozenset[str]:
        """A cell as a set of words between commas, semicolons, or slashes."""
        return frozenset(word.strip().casefold() for word in re.split(r"[,;/|]", self.text(name, "")) if word.strip())

    def fail(self, code: str, name: str, **pieces: Any) -> NoReturn:
        """Raise DataError for a cell in the column `name`."""
        column = self._columns.written(name) or name
        raise DataError(code, file=self.table.file, row=self.number, column=column, **pieces)

    def _missing(self, name: str) -> NoReturn:
        near = difflib.get_close_matches(name, [column.casefold() for column in self.table.columns], n=1)
        raise DataError(
            "plans.column_is_missing_but_one_is_near" if near else "plans.column_is_missing",
            value=name,
            columns=", ".join(self.table.columns),
            name=name,
            near=near[0] if near else None,
            file=self.table.file,
        )


def rows_of(table: ProblemTable) -> list[TableRow]:
    """The rows of a table that are not empty. Raises DataError if there are none."""
    columns = NamedColumns(table)
    filled = [(number, cells) for number, cells in table.rows if any(str(cell or "").strip() for cell in cells.values())]
    if not filled:
        raise DataError("plans.table_has_no_rows", value=table.file, file=table.file)
    return [TableRow(table, number, cells, columns) for number, cells in filled]
