"""The baseline of recommenders: what most customers bought, for everyone alike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from smidgen.core.parts import EngineSpec, Raw, Student, Training, Workspace
from smidgen.core.rows import Text
from smidgen.core.settings import Settings
from smidgen.retail.answers import copied_spec, ranked_by
from smidgen.retail.ranking import GoodsRanking, ItemTables, RankingWeights, write_ranking
from smidgen.retail.students.purchases import Purchases, read_purchases


class PopularSettings(Settings):
    """The baseline has no settings."""


class PopularStudent(Student):
    """The baseline: the same best sellers for every customer."""

    name = "popular"
    summary = "What most customers bought, for everyone alike: the baseline of recommenders."
    settings = PopularSettings
    learns = "outputs"
    engine = "goods"

    def fit(self, training: Training, space: Workspace) -> None:
        """Count. Raises TrainError if there are no goods."""
        write_ranking(popular_ranking(read_purchases(training)), space.folder)

    def raw(self, folder: Path, texts: Sequence[Text], threads: int) -> Raw:
        """The rankings, as the engine computes them."""
        return ranked_by(folder, texts)

    def export(self, folder: Path, out: Path) -> EngineSpec:
        """Copy the ranking's files."""
        return copied_spec(folder, out)


def popular_ranking(purchases: Purchases) -> GoodsRanking:
    """The ranking by how many customers bought each item."""
    tables = ItemTables.without_pairs(purchases.buyers, purchases.listed)
    weights = RankingWeights(bought=0.0, near=0.0, sells=1.0)
    return GoodsRanking(purchases.goods, purchases.texts, tables, weights, purchases.language)


def popular_tables(purchases: Purchases) -> ItemTables:
    """The tables without pairs and vectors."""
    return ItemTables.without_pairs(np.asarray(purchases.buyers), purchases.listed)


part = PopularStudent()
