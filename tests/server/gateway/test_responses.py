"""`/v1/responses` at the gateway, over real HTTP: ruled, audited, stored, masked and paid for as chat completions are."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import openai
import pytest
from tests.certified_bundle import answer, score
from tests.response_samples import event, events, response
from tests.server.gateway.test_auditor import AGAINST_MODEL, until
from tests.server.gateway.test_border import MAIL, MASKED, NAME
from tests.server.gateway.test_border import SAID as PRIVATE
from tests.server.gateway.test_budgets import settled
from tests.server.gateway.test_certified import PATIENCE, SURE, UNSURE, certify
from tests.server.traffic.test_capture import ON, rows
from tests.upstream_stub import Said, UpstreamStub, upstream_stub

from smidgen.flows.local_model import Model
from smidgen.gateway import certificate_audit

RESPONSES = "/v1/responses"
SSE = {"Content-Type": "text/event-stream"}
PRICE = {"price_in": 1.0, "price_out": 1000.0}


@pytest.fixture
def gateway(serve: Any, upstream: UpstreamStub, model: Model) -> Callable[..., Any]:
    """Start one over the bundle `support`, before a stub that answers "from above"."""
    upstream.answer = lambda seen: whole("from above")

    def start(**settings: Any) -> Any:
        return serve(model, patience=PATIENCE, **{"fallback": (upstream.url,), "fallback_model": ("big",), **settings})

    return start


def asking(said: Any, name: str = "support", **more: Any) -> dict[str, Any]:
    return {"model": name, "input": said, **more}


def whole(said: str, **more: Any) -> Said:
    return Said(body=json.dumps(response(said, **more)).encode())


def streamed(*pieces: str) -> Said:
    return Said(pieces=events(*pieces), headers=SSE)


def test_what_the_certificate_covers_is_answered_here(gateway: Any, upstream: UpstreamStub, model: Model) -> None:
    paper = certify(model)
    running = gateway(fallback_model=("openai/gpt-6-luna",))
    found = running.post(RESPONSES, asking(SURE, instructions="Sort it."))
    assert found.json()["output"][0]["content"][0]["text"] == answer(3)
    told = {name: found.headers.get(f"x-smidgen-{name}") for name in ("answered-by", "model", "score", "certificate", "escalated")}
    shown = {"answered-by": "local", "model": "support", "score": f"{score(3):.6f}", "certificate": paper.id, "escalated": None}
    assert told == shown
    facts = found.json()["smidgen"]
    assert (facts["answered_by"], facts["certificate"], facts["score"]) == ("local", paper.id, round(score(3), 6))
    read = -(-len(f"Sort it.\n{SURE}") // 4)
    assert facts["saved"]["tokens"]["input"] == read and facts["saved"]["tokens"]["output"] == 1
    assert running.post(RESPONSES, asking(SURE, "support@0.99")).headers["x-smidgen-escalated"].startswith("quality")
    assert len(upstream.seen) == 1


def test_what_it_does_not_leaves_as_it_came(gateway: Any, upstream: UpstreamStub, model: Model) -> None:
    certify(model)
    running = gateway()
    body = '{"store" : true,\n "model":"support",  "input": [{"role":"user","content":"w03 \\u00e4 ä"}], "max_output_tokens":70}'
    for content, why in ((body.replace("true", "false").replace("w03", "w90"), "score"), (body, "request")):
        found = running.client.post(RESPONSES, content=content.encode(), headers={"content-type": "application/json"})
        assert found.content == whole("from above").body and found.headers["x-smidgen-escalated"].startswith(why)
        assert upstream.seen[-1].body.decode() == content.replace('"support"', '"big"')
    assert found.headers["x-smidgen-escalated"] == "request (the response is to be stored)"
    changes: list[dict[str, Any]] = [
        {"tools": [{"type": "web_search"}]},
        {"previous_response_id": "resp_1"},
        {"conversation": "conv_1"},
        {"background": True},
        {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "data:x"}]}]},
        {"text": {"format": {"type": "json_object"}}},
        {"input": " "},
    ]
    for change in changes:
        found = running.post(RESPONSES, {**asking(SURE), **change})
        assert found.headers["x-smidgen-escalated"].split(" (")[0] in ("request", "no local answer")
        assert upstream.bodies[-1] == {**asking(SURE), **change, "model": "big"}
    untouched = b'{ "model":"gpt-x", "input":"hello", "model2": "support" }'
    assert "x-smidgen-escalated" not in running.client.post(RESPONSES, content=untouched).headers
    assert upstream.seen[-1].body == untouched


def test_the_official_client_reads_both_whole_and_streamed(gateway: Any, upstream: UpstreamStub, model: Model) -> None:
    certify(model)
    running = gateway()
    seen = []
    with openai.OpenAI(base_url=f"{running.url}/v1", api_key="k", max_retries=0) as client:
        for said in (SURE, UNSURE):
            raw = client.responses.with_raw_response.create(model="support", input=said)
            seen.append((raw.headers["x-smidgen-answered-by"], raw.parse().output_text))
        upstream.answer = lambda seen: streamed("from ", "above")
        for said in (SURE, UNSURE):
            begun = client.responses.with_raw_response.create(model="support", input=said, stream=True)
            pieces: list[Any] = list(begun.parse())
            told = "".join(one.delta for one in pieces if one.type == "response.output_text.delta")
            assert pieces[-1].type == "response.completed" and pieces[-1].response.output_text == told
            seen.append((begun.headers["x-smidgen-answered-by"], told))
    assert seen == [("local", answer(3)), ("upstream", "from above")] * 2
    raw_bytes = running.client.post(RESPONSES, json=asking(UNSURE, stream=True)).content
    assert raw_bytes == b"".join(events("from ", "above"))


def test_a_response_of_here_is_not_asked_for_above(gateway: Any, upstream: UpstreamStub, model: Model, error: Any) -> None:
    certify(model)
    running = gateway(pass_paths=("GET /v1/responses/*",))
    made = running.post(RESPONSES, asking(SURE)).json()
    assert made["store"] is False
    for name in ("support", "gpt-x"):
        refused = error(running.post(RESPONSES, asking("and now?", name, previous_response_id=made["id"])), 400)
        assert (refused["code"], refused["param"]) == ("previous_response_not_found", "previous_response_id")
        assert "whole conversation" in refused["message"] and made["id"] in refused["message"]
    for method, tail in (("GET", ""), ("DELETE", ""), ("GET", "/input_items"), ("POST", "/cancel")):
        assert error(running.client.request(method, f"{RESPONSES}/{made['id']}{tail}"), 404)["code"] == "not_found"
    assert upstream.seen == []
    assert running.client.get(f"{RESPONSES}/resp_1").status_code == 200 and upstream.seen[0].path == f"{RESPONSES}/resp_1"


def test_where_no_upstream_answers_the_bundle_may(gateway: Any, upstream: UpstreamStub, model: Model, error: Any) -> None:
    upstream.answer = lambda seen: Said(status=503)
    running = gateway(when_upstream_fails="local")
    found = running.post(RESPONSES, asking(SURE))
    assert found.headers["x-smidgen-uncertified"] == "upstream failed" and found.json()["smidgen"]["uncertified"] == "upstream failed"
    assert error(running.post(RESPONSES, asking(SURE, store=True)), 503)["code"] == "upstream_failed"


@pytest.mark.parametrize(
    ("status", "stream"),
    [(408, False), (500, True), (502, False), (504, True), (520, False), (522, True), (524, False), (529, True)],
)
def test_where_the_upstream_says_that_it_failed_the_bundle_may_and_nobody_else_is_asked(
    gateway: Any, upstream: UpstreamStub, model: Model, status: int, stream: bool
) -> None:
    failed = Said(status=status, body=b'{"error": {"message": "it broke"}}')
    upstream.answer = lambda seen: failed
    asked = asking(UNSURE, store=False, stream=stream)
    with upstream_stub() as second:
        two = {"fallback": (upstream.url, second.url), "fallback_model": ("big", "bigger")}
        found = gateway(when_upstream_fails="local", **two).post(RESPONSES, asked)
        assert (found.status_code, found.headers["x-smidgen-answered-by"]) == (200, "local")
        assert found.headers["x-smidgen-uncertified"] == "upstream failed" and "x-smidgen-certificate" not in found.headers
        assert (len(upstream.seen), second.seen) == (1, [])
        for settings, body in (({}, asked), ({"when_upstream_fails": "local"}, {**asked, "store": True})):
            kept = gateway(**two, **settings).post(RESPONSES, body)
            assert (kept.status_code, kept.content) == (status, failed.body), "its own answer, where no bundle may"
        assert second.seen == []


@pytest.mark.parametrize("stream", [False, True])
def test_an_audit_reads_the_large_models_response(gateway: Any, upstream: UpstreamStub, model: Model, stream: bool) -> None:
    paper = certify(model, reference=AGAINST_MODEL)
    running = gateway(audit_share=1.0)
    cut = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    last = event("response.incomplete", response=response(answer(3), **cut))
    agreed, other = (streamed(answer(3)), streamed("no idea")) if stream else (whole(answer(3)), whole("no idea"))
    short = Said(pieces=[*events(answer(3))[:-1], last], headers=SSE) if stream else whole(answer(3), **cut)
    failed = Said(pieces=events(answer(3))[:-1], headers=SSE) if stream else whole("", status="failed", error={"code": "server_error"})
    asked = asking(SURE, stream=stream, user="u1")
    for number, said in enumerate((agreed, other, short, failed), start=1):
        upstream.script += [said] * (3 if said is failed else 1)  # an audit that failed is asked again, twice
        assert running.post(RESPONSES, asked).headers["x-smidgen-answered-by"] == "local"
        wanted = {"agreed": 1.0, "disagreed": float(min(number, 3) - 1), "unanswered": float(number > 3)}
        until(running, {name: count for name, count in wanted.items() if count})
    assert upstream.bodies == [{"model": "big", "input": asked["input"]}] * 6, "the wanted text alone, in one piece"
    assert (certificate_audit.read_audit(paper).audits, certificate_audit.read_audit(paper).losses) == (3, 2)


def test_both_answers_are_stored(gateway: Any, upstream: UpstreamStub, model: Model) -> None:
    paper = certify(model)
    running = gateway(**ON)
    upstream.script += [whole("from above"), streamed("from ", "above"), whole("fr", status="incomplete")]
    told = [{"role": "developer", "content": "Sort it."}, {"role": "user", "content": [{"type": "input_text", "text": UNSURE}]}]
    sent: list[dict[str, Any]] = [
        asking(SURE, instructions="Sort it.", safety_identifier="anna"),
        asking(told, user="bert"),
        asking(UNSURE, stream=True),
        asking(UNSURE, "gpt-9"),
        asking([*told, {"role": "assistant", "content": "private"}, {"role": "user", "content": "private"}]),
    ]
    for body in sent:
        assert running.post(RESPONSES, body).status_code == 200
    local, first, second, third, odd = rows(count=5)
    same = {"path": RESPONSES, "asked": "support", "input": SURE, "answered_by": "local", "certificate": paper.id, "answer": None}
    assert {name: local[name] for name in same} == same and json.loads(local["local_output"]) == answer(3)
    for row in (first, second):
        same = {"input": UNSURE, "answered_by": "upstream", "why": "score", "answer": "from above", "answer_state": "whole", "model": "big"}
        assert {name: row[name] for name in same} == same and json.loads(row["local_output"]) == answer(90)
        assert (row["tokens_in"], row["tokens_out"], row["tokens_estimated"]) == (5, 3, 0)
    assert (third["asked"], third["answer"], third["answer_state"]) == ("gpt-9", None, "cut")
    assert (odd["odd"], odd["input"], odd["answer"]) == ("not one message of a user", None, None) and "private" not in str(odd)
    templates = [row["template_hash"] for row in (local, first, second)]
    assert templates[0] == templates[1] != templates[2], "the same words to the system, wherever they stand, and none"
    assert local["user_hash"] and first["user_hash"] not in (None, local["user_hash"])


def test_values_come_back_in_a_stream_and_an_earlier_response_does_not_leave(gateway: Any, upstream: UpstreamStub, error: Any) -> None:
    running = gateway(privacy="mask", threads=1)
    upstream.script.append(streamed("Dear [PER", "SON_1", "], we wrote to [EM", "AIL_1] [", "x]"))
    with openai.OpenAI(base_url=f"{running.url}/v1", api_key="k", max_retries=0) as client:
        pieces: list[Any] = list(client.responses.create(model="support", input=PRIVATE, instructions=f"Help {NAME}", stream=True))
    wanted = f"Dear {NAME}, we wrote to {MAIL} [x]"
    assert "".join(one.delta for one in pieces if one.type == "response.output_text.delta") == wanted
    assert pieces[-1].response.output_text == wanted
    assert [one.sequence_number for one in pieces] == list(range(len(pieces)))
    assert upstream.bodies == [asking(MASKED, "big", instructions="Help [PERSON_1]", stream=True)]
    assert error(running.post(RESPONSES, asking("hi", previous_response_id="resp_1")), 422)["code"] == "redaction_failed"
    assert len(upstream.seen) == 1


def test_they_are_paid_for_from_the_same_budget(gateway: Any, upstream: UpstreamStub, model: Model, error: Any) -> None:
    certify(model)
    running = gateway(budget_day=0.05, **PRICE)
    assert running.post(RESPONSES, asking(SURE)).headers["x-smidgen-answered-by"] == "local"
    assert running.post(RESPONSES, asking(UNSURE, max_output_tokens=10)).status_code == 200
    assert settled(1).nano == 5 * 1_000 + 3 * 1_000_000
    upstream.script.append(streamed("from ", "above"))
    assert running.post(RESPONSES, asking(UNSURE, max_output_tokens=10, stream=True)).status_code == 200
    assert settled(2).nano == 2 * (5 * 1_000 + 3 * 1_000_000)
    assert error(running.post(RESPONSES, asking(UNSURE, max_output_tokens=100)), 429)["code"] == "budget_exceeded"
    assert error(running.post(RESPONSES, asking(UNSURE, background=True)), 403)["code"] == "cost_unknown"
