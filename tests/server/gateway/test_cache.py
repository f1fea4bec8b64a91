"""The cache over real HTTP: the same request of the same scope gets the upstream's answer again, and nobody else does."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from tests.certified_bundle import text
from tests.eventually import eventually
from tests.server.conftest import Running, running
from tests.server.gateway.test_auditor import AGAINST_MODEL, right, until
from tests.server.gateway.test_border import metric
from tests.server.gateway.test_certified import certify
from tests.server.traffic.test_capture import rows
from tests.upstream_stub import WHOLE, Said, Seen, UpstreamStub, chunk, upstream_stub

from smidgen.cli import main
from smidgen.flows.local_model import Model
from smidgen.gateway.upstreams import RetryPolicy
from smidgen.server.gateway import response_cache
from smidgen.store import usage_records as accounts
from smidgen.store.traffic.store import opened
from smidgen.store.usage_records import today

PATIENCE = RetryPolicy(tries=2, first=0.001, longest=0.002, total=1.0)
CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
SURE = text(3, 1)
DONE = b"data: [DONE]\n\n"


@pytest.fixture
def gateway(upstream: UpstreamStub) -> Iterator[Callable[..., Running]]:
    """Start one before the stub, with an exact cache; without a bundle, where none is given."""
    with ExitStack() as stack:

        def start(*models: Any, **settings: Any) -> Running:
            chosen = {"fallback": (upstream.url,), "fallback_model": ("big",), "cache": "exact", **settings}
            return stack.enter_context(running(*models, patience=PATIENCE, **chosen))

        yield start


def asking(said: Any, user: str | None = "ann", name: str = "big", **more: Any) -> dict[str, Any]:
    found = {"model": name, "messages": [{"role": "user", "content": said}], **more}
    return found if user is None else {**found, "user": user}


def who(response: httpx.Response) -> str:
    return response.headers["x-smidgen-answered-by"]


def echo(seen: Seen) -> Said:
    """An upstream that says what it was asked, and how often it was asked anything."""
    body = json.loads(seen.body)
    said = body["prompt"] if "prompt" in body else body["messages"][-1]["content"]
    choice: dict[str, Any] = {"index": 0, "finish_reason": "stop"}
    choice |= {"text": said} if "prompt" in body else {"message": {"role": "assistant", "content": f"You said: {said}"}}
    usage = {"prompt_tokens": 300, "completion_tokens": 20, "total_tokens": 320}
    return Said(body=json.dumps({"id": "u", "object": "o", "created": 1, "model": "big", "choices": [choice], "usage": usage}).encode())


def streamed(*texts: str, usage: bool = True, ending: bytes = DONE, finish: str = "stop") -> Said:
    """An upstream's stream."""
    last = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "big"}
    end = {**last, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}
    sizes = {**last, "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}
    pieces = [chunk(one) for one in texts] + [b"data: " + json.dumps(end).encode() + b"\n\n"]
    pieces += [b"data: " + json.dumps(sizes).encode() + b"\n\n"] if usage else []
    return Said(headers={"Content-Type": "text/event-stream"}, pieces=[one for one in (*pieces, ending) if one])


def test_the_same_request_gets_the_answer_again_and_says_so(gateway: Any, upstream: UpstreamStub) -> None:
    running = gateway(fallback_model=("gpt-6-luna",))
    upstream.answer = echo
    first, again = (running.post(CHAT, asking("hello", name="gpt-6-luna")) for _ in range(2))
    assert (who(first), who(again), len(upstream.seen)) == ("upstream", "cache", 1)
    assert first.headers["cache-status"] == "smidgen; fwd=miss" and "x-smidgen-cached" not in first.headers
    told = {name: again.headers.get(name) for name in ("x-smidgen-cached", "cache-status", "x-smidgen-model", "x-smidgen-uncertified")}
    assert told == {
        "x-smidgen-cached": "exact",
        "cache-status": "smidgen; hit; detail=exact",
        "x-smidgen-model": "gpt-6-luna",
        "x-smidgen-uncertified": "from the cache",
    }
    assert int(again.headers["age"]) >= 0
    facts = again.json().pop("smidgen")
    assert {**again.json(), "smidgen": 0} == {**first.json(), "smidgen": 0}
    assert (facts["answered_by"], facts["certificate"], facts["cached"]) == ("cache", None, "exact")
    assert facts["saved"]["tokens"] == {"input": 300, "output": 20}
    assert facts["saved"]["usd"] > 0 and float(again.headers["x-smidgen-saved"]) == facts["saved"]["usd"]
    assert metric(running, "smidgen_gateway_requests_total", answered_by="cache", model="", why="passed") == 1
    assert [metric(running, "smidgen_cache_requests_total", outcome=name) for name in ("exact", "miss")] == [1, 1]


def test_by_default_every_request_is_asked_and_nothing_speaks_of_a_cache(gateway: Any, upstream: UpstreamStub) -> None:
    running = gateway(cache="off")
    found = [running.post(CHAT, asking("hello"), headers={"accept-encoding": "gzip"}) for _ in range(2)]
    assert [(one.content, who(one)) for one in found] == [(WHOLE, "upstream")] * 2 and len(upstream.seen) == 2
    assert not {"age", "cache-status", "x-smidgen-cached"} & set(found[1].headers)
    assert "smidgen_cache" not in running.client.get("/metrics").text
    assert [seen.headers["accept-encoding"] for seen in upstream.seen] == ["gzip"] * 2


def test_an_answer_is_given_as_it_is_asked_for_streamed_or_not(gateway: Any, upstream: UpstreamStub) -> None:
    running = gateway()
    client = openai.OpenAI(base_url=f"{running.url}/v1", api_key="k", max_retries=0)
    upstream.script = [streamed("from ", "above"), Said()]
    asked: dict[str, Any] = {"model": "big", "user": "ann"}

    def stream(said: str, **more: Any) -> tuple[str, Any]:
        chunks = list(client.chat.completions.create(messages=[{"role": "user", "content": said}], stream=True, **asked, **more))
        found = "".join(one.choices[0].delta.content or "" for one in chunks if one.choices)
        assert [one.choices[0].finish_reason for one in chunks if one.choices][-1] == "stop"
        return found, chunks[-1].usage

    def whole(said: str) -> Any:
        return client.chat.completions.create(messages=[{"role": "user", "content": said}], **asked)

    assert stream("one")[0] == "from above"
    found = whole("one")
    assert (found.choices[0].message.content, found.choices[0].finish_reason, found.usage.total_tokens) == ("from above", "stop", 5)
    assert whole("two").choices[0].message.content == "from above"
    told, usage = stream("two", stream_options={"include_usage": True})
    assert (told, usage.total_tokens) == ("from above", 5)
    assert stream("two") == ("from above", None)
    assert len(upstream.seen) == 2


def test_a_cached_stream_says_in_its_end_what_a_whole_answer_says(gateway: Any, upstream: UpstreamStub) -> None:
    running = gateway()
    running.post(CHAT, asking("hello"))
    found = running.post(CHAT, asking("hello", stream=True))
    assert found.headers["content-type"] == "text/event-stream" and found.content.endswith(DONE)
    events = [json.loads(line[6:]) for line in found.text.splitlines() if line.startswith("data: {")]
    assert events[-1]["smidgen"]["answered_by"] == "cache" and all(one["object"] == "chat.completion.chunk" for one in events)


def test_nobody_is_told_a_size_that_no_one_counted(gateway: Any, upstream: UpstreamStub) -> None:
    running = gateway()
    upstream.script = [streamed("from above", usage=False)]
    running.post(CHAT, asking("hello", stream=True))
    assert who(running.post(CHAT, asking("hello", stream=True))) == "cache"
    assert who(running.post(CHAT, asking("hello", stream=True, stream_options={"include_usage": True}))) == "upstream"
    assert who(running.post(CHAT, asking("hello"))) == "cache"  # the fresh answer has its size
    assert len(upstream.seen) == 2


def test_completions_are_cached_too(gateway: Any, upstream: UpstreamStub) -> None:
    running, upstream.answer = gateway(), echo
    body = {"model": "big", "prompt": "once", "user": "ann"}
    first, again, stream = (running.post(COMPLETIONS, {**body, **more}) for more in ({}, {}, {"stream": True}))
    assert [who(one) for one in (first, again, stream)] == ["upstream", "cache", "cache"]
    assert again.json()["choices"] == first.json()["choices"]
    assert '"text":"once"' in stream.text and stream.content.endswith(DONE)


def test_what_escalates_is_cached_and_what_a_certificate_covers_never_is(gateway: Any, upstream: UpstreamStub, model: Model) -> None:
    running = gateway(model)
    first, again = (running.post(CHAT, asking(SURE, name="support")) for _ in range(2))
    assert (who(first), who(again)) == ("upstream", "cache")
    assert again.headers["x-smidgen-escalated"] == first.headers["x-smidgen-escalated"] == "no certificate"
    assert who(running.post(CHAT, asking(SURE))) == "cache"  # the upstream would be sent the same
    certify(model)
    covered = running.post(CHAT, asking(SURE, name="support"))
    assert who(covered) == "local" and "x-smidgen-cached" not in covered.headers
    quality = running.post(CHAT, asking(SURE, name="support@0.99"))
    assert who(quality) == "cache" and "x-smidgen-certificate" not in quality.headers and quality.json()["smidgen"]["certificate"] is None
    unsure = [running.post(CHAT, asking(text(90, 1), name="support")) for _ in range(2)]
    assert [who(one) for one in unsure] == ["upstream", "cache"]
    assert "x-smidgen-certificate" in unsure[0].headers and "x-smidgen-certificate" not in unsure[1].headers
    assert len(upstream.seen) == 2


CHANGES: list[dict[str, Any]] = [
    {"model": "other"},
    {"temperature": 0},
    {"max_tokens": 7},
    {"seed": 1},
    {"response_format": {"type": "json_object"}},
    {"messages": [{"role": "user", "content": "hello "}]},
    {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "hello"}]},
    {"messages": [{"role": "assistant", "content": "hello"}]},
    {"messages": [{"role": "user", "content": "hello", "name": "n"}]},
    {"metadata": {"a": "b"}},
    {"tools": [{"type": "function", "function": {"name": "f"}}]},
    {"user": "bob"},
    {"safety_identifier": "ann"},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda one: next(iter(one)))
def test_a_request_that_differs_in_anything_is_asked(gateway: Any, upstream: UpstreamStub, change: dict[str, Any]) -> None:
    running = gateway()
    running.post(CHAT, asking("hello"))
    assert who(running.post(CHAT, {**asking("hello"), **change})) == "upstream"
    assert who(running.post(CHAT, asking("hello"))) == "cache"


@pytest.mark.parametrize("header", ["openai-organization", "api-version", "x-anything"])
def test_headers_that_could_change_an_answer_count(gateway: Any, upstream: UpstreamStub, header: str) -> None:
    running = gateway()
    running.post(CHAT, asking("hello"), headers={header: "1"})
    assert who(running.post(CHAT, asking("hello"), headers={header: "2"})) == "upstream"
    assert (
        who(
            running.post(
                CHAT,
                asking("hello"),
                headers={header: "1", "user-agent": "another", "x-forwarded-for": "10.0.0.1", "x-stainless-retry-count": "1"},
            )
        )
        == "cache"
    )


def test_how_it_is_sent_and_spelt_changes_nothing(gateway: Any, upstream: UpstreamStub) -> None:
    running = gateway()
    running.post(CHAT, asking("hällo"))
    body = b'{"user": "ann", "prompt_cache_key": "x", "messages" :[{"content":"h\\u00e4llo","role":"user"}],  "model":"big"}'
    assert who(running.client.post(CHAT, content=body, headers={"content-type": "application/json"})) == "cache"


SCOPES = [
    ("user", {"user": "ann"}, {"user": "bob"}),
    ("user", {"user": "ann"}, {"safety_identifier": "ann"}),
    ("user", {"user": "ann"}, {"x-smidgen-user": "ann"}),
    ("user", {"user": "ann", "authorization": "Bearer one"}, {"user": "ann", "authorization": "Bearer two"}),
    ("user", {"user": "ann", "x-api-key": "one"}, {"user": "ann", "api-key": "one"}),
    ("user", {"user": "ann", "authorization": "Bearer one"}, {"user": "ann"}),
    ("key", {"authorization": "Bearer one"}, {"authorization": "Bearer two"}),
    ("all", {"authorization": "Bearer one"}, {"authorization": "Bearer two"}),  # they go upstream: who has none must not read
]


def sent(running: Running, said: str, scope: dict[str, str]) -> httpx.Response:
    """A request of a scope: some of it stands in the body, some in headers."""
    fields = {name: value for name, value in scope.items() if name in ("user", "safety_identifier")}
    headers = {name: value for name, value in scope.items() if name not in fields}
    return running.post(CHAT, {**asking(said, None), **fields}, headers=headers)


@pytest.mark.parametrize(("sharing", "one", "other"), SCOPES)
def test_no_answer_crosses_scopes(gateway: Any, upstream: UpstreamStub, sharing: str, one: dict[str, str], other: dict[str, str]) -> None:
    running = gateway(cache_scope=sharing)
    assert [who(sent(running, "hello", scope)) for scope in (one, other, one, other)] == ["upstream", "upstream", "cache", "cache"]


@pytest.mark.parametrize(
    ("sharing", "scope"), [("user", {}), ("user", {"user": " "}), ("user", {"authorization": "Bearer one"}), ("key", {"user": "ann"})]
)
def test_a_request_that_names_nobody_is_nobodys(gateway: Any, upstream: UpstreamStub, sharing: str, scope: dict[str, str]) -> None:
    running = gateway(cache_scope=sharing)
    found = [sent(running, "hello", scope) for _ in range(2)]
    assert [who(one) for one in found] == ["upstream"] * 2
    assert found[1].headers["cache-status"] == "smidgen; fwd=bypass; detail=unnamed"
    assert metric(running, "smidgen_cache_requests_total", outcome="unnamed") == 2


def test_all_share_only_where_it_is_said_and_the_key_upstream_is_the_servers(
    gateway: Any, upstream: UpstreamStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMIDGEN_FALLBACK_KEY", "secret")
    running = gateway(cache_scope="all")
    assert [who(sent(running, "hello", scope)) for scope in ({}, {"user": "bob"}, {"authorization": "Bearer x"})] == [
        "upstream",
        "cache",
        "cache",
    ]
    shared = gateway(cache_scope="key", api_key=("one", "two"))
    keys = ["one", "one", "two"]
    assert [who(sent(shared, "hello", {"authorization": f"Bearer {key}"})) for key in keys] == ["upstream", "cache", "upstream"]
    assert sent(shared, "hello", {"authorization": "Bearer three"}).status_code == 401


def test_what_is_no_whole_answer_is_not_kept(gateway: Any, upstream: UpstreamStub) -> None:
    def choice(**more: Any) -> bytes:
        message = {"role": "assistant", "content": "x", **more.pop("message", {})}
        return json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop", **more}]}).encode()

    events = {"Content-Type": "text/event-stream"}
    answers = [
        Said(status=400, body=b'{"error":{"message":"no"}}'),
        Said(body=choice(finish_reason="length")),
        Said(body=choice(finish_reason="content_filter")),
        Said(body=choice(finish_reason=None)),
        Said(
            body=choice(
                finish_reason="tool_calls",
                message={"content": None, "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]},
            )
        ),
        Said(body=choice(message={"refusal": "I will not"})),
        Said(body=choice(message={"content": " "})),
        Said(body=choice(error={"message": "broke"})),
        Said(body=b'{"error":{"message":"busy"}}'),
        Said(body=b"[1]"),
        Said(body=b"not json"),
        Said(body=WHOLE, headers={"Content-Type": "application/json", "Cache-Control": "private, no-store"}),
        Said(body=WHOLE, headers={"Content-Type": "application/json", "Content-Encoding": "br"}),
        streamed("from above", ending=b""),
        streamed("from above", finish="length"),
        Said(headers=events, pieces=[chunk("a"), b'data: {"error": {"message": "x"}}\n\n', DONE]),
        Said(headers=events, pieces=[chunk("a").replace(b'"model"', b'"citations": ["x"], "model"'), *(streamed("b").pieces or [])]),
        Said(headers=events, pieces=[b'data: {"choices": {"a": 1}}\n\n', DONE]),
    ]
    running = gateway()
    for number, answer in enumerate(answers):
        upstream.script = [answer]
        said = asking(f"number {number}", stream=bool(answer.pieces))
        with running.client.stream("POST", CHAT, json=said) as response:
            for _ in response.iter_raw():  # whatever its encoding says
                pass
        assert who(running.post(CHAT, said)) == "upstream", number
    assert len(upstream.seen) == 2 * len(answers)


def test_a_stream_that_breaks_off_is_not_kept(gateway: Any, upstream: UpstreamStub) -> None:
    running = gateway()
    whole = streamed("from above")
    upstream.script = [Said(headers=whole.headers, pieces=whole.pieces, cut=True)]
    assert b"upstream_broke_off" in running.post(CHAT, asking("hello", stream=True)).content
    assert who(running.post(CHAT, asking("hello", stream=True))) == "upstream"


def test_a_client_that_hangs_up_leaves_no_half_answer(gateway: Any, upstream: UpstreamStub) -> None:
    running = gateway()
    gate = threading.Event()
    whole = streamed("from ", "above")
    upstream.script = [Said(headers=whole.headers, pieces=whole.pieces, hold=gate)]
    with running.client.stream("POST", CHAT, json=asking("hello", stream=True)) as response:
        next(response.iter_raw())
    eventually(lambda: "smidgen_requests_running 1.0" in running.client.get("/metrics").text.splitlines())
    gate.set()
    assert who(running.post(CHAT, asking("hello"))) == "upstream"
    assert who(running.post(CHAT, asking("hello"))) == "cache"


ODD: list[tuple[str, dict[str, Any]]] = [
    ("drawn", {"temperature": 0.7}),
    ("drawn", {"temperature": "hot"}),
    ("unsuited", {"n": 2}),
    ("unsuited", {"store": True}),
    ("unsuited", {"web_search_options": {}}),
    ("unsuited", {"unheard_of": 1}),
    ("unsuited", {"tools": [{"type": "web_search"}]}),
    ("unsuited", {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.org/now.png"}}]}]}),
    ("unsuited", {"messages": "hello"}),
    ("unsuited", {"model": None}),
    ("unnamed", {"user": 7}),
]


@pytest.mark.parametrize(("why", "change"), ODD)
def test_what_the_request_alone_does_not_decide_is_not_cached(
    gateway: Any, upstream: UpstreamStub, why: str, change: dict[str, Any]
) -> None:
    running = gateway()
    found = [running.post(CHAT, {**asking("hello"), **change}) for _ in range(2)]
    assert [who(one) for one in found] == ["upstream"] * 2
    assert found[1].headers["cache-status"] == f"smidgen; fwd=bypass; detail={why}"


def test_a_body_that_names_a_field_twice_is_not_cached(gateway: Any, upstream: UpstreamStub) -> None:
    running = gateway()
    body = b'{"model":"big","user":"ann","user":"bob","messages":[{"role":"user","content":"hello"}]}'
    found = [running.client.post(CHAT, content=body, headers={"content-type": "application/json"}) for _ in range(2)]
    assert [who(one) for one in found] == ["upstream"] * 2


def test_a_deep_body_is_passed_on(gateway: Any, upstream: UpstreamStub) -> None:
    deep: Any = {}
    for _ in range(400):
        deep = {"a": deep}
    running = gateway()
    assert running.post(CHAT, asking("hello", response_format=deep)).status_code == 200


def test_drawn_answers_are_cached_where_a_seed_or_the_owner_says_so(gateway: Any, upstream: UpstreamStub) -> None:
    running = gateway()
    assert [who(running.post(CHAT, asking("hello", temperature=0.7, seed=1))) for _ in range(2)] == ["upstream", "cache"]
    drawn = gateway(cache_drawn=True)
    assert [who(drawn.post(CHAT, asking("hello", temperature=0.7))) for _ in range(2)] == ["upstream", "cache"]


def test_a_client_says_what_it_wants_of_the_cache(gateway: Any, upstream: UpstreamStub) -> None:
    upstream.script = [Said(body=WHOLE.replace(b"from above", b"number %d" % number)) for number in range(4)]
    running = gateway()

    def ask(**headers: str) -> tuple[str, str]:
        found = running.post(CHAT, asking("hello"), headers={name.replace("_", "-"): value for name, value in headers.items()})
        return found.json()["choices"][0]["message"]["content"], found.headers["cache-status"].removeprefix("smidgen; ")

    assert ask() == ("number 0", "fwd=miss")
    assert ask(cache_control="No-Store") == ("number 1", "fwd=bypass; detail=no-store")
    assert ask() == ("number 0", "hit; detail=exact")
    assert ask(cache_control="max-age=0, no-cache") == ("number 2", "fwd=request")
    assert ask(cache_control="max-age=3600") == ("number 2", "hit; detail=exact")
    assert ask(pragma="no-cache") == ("number 3", "fwd=request")
    assert ask() == ("number 3", "hit; detail=exact")


def test_a_cached_answer_costs_nothing_and_comes_where_the_budget_is_used_up(
    gateway: Any, upstream: UpstreamStub, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path))
    upstream.answer = echo
    running = gateway(fallback_model=("gpt-6-luna",), budget_day=0.05)
    body = asking("hello", name="gpt-6-luna", max_tokens=1000)
    found = [running.post(CHAT, body) for _ in range(30)]
    assert [who(one) for one in found] == ["upstream", *["cache"] * 29]
    big = asking("another", name="gpt-6-luna", max_tokens=9_000_000)
    assert running.post(CHAT, big).status_code == 429
    assert who(running.post(CHAT, body)) == "cache"


def test_a_stream_whose_usage_the_budget_asked_for_is_kept_with_it(
    gateway: Any, upstream: UpstreamStub, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path))
    upstream.answer = lambda seen: streamed("Hel", "lo")
    running = gateway(fallback_model=("gpt-6-luna",), budget_day=1.0)
    plain = asking("hello", name="gpt-6-luna", max_tokens=100, stream=True)
    first, again = running.post(CHAT, plain), running.post(CHAT, plain)
    counted = running.post(CHAT, {**plain, "stream_options": {"include_usage": True}})
    assert [who(one) for one in (first, again, counted)] == ["upstream", "cache", "cache"]
    assert b'"prompt_tokens"' not in first.content + again.content, "the client did not ask for it"
    assert float(again.headers["x-smidgen-saved"]) > 0
    assert b'"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}' in counted.content


def test_a_cached_answer_comes_where_no_upstream_does(gateway: Any, upstream: UpstreamStub) -> None:
    running = gateway()
    running.post(CHAT, asking("hello"))
    upstream.answer = lambda seen: Said(status=503, body=b"")
    assert running.post(CHAT, asking("another")).status_code == 503
    assert who(running.post(CHAT, asking("hello"))) == "cache"


def test_the_answer_of_a_second_fallback_is_not_kept(gateway: Any, upstream: UpstreamStub) -> None:
    with upstream_stub() as second:
        running = gateway(fallback=(upstream.url, second.url), fallback_model=("big", "small"))
        upstream.script = [Said(status=503)] * 2
        assert [who(running.post(CHAT, asking("hello"))) for _ in range(3)] == ["upstream", "upstream", "cache"]
        assert metric(running, "smidgen_cache_answers_total", outcome="second") == 1


def test_no_more_is_kept_than_is_allowed(gateway: Any, upstream: UpstreamStub) -> None:
    running, upstream.answer = gateway(cache_entries=2), echo
    for said in ("one", "two", "one", "three"):
        running.post(CHAT, asking(said))
    assert [who(running.post(CHAT, asking(said))) for said in ("one", "three", "two")] == ["cache", "cache", "upstream"]
    small = gateway(cache_mb=0.1)
    long = asking("x" * 8_000)
    assert [who(small.post(CHAT, long)) for _ in range(2)] == ["upstream"] * 2
    assert metric(small, "smidgen_cache_answers_total", outcome="large") == 2
    assert [who(small.post(CHAT, asking("short"))) for _ in range(2)] == ["upstream", "cache"]


def test_requests_at_once_wait_for_nobody(gateway: Any, upstream: UpstreamStub) -> None:
    running = gateway()
    gate = threading.Event()
    whole = streamed("from ", "above")
    upstream.script = [Said(headers=whole.headers, pieces=whole.pieces, hold=gate)]
    with running.client.stream("POST", CHAT, json=asking("hello", stream=True)) as held:
        pieces = held.iter_raw()
        next(pieces)
        with httpx.Client(base_url=running.url, timeout=20) as other:
            assert who(other.post(CHAT, json=asking("hello"))) == "upstream"
        gate.set()
        assert b"".join(pieces).endswith(DONE)
    assert len(upstream.seen) == 2 and who(running.post(CHAT, asking("hello"))) == "cache"


def test_with_a_privacy_policy_what_is_kept_is_masked_and_each_request_has_its_own_values_back(
    gateway: Any, upstream: UpstreamStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    memories: list[Any] = []
    made = response_cache.AnswerCache
    monkeypatch.setattr(response_cache, "AnswerCache", lambda bounds: memories.append(made(bounds)) or memories[-1])
    upstream.answer = echo
    running = gateway(privacy="mask", threads=1)
    mails = ["m.holloway@example.org", "p.smith@example.org"]
    found = [running.post(CHAT, asking(f"Write to {mail}, please.", stream=number == 2)) for number, mail in enumerate([*mails, mails[0]])]
    assert [who(one) for one in found] == ["upstream", "cache", "cache"]
    for one, mail in zip(found[:2], mails, strict=True):
        assert one.json()["choices"][0]["message"]["content"] == f"You said: Write to {mail}, please."
    assert mails[0] in found[2].text and "EMAIL_1" not in found[2].text
    (memory,) = memories
    (entry,) = memory._entries.values()
    assert b"[EMAIL_1]" in entry.answer.body and entry.question.text == ""
    assert "example.org" not in repr(entry)
    assert who(running.post(CHAT, asking(f"Write to {mails[0]}, please.", "bob"))) == "upstream"


def test_what_may_not_leave_is_not_answered_from_the_cache_either(gateway: Any, upstream: UpstreamStub) -> None:
    running = gateway(privacy="block", threads=1)
    assert running.post(CHAT, asking("Write to m.holloway@example.org")).status_code == 422
    assert [who(running.post(CHAT, asking("hello", "u1"))) for _ in range(2)] == ["upstream", "cache"]


def test_what_was_cached_is_stored_as_such_and_never_learnt_from_again(gateway: Any, upstream: UpstreamStub, model: Model) -> None:
    upstream.answer = echo
    running = gateway(model, fallback_model=("gpt-6-luna",), capture="answers", capture_redact="allow", capture_held_out=0.0)
    for _ in range(3):
        running.post(CHAT, asking(text(90, 1), name="support"))
    found = rows(count=3)
    assert [row["answered_by"] for row in found] == ["upstream", "cache", "cache"]
    assert [(row["answer"] is None, row["cost_usd"] is None, row["saved_usd"] is None) for row in found] == [
        (False, False, True),
        (True, True, False),
        (True, True, False),
    ]
    assert (found[1]["model"], found[1]["why"], found[1]["answer_state"]) == ("gpt-6-luna", "no certificate", "")
    with opened() as store:
        assert len(list(store.pairs("support"))) == 1
        counts = store.totals()
        assert (counts.requests, counts.upstream, counts.cached, counts.unanswered) == (3, 1, 2, 0)


@pytest.mark.parametrize(("said", "stays"), [({"verdict": "down"}, False), ({"corrected": "no"}, False), ({"verdict": "up"}, True)])
def test_an_answer_that_somebody_says_is_wrong_is_given_to_nobody_else(
    gateway: Any, upstream: UpstreamStub, said: dict[str, str], stays: bool
) -> None:
    running = gateway(capture="answers", capture_redact="allow")
    running.post(CHAT, asking("another"))
    running.post(CHAT, asking("hello"))
    again = running.post(CHAT, asking("hello"))
    told = running.post("/v1/feedback", {"request_id": again.headers["x-request-id"], **said})
    assert told.status_code == 200, told.text
    assert who(running.post(CHAT, asking("hello"))) == ("cache" if stays else "upstream")
    assert who(running.post(CHAT, asking("another"))) == "cache"
    assert f"smidgen_cache_refused_total {0.0 if stays else 1.0}" in running.client.get("/metrics").text.splitlines()


def test_who_did_not_ask_takes_no_answer_out(gateway: Any, upstream: UpstreamStub) -> None:
    running = gateway(api_key=("anna", "bert"), admin_key=("admin",), cache_scope="all")
    anna, bert, admin = ({"authorization": f"Bearer {key}"} for key in ("anna", "bert", "admin"))
    first = running.post(CHAT, asking("hello"), headers=anna)
    said = {"request_id": first.headers["x-request-id"], "verdict": "down"}
    assert running.post("/v1/feedback", said, headers=bert).status_code == 404
    assert who(running.post(CHAT, asking("hello"), headers=bert)) == "cache"
    assert running.post("/v1/feedback", said, headers=admin).status_code == 200
    assert who(running.post(CHAT, asking("hello"), headers=bert)) == "upstream"


def test_a_wrong_answer_goes_where_nothing_is_captured_too(gateway: Any, upstream: UpstreamStub) -> None:
    running = gateway()
    first = running.post(CHAT, asking("hello"))
    said = {"request_id": first.headers["x-request-id"], "verdict": "down"}
    told = running.post("/v1/feedback", said)
    assert (told.status_code, told.json()["stored"]) == (200, False)
    assert running.post("/v1/feedback", said).json()["error"]["code"] == "not_captured"
    assert who(running.post(CHAT, asking("hello"))) == "upstream"


def test_an_audit_asks_the_upstream_itself(gateway: Any, upstream: UpstreamStub, model: Model) -> None:
    running = gateway(model, audit_share=1.0)
    upstream.answer = right
    running.post(CHAT, asking(SURE, name="support"))
    assert who(running.post(CHAT, asking(SURE, name="support"))) == "cache"
    certify(model, reference=AGAINST_MODEL)
    assert who(running.post(CHAT, asking(SURE, name="support"))) == "local"
    until(running, {"agreed": 1.0})
    assert len(upstream.seen) == 2


def test_without_a_fallback_there_is_nothing_to_cache(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.code(["serve", "nowhere", "--cache", "exact"]) == 2
    assert "no fallback whose answers it could keep" in capsys.readouterr().err.replace("\n", " ")
    assert main.code(["serve", "nowhere", "--fallback", "http://127.0.0.1:1/v1", "--fallback-model", "m", "--cache-scope", "all"]) == 2
    assert "answers are not cached" in capsys.readouterr().err.replace("\n", " ")


def test_the_account_has_what_the_cache_saved_and_nothing_spent_on_it(
    gateway: Any, upstream: UpstreamStub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path))
    upstream.answer = echo
    with ExitStack() as stack:
        chosen = {"fallback": (upstream.url,), "fallback_model": ("gpt-6-luna",), "cache": "exact"}
        server = stack.enter_context(running(patience=PATIENCE, **chosen))
        for _ in range(3):
            server.post(CHAT, asking("hello", name="gpt-6-luna"))
    found = {key.by: entry for key, entry in accounts.read(today()).entries.items()}
    assert {by: entry.requests for by, entry in found.items()} == {"upstream": 1, "cache": 2}
    once = 300 * 100 + 20 * 500  # nanodollars
    assert (found["upstream"].spent, found["cache"].spent, found["cache"].saved) == (once, 0, 2 * once)
