"""The transformer beside pairs: it learns what pairs cannot say, is served as taught, and counts only where held-out rows prefer it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smidgen.core.errors import TrainError
from smidgen.core.parts import Workspace
from smidgen.core.progress import Silent
from smidgen.retail.goods import Product
from smidgen.retail.next_item import UNTAUGHT
from smidgen.retail.ranking import GoodsRanking, read_ranking, write_ranking
from smidgen.retail.students import ease
from smidgen.retail.students.ease import EaseSettings, history_ranking
from smidgen.retail.students.purchases import Purchases, held_out_gains

ITEMS, NEVER = 25, 24
"""The last item stands in the catalogue, and in no purchase."""


def purchases(customers: int, chance: float = 0.0, seed: int = 0) -> Purchases:
    """Customers who buy two items and then a third: one of the second's two partners, as the first says, or by `chance` any.

    Which of the two it is depends on both items together: neither says anything of it alone.
    """
    rng = np.random.default_rng(seed)
    partners, rows = (rng.permutation(NEVER), rng.permutation(NEVER)), []
    while len(rows) < customers + 300:
        first, second = rng.choice(NEVER, 2, replace=False).tolist()
        third = int(rng.integers(NEVER) if rng.random() < chance else partners[first % 2][second])
        if third not in (first, second):
            rows.append(np.array([first, second, third], dtype=np.int64))
    goods = [Product(f"i{item}", f"Thing {item}", {}, "") for item in range(ITEMS)]
    histories, wanted = [row[:-1] for row in rows[customers:]], np.array([row[-1] for row in rows[customers:]])
    return Purchases(goods, [""] * ITEMS, np.ones(ITEMS, np.bool_), "en", rows[:customers], histories, wanted)


class Heard(Silent):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def say(self, text: str) -> None:
        self.told.append(text)

    def finish(self, note: str = "") -> None:
        self.told.append(note)


def ranked(bought: Purchases, folder: Path, budget: str = "10m") -> tuple[GoodsRanking, list[str]]:
    heard = Heard()
    return history_ranking(bought, EaseSettings(time_budget=budget), Workspace(folder, 1, heard), 0), heard.told


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few purchases are enough to try."""
    monkeypatch.setattr(ease, "_MIN_STEPS", 100)


@pytest.mark.usefixtures("little")
def test_what_two_items_say_together_is_learnt_and_served_as_taught(tmp_path: Path) -> None:
    bought = purchases(1500)
    ranking, told = ranked(bought, tmp_path)
    gains = held_out_gains(ranking, bought)
    alone = replace(ranking.weights, next_item=0.0)
    pairs = GoodsRanking(ranking.goods, ranking.texts, ranking.tables, alone, "en")
    assert ranking.weights.next_item > 0 and gains.mean() > held_out_gains(pairs, bought).mean() + 0.05
    assert any("the transformer counts" in line for line in told)
    write_ranking(ranking, tmp_path / "kept")
    served, _ = read_ranking(tmp_path / "kept")
    assert served.weights == ranking.weights and np.array_equal(held_out_gains(served, bought), gains)


@pytest.mark.usefixtures("little")
def test_where_it_learns_nothing_more_the_transformer_is_left_out(tmp_path: Path) -> None:
    ranking, told = ranked(purchases(100, chance=0.6), tmp_path)
    assert ranking.weights.next_item == 0 and ranking.tables.next_item is None
    assert any("the transformer is left out" in line for line in told)


def test_few_purchases_and_no_time_teach_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bought = purchases(600)
    assert ranked(bought, tmp_path)[0].tables.next_item is None, "1,200 items that come after another are few"
    monkeypatch.setattr(ease, "_MIN_STEPS", 100)
    told = ranked(bought, tmp_path, "0")[1]
    assert not any("transformer" in line for line in told) and len(told) > 1
    with pytest.raises(TrainError, match=r"time budget.*soon.*10m"):
        ranked(bought, tmp_path, "soon")


@pytest.mark.usefixtures("little")
def test_without_torch_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    ranking, told = ranked(purchases(600), tmp_path)
    assert ranking.tables.next_item is None and any("No transformer" in line and "train" in line for line in told)


def test_the_engine_computes_what_was_taught() -> None:
    """The states of NumPy and torch are the same, for histories up to the window and beyond."""
    import torch

    from smidgen.retail.students.next_item_training import _Network, taught_model

    bought = purchases(200)
    model = taught_model(bought, 4, 0.3, 1, 0, Silent())
    network = _Network(ITEMS, 4)
    network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in model.arrays.items()})
    network.eval()
    rng, seen = np.random.default_rng(2), 0
    for length in (1, 2, 3, 4, 7):
        history = rng.choice(NEVER, length, replace=False)
        with torch.no_grad():
            state = network(torch.from_numpy(history[None, -4:]))[0, -1]
            logits = (network.items.weight @ state + network.bias).numpy()
        found = model.logits(history)
        others = np.setdiff1d(np.arange(NEVER), history)
        assert np.allclose(found[others], logits[others], atol=1e-4) and np.all(np.isneginf(found[history]))
        shares = model.probabilities(history)
        assert shares.sum() == pytest.approx(1, abs=1e-5) and shares[NEVER] == 0 and not shares[history].any()
        seen += 1
    assert seen == 5


def test_items_without_purchases_get_no_probability() -> None:
    from smidgen.retail.students.next_item_training import taught_model

    model = taught_model(purchases(200), 4, 0.2, 1, 0, Silent())
    assert model.arrays["bias"][NEVER] == UNTAUGHT and (model.arrays["bias"][:NEVER] > UNTAUGHT).all()
    assert not model.probabilities(np.array([NEVER])).any() and not model.probabilities(np.zeros(0, np.int64)).any()
    assert np.array_equal(model.logits(np.array([NEVER, 3]))[:NEVER], model.logits(np.array([3]))[:NEVER])
    assert not model.probabilities(np.arange(ITEMS)).any(), "who has everything is offered nothing"


def test_the_time_budget_ends_teaching() -> None:
    from smidgen.retail.students.next_item_training import taught_model

    heard = Heard()
    taught_model(purchases(600), 4, 0.2, 1, 0, heard)
    assert 1 <= int(heard.told[-1].partition(" ")[0].replace(",", "")) < 400, "a fifth of a second has no room for all steps"


def test_numbers_that_run_away_are_not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    from smidgen.retail.students import next_item_training as training

    monkeypatch.setattr(training, "_RATE", float("inf"))
    with pytest.raises(TrainError, match=r"no longer finite.*time_budget=0"):
        training.taught_model(purchases(200), 4, 5.0, 1, 0, Silent())
