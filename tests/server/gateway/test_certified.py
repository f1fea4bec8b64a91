"""The gateway over real HTTP: what a certificate lets a bundle answer is answered here; the rest goes upstream, byte for byte."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import openai
import pytest
from tests.certified_bundle import answer, score, text
from tests.server.conftest import running
from tests.upstream_stub import WHOLE, Said, UpstreamStub, chunk

from smidgen.flows.certify import certification
from smidgen.flows.certify.certificate_status import certificate_subject
from smidgen.flows.local_model import Model
from smidgen.flows.operating_point import operating_point
from smidgen.gateway import certificate as papers
from smidgen.gateway.certificate import Certificate, CertificateSample, CertifiedSegment, Reference
from smidgen.gateway.upstreams import RetryPolicy
from smidgen.server.settings import ServeSettings

PATIENCE = RetryPolicy(tries=3, first=0.001, longest=0.002, total=1.0)
SURE, UNSURE = text(3, 1), text(90, 1)
CHAT = "/v1/chat/completions"


@pytest.fixture
def gateway(serve: Any, upstream: UpstreamStub, model: Model) -> Callable[..., Any]:
    """Start one over the bundle `support`, before the stub."""

    def start(**settings: Any) -> Any:
        return serve(model, patience=PATIENCE, **{"fallback": (upstream.url,), "fallback_model": ("big",), **settings})

    return start


def certify(model: Model, threshold: float | None = None, alpha: float = 0.05, **changes: Any) -> Certificate:
    """Put a certificate beside the bundle that answers what scores at least as a text of word 50."""
    now = datetime.now(UTC) - timedelta(minutes=1)
    entry = CertifiedSegment(
        threshold=score(50) if threshold is None else threshold, n=1000, answered=700, loss=20.0, bound=min(0.041, alpha)
    )
    facts: dict[str, Any] = {
        "id": "0" * 31 + "1",
        "statement": papers.statement(alpha, 0.05, now + timedelta(days=90)),
        "bundle": certificate_subject(model.manifest),
        "task": "classify",
        "loss": "the answer is not the reference's",
        "reference": Reference(kind="gold"),
        "alpha": alpha,
        "delta": 0.05,
        "answering": (entry,),
        "method": "exact binomial",
        "calibration": CertificateSample(file_sha256="c" * 64, rows_sha256=(changes.get("id", "d") * 64)[:64], n=1000),
        "created": now,
        "valid_until": now + timedelta(days=90),
        "smidgen_version": "0.1.0",
    }
    signed = Certificate(**{**facts, **changes}).signed()
    papers.write(signed, model.folder)
    return signed


def asking(said: str, name: str = "support", **more: Any) -> dict[str, Any]:
    return {"model": name, "messages": [{"role": "user", "content": said}], **more}


def test_what_the_certificate_covers_is_answered_here_and_says_so(gateway: Any, upstream: UpstreamStub, model: Model) -> None:
    paper = certify(model)
    found = gateway().post(CHAT, asking(SURE))
    assert found.json()["choices"][0]["message"]["content"] == answer(3)
    told = {
        name: found.headers.get(f"x-smidgen-{name}")
        for name in ("answered-by", "model", "score", "certificate", "escalated", "uncertified")
    }
    assert told == {
        "answered-by": "local",
        "model": "support",
        "score": f"{score(3):.6f}",
        "certificate": paper.id,
        "escalated": None,
        "uncertified": None,
    }
    facts = found.json()["smidgen"]
    assert (facts["answered_by"], facts["certificate"], facts["score"]) == ("local", paper.id, round(score(3), 6))
    assert "saved" not in facts  # the price list has no model `big`: nothing is made up
    assert upstream.seen == []


def test_a_low_score_escalates_with_nothing_changed_but_the_model(gateway: Any, upstream: UpstreamStub, model: Model) -> None:
    certify(model)
    body = '{"temperature": 0.10,\n "model" : "support",  "messages": [{"role":"user","content":"w90 \\u00e4 ä"}], "max_tokens":7}'
    found = gateway().client.post(CHAT, content=body.encode(), headers={"content-type": "application/json"})
    assert found.content == WHOLE
    assert [seen.body.decode() for seen in upstream.seen] == [body.replace('"support"', '"big"')]
    assert found.headers["x-smidgen-answered-by"] == "upstream" and found.headers["x-smidgen-model"] == "big"
    assert found.headers["x-smidgen-escalated"].startswith("score")
    assert 0 < float(found.headers["x-smidgen-score"]) < score(50)


def test_a_score_is_compared_as_it_is_and_not_as_it_is_shown(gateway: Any, upstream: UpstreamStub, model: Model) -> None:
    (reply,) = model.predict([SURE])
    running = gateway()
    certify(model, threshold=reply.score)
    at_it = running.post(CHAT, asking(SURE)).headers
    certify(model, id="0" * 31 + "2", threshold=reply.score + 1e-9)
    under_it = running.post(CHAT, asking(SURE)).headers
    assert [headers["x-smidgen-answered-by"] for headers in (at_it, under_it)] == ["local", "upstream"]
    assert at_it["x-smidgen-score"] == under_it["x-smidgen-score"]


def test_without_a_certificate_everything_escalates(gateway: Any, upstream: UpstreamStub) -> None:
    found = gateway().post(CHAT, asking(SURE))
    assert (found.content, found.headers["x-smidgen-escalated"].split(" (")[0]) == (WHOLE, "no certificate")
    assert "x-smidgen-certificate" not in found.headers and "x-smidgen-score" not in found.headers
    assert upstream.bodies == [asking(SURE, "big")]


def test_a_certificate_counts_from_the_next_request_and_a_revocation_ends_it_at_the_next(
    gateway: Any, upstream: UpstreamStub, model: Model
) -> None:
    running = gateway()

    def who() -> tuple[str, str]:
        found = running.post(CHAT, asking(SURE))
        return found.headers["x-smidgen-answered-by"], found.headers.get("x-smidgen-escalated", "").split(" (")[0]

    seen = [who()]
    certify(model)
    seen.append(who())
    certification.revoke(model.folder, "new products")
    seen.append(who())
    certify(model, id="0" * 31 + "2", valid_until=datetime.now(UTC) - timedelta(seconds=1))
    seen.append(who())
    certify(model, id="0" * 31 + "3", bundle=certificate_subject(model.manifest).model_copy(update={"sha256": "e" * 64}))
    seen.append(who())
    certify(model, id="0" * 31 + "4")
    seen.append(who())
    file = papers.place(model.folder)
    file.write_text(file.read_text(encoding="utf-8").replace('"alpha": 0.05', '"alpha": 0.04'), encoding="utf-8")
    seen.append(who())
    assert seen == [
        ("upstream", "no certificate"),
        ("local", ""),
        ("upstream", "revoked"),
        ("upstream", "expired"),
        ("upstream", "bundle changed"),
        ("local", ""),
        ("upstream", "damaged"),
    ]


def test_the_quality_of_one_request(gateway: Any, upstream: UpstreamStub, model: Model, error: Any) -> None:
    certify(model, alpha=0.05)
    running = gateway()
    found = {name: running.post(CHAT, asking(SURE, name)).headers for name in ("support@0.9", "support@0.95", "support@0.951", "support@1")}
    assert [headers["x-smidgen-answered-by"] for headers in found.values()] == ["local", "local", "upstream", "upstream"]
    assert found["support@1"]["x-smidgen-escalated"].startswith("quality")
    assert [body["model"] for body in upstream.bodies] == ["big", "big"]
    for name in ("support@", "support@nan", "support@95", "support@high"):
        assert error(running.post(CHAT, asking(SURE, name)), 422)["code"] == "invalid_quality"
    assert len(upstream.seen) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"n": 2},
        {"a_field_of_tomorrow": 1},
        {"messages": [{"role": "user", "content": SURE}, {"role": "assistant", "content": "yes"}, {"role": "user", "content": SURE}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x"}}]}]},
        {"messages": [{"role": "user", "content": SURE, "role2": 1}, {"role": "tool", "content": "x", "tool_call_id": "1"}]},
        {"messages": [{"role": "user", "content": " "}]},
        {"response_format": {"type": "json_object"}},
        {"max_tokens": -1},
        {"max_tokens": True},
        {"temperature": 99},
        {"temperature": "hot"},
        {"top_p": 2},
        {"frequency_penalty": -3},
        {"stop": ["x"]},
        {"logit_bias": {"50256": -100}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_a_bundle_was_not_certified_on_escalates(gateway: Any, upstream: UpstreamStub, model: Model, change: dict[str, Any]) -> None:
    certify(model)
    found = gateway().post(CHAT, {**asking(SURE), **change})
    assert found.headers["x-smidgen-answered-by"] == "upstream"
    assert found.headers["x-smidgen-escalated"].split(" (")[0] in ("request", "no local answer")
    assert upstream.bodies == [{**asking(SURE), **change, "model": "big"}]


def test_words_to_the_system_and_pieces_of_text_are_answered_here(gateway: Any, upstream: UpstreamStub, model: Model) -> None:
    certify(model)
    messages = [{"role": "system", "content": "Sort it."}, {"role": "user", "content": [{"type": "text", "text": SURE}]}]
    found = gateway().post(CHAT, {**asking(SURE), "messages": messages})
    assert found.headers["x-smidgen-answered-by"] == "local" and upstream.seen == []


def test_a_certificate_by_label_and_by_a_column(gateway: Any, model: Model) -> None:
    entry = CertifiedSegment(segment=answer(3), threshold=0.5, n=1000, answered=700, loss=20.0, bound=0.04)
    certify(model, by="label", answering=(entry,))
    running = gateway()
    seen = [running.post(CHAT, asking(text(word, 1))).headers for word in (3, 2)]
    assert [headers["x-smidgen-answered-by"] for headers in seen] == ["local", "upstream"]
    assert seen[1]["x-smidgen-escalated"].startswith("segment")
    certify(model, id="0" * 31 + "2", by="shop", answering=(entry.model_copy(update={"segment": "north"}),))
    told: list[dict[str, Any]] = [{}, {"metadata": {"shop": "south"}}, {"metadata": {"shop": "north"}}]
    assert [running.post(CHAT, asking(SURE, **more)).headers["x-smidgen-answered-by"] for more in told] == ["upstream", "upstream", "local"]


def test_another_model_passes_untouched(gateway: Any, upstream: UpstreamStub) -> None:
    body = b'{ "model":"gpt-x", "messages":[],"strange":1e400, "model2": "support" }'
    upstream.script = [Said(body=b"\x00\xffnot json", headers={"Content-Type": "application/json", "X-Strange": "1", "Set-Cookie": "a=b"})]
    running = gateway()
    headers = {"content-type": "application/json", "x-own": "kept", "connection": "x-hop, keep-alive", "x-hop": "1", "cookie": "c=d"}
    found = running.client.post(f"{CHAT}?a=%2F&b", content=body, headers=headers)
    (seen,) = upstream.seen
    assert (seen.method, seen.path, seen.body) == ("POST", "/v1/chat/completions?a=%2F&b", body)
    assert seen.headers["x-own"] == "kept" and seen.headers["host"] in upstream.url
    assert [name for name in ("x-hop", "cookie", "transfer-encoding") if name in seen.headers] == []
    assert found.content == b"\x00\xffnot json" and found.headers["x-strange"] == "1" and "set-cookie" not in found.headers
    assert found.headers["x-smidgen-answered-by"] == "upstream" and "x-smidgen-escalated" not in found.headers


@pytest.mark.parametrize("body", [b"not json", b"[1]", b'{"messages": []}', b'{"model": 3}', b"\xff\xfe", b"[" * 100_000, b""])
def test_what_names_no_bundle_passes_untouched(gateway: Any, upstream: UpstreamStub, body: bytes) -> None:
    found = gateway().client.post(CHAT, content=body, headers={"content-type": "application/json"})
    assert found.content == WHOLE and [seen.body for seen in upstream.seen] == [body]


def test_what_belongs_to_an_account_goes_upstream_only_by_pass(gateway: Any, upstream: UpstreamStub, error: Any) -> None:
    asked = [
        ("GET", "/v1/files/file-1/content"),
        ("DELETE", "/v1/models/ft:x"),
        ("POST", "/v1/organization/admin_api_keys"),
        ("GET", "/v1/responses/resp_1"),
        ("GET", "/v1/chat/completions"),
        ("POST", "/v1/chat/completions/"),
        ("POST", "/v1/chat%2Fcompletions"),
        ("POST", "/v1//files"),
        ("POST", "/v1/audio/speech"),
        ("DELETE", "/v1/chat/completions"),
    ]
    running = gateway()
    for method, path in asked:
        found = error(running.client.request(method, path, json=asking(SURE)), 403)
        assert (found["code"], found["type"]) == ("path_not_allowed", "permission_error"), path
    assert running.client.options("/v1/files").status_code == 404
    assert upstream.seen == []
    passing = gateway(pass_paths=("GET /v1/files/**", "/v1/audio/*"))
    assert passing.client.get("/v1/files/file-1/content").content == WHOLE
    assert passing.client.head("/v1/files/file-1").status_code == 200
    assert passing.post("/v1/audio/speech", {"model": "tts", "input": "x"}).content == WHOLE
    for method, path in (("DELETE", "/v1/files/file-1"), ("GET", "/v1/files/..;/organization"), ("DELETE", "/v1/models/ft:x")):
        error(passing.client.request(method, path), 403)
    assert [(seen.method, seen.path) for seen in upstream.seen] == [
        ("GET", "/v1/files/file-1/content"),
        ("HEAD", "/v1/files/file-1"),
        ("POST", "/v1/audio/speech"),
    ]


def test_no_header_turns_an_open_request_into_another(gateway: Any, upstream: UpstreamStub) -> None:
    sent = {"x-http-method-override": "DELETE", "x-original-url": "/v1/files", "x-rewrite-url": "/v1/files", "x-forwarded-host": "evil"}
    assert gateway().client.get("/v1/models/ft:x", headers={**sent, "upgrade": "websocket", "connection": "upgrade"}).content == WHOLE
    (seen,) = upstream.seen
    assert [name for name in (*sent, "upgrade") if name in seen.headers] == []


def test_paths_that_are_passed_go_whatever_the_method(gateway: Any, upstream: UpstreamStub) -> None:
    running = gateway(pass_paths=("/v1/**",))
    asked = [
        ("GET", "/v1/files/a%20b?limit=2", b""),
        ("DELETE", "/v1/models/ft:x", b""),
        ("PUT", "/v1/x", b"\x00\x01"),
        ("POST", "/v1/responses", b'{"model":"gpt-x"}'),
        ("GET", "/v1/models/gpt-x", b""),
        ("POST", "/v1/embeddings", b'{"model":"e", "input":"x"}'),
    ]
    found = [running.client.request(method, path, content=body).content for method, path, body in asked]
    assert found == [WHOLE] * 6
    assert [(seen.method, seen.path, seen.body) for seen in upstream.seen] == asked
    assert running.client.get("/healthz").status_code == 200 and running.client.get("/other").status_code == 404
    assert running.client.get("/v1/models/support").json()["id"] == "support"
    assert len(upstream.seen) == 6


def test_not_modified_breaks_nothing(gateway: Any, upstream: UpstreamStub, caplog: pytest.LogCaptureFixture) -> None:
    """It may say how long the body would be, which does not come."""
    upstream.script = [Said(status=304, body=b"", headers={"ETag": '"a"', "Content-Length": "12"}), Said(status=204, body=b"")]
    running = gateway(pass_paths=("/v1/files/*",))
    found = running.client.get("/v1/files/a", headers={"if-none-match": '"a"'})
    assert (found.status_code, found.headers["etag"], found.content) == (304, '"a"', b"")
    assert running.client.delete("/v1/files/a").status_code == 204
    assert running.client.get("/v1/files/a").content == WHOLE
    assert "failed" not in caplog.text


def test_a_bundles_name_at_another_path_escalates_to_the_upstreams_model(gateway: Any, upstream: UpstreamStub, model: Model) -> None:
    certify(model)
    found = gateway(pass_paths=("/v1/audio/speech",)).post("/v1/audio/speech", {"model": "support@0.9", "input": "x"})
    assert found.headers["x-smidgen-escalated"].startswith("request") and upstream.bodies == [{"model": "big", "input": "x"}]


def test_a_large_upload_flows_and_dots_do_not_climb(gateway: Any, upstream: UpstreamStub, error: Any) -> None:
    running = gateway(pass_paths=("/v1/audio/**", "POST /v1/audio"))
    pieces = [b"a" * 700_000, b"b" * 700_000]
    found = running.client.post("/v1/audio/transcriptions", content=iter(pieces), headers={"content-type": "audio/wav"})
    assert found.content == WHOLE and [seen.body for seen in upstream.seen] == [b"".join(pieces)]
    assert upstream.seen[0].headers["transfer-encoding"] == "chunked"
    assert (
        error(running.client.post("/v1/audio", content=b"c" * 5_000_000, headers={"content-type": "audio/wav"}), 413)["code"]
        == "body_too_large"
    )
    assert error(running.client.get("/v1/%2e%2e/admin"), 400)["code"] == "bad_path"
    assert len(upstream.seen) == 1


def test_the_openai_client_streams_both_ways(gateway: Any, upstream: UpstreamStub, model: Model) -> None:
    certify(model)
    running = gateway()
    pieces = [chunk("from "), chunk("above"), b"data: [DONE]\n\n"]
    upstream.answer = lambda seen: Said(pieces=pieces, headers={"Content-Type": "text/event-stream"}, pause=0.05)
    said, who = [], []
    with openai.OpenAI(base_url=f"{running.url}/v1", api_key="k", max_retries=0) as client:
        for name, content in (("support", SURE), ("support", UNSURE), ("gpt-x", SURE)):
            raw = client.chat.completions.with_raw_response.create(**asking(content, name), stream=True)
            who.append(raw.headers["x-smidgen-answered-by"])
            said.append("".join(one.choices[0].delta.content or "" for one in raw.parse()))
        called = client.chat.completions.with_raw_response.create(
            **asking(SURE, tools=[{"type": "function", "function": {"name": "f"}}]), stream=True
        )
        assert called.headers["x-smidgen-escalated"] == "request (the field tools)"
    assert said == [answer(3), "from above", "from above"] and who == ["local", "upstream", "upstream"]
    raw_bytes = running.client.post(CHAT, json=asking(SURE, "gpt-x", stream=True)).content
    assert raw_bytes == b"".join(pieces)


def test_pieces_go_out_as_they_come(gateway: Any, upstream: UpstreamStub) -> None:
    """The first is here while the upstream has not sent the second yet."""
    read = threading.Event()
    upstream.script = [Said(pieces=[chunk("a"), chunk("b")], headers={"Content-Type": "text/event-stream"}, hold=read)]
    with gateway().client.stream("POST", CHAT, json=asking(SURE, stream=True)) as response:
        pieces = response.iter_raw()
        assert next(pieces) == chunk("a")
        assert not read.is_set()
        read.set()
        assert b"".join(pieces) == chunk("b")


def test_completions_are_decided_in_the_same_way(gateway: Any, upstream: UpstreamStub, model: Model) -> None:
    paper = certify(model)
    running = gateway()
    found = running.post("/v1/completions", {"model": "support", "prompt": SURE})
    assert found.json()["choices"][0]["text"] == answer(3) and found.json()["smidgen"]["certificate"] == paper.id
    others: list[dict[str, Any]] = [{"prompt": UNSURE}, {"prompt": [SURE, SURE]}, {"prompt": SURE, "suffix": "x"}]
    seen = [running.post("/v1/completions", {"model": "support", **more}).headers["x-smidgen-answered-by"] for more in others]
    assert seen == ["upstream"] * 3 and [body["model"] for body in upstream.bodies] == ["big"] * 3


def test_the_list_of_models_has_both(gateway: Any, upstream: UpstreamStub) -> None:
    upstream.answer = lambda seen: Said(body=json.dumps({"data": [{"id": "big"}, {"id": "support"}, "odd"]}).encode())
    running = gateway()
    assert [card["id"] for card in running.client.get("/v1/models").json()["data"]] == ["support", "big"]
    upstream.answer = lambda seen: Said(status=500, body=b"<html>")
    alone = running.client.get("/v1/models").json()
    assert [card["id"] for card in alone["data"]] == ["support"] and len(alone["smidgen"]["upstreams_not_listed"]) == 1


def test_what_is_to_be_stored_goes_to_who_can_be_asked_for_it(gateway: Any, upstream: UpstreamStub, model: Model) -> None:
    certify(model)
    running = gateway(pass_paths=("GET /v1/chat/completions/*",))
    found = running.post(CHAT, asking(SURE, store=True))
    assert found.content == WHOLE and found.headers["x-smidgen-escalated"] == "request (the completion is to be stored)"
    assert running.client.get(f"{CHAT}/{found.json()['id']}").status_code == 200 and upstream.seen[-1].path == f"{CHAT}/chatcmpl-up"
    assert running.post(CHAT, asking(SURE, store=False)).headers["x-smidgen-answered-by"] == "local"


def test_without_bundles_all_passes(upstream: UpstreamStub) -> None:
    with running(fallback=(upstream.url,), fallback_model=("big",)) as gateway:
        assert gateway.client.post(CHAT, json=asking("x", "anything")).content == WHOLE
        assert gateway.client.get("/v1/models").content == WHOLE
        assert gateway.client.get("/readyz").status_code == 200


def test_what_is_saved_is_said_where_the_price_is_listed(gateway: Any, model: Model) -> None:
    certify(model)
    saved = gateway(fallback_model=("openai/gpt-6-luna",)).post(CHAT, asking(SURE)).json()["smidgen"]["saved"]
    given, got = -(-len(SURE) // 4), -(-len(answer(3)) // 4)
    assert saved["usd"] == pytest.approx((given * 0.1 + got * 0.5) / 1e6) and saved["at_list_price_of"] == "GPT-6 Luna"
    assert saved["tokens"] == {"input": given, "output": got, "estimated": "one for every four characters"}


@pytest.mark.parametrize("certified", [True, False])
def test_a_small_model_that_fails_escalates(
    gateway: Any, upstream: UpstreamStub, model: Model, monkeypatch: pytest.MonkeyPatch, certified: bool
) -> None:
    if certified:
        certify(model)
    running = gateway(local="measured", local_score=score(50))

    def broken(texts: Any) -> Any:
        raise ValueError("a secret text")

    monkeypatch.setattr(model, "predict", broken)
    found = running.post(CHAT, asking(SURE))
    assert found.content == WHOLE and found.headers["x-smidgen-escalated"] == "no local answer (HTTP 500)"


def test_a_small_model_that_takes_too_long_escalates_and_says_so(
    gateway: Any, upstream: UpstreamStub, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    certify(model)
    running, over = gateway(request_seconds=0.2), threading.Event()
    monkeypatch.setattr(model, "predict", lambda texts: over.wait(10))
    try:
        found = running.post(CHAT, asking(SURE))
    finally:
        over.set()
    assert found.content == WHOLE and found.headers["x-smidgen-escalated"] == "no local answer (the model was not done in time)"


def test_own_faces_are_asked_directly_and_say_so(gateway: Any, upstream: UpstreamStub) -> None:
    running = gateway()
    found = running.post("/v1/classify", {"model": "support", "input": SURE})
    assert found.json()["results"][0]["output"] == answer(3)
    assert (found.headers["x-smidgen-answered-by"], found.headers["x-smidgen-uncertified"]) == ("local", "asked directly")
    assert (found.headers["x-smidgen-model"], float(found.headers["x-smidgen-cost"])) == ("support", 0.0)
    unnamed = running.post("/v1/classify", {"input": SURE})
    assert unnamed.headers["x-smidgen-model"] == "support", "the only one that there is"
    assert "x-smidgen-model" not in running.post("/v1/classify", {"model": "other", "input": SURE}).headers
    assert upstream.seen == []


def test_a_page_of_another_origin_spends_nothing(gateway: Any, upstream: UpstreamStub, error: Any) -> None:
    running = gateway(cors=("https://app.example",))
    refused = running.post(CHAT, asking(SURE), headers={"origin": "https://evil.example"})
    assert error(refused, 403)["code"] == "origin_not_allowed" and upstream.seen == []
    upstream.answer = lambda seen: Said(headers={"Access-Control-Allow-Origin": "*", "X-Smidgen-Answered-By": "local"})
    for origin in ("https://app.example", running.url):
        found = running.post(CHAT, asking(SURE), headers={"origin": origin})
        assert found.content == WHOLE and found.headers.get("access-control-allow-origin") != "*"
        assert found.headers.get_list("x-smidgen-answered-by") == ["upstream"]


def test_an_image_of_another_page_asks_nothing_either(gateway: Any, upstream: UpstreamStub, error: Any) -> None:
    """It is asked for without an origin, and browsers say that another site's page did so."""
    running = gateway(pass_paths=("/v1/files/*",))
    for site in ("cross-site", "same-site"):
        refused = running.client.get("/v1/files/a", headers={"sec-fetch-site": site})
        assert error(refused, 403)["code"] == "origin_not_allowed" and upstream.seen == []
    for site in ("same-origin", "none"):
        assert running.client.get("/v1/files/a", headers={"sec-fetch-site": site}).content == WHOLE


def test_nothing_that_a_client_names_gets_into_a_header_as_it_is(gateway: Any) -> None:
    found = gateway().post(CHAT, asking(SURE, "a\r\nx-evil: 1\u20ac" + "b" * 500))
    assert "x-evil" not in found.headers and found.headers["x-smidgen-model"].startswith("a??x-evil: 1?bbb")
    assert len(found.headers["x-smidgen-model"]) == 200
    assert isinstance(found, httpx.Response)


def test_without_a_certificate_a_bundle_answers_from_a_score_on_if_the_operator_says_so(gateway: Callable[..., Any], model: Model) -> None:
    running = gateway(local="measured", local_score=score(50))
    sure, unsure = running.post(CHAT, asking(SURE)), running.post(CHAT, asking(UNSURE))
    assert (sure.headers["x-smidgen-answered-by"], sure.json()["choices"][0]["message"]["content"]) == ("local", answer(3))
    assert sure.headers["x-smidgen-uncertified"] == "no certificate" and "x-smidgen-certificate" not in sure.headers
    assert (unsure.headers["x-smidgen-answered-by"], unsure.content) == ("upstream", WHOLE)
    assert unsure.headers["x-smidgen-escalated"].startswith("score (it is under")
    # A quality needs a certificate, a valid one decides by its own threshold, and a revoked one lets nothing through.
    assert running.post(CHAT, asking(SURE, "support@0.9")).headers["x-smidgen-answered-by"] == "upstream"
    assert running.post(CHAT, asking(SURE, n=2)).headers["x-smidgen-answered-by"] == "upstream"
    certify(model, threshold=score(2))
    assert running.post(CHAT, asking(SURE)).headers["x-smidgen-escalated"].startswith("score")
    certification.revoke(model.folder, "other goods")
    assert running.post(CHAT, asking(SURE)).headers["x-smidgen-escalated"] == "revoked"


def test_certified_lets_nothing_through_without_a_certificate(gateway: Callable[..., Any], upstream: UpstreamStub) -> None:
    found = gateway(local="certified", local_score=0.1).post(CHAT, asking(SURE))
    assert found.content == WHOLE and found.headers["x-smidgen-escalated"] == "no certificate" and len(upstream.seen) == 1


def test_measured_answers_from_the_reports_point_on_and_says_how_much_of_that_is_wrong(gateway: Callable[..., Any], model: Model) -> None:
    point = operating_point(model.folder)
    assert point is not None and point.threshold is not None and (point.chosen_by, point.error <= 0.05 < 1) == ("default", True)
    running = gateway(local="measured")
    surer = [word for word in range(100) if score(word) >= point.threshold]
    assert 0 < len(surer) < 100
    sure, unsure = (running.post(CHAT, asking(text(word, 1))) for word in (surer[-1], surer[-1] + 1))
    assert (sure.headers["x-smidgen-answered-by"], sure.headers["x-smidgen-uncertified"]) == ("local", "no certificate")
    assert sure.headers["x-smidgen-measured-error"] == f"{point.error:.4f}" and sure.json()["smidgen"]["measured_error"] == point.error
    assert (unsure.headers["x-smidgen-answered-by"], "x-smidgen-measured-error" in unsure.headers) == ("upstream", False)
    metrics = running.client.get("/metrics").text
    assert 'smidgen_gateway_requests_total{answered_by="local",model="support",why="no certificate"} 1.0' in metrics
    assert f'smidgen_measured_error{{model="support"}} {point.error!r}' in metrics


@pytest.mark.parametrize("certified", [True, False])
def test_never_lets_the_large_model_answer_all(
    gateway: Callable[..., Any], upstream: UpstreamStub, model: Model, monkeypatch: pytest.MonkeyPatch, certified: bool
) -> None:
    if certified:
        certify(model)
    monkeypatch.setattr(model, "predict", lambda texts: pytest.fail("the bundle was asked"))
    running = gateway(local="never", local_score=0.0, when_upstream_fails="local")
    found = running.post(CHAT, asking(SURE))
    assert found.content == WHOLE and found.headers["x-smidgen-escalated"].startswith("never")
    upstream.answer = lambda seen: Said(500)
    assert running.post(CHAT, asking(SURE)).status_code >= 500, "it does not answer at last either"


def test_without_a_large_model_an_answer_under_the_point_is_marked_as_unsure(serve: Any, model: Model) -> None:
    running = serve(model, local="measured", local_score=score(50))
    for path, body in ((CHAT, asking), ("/v1/classify", lambda said: {"model": "support", "input": said})):
        sure, unsure = running.post(path, body(SURE)), running.post(path, body(UNSURE))
        assert "x-smidgen-unsure" not in sure.headers and "unsure" not in sure.text
        assert unsure.headers["x-smidgen-unsure"] == f"its score is under {score(50):.3g}" and '"unsure":"its score' in unsure.text
    certify(model, threshold=score(2))
    assert serve(model).post(CHAT, asking(text(10, 1))).headers["x-smidgen-unsure"] == f"its score is under {score(2):.3g}"


def test_recipes_from_before_there_were_modes_open() -> None:
    old = ServeSettings.model_validate({"uncertified_score": 0.9, "audit_share": 0.1})
    assert (old.local.mode, old.local.score, old.local.audit_share) == ("measured", 0.9, 0.1)
    assert ServeSettings.model_validate({"uncertified_score": None}).local.mode == "certified"
