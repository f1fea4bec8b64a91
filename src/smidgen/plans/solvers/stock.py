"""The solver `stock`: from sales and stock, how much to order of each item, by when, and why."""

from __future__ import annotations

import datetime
import difflib
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from smidgen.core.errors import DataError, InputError
from smidgen.core.settings import Settings, setting
from smidgen.plans.solving import Cell, Change, ProblemTable, Solution, SolutionTable, Solver, Statement, Telling
from smidgen.plans.stock.chart import sales_chart
from smidgen.plans.stock.cleaning import CleanSales, clean_sales, shop_uplift
from smidgen.plans.stock.columns import column, shown_day, shown_names
from smidgen.plans.stock.demand import Demand, beginning, forecast_demands, promoted, without
from smidgen.plans.stock.ordering import MAX_LEAD_DAYS, STOCK_ROLES, Order, StockedItem, lead_time_remarks, plan_order, read_stock
from smidgen.plans.stock.sales import SalesColumns, SalesHistory, read_sales
from smidgen.text import dates, durations, relative_days
from smidgen.text.column_names import columns_told

MAX_DAYS_AFTER_SALES = 28
"""Days between the last sale and the day of the plan."""
_HALF_YEAR = 183
_CHARTS = 6
"""Only the most urgent items get a chart."""


class StockSettings(Settings):
    """Sales, stock, and how sure it must be that nothing runs out."""

    sales: str = setting(
        ..., "Table of sales: a row for each sale, or for each item and day, week or month. Columns are found by their names.", file=True
    )
    stock: str | None = setting(
        None,
        "Table of stock: item, pieces in stock, lead time in days; if you have them, name, supplier, pack size, on order. Without it, "
        "sales are forecast and nothing is ordered.",
        file=True,
    )
    item: str | None = setting(None, "Column of the item in the table of sales (default: found by its name).")
    date: str | None = setting(None, "Column of the date in the table of sales (default: found by its name).")
    quantity: str | None = setting(None, "Column of the pieces sold (default: found by its name).")
    promotion: str | None = setting(None, "Column of promotions (default: found by its name, if there is one).")
    service: float = setting(0.95, "Service level: probability that the stock lasts until the next delivery, 0.5 to 0.99.", ge=0.5, le=0.99)
    review: int = setting(7, "Days between stock reviews.", ge=1, le=90)
    lead_time: int | None = setting(None, "Lead time in days for items without one in the table.", ge=0, le=MAX_LEAD_DAYS)
    today: str | None = setting(None, "The day of the plan, as 2026-11-30 (default: the day after the last sale).")


@dataclass(frozen=True)
class StockProblem:
    """A shop as it was read, with what was changed since.

    Attributes:
        history: the sales.
        stocked: the stock by item; empty without a table of stock.
        today: the day of the plan.
        service, review: of the settings.
        promotions: planned ones by item: first day, last day, and how many times as much sells; None: as measured.
        ends: the last day of discontinued items.
        remarks: about the tables.
    """

    history: SalesHistory
    stocked: Mapping[str, StockedItem]
    today: datetime.date
    service: float
    review: int
    promotions: Mapping[str, tuple[tuple[datetime.date, datetime.date, float], ...]] = field(default_factory=dict)
    ends: Mapping[str, datetime.date] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def name(self, item: str) -> str:
        """An item's name for people."""
        if item in self.stocked and self.stocked[item].name != item:
            return self.stocked[item].name
        return self.history.items[item].name if item in self.history.items else item


@dataclass(frozen=True)
class _Planned:
    """One item's part of the plan. `order` is None where nothing can be ordered, `demand` where nothing can be forecast; `why` says why."""

    item: str
    name: str
    clean: CleanSales | None
    demand: Demand | None
    order: Order | None
    why: str = ""


class StockSolver(Solver):
    """Forecast sales, and plan orders from the stock and the lead times."""

    name = "stock"
    title = "Stock"
    summary = "Forecast sales, and say how much to order of each item, by when and why."
    settings = StockSettings
    changes: Mapping[str, Any] = MappingProxyType(
        {
            "type": "object",
            "properties": {
                "kind": {
                    "enum": ["lead_time", "delivery", "promotion", "discontinued", "stock"],
                    "description": "lead_time: a supplier takes longer or less long; delivery: ordered goods arrive; promotion: more will "
                    "be sold; discontinued: it is not sold any more; stock: a new count",
                },
                "item": {"type": ["string", "null"], "maxLength": 120, "description": "name or id, in the words of the sentence"},
                "supplier": {"type": ["string", "null"], "maxLength": 120, "description": "in the words of the sentence"},
                "days": {"type": ["integer", "null"], "minimum": 0, "maximum": MAX_LEAD_DAYS, "description": "the new lead time"},
                "takes": {"type": ["string", "null"], "maxLength": 60, "description": "the new lead time in words, such as three weeks"},
                "quantity": {"type": ["integer", "null"], "minimum": 0, "description": "of the delivery or the count"},
                "day": {"type": ["string", "null"], "maxLength": 60, "description": "of the delivery, in the words of the sentence"},
                "first": {"type": ["string", "null"], "maxLength": 60, "description": "first day of the promotion, in its words"},
                "last": {"type": ["string", "null"], "maxLength": 60, "description": "last day of the promotion or of sale, in its words"},
                "percent": {"type": ["integer", "null"], "minimum": 1, "maximum": 2000, "description": "how much more will be sold"},
            },
            "required": ["kind"],
            "additionalProperties": False,
        }
    )
    examples = (
        "Stoke Pottery takes 21 days now.",
        "40 Hearthside mugs arrive on 4 December 2026.",
        "The Moss Velvet Cushion is on offer from 5 to 7 December 2026.",
        "The Oak Stool is discontinued.",
    )
    usual = MappingProxyType({"item": ("lantern", "bike pump", "teapot")})
    telling = MappingProxyType(
        {
            "lead_time": Telling(
                r"(?:now )?takes?|needs?|lead time|delivers? in|(?:takes? )?to (?:arrive|come|deliver)", "of|for|from|in|up to|on"
            ),
            "delivery": Telling(
                r"(?:will )?(?:arrives?|come|comes|be delivered)|(?:is|are) (?:arriving|coming|due|expected)|arriving|landing|expected|due",
                "on|of|by|from|more",
            ),
            "promotion": Telling(
                r"(?:is |are )?on (?:offer|promotion|promo)|(?:is |are )?promoted|promotion|promo|offer",
                "from|to|until|till|on|for|of|percent|%|more",
            ),
            "discontinued": Telling(
                r"(?:is |are )?(?:being )?(?:discontinued|delisted|phased out)|discontinue|delist|end of line", "last day"
            ),
            "stock": Telling(
                r"(?:we )?(?:have )?counted|(?:there (?:is|are)|we have)|in stock|stock of|count of|shelf count", "in stock|on the shelf|of"
            ),
        }
    )

    def read(self, settings: Any, tables: Mapping[str, ProblemTable]) -> StockProblem:
        """The problem. Raises DataError for a cell that cannot be used."""
        history = read_sales(tables["sales"], SalesColumns(settings.item, settings.date, settings.quantity, settings.promotion))
        after = history.last + datetime.timedelta(days=1)
        today = _plan_day(settings.today, after)
        stocked = read_stock(tables["stock"], settings.lead_time) if "stock" in tables else {}
        stocked, respelled = _matched_by_case(stocked, history.items)
        unsold = [entry.name for id, entry in stocked.items() if id not in history.items]
        remarks = [*history.remarks, *(_stock_remarks(tables["stock"]) if stocked else ())]
        if respelled:
            remarks.append(f"Taken as one item, though the case of its letters differs: {shown_names(respelled)}.")
        if unsold:
            have = "has" if len(unsold) == 1 else "have"
            remarks.append(f"{shown_names(unsold)} {have} stock and no sales in the file: not planned.")
        if not set(stocked) & set(history.items) and stocked:
            raise DataError("plans.no_item_of_sales_is_in_table_of_stock", value=shown_names(list(stocked)), file=tables["stock"].file)
        return StockProblem(history, stocked, today, settings.service, settings.review, remarks=tuple(remarks))

    def changed(self, problem: StockProblem, change: Change) -> StockProblem:
        """The problem after a change. Raises InputError for an item or a supplier that the tables lack, and for what is left open."""
        return _CHANGES[change["kind"]](problem, change)

    def shown_change(self, problem: StockProblem, change: Change) -> str:
        """The change as a sentence. Raises InputError as `changed` does."""
        self.changed(problem, change)
        kind = change["kind"]
        if kind == "lead_time":
            items = _lead_items(problem, change)
            who = change.get("supplier") or problem.name(items[0])
            before = sorted({problem.stocked[item].lead_days for item in items} - {None}, key=lambda days: days or 0)
            was = f", was {' or '.join(map(str, before))}" if before else ""
            many = f" ({len(items)} items)" if len(items) > 1 else ""
            return f"{who}{many}: lead time {_lead_days(change)} days{was}"
        item = _item(problem, change)
        name = problem.name(item)
        if kind == "delivery":
            return f"{name}: {change['quantity']} pieces arrive on {shown_day(_day(problem, change, 'day'))}"
        if kind == "promotion":
            first, last, times = _promotion(problem, item, change)
            return f"{name}: promotion from {shown_day(first)} to {shown_day(last)}, {times:.1f} times as much is sold"
        if kind == "stock":
            return f"{name}: {change['quantity']} pieces in stock, were {problem.stocked[item].stock:g}"
        return f"{name}: discontinued, last sold on {shown_day(_last_day_of_sale(problem, change))}"

    def about(self, result: Mapping[str, Any], name: str) -> list[Statement]:
        """Say what the plan has of one item: its order, or why it needs none."""
        item = _named_item(name, {one["item"]: one["name"] for one in result["items"]})
        facts = next(one for one in result["items"] if one["item"] == item)
        if facts.get("order"):
            return [_order_statement(facts, result["today"])]
        statements = [Statement(f"{_rate_text(facts)} of {facts['name']} will be sold.")] if "a_day" in facts else []
        if "why" in facts:
            statements.append(Statement(f"{facts['name']} is not planned: {facts['why']}."))
        if "order" in facts:
            until = shown_day(datetime.date.fromisoformat(result["next_review"]))
            text = f"{facts['name']} needs no order before the next look at the stock on {until}: {_stock_text(facts)}"
            statements.append(Statement(f"{text}, and the reorder point is {facts['reorder_point']:,}."))
        return statements

    def names(self, problem: StockProblem) -> dict[str, list[str]]:
        """Items by id and name; suppliers."""
        items = {**problem.stocked, **problem.history.items}
        suppliers = [entry.supplier for entry in problem.stocked.values() if entry.supplier]
        return {"item": [*items, *map(problem.name, items)], "supplier": suppliers}

    def solve(self, problem: StockProblem, seconds: float, before: Mapping[str, Any] | None = None) -> Solution:
        """The orders. It computes in closed form: `seconds` and `before` change nothing."""
        planned = _plan_items(problem)
        result = _result(problem, planned)
        clean = [one.clean for one in planned if one.clean is not None]
        remarks = [*problem.remarks, *(remark for item in clean for remark in item.remarks)]
        ordered = [one for one in planned if one.order is not None]
        refused = [one for one in planned if one.demand is None]
        unplanned = [one for one in planned if one.order is None and one.item not in problem.ends]
        status: Any = "infeasible" if len(refused) == len(planned) else "partly" if (problem.stocked and unplanned) or refused else "solved"
        tables = {"forecasts": _forecast_table(problem, planned)}
        if ordered:
            tables = {"orders": _order_table(problem, ordered), **tables}
        charted = [one for one in [*_urgent(ordered), *planned] if one.demand is not None and one.clean is not None]
        pictures = {}
        for one in list({id(one): one for one in charted}.values())[:_CHARTS]:
            assert one.demand is not None and one.clean is not None
            name = _file_name(one.name)
            name = name if name not in pictures else f"{name}_{_file_name(one.item)}"
            pictures[name] = sales_chart(one.name, one.clean, problem.history, one.demand, problem.service)
        return Solution(status, result, _statements(problem, planned, result), remarks, tables, pictures)


def _matched_by_case(stocked: Mapping[str, StockedItem], sold: Collection[str]) -> tuple[dict[str, StockedItem], list[str]]:
    """The stock under the item names of the sales, and the names that differ only in case."""
    alike: dict[str, list[str]] = {}
    for id in (*sold, *(id for id in stocked if id not in sold)):
        alike.setdefault(id.casefold(), []).append(id)
    found: dict[str, StockedItem] = {}
    respelled = []
    for id, entry in stocked.items():
        first, *others = alike[id.casefold()]
        same = id not in sold and first in sold and first not in stocked and others == [id]
        found[first if same else id] = replace(entry, item=first, name=first if entry.name == id else entry.name) if same else entry
        respelled += [first] if same else []
    return found, respelled


def _stock_remarks(table: ProblemTable) -> list[str]:
    found = {role: taken for role in STOCK_ROLES if (taken := column(table, role, None, needed=False)) is not None}
    return [*columns_told(table.file, table.columns, found), *lead_time_remarks(table)]


def _plan_day(given: str | None, after: datetime.date) -> datetime.date:
    if given is None:
        return after
    date = dates.read(given)
    if date is None:
        raise DataError("plans.day_of_plan_is_no_date", value=given)
    today = datetime.date.fromisoformat(date)
    if today < after:
        raise DataError("plans.sales_go_on_after_day_of_plan", value=given, after=after.isoformat())
    if (today - after).days > MAX_DAYS_AFTER_SALES:
        raise DataError("plans.sales_end_long_before_day_of_plan", value=shown_day(after - datetime.timedelta(days=1)))
    return today


# Changes.


def _item(problem: StockProblem, change: Change) -> str:
    name = str(change.get("item", "")).strip()
    if not name:
        raise InputError("plans.change_names_no_item", value=str(dict(change)))
    return _named_item(name, {id: problem.name(id) for id in {**problem.stocked, **problem.history.items}})


def _named_item(name: str, known: Mapping[str, str]) -> str:
    """The id of the item that some words mean: by its id, its name, a name in full among them, or words that only one name holds.

    `known`: names by id. Raises InputError for no item and for several.
    """
    folded, words = name.strip().casefold(), _words(name)
    exact = [id for id, other in known.items() if folded in (id.casefold(), other.casefold())]
    same = [id for id, other in known.items() if words and words in (_words(id), _words(other))]
    within = [id for id, other in known.items() if words and all(_in_name(word, f"{other} {id}") for word in words)]
    found = exact or same or _in_full(words, known) or within
    if len(found) == 1:
        return found[0]
    if found:
        names = [known[id] for id in found]
        shown = shown_names([other if names.count(other) == 1 else f"{other} ({id})" for id, other in zip(found, names, strict=True)])
        raise InputError("plans.several_items_have_this_name", value=name, shown=shown)
    near = difflib.get_close_matches(name, list(known.values()), n=3, cutoff=0.5)
    raise InputError(
        "plans.no_item_has_this_name_but_some_are_near" if near else "plans.no_item_of_tables_has_this_name",
        value=name,
        near=" or ".join(near) if near else None,
    )


_WORD = re.compile(r"\w+")
_ARTICLES = frozenset({"the", "a", "an", "our", "der", "die", "das", "den", "dem"})


def _words(text: str) -> list[str]:
    return [_singular(word) for word in _WORD.findall(text.casefold()) if word not in _ARTICLES]


def _in_name(word: str, name: str) -> bool:
    """Whether a word is a part of a name; one with a digit must be whole: 50 is not in 150."""
    return word in _words(name) if any(letter.isdigit() for letter in word) else word in name.casefold()


def _in_full(words: Sequence[str], known: Mapping[str, str]) -> list[str]:
    """Items whose whole name is among some words: the longest of them; none if other words belong to another item's name."""
    names = {id: _words(name) for id, name in known.items()}
    held = [id for id, own in names.items() if own and any(list(words[at : at + len(own)]) == own for at in range(len(words)))]
    longest = max((len(names[id]) for id in held), default=0)
    best = [id for id in held if len(names[id]) == longest]
    rest = set(words).difference(*(names[id] for id in best))
    return best if not rest.intersection(*[{word for id, own in names.items() if id not in best for word in own}]) else []


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _stocked(problem: StockProblem, change: Change) -> StockedItem:
    item = _item(problem, change)
    if item not in problem.stocked:
        raise InputError("plans.no_stock_is_known_of_this_item", value=problem.name(item))
    return problem.stocked[item]


def _need(change: Change, name: str, words: str) -> Any:
    if name not in change:
        raise InputError("plans.change_is_incomplete", value=str(dict(change)), words=words)
    return change[name]


def _day(problem: StockProblem, change: Change, name: str, after: datetime.date | None = None) -> datetime.date:
    """The day that a change names: a date, or words such as `next Friday`, which count from the day of the plan, or from `after`."""
    text = str(_need(change, name, "on which day"))
    date = dates.read(text, year=problem.today.year)
    if date is not None and not dates.has_year(text) and (problem.today - datetime.date.fromisoformat(date)).days > _HALF_YEAR:
        date = dates.read(text, year=problem.today.year + 1)  # on 30 December, 5 January is the next one
    if date is None:
        words = _SHORT_DAY.sub(lambda match: _WEEKDAYS[match[1].casefold()], text)
        from_day = after if after is not None and _BARE_WEEKDAY.fullmatch(words.strip()) else problem.today
        date = relative_days.read(words, from_day)
    if date is None:
        raise InputError("plans.day_is_no_date", value=text)
    return datetime.date.fromisoformat(date)


_WEEKDAYS = {name[:3]: name for name in ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")}
_SHORT_DAY = re.compile(r"\b(mon|tue|wed|thu|fri|sat|sun)(?:s|r|rs)?\b\.?", re.IGNORECASE)
_BARE_WEEKDAY = re.compile("|".join(_WEEKDAYS.values()), re.IGNORECASE)
_DAY_ALONE = re.compile(r"(?:the )?(\d{1,2})(?:st|nd|rd|th|\.)?", re.IGNORECASE)
_DAY_NUMBER = re.compile(r"(?<!\d)\d{1,2}(?!\d)")


def _first_and_last_day(problem: StockProblem, change: Change) -> tuple[datetime.date, datetime.date]:
    """The first and the last day of a change. `from 5 to 7 December` says the month once; `Friday to Monday` means the Monday after."""
    words = {name: str(_need(change, name, "on which day")) for name in ("first", "last")}
    for name, other in (("first", "last"), ("last", "first")):
        alone = _DAY_ALONE.fullmatch(words[name].strip())
        if alone is not None and dates.read(words[other], year=problem.today.year) is not None:
            words[name] = _DAY_NUMBER.sub(alone[1], words[other], count=1)
    first = _day(problem, words, "first")
    return first, _day(problem, words, "last", after=first)


def _lead_days(change: Change) -> int:
    if "days" in change:
        return int(change["days"])
    words = str(_need(change, "takes", "how many days it takes"))
    seconds = durations.read(durations.in_calendar_days(words))
    days = None if seconds is None else seconds / durations.DAY
    if days is None or days != int(days) or days > MAX_LEAD_DAYS:
        raise InputError("plans.lead_time_is_no_number_of_days", value=words)
    return int(days)


def _lead_items(problem: StockProblem, change: Change) -> list[str]:
    supplier = str(change.get("supplier", "")).strip()
    if not supplier:
        return [_stocked(problem, change).item]
    known = {entry.supplier.casefold(): entry.supplier for entry in problem.stocked.values() if entry.supplier}
    folded = supplier.casefold()
    found = [folded] if folded in known else [name for name in known if folded in name]
    if len(found) != 1:
        near = difflib.get_close_matches(supplier, list(known.values()), n=3, cutoff=0.5)
        raise InputError(
            "plans.no_supplier_of_table_has_this_name" if not found else "plans.several_suppliers_have_this_name",
            value=supplier,
            shown_names=shown_names(near or sorted(known.values())),
        )
    items = [id for id, entry in problem.stocked.items() if entry.supplier.casefold() == found[0]]
    return [item for item in items if item == _item(problem, change)] if change.get("item") else items


def _change_lead_time(problem: StockProblem, change: Change) -> StockProblem:
    days = _lead_days(change)
    items = _lead_items(problem, change)
    return replace(problem, stocked={**problem.stocked, **{id: replace(problem.stocked[id], lead_days=days) for id in items}})


def _add_delivery(problem: StockProblem, change: Change) -> StockProblem:
    entry, pieces, day = _stocked(problem, change), int(_need(change, "quantity", "how many pieces arrive")), _day(problem, change, "day")
    if day < problem.today:
        raise InputError("plans.delivery_is_before_day_of_plan", value=day.isoformat())
    if any(when is None for when, _ in entry.coming):
        # What the table says is on order now has a day: the rest of it keeps none.
        rest = max(0.0, entry.on_order - pieces)
        coming: tuple[tuple[datetime.date | None, float], ...] = ((day, float(pieces)), *([(None, rest)] if rest else []))
    else:
        coming = (*entry.coming, (day, float(pieces)))
    return replace(problem, stocked={**problem.stocked, entry.item: replace(entry, coming=coming)})


def _promotion(problem: StockProblem, item: str, change: Change) -> tuple[datetime.date, datetime.date, float]:
    first, last = _first_and_last_day(problem, change)
    value = f"{first.isoformat()} to {last.isoformat()}"
    if last < first:
        raise InputError("plans.promotion_ends_before_it_begins", value=value)
    if last < problem.today:
        raise InputError("plans.promotion_is_over", value=value, today=problem.today.isoformat())
    if "percent" in change:
        return first, last, 1 + int(change["percent"]) / 100
    if item not in problem.history.items:
        raise InputError("plans.this_item_has_no_sales", value=problem.name(item))
    clean = [clean_sales(sales, problem.history) for sales in problem.history.items.values()]
    own = next(one.uplift for one in clean if one.sales.item == item)
    times = own if own is not None else shop_uplift(clean)
    if times is None:
        raise InputError("plans.no_promotion_is_in_sales", value=problem.name(item))
    return first, last, times


def _add_promotion(problem: StockProblem, change: Change) -> StockProblem:
    item = _item(problem, change)
    spans = (*problem.promotions.get(item, ()), _promotion(problem, item, change))
    return replace(problem, promotions={**problem.promotions, item: spans})


def _last_day_of_sale(problem: StockProblem, change: Change) -> datetime.date:
    """The last day of sale: the one in the change, else the day before the plan."""
    return _day(problem, change, "last") if "last" in change else problem.today - datetime.timedelta(days=1)


def _discontinue(problem: StockProblem, change: Change) -> StockProblem:
    return replace(problem, ends={**problem.ends, _item(problem, change): _last_day_of_sale(problem, change)})


def _set_stock(problem: StockProblem, change: Change) -> StockProblem:
    entry, pieces = _stocked(problem, change), int(_need(change, "quantity", "how many pieces there are"))
    return replace(problem, stocked={**problem.stocked, entry.item: replace(entry, stock=float(pieces))})


_CHANGES = {
    "lead_time": _change_lead_time,
    "delivery": _add_delivery,
    "promotion": _add_promotion,
    "discontinued": _discontinue,
    "stock": _set_stock,
}


# The plan.


def _plan_items(problem: StockProblem) -> list[_Planned]:
    clean = {
        item: clean_sales(
            replace(sales, name=problem.name(item)), problem.history, item in problem.stocked and problem.stocked[item].stock <= 0
        )
        for item, sales in problem.history.items.items()
        if item not in problem.ends or problem.ends[item] >= problem.today
    }
    to_forecast = [(one, _days_ahead(problem, item)) for item, one in clean.items() if not one.refused]
    forecasts = forecast_demands(to_forecast, problem.history, problem.service) if to_forecast else []
    demands = {one.sales.item: demand for (one, _), demand in zip(to_forecast, forecasts, strict=True)}
    return [_plan_item(problem, item, clean.get(item), demands.get(item)) for item in problem.history.items]


def _days_ahead(problem: StockProblem, item: str) -> int:
    entry = problem.stocked.get(item)
    lead = entry.lead_days if entry is not None and entry.lead_days is not None else 0
    return (problem.today - problem.history.last).days - 1 + max(28, lead + 2 * problem.review)


def _plan_item(problem: StockProblem, item: str, clean: CleanSales | None, made: Demand | None) -> _Planned:
    name, entry = problem.name(item), problem.stocked.get(item)
    if clean is None or made is None:
        return _Planned(item, name, clean, None, None, clean.refused if clean is not None else "it is discontinued")
    demand = beginning(promoted(made, problem.promotions.get(item, ())), problem.today)
    if item in problem.ends:
        demand = without(demand, problem.ends[item])
    why = "no stock is given for it" if entry is None else "no lead time is given for it" if entry.lead_days is None else ""
    order = plan_order(entry, demand, problem.review) if entry is not None and not why else None
    return _Planned(item, name, clean, demand, order, why)


def _urgent(planned: Sequence[_Planned]) -> list[_Planned]:
    to_order = [one for one in planned if one.order is not None and one.order.pieces]
    return sorted(to_order, key=lambda one: (one.order.by, not one.order.late) if one.order is not None else ())


def _rounded(value: float) -> int | float:
    rounded = round(value, 1)
    return int(rounded) if rounded == int(rounded) else rounded


def _result(problem: StockProblem, planned: Sequence[_Planned]) -> dict[str, Any]:
    return {
        "today": problem.today.isoformat(),
        "service": problem.service,
        "service_percent": _rounded(100 * problem.service),
        "review_days": problem.review,
        "next_review": (problem.today + datetime.timedelta(days=problem.review)).isoformat(),
        "items": [_facts(problem, one) for one in planned],
        "to_order": len(_urgent(planned)),
        "enough": sum(one.order is not None and not one.order.pieces for one in planned),
        "planned": sum(one.order is not None for one in planned),
        "not_planned": sum(one.order is None for one in planned),
        "sold_items": len(planned),
        "month_days": 28,
    }


def _facts(problem: StockProblem, one: _Planned) -> dict[str, Any]:
    found: dict[str, Any] = {"item": one.item, "name": one.name, **({"why": one.why} if one.why else {})}
    if one.demand is not None:
        a_day = one.demand.a_day
        found |= {
            "a_day": _rounded(a_day) if a_day >= 1 else round(a_day, 2),
            "a_week": _rounded(7 * a_day) if 7 * a_day >= 1 else round(7 * a_day, 2),
            "a_month": max(1, round(28 * a_day)),
            "method": one.demand.method,
            "tried_at": one.demand.origins,
        }
    if one.order is not None:
        entry = problem.stocked[one.item]
        found |= {
            "stock": _rounded(entry.stock),
            "on_order": _rounded(entry.on_order),
            "supplier": entry.supplier,
            "lead_days": entry.lead_days,
            "pack": _rounded(entry.pack),
            "order": _rounded(one.order.pieces),
            "by": one.order.by.isoformat() if one.order.by else None,
            "late": one.order.late,
            "runs_out": one.order.runs_out.isoformat() if one.order.runs_out else None,
            "reorder_point": one.order.reorder_point,
            "up_to": one.order.up_to,
        }
    return found


def _statements(problem: StockProblem, planned: Sequence[_Planned], result: Mapping[str, Any]) -> list[Statement]:
    facts = {one["item"]: one for one in result["items"]}
    statements = [_order_statement(facts[one.item], result["today"]) for one in _urgent(planned)]
    if result["enough"]:
        until = shown_day(problem.today + datetime.timedelta(days=problem.review))
        many = "1 item needs" if result["enough"] == 1 else f"{result['enough']} items need"
        statements.append(Statement(f"{many} no order before the next look at the stock on {until}."))
    if not problem.stocked:
        statements += [Statement(f"{_rate_text(facts[one.item])} of {one.name} will be sold.") for one in planned if one.demand is not None]
    statements += [
        Statement(f"{one.name} is not planned: {one.why}.") for one in planned if one.demand is None or (problem.stocked and one.why)
    ]
    return statements


def _rate_text(facts: Mapping[str, Any]) -> str:
    if facts["a_day"] >= 1:
        return f"About {facts['a_day']:,} a day"
    return f"About {facts['a_week']:,} a week" if facts["a_week"] >= 1 else f"About {facts['a_month']:,} in 28 days"


def _stock_text(facts: Mapping[str, Any]) -> str:
    lies = "none is in stock" if not facts["stock"] else f"{facts['stock']:,} {'lies' if facts['stock'] == 1 else 'lie'} in stock"
    return lies + (f", {facts['on_order']:,} are on order" if facts["on_order"] else "")


def _order_statement(facts: Mapping[str, Any], today: str) -> Statement:
    rate = _rate_text(facts)
    rate = rate[0].lower() + rate[1:]
    by = datetime.date.fromisoformat(facts["by"])
    when = "today" if facts["by"] == today else f"by {by:%A} {shown_day(by)}"
    days = "1 day" if facts["lead_days"] == 1 else f"{facts['lead_days']} days"
    are = "is" if " 1 " in rate else "are"
    because = f"{rate} {are} sold, {_stock_text(facts)} and the supplier takes {days}"
    text = f"Order {facts['order']:,} of {facts['name']} {when}, because {because}."
    if facts["late"]:
        text += " It may run out before they come."
    stated: dict[str, str | int | float] = {
        "name": facts["name"],
        "order": facts["order"],
        "by": shown_day(by),
        "stock": facts["stock"],
        "lead days": facts["lead_days"],
    }
    return Statement(text, stated)


_ORDER_COLUMNS = {
    "item": "item",
    "name": "name",
    "supplier": "supplier",
    "order": "order",
    "by": "by",
    "stock": "stock",
    "on order": "on_order",
    "lead days": "lead_days",
    "sold a day": "a_day",
    "reorder point": "reorder_point",
    "order up to": "up_to",
    "runs out": "runs_out",
}
"""Columns of the table of orders, with the facts that they show."""


def _order_table(problem: StockProblem, planned: Sequence[_Planned]) -> SolutionTable:
    rows: list[list[Cell]] = []
    rest = sorted((one for one in planned if not one.order or not one.order.pieces), key=lambda one: one.name)
    for one in [*_urgent(planned), *rest]:
        facts = _facts(problem, one)
        note = "may run out before the delivery" if facts["late"] else ""
        rows.append([*(facts[name] for name in _ORDER_COLUMNS.values()), note])
    return SolutionTable("Orders", (*_ORDER_COLUMNS, "note"), rows)


def _forecast_table(problem: StockProblem, planned: Sequence[_Planned]) -> SolutionTable:
    share = f"enough until then ({problem.service:.0%} sure)"
    rows: list[list[Cell]] = []
    for one in planned:
        if one.demand is None:
            rows.append([one.item, one.name, None, None, None, one.why])
            continue
        for start in range(0, min(28, len(one.demand.expected) - 1), 7):
            end = min(start + 7, len(one.demand.expected) - 1)
            first = (one.demand.first + datetime.timedelta(days=start)).isoformat()
            expected = round(float(one.demand.expected[end] - one.demand.expected[start]), 1)
            rows.append([one.item, one.name, first, expected, math.ceil(one.demand.enough[end] - 1e-9), one.demand.method])
    return SolutionTable("Forecasts by week", ("item", "name", "week from", "expected", share, "method"), rows)


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name)[:80]


part = StockSolver()
