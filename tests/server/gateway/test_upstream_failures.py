"""Upstreams in trouble, keys, and clients that leave, over real HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from tests.server.conftest import WordModel
from tests.upstream_stub import WHOLE, Said, UpstreamStub, chunk, upstream_stub

from smidgen.cli import main
from smidgen.core.errors import InputError
from smidgen.gateway.upstreams import Requester, RetryPolicy
from smidgen.server.gateway.escalation import Escalation, Unreachable
from smidgen.server.gateway.fallback import fallback_targets
from smidgen.server.gateway.upstream import Upstream, UpstreamCall, UpstreamLimits
from smidgen.server.ops.prometheus import ServerMetrics
from smidgen.server.request import RequestBody
from smidgen.server.settings import ServeSettings

CHAT = "/v1/chat/completions"
PATIENCE = RetryPolicy(tries=3, first=0.001, longest=0.002, total=2.0)
SSE = {"Content-Type": "text/event-stream"}
BUSY = Said(status=503, body=b'{"error": {"message": "too hot, key-1"}}')


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path))
    monkeypatch.delenv("SMIDGEN_FALLBACK_KEY", raising=False)


@pytest.fixture
def second() -> Iterator[UpstreamStub]:
    with upstream_stub() as stub:
        yield stub


@pytest.fixture
def gateway(serve: Any, upstream: UpstreamStub) -> Any:
    """Start one over the word model `support`, which has no certificate."""
    given = {"fallback": (upstream.url,), "fallback_model": ("big",), "pass_paths": ("POST /v1/batches",)}
    return lambda **settings: serve(WordModel(), patience=PATIENCE, **{**given, **settings})


def asking(name: str = "support", **more: Any) -> dict[str, Any]:
    return {"model": name, "messages": [{"role": "user", "content": "a refund please"}], **more}


def metrics(running: Any, headers: dict[str, str] | None = None) -> list[str]:
    return [line for line in running.client.get("/metrics", headers=headers).text.splitlines() if "_created" not in line]


def test_a_passing_failure_is_tried_again_and_the_client_sees_none(gateway: Any, upstream: UpstreamStub) -> None:
    upstream.script = [Said(status=429, headers={"Retry-After": "0"}), BUSY]
    running = gateway()
    assert running.post(CHAT, asking()).content == WHOLE
    assert [body["model"] for body in upstream.bodies] == ["big"] * 3
    lines = metrics(running)
    name = "1:127.0.0.1"
    assert f'smidgen_upstream_errors_total{{kind="busy",upstream="{name}"}} 2.0' in lines
    assert f'smidgen_upstream_retries_total{{upstream="{name}"}} 2.0' in lines
    assert f'smidgen_upstream_breaker{{upstream="{name}"}} 0.0' in lines
    assert 'smidgen_gateway_requests_total{answered_by="upstream",model="support",why="no certificate"} 1.0' in lines


def test_retry_after_is_waited_for_and_a_wait_too_long_is_not(upstream: UpstreamStub) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def asked() -> list[int]:
        waits = UpstreamLimits(connect=5.0, read=5.0, whole=5.0, most=1000)
        one = Upstream(1, upstream.url, "big", None, own_authorization=False, waits=waits, connections=4)
        escalation = Escalation([one], RetryPolicy(tries=3, first=0.5, total=20.0), ServerMetrics(), sleep)
        call = UpstreamCall("POST", b"/chat/completions", b"", [], RequestBody(b'{"model": "support"}'), renamed=True)
        statuses = []
        for retry_after in ("7", "21"):
            upstream.script = [Said(status=429, headers={"Retry-After": retry_after})]
            try:
                response = (await escalation(call)).response
                statuses.append(response.status_code)
                await response.aclose()
            except Unreachable as error:
                statuses.append(error.status)
                assert error.after == 21.0 and error.response().headers["retry-after"] == "21"
        await escalation.close()
        return statuses

    assert asyncio.run(asked()) == [200, 503]
    assert slept == [7.0] and upstream.bodies == [{"model": "big"}] * 3


def test_what_may_have_been_done_is_not_done_twice(gateway: Any, upstream: UpstreamStub) -> None:
    upstream.script = [Said(status=500), Said(status=503)]
    running = gateway()
    assert running.post("/v1/batches", {"a": 1}).status_code == 500 and len(upstream.seen) == 1
    assert running.post("/v1/batches", {"a": 1}).content == WHOLE and len(upstream.seen) == 3


def test_a_refusal_passes_as_it_is(gateway: Any, upstream: UpstreamStub) -> None:
    upstream.script = [Said(status=400, body=b'{"error": {"message": "no such model"}}')]
    found = gateway().post(CHAT, asking())
    assert (found.status_code, found.content, len(upstream.seen)) == (400, b'{"error": {"message": "no such model"}}', 1)
    assert found.headers["x-smidgen-answered-by"] == "upstream"


def test_the_next_upstream_is_asked_and_then_an_error_says_what_happened(
    gateway: Any, upstream: UpstreamStub, second: UpstreamStub, error: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMIDGEN_FALLBACK_KEY", "key-1")
    upstream.answer = lambda seen: BUSY
    running = gateway(fallback=(upstream.url, second.url), fallback_model=("big", "bigger"))
    found = running.post(CHAT, asking())
    assert (found.content, found.headers["x-smidgen-model"]) == (WHOLE, "bigger")
    assert [body["model"] for body in upstream.bodies + second.bodies] == ["big"] * 3 + ["bigger"]
    second.answer = lambda seen: Said(status=500, body=b"<html>")
    failed = running.post(CHAT, asking())
    told = error(failed, 502)
    assert told["code"] == "upstream_failed" and "HTTP 500, at the last of 3 tries" in told["message"]
    assert "too hot" in told["message"] and "key-1" not in told["message"]
    assert failed.headers["x-smidgen-answered-by"] == "none" and failed.headers["x-should-retry"] == "false"
    assert failed.headers["x-smidgen-escalated"].startswith("no certificate")


def test_a_breaker_opens_and_the_upstream_is_left_alone(gateway: Any, upstream: UpstreamStub, error: Any) -> None:
    """It counts requests, whatever number of tries each has."""
    upstream.answer = lambda seen: BUSY
    running = gateway(api_key=("a", "b", "c"))

    def ask(key: str, model: str = "other") -> httpx.Response:
        return running.post(CHAT, asking(model), headers={"authorization": f"Bearer {key}"})

    for _ in range(5):
        assert error(ask("a"), 503)["code"] == "upstream_failed"
    assert len(upstream.seen) == 15
    refused = ask("a")
    assert error(refused, 503) and 1 <= int(refused.headers["retry-after"]) <= 20
    assert len(upstream.seen) == 15, "what one client asked for is asked no more"
    for _ in range(5):
        error(ask("b"), 503)
    assert len(upstream.seen) == 30
    error(ask("c"), 503)
    error(ask("a", "support"), 503)
    assert len(upstream.seen) == 30, "two clients, and all who asked, saw it fail: it is left alone"
    lines = metrics(running, {"authorization": "Bearer a"})
    assert 'smidgen_upstream_breaker{upstream="1:127.0.0.1"} 2.0' in lines
    assert 'smidgen_gateway_requests_total{answered_by="none",model="support",why="no certificate"} 1.0' in lines
    assert 'smidgen_gateway_requests_total{answered_by="none",model="",why="passed"} 12.0' in lines


def test_one_clients_bad_requests_shut_nobody_else_out(gateway: Any, upstream: UpstreamStub, error: Any) -> None:
    upstream.answer = lambda seen: Said(status=500) if b"poison" in seen.body else Said()
    running = gateway(api_key=("bad", "good"))

    def ask(key: str, model: str) -> int:
        return running.post(CHAT, asking(model), headers={"authorization": f"Bearer {key}"}).status_code

    poisoned = [ask("bad", "poison") for _ in range(8)]
    assert set(poisoned) <= {502, 503} and poisoned[-1] == 503
    assert [ask("good", "big"), ask("good", "poison"), ask("bad", "big")] == [200, 502, 200]
    assert 'smidgen_upstream_breaker{upstream="1:127.0.0.1"} 0.0' in metrics(running, {"authorization": "Bearer good"})


def test_an_upstream_that_is_not_there_is_left_alone_by_all(gateway: Any, error: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
    running = gateway(fallback=(nobody,), api_key=("a", "b"))
    for _ in range(5):
        error(running.post(CHAT, asking("x"), headers={"authorization": "Bearer a"}), 502)
    assert "left alone" in error(running.post(CHAT, asking("x"), headers={"authorization": "Bearer b"}), 503)["message"]


@pytest.mark.parametrize("fault", [httpx.PoolTimeout, httpx.LocalProtocolError])
def test_a_fault_of_this_side_does_not_open_the_breaker(
    upstream: UpstreamStub, monkeypatch: pytest.MonkeyPatch, fault: type[httpx.TransportError]
) -> None:
    """One client's broken requests must not take the upstream from all others."""
    one = Upstream(1, upstream.url, "big", None, own_authorization=False, waits=UpstreamLimits(1, 1, 1, 1000), connections=1)
    asked = Escalation([one], PATIENCE, ServerMetrics())

    async def broken(call: UpstreamCall) -> httpx.Response:
        raise fault("ours")

    async def run() -> None:
        monkeypatch.setattr(one, "send", broken)
        for _ in range(6):
            with pytest.raises(Unreachable):
                await asked(UpstreamCall("POST", b"/chat/completions", b"", [], RequestBody(b"{}")))
        assert one.breakers.allows(Requester())
        await asked.close()

    asyncio.run(run())


def test_no_connection_and_no_answer_in_time(gateway: Any, upstream: UpstreamStub, error: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
    assert "no connection" in error(gateway(fallback=(nobody,)).post(CHAT, asking()), 502)["message"]
    upstream.answer = lambda seen: Said(wait=0.8)
    assert "no answer in 0.2 s" in error(gateway(fallback_seconds=0.2).post(CHAT, asking()), 504)["message"]


def test_by_policy_the_small_model_answers_and_is_marked_as_uncertified(gateway: Any, upstream: UpstreamStub, error: Any) -> None:
    upstream.answer = lambda seen: BUSY
    running = gateway(when_upstream_fails="local")
    found = running.post(CHAT, asking())
    assert found.json()["choices"][0]["message"]["content"] == "billing/refund"
    told = {name: found.headers.get(f"x-smidgen-{name}") for name in ("answered-by", "uncertified", "certificate")}
    assert told == {"answered-by": "local", "uncertified": "upstream failed", "certificate": None}
    assert found.json()["smidgen"]["certificate"] is None and found.json()["smidgen"]["uncertified"] == "upstream failed"
    error(running.post(CHAT, asking("other")), 503)
    error(running.post(CHAT, asking(tools=[{"type": "function", "function": {"name": "f"}}])), 503)
    assert 'smidgen_gateway_requests_total{answered_by="local",model="support",why="upstream failed"} 1.0' in metrics(running)


def test_an_account_without_credit_is_no_end(
    gateway: Any, upstream: UpstreamStub, second: UpstreamStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    broke = Said(status=402, body=b'{"error":  {"message": "no credit, key-1"}}')
    monkeypatch.setenv("SMIDGEN_FALLBACK_KEY", "key-1")
    upstream.answer = lambda seen: broke
    two = {"fallback": (upstream.url, second.url), "fallback_model": ("big", "bigger")}
    for money in ({}, {"budget_day": 1.0, "price_in": 1.0, "price_out": 1.0}):
        running = gateway(**two, **money)
        found = running.post(CHAT, asking())
        assert (found.content, found.headers["x-smidgen-model"]) == (WHOLE, "bigger")
        assert 'smidgen_upstream_errors_total{kind="refused",upstream="1:127.0.0.1"} 1.0' in metrics(running)
        alone = gateway(**money)
        assert (alone.post(CHAT, asking()).status_code, alone.post(CHAT, asking()).content) == (402, broke.body)
        local = gateway(when_upstream_fails="local", **money).post(CHAT, asking())
        assert (local.status_code, local.headers["x-smidgen-uncertified"]) == (200, "upstream failed")
    second.answer = lambda seen: BUSY
    kept = gateway(**two).post(CHAT, asking())
    assert (kept.status_code, kept.content, kept.headers["x-smidgen-model"]) == (402, broke.body, "big")


def test_an_answer_that_breaks_off_is_never_tried_again_and_never_looks_whole(gateway: Any, upstream: UpstreamStub) -> None:
    running = gateway()
    upstream.script = [Said(pieces=[chunk("half")], headers=SSE, cut=True)]
    with (
        openai.OpenAI(base_url=f"{running.url}/v1", api_key="k", max_retries=0) as client,
        pytest.raises(openai.APIError, match="broke off"),
    ):
        for one in client.chat.completions.create(**asking(), stream=True):
            assert one.choices[0].delta.content == "half"
    upstream.script = [Said(cut=True)]
    with pytest.raises(httpx.RemoteProtocolError):
        running.post(CHAT, asking())
    upstream.script = [Said(pieces=[b"x" * 600_000] * 3, headers=SSE)]
    bounded = gateway(fallback_max_mb=1.0)
    assert b"larger than 1 MB" in bounded.post(CHAT, asking(stream=True)).content
    assert len(upstream.seen) == 3


def test_a_client_that_leaves_ends_the_upstreams_work(gateway: Any, upstream: UpstreamStub, caplog: pytest.LogCaptureFixture) -> None:
    upstream.script = [Said(pieces=[chunk("x" * 100)] * 300, headers=SSE, pause=0.02)]
    running = gateway()
    with running.client.stream("POST", CHAT, json=asking(stream=True)) as response:
        next(response.iter_raw())
    assert upstream.left.wait(5)
    assert running.post(CHAT, asking()).content == WHOLE
    assert [record.message for record in caplog.records if "failed" in record.message] == []


def test_a_client_that_leaves_before_the_answer_ends_it_too_and_is_no_failure(
    gateway: Any, upstream: UpstreamStub, caplog: pytest.LogCaptureFixture
) -> None:
    upstream.script = [Said(wait=2.0, body=b"x" * 20_000_000)]
    running = gateway()
    with pytest.raises(httpx.ReadTimeout):
        running.post(CHAT, asking(), timeout=1.0)
    assert upstream.left.wait(5)
    assert running.post(CHAT, asking()).content == WHOLE
    assert [record.message for record in caplog.records if "failed" in record.message] == []


def test_a_fallback_that_leads_back_does_not_go_round(serve: Any, error: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = serve(WordModel(), patience=PATIENCE, port=port, fallback=(f"http://127.0.0.1:{port}/v1",), fallback_model=("big",))
    assert error(running.post(CHAT, asking()), 508)["code"] == "fallback_loop"
    assert [card["id"] for card in running.client.get("/v1/models").json()["data"]] == ["support"]


def test_the_key_goes_up_and_nowhere_else(
    gateway: Any, upstream: UpstreamStub, second: UpstreamStub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    mine = {"authorization": "Bearer mine"}
    both = {"fallback": (upstream.url, second.url)}
    upstream.answer = lambda seen: BUSY
    gateway(**both).post(CHAT, asking(), headers=mine)
    assert {seen.headers.get("authorization") for seen in upstream.seen} == {"Bearer mine"}
    assert [seen.headers.get("authorization") for seen in second.seen] == [None]
    upstream.seen.clear(), second.seen.clear()
    gateway(api_key=("mine",)).post(CHAT, asking(), headers=mine)
    assert {seen.headers.get("authorization") for seen in upstream.seen} == {None}
    monkeypatch.setenv("SMIDGEN_FALLBACK_KEY", "key-1")
    upstream.seen.clear()
    running = gateway(**both, access_log=True)
    found = [running.post(CHAT, asking(), headers=mine), running.client.get("/metrics"), running.post(CHAT, asking("other"), headers=mine)]
    assert {seen.headers["authorization"] for seen in upstream.seen} == {"Bearer key-1"}
    assert {seen.headers.get("authorization") for seen in second.seen} == {None}
    assert [one for one in found if "key-1" in one.text + str(one.headers)] == [] and "key-1" not in caplog.text


THEIRS = {
    **{"Ocp-Apim-Subscription-Key": "hush", "Helicone-Auth": "hush", "x-portkey-api-key": "hush", "x-goog-api-key": "hush"},
    **{"OpenAI-Organization": "org-hush", "OpenAI-Project": "hush"},
}


def test_a_clients_credentials_go_to_the_first_fallback_alone_whatever_they_are_called(
    gateway: Any, upstream: UpstreamStub, second: UpstreamStub
) -> None:
    upstream.answer = lambda seen: BUSY
    running = gateway(fallback=(upstream.url, second.url))
    assert running.post(f"{CHAT}?limit=1&api-key=hush&sig=hush", asking(), headers=THEIRS).content == WHOLE
    for seen in upstream.seen:
        assert seen.path == f"{CHAT}?limit=1&api-key=hush&sig=hush"
        assert {name: seen.headers.get(name.lower()) for name in THEIRS} == THEIRS
    (seen,) = second.seen
    assert seen.path == f"{CHAT}?limit=1" and "hush" not in str(seen.headers)
    assert (seen.headers["content-type"], len(upstream.seen)) == ("application/json", 3)


def test_a_key_of_this_servers_goes_up_without_the_clients_and_without_its_account(
    gateway: Any, upstream: UpstreamStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An organisation of the client's is not that of the key."""
    monkeypatch.setenv("SMIDGEN_FALLBACK_KEY", "key-1")
    running = gateway()
    theirs = {name: value for name, value in THEIRS.items() if "openai" in name.lower() or "goog" in name}
    assert running.post(CHAT, asking("other"), headers={**theirs, "X-Title": "shop"}).content == WHOLE
    listed = running.client.get("/v1/models", headers=theirs)
    assert listed.status_code == 200 and [seen.path for seen in upstream.seen] == [CHAT, "/v1/models"]
    assert theirs and "hush" not in str([seen.headers for seen in upstream.seen])
    assert upstream.seen[0].headers["x-title"] == "shop", "what else a client says goes to the host that it meant"
    assert {seen.headers["authorization"] for seen in upstream.seen} == {"Bearer key-1"}


def test_what_a_fallback_cannot_be_is_said_before_anything_is_served(capsys: pytest.CaptureFixture[str]) -> None:
    def of(**settings: Any) -> list[Any]:
        return fallback_targets(
            ServeSettings(**settings), {"SMIDGEN_FALLBACK_KEY": "k1", "SMIDGEN_FALLBACK_KEY_2": "k2", "BAD": "two words"}
        )

    two = ("https://a.example/v1", "https://b.example/v1")
    made = of(fallback=two, fallback_model=("m",))
    assert [(target.key, target.model, target.own_authorization) for target in made] == [("k1", "m", True), ("k2", "m", False)]
    assert "k1" not in repr(made)
    same = of(fallback=(two[0], "https://A.example:443/v2", two[1]), fallback_model=("m",), secrets=None)
    assert [(target.key, target.own_headers) for target in same] == [("k1", True), ("k2", True), (None, False)]
    unkeyed = fallback_targets(
        ServeSettings(fallback=(two[0], "https://A.example:443/v2", two[1]), fallback_model=("m",), api_key=("x",)), {}
    )
    assert [target.own_headers for target in unkeyed] == [True, True, False]
    wrong: list[dict[str, Any]] = [
        {"fallback": two},
        {"fallback": two, "fallback_model": ("a", "b", "c")},
        {"fallback": two[:1], "fallback_model": ("a",), "fallback_key_env": ("UNSET",)},
        {"fallback": two[:1], "fallback_model": ("a",), "fallback_key_env": ("BAD",)},
        {"fallback": two, "fallback_model": ("a",), "fallback_key_env": ("SMIDGEN_FALLBACK_KEY",)},
        {"fallback_model": ("a",)},
    ]
    for settings in wrong:
        with pytest.raises(InputError) as caught:
            of(**settings)
        assert "two words" not in str(caught.value)
    assert main.code(["serve"]) == 2
    assert main.code(["serve", "--fallback", "http://u:hush@x/v1", "--fallback-model", "m"]) == 2
    said = capsys.readouterr()
    assert "--fallback" in said.err and "hush" not in said.err + said.out


def raw_upstream(*pieces: bytes, pause: float = 0.0) -> str:
    """The URL of a server that answers every request with these bytes, and closes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.recv(65536)
                    for piece in pieces:
                        connection.sendall(piece)
                        time.sleep(pause)

    threading.Thread(target=answer, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}/v1"


@pytest.mark.parametrize(
    ("head", "told"),
    [
        (b"HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\n{}", "its status is 999"),
        (b"HTTP/1.1 600 Odd\r\nContent-Length: 2\r\n\r\n{}", "its status is 600"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", "has a length and"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "connection broke"),
    ],
)
def test_an_answer_whose_head_two_servers_read_differently_is_none(gateway: Any, error: Any, head: bytes, told: str) -> None:
    failed = error(gateway(fallback=(raw_upstream(head),)).post(CHAT, asking("x")), 502)
    assert told in failed["message"] and failed["code"] == "upstream_failed"


def test_a_head_that_comes_a_byte_at_a_time_has_an_end(gateway: Any, error: Any) -> None:
    url = raw_upstream(b"HTTP/1.1 200 OK\r\nX: ", *[b"x"] * 100, pause=0.1)
    began = time.monotonic()
    running = gateway(fallback=(url,), fallback_seconds=0.3, fallback_connect_seconds=0.2)
    assert error(running.post(CHAT, asking("x")), 504)["code"] == "upstream_failed"
    assert time.monotonic() - began < 8, "it would take ten seconds a try"
