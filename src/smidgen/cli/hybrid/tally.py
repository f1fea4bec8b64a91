"""What came of the requests, stretch by stretch, and of the learnings in between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from smidgen.cli.hybrid.requests import Answer


@dataclass
class Stretch:
    """Requests one after the other: the `first`-th to, when it is over, the `upto`-th.

    Attributes:
        disagree: local answers that the recording has otherwise.
        wrong: answers, of either, that are not the sample's own label.
        recorded_wrong: the recording's answers to all of these requests that are not.
    """

    first: int
    upto: int
    requests: int = 0
    local: int = 0
    disagree: int = 0
    wrong: int = 0
    recorded_wrong: int = 0
    saved_usd: float = 0.0

    @property
    def share(self) -> float:
        """Of the requests, those that were answered here."""
        return self.local / self.requests if self.requests else 0.0

    def add(self, answer: Answer, recorded: str, right: str) -> None:
        """Count one more."""
        self.requests += 1
        self.local += answer.local
        self.disagree += answer.local and answer.text != recorded
        self.wrong += answer.text != right
        self.recorded_wrong += recorded != right
        self.saved_usd += answer.saved_usd


@dataclass(frozen=True)
class Lesson:
    """One learning: after how many requests, how long it took, and what it printed as JSON."""

    at: int
    seconds: float
    result: Mapping[str, Any]

    @property
    def promoted(self) -> bool:
        """Whether a new version took over."""
        return bool(self.result["outcome"] == "promoted")

    @property
    def certificate(self) -> Mapping[str, Any] | None:
        """The new version's certificate; None where it has none."""
        found = self.result.get("certificate") or {}
        return found.get("certificate") if found.get("certified") else None

    def json(self) -> dict[str, Any]:
        """JSON-ready, without the line's own paths."""
        kept = ("outcome", "why", "champion", "before", "challenger", "contest", "certificate", "rows")
        return {"after_requests": self.at, "seconds": round(self.seconds, 1), **{name: self.result.get(name) for name in kept}}


@dataclass
class Tally:
    """All of it."""

    stretches: list[Stretch] = field(default_factory=list)
    lessons: list[Lesson] = field(default_factory=list)

    @property
    def whole(self) -> Stretch:
        """All requests together."""
        found = Stretch(1, self.stretches[-1].upto if self.stretches else 0)
        for one in self.stretches:
            found.requests += one.requests
            found.local += one.local
            found.disagree += one.disagree
            found.wrong += one.wrong
            found.recorded_wrong += one.recorded_wrong
            found.saved_usd += one.saved_usd
        return found

    @property
    def certified(self) -> bool:
        """Whether any version was certified and took over."""
        return any(lesson.promoted and lesson.certificate is not None for lesson in self.lessons)

    def json(self) -> dict[str, Any]:
        """JSON-ready."""
        whole = self.whole
        return {
            "requests": whole.requests,
            "answered_here": whole.local,
            "share": whole.share,
            "disagree": whole.disagree,
            "wrong": whole.wrong,
            "recorded_wrong": whole.recorded_wrong,
            "saved_usd": whole.saved_usd,
            "stretches": [{**asdict(one), "share": one.share} for one in self.stretches],
            "learnings": [lesson.json() for lesson in self.lessons],
        }
