"""The student `ease`: what goes with what, from orders alone, in closed form, with a history that counts the more the later it is.

With purchases enough, a small transformer that reads a history in its order is taught beside it. It counts where held-out rows prefer it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
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
from smidgen.retail.students.purchases import PairFit, PairWeights, Purchases, best_on_held_out, read_purchases, shown_gains
from smidgen.retail.students.rare_items import RarePairs
from smidgen.students.encoder import need_torch
from smidgen.students.settings import seconds_of

_TRY_ALL_ITEMS = 3_000
"""Up to this many items every combination is tried: a closed form then takes a second or two."""
_DECAYS, _RIDGES, _PAIRS = (0.8, 0.6, 0.95), (100.0, 25.0, 5.0), (0.3, 0.0, 1.0, 3.0)
"""The usual value first."""
_PAIR_RIDGE_OF = 2.0
"""The ridge of EASE, in ridges of the regression on the next item: it sees more pairs."""


_FADINGS, _SELLS = (0.6, 0.95, 1.0), (0.03, 0.1)
"""Values to try beside the usual: how fast a history fades, and how much best sellers count."""
_RARE_WEIGHTS = (1.0, 0.5, 0.0)
"""How much pairs of items that are not weighed count beside those that are. The usual value first."""


_MIN_ROWS, _MIN_STEPS = 200, 10_000
"""Minimum of held-out rows, and of items after another, for a transformer: with fewer it does not win."""
_NEXT_ITEM_WEIGHTS = (1.0, 0.5)


class EaseSettings(Settings):
    """Settings of the closed form, and of the transformer. What is left open is chosen on held-out rows."""

    recency: float | None = setting(
        None, "Weight of an item of a history, relative to the next later one (default: chosen on held-out rows).", gt=0, le=1
    )
    ridge: float | None = setting(
        None, "Regularisation: larger trusts single purchases less (default: chosen on held-out rows).", gt=0, le=1e6
    )
    pairs: float | None = setting(
        None,
        "Weight of purchases by the same customer in any order, beside the next purchase (default: chosen on held-out rows).",
        ge=0,
        le=100,
    )
    window: int = setting(50, "Number of latest items read of a history.", ge=1, le=1000)
    most_items: int = setting(
        20_000,
        "Most common items that get weights; memory grows with the square. Rarer ones are suggested by their nearest items.",
        ge=2,
        le=60_000,
    )
    time_budget: str = setting(
        "10m",
        "Training time limit of a small transformer, such as 10m or 1h; 0 for none. It is trained from some thousand customers on, and "
        "used where held-out rows prefer it.",
    )


class EaseStudent(Student):
    """A recommender from orders alone."""

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
        """Copy the ranking's files."""
        return copied_spec(folder, out)


def history_ranking(purchases: Purchases, settings: EaseSettings, space: Workspace, seed: int) -> GoodsRanking:
    """The ranking by pairs, with a transformer beside them where that is better by more than a standard error on the held-out rows."""
    seconds = seconds_of(settings.time_budget, zero=True)
    ranking = pair_ranking(purchases, settings, space.progress)
    steps = sum(len(items) - 1 for items in purchases.customers)
    if not seconds or steps < _MIN_STEPS or len(purchases.histories) < _MIN_ROWS:
        return ranking
    try:
        need_torch()
    except MissingExtra as missing:
        space.progress.say(f"No transformer is taught beside the pairs. {missing}")
        return ranking
    from smidgen.retail.students.next_item_training import taught_model

    model = taught_model(purchases, settings.window, seconds, space.threads, seed, space.progress)
    tables = replace(ranking.tables, next_item=model)
    space.progress.start("weigh the transformer and the pairs", 1 + len(_NEXT_ITEM_WEIGHTS))
    mixed = [ranking.replaced(tables, replace(ranking.weights, next_item=share)) for share in _NEXT_ITEM_WEIGHTS]
    # A single, simpler alternative: the rule of one standard error (Breiman et al. 1984).
    best, gains = best_on_held_out([ranking, *mixed], purchases, space.progress, errors=1.0)
    share = best.weights.next_item
    shown = shown_gains(gains)
    space.progress.finish(f"the transformer counts {share:g}: {shown}" if share else f"the transformer is left out: {shown}")
    return best


def pair_ranking(purchases: Purchases, settings: EaseSettings, progress: Progress) -> GoodsRanking:
    """The ranking by pairs that is best on the held-out rows, by NDCG@10."""
    weights = PairWeights(purchases, settings.most_items, settings.window)
    decays, ridges, pairs = _values_to_try(
        settings, min(settings.most_items, len(purchases.goods)) <= _TRY_ALL_ITEMS, bool(purchases.histories)
    )
    progress.start("weigh what goes with what", len(decays) * len(ridges) * len(pairs))
    own = RankingWeights(window=settings.window)
    base = GoodsRanking(purchases.goods, purchases.texts, popular_tables(purchases), own, purchases.language)
    labels = dict[int, str]()

    def candidates() -> Iterator[GoodsRanking]:
        for decay, ridge, share in itertools.product(decays, ridges, pairs):
            tables = weights.tables(PairFit(decay, ridge, _PAIR_RIDGE_OF * ridge, share), base.tables)
            ranking = base.replaced(tables, replace(own, decay=decay))
            labels[id(ranking)] = f"decay {decay:g}, ridge {ridge:g}, pairs {share:g}"
            yield ranking

    best, gains = best_on_held_out(candidates(), purchases, progress)
    weights.forget()
    progress.finish(f"{labels[id(best)]}: {shown_gains(gains)}")
    best = with_history_weights(best, purchases, settings, progress)
    return with_rare_items(best, purchases, weights, progress) if weights.left_out else best


def with_history_weights(ranking: GoodsRanking, purchases: Purchases, settings: EaseSettings, progress: Progress) -> GoodsRanking:
    """The ranking with histories that fade, and with what sells counting, as is clearly best on the held-out rows.

    Where customers come back for the same kind of thing, old purchases say as much as new ones; where each looks for something else,
    the best sellers say more. Neither needs the pairs to be weighed again.
    """
    own = ranking.weights
    fadings = [] if settings.recency is not None else [replace(own, decay=decay) for decay in _FADINGS if decay != own.decay]
    progress.start("see how histories fade, and what sells", 2 + len(fadings) + len(_SELLS))
    best, _ = best_on_held_out([ranking, *(ranking.replaced(weights=weights) for weights in fadings)], purchases, progress)
    sellers = [best.replaced(weights=replace(best.weights, sells=sells)) for sells in _SELLS]
    best, gains = best_on_held_out([best, *sellers], purchases, progress)
    progress.finish(f"decay {best.weights.decay:g}, best sellers {best.weights.sells:g}: {shown_gains(gains)}")
    return best


def with_rare_items(ranking: GoodsRanking, purchases: Purchases, weights: PairWeights, progress: Progress) -> GoodsRanking:
    """The ranking with pairs of items that are not weighed, as far as that is not worse on the held-out rows."""
    try:
        rare = RarePairs(purchases, weights.weighed)
    except MissingExtra as missing:
        progress.say(f"{weights.left_out:,} rare items are not weighed (train.most_items), and suggested by texts alone. {missing}")
        return ranking
    progress.start(f"weigh {weights.left_out:,} rarer items by their nearest", len(_RARE_WEIGHTS))
    candidates = [ranking.replaced(rare.beside(ranking.tables, share)) for share in _RARE_WEIGHTS]
    best, gains = best_on_held_out(candidates, purchases, progress)
    progress.finish(f"their pairs count {_RARE_WEIGHTS[candidates.index(best)]:g}: {shown_gains(gains)}")
    return best


def _values_to_try(settings: EaseSettings, few: bool, held: bool) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    many = few and held
    decays = (settings.recency,) if settings.recency is not None else _DECAYS[: None if many else 1]
    ridges = (settings.ridge,) if settings.ridge is not None else _RIDGES[: None if many else 1]
    pairs = (settings.pairs,) if settings.pairs is not None else _PAIRS[: None if held else 1]
    return decays, ridges, pairs


part = EaseStudent()
