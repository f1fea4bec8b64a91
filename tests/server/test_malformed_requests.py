"""Whatever JSON comes, the answer is an answer or a refusal in the error shape: never 500, never a shape of its own."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.examples import examples

PATHS = ("/v1/chat/completions", "/v1/completions", "/v1/classify", "/v1/systemone", "/v1/embeddings")
KEYS = [
    "messages",
    "model",
    "prompt",
    "input",
    "state",
    "questions",
    "role",
    "content",
    "type",
    "text",
    "criteria",
    "instructions",
    "true",
    "false",
    "n",
    "stream",
    "stop",
    "top_k",
    "logprobs",
    "top_logprobs",
    "response_format",
    "json_schema",
    "schema",
    "properties",
    "stream_options",
    "include_usage",
    "assets",
    "echo",
    "q",
    "$ref",
    "items",
]
WORDS = (
    "user",
    "support",
    "auto",
    "shipping",
    "billing",
    "noul",
    "choice",
    "score",
    "text",
    "json_schema",
    "",
    "\ud800",
    "#/$defs/a",
    "\x00",
)

leaf = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS) | st.text(max_size=5)
json_value = st.recursive(
    leaf,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)
message = st.fixed_dictionaries({"role": st.just("user"), "content": json_value}) | json_value
question = st.fixed_dictionaries(
    {"type": st.sampled_from(("noul", "choice", "score")) | json_value}, optional={"criteria": json_value, "instructions": json_value}
)
body = json_value | st.fixed_dictionaries(
    {},
    optional={
        "messages": st.lists(message, max_size=2),
        "prompt": json_value,
        "input": json_value,
        "state": json_value,
        "questions": st.dictionaries(st.sampled_from(WORDS), question, max_size=2),
        "response_format": json_value,
        "model": json_value,
        "stream": st.booleans(),
        "n": json_value,
        "top_k": json_value,
        "logprobs": json_value,
    },
)


@pytest.fixture
def server(serve, word_model):
    return serve(word_model(), word_model("tags", ("late", "shipping"), multi_label=True))


@settings(max_examples=examples(120), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(path=st.sampled_from(PATHS), sent=body)
def test_json_garbage(server, path, sent):
    check(server.client.post(path, content=json.dumps(sent).encode(), headers={"Content-Type": "application/json"}))


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(PATHS),
    sent=st.binary(max_size=40),
    kind=st.sampled_from(("application/json", "text/plain", "application/x+json", ";")),
)
def test_bytes(server, path, sent, kind):
    check(server.client.post(path, content=sent, headers={"Content-Type": kind}))


def check(response):
    assert response.status_code < 500, response.text
    assert response.headers["x-request-id"]
    if response.status_code != 200:
        assert response.status_code >= 400
        error = response.json()["error"]
        assert {"message", "type", "param", "code"} <= set(error) and error["message"] and error["code"]
