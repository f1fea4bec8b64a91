"""The exchanges of the golden transcripts, group by group: what the server is told, what it is asked, and what its upstream answers."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.golden.bundles import SCHEMA, answering, certify, revoke, write_bundle, write_finder, write_names
from tests.golden.transcript import DEAD, QUIET, SECOND, SERVER, UPSTREAM, VIA, Exchange, Group, request
from tests.golden.wire import JSON, Answer

CHAT, COMPLETIONS, RESPONSES, EMBEDDINGS = "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings"
SYSTEMONE, CLASSIFY, FEEDBACK, MODELS = "/v1/systemone", "/v1/classify", "/v1/feedback", "/v1/models"
STREAM = (("Content-Type", "text/event-stream; charset=utf-8"),)
UP = ("--fallback", f"http://{UPSTREAM}/v1", "--fallback-model", "big")

Headers = Sequence[tuple[str, str]]


def post(path: str, body: Mapping[str, Any] | bytes, headers: Headers = ()) -> bytes:
    """A request of JSON, as a client of OpenAI's sends it."""
    content = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode("utf-8")
    return request("POST", path, content, [("Host", SERVER), *JSON, *headers])


def get(path: str, headers: Headers = (), method: str = "GET") -> bytes:
    """A request without a body."""
    return request(method, path, headers=[("Host", SERVER), *headers])


def chat(model: str, text: str, headers: Headers = (), **fields: Any) -> bytes:
    """A chat completion of one message."""
    return post(CHAT, {"model": model, "messages": [{"role": "user", "content": text}], **fields}, headers)


def said(content: str, **more: Any) -> bytes:
    """A chat completion of the upstream's, with a spelling of its own: two spaces stand in it."""
    message = {"role": "assistant", "content": content, **more}
    choice = b'{"index":0,"message":' + json.dumps(message, ensure_ascii=False).encode("utf-8") + b',"finish_reason":"stop"}'
    usage = b'{"prompt_tokens":30,"completion_tokens":20,"total_tokens":50}'
    head = b'{"id":"chatcmpl-up",  "object":"chat.completion","created":1,"model":"big","choices":['
    return head + choice + b'],"usage":' + usage + b',"unknown":{"b":1,"a":[1.0,1e2]}}'


def event(facts: Any, kind: str = "") -> bytes:
    """An event of a stream."""
    head = f"event: {kind}\n".encode() if kind else b""
    return head + b"data: " + json.dumps(facts, ensure_ascii=False).encode("utf-8") + b"\n\n"


def delta(content: str | None = None, finish: str | None = None, **more: Any) -> bytes:
    """A piece of a streamed chat completion of the upstream's."""
    told = {"index": 0, "delta": {"content": content} if content is not None else more, "finish_reason": finish}
    return event({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "big", "choices": [told]})


USAGE = event(
    {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "big",
        "choices": [],
        "usage": {"prompt_tokens": 30, "completion_tokens": 20, "total_tokens": 50},
    }
)
DONE = b"data: [DONE]\n\n"
USUAL = Answer(body=said("from above"))


def fault(status: str, message: str, headers: Headers = (), code: str = "up") -> Answer:
    """A failure as an upstream tells it."""
    told = {"error": {"message": message, "type": "up_error", "param": None, "code": code}}
    return Answer(status, (*JSON, *headers), json.dumps(told).encode())


ODD_BODY = (
    b'{ "model" : "%s" ,\r\n\t"messages":[{"role":"user","content":"h\\u00e9llo \xc3\xa9"}],'
    b'"temperature":1.0,"x_unknown":{"z":1,"a":null},"n":1 }\n'
)
"""JSON with spaces, escapes and fields of its own, which must not change on the way."""

TOO_LONG = get(MODELS, [("X-Long", "")]).removesuffix(b"\r\n\r\n")
TOO_LONG += b"x" * (64 * 1024 + 1 - len(TOO_LONG))
"""A head that has not ended, a few bytes longer than what is taken."""

PASSING = Group(
    "passing",
    (*UP, "--fallback-retry-seconds", "0", "--pass", "GET /v1/files/*", "--pass", "/v1/audio/**"),
    [
        Exchange("passed through: spaces, escapes and unknown fields stay as they are, on both ways", post(CHAT, ODD_BODY % b"big")),
        Exchange(
            "headers: the client's key, cookies, hop-by-hop and forwarding headers stay here; others go on; the request id is the client's",
            chat(
                "big",
                "hello",
                [
                    *(("Authorization", "Bearer client-key"), ("X-Api-Key", "second-key"), ("Cookie", "a=b"), ("X-Custom", "kept")),
                    *(("Connection", "keep-alive, X-Hop"), ("X-Hop", "dropped"), ("X-Forwarded-Host", "evil"), ("TE", "trailers")),
                    *(("X-Request-Id", "mine-1"), ("X-Smidgen-User", "somebody"), ("OpenAI-Organization", "org-client")),
                    *(("User-Agent", "client/1.0"), ("Accept-Encoding", "gzip, br"), ("Accept", "*/*"), ("X-Smidgen-Via", "0" * 24)),
                ],
            ),
        ),
        Exchange(
            "headers of the answer: dates, cookies, CORS and marks of the upstream are dropped, its request id is renamed, others stay",
            chat("big", "hello"),
            [
                Answer(
                    headers=[
                        *JSON,
                        *(("Date", "Thu, 01 Jan 1970 00:00:00 GMT"), ("Server", "up"), ("Set-Cookie", "a=b"), ("X-Request-ID", "up-1")),
                        *(("Access-Control-Allow-Origin", "*"), ("X-Smidgen-Score", "1"), ("Connection", "X-Hop"), ("X-Hop", "dropped")),
                        *(("OpenAI-Processing-Ms", "17"), ("X-RateLimit-Remaining", "3"), ("X-RateLimit-Remaining", "4")),
                    ],
                    body=said("from above"),
                )
            ],
        ),
        Exchange("a path with a query", post(CHAT + "?a=1&b=%20x", {"model": "big", "messages": []})),
        Exchange("completions", post(COMPLETIONS, {"model": "big", "prompt": "hello"})),
        Exchange("responses", post(RESPONSES, {"model": "big", "input": "hello"})),
        Exchange("embeddings", post(EMBEDDINGS, {"model": "big", "input": ["hello"]})),
        Exchange("moderations", post("/v1/moderations", {"input": "hello"})),
        Exchange("systemone goes upstream where no bundle is served", post(SYSTEMONE, {"state": "hello", "questions": {}})),
        Exchange("classify is no path of the upstream's", post(CLASSIFY, {"input": "hello"})),
        Exchange(
            "the upstream's list of models", get(MODELS), [Answer(body=b'{"object":"list",  "data":[{"id":"big","object":"model"}]}')]
        ),
        Exchange("a model by its name, with a slash in it", get(MODELS + "/meta/Big-3"), [Answer(body=b'{"id":"meta/Big-3"}')]),
        Exchange("HEAD", get(MODELS, method="HEAD"), [Answer(body=b'{"object":"list","data":[]}')]),
        Exchange(
            "a path that --pass adds", get("/v1/files/file-1"), [Answer(headers=[("Content-Type", "text/plain")], body=b"\x00\xff raw\r\n")]
        ),
        Exchange(
            "a body that is no JSON, in chunks, over a path that --pass adds",
            request(
                "POST",
                "/v1/audio/speech",
                b"5\r\nhe\x00lo\r\n1\r\n!\r\n0\r\n\r\n",
                [("Host", SERVER), ("Content-Type", "application/octet-stream"), ("Transfer-Encoding", "chunked")],
            ),
            [Answer("201 Created", [("Content-Type", "audio/mpeg")], b"\x01\x02")],
        ),
        Exchange("an answer without a body", get("/v1/files/file-1"), [Answer("204 No Content", ())]),
        Exchange(
            "streamed: each piece goes on as it comes, comments and blank lines too",
            chat("big", "hello", stream=True),
            [
                Answer(
                    headers=[*STREAM, ("Cache-Control", "no-cache")],
                    pieces=[b": comment\n\n", delta(role="assistant"), delta("fr"), b"\n", delta("om"), delta(finish="stop"), DONE],
                    hold=True,
                )
            ],
        ),
        Exchange(
            "streamed responses",
            post(RESPONSES, {"model": "big", "input": "hello", "stream": True}),
            [
                Answer(
                    headers=STREAM,
                    pieces=[
                        event({"type": "response.created", "sequence_number": 0}, "response.created"),
                        event({"type": "response.completed", "sequence_number": 1}, "response.completed"),
                    ],
                )
            ],
        ),
        Exchange(
            "a stream that breaks off ends with an error in its own shape",
            chat("big", "hello", stream=True),
            [Answer(headers=STREAM, pieces=[delta("fr")], cut=True)],
        ),
        Exchange(
            "any other answer that breaks off is broken off here, too", chat("big", "hello"), [Answer(body=said("from above"), cut=True)]
        ),
        Exchange(
            "the upstream refuses what was asked: its own words", chat("big", "hello"), [fault("400 Bad Request", "no such parameter")]
        ),
        Exchange("an answer that is no JSON is passed on as it is", chat("big", "hello"), [Answer(body=b"{not json")]),
        Exchange(
            "an answer that is packed is passed on as it is",
            chat("big", "hello", [("Accept-Encoding", "gzip")]),
            [Answer(headers=[*JSON, ("Content-Encoding", "gzip")], body=b"\x1f\x8b\x08packed")],
        ),
        Exchange(
            "a body that is not JSON goes to the upstream, which says so", post(CHAT, b"{not json"), [fault("400 Bad Request", "not JSON")]
        ),
        Exchange(
            "an empty body",
            request("POST", CHAT, headers=[("Host", SERVER), *JSON, ("Content-Length", "0")]),
            [fault("400 Bad Request", "empty")],
        ),
        Exchange("a path that is not in the list", get("/v1/files")),
        Exchange("a path that nobody knows", post("/v1/fine_tuning/jobs", {"model": "big"})),
        Exchange("a path with dots for steps", get("/v1/files/../models")),
        Exchange("a path with a slash at its end", get(MODELS + "/")),
        Exchange("a method that is not in the list", get(MODELS, method="DELETE")),
        Exchange("a method that nobody knows", get(MODELS, method="PROPFIND")),
        Exchange("a path outside of /v1", get("/nothing")),
        Exchange("a request that came through this server before", chat("big", "hello", [("X-Smidgen-Via", "f" * 24)])),
        Exchange("a request that came from this very server", chat("big", "hello", [("X-Smidgen-Via", VIA)])),
        Exchange("a page of another origin", chat("big", "hello", [("Origin", "https://evil.example")])),
        Exchange("an image of another site", get(MODELS, [("Sec-Fetch-Site", "cross-site")])),
        Exchange("another host name", request("GET", MODELS, headers=[("Host", "evil.example")])),
        Exchange("no host name", request("GET", MODELS)),
        Exchange(
            "a body that is announced as too large", request("POST", CHAT, headers=[("Host", SERVER), *JSON, ("Content-Length", "5000000")])
        ),
        Exchange("headers that are too large, and go on", TOO_LONG),
        Exchange("no HTTP", b"hello\r\n\r\n"),
        Exchange("feedback is stored nowhere", post(FEEDBACK, {"request_id": "mine-1", "verdict": "up"})),
        Exchange("the process lives", get("/healthz")),
        Exchange("the process is ready", get("/readyz")),
        Exchange("the client hangs up while the upstream is at work", chat("big", "hello"), [Answer(silent=True)], hang_up=True),
        Exchange(
            "the client hangs up in the middle of a stream",
            chat("big", "hello", stream=True),
            [Answer(headers=STREAM, pieces=[delta("fr")], silent=True)],
            hang_up=True,
        ),
    ],
    USUAL,
    [("SMIDGEN_FALLBACK_KEY", "operator-key")],
)


def _certified(folder: Path) -> Sequence[Path]:
    """A bundle for every way in which a certificate may stand."""
    models = folder / "models"
    certify(write_bundle(models / "support"))
    write_bundle(models / "bare")
    certify(write_bundle(models / "ended"), valid_until="2021-01-01T00:00:00Z")
    certify(write_bundle(models / "early"), created="2090-01-01T00:00:00Z")
    revoke(gone := write_bundle(models / "gone"), certify(gone))
    certify(write_bundle(models / "edited"), edited=True)
    certify(write_bundle(models / "stranger"), stranger=True)
    certify(write_bundle(models / "moved"), bundle={"name": "moved", "id": "0" * 12, "sha256": "0" * 64, "base_sha256": None})
    certify(write_bundle(models / "rebased"), bundle={"name": "rebased", "id": "0" * 12, "sha256": "0" * 64, "base_sha256": "3" * 64})
    write_bundle(models / "garbled")
    (models / "garbled.certificate.json").write_text("{", encoding="utf-8")
    certify(write_bundle(models / "other"), reference={"kind": "model", "judge": None, "model": "another-large-model"})
    certify(write_bundle(models / "same"), reference={"kind": "model", "judge": None, "model": "big"})
    certify(write_bundle(models / "labelled"), by="label", answering=[answering("billing/refund")])
    certify(write_bundle(models / "shops"), by="shop", answering=[answering("north")])
    back = certify(write_bundle(models / "back"))
    (folder / "home" / "clocks").mkdir()
    (folder / "home" / "clocks" / f"{back}.json").write_text('{"seen": 4000000000}', encoding="utf-8")
    certify(write_bundle(models / "tags", {"multi_label": True, "threshold": 0.5}, bias=-4.0))
    return [*sorted(one for one in models.iterdir() if one.is_dir())]


QUESTIONS = {
    "topic": {"type": "choice", "criteria": {"billing": "about money", "shipping": ""}},
    "money back": {"type": "noul", "criteria": {"true": "billing/refund"}},
}

CERTIFIED = Group(
    "certified",
    (*UP, "--fallback-retry-seconds", "0", "--audit-share", "0", "--price-in", "0.5", "--price-out", "2", "--max-chars", "200"),
    [
        Exchange("answered here", chat("support", "refund", [("X-Request-Id", "mine-1")])),
        Exchange(
            "answered here: words to the system change nothing",
            post(
                CHAT,
                {
                    "model": "support",
                    "messages": [
                        {"role": "system", "content": "Be kind."},
                        {"role": "user", "content": [{"type": "text", "text": "my"}, {"type": "text", "text": "parcel"}]},
                    ],
                    "temperature": 0.2,
                    "user": "u",
                    "metadata": {"a": "b"},
                    "max_tokens": 5,
                },
            ),
        ),
        Exchange("answered here: with log probabilities", chat("support", "refund", logprobs=True, top_logprobs=2)),
        Exchange("answered here: streamed", chat("support", "refund", stream=True)),
        Exchange("answered here: streamed, with its usage", chat("support", "refund", stream=True, stream_options={"include_usage": True})),
        Exchange(
            "answered here: as JSON by a schema",
            chat(
                "support",
                "refund",
                response_format={
                    "type": "json_schema",
                    "json_schema": {
                        "name": "intent",
                        "schema": {
                            "type": "object",
                            "properties": {"intent": {"type": "string", "enum": ["billing/refund", "shipping"]}},
                            "required": ["intent"],
                            "additionalProperties": False,
                        },
                    },
                },
            ),
        ),
        Exchange("answered here: completions", post(COMPLETIONS, {"model": "support", "prompt": "refund"})),
        Exchange("answered here: completions, streamed", post(COMPLETIONS, {"model": "support", "prompt": "refund", "stream": True})),
        Exchange(
            "answered here: responses",
            post(RESPONSES, {"model": "support", "input": "refund", "instructions": "Be kind.", "metadata": {"a": "b"}}),
        ),
        Exchange(
            "answered here: responses, streamed",
            post(RESPONSES, {"model": "support", "input": [{"role": "user", "content": "refund"}], "stream": True}),
        ),
        Exchange("answered here: at least the quality that is asked for", chat("support@0.95", "refund")),
        Exchange("answered here: a label that the certificate is for", chat("labelled", "refund")),
        Exchange("answered here: a shop that the certificate is for", chat("shops", "refund", metadata={"shop": "north"})),
        Exchange("answered here: several labels", chat("tags", "refund")),
        Exchange("answered here: certified against the model that requests escalate to", chat("same", "refund")),
        Exchange("escalated: the score is under the threshold", chat("support", "late", x_unknown=None)),
        Exchange("escalated: the text has no known word", chat("support", "something else")),
        Exchange("escalated: streamed", chat("support", "late", stream=True), [Answer(headers=STREAM, pieces=[delta("from above"), DONE])]),
        Exchange("escalated: completions", post(COMPLETIONS, {"model": "support", "prompt": "late"})),
        Exchange("escalated: responses", post(RESPONSES, {"model": "support", "input": "late"})),
        Exchange("escalated: no certificate", chat("bare", "refund")),
        Exchange("escalated: the certificate has expired", chat("ended", "refund")),
        Exchange("escalated: the certificate is not yet valid", chat("early", "refund")),
        Exchange("escalated: the certificate is revoked", chat("gone", "refund")),
        Exchange("escalated: the certificate was edited", chat("edited", "refund")),
        Exchange("escalated: a key that nobody trusts signed the certificate", chat("stranger", "refund")),
        Exchange("escalated: the certificate is for another bundle", chat("moved", "refund")),
        Exchange("escalated: the certificate is for other weights", chat("rebased", "refund")),
        Exchange("escalated: the certificate cannot be read", chat("garbled", "refund")),
        Exchange("escalated: the certificate is against another large model", chat("other", "refund")),
        Exchange("escalated: the clock was set back", chat("back", "refund")),
        Exchange("escalated: a label that is not certified", chat("labelled", "parcel")),
        Exchange("escalated: no shop is named", chat("shops", "refund")),
        Exchange("escalated: a shop that is not certified", chat("shops", "refund", metadata={"shop": "south"})),
        Exchange("escalated: more quality is asked for than certified", chat("support@0.99", "refund")),
        Exchange("escalated: several choices", chat("support", "refund", n=2)),
        Exchange("escalated: tools", chat("support", "refund", tools=[{"type": "function", "function": {"name": "f"}}])),
        Exchange("escalated: an unknown field", chat("support", "refund", x_unknown=1)),
        Exchange("escalated: stop words", chat("support", "refund", stop=["x"])),
        Exchange("escalated: the completion is to be stored", chat("support", "refund", store=True)),
        Exchange(
            "escalated: several messages",
            post(
                CHAT,
                {
                    "model": "support",
                    "messages": [
                        {"role": "user", "content": "refund"},
                        {"role": "assistant", "content": "yes"},
                        {"role": "user", "content": "refund"},
                    ],
                },
            ),
        ),
        Exchange(
            "escalated: words to the system after the user's",
            post(CHAT, {"model": "support", "messages": [{"role": "user", "content": "refund"}, {"role": "system", "content": "late"}]}),
        ),
        Exchange("escalated: no messages", post(CHAT, {"model": "support"})),
        Exchange(
            "escalated: an image",
            post(
                CHAT,
                {
                    "model": "support",
                    "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]}],
                },
            ),
        ),
        Exchange("escalated: no content", post(CHAT, {"model": "support", "messages": [{"role": "user", "content": None}]})),
        Exchange(
            "escalated: an unknown field of the message",
            post(CHAT, {"model": "support", "messages": [{"role": "user", "content": "refund", "x": 1}]}),
        ),
        Exchange("escalated: too long for the bundle", chat("support", "refund " * 40)),
        Exchange("escalated: completions of several prompts", post(COMPLETIONS, {"model": "support", "prompt": ["refund", "parcel"]})),
        Exchange(
            "escalated: responses with an item that is no message",
            post(RESPONSES, {"model": "support", "input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]}),
        ),
        Exchange("escalated: a response that is to be stored", post(RESPONSES, {"model": "support", "input": "refund", "store": True})),
        Exchange(
            "escalated: bytes of the body stay as they are, but for the model's name",
            post(CHAT, ODD_BODY % b"support"),
        ),
        Exchange("escalated, and the upstream refuses it", chat("support", "late"), [fault("400 Bad Request", "no")]),
        Exchange("escalated, and the upstream fails", chat("support", "late"), [fault("500 Internal Server Error", "broken inside")]),
        Exchange("a quality that is no number", chat("support@best", "refund")),
        Exchange("a quality over 1", chat("support@2", "refund")),
        Exchange("another model goes upstream as it is named", chat("bigger", "refund")),
        Exchange("no model is named", post(CHAT, {"messages": [{"role": "user", "content": "refund"}]})),
        Exchange("a response that was made here is not stored", get(RESPONSES + "/resp_smidgen_0123")),
        Exchange(
            "a response that goes on from one that was made here",
            post(RESPONSES, {"model": "big", "input": "x", "previous_response_id": "resp_smidgen_0123"}),
        ),
        Exchange("classify", post(CLASSIFY, {"model": "support", "input": ["refund", "late"], "top_k": 2})),
        Exchange("classify: several labels", post(CLASSIFY, {"model": "tags", "input": "refund parcel"})),
        Exchange("classify: no model", post(CLASSIFY, {"input": "refund"})),
        Exchange("classify: an unknown model", post(CLASSIFY, {"model": "big", "input": "refund"})),
        Exchange("classify: an unknown field", post(CLASSIFY, {"model": "support", "input": "refund", "x": 1})),
        Exchange("systemone", post(SYSTEMONE, {"model": "support", "state": "refund", "questions": QUESTIONS})),
        Exchange(
            "systemone: structured state, under the threshold",
            post(SYSTEMONE, {"model": "support", "state": {"a": ["late", 1]}, "questions": QUESTIONS}),
        ),
        Exchange("systemone: no certificate", post(SYSTEMONE, {"model": "bare", "state": "refund", "questions": QUESTIONS})),
        Exchange("systemone: with a quality", post(SYSTEMONE, {"model": "support@0.99", "state": "refund", "questions": QUESTIONS})),
        Exchange("systemone: several bundles could answer", post(SYSTEMONE, {"model": "auto", "state": "refund", "questions": QUESTIONS})),
        Exchange(
            "systemone: no bundle can answer",
            post(SYSTEMONE, {"model": "support", "state": "x", "questions": {"q": {"type": "choice", "criteria": {"a": "", "b": ""}}}}),
        ),
        Exchange(
            "systemone: another model",
            post(SYSTEMONE, {"model": "big", "state": "x", "questions": QUESTIONS}),
            [Answer(body=b'{"model":"big","answers":{}}')],
        ),
        Exchange("embeddings of a bundle", post(EMBEDDINGS, {"model": "support", "input": "refund"})),
        Exchange(
            "embeddings of another model",
            post(EMBEDDINGS, {"model": "big", "input": "refund"}),
            [Answer(body=b'{"object":"list","data":[]}')],
        ),
        Exchange(
            "the list of models has the bundles and the upstream's",
            get(MODELS),
            [Answer(body=b'{"object":"list","data":[{"id":"big","object":"model"},{"id":"support"}]}')],
        ),
        Exchange("the list of models where the upstream does not tell its own", get(MODELS), [fault("500 Internal Server Error", "no")]),
        Exchange("a bundle by its name", get(MODELS + "/support")),
        Exchange("another model by its name", get(MODELS + "/big"), [Answer(body=b'{"id":"big"}')]),
        Exchange("a method that a face does not know", get(CHAT)),
        Exchange("the process is ready", get("/readyz")),
    ],
    USUAL,
    prepare=_certified,
)


def _alone(folder: Path) -> Sequence[Path]:
    """Two bundles without certificates: one label, and several."""
    models = folder / "models"
    return [write_bundle(models / "support"), write_bundle(models / "tags", {"multi_label": True, "threshold": 0.5}, bias=-4.0)]


ALONE = Group(
    "alone",
    (*("--max-inputs", "3", "--max-chars", "60", "--max-body-mb", "0.002", "--cors", "https://page.example"),),
    [
        Exchange("chat", chat("support", "refund")),
        Exchange("chat: several labels", chat("tags", "refund parcel")),
        Exchange("chat: several choices", chat("support", "refund", n=2)),
        Exchange("chat: streamed", chat("support", "refund", stream=True)),
        Exchange(
            "chat: streamed, several choices and the usage",
            chat("support", "refund", n=2, stream=True, stream_options={"include_usage": True}),
        ),
        Exchange(
            "chat: the last message of the user counts",
            post(
                CHAT,
                {
                    "model": "support",
                    "messages": [
                        {"role": "user", "content": "parcel"},
                        {"role": "assistant", "content": "shipping"},
                        {"role": "user", "content": "refund"},
                    ],
                },
            ),
        ),
        Exchange("chat: as a JSON object", chat("support", "refund", response_format={"type": "json_object"})),
        Exchange(
            "chat: by a schema that no answer fits",
            chat(
                "support",
                "refund",
                response_format={
                    "type": "json_schema",
                    "json_schema": {"name": "x", "schema": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}},
                },
            ),
        ),
        Exchange("chat: no model is named", post(CHAT, {"messages": [{"role": "user", "content": "refund"}]})),
        Exchange("chat: an unknown model", chat("nobody", "refund")),
        Exchange("chat: no JSON", post(CHAT, b"{not json")),
        Exchange("chat: no body", post(CHAT, b"")),
        Exchange("chat: an array", post(CHAT, b"[]")),
        Exchange("chat: no UTF-8", post(CHAT, b'{"model":"support","messages":[{"role":"user","content":"\xff"}]}')),
        Exchange("chat: no messages", post(CHAT, {"model": "support", "messages": []})),
        Exchange("chat: messages of a wrong shape", post(CHAT, {"model": "support", "messages": [{"content": 1}], "n": 0})),
        Exchange("chat: no message of the user", post(CHAT, {"model": "support", "messages": [{"role": "system", "content": "x"}]})),
        Exchange("chat: an image", post(CHAT, {"model": "support", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]})),
        Exchange("chat: too long a text", chat("support", "refund " * 20)),
        Exchange("chat: an empty text", chat("support", "")),
        Exchange(
            "chat: a text that is no valid Unicode",
            post(CHAT, b'{"model":"support","messages":[{"role":"user","content":"refund \\ud800"}]}'),
        ),
        Exchange(
            "completions: several prompts, several choices, with the prompt before",
            post(COMPLETIONS, {"model": "support", "prompt": ["refund", "parcel"], "n": 2, "echo": True}),
        ),
        Exchange(
            "completions: streamed",
            post(
                COMPLETIONS, {"model": "support", "prompt": ["refund", "parcel"], "stream": True, "stream_options": {"include_usage": True}}
            ),
        ),
        Exchange("completions: token numbers", post(COMPLETIONS, {"model": "support", "prompt": [1, 2]})),
        Exchange("completions: too many prompts", post(COMPLETIONS, {"model": "support", "prompt": ["a", "b", "c", "d"]})),
        Exchange("responses", post(RESPONSES, {"model": "support", "input": "refund"})),
        Exchange(
            "responses: by a schema",
            post(
                RESPONSES,
                {
                    "model": "support",
                    "input": "refund",
                    "text": {
                        "format": {
                            "type": "json_schema",
                            "name": "i",
                            "schema": {
                                "type": "object",
                                "properties": {"intent": {"enum": ["billing/refund", "shipping", "billing/charge"]}},
                                "required": ["intent"],
                            },
                        }
                    },
                },
            ),
        ),
        Exchange("responses: streamed", post(RESPONSES, {"model": "support", "input": "refund", "stream": True})),
        Exchange("responses: to be stored", post(RESPONSES, {"model": "support", "input": "refund", "store": True})),
        Exchange(
            "responses: an unknown field", post(RESPONSES, {"model": "support", "input": "refund", "tools": [{"type": "web_search"}]})
        ),
        Exchange(
            "responses: several messages",
            post(
                RESPONSES,
                {
                    "model": "support",
                    "input": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}],
                },
            ),
        ),
        Exchange("responses: no input", post(RESPONSES, {"model": "support"})),
        Exchange("embeddings", post(EMBEDDINGS, {"model": "support", "input": "refund"})),
        Exchange("embeddings: no input", post(EMBEDDINGS, {"model": "support"})),
        Exchange("classify", post(CLASSIFY, {"model": "support", "input": ["refund", "perhaps", "nothing known"]})),
        Exchange("classify: a pair", post(CLASSIFY, {"model": "support", "input": [["refund", "parcel"]]})),
        Exchange("classify: too many texts", post(CLASSIFY, {"model": "support", "input": ["a", "b", "c", "d"]})),
        Exchange("classify: no text", post(CLASSIFY, {"model": "support", "input": []})),
        Exchange(
            "systemone: each question finds its bundle",
            post(
                SYSTEMONE,
                {"state": "refund", "questions": {"topic": {"type": "choice", "criteria": {"billing/charge": "", "shipping": ""}}}},
            ),
        ),
        Exchange(
            "systemone: a score, and yes or no",
            post(
                SYSTEMONE,
                {
                    "model": "support",
                    "state": "late",
                    "questions": {
                        "level": {"type": "score", "criteria": ["shipping", "billing/charge", "billing/refund"]},
                        "billing/refund": {"type": "noul"},
                    },
                },
            ),
        ),
        Exchange(
            "systemone: several labels", post(SYSTEMONE, {"model": "tags", "state": "refund", "questions": {"shipping": {"type": "noul"}}})
        ),
        Exchange(
            "systemone: images",
            post(SYSTEMONE, {"model": "support", "state": "refund", "questions": {"shipping": {"type": "noul"}}, "assets": {"a": 1}}),
        ),
        Exchange("systemone: no questions", post(SYSTEMONE, {"model": "support", "state": "refund", "questions": {}})),
        Exchange(
            "systemone: an unknown type of question",
            post(SYSTEMONE, {"model": "support", "state": "refund", "questions": {"q": {"type": "text"}}}),
        ),
        Exchange("feedback is stored nowhere", post(FEEDBACK, {"request_id": "mine-1", "verdict": "up"})),
        Exchange("feedback: a wrong shape", post(FEEDBACK, {"verdict": "sideways", "x": 1})),
        Exchange("the list of models", get(MODELS)),
        Exchange("a model", get(MODELS + "/tags")),
        Exchange("an unknown model", get(MODELS + "/nobody")),
        Exchange("a method that a route does not have", get(CHAT)),
        Exchange("another method that a route does not have", post(MODELS, {})),
        Exchange("an unknown path", get("/v1/nothing")),
        Exchange("a body that is announced as too large", chat("support", "x" * 3000)),
        Exchange(
            "a body in chunks that is too large",
            request("POST", CHAT, b"bb8\r\n" + b"x" * 3000 + b"\r\n0\r\n\r\n", [("Host", SERVER), *JSON, ("Transfer-Encoding", "chunked")]),
        ),
        Exchange(
            "a client that waits to be told to send its body",
            post(CHAT, {"model": "support", "messages": [{"role": "user", "content": "refund"}]}, [("Expect", "100-continue")]),
        ),
        Exchange(
            "a page of the allowed origin asks first",
            get(
                CHAT,
                [
                    ("Origin", "https://page.example"),
                    ("Access-Control-Request-Method", "POST"),
                    ("Access-Control-Request-Headers", "content-type"),
                ],
                "OPTIONS",
            ),
        ),
        Exchange("a page of the allowed origin", chat("support", "refund", [("Origin", "https://page.example")])),
        Exchange("a page of another origin", chat("support", "refund", [("Origin", "https://evil.example")])),
        Exchange("an id that looks like one of the server's is replaced", chat("support", "refund", [("X-Request-Id", "req_mine")])),
        Exchange("an id that is none is replaced", chat("support", "refund", [("X-Request-Id", "a b")])),
        Exchange("HTTP/1.0", get("/healthz").replace(b"HTTP/1.1", b"HTTP/1.0")),
        Exchange("the process lives", get("/healthz")),
        Exchange("the process is ready", get("/readyz")),
    ],
    USUAL,
    prepare=_alone,
)


def _supported(folder: Path) -> Sequence[Path]:
    """One bundle with a certificate, one without."""
    models = folder / "models"
    certify(write_bundle(models / "support"))
    return [models / "support", write_bundle(models / "bare")]


KEY_A, KEY_B, ADMIN = (("Authorization", f"Bearer {key}") for key in ("key-a", "key-b", "key-admin"))

CAPTURED = Group(
    "captured",
    (
        *(*UP, "--audit-share", "0", "--api-key", "key-a", "--api-key", "key-b", "--admin-key", "key-admin"),
        *("--capture", "answers", "--capture-redact", "allow", "--capture-held-out", "0.999999", "--held-out-aside"),
    ),
    [
        Exchange("no key", chat("big", "hello")),
        Exchange("a wrong key", chat("big", "hello", [("Authorization", "Bearer stranger")])),
        Exchange("a key of another scheme", chat("big", "hello", [("Authorization", "Basic key-a")])),
        Exchange("a key in another header", chat("big", "hello", [("X-Api-Key", "key-a")])),
        Exchange("the list of models needs a key", get(MODELS)),
        Exchange("the metrics need a key", get("/metrics")),
        Exchange("health needs none", get("/healthz")),
        Exchange("passed through: the client's key stays here", chat("big", "hello", [KEY_A, ("X-Request-Id", "a-1")])),
        Exchange("escalated: the text is held out", chat("support", "refund", [KEY_A, ("X-Request-Id", "a-2")], user="u")),
        Exchange(
            "escalated: held out, streamed",
            chat("support", "refund", [KEY_A, ("X-Request-Id", "a-3")], stream=True),
            [Answer(headers=STREAM, pieces=[delta("billing/"), delta("refund"), delta(finish="stop"), USAGE, DONE])],
        ),
        Exchange("feedback by who asked", post(FEEDBACK, {"request_id": "a-1", "verdict": "up"}, [KEY_A])),
        Exchange(
            "feedback with a correction",
            post(FEEDBACK, {"request_id": "a-2", "verdict": "down", "corrected": "billing/charge", "comment": "no", "user": "v"}, [KEY_A]),
        ),
        Exchange("feedback by another key", post(FEEDBACK, {"request_id": "a-1", "verdict": "up"}, [KEY_B])),
        Exchange("feedback by the admin, who has no such request", post(FEEDBACK, {"request_id": "a-1", "verdict": "up"}, [ADMIN])),
        Exchange(
            "feedback by the admin, by the id that an export has",
            post(FEEDBACK, {"request_id": f"{hashlib.sha256(b'key-a').hexdigest()[:12]}/a-1", "verdict": "down"}, [ADMIN]),
        ),
        Exchange("feedback without a key", post(FEEDBACK, {"request_id": "a-1", "verdict": "up"})),
        Exchange("feedback on a request that nobody made", post(FEEDBACK, {"request_id": "a-9", "verdict": "up"}, [KEY_A])),
        Exchange("feedback that says nothing", post(FEEDBACK, {"request_id": "a-1"}, [KEY_A])),
        Exchange("feedback with an empty correction", post(FEEDBACK, {"request_id": "a-1", "corrected": " "}, [KEY_A])),
        Exchange("feedback of a wrong shape", post(FEEDBACK, {"request_id": "", "verdict": "sideways"}, [KEY_A])),
        Exchange(
            "feedback from a page of another origin",
            post(FEEDBACK, {"request_id": "a-1", "verdict": "up"}, [KEY_A, ("Origin", "https://evil.example")]),
        ),
        Exchange("classify with a key", post(CLASSIFY, {"model": "support", "input": "refund"}, [KEY_B])),
        Exchange("a path that is not in the list, with a key", get("/v1/files", [ADMIN])),
    ],
    USUAL,
    [("SMIDGEN_FALLBACK_KEY", "operator-key")],
    _supported,
)

EMAIL, PHONE, NAME = "jane.roe@example.org", "+49 30 901820", "Jane Roe"
PERSONAL = f"My name is {NAME}. Please write to {EMAIL} or call {PHONE}."
PLACES = "Hello [PERSON_1], we write to [EMAIL_1], and call [PHONE_1]."


def called(arguments: str) -> dict[str, Any]:
    """A call of a tool."""
    return {"tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "send", "arguments": arguments}}]}


def responded(text: str, *more: Mapping[str, Any]) -> dict[str, Any]:
    """A response of the upstream's."""
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    usage = {"input_tokens": 30, "output_tokens": 20, "total_tokens": 50}
    head = {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "big"}
    return {**head, "output": [message, *more], "usage": usage}


def response_events(*pieces: str) -> list[bytes]:
    """A streamed response of the upstream's, with its text in these pieces."""
    whole, place = "".join(pieces), {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    done = responded(whole)
    told: list[tuple[str, dict[str, Any]]] = [
        ("response.created", {"response": {**done, "status": "in_progress", "output": []}}),
        ("response.output_item.added", {"output_index": 0, "item": {**done["output"][0], "content": []}}),
        *(("response.output_text.delta", {**place, "delta": piece}) for piece in pieces),
        ("response.output_text.done", {**place, "text": whole}),
        ("response.output_item.done", {"output_index": 0, "item": done["output"][0]}),
        ("response.completed", {"response": done}),
    ]
    return [event({"type": kind, "sequence_number": number, **facts}, kind) for number, (kind, facts) in enumerate(told)]


NAMES = ("--privacy-bundle", "<folder>/names")


def _named(folder: Path) -> Sequence[Path]:
    """The bundle that finds a name, and no other."""
    write_names(folder / "names")
    return []


def _masked(folder: Path) -> Sequence[Path]:
    """The same, with two bundles to be served."""
    write_names(folder / "names")
    return _supported(folder)


MASKED = Group(
    "masked",
    (
        *(*UP, "--privacy", "mask", *NAMES, "--privacy-kind", "card=block", "--privacy-kind", "url=allow", "--privacy-max-chars", "2000"),
        *("--pass", "/v1/audio/**", "--audit-share", "0", "--when-upstream-fails", "local", "--fallback-retry-seconds", "0"),
    ),
    [
        Exchange("nothing personal: the body stays as it is", post(CHAT, ODD_BODY % b"big")),
        Exchange("masked and restored", chat("big", PERSONAL), [Answer(body=said(PLACES))]),
        Exchange(
            "the same value has the same placeholder; an unknown placeholder stays",
            post(
                CHAT,
                {
                    "model": "big",
                    "messages": [
                        {"role": "system", "content": f"Answer {EMAIL} only."},
                        {"role": "user", "content": f"I am {EMAIL}, not john@example.com."},
                    ],
                },
            ),
            [Answer(body=said("[EMAIL_2] is not [EMAIL_1]; [EMAIL_3], [email_1] and \\[EMAIL_1\\] stay or not"))],
        ),
        Exchange(
            "masked in pieces of a message, a name and metadata",
            post(
                CHAT,
                {
                    "model": "big",
                    "messages": [
                        {
                            "role": "user",
                            "name": "Jane_Roe",
                            "content": [{"type": "text", "text": f"I am {EMAIL}."}, {"type": "text", "text": "Hello."}],
                        }
                    ],
                    "metadata": {"mail": EMAIL},
                    "user": EMAIL,
                },
            ),
            [Answer(body=said("To [EMAIL_1]"))],
        ),
        Exchange("escalated, masked and restored", chat("bare", PERSONAL), [Answer(body=said(PLACES))]),
        Exchange(
            "streamed: a placeholder that comes in pieces",
            chat("big", PERSONAL, stream=True),
            [
                Answer(
                    headers=STREAM,
                    hold=True,
                    pieces=[
                        delta(role="assistant"),
                        delta("Hello [PER"),
                        delta("SON_1"),
                        delta("], mail [EMA"),
                        delta("IL_1] or ["),
                        delta("x]"),
                        delta(finish="stop"),
                        USAGE,
                        DONE,
                    ],
                )
            ],
        ),
        Exchange(
            "streamed: what was held back comes in the end",
            chat("big", PERSONAL, stream=True),
            [Answer(headers=STREAM, pieces=[delta("Hello [PERS"), delta(finish="stop"), DONE])],
        ),
        Exchange(
            "streamed: breaks off in a placeholder",
            chat("big", PERSONAL, stream=True),
            [Answer(headers=STREAM, pieces=[delta("Hello [PERS")], cut=True)],
        ),
        Exchange(
            "the arguments of a tool",
            post(
                CHAT,
                {
                    "model": "big",
                    "messages": [
                        {"role": "user", "content": PERSONAL},
                        {"role": "assistant", "content": None, **called(json.dumps({"to": EMAIL, "text": 'say "hi"\n'}))},
                        {"role": "tool", "tool_call_id": "call_1", "content": json.dumps({"sent": [EMAIL]})},
                    ],
                    "tools": [
                        {
                            "type": "function",
                            "function": {"name": "send", "parameters": {"type": "object", "properties": {"to": {"type": "string"}}}},
                        }
                    ],
                },
            ),
            [Answer(body=said("", **called('{"to": "[EMAIL_1]", "name": "[PERSON_1]"}')))],
        ),
        Exchange(
            "the arguments of a tool, streamed",
            chat("big", PERSONAL, stream=True),
            [
                Answer(
                    headers=STREAM,
                    pieces=[
                        delta(
                            tool_calls=[
                                {"index": 0, "id": "call_1", "type": "function", "function": {"name": "send", "arguments": '{"to": "[EM'}}
                            ]
                        ),
                        delta(tool_calls=[{"index": 0, "function": {"arguments": 'AIL_1]"}'}}]),
                        delta(finish="tool_calls"),
                        DONE,
                    ],
                )
            ],
        ),
        Exchange(
            "JSON as an answer: values are escaped",
            chat("big", 'I am jane.roe@example.org, "the boss".', response_format={"type": "json_object"}),
            [Answer(body=said('{"mail": "[EMAIL_1]"}'))],
        ),
        Exchange(
            "completions",
            post(COMPLETIONS, {"model": "big", "prompt": PERSONAL}),
            [
                Answer(
                    body=b'{"id":"cmpl-up","object":"text_completion","choices":[{"index":0,"text":"To [EMAIL_1]","finish_reason":"stop"}]}'
                )
            ],
        ),
        Exchange(
            "completions, streamed",
            post(COMPLETIONS, {"model": "big", "prompt": PERSONAL, "stream": True}),
            [
                Answer(
                    headers=STREAM,
                    pieces=[event({"object": "text_completion", "choices": [{"index": 0, "text": text}]}) for text in ("To [EMA", "IL_1]!")]
                    + [DONE],
                )
            ],
        ),
        Exchange(
            "responses",
            post(RESPONSES, {"model": "big", "input": PERSONAL, "instructions": f"Never write to {EMAIL}."}),
            [
                Answer(
                    body=json.dumps(
                        responded(
                            PLACES,
                            {"id": "fc_1", "type": "function_call", "call_id": "c", "name": "send", "arguments": '{"to":"[EMAIL_1]"}'},
                        )
                    ).encode()
                )
            ],
        ),
        Exchange(
            "responses, streamed",
            post(RESPONSES, {"model": "big", "input": [{"role": "user", "content": PERSONAL}], "stream": True}),
            [Answer(headers=STREAM, pieces=response_events("Hello [PERS", "ON_1] at [EMAIL_1", "]."))],
        ),
        Exchange(
            "responses that go on from what the upstream keeps",
            post(RESPONSES, {"model": "big", "input": PERSONAL, "previous_response_id": "resp_0"}),
        ),
        Exchange(
            "embeddings",
            post(EMBEDDINGS, {"model": "big", "input": [PERSONAL, "hello"]}),
            [Answer(body=b'{"object":"list","data":[{"embedding":[0.1]}]}')],
        ),
        Exchange("moderations", post("/v1/moderations", {"input": PERSONAL})),
        Exchange("systemone is no body of a known route", post(SYSTEMONE, {"model": "big", "state": PERSONAL, "questions": {}})),
        Exchange(
            "an error of the upstream's that repeats a placeholder",
            chat("big", PERSONAL),
            [fault("400 Bad Request", "I will not write to [EMAIL_1]")],
        ),
        Exchange(
            "an answer that is packed all the same",
            chat("big", PERSONAL, [("Accept-Encoding", "gzip")]),
            [Answer(headers=[*JSON, ("Content-Encoding", "gzip")], body=b"\x1f\x8b\x08[EMAIL_1]")],
        ),
        Exchange("an answer that is no JSON", chat("big", PERSONAL), [Answer(body=b"{not json [EMAIL_1]")]),
        Exchange(
            "headers that may name somebody stay here",
            chat(
                "big",
                "hello",
                [
                    ("X-User-Name", "Jane"),
                    ("User-Agent", "OpenAI/Python 1.2.3 (Jane's laptop)"),
                    ("Accept", "application/json"),
                    ("X-Forwarded-For", "10.0.0.1"),
                    ("Authorization", "Bearer client-key"),
                    ("OpenAI-Beta", "assistants=v2"),
                    ("OpenAI-Organization", "org 1"),
                ],
            ),
        ),
        Exchange("what the policy allows", chat("big", "See https://example.org/page for more.")),
        Exchange("what the policy blocks", chat("big", "My card is 4111 1111 1111 1111.")),
        Exchange("what the policy blocks, streamed", chat("big", "My card is 4111 1111 1111 1111.", stream=True)),
        Exchange("blocked, and a bundle answers instead", chat("bare", "refund to card 4111 1111 1111 1111")),
        Exchange("blocked, and a bundle answers instead, streamed", chat("bare", "refund to card 4111 1111 1111 1111", stream=True)),
        Exchange("answered here: nothing leaves, nothing is masked", chat("support", f"refund {EMAIL}")),
        Exchange(
            "an image cannot be read",
            post(
                CHAT,
                {
                    "model": "big",
                    "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]}],
                },
            ),
        ),
        Exchange(
            "a file by its number cannot be read",
            post(RESPONSES, {"model": "big", "input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]}),
        ),
        Exchange("token numbers cannot be read", post(COMPLETIONS, {"model": "big", "prompt": [1, 2, 3]})),
        Exchange("a body that is no JSON cannot be read", post(CHAT, b"{not json")),
        Exchange("a body that names a field twice cannot be read", post(CHAT, b'{"model":"big","messages":[],"messages":[]}')),
        Exchange("a body that is packed cannot be read", post(CHAT, {"model": "big", "messages": []}, [("Content-Encoding", "gzip")])),
        Exchange("a body of another path cannot be read", post("/v1/audio/speech", {"input": "hello"})),
        Exchange("a query with an address in it", post(CHAT + "?user=jane.roe%40example.org", {"model": "big", "messages": []})),
        Exchange("too many characters", chat("big", "hello " * 400)),
        Exchange("the list of models", get(MODELS), [Answer(body=b'{"object":"list","data":[]}')]),
    ],
    USUAL,
    prepare=_masked,
)

BLOCKED = Group(
    "blocked",
    (*UP, "--privacy", "block", *NAMES),
    [
        Exchange("nothing personal", chat("big", "hello")),
        Exchange("a name", chat("big", f"I am {NAME}.")),
        Exchange("an address", chat("big", f"Write to {EMAIL}.")),
        Exchange("an address, streamed", chat("big", f"Write to {EMAIL}.", stream=True)),
        Exchange("an address and a number, in a response", post(RESPONSES, {"model": "big", "input": f"{EMAIL} {PHONE}"})),
        Exchange(
            "an image",
            post(
                CHAT,
                {"model": "big", "messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AAAA"}}]}]},
            ),
        ),
    ],
    USUAL,
    prepare=_named,
)


def _budgeted(folder: Path) -> Sequence[Path]:
    """Budgets that hold two small requests of the shop, and none of others; and one bundle without a certificate."""
    shop = hashlib.sha256(b"key-shop").hexdigest()[:12]
    rich = hashlib.sha256(b"key-rich").hexdigest()[:12]
    lines = [
        *("day = 30.0", "[key.shop]", f'sha256 = "{shop}"', "day = 0.0015", "[key.rich]", f'sha256 = "{rich}"', "day = 1000.0"),
        *('[model."second"]', "day = 0.0001", "[others]", "day = 0.0"),
    ]
    (folder / "budgets.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [write_bundle(folder / "models" / "bare")]


SHOP, RICH, POOR = (("Authorization", f"Bearer {key}") for key in ("key-shop", "key-rich", "key-poor"))


def spent(scope: str, kind: str, usd: str) -> str:
    """The line of /metrics that says so much was spent."""
    return f'smidgen_budget_spent_usd{{kind="{kind}",scope="{scope}"}} {usd}'.replace(".", r"\.").replace("{", r"\{").replace("}", r"\}")


BUDGETED = Group(
    "budgeted",
    (
        *(
            "--fallback",
            f"http://{UPSTREAM}/v1",
            "--fallback",
            f"http://{SECOND}/v1",
            "--fallback-model",
            "big",
            "--fallback-model",
            "second",
        ),
        *("--price-in", "1", "--price-out", "2", "--budgets", "<folder>/budgets.toml", "--fallback-retry-seconds", "0"),
    ),
    [
        Exchange("within the budget of its key", chat("big", "hello", [SHOP], max_tokens=100), until=spent("key:shop", "counted", "7e-05")),
        Exchange("again", chat("big", "hello", [SHOP], max_tokens=100), until=spent("key:shop", "counted", "0.00014")),
        Exchange("again", chat("big", "hello", [SHOP], max_tokens=100), until=spent("key:shop", "counted", "0.00021")),
        Exchange("over the budget of its key: what it may cost does not fit", chat("big", "hello", [SHOP], max_tokens=400)),
        Exchange("over the budget of its key: no bound is given", chat("big", "hello", [SHOP])),
        Exchange("a smaller one still fits", chat("big", "hello", [SHOP], max_tokens=50), until=spent("key:shop", "counted", "0.00028")),
        Exchange("over the budget of other keys", chat("big", "hello", [POOR], max_tokens=10)),
        Exchange("over the budget of those without a key", chat("big", "hello", max_tokens=10)),
        Exchange("over the budget of the model", chat("second", "hello", [RICH], max_tokens=10)),
        Exchange("over budget: a bundle's request escalates", chat("bare", "refund", [POOR], max_tokens=10)),
        Exchange("free of charge: the list of models", get(MODELS, [POOR])),
        Exchange(
            "streamed: the upstream is asked for its usage, and the client is not told",
            chat("big", "hello", [RICH], max_tokens=100, stream=True),
            [Answer(headers=STREAM, pieces=[delta("from above"), delta(finish="stop"), USAGE, DONE])],
            until=spent("key:rich", "counted", "7e-05"),
        ),
        Exchange(
            "streamed: the client asks for the usage itself",
            chat("big", "hello", [RICH], max_tokens=100, stream=True, stream_options={"include_usage": True}),
            [Answer(headers=STREAM, pieces=[delta("from above"), delta(finish="stop"), USAGE, DONE])],
            until=spent("key:rich", "counted", "0.00014"),
        ),
        Exchange(
            "streamed: an upstream that does not know the wish is asked without it",
            chat("big", "hello", [RICH], max_tokens=100, stream=True),
            [
                fault("400 Bad Request", "stream_options is unknown"),
                Answer(headers=STREAM, pieces=[delta("from above"), delta(finish="stop"), DONE]),
            ],
        ),
        Exchange(
            "responses",
            post(RESPONSES, {"model": "big", "input": "hello", "max_output_tokens": 100}, [RICH]),
            [Answer(body=json.dumps(responded("from above")).encode())],
            until=spent("key:rich", "counted", "0.00021"),
        ),
        Exchange(
            "embeddings",
            post(EMBEDDINGS, {"model": "big", "input": "hello"}, [RICH]),
            [Answer(body=b'{"object":"list","data":[],"usage":{"prompt_tokens":1000000,"total_tokens":1000000}}')],
            until=spent("key:rich", "counted", "1.00021"),
        ),
        Exchange(
            "a failure costs nothing",
            chat("big", "hello", [RICH], max_tokens=100),
            [fault("400 Bad Request", "no")],
            until=spent("key:rich", "set aside", "0.0"),
        ),
        Exchange("an unknown price", chat("nobody-knows-it", "hello", [RICH])),
        Exchange("an unknown field", chat("big", "hello", [RICH], x_unknown=1)),
        Exchange("an image", post(CHAT, {"model": "big", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, [RICH])),
        Exchange("a tool of the upstream's own", chat("big", "hello", [RICH], tools=[{"type": "web_search"}])),
        Exchange("a body that is no JSON", post(CHAT, b"{not json", [RICH])),
        Exchange("moderations are free", post("/v1/moderations", {"input": "hello"}, [RICH])),
        Exchange(
            "an answer that takes the whole day's budget",
            chat("big", "hello", [RICH], max_tokens=100),
            [Answer(body=said("x").replace(b'"completion_tokens":20', b'"completion_tokens":20000000'))],
            until=spent("all", "counted", "41.00052"),
        ),
        Exchange("over the budget of the day", chat("big", "hello", [RICH], max_tokens=100)),
    ],
    USUAL,
    prepare=_budgeted,
)


def cached(text: str, headers: Headers = (), **fields: Any) -> bytes:
    """A request of a user whose answers may be cached."""
    return chat("big", text, headers, **{"user": "u", **fields})


CACHED = Group(
    "cached",
    (*UP, "--cache", "exact", "--audit-share", "0", "--price-in", "1", "--price-out", "2"),
    [
        Exchange("miss", cached("hello", [("X-Request-Id", "mine-1")])),
        Exchange("hit", cached("hello", [("X-Request-Id", "mine-2")])),
        Exchange(
            "hit: the same fields in another order, other ways to be sent",
            post(CHAT, {"user": "u", "messages": [{"content": "hello", "role": "user"}], "model": "big", "stream": False}),
        ),
        Exchange("hit: streamed, without what it took", cached("hello", stream=True)),
        Exchange("hit: streamed, with what it took", cached("hello", stream=True, stream_options={"include_usage": True})),
        Exchange("miss: another user", cached("hello", user="v")),
        Exchange("miss: another text", cached("hello!")),
        Exchange("miss: another key", cached("hello", [("Authorization", "Bearer other")])),
        Exchange("miss: another limit", cached("hello", max_tokens=5)),
        Exchange("passed by: nobody is named", chat("big", "hello")),
        Exchange("passed by: no-store", cached("hello", [("Cache-Control", "no-store")])),
        Exchange("renewed: no-cache", cached("hello", [("Cache-Control", "no-cache")])),
        Exchange("renewed: an age of nothing", cached("hello", [("Cache-Control", "max-age=0")])),
        Exchange("passed by: drawn by chance", cached("hello", temperature=1)),
        Exchange("miss: drawn by a seed", cached("hello", temperature=1, seed=7)),
        Exchange("hit: drawn by a seed", cached("hello", temperature=1, seed=7)),
        Exchange("passed by: several choices", cached("hello", n=2)),
        Exchange(
            "passed by: an image",
            post(CHAT, {"model": "big", "user": "u", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]}),
        ),
        Exchange("passed by: no JSON", post(CHAT, b"{not json")),
        Exchange("passed by: responses", post(RESPONSES, {"model": "big", "input": "hello", "user": "u"})),
        Exchange(
            "miss: streamed",
            cached("a stream", stream=True),
            [Answer(headers=STREAM, pieces=[delta("from "), delta("above"), delta(finish="stop"), DONE])],
        ),
        Exchange("hit: streamed", cached("a stream", stream=True)),
        Exchange("renewed: whole, for a stream did not say what it took", cached("a stream")),
        Exchange(
            "miss: completions",
            post(COMPLETIONS, {"model": "big", "prompt": "hello", "user": "u"}),
            [
                Answer(
                    body=b'{"id":"cmpl-up","object":"text_completion","created":1,"model":"big","choices":[{"index":0,"text":"x","logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}'
                )
            ],
        ),
        Exchange("hit: completions", post(COMPLETIONS, {"model": "big", "prompt": "hello", "user": "u"})),
        Exchange(
            "not kept: the upstream says no-store",
            cached("secret"),
            [Answer(headers=[*JSON, ("Cache-Control", "no-store")], body=said("secret"))],
        ),
        Exchange("miss: it was not kept", cached("secret")),
        Exchange("not kept: a failure", cached("failing"), [fault("400 Bad Request", "no")]),
        Exchange("miss: it was a failure", cached("failing")),
        Exchange("not kept: no answer that is understood", cached("odd"), [Answer(body=b"[]")]),
        Exchange("miss: it was odd", cached("odd")),
        Exchange("miss: escalated", chat("bare", "refund", user="u")),
        Exchange("hit: escalated", chat("bare", "refund", user="u")),
        Exchange("answered here: no cache", chat("support", "refund", user="u")),
        Exchange("hit, before it is refused", cached("hello", [("X-Request-Id", "mine-3")])),
        Exchange("feedback takes a wrong answer out of the cache", post(FEEDBACK, {"request_id": "mine-3", "verdict": "down"})),
        Exchange("miss: it was refused", cached("hello")),
        Exchange("feedback on what is not kept", post(FEEDBACK, {"request_id": "mine-9", "verdict": "down"})),
    ],
    USUAL,
    prepare=_supported,
)

CACHED_MASKED = Group(
    "cached_masked",
    (*UP, "--cache", "exact", "--cache-scope", "all", "--privacy", "mask", *NAMES),
    [
        Exchange("miss: masked and restored", chat("big", f"Write to {EMAIL}."), [Answer(body=said("To [EMAIL_1]!"))]),
        Exchange("hit: restored", chat("big", f"Write to {EMAIL}.")),
        Exchange("hit: restored, streamed", chat("big", f"Write to {EMAIL}.", stream=True)),
        Exchange("hit: another value behind the same placeholder", chat("big", "Write to john@example.com.")),
        Exchange(
            "miss: streamed",
            chat("big", f"Stream to {EMAIL}.", stream=True),
            [Answer(headers=STREAM, pieces=[delta("To [EMA"), delta("IL_1]!"), delta(finish="stop"), DONE])],
        ),
        Exchange("hit: what was streamed", chat("big", f"Stream to {EMAIL}.", stream=True)),
    ],
    USUAL,
    prepare=_named,
)

BOTH = ("--fallback", f"http://{UPSTREAM}/v1", "--fallback", f"http://{SECOND}/v1", "--fallback-model", "big", "--fallback-model", "second")
BROKEN = fault("500 Internal Server Error", "broken inside")
BUSY = fault("429 Too Many Requests", "too many", [("Retry-After", "7")])

FAILING = Group(
    "failing",
    (*BOTH, "--fallback-retry-seconds", "0", "--when-upstream-fails", "local", "--audit-share", "0", "--fallback-max-mb", "0.001"),
    [
        Exchange(
            "500: the second answers, and gets no credentials of the client's",
            chat("bare", "refund", [("Authorization", "Bearer client-key"), ("X-Custom", "kept"), ("Accept-Language", "de")]),
            [BROKEN],
        ),
        Exchange("429: the second answers", chat("big", "hello"), [BUSY]),
        Exchange("503: the second answers", chat("big", "hello"), [fault("503 Service Unavailable", "later")]),
        Exchange(
            "401 for this server's key: the second answers",
            chat("big", "hello"),
            [fault("401 Unauthorized", "whose key operator-key is this")],
        ),
        Exchange("402: the second answers", chat("big", "hello"), [fault("402 Payment Required", "no credit")]),
        Exchange("403: the second answers", chat("big", "hello"), [fault("403 Forbidden", "not you")]),
        Exchange("404 is the answer", chat("big", "hello"), [fault("404 Not Found", "no such model")]),
        Exchange("400 is the answer", chat("big", "hello"), [fault("400 Bad Request", "no")]),
        Exchange(
            "a redirect is the answer, and is not followed",
            chat("big", "hello"),
            [Answer("302 Found", [("Location", "https://evil.example/")])],
        ),
        Exchange(
            "both refuse this server: the second's own words",
            chat("big", "hello"),
            [fault("401 Unauthorized", "one")],
            [fault("401 Unauthorized", "two")],
        ),
        Exchange("both fail", chat("big", "hello"), [BROKEN], [fault("502 Bad Gateway", "key second-key is wrong")]),
        Exchange("the second answers again", chat("big", "hello"), [BROKEN]),
        Exchange("both are busy", chat("big", "hello"), [BUSY], [fault("429 Too Many Requests", "too many", [("Retry-After", "9")])]),
        Exchange("one is busy, one fails", chat("big", "hello"), [BUSY], [BROKEN]),
        Exchange("the first answers again", chat("big", "hello")),
        Exchange("a bundle answers instead, marked so", chat("bare", "refund"), [BROKEN], [BROKEN]),
        Exchange("a bundle answers instead, streamed", chat("bare", "refund", stream=True), [BROKEN], [BROKEN]),
        Exchange("a bundle answers instead, whose answer was under the threshold", chat("support", "late"), [BROKEN], [BROKEN]),
        Exchange("no bundle answers instead what does not suit it", chat("bare", "refund", n=2), [BROKEN], [BROKEN]),
        Exchange("both answer again: the first", chat("bare", "refund")),
        Exchange("the first closes the connection: the second answers", chat("big", "hello"), [Answer(raw=b"")]),
        Exchange("the first says what is no HTTP: the second answers", chat("big", "hello"), [Answer(raw=b"hello\r\n\r\n")]),
        Exchange("a status that is none: the second answers", chat("big", "hello"), [Answer("999 Odd", JSON, b"{}")]),
        Exchange("the first answers once more", chat("big", "hello")),
        Exchange(
            "two lengths: the second answers",
            chat("big", "hello"),
            [Answer(headers=[*JSON, ("Content-Length", "2"), ("Content-Length", "3")], body=b"{}")],
        ),
        Exchange(
            "a length, and chunks: the second answers",
            chat("big", "hello"),
            [Answer(headers=[*JSON, ("Content-Length", "2")], pieces=[b"{}"])],
        ),
        Exchange("a body that is shorter than its length is broken off", chat("big", "hello"), [Answer(body=b'{"a":1}', cut=True)]),
        Exchange("a body that is too large is broken off", chat("big", "hello"), [Answer(body=b"x" * 2000)]),
        Exchange(
            "a stream that is too large ends with an error",
            chat("big", "hello", stream=True),
            [Answer(headers=STREAM, pieces=[delta("x" * 600), delta("y" * 600), DONE])],
        ),
        Exchange(
            "a body whose length is told by the end of the connection",
            chat("big", "hello"),
            [Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{}")],
        ),
        Exchange("responses: 500 is the answer, for it may have been done", post(RESPONSES, {"model": "big", "input": "hello"}), [BROKEN]),
        Exchange(
            "responses: 503 was not done, and the second answers",
            post(RESPONSES, {"model": "big", "input": "hello"}),
            [fault("503 Service Unavailable", "later")],
        ),
        Exchange(
            "responses: the connection breaks, and nobody else is asked",
            post(RESPONSES, {"model": "big", "input": "hello"}),
            [Answer(raw=b"")],
        ),
        Exchange("responses: a bundle's, 500 from both", post(RESPONSES, {"model": "bare", "input": "refund"}), [BROKEN]),
        Exchange(
            "the list of models of one that fails",
            get(MODELS),
            [BROKEN],
            [Answer(body=b'{"object":"list","data":[{"id":"second","object":"model"}]}')],
        ),
    ],
    USUAL,
    [("SMIDGEN_FALLBACK_KEY", "operator-key"), ("SMIDGEN_FALLBACK_KEY_2", "second-key")],
    _supported,
)

DOWN = Group(
    "down",
    ("--fallback", f"http://{DEAD}/v1", "--fallback-model", "big", "--fallback-retry-seconds", "0"),
    [
        Exchange("nobody listens", chat("big", "hello")),
        Exchange("nobody listens: streamed", chat("big", "hello", stream=True)),
        Exchange("nobody listens: responses", post(RESPONSES, {"model": "big", "input": "hello"})),
        Exchange("nobody listens: a bundle without a certificate", chat("bare", "refund")),
        Exchange("a certified answer needs no upstream", chat("support", "refund")),
        Exchange("the list of models", get(MODELS)),
        Exchange("nobody listens, for the fifth time", chat("big", "hello")),
        Exchange("the upstream is left alone", chat("big", "hello")),
        Exchange("the upstream is left alone: a bundle's request", chat("bare", "refund")),
        Exchange("the process is ready all the same", get("/readyz")),
    ],
    USUAL,
    prepare=_supported,
)

RETRIED = Group(
    "retried",
    UP,
    [
        Exchange("503, then an answer", chat("big", "hello"), [fault("503 Service Unavailable", "later", [("Retry-After", "0")]), USUAL]),
        Exchange("the connection breaks, then an answer", chat("big", "hello"), [Answer(raw=b""), USUAL]),
        Exchange("500 three times", chat("big", "hello"), [BROKEN, BROKEN, BROKEN]),
        Exchange(
            "429 that asks for more patience than there is",
            chat("big", "hello"),
            [fault("429 Too Many Requests", "later", [("Retry-After", "3600")])],
        ),
        Exchange(
            "500 that is not to be tried again",
            chat("big", "hello"),
            [fault("500 Internal Server Error", "no", [("X-Should-Retry", "false")])],
        ),
        Exchange(
            "responses: 503, then an answer",
            post(RESPONSES, {"model": "big", "input": "hello"}),
            [fault("503 Service Unavailable", "later"), USUAL],
        ),
    ],
    USUAL,
)

SLOW = Group(
    "slow",
    (*UP, "--fallback-seconds", "1", "--max-concurrent", "1"),
    [
        Exchange("no answer in time", chat("big", "hello"), [Answer(silent=True)], until=QUIET),
        Exchange("no answer in time: responses", post(RESPONSES, {"model": "big", "input": "hello"}), [Answer(silent=True)], until=QUIET),
        Exchange(
            "a stream that goes no further",
            chat("big", "hello", stream=True),
            [Answer(headers=STREAM, pieces=[delta("fr")], silent=True)],
            until=QUIET,
        ),
        Exchange(
            "too many requests at a time",
            chat("big", "hello"),
            [Answer(body=said("from above"), release=threading.Event())],
            during=chat("big", "hello"),
        ),
    ],
    USUAL,
)


def _audited(folder: Path) -> Sequence[Path]:
    """One certificate against the large model, and one under which answers went without an audit for too long."""
    models = folder / "models"
    large = {"kind": "model", "judge": None, "model": "big"}
    certify(write_bundle(models / "support"), reference=large)
    silent = certify(write_bundle(models / "silent"), reference=large, audit_days=7)
    bets = {"audits": 0, "losses": 0.0, "money": [0.0] * 6, "each": 0.0, "segments": {}}
    state = {
        **{"version": 1, "alpha": 0.05, "delta": 0.05, "least_probability": None, "declared": False, **bets, "share": 0.75, "most": 1.0},
        "lost": {"audits": 0, "in_a_row": False, "bets": {**bets, "share": 0.25}},
        "watch": {"answers": 100_000, "since": 1_700_000_000.0, "barred": 0, "open": {}},
    }
    (folder / "home" / "audits").mkdir()
    (folder / "home" / "audits" / f"{silent}.json").write_text(json.dumps(state), encoding="utf-8")
    return [models / "support", models / "silent"]


def audits(outcome: str, model: str = "support") -> str:
    """The line of /metrics that says that one audit came to this."""
    return rf'smidgen_audits_total\{{model="{model}",outcome="{outcome}"\}} 1\.0'


AUDITED = Group(
    "audited",
    (*UP, "--audit-share", "1"),
    [
        Exchange(
            "answered here, and audited: the large model agrees",
            chat("support", "refund", [("Authorization", "Bearer client-key")]),
            [Answer(body=said("billing/refund"))],
            until=audits("agreed"),
        ),
        Exchange(
            "answered here, streamed, and audited: the large model disagrees",
            chat("support", "refund", stream=True),
            [Answer(headers=STREAM, pieces=[delta("ship"), delta("ping"), delta(finish="stop"), DONE])],
            until=audits("disagreed"),
        ),
        Exchange(
            "escalated: no audit has come for too long; the answer is audited all the same",
            chat("silent", "refund"),
            [Answer(body=said("billing/refund")), Answer(body=said("billing/refund"))],
            until=audits("agreed", "silent"),
        ),
        Exchange(
            "an audit has come, and the certificate holds again",
            chat("silent", "refund"),
            [Answer(body=said("shipping"))],
            until=audits("disagreed", "silent"),
        ),
    ],
    USUAL,
    prepare=_audited,
)


def _forms(folder: Path) -> Sequence[Path]:
    """Certified bundles of spans and of fields."""
    models = folder / "models"
    certify(write_finder(models / "spans"), task="extract")
    certify(write_finder(models / "fields", fields=True), task="extract")
    return [models / "spans", models / "fields"]


BY_SCHEMA = {"type": "json_schema", "json_schema": {"name": "order", "schema": SCHEMA, "strict": True}}
ASKED = {"wish": {"type": "choice", "criteria": {"refund": "", "send": ""}}}

FORMS = Group(
    "forms",
    (*UP, "--audit-share", "0", "--fallback-retry-seconds", "0"),
    [
        Exchange("spans: answered here", chat("spans", "refund the lamp")),
        Exchange("spans: streamed", chat("spans", "refund the lamp", stream=True)),
        Exchange("spans: completions", post(COMPLETIONS, {"model": "spans", "prompt": "refund the lamp"})),
        Exchange("spans: responses", post(RESPONSES, {"model": "spans", "input": "refund the lamp"})),
        Exchange("spans: responses, streamed", post(RESPONSES, {"model": "spans", "input": "refund the lamp", "stream": True})),
        Exchange("spans: nothing is found", chat("spans", "hello")),
        Exchange("spans: escalated, for one is unsure", chat("spans", "refund the table")),
        Exchange("spans: an answer of another form is asked for", chat("spans", "refund the lamp", response_format=BY_SCHEMA)),
        Exchange("spans: classify", post(CLASSIFY, {"model": "spans", "input": ["refund the lamp", "send the table", "hello"]})),
        Exchange("spans: systemone has no labels to choose from", post(SYSTEMONE, {"model": "spans", "state": "lamp", "questions": ASKED})),
        Exchange("fields: answered here", chat("fields", "refund the lamp")),
        Exchange("fields: answered here, by their schema", chat("fields", "refund the lamp", response_format=BY_SCHEMA)),
        Exchange("fields: streamed", chat("fields", "refund the lamp", stream=True)),
        Exchange("fields: completions", post(COMPLETIONS, {"model": "fields", "prompt": "send the lamp"})),
        Exchange(
            "fields: responses, by their schema",
            post(
                RESPONSES,
                {
                    "model": "fields",
                    "input": "send the lamp",
                    "text": {"format": {"type": "json_schema", "name": "order", "schema": SCHEMA, "strict": True}},
                },
            ),
        ),
        Exchange("fields: responses, streamed", post(RESPONSES, {"model": "fields", "input": "send the lamp", "stream": True})),
        Exchange("fields: nothing is found", chat("fields", "hello")),
        Exchange("fields: escalated, for one is unsure", chat("fields", "refund the table")),
        Exchange(
            "fields: another schema is asked for",
            chat(
                "fields",
                "refund the lamp",
                response_format={
                    "type": "json_schema",
                    "json_schema": {"name": "x", "schema": {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]}},
                },
            ),
        ),
        Exchange("fields: classify", post(CLASSIFY, {"model": "fields", "input": ["refund the lamp", "hello"]})),
        Exchange("fields: systemone", post(SYSTEMONE, {"model": "fields", "state": "refund the lamp", "questions": ASKED})),
        Exchange("fields: systemone, nobody is named", post(SYSTEMONE, {"state": "send the lamp", "questions": ASKED})),
        Exchange("the list of models", get(MODELS), [Answer(body=b'{"object":"list","data":[]}')]),
    ],
    USUAL,
    prepare=_forms,
)


def _combined(folder: Path) -> Sequence[Path]:
    """A budget that is soon used up, one that is not, and bundles with and without a certificate."""
    poor, rich = (hashlib.sha256(key).hexdigest()[:12] for key in (b"key-a", b"key-b"))
    lines = [
        "[key.poor]",
        f'sha256 = "{poor}"',
        "day = 0.0015",
        "[key.rich]",
        f'sha256 = "{rich}"',
        "day = 1000.0",
        "[others]",
        "day = 0.0",
    ]
    (folder / "budgets.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    models = folder / "models"
    write_names(folder / "names")
    certify(write_bundle(models / "support"), reference={"kind": "model", "judge": None, "model": "big"})
    return [models / "support", write_bundle(models / "bare")]


CARD = "4111 1111 1111 1111"

COMBINED = Group(
    "combined",
    (
        *(*UP, "--fallback-retry-seconds", "0", "--when-upstream-fails", "local", "--audit-share", "1"),
        *("--api-key", "key-a", "--api-key", "key-b", "--admin-key", "key-admin", "--capture", "answers", "--capture-redact", "allow"),
        *("--privacy", "mask", *NAMES, "--privacy-kind", "card=block", "--cache", "exact", "--cache-scope", "all"),
        *("--price-in", "1", "--price-out", "2", "--budgets", "<folder>/budgets.toml"),
    ),
    [
        Exchange(
            "masked, paid for, kept, restored",
            chat("big", PERSONAL, [KEY_B, ("X-Request-Id", "b-1")]),
            [Answer(body=said(PLACES))],
            until=spent("key:rich", "counted", "7e-05"),
        ),
        Exchange("from the cache, restored, for nothing", chat("big", PERSONAL, [KEY_B, ("X-Request-Id", "b-2")])),
        Exchange(
            "streamed: masked, asked for its usage, kept, restored",
            chat("big", f"Stream to {EMAIL}.", [KEY_B], stream=True),
            [Answer(headers=STREAM, pieces=[delta("To [EMA"), delta("IL_1]!"), delta(finish="stop"), USAGE, DONE])],
            until=spent("key:rich", "counted", "0.00014"),
        ),
        Exchange(
            "what was streamed told the cache its usage: a whole answer comes from there", chat("big", f"Stream to {EMAIL}.", [KEY_B])
        ),
        Exchange("over budget", chat("big", "something new", [KEY_A])),
        Exchange("over budget, and in the cache", chat("big", PERSONAL, [KEY_A])),
        Exchange("over budget, and blocked", chat("big", f"My card is {CARD}.", [KEY_A])),
        Exchange("over budget: a bundle answers instead", chat("bare", "refund", [KEY_A])),
        Exchange("blocked: a bundle answers instead", chat("bare", f"refund to card {CARD}", [KEY_A])),
        Exchange("over budget, and nothing for a bundle", chat("bare", "refund", [KEY_A], n=2)),
        Exchange("over budget, streamed: a bundle answers instead", chat("bare", "refund", [KEY_A], stream=True)),
        Exchange("answered here, over budget: the audit is dropped", chat("support", "refund", [KEY_A]), until=audits("dropped")),
        Exchange(
            "answered here: what leaves for the audit is masked",
            chat("support", f"refund {EMAIL}", [KEY_B]),
            [Answer(body=said("billing/refund"))],
            until=audits("agreed"),
        ),
        Exchange("answered here: the audit may not leave", chat("support", f"refund {CARD}", [KEY_B]), until=audits("withheld")),
        Exchange("no key comes before all else", request("POST", CHAT, headers=[("Host", SERVER), *JSON, ("Content-Length", "5000000")])),
        Exchange(
            "too large comes before what is in it",
            request("POST", CHAT, headers=[("Host", SERVER), *JSON, KEY_A, ("Content-Length", "5000000")]),
        ),
        Exchange("a path that is not in the list, with personal data in it", get(f"/v1/files/{EMAIL}", [KEY_B])),
        Exchange("a body that is no JSON", post(CHAT, b"{not json", [KEY_B])),
        Exchange("an unknown price, and blocked", chat("nobody-knows-it", CARD, [KEY_B])),
        Exchange("an unknown price", chat("nobody-knows-it", "hello", [KEY_B])),
        Exchange(
            "the upstream fails: a bundle answers instead, and nothing is paid",
            chat("bare", "refund", [KEY_B]),
            [BROKEN],
            until=spent("key:rich", "set aside", "0.0"),
        ),
        Exchange(
            "the upstream fails: a placeholder in its words is restored",
            chat("big", f"Fail for {EMAIL}.", [KEY_B]),
            [fault("500 Internal Server Error", "about [EMAIL_1]")],
        ),
        Exchange("feedback: the answer leaves the cache, and is stored", post(FEEDBACK, {"request_id": "b-2", "verdict": "down"}, [KEY_B])),
        Exchange("it has left the cache", chat("big", PERSONAL, [KEY_B]), [Answer(body=said("To [EMAIL_1]"))]),
        Exchange(
            "systemone is answered here, whatever the budget",
            post(SYSTEMONE, {"model": "support", "state": "refund", "questions": QUESTIONS}, [KEY_A]),
        ),
        Exchange("the account", get("/smidgen/account?days=1", [ADMIN])),
        Exchange("the account, for whoever has no key", get("/smidgen/account")),
        Exchange("the account of too many days", get("/smidgen/account?days=100000", [ADMIN])),
    ],
    USUAL,
    [("SMIDGEN_FALLBACK_KEY", "operator-key")],
    _combined,
)


def _termed(folder: Path) -> Sequence[Path]:
    """Certificates of two alphas, and one against a large model of another name."""
    models = folder / "models"
    certify(write_bundle(models / "support"))
    certify(write_bundle(models / "better"), alpha=0.03, answering=[{**answering(), "bound": 0.02}])
    certify(
        write_bundle(models / "named"),
        alpha=0.03,
        answering=[{**answering(), "bound": 0.02}],
        reference={"kind": "model", "judge": None, "model": "Big-1"},
    )
    return [models / "support", models / "better", models / "named"]


TERMS = Group(
    "terms",
    (*UP, "--quality", "0.97", "--reference-model", "Big-1", "--audit-share", "0", "--host", "127.0.0.1", "--allow-host", "models.example"),
    [
        Exchange("escalated: the server asks for more quality than certified", chat("support", "refund")),
        Exchange("answered here: certified well enough", chat("better", "refund")),
        Exchange("escalated: the request asks for more quality than the server", chat("better@0.99", "refund")),
        Exchange("answered here: the request asks for less quality than the server", chat("better@0.5", "refund")),
        Exchange("answered here: certified against another name of the large model", chat("named", "refund")),
        Exchange(
            "systemone: the server asks for more quality than certified",
            post(SYSTEMONE, {"model": "support", "state": "refund", "questions": QUESTIONS}),
        ),
        Exchange("a host name that is allowed", request("GET", "/healthz", headers=[("Host", "models.example")])),
    ],
    USUAL,
    prepare=_termed,
)

GROUPS = (
    PASSING,
    CERTIFIED,
    ALONE,
    CAPTURED,
    MASKED,
    BLOCKED,
    BUDGETED,
    CACHED,
    CACHED_MASKED,
    FAILING,
    DOWN,
    RETRIED,
    SLOW,
    AUDITED,
    FORMS,
    COMBINED,
    TERMS,
)
