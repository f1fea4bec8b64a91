"""Sales from a table: one regular series for each item, by day, week or month. Remarks list what was left out or assumed."""

from __future__ import annotations

import datetime
import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from smidgen.core.errors import DataError
from smidgen.data.item_ids import item_ids
from smidgen.plans.solving import ProblemTable
from smidgen.plans.stock.columns import (
    NAMES,
    by_month,
    cell,
    column,
    read_dates,
    read_marks,
    read_numbers,
    shown_day,
    shown_names,
    shown_number,
)
from smidgen.text.column_names import column_key, columns_told

WEEK, MONTH = 7, 30
_WORDS = {1: "day", WEEK: "week", MONTH: "month"}
_MONTHS_SEEN = 0.8
"""Share of the months from the first to the last with a date from which on one date a month means totals of months."""
_OPEN_SHARE = 0.95
"""Share of a weekday's dates with rows from which on a date without any row is missing, not zero. Of eight dates or more one may lack."""
_FEW_DATES = 8
_GAP_DAYS = 7
"""Days in a row without any row that are missing in any shop that is open on half of them."""
_DENSE_SHARE = 0.9
"""Share of an item's periods with rows from which on, where the file writes zeros itself, a period without a row is missing."""
_NAMES_EACH = 1.2
"""Names per item, on average, up to which a column holds names of items: a shop renames an item now and then."""
MAX_GAP_DAYS = 200
MAX_SPAN_DAYS = 20 * 366


@dataclass(frozen=True)
class SalesColumns:
    """Columns of a table of sales; None: found by its name."""

    item: str | None = None
    date: str | None = None
    quantity: str | None = None
    promotion: str | None = None


@dataclass(frozen=True)
class ItemSales:
    """The sales of one item, from its first sale to the last date of the file.

    Attributes:
        item, name: its id, and its name for people.
        first: the first day of the first period.
        sold: (n,) pieces sold in each period; NaN where nothing is known of it.
        promoted: (n,) whether a promotion was on.
    """

    item: str
    name: str
    first: datetime.date
    sold: NDArray[np.float64]
    promoted: NDArray[np.bool_]


@dataclass(frozen=True)
class SalesHistory:
    """The sales of a shop.

    Attributes:
        days: of a period: 1 or 7; 30 for months of the calendar.
        last: the last day of the last period.
        items: by id, in the order of the file.
        remarks: what was left out or taken for granted.
    """

    days: int
    last: datetime.date
    items: dict[str, ItemSales]
    remarks: tuple[str, ...] = ()

    def day(self, sales: ItemSales, place: int) -> datetime.date:
        """The first day of a period of an item."""
        return _period_start(sales.first, place, self.days)

    @property
    def length(self) -> float:
        """Days of a period, of months their mean."""
        return 365.25 / 12 if self.days == MONTH else self.days

    def periods_text(self, periods: int | None = None) -> str:
        """`12 weeks`; without a number `weeks`."""
        word = _WORDS[self.days]
        return f"{word}s" if periods is None else f"{periods} {word}" + ("s" if periods > 1 else "")


@dataclass
class _Row:
    item: str
    name: str
    date: datetime.date
    quantity: float
    promoted: bool


@dataclass
class _Sums:
    """An item's quantities and promotions by date, while rows are read."""

    name: str = ""
    by_date: dict[datetime.date, float] = field(default_factory=dict)
    promoted: set[datetime.date] = field(default_factory=set)
    zeros: int = 0


def read_sales(table: ProblemTable, columns: SalesColumns | None = None) -> SalesHistory:
    """The series of every item.

    Several rows of an item and a date are added. Rows below zero are returns: they are left out, not subtracted. A date without a row of an
    item is zero, unless the file shows that it is missing (see `_missing_dates` and `_DENSE_SHARE`).

    Raises DataError for a cell that is no date or number, and a table without rows.
    """
    rows, remarks, months = _read_rows(table, columns or SalesColumns())
    kept = [row for row in rows if row.quantity >= 0]
    if len(kept) < len(rows):
        returned = sorted({row.item for row in rows if row.quantity < 0})
        pieces = -sum(row.quantity for row in rows if row.quantity < 0)
        many = f"{len(rows) - len(kept):,} rows are" if len(rows) - len(kept) > 1 else "1 row is"
        what = f"{shown_number(pieces)} pieces; {shown_names(returned)}"
        remarks.append(f"{many} below zero ({what}): counted as returns, left out of sales, not subtracted.")
    if not kept:
        raise DataError("plans.table_has_no_sales", rows=len(rows), file=table.file)
    days = _period_days(sorted({row.date for row in kept}), table.file, months)
    if days == MONTH:
        for row in kept:
            row.date = row.date.replace(day=1)
    last = _period_start(max(row.date for row in kept), 1, days) - datetime.timedelta(days=1)
    if days == MONTH:
        remarks.append(
            f"Sales by month: the last one ends on {shown_day(last)} and counts as complete. Within a month they are taken as even."
        )
    sums: dict[str, _Sums] = {}
    for row in kept:
        found = sums.setdefault(row.item, _Sums())
        found.name = found.name or row.name
        found.by_date[row.date] = found.by_date.get(row.date, 0.0) + row.quantity
        found.zeros += row.quantity == 0
        if row.promoted:
            found.promoted.add(row.date)
    missing = _missing_dates({row.date for row in kept}, days)
    if missing:
        word = _WORDS[days]
        many = f"{len(missing)} {word}s" if len(missing) > 1 else f"1 {word}"
        dates = f"{many} ({shown_names([shown_day(day) for day in missing], 3)}) {'are' if len(missing) > 1 else 'is'}"
        remarks.append(f"{dates} without any row in the file: missing, not zero.")
    items, gaps = {}, []
    for item, found in sums.items():
        items[item], own = _item_series(item, found, days, last, set(missing))
        gaps += [item] if own else []
    if gaps:
        remarks.append(
            f"The file writes zeros for {shown_names(gaps)}, so periods without a row are missing there, not zero. For every other item "
            "a period without a row is zero."
        )
    return SalesHistory(days, last, items, tuple(remarks))


def _read_rows(table: ProblemTable, columns: SalesColumns) -> tuple[list[_Row], list[str], bool]:
    if not table.rows:
        raise DataError("plans.table_of_sales_has_no_rows", value=table.file, file=table.file)
    item, date = column(table, "item", columns.item), column(table, "date", columns.date)
    promotion = column(table, "promotion", columns.promotion, needed=False)
    assert item is not None and date is not None
    days = read_dates(table, date)
    marks = read_marks(table, promotion) if promotion else [False] * len(days)
    quantity = column(table, "quantity", columns.quantity, needed=False)
    if quantity is None and not any(":" in cell(row, item) for _, row in table.rows[:200]):
        column(table, "quantity", None)  # which raises
    counts = read_numbers(table, quantity) if quantity else []
    name = _name_column(table, item)
    found = {"item": item, "date": date, "quantity": quantity, "promotion": promotion, "name": name}
    remarks = columns_told(table.file, table.columns, {role: taken for role, taken in found.items() if taken is not None})
    rows, unnamed = [], 0
    for place, (number, row) in enumerate(table.rows):
        text = cell(row, item)
        if not text:
            unnamed += 1
            continue
        sold = [(text, counts[place])] if quantity else _order_lines(text, table.file, number, item)
        rows += [_Row(id, cell(row, name), days[place], count, marks[place]) for id, count in sold]
    if unnamed:
        remarks.append(f"{unnamed:,} rows name no item: left out." if unnamed > 1 else "1 row names no item: left out.")
    return rows, remarks, by_month(table, date)


def _name_column(table: ProblemTable, item: str) -> str | None:
    """The first column named like a name in which each item has one name, so that it is not the name of an order."""
    named = set(map(column_key, NAMES["name"]))
    for candidate in (one for one in table.columns if one != item and column_key(one) in named):
        names: dict[str, set[str]] = {}
        for _, row in table.rows:
            names.setdefault(cell(row, item), set()).add(cell(row, candidate))
        if sum(map(len, names.values())) <= _NAMES_EACH * len(names):
            return candidate
    return None


def _order_lines(text: str, file: str, row: int, name: str) -> list[tuple[str, float]]:
    """The items of an order in one cell with their quantities: `RU-004:1;RU-009:2`. One without a quantity is one piece."""
    try:
        ids = item_ids(text)
    except ValueError as error:
        raise DataError("plans.cell_names_no_items", value=text, reason=error, file=file, row=row, column=name) from None
    counts = Counter[str]()
    for part in text.replace("|", ";").split(";"):
        id, _, count = part.strip().rpartition(":")
        counts[id.strip() if id else part.strip()] += int(count) if id and count.strip().isdigit() else 1
    return [(id, float(counts[id])) for id in ids]


def _period_start(first: datetime.date, periods: int, days: int) -> datetime.date:
    if days != MONTH:
        return first + datetime.timedelta(days=days * periods)
    year, month = divmod(12 * first.year + first.month - 1 + periods, 12)
    return datetime.date(year, month + 1, 1)


def _period_starts(first: datetime.date, last: datetime.date, days: int) -> list[datetime.date]:
    found, end = [], first
    while (end := _period_start(start := end, 1, days)) <= last + datetime.timedelta(days=1):
        found.append(start)
    return found


def _period_days(dates: Sequence[datetime.date], file: str, months: bool) -> int:
    """The days of a period, of months `MONTH`. `months`: the dates are months.

    Raises DataError for half a year without rows, and for totals of another period that is longer than a week.
    """
    for before, after in itertools.pairwise(dates):
        if (after - before).days > MAX_GAP_DAYS:
            raise DataError("plans.table_has_no_rows_for_half_year", first=shown_day(before), last=shown_day(after), file=file)
    if (dates[-1] - dates[0]).days > MAX_SPAN_DAYS:
        value = f"{shown_day(dates[0])} to {shown_day(dates[-1])}"
        raise DataError("plans.sales_span_more_than_20_years", value=value, file=file)
    if months:
        return MONTH
    if len(dates) > 2:
        gaps = np.diff([day.toordinal() for day in dates])
        spanned = 12 * (dates[-1].year - dates[0].year) + dates[-1].month - dates[0].month + 1
        if gaps.min() >= 28 - 2 and len({(day.year, day.month) for day in dates}) == len(dates) >= _MONTHS_SEEN * spanned:
            return MONTH
        if gaps.min() == gaps.max() > 2 * WEEK:
            value = f"{shown_day(dates[0])}, {shown_day(dates[1])}"
            raise DataError("plans.sales_are_by_other_periods", value=value, days=int(gaps.min()), file=file)
        if gaps.min() >= WEEK and len({day.weekday() for day in dates}) == 1:
            return WEEK
    return 1


def _missing_dates(seen: set[datetime.date], days: int) -> list[datetime.date]:
    """The periods between the first and the last that have no row of any item, and are missing rather than zero.

    A date is missing if at least 19 of 20 dates of its weekday have rows (of few weeks, all but one), or if it is one of seven or more such
    dates in a row on which the shop is mostly open. Otherwise the shop was closed or sold nothing.
    """
    first, last = min(seen), max(seen)
    every = _period_starts(first, _period_start(last, 1, days) - datetime.timedelta(days=1), days)
    kind = {day: day.weekday() if days == 1 else 0 for day in every}
    total, with_rows = Counter(kind.values()), Counter(kind[day] for day in every if day in seen)
    share = {weekday: with_rows[weekday] / count for weekday, count in total.items()}
    open_days = {
        weekday for weekday, count in total.items() if share[weekday] >= _OPEN_SHARE or with_rows[weekday] == count - 1 >= _FEW_DATES - 1
    }
    found: list[datetime.date] = []
    run: list[datetime.date] = []
    for day in [*every, _period_start(last, 1, days)]:
        if day not in seen and day <= last:
            run.append(day)
            continue
        long = len(run) * days >= _GAP_DAYS and np.mean([share[kind[gap]] for gap in run]) >= 0.5
        found += [gap for gap in run if kind[gap] in open_days or (long and share[kind[gap]] >= 0.1)]
        run = []
    return found


def _item_series(item: str, sums: _Sums, days: int, last: datetime.date, missing: set[datetime.date]) -> tuple[ItemSales, bool]:
    first = min(sums.by_date)
    every = _period_starts(first, last, days)
    written = bool(sums.zeros) and len(sums.by_date) >= _DENSE_SHARE * len(every) and len(sums.by_date) < len(every) - len(missing)
    sold = np.array([sums.by_date.get(day, np.nan if written or day in missing else 0.0) for day in every])
    promoted = np.array([day in sums.promoted for day in every], dtype=np.bool_)
    return ItemSales(item, sums.name or item, first, sold, promoted), written
