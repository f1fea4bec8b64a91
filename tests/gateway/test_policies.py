"""The gateway's policies, which know no network: names, bodies, headers, patience."""

from __future__ import annotations

import json
import random
from types import SimpleNamespace
from typing import Any

import pytest

from smidgen.core.errors import InputError, RequestError
from smidgen.core.replies import Reply
from smidgen.gateway import route, upstreams
from smidgen.gateway.certificate_status import CertificateState, CertificateStatus
from smidgen.gateway.eligibility import (
    AUDIT_TOKENS,
    CHAT,
    COMPLETIONS,
    ONE_MESSAGE,
    RESPONSES,
    Conversation,
    Eligibility,
    canonical_request,
    eligibility_of,
    joined,
    text_of,
    why_ineligible,
)
from smidgen.gateway.headers import answer_headers, header_text, reply_headers, upstream_headers
from smidgen.gateway.json_edits import with_model
from smidgen.gateway.route import RequestedModel, RoutingDecision, requested_model
from smidgen.gateway.upstreams import RetryPolicy
from smidgen.server.request import json_object


def test_a_models_name_is_a_bundle_a_quality_or_neither() -> None:
    bundles = {"support", "a@b", "x@0.5"}
    asked = {
        name: requested_model(name, bundles) for name in ("support", "support@0.95", "a@b", "a@b@1", "x@0.5", "gpt", "gpt@0.9", "", "@0.9")
    }
    assert asked == {
        "support": RequestedModel("support"),
        "support@0.95": RequestedModel("support", 0.95),
        "a@b": RequestedModel("a@b"),
        "a@b@1": RequestedModel("a@b", 1.0),
        "x@0.5": RequestedModel("x@0.5"),
        "gpt": None,
        "gpt@0.9": None,
        "": None,
        "@0.9": None,
    }
    assert requested_model(None, bundles) is None and requested_model(["support"], bundles) is None
    for name in ("support@0", "support@-1", "support@1.01", "support@inf", "support@nan", "support@x"):
        with pytest.raises(RequestError, match=r"support@0\.95"):
            requested_model(name, bundles)


def test_a_quality_is_the_share_that_agrees() -> None:
    assert RequestedModel("s", 0.95).allows(0.05) and not RequestedModel("s", 0.95).allows(0.0501)
    assert RequestedModel("s").allows(0.9) and not RequestedModel("s", 1.0).allows(0.001)


def test_a_client_raises_the_operators_quality_and_does_not_lower_it() -> None:
    asked = [(0.9, 0.99), (0.99, 0.9), (None, 0.9), (0.9, None), (None, None)]
    assert [RequestedModel("s", named).at_least(floor).quality for named, floor in asked] == [0.99, 0.99, 0.9, 0.9, None]


@pytest.mark.parametrize(
    ("body", "after"),
    [
        ('{"model":"a"}', '{"model":"B"}'),
        (
            '  { "x": [1.0, {"model": "a"}], "model" :\n"a\\"" , "y":1e400}\n',
            '  { "x": [1.0, {"model": "a"}], "model" :\n"B" , "y":1e400}\n',
        ),
        ('{"model":"a","m":"é\\ud800","model":"b"}', '{"model":"B","m":"é\\ud800","model":"B"}'),
        ('{"\\u006dodel":"a","z":-0}', '{"\\u006dodel":"B","z":-0}'),
    ],
)
def test_only_the_models_name_is_put_in_its_place(body: str, after: str) -> None:
    assert with_model(body.encode(), "B") == after.encode()
    assert (json_object(body.encode()) or {}).get("model") is not None


def test_a_name_with_quotes_stays_json_and_a_body_without_one_is_refused() -> None:
    assert json.loads(with_model(b'{"model": 1, "a": []}', 'x"\\')) == {"model": 'x"\\', "a": []}
    for body in (b"{}", b'{"a": {"model": "x"}}'):
        with pytest.raises(ValueError, match="names no model"):
            with_model(body, "B")
    assert [json_object(body) for body in (b"[]", b"x", b"\xff", b"[" * 100_000, b"")] == [None] * 5


def test_unknown_fields_do_not_suit_and_empty_ones_do() -> None:
    one: dict[str, Any] = {"model": "s", "messages": [{"role": "user", "content": "x"}]}
    good: list[dict[str, Any]] = [
        {},
        {"tools": []},
        {"tools": None},
        {"n": 1},
        {"stream": True},
        {"metadata": {"a": "b"}},
        {"logit_bias": {}},
        {"store": False},
    ]
    bad: list[dict[str, Any]] = [
        {"tools": [1]},
        {"n": 2},
        {"n": True},
        {"new": 0},
        {"stop": "x"},
        {"store": True},
        {"messages": []},
        {"messages": "x"},
        {"messages": [{"role": "user"}]},
        {"messages": [{"role": "user", "content": "x"}, {"role": "system", "content": "x"}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": 3}]}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "image_url": "y"}]}]},
        {"messages": [{"role": "user", "content": "x", "audio": {"id": "y"}}]},
    ]
    assert [why_ineligible(CHAT, {**one, **more}) for more in good] == [None] * 8
    assert [more for more in bad if why_ineligible(CHAT, {**one, **more}) is None] == [{"n": True}]
    assert why_ineligible(CHAT, {**one, "store": True}) == "the completion is to be stored"
    assert why_ineligible(COMPLETIONS, {"prompt": "x"}) is None
    assert why_ineligible(COMPLETIONS, {"prompt": [1, 2]}) and why_ineligible(COMPLETIONS, {"prompt": "x", "echo": True})


def test_what_bundles_of_a_kind_may_take_they_get_whole() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "track", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "where is it"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "in Riga"},
    ]
    body = {"model": "support", "messages": messages, "tools": [{"type": "function", "function": {"name": "track"}}]}
    seen: list[Conversation] = []
    whatever = Eligibility(seen.append, frozenset({"tools"}))  # type: ignore[func-returns-value]
    assert why_ineligible(CHAT, body, whatever) is None and seen == [Conversation(CHAT, messages, body["tools"])]
    assert why_ineligible(CHAT, body) == "the field tools"
    assert why_ineligible(CHAT, {**body, "tools": None}) == "not one message of a user"


def test_a_bundle_whose_kind_is_not_known_takes_nothing() -> None:
    one = {"messages": [{"role": "user", "content": "x"}]}
    assert eligibility_of(SimpleNamespace()) is eligibility_of(SimpleNamespace(takes="message")) is ONE_MESSAGE
    assert why_ineligible(CHAT, one, eligibility_of(SimpleNamespace(takes="sounds"))) == "what this bundle takes is not known here"


def test_the_text_of_a_request_is_that_of_its_own_face() -> None:
    pieces = [{"type": "text", "text": "one"}, {"type": "text", "text": ""}, {"type": "text", "text": "two"}]
    chats = [("hello", "hello"), (pieces, "one\ntwo"), ("", "")]
    for content, said in chats:
        body = {"messages": [{"role": "system", "content": "x"}, {"role": "user", "content": content}], "prompt": ""}
        assert why_ineligible(CHAT, body) is None and text_of(CHAT, body) == said
    assert len(chats) == 3
    completion = {"prompt": "hello", "messages": None}
    assert why_ineligible(COMPLETIONS, completion) is None and text_of(COMPLETIONS, completion) == "hello"
    assert joined(["one", "", "two"]) == "one\ntwo" and joined([]) == ""


def test_no_answer_or_several_or_one_without_a_score_never_stay_here() -> None:
    none = CertificateStatus(CertificateState.NONE, "none")
    assert route.decision_before(none, RequestedModel("s")).why == "no certificate"
    assert route.decision_before(CertificateStatus(CertificateState.VALID, "odd"), RequestedModel("s")).why == "no certificate"
    assert route.decision_after(none, RequestedModel("s"), [Reply("yes", 1.0)], {}).why == "no certificate"
    assert not RoutingDecision(why="x").local


def test_headers_that_are_of_one_connection_stay_there() -> None:
    sent = [
        (b"Host", b"a"),
        (b"Connection", b"close, X-One"),
        (b"x-one", b"1"),
        (b"Cookie", b"c"),
        (b"Authorization", b"mine"),
        (b"x-two", b"2"),
    ]
    assert upstream_headers(sent, None, own_authorization=True) == [(b"authorization", b"mine"), (b"x-two", b"2")]
    assert upstream_headers(sent, None, own_authorization=False) == [(b"x-two", b"2")]
    assert upstream_headers(sent, "key", own_authorization=True) == [(b"x-two", b"2"), (b"authorization", b"Bearer key")]
    back = [
        (b"Transfer-Encoding", b"chunked"),
        (b"Access-Control-Allow-Origin", b"*"),
        (b"X-Smidgen-Score", b"1"),
        (b"X-Request-Id", b"r"),
        (b"a", b"b"),
    ]
    assert reply_headers(back) == [(b"x-upstream-request-id", b"r"), (b"a", b"b")]


@pytest.mark.parametrize("name", [b"authorization", b"api-key", b"X-Api-Key", b"x-goog-api-key"])
def test_a_clients_own_key_goes_where_it_may_in_whichever_header_it_is(name: bytes) -> None:
    given = [(name, b"mine"), (b"content-type", b"application/json")]
    assert upstream_headers(given, None, own_authorization=True) == [(name.lower(), b"mine"), given[1]]
    assert upstream_headers(given, None, own_authorization=False) == given[1:]
    assert upstream_headers(given, "ours", own_authorization=True) == [given[1], (b"authorization", b"Bearer ours")]


def test_marks_are_one_line_of_ascii() -> None:
    said = dict(answer_headers("upstream", "m\r\nx: y\u20ac", RoutingDecision(why="score", detail="low\n", score=0.25)))
    assert said[b"x-smidgen-model"] == b"m??x: y?" and said[b"x-smidgen-escalated"] == b"score (low?)"
    assert said[b"x-smidgen-score"] == b"0.250000" and b"x-smidgen-certificate" not in said
    assert len(header_text("x" * 1000)) == 200


def test_waits_double_within_the_total_and_honour_what_is_asked() -> None:
    patient = RetryPolicy(tries=4, first=1.0, longest=3.0, total=10.0, chance=random.Random(0))
    waits = [patient.wait(tried, None, 0.0) for tried in (1, 2, 3, 4)]
    assert waits[3] is None
    assert [low <= (wait or 0) <= high for wait, low, high in zip(waits, (0.5, 1.0, 1.5), (1.0, 2.0, 3.0), strict=False)] == [True] * 3
    assert patient.wait(1, 7.0, 0.0) == 7.0
    assert patient.wait(1, 7.0, 3.5) is None and patient.wait(1, 0.0, 10.0) is None


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x/v1",
        "x.example/v1",
        "http://",
        "http://user:hush@x/v1",
        "https://x/v1?key=hush",
        "http://x y",
        "http://x:99999",
        "file:///etc",
    ],
)
def test_an_upstreams_url_is_plain_http_and_no_secret_is_repeated(url: str) -> None:
    with pytest.raises(InputError) as caught:
        upstreams.checked_url(url)
    assert "hush" not in str(caught.value)


def test_an_origin_is_scheme_host_and_port() -> None:
    assert upstreams.checked_url("https://API.example.com/v1/") == "https://API.example.com/v1"
    assert upstreams.origin("https://API.example.com/v1") == upstreams.origin("https://api.example.com:443/other")
    assert upstreams.origin("http://a") != upstreams.origin("https://a")
    assert upstreams.is_local("http://[::1]:8000/v1") and not upstreams.is_local("http://localhost.example")


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens", "max_output_tokens"])
def test_an_answer_longer_than_the_request_allows_escalates(limit: str) -> None:
    known = RoutingDecision(certificate="c", score=0.9)
    assert route.decision_within(known, {limit: 5}, 5).local and route.decision_within(known, {}, 500).local
    cut = route.decision_within(known, {limit: 4}, 5)
    assert (cut.why, cut.detail, cut.certificate) == (route.UNANSWERED, f"{limit} cuts it short", "c")
    escalated = RoutingDecision(why=route.SCORE)
    assert route.decision_within(escalated, {limit: 1}, 5) is escalated


def test_an_audit_asks_for_the_text_in_full() -> None:
    said = [{"role": "system", "content": "Sort it."}, {"role": "user", "content": "refund"}]
    ignored = {
        "seed": 1,
        "user": "u",
        "stream": True,
        "presence_penalty": 2,
        "frequency_penalty": 2,
        "store": False,
        "metadata": {"a": "b"},
    }
    asked = {"model": "support", "messages": said, "response_format": {"type": "text"}}
    assert canonical_request(CHAT, {**asked, **ignored, "temperature": 1.5, "max_tokens": 1}) == {**asked, "max_tokens": AUDIT_TOKENS}
    assert canonical_request(CHAT, {**asked, "temperature": 0, "top_p": 0.5}) == {**asked, "temperature": 0, "top_p": 0.5}
    assert canonical_request(COMPLETIONS, {"model": "m", "prompt": "refund", **ignored}) == {"model": "m", "prompt": "refund"}
    own = {"model": "m", "input": "refund", "instructions": "Sort it.", "max_output_tokens": 16}
    assert canonical_request(RESPONSES, own) == {**own, "max_output_tokens": AUDIT_TOKENS}


@pytest.mark.parametrize("value", [0, 0.7, 2, None])
def test_an_ordinary_temperature_is_answered_here(value: float | None) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "refund"}], "temperature": value, "max_tokens": 100, "logprobs": False}
    assert why_ineligible(CHAT, body) is None
