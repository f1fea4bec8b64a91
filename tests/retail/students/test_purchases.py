"""The students of recommenders: what they learn, and that the engine serves what was taught."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from smidgen.bases.lookup import find
from smidgen.core.errors import MachineError, TrainError
from smidgen.core.parts import Training, Workspace
from smidgen.core.progress import Silent
from smidgen.core.rows import Row
from smidgen.machine import memory
from smidgen.parts import registry
from smidgen.retail.ranking import GoodsRanking, RankingWeights
from smidgen.retail.requests import written
from smidgen.retail.students.ease import EaseSettings, pair_ranking
from smidgen.retail.students.purchases import PairFit, PairWeights, clearly_best, held_out_gains, read_purchases
from smidgen.retail.students.rare_items import RarePairs
from smidgen.retail.tasks import RankedForm

ITEMS = 30
FORM = RankedForm(items=ITEMS, described=True, stocked=False, language="en")


def shop(tmp_path: Path, customers: int = 300, seed: int = 0) -> Training:
    """Customers who buy along a ring: after item 5 comes 6, or now and then any other. Item 29 is new: nobody bought it."""
    rng = np.random.default_rng(seed)
    rows, held = [], []
    for _ in range(customers):
        place = int(rng.integers(ITEMS - 1))
        bought = [place]
        for _ in range(3):
            step = bought[-1] + 1 if rng.uniform() < 0.8 else int(rng.integers(ITEMS))
            bought.append(step % (ITEMS - 1))
        ids = [f"i{item}" for item in dict.fromkeys(bought)]
        if len(ids) > 2:
            rows.append(Row(written(ids[:-2]), ids[-2]))
            held.append(Row(written(ids[:-1]), ids[-1]))
    material = tmp_path / "material"
    material.mkdir(exist_ok=True)
    goods = [{"id": f"i{item}", "name": f"Thing {item}", "text": f"{_WORDS[item % 5]} thing", "listed": True} for item in range(ITEMS)]
    (material / "goods.json").write_text(json.dumps({"language": "en", "goods": goods}), encoding="utf-8")
    return Training(rows, held[: len(held) // 2], FORM, None, EaseSettings(), material=material)


_WORDS = ("woollen", "copper", "glass", "paper", "leather")


def trained(kind: str, training: Training, tmp_path: Path) -> Path:
    folder = tmp_path / kind
    folder.mkdir()
    registry.find("students", kind).fit(training, Workspace(folder, 1, Silent()))
    return folder


def hits(kind: str, folder: Path, rows: list[Row], tmp_path: Path) -> float:
    """The share of rows whose item is among the first ten, by the engine, which must answer as the student."""
    student, out, texts = registry.find("students", kind), tmp_path / f"{kind}-out", [row.input for row in rows]
    spec = student.export(folder, out)
    served = registry.find("engines", spec.engine).open(out, spec.options, 1).run(texts)
    reference = student.raw(folder, texts, 1)
    assert served["ranked"] == reference["ranked"] and np.array_equal(served["sure"], reference["sure"])
    assert sorted(file.name for file in out.iterdir()) == sorted(spec.files)
    return float(np.mean([row.output in ids[:10] for row, ids in zip(rows, served["ranked"], strict=True)]))


def test_what_comes_next_is_learnt_and_served_as_taught(tmp_path: Path) -> None:
    training = shop(tmp_path)
    rows = list(training.held)
    popular = hits("popular", trained("popular", training, tmp_path), rows, tmp_path)
    ease = hits("ease", trained("ease", training, tmp_path), rows, tmp_path)
    assert ease > 0.8 and ease > popular + 0.3


@pytest.mark.thorough
def test_texts_find_goods_that_nobody_bought(tmp_path: Path) -> None:
    base = find("minilm")
    plain = shop(tmp_path)
    training = Training(
        plain.rows, plain.held, FORM, base, registry.find("students", "catalogue").settings(near=1.0), material=plain.material
    )
    folder = trained("catalogue", training, tmp_path)
    popular = hits("popular", trained("popular", plain, tmp_path), list(plain.held), tmp_path)
    assert hits("catalogue", folder, list(plain.held), tmp_path) > popular + 0.1
    spec = registry.find("students", "catalogue").export(folder, tmp_path / "out")
    runner = registry.find("engines", "goods").open(tmp_path / "out", spec.options, 1)
    (same,) = runner.run(['{"history": ["i4"], "n": 30}'])["ranked"]
    assert "i29" in same[:12]  # of leather as i4
    words = runner.run(["something made of copper"])
    assert words["because"] == ["words"] and {int(id[1:]) % 5 for id in words["ranked"][0][:3]} == {1}


def test_the_closed_forms_are_those_of_the_papers(tmp_path: Path) -> None:
    """EASE and the regression on the next item, against their definitions in plain numpy."""
    purchases = read_purchases(shop(tmp_path, customers=60))
    weights = PairWeights(purchases, ITEMS, 50)
    bought = np.flatnonzero(purchases.buyers > 0)
    owned = np.zeros((len(purchases.customers), ITEMS))
    for row, items in enumerate(purchases.customers):
        owned[row, items] = 1
    owned = owned[:, bought]
    inverse = np.linalg.inv(owned.T @ owned + 7 * np.eye(len(bought)))
    ease = -inverse / np.diag(inverse)
    np.fill_diagonal(ease, 0)
    assert np.allclose(weights._ease_weights(7.0), ease, atol=1e-4)
    steps = [(items[:place], items[place]) for items in purchases.customers for place in range(1, len(items))]
    before, after = np.zeros((len(steps), ITEMS)), np.zeros((len(steps), ITEMS))
    for row, (history, item) in enumerate(steps):
        before[row, history] = 0.5 ** np.arange(len(history) - 1, -1, -1)
        after[row, item] = 1
    before, after = before[:, bought], after[:, bought]
    expected = np.linalg.solve(before.T @ before + 3 * np.eye(len(bought)), before.T @ after)
    assert np.allclose(weights._next_item_weights(0.5, 3.0), expected, atol=1e-4)
    tables = weights.tables(PairFit(0.5, 3.0, 7.0, 0.0), _tables(purchases))
    both = (owned.T @ owned).astype(int)
    places = {item: place for place, item in enumerate(bought)}
    seen = 0
    for item in range(ITEMS):
        for place in range(tables.starts[item], tables.starts[item + 1]):
            assert tables.counts[place] == both[places[item], places[int(tables.items[place])]]
            seen += 1
    assert seen == len(tables.items) > 50


def _tables(purchases):
    from smidgen.retail.students.popular import popular_tables

    return popular_tables(purchases)


def test_only_the_commonest_items_are_weighed(tmp_path: Path) -> None:
    purchases = read_purchases(shop(tmp_path))
    weights = PairWeights(purchases, 10, 50)
    tables = weights.tables(PairFit(0.8, 10.0, 20.0, 1.0), _tables(purchases))
    kept = set(np.argsort(-purchases.buyers, kind="stable")[:10].tolist())
    assert weights.left_out == int((purchases.buyers > 0).sum()) - 10 and set(tables.items.tolist()) <= kept


def test_histories_fade_and_best_sellers_count_as_held_out_rows_show(tmp_path: Path) -> None:
    """Each customer buys of one shelf, in any order: the first purchase says as much as the last, and shelves have best sellers."""
    rng = np.random.default_rng(1)
    rows = []
    for _ in range(500):
        shelf, ends = rng.permutation(10) + 10 * rng.integers(3), rng.permutation(30)
        ids = [f"i{item}" for item in dict.fromkeys([*sorted(shelf, key=lambda item: item % 10 + 8 * rng.uniform())[:5], *ends[:3]])]
        rows.append(Row(written(ids[1:] if len(ids) > 6 else ids[:-1]), ids[0] if len(ids) > 6 else ids[-1]))
    plain = shop(tmp_path)
    purchases = read_purchases(Training(rows[:300], rows[300:], FORM, None, EaseSettings(), material=plain.material))
    ranking = pair_ranking(purchases, EaseSettings(), Silent())
    usual = GoodsRanking(ranking.goods, ranking.texts, ranking.tables, RankingWeights(), "en")
    assert ranking.weights != usual.weights
    assert held_out_gains(ranking, purchases).mean() > held_out_gains(usual, purchases).mean() + 0.01
    assert pair_ranking(purchases, EaseSettings(recency=0.8), Silent()).weights.decay == 0.8


def test_rarer_items_are_suggested_by_their_nearest(tmp_path: Path) -> None:
    pytest.importorskip("implicit")
    training = shop(tmp_path)
    purchases, base = read_purchases(training), _tables(read_purchases(training))
    weights = PairWeights(purchases, 10, 50)
    alone = weights.tables(PairFit(0.8, 10.0, 20.0, 1.0), base)
    both = RarePairs(purchases, weights.weighed).beside(alone, 1.0)
    kept, seen = set(weights.weighed.tolist()), 0
    for item in range(ITEMS):
        own = slice(both.starts[item], both.starts[item + 1])
        for other, count in zip(both.items[own].tolist(), both.counts[own].tolist(), strict=True):
            together = sum({item, other} <= set(bought.tolist()) for bought in purchases.customers)
            inside = {item, other} <= kept
            assert count == together and (inside or count > 0), "a pair that is not weighed was bought together"
            seen += not inside
    assert seen > 100 and np.all(np.diff(both.starts) >= np.diff(alone.starts))
    gains = [
        held_out_gains(GoodsRanking(purchases.goods, purchases.texts, tables, RankingWeights(), "en"), purchases)
        for tables in (alone, both)
    ]
    assert gains[1].mean() > gains[0].mean() + 0.1


def test_without_implicit_rarer_items_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "implicit", None)
    told: list[str] = []
    monkeypatch.setattr(Silent, "say", lambda self, text: told.append(text))
    pair_ranking(read_purchases(shop(tmp_path)), EaseSettings(most_items=10), Silent())
    assert len(told) == 1 and "19 rare items are not weighed" in told[0] and "retail" in told[0]


def test_too_little_memory_is_said_beforehand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_mb", lambda: 0.001)
    with pytest.raises(MachineError, match=r"weighing .* takes .* MB .*most_items"):
        PairWeights(read_purchases(shop(tmp_path)), ITEMS, 50)


def test_few_rows_do_not_decide_by_chance(tmp_path: Path) -> None:
    usual, other = object(), object()
    alike = np.array([1.0, 0, 1, 0, 0, 1]), np.array([1.0, 0, 1, 1, 0, 0.9])
    assert clearly_best([(usual, alike[0]), (other, alike[1])])[0] is usual  # type: ignore[list-item]
    assert clearly_best([(usual, alike[0]), (other, alike[0] + 0.2)])[0] is other  # type: ignore[list-item]
    assert clearly_best([(usual, alike[0][:1]), (other, alike[1][:1])])[0] is usual  # type: ignore[list-item]


def test_gains_are_those_of_the_ranking(tmp_path: Path) -> None:
    training = shop(tmp_path, customers=80)
    purchases = read_purchases(training)
    weights = PairWeights(purchases, ITEMS, 50)
    from smidgen.retail.ranking import GoodsRanking, RankingWeights
    from smidgen.retail.requests import SuggestionRequest

    tables = weights.tables(PairFit(0.8, 10.0, 20.0, 1.0), _tables(purchases))
    ranking = GoodsRanking(purchases.goods, purchases.texts, tables, RankingWeights(), "en")
    gains = held_out_gains(ranking, purchases)
    told = ranking.suggest([SuggestionRequest(tuple(json.loads(row.input))) for row in training.held], None)
    expected = [
        1 / np.log2(answer.ids.index(row.output) + 2) if row.output in answer.ids else 0.0
        for row, answer in zip(training.held, told, strict=True)
    ]
    assert len(expected) > 20 and np.allclose(gains, expected)


def test_without_goods_there_is_nothing_to_learn(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="no goods"):
        read_purchases(Training((), (), FORM, None, EaseSettings()))
