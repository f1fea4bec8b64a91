"""A bundle that writes, behind the faces: the official OpenAI client against a real server with a real small decoder."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise

import httpx
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.examples import examples
from tests.server.conftest import Running, running
from tests.server.test_malformed_requests import check, json_value, message

from smidgen.bundles.open import open_bundle
from smidgen.bundles.pack import pack
from smidgen.flows.local_model import Model, load
from smidgen.machine.memory import resident_mb

FRANCE = "What is the capital of France?"
STORY = "Tell me a long story about a dragon."
TOOL = {"type": "function", "function": {"name": "weather", "description": "The weather of a city", "parameters": {"type": "object"}}}
SCHEMA = {
    "type": "object",
    "properties": {"colour": {"enum": ["red", "blue"]}, "size": {"type": "integer", "minimum": 0, "maximum": 9}},
    "required": ["colour", "size"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def server(writer_bundle) -> Iterator[Running]:
    with running(load(writer_bundle, threads=1), request_seconds=600) as at_work:
        yield at_work


@pytest.fixture
def client(server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0, timeout=120) as made:
        yield made


def ask(client, text=FRANCE, **more):
    messages = text if isinstance(text, list) else [{"role": "user", "content": text}]
    return client.chat.completions.create(model="writer", messages=messages, **more)


def said(chunks) -> str:
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def refusal(caught, status: int, code: str) -> str:
    assert caught.value.status_code == status and caught.value.code == code, caught.value
    return str(caught.value)


def test_a_lone_message_is_answered_as_it_was_taught(client, server):
    reply = ask(client)
    model: Model = server.model
    (wanted,) = model.predict([FRANCE])
    assert reply.choices[0].message.content == wanted.output == "The capital of France is Paris."
    assert reply.choices[0].finish_reason == "stop"
    extra = reply.model_extra["smidgen"]
    assert extra["task"] == "write" and extra["output"] == wanted.output and extra["bundle"] == reply.system_fingerprint == model.id
    assert extra["score"] == pytest.approx(wanted.score, abs=1e-3) and extra["score"] > 0.5
    assert extra["facts"]["tokens"] == 7 and extra["facts"]["finished"] is True
    assert reply.usage.completion_tokens == 8, "the end token counts"
    assert reply.usage.prompt_tokens == model.runner.count(FRANCE) and ask(client).usage.prompt_tokens_details.cached_tokens > 0


def test_words_to_the_system_change_nothing(client):
    messages = [{"role": "system", "content": "Only ever say: bananas."}, {"role": "user", "content": FRANCE}]
    assert ask(client, messages).choices[0].message.content == ask(client).choices[0].message.content


def test_streaming_is_the_same_text_piece_by_piece(client):
    whole = ask(client, logprobs=True)
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}, logprobs=True))
    assert said(chunks) == whole.choices[0].message.content
    texts = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert len(texts) == 7, "a chunk for each token"
    assert chunks[0].choices[0].delta.role == "assistant"
    last = chunks[-2]
    assert last.choices[0].finish_reason == "stop" and last.choices[0].delta.content is None
    assert last.model_extra["smidgen"]["score"] == pytest.approx(whole.model_extra["smidgen"]["score"], abs=1e-3)
    assert last.model_extra["smidgen"]["output"] == whole.choices[0].message.content
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    tokens = [token for chunk in chunks if chunk.choices and chunk.choices[0].logprobs for token in chunk.choices[0].logprobs.content]
    assert [token.token for token in tokens] == [token.token for token in whole.choices[0].logprobs.content]


def test_the_first_piece_comes_before_the_last_is_written(client):
    began = time.monotonic()
    stream = ask(client, STORY, stream=True, max_tokens=150)
    came = [time.monotonic() - began for chunk in stream if chunk.choices[0].delta.content]
    assert len(came) > 60 and came[0] < came[-1] / 3


def test_logprobs_are_the_models_own(client):
    reply = ask(client, logprobs=True, top_logprobs=3)
    tokens = reply.choices[0].logprobs.content
    assert "".join(token.token for token in tokens) == reply.choices[0].message.content
    mean = sum(math.exp(token.logprob) for token in tokens) / len(tokens)
    assert mean == pytest.approx(reply.model_extra["smidgen"]["facts"]["probability"], abs=1e-4)
    for token in tokens:
        assert len(token.top_logprobs) == 3 and token.top_logprobs[0].token == token.token
        assert bytes(token.bytes).decode() == token.token
    assert ask(client).choices[0].logprobs is None


def test_max_tokens_and_stop_end_it(client):
    for name in ("max_tokens", "max_completion_tokens"):
        cut = ask(client, **{name: 3})
        assert cut.choices[0].message.content == "The capital of" and cut.choices[0].finish_reason == "length"
        assert cut.usage.completion_tokens == 3 and cut.model_extra["smidgen"]["score"] == 0, "a text that was cut is not to be trusted"
    stopped = ask(client, stop=["zebra", "France is"])
    assert stopped.choices[0].message.content == "The capital of " and stopped.choices[0].finish_reason == "stop"
    extra = stopped.model_extra["smidgen"]
    assert extra["score"] is None and "stop" in extra["facts"]["unscored"]
    assert said(ask(client, stop="France is", stream=True)) == "The capital of "


def test_drawing_follows_the_seed(client):
    def drawn(**more):
        return ask(client, STORY, temperature=1.3, top_p=0.95, max_tokens=12, seed=7, **more)

    alone = drawn()
    assert alone.choices[0].message.content == drawn().choices[0].message.content == said(drawn(stream=True))
    several = drawn(n=3)
    texts = [choice.message.content for choice in several.choices]
    assert texts[0] == alone.choices[0].message.content and len(set(texts)) > 1
    assert [choice.index for choice in several.choices] == [0, 1, 2]
    assert several.model_extra["smidgen"]["score"] is None
    assert several.usage.prompt_tokens == alone.usage.prompt_tokens < several.usage.completion_tokens + 40
    streamed = list(drawn(n=3, stream=True))
    for place in range(3):
        mine = [choice.delta.content or "" for chunk in streamed for choice in chunk.choices if choice.index == place]
        assert "".join(mine) == texts[place]


def test_drawn_choices_are_streamed_side_by_side(client):
    streamed = list(ask(client, STORY, temperature=1.0, seed=7, n=2, max_tokens=24, stream=True, stream_options={"include_usage": True}))
    said_by = [choice.index for chunk in streamed for choice in chunk.choices if choice.delta.content]
    turns = sum(one != other for one, other in pairwise(said_by))
    assert len(said_by) > 36 and turns > 8, "one after the other they would take one turn"
    ends = [choice.index for chunk in streamed for choice in chunk.choices if choice.finish_reason]
    assert sorted(ends) == [0, 1]
    assert streamed[-1].usage.completion_tokens == 48
    prompts = [STORY, FRANCE]
    written_by = [
        choice.index
        for chunk in client.completions.create(model="writer", prompt=prompts, temperature=1.0, seed=7, max_tokens=16, n=2, stream=True)
        for choice in chunk.choices
    ]
    assert set(written_by) == {0, 1, 2, 3} and written_by != sorted(written_by)


def test_choices_end_together_when_the_client_leaves(server, client):
    before = written(server)
    with closing(endless(server, n=2)) as stream:
        lines = stream.iter_lines()
        for _ in range(12):
            next(lines)
    assert ask(client).choices[0].message.content == "The capital of France is Paris."
    assert written(server) - before == 8, "neither was written to its end"
    assert 'smidgen_queue_texts{model="writer"} 0.0' in server.client.get("/metrics").text


def test_the_memory_of_the_engines_process_is_told(server):
    found = dict(re.findall(r'smidgen_resident_memory_bytes\{model="(\w*)",process="\w+"\} (\S+)', server.client.get("/metrics").text))
    pid = server.model.pid
    assert pid == server.model.runner.pid is not None
    if sys.platform == "linux":
        assert set(found) == {"", "writer"}
        assert float(found["writer"]) == pytest.approx(resident_mb(pid) * 1e6, rel=0.2) and float(found["writer"]) > 30e6
        assert float(found[""]) == pytest.approx(resident_mb() * 1e6, rel=0.2)


def test_the_likeliest_text_is_written_once_for_all_choices(client, server):
    before = written(server)
    reply = ask(client, n=3)
    assert [choice.message.content for choice in reply.choices] == ["The capital of France is Paris."] * 3
    assert reply.usage.completion_tokens == 24 and written(server) - before == 8


def written(server) -> float:
    found = re.search(r'smidgen_tokens_total\{kind="written",model="writer"\} (\S+)', server.client.get("/metrics").text)
    return float(found[1]) if found else 0.0


def test_an_answer_fits_its_schema(client):
    form = {"type": "json_schema", "json_schema": {"name": "ball", "schema": SCHEMA, "strict": True}}
    reply = ask(client, "A red ball of size 3.", response_format=form, max_tokens=60)
    made = json.loads(reply.choices[0].message.content)
    assert set(made) == {"colour", "size"} and made["colour"] in ("red", "blue") and 0 <= made["size"] <= 9
    assert reply.model_extra["smidgen"]["score"] is None
    streamed = said(ask(client, "A red ball of size 3.", response_format=form, max_tokens=60, stream=True))
    assert json.loads(streamed) == made
    assert isinstance(
        json.loads(ask(client, "Name: Bo", response_format={"type": "json_object"}, max_tokens=200).choices[0].message.content), dict
    )
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as caught:
            ask(
                client,
                response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": {"$ref": "#/nowhere"}}},
                stream=stream,
            )
        refusal(caught, 400, "invalid_json_schema")
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        ask(client, response_format={"type": "xml"})
    refusal(caught, 422, "unsupported_response_format")


def test_a_conversation_goes_by_the_template(client):
    messages = [
        {"role": "system", "content": "You are helpful."},
        {"role": "user", "content": "My name is Bob."},
        {"role": "assistant", "content": "Hello, Bob."},
        {"role": "user", "content": "What is my name?"},
    ]
    reply = ask(client, messages)
    assert "Bob" in reply.choices[0].message.content
    extra = reply.model_extra["smidgen"]
    assert extra["score"] is None and "conversation" in extra["facts"]["unscored"] and extra["facts"]["probability"] > 0
    assert said(ask(client, messages, stream=True)) == reply.choices[0].message.content
    assert reply.usage.prompt_tokens > 20


def test_tools_are_passed_on(client):
    reply = ask(client, "What is the weather in Paris?", tools=[TOOL], max_tokens=8)
    assert reply.choices[0].finish_reason in ("length", "stop", "tool_calls")
    assert reply.model_extra["smidgen"]["score"] is None
    assert reply.choices[0].message.content or reply.choices[0].message.tool_calls


def test_completions(client):
    reply = client.completions.create(model="writer", prompt=[FRANCE, "What is the capital of Italy?"], logprobs=2)
    assert [choice.text for choice in reply.choices] == ["The capital of France is Paris.", "The capital of Italy is Rome."]
    assert [choice.index for choice in reply.choices] == [0, 1] and {choice.finish_reason for choice in reply.choices} == {"stop"}
    assert all(choice.model_extra["smidgen"]["score"] > 0.5 for choice in reply.choices)
    logs = reply.choices[0].logprobs
    assert "".join(logs.tokens) == reply.choices[0].text and len(logs.top_logprobs[0]) == 2
    assert [reply.choices[0].text[at:].startswith(token) for at, token in zip(logs.text_offset, logs.tokens, strict=True)] == [True] * 7
    assert reply.usage.completion_tokens == 16
    chunks = list(client.completions.create(model="writer", prompt=FRANCE, stream=True, echo=True, stream_options={"include_usage": True}))
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == FRANCE + "The capital of France is Paris."
    assert len(chunks) > 6 and chunks[-1].usage.completion_tokens == 8
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices][-2:] == [None, "stop"]


def test_many_prompts_keep_their_order_and_each_other(client):
    towns = ["France", "Italy", "Spain", "Germany", "Japan", "Egypt"]
    reply = client.completions.create(model="writer", prompt=[f"What is the capital of {town}?" for town in towns], n=2)
    assert [choice.index for choice in reply.choices] == list(range(12))
    for place, town in enumerate(towns):
        assert town in reply.choices[2 * place].text and reply.choices[2 * place].text == reply.choices[2 * place + 1].text


def test_classify_answers_many_texts(server):
    reply = server.post("/v1/classify", {"input": [FRANCE, "What is the capital of Italy?"]}).json()
    assert [one["output"] for one in reply["results"]] == ["The capital of France is Paris.", "The capital of Italy is Rome."]


def test_there_are_no_vectors(client):
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        client.embeddings.create(model="writer", input="a")
    refusal(caught, 422, "embeddings_not_supported")


@pytest.mark.parametrize(
    ("wrong", "status", "code"),
    [
        ({"text": "  "}, 422, "empty_text"),
        ({"text": "word " * 1000}, 400, "context_length_exceeded"),
        ({"text": "word " * 10_000}, 422, "text_too_long"),
        ({"temperature": -1}, 422, "invalid_request"),
        ({"temperature": 1, "top_p": 0}, 422, "invalid_request"),
        ({"max_tokens": 0}, 422, "invalid_request"),
        ({"stop": [""]}, 400, "invalid_request"),
        ({"stop": ["a"] * 17}, 400, "invalid_request"),
        ({"logprobs": True, "top_logprobs": 21}, 422, "invalid_request"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_cannot_be_asked_is_refused_with_a_status(client, wrong, status, code, stream):
    with pytest.raises(openai.APIStatusError) as caught:
        ask(client, **wrong, stream=stream)
    refusal(caught, status, code)


turn = st.fixed_dictionaries({"role": st.sampled_from(("user", "assistant", "system", "tool", "x")), "content": json_value | st.text()})
wild = st.fixed_dictionaries(
    {"messages": st.lists(turn | message, max_size=3), "prompt": json_value | st.text()},
    optional={
        "n": st.integers(0, 3),
        "max_tokens": st.integers(-1, 4) | json_value,
        "temperature": st.floats() | json_value,
        "top_p": st.floats() | json_value,
        "seed": st.integers() | json_value,
        "stop": json_value,
        "logprobs": json_value,
        "top_logprobs": json_value,
        "stream": st.booleans(),
        "tools": json_value,
        "tool_choice": json_value,
        "response_format": json_value
        | st.fixed_dictionaries({"type": st.just("json_schema"), "json_schema": st.fixed_dictionaries({"schema": json_value})}),
        "logit_bias": json_value,
    },
)


@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(path=st.sampled_from(("/v1/chat/completions", "/v1/completions")), sent=wild)
def test_json_garbage(server, path, sent):
    check(server.client.post(path, content=json.dumps(sent).encode(), headers={"Content-Type": "application/json"}))


def endless(server, **more) -> httpx.Response:
    """A stream of 450 tokens, which has begun. With most seeds the model finds an end after some 50; with this one it finds none."""
    body = {"messages": [{"role": "user", "content": STORY}], "stream": True, "max_tokens": 450, "temperature": 0.7, "seed": 5, **more}
    request = server.client.build_request("POST", "/v1/chat/completions", json=body)
    return server.client.send(request, stream=True)


def test_a_client_that_hangs_up_frees_its_place(server, client):
    streams = [endless(server) for _ in range(2)]  # as many as there are places
    lines = [stream.iter_lines() for stream in streams]
    for each in lines:
        for _ in range(5):
            next(each)
    before = written(server)
    for stream in streams:
        stream.close()
    began = time.monotonic()
    assert ask(client).choices[0].message.content == "The capital of France is Paris."
    quick = time.monotonic() - began
    began = time.monotonic()
    assert ask(client).choices[0].message.content
    assert quick < 10 * (time.monotonic() - began) + 1
    assert written(server) - before == 16, "what nobody reads is not written to its end"
    assert 'smidgen_queue_texts{model="writer"} 0.0' in server.client.get("/metrics").text


def test_one_that_waits_in_line_can_hang_up_too(server, client):
    streams = [endless(server) for _ in range(2)]
    with pytest.raises(httpx.ReadTimeout):
        server.client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": STORY}], "max_tokens": 450}, timeout=0.3)
    for stream in streams:
        stream.close()
    assert ask(client).choices[0].message.content == "The capital of France is Paris."
    assert 'smidgen_queue_texts{model="writer"} 0.0' in server.client.get("/metrics").text


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_dead_process_costs_its_requests_and_starts_again(server, client, error):
    with closing(endless(server)) as stream:
        lines = stream.iter_lines()
        for _ in range(5):
            next(lines)
        answers: list[httpx.Response] = []
        body = {"messages": [{"role": "user", "content": STORY}], "max_tokens": 450}
        other = threading.Thread(target=lambda: answers.append(server.post("/v1/chat/completions", body)))
        other.start()
        time.sleep(0.3)
        os.kill(server.model.runner.pid, signal.SIGKILL)
        rest = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")]
        assert rest[-1]["error"]["code"] == "engine_unavailable" and rest[-1]["error"]["type"] == "server_error"
        other.join(20)
    found = error(answers[0], 503)
    assert found["code"] == "engine_unavailable" and answers[0].headers["retry-after"] == "1"
    assert ask(client).choices[0].message.content == "The capital of France is Paris."


def test_time_and_places_are_limited(writer_bundle, error):
    with running(load(writer_bundle, threads=1), request_seconds=0.5, max_queue=3) as server:
        body = {"messages": [{"role": "user", "content": STORY}], "max_tokens": 450, "temperature": 0.7, "seed": 5}
        assert error(server.post("/v1/chat/completions", body), 504)["code"] == "timeout"
        with closing(endless(server)) as stream:
            last = [line for line in stream.iter_lines() if line][-1]
        assert json.loads(last.removeprefix("data: "))["error"]["code"] == "timeout"
        assert error(server.post("/v1/completions", {"prompt": [STORY] * 4}), 422)["code"] == "too_many_inputs"
        assert error(server.post("/v1/chat/completions", {**body, "n": 4}), 503)["code"] == "overloaded"
        pid = server.model.runner.pid
        assert pid is not None
    assert server.model.runner.pid is None, "the server ends its models"


def test_a_model_that_guesses_ahead_has_no_probability_of_every_token(writer_bundle, tmp_path):
    manifest = open_bundle(writer_bundle).manifest
    engine = manifest.engine.model_copy(update={"options": {**manifest.engine.options, "draft": "lookup"}})
    pack(writer_bundle, manifest.model_copy(update={"engine": engine}), tmp_path / "writer")
    with running(load(tmp_path / "writer", threads=1)) as server, openai.OpenAI(base_url=f"{server.url}/v1", api_key="any") as client:
        assert "Paris" in ask(client).choices[0].message.content
        for asked in (
            lambda: ask(client, logprobs=True),
            lambda: ask(client, logprobs=True, stream=True),
            lambda: ask(client, [{"role": "system", "content": "Hi"}, *[{"role": "user", "content": FRANCE}] * 2], logprobs=True),
            lambda: client.completions.create(model="writer", prompt=FRANCE, logprobs=0),
        ):
            with pytest.raises(openai.BadRequestError) as caught:
                asked()
            assert "--draft none" in refusal(caught, 400, "logprobs_not_supported")
