"""Drift: whether the traffic of a served model is still like what it was made in. The order only."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from smidgen.bundles.open import read_manifest
from smidgen.core.errors import BundleError, InputError
from smidgen.core.progress import Progress, Silent
from smidgen.flows.drift.sample import sample_windows
from smidgen.flows.drift.settings import DriftSettings
from smidgen.flows.drift.windows import DriftWindows, WindowRequest, are_enough_waiting, windows
from smidgen.flows.local_model import Model, load
from smidgen.store import bundle_list
from smidgen.store.hashing import content_hash
from smidgen.store.line import Line, is_line
from smidgen.watch import drift_record, drift_test
from smidgen.watch.comparison import TrafficSample
from smidgen.watch.drift_test import FEWEST, DriftVerdict

RECENT = 500
"""The newest so many requests are looked at, where nothing else is said."""


@dataclass(frozen=True)
class DriftLook:
    """What came of a look. `judgement` is None where there was too little to look at, and `why` says what."""

    name: str
    bundle_id: str
    windows: DriftWindows
    sample: TrafficSample | None
    judgement: DriftVerdict | None
    why: str = ""

    @property
    def alarm(self) -> bool:
        """Whether something moved."""
        return self.judgement is not None and self.judgement.alarm

    def json(self) -> dict[str, Any]:
        """JSON-ready."""
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
    """The folder that a name or a path means: itself where it is one, else that of the served line or bundle of this name.

    Raises InputError where there is none.
    """
    folder = Path(said)
    if folder.is_dir():
        return folder
    known = {name: place for place in reversed(bundle_list.known()) if (name := _name(place)) is not None}
    if said in known:
        return known[said]
    listed = ", ".join(sorted(known)[:10]) or "none"
    raise InputError(
        "this is no folder, and nothing that was served here has this name", value=said, todo=f"Name a folder, or one of: {listed}."
    )


def look_for_drift(folder: Path, ask: DriftSettings, progress: Progress | None = None, now: datetime | None = None) -> DriftLook:
    """Look at the traffic of a bundle, or of a line's champion, once, and count the look.

    Raises:
        InputError: what cannot be asked for.
        BundleError: the bundle or line cannot be opened; rows of the line are not as they were kept.
        TrafficError: the store of traffic cannot be read. DriftError: the look cannot be counted.
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
    """Whether as many requests as a look takes came to a line's champion since the last look at it, and after this moment: one at which
    there was too little to look at is counted nowhere. Raises as `look` does."""
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
        last = None  # the look will say so
    since = max((moment for moment in (last, after) if moment is not None and moment <= now), default=None)
    return are_enough_waiting(_asked(ask, pointer.name, now), line, since)


def _judged(model: Model, found: DriftWindows, sample: TrafficSample, ask: DriftSettings, progress: Progress, now: datetime) -> DriftLook:
    sha256 = content_hash([[entry.id for entry in stretch] for stretch in (found.reference, found.recent)])
    # Counted under the lock before it is made: of two looks at once each has its own number, and one that breaks off is spent.
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
    """Why there is too little to look at; empty where there is enough."""
    for what, stretch in (("recent requests", found.recent), ("requests or rows to compare them with", found.reference)):
        if len(stretch) < FEWEST:
            return f"too few {what}: {len(stretch)} of at least {FEWEST}"
    return ""


def _asked(ask: DriftSettings, name: str, now: datetime) -> WindowRequest:
    grows, recent = ask.recent is None, RECENT if ask.recent is None else ask.recent
    return WindowRequest(ask.asked or name, recent, ask.reference, ask.before, ask.since, ask.asked is not None, now, grows)


def _name(folder: Path) -> str | None:
    """The name that a folder on the shelf is served under."""
    try:
        return Line(folder).read().name if is_line(folder) else read_manifest(folder).name
    except (BundleError, InputError):
        return None
