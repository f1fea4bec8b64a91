"""The application: the served bundles, behind the APIs, behind the middleware.

`_layers` lists the middleware, from the outside in. Behind it, a face answers. A face is a file here, or in a folder in `FACE_ROOMS`, with
a line `part = ...`: a function that takes the service and returns its routes. To add one, add a file.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from smidgen.gateway.eligibility import CHAT, COMPLETIONS, RESPONSES
from smidgen.gateway.upstreams import RetryPolicy
from smidgen.machine import memory
from smidgen.parts import registry
from smidgen.server.access import LOCAL_HOSTS, HostMiddleware, KeyFile, KeyMiddleware
from smidgen.server.errors import handle_in
from smidgen.server.gateway.prices import UpstreamSizes
from smidgen.server.models import ServedBundle
from smidgen.server.ops.prometheus import AccountMetrics
from smidgen.server.ops.usage_account import AccountWriter, UsageMiddleware
from smidgen.server.request import HeldModelsMiddleware, KeylessRoute, LimitsMiddleware, RequestMiddleware
from smidgen.server.service import Service, ShownModel
from smidgen.server.settings import ServeSettings

if TYPE_CHECKING:
    from smidgen.server.champion_reload import ChampionReload
    from smidgen.server.gateway.auditor import Auditor
    from smidgen.server.gateway.fallback import Fallback
    from smidgen.server.gateway.routing import Gateway


FACE_ROOMS = ("server", "server.openai", "server.systemone", "server.traffic", "server.ops", "server.mcp")
"""Folders with faces."""
_OFTEN = (("server", "classify"), ("server.openai", "chat"))
"""Frequent faces come first. Routes are tried in order, which took a fifth of the time of an answer."""
_MARKS = ("answered-by", "model", "score", "certificate", "escalated", "uncertified", "measured-error", "unsure", "cost", "saved")
_SEEN = ["x-request-id", *(f"x-smidgen-{name}" for name in _MARKS)]
"""Response headers that a page of another origin may read. Feedback needs the first."""
_SEEN_OF_CACHE = ["age", "cache-status", "x-smidgen-cached"]


def create_app(
    models: Sequence[ServedBundle],
    settings: ServeSettings | None = None,
    patience: RetryPolicy | None = None,
    shown: Sequence[ShownModel] = (),
) -> FastAPI:
    """Create the application for loaded bundles, behind the gateway if the settings name a fallback. `patience`: its retries.

    `shown` are shown on sites, to visitors without a key. Raises InputError if there is nothing to serve, for two bundles or desks with one
    name, and for an invalid fallback; with capture, TrafficError if the store cannot be opened, BundleError if there is no redaction model.
    """
    chosen = with_own_privacy(settings or ServeSettings(), models)
    service = Service(models, chosen, shown)
    fallback = _fallback(service, chosen, patience) if chosen.fallback.urls else None
    _record(service)
    _keep_account(service)
    auditor = _auditor(service, chosen, fallback) if fallback is not None and service.models and chosen.local.audit_share else None
    if fallback is not None and fallback.cache is not None:
        service.refuse = fallback.cache.refuse
    succession = _succession(service)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(succession.run()) if succession is not None else None
        if service.account_writer is not None:
            service.account_writer.begin(time.thread_time())
        memory.trim()  # free memory used for loading
        yield
        if succession is not None and watching is not None:
            await succession.stop(watching)
        await service.close()
        if auditor is not None:
            await auditor.close()
        if fallback is not None:
            await fallback.close()
        if service.recorder is not None:
            from smidgen.server.traffic.capture_setup import BATCH_SECONDS, DRAIN_SECONDS

            await asyncio.to_thread(service.recorder.close, DRAIN_SECONDS, BATCH_SECONDS)
        if service.account_writer is not None:  # last, because closing the others adds to it
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
    keyless: list[re.Pattern[str]] = []
    for room, name in sorted(faces, key=lambda face: (face not in _OFTEN, face)):
        router = registry.find(room, name)(service)
        app.include_router(router)
        keyless += [route.path_regex for route in router.routes if isinstance(route, KeylessRoute)]
    handle_in(app)
    if not chosen.access.keyed:
        labels = [label for model in models[:1] for label in model.form.options]
        _fill_examples(app, [*service.models, *chosen.fallback.models], labels[:2])
    for layer in reversed(_layers(app, service, chosen, fallback, auditor, keyless)):
        app.add_middleware(layer.cls, *layer.args, **layer.kwargs)
    return app


def with_own_privacy(settings: ServeSettings, models: Sequence[ServedBundle]) -> ServeSettings:
    """Return the settings with a served desk's own privacy policy for requests to the fallback, if they have none of their own."""
    serving = next((model.task.serving for model in models if model.task.serving is not None), None)
    return serving.settings(settings, models) if settings.fallback.urls and serving is not None else settings


def _layers(
    app: FastAPI,
    service: Service,
    settings: ServeSettings,
    fallback: Fallback | None,
    auditor: Auditor | None,
    keyless: Sequence[re.Pattern[str]],
) -> list[Middleware]:
    """Return the layers that a request passes on its way to a face, from the outside in."""
    layers = []
    if settings.access.cors:
        seen = [*_SEEN, *_SEEN_OF_CACHE] if settings.cache.on else _SEEN
        methods, origins = ["GET", "POST"], settings.access.cors
        layers += [Middleware(CORSMiddleware, allow_origins=origins, allow_methods=methods, allow_headers=["*"], expose_headers=seen)]
    layers += [Middleware(RequestMiddleware, metering=service.metering, access_log=settings.logs.access_log)]
    if settings.listen.loopback or settings.access.allow_hosts:
        layers += [Middleware(HostMiddleware, names=(*LOCAL_HOSTS, settings.listen.host, *settings.access.allow_hosts))]
    if settings.access.keyed:
        file = KeyFile(settings.access.key_file) if settings.access.key_file is not None else None
        layers += [Middleware(KeyMiddleware, keys=settings.access.keys, file=file, keyless=keyless)]
    limits = settings.limits
    layers += [Middleware(LimitsMiddleware, max_concurrent=limits.max_concurrent, max_body=limits.max_body, seconds=limits.request_seconds)]
    sizes = UpstreamSizes() if fallback is not None and service.account_writer is not None else None
    if service.account_writer is not None:
        costs = fallback.escalation.costs if fallback is not None else None
        first = settings.fallback.models[0] if fallback is not None else ""
        layers += [Middleware(UsageMiddleware, account_writer=service.account_writer, costs=costs, instead=first, sizes=sizes)]
    if any(getattr(model, "line", None) is not None for model in service.models.values()):
        layers += [Middleware(HeldModelsMiddleware)]
    if service.recorder is not None:
        from smidgen.server.traffic.recorder import CaptureMiddleware

        layers += [Middleware(CaptureMiddleware, recorder=service.recorder, models=service.models)]
    if fallback is not None:
        from smidgen.server.gateway.routing import GatewayMiddleware

        gateway = _gateway(service, settings, fallback, auditor, sizes)
        layers += [Middleware(GatewayMiddleware, routes=app.router.routes, gateway=gateway)]
    return layers


def _gateway(
    service: Service, settings: ServeSettings, fallback: Fallback, auditor: Auditor | None, sizes: UpstreamSizes | None
) -> Gateway:
    """Build the gateway, and register the metrics of its certificates and budget."""
    from smidgen.gateway.route import Allowlist
    from smidgen.server.gateway.budget_guard import BudgetGauge
    from smidgen.server.gateway.certificate_router import CertificateRouter, Savings, held_out_test
    from smidgen.server.gateway.certificates import CertificateGauge, present_certificates
    from smidgen.server.gateway.fallback import FallbackAnswerer
    from smidgen.server.gateway.prices import upstream_prices
    from smidgen.server.gateway.routing import Gateway, RoutingRules, job_matcher
    from smidgen.server.openai import chat, completions, responses

    service.metering.registry.register(CertificateGauge(lambda: present_certificates(service)))
    if fallback.escalation.budget_guard is not None:
        service.metering.registry.register(BudgetGauge(fallback.escalation.budget_guard))
    answerer = FallbackAnswerer(fallback.answer, service.metering)
    router = CertificateRouter(
        service,
        {CHAT: chat.answering, COMPLETIONS: completions.answering, RESPONSES: responses.answering},
        answerer,
        Savings(upstream_prices(settings.fallback.models, settings.budget).of(fallback.upstreams[0].model), sizes),
        auditor,
        held_out_test(service),
        settings.fallback.when_upstream_fails == "local",
        settings.local.mode,
    )
    matcher = job_matcher(service.models.values()) if settings.local.take else None
    rules = RoutingRules(settings.access.cors, Allowlist(settings.fallback.pass_paths), settings.local.quality, matcher, sizes is not None)
    return Gateway(service, router, answerer, fallback, rules)


def _fill_examples(app: FastAPI, names: Sequence[str], labels: Sequence[str]) -> None:
    """Let examples in the OpenAPI document name a served model and its labels, so that they work as they are.

    Only without keys: the document is public, and bundle names are not.
    """
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


def _fallback(service: Service, settings: ServeSettings, patience: RetryPolicy | None) -> Fallback:
    """Open the fallback. Its code is loaded only if there is one."""
    from smidgen.server.gateway.fallback import open_fallback

    return open_fallback(settings, service.metering, patience)


def _record(service: Service) -> None:
    """Open the recorder, if capture is on. Its code is loaded only then."""
    if service.settings.capture.on:
        from smidgen.server.traffic.capture_setup import open_recorder

        service.recorder = open_recorder(service)


def _keep_account(service: Service) -> None:
    """Start the account of usage, unless it is switched off."""
    if service.settings.logs.account:
        service.account_writer = AccountWriter(AccountMetrics(service.metering.registry), service.engines)


def _auditor(service: Service, settings: ServeSettings, fallback: Fallback) -> Auditor:
    """Create the auditor of the bundles' answers."""
    from smidgen.server.gateway.auditor import Auditor

    return Auditor(
        fallback.audit,
        fallback.upstreams[0],
        service.metering,
        settings.local.audit_share,
        settings.fallback.seconds,
        account_writer=service.account_writer,
        keep=service.recorder.audited if service.recorder is not None else None,
    )


def _succession(service: Service) -> ChampionReload | None:
    """Create the watcher for new champions, if lines are served."""
    lines = {name: line for name, model in service.models.items() if (line := getattr(model, "line", None)) is not None}
    if not lines:
        return None
    from smidgen.server.champion_reload import ChampionReload

    return ChampionReload(service, lines)
