"""The official OpenAI client, unchanged, against a real server."""

from __future__ import annotations

import asyncio
import base64
import json
import math
import struct
from enum import StrEnum

import openai
import pytest
from pydantic import BaseModel


@pytest.fixture
def client(serve):
    server = serve()
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as made:
        yield made


def ask(client, text, **more):
    return client.chat.completions.create(model="support", messages=[{"role": "user", "content": text}], **more)


def test_answers_with_the_label(client):
    reply = ask(client, "my refund please")
    assert reply.object == "chat.completion"
    assert reply.model == "support"
    assert reply.choices[0].message.content == "billing/refund"
    assert reply.choices[0].message.role == "assistant"
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens > 0
    extra = reply.model_extra["smidgen"]
    assert extra["bundle"] == "0123456789ab" == reply.system_fingerprint
    assert extra["output"] == "billing/refund"
    assert 0.8 < extra["score"] < 1
    assert [one["output"] for one in extra["alternatives"]] == ["billing/charge", "shipping"]
    assert extra["score"] + sum(one["score"] for one in extra["alternatives"]) == pytest.approx(1, abs=1e-5)


def test_last_user_message_is_the_input(client):
    messages = [
        {"role": "system", "content": "shipping shipping"},
        {"role": "user", "content": "shipping"},
        {"role": "assistant", "content": "shipping"},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "refund"}]},
        {"role": "assistant", "content": None, "tool_calls": []},
    ]
    reply = client.chat.completions.create(model="support", messages=messages)
    assert reply.choices[0].message.content == "billing/refund"


def test_streams(client):
    chunks = list(ask(client, "refund", stream=True, stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "billing/refund"
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices] == [None, None, "stop"]
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[-1].choices == [] and chunks[-1].usage.total_tokens > 0
    assert chunks[-2].model_extra["smidgen"]["output"] == "billing/refund"


def test_stream_ends_with_done_and_has_no_usage_unasked(serve):
    server = serve()
    response = server.post("/v1/chat/completions", {"stream": True, "messages": [{"role": "user", "content": "refund"}]})
    assert response.headers["content-type"].startswith("text/event-stream")
    events = response.text.strip().split("\n\n")
    assert events[-1] == "data: [DONE]"
    assert all("usage" not in json.loads(event.removeprefix("data: ")) for event in events[:-1])
    assert len(events) == 4


def test_tolerates_what_large_models_take(client):
    reply = ask(
        client, "refund", n=2, stop=["x"], temperature=0.3, max_tokens=5, seed=1, user="u", tools=[], extra_body={"made_up": {"a": 1}}
    )
    assert [choice.message.content for choice in reply.choices] == ["billing/refund"] * 2
    assert [choice.index for choice in reply.choices] == [0, 1]


def test_score_is_the_log_probability(client):
    reply = ask(client, "refund", logprobs=True, top_logprobs=2)
    (token,) = reply.choices[0].logprobs.content
    assert token.token == "billing/refund"
    assert math.exp(token.logprob) == pytest.approx(reply.model_extra["smidgen"]["score"], abs=1e-5)
    assert [top.token for top in token.top_logprobs] == ["billing/refund", "billing/charge"]


class Label(StrEnum):
    CHARGE = "billing/charge"
    REFUND = "billing/refund"
    SHIPPING = "shipping"


class Ticket(BaseModel):
    category: Label


class Short(BaseModel):
    category: Label
    reason: str


def test_structured_output_of_one_field(client):
    messages = [{"role": "user", "content": "refund"}]
    parsed = client.chat.completions.parse(model="support", messages=messages, response_format=Ticket)
    assert parsed.choices[0].message.parsed == Ticket(category=Label.REFUND)
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        client.chat.completions.parse(model="support", messages=messages, response_format=Short)
    assert caught.value.code == "unsupported_response_format"


def test_completions(client):
    reply = client.completions.create(model="support", prompt=["refund", "shipping"], n=2)
    assert [choice.text for choice in reply.choices] == ["billing/refund"] * 2 + ["shipping"] * 2
    assert [choice.index for choice in reply.choices] == [0, 1, 2, 3]
    chunks = list(client.completions.create(model="support", prompt="refund", stream=True))
    assert [chunk.choices[0].text for chunk in chunks] == ["billing/refund"]


def test_models(client):
    (card,) = client.models.list().data
    assert card.id == "support" and card.owned_by == "smidgen"
    assert client.models.retrieve("support").model_extra["smidgen"]["labels"] == ["billing/charge", "billing/refund", "shipping"]
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("supprt")
    assert caught.value.code == "model_not_found"
    assert "Did you mean 'support'?" in str(caught.value)


@pytest.mark.parametrize("form", [openai.NOT_GIVEN, "float", "base64"])
def test_embeddings(client, form):
    """Without a format the client asks for base64 and unpacks it itself."""
    found = client.embeddings.create(model="support", input=["shipping", "refund"], encoding_format=form)
    assert [one.index for one in found.data] == [0, 1]
    assert found.usage.prompt_tokens == found.usage.total_tokens == 4
    if form == "base64":
        assert struct.unpack("<2f", base64.b64decode(found.data[1].embedding)) == pytest.approx((0.6, -0.8))
    else:
        assert found.data[1].embedding == pytest.approx([0.6, -0.8])
    assert client.embeddings.create(model="support", input="refund", dimensions=2).data[0].embedding == pytest.approx([0.6, -0.8])


def test_embeddings_that_cannot_be_had(client):
    for sent, code in (
        ({"input": "vectorless"}, "embeddings_not_supported"),
        ({"input": "refund", "dimensions": 1}, "invalid_request"),
        ({"input": [[1, 2]]}, "invalid_request"),
        ({"input": "  "}, "empty_text"),
    ):
        with pytest.raises(openai.UnprocessableEntityError) as caught:
            client.embeddings.create(model="support", **sent)
        assert caught.value.code == code, sent


def test_several_bundles(serve, word_model):
    server = serve(word_model(), word_model("mood", ("good", "bad")))
    messages = [{"role": "user", "content": "bad refund"}]
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client:
        said = {
            name: client.chat.completions.create(model=name, messages=messages).choices[0].message.content for name in ("support", "mood")
        }
        assert said == {"support": "billing/refund", "mood": "bad"}
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model="gpt-4o", messages=messages)
    response = server.post("/v1/chat/completions", {"messages": messages})
    assert response.status_code == 422
    assert "Name one of: mood, support." in response.json()["error"]["message"]


def test_is_async_too(serve):
    server = serve()

    async def said():
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="any") as client:
            stream = await client.chat.completions.create(model="support", messages=[{"role": "user", "content": "refund"}], stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert asyncio.run(said()) == "billing/refund"
