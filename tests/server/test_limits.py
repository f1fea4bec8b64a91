"""Limits, keys, hosts and errors, one by one, each in OpenAI's error shape."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from uvicorn.server import ServerState

from smidgen.core.errors import SmidgenError
from smidgen.server.process import MAX_HEAD, BoundedHttpProtocol, config_of, take_port
from smidgen.server.settings import ListenSettings


def said(text):
    return {"messages": [{"role": "user", "content": text}]}


def test_body_too_large(serve, error):
    server = serve(max_body_mb=0.001)
    told = error(server.post("/v1/classify", {"input": "x" * 2000}), 413)
    assert told["code"] == "body_too_large" and "larger than 0.001 MB" in told["message"] and "--max-body-mb" in told["message"]
    parts = iter([b'{"input": "', b"x" * 1000, b"x" * 1000, b'"}'])  # without a Content-Length
    response = server.client.post("/v1/classify", content=parts, headers={"Content-Type": "application/json"})
    assert error(response, 413)["code"] == "body_too_large" and "--max-body-mb" in error(response, 413)["message"]
    assert server.model.batches == []


def test_text_too_long_empty_or_broken(serve, error):
    server = serve(max_chars=20)
    assert error(server.post("/v1/classify", {"input": ["fine", "x" * 21]}), 422)["code"] == "text_too_long"
    assert error(server.post("/v1/classify", {"input": ["fine", "x" * 21]}), 422)["param"] == "input.1"
    assert error(server.post("/v1/chat/completions", said(" \n")), 422)["code"] == "empty_text"
    surrogate = b'{"input": "\\ud83d"}'
    response = server.client.post("/v1/classify", content=surrogate, headers={"Content-Type": "application/json"})
    error(response, 422)
    assert server.model.batches == []


def test_too_many_texts(serve, error):
    server = serve(max_inputs=3)
    assert server.post("/v1/classify", {"input": ["a"] * 3}).status_code == 200
    assert error(server.post("/v1/classify", {"input": ["a"] * 4}), 422)["code"] == "too_many_inputs"
    assert error(server.post("/v1/completions", {"prompt": ["a"] * 4}), 422)["param"] == "prompt"
    error(server.post("/v1/classify", {"input": []}), 422)


def test_too_many_requests(serve, word_model, error):
    model = word_model()
    server = serve(model, max_concurrent=1)
    model.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(server.post, "/v1/classify", {"input": "shipping"})
        assert model.entered.wait(10)
        response = server.post("/v1/classify", {"input": "shipping"})
        assert error(response, 429)["type"] == "rate_limit_error"
        assert response.headers["retry-after"] == "1"
        assert server.client.get("/healthz").status_code == 200
        model.gate.set()
        assert first.result().status_code == 200


def test_full_queue(serve, word_model, error):
    model = word_model()
    server = serve(model, max_queue=2, max_inputs=2)
    model.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(server.post, "/v1/classify", {"input": ["a", "b"]})
        assert model.entered.wait(10)
        response = server.post("/v1/classify", {"input": "c"})
        assert error(response, 503)["code"] == "overloaded"
        assert response.headers["retry-after"] == "1"
        model.gate.set()
        assert first.result().status_code == 200


def test_time(serve, word_model, error):
    model = word_model()
    server = serve(model, request_seconds=0.3, max_batch=1)
    model.gate.clear()
    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(server.post, "/v1/classify", {"input": "a"})
        assert model.entered.wait(10)
        waiting = pool.submit(server.post, "/v1/classify", {"input": "b"})
        assert error(running.result(), 504)["code"] == "timeout"
        assert error(waiting.result(), 503)["code"] == "overloaded"
    model.gate.set()
    assert server.post("/v1/classify", {"input": "c"}).status_code == 200
    assert "b" not in model.seen


def test_a_body_that_never_comes(serve):
    server = serve(request_seconds=0.3)
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as wire:
        wire.sendall(b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{")
        assert b" 408 " in wire.recv(4096).split(b"\r\n")[0]


def test_keys(serve, error):
    server = serve(api_key=("one", "two"))
    for headers in ({}, {"Authorization": "Bearer three"}, {"Authorization": "Basic one"}, {"Authorization": "one"}):
        response = server.client.get("/v1/models", headers=headers)
        assert error(response, 401)["code"] == "invalid_api_key"
        assert response.headers["www-authenticate"] == "Bearer"
        error(server.post("/v1/classify", {"input": "a"}, headers=headers), 401)
        error(server.client.get("/metrics", headers=headers), 401)
        error(server.client.get("/nowhere", headers=headers), 401)
    for key in ("one", "two"):
        assert server.client.get("/v1/models", headers={"Authorization": f"bearer {key}"}).status_code == 200
    for path in ("/healthz", "/readyz", "/docs", "/openapi.json"):
        assert server.client.get(path).status_code == 200
    assert server.model.batches == []


def test_hosts(serve, error):
    server = serve(allow_host=("bot.example",))
    for host in ("localhost", "LOCALHOST:8080", "127.0.0.1:1", "[::1]:9", "bot.example"):
        assert server.client.get("/healthz", headers={"Host": host}).status_code == 200
    for host in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example", ""):
        assert error(server.client.get("/healthz", headers={"Host": host}), 403)["code"] == "host_not_allowed"


def test_no_cors_unless_asked(serve):
    preflight = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    server = serve()
    assert "access-control-allow-origin" not in server.client.get("/v1/models", headers=preflight).headers
    server = serve(cors=("https://app.example",), api_key=("one",))
    assert server.client.options("/v1/classify", headers=preflight).headers["access-control-allow-origin"] == "https://app.example"
    refused = server.client.get("/v1/models", headers=preflight)
    assert refused.status_code == 401 and refused.headers["access-control-allow-origin"] == "https://app.example"
    assert "access-control-allow-origin" not in server.client.get("/v1/models", headers={"Origin": "https://evil.example"}).headers


def test_a_page_cannot_post_without_a_preflight(serve, error):
    server = serve()
    response = server.client.post("/v1/classify", content=b'{"input": "a"}', headers={"Content-Type": "text/plain"})
    error(response, 422)
    assert server.model.batches == []


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/v1/nowhere", None, 404, "not_found"),
        ("GET", "/v1/classify", None, 405, "method_not_allowed"),
        ("POST", "/v1/classify", b"{", 400, "invalid_json"),
        ("POST", "/v1/classify", b"[" * 100_000, 400, "invalid_json"),
        ("POST", "/v1/classify", b'{"input": "a", "top_k": ' + b"9" * 5000 + b"}", 400, "invalid_json"),
        ("POST", "/v1/classify", b"\xff\xfe", 400, "invalid_json"),
        ("POST", "/v1/classify", b"", 422, "invalid_request"),
        ("POST", "/v1/classify", b'{"input": "a", "inptu": 1}', 422, "invalid_request"),
        ("POST", "/v1/classify", b'{"input": [["a", "b"]]}', 422, "wrong_input"),
        ("POST", "/v1/chat/completions", b'{"messages": []}', 422, "invalid_request"),
        ("POST", "/v1/chat/completions", b'{"messages": [{"role": "system", "content": "a"}]}', 422, "invalid_request"),
        (
            "POST",
            "/v1/chat/completions",
            b'{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}',
            422,
            "unsupported_content",
        ),
        (
            "POST",
            "/v1/chat/completions",
            b'{"messages": [{"role": "user", "content": "a"}], "response_format": {"type": "json_object"}}',
            422,
            "unsupported_response_format",
        ),
        ("POST", "/v1/chat/completions", b'{"model": "nope", "messages": [{"role": "user", "content": "a"}]}', 404, "model_not_found"),
        ("POST", "/v1/completions", b'{"prompt": [1, 2, 3]}', 422, "invalid_request"),
    ],
)
def test_mistakes(serve, error, method, path, body, status, code):
    server = serve()
    response = server.client.request(method, path, content=body, headers={"Content-Type": "application/json"})
    assert error(response, status)["code"] == code
    assert response.headers["x-request-id"].startswith("req_")
    assert server.model.batches == []


def test_a_failure_inside_says_nothing(serve, error, caplog):
    server = serve()
    with caplog.at_level("INFO"):
        response = server.post("/v1/classify", {"input": "broken secret"}, headers={"x-request-id": "mine-1"})
    assert error(response, 500)["code"] == "internal_error"
    assert response.headers["x-request-id"] == "mine-1" and "mine-1" in response.text
    assert "secret" not in response.text
    assert "ValueError" in caplog.text and "mine-1" in caplog.text
    assert "secret" not in caplog.text


def test_the_access_log_has_no_text(serve, caplog):
    server = serve(access_log=True)
    with caplog.at_level("INFO", logger="smidgen.access"):
        server.post("/v1/classify?q=secretquery", {"input": "secretbody"})
        server.client.get("/secretpath")
        server.client.get("/healthz")  # the line of a request is written after its reply is sent
    assert "POST /v1/classify 200 " in caplog.text and "GET other 404 " in caplog.text
    assert "secret" not in caplog.text


def test_port_in_use():
    with take_port(ListenSettings(port=0)) as bound:
        bound.listen()
        port = bound.getsockname()[1]
        with pytest.raises(SmidgenError, match=r"the port is in use: '127.0.0.1:\d+'. Stop the program") as caught:
            take_port(ListenSettings(port=port))
    assert caught.value.exit_code == 1


def test_host_that_is_none():
    with pytest.raises(SmidgenError) as caught:
        take_port(ListenSettings(host="192.0.2.1", port=0))
    assert caught.value.exit_code == 2


def test_a_client_that_hangs_up_frees_its_place(serve, word_model):
    model = word_model()
    server = serve(model, max_queue=2, max_inputs=1, max_batch=1)
    model.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(server.post, "/v1/classify", {"input": "first"})
        assert model.entered.wait(10)
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{server.url}/v1/classify", json={"input": "gone"}, timeout=0.3)
        deadline = time.monotonic() + 10
        while 'smidgen_queue_texts{model="support"} 1.0' not in server.client.get("/metrics").text:
            assert time.monotonic() < deadline
            threading.Event().wait(0.02)
        model.gate.set()
        assert running.result().status_code == 200
    assert server.post("/v1/classify", {"input": "second"}).status_code == 200
    assert model.seen == ["first", "second"]


def wire(server):
    host, port = server.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def heard(connection):
    """All that comes until the server closes the connection."""
    said = b""
    while piece := connection.recv(4096):
        said += piece
    return said


def test_headers_without_end(serve):
    with wire(serve()) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ")
        with contextlib.suppress(ConnectionError):  # closed while we were still sending
            for _ in range(64):
                connection.sendall(b"x" * 4096)
        with contextlib.suppress(ConnectionError):
            said = heard(connection)
            assert said.startswith(b"HTTP/1.1 431 ") and json.loads(said.partition(b"\r\n\r\n")[2])["error"]["code"] == "headers_too_large"
        with pytest.raises(OSError):
            for _ in range(64):
                connection.sendall(b"x" * 4096)


def test_headers_that_come_whole_are_measured_all_the_same():
    """They may end in the same read in which they begin."""
    asked = []

    async def app(scope, receive, send):
        asked.append(scope["path"])

    class Wire(asyncio.Transport):
        def __init__(self):
            super().__init__()
            self.said, self.closed = b"", False

        def write(self, data):
            self.said += data

        def close(self):
            self.closed = True

        def is_closing(self):
            return self.closed

    async def answered(value):
        config = config_of(app, 30.0)
        config.load()
        protocol, connection = BoundedHttpProtocol(config, ServerState(), {}), Wire()
        protocol.connection_made(connection)
        protocol.data_received(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + value + b"\r\n\r\n")
        await asyncio.gather(*protocol.tasks)
        protocol.connection_lost(None)
        return connection.said.partition(b"\r\n")[0], connection.closed

    assert asyncio.run(answered(b"x" * MAX_HEAD)) == (b"HTTP/1.1 431 Request Header Fields Too Large", True) and asked == []
    asyncio.run(answered(b"x" * (MAX_HEAD - 1000)))
    assert asked == ["/healthz"]


def test_headers_that_never_come(serve, monkeypatch):
    monkeypatch.setattr(BoundedHttpProtocol, "head_seconds", 0.2)
    server = serve()
    for begun in (b"", b"GET /healthz HTTP/1.1\r\n", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET"):
        with wire(server) as connection:
            connection.sendall(begun)
            said = heard(connection)
            assert said.count(b"HTTP/1.1 408 ") == 1 and b"did not arrive in time" in said
            assert said.count(b"HTTP/1.1 200 ") == (1 if begun.endswith(b"GET") else 0)


def test_what_is_not_http(serve):
    with wire(serve()) as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        head, _, body = heard(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["error"]["code"] == "invalid_http"


@pytest.mark.parametrize(
    "head",
    [
        b"Host: localhost\r\nHost: evil.example",
        b"Host: evil.example\r\nhost: localhost",
        b"Host: 127.0.0.1:80@evil.example",
        b"Host: localhost/evil",
        b"Host: localhost, evil.example",
        b"Host: localhost:80:90",
        b"Host: [::1]evil",
        b"Host: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked",
        b"Host: localhost\r\nContent-Length: 3\r\nContent-Length: 4",
    ],
)
def test_heads_that_two_servers_read_differently_are_refused(serve, head):
    server = serve()
    with wire(server) as connection:
        connection.sendall(b"POST /v1/classify HTTP/1.1\r\n%s\r\n\r\n0\r\n\r\n" % head)
        said = heard(connection)
    assert said.startswith(b"HTTP/1.1 400 ") and json.loads(said.partition(b"\r\n\r\n")[2])["error"]["code"] == "invalid_http"
    assert server.model.batches == []


@pytest.mark.parametrize("host", [b"localhost", b"LOCALHOST:80", b"127.0.0.1:8080", b"[::1]:80"])
def test_usual_hosts_are_answered(serve, host):
    with wire(serve()) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % host)
        assert heard(connection).startswith(b"HTTP/1.1 200 ")
