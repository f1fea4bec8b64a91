"""`/smidgen/account`: the usage of requests by day and model. All servers of this machine share the account."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from smidgen.core.errors import RequestError
from smidgen.flows import status_report as accounts
from smidgen.flows.status_report import MOST_DAYS, PERIODS
from smidgen.server.errors import RESPONSES, answer
from smidgen.server.service import Service

PATH = "/smidgen/account"


def face(service: Service) -> APIRouter:
    """The route."""
    router = APIRouter(tags=["smidgen"], responses=RESPONSES)
    thread = ThreadPoolExecutor(1, "account")  # its own: a disk that hangs takes no thread from those who answer

    @router.get(PATH, response_model=dict[str, Any], summary="Requests, money, time and energy by day and model")
    async def account(
        days: Annotated[int, Query(ge=1, le=MOST_DAYS, description="How many days, today among them.")] = PERIODS[-1],
    ) -> Response:
        found = await asyncio.get_running_loop().run_in_executor(thread, _told, service, days)
        if "error" in found:
            todo = "The server's operator can mend it, or move the file away: requests are answered all the same."
            raise RequestError("the account cannot be read", value="its file", todo=todo, status=503, code="account_unreadable")
        unwritten = service.account_writer.fault if service.account_writer is not None else ""
        found.pop("file")  # where it lies is the operator's concern
        return answer({**found, "kept": service.account_writer is not None, "unwritten": bool(unwritten)})

    return router


def _told(service: Service, days: int) -> dict[str, Any]:
    """The account up to this moment. If the latest sums cannot be written, the earlier ones are read all the same."""
    if service.account_writer is not None:
        service.account_writer.flush()
    return accounts.read_account(days)


part = face
