"""When to order how much: by stock, the supplier's lead time, and the demand until the next delivery after that."""

from __future__ import annotations

import datetime
import math
import re
from dataclasses import dataclass, replace

from smidgen.core.errors import DataError
from smidgen.plans.solving import ProblemTable
from smidgen.plans.stock.columns import cell, column, read_numbers
from smidgen.plans.stock.demand import Demand
from smidgen.text import durations

MAX_LEAD_DAYS = 365
_SHORT_DAYS = re.compile(r"(\d+)\s*(?:d|t|tg)\.?", re.IGNORECASE)
_BETWEEN = re.compile(r"(\d+)\s*(?:-|–|to|bis)\s*(\d+)(?![\d-])", re.IGNORECASE)
"""A lead time from so many to so many days."""
STOCK_ROLES = ("item", "stock", "name", "supplier", "lead_time", "pack", "least", "on_order")
"""The roles that columns of the table of stock may have."""


@dataclass(frozen=True)
class StockedItem:
    """An item's stock and supply.

    Attributes:
        item, name: its id, and its name for people.
        stock: pieces in stock.
        lead_days: days from an order to its delivery; None if unknown.
        pack: pieces are ordered in multiples of it.
        least: fewest pieces of an order.
        coming: pieces ordered and not yet here, by the day on which they are expected; None for the day is within the lead time.
        supplier: its name; empty if unknown.
    """

    item: str
    name: str
    stock: float
    lead_days: int | None
    pack: float = 1.0
    least: float = 0.0
    coming: tuple[tuple[datetime.date | None, float], ...] = ()
    supplier: str = ""

    @property
    def on_order(self) -> float:
        """Pieces that were ordered and have not arrived."""
        return sum(pieces for _, pieces in self.coming)


@dataclass(frozen=True)
class Order:
    """An order of an item.

    Attributes:
        pieces: how many; 0 for none before the next look at the stock.
        by: the latest day to order: later, the stock may not last until the delivery. None if nothing is ordered.
        late: whether the stock may run out before a delivery even if it is ordered at once.
        runs_out: the day on which the stock is expected to be used up; None if it lasts longer than the forecast.
        reorder_point: order when stock and what is ordered fall to it.
        up_to: what stock and order cover: the demand until the delivery after the next.
    """

    pieces: float
    by: datetime.date | None
    late: bool
    runs_out: datetime.date | None
    reorder_point: int
    up_to: int


def read_stock(table: ProblemTable, usual_lead: int | None = None) -> dict[str, StockedItem]:
    """The stock table by item. `usual_lead`: lead time of items without one.

    Raises DataError for a cell that cannot be used, and for an item that is there twice.
    """
    item, stock = column(table, "item", None), column(table, "stock", None)
    name, supplier = column(table, "name", None, needed=False), column(table, "supplier", None, needed=False)
    lead, pack, least, coming = (column(table, role, None, needed=False) for role in ("lead_time", "pack", "least", "on_order"))
    assert item is not None and stock is not None
    many = len(table.rows)
    stocks = read_numbers(table, stock)
    leads = _read_lead_times(table, lead) if lead else [-1.0] * many
    packs = read_numbers(table, pack, empty=1.0) if pack else [1.0] * many
    leasts = read_numbers(table, least, empty=0.0) if least else [0.0] * many
    comings = read_numbers(table, coming, empty=0.0) if coming else [0.0] * many
    found: dict[str, StockedItem] = {}
    for place, (number, row) in enumerate(table.rows):
        id = cell(row, item)
        if not id:
            raise DataError("plans.row_names_no_item", file=table.file, row=number, column=item)
        if id in found:
            raise DataError("plans.item_is_there_twice", value=id, file=table.file, row=number, column=item)
        for column_name, value in ((stock, stocks[place]), (pack, packs[place]), (least, leasts[place]), (coming, comings[place])):
            if column_name is not None and value < 0:
                raise DataError("plans.number_is_below_zero", value=value, file=table.file, row=number, column=column_name)
        days = leads[place]
        if days > MAX_LEAD_DAYS or (days < 0 and days != -1.0) or days != int(days):
            raise DataError(
                "plans.lead_time_in_table_is_no_number_of_days",
                value=days,
                longest_lead=MAX_LEAD_DAYS,
                file=table.file,
                row=number,
                column=lead,
            )
        on_order = ((None, comings[place]),) if comings[place] else ()
        found[id] = StockedItem(
            id,
            cell(row, name) or id,
            stocks[place],
            usual_lead if days < 0 else int(days),
            packs[place] or 1.0,
            leasts[place],
            on_order,
            cell(row, supplier),
        )
    return found


def _read_lead_times(table: ProblemTable, name: str) -> list[float]:
    """The lead times of a column in days; -1 for an empty cell. A cell may have a unit: `2 weeks`."""
    rows = []
    for number, row in table.rows:
        text = _in_calendar_days(cell(row, name))
        if any(map(str.isalpha, text)):
            seconds = durations.read(text) if durations.find(text) == [(0, len(text))] else None
            if seconds is None or seconds % durations.DAY:
                raise DataError(
                    "plans.lead_time_in_table_is_no_number_of_days",
                    value=cell(row, name),
                    longest_lead=MAX_LEAD_DAYS,
                    file=table.file,
                    row=number,
                    column=name,
                )
            text = str(seconds // durations.DAY)
        rows.append((number, {**row, name: text}))
    return read_numbers(replace(table, rows=rows), name, empty=-1.0)


def _in_calendar_days(text: str) -> str:
    """A lead time in calendar days; of a range such as `5-10 working days` the longer one."""
    between = _BETWEEN.match(text)
    longer = text[between.start(2) :] if between is not None and int(between[1]) < int(between[2]) else text
    short = _SHORT_DAYS.fullmatch(longer)
    return f"{short[1]} days" if short else durations.in_calendar_days(longer)


def lead_time_remarks(table: ProblemTable) -> list[str]:
    """Remarks on how ranges of lead times and working days are read, with an example of each."""
    lead = column(table, "lead_time", None, needed=False)
    cells = [text for _, row in table.rows if (text := cell(row, lead))]
    working = next(
        ((text, words) for text in cells if (words := _in_calendar_days(text)) != text and durations.in_calendar_days(text) != text), None
    )
    between = next((text for text in cells if _BETWEEN.match(text)), None)
    remarks = [f"Of a lead time such as {between} the longer counts."] if between else []
    if working:
        remarks.append(f"Lead times in working days are read as five a week: {working[0]} are {working[1]}.")
    return remarks


def plan_order(stocked: StockedItem, demand: Demand, review_days: int) -> Order:
    """The order of one item. `demand` reaches over the lead time and twice the days between two looks at the stock.

    The stock suffices for as many days as the demand with the chosen probability stays below it. Ordering has time until the rest is the
    lead time. The order covers the demand until the delivery after the next.
    """
    lead = stocked.lead_days or 0
    longest = len(demand.enough) - 1
    wait = -1
    for days in range(longest - lead - review_days + 1):
        if demand.enough[days + lead] > _available(stocked, demand, days + lead):
            break
        wait = days
    late = wait < 0
    ends = next((day for day in range(longest + 1) if demand.expected[day] > _available(stocked, demand, day)), None)
    runs_out = None if ends is None else demand.first + datetime.timedelta(days=max(0, ends - 1))
    reorder_point, up_to = math.ceil(demand.enough[lead]), math.ceil(demand.enough[lead + review_days])
    if wait >= review_days:
        return Order(0.0, None, False, runs_out, reorder_point, up_to)
    until = min(longest, max(0, wait) + lead + review_days)
    shortage = float(demand.enough[until]) - stocked.stock - stocked.on_order
    pieces = max(stocked.least, math.ceil(max(0.0, shortage) / stocked.pack - 1e-9) * stocked.pack) if shortage > 0 else 0.0
    pieces = math.ceil(pieces / stocked.pack - 1e-9) * stocked.pack
    if not pieces:
        return Order(0.0, None, late, runs_out, reorder_point, up_to)
    return Order(pieces, demand.first + datetime.timedelta(days=max(0, wait)), late, runs_out, reorder_point, up_to)


def _available(stocked: StockedItem, demand: Demand, days: int) -> float:
    last = demand.first + datetime.timedelta(days=days - 1)
    lead = stocked.lead_days or 0
    return stocked.stock + sum(pieces for day, pieces in stocked.coming if (day <= last if day is not None else days >= lead))
