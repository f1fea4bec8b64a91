"""Purchases as numbers: the goods of a build, what each customer bought, and what goes with what."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from smidgen.core.errors import MachineError, MissingExtra, TrainError
from smidgen.core.parts import Training
from smidgen.core.progress import Progress
from smidgen.core.rows import Row, joined
from smidgen.machine import memory
from smidgen.retail.goods import Product, product_of
from smidgen.retail.ranking import GoodsRanking, ItemTables
from smidgen.retail.requests import USUAL

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Floats: TypeAlias = NDArray[np.float32]
Numbers: TypeAlias = NDArray[np.int64]
_AT_ONCE = 256
_PAIRS_PER_ITEM = 400
"""Only the largest weights of each item of a history are kept."""


@dataclass(frozen=True)
class Purchases:
    """The purchases and goods that a student learns from.

    Attributes:
        goods, texts, listed: the items, the text of each, and whether it may be suggested.
        language: of reasons.
        customers: the numbers of each customer's items, in the order of purchase.
        histories, next_items: held-out rows: what was bought before, and the item that came next.
    """

    goods: list[Product]
    texts: list[str]
    listed: NDArray[np.bool_]
    language: str
    customers: list[Numbers]
    histories: list[Numbers]
    next_items: Numbers

    @property
    def buyers(self) -> Floats:
        """(n,) how many customers bought each item."""
        bought = np.concatenate([np.zeros(0, np.int64), *self.customers])
        return np.bincount(bought, minlength=len(self.goods)).astype(np.float32)


def read_purchases(training: Training) -> Purchases:
    """The purchases of a build. Raises TrainError if the task gathered no goods."""
    file = training.material / "goods.json" if training.material is not None else None
    if file is None or not file.is_file():
        raise TrainError("retail.there_are_no_goods_to_learn_about", value="--student")
    facts = json.loads(file.read_text(encoding="utf-8"))
    goods = [product_of(entry) for entry in facts["goods"]]
    places = {product.id: place for place, product in enumerate(goods)}
    customers = [numbers for row in training.rows if len(numbers := _numbers(row, places))]
    held = [(numbers[:-1], numbers[-1]) for row in training.held if len(numbers := _numbers(row, places)) > 1]
    return Purchases(
        goods,
        [entry["text"] for entry in facts["goods"]],
        np.array([entry["listed"] for entry in facts["goods"]], dtype=np.bool_),
        facts["language"],
        customers,
        [history for history, _ in held],
        np.array([next_item for _, next_item in held], dtype=np.int64),
    )


def _numbers(row: Row, places: dict[str, int]) -> Numbers:
    ids = [*json.loads(joined(row.input)), *([row.output] if row.output is not None else [])]
    return np.array([places[id] for id in ids if id in places], dtype=np.int64)


def held_out_gains(ranking: GoodsRanking, purchases: Purchases) -> NDArray[np.float64]:
    """The worth of the next item's place on each held-out row: the parts of NDCG@10."""
    gains = []
    for start in range(0, len(purchases.histories), _AT_ONCE):
        histories = purchases.histories[start : start + _AT_ONCE]
        scores = ranking.scores([history[-ranking.weights.window :] for history in histories])
        scores[:, ~purchases.listed] = -np.inf
        for row, history in zip(scores, histories, strict=True):
            row[history] = -np.inf
        next_items = purchases.next_items[start : start + _AT_ONCE]
        own = scores[np.arange(len(next_items)), next_items][:, None]
        earlier = np.arange(scores.shape[1])[None, :] < next_items[:, None]
        rank = (scores > own).sum(axis=1) + ((scores == own) & earlier).sum(axis=1)
        gains.append(np.where((rank < USUAL) & np.isfinite(own[:, 0]), 1 / np.log2(rank + 2.0), 0.0))
    return np.concatenate([np.zeros(0), *gains])


def clearly_best(
    tried: Sequence[tuple[GoodsRanking, NDArray[np.float64]]], errors: float = 2.0
) -> tuple[GoodsRanking, NDArray[np.float64]]:
    """The best of several, with its gains on the held-out rows; the first, unless another is better by more than so many standard `errors`
    of their difference. So few rows do not decide by chance."""
    usual, before = tried[0]
    if len(before) < 2:
        return usual, before
    best, gains = max(tried, key=lambda one: float(one[1].mean()))
    error = float((gains - before).std(ddof=1)) / len(before) ** 0.5
    return (best, gains) if float((gains - before).mean()) > errors * error else (usual, before)


def best_on_held_out(
    candidates: Iterable[GoodsRanking], purchases: Purchases, progress: Progress, errors: float = 2.0
) -> tuple[GoodsRanking, NDArray[np.float64]]:
    """The candidate that `clearly_best` chooses, with its gains; each candidate advances the progress."""
    tried = []
    for ranking in candidates:
        tried.append((ranking, held_out_gains(ranking, purchases)))
        progress.advance(1)
    return clearly_best(tried, errors)


def shown_gains(gains: NDArray[np.float64]) -> str:
    """Gains in words: `NDCG@10 0.123 on 500 held-out rows`."""
    return f"NDCG@10 {float(gains.mean()) if len(gains) else 0:.3f} on {len(gains):,} held-out rows"


# What goes with what: ridge regressions in closed form.


@dataclass(frozen=True, slots=True)
class PairFit:
    """How pairs are weighed.

    Attributes:
        decay: how much an item of a history counts against the next later one.
        ridge: regularisation of the regression on the next item.
        pair_ridge: regularisation of EASE.
        pairs: the weight of EASE, which takes all items of a customer alike, beside the regression on the next item.
    """

    decay: float
    ridge: float
    pair_ridge: float
    pairs: float


class PairWeights:
    """The weights between the items that were bought most, in closed form.

    EASE (Steck 2019) explains each item of a customer by all others. The regression on the next item explains what came next by what came
    before, the later the stronger (Choi et al. 2021 in spirit). Their sum is better than either on held-out rows of game purchases.
    """

    def __init__(self, purchases: Purchases, most: int, window: int) -> None:
        """`most`: items that are weighed, the commonest. Raises MachineError if there is too little memory for them."""
        buyers = purchases.buyers
        bought = int((buyers > 0).sum())
        self._size = min(most, bought)
        _require_memory(self._size)
        self.weighed = np.sort(np.argsort(-buyers, kind="stable")[: self._size])
        self._places = np.full(len(buyers), -1)
        self._places[self.weighed] = np.arange(self._size)
        self._all, self._window = len(buyers), window
        inside = (self._places[items] for items in purchases.customers)
        self._customers = [found for items in inside if len(found := items[items >= 0])]
        self.left_out = bought - self._size
        self._cache: dict[tuple[str, float, float], Floats] = {}
        owned = self._matrix(self._customers, [np.ones(len(items), np.float32) for items in self._customers])
        # (size, size) how many customers bought both, sparse, with sorted columns.
        self._together = (owned.T @ owned).tocsr()
        self._together.sort_indices()

    def tables(self, fit: PairFit, base: ItemTables) -> ItemTables:
        """The tables with these weights, of each row the largest."""
        weights = self._next_item_weights(fit.decay, fit.ridge)
        if fit.pairs:
            weights = weights + np.float32(fit.pairs) * self._ease_weights(fit.pair_ridge)
        starts, items, values = _largest_weights(weights, min(_PAIRS_PER_ITEM, self._size))
        return self._item_tables(starts, items, values, base)

    def _item_tables(self, starts: Numbers, items: NDArray[np.int32], values: Floats, base: ItemTables) -> ItemTables:
        counts = self._counts_of(starts, items)
        whole = np.zeros(self._all + 1, np.int64)
        whole[self.weighed + 1] = np.diff(starts)
        return ItemTables(base.buyers, base.listed, whole.cumsum(), self.weighed[items].astype(np.int32), values, counts, base.vectors)

    def pairs_alone(self, ridge: float, base: ItemTables) -> ItemTables:
        """The tables of EASE as published (Steck 2019), as a baseline."""
        starts, items, values = _largest_weights(self._ease_weights(ridge), self._size)
        return self._item_tables(starts, items, values, base)

    def forget(self) -> None:
        """Free the memory of the regressions."""
        self._cache.clear()

    def _matrix(self, rows: Sequence[Numbers], weights: Sequence[Floats]) -> csr_matrix:
        sparse = need_scipy()
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        edges = np.concatenate([[0], lengths.cumsum()])
        values, places = (np.concatenate([np.zeros(0), *parts]) for parts in (weights, rows))
        shape = (len(rows), self._size)
        return sparse.csr_matrix((values.astype(np.float32), places.astype(np.int32), edges), shape=shape)

    def _counts_of(self, starts: Numbers, items: NDArray[np.int32]) -> NDArray[np.int32]:
        found = np.zeros(len(items), np.int32)
        counts = self._together
        for row in range(self._size):
            own = slice(counts.indptr[row], counts.indptr[row + 1])
            kept = slice(starts[row], starts[row + 1])
            columns = counts.indices[own]
            if len(columns):
                places = np.minimum(np.searchsorted(columns, items[kept]), len(columns) - 1)
                found[kept] = np.where(columns[places] == items[kept], counts.data[own][places], 0)
        return found

    def _ease_weights(self, ridge: float) -> Floats:
        """EASE (Steck 2019), with a zero diagonal: no item explains itself."""

        def made() -> Floats:
            inverse = _inverted(self._together.toarray(), ridge)
            weights = -inverse / np.diag(inverse)[None, :]
            weights[np.diag_indices(self._size)] = 0
            return weights.astype(np.float32)

        return self._cached(("pairs", ridge, 0.0), made)

    def _next_item_weights(self, decay: float, ridge: float) -> Floats:
        """The regression of the next item on the items before it."""

        def made() -> Floats:
            befores, later, nexts = [], [], []
            fading = (decay ** np.arange(self._window - 1, -1, -1)).astype(np.float32)
            for items in self._customers:
                for place in range(1, len(items)):
                    before = items[max(0, place - self._window) : place]
                    befores.append(before)
                    later.append(fading[self._window - len(before) :])
                    nexts.append(items[place])
            before = self._matrix(befores, later)
            after = self._matrix([np.array([item]) for item in nexts], [np.ones(1, np.float32)] * len(nexts))
            inverse = _inverted((before.T @ before).toarray(), ridge)
            return np.ascontiguousarray(((before.T @ after).T.tocsr() @ inverse).T, dtype=np.float32)

        return self._cached(("next", decay, ridge), made)

    def _cached(self, key: tuple[str, float, float], made: Callable[[], Floats]) -> Floats:
        if key not in self._cache:
            self._cache[key] = made()
        return self._cache[key]


def _inverted(gram: Floats, ridge: float) -> Floats:
    """The inverse of a Gram matrix with a ridge, computed in place."""
    from scipy.linalg import lapack

    gram[np.diag_indices(len(gram))] += np.float32(ridge)
    # A symmetric matrix is its own transpose, which lies in memory as LAPACK wants it: nothing is copied.
    factor, fault = lapack.spotrf(np.asarray(gram, dtype=np.float32).T, lower=1, overwrite_a=1)
    if fault:
        raise TrainError("retail.pairs_cannot_be_weighed", ridge=f"{ridge:g}")
    inverse, fault = lapack.spotri(factor, lower=1, overwrite_c=1)
    if fault:
        raise TrainError("retail.pairs_cannot_be_weighed", ridge=f"{ridge:g}")
    for row in range(len(inverse)):  # only the lower half was computed
        inverse[row, row + 1 :] = inverse[row + 1 :, row]
    return np.asarray(inverse).T


def _largest_weights(weights: Floats, most: int) -> tuple[Numbers, NDArray[np.int32], Floats]:
    starts, columns, values = [0], [], []
    for row in weights:
        kept = np.argpartition(-row, most - 1)[:most] if most < len(row) else np.arange(len(row))
        kept = np.sort(kept[row[kept] > 0])
        columns.append(kept.astype(np.int32))
        values.append(row[kept].astype(np.float32))
        starts.append(starts[-1] + len(kept))
    return np.array(starts, np.int64), np.concatenate(columns), np.concatenate(values)


def _require_memory(size: int) -> None:
    """Raise MachineError if three square tables of this many items, which are held at once, do not fit into memory."""
    needed, free = 3 * 4 * size * size / (1 << 20), memory.available_mb()
    if needed > 0.9 * free:
        fits = int((0.9 * free * (1 << 20) / 12) ** 0.5)
        raise MachineError(
            "retail.weighing_items_needs_more_memory", size=size, needed=f"{needed:,.0f}", free=f"{free:,.0f}", fits=fits // 100 * 100
        )


def need_scipy() -> Any:
    """`scipy.sparse`. Raises MissingExtra if it is not installed."""
    try:
        from scipy import sparse
    except ImportError as error:
        raise MissingExtra("scipy", "train") from error
    return sparse
