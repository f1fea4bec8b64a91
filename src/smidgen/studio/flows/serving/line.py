"""The line of a project: the versions of its model, how each came to serve, and the way back to an earlier one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic.dataclasses import dataclass

from smidgen.core.errors import BundleError
from smidgen.flows.learn.promotion import roll_back
from smidgen.judge import report
from smidgen.store.line import Line, is_line
from smidgen.studio.flows.serving.live_traffic import captured
from smidgen.studio.flows.serving.servers import line_folder


@dataclass(frozen=True)
class VersionQuality:
    """The headline metric of a version, with its interval."""

    name: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class LineVersion:
    """A version that can serve. `quality` is None where its report has none."""

    id: str
    quality: VersionQuality | None


@dataclass(frozen=True)
class LineChange:
    """A change of the version that serves: `by` learning, a roll-back, or hand. `time` is in seconds since 1970."""

    time: float
    by: str
    champion: str
    before: str | None
    why: str


@dataclass(frozen=True)
class ProjectLine:
    """The line of a project.

    Attributes:
        champion: the version that serves; None before the first.
        history: the changes of the champion, the latest first.
        versions: those that can serve again, the latest first.
        last_outcome, last_why, last_time: of the last learning: `promoted` or `kept`, the reason, and when; None before the first.
        waiting: captured answers that came since then.
    """

    name: str
    champion: str | None
    held_out: float
    history: Sequence[LineChange]
    versions: Sequence[LineVersion]
    last_outcome: str | None
    last_why: str
    last_time: float | None
    waiting: int


def read_line(project: str) -> ProjectLine | None:
    """Read the line of a project; None where there is none yet."""
    folder = line_folder(project)
    if not is_line(folder):
        return None
    line = Line(folder)
    pointer = line.read()
    last = pointer.last if pointer.last is not None and pointer.last.at.year > 1970 else None
    with captured(project) as traffic:
        waiting = traffic.pair_count(pointer.name, None if last is None else last.at, None) if traffic is not None else 0
    return ProjectLine(
        name=pointer.name,
        champion=pointer.champion,
        held_out=pointer.held_out,
        history=[
            LineChange(change.at.timestamp(), change.by, change.champion, change.before, change.why) for change in reversed(pointer.history)
        ],
        versions=[LineVersion(id, _quality(line.version(id))) for id in line.versions()],
        last_outcome=None if last is None else last.outcome,
        last_why="" if last is None else last.why,
        last_time=None if last is None else last.at.timestamp(),
        waiting=waiting,
    )


def go_back(project: str, version: str, reason: str) -> None:
    """Let an earlier version serve again. A server of the line switches within two seconds."""
    roll_back(line_folder(project), version, reason or None)


def _quality(folder: Path) -> VersionQuality | None:
    try:
        found = report.read(folder / "report.json")
    except (BundleError, OSError, ValueError):
        return None
    metric = found.metrics.get(found.headline) if found.headline else None
    return None if metric is None else VersionQuality(found.headline, metric.value, metric.low, metric.high)
