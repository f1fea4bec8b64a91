"""A ranking's answers as a model's raw output, and its files as those of an engine."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from smidgen.core.errors import TrainError
from smidgen.core.parts import EngineSpec, Raw
from smidgen.core.rows import Text, joined
from smidgen.retail.ranking import FILES, Embed, GoodsRanking, read_ranking
from smidgen.retail.requests import parse_request

ENGINE = "goods"


def ranked(ranking: GoodsRanking, texts: Sequence[Text], embed: Embed | None = None) -> Raw:
    """The raw output for texts of requests: lists `ranked` (ids), `items` (their facts), `because`, `unknown`; and `sure`, (n,)."""
    answers = ranking.suggest([parse_request(joined(text), ranking.places, ranking.named) for text in texts], embed)
    return {
        "ranked": [list(answer.ids) for answer in answers],
        "items": [list(answer.items) for answer in answers],
        "because": [answer.because for answer in answers],
        "unknown": [list(answer.unknown) for answer in answers],
        "sure": np.array([answer.sure for answer in answers], dtype=np.float32),
    }


def ranked_by(folder: Path, texts: Sequence[Text], embed: Embed | None = None) -> Raw:
    """The raw output of the ranking in a folder. Raises TrainError if it cannot be read."""
    try:
        ranking, _ = read_ranking(folder)
    except ValueError as error:
        raise TrainError("retail.trained_ranking_cannot_be_read", value=str(error)) from None
    return ranked(ranking, texts, embed)


def copied_spec(folder: Path, out: Path, more: Sequence[str] = ()) -> EngineSpec:
    """Copy a ranking's files, and `more`, as the engine reads them."""
    out.mkdir(parents=True, exist_ok=True)
    names = (*FILES, *more)
    for name in names:
        shutil.copyfile(folder / name, out / name)
    return EngineSpec(ENGINE, names, {})
