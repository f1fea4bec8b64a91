"""The semantic cache over real HTTP: a near text that says the same gets the answer, within one scope and one template."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
from tests.eventually import eventually
from tests.server.conftest import Running, running
from tests.server.gateway.test_border import metric
from tests.server.gateway.test_cache import CHAT, COMPLETIONS, asking, echo, who
from tests.upstream_stub import UpstreamStub

from smidgen.core.errors import EngineError, InputError
from smidgen.flows import embedding
from smidgen.gateway.upstreams import RetryPolicy
from smidgen.server.app import create_app
from smidgen.server.gateway import response_cache
from smidgen.server.settings import ServeSettings

PATIENCE = RetryPolicy(tries=2, first=0.001, longest=0.002, total=1.0)


def letters(text: str) -> Any:
    """A toy encoder: how often each letter is there. Texts with a `~` it does not read."""
    if "~" in text:
        return None
    found = np.array([1e-6 + text.lower().count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"], np.float32)
    return found / np.linalg.norm(found)


@pytest.fixture
def gateway(upstream: UpstreamStub, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Running]]:
    """Start one before the stub, with a semantic cache over the toy encoder."""
    upstream.answer = echo
    monkeypatch.setattr(embedding, "open_cache_encoder", lambda: letters)
    with ExitStack() as stack:

        def start(**settings: Any) -> Running:
            chosen = {"fallback": (upstream.url,), "fallback_model": ("big",), "cache": "semantic", "cache_similarity": 0.8, **settings}
            return stack.enter_context(running(patience=PATIENCE, **chosen))

        yield start


def placed(server: Running) -> float:
    """How many kept answers can be found by near texts."""
    lines = server.client.get("/metrics").text.splitlines()
    return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith("smidgen_cache_placed_total "))


def kept(server: Running, body: dict[str, Any], path: str = CHAT, **more: Any) -> None:
    """Have the upstream's answer kept, and wait until its text can be found."""
    before = placed(server)
    assert who(server.post(path, body, **more)) == "upstream"
    eventually(lambda: placed(server) != before)
    assert placed(server) == before + 1


def test_a_near_text_that_says_the_same_gets_the_answer_and_says_how_near(gateway: Any, upstream: UpstreamStub) -> None:
    server = gateway()
    kept(server, asking("Where is my parcel?"))
    found = server.post(CHAT, asking("where is the parcel"))
    said, number = found.headers["x-smidgen-cached"].split(" ")
    assert (who(found), said, found.headers["cache-status"]) == ("cache", "similar", "smidgen; hit; detail=similar")
    assert 0.8 <= float(number) < 1 and found.json()["smidgen"]["cached"] == f"similar {number}"
    assert found.json()["choices"][0]["message"]["content"] == "You said: Where is my parcel?"
    assert (len(upstream.seen), metric(server, "smidgen_cache_requests_total", outcome="similar")) == (1, 1)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Where is order 123?", "Where is order 124?"),
        ("My card works", "My card does not work"),
        ("Come on friday", "Come on monday"),
        ("Is Anna here?", "Is Nana here?"),
        ("listen", "silent"),
    ],
)
def test_what_differs_in_a_telling_word_is_asked_however_near_it_is(gateway: Any, upstream: UpstreamStub, one: str, other: str) -> None:
    server = gateway()
    kept(server, asking(one))
    assert float(letters(one) @ letters(other)) > 0.8
    assert who(server.post(CHAT, asking(other))) == "upstream"


def test_what_is_not_near_enough_is_asked(gateway: Any, upstream: UpstreamStub) -> None:
    server = gateway(cache_similarity=0.999)
    kept(server, asking("Where is my parcel?"))
    assert who(server.post(CHAT, asking("please could you tell me where the parcel is"))) == "upstream"


@pytest.mark.parametrize(
    "change",
    [
        {"user": "bob"},
        {"model": "other"},
        {"temperature": 0},
        {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "where is the parcel"}]},
        {
            "messages": [
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": "b"},
                {"role": "user", "content": "where is the parcel"},
            ]
        },
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "where is the parcel"}]}]},
    ],
    ids=json.dumps,
)
def test_all_but_the_text_must_be_the_same(gateway: Any, upstream: UpstreamStub, change: dict[str, Any]) -> None:
    server = gateway()
    kept(server, asking("Where is my parcel?"))
    assert who(server.post(CHAT, {**asking("where is the parcel"), **change})) == "upstream"
    assert who(server.post(CHAT, asking("where is the parcel"))) == "cache"


@pytest.mark.parametrize("sharing", ["user", "key"])
def test_no_near_answer_crosses_scopes(gateway: Any, upstream: UpstreamStub, sharing: str) -> None:
    server = gateway(cache_scope=sharing)
    one, other = ({"authorization": f"Bearer {name}"} for name in ("one", "two"))
    kept(server, asking("Where is my parcel?"), headers=one)
    assert who(server.post(CHAT, asking("where is the parcel"), headers=other)) == "upstream"
    assert who(server.post(CHAT, asking("where is a parcel"), headers=one)) == "cache"


def test_the_exact_answer_comes_first_and_a_client_may_want_none(gateway: Any, upstream: UpstreamStub) -> None:
    server = gateway()
    kept(server, asking("Where is my parcel?"))
    near = asking("where is the parcel")
    fresh = server.post(CHAT, near, headers={"cache-control": "no-cache"})
    assert fresh.json()["choices"][0]["message"]["content"] == "You said: where is the parcel"
    again = server.post(CHAT, near)
    assert (again.headers["x-smidgen-cached"], again.json()["choices"]) == ("exact", fresh.json()["choices"])


def test_prompts_are_texts_too_and_what_is_not_read_whole_is_only_found_exactly(gateway: Any, upstream: UpstreamStub) -> None:
    server = gateway()
    kept(server, {"model": "big", "prompt": "Where is my parcel?", "user": "ann"}, COMPLETIONS)
    assert who(server.post(COMPLETIONS, {"model": "big", "prompt": "where is the parcel", "user": "ann"})) == "cache"
    for said in ("~ where is my parcel", "x" * 2_001):
        assert [who(server.post(CHAT, asking(said))) for _ in range(2)] == ["upstream", "cache"]
        assert who(server.post(CHAT, asking(f"{said}, please"))) == "upstream"


def test_an_encoder_that_fails_or_is_late_costs_nobody_an_answer(
    gateway: Any, upstream: UpstreamStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, broken = threading.Event(), threading.Event()
    gate.set()

    def moody(text: str) -> Any:
        assert gate.wait(20)
        if broken.is_set():
            raise EngineError("it is broken", value=text, todo="Mend it.")
        return letters(text)

    monkeypatch.setattr(embedding, "open_cache_encoder", lambda: moody)
    monkeypatch.setattr(response_cache, "_SEARCH_SECONDS", 0.05)
    server = gateway()
    kept(server, asking("Where is my parcel?"))
    broken.set()
    assert who(server.post(CHAT, asking("where is the parcel"))) == "upstream"
    assert metric(server, "smidgen_cache_searches_total", outcome="failed") >= 1
    broken.clear()
    gate.clear()
    assert who(server.post(CHAT, asking("where is a parcel"))) == "upstream"
    assert metric(server, "smidgen_cache_searches_total", outcome="late") >= 1
    gate.set()
    assert who(server.post(CHAT, asking("Where is my parcel?"))) == "cache"


def test_the_starter_encoder_tells_near_from_far_and_reads_no_more_than_it_can() -> None:
    vector = embedding.open_cache_encoder()
    one, other, third = (vector(text) for text in ("Where is my parcel?", "where is the parcel", "Can I pay by invoice?"))
    assert one is not None and other is not None and third is not None
    assert abs(float(one @ one) - 1) < 1e-5
    assert float(one @ other) > 0.8 > float(one @ third)
    assert vector("word " * 126) is not None
    assert vector("word " * 127) is None and vector(" ") is None and vector("a \U0001f9ff b") is None


def test_without_the_encoder_the_server_does_not_start(monkeypatch: pytest.MonkeyPatch, upstream: UpstreamStub) -> None:
    monkeypatch.setattr(embedding, "embedder", lambda threads: None)
    settings = ServeSettings(port=0, fallback=(upstream.url,), fallback_model=("big",), cache="semantic")
    with pytest.raises(InputError, match="smidgen pull minilm"):
        create_app([], settings)
