"""Rank the goods of a shop for a customer: by what was bought together, by what texts say, and by what sells.

A history counts the more the later an item in it was bought. What a stranger gets is what sells best, and the reply says so.
"""

from __future__ import annotations

import copy
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from smidgen.retail.goods import Product, common_words, price_of, product_of
from smidgen.retail.next_item import NextItemModel, model_among, stored_arrays
from smidgen.retail.reasons import Evidence, reason
from smidgen.retail.requests import USUAL, SuggestionRequest
from smidgen.retail.words import WordIndex

Floats: TypeAlias = NDArray[np.float32]
Embed: TypeAlias = Callable[[Sequence[str]], Floats]
Because: TypeAlias = Literal["bought", "similar", "words", "popular"]
"""The basis of a ranking: purchases, texts of the goods in the history, the customer's words, or what sells."""

FILES = ("goods.json", "ranking.json", "ranking.safetensors")
_AT_ONCE = 256
_WORD_OVERLAP_WEIGHT = 0.5
"""Weight of shared words, beside the similarity of meaning."""
_HISTORY_WEIGHT = 0.3
"""Weight of a history beside words, which say what the customer looks for now."""


@dataclass(frozen=True, slots=True)
class RankingWeights:
    """How the parts of a ranking add up.

    Attributes:
        decay: how much an item of a history counts against the next later one.
        window: the latest items of a history that are read.
        bought: the weight of what was bought together; 0 for none.
        near: the weight of likeness by texts; 0 for none.
        sells: the weight of how often an item was bought.
        next_item: the weight of the transformer's probabilities, beside what was bought together; 0 for none.
    """

    decay: float = 0.8
    window: int = 50
    bought: float = 1.0
    near: float = 0.0
    sells: float = 0.001
    next_item: float = 0.0


@dataclass(frozen=True)
class ItemTables:
    """Arrays over n items.

    Attributes:
        buyers: (n,) customers who bought each.
        listed: (n,) whether it may be suggested; what is not sold any more may not.
        starts, items, weights, counts: for each item of a history the items that go with it, as compressed rows: where a row starts, its
            items in order of their numbers, their weights, and how many customers bought both.
        vectors: (n, width) unit vectors of their texts; None without texts.
        next_item: the transformer that reads a history in its order; None without one.
    """

    buyers: Floats
    listed: NDArray[np.bool_]
    starts: NDArray[np.int64]
    items: NDArray[np.int32]
    weights: Floats
    counts: NDArray[np.int32]
    vectors: Floats | None = None
    next_item: NextItemModel | None = None

    @staticmethod
    def without_pairs(buyers: Floats, listed: NDArray[np.bool_], vectors: Floats | None = None) -> ItemTables:
        """Tables without anything bought together."""
        empty = np.zeros(len(buyers) + 1, np.int64)
        return ItemTables(buyers, listed, empty, np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros(0, np.int32), vectors)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """The answer to one request.

    Attributes:
        ids: the best first.
        items: their facts: id, name, score, reason, and price, link, picture and stock where known.
        because: what the ranking stands on.
        sure: how much speaks for the first ten: the sum of their weights, a likeness, or their share of all purchases.
        unknown: ids of the history that are not in the catalogue.
    """

    ids: tuple[str, ...]
    items: tuple[dict[str, Any], ...]
    because: Because
    sure: float
    unknown: tuple[str, ...] = ()


class GoodsRanking:
    """The goods with their tables. Safe for several threads."""

    def __init__(self, goods: Sequence[Product], texts: Sequence[str], tables: ItemTables, weights: RankingWeights, language: str) -> None:
        self.goods, self.tables, self.weights, self.language = goods, tables, weights, language
        self.texts = texts
        self.words = WordIndex([product.name for product in goods], texts)
        self.places = {product.id: place for place, product in enumerate(goods)}
        counted = Counter(product.name.casefold() for product in goods)
        # A name of one word, such as Bench, may be what a customer looks for.
        self.named = {name: p.id for p in goods if counted[name := p.name.casefold()] == 1 and " " in name}
        self.ranges = common_words((p.name for p in goods), (value for p in goods for value in p.attributes.values()))
        most = max(1.0, float(np.log1p(tables.buyers.max(initial=1.0))))
        self._sells: Floats = (np.log1p(tables.buyers) / most).astype(np.float32)
        prices = (price_of(product.price) for product in goods)
        self._prices = np.array([math.inf if price is None else price for price in prices], dtype=np.float64)
        self._stocked = np.array([product.stock != 0 for product in goods], dtype=np.bool_)

    def replaced(self, tables: ItemTables | None = None, weights: RankingWeights | None = None) -> GoodsRanking:
        """A ranking of these goods with other weights, or with other tables of the same buyers."""
        found = copy.copy(self)
        found.tables, found.weights = tables or self.tables, weights or self.weights
        return found

    def known(self, history: Sequence[str]) -> NDArray[np.int64]:
        """The numbers of the known items of a history, each at its latest place."""
        found = [self.places[id] for id in history if id in self.places]
        return np.array(list(dict.fromkeys(reversed(found)))[::-1][-self.weights.window :], dtype=np.int64)

    def scores(self, histories: Sequence[NDArray[np.int64]]) -> Floats:
        """(histories, n) how well each item fits a history, by purchases and texts."""
        size, weights = len(self.goods), self.weights
        found = np.empty((len(histories), size), np.float32)
        for row, history in enumerate(histories):
            parts = self._history_scores(history)
            found[row] = parts[0] + weights.sells * self._sells
        return found

    def _history_scores(self, history: NDArray[np.int64]) -> tuple[Floats, float]:
        """(n,) the scores of a history, and the largest score by purchases alone."""
        tables, weights, size = self.tables, self.weights, len(self.goods)
        total, most = np.zeros(size, np.float32), 0.0
        if not len(history):
            return total, most
        later = (weights.decay ** np.arange(len(history) - 1, -1, -1)).astype(np.float32)
        if weights.bought:
            spans = [slice(tables.starts[item], tables.starts[item + 1]) for item in history]
            places = np.concatenate([tables.items[span] for span in spans])
            values = np.concatenate([weight * tables.weights[span] for weight, span in zip(later, spans, strict=True)])
            total = np.bincount(places, values, size).astype(np.float32)
            if weights.next_item and tables.next_item is not None:
                total += np.float32(weights.next_item) * tables.next_item.probabilities(history)
            most = float(total.max(initial=0.0))
            total *= weights.bought
        if weights.near and tables.vectors is not None:
            middle = later @ tables.vectors[history]
            total += weights.near * (tables.vectors @ (middle / max(1e-6, float(np.linalg.norm(middle)))))
        return total, most

    def suggest(self, requests: Sequence[SuggestionRequest], embed: Embed | None) -> list[Suggestion]:
        """The answers to requests, in order. Words count only with `embed`, which makes unit vectors of texts."""
        worded = [place for place, request in enumerate(requests) if request.text]
        vectors: Mapping[int, Floats] = {}
        if worded and embed is not None and self.tables.vectors is not None:
            found = embed([requests[place].text for place in worded])
            vectors = dict(zip(worded, found, strict=True))
        return [self._answer(request, vectors.get(place)) for place, request in enumerate(requests)]

    def _answer(self, request: SuggestionRequest, words: Floats | None) -> Suggestion:
        history, tables, weights = self.known(request.history), self.tables, self.weights
        scores, by_purchase = self._history_scores(history)
        because: Because = "popular"
        if words is not None and tables.vectors is not None:
            because = "words"
            scores = (
                tables.vectors @ words
                + _WORD_OVERLAP_WEIGHT * self.words.scores(request.text)
                + _HISTORY_WEIGHT * scores / max(1e-6, float(np.abs(scores).max(initial=0.0)))
            )
        elif by_purchase > 0:
            because = "bought"
        elif len(history) and weights.near and tables.vectors is not None:
            because = "similar"
        scores = self._sells if because == "popular" else scores + np.float32(weights.sells) * self._sells
        allowed = self._allowed(request, history)
        best = _top_places(np.where(allowed, scores, -np.inf), min(request.count, int(allowed.sum())))
        ten = best[:USUAL]
        if because == "popular":
            sure = float(tables.buyers[ten].sum() / max(1.0, float(tables.buyers.sum())))
        else:
            sure = max(0.0, float(scores[ten].sum()))
        items = tuple(self._item_facts(place, float(scores[place]), history, request, because) for place in best.tolist())
        unknown = tuple(dict.fromkeys(id for id in request.history if id not in self.places))[:20]
        return Suggestion(tuple(self.goods[place].id for place in best.tolist()), items, because, sure, unknown)

    def _allowed(self, request: SuggestionRequest, history: NDArray[np.int64]) -> NDArray[np.bool_]:
        allowed = self.tables.listed.copy()
        out = [self.places[id] for id in (*request.history, *request.exclude) if id in self.places]
        allowed[out] = False
        if request.most is not None:
            allowed &= self._prices <= request.most
        return allowed & self._stocked if request.in_stock else allowed

    def _item_facts(
        self, place: int, score: float, history: NDArray[np.int64], request: SuggestionRequest, because: Because
    ) -> dict[str, Any]:
        product = self.goods[place]
        why = reason(product, self._evidence(place, history, request, because), self.ranges, request.language or self.language)
        facts = {"price": product.price, "url": product.url, "image": product.image, "stock": product.stock}
        known = {name: value for name, value in facts.items() if value not in ("", None)}
        return {"id": product.id, "name": product.name, "score": round(score, 4), "reason": why, **known}

    def _evidence(self, place: int, history: NDArray[np.int64], request: SuggestionRequest, because: Because) -> Evidence:
        tables, buyers = self.tables, int(self.tables.buyers[place])
        if because == "words":
            return Evidence(words=self.words.shared(request.text, place), buyers=buyers)
        if because == "popular" or not len(history):
            return Evidence(buyers=buyers)
        near = None
        if tables.vectors is not None and self.weights.near:
            near = self.goods[int(history[int(np.argmax(tables.vectors[history] @ tables.vectors[place]))])]
        together = max(
            ((self._bought_both(int(item), place), -age, int(item)) for age, item in enumerate(history[::-1])), default=(0, 0, 0)
        )
        return Evidence((self.goods[together[2]], together[0]) if together[0] else None, near, buyers=buyers)

    def _bought_both(self, item: int, other: int) -> int:
        tables = self.tables
        start, end = int(tables.starts[item]), int(tables.starts[item + 1])
        place = start + int(np.searchsorted(tables.items[start:end], other))
        return int(tables.counts[place]) if place < end and tables.items[place] == other else 0


def _top_places(scores: Floats, count: int) -> NDArray[np.int64]:
    if count <= 0:
        return np.zeros(0, np.int64)
    if count < len(scores):
        edge = np.partition(scores, len(scores) - count)[len(scores) - count]
        places = np.flatnonzero(scores >= edge)
    else:
        places = np.arange(len(scores))
    return places[np.argsort(-scores[places], kind="stable")][:count].astype(np.int64)


def write_ranking(ranking: GoodsRanking, folder: Path, encoder: Mapping[str, Any] | None = None) -> None:
    """Write the three files of `FILES`. `encoder`: the engine and options of the model that makes vectors of words, if there is one."""
    from safetensors.numpy import save_file

    goods = [{**product.json(), "text": text} for product, text in zip(ranking.goods, ranking.texts, strict=True)]
    facts = {"weights": asdict(ranking.weights), "language": ranking.language, "encoder": dict(encoder) if encoder else None}
    tables = ranking.tables
    arrays: dict[str, NDArray[Any]] = {
        "buyers": tables.buyers,
        "listed": tables.listed.astype(np.uint8),
        "starts": tables.starts,
        "items": tables.items,
        "weights": tables.weights,
        "counts": tables.counts,
    }
    if tables.vectors is not None:
        arrays["vectors"] = tables.vectors.astype(np.float16)
    if tables.next_item is not None:
        arrays |= stored_arrays(tables.next_item)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILES[0]).write_text(json.dumps(goods, ensure_ascii=False), encoding="utf-8")
    (folder / FILES[1]).write_text(json.dumps(facts), encoding="utf-8")
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / FILES[2])


def read_ranking(folder: Path) -> tuple[GoodsRanking, Mapping[str, Any] | None]:
    """The ranking in a folder, and its encoder. Raises ValueError, a clause, for files that are damaged or do not fit each other."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        goods = json.loads((folder / FILES[0]).read_text(encoding="utf-8"))
        facts = json.loads((folder / FILES[1]).read_text(encoding="utf-8"))
        arrays = load_file(folder / FILES[2])
        weights = RankingWeights(**facts["weights"])
        language, encoder = str(facts["language"]), facts.get("encoder")
        products, texts = [product_of(entry) for entry in goods], [str(entry.get("text", "")) for entry in goods]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, SafetensorError) as error:
        raise ValueError(f"its files cannot be read ({type(error).__name__}: {str(error)[:100]})") from error
    if not products or len({product.id for product in products}) < len(products):
        raise ValueError("it has no items, or one of them twice")
    tables = _read_tables(arrays, len(products))
    _check_weights(weights)
    return GoodsRanking(products, texts, tables, weights, language), encoder


def _read_tables(arrays: Mapping[str, NDArray[Any]], size: int) -> ItemTables:
    types = {"buyers": np.float32, "listed": np.uint8, "starts": np.int64, "items": np.int32, "weights": np.float32, "counts": np.int32}
    for name, kind in types.items():
        if name not in arrays or arrays[name].dtype != kind or arrays[name].ndim != 1:
            raise ValueError(f"its table {name} is missing, or of another type")
    starts, items, pairs = arrays["starts"], arrays["items"], len(arrays["items"])
    fits = (
        len(arrays["buyers"]) == len(arrays["listed"]) == size == len(starts) - 1
        and len(arrays["weights"]) == len(arrays["counts"]) == pairs
    )
    if not fits or starts[0] != 0 or starts[-1] != pairs or np.any(np.diff(starts) < 0):
        raise ValueError("its tables do not fit each other")
    if pairs and (items.min() < 0 or items.max() >= size):
        raise ValueError("its tables name items that do not exist")
    if not (np.isfinite(arrays["weights"]).all() and np.isfinite(arrays["buyers"]).all() and (arrays["buyers"] >= 0).all()):
        raise ValueError("its tables hold numbers that are not finite, or below zero")
    vectors = arrays.get("vectors")
    if vectors is not None and (vectors.ndim != 2 or len(vectors) != size or not np.isfinite(vectors).all()):
        raise ValueError("its vectors do not fit its items")
    listed = arrays["listed"].astype(np.bool_)
    whole = None if vectors is None else vectors.astype(np.float32)
    return ItemTables(arrays["buyers"], listed, starts, items, arrays["weights"], arrays["counts"], whole, model_among(arrays, size))


def _check_weights(weights: RankingWeights) -> None:
    numbers = (weights.decay, weights.bought, weights.near, weights.sells, weights.next_item)
    good = all(isinstance(number, int | float) and not isinstance(number, bool) and 0 <= number <= 1e6 for number in numbers)
    if not good or not 0 < weights.decay <= 1 or not isinstance(weights.window, int) or not 1 <= weights.window <= 10_000:
        raise ValueError("its weights are out of range")
