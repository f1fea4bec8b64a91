"""Examples with other values: what an input states and its answers repeat letter for letter is put into other words, in both.

A model that has seen twenty names learns those twenty; one that has seen each example twice, the second time with words that mean nothing
there, learns to copy. In use, most of what stands in an input is new.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import numpy as np

from smidgen.core.rows import Row, joined
from smidgen.stats.attributes import attributes
from smidgen.stats.copying import WORD, copied, is_words, put, stands

_STARTS = ("b", "br", "c", "d", "dr", "f", "g", "gr", "h", "k", "l", "m", "n", "p", "pr", "r", "s", "st", "t", "tr", "v", "w")
_MIDDLES, _ENDS = ("a", "e", "i", "o", "u", "ai", "ea", "oo"), ("", "l", "m", "n", "nd", "r", "rt", "s", "t", "x")


def varied(rows: Sequence[Row], words: Sequence[str], seed: int) -> list[Row]:
    """The rows, and for each input whose answers repeat some of its values one more with other values in their place.

    Args:
        rows: to learn from; those with the same input are changed alike. An input that is no attributes is left as it is.
        words: lower-case words to take values from.
        seed: of the choice.
    """
    keys = copied((joined(row.input), str(row.output)) for row in rows)
    if not keys or not words:
        return list(rows)
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(joined(row.input), []).append(row)
    random = np.random.default_rng([seed, 11])
    made = list(rows)
    for source, group in groups.items():
        new = _new_values(source, [str(row.output) for row in group], keys, words, random)
        if new:
            made += [Row(put(source, new), put(str(row.output), new), row.number, row.weight) for row in group]
    return made


def _new_values(
    source: str, answers: Sequence[str], keys: Collection[str], words: Sequence[str], random: np.random.Generator
) -> dict[str, str]:
    values = [value for key, value in attributes(source) if key in keys and is_words(value)]
    alone = [value for value in dict.fromkeys(values) if source.count(value) == 1 and all(stands(value, answer) for answer in answers)]
    return {value: _like(value, words, random) for value in alone}


def _like(value: str, words: Sequence[str], random: np.random.Generator) -> str:
    """Other words, as many, capitals where those have them."""

    def other(match: re.Match[str]) -> str:
        if random.random() < 0.5:
            word = words[int(random.integers(len(words)))]
        else:
            word = "".join(str(random.choice(part)) for _ in range(2) for part in (_STARTS, _MIDDLES)) + str(random.choice(_ENDS))
        return word.capitalize() if match[0][:1].isupper() else word

    return WORD.sub(other, value)
