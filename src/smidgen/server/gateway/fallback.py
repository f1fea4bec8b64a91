"""The fallback: upstreams from the settings, with keys from the secrets file or the environment; and its answers to requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import TYPE_CHECKING

from starlette.types import Message, Send

from smidgen.core.errors import InputError
from smidgen.gateway import upstreams as upstreams_module
from smidgen.gateway.answer_reading import UsageEventFilter
from smidgen.gateway.headers import Headers, answer_headers
from smidgen.gateway.route import RequestedModel, RoutingDecision
from smidgen.gateway.route_settings import PrivacySettings
from smidgen.gateway.upstreams import RetryPolicy
from smidgen.server.gateway.budget_guard import BudgetGuard, budget_plan, warn_of_old_prices
from smidgen.server.gateway.escalation import Escalation, Unreachable
from smidgen.server.gateway.prices import upstream_costs
from smidgen.server.gateway.response_stream import changed_in_passing, relay
from smidgen.server.gateway.upstream import (
    FROM_CACHE,
    NoGuard,
    OutgoingGuard,
    Upstream,
    UpstreamAnswer,
    UpstreamAnswerer,
    UpstreamCall,
    UpstreamLimits,
)
from smidgen.server.ops.prometheus import ServerMetrics
from smidgen.server.request import HttpRequest, fresh_id, while_there
from smidgen.server.settings import ServeSettings, known_secrets

if TYPE_CHECKING:
    from smidgen.server.gateway.response_cache import ResponseCache


KEY_ENV = "SMIDGEN_FALLBACK_KEY"
_WHOLE_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class FallbackTarget:
    """One upstream from the settings.

    Attributes:
        url: base URL.
        model: its name for the model.
        key: its key; None for none.
        own_authorization: whether clients' own keys may go there.
        own_headers: whether clients' other headers and queries, which may hold credentials, may go there.
    """

    url: str
    model: str
    key: str | None = field(repr=False)
    own_authorization: bool
    own_headers: bool


def fallback_targets(settings: ServeSettings, environment: Mapping[str, str] | None = None) -> list[FallbackTarget]:
    """Return the upstreams in order. Raises InputError for invalid settings or an invalid secrets file. No message contains a key.

    A client's own `Authorization` goes only to the host of the first URL. If this server has keys of its own, that header is one of them
    and is not sent. Any other header, and the query, may hold credentials of the client, so these go only to that host, too.
    """
    urls = [upstreams_module.checked_url(url) for url in settings.fallback.urls]
    if not urls:
        if settings.fallback.models or settings.fallback.key_env:
            raise InputError("server.fallback_model_or_key_needs_url", value="--fallback")
        if settings.fallback.pass_paths:
            raise InputError("server.path_to_pass_on_is_given_but_no_fallback", value="--pass")
        if settings.privacy.on or settings.privacy.kinds or settings.privacy.bundle:
            raise InputError("server.privacy_policy_is_given_but_no_fallback", value="--privacy")
        return []
    if not settings.privacy.on and (settings.privacy.kinds or settings.privacy.bundle):
        flag = "--privacy-kind" if settings.privacy.kinds else "--privacy-bundle"
        raise InputError("server.there_is_no_privacy_policy", value=flag)
    models = list(settings.fallback.models) * (len(urls) if len(settings.fallback.models) == 1 else 1)
    if len(models) != len(urls) or not all(model.strip() and model.isprintable() for model in models):
        raise InputError("server.each_fallback_needs_name_of_its_model", urls=len(urls), models=len(settings.fallback.models))
    named = settings.fallback.key_env
    if named and len(named) != len(urls):
        raise InputError("server.each_fallback_needs_its_own_key", urls=len(urls), named=len(named))
    names = [*named] or [_default(place) for place in range(len(urls))]
    given = known_secrets(settings.access.secrets, names, environment)
    keys = [_key(given, name, wanted=bool(named)) for name in names]
    first = upstreams_module.origin(urls[0])
    return [
        FallbackTarget(
            url,
            model,
            key,
            own_authorization=not settings.access.keyed and upstreams_module.origin(url) == first,
            own_headers=upstreams_module.origin(url) == first,
        )
        for url, model, key in zip(urls, models, keys, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Fallback:
    """The large model, ready to be asked.

    Attributes:
        answer: answers calls: through the privacy border, from the cache or from the first upstream that answers.
        audit: answers audits: through the same border, from the first upstream only, without retries, with the same budget.
        escalation: the upstreams.
        guard: the privacy border.
        cache: None without a cache.
    """

    answer: UpstreamAnswerer
    audit: UpstreamAnswerer
    escalation: Escalation
    guard: OutgoingGuard
    cache: ResponseCache | None = None

    @property
    def upstreams(self) -> tuple[Upstream, ...]:
        """The upstreams, in the order in which they are asked."""
        return self.escalation.upstreams

    async def close(self) -> None:
        """Release all resources."""
        if self.cache is not None:
            self.cache.close()
        self.guard.close()
        await self.escalation.close()


def open_fallback(settings: ServeSettings, metering: ServerMetrics, patience: RetryPolicy | None = None) -> Fallback:
    """Open the fallback from the settings. The privacy border is the outermost layer, so nothing reaches an upstream around it.

    A new layer that answers calls belongs inside it. Raises as `fallback_targets`, `budget_plan`, `BudgetGuard` and `open_cache` do.
    """
    escalation = _escalation(settings, metering, patience)
    guard = _guard(settings.privacy, metering, settings.limits.request_seconds)
    cache = _cache(settings, metering, escalation)
    return Fallback(guarded(guard, cache or escalation), guarded(guard, escalation.aside()), escalation, guard, cache)


def guarded(guard: OutgoingGuard, answer: UpstreamAnswerer) -> UpstreamAnswerer:
    """Put a guard in front of an answerer. Answers then contain no placeholders, and no usage that the client did not ask for."""

    async def answered(call: UpstreamCall) -> UpstreamAnswer:
        leaving = await guard.leaving(call)
        try:
            found = await answer(leaving.call)
        except Unreachable as error:
            error.restore(leaving.words_back)
            raise
        asked_for = changed_in_passing(found.response, UsageEventFilter()) if found.wished else found.response
        return replace(found, response=leaving.back(asked_for))

    return answered


def _escalation(settings: ServeSettings, metering: ServerMetrics, patience: RetryPolicy | None) -> Escalation:
    """Open the upstreams, and the budget for them."""
    planned = budget_plan(settings)
    waits = UpstreamLimits(
        connect=settings.fallback.connect_seconds,
        read=settings.fallback.seconds,
        whole=_WHOLE_SECONDS,
        most=settings.fallback.max_body,
    )
    upstreams = [
        Upstream(
            place,
            target.url,
            target.model,
            target.key,
            own_authorization=target.own_authorization,
            own_headers=target.own_headers,
            waits=waits,
            connections=settings.limits.max_concurrent,
        )
        for place, target in enumerate(fallback_targets(settings), 1)
    ]
    budget_guard = BudgetGuard(planned, [upstream.model for upstream in upstreams], metering) if planned is not None else None
    if planned is not None:
        warn_of_old_prices(planned, settings.fallback.models)
    return Escalation(
        upstreams,
        patience or RetryPolicy(total=settings.fallback.retry_seconds),
        metering,
        budget_guard=budget_guard,
        costs=upstream_costs(settings.fallback.models, settings.budget) if settings.logs.account else None,
    )


def _cache(settings: ServeSettings, metering: ServerMetrics, escalation: Escalation) -> ResponseCache | None:
    """Open the cache of upstreams' answers. Its code is loaded only if it is switched on."""
    if not settings.cache.on:
        return None
    from smidgen.server.gateway.response_cache import open_cache

    return open_cache(settings, metering.registry, escalation, escalation.upstreams[0])


def _guard(privacy: PrivacySettings, metering: ServerMetrics, seconds: float) -> OutgoingGuard:
    """Open the guard at the border. Its model is loaded only if there is a policy."""
    if not privacy.on:
        return NoGuard()
    from smidgen.flows import redaction_model
    from smidgen.server.gateway.privacy_guard import PrivacyGuard

    # One thread per request: with more, one client's long text would take all cores.
    made = redaction_model.open_border(privacy.policy, privacy.kinds, privacy.bundle, 1, privacy.max_chars)
    return PrivacyGuard(made, metering, seconds, privacy.workers)


def _default(place: int) -> str:
    return KEY_ENV if place == 0 else f"{KEY_ENV}_{place + 1}"


def _key(environment: Mapping[str, str], name: str, wanted: bool) -> str | None:
    key = environment.get(name, "").strip()
    if not key:
        if wanted:
            raise InputError("server.fallback_key_is_not_set", value=name, name=name)
        return None
    if not all(32 < ord(sign) < 127 for sign in key):
        raise InputError("server.fallback_key_has_invalid_characters", key=len(key), name=name)
    return key


_VIA = b"x-smidgen-via"
_LONGEST_MODEL = 200
"""Characters of a model's name that count."""


class FallbackAnswerer:
    """Answers a request with the large model's answer: for a request to a bundle with the upstream's own model, else with the named one.

    Args:
        answer: asks the large model.
        metering: counts who answered.
    """

    def __init__(self, answer: UpstreamAnswerer, metering: ServerMetrics) -> None:
        self._answer, self._metering = answer, metering
        self._name = fresh_id().encode("ascii")

    def has_seen(self, request: HttpRequest) -> bool:
        """Return True if this server sent this request itself: its fallback leads back here."""
        return self._name in request.header(_VIA).split(b",")

    def headers(self, request: HttpRequest) -> Headers:
        """Return the client's headers, plus this server's name in the list of gateways passed, which detects loops."""
        others = [(name, value) for name, value in request.headers if name != _VIA]
        return [*others, (_VIA, b",".join(filter(None, (request.header(_VIA), self._name))))]

    def call(self, request: HttpRequest, requested: RequestedModel | None, replaceable: bool = False) -> UpstreamCall:
        """Return a request as it goes upstream. `replaceable`: a bundle answers if no upstream does."""
        assert request.body is not None, "it was read"
        named = request.model
        return UpstreamCall(
            request.method,
            request.sent_path.removeprefix(b"/v1"),
            request.query,
            self.headers(request),
            request.body,
            _renamed(requested),
            replaceable,
            named[:_LONGEST_MODEL] if isinstance(named, str) else "",
            request.identity,
            request.usage,
        )

    async def __call__(
        self,
        request: HttpRequest,
        send: Send,
        requested: RequestedModel | None = None,
        decision: RoutingDecision | None = None,
        replaceable: bool = False,
    ) -> None:
        """Send the answer. Raises Unreachable if no upstream answers; RequestError, 499, if the client disconnects meanwhile."""
        assert request.receive is not None, "its body was read"
        await while_there(request.receive, request.body, self._pass(request, send, requested, decision, replaceable))

    async def _pass(
        self, request: HttpRequest, send: Send, requested: RequestedModel | None, decision: RoutingDecision | None, replaceable: bool
    ) -> None:
        bundle, why = (requested.bundle if requested else ""), (decision.why if decision else "passed")
        began = perf_counter()  # a uvloop's clock counts whole milliseconds
        try:
            given = await self._answer(self.call(request, requested, replaceable))
        except Unreachable as error:
            error.counted, error.marks = (bundle, "none", why), answer_headers("none", "", decision)
            raise
        by = "cache" if given.cached else "upstream"
        self._metering.routed.labels(bundle, by, why).inc()
        named = given.upstream.model if _renamed(requested) else request.model
        cost = 0.0 if given.cached else None
        said = answer_headers(by, named if isinstance(named, str) else "", decision, FROM_CACHE if given.cached else "", cost=cost)
        # The account knows only the price of the upstream's own model.
        if given.took is not None and named == given.upstream.model and request.usage is not None:
            request.usage.avoided_tokens = given.took.given, given.took.got
        request.saved_usd = given.saved_usd

        async def timed(message: Message) -> None:
            if not given.cached:
                request.upstream_seconds = perf_counter() - began
            await send(message)

        await relay(given.response, timed, [*said, *given.said], given.upstream.waits)


def _renamed(requested: RequestedModel | None) -> bool:
    """Return True if the upstream's own model name replaces the request's, which names a bundle."""
    return requested is not None and requested.names_bundle
