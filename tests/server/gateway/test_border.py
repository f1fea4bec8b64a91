"""The border of the gateway over real HTTP: what the upstream is sent, what the client gets back, and that nothing leaves unchecked."""

from __future__ import annotations

import ast
import asyncio
import gzip
import json
import logging
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from tests import commands
from tests.certified_bundle import answer, text
from tests.server.conftest import Running, error_of
from tests.upstream_stub import WHOLE, Said, Seen, UpstreamStub, chunk

from smidgen.cli import main
from smidgen.core.errors import BundleError, EngineError, InputError
from smidgen.flows import redaction_model
from smidgen.flows.local_model import Model
from smidgen.gateway.upstreams import RetryPolicy
from smidgen.privacy import border
from smidgen.privacy.policy import policy_of
from smidgen.server.app import create_app
from smidgen.server.gateway import fallback
from smidgen.server.gateway.escalation import Unreachable
from smidgen.server.gateway.upstream import OutgoingCall, UpstreamCall
from smidgen.server.ops.prometheus import ServerMetrics
from smidgen.server.request import RequestBody
from smidgen.server.settings import ServeSettings

PATIENCE = RetryPolicy(tries=2, first=0.001, longest=0.002, total=1.0)
CHAT = "/v1/chat/completions"
NAME, MAIL, CARD = "Margaret Holloway", "m.holloway@example.org", "4111 1111 1111 1111"
SAID = f"{NAME} ({MAIL}) asks for a refund."
MASKED = "[PERSON_1] ([EMAIL_1]) asks for a refund."


@pytest.fixture
def gateway(serve: Any, upstream: UpstreamStub, model: Model) -> Callable[..., Running]:
    """Start one over the bundle `support`, before the stub, with a policy."""

    def start(privacy: str = "mask", *kinds: str, **settings: Any) -> Running:
        chosen = {
            "fallback": (upstream.url,),
            "fallback_model": ("big",),
            "privacy": privacy,
            "privacy_kind": kinds,
            "threads": 1,
            "pass_paths": ("/v1/**",),
        }
        return serve(model, patience=PATIENCE, **{**chosen, **settings})  # type: ignore[no-any-return]

    return start


def asking(said: Any, name: str = "support", **more: Any) -> dict[str, Any]:
    return {"model": name, "messages": [{"role": "user", "content": said}], **more}


def echo(seen: Seen) -> Said:
    """An upstream that says what it was sent last, with a name of its own for one stand-in."""
    last = json.loads(seen.body)["messages"][-1]["content"]
    message = {"role": "assistant", "content": f"You said: {last.replace('[PERSON_1]', '[Person_1]')}"}
    return Said(body=json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).encode())


def metric(running: Running, name: str, **labels: str) -> float:
    wanted = name + "{" + ",".join(f'{label}="{value}"' for label, value in labels.items()) + "}"
    lines = [line for line in running.client.get("/metrics").text.splitlines() if line.startswith(wanted)]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


@pytest.mark.parametrize("name", ["support", "another"])
def test_the_upstream_never_sees_a_value_and_the_client_no_stand_in(gateway: Any, upstream: UpstreamStub, name: str) -> None:
    upstream.answer = echo
    running = gateway()
    found = running.post(CHAT, asking(SAID, name))
    assert found.json()["choices"][0]["message"]["content"] == f"You said: {SAID}"
    assert upstream.bodies == [asking(MASKED, "big" if name == "support" else "another")]
    assert metric(running, "smidgen_privacy_found_total", action="mask", kind="person") == 1


def test_by_default_nothing_is_changed(gateway: Any, upstream: UpstreamStub) -> None:
    found = gateway("off").post(CHAT, asking(SAID, "another"))
    assert (found.content, upstream.bodies) == (WHOLE, [asking(SAID, "another")])


def test_a_body_without_personal_data_leaves_byte_for_byte_and_so_does_its_answer(gateway: Any, upstream: UpstreamStub) -> None:
    body = b'{"temperature": 0.10,\n "model" : "another",  "messages": [{"role":"user","content":"hello \\u00e4"}]}'
    found = gateway("card").client.post(CHAT, content=body, headers={"content-type": "application/json"})
    assert (found.content, [seen.body for seen in upstream.seen]) == (WHOLE, [body])


def test_a_local_answer_reads_the_text_as_it_is(gateway: Any, upstream: UpstreamStub, model: Model) -> None:
    from .test_certified import certify

    certify(model)
    found = gateway().post(CHAT, asking(f"{text(3, 1)} {NAME}"))
    assert (found.headers["x-smidgen-answered-by"], found.json()["choices"][0]["message"]["content"]) == ("local", answer(3))
    assert upstream.seen == []


def test_a_stream_gets_its_values_back_through_the_usual_client(gateway: Any, upstream: UpstreamStub) -> None:
    said = ["Dear [PER", "SON_1", "], we wrote to [EM", "AIL_1] [", "x]"]
    stream = b"".join([*map(chunk, said), b"data: [DONE]\n\n"])
    pieces = [stream[at : at + 50] for at in range(0, len(stream), 50)]
    upstream.script.append(Said(headers={"Content-Type": "text/event-stream"}, pieces=pieces))
    client = openai.OpenAI(base_url=f"{gateway().url}/v1", api_key="unused", max_retries=0)
    asked: Any = asking(SAID, "another")
    found = [part.choices[0].delta.content or "" for part in client.chat.completions.create(**asked, stream=True) if part.choices]
    assert "".join(found) == f"Dear {NAME}, we wrote to {MAIL} [x]"


def test_a_stream_that_breaks_off_says_so(gateway: Any, upstream: UpstreamStub) -> None:
    upstream.script.append(Said(headers={"Content-Type": "text/event-stream"}, pieces=[chunk("Dear [PERSON_1]")], cut=True))
    found = gateway().post(CHAT, asking(SAID, "another", stream=True))
    assert f"Dear {NAME}" in found.text and "upstream_broke_off" in found.text


def test_an_upstreams_words_about_its_failure_come_back_with_their_values(gateway: Any, upstream: UpstreamStub) -> None:
    upstream.answer = lambda seen: Said(500, body=b'{"error": {"message": "no mail to [EMAIL_1]"}}')
    error = error_of(gateway().post(CHAT, asking(SAID, "another")), 502)
    assert f"HTTP 500: no mail to {MAIL}" in error["message"]


def test_responses_and_completions_come_back_with_their_values(gateway: Any, upstream: UpstreamStub) -> None:
    running = gateway()
    output = [{"type": "message", "content": [{"type": "output_text", "text": "Dear [PERSON_1]"}]}]
    upstream.script += [
        Said(body=json.dumps({"output": output}).encode()),
        Said(body=json.dumps({"choices": [{"text": "Dear [PERSON_1]"}]}).encode()),
    ]
    first = running.post("/v1/responses", {"model": "another", "input": SAID, "instructions": f"Help {NAME}"})
    second = running.post("/v1/completions", {"model": "another", "prompt": SAID})
    assert first.json()["output"][0]["content"][0]["text"] == second.json()["choices"][0]["text"] == f"Dear {NAME}"
    assert upstream.bodies == [
        {"model": "another", "input": MASKED, "instructions": "Help [PERSON_1]"},
        {"model": "another", "prompt": MASKED},
    ]


def test_embeddings_are_masked_and_answered_as_they_come(gateway: Any, upstream: UpstreamStub) -> None:
    upstream.script.append(Said(body=b'{"data": [], "said":  "[PERSON_1]"}'))
    found = gateway().post("/v1/embeddings", {"model": "another", "input": [SAID, "hello"]})
    assert (found.content, upstream.bodies[0]["input"]) == (b'{"data": [], "said":  "[PERSON_1]"}', [MASKED, "hello"])


def test_an_answer_that_is_packed_is_asked_for_plainly(gateway: Any, upstream: UpstreamStub) -> None:
    packed = gzip.compress(b'{"choices": [{"message": {"content": "[PERSON_1]"}}]}')
    upstream.script.append(Said(body=packed, headers={"Content-Type": "application/json", "Content-Encoding": "gzip"}))
    found = gateway().post(CHAT, asking(SAID, "another"))
    assert upstream.seen[0].headers["accept-encoding"] == "identity"
    assert found.json()["choices"][0]["message"]["content"] == "[PERSON_1]", "not understood: it comes as it is"


def test_headers_that_may_tell_who_asks_do_not_cross(gateway: Any, upstream: UpstreamStub) -> None:
    sent = {
        "x-user-name": NAME,
        "x-forwarded-for": "203.0.113.9",
        "from": MAIL,
        "authorization": "Bearer k",
        "openai-organization": "org-1",
        "idempotency-key": MAIL,
    }
    running = gateway()
    running.client.post(CHAT, json=asking("hello", "another"), headers=sent)
    running.client.get("/v1/models", headers=sent)
    running.client.get("/v1/files/file-1", headers=sent)
    assert len(upstream.seen) == 3
    for seen in upstream.seen:
        assert (seen.headers["authorization"], seen.headers["openai-organization"]) == ("Bearer k", "org-1")
        assert not {"x-user-name", "x-forwarded-for", "from", "idempotency-key"} & set(seen.headers)


@pytest.mark.parametrize(
    ("method", "path", "content", "code"),
    [
        (
            "POST",
            CHAT,
            json.dumps(asking([{"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}], "another")),
            "redaction_failed",
        ),
        ("POST", CHAT, '{"model": "another", "messages": [], "messages": []}', "redaction_failed"),
        ("POST", "/v1/images/generations", '{"prompt": "hello"}', "redaction_failed"),
        ("POST", "/v1/files", "--x\r\n\r\nhello\r\n--x--", "redaction_failed"),
        ("PUT", CHAT, "hello", "redaction_failed"),
        ("POST", "/v1/responses", '{"model": "another", "previous_response_id": "resp_1", "input": "hello"}', "redaction_failed"),
        ("POST", CHAT, json.dumps(asking("half \ud800", "another")), "redaction_failed"),
        ("GET", f"/v1/files?user={MAIL}", "", "personal_data_blocked"),
        ("GET", f"/v1/models?user={MAIL}", "", "personal_data_blocked"),
        ("GET", f"/v1/files/{MAIL}", "", "personal_data_blocked"),
        ("GET", "/v1/files?user=Margaret%20Holloway", "", "personal_data_blocked"),
        ("GET", "/v1/files/tel-030-1234567", "", "personal_data_blocked"),
        ("DELETE", "/v1/files/card-4111111111111111", "", "personal_data_blocked"),
        ("GET", "/v1/files?cvv=123", "", "personal_data_blocked"),
    ],
)
def test_what_cannot_be_checked_or_changed_does_not_leave(
    gateway: Any, upstream: UpstreamStub, method: str, path: str, content: str, code: str
) -> None:
    running = gateway()
    found = running.client.request(method, path, content=content.encode(), headers={"content-type": "application/json"})
    error = error_of(found, 422)
    assert error["code"] == code and "holloway" not in error["message"]
    assert upstream.seen == []
    assert (found.headers["x-should-retry"], found.headers["x-smidgen-answered-by"]) == ("false", "none")


@pytest.mark.parametrize(
    "path",
    [
        "files/file-AbC1dEf2GhI3jKl4MnO5pQ",
        "responses/resp_68a1b2c3d4e5f6078192a3b4c5d6e7f8123456789012ab34/input_items",
        "models/mistral-large-latest",
    ],
)
def test_ids_and_models_in_a_path_go_on(gateway: Any, upstream: UpstreamStub, path: str) -> None:
    assert gateway().client.get(f"/v1/{path}?limit=20&order=desc&after=msg_68a1b2c3d4e5f607").content == WHOLE
    assert [seen.path for seen in upstream.seen] == [f"/v1/{path}?limit=20&order=desc&after=msg_68a1b2c3d4e5f607"]


def test_a_number_that_hides_from_patterns_does_not_leave(gateway: Any, upstream: UpstreamStub) -> None:
    found = gateway("card").post(CHAT, asking("pay with 4111\u200b1111\u200b1111\u200b1111", "another"))
    assert error_of(found, 422)["code"] == "redaction_failed"
    assert upstream.seen == []


def test_a_large_upload_does_not_leave_and_a_file_may_be_allowed(gateway: Any, upstream: UpstreamStub) -> None:
    upload = {"headers": {"content-type": "multipart/form-data; boundary=x"}, "content": b"x" * 1_500_000}
    assert error_of(gateway().client.post("/v1/files", **upload), 422)["code"] == "redaction_failed"
    assert upstream.seen == []
    allowing = gateway("mask", "file=allow")
    assert allowing.client.post("/v1/files", **upload).content == WHOLE
    image = [{"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}, {"type": "text", "text": SAID}]
    allowing.post(CHAT, asking(image, "another"))
    assert upstream.seen[0].body == upload["content"]
    assert json.loads(upstream.seen[1].body)["messages"][0]["content"] == [image[0], {"type": "text", "text": MASKED}]


@pytest.mark.parametrize(
    "value",
    [{"pan": CARD, "cvv": "123", "exp": "12/27"}, {"cvv": 123}, {"card": {"securityCode": "123"}}],
    ids=["texts", "number", "camel"],
)
def test_a_security_code_in_json_does_not_leave(gateway: Any, upstream: UpstreamStub, value: Any) -> None:
    running = gateway("card")
    call = {"id": "call_1", "type": "function", "function": {"name": "pay", "arguments": json.dumps(value)}}
    bodies = [
        asking(json.dumps(value), "another"),
        {"model": "another", "messages": [{"role": "assistant", "content": None, "tool_calls": [call]}]},
        asking("hello", "another", metadata=value),
    ]
    told = [error_of(running.post(CHAT, body), 422) for body in bodies]
    assert [(error["code"], "cvv" in error["message"]) for error in told] == [("personal_data_blocked", True)] * 3
    assert upstream.seen == []


def test_a_blocked_kind_stops_the_request_and_is_counted_by_kind_alone(
    gateway: Any, upstream: UpstreamStub, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    running = gateway("mask", "card=block", access_log=True)
    error = error_of(running.post(CHAT, asking(f"{SAID} {CARD}", "another")), 422)
    assert (error["code"], "card" in error["message"]) == ("personal_data_blocked", True)
    assert upstream.seen == []
    assert metric(running, "smidgen_privacy_found_total", action="block", kind="card") == 1
    assert metric(running, "smidgen_privacy_withheld_total", why="blocked") == 1
    told = error["message"] + running.client.get("/metrics").text + caplog.text
    assert len(caplog.records) > 0 and not [value for value in (NAME, "Holloway", MAIL, CARD, CARD.replace(" ", "")) if value in told]


class Broken:
    """A model that fails in ways of its own."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def many(self, texts: Any, between: Any = None) -> Any:
        raise self.error


@pytest.mark.parametrize(
    "error", [EngineError("the engine fell over", value=1, todo="Restart it."), RuntimeError("with Margaret in it"), MemoryError()]
)
def test_where_redaction_cannot_run_nothing_leaves_or_the_local_answer_is_given(
    gateway: Any, upstream: UpstreamStub, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(redaction_model, "open_border", lambda *given: border.Border(policy_of("mask"), Broken(error)))
    running = gateway(when_upstream_fails="local")
    told = error_of(running.post(CHAT, asking(SAID, "another")), 503)
    assert told["code"] == "redaction_failed" and "Margaret" not in told["message"]
    local = running.post(CHAT, asking(text(3, 1)))
    assert (local.headers["x-smidgen-answered-by"], local.headers["x-smidgen-uncertified"]) == ("local", "not sent")
    assert local.json()["choices"][0]["message"]["content"] == answer(3)
    assert upstream.seen == []
    assert metric(running, "smidgen_privacy_withheld_total", why="failed") == 2


def test_what_takes_too_long_does_not_leave(gateway: Any, upstream: UpstreamStub, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()

    class Slow:
        def many(self, texts: Any, between: Any = None) -> Any:
            gate.wait(30)
            return dict.fromkeys(texts, ())

    monkeypatch.setattr(redaction_model, "open_border", lambda *given: border.Border(policy_of("mask"), Slow()))
    try:
        running = gateway(request_seconds=0.2)
        assert error_of(running.post(CHAT, asking(SAID, "another")), 503)["code"] == "redaction_failed"
        assert running.client.get("/healthz").status_code == 200, "the server goes on meanwhile"
        assert upstream.seen == []
    finally:
        gate.set()


def test_a_server_whose_model_is_not_there_does_not_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(redaction_model, "SHIPPED", tmp_path / "nowhere")
    settings = {"fallback": ("http://127.0.0.1:1/v1",), "fallback_model": ("big",)}
    with pytest.raises(BundleError, match="does not come with this smidgen"):
        create_app([], ServeSettings(privacy="mask", **settings))
    create_app([], ServeSettings(privacy="card", **settings))  # patterns alone


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"privacy_kind": ("card=block",)}, "no privacy policy"),
        ({"privacy": "mask", "privacy_kind": ("crad=block",)}, "Did you mean 'card'"),
    ],
)
def test_a_policy_that_cannot_be_is_refused_at_the_start(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        create_app([], ServeSettings(fallback=("http://127.0.0.1:1/v1",), fallback_model=("big",), threads=1, **settings))


def test_the_same_conversation_leaves_with_the_same_beginning(gateway: Any, upstream: UpstreamStub) -> None:
    upstream.answer = echo
    running = gateway()
    messages: list[dict[str, Any]] = [{"role": "user", "content": SAID}]
    first = running.post(CHAT, {"model": "another", "messages": messages}).json()["choices"][0]["message"]
    messages += [first, {"role": "user", "content": "And write to b@example.org"}]
    running.post(CHAT, {"model": "another", "messages": messages})
    before, after = (body["messages"] for body in upstream.bodies)
    assert after[:1] == before
    assert [message["content"] for message in after[1:]] == [f"You said: {MASKED}", "And write to [EMAIL_2]"]


SENDING = ("send", "models", "handle_async_request")
HTTP = (
    *("httpx.AsyncClient", "httpx.Client", "httpx.AsyncHTTPTransport", "httpx.HTTPTransport", "AsyncHTTPTransport", "urlopen"),
    *("httpcore.AsyncHTTPConnection", "httpcore.AsyncConnectionPool", "httpcore.AsyncHTTPProxy", "UpstreamConnection", "DirectTransport"),
)


def ways_out(source: str) -> tuple[list[str], list[str]]:
    """Where upstreams are put together, what a `Fallback` asks, and every call that sends: by an upstream, a transport or a client of its
    own."""
    made, sends = [], []
    for call in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)):
        name = ast.unparse(call.func)
        if name.rpartition(".")[2] in ("Escalation", "aside"):
            made.append(name)
        if name == "Fallback":
            made += [ast.unparse(answer) for answer in call.args[:2]]
        owner, _, what = name.rpartition(".")
        if (what in SENDING and ("upstream" in owner or "transport" in owner)) or name in HTTP:
            sends.append(name)
    return made, sends


def test_every_way_out_has_the_guard_before_it() -> None:
    """Whoever makes another `Escalation`, for requests of the gateway's own, must put the guard before it: else they leave unchecked."""
    room = Path(create_app.__code__.co_filename).parent
    found = {file.relative_to(room).as_posix(): ways_out(file.read_text(encoding="utf-8")) for file in sorted(room.rglob("*.py"))}
    assert {name: sorted(made) for name, (made, _) in found.items() if made} == {
        "gateway/escalation.py": ["Escalation"],
        "gateway/fallback.py": [
            *("Escalation", "escalation.aside", "guarded(guard, cache or escalation)", "guarded(guard, escalation.aside())"),
        ],
    }
    assert {name: sorted(sends) for name, (_, sends) in found.items() if sends} == {
        "gateway/escalation.py": ["upstream.send"],
        "gateway/routing.py": ["upstream.models"],
        "gateway/transport.py": ["DirectTransport", "UpstreamConnection", "httpcore.AsyncHTTPConnection", "httpx.AsyncClient"],
        "gateway/upstream.py": ["self._transport.handle_async_request"],
    }, "nobody else sends: both ask the guard first"
    bare = "Escalation(upstreams); escalation.upstreams[0].send(call); httpx.AsyncClient().get(url)"
    assert ways_out(bare) == (["Escalation"], ["escalation.upstreams[0].send", "httpx.AsyncClient"])


def test_requests_of_the_gateways_own_ask_the_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        asked = 0

        async def leaving(self, call: UpstreamCall) -> OutgoingCall:
            self.asked += 1
            raise Unreachable("no", value="", todo="", status=422, code="x")

        def close(self) -> None:
            """Nothing is held."""

    guard = Refusing()
    monkeypatch.setattr(fallback, "_guard", lambda privacy, metering, seconds: guard)
    opened = fallback.open_fallback(ServeSettings(fallback=("http://127.0.0.1:1/v1",), fallback_model=("big",)), ServerMetrics())
    for ask in (opened.answer, opened.audit):
        with pytest.raises(Unreachable):
            asyncio.run(ask(UpstreamCall("GET", b"/models", b"", [], RequestBody(b""))))  # type: ignore[arg-type]
    assert guard.asked == 2


def test_values_go_back_into_what_the_raw_response_says(gateway: Any, upstream: UpstreamStub) -> None:
    upstream.script.append(Said(status=400, body=b'{"error": {"message": "no model for [PERSON_1]"}}'))
    found: httpx.Response = gateway().post(CHAT, asking(SAID, "another"))
    assert (found.status_code, found.json()["error"]["message"]) == (400, f"no model for {NAME}")


@pytest.mark.skipif(sys.platform == "win32", reason="stop signals are POSIX")
@pytest.mark.parametrize(
    ("flags", "said", "sent"), [([], "is sent as it is; to replace it", SAID), (["--privacy", "mask"], "by the policy mask", MASKED)]
)
def test_the_command_says_at_the_start_what_becomes_of_personal_data(
    upstream: UpstreamStub, flags: list[str], said: str, sent: str
) -> None:
    with commands.smidgen("serve", "--fallback", upstream.url, "--fallback-model", "big", "--port", "0", *flags) as running:
        lines = [running.line() for _ in range(4)]
        assert "goes upstream: POST /v1/chat/completions" in lines[1]
        assert said in lines[2]
        url = next(word for word in lines[3].split() if word.startswith("http"))
        httpx.post(f"{url}/chat/completions", json=asking(SAID, "another"), timeout=60).raise_for_status()
        assert (running.stop(), upstream.bodies) == (0, [asking(sent, "another")])
        assert "POST /v1/chat/completions 200" in running.log and "Holloway" not in running.log


@pytest.mark.parametrize("flags", [["--privacy", "mask"], ["--privacy-kind", "card=block"], ["--privacy-bundle", "x"]])
def test_a_policy_without_a_fallback_is_a_mistake(capsys: pytest.CaptureFixture[str], flags: list[str]) -> None:
    assert main.code(["serve", "x", "--port", "0", *flags]) == 2
    assert "without one no text leaves" in capsys.readouterr().err


def test_a_request_that_is_too_long_to_be_read_gets_413(gateway: Any, upstream: UpstreamStub) -> None:
    running = gateway("card", privacy_max_chars=1000)
    found = error_of(running.post("/v1/chat/completions", asking("a b " * 300, "another")), 413)
    assert found["code"] == "request_too_long" and "--privacy-max-chars" in found["message"] and upstream.seen == []
    assert running.post("/v1/chat/completions", asking("a b " * 200, "another")).status_code == 200
