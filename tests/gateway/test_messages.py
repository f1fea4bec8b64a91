"""Which requests to `/v1/responses` are one text of a user, and nothing that a bundle was not certified on."""

from __future__ import annotations

from typing import Any

import pytest

from smidgen.gateway.eligibility import RESPONSES, response_format, response_pieces, text_of, why_ineligible
from smidgen.server.traffic.exchange import oddity

USER = {"role": "user", "content": "late"}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"input": "late"}, "late"),
        ({"input": [USER]}, "late"),
        ({"input": [{"type": "message", "role": "developer", "content": "Sort it."}, {"type": "message", **USER}]}, "late"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_text", "text": "my"}, {"type": "input_text", "text": "box"}]}]},
            "my\nbox",
        ),
        ({"input": "late", "instructions": "Sort it.", "store": False, "background": False, "tools": [], "include": None}, "late"),
        ({"input": "late", "temperature": 0, "metadata": {"shop": "north"}, "reasoning": {"effort": "low", "summary": None}}, "late"),
        ({"input": "late", "text": {"format": {"type": "text"}, "verbosity": "low"}, "truncation": "auto", "stream": True}, "late"),
    ],
)
def test_one_text_suits(body: dict[str, Any], text: str) -> None:
    body = {"model": "support", **body}
    assert why_ineligible(RESPONSES, body) is None and text_of(RESPONSES, body) == text == "\n".join(response_pieces(body))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"store": True}, "the response is to be stored"),
        ({"previous_response_id": "resp_1"}, "the field previous_response_id"),
        ({"conversation": {"id": "conv_1"}}, "the field conversation"),
        ({"background": True}, "the field background"),
        ({"tools": [{"type": "web_search"}]}, "the field tools"),
        ({"prompt": {"id": "pmpt_1"}}, "the field prompt"),
        ({"include": ["message.output_text.logprobs"]}, "the field include"),
        ({"reasoning": {"summary": "auto"}}, "the field reasoning"),
        ({"text": {"tone": "kind"}}, "the field text"),
        ({"text": "json"}, "the field text"),
        ({"instructions": [USER]}, "the field instructions"),
        ({"messages": [USER]}, "the field messages"),
        ({"n": 2}, "several choices"),
        ({"a_field_of_tomorrow": 1}, "the field a_field_of_tomorrow"),
        ({"input": None}, "no messages"),
        ({"input": []}, "not one message of a user"),
        ({"input": ["late"]}, "no messages"),
        ({"input": [USER, {"role": "assistant", "content": "x"}, USER]}, "not one message of a user"),
        ({"input": [USER, {"role": "system", "content": "x"}]}, "words to the system after the user's"),
        ({"input": [USER, {"type": "function_call_output", "call_id": "c", "output": "x"}]}, "an item that is no message"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "an item that is no message"),
        ({"input": [{**USER, "id": "msg_1"}]}, "the message's field id"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]}, "a piece that is not text"),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": "x", "more": 1}]}]}, "a piece that is not text"),
        ({"input": [{"role": "user", "content": None}]}, "a message without text"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_does_not_is_named(change: dict[str, Any], why: str) -> None:
    assert why_ineligible(RESPONSES, {"model": "support", "input": "late", **change}) == why
    assert oddity(why) == why, "it is stored as it is"


def test_the_form_of_the_answer_is_read_as_that_of_a_chat_completion() -> None:
    schema = {"type": "object", "properties": {"category": {"type": "string"}}}
    wanted = {"type": "json_schema", "name": "sorted", "schema": schema, "strict": True}
    assert response_format({"text": {"format": wanted}}) == {
        "type": "json_schema",
        "json_schema": {"name": "sorted", "schema": schema, "strict": True},
    }
    assert response_format({"text": {"format": {"type": "json_object"}}}) == {"type": "json_object"}
    assert response_format({"text": {"verbosity": "low"}}) is response_format({}) is None
