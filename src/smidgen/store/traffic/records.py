"""The records of the traffic store: its inputs (exchanges, feedback, audits) and its outputs (pairs, counts)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Literal

from smidgen.core.errors import SmidgenError
from smidgen.core.replies import AnswerState

MOST_TEXT = 32_768
"""Most characters of a stored text. A longer one is cut and marked, and is never trained on."""
MOST_COMMENT = 4_096
MOST_NAME = 200

STORED = "stored"
LOST = ("queue_full", "too_large", "unredacted", "unwritten", "stopped")
"""Reasons why a request was not stored, so that it can never be trained on."""

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
        asked: the bundle that it named, without a quality after an `@`; else the model's name as in the request.
        path: `/v1/chat/completions`, `/v1/completions`, `/v1/responses`.
        input: the text as the small model reads it; None if there is no single one.
        answered_by: `local`, `upstream`, `cache` (an earlier answer of the upstream), or `none`.
        why: why the small model did not answer under its certificate; empty if it did, or none could be asked.
        odd: the part of it that a small model cannot do (tools, several turns); pairs are made of requests without any.
        status: HTTP status of the answer.
        bundle_id: of the bundle that was asked; empty for none.
        local_output: the small model's answer, as JSON, also if the upstream answered in the end.
        local_score: of that, 0..1.
        certificate: the id of the certificate that it was judged by.
        model: the upstream's, as it was told.
        answer: the text of the upstream's whole answer; None if it has none.
        tokens_in, tokens_out: sizes, the upstream's own, or estimated.
        tokens_estimated: whether they are estimated.
        cost_usd, saved_usd: at list price, or for the cost at the server's configured price; None if neither is known.
        local_ms, upstream_ms: how long each took, in milliseconds.
        user: who asked, as the client says. Only a keyed hash of it is stored.
        also: further ids of the user, if the client gave several that differ. Only keyed hashes of them are stored.
        system: the system messages. Only a keyed hash of them is stored.
        template: the system messages and the form of the answer, exact. Only a keyed hash of it is stored.
        kind: the constant part of the template, for grouping; empty if that is all of it. Only a keyed hash of it is stored.
        key: a piece of the hash of the API key.
        truncated: whether a text was too long to be stored whole.
        altered: whether personal data was removed from the input, so that it is not the original text.
        doubtful: whether a name without the sign of a private person was removed: perhaps it was nobody's.
        answer_state: how the upstream answered; see core/replies.py.
        held_out: its side, if that was drawn before personal data was removed; None to draw it from the input here.
        choices: values and names in the answer schema of the request. They belong to nobody, and are not stored.
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
    doubtful: bool = False
    answer_state: AnswerState = ""
    held_out: bool | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Feedback:
    """A person's feedback on an answer.

    `corrected` is the right answer, in the form of a message's content. `altered`: personal data was removed from it, so it may not fit the
    input any more. Of `user` only a keyed hash is stored. `key` is the hash of the key that sends the feedback, which must be that of the
    request, unless an admin sends it (`by_admin`)."""

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
    """The original text of an answer (of request `id`) that was stored masked before it was known to be a label.

    Attributes:
        what: the `answer`, an `audit`'s, or a `corrected` one in feedback.
        said: the original text.
        model: of an audit, the large model.
        stored: the masked text that was stored; empty for an audit, which is not stored masked.
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
    """A text with an answer to train on or, for a held-out request, to measure by.

    Attributes:
        reference: that answer; empty if the upstream's is not a whole text.
        whose: who gave it. For a held-out request it is the upstream's wherever that answered, whatever people said about it.
        state: how the upstream answered. Pairs to train on are all `whole`.
        corrected: for a held-out request that the upstream answered: a person's correction of some answer to it.
        altered: whether personal data was removed from the input.
        doubtful: whether a name without the sign of a private person was removed from the input or the answer.
        why: why the small model did not answer under its certificate; empty if it did, or none could be asked.
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
    doubtful: bool = False
    why: str = ""

    def json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "time": self.time.isoformat()}


@dataclass(frozen=True, slots=True)
class TrafficCounts:
    """Totals of the store. `asked`: requests by the name that they asked for; `groups`: by the hash of their kind; the most frequent
    first."""

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
    """The part of the traffic that was stored: the number of stored requests, and of lost ones by the reason. `first`: the count's first
    day."""

    stored: int
    lost: Mapping[str, int] = field(default_factory=dict)
    first: date | None = None

    @property
    def share_lost(self) -> float:
        """The lost share of the requests that were to be stored."""
        lost = sum(self.lost.values())
        return lost / (lost + self.stored) if lost else 0.0

    @property
    def words(self) -> str:
        """A sentence on the lost requests; empty if there are none."""
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
    """The result of a deletion. `gone`: whether no byte of it is left in the files of the store. False if another process was reading: the
    journal still holds texts until the next deletion or the last process closes the store. None if unknown: a database server manages its
    own files."""

    requests: int
    feedback: int
    gone: bool | None


def to_timestamp(time: datetime) -> float:
    """The stored form of a time: seconds since 1970. Raises ValueError for one without a zone, which is ambiguous."""
    if time.tzinfo is None:
        raise ValueError("a time without a zone")
    seconds = time.timestamp()
    if not math.isfinite(seconds):
        raise ValueError("a time that is not finite")
    return seconds


def from_timestamp(seconds: float) -> datetime:
    """A stored time."""
    return datetime.fromtimestamp(seconds, UTC)
