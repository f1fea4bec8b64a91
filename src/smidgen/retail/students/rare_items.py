"""Pairs with items that are too rare, or too many, for the closed form: the nearest items by BM25, from the package `implicit`."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smidgen.core.errors import MissingExtra
from smidgen.retail.ranking import ItemTables
from smidgen.retail.students.purchases import Purchases, need_scipy

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_NEAREST, _K1, _B = 100, 0.4, 0.2
_MATCHED_QUANTILE = 0.99
"""The quantile at which weights of both kinds are made equal."""
_AT_ONCE = 2_000


class RarePairs:
    """Weights between items of which one at least is not weighed in closed form."""

    def __init__(self, purchases: Purchases, weighed: NDArray[np.int64]) -> None:
        """`weighed`: the numbers of the items that the closed form knows. Raises MissingExtra without `implicit`."""
        sparse, own = need_scipy(), need_implicit()
        items, customers = len(purchases.goods), len(purchases.customers)
        lengths = np.array([len(bought) for bought in purchases.customers], dtype=np.int64)
        places = np.concatenate([np.zeros(0, np.int64), *purchases.customers])
        edges = np.concatenate([[0], lengths.cumsum()])
        bought = sparse.csr_matrix((np.ones(len(places), np.float32), places, edges), shape=(customers, items))
        model = own.BM25Recommender(K=_NEAREST, K1=_K1, B=_B)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(bought, show_progress=False)
        alike = model.similarity.tocsr()
        alike.setdiag(0)
        alike.eliminate_zeros()
        inside = np.zeros(items, dtype=np.bool_)
        inside[weighed] = True
        rows = np.repeat(np.arange(items), np.diff(alike.indptr))
        rare = ~(inside[rows] & inside[alike.indices])
        self._weights = sparse.csr_matrix((alike.data[rare], (rows[rare], alike.indices[rare])), shape=(items, items), dtype=np.float32)
        self._counts = _pair_counts(self._weights, bought)

    def beside(self, tables: ItemTables, share: float) -> ItemTables:
        """The tables with these pairs beside their own, at a share of the own ones' weight."""
        if not share or not self._weights.nnz or not len(tables.weights):
            return tables
        sparse, size = need_scipy(), len(tables.buyers)
        level = share * float(np.quantile(tables.weights, _MATCHED_QUANTILE)) / float(np.quantile(self._weights.data, _MATCHED_QUANTILE))
        shape = (size, size)
        weights = (sparse.csr_matrix((tables.weights, tables.items, tables.starts), shape=shape) + self._weights * level).tocsr()
        # One more, so that pairs that nobody bought together keep their place.
        counts = sparse.csr_matrix((tables.counts + 1, tables.items, tables.starts), shape=shape) + self._counts
        for table in (weights, counts):
            table.sort_indices()
        starts, items = weights.indptr.astype(np.int64), weights.indices.astype(np.int32)
        return replace(
            tables, starts=starts, items=items, weights=weights.data.astype(np.float32), counts=(counts.data - 1).astype(np.int32)
        )


def _pair_counts(pairs: csr_matrix, bought: csr_matrix) -> csr_matrix:
    """One more than how many customers bought both items of each pair, so that a pair without any stays in the sparse matrix."""
    sparse, found, by_item = need_scipy(), [], bought.T.tocsr()
    pattern = pairs.copy()
    pattern.data = np.ones_like(pattern.data)
    for start in range(0, pairs.shape[0], _AT_ONCE):
        own = pattern[start : start + _AT_ONCE]
        found.append((by_item[start : start + _AT_ONCE] @ bought).multiply(own) + own)
    return sparse.vstack(found).tocsr().astype(np.int32)


def need_implicit() -> Any:
    """`implicit.nearest_neighbours`. Raises MissingExtra if it is not installed."""
    try:
        from implicit import nearest_neighbours
    except ImportError as error:
        raise MissingExtra("implicit", "retail") from error
    return nearest_neighbours
