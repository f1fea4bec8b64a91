"""The exchanges of the golden transcripts, group by group: what the server is told, what it is asked, and what its upstream answers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.golden.bundles import answering, certify, revoke, write_bundle
from tests.golden.transcript import SERVER, UPSTREAM, VIA, Exchange, Group, request
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
        Exchange("headers that are too large", get(MODELS, [("X-Long", "x" * 70_000)])),
        Exchange("no HTTP", b"hello\r\n\r\n"),
        Exchange("feedback is stored nowhere", post(FEEDBACK, {"request_id": "mine-1", "verdict": "up"})),
        Exchange("the process lives", get("/healthz")),
        Exchange("the process is ready", get("/readyz")),
        Exchange("the client hangs up while the upstream is at work", chat("big", "hello"), [Answer(silent=True)], hang_up=True),
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

GROUPS = (PASSING, CERTIFIED)
