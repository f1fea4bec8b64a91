"""Tell a desk's listeners what becomes of its models: another version of a line answers, or a certificate was withdrawn.

Promotions, rollbacks and revocations happen in other processes. So their records are looked at now and then. Each is told once, however
often it is seen and whichever process sees it: the event's id is made from the record.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from smidgen.core.errors import SmidgenError, shown
from smidgen.desk.store.conversation_store import ConversationStore
from smidgen.desk.store.records import EventKind
from smidgen.gateway import certificate as papers
from smidgen.gateway import revocation
from smidgen.store.line import Line

NEWS_SECONDS = 7 * 86_400.0
"""How old news may be. A desk that is served for the first time must not tell the history of its models."""

_log = logging.getLogger("smidgen.desk")


@dataclass(frozen=True, slots=True)
class WatchedModel:
    """A model that a desk's server serves. `line`: its folder, if it is a line; `folder`: its bundle, if it is none."""

    name: str
    folder: Path
    line: Path | None = None


class ModelWatch:
    """Looks at the records of models. `keep_days`: how long the desk keeps events; what is forgotten must not be told again."""

    def __init__(
        self,
        store: ConversationStore,
        desk: str,
        models: Sequence[WatchedModel],
        keep_days: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store, self._desk, self._models, self._clock = store, desk, tuple(models), clock
        self._news = min(NEWS_SECONDS, keep_days * 86_400.0 / 2)

    def look(self) -> int:
        """Tell what is new; returns how many events that were. A record that cannot be read is looked at again later."""
        told = 0
        for model in self._models:
            try:
                for kind, key, at, body in self._found(model):
                    if 0 <= self._clock() - at <= self._news:
                        told += self._store.events.tell_once(self._desk, kind, key, at, {"model": model.name, **body})
            except (SmidgenError, OSError, ValueError) as error:
                _log.warning("the records of the model %s cannot be read: %s", model.name, shown(str(error)))
        return told

    def _found(self, model: WatchedModel) -> Iterator[tuple[EventKind, str, float, dict[str, Any]]]:
        """Find what happened to a model: the kind of event, a key of its own, the time and the facts."""
        folder = model.folder
        if model.line is not None:
            line = Line(model.line)
            pointer = line.read()
            if pointer.champion is not None:
                folder = line.version(pointer.champion)
            for turn in pointer.history:
                if turn.before is not None:
                    facts = {"version": turn.champion, "before": turn.before, "by": turn.by, "why": turn.why}
                    yield "promoted", f"{model.name} {turn.champion} {turn.at.isoformat()}", turn.at.timestamp(), facts
        if papers.place(folder).is_file():
            paper = papers.read(papers.place(folder))
            sample = paper.calibration
            found = revocation.find_revocation(folder, paper.id, paper.bundle.sha256, sample.rows_sha256, sample.marks)
            if found is not None:
                at = _time(found.at, self._clock())
                yield "revoked", f"{model.name} {paper.id}", at, {"certificate": paper.id, "why": found.reason[:2_000]}


def _time(at: datetime | None, now: float) -> float:
    """The time of a revocation; now for one without, which a damaged record is."""
    return at.timestamp() if at is not None else now
