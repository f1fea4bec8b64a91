"""`/healthz`, `/readyz`, `/metrics` and `/smidgen/account`, for process managers, load balancers and monitoring."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from starlette.responses import PlainTextResponse, Response

from smidgen.core.errors import RequestError
from smidgen.flows import status_report as accounts
from smidgen.flows.status_report import MOST_DAYS, PERIODS
from smidgen.server.errors import RESPONSES, failure
from smidgen.server.reply_json import answer
from smidgen.server.service import Service

ACCOUNT_PATH = "/smidgen/account"


class Health(BaseModel):
    """The state of the process."""

    status: Literal["ok"]


def face(service: Service) -> APIRouter:
    """Return the routes."""
    router = APIRouter(responses=RESPONSES)
    thread = ThreadPoolExecutor(1, "account")  # a separate thread: a hanging disk must not block threads that answer

    @router.get(ACCOUNT_PATH, tags=["smidgen"], response_model=dict[str, Any], summary="Requests, money, time and energy by day and model")
    async def account(
        days: Annotated[int, Query(ge=1, le=MOST_DAYS, description="How many days, today among them.")] = PERIODS[-1],
    ) -> Response:
        found = await asyncio.get_running_loop().run_in_executor(thread, _account, service, days)
        if "error" in found:
            raise RequestError("server.account_cannot_be_read", status=503, code="account_unreadable")
        unwritten = service.account_writer.fault if service.account_writer is not None else ""
        found.pop("file")  # its path is only for the operator
        return answer({**found, "kept": service.account_writer is not None, "unwritten": bool(unwritten)})

    @router.get("/healthz", tags=["operations"], response_model=Health, summary="Whether the process lives")
    async def healthz() -> Response:
        return answer({"status": "ok"})

    @router.get("/readyz", tags=["operations"], response_model=Health, summary="Whether every bundle would answer now")
    async def readyz() -> Response:
        if not service.ready:
            return failure(503, "Not every model is ready. Wait, or restart the server.", "not_ready")
        return answer({"status": "ok"})

    @router.get("/metrics", tags=["operations"], response_class=PlainTextResponse, summary="Counters, as Prometheus reads them")
    async def metrics() -> Response:
        shown = await asyncio.to_thread(generate_latest, service.metering.registry)  # some metrics are read from disk
        return Response(shown, media_type=CONTENT_TYPE_LATEST)

    return router


def _account(service: Service, days: int) -> dict[str, Any]:
    """Read the account up to now. If it cannot be written, read the older state."""
    if service.account_writer is not None:
        service.account_writer.flush()
    return accounts.read_account(days)


part = face
