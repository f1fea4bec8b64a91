"""How orders become examples, how rankings become replies, and how they are measured."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from smidgen.core.errors import DataError, RecipeError
from smidgen.core.replies import Reply
from smidgen.core.rows import Row
from smidgen.retail.tasks import RankedForm, Recommend, RecommendSettings
from smidgen.retail.tasks import part_recommend as part

FORM = RankedForm(items=40, described=False, stocked=False, language="en")
ASKED = RecommendSettings(user="who", item="what", time="when")


def orders(customers: int = 30, each: int = 4, times: bool = False) -> list[Row]:
    """Each customer buys different items, one after the other, all customers in turn; with times, the rows are in reverse."""
    made = [(f"c{who}", f"2026-01-{1 + step:02d}", f"i{(who + step) % 20}") for step in range(each) for who in range(customers)]
    rows = [Row((who, when) if times else who, [item], number) for number, (who, when, item) in enumerate(made, start=1)]
    return rows[::-1] if times else rows


def raw(ranked: list[list[str]], because: str = "bought", sure: float = 0.5) -> dict:
    size = len(ranked)
    items = [[{"id": id, "name": id.upper(), "reason": "because", "price": "£1"} for id in ids] for ids in ranked]
    return {
        "ranked": ranked, "items": items, "because": [because] * size, "unknown": [[]] * size, "sure": np.full(size, sure, np.float32),
    }  # fmt: skip


@pytest.mark.parametrize("times", [False, True])
def test_the_last_item_is_tested_and_the_one_before_calibrates(times: bool) -> None:
    divided = part.split(orders(times=times), ASKED, seed=0)
    assert len(divided.test) == len(divided.fit) == 30 and len(divided.held) == 15
    by_customer = {json.loads(row.input)[0]: row for row in divided.test}
    tested = 0
    for row in divided.test:
        history = json.loads(row.input)
        first = int(history[0][1:])
        assert history == [f"i{(first + step) % 20}" for step in range(3)] and row.output == f"i{(first + 3) % 20}"
        tested += 1
    assert tested == 30 and len(by_customer) == 20
    assert all(len(json.loads(row.input)) == 2 for row in divided.held)
    assert sorted(len(json.loads(row.input)) + 1 for row in divided.fit) == [2] * 15 + [3] * 15
    assert "the last item of each customer" in divided.how


def test_nothing_of_the_test_is_learnt() -> None:
    rows = [Row(f"c{who}", [f"i{who}-{step}"]) for step in range(5) for who in range(40)]
    divided = part.split(rows, ASKED, seed=3)
    learnt = {item for row in divided.fit for item in (*json.loads(row.input), row.output)}
    wanted = [row.output for row in (*divided.held, *divided.test)]
    assert len(set(wanted)) == len(wanted) == 60 and not learnt & set(wanted)


def test_single_purchases_and_repeats_are_counted() -> None:
    rows = [*orders(), Row("once", ["i1"], 200), Row("c0", ["i0", "i1"], 201)]
    how = part.split(rows, ASKED, seed=0).how
    assert "1 customers with one item teach nothing" in how and "2 repeated purchases count once" in how


def test_where_hardly_anyone_has_three_items_some_customers_calibrate() -> None:
    divided = part.split(orders(customers=12, each=2), ASKED, seed=0)
    assert (len(divided.fit), len(divided.held), len(divided.test)) == (12, 4, 8)
    assert all(row.input == "[]" for row in divided.fit)


def test_rows_that_are_examples_already() -> None:
    divided = part.split([Row('["a", "b"]', ["c"], 1)], ASKED, seed=0)
    assert [(row.input, row.output) for row in divided.test] == [('["a", "b"]', "c")] and not divided.fit
    with pytest.raises(DataError, match="the next item is one item"):
        part.split([Row('["a"]', ["b", "c"], 1)], ASKED, seed=0)


@pytest.mark.parametrize("customers", [1, 2, 4])
def test_too_few_customers(customers: int) -> None:
    with pytest.raises(DataError, match=r"too few customers .*: '?\"?\d customers"):
        part.split(orders(customers=customers), ASKED, seed=0)


@pytest.mark.parametrize(
    ("cell", "what"),
    [("-5", "negative"), ("nan", "negative"), ("soon", "cannot be read"), ("1965-01-01", "negative"), ("2026-13-45", "cannot be read")],
)
def test_bad_times(cell: str, what: str) -> None:
    rows = [*orders(times=True), Row(("c1", cell), ["i1"], 77)]
    with pytest.raises(DataError, match=f"row 77: the time .*{what}"):
        part.split(rows, ASKED, seed=0)


@pytest.mark.parametrize(
    "cells", [("03/04/2026", "25/04/2026"), ("04/03/2026", "04/25/2026"), ("1700000000", "1800000000"), ("3.4.2026 9:05", "3.4.2026 10:05")]
)
def test_times_as_people_write_them(cells: tuple[str, str]) -> None:
    first, second = cells
    rows = [row for who in range(6) for row in (Row((f"c{who}", second), ["late"], 1), Row((f"c{who}", first), [f"early{who}"], 2))]
    divided = part.split(rows, ASKED, seed=0)
    assert {row.output for row in divided.test} == {"late"}


def test_the_columns_are_named_together() -> None:
    assert part.examples.columns(ASKED) == ("who,when", "what") and part.examples.columns(RecommendSettings(user="u", item="i")) == (
        "u",
        "i",
    )
    assert part.examples.columns(RecommendSettings()) == (None, None)
    with pytest.raises(RecipeError, match="--item"):
        part.examples.columns(RecommendSettings(user="who"))


def test_goods_of_catalogue_and_orders(tmp_path: Path) -> None:
    file = tmp_path / "goods.csv"
    file.write_text("sku,name,stock\ni1,Mug,3\nnew,Bowl,0\n", encoding="utf-8")
    asked = RecommendSettings(user="u", item="i", items=str(file), language="de")
    form = part.form([Row("c", ["i1"]), Row("c", ["gone"])], asked)
    assert (form.items, form.described, form.stocked, form.language) == (2, True, True, "de")
    assert part.formed(form).students == ("catalogue",) and part.formed(FORM).students == ("ease",)
    facts = json.loads(part.files.for_students([Row('["i1"]', "gone")], asked)["goods.json"])
    assert [(entry["id"], entry["listed"]) for entry in facts["goods"]] == [("i1", True), ("new", True), ("gone", False)]
    plain = json.loads(part.files.for_students([Row('["i1"]', "gone")], ASKED)["goods.json"])
    assert [(entry["id"], entry["listed"]) for entry in plain["goods"]] == [("gone", True), ("i1", True)]


def test_orders_of_a_single_item() -> None:
    with pytest.raises(DataError, match="a single item"):
        part.form([Row("a", ["i1"]), Row("b", ["i1"])], ASKED)


def test_the_score_is_the_share_of_hits() -> None:
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.05, 1, 400)
    hit = rng.uniform(size=400) < sure
    rows = [Row("[]", "x") for _ in range(400)]
    answers = {**raw([["x"] if found else ["y"] for found in hit]), "sure": sure.astype(np.float32)}
    form = part.calibrate(answers, rows, FORM, ASKED)
    scores = np.array([reply.score for reply in part.decode(answers, form)])
    assert abs(scores.mean() - hit.mean()) < 0.02 and np.corrcoef(scores, sure)[0, 1] > 0.9
    few = part.calibrate(raw([["x"]] * 10), rows[:10], FORM, ASKED)
    assert [reply.score for reply in part.decode(raw([["x"]]), few)] == [pytest.approx(10.5 / 11)]


def test_strangers_and_words_have_no_fitted_score() -> None:
    form = FORM.model_copy(update={"slope": 1.0, "shift": 0.0})
    (stranger,), (words,) = part.decode(raw([["a"]], "popular", 0.3), form), part.decode(raw([["a"]], "words", 0.9), form)
    assert stranger.score == pytest.approx(0.3) and stranger.facts["because"] == "popular"
    assert words.score == 0.0 and "no orders tell" in words.facts["unscored"]


def test_metrics() -> None:
    ranked = [["a", "b"], ["b", "a"], [f"x{n}" for n in range(10)] + ["a"], []]
    rows = [Row("[]", "a")] * 4
    found = part.measure(rows, part.decode(raw(ranked), FORM), FORM)
    assert found["hit_rate_10"].value == 0.5  # the eleventh place is none
    assert found["ndcg_10"].value == pytest.approx((1 + 1 / np.log2(3)) / 4)
    assert found["coverage"].value == pytest.approx(12 / 40)
    assert all(metric.low <= metric.value <= metric.high for metric in found.values())


def test_the_interval_of_coverage_holds_what_new_customers_give() -> None:
    rng = np.random.default_rng(1)

    def drawn() -> list[Reply]:
        return [Reply([f"i{item}" for item in rng.choice(40, 3, replace=False, p=_falling(40))], 1.0) for _ in range(30)]

    intervals = [part.measure([Row("[]", "a")] * 30, drawn(), FORM)["coverage"] for _ in range(20)]
    mean = np.mean([metric.value for metric in intervals])
    assert sum(metric.low <= mean <= metric.high for metric in intervals) >= 15


def _falling(size: int) -> np.ndarray:
    shares = 1.0 / np.arange(1, size + 1)
    return shares / shares.sum()


def test_a_text_is_no_ranking() -> None:
    assert Recommend().grading.grades([Row("[]", "a")], [Reply("banana", 1.0)], FORM) == [0.0]


def test_as_a_message() -> None:
    (reply,) = part.decode(raw([["a", "b"]]), FORM)
    assert part.content(reply) == "1. a A, £1 (because)\n2. b B, £1 (because)"
    assert part.content(Reply(["a"], 1.0)) == "1. a"
