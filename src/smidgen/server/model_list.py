"""`/v1/models` with a fallback: the bundles served here, then what the upstream lists, if it can be asked."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
from starlette.types import Send

from smidgen.core.errors import RequestError
from smidgen.gateway.crossing import Headers, marks
from smidgen.server.local_answer import LocalAnswer
from smidgen.server.upstream import Upstream

_SECONDS = 5.0


async def send_all(local: LocalAnswer, upstreams: tuple[Upstream, ...], headers: Headers, query: bytes, send: Send) -> None:
    """Send the list of `local` with the models of all upstreams behind its own. A name that is there already is not listed again."""
    found: dict[str, Any] = json.loads(local.body)
    asked = await asyncio.gather(*(_listed(upstream, headers, query) for upstream in upstreams))
    names = {card["id"] for card in found["data"]}
    for cards in asked:
        for card in cards or ():
            if isinstance(card, dict) and isinstance(card.get("id"), str) and card["id"] not in names:
                names.add(card["id"])
                found["data"].append(card)
    unasked = [upstream.name for upstream, cards in zip(upstreams, asked, strict=True) if cards is None]
    whole = local.within({"upstreams_not_listed": unasked}, found)
    await whole.send(send, marks("local", ""))


async def _listed(upstream: Upstream, headers: Headers, query: bytes) -> list[Any] | None:
    """Its cards; None where it cannot be asked now."""
    try:
        async with asyncio.timeout(_SECONDS):
            found = json.loads(await upstream.models(headers, query))
    except (httpx.RequestError, httpx.StreamError, RequestError, TimeoutError, ValueError, RecursionError):
        return None
    cards = found.get("data") if isinstance(found, dict) else None
    return cards if isinstance(cards, list) else None
