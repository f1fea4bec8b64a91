"""Columns of tables of sales and stock: found by their names, and their cells read as dates and numbers."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from smidgen.core.errors import DataError
from smidgen.plans.solving import ProblemTable
from smidgen.text import dates, numbers
from smidgen.text.column_names import column_like

NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "item": (
            *(
                "item",
                "item_id",
                "sku",
                "lineitem_sku",
                "product_id",
                "article",
                "article_number",
                "product",
                "items",
                "code",
                "ean",
                "gtin",
            ),
            *("artikelnummer", "artikelnr", "artikel_nr", "art_nr", "artikel", "produkt", "produktnummer"),
        ),
        "date": (
            *("date", "day", "week", "month", "order_date", "created_at", "sold_at", "sale_date", "invoicedate", "paid_at"),
            *("purchased_at", "time", "timestamp"),
            *("datum", "tag", "woche", "monat", "verkaufsdatum", "bestelldatum", "verkaufstag"),
        ),
        "quantity": (
            *("quantity", "qty", "units", "units_sold", "quantity_sold", "lineitem_quantity", "sold", "pieces", "count", "sales"),
            *("menge", "anzahl", "stück", "stueck", "stk", "verkauft", "verkaufte_menge", "absatz"),
        ),
        "promotion": ("promotion", "promo", "on_promotion", "onpromotion", "campaign", "aktion", "angebot", "rabattaktion"),
        "name": (
            *("name", "product_name", "item_name", "title", "description", "lineitem_name"),
            *("bezeichnung", "produktname", "artikelname", "artikelbezeichnung", "titel"),
        ),
        "stock": (
            *("stock", "in_stock", "on_hand", "stock_on_hand", "inventory", "quantity_in_stock", "available"),
            *("bestand", "lagerbestand", "lager", "vorrat"),
        ),
        "lead_time": ("lead_time", "lead_time_days", "leadtime", "delivery_days", "lieferzeit", "lieferzeit_tage", "lieferzeit_in_tagen"),
        "pack": ("pack", "pack_size", "pack_quantity", "case_size", "ve", "vpe", "verpackungseinheit", "gebinde", "packungsgröße"),
        "least": ("minimum_order", "min_order", "minimum", "moq", "mindestbestellmenge", "mindestmenge"),
        "on_order": ("on_order", "ordered", "incoming", "in_transit", "bestellt", "unterwegs", "offene_bestellung"),
        "supplier": ("supplier", "vendor", "lieferant"),
        "unit": ("unit", "einheit", "mengeneinheit"),
    }
)
"""Names of columns by what they hold, the surest first."""
_NAMES_OF_ITEMS = (
    *("product_name", "item_name", "lineitem_name", "product_title", "product_description"),
    *("produktname", "artikelname", "artikelbezeichnung", "produktbezeichnung", "bezeichnung"),
)
"""Where a table has no ids, names tell the items; `name` alone may be that of an order or a customer."""
_NUMBER = re.compile(r"[-+−]?[ \u00a0]*(?:\d[\d.,'’ \u00a0\u202f]*|[.,]\d+)(?:[ \u00a0]*[^\W\d_]{1,12}\.?)?")
_CLOCK = re.compile(r"[T ,]+\d{1,2}:\d{2}.*$")
_ISO_WEEK = re.compile(r"(\d{4})-?W(\d{2})", re.IGNORECASE)
_YES = frozenset({"1", "x", "yes", "y", "true", "ja", "j", "wahr"})
_NO = frozenset({"", "0", "no", "n", "false", "nein", "falsch", "-"})


def column(table: ProblemTable, role: str, named: str | None, needed: bool = True) -> str | None:
    """The column of a role: the one that is named, else the first whose name says it; None if none does and it is not needed.

    Raises DataError for a name that the table lacks, and for a needed column that no name fits.
    """
    if named is not None:
        if named not in table.columns:
            raise DataError("plans.table_has_no_such_column", value=named, columns=", ".join(table.columns), file=table.file)
        return named
    found = column_like(table.columns, NAMES[role])
    if found is None and role == "item":
        found = column_like(table.columns, _NAMES_OF_ITEMS)
    if found is None and needed:
        raise DataError("plans.no_column_is_named_like_role", value=", ".join(table.columns)[:200], role=role, file=table.file)
    return found


def cell(row: Mapping[str, Any], name: str | None) -> str:
    """A cell as a text without spaces around it; empty where there is no such column."""
    value = row.get(name) if name is not None else None
    return "" if value is None else " ".join(str(value).split())


def read_numbers(table: ProblemTable, name: str, empty: float | None = None) -> list[float]:
    """The numbers of a column, with the decimal mark that its cells show. An empty cell gets `empty`; None: it is refused.

    Raises DataError for a cell that is no number, or that could be read in two ways (`1.250`) where no other cell shows which.
    """
    cells = [(number, cell(row, name)) for number, row in table.rows]
    marks = {mark for text in {text for _, text in cells} if text and (mark := numbers.mark(text)) is not None}
    if len(marks) > 1:
        number, text = next((number, text) for number, text in cells if numbers.mark(text) == ",")
        raise DataError("plans.column_mixes_decimal_marks", value=text, file=table.file, row=number, column=name)
    mark, known, found = next(iter(marks), None), dict[str, float](), []
    for number, text in cells:
        if text not in known:
            known[text] = _parse_number(text, mark, empty, table.file, number, name)
        found.append(known[text])
    return found


def _parse_number(text: str, mark: str | None, empty: float | None, file: str, row: int, name: str) -> float:
    if not text and empty is not None:
        return empty
    value = numbers.read(text, mark or ".") if _NUMBER.fullmatch(text) else None
    if value is None:
        raise DataError("plans.cell_is_no_number", value=text or "an empty cell", file=file, row=row, column=name)
    if mark is None and numbers.either_way(text):
        raise DataError("plans.number_can_be_read_in_two_ways", value=text, file=file, row=row, column=name)
    return float(value)


def by_month(table: ProblemTable, name: str) -> bool:
    """Whether the dates of a column are months, such as `2026-03` or `March 2026`. Raises DataError where only some are."""
    months = {text: dates.read_month(text) for _, row in table.rows if (text := cell(row, name))}
    known = sum(month is not None for month in months.values())
    days = [text for text, month in months.items() if month is None]
    if known and days:
        value = f"{next(text for text, month in months.items() if month)}, {days[0]}"
        raise DataError("plans.some_dates_are_months_and_others_days", value=value, file=table.file, column=name)
    return known > 0


def read_dates(table: ProblemTable, name: str) -> list[datetime.date]:
    """The dates of a column, of months the first days. Whether the day comes first is read from cells that show it; with dots it does.

    Raises DataError for a cell that is no date, for cells that contradict each other, and for a column that can be read in two ways.
    """
    cells = [(number, _CLOCK.sub("", cell(row, name))) for number, row in table.rows]
    if by_month(table, name):
        cells = [(number, dates.read_month(text) or text) for number, text in cells]
    first = _day_first(cells, table.file, name)
    known, found = dict[str, datetime.date](), []
    for number, text in cells:
        if text not in known:
            known[text] = _parse_date(text, first, table.file, number, name)
        found.append(known[text])
    return found


def _day_first(cells: Iterable[tuple[int, str]], file: str, name: str) -> bool:
    rows_by_order: dict[bool, int] = {}
    open_row: tuple[int, str] | None = None
    for number, text in {text: (number, text) for number, text in cells}.values():
        shown = dates.order(text)
        if shown is not None:
            rows_by_order.setdefault(shown, number)
        elif open_row is None and "." not in text and text and not _ISO_WEEK.fullmatch(text) and dates.either_way(text):
            open_row = (number, text)
    if len(rows_by_order) > 1:
        value = f"rows {rows_by_order[True]} and {rows_by_order[False]}"
        raise DataError("plans.dates_mix_day_and_month_order", value=value, file=file, column=name)
    if not rows_by_order and open_row is not None:
        row, text = open_row
        raise DataError("plans.date_can_be_read_in_two_ways", value=text, file=file, row=row, column=name)
    return next(iter(rows_by_order), True)


def _parse_date(text: str, day_first: bool, file: str, row: int, name: str) -> datetime.date:
    week = _ISO_WEEK.fullmatch(text)
    try:
        date = datetime.date.fromisocalendar(int(week[1]), int(week[2]), 1).isoformat() if week else dates.read(text, day_first)
    except ValueError:
        date = None
    if date is None:
        raise DataError("plans.cell_is_no_date", value=text or "an empty cell", file=file, row=row, column=name)
    return datetime.date.fromisoformat(date)


def read_marks(table: ProblemTable, name: str) -> list[bool]:
    """The yes and no of a column: `1`, `x`, `yes`, `ja`; `0`, `no`, `nein` or empty. Any other word is the name of a promotion: yes."""
    found = []
    for _, row in table.rows:
        text = cell(row, name).casefold()
        found.append(text in _YES or text not in _NO)
    return found


def shown_names(names: Sequence[str], count: int = 5) -> str:
    """Names in a sentence: the first few, and how many more there are."""
    more = len(names) - count
    return ", ".join(names[:count]) + (f" and {more} more" if more > 0 else "")


def shown_number(value: float, decimals: int = 2) -> str:
    """A number in a sentence, with at most so many decimals: `1,234.5`."""
    return f"{value:,.{decimals}f}".rstrip("0").rstrip(".")


def shown_day(day: datetime.date) -> str:
    """A day in a sentence: `3 December 2026`."""
    return f"{day.day} {day:%B} {day.year}"
