"""The application: the served bundles, behind the APIs, behind the middleware.

A request passes the middleware from the outside in: CORS (where asked for), `RequestMiddleware`, `HostMiddleware`, `KeyMiddleware`,
`LimitsMiddleware`, `UsageMiddleware` (unless no account is kept), `HeldModelsMiddleware` (where a line is served), `CaptureMiddleware`
(where asked for), `GatewayMiddleware` (where there is a fallback). Then a face answers it. A face is a file here, or in a folder that
`FACE_ROOMS` names, with a line `part = ...`: a function that takes the service and returns its routes. To add one, drop a file in.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

from smidgen.gateway.upstreams import RetryPolicy
from smidgen.machine import heap
from smidgen.parts import registry
from smidgen.server.errors import handle_in
from smidgen.server.gateway.prices import UpstreamSizes
from smidgen.server.middleware import LOCAL_HOSTS, HostMiddleware, KeyMiddleware, LimitsMiddleware, RequestMiddleware
from smidgen.server.model_queues import HeldModelsMiddleware
from smidgen.server.ops.prometheus import AccountMetrics
from smidgen.server.ops.usage_account import AccountWriter, UsageMiddleware
from smidgen.server.served_bundle import ServedBundle
from smidgen.server.service import Service
from smidgen.server.settings import ServeSettings

if TYPE_CHECKING:
    from smidgen.server.champion_reload import ChampionReload
    from smidgen.server.gateway.auditor import Auditor
    from smidgen.server.gateway.escalation import Escalation
    from smidgen.server.gateway.response_cache import ResponseCache


FACE_ROOMS = ("server", "server.openai", "server.systemone", "server.traffic", "server.ops")
"""Folders that faces are found in."""
_OFTEN = (("server", "classify"), ("server.openai", "chat"))
"""Faces that come first: a request is held against one after the other until one takes it, which took a fifth of the time of an answer."""
_MARKS = ("answered-by", "model", "score", "certificate", "escalated", "uncertified", "cost", "saved")
_SEEN = ["x-request-id", *(f"x-smidgen-{name}" for name in _MARKS)]
"""Headers of replies that a page of another origin may read: feedback needs the first."""
_SEEN_OF_CACHE = ["age", "cache-status", "x-smidgen-cached"]


def create_app(models: Sequence[ServedBundle], settings: ServeSettings | None = None, patience: RetryPolicy | None = None) -> FastAPI:
    """The application for loaded bundles, behind the gateway's door where the settings name a fallback; `patience` is with that.

    Raises InputError where there is neither bundle nor fallback, where two bundles have one name, and for a fallback that cannot be; where
    traffic is to be stored, TrafficError for a store that cannot be opened, BundleError where there is no redaction model.
    """
    chosen = settings or ServeSettings()
    service = Service(models, chosen)
    escalation = _escalation(service, chosen, patience) if chosen.fallback.urls else None
    _record(service)
    _keep_account(service)
    auditor = _auditor(service, chosen, escalation) if escalation is not None and service.models and chosen.local.audit_share else None
    cache = _cache(service, chosen, escalation) if escalation is not None and chosen.cache.on else None
    if cache is not None:
        service.refuse = cache.refuse
    succession = _succession(service)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(succession.run()) if succession is not None else None
        if service.account_writer is not None:
            service.account_writer.begin(time.thread_time())
        heap.give()  # what loading left behind
        yield
        if succession is not None and watching is not None:
            await succession.stop(watching)
        await service.close()
        if auditor is not None:
            await auditor.close()
        if cache is not None:
            cache.close()
        if escalation is not None:
            await escalation.close()
        if service.recorder is not None:
            from smidgen.server.traffic.capture_setup import BATCH_SECONDS, DRAIN_SECONDS

            await asyncio.to_thread(service.recorder.close, DRAIN_SECONDS, BATCH_SECONDS)
        if service.account_writer is not None:  # the last: what the others close is in it
            await asyncio.to_thread(service.account_writer.close)

    app = FastAPI(
        title="smidgen",
        version=importlib.metadata.version("smidgen"),
        description="Small language models, served behind the faces that clients already speak.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    faces = [(room, name) for room in FACE_ROOMS for name in registry.names(room)]
    for room, name in sorted(faces, key=lambda face: (face not in _OFTEN, face)):
        app.include_router(registry.find(room, name)(service))
    handle_in(app)
    if not chosen.access.keys:
        labels = [label for model in models[:1] for label in model.form.options]
        _fill_examples(app, [*service.models, *chosen.fallback.models], labels[:2])
    sizes = UpstreamSizes() if escalation is not None and service.account_writer is not None else None
    if escalation is not None:
        _add_gateway(app, service, chosen, escalation, auditor, cache, sizes)
    if service.recorder is not None:
        from smidgen.server.traffic.recorder import CaptureMiddleware

        app.add_middleware(CaptureMiddleware, recorder=service.recorder, models=service.models)
    if succession is not None:
        app.add_middleware(HeldModelsMiddleware)
    if service.account_writer is not None:
        costs = escalation.costs if escalation is not None else None
        first = chosen.fallback.models[0] if escalation is not None else ""
        app.add_middleware(UsageMiddleware, account_writer=service.account_writer, costs=costs, instead=first, sizes=sizes)
    _close_doors(app, service, chosen)
    return app


def _fill_examples(app: FastAPI, names: Sequence[str], labels: Sequence[str]) -> None:
    """Let the OpenAPI document's examples name a model that is served, and ask it for labels that it has, so that they can be sent as they
    stand. Only where no key is needed: the document is open, and names of bundles are not."""
    described = app.openapi

    def openapi() -> dict[str, Any]:
        document = described()
        for schema in document.get("components", {}).get("schemas", {}).values():
            example = schema.get("example")
            if names and isinstance(example, dict) and "model" in schema.get("properties", {}):
                schema["example"] = example = {"model": names[0], **example}
                if labels and isinstance(example.get("questions"), dict):
                    asked = {name: {**question, "criteria": dict.fromkeys(labels, "")} for name, question in example["questions"].items()}
                    schema["example"] = {**example, "questions": asked}
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _escalation(service: Service, settings: ServeSettings, patience: RetryPolicy | None) -> Escalation:
    """The upstreams. What asks them is only loaded where there are some."""
    from smidgen.server.gateway.fallback import open_fallback

    return open_fallback(settings, service.metering, patience)


def _record(service: Service) -> None:
    """Open the store of traffic, where the owner asked for it. What stores is only loaded then."""
    if service.settings.capture.on:
        from smidgen.server.traffic.capture_setup import open_recorder

        service.recorder = open_recorder(service)


def _keep_account(service: Service) -> None:
    """Begin to add up what requests take, unless the owner wants no account."""
    if service.settings.logs.account:
        service.account_writer = AccountWriter(AccountMetrics(service.metering.registry), service.engines)


def _auditor(service: Service, settings: ServeSettings, escalation: Escalation) -> Auditor:
    """Who audits what the bundles answer."""
    from smidgen.server.gateway.auditor import Auditor
    from smidgen.server.gateway.certificates import AnsweringBundles

    asking = escalation.aside()
    return Auditor(
        AnsweringBundles(service),
        asking,
        service.metering,
        settings.local.audit_share,
        settings.fallback.seconds,
        account_writer=service.account_writer,
        keep=service.recorder.audited if service.recorder is not None else None,
    )


def _cache(service: Service, settings: ServeSettings, escalation: Escalation) -> ResponseCache:
    """What gives upstreams' answers again. It is only loaded where the owner asked for it."""
    from smidgen.server.gateway.response_cache import open_cache

    return open_cache(settings, service.metering.registry, escalation)


def _succession(service: Service) -> ChampionReload | None:
    """What watches for new champions, where lines are served."""
    lines = {name: line for name, model in service.models.items() if (line := getattr(model, "line", None)) is not None}
    if not lines:
        return None
    from smidgen.server.champion_reload import ChampionReload

    return ChampionReload(service, lines)


def _add_gateway(
    app: FastAPI,
    service: Service,
    settings: ServeSettings,
    escalation: Escalation,
    auditor: Auditor | None,
    cache: ResponseCache | None,
    sizes: UpstreamSizes | None,
) -> None:
    """Put the gateway's door before the faces, and show its certificates and its money."""
    from smidgen.gateway.allowlist import Allowlist
    from smidgen.server.gateway.budget_guard import BudgetGauge
    from smidgen.server.gateway.certificates import BundleCertificates, CertificateGauge
    from smidgen.server.gateway.eligibility import held_out_test, job_matcher
    from smidgen.server.gateway.prices import upstream_prices
    from smidgen.server.gateway.routing import GatewayMiddleware

    vouchers = BundleCertificates(service)
    service.metering.registry.register(CertificateGauge(vouchers.present))
    if escalation.budget_guard is not None:
        service.metering.registry.register(BudgetGauge(escalation.budget_guard))
    app.add_middleware(
        GatewayMiddleware,
        routes=app.router.routes,
        vouchers=vouchers,
        escalation=escalation,
        metering=service.metering,
        price=upstream_prices(settings.fallback.models, settings.budget).of(escalation.upstreams[0].model),
        local_at_last=settings.fallback.when_upstream_fails == "local",
        origins=settings.access.cors,
        auditor=auditor,
        quality=settings.local.quality,
        job_matcher=job_matcher(service.models.values()) if settings.local.take else None,
        cache=cache,
        is_held_out=held_out_test(service),
        sizes=sizes,
        allowed=Allowlist(settings.fallback.pass_paths),
    )


def _close_doors(app: FastAPI, service: Service, settings: ServeSettings) -> None:
    """Put the doors before the faces. The one added last is the outermost."""
    app.add_middleware(
        LimitsMiddleware,
        max_concurrent=settings.limits.max_concurrent,
        max_body=settings.limits.max_body,
        seconds=settings.limits.request_seconds,
    )
    if settings.access.keys:
        app.add_middleware(KeyMiddleware, keys=settings.access.keys)
    if settings.listen.loopback or settings.access.allow_hosts:
        app.add_middleware(HostMiddleware, names=(*LOCAL_HOSTS, settings.listen.host, *settings.access.allow_hosts))
    app.add_middleware(RequestMiddleware, metering=service.metering, access_log=settings.logs.access_log)
    if settings.access.cors:
        from starlette.middleware.cors import CORSMiddleware

        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.access.cors,
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=[*_SEEN, *_SEEN_OF_CACHE] if settings.cache.on else _SEEN,
        )
