"""Recommend: suggest what a customer may want next, from orders and a catalogue.

Examples are made of a table of orders: what a customer had, and what came next. The last item of each customer is only tested on.
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, StrictBool, StrictInt

from smidgen.core.abilities import ExampleTable, Grading, ProjectFiles
from smidgen.core.errors import DataError, RecipeError
from smidgen.core.forms import Coefficient, Form
from smidgen.core.parts import DividedRows, Raw, Task
from smidgen.core.quantities import Metric
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, Text
from smidgen.core.settings import Settings, setting
from smidgen.data.item_ids import item_ids
from smidgen.retail.goods import Product, read_catalogue
from smidgen.retail.order_names import names_of_items
from smidgen.retail.requests import USUAL, written
from smidgen.stats import calibration
from smidgen.stats.intervals import mean_share, wilson
from smidgen.text import dates

LEAST_CUSTOMERS = 5
"""Fewest customers with two items or more."""
_LEAST_LONG = 10
"""Fewest customers with three items for calibrating on items before the last."""
_MOST_TEST, _MOST_HELD = 10_000, 2_000
_LEAST_FITTED = 30
"""Held-out rows from which on a score depends on the request; with fewer it is the share of hits."""
_RESAMPLES = 200
_CLOCK = re.compile(r"\b([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d)(?:\.\d+)?)?\s*$")


class RecommendSettings(Settings):
    """Settings of a recommender: the columns of the orders, and the catalogue."""

    user: str | None = setting(None, "Column of the customer, in the table of orders.", flag="--user")
    item: str | None = setting(
        None, "Column of the item, in the table of orders; a cell may hold several: `RU-004:1;RU-009:1`.", flag="--item"
    )
    time: str | None = setting(None, "Column of the time of an order. Without it, the order of the rows counts.", flag="--time")
    items: str | None = setting(
        None,
        "File with the catalogue: CSV or JSONL, one item a row. What is not in it is not suggested (default: every item of the orders).",
        flag="--items",
        file=True,
        with_data=True,
    )
    language: Literal["en", "de"] = setting("en", "Language of the reasons: en or de.")


class RankedForm(Form):
    """A ranked list of items.

    Attributes:
        items: how many may be suggested.
        described: whether there is a catalogue with texts.
        stocked: whether the catalogue tells the stock.
        language: of the reasons.
        slope, shift: the curve from what speaks for the first ten to the probability that the next item is among them.
    """

    items: Annotated[StrictInt, Field(ge=1, le=10_000_000)]
    described: StrictBool
    stocked: StrictBool
    language: Literal["en", "de"]
    slope: Coefficient | None = None
    shift: Coefficient | None = None

    @property
    def json_answers(self) -> bool:
        """A list of ids."""
        return True

    @property
    def fitted(self) -> bool:
        """Whether a score was fitted."""
        return self.slope is not None

    def uncalibrated(self) -> RankedForm:
        """Without a fitted score."""
        return self.model_copy(update={"slope": None, "shift": None})

    @property
    def unfit_students(self) -> Mapping[str, str]:
        """The one that compares texts, without a catalogue."""
        return {} if self.described else {"catalogue": "there is no catalogue, whose texts it compares (--items FILE)"}

    @property
    def listed(self) -> dict[str, Any]:
        """The number of items, and whether their texts and their stock are known."""
        return {"items": self.items, "described": self.described, "stocked": self.stocked}

    def purpose(self, quote: Callable[[str], str]) -> str:
        """The number of items."""
        words = " It also answers words, such as “a warm blanket”, by the texts of the catalogue." if self.described else ""
        return (
            f"It suggests items out of {self.items:,}, the likeliest next one first, for what a customer bought before. The score is the "
            f"probability that the next item is among the first ten.{words}"
        )

    @property
    def limits(self) -> tuple[str, ...]:
        """Strangers, stock, and what was bought again."""
        return (
            "Customers without a history: they get what sells best, and the reply says so.",
            "Prices and stock of today: it knows those of the catalogue that it was built with.",
            "Things that are bought again and again: it never suggests what the customer already has.",
        )


class RankGrading(Grading):
    """A ranked list is good if the next item is among the first ten."""

    def grades(self, rows: Sequence[Row], replies: Sequence[Reply], form: RankedForm) -> list[float]:
        """1 if the next item is among the first ten."""
        return [float(_gain(row.output, reply.output) > 0) for row, reply in zip(rows, replies, strict=True)]


class OrderTable(ExampleTable):
    """A table of orders: a customer, an item, and perhaps a time in each row."""

    def columns(self, settings: RecommendSettings) -> tuple[str | None, str | None]:
        """Customer and time, and the item. Raises RecipeError if only one of customer and item is named."""
        if (settings.user is None) != (settings.item is None):
            missing = "--user" if settings.user is None else "--item"
            raise RecipeError("retail.column_of_orders_is_not_named", value=missing)
        if settings.user is None:
            return None, None
        return (settings.user if settings.time is None else f"{settings.user},{settings.time}"), settings.item

    def names(self, table: Callable[[], Any] | None, column: str, settings: RecommendSettings) -> tuple[Mapping[str, str], tuple[str, ...]]:
        """Names of items in the orders, where there is no catalogue."""
        return names_of_items(table(), column) if table is not None and settings.items is None else ({}, ())


class ShopFiles(ProjectFiles):
    """A table of orders, and a catalogue."""

    kinds = MappingProxyType({"orders": "data.train", "catalogue": "recommend.items"})

    def for_students(
        self, rows: Sequence[Row], settings: RecommendSettings, names: Mapping[str, str] = MappingProxyType({})
    ) -> Mapping[str, bytes]:
        """`goods.json`: every item with its facts and its text, those of the catalogue first; `listed` is false for what is only in the
        orders. Without a catalogue an item has its name of `names`."""
        known = {id for row in rows for id in (*json.loads(_single(row.input)), row.output)}
        goods = _catalogue(settings, known)
        entries = [{**product.json(), "text": product.text, "listed": True} for product in goods]
        missing = sorted(known - {product.id for product in goods})
        entries += [{"id": id, "name": names.get(id, id), "text": "", "listed": not goods} for id in missing]
        return {"goods.json": json.dumps({"language": settings.language, "goods": entries}, ensure_ascii=False).encode("utf-8")}


class Recommend(Task):
    """The task `recommend`."""

    name = "recommend"
    summary = "Suggest what a customer may want next, from orders and a catalogue, with the reason."
    settings = RecommendSettings
    students: tuple[str, ...] = ("catalogue", "ease")
    baseline = "popular"
    headline = "hit_rate_10"
    form_type = RankedForm
    grading = RankGrading()
    examples = OrderTable()
    quick = MappingProxyType({"train": {"time_budget": "0"}})
    files = ShopFiles()
    not_foreseen = "not predicted: a large model that sees one request knows neither your orders nor your catalogue"
    loss_words = "the next item is not among the first ten"

    def parse(self, value: Any, settings: RecommendSettings) -> list[str]:
        """The ids of one or several items. Raises ValueError for an empty cell."""
        return item_ids(value)

    def form(self, rows: Sequence[Row], settings: RecommendSettings) -> RankedForm:
        """The number of items, and what the catalogue tells. Raises DataError for orders of a single item, or a catalogue that is not
        theirs."""
        known = _known(rows)
        if len(known) < 2:
            raise DataError("retail.orders_name_single_item", rows=len(rows))
        goods = _catalogue(settings, known)
        stocked = any(product.stock is not None for product in goods)
        return RankedForm(items=len(goods) or len(known), described=bool(goods), stocked=stocked, language=settings.language)

    def cell_settings(self, form: RankedForm) -> RecommendSettings:
        """The language."""
        return RecommendSettings(language=form.language)

    def formed(self, form: Form) -> Recommend:
        """With a catalogue, the student that also knows its texts: it answers words, and suggests what nobody has bought yet."""
        return _WITH_TEXTS if isinstance(form, RankedForm) and form.described else _WITHOUT_TEXTS

    def split(self, rows: Sequence[Row], settings: RecommendSettings, seed: int) -> DividedRows:
        """Each customer's items in their order; the last is tested on, the one before it of a part of the customers calibrates.

        Rows whose inputs are JSON lists are examples already, and all of them are tested on. Raises DataError for times that cannot be
        read, and for too few customers.
        """
        if all(isinstance(row.input, str) and row.input.lstrip().startswith("[") for row in rows):
            return DividedRows((), (), [_example(row) for row in rows], "the rows are histories with their next items")
        customers = _customers(rows)
        several = [items for items in customers if len(items) > 1]
        if len(several) < LEAST_CUSTOMERS:
            value = f"{len(customers)} customers, {len(several)} of them with two different items or more"
            raise DataError("retail.there_are_too_few_customers", value=value, least_customers=LEAST_CUSTOMERS)
        return _divided(several, len(customers) - len(several), sum(len(row.output) for row in rows) - sum(map(len, customers)), seed)

    def calibrate(self, raw: Raw, rows: Sequence[Row], form: RankedForm, settings: RecommendSettings) -> RankedForm:
        """The form with its score fitted on rows that no model learnt from."""
        hits = np.array(self.grading.grades(rows, self.decode(raw, form.uncalibrated()), form))
        personal = np.array([because != "popular" for because in raw["because"]], dtype=bool)
        hits, sure = hits[personal], np.asarray(raw["sure"], dtype=np.float64)[personal]
        if len(hits) < _LEAST_FITTED or not 0 < hits.sum() < len(hits):
            return form.model_copy(update={"slope": 0.0, "shift": float(calibration.logit([(hits.sum() + 0.5) / (len(hits) + 1)])[0])})
        slope, shift = calibration.fit_platt(_evidence(sure), hits)
        return form.model_copy(update={"slope": slope, "shift": shift})

    def form_fault(self, form: RankedForm, raw: Raw | None = None) -> str:
        """More suggested items than there are."""
        if raw is not None and any(len(ids) > form.items for ids in raw["ranked"]):
            return f"it suggests more than its {form.items} items"
        return ""

    def decode(self, raw: Raw, form: RankedForm) -> list[Reply]:
        """The ids, the best first. The facts say what the ranking stands on: `bought`, `similar`, `words` or `popular`.

        For a stranger the score is the share of all purchases that the first ten have. Words have no score: nothing tells what was wanted.
        """
        replies = []
        for ids, items, because, unknown, sure in zip(
            raw["ranked"], raw["items"], raw["because"], raw["unknown"], np.asarray(raw["sure"], dtype=np.float64), strict=True
        ):
            facts: dict[str, Any] = {"because": because, "items": items, **({"unknown": unknown} if unknown else {})}
            if because == "words":
                facts["unscored"] = "no orders tell what was wanted by these words"
                score = 0.0
            elif because == "popular" or form.slope is None or form.shift is None:
                score = min(1.0, max(0.0, float(sure)))
            else:
                score = float(calibration.platt_probability(_evidence(np.array([sure])), form.slope, form.shift)[0])
            replies.append(Reply(list(ids), score, facts=facts))
        return replies

    def measure(self, rows: Sequence[Row], replies: Sequence[Reply], form: RankedForm) -> dict[str, Metric]:
        """hit_rate_10: the next item is among the first ten of all items. ndcg_10: more the higher it stands. coverage: the share of all
        items that somebody gets among the first ten."""
        hits = self.grading.grades(rows, replies, form)
        gains = np.array([_gain(row.output, reply.output) for row, reply in zip(rows, replies, strict=True)], dtype=np.float64)
        right, n = round(sum(hits)), len(hits)
        value = float(gains.mean()) if n else math.nan
        return {
            "hit_rate_10": Metric(right / n if n else math.nan, *wilson(right, n), n),
            "ndcg_10": Metric(value, *mean_share(gains), n),
            "coverage": _coverage([reply.output[:USUAL] for reply in replies], form.items),
        }

    def content(self, reply: Reply) -> str:
        """A numbered list: the id, the name, the price, the reason."""
        items = reply.facts.get("items") or [{"id": id} for id in reply.output]
        return "\n".join(_line(number, item) for number, item in enumerate(items, start=1))


class _FromTexts(Recommend):
    """The task of a shop with a catalogue."""

    students = ("catalogue",)


class _FromOrders(Recommend):
    """The task of a shop with orders alone."""

    students = ("ease",)


_WITH_TEXTS, _WITHOUT_TEXTS = _FromTexts(), _FromOrders()


def _single(text: Text) -> str:
    return text if isinstance(text, str) else text[0]


def _example(row: Row) -> Row:
    if len(row.output) != 1:
        raise DataError("retail.next_item_must_be_one_item", value=row.output, row=row.number or None)
    return Row(_single(row.input), row.output[0], row.number)


def _known(rows: Sequence[Row]) -> frozenset[str]:
    return frozenset(id for row in rows for id in row.output)


def _catalogue(settings: RecommendSettings, known: frozenset[str] | set[str]) -> tuple[Product, ...]:
    """The goods of the catalogue; empty without one."""
    if settings.items is None:
        return ()
    file = Path(settings.items)
    changed = file.stat().st_mtime_ns if file.is_file() else 0
    return _read(str(file), changed, frozenset(known))


@functools.lru_cache(maxsize=4)
def _read(file: str, changed: int, known: frozenset[str]) -> tuple[Product, ...]:
    return tuple(read_catalogue(Path(file), known))


def _customers(rows: Sequence[Row]) -> list[list[tuple[str, int]]]:
    """Each customer's different items with the number of their rows, in the order in which they were first bought; customers in the order
    of the table."""
    found: dict[str, list[tuple[float, int, str, int]]] = {}
    moments = _moments(rows)
    for place, (row, moment) in enumerate(zip(rows, moments, strict=True)):
        orders = found.setdefault(_single(row.input).strip(), [])
        orders += [(moment, place, id, row.number) for id in row.output]
    customers = []
    for orders in found.values():
        first: dict[str, int] = {}
        for _, _, id, number in sorted(orders, key=lambda order: order[:2]):
            first.setdefault(id, number)
        customers.append(list(first.items()))
    return customers


def _moments(rows: Sequence[Row]) -> list[float]:
    """When each row was; its place where the table has no times. Raises DataError for a time that is negative or cannot be read."""
    cells = [(row.input[1].strip(), row.number) for row in rows if not isinstance(row.input, str)]
    if len(cells) < len(rows):
        return [float(place) for place in range(len(rows))]
    day_first = next((found for cell, _ in cells if (found := dates.order(cell)) is not None), True)
    return [_moment(cell, number, day_first) for cell, number in cells]


def _moment(cell: str, number: int, day_first: bool) -> float:
    """Seconds since 1970, or the number in the cell."""
    try:
        value = float(cell)
    except ValueError:
        value = _seconds(cell, number, day_first)
    if not math.isfinite(value) or value < 0:
        raise DataError("retail.time_is_negative_or_no_number", value=cell, row=number or None)
    return value


def _seconds(cell: str, number: int, day_first: bool) -> float:
    try:
        found = datetime.fromisoformat(cell)
    except ValueError:
        clock = _CLOCK.search(cell)
        day = dates.read(cell[: clock.start()].strip(" ,T") if clock else cell, day_first)
        if day is None:
            raise DataError("retail.time_cannot_be_read", value=cell, row=number or None) from None
        found = datetime.fromisoformat(f"{day}T{clock[1].zfill(2)}:{clock[2]}:{clock[3] or '00'}" if clock else day)
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()


def _divided(customers: Sequence[Sequence[tuple[str, int]]], single: int, repeated: int, seed: int) -> DividedRows:
    """See `Recommend.divided`. Where hardly anyone has three items, a third of the customers calibrate with their last one."""
    rng = np.random.default_rng([seed, 43])
    order = rng.permutation(len(customers)).tolist()
    long = [place for place in order if len(customers[place]) > 2]
    fit, held, test = [], [], []
    if len(long) >= _LEAST_LONG:
        before = set(long[: min(_MOST_HELD, -(-len(long) // 2))])
        last = set(range(len(customers)))
        how = "the last item of each customer"
    else:
        before, away = set(), set(order[: max(1, len(order) // 3)])
        last = set(range(len(customers))) - away
        how = "the last item of two customers in three, as few have three items"
        held = [_next(customers[place], len(customers[place]) - 1) for place in sorted(away)]
    measured = set(sorted(last, key=order.index)[:_MOST_TEST]) if len(last) > _MOST_TEST else last
    for place, items in enumerate(customers):
        end = len(items) - 1
        if place in measured:
            test.append(_next(items, end))
        if place in before:
            end -= 1
            held.append(_next(items, end))
        fit.append(Row(written([id for id, _ in items[: end - 1]]), items[end - 1][0], items[end - 1][1]))
    some = f"; {len(measured):,} of them, drawn with seed {seed}" if len(measured) < len(last) else ""
    told = [
        f"{single:,} customers with one item teach nothing" if single else "",
        f"{repeated:,} repeated purchases count once" if repeated else "",
    ]
    notes = "".join(f"; {note}" for note in told if note)
    return DividedRows(fit, held, test, f"{how}, by all that they bought before, ranked among all items{some}{notes}")


def _next(items: Sequence[tuple[str, int]], end: int) -> Row:
    return Row(written([id for id, _ in items[:end]]), items[end][0], items[end][1])


def _evidence(sure: NDArray[np.float64]) -> NDArray[np.float64]:
    """The logarithm of what speaks for a ranking, which is never negative."""
    return np.log(np.maximum(sure, 1e-6))


def _gain(wanted: Any, ranked: Any) -> float:
    """The worth of the wanted item's place: 1 for the first, less for later ones, 0 after the tenth."""
    found = ranked[:USUAL] if isinstance(ranked, list | tuple) else []
    return 1 / math.log2(found.index(wanted) + 2) if wanted in found else 0.0


def _coverage(tops: Sequence[Sequence[str]], items: int) -> Metric:
    """The share of items in any of these lists, with the interval by drawing customers anew; a drawn sample has fewer different ones, so
    the interval is moved by the difference."""
    names = {id: place for place, id in enumerate(dict.fromkeys(id for top in tops for id in top))}
    if not names or not tops:
        return Metric(0.0, 0.0, 1.0, len(tops))
    width = max(map(len, tops))
    table = np.full((len(tops), width), len(names))
    for row, top in enumerate(tops):
        table[row, : len(top)] = [names[id] for id in top]
    rng, found = np.random.default_rng(0), np.empty(_RESAMPLES)
    for number in range(_RESAMPLES):
        met = np.zeros(len(names) + 1, dtype=bool)
        met[table[rng.integers(len(tops), size=len(tops))]] = True
        found[number] = met[:-1].sum() / items
    value = len(names) / items
    low, high = np.quantile(found + (value - found.mean()), [0.025, 0.975])
    return Metric(value, max(0.0, min(float(low), value)), min(1.0, max(float(high), value)), len(tops))


def _line(number: int, item: Mapping[str, Any]) -> str:
    name = f" {item['name']}" if item.get("name") not in (None, item["id"]) else ""
    price = f", {item['price']}" if item.get("price") else ""
    return f"{number}. {item['id']}{name}{price}" + (f" ({item['reason']})" if item.get("reason") else "")


part_recommend = Recommend()
