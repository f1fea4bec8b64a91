"""Decide who answers a request: the local bundle if its certificate allows it, else the fallback.

In any doubt the request escalates. A request names a bundle, optionally with a quality after an `@`, or another model.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from smidgen.core.errors import RequestError
from smidgen.core.replies import Reply, answer_group, gives_nothing
from smidgen.gateway.certificate_status import CertificateState, CertificateStatus, Decision

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class RequestedModel:
    """The bundle that a request may be answered by.

    Attributes:
        bundle: its name.
        quality: the least share of local answers that must agree with the reference, 0..1; None if the request asks for none.
        names_bundle: whether the request names the bundle. Else it names another `model`, and goes there if the bundle does not answer.
        jobs: scopes of the recurring jobs of such a request; the bundle's certificate must have been tested on one of them.
        model: see `names_bundle`.
    """

    bundle: str
    quality: float | None = None
    names_bundle: bool = True
    jobs: frozenset[str] = frozenset()
    model: str = ""

    def allows(self, alpha: float) -> bool:
        """Whether a certificate of this alpha gives the requested quality."""
        return self.quality is None or alpha <= 1 - self.quality + _ROUNDING

    def at_least(self, quality: float | None) -> RequestedModel:
        """Raise the quality to at least this one; None changes nothing."""
        given = [one for one in (self.quality, quality) if one is not None]
        return replace(self, quality=max(given, default=None))


def requested_model(name: object, bundles: Collection[str]) -> RequestedModel | None:
    """Read a request's `model`; None if it names no bundle.

    Raises RequestError, 422, for a quality after a bundle's name that is not over 0 and at most 1.
    """
    if not isinstance(name, str):
        return None
    if name in bundles:
        return RequestedModel(name)
    bundle, at, said = name.rpartition("@")
    if not at or bundle not in bundles:
        return None
    try:
        quality = float(said)
    except ValueError:
        quality = math.nan
    if not 0 < quality <= 1:
        raise RequestError(
            "gateway.quality_behind_model_name_is_no_number", value=name, bundle=bundle, code="invalid_quality", param="model"
        )
    return RequestedModel(bundle, quality)


BY_LABEL = "label"

INELIGIBLE = "request"
QUALITY = "quality"
SCORE = "score"
SEGMENT = "segment"
JOB = "job"
HELD_OUT = "held out"
CLIENT = "client"
REPEATED = "repeated text"
UNANSWERED = "no local answer"
NEVER = "never"
"""Reasons why a request escalates under a valid certificate; otherwise the reason is the certificate's state."""

_BOUNDS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
"""Fields of a request that bound the length of a written text."""


@dataclass(frozen=True, slots=True)
class RoutingDecision:
    """Who answers a request, and why.

    Attributes:
        why: why the request escalates, one of a few short words; empty if it is answered locally.
        detail: details in words that any client may read: no paths, and no reasons of revocations.
        certificate: the id of the certificate that decided; empty if none was valid.
        score: the local answer's, if it has one.
    """

    why: str = ""
    detail: str = ""
    certificate: str = ""
    score: float | None = None

    @property
    def told(self) -> str:
        """Why the request escalates, with the detail in brackets."""
        return f"{self.why} ({self.detail})" if self.why and self.detail else self.why

    @property
    def local(self) -> bool:
        """Whether the small model answers."""
        return not self.why


def held_out_decision(known: RoutingDecision) -> RoutingDecision:
    """The decision for a request that the small model could answer, but whose text is held out."""
    return RoutingDecision(why=HELD_OUT, detail="its text is kept to measure on", certificate=known.certificate)


def suspended_decision(known: RoutingDecision) -> RoutingDecision:
    """The decision for a client whose audits alone contradicted the certificate."""
    return RoutingDecision(why=CLIENT, detail="audits of this client's requests disagreed too often", certificate=known.certificate)


def repeated_decision(known: RoutingDecision) -> RoutingDecision:
    """The decision for a text that is a large share of the traffic, and whose answer is not known to be right."""
    return replace(known, why=REPEATED, detail="it is a large share of the requests, and its answer is not known to be right")


def decision_within(known: RoutingDecision, body: Mapping[str, Any], tokens: int) -> RoutingDecision:
    """The decision for a local answer of so many tokens: one that the request's limit would cut escalates, as the large model would cut
    its own."""
    bound = next((name for name in _BOUNDS if isinstance(body.get(name), int) and body[name] < tokens), None)
    if not known.local or bound is None:
        return known
    return replace(known, why=UNANSWERED, detail=f"{bound} cuts it short")


def decision_before(standing: CertificateStatus, asked: RequestedModel) -> RoutingDecision:
    """The decision before the small model is asked; if it is `local`, the model's answer will decide."""
    if not standing.valid or standing.certificate is None:
        unknown = standing.valid or standing.state is CertificateState.NONE
        return RoutingDecision(why="no certificate" if unknown else standing.state.value)
    found = standing.certificate
    if not asked.names_bundle and asked.jobs.isdisjoint(found.calibration.jobs):
        return RoutingDecision(why=JOB, detail="its certificate was not tested on requests of this job")
    if not asked.names_bundle and found.reference.large not in ("", asked.model):
        return RoutingDecision(why=CertificateState.REFERENCE.value, detail="it names another than the certificate does")
    if not asked.allows(found.alpha):
        return RoutingDecision(why=QUALITY, detail=f"{asked.quality:g} is asked for, and the certificate says {1 - found.alpha:g}")
    return RoutingDecision(certificate=found.id)


def decision_after(
    standing: CertificateStatus, asked: RequestedModel, replies: Sequence[Reply], body: Mapping[str, Any]
) -> RoutingDecision:
    """The decision by the small model's answer. `replies`: all its answers; only a single one is certified.

    If the certificate is by a column, the request's `metadata` must have it.
    """
    known = decision_before(standing, asked)
    if not known.local or standing.certificate is None:
        return known
    judged = _judged(replies, body, known.certificate)
    if not judged.local:
        return judged
    (reply,), score = replies, judged.score or 0.0
    segment = segment_of(standing.certificate.by, reply, body)
    if standing.certified_segment(segment) is None:
        return RoutingDecision(why=SEGMENT, detail="its segment is not certified", certificate=known.certificate, score=score)
    if standing.decide(score, segment) is not Decision.ANSWER:
        return RoutingDecision(why=SCORE, detail="it is under the certificate's threshold", certificate=known.certificate, score=score)
    return RoutingDecision(certificate=known.certificate, score=score)


def decision_uncertified(known: RoutingDecision, replies: Sequence[Reply], body: Mapping[str, Any], least: float) -> RoutingDecision:
    """The decision for a bundle without a certificate whose operator lets it answer from the score `least` on; if it is `local`, the
    answer is marked as uncertified. `known`: the decision that it escalates by otherwise."""
    judged = _judged(replies, body, "")
    if not judged.local or judged.score is None:
        return replace(known, detail=judged.told, score=judged.score)
    if judged.score < least:
        return replace(known, why=SCORE, detail=f"it is under {least:g}, and there is no certificate", score=judged.score)
    return judged


def _judged(replies: Sequence[Reply], body: Mapping[str, Any], certificate: str) -> RoutingDecision:
    """The decision by the small model's answer alone, whatever its score; if it is `local`, it has one."""
    if len(replies) != 1:
        return RoutingDecision(why=UNANSWERED, detail=f"{len(replies)} answers were given", certificate=certificate)
    (reply,) = replies
    score = None if "unscored" in reply.facts else float(reply.score)
    if score is None:
        return RoutingDecision(why=SCORE, detail=f"it has none: {reply.facts['unscored']}", certificate=certificate)
    if gives_nothing(reply):
        detail = "the small model refuses" if reply.facts.get("refused") else "the small model does not know"
        return RoutingDecision(why=UNANSWERED, detail=detail, certificate=certificate, score=score)
    bound = next((name for name in _BOUNDS if body.get(name)), None)
    if getattr(reply.piece, "finish", None) == "length" and bound is not None:
        return RoutingDecision(why=UNANSWERED, detail=f"{bound} cuts it short", certificate=certificate, score=score)
    return RoutingDecision(certificate=certificate, score=score)


def segment_of(by: str, reply: Reply, body: Mapping[str, Any]) -> str | None:
    """The segment of a request under a certificate by segments (`by`): the label in the answer, or the value in the request's
    `metadata`."""
    if not by:
        return None
    if by == BY_LABEL:
        return answer_group(reply)
    told = body.get("metadata")
    value = told.get(by) if isinstance(told, Mapping) else None
    return value.strip() if isinstance(value, str) and value.strip() else None
