"""The gateway's middleware: what a certificate lets a small model answer goes to the faces behind it, the rest goes upstream.

The list of models has the bundles served here, then what the upstream lists, if it can be asked.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from smidgen.core.errors import RequestError
from smidgen.flows.certify.certificate_status import StandingReader, note_answer, read_standing
from smidgen.gateway import routing_decision as rulings
from smidgen.gateway.allowlist import Allowlist
from smidgen.gateway.cache_rules import CACHED_PATHS
from smidgen.gateway.certificate_status import CertificateState, CertificateStatus
from smidgen.gateway.eligibility import CERTIFIED_PATHS, text_of, why_ineligible
from smidgen.gateway.headers import Headers, answer_headers
from smidgen.gateway.request_body import parsed, with_model
from smidgen.gateway.routing_decision import RequestedModel, RoutingDecision, requested_model
from smidgen.server import request_state
from smidgen.server.errors import refused, unrouted
from smidgen.server.gateway import certificates, eligibility, local_answer
from smidgen.server.gateway.auditor import Auditor
from smidgen.server.gateway.certificates import RequestCertificates
from smidgen.server.gateway.eligibility import IsHeldOut, JobMatcher
from smidgen.server.gateway.escalation import Escalation, Unreachable
from smidgen.server.gateway.local_answer import CLIENT_GONE, LocalAnswer
from smidgen.server.gateway.local_answer import stream_text as text_of_stream
from smidgen.server.gateway.prices import UpstreamPrice, UpstreamSizes, texts_to_read, written_text
from smidgen.server.gateway.response_cache import FROM_CACHE, CacheReply, ResponseCache
from smidgen.server.gateway.response_stream import relay
from smidgen.server.gateway.upstream import Upstream, UpstreamCall
from smidgen.server.http_request import (
    OWN_ID_PREFIX,
    StreamedBody,
    fresh_id,
    from_other_origin,
    header,
    request_body,
    request_identity,
    while_there,
)
from smidgen.server.model_queues import release_ended_models
from smidgen.server.ops.prometheus import ServerMetrics
from smidgen.server.reply_json import token_count

# `/v1/models` with a fallback: the bundles served here, then what the upstream lists, if it can be asked.

_LIST_SECONDS = 5.0


async def send_models(local: LocalAnswer, upstreams: tuple[Upstream, ...], headers: Headers, query: bytes, send: Send) -> None:
    """Send the list of `local` with the models of all upstreams behind its own. A name that is there already is not listed again."""
    found: dict[str, Any] = json.loads(local.body)
    asked = await asyncio.gather(*(_upstream_models(upstream, headers, query) for upstream in upstreams))
    names = {card["id"] for card in found["data"]}
    for cards in asked:
        for card in cards or ():
            if isinstance(card, dict) and isinstance(card.get("id"), str) and card["id"] not in names:
                names.add(card["id"])
                found["data"].append(card)
    unasked = [upstream.name for upstream, cards in zip(upstreams, asked, strict=True) if cards is None]
    whole = local.within({"upstreams_not_listed": unasked}, found)
    await whole.send(send, answer_headers("local", ""))


async def _upstream_models(upstream: Upstream, headers: Headers, query: bytes) -> list[Any] | None:
    """Its cards; None where it cannot be asked now."""
    try:
        async with asyncio.timeout(_LIST_SECONDS):
            found = json.loads(await upstream.models(headers, query))
    except (httpx.RequestError, httpx.StreamError, RequestError, TimeoutError, ValueError, RecursionError):
        return None
    cards = found.get("data") if isinstance(found, dict) else None
    return cards if isinstance(cards, list) else None


# The gateway's middleware, the innermost: what a certificate lets a small model answer goes to the faces behind it, the rest goes upstream.

_UNDER = "/v1/"
_MODELS = "/v1/models"
_FEEDBACK = "/v1/feedback"
"""Of this server alone, with bundles or without."""
_SYSTEMONE = "/v1/systemone"
_ANY = (None, "auto")
"""What `model` may be where a bundle that fits is to be found for each typed question."""
_BY_MODEL = (*CERTIFIED_PATHS, "/v1/embeddings", _SYSTEMONE)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
_VIA = b"x-smidgen-via"
_LOOK_AGAIN_SECONDS = 1.0
_DIRECT = "asked directly"
_LONGEST_MODEL = 200
"""Characters of a model's name that tell it from others."""


@dataclass(frozen=True, slots=True)
class _Route:
    """What logs and counters call a path; one that is not ours has no name of its own, for a client could make up any number of them."""

    path: str = "/v1/*"


class GatewayMiddleware:
    """The middleware that routes requests. Everything that is not under `/v1/` goes through.

    Args:
        app: the faces.
        routes: theirs.
        vouchers: of each bundle, by its name.
        escalation: the upstreams.
        metering: counts who answered.
        price: of the first upstream's model; None where nobody said it.
        local_at_last: whether a bundle answers what it may not, marked so, where no upstream answers.
        origins: whose pages may call, as `--cors` has it.
        auditor: asks the upstream about some of the answers given here; None for nobody.
        quality: the least that certificates must say, whatever a request asks for; None for what it asks for.
        job_matcher: which bundle takes a request that names none, if any; None where none is to.
        cache: gives upstreams' answers again; None where each is asked for.
        is_held_out: says of a text whether it always escalates, for it is held out; None where none does.
        allowed: what may go upstream.
        sizes: what requests to a bundle take where the large model answers them; None where that is not measured.
    """

    def __init__(
        self,
        app: ASGIApp,
        routes: Sequence[BaseRoute],
        vouchers: Mapping[str, StandingReader],
        escalation: Escalation,
        metering: ServerMetrics,
        price: UpstreamPrice | None,
        local_at_last: bool,
        origins: Sequence[str],
        auditor: Auditor | None = None,
        quality: float | None = None,
        job_matcher: JobMatcher | None = None,
        cache: ResponseCache | None = None,
        is_held_out: IsHeldOut | None = None,
        allowed: Allowlist | None = None,
        sizes: UpstreamSizes | None = None,
    ) -> None:
        self._app, self._routes, self._vouchers, self._escalation = app, routes, vouchers, escalation
        self._metering, self._price, self._local_at_last, self._origins = metering, price, local_at_last, origins
        self._auditor, self._quality, self._job_matcher, self._cache = auditor, quality, job_matcher, cache
        self._is_held_out, self._allowed, self._sizes = is_held_out, allowed or Allowlist(), sizes
        self._name = fresh_id().encode("ascii")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer it, or have it answered."""
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
                return  # nobody listens any more
            if begun:
                raise
            if isinstance(error, Unreachable):
                self._metering.routed.labels(*error.counted).inc()
                response = error.response()
            else:
                response = refused(error) if isinstance(error, RequestError) else unrouted(scope, error)
            await response(scope, receive, send)

    async def _through(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        if from_other_origin(scope, self._origins):
            todo = "If you trust that page, start the server with its origin: --cors ORIGIN."
            raise RequestError("a page of another web origin sent this", value="origin", todo=todo, status=403, code="origin_not_allowed")
        if any(step in (".", "..") for step in path.replace("\\", "/").split("/")):
            raise RequestError(
                "the path has dots for steps", value="the request", todo="Send it as it is meant.", status=400, code="bad_path"
            )
        face = bool(self._vouchers) and any(route.matches(scope)[0] is Match.FULL for route in self._routes)
        eligibility.check_previous_response(path, None)
        if path == _MODELS or not (face and self._is_ours(path, None)):
            self._allowed.check(method, _sent_path(scope))
        if self._name in header(scope, _VIA).split(b","):
            todo = "Start it with a --fallback that is another server."
            raise RequestError("this server is its own fallback", value=path, todo=todo, status=508, code="fallback_loop")
        body = await request_body(scope, receive, hold=face or path in _BY_MODEL)
        scope["route"] = _Route(path) if path in CERTIFIED_PATHS or path == _MODELS else _Route()
        read = parsed(body) if isinstance(body, bytes) and method == "POST" else None
        eligibility.check_previous_response(path, read)
        asked = requested_model(read.get("model"), self._vouchers) if read is not None else None
        if asked is None and read is not None and self._job_matcher is not None:
            asked = self._job_matcher(path, read)
        request_state.note_target(asked.bundle if asked is not None else "", (read or {}).get("model"))
        if self._sizes is not None and asked is not None and read is not None and isinstance(read.get("messages", []), list):
            request_state.note_request_tokens(token_count(texts_to_read(read)))
        if isinstance(body, bytes) and path in CERTIFIED_PATHS and asked is not None and read is not None:
            await self._decided(asked.at_least(self._quality), read, body, scope, receive, send)
        elif isinstance(body, bytes) and face and path == _MODELS:
            local = await local_answer.ask_locally(self._app, scope, b"", receive)
            call = UpstreamCall("GET", b"/models", scope["query_string"], self._headers(scope), b"")
            leaving = await self._escalation.guard.leaving(call)
            await send_models(local, self._escalation.upstreams, leaving.call.headers, leaving.call.query, send)
        elif isinstance(body, bytes) and face and path == _SYSTEMONE and (asked is not None or (read or {}).get("model") in _ANY):
            least = asked.at_least(self._quality).quality if asked is not None else self._quality
            certificates.attach_certificates(scope, RequestCertificates(self._vouchers, least))
            named = with_model(body, asked.bundle) if asked is not None else body
            await self._app(scope, local_answer.replayed(named, receive), send)
        elif isinstance(body, bytes) and face and self._is_ours(path, asked):
            await self._app(scope, local_answer.replayed(body, receive), _marked(send, self._direct(method, read)))
        else:
            no_face = RoutingDecision(why=rulings.SUITED, detail="no bundle answers at this path") if asked is not None else None
            await while_there(receive, body, self._pass(asked, no_face, read, body, scope, send))

    def _is_ours(self, path: str, asked: RequestedModel | None) -> bool:
        """Whether a face answers at its own path; one that is shared with the upstream does so to a bundle's name."""
        if path.startswith(f"{_MODELS}/"):
            return path.removeprefix(f"{_MODELS}/") in self._vouchers
        return path not in _BY_MODEL or (asked is not None and asked.quality is None)

    def _direct(self, method: str, read: Mapping[str, Any] | None) -> Headers:
        """What the answer of a face that was asked directly says of itself: by which bundle, and that nobody else was asked for it."""
        named = (read or {}).get("model")
        alone = next(iter(self._vouchers)) if len(self._vouchers) == 1 and named is None else ""
        bundle = named if isinstance(named, str) and named in self._vouchers else alone
        return answer_headers("local", bundle, uncertified=_DIRECT, cost=0.0 if method == "POST" else None)

    def _headers(self, scope: Scope) -> Headers:
        """The client's headers, with this server's name among those that the request came through: a fallback that leads back here must
        not go round for ever."""
        others = [(name, value) for name, value in scope["headers"] if name != _VIA]
        return [*others, (_VIA, b",".join(filter(None, (header(scope, _VIA), self._name))))]

    async def _decided(self, asked: RequestedModel, read: dict[str, Any], body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        """A request to a bundle: its answer where its certificate lets it, else the upstream's."""
        vouch = self._vouchers[asked.bundle]
        standing = await read_standing(vouch)
        ruling = rulings.decision_before(standing, asked)
        odd = why_ineligible(scope["path"], read)
        if ruling.local and odd is not None:
            ruling = RoutingDecision(why=rulings.SUITED, detail=odd)
        if ruling.local and self._is_held_out is not None and self._is_held_out(text_of(scope["path"], read)):
            ruling = rulings.held_out_decision(ruling)
        local: LocalAnswer | None = None
        if ruling.local:
            clock = asyncio.get_running_loop().time
            began = clock()
            local = await self._local(asked, body, scope, receive)
            if clock() - began > _LOOK_AGAIN_SECONDS:
                standing = await read_standing(vouch)
            if local.good:
                ruling = rulings.decision_after(standing, asked, local.replies, read)
            else:
                ruling = RoutingDecision(why=rulings.UNANSWERED, detail=f"HTTP {local.status}", certificate=ruling.certificate)
        if ruling.local and local is not None:
            note_answer(vouch, standing)
            self._metering.routed.labels(asked.bundle, "local", "").inc()
            await self._send(local, asked, ruling, read, send)
            if self._auditor is not None:
                said = text_of(scope["path"], read)
                named = request_identity(scope).id
                own = named if named.startswith(OWN_ID_PREFIX) else ""  # a client may choose one twice
                self._auditor.consider(
                    asked.bundle, standing.certificate, local.replies, self._call(asked, body, scope, read.get("model")), said, own
                )
            return
        unaudited = ruling.why == CertificateState.UNAUDITED.value and odd is None
        call = self._call(asked, body, scope, read.get("model")) if unaudited else None
        probe = call is not None and self._draws(asked, standing, call, text_of(scope["path"], read))
        if probe:
            local = await self._local(asked, body, scope, receive)
            probe = local.good and rulings.decision_after(replace(standing, state=CertificateState.VALID), asked, local.replies, read).local
        replaceable = self._local_at_last and odd is None and asked.named and (local is None or local.good)
        try:
            await while_there(receive, body, self._pass(asked, ruling, read, body, scope, send, replaceable))
            if probe and call is not None and local is not None and self._auditor is not None:
                # What would have been answered here is audited all the same: once an audit is answered, the certificate holds again.
                said = text_of(scope["path"], read)
                self._auditor.consider(asked.bundle, standing.certificate, local.replies, call, said, drawn=True)
        except Unreachable as error:
            if not replaceable:
                raise
            if local is None:
                release_ended_models()  # the model that it held may have been replaced, and ended, while the upstream was waited for
                local = await self._local(asked, body, scope, receive)
                if not local.good:
                    raise
            self._metering.routed.labels(asked.bundle, "local", error.uncertified).inc()
            await self._send(local, asked, ruling, read, send, uncertified=error.uncertified)

    def _draws(self, asked: RequestedModel, standing: CertificateStatus, call: UpstreamCall, said: str) -> bool:
        """Whether an answer that is not given here, for no audit has come for too long, is audited all the same."""
        if self._auditor is None or (self._is_held_out is not None and self._is_held_out(said)):
            return False
        return self._auditor.draws(asked.bundle, standing.certificate, call)

    async def _local(self, asked: RequestedModel, body: bytes, scope: Scope, receive: Receive) -> LocalAnswer:
        clock = asyncio.get_running_loop().time
        began, seen = clock(), request_state.observation_of(scope)
        local = await local_answer.ask_locally(self._app, scope, with_model(body, asked.bundle), receive)
        seen.replies, seen.local_seconds = local.replies, clock() - began
        if local.status == CLIENT_GONE:
            raise RequestError("the client has gone", value="a request", todo="Nothing is sent.", status=CLIENT_GONE, code="client_gone")
        return local

    async def _send(
        self, local: LocalAnswer, asked: RequestedModel, ruling: RoutingDecision, read: Mapping[str, Any], send: Send, uncertified: str = ""
    ) -> None:
        """The small model's answer, with who it is from."""
        found = json.loads(local.body) if local.is_json else None
        asks, price = texts_to_read(read), self._price
        says = written_text(found) if found is not None else text_of_stream(local.body) if price is not None else None
        measured = self._sizes.of(asked.bundle, token_count(asks)) if self._sizes is not None else None
        if measured is not None:
            request_state.note_avoided_tokens(measured[0], measured[1])
        else:
            request_state.note_avoided_tokens(token_count(asks), token_count(says) if says is not None else None)
        facts: dict[str, Any] = {"answered_by": "local", "certificate": None if uncertified else ruling.certificate}
        if uncertified:
            facts |= {"uncertified": uncertified, "escalated": ruling.why}
        else:
            facts["cost"] = {"usd": 0.0}  # no upstream was asked
        if price is not None and measured is not None:
            facts["saved"] = price.measured(*measured)
        elif price is not None and says is not None:
            facts["saved"] = price.saved(asks, says)
        cost, saved = (facts.get(name, {}).get("usd") for name in ("cost", "saved"))
        await local.within(facts, found).send(send, answer_headers("local", asked.bundle, ruling, uncertified, cost=cost, saved=saved))

    def _call(
        self, asked: RequestedModel | None, body: bytes | StreamedBody, scope: Scope, named: object = None, replaceable: bool = False
    ) -> UpstreamCall:
        """A request as it goes upstream. `named` is the model that it names; `replaceable`: a bundle answers where no upstream does."""
        return UpstreamCall(
            scope["method"],
            _sent_path(scope).removeprefix(b"/v1"),
            scope["query_string"],
            self._headers(scope),
            body,
            _renamed(asked),
            replaceable,
            named[:_LONGEST_MODEL] if isinstance(named, str) else "",
        )

    async def _pass(
        self,
        asked: RequestedModel | None,
        ruling: RoutingDecision | None,
        read: Mapping[str, Any] | None,
        body: bytes | StreamedBody,
        scope: Scope,
        send: Send,
        replaceable: bool = False,
    ) -> None:
        """The upstream's answer: to a request to a bundle by the upstream's own model, to any other as it is."""
        call = self._call(asked, body, scope, (read or {}).get("model"), replaceable)
        bundle, why = (asked.bundle if asked else ""), (ruling.why if ruling else "passed")
        clock = asyncio.get_running_loop().time
        began, seen = clock(), request_state.observation_of(scope)
        try:
            given = await self._given(call, scope)
        except Unreachable as error:
            error.counted, error.marks = (bundle, "none", why), answer_headers("none", "", ruling)
            raise
        by = "cache" if given.cached else "upstream"
        self._metering.routed.labels(bundle, by, why).inc()
        named = given.upstream.model if _renamed(asked) else (read or {}).get("model")
        cost = 0.0 if given.cached else None
        said = answer_headers(by, named if isinstance(named, str) else "", ruling, FROM_CACHE if given.cached else "", cost=cost)
        if given.took is not None and named == given.upstream.model:  # the account knows the price of that model alone
            request_state.note_avoided_tokens(given.took.given, given.took.got)
        seen.saved_usd = given.saved_usd

        async def timed(message: Message) -> None:
            if not given.cached:
                seen.upstream_seconds = clock() - began
            await send(message)

        await relay(given.response, timed, [*said, *given.said], given.upstream.waits)

    async def _given(self, call: UpstreamCall, scope: Scope) -> CacheReply:
        """The upstream's answer, or one that it gave before. Raises Unreachable."""
        if self._cache is not None and scope["method"] == "POST" and scope["path"] in CACHED_PATHS:
            return await self._cache.ask(call, request_identity(scope))
        return CacheReply(*await self._escalation.ask(call))


def _sent_path(scope: Scope) -> bytes:
    """The path as the client sent it, without the query."""
    return bytes(scope["raw_path"].partition(b"?")[0])


def _renamed(asked: RequestedModel | None) -> bool:
    """Whether a request goes upstream under the name of the upstream's own model: the name that it has is no model's there."""
    return asked is not None and asked.named


def _marked(send: Send, said: Headers) -> Send:
    """A send that adds these headers."""

    async def marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *said]}
        await send(message)

    return marked
