"""What an upstream took: by its own count, else by an estimate, and not at all where nobody can know."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator

import httpx
import pytest
from tests.upstream_stub import WHOLE, chunk

from smidgen.server.gateway.prices import UpstreamCosts, UpstreamPrice, UpstreamPrices
from smidgen.server.gateway.upstream import UpstreamCall
from smidgen.server.request import OTHER_MODEL, RequestBody, UsageRecord
from smidgen.store.usage_records import UsageTotals

OWN = UpstreamCosts(UpstreamPrices([UpstreamPrice("big", 1.0, 2.0)]), ["big"])
BODY = b"x" * 30
"""Ten tokens, where they are estimated."""


class Pieces(httpx.AsyncByteStream):
    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece

    async def aclose(self) -> None:
        return


def took(*pieces: bytes, status: int = 200, tail: bytes = b"/chat/completions", kind: str = "application/json", **more: str) -> UsageTotals:
    """What goes onto the usage record of a request that is answered so, to its last piece."""
    response = httpx.Response(status, headers={"content-type": kind, **more}, stream=Pieces(list(pieces)))

    record = UsageRecord("2026-03-01")

    async def passed() -> bytes:
        watched = OWN.watched(response, UpstreamCall("POST", tail, b"", [], RequestBody(BODY), renamed=True, usage=record), "big")
        seen = [piece async for piece in watched.aiter_raw()]
        await watched.aclose()
        return b"".join(seen)

    assert asyncio.run(passed()) == b"".join(pieces), "it goes on as it came"
    return record.paid


COUNTED = UsageTotals(read=3, written=2, spent=3 * 1000 + 2 * 2000)
UNKNOWN = UsageTotals(unpriced=1)


@pytest.mark.parametrize(
    ("packed", "encoding"), [(WHOLE, "identity"), (gzip.compress(WHOLE), "gzip"), (zlib.compress(WHOLE), "deflate"), (WHOLE, "")]
)
def test_what_the_upstream_counted_is_taken_however_it_is_packed(packed: bytes, encoding: str) -> None:
    assert took(packed, **{"content-encoding": encoding}) == COUNTED
    assert took(*[packed[at : at + 7] for at in range(0, len(packed), 7)], **{"content-encoding": encoding}) == COUNTED


def test_what_cannot_be_read_is_not_known() -> None:
    assert took(b"\x1b\x00", **{"content-encoding": "br"}) == UNKNOWN
    assert took(b"no gzip", **{"content-encoding": "gzip"}) == UNKNOWN
    assert took(gzip.compress(WHOLE)[:-4], **{"content-encoding": "gzip"}) == UNKNOWN
    assert took(gzip.compress(b" " * 50_000_000), **{"content-encoding": "gzip"}) == UNKNOWN
    assert took(b"RIFF", kind="audio/wav", tail=b"/audio/speech") == UNKNOWN
    assert took(b" " * 600_000 + WHOLE) == UNKNOWN


def test_refusals_take_nothing() -> None:
    assert took(b'{"error":{}}', status=400) == took(b'{"error":{"code":1}}') == UsageTotals()
    assert took(WHOLE, status=500) == COUNTED, "it says itself that it took something"


def test_a_stream_without_a_count_is_estimated_and_says_so() -> None:
    pieces = [chunk("aaa"), chunk("bbbb"), b"data: [DONE]\n\n"]
    guess = UsageTotals(read=10, read_estimated=10, written=3, written_estimated=3, spent=16_000, spent_estimated=16_000)
    assert took(*pieces, kind="text/event-stream") == guess
    assert took(*pieces[:2], kind="text/event-stream; charset=utf-8") == guess, "also where it breaks off"
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'
    assert took(*pieces[:2], usage, pieces[2], kind="text/event-stream") == COUNTED


def test_vectors_are_read_and_nothing_is_written() -> None:
    body = json.dumps({"data": [], "usage": {"prompt_tokens": 8, "total_tokens": 8}}).encode()
    assert took(body, tail=b"/embeddings") == UsageTotals(read=8, spent=8000)
    large = took(b" " * 600_000 + body, tail=b"/embeddings")
    assert large == UsageTotals(read=10, read_estimated=10, spent=10_000, spent_estimated=10_000)


def test_names_and_prices() -> None:
    for said in ("gpt-6-luna", "openai/GPT-6 Luna"):
        assert OWN.name(said) == "gpt-6-luna" and OWN.price(said) == UpstreamPrice("GPT-6 Luna", 0.1, 0.5, "2026-09-22")
    assert OWN.name("vendor/big") == "big" and OWN.price("big") == UpstreamPrice("big", 1.0, 2.0)
    for said in ("", "other", "x" * 10_000, "big" + "x" * 10_000):
        assert (OWN.name(said), OWN.price(said), OWN.cost(said, 1, 1), OWN.noted("2026-03-01", said)) == (OTHER_MODEL, None, None, None)
    listed, given = OWN.noted("2026-03-01", "gpt-6-luna"), OWN.noted("2026-03-01", "big")
    assert listed is not None and listed.source == "list price of GPT-6 Luna on 2026-09-22"
    assert given is not None and (given.read, given.written, given.source) == (1.0, 2.0, "as given: --price-in, --price-out")
    assert UpstreamCosts(UpstreamPrices(), ["gpt-6-luna"]).name("openai/gpt-6-luna") == "gpt-6-luna"
    assert UpstreamCosts(UpstreamPrices(), ["big"]).cost("big", 1, 1) is None
    said = UpstreamCosts(UpstreamPrices([UpstreamPrice("gpt-6-luna", 3.0, 4.0)]), ["gpt-6-luna"]).noted("2026-03-01", "openai/gpt-6-luna")
    assert said is not None and (said.model, said.read, said.source) == ("gpt-6-luna", 3.0, "as given: --price-in, --price-out")
