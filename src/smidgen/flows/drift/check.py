"""Test a served model's traffic for drift. This module holds the order of steps."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from smidgen.bundles.open import read_manifest
from smidgen.core.errors import BundleError, InputError, MissingExtra
from smidgen.core.progress import Progress, Silent
from smidgen.core.replies import Reply
from smidgen.core.rows import joined
from smidgen.flows.drift import DriftSettings
from smidgen.flows.drift.windows import DriftWindows, WindowEntry, WindowRequest, are_enough_waiting, windows
from smidgen.flows.embedding import embedder
from smidgen.flows.local_model import Model, load
from smidgen.stats.drift_statistics import Floats, TextPresence, find_presence
from smidgen.store import files
from smidgen.store.files import content_hash
from smidgen.store.line import Line, is_line
from smidgen.text.words import languages
from smidgen.watch import drift_record, drift_test
from smidgen.watch.drift_test import FEWEST, DriftVerdict, TrafficSample, enough, normalised, without_placeholders

Mask: TypeAlias = NDArray[np.bool_]
_BATCH = 256
_NO_LABELS = "the task has none"
_LEARNT = "too few of the texts are held out: the model is surer of texts that it learnt from"


def sample_windows(found: DriftWindows, model: Model, threads: int | None, progress: Progress) -> TrafficSample | None:
    """Return the sample of two windows; None if they have too few different texts, so that no further column is computed."""
    earlier_names, later_names = ([normalised(entry.text) for entry in stretch] for stretch in (found.reference, found.recent))
    where = find_presence(earlier_names, later_names)
    if where is None or not enough(where):
        return None
    # A text with several spellings gets the same one in both windows: the spelling must not show which window it is from.
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
        spoken: list[str | None] | None = languages(without_placeholders(text) for text in texts)
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
    """Return the labels and scores of the model, computed anew for both windows, because stored answers are from other versions.

    A model that writes takes seconds for a text, so its stored scores are used.
    """
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
    """Return True if each window has enough texts with a known value."""
    later = int((known & (where.later > 0)).sum())
    earlier = int((known & (where.blocks > where.later)).sum())
    return min(later, earlier) >= FEWEST


RECENT = 500
"""Default number of recent requests to test."""


@dataclass(frozen=True)
class DriftLook:
    """Result of one drift test. `judgement` is None if there were too few requests; `why` then says so."""

    name: str
    bundle_id: str
    windows: DriftWindows
    sample: TrafficSample | None
    judgement: DriftVerdict | None
    why: str = ""

    @property
    def alarm(self) -> bool:
        """True if the test found a shift."""
        return self.judgement is not None and self.judgement.alarm

    def json(self) -> dict[str, Any]:
        """Return the result, JSON-ready."""
        found, where = self.windows, self.sample.where if self.sample is not None else None
        compared = where.size if where is not None else 0
        return {
            "name": self.name,
            "bundle_id": self.bundle_id,
            "reference": {
                "what": found.words,
                "requests": compared * (where.number - 1) if where is not None else len(found.reference),
                "texts": where.earlier_texts if where is not None else None,
            },
            "recent": {
                "requests": compared if where is not None else len(found.recent),
                "texts": where.later_texts if where is not None else None,
                "first": found.first.isoformat() if found.first is not None else None,
                "last": found.last.isoformat() if found.last is not None else None,
            },
            "notes": list(found.notes),
            **(self.judgement.json() if self.judgement is not None else {"alarm": False, "looked": False, "why": self.why}),
        }


def folder_of_name(said: str) -> Path:
    """Return the folder for a path or for the name of a served line or bundle.

    Raises InputError if there is none.
    """
    folder = Path(said)
    if folder.is_dir():
        return folder
    known = {name: place for place in reversed(files.known_bundles()) if (name := _name(place)) is not None}
    if said in known:
        return known[said]
    raise InputError(
        "flows.this_is_neither_folder_nor_served_model" if known else "flows.this_is_no_folder_and_no_model_was_served",
        value=said,
        known=(", ".join(sorted(known)[:10])) if known else None,
    )


def look_for_drift(folder: Path, ask: DriftSettings, progress: Progress | None = None, now: datetime | None = None) -> DriftLook:
    """Test the traffic of a bundle, or of a line's champion, once, and count the test.

    Raises:
        InputError: the settings are invalid.
        BundleError: the bundle or line cannot be opened, or rows of the line have changed.
        TrafficError: the store of traffic cannot be read.
        DriftError: the test cannot be counted.
    """
    progress, now = progress or Silent(), now or datetime.now(UTC)
    with closing(load(folder, ask.threads)) as model:
        asked = _asked(ask, model.name, now)
        found = windows(asked, model.line, model.form.labelling.labels if model.form.labelling is not None else (), ask.threads)
        few = _few(found)
        sample = sample_windows(found, model, ask.threads, progress) if not few else None
    if sample is None or found.last is None:
        why = few or f"too few different texts: each stretch needs {FEWEST}"
        return DriftLook(model.name, model.id, found, sample, None, why)
    return _judged(model, found, sample, ask, progress, now)


def is_look_due(folder: Path, ask: DriftSettings, after: datetime | None = None, now: datetime | None = None) -> bool:
    """Return True if enough requests came to a line's champion since the last test, and after the moment `after`.

    `after` covers a test with too few requests, which is not counted. Raises as `look_for_drift` does.
    """
    now = now or datetime.now(UTC)
    if not is_line(folder):
        return False
    line = Line(folder)
    pointer = line.read()
    if pointer.champion is None:
        return False
    try:
        last = drift_record.read(pointer.champion, pointer.name).newest
    except (OSError, ValueError):
        last = None  # the test itself reports this
    since = max((moment for moment in (last, after) if moment is not None and moment <= now), default=None)
    return are_enough_waiting(_asked(ask, pointer.name, now), line, since)


def _judged(model: Model, found: DriftWindows, sample: TrafficSample, ask: DriftSettings, progress: Progress, now: datetime) -> DriftLook:
    sha256 = content_hash([[entry.id for entry in stretch] for stretch in (found.reference, found.recent)])
    # The look is counted under the lock before the test: two tests at once get different numbers, and one that fails counts as spent.
    number = drift_record.change(model.id, model.name, lambda known: known.looking(sha256)).looks
    progress.start("permute")
    judgement = drift_test.judged(sample, number, ask.level, ask.least, seed=number)
    progress.finish()
    newest = found.last
    assert newest is not None
    facts = {**judgement.json(examples=False), "recent": sample.where.later_texts, "reference": sample.where.earlier_texts}
    drift_record.change(model.id, model.name, lambda known: known.looked(number, newest, now, facts))
    return DriftLook(model.name, model.id, found, sample, judgement)


def _few(found: DriftWindows) -> str:
    """Say why there are too few requests; empty if there are enough."""
    for what, stretch in (("recent requests", found.recent), ("requests or rows to compare them with", found.reference)):
        if len(stretch) < FEWEST:
            return f"too few {what}: {len(stretch)} of at least {FEWEST}"
    return ""


def _asked(ask: DriftSettings, name: str, now: datetime) -> WindowRequest:
    grows, recent = ask.recent is None, RECENT if ask.recent is None else ask.recent
    return WindowRequest(ask.asked or name, recent, ask.reference, ask.before, ask.since, ask.asked is not None, now, grows)


def _name(folder: Path) -> str | None:
    """Return the name under which a known folder is served."""
    try:
        return Line(folder).read().name if is_line(folder) else read_manifest(folder).name
    except (BundleError, InputError):
        return None
