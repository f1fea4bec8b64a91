"""Which rows to learn from, where there are more than are wanted.

People's corrections all stay. Of the large model's answers those are taken that cover the others best, where one counts more the less sure
the champion was of it, and more again where it said something else; but a few of each label in any case. Of the line's own rows as many of
each label.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from smidgen.core.progress import Progress
from smidgen.data import selecting
from smidgen.flows.embedding import Embed
from smidgen.flows.learning.material import Material, Taken

_DISAGREED = 1.0
"""What a row counts more where the champion's answer was another, on top of its doubt, which is up to 1."""
_LEAST_OF_A_LABEL = 20
"""Rows of the large model's that each label keeps, as far as half of the places reach: the champion is sure of a label that it answers by
itself, and all its rows would weigh little."""
_LEAST = 0.05
"""What even a row counts that the champion was sure of, and right."""


def picked(material: Material, most: int, embed: Embed | None, seed: int, progress: Progress) -> Material:
    """The material with at most so many rows to learn from. Without an encoder to compare texts by, the weightiest are taken."""
    rows = material.learning
    if len(rows) <= most:
        return material
    people = [taken for taken in rows if taken.source == "human"]
    own = [taken for taken in rows if taken.source in ("original", "data")]
    model = [taken for taken in rows if taken.source == "upstream"]
    rng = np.random.default_rng([seed, 71])
    people = _some(people, most, None, rng)
    left = most - len(people)
    # Each gets half, and what the other does not need.
    from_model = min(len(model), max(left // 2, left - len(own)))
    own = _own(own, left - from_model, embed, seed, rng)
    sure = _of_each_label(model, from_model)
    rest, before = [taken for taken in model if id(taken) not in sure], [*own, *sure.values()]
    start = embed([taken.row.input for taken in before]) if embed is not None and before and from_model < len(model) else None
    chosen = [*sure.values(), *_some(rest, from_model - len(sure), embed, rng, start)]
    progress.say(f"{len(people) + len(own) + len(chosen):,} of {len(rows):,} rows chosen to learn from (--max-rows)")
    kept = {id(taken) for taken in (*people, *own, *chosen)}
    return replace(material, learning=tuple(taken for taken in rows if id(taken) in kept))


def weight(taken: Taken) -> float:
    """How much a row has to teach: the champion's doubt, and more where it said something else."""
    doubt = 1.0 - min(1.0, max(0.0, taken.score)) if taken.score is not None else 0.5
    return _LEAST + doubt + (_DISAGREED if _disagreed(taken) else 0.0)


def _of_each_label(rows: Sequence[Taken], count: int) -> dict[int, Taken]:
    """Of many rows of a few labels the newest of each, by their identities; none of other rows, or where all fit."""
    labels = {taken.row.output for taken in rows if isinstance(taken.row.output, str)}
    each = min(_LEAST_OF_A_LABEL, count // (2 * len(labels))) if labels and count < len(rows) else 0
    found: dict[int, Taken] = {}
    left = Counter(dict.fromkeys(labels, each))
    for taken in sorted(rows, key=lambda taken: taken.at, reverse=True):
        if isinstance(taken.row.output, str) and left[taken.row.output] > 0:
            left[taken.row.output] -= 1
            found[id(taken)] = taken
    return found


def _disagreed(taken: Taken) -> bool:
    if taken.said is None:
        return False
    try:
        said = json.loads(taken.said)
    except ValueError:
        said = taken.said
    return bool(said != taken.row.output)


def _some(
    rows: Sequence[Taken], count: int, embed: Embed | None, rng: np.random.Generator, start: selecting.Floats | None = None
) -> list[Taken]:
    if count >= len(rows):
        return list(rows)
    weights = np.array([weight(taken) for taken in rows], dtype=np.float32)
    if embed is None:
        order = np.lexsort((rng.random(len(rows)), -weights))
        return [rows[place] for place in sorted(order[:count].tolist())]
    vectors = embed([taken.row.input for taken in rows])
    return [rows[place] for place in sorted(selecting.spread(vectors, count, rng, weights, start))]


def _own(rows: Sequence[Taken], count: int, embed: Embed | None, seed: int, rng: np.random.Generator) -> list[Taken]:
    if count >= len(rows):
        return list(rows)
    if embed is None:
        return [rows[place] for place in sorted(rng.permutation(len(rows))[:count].tolist())]
    vectors = embed([taken.row.input for taken in rows])
    if all(isinstance(taken.row.output, str) for taken in rows) and len({taken.row.output for taken in rows}) * 2 <= count:
        return [rows[place] for place in selecting.labelled(vectors, [taken.row.output for taken in rows], count, seed)]
    return [rows[place] for place in sorted(selecting.spread(vectors, count, rng))]
