"""Who may do what: every key, on every path and method, with what belongs to somebody else, under one key of the operator's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.server.conftest import Running, running
from tests.upstream_stub import UpstreamStub, upstream_stub

OPERATOR = "operator-secret"
KEYS = {"no key": "", "a wrong key": "stranger", "tenant a": "key-a", "tenant b": "key-b", "admin": "key-admin"}
KNOWN = ("tenant a", "tenant b", "admin")
CHAT = {"model": "big", "messages": [{"role": "user", "content": "hello"}]}
OPEN = (
    ("POST", "/v1/chat/completions", CHAT),
    ("POST", "/v1/completions", {"model": "big", "prompt": "hello"}),
    ("POST", "/v1/responses", {"model": "big", "input": "hello"}),
    ("POST", "/v1/embeddings", {"model": "big", "input": "hello"}),
    ("POST", "/v1/moderations", {"input": "hello"}),
    ("GET", "/v1/models", None),
    ("HEAD", "/v1/models", None),
    ("GET", "/v1/models/big", None),
)
"""Computes an answer."""
OTHERS = (
    ("GET", "/v1/files", None),
    ("POST", "/v1/files", {"purpose": "batch"}),
    ("GET", "/v1/files/file-of-b/content", None),
    ("DELETE", "/v1/files/file-of-b", None),
    ("GET", "/v1/responses/resp_of_b", None),
    ("DELETE", "/v1/responses/resp_of_b", None),
    ("POST", "/v1/responses/resp_of_b/cancel", {}),
    ("GET", "/v1/responses/resp_of_b/input_items", None),
    ("GET", "/v1/chat/completions", None),
    ("GET", "/v1/chat/completions/chatcmpl-of-b/messages", None),
    ("POST", "/v1/chat/completions/chatcmpl-of-b", {"metadata": {}}),
    ("DELETE", "/v1/chat/completions/chatcmpl-of-b", None),
    ("DELETE", "/v1/models/ft:of-b", None),
    ("POST", "/v1/models/ft:of-b", {}),
    ("GET", "/v1/batches/batch_of_b", None),
    ("POST", "/v1/batches", {}),
    ("GET", "/v1/fine_tuning/jobs", None),
    ("GET", "/v1/vector_stores/vs_of_b", None),
    ("GET", "/v1/conversations/conv_of_b", None),
    ("POST", "/v1/organization/admin_api_keys", {"name": "mine"}),
    ("GET", "/v1/organization/users", None),
    ("GET", "/v1/realtime", None),
    ("PUT", "/v1/chat/completions", {}),
    ("PATCH", "/v1/models/big", {}),
)
"""Reads or changes what somebody stored, or the account."""
OWN = (("GET", "/metrics"), ("GET", "/smidgen/account"), ("POST", "/v1/feedback"))
"""Of this server."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, UpstreamStub]]:
    """A gateway for two tenants and an admin, whose key for the upstream is the operator's."""
    with pytest.MonkeyPatch.context() as patch, upstream_stub() as upstream:
        patch.setenv("SMIDGEN_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("SMIDGEN_FALLBACK_KEY", OPERATOR)
        settings = {"api_key": ("key-a", "key-b"), "admin_key": ("key-admin",), "cache": "exact", "cache_scope": "key"}
        stored = {"capture": "answers", "capture_redact": "allow"}
        with running(fallback=(upstream.url,), fallback_model=("big",), **settings, **stored) as gateway:
            yield gateway, upstream


def asked(world: tuple[Running, UpstreamStub], who: str, method: str, path: str, body: Any = None) -> Any:
    """The response; what the upstream saw of it is in `seen`, and of nothing before."""
    gateway, upstream = world
    upstream.seen.clear()
    key = KEYS[who]
    return gateway.client.request(method, path, json=body, headers={"authorization": f"Bearer {key}"} if key else {})


@pytest.mark.parametrize("who", KEYS)
@pytest.mark.parametrize(("method", "path", "body"), OPEN, ids=lambda value: value if isinstance(value, str) else "")
def test_what_computes_an_answer_is_for_those_with_a_key(world: Any, who: str, method: str, path: str, body: Any) -> None:
    fresh = {**body, "user": f"{who} {path}"} if body else None  # nobody's answer comes from the cache
    found = asked(world, who, method, path, fresh)
    seen = world[1].seen
    if who not in KNOWN:
        assert found.status_code == 401 and seen == []
        return
    assert found.status_code == 200 and [(one.method, one.path) for one in seen] == [(method, path)]
    assert seen[0].headers["authorization"] == f"Bearer {OPERATOR}"
    assert not [value for value in seen[0].headers.values() if KEYS[who] in value], "a client's key stays here"


@pytest.mark.parametrize("who", KEYS)
@pytest.mark.parametrize(("method", "path", "body"), OTHERS, ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_stored_at_the_upstream_is_for_nobody(world: Any, who: str, method: str, path: str, body: Any) -> None:
    found = asked(world, who, method, path, body)
    assert world[1].seen == [] and OPERATOR not in found.text
    assert found.status_code == (403 if who in KNOWN else 401)
    assert found.json()["error"]["code"] == ("path_not_allowed" if who in KNOWN else "invalid_api_key")


@pytest.mark.parametrize("who", [who for who in KEYS if who not in KNOWN])
@pytest.mark.parametrize(("method", "path"), OWN)
def test_what_is_of_this_server_needs_a_key(world: Any, who: str, method: str, path: str) -> None:
    assert asked(world, who, method, path, {} if method == "POST" else None).status_code == 401


@pytest.mark.parametrize("who", KEYS)
def test_feedback_is_for_who_asked_and_for_admins(world: Any, who: str) -> None:
    answer = asked(world, "tenant a", "POST", "/v1/chat/completions", {**CHAT, "user": f"feedback {who}"})
    said = {"request_id": answer.headers["x-request-id"], "verdict": "down"}
    found = asked(world, who, "POST", "/v1/feedback", said)
    assert found.status_code == {"no key": 401, "a wrong key": 401, "tenant a": 200, "tenant b": 404, "admin": 200}[who]


def test_an_answer_in_the_cache_is_for_the_key_that_asked(world: Any) -> None:
    body = {**CHAT, "temperature": 0, "messages": [{"role": "user", "content": "cached"}]}
    who = ("tenant a", "tenant a", "tenant b", "admin", "tenant b")
    by = [asked(world, one, "POST", "/v1/chat/completions", body).headers["x-smidgen-answered-by"] for one in who]
    assert by == ["upstream", "cache", "upstream", "upstream", "cache"]


def test_one_tenants_failing_requests_close_nothing_to_the_other(world: Any) -> None:
    from tests.upstream_stub import Said

    _, upstream = world
    usual = upstream.answer
    upstream.answer = lambda seen: Said(status=400 if b"hello" in seen.body else 500)
    try:
        for number in range(6):
            asked(world, "tenant a", "POST", "/v1/responses", {"model": "poison", "input": f"{number}"})
    finally:
        upstream.answer = usual
    assert asked(world, "tenant a", "POST", "/v1/responses", {"model": "poison", "input": "x"}).status_code == 503
    assert asked(world, "tenant b", "POST", "/v1/responses", {"model": "poison", "input": "x"}).status_code == 200
    assert asked(world, "tenant a", "POST", "/v1/responses", {"model": "big", "input": "x"}).status_code == 200
