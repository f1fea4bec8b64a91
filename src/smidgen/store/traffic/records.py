"""The records of the traffic store: what goes in (exchanges, feedback, audits) and what comes out (pairs, counts)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Literal

from smidgen.core.errors import SmidgenError
from smidgen.core.replies import AnswerState

MOST_TEXT = 32_768
"""Characters of a text that are kept. A longer one is cut and marked, and is never learnt from."""
MOST_COMMENT = 4_096
MOST_NAME = 200

STORED = "stored"
LOST = ("queue_full", "too_large", "unredacted", "unwritten", "stopped")
"""Why a request that was to be stored was not: it can never be learnt from."""

Verdict = Literal["up", "down"]
Whose = Literal["upstream", "human"]
AnsweredBy = Literal["local", "upstream", "cache", "none"]


class TrafficError(SmidgenError):
    """The traffic store cannot be opened, read or written."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request to the gateway, and how it was answered.

    Attributes:
        id: the request's, as the client was told it.
        time: when it came, with its zone.
        asked: the bundle that it named, without a quality behind an `@`; else the model's name as it stood in the request.
        path: `/v1/chat/completions`, `/v1/completions`, `/v1/responses`.
        input: the text as the small model reads it; None where there is no single one.
        answered_by: `local`, `upstream`, `cache` (what the upstream had said before), or `none`.
        why: why the small model did not answer under its certificate; empty where it did, or there was none to ask.
        odd: what about it a small model cannot do (tools, several turns); pairs are made of requests without any.
        status: HTTP status of the answer.
        bundle_id: of the bundle that was asked; empty where none was.
        local_output: what the small model said, as JSON, also where the upstream answered in the end.
        local_score: of that, 0..1.
        certificate: the id of the one that it was judged by.
        model: the upstream's, as it was told.
        answer: the text of the upstream's whole answer; None where it has none.
        tokens_in, tokens_out: sizes, the upstream's own, or estimated.
        tokens_estimated: whether they are.
        cost_usd, saved_usd: at list price, the cost else at the one that the server was told; None where neither is known.
        local_ms, upstream_ms: how long each took, in milliseconds.
        user: who asked, as the client says. Only a keyed hash of it is stored.
        also: further ids of who asked, where the client gave several that differ. Only keyed hashes of them are stored.
        system: words to the system. Only a keyed hash of them is stored.
        template: the words to the system and the form of the answer, to the letter. Only a keyed hash of it is stored.
        kind: what of the template stays the same from request to request, for grouping; empty where that is all of it. Likewise.
        key: a piece of the hash of the API key.
        truncated: whether a text was too long to be kept whole.
        altered: whether personal data was taken out of the input: it is not the text that was asked any more.
        answer_state: how the upstream answered; see core/replies.py.
        held_out: its side, where that was drawn before personal data was taken out; None: by the input as it stands here.
        choices: values and names of the schema that the request asks its answer in. They are nobody's, and are not stored.
    """

    id: str
    time: datetime
    asked: str
    path: str
    input: str | None
    answered_by: AnsweredBy
    why: str = ""
    odd: str = ""
    status: int = 200
    bundle_id: str = ""
    local_output: str | None = None
    local_score: float | None = None
    certificate: str = ""
    model: str = ""
    answer: str | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_estimated: bool = True
    cost_usd: float | None = None
    saved_usd: float | None = None
    local_ms: float | None = None
    upstream_ms: float | None = None
    user: str | None = None
    also: tuple[str, ...] = ()
    system: str = ""
    template: str = ""
    kind: str = ""
    key: str = ""
    truncated: bool = False
    altered: bool = False
    answer_state: AnswerState = ""
    held_out: bool | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Feedback:
    """Someone's feedback on an answer. `corrected` is the answer as it should have been, as a message's content has it; `altered` says that
    personal data was taken out of it, so that it may not fit the input any more. Of `user` only a keyed hash is stored.
    `key` is the hash of the key that says so, which must be that of the request, unless an admin says it (`by_admin`)."""

    request_id: str
    time: datetime
    verdict: Verdict | None = None
    corrected: str | None = None
    comment: str | None = None
    user: str | None = None
    key: str = ""
    altered: bool = False
    by_admin: bool = False


@dataclass(frozen=True, slots=True)
class AuditAnswer:
    """The large model's answer (`model`), in an audit, to the request with this id, which a small model had answered."""

    id: str
    answer: str
    model: str


@dataclass(frozen=True, slots=True)
class LateLabel:
    """A text about a request (`id`) in its own words, which was stored masked before it was known to be a label.

    Attributes:
        what: the `answer`, an `audit`'s, or a `corrected` one in feedback.
        model: of an audit, the large model.
        stored: as what it was stored; of an audit, which is not stored masked, nothing.
        time: of a correction, when it was stored.
    """

    id: str
    what: Literal["answer", "audit", "corrected"]
    said: str
    model: str = ""
    stored: str = ""
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class TrafficPair:
    """A text with an answer to learn from, or, of a held-out request, to measure by.

    Attributes:
        reference: that answer; empty where the upstream's is no whole text.
        whose: who gave it. Of a held-out request it is the upstream's wherever that answered, whatever people said of it.
        state: how the upstream answered. To learn from, `whole` alone comes.
        corrected: of a held-out request that the upstream answered: what a person put in the place of some answer to it.
        altered: whether personal data was taken out of the input.
        why: why the small model did not answer under its certificate; empty where it did, or there was none to ask.
    """

    id: str
    time: datetime
    asked: str
    bundle_id: str
    input: str
    reference: str
    whose: Whose
    held_out: bool
    answered_by: str
    local_output: str | None
    local_score: float | None
    model: str
    state: AnswerState = "whole"
    corrected: str | None = None
    altered: bool = False
    why: str = ""

    def json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "time": self.time.isoformat()}


@dataclass(frozen=True, slots=True)
class TrafficCounts:
    """How much there is. `asked` are requests by what they named, `groups` by the hash of their kind, the most frequent first."""

    requests: int
    local: int
    upstream: int
    cached: int
    unanswered: int
    held_out: int
    feedback: int
    corrected: int
    first: datetime | None
    last: datetime | None
    cost_usd: float
    saved_usd: float
    asked: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, int] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            **asdict(self),
            "first": self.first.isoformat() if self.first else None,
            "last": self.last.isoformat() if self.last else None,
        }


@dataclass(frozen=True, slots=True)
class StoredShare:
    """How much of the traffic was stored: requests that were, and those that were not, by the reason. `first`: the count's first day."""

    stored: int
    lost: Mapping[str, int] = field(default_factory=dict)
    first: date | None = None

    @property
    def share_lost(self) -> float:
        """The share of the requests that should have been stored and were not."""
        lost = sum(self.lost.values())
        return lost / (lost + self.stored) if lost else 0.0

    @property
    def words(self) -> str:
        """A sentence on what was not stored; empty where all was."""
        if not self.lost:
            return ""
        count = sum(self.lost.values())
        why = ", ".join(f"{number:,} {name}" for name, number in sorted(self.lost.items(), key=lambda item: -item[1]))
        return f"{count:,} of {count + self.stored:,} requests since {self.first} were not stored ({self.share_lost:.1%}: {why})"

    def json(self) -> dict[str, Any]:
        """JSON-ready."""
        first = self.first.isoformat() if self.first is not None else None
        return {"stored": self.stored, "lost": dict(self.lost), "share_lost": self.share_lost, "first": first, "says": self.words}


@dataclass(frozen=True, slots=True)
class DeletedTraffic:
    """The result of a deletion. `gone`: no byte of it is left in the files of the store; where it is False another process was reading, and
    the journal still holds texts until the next deletion or the last one closes the store. None where it is not known: the files of a
    database server are its own."""

    requests: int
    feedback: int
    gone: bool | None


def to_timestamp(time: datetime) -> float:
    """A time as it is stored: seconds since 1970. Raises ValueError for one without a zone: it could mean any of two dozen."""
    if time.tzinfo is None:
        raise ValueError("a time without a zone")
    seconds = time.timestamp()
    if not math.isfinite(seconds):
        raise ValueError("a time that is not finite")
    return seconds


def from_timestamp(seconds: float) -> datetime:
    """A stored time."""
    return datetime.fromtimestamp(seconds, UTC)
