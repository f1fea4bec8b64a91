"""The certificate router: a bundle answers a request to it if its certificate allows, else the fallback does.

Held-out texts always go to the fallback, if the operator wishes so: then the rows that compare and certify are like all of the traffic.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

from pydantic import ValidationError
from starlette.types import Send

from smidgen.core.errors import InputError, RequestError
from smidgen.gateway import route
from smidgen.gateway.certificate_status import (
    REVIVED_BY_AUDITS,
    CertificateState,
    CertificateStatus,
    StatusReader,
    note_answer,
    read_status,
)
from smidgen.gateway.eligibility import eligibility_of, text_of, why_ineligible
from smidgen.gateway.headers import answer_headers, client_id
from smidgen.gateway.route import HeavyTexts, RequestedModel, RoutingDecision
from smidgen.gateway.route_settings import LocalMode
from smidgen.server.gateway.auditor import Auditor
from smidgen.server.gateway.certificates import certificate_of
from smidgen.server.gateway.escalation import Unreachable
from smidgen.server.gateway.fallback import FallbackAnswerer
from smidgen.server.gateway.prices import UpstreamPrice, UpstreamSizes, texts_to_read
from smidgen.server.gateway.upstream import UpstreamCall
from smidgen.server.models import ServedBundle
from smidgen.server.openai.answers import LocalAnswer, TextFace
from smidgen.server.reply_json import token_count
from smidgen.server.request import CLIENT_GONE, OWN_ID_PREFIX, HttpRequest, takes_body_of
from smidgen.server.service import Service
from smidgen.server.settings import ServeSettings
from smidgen.store.traffic.records import MOST_TEXT

_LOOK_AGAIN_SECONDS = 1.0
_HEAVY = "heavy texts"
_INVALID, _FAILED = "HTTP 422", "HTTP 500"
_log = logging.getLogger("smidgen.server")


IsHeldOut = Callable[[str], bool]
"""Tells whether a text is held out."""


def check_held_out(settings: ServeSettings) -> None:
    """Raise InputError if held-out texts shall always escalate, but none are held out or captured."""
    if not settings.local.held_out_aside:
        return
    if not settings.capture.on or not settings.fallback.urls:
        raise InputError(
            "server.held_out_texts_need_fallback" if not settings.fallback.urls else "server.held_out_texts_need_capture",
            value="--held-out-aside",
        )
    if settings.capture.held_out == 0:
        raise InputError("server.no_text_is_held_out_to_set_aside")


def held_out_test(service: Service) -> IsHeldOut | None:
    """Return a test for held-out texts; None if they do not always escalate.

    The text as received decides, as in the recorder. Raises as `check_held_out` does.
    """
    check_held_out(service.settings)
    recorder = service.recorder
    if not service.settings.local.held_out_aside or recorder is None:
        return None
    return lambda text: len(text) <= MOST_TEXT and recorder.holds_out(text)


@dataclass(frozen=True, slots=True)
class Savings:
    """Data to compute the savings of local answers.

    Attributes:
        price: of the first upstream's model; None if unknown.
        sizes: usage of requests to a bundle that the large model answered; None if not measured.
    """

    price: UpstreamPrice | None = None
    sizes: UpstreamSizes | None = None


@dataclass(slots=True)
class _Course:
    """State of a request.

    Attributes:
        odd: why a bundle may not answer this kind of request; None if it may.
        failed: why the bundle gave no answer, in words that a client may read; empty if it gave one or was not asked.
        uncertified: why the bundle may answer without a certificate; empty if it may not.
        error: the measured share of wrong answers among those; None if it was not measured.
        checks: where to note what the reference says of this text, if it is to be asked; None if it is not.
    """

    requested: RequestedModel
    body: Mapping[str, Any]
    model: ServedBundle
    reader: StatusReader
    standing: CertificateStatus
    decision: RoutingDecision
    odd: str | None
    local: LocalAnswer | None = None
    failed: str = ""
    uncertified: str = ""
    error: float | None = None
    checks: HeavyTexts | None = None


class CertificateRouter:
    """Answers requests to bundles.

    Args:
        service: the bundles.
        faces: the faces of a bundle, by path.
        fallback: answers requests that no bundle may answer.
        savings: computes the savings of local answers.
        auditor: audits some of the local answers; None for no audits.
        is_held_out: tells whether a text is held out and therefore always escalates; None if none does.
        local_at_last: whether a bundle answers without its certificate, marked as such, if no upstream answers.
        mode: which answers a bundle gives itself.
    """

    def __init__(
        self,
        service: Service,
        faces: Mapping[str, TextFace],
        fallback: FallbackAnswerer,
        savings: Savings,
        auditor: Auditor | None = None,
        is_held_out: IsHeldOut | None = None,
        local_at_last: bool = False,
        mode: LocalMode = "certified",
    ) -> None:
        self._service, self._faces, self._fallback, self._savings = service, faces, fallback, savings
        self._auditor, self._is_held_out, self._local_at_last = auditor, is_held_out, local_at_last and mode != "never"
        self._mode = mode

    async def __call__(self, request: HttpRequest, send: Send, requested: RequestedModel) -> None:
        """Send the bundle's answer if its certificate allows, else the fallback's."""
        course = await self._decided(request, requested)
        if course.decision.local and course.local is not None:
            await self._answer(request, send, course, course.local)
        elif course.uncertified and course.local is not None:
            self._service.metering.routed.labels(course.requested.bundle, "local", course.uncertified).inc()
            await self._send(request, send, course, course.local, uncertified=course.uncertified, error=course.error)
        else:
            await self._escalate(request, send, course)

    async def _decided(self, request: HttpRequest, requested: RequestedModel) -> _Course:
        """Decide who answers: first by what is known before the bundle is asked, then by its answer."""
        body = request.json or {}
        model = self._service.find(requested.bundle, request)
        reader = certificate_of(self._service, model)
        standing = await read_status(reader)
        odd = why_ineligible(request.path, body, eligibility_of(model.task))
        course = _Course(requested, body, model, reader, standing, route.decision_before(standing, requested), odd)
        if self._mode == "never":
            course.decision = RoutingDecision(why=route.NEVER, detail="the operator lets no bundle answer")
            return course
        if course.decision.local and course.odd is not None:
            course.decision = RoutingDecision(why=route.INELIGIBLE, detail=course.odd)
        if course.decision.local and standing.suspended and client_id(request.headers) in standing.suspended:
            course.decision = route.suspended_decision(course.decision)
        if course.decision.local and self._is_held_out is not None and self._is_held_out(text_of(request.path, body)):
            course.decision = route.held_out_decision(course.decision)
        if not course.decision.local:
            await self._decide_uncertified(request, course)
            return course
        await self._ask(request, course)
        if (request.local_seconds or 0) > _LOOK_AGAIN_SECONDS:
            course.standing = await read_status(reader)
        if course.local is not None:
            found = route.decision_after(course.standing, requested, course.local.replies, body)
            course.decision = route.decision_within(found, body, token_count(course.local.text) if found.local else 0)
            self._weigh(request, course, course.local)
        else:
            course.decision = RoutingDecision(why=route.UNANSWERED, detail=course.failed, certificate=course.decision.certificate)
        return course

    def _weigh(self, request: HttpRequest, course: _Course, local: LocalAnswer) -> None:
        """Escalate a text that is a large share of the traffic, unless its own answer is known to be right."""
        paper = course.standing.certificate
        if not course.decision.local or paper is None:
            return
        heavy = self._service.noted(course.model, _HEAVY, lambda _: HeavyTexts())
        text = text_of(request.path, course.body)
        if heavy.escalates(text, local.replies, paper):
            course.decision = route.repeated_decision(course.decision)
            course.checks = heavy if self._auditor is not None and heavy.take_check(text) else None

    async def _decide_uncertified(self, request: HttpRequest, course: _Course) -> None:
        """Let a bundle that never had a certificate answer from its operating point on, if the operator says so."""
        if self._mode != "measured":
            return
        least, course.error = self._service.operating_score(course.model)
        open_to = course.standing.state is CertificateState.NONE and course.requested.names_bundle and course.requested.quality is None
        if least is None or not open_to or course.odd is not None:
            return
        if self._is_held_out is not None and self._is_held_out(text_of(request.path, course.body)):
            return
        await self._ask(request, course)
        if course.local is None:
            course.decision = RoutingDecision(why=route.UNANSWERED, detail=course.failed)
            return
        found = route.decision_uncertified(course.decision, course.local.replies, course.body, least)
        if found.local:
            course.uncertified, course.decision = course.decision.why, replace(course.decision, score=found.score)
        else:
            course.decision = found

    async def _answer(self, request: HttpRequest, send: Send, course: _Course, local: LocalAnswer) -> None:
        """Send the bundle's answer under its certificate. The auditor may audit it."""
        note_answer(course.reader, course.standing)
        self._service.metering.routed.labels(course.requested.bundle, "local", "").inc()
        await self._send(request, send, course, local)
        if self._auditor is not None:
            own = request.identity.id if request.identity.id.startswith(OWN_ID_PREFIX) else ""  # a client may reuse an id
            call, text = self._fallback.call(request, course.requested), text_of(request.path, course.body)
            self._auditor.consider(course.model, course.standing.certificate, local.replies, call, text, own)

    async def _escalate(self, request: HttpRequest, send: Send, course: _Course) -> None:
        """Send the fallback's answer; if there is none, the bundle's, if that may replace it."""
        audited = await self._drawn_all_the_same(request, course)
        checks = course.checks
        if checks is not None and course.local is not None and self._auditor is not None:
            text, call = text_of(request.path, course.body), self._fallback.call(request, course.requested)
            self._auditor.check(course.model, course.standing.certificate, course.local.replies, call, text, checks.settle)
        replaceable = (
            self._local_at_last and self._mode != "never" and course.odd is None and course.requested.names_bundle and not course.failed
        )
        try:
            await self._fallback(request, send, course.requested, course.decision, replaceable)
            if audited is not None and course.local is not None and self._auditor is not None:
                # Audit the answer that the bundle would have given: once an audit is answered, the certificate holds again.
                text = text_of(request.path, course.body)
                self._auditor.consider(course.model, course.standing.certificate, course.local.replies, audited, text, drawn=True)
        except Unreachable as error:
            if not replaceable:
                raise
            if course.local is None:
                if request.held is not None:
                    request.held.release_ended()  # the model may have been replaced and closed while waiting for the upstream
                course.model = self._service.find(course.requested.bundle, request)
                await self._ask(request, course)
            if course.local is None:
                raise
            self._service.metering.routed.labels(course.requested.bundle, "local", error.uncertified).inc()
            await self._send(request, send, course, course.local, uncertified=error.uncertified)

    async def _drawn_all_the_same(self, request: HttpRequest, course: _Course) -> UpstreamCall | None:
        """Return a call that audits the bundle's answer although it is not sent, because audits are overdue.

        None if none is drawn, or if the bundle's answer would not have been sent even under a valid certificate.
        """
        if self._auditor is None or course.standing.state not in REVIVED_BY_AUDITS or course.odd is not None:
            return None
        if self._is_held_out is not None and self._is_held_out(text_of(request.path, course.body)):
            return None
        call = self._fallback.call(request, course.requested)
        if not self._auditor.draws(course.requested.bundle, course.standing.certificate, call):
            return None
        await self._ask(request, course)
        if course.local is None:
            return None
        valid = replace(course.standing, state=CertificateState.VALID)
        found = route.decision_after(valid, course.requested, course.local.replies, course.body)
        return call if route.decision_within(found, course.body, token_count(course.local.text)).local else None

    async def _ask(self, request: HttpRequest, course: _Course) -> None:
        """Ask the bundle and wait for its whole answer. If it fails, log that and let the request escalate.

        Raises RequestError, 499, if the client disconnects meanwhile.
        """
        began = perf_counter()  # a uvloop's clock counts whole milliseconds
        face = self._faces[request.path]
        try:
            if not takes_body_of(request):
                course.failed = _INVALID
                return
            local = await face.ask(self._service, course.model, face.body.model_validate(course.body), request)
            await local.complete()
            course.local = local
        except ValidationError:
            course.failed = _INVALID
        except RequestError as error:
            if error.status == CLIENT_GONE:
                raise
            course.failed = error.what if error.status >= 500 else f"HTTP {error.status}"
        except Exception as error:  # noqa: BLE001 whatever fails in the small model, the large one can answer
            _log.error("a small model failed, and its request escalates: %s", type(error).__name__)
            request.replies.clear()
            course.failed = _FAILED
        finally:
            request.local_seconds = perf_counter() - began

    async def _send(
        self, request: HttpRequest, send: Send, course: _Course, local: LocalAnswer, uncertified: str = "", error: float | None = None
    ) -> None:
        """Send the bundle's answer, with headers that name its origin."""
        bundle, decision, price, sizes = course.requested.bundle, course.decision, self._savings.price, self._savings.sizes
        asks, says = texts_to_read(course.body), local.text
        measured = sizes.of(bundle, token_count(asks)) if sizes is not None else None
        if request.usage is not None:
            request.usage.avoided_tokens = measured[:2] if measured is not None else (token_count(asks), token_count(says))
        facts: dict[str, Any] = {"answered_by": "local", "certificate": None if uncertified else decision.certificate}
        if uncertified:
            facts |= {"uncertified": uncertified, "escalated": decision.why}
            if error is not None:
                facts["measured_error"] = error
        else:
            facts["cost"] = {"usd": 0.0}  # no upstream was asked
        if price is not None:
            facts["saved"] = price.measured(*measured) if measured is not None else price.saved(asks, says)
        cost, saved = (facts.get(name, {}).get("usd") for name in ("cost", "saved"))
        await local.send(send, facts, answer_headers("local", bundle, decision, uncertified, cost=cost, saved=saved, error=error))
