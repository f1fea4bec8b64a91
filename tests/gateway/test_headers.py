"""Which of a client's headers cross, and which of them is its key."""

from __future__ import annotations

import pytest

from smidgen.gateway.headers import client_key, impersonal_headers, upstream_headers, without_secrets


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ([], b""),
        ([(b"authorization", b"Bearer sk-1")], b"sk-1"),
        ([(b"x-api-key", b"sk-2"), (b"authorization", b"bearer  sk-1 ")], b"sk-1"),
        ([(b"api-key", b"sk-3"), (b"x-api-key", b"sk-2")], b"sk-3"),
        ([(b"Authorization", b"Bearer sk-1"), (b"authorization", b"Bearer sk-9")], b"sk-1"),
        ([(b"authorization", b""), (b"x-goog-api-key", b" sk-4 ")], b"sk-4"),
        ([(b"authorization", b"Basic abc")], b"Basic abc"),
    ],
)
def test_the_key_is_the_one_that_this_server_checks_before_all_others(headers: list[tuple[bytes, bytes]], key: bytes) -> None:
    assert client_key(headers) == key


def test_a_key_against_repetition_may_name_somebody_and_stays() -> None:
    sent = [(b"Idempotency-Key", b"m.holloway@example.org"), (b"accept", b"*/*")]
    assert impersonal_headers(sent) == [(b"accept", b"*/*")]


CREDENTIALS = (
    b"Ocp-Apim-Subscription-Key",
    b"x-portkey-api-key",
    b"Helicone-Auth",
    b"cf-aig-authorization",
    b"X-Amz-Security-Token",
    b"Authorization",
    b"api-key",
    b"OpenAI-Organization",
    b"openai-project",
    b"x-anything",
)
PLAIN = (
    b"accept",
    b"content-type",
    b"content-length",
    b"user-agent",
    b"openai-beta",
    b"x-stainless-lang",
    b"x-smidgen-via",
    b"idempotency-key",
    b"range",
    b"if-none-match",
    b"traceparent",
)


def test_what_a_client_sends_under_names_that_nobody_knows_goes_no_further_than_it_meant() -> None:
    sent = [(name, b"1") for name in (*CREDENTIALS, *PLAIN)]
    plain = [(name, b"1") for name in PLAIN]
    assert upstream_headers(sent, None, own_authorization=False, own_headers=False) == plain
    assert upstream_headers(sent, None, own_authorization=True, own_headers=False) == plain
    assert upstream_headers(sent, "ours", own_authorization=True, own_headers=False) == [*plain, (b"authorization", b"Bearer ours")]
    under = {name.lower() for name, _ in upstream_headers(sent, "ours", own_authorization=True)}
    assert under == {name.lower() for name, _ in sent} - {b"api-key", b"openai-organization", b"openai-project"}
    assert upstream_headers([*sent, (b"Connection", b"accept, idempotency-key")], None, own_authorization=True, own_headers=False) == [
        pair for pair in plain if pair[0] not in (b"accept", b"idempotency-key")
    ]


@pytest.mark.parametrize(
    ("query", "left"),
    [
        (b"", b""),
        (b"limit=2&after=file%2F1&order=", b"limit=2&after=file%2F1&order="),
        (b"api-version=2024-10-21&api-key=hush&a", b"api-version=2024-10-21&a"),
        (b"key=hush", b""),
        (b"KEY=hush&x=1&access_token=hush", b"x=1"),
        (b"k%65y=hush&api%2Dkey=hush&x=key", b"x=key"),
        (b"client_secret=hush&X-Amz-Signature=hush&sig=hush&X-Amz-Credential=hush&auth=hush&password=hush", b""),
        (b"x=1;key=hush&y=2", b"y=2"),
        (b"x=1;y=2", b"x=1;y=2"),
        (b"key", b""),
    ],
)
def test_a_query_crosses_to_others_without_its_secrets_and_else_to_the_byte(query: bytes, left: bytes) -> None:
    assert without_secrets(query) == left


def test_a_known_header_crosses_a_border_with_what_such_a_header_says_alone() -> None:
    usual = [
        (b"accept", b"application/json, text/event-stream;q=0.9, */*"),
        (b"accept-encoding", b"gzip, deflate, br, zstd"),
        (b"content-type", b"application/json; charset=utf-8"),
        (b"content-length", b"4000000"),
        (b"user-agent", b"OpenAI/Python 1.99.0"),
        (b"openai-organization", b"org-AbCdEf123"),
        (b"openai-beta", b"assistants=v2, responses=v1"),
        (b"anthropic-version", b"2023-06-01"),
        (b"x-stainless-os", b"MacOS"),
        (b"x-stainless-timeout", b"600"),
        (b"x-smidgen-via", b"0123456789012345678901ab,ffffffffffffffffffffffff"),
        (b"Authorization", b"Bearer sk-proj-AbC_1234567890123"),
    ]
    assert impersonal_headers(usual) == usual
    told = [(b"user-agent", b"Mozilla/5.0 (Anna Schmidt's Mac) m.holloway@example.org"), (b"user-agent", b"python-httpx/0.28.1")]
    assert impersonal_headers(told) == [(b"user-agent", b"Mozilla/5.0"), (b"user-agent", b"python-httpx/0.28.1")]
    odd = [
        (b"user-agent", b"Anna Schmidt"),
        (b"accept", b"m.holloway@example.org"),
        (b"content-type", b"text/plain; name=Anna Schmidt"),
        (b"openai-project", b"Anna Schmidt"),
        (b"openai-beta", b"4111111111111111"),
        (b"api-version", b"tel=030-1234-5678"),
        (b"x-stainless-os", b"Anna Schmidt"),
        (b"x-stainless-lang", b"x" * 100),
        (b"x-smidgen-via", b"4111111111111111"),
        (b"authorization", b"Bearer Anna Schmidt"),
        (b"x-api-key", b"m.holloway@example.org"),
    ]
    assert impersonal_headers(odd) == []
