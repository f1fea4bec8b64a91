"""Who answers a request that names a bundle, and why. Whatever is not certain escalates: never the other way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smidgen.core.replies import Reply
from smidgen.gateway.standing import Decision, Standing, State
from smidgen.gateway.wanted import Wanted

BY_LABEL = "label"

SUITED = "request"
QUALITY = "quality"
SCORE = "score"
SEGMENT = "segment"
JOB = "job"
HELD_OUT = "held out"
UNANSWERED = "no local answer"
"""Why a request escalates whose certificate holds; where it does not, the reason is the certificate's state."""

_BOUNDS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
"""What a request bounds the length of a written text by, at one face or another."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """Who answers.

    Attributes:
        why: why the request escalates, one of a few short words; empty where it is answered locally.
        detail: more of it, in words that any client may read: the places of files, and why a certificate was revoked, are not among them.
        certificate: the id of the certificate that it was judged by; empty where none held.
        score: of the local answer, where there is one that has a score.
    """

    why: str = ""
    detail: str = ""
    certificate: str = ""
    score: float | None = None

    @property
    def told(self) -> str:
        """Why it escalates, with more of it in brackets."""
        return f"{self.why} ({self.detail})" if self.why and self.detail else self.why

    @property
    def local(self) -> bool:
        """Whether the small model answers."""
        return not self.why


def aside(known: Ruling) -> Ruling:
    """Of a request that the small model could have been asked, whose text is one to measure on."""
    return Ruling(why=HELD_OUT, detail="its text is kept to measure on", certificate=known.certificate)


def before(standing: Standing, asked: Wanted) -> Ruling:
    """What is known before the small model is asked: a ruling that is `local` says that its answer will decide."""
    if not standing.valid or standing.certificate is None:
        unknown = standing.valid or standing.state is State.NONE
        return Ruling(why="no certificate" if unknown else standing.state.value)
    found = standing.certificate
    if not asked.named and asked.jobs.isdisjoint(found.calibration.jobs):
        return Ruling(why=JOB, detail="its certificate was not tested on requests of this job")
    if not asked.named and found.reference.large not in ("", asked.model):
        return Ruling(why=State.REFERENCE.value, detail="it names another than the certificate does")
    if not asked.allows(found.alpha):
        return Ruling(why=QUALITY, detail=f"{asked.quality:g} is asked for, and the certificate says {1 - found.alpha:g}")
    return Ruling(certificate=found.id)


def after(standing: Standing, asked: Wanted, replies: Sequence[Reply], body: Mapping[str, Any]) -> Ruling:
    """What the small model's answer decides. `replies` are all that were given for the request: one, or it is not what was certified.

    Where the certificate is by a column, the request's `metadata` must have it.
    """
    known = before(standing, asked)
    if not known.local or standing.certificate is None:
        return known
    if len(replies) != 1:
        return Ruling(why=UNANSWERED, detail=f"{len(replies)} answers were given", certificate=known.certificate)
    (reply,) = replies
    score = None if "unscored" in reply.facts else float(reply.score)
    if score is None:
        return Ruling(why=SCORE, detail=f"it has none: {reply.facts['unscored']}", certificate=known.certificate)
    if reply.facts.get("refused"):
        return Ruling(why=UNANSWERED, detail="the small model refuses", certificate=known.certificate, score=score)
    bound = next((name for name in _BOUNDS if body.get(name)), None)
    if getattr(reply.piece, "finish", None) == "length" and bound is not None:
        return Ruling(why=UNANSWERED, detail=f"{bound} cuts it short", certificate=known.certificate, score=score)
    segment = segment_of(standing.certificate.by, reply, body)
    if standing.answered(segment) is None:
        return Ruling(why=SEGMENT, detail="its segment is not certified", certificate=known.certificate, score=score)
    if standing.decide(score, segment) is not Decision.ANSWER:
        return Ruling(why=SCORE, detail="it is under the certificate's threshold", certificate=known.certificate, score=score)
    return Ruling(certificate=known.certificate, score=score)


def segment_of(by: str, reply: Reply, body: Mapping[str, Any]) -> str | None:
    """The segment of a request, where a certificate is by such (`by`). A label is what the answer says; of anything else, only the request
    can tell."""
    if not by:
        return None
    if by == BY_LABEL:
        return reply.output if isinstance(reply.output, str) else None
    told = body.get("metadata")
    value = told.get(by) if isinstance(told, Mapping) else None
    return value.strip() if isinstance(value, str) and value.strip() else None
