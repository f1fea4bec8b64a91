"""Run a recommender: `goods.json`, `ranking.json`, `ranking.safetensors`, and an encoder for words where there is one. NumPy alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.core.errors import EngineError
from smidgen.core.parts import Engine, Raw
from smidgen.core.rows import Text
from smidgen.machine.processor import one_thread
from smidgen.parts import registry
from smidgen.retail.answers import ranked
from smidgen.retail.ranking import Embed, GoodsRanking, read_ranking

_ENCODERS = ("onnx", "static")


class GoodsEngine(Engine):
    """The engine, without options. `ranking.json` names the engine of the encoder, and its options."""

    name = "goods"

    def open(self, folder: Path, options: Mapping[str, Any], threads: int) -> GoodsRunner:
        """Load the files. Raises EngineError if one is missing or damaged, or if they do not fit each other."""
        try:
            ranking, encoder = read_ranking(folder)
        except ValueError as error:
            raise EngineError("retail.ranking_cannot_be_loaded", value=folder.name, error=error) from None
        return GoodsRunner(ranking, _embed(folder, encoder, ranking, threads))


class GoodsRunner:
    """A loaded recommender that ranks goods for requests."""

    def __init__(self, ranking: GoodsRanking, embed: Embed | None) -> None:
        self.ranking, self._embed = ranking, embed

    def run(self, texts: Sequence[Text]) -> Raw:
        """The rankings of requests: see `answers.ranked`."""
        with one_thread():
            return ranked(self.ranking, texts, self._embed)


def _embed(folder: Path, encoder: Mapping[str, Any] | None, ranking: GoodsRanking, threads: int) -> Embed | None:
    """The function from texts to unit vectors; None without an encoder. Raises EngineError for an invalid one."""
    if encoder is None or ranking.tables.vectors is None:
        return None
    name, options = encoder.get("engine"), encoder.get("options")
    if name not in _ENCODERS or not isinstance(options, Mapping):
        raise EngineError("retail.encoder_of_ranking_is_invalid", value=str(encoder)[:80])
    runner, width = registry.find("engines", name).open(folder, options, threads), ranking.tables.vectors.shape[1]

    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = np.asarray(runner.run(texts)["embedding"], dtype=np.float32)
        if vectors.shape != (len(texts), width):
            raise EngineError("retail.encoder_does_not_fit_vectors_of_goods", value=vectors.shape)
        units: NDArray[np.float32] = vectors / np.maximum(1e-9, np.linalg.norm(vectors, axis=1, keepdims=True))
        return units

    return embed


part_goods = GoodsEngine()
