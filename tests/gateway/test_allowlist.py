"""The allow-list of what goes upstream: by method and path, as they were sent."""

from __future__ import annotations

import pytest

from smidgen.core.errors import InputError, RequestError
from smidgen.gateway.route import Allowlist, describe_open_paths

OPENED = [
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/completions"),
    ("POST", "/v1/responses"),
    ("POST", "/v1/embeddings"),
    ("POST", "/v1/moderations"),
    ("GET", "/v1/models"),
    ("HEAD", "/v1/models"),
    ("GET", "/v1/models/gpt-x"),
    ("GET", "/v1/models/ft:gpt-x:org::a1"),
    ("GET", "/v1/models/meta-llama/Llama-3.1-8B"),
    ("GET", "/v1/models/meta-llama%2FLlama-3.1-8B"),
]
OTHERS = [
    ("GET", "/v1/files/file-1/content"),
    ("GET", "/v1/files"),
    ("DELETE", "/v1/models/ft:x"),
    ("POST", "/v1/organization/admin_api_keys"),
    ("GET", "/v1/responses/resp_1"),
    ("DELETE", "/v1/responses/resp_1"),
    ("POST", "/v1/responses/resp_1/cancel"),
    ("GET", "/v1/chat/completions"),
    ("PUT", "/v1/chat/completions"),
    ("DELETE", "/v1/chat/completions"),
    ("OPTIONS", "/v1/chat/completions"),
    ("GET", "/v1/realtime"),
    ("POST", "/v1/audio/speech"),
]
TRICKS = [
    "/v1/chat/completions/",
    "/v1//chat/completions",
    "/v1/chat//completions",
    "/v1/Chat/Completions",
    "/V1/chat/completions",
    "/v1/chat%2Fcompletions",
    "/v1/%63hat/completions",
    "/v1/chat/completions/../../files",
    "/v1/chat/completions/%2e%2e/%2e%2e/files",
    "/v1/chat/completions/..%2f..%2ffiles",
    "/v1/chat/completions%00",
    "/v1/chat/completions;x=1",
    "/v1/chat/completions%3Fa",
    "/v1/chat/completions#/../files",
    "/v1/models/../files",
    "/v1/models/%2e%2e/files",
    "/v1/models/x/..%2f..%2ffiles",
    "/v1/models/x%2F..%2F..%2Ffiles",
    "/v1/models/x%252F..%252Ffiles",
    "/v1/models/..;/files",
    "/v1/models/",
    "/v1/models//files",
    "/v1/models/a/b/c/d/e",
    "\\v1\\files",
]


def test_what_computes_an_answer_goes_upstream() -> None:
    allowed = Allowlist()
    assert [asked for asked in OPENED if not allowed.passes(asked[0], asked[1].encode())] == []


def test_what_belongs_to_an_account_does_not() -> None:
    allowed = Allowlist()
    assert [asked for asked in OTHERS if allowed.passes(asked[0], asked[1].encode())] == []


@pytest.mark.parametrize("path", TRICKS)
def test_no_other_way_to_write_a_path_gets_through(path: str) -> None:
    """Also where a pattern would let the plain path through."""
    for allowed in (Allowlist(), Allowlist(["/v1/chat/completions", "/v1/models/*"])):
        for method in ("GET", "POST", "DELETE"):
            assert not allowed.passes(method, path.encode()), method


@pytest.mark.parametrize(
    ("pattern", "passes", "refuses"),
    [
        (
            "GET /v1/files/*",
            ["GET /v1/files/file-1", "HEAD /v1/files/file-1", "GET /v1/files/a%20b"],
            ["POST /v1/files/file-1", "GET /v1/files"],
        ),
        ("get /v1/files/*", ["GET /v1/files/file-1"], ["GET /v1/files/file-1/content", "DELETE /v1/files/file-1"]),
        ("/v1/audio/**", ["POST /v1/audio/speech", "GET /v1/audio/a/b/c"], ["POST /v1/audio", "POST /v1/audio/", "POST /v1/audiox/y"]),
        ("/v1/**", ["DELETE /v1/models/ft:x", "PATCH /v1/anything/at/all"], ["GET /v2/x", "GET /v1/a//b", "GET /v1/"]),
        ("GET /v1/files/file-*", ["GET /v1/files/file-1"], ["GET /v1/files/other"]),
        ("/v1/rerank/", ["POST /v1/rerank/"], ["POST /v1/rerank"]),
    ],
)
def test_patterns(pattern: str, passes: list[str], refuses: list[str]) -> None:
    allowed = Allowlist([pattern])
    asked = {one: allowed.passes(*_split(one)) for one in (*passes, *refuses)}
    assert asked == {**dict.fromkeys(passes, True), **dict.fromkeys(refuses, False)}


@pytest.mark.parametrize(
    "path",
    [
        "/v1/files/../organization/admin_api_keys",
        "/v1/files/%2e%2e/organization",
        "/v1/files/%2E./organization",
        "/v1/files/x%2f..%2forganization",
        "/v1/files/x%5c..%5corganization",
        "/v1/files/x%252f..",
        "/v1/files/..;/organization",
        "/v1/files/x;/y",
        "/v1/files/%ef%bc%8f",
        "/v1/files/%c0%ae%c0%ae/organization",
        "/v1/files//organization",
        "/v1/files/%0d%0aHost:evil",
        "/v1/files/%00",
        "/v1/files/ /x",
        "/v1/files/" + "a" * 3000,
    ],
)
def test_a_pattern_lets_nothing_through_that_another_server_reads_otherwise(path: str) -> None:
    allowed = Allowlist(["/v1/files/**"])
    assert not allowed.passes("GET", path.encode())
    assert allowed.passes("GET", b"/v1/files/a%20b%C3%A4/x.y..z")


@pytest.mark.parametrize(
    "pattern", ["", "files", "/v1", "/v1/", "/v2/x", "FETCH /v1/x", "/v1/**/x", "/v1/a**", "/v1/a b c", "/v1/../x", "/v1/a%2Fb", "*"]
)
def test_what_is_no_pattern_is_refused_at_the_start(pattern: str) -> None:
    with pytest.raises(InputError, match="not a path pattern"):
        Allowlist([pattern])


def test_the_refusal_says_what_to_do() -> None:
    with pytest.raises(RequestError, match=r"--pass 'GET /v1/files/\*/\*'") as plain:
        Allowlist().check("GET", b"/v1/files/file-1/content")
    assert (plain.value.status, plain.value.code) == (403, "path_not_allowed")
    with pytest.raises(RequestError, match="Send the path plainly") as tricky:
        Allowlist().check("GET", b"/v1//files" + b"/\xff" * 5000)
    assert "--pass" not in str(tricky.value) and len(str(tricky.value)) < 600


def test_the_start_says_what_goes_upstream_and_whose_objects_are_open() -> None:
    own_keys, shared_key = describe_open_paths((), False), describe_open_paths((), True)
    assert own_keys.endswith("any other path gets 403 (--pass)") and "this server's key" not in own_keys
    assert "under this server's key" in shared_key and "others have stored" not in shared_key
    line = describe_open_paths(("/v1/files/*",), True)
    assert line.endswith("by --pass /v1/files/*; each client can reach what others have stored there")
    assert describe_open_paths(("/v1/files/*",), False).endswith("by --pass /v1/files/*")


def _split(asked: str) -> tuple[str, bytes]:
    method, _, path = asked.partition(" ")
    return method, path.encode()
