"""The sample of a look for drift: the texts of two stretches as vectors, the model's answers and scores, and languages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from smidgen.core.errors import MissingExtra
from smidgen.core.progress import Progress
from smidgen.core.replies import Reply
from smidgen.core.rows import joined
from smidgen.flows.drift.windows import DriftWindows, WindowEntry
from smidgen.flows.embedding import embedder
from smidgen.flows.local_model import Model
from smidgen.stats.drift_statistics import Floats, TextPresence, find_presence
from smidgen.text.languages import languages
from smidgen.watch.comparison import TrafficSample, name, without_stand_ins
from smidgen.watch.drift_test import FEWEST, enough

Mask: TypeAlias = NDArray[np.bool_]
_BATCH = 256
_NO_LABELS = "the task has none"
_LEARNT = "too few of the texts are held out: of those that it learnt from the model is surer than of others"


def sample_windows(found: DriftWindows, model: Model, threads: int | None, progress: Progress) -> TrafficSample | None:
    """The sample of two stretches; None where there is nothing to compare, or too little: no column is made for that."""
    earlier_names, later_names = ([name(entry.text) for entry in stretch] for stretch in (found.reference, found.recent))
    where = find_presence(earlier_names, later_names)
    if where is None or not enough(where):
        return None
    # Of the ways in which a text is written the same one is taken, in whichever stretch it stands: which it is must not tell where.
    known: dict[str, list[WindowEntry]] = {}
    for called, entry in zip((*earlier_names, *later_names), (*found.reference, *found.recent), strict=True):
        known.setdefault(called, []).append(entry)
    places = zip(where.earlier_at.tolist(), where.later_at.tolist(), strict=True)
    spelt = [known[later_names[later] if later >= 0 else earlier_names[earlier]] for earlier, later in places]
    entries = [min(every, key=lambda entry: joined(entry.text)) for every in spelt]
    texts = [joined(entry.text) for entry in entries]
    untested: dict[str, str] = {}
    vectors = _vectors(texts, threads, progress, untested)
    fair = np.array([all(entry.fair for entry in every) for every in spelt])
    labels, scores = _answers(entries, fair, where, model, progress, untested)
    progress.start("tell languages")
    try:
        spoken: list[str | None] | None = languages(without_stand_ins(text) for text in texts)
    except MissingExtra as error:
        spoken = None
        untested["language"] = str(error)
    progress.finish()
    return TrafficSample(where, texts, vectors, labels, scores, spoken, untested)


def _vectors(texts: Sequence[str], threads: int | None, progress: Progress, untested: dict[str, str]) -> Floats | None:
    try:
        embed = embedder(None, threads)
    except MissingExtra as error:
        untested.update(dict.fromkeys(("meaning", "subjects"), str(error)))
        return None
    if embed is None:
        why = "the starter encoder is not here. Run: smidgen pull minilm"
        untested.update(dict.fromkeys(("meaning", "subjects"), why))
        return None
    progress.start("read texts", total=len(texts))
    parts = []
    for start in range(0, len(texts), _BATCH):
        parts.append(embed(texts[start : start + _BATCH]))
        progress.advance(len(parts[-1]))
    progress.finish(f"{len(texts):,} texts")
    return np.concatenate(parts).astype(np.float64)


def _answers(
    entries: Sequence[WindowEntry],
    fair: Mask,
    where: TextPresence,
    model: Model,
    progress: Progress,
    untested: dict[str, str],
) -> tuple[list[str | None] | None, Floats | None]:
    """Labels and scores of the model, anew of both stretches: what was stored was another version's, or nobody's. A model that writes takes
    seconds for a text, so of one the scores that it gave when it was asked are taken."""
    chosen = np.flatnonzero(fair)
    scores = np.full(where.n, np.nan)
    labelling = model.form.labelling is not None
    if not labelling:
        untested["labels"] = _NO_LABELS
    if not _enough(fair, where):
        untested.update({"scores": _LEARNT} | ({"labels": _LEARNT} if labelling else {}))
        return None, None
    if model.manifest.engine.engine == "llama":
        for place in chosen.tolist():
            entry = entries[place]
            if entry.bundle_id == model.id and entry.score is not None:
                scores[place] = entry.score
        if not _enough(~np.isnan(scores), where):
            untested["scores"] = "too few of the requests were answered by this version"
            return None, None
        return None, scores
    progress.start("answer texts", total=len(chosen))
    replies: list[Reply] = []
    for batch in _batches(chosen):
        replies += model.predict([entries[place].text for place in batch])
        progress.advance(len(batch))
    progress.finish(f"{len(chosen):,} texts")
    labels: list[str | None] = [None] * where.n
    for place, reply in zip(chosen.tolist(), replies, strict=True):
        scores[place] = reply.score
        if labelling:
            named = model.task.labelled(reply.output, model.form)
            labels[place] = named if isinstance(named, str) else " + ".join(sorted(named or ())) or "none"
    return (labels if labelling else None), scores


def _batches(places: NDArray[np.int64]) -> list[list[int]]:
    return [places[start : start + _BATCH].tolist() for start in range(0, len(places), _BATCH)]


def _enough(known: Mask, where: TextPresence) -> bool:
    """Whether each stretch has so many texts of which this is known."""
    later = int((known & (where.later > 0)).sum())
    earlier = int((known & (where.blocks > where.later)).sum())
    return min(later, earlier) >= FEWEST
