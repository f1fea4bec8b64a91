"""The cache under any run of requests: whatever is asked, in whatever order, nobody reads what was answered to somebody else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from tests.examples import examples
from tests.server.gateway.test_cache_semantic import letters

from smidgen.gateway.cache import AnswerCache, CacheLimits, Sharing
from smidgen.server.gateway.response_cache import ResponseCache, SimilarTexts
from smidgen.server.gateway.upstream import UpstreamAnswer, UpstreamCall
from smidgen.server.ops.prometheus import CacheMetrics
from smidgen.server.request import RequestBody, RequestIdentity

NOBODY: dict[str, Any] = dict.fromkeys(("user", "safety_identifier", "header", "key", "other key"))
TEXTS = ("Where is my parcel?", "where is the parcel", "Where is parcel 2?", "pay")


class Whole(httpx.AsyncByteStream):
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body


class Upstream:
    """One that writes into each answer whose request it was, as it came: the client cannot be told a thing that is another's."""

    def __init__(self, takes_others_keys: bool) -> None:
        self.first: Any = SimpleNamespace(model="big", takes_others_keys=takes_others_keys, waits=None)
        self.asked = 0

    async def __call__(self, call: UpstreamCall) -> UpstreamAnswer:
        self.asked += 1
        message = {"role": "assistant", "content": json.dumps(whose(call))}
        body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
        headers = {"content-type": "application/json"}
        return UpstreamAnswer(self.first, httpx.Response(200, headers=headers, stream=Whole(json.dumps(body).encode())))


def whose(call: UpstreamCall) -> dict[str, Any]:
    """Who sent it, and what: all that separates requests, by the plain reading of them."""
    assert isinstance(call.body, RequestBody)
    body = json.loads(call.body.raw)
    ids = [body.get("user"), body.get("safety_identifier"), dict(call.headers).get(b"x-smidgen-user", b"").decode()]
    users = [one.strip() if isinstance(one, str) else one for one in ids]
    keys = [(name.decode(), value.decode().strip()) for name, value in call.headers if name in (b"authorization", b"x-api-key")]
    return {"users": [one or "" for one in users], "keys": [list(one) for one in keys if one[1]], "text": body["messages"][-1]["content"]}


PEOPLE: list[dict[str, str]] = [
    {},
    {"user": ""},
    *({"user": one} for one in ("a", " a", "b")),
    *({"user": "a", "header": one} for one in ("", "a", "b")),
    *({"user": "a", "safety_identifier": one} for one in ("a", "b")),
    *({"user": "a", "key": one} for one in ("a", "b")),
    *({"user": "a", "key": "a", "other key": one} for one in ("a", "b")),
    *({name: "a"} for name in ("header", "safety_identifier", "key", "other key")),
]
"""Any two of them differ in little."""
requests = st.builds(
    lambda who, text, stream, wish: {**NOBODY, **who, "text": text, "stream": stream, "cache-control": wish},
    st.sampled_from(PEOPLE),
    st.sampled_from([TEXTS[0], *TEXTS]),
    st.booleans(),
    st.sampled_from(["", "", "", "", "no-cache", "no-store"]),
)


def call_of(asked: dict[str, Any]) -> UpstreamCall:
    body = {name: asked[name] for name in ("user", "safety_identifier") if asked[name] is not None}
    body |= {"model": "big", "messages": [{"role": "user", "content": asked["text"]}]} | ({"stream": True} if asked["stream"] else {})
    named = {b"x-smidgen-user": asked["header"], b"authorization": asked["key"], b"x-api-key": asked["other key"]}
    headers = [(name, value.encode()) for name, value in named.items() if value is not None]
    headers += [(b"cache-control", asked["cache-control"].encode())]
    sent = RequestBody(json.dumps(body).encode())
    return UpstreamCall("POST", b"/chat/completions", b"", headers, sent, identity=RequestIdentity("req", ""))


async def told(found: UpstreamAnswer) -> dict[str, Any]:
    """What the client reads, whose request it was that was answered so."""
    content = b"".join([piece async for piece in found.response.aiter_raw()]).decode()
    if found.response.headers["content-type"] == "application/json":
        said = json.loads(content)["choices"][0]["message"]["content"]
    else:
        chunks = [json.loads(line[6:]) for line in content.splitlines() if line.startswith("data: {")]
        said = "".join(choice["delta"].get("content", "") for one in chunks for choice in one["choices"])
    return json.loads(said)  # type: ignore[no-any-return]


async def run(asked: list[dict[str, Any]], sharing: Sharing, apart: bool, semantic: bool) -> int:
    """Ask it all, one after the other; how many were answered from the cache."""
    memory, upstream = AnswerCache(CacheLimits(20, 100_000, 10_000, 60)), Upstream(apart)
    meter = CacheMetrics(CollectorRegistry(), memory)
    finding = SimilarTexts(letters, 0.8, meter) if semantic else None
    cache = ResponseCache(upstream, upstream.first, memory, meter, sharing, similar_texts=finding)
    hits = 0
    for one in asked:
        call = call_of(one)
        found = await cache(call)
        answer, mine = await told(found), whose(call)
        hits += found.cached
        if sharing == "user":
            assert answer["users"] == mine["users"] and (any(mine["users"]) or not found.cached)
        if sharing in ("user", "key") or apart:
            assert answer["keys"] == mine["keys"]
        if sharing == "key" and found.cached:
            assert mine["keys"]
        assert answer["text"] == mine["text"] or (semantic and {answer["text"], mine["text"]} == set(TEXTS[:2]))
        assert not (found.cached and one["cache-control"])
        if finding is not None:
            await asyncio.gather(*finding._placing)
    cache.close()
    assert hits + upstream.asked == len(asked)
    return hits


@pytest.mark.parametrize("semantic", [False, True], ids=["exact", "semantic"])
@settings(max_examples=examples(100), deadline=None)
@given(st.lists(requests, min_size=10, max_size=40), st.sampled_from(["user", "key", "all"]), st.booleans())
def test_nobody_reads_what_was_answered_to_somebody_else(
    semantic: bool, asked: list[dict[str, Any]], sharing: Sharing, apart: bool
) -> None:
    asyncio.run(run(asked, sharing, apart, semantic))


@pytest.mark.parametrize(("semantic", "hits"), [(False, 1), (True, 2)])
def test_the_run_does_answer_from_the_cache(semantic: bool, hits: int) -> None:
    asked = [{**NOBODY, "user": "a", "text": TEXTS[place], "stream": place == 1, "cache-control": ""} for place in (0, 0, 1, 2)]
    assert asyncio.run(run([*asked, {**asked[0], "user": "b"}], "user", False, semantic)) == hits
