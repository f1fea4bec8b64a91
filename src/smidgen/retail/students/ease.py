"""The student `ease`: what goes with what, from orders alone, in closed form, with a history that counts the more the later it is.

With purchases enough, a small transformer that reads a history in its order is taught beside it. It counts where held-out rows prefer it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from smidgen.core.errors import MissingExtra
from smidgen.core.parts import EngineSpec, Raw, Student, Training, Workspace
from smidgen.core.progress import Progress
from smidgen.core.rows import Text
from smidgen.core.settings import Settings, setting
from smidgen.retail.answers import copied_spec, ranked_by
from smidgen.retail.ranking import GoodsRanking, RankingWeights, write_ranking
from smidgen.retail.students.popular import popular_tables
from smidgen.retail.students.purchases import PairFit, PairWeights, Purchases, clearly_best, held_out_gains, read_purchases
from smidgen.retail.students.rare_items import RarePairs
from smidgen.students.encoder import need_torch
from smidgen.students.settings import seconds_of

_FEW = 3_000
"""Up to this many items every combination is tried: a closed form then takes a second or two."""
_DECAYS, _RIDGES, _PAIRS = (0.8, 0.6, 0.95), (100.0, 25.0, 5.0), (0.3, 0.0, 1.0, 3.0)
"""The usual value first."""
_PAIR_RIDGE_OF = 2.0
"""The ridge of EASE, in ridges of the regression on the next item: it sees more pairs."""


_FADINGS, _SELLS = (0.6, 0.95, 1.0), (0.03, 0.1)
"""Values to try beside the usual: how fast a history fades, and how much best sellers count."""
_RARE = (1.0, 0.5, 0.0)
"""How much pairs of items that are not weighed count beside those that are. The usual value first."""


_LEAST_ROWS, _LEAST_STEPS = 200, 10_000
"""Fewest held-out rows, and items that come after another, from which on a transformer is taught: with fewer it does not win."""
_NEXT = (1.0, 0.5)
"""How much the transformer's probabilities may count."""


class EaseSettings(Settings):
    """Settings of the closed form, and of the transformer. What is left open is chosen on held-out rows."""

    recency: float | None = setting(
        None, "How much an item of a history counts against the next later one (default: chosen on held-out rows).", gt=0, le=1
    )
    ridge: float | None = setting(
        None, "Regularisation: larger trusts single purchases less (default: chosen on held-out rows).", gt=0, le=1e6
    )
    pairs: float | None = setting(
        None, "Weight of what was bought by the same customer in any order, beside what came next (default: chosen).", ge=0, le=100
    )
    window: int = setting(50, "The latest items of a history that are read.", ge=1, le=1000)
    most_items: int = setting(
        20_000,
        "Items that are weighed, the commonest; memory grows with the square. Others are suggested by their nearest items.",
        ge=2,
        le=60_000,
    )
    time_budget: str = setting(
        "10m",
        "How long teaching a small transformer may take, such as 10m or 1h; 0 for none. It is taught from some thousand customers on, and "
        "counts where held-out rows prefer it.",
    )


class EaseStudent(Student):
    """The student `ease`."""

    name = "ease"
    summary = "What customers buy after and with one another, from orders alone: in closed form, with purchases enough a transformer."
    settings = EaseSettings
    learns = "outputs"
    engine = "goods"

    def fit(self, training: Training, space: Workspace) -> None:
        """Weigh pairs, and choose what is open on the held-out rows. Raises MachineError if there are too many items for the memory."""
        settings = training.settings if isinstance(training.settings, EaseSettings) else EaseSettings()
        purchases = read_purchases(training)
        write_ranking(history_ranking(purchases, settings, space, training.seed), space.folder)

    def raw(self, folder: Path, texts: Sequence[Text], threads: int) -> Raw:
        """The rankings, as the engine computes them."""
        return ranked_by(folder, texts)

    def export(self, folder: Path, out: Path) -> EngineSpec:
        """Copy its files."""
        return copied_spec(folder, out)


def history_ranking(purchases: Purchases, settings: EaseSettings, space: Workspace, seed: int) -> GoodsRanking:
    """The ranking by pairs, with a transformer beside them where that is better by more than a standard error on the held-out rows."""
    seconds = seconds_of(settings.time_budget, zero=True)
    ranking = pair_ranking(purchases, settings, space.progress)
    steps = sum(len(items) - 1 for items in purchases.customers)
    if not seconds or steps < _LEAST_STEPS or len(purchases.histories) < _LEAST_ROWS:
        return ranking
    try:
        need_torch()
    except MissingExtra as missing:
        space.progress.say(f"No transformer is taught beside the pairs. {missing}")
        return ranking
    from smidgen.retail.students.next_item_training import taught_model

    model = taught_model(purchases, settings.window, seconds, space.threads, seed, space.progress)
    tables = replace(ranking.tables, next_item=model)
    space.progress.start("weigh the transformer and the pairs", 1 + len(_NEXT))
    found = []
    for share in (0.0, *_NEXT):
        weights = replace(ranking.weights, next_item=share)
        tried = GoodsRanking(ranking.goods, ranking.texts, tables if share else ranking.tables, weights, ranking.language)
        found.append((tried, held_out_gains(tried, purchases)))
        space.progress.advance(1)
    # A single, simpler alternative: the rule of one standard error (Breiman et al. 1984).
    best, gains = clearly_best(found, errors=1.0)
    mean, share = float(gains.mean()), best.weights.next_item
    if share:
        space.progress.finish(f"the transformer counts {share:g}: NDCG@10 {mean:.3f} on {len(gains):,} held-out rows")
    else:
        space.progress.finish(f"the transformer is left out: NDCG@10 {mean:.3f} on {len(gains):,} held-out rows")
    return best


def pair_ranking(purchases: Purchases, settings: EaseSettings, progress: Progress) -> GoodsRanking:
    """The ranking by pairs that is best on the held-out rows, by NDCG@10."""
    weights = PairWeights(purchases, settings.most_items, settings.window)
    decays, ridges, pairs = _tried(settings, min(settings.most_items, len(purchases.goods)) <= _FEW, bool(purchases.histories))
    progress.start("weigh what goes with what", len(decays) * len(ridges) * len(pairs))
    base, found, said = popular_tables(purchases), [], dict[int, str]()
    for decay, ridge in itertools.product(decays, ridges):
        for share in pairs:
            tables = weights.tables(PairFit(decay, ridge, _PAIR_RIDGE_OF * ridge, share), base)
            own = RankingWeights(decay=decay, window=settings.window)
            ranking = GoodsRanking(purchases.goods, purchases.texts, tables, own, purchases.language)
            found.append((ranking, held_out_gains(ranking, purchases)))
            said[id(ranking)] = f"decay {decay:g}, ridge {ridge:g}, pairs {share:g}"
            progress.advance(1)
    weights.forget()
    best, gains = clearly_best(found)
    mean = float(gains.mean()) if len(gains) else 0.0
    progress.finish(f"{said[id(best)]}: NDCG@10 {mean:.3f} on {len(gains):,} held-out rows")
    best = with_own_reading(best, purchases, settings, progress)
    return with_rare_items(best, purchases, weights, progress) if weights.left_out else best


def with_own_reading(ranking: GoodsRanking, purchases: Purchases, settings: EaseSettings, progress: Progress) -> GoodsRanking:
    """The ranking with histories that fade, and with what sells counting, as is clearly best on the held-out rows.

    Where customers come back for the same kind of thing, old purchases say as much as new ones; where each looks for something else,
    the best sellers say more. Neither needs the pairs to be weighed again.
    """
    own = ranking.weights
    fadings = [] if settings.recency is not None else [replace(own, decay=decay) for decay in _FADINGS if decay != own.decay]
    progress.start("see how histories fade, and what sells", 1 + len(fadings) + len(_SELLS))
    best, gains = ranking, held_out_gains(ranking, purchases)
    progress.advance(1)
    for step in (fadings, None):
        found = [(best, gains)]
        for weights in step if step is not None else [replace(best.weights, sells=sells) for sells in _SELLS]:
            tried = GoodsRanking(ranking.goods, ranking.texts, ranking.tables, weights, ranking.language)
            found.append((tried, held_out_gains(tried, purchases)))
            progress.advance(1)
        best, gains = clearly_best(found)
    mean = float(gains.mean()) if len(gains) else 0.0
    told = f"decay {best.weights.decay:g}, best sellers {best.weights.sells:g}"
    progress.finish(f"{told}: NDCG@10 {mean:.3f} on {len(gains):,} held-out rows")
    return best


def with_rare_items(ranking: GoodsRanking, purchases: Purchases, weights: PairWeights, progress: Progress) -> GoodsRanking:
    """The ranking with pairs of items that are not weighed, as far as that is not worse on the held-out rows."""
    try:
        rare = RarePairs(purchases, weights.weighed)
    except MissingExtra as missing:
        progress.say(f"{weights.left_out:,} rare items are not weighed (train.most_items), and suggested by texts alone. {missing}")
        return ranking
    progress.start(f"weigh {weights.left_out:,} rarer items by their nearest", len(_RARE))
    found, said = [], dict[int, float]()
    for share in _RARE:
        tables = rare.beside(ranking.tables, share)
        tried = GoodsRanking(ranking.goods, ranking.texts, tables, ranking.weights, ranking.language)
        found.append((tried, held_out_gains(tried, purchases)))
        said[id(tried)] = share
        progress.advance(1)
    best, gains = clearly_best(found)
    mean = float(gains.mean()) if len(gains) else 0.0
    progress.finish(f"their pairs count {said[id(best)]:g}: NDCG@10 {mean:.3f} on {len(gains):,} held-out rows")
    return best


def _tried(settings: EaseSettings, few: bool, held: bool) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """The values to try of decay, ridge and pairs."""
    many = few and held
    decays = (settings.recency,) if settings.recency is not None else _DECAYS[: None if many else 1]
    ridges = (settings.ridge,) if settings.ridge is not None else _RIDGES[: None if many else 1]
    pairs = (settings.pairs,) if settings.pairs is not None else _PAIRS[: None if held else 1]
    return decays, ridges, pairs


part = EaseStudent()
