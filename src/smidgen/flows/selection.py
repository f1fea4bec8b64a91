"""A large file made small before anything is trained: the rows that cover the rest, likely wrong ones left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from smidgen.core.bases import Base
from smidgen.core.errors import BaseError
from smidgen.core.parts import Task
from smidgen.core.progress import Progress
from smidgen.core.rows import joined
from smidgen.data import confident, selecting
from smidgen.data.findings.mislabels import LEAST_AGREEMENT, LEAST_ROWS
from smidgen.data.settings import DataSettings
from smidgen.flows.embedding import embedder
from smidgen.flows.examples import Examples
from smidgen.parts.recipe import Recipe


def selected(recipe: Recipe, task: Task, examples: Examples, *, base: Base | None, threads: int | None, progress: Progress) -> Examples:
    """The examples with `data.select` rows to learn from; all of them, where that is not set, or there are no more.

    `base` is the encoder to compare texts by, None for the starter. The held-out and the test rows stay as they are. Raises BaseError where
    there is no encoder.
    """
    count, rows = recipe.settings(DataSettings).select, examples.fit
    if count is None or count >= len(rows):
        return examples
    progress.start(f"choose {count:,} of {len(rows):,} rows", None)
    embed = embedder(base, threads)
    if embed is None:
        raise BaseError("rows cannot be compared without an encoder", value="data.select", todo="Fetch one first: smidgen pull minilm")
    vectors = embed([joined(row.input) for row in rows])
    if "labels" in examples.form and not examples.form.get("multi_label"):
        labels = [str(row.output) for row in rows]
        good = sound([joined(row.input) for row in rows], labels, vectors, examples.form.get("unknown"))
        chosen = [good[place] for place in selecting.labelled(vectors[good], [labels[place] for place in good], count, recipe.seed)]
    else:
        chosen = sorted(selecting.spread(vectors, count, np.random.default_rng([recipe.seed, 61])))
    progress.finish(f"{len(chosen):,} rows that cover the rest")
    kept = [rows[place] for place in chosen]
    note = f"{len(kept):,} of {len(rows):,} rows chosen to learn from (data.select)"
    train = [*kept, *examples.held] if examples.refit else kept
    return replace(examples, train=train, fit=kept, notes=(*examples.notes, note), source=f"{examples.source}, of which {len(kept)} chosen")


def sound(texts: list[str], labels: list[str], vectors: np.ndarray[tuple[int, int], np.dtype[np.float32]], unknown: object) -> list[int]:
    """Places of the rows whose label is not likely wrong: a wrong one among few does more harm than among many."""
    names = sorted(set(labels))
    if len(names) < 2 or len(texts) < LEAST_ROWS:
        return list(range(len(texts)))
    given = np.array([names.index(label) for label in labels], dtype=np.int64)
    judgement = confident.judge(texts, given, len(names), vectors)
    if judgement.agreement(given) < LEAST_AGREEMENT:
        return list(range(len(texts)))
    wrong = {doubt.place for doubt in judgement.doubts(given) if labels[doubt.place] != unknown}
    return [place for place in range(len(texts)) if place not in wrong]
