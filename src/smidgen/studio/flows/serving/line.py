"""The line of a project: the versions of its model, how each came to serve, and the way back to an earlier one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from smidgen.core.errors import BundleError
from smidgen.flows.learn.promotion import roll_back
from smidgen.judge import report
from smidgen.store.line import ChampionChange, LastLearning, Line, is_line
from smidgen.studio.flows.serving.live_traffic import captured
from smidgen.studio.flows.serving.servers import line_folder


@dataclass(frozen=True)
class LineVersion:
    """A version that is still there. `quality`: its headline metric, by name, with its interval; None where its report has none."""

    id: str
    quality: tuple[str, float, float, float] | None


@dataclass(frozen=True)
class ProjectLine:
    """The line of a project.

    Attributes:
        champion: the version that serves; None before the first.
        history: the changes of the champion, the oldest first.
        versions: those that can serve again, the latest first.
        last: the last learning; None before the first.
        waiting: captured answers that came since then.
    """

    name: str
    champion: str | None
    held_out: float
    history: Sequence[ChampionChange]
    versions: Sequence[LineVersion]
    last: LastLearning | None
    waiting: int


def read_line(project: str) -> ProjectLine | None:
    """Read the line of a project; None where there is none yet."""
    folder = line_folder(project)
    if not is_line(folder):
        return None
    line = Line(folder)
    pointer = line.read()
    since = pointer.last.at if pointer.last is not None and pointer.last.at.year > 1970 else None
    with captured(project) as traffic:
        waiting = traffic.pair_count(pointer.name, since, None) if traffic is not None else 0
    versions = [LineVersion(id, _quality(line.version(id))) for id in line.versions()]
    return ProjectLine(pointer.name, pointer.champion, pointer.held_out, pointer.history, versions, pointer.last, waiting)


def go_back(project: str, version: str, reason: str) -> None:
    """Let an earlier version serve again. A server of the line switches within two seconds."""
    roll_back(line_folder(project), version, reason or None)


def _quality(folder: Path) -> tuple[str, float, float, float] | None:
    try:
        found = report.read(folder / "report.json")
    except (BundleError, OSError, ValueError):
        return None
    metric = found.metrics.get(found.headline) if found.headline else None
    return None if metric is None else (found.headline, metric.value, metric.low, metric.high)
