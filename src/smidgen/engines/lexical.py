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
from smidgen.engines.model_files import Tensors, chain_of
from smidgen.machine.processor import one_thread
from smidgen.text import tagging
from smidgen.text.tagging import MOST_CHARACTERS, TagChain, features


class LexicalEngine(Engine):
    """The lexical engine, without options.

    `features.json` holds `features`, in the order of the rows of `weight`; `names`, each with the number of its kind; and `level`, the
    level of units. `lexical.safetensors` holds `weight` (features, tags) and `transitions` (tags, tags).

    If it makes choices, `features.json` also holds `choices`, the number of values of each, and `terms`, in the order of the rows of
    `choices.weight` (terms + 1, values); its last row counts for every text."""

    name = "lexical"

    def open(self, folder: Path, options: Mapping[str, Any], threads: int) -> LexicalRunner:
        """Load both files. Raises EngineError if one is missing or damaged, or they do not fit each other."""
        try:
            table = json.loads((folder / "features.json").read_text(encoding="utf-8"))
            index = {str(entry): place for place, entry in enumerate(table["features"])}
            names = {str(name): int(kind) for name, kind in table["names"].items()}
            level = str(table["level"])
            choices = [int(count) for count in table.get("choices", ())]
            terms = {str(entry): place for place, entry in enumerate(table.get("terms", ()))}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise EngineError("engines.features_cannot_be_loaded", error=error) from error
        if level not in tagging.LEVELS:
            raise EngineError("engines.features_name_unknown_level", value=level)
        tensors = Tensors(folder / "lexical.safetensors")
        chain = chain_of(tensors)
        if any(count < 1 for count in choices):
            raise EngineError("engines.choice_has_no_values", value=choices)
        chosen = tensors.get("choices.weight", len(terms) + 1, sum(choices)) if choices else None
        runner = LexicalRunner(index, names, level, tensors.get("weight", len(index), chain.tags), chain)
        return runner if chosen is None else runner.choosing(choices, terms, chosen)


class LexicalRunner:
    """A loaded lexical baseline."""

    def __init__(
        self, index: Mapping[str, int], names: Mapping[str, int], level: str, weight: NDArray[np.float32], chain: TagChain
    ) -> None:
        self._index, self._names, self._level, self._weight, self._chain = index, names, level, weight, chain
        self._choices: Sequence[int] = ()
        self._terms: Mapping[str, int] = {}
        self._chosen: NDArray[np.float32] = np.zeros((1, 0), dtype=np.float32)

    def choosing(self, choices: Sequence[int], terms: Mapping[str, int], weight: NDArray[np.float32]) -> LexicalRunner:
        """Itself, with choices about the whole text."""
        self._choices, self._terms, self._chosen = choices, terms, weight
        return self

    def run(self, texts: Sequence[Text]) -> Raw:
        """`spans`, and `choices` if it makes any, in the form of the engine `tagger`."""
        cut = [joined(text)[:MOST_CHARACTERS] for text in texts]
        with one_thread():
            found: dict[str, Any] = {"spans": [self._found(text) for text in cut]}
            if self._choices:
                found["choices"] = [self._choice(text) for text in cut]
            return found

    def _choice(self, text: str) -> list[list[float]]:
        words = [text[start:end] for start, end in tagging.units(text, self._level)]
        rows = [row for entry in tagging.text_features(words) if (row := self._terms.get(entry)) is not None]
        weights = self._chosen[rows].sum(axis=0) / np.sqrt(max(1, len(rows))) + self._chosen[-1]
        return tagging.choice_probabilities([weights[None].astype(np.float32)], self._choices)

    def _found(self, text: str) -> list[list[float]]:
        units = tagging.units(text, self._level)
        words = features([text[start:end] for start, end in units], self._names)
        sums = np.zeros((len(units), self._weight.shape[1]))
        for place, word in enumerate(words):
            rows = [row for entry in word if (row := self._index.get(entry)) is not None]
            sums[place] = self._weight[rows].sum(axis=0)
        return [[units[a][0], units[b][1], kind, round(chance, 6)] for a, b, kind, chance in self._chain.spans(sums)]


part = LexicalEngine()
