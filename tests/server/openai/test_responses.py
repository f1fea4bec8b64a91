"""`/v1/responses` without a gateway: the official client, unchanged, against a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import openai
import pytest
from pydantic import BaseModel
from tests.server.conftest import running
from tests.server.systemone.test_fields import field_model  # noqa: F401

from smidgen.flows.local_model import load


class Ticket(BaseModel):
    category: Literal["billing/charge", "billing/refund", "shipping"]


@pytest.fixture
def client(serve: Any) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{serve().url}/v1", api_key="any", max_retries=0) as made:
        yield made


def test_one_text_is_answered_and_kept_nowhere(client: openai.OpenAI) -> None:
    reply = client.responses.create(model="support", input="my refund please", instructions="Sort it.", metadata={"shop": "north"})
    assert (reply.output_text, reply.status, reply.model, reply.object) == ("billing/refund", "completed", "support", "response")
    assert reply.id.startswith("resp_smidgen_") and reply.model_extra is not None and reply.metadata == {"shop": "north"}
    assert (reply.store, reply.instructions, reply.previous_response_id) == (False, None, None)
    assert reply.usage is not None and reply.usage.total_tokens == reply.usage.input_tokens + reply.usage.output_tokens > 0
    extra = reply.model_extra["smidgen"]
    assert extra["output"] == "billing/refund" and 0.8 < extra["score"] < 1 and extra["bundle"] == "0123456789ab"
    (message,) = reply.output
    assert message.type == "message" and message.status == "completed"


def test_messages_and_pieces(client: openai.OpenAI) -> None:
    asked: Any = [
        {"role": "developer", "content": "shipping"},
        {"role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "refund"}]},
    ]
    assert client.responses.create(model="support", input=asked).output_text == "billing/refund"


def test_a_stream_has_every_event_in_its_order(client: openai.OpenAI) -> None:
    seen = list(client.responses.create(model="support", input="my refund please", stream=True))
    assert [one.type for one in seen] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [one.sequence_number for one in seen] == list(range(9))
    last: Any = seen[-1]
    assert last.response.output_text == "billing/refund" and last.response.model_extra["smidgen"]["output"] == "billing/refund"
    with client.responses.stream(model="support", input="my refund please") as stream:
        told = "".join(one.delta for one in stream if one.type == "response.output_text.delta")
        assert told == stream.get_final_response().output_text == "billing/refund"


def test_the_answer_as_the_one_field_of_an_object(client: openai.OpenAI) -> None:
    parsed = client.responses.parse(model="support", input="my refund please", text_format=Ticket)
    assert parsed.output_parsed == Ticket(category="billing/refund")
    assert parsed.text is not None and parsed.text.format is not None and parsed.text.format.type == "json_schema"
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        client.responses.create(model="support", input="a refund", text={"format": {"type": "json_object"}})
    assert (caught.value.code, caught.value.param) == ("unsupported_response_format", "text.format")


@pytest.mark.parametrize(
    ("change", "status", "code", "said"),
    [
        ({"store": True}, 422, "unsupported_request", "to be stored"),
        ({"tools": [{"type": "function", "name": "f"}]}, 422, "unsupported_request", "tools"),
        ({"previous_response_id": "resp_1"}, 422, "unsupported_request", "previous_response_id"),
        ({"input": " "}, 422, "empty_text", "empty"),
        ({"input": []}, 422, "invalid_request", "input"),
        ({"input": "x" * 40_000}, 422, "text_too_long", "40000"),
        ({"input": "\ud800"}, 422, "invalid_unicode", "Unicode"),
        ({"max_output_tokens": 0}, 422, "invalid_request", "max_output_tokens"),
        ({"model": "suport"}, 404, "model_not_found", "support"),
    ],
)
def test_what_cannot_be_asked_is_refused(serve: Any, error: Any, change: dict[str, Any], status: int, code: str, said: str) -> None:
    body = json.dumps({"model": "support", "input": "refund", **change})
    found = error(serve().client.post("/v1/responses", content=body, headers={"content-type": "application/json"}), status)
    assert found["code"] == code and said in found["message"]


def test_fields_and_a_refusal(serve: Any, field_model: Any) -> None:  # noqa: F811
    with openai.OpenAI(base_url=f"{serve(field_model()).url}/v1", api_key="any", max_retries=0) as client:
        reply = client.responses.create(model="orders", input="A S", text={"format": {"type": "json_object"}})
        assert json.loads(reply.output_text)["wish"] == "refund"
        refused: Any = client.responses.create(model="orders", input="nameless").output[0]
        assert refused.content[0].type == "refusal" and "fits the schema" in refused.content[0].refusal
        seen: list[Any] = list(client.responses.create(model="orders", input="nameless", stream=True))
        assert seen[4].type == "response.refusal.delta" and seen[-1].response.output_text == ""


def test_a_text_goes_out_while_it_is_written(writer_bundle: Path) -> None:
    france = "What is the capital of France?"
    with (
        running(load(writer_bundle, threads=1)) as server,
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client,
    ):
        reply = client.responses.create(model="writer", input=france)
        assert (reply.output_text, reply.status) == ("The capital of France is Paris.", "completed")
        pieces: list[Any] = list(client.responses.create(model="writer", input=france, stream=True))
        told = [one.delta for one in pieces if one.type == "response.output_text.delta"]
        assert len(told) > 2 and "".join(told) == reply.output_text == pieces[-1].response.output_text
        usage = pieces[-1].response.usage
        assert usage.output_tokens == reply.usage.output_tokens > 4 and usage.input_tokens > usage.output_tokens  # type: ignore[union-attr]
        cut: list[Any] = list(client.responses.create(model="writer", input=france, max_output_tokens=3, stream=True))
        last = cut[-1]
        assert (last.type, last.response.status, last.response.output[0].status) == ("response.incomplete", "incomplete", "incomplete")
        assert last.response.incomplete_details.reason == "max_output_tokens" and last.response.model_extra["smidgen"]["score"] == 0
        schema = {
            "type": "object",
            "properties": {"city": {"enum": ["Paris", "Rome"]}},
            "required": ["city"],
            "additionalProperties": False,
        }
        held: Any = {"format": {"type": "json_schema", "name": "answer", "schema": schema, "strict": True}}
        assert set(json.loads(client.responses.create(model="writer", input=france, text=held).output_text)) == {"city"}
