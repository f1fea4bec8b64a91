"""Run the lexical baseline: features of words looked up in a table, and a linear chain over the tags, in numpy."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.core.errors import EngineError
from smidgen.core.parts import Engine, Raw
from smidgen.core.rows import Text, joined
from smidgen.engines.model_files import AGAIN, Tensors, chain_of
from smidgen.machine.processor import one_thread
from smidgen.text import tagging
from smidgen.text.tagging import MOST_CHARACTERS, TagChain, features


class LexicalEngine(Engine):
    """The lexical engine, without options.

    `features.json` holds `features`, in the order of the rows of `weight`; `names`, each with the number of its kind; and `level`, the
    level of units. `lexical.safetensors` holds `weight` (features, tags) and `transitions` (tags, tags)."""

    name = "lexical"

    def open(self, folder: Path, options: Mapping[str, Any], threads: int) -> LexicalRunner:
        """Load both files. Raises EngineError if one is missing or damaged, or they do not fit each other."""
        try:
            table = json.loads((folder / "features.json").read_text(encoding="utf-8"))
            index = {str(entry): place for place, entry in enumerate(table["features"])}
            names = {str(name): int(kind) for name, kind in table["names"].items()}
            level = str(table["level"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise EngineError("the features cannot be loaded", value=f"features.json: {error}", todo=AGAIN) from error
        if level not in tagging.LEVELS:
            raise EngineError("the features name an unknown level", value=level, todo=AGAIN)
        tensors = Tensors(folder / "lexical.safetensors")
        chain = chain_of(tensors)
        return LexicalRunner(index, names, level, tensors.get("weight", len(index), chain.tags), chain)


class LexicalRunner:
    """A loaded lexical baseline."""

    def __init__(
        self, index: Mapping[str, int], names: Mapping[str, int], level: str, weight: NDArray[np.float32], chain: TagChain
    ) -> None:
        self._index, self._names, self._level, self._weight, self._chain = index, names, level, weight, chain

    def run(self, texts: Sequence[Text]) -> Raw:
        """`spans`, in the form of the engine `tagger`."""
        with one_thread():
            return {"spans": [self._found(joined(text)[:MOST_CHARACTERS]) for text in texts]}

    def _found(self, text: str) -> list[list[float]]:
        units = tagging.units(text, self._level)
        words = features([text[start:end] for start, end in units], self._names)
        sums = np.zeros((len(units), self._weight.shape[1]))
        for place, word in enumerate(words):
            rows = [row for entry in word if (row := self._index.get(entry)) is not None]
            sums[place] = self._weight[rows].sum(axis=0)
        return [[units[a][0], units[b][1], kind, round(chance, 6)] for a, b, kind, chance in self._chain.spans(sums)]


part = LexicalEngine()
