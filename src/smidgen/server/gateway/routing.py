"""The gateway's middleware: route requests to `/v1/`.

Requests to a bundle go to the certificate router, requests for this server itself to the faces behind, and all others to the fallback. A
line takes requests that name another model if they belong to the recurring jobs that it learnt from. The list of models has the local
bundles, then the models of upstreams that can be asked.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from smidgen.core.errors import InputError, RequestError
from smidgen.core.placeholders import PromptFrame
from smidgen.gateway import route
from smidgen.gateway.eligibility import CERTIFIED_PATHS, CHAT, COMPLETIONS, LOCAL_RESPONSE_ID, RESPONSES, text_of, why_ineligible
from smidgen.gateway.headers import Headers, answer_headers
from smidgen.gateway.json_edits import with_model
from smidgen.gateway.route import Allowlist, RequestedModel, RoutingDecision, requested_model
from smidgen.server.access import from_other_origin
from smidgen.server.errors import refused, unrouted
from smidgen.server.gateway.certificate_router import CertificateRouter
from smidgen.server.gateway.certificates import RequestCertificates
from smidgen.server.gateway.escalation import Unreachable
from smidgen.server.gateway.fallback import Fallback, FallbackAnswerer
from smidgen.server.gateway.prices import texts_to_read
from smidgen.server.gateway.upstream import Upstream, UpstreamCall
from smidgen.server.models import ServedBundle
from smidgen.server.openai.models import listing
from smidgen.server.reply_json import as_json, token_count
from smidgen.server.request import CLIENT_GONE, HttpRequest, RequestBody, request_of
from smidgen.server.service import Service
from smidgen.server.traffic.exchange import template_of
from smidgen.store.line import Line, LineJob
from smidgen.store.traffic.store import opened

_UNDER = "/v1/"
_MODELS = "/v1/models"
_FEEDBACK = "/v1/feedback"
"""Always answered by this server, with or without bundles."""
_SYSTEMONE = "/v1/systemone"
_ANY = (None, "auto")
"""Values of `model` that let smidgen find a fitting bundle for each typed question."""
_BY_MODEL = (*CERTIFIED_PATHS, "/v1/embeddings", _SYSTEMONE)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
_DIRECT = "asked directly"
_LIST_SECONDS = 5.0


_JOB_PATHS = (CHAT, COMPLETIONS)
"""Paths where jobs are taken. Not /responses: a client may refer to a response later, and the upstream does not know one made here."""


class JobMatcher:
    """Finds the line that takes a request by its recurring jobs.

    The system prompt, the form of the answer and the fixed part of the text must match one of the line's jobs exactly. A job with neither a
    system prompt nor a frame takes nothing, because any request could match it. In doubt, no line takes the request.

    This does not check whether the line's certificate covers the job: that changes with each champion, and is checked before it answers.

    Args:
        jobs: the jobs of each line, by the line's name.
        hashed: hashes a template with the key of the store that the jobs were found in.
    """

    def __init__(self, jobs: Mapping[str, Iterable[LineJob]], hashed: Callable[[str], str]) -> None:
        self._hashed = hashed
        self._of: dict[str, list[tuple[PromptFrame, str, str]]] = {}
        for name, own in jobs.items():
            for job in own:
                self._of.setdefault(job.letter, []).append((job.frame, name, job.scope))

    def __call__(self, path: str, body: Mapping[str, Any]) -> RequestedModel | None:
        """Return the line that takes a request; None if no line or more than one matches."""
        if path not in _JOB_PATHS or not isinstance(body.get("model"), str) or why_ineligible(path, body) is not None:
            return None
        known = self._of.get(self._hashed(template_of(path, body)))
        if known is None:
            return None
        text = text_of(path, body)
        takers: dict[str, set[str]] = {}
        for frame, name, scope in known:
            if frame.holds(text):
                takers.setdefault(name, set()).add(scope)
        if len(takers) != 1:
            return None
        ((name, scopes),) = takers.items()
        return RequestedModel(name, names_bundle=False, jobs=frozenset(scopes), model=body["model"])


def job_matcher(models: Iterable[ServedBundle]) -> JobMatcher:
    """Return a matcher for the served lines, with their current jobs.

    Raises InputError if no line has a job; TrafficError if the store of traffic, whose key identifies jobs, cannot be read.
    """
    lines = {model.name: line for model in models if isinstance(line := getattr(model, "line", None), Line)}
    jobs = {name: [job for job in line.read().jobs if job.told] for name, line in lines.items()}
    if not any(jobs.values()):
        raise InputError("server.no_served_line_has_job_to_take", value=", ".join(lines) or "no line")
    with opened(make=False) as store:
        return JobMatcher(jobs, store.template)


@dataclass(frozen=True, slots=True)
class RoutedPath:
    """The name of a path in logs and metrics. Unknown paths share one, because clients could make up any number."""

    path: str = "/v1/*"


@dataclass(frozen=True, slots=True)
class RoutingRules:
    """The operator's rules for routing.

    Attributes:
        origins: web origins whose pages may call (`--cors`).
        allowed: paths that may go upstream.
        quality: least quality that certificates must have, whatever a request asks for; None: as it asks.
        job_matcher: finds the bundle for a request that names none; None to find none.
        sized: whether to record how much the large model would read for a request to a bundle.
    """

    origins: Sequence[str] = ()
    allowed: Allowlist = field(default_factory=Allowlist)
    quality: float | None = None
    job_matcher: JobMatcher | None = None
    sized: bool = False


@dataclass(frozen=True, slots=True)
class Gateway:
    """The parts that answer requests to `/v1/`.

    Attributes:
        service: the bundles.
        router: answers requests to bundles.
        answerer: answers all others from the fallback.
        fallback: for the list of models.
        rules: the operator's.
    """

    service: Service
    router: CertificateRouter
    answerer: FallbackAnswerer
    fallback: Fallback
    rules: RoutingRules


class GatewayMiddleware:
    """The innermost middleware: routes requests to `/v1/`, and passes all others through.

    Args:
        app: the faces.
        routes: of the faces.
        gateway: the parts that answer.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute], gateway: Gateway) -> None:
        self._app, self._routes, self._gateway = app, routes, gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http" or not scope["path"].startswith(_UNDER) or scope["method"] not in _METHODS or scope["path"] == _FEEDBACK:
            await self._app(scope, receive, send)
            return
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._through(scope, receive, noted)
        except (RequestError, HTTPException) as error:
            if begun and isinstance(error, RequestError) and error.status == CLIENT_GONE:
                return  # the client is gone
            if begun:
                raise
            if isinstance(error, Unreachable):
                self._gateway.service.metering.routed.labels(*error.counted).inc()
                response = error.response()
            else:
                response = refused(error) if isinstance(error, RequestError) else unrouted(scope, error)
            await response(scope, receive, send)

    async def _through(self, scope: Scope, receive: Receive, send: Send) -> None:
        request, gateway, path = request_of(scope), self._gateway, scope["path"]
        service, rules = gateway.service, gateway.rules
        face = bool(service.models) and any(route.matches(scope)[0] is Match.FULL for route in self._routes)
        self._check(request, face)
        body = await request.begin(receive, hold=face or path in _BY_MODEL)
        scope["route"] = RoutedPath(path) if path in CERTIFIED_PATHS or path == _MODELS else RoutedPath()
        read = request.json if request.method == "POST" else None
        _check_previous_response(path, read)
        requested = self._requested(request, read)
        if not isinstance(body, RequestBody):
            await self._pass(request, send, requested)
        elif path in CERTIFIED_PATHS and requested is not None:
            await gateway.router(request, send, requested.at_least(rules.quality))
        elif face and path == _MODELS:
            await send_models(listing(service), gateway.fallback, gateway.answerer.headers(request), request.query, send)
        elif face and path == _SYSTEMONE and (requested is not None or body.model in _ANY):
            request.judge = RequestCertificates(service, (requested or RequestedModel("")).at_least(rules.quality).quality)
            if requested is not None and requested.bundle != body.model:
                request.body = RequestBody(with_model(body.raw, requested.bundle))
            await self._app(scope, request.replayed(), send)
        elif face and self._is_ours(path, requested):
            await self._app(scope, request.replayed(), _marked(send, self._direct(request)))
        else:
            await self._pass(request, send, requested)

    def _check(self, request: HttpRequest, face: bool) -> None:
        """Raise RequestError for a request that is not allowed, before its body is read. `face`: whether a face answers at its path."""
        path = request.path
        if from_other_origin(request, self._gateway.rules.origins):
            raise RequestError("server.page_of_another_origin_sent_this", status=403, code="origin_not_allowed")
        if any(step in (".", "..") for step in path.replace("\\", "/").split("/")):
            raise RequestError("server.path_has_dots_for_steps", status=400, code="bad_path")
        _check_previous_response(path, None)
        if path == _MODELS or not (face and self._is_ours(path, None)):
            self._gateway.rules.allowed.check(request.method, request.sent_path)
        if self._gateway.answerer.has_seen(request):
            raise RequestError("server.server_is_its_own_fallback", value=path, status=508, code="fallback_loop")

    def _requested(self, request: HttpRequest, read: Mapping[str, Any] | None) -> RequestedModel | None:
        """Return the bundle that a request is for, if any, and record it for the account."""
        rules, usage = self._gateway.rules, request.usage
        requested = requested_model(request.model, self._gateway.service.models)
        if requested is None and read is not None and rules.job_matcher is not None:
            requested = rules.job_matcher(request.path, read)
        if usage is not None:
            usage.meant(requested.bundle if requested is not None else "", request.model)
            if rules.sized and requested is not None and read is not None and isinstance(read.get("messages", []), list):
                usage.request_tokens = token_count(texts_to_read(read))
        return requested

    async def _pass(self, request: HttpRequest, send: Send, requested: RequestedModel | None) -> None:
        no_face = RoutingDecision(why=route.INELIGIBLE, detail="no bundle answers at this path") if requested is not None else None
        await self._gateway.answerer(request, send, requested, no_face)

    def _is_ours(self, path: str, requested: RequestedModel | None) -> bool:
        """Return True if the request is for a face. On a path shared with the upstream, it must name a bundle."""
        if path.startswith(f"{_MODELS}/"):
            return path.removeprefix(f"{_MODELS}/") in self._gateway.service.models
        return path not in _BY_MODEL or (requested is not None and requested.quality is None)

    def _direct(self, request: HttpRequest) -> Headers:
        """Return the headers of a face's direct answer: which bundle gave it, and that nobody else was asked."""
        models, named = self._gateway.service.models, request.model
        alone = next(iter(models)) if len(models) == 1 and named is None else ""
        bundle = named if isinstance(named, str) and named in models else alone
        return answer_headers("local", bundle, uncertified=_DIRECT, cost=0.0 if request.method == "POST" else None)


def _marked(send: Send, added: Headers) -> Send:
    """Return a send function that adds these headers."""

    async def marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *added]}
        await send(message)

    return marked


async def send_models(found: dict[str, Any], fallback: Fallback, headers: Headers, query: bytes, send: Send) -> None:
    """Send the list of models, with the upstreams' models after the local ones. Repeated names are left out."""
    leaving = (await fallback.guard.leaving(UpstreamCall("GET", b"/models", query, headers, RequestBody(b"")))).call
    lists = await asyncio.gather(*(_upstream_models(upstream, leaving.headers, leaving.query) for upstream in fallback.upstreams))
    names = {card["id"] for card in found["data"]}
    for cards in lists:
        for card in cards or ():
            if isinstance(card, dict) and isinstance(card.get("id"), str) and card["id"] not in names:
                names.add(card["id"])
                found["data"].append(card)
    unasked = [upstream.name for upstream, cards in zip(fallback.upstreams, lists, strict=True) if cards is None]
    body = as_json({**found, "smidgen": {"upstreams_not_listed": unasked}})
    head = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *answer_headers("local", "")]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})


async def _upstream_models(upstream: Upstream, headers: Headers, query: bytes) -> list[Any] | None:
    """Return an upstream's list of models; None if it cannot be asked now."""
    try:
        async with asyncio.timeout(_LIST_SECONDS):
            found = json.loads(await upstream.models(headers, query))
    except (httpx.RequestError, httpx.StreamError, RequestError, TimeoutError, ValueError, RecursionError):
        return None
    cards = found.get("data") if isinstance(found, dict) else None
    return cards if isinstance(cards, list) else None


_PREVIOUS_RESPONSE = "previous_response_id"


def _check_previous_response(path: str, body: Mapping[str, Any] | None) -> None:
    """Raise RequestError for a request that continues a local response (400), or a path that names one (404)."""
    before = body.get(_PREVIOUS_RESPONSE) if body is not None and path == RESPONSES else None
    if isinstance(before, str) and before.startswith(LOCAL_RESPONSE_ID):
        raise RequestError(
            "server.previous_response_is_not_stored",
            value=before,
            status=400,
            code="previous_response_not_found",
            param=_PREVIOUS_RESPONSE,
        )
    named = path.removeprefix(f"{RESPONSES}/") if path.startswith(f"{RESPONSES}/{LOCAL_RESPONSE_ID}") else ""
    if named:
        raise RequestError("server.local_response_is_not_stored", value=named, status=404, code="not_found")
