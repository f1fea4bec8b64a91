"""What each reply says that it cost and saved: in its headers, and where a bundle wrote it, in its field `smidgen`."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.certified_bundle import answer
from tests.server.conftest import running
from tests.server.gateway.test_certified import CHAT, PATIENCE, SURE, UNSURE, asking, certify
from tests.upstream_stub import WHOLE, Said, UpstreamStub, chunk

from smidgen.flows.local_model import Model
from smidgen.server.gateway import response_stream
from smidgen.store import usage_records
from smidgen.store.usage_records import today

LUNA = "gpt-6-luna"
COST = 3 * 0.1e-6 + 2 * 0.5e-6
"""Of the stub's answer: three tokens in, two out."""
JSON = {"Content-Type": "application/json"}
DONE = b"data: [DONE]\n\n"
FACES = {
    CHAT: asking(SURE),
    "/v1/completions": {"model": "support", "prompt": SURE},
    "/v1/responses": {"model": "support", "input": SURE},
}


@pytest.fixture
def gateway(serve: Any, upstream: UpstreamStub, model: Model) -> Callable[..., Any]:
    """Start one before the stub, whose model has a price, over a certified bundle."""
    certify(model)

    def start(**settings: Any) -> Any:
        return serve(model, patience=PATIENCE, **{"fallback": (upstream.url,), "fallback_model": (LUNA,), **settings})

    return start


@pytest.mark.parametrize("settings", [{}, {"budget_day": 1.0}, {"privacy": "mask", "threads": 1}], ids=["account", "budget", "border"])
def test_what_the_upstream_answers_says_what_it_cost_and_keeps_every_byte(gateway: Any, settings: dict[str, Any]) -> None:
    found = gateway(**settings).client.post(CHAT, json=asking(UNSURE), headers={"accept-encoding": "identity"})
    assert found.content == WHOLE and found.headers["x-smidgen-answered-by"] == "upstream"
    assert float(found.headers["x-smidgen-cost"]) == pytest.approx(COST) and "x-smidgen-saved" not in found.headers


def test_the_account_says_the_same(upstream: UpstreamStub, model: Model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    certify(model)
    with running(model, fallback=(upstream.url,), fallback_model=(LUNA,)) as server:
        spent = sum(float(server.post(CHAT, asking(UNSURE)).headers["x-smidgen-cost"]) for _ in range(3))
        saved = float(server.post(CHAT, asking(SURE, stream=True)).headers["x-smidgen-saved"])
    found = usage_records.read(today()).entries.values()
    assert (sum(entry.spent for entry in found), sum(entry.saved for entry in found)) == (round(spent * 1e9), round(saved * 1e9))
    assert spent > 0 and saved > 0


def test_what_is_packed_or_comes_in_pieces_is_told_too(gateway: Any, upstream: UpstreamStub) -> None:
    packed = gzip.compress(WHOLE)
    upstream.script = [
        Said(body=packed, headers={**JSON, "Content-Encoding": "gzip"}),
        Said(pieces=[WHOLE[:40], WHOLE[40:41], WHOLE[41:]], headers=JSON, pause=0.02),
    ]
    server = gateway()
    for encoding in ("gzip", "identity"):
        found = server.client.post(CHAT, json=asking(UNSURE), headers={"accept-encoding": encoding})
        assert found.content == WHOLE and float(found.headers["x-smidgen-cost"]) == pytest.approx(COST)


def test_what_is_not_known_is_not_said(gateway: Any, upstream: UpstreamStub) -> None:
    streamed = Said(pieces=[chunk("a"), DONE], headers={"Content-Type": "text/event-stream"})
    silent = Said(body=b'{"choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop"}]}')
    refused = Said(status=400, body=b'{"error":{"message":"no"}}')
    for settings, said in (
        ({}, streamed),
        ({}, silent),
        ({}, refused),
        ({"fallback_model": ("big",)}, Said()),
        ({"account": False}, Said()),
    ):
        upstream.script = [said]
        found = gateway(**settings).post(CHAT, asking(UNSURE))
        assert found.headers["x-smidgen-answered-by"] == "upstream" and "x-smidgen-cost" not in found.headers


def test_a_head_does_not_wait_for_an_upstream_that_says_it_is_at_work(gateway: Any, upstream: UpstreamStub) -> None:
    read = threading.Event()
    upstream.script = [Said(pieces=[b"\n", WHOLE], headers=JSON, hold=read)]
    with gateway().client.stream("POST", CHAT, json=asking(UNSURE)) as response:
        assert not read.is_set() and "x-smidgen-cost" not in response.headers
        read.set()
        assert b"".join(response.iter_raw()) == b"\n" + WHOLE


def test_a_head_waits_for_no_long_answer(gateway: Any, upstream: UpstreamStub) -> None:
    read = threading.Event()
    long = [b'{"choices":[],"x":"', b"x" * response_stream._MOST_KEPT + b'"}']
    upstream.script = [Said(pieces=[b"".join(long), b" "], headers=JSON, hold=read)]
    with gateway().client.stream("POST", CHAT, json=asking(UNSURE)) as response:
        assert not read.is_set() and "x-smidgen-cost" not in response.headers
        read.set()
        assert b"".join(response.iter_raw()) == b"".join(long) + b" "


def test_one_that_breaks_off_before_its_head_looks_like_no_whole_answer(gateway: Any, upstream: UpstreamStub) -> None:
    server = gateway()
    upstream.script = [Said(pieces=[WHOLE[:40]], headers=JSON, cut=True)]
    with pytest.raises(httpx.RemoteProtocolError), server.client.stream("POST", CHAT, json=asking(UNSURE)) as response:
        assert response.status_code == 200 and "x-smidgen-cost" not in response.headers
        response.read()


@pytest.mark.parametrize("path", FACES)
def test_a_local_answer_says_the_same_whole_and_streamed(gateway: Any, upstream: UpstreamStub, path: str) -> None:
    server = gateway()
    whole = server.post(path, FACES[path])
    streamed = server.post(path, {**FACES[path], "stream": True})
    ending = last(streamed.content)
    told, known = whole.json()["smidgen"], (ending.get("response") or ending)["smidgen"]
    for name in ("answered_by", "certificate", "cost", "saved"):
        assert known[name] == told[name], name
    assert (told["answered_by"], told["certificate"], told["cost"]) == ("local", "0" * 31 + "1", {"usd": 0.0})
    assert told["saved"]["usd"] > 0 and told["saved"]["tokens"]["output"] == -(-len(answer(3)) // 4)
    for found in (whole, streamed):
        assert float(found.headers["x-smidgen-saved"]) == told["saved"]["usd"] and float(found.headers["x-smidgen-cost"]) == 0
    assert upstream.seen == []


def test_a_stream_keeps_what_its_face_said_and_its_end(gateway: Any) -> None:
    said = {**asking(SURE), "stream": True, "stream_options": {"include_usage": True}}
    found = gateway().post(CHAT, said)
    events = [json.loads(event.removeprefix(b"data: ")) for event in found.content.split(b"\n\n") if b"{" in event]
    assert found.content.endswith(DONE) and events[-1]["usage"] and events[-1]["choices"] == [] and "smidgen" not in events[-1]
    assert events[-2]["choices"][0]["finish_reason"] == "stop" and events[-2]["smidgen"]["output"] == answer(3)
    assert [sorted(event.get("smidgen", ())) == [] for event in events[:-2]] == [True, True]


def test_without_a_price_nothing_is_made_up(gateway: Any) -> None:
    found = gateway(fallback_model=("big",)).post(CHAT, {**asking(SURE), "stream": True})
    assert "saved" not in last(found.content)["smidgen"] and "x-smidgen-saved" not in found.headers
    assert last(found.content)["smidgen"]["certificate"] == "0" * 31 + "1"


def test_an_answer_in_an_upstreams_place_does_not_say_that_nothing_was_spent(gateway: Any, upstream: UpstreamStub) -> None:
    upstream.answer = lambda seen: Said(status=500)
    found = gateway(when_upstream_fails="local").post(CHAT, {**asking(UNSURE), "stream": True})
    known = last(found.content)["smidgen"]
    assert (known["uncertified"], known["certificate"], known["escalated"]) == ("upstream failed", None, "score")
    assert "cost" not in known and "x-smidgen-cost" not in found.headers and float(found.headers["x-smidgen-saved"]) > 0


def test_the_cache_says_that_it_cost_nothing(gateway: Any) -> None:
    server = gateway(cache="exact", cache_scope="all")
    first, again = (server.post(CHAT, asking(UNSURE, temperature=0)) for _ in range(2))
    assert [found.headers["x-smidgen-answered-by"] for found in (first, again)] == ["upstream", "cache"]
    assert float(again.headers["x-smidgen-cost"]) == 0
    assert float(again.headers["x-smidgen-saved"]) == float(first.headers["x-smidgen-cost"]) == pytest.approx(COST)


def test_what_the_operator_says_is_the_price_of_all_that_is_saved(gateway: Any) -> None:
    for model in ("big", LUNA):
        server = gateway(fallback_model=(model,), price_in=10.0, price_out=20.0, cache="exact", cache_scope="all")
        local = server.post(CHAT, asking(SURE))
        told = local.json()["smidgen"]["saved"]
        given, got = told["tokens"]["input"], told["tokens"]["output"]
        assert told["usd"] == pytest.approx((given * 10 + got * 20) / 1e6) == float(local.headers["x-smidgen-saved"])
        assert told["at_given_price_of"] == model and "at_list_price_of" not in told
        first, again = (server.post(CHAT, asking(UNSURE, temperature=0)) for _ in range(2))
        assert float(first.headers["x-smidgen-cost"]) == float(again.headers["x-smidgen-saved"]) == pytest.approx((3 * 10 + 2 * 20) / 1e6)


def last(stream: bytes) -> dict[str, Any]:
    """The last event of a stream that holds something."""
    found: dict[str, Any] = json.loads([line for line in stream.splitlines() if line.startswith(b"data: {")][-1].removeprefix(b"data: "))
    return found
