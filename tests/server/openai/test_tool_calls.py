"""Calls of tools over chat completions, with the official OpenAI client against a real server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import openai
import pytest
from tests.action_examples import TOOLS, examples, write
from tests.server.conftest import WordModel

from smidgen.core.replies import Reply
from smidgen.core.rows import Row, Text, joined
from smidgen.tasks.act import Act, ActSettings, part
from smidgen.text.tag_heads import words_vector

OWN = [{"type": "function", "function": tool.get("function", tool)} for tool in TOOLS]
_SIGNS = {"where": "order_status", "return": "return_order", "open": "opening_hours"}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Say the weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string", "description": "The city."}}, "required": ["city"]},
    },
}


class ToolModel(WordModel):
    """The tools of a small shop, as a loaded bundle: a word names the tool, orders are found by their form."""

    def __init__(self, folder: Path) -> None:
        super().__init__("calls")
        write(folder)
        rows = [Row(text, output, number) for number, (text, output) in enumerate(examples(), start=1)]
        self.form = part.form(rows, ActSettings(tools=str(folder / "tools.json")))  # type: ignore[assignment]
        task = part.formed(self.form)  # type: ignore[arg-type]
        assert isinstance(task, Act)
        self.task = task  # type: ignore[assignment]

    def predict(self, texts: Sequence[Text]) -> list[Reply]:
        plan = self.form.tagged  # type: ignore[attr-defined]
        raw: dict[str, Any] = {"spans": [], "choices": [], "inputs": list(texts)}
        for text in map(joined, texts):
            spans = [[*match.span(), plan["kinds"].index("order"), 0.95] for match in re.finditer(r"FH-\d{3}", text)]
            raw["spans"].append(spans)
            tool = next((name for word, name in _SIGNS.items() if word in text), None)
            values = plan["choices"][0]["values"]
            raw["choices"].append([[0.9 if value == tool else 0.1 / (len(values) - 1) for value in values], [0.9, 0.1]])
        return self.task.decode(raw, self.form)  # type: ignore[arg-type]

    def embed(self, texts: Sequence[Text]) -> list[Reply]:
        return [Reply(words_vector(joined(text)).tolist(), 1.0) for text in texts]


@pytest.fixture
def client(serve: Any, tmp_path: Path) -> Iterator[openai.OpenAI]:
    server = serve(ToolModel(tmp_path))
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as made:
        yield made


def ask(client: openai.OpenAI, text: str, **more: Any) -> Any:
    return client.chat.completions.create(model="calls", messages=[{"role": "user", "content": text}], **more)


def test_a_call_with_the_tools_of_the_request(client: openai.OpenAI) -> None:
    reply = ask(client, "where is order FH-123", tools=OWN)
    (choice,) = reply.choices
    (call,) = choice.message.tool_calls
    assert choice.finish_reason == "tool_calls" and choice.message.content is None
    assert (call.type, call.function.name) == ("function", "order_status") and call.id.startswith("call_")
    assert json.loads(call.function.arguments) == {"order": "FH-123"}
    assert reply.model_extra["smidgen"]["output"] == {"tool": "order_status", "arguments": {"order": "FH-123"}}
    ids = {choice.message.tool_calls[0].id for choice in ask(client, "where is order FH-123", tools=OWN, n=2).choices}
    assert len(ids) == 2


def test_without_tools_in_the_request_the_answer_is_there_as_json_too(client: openai.OpenAI) -> None:
    (choice,) = ask(client, "where is order FH-123").choices
    assert json.loads(choice.message.content) == {"tool": "order_status", "arguments": {"order": "FH-123"}}
    assert choice.finish_reason == "tool_calls" and choice.message.tool_calls[0].function.name == "order_status"
    (choice,) = ask(client, "thank you").choices
    assert (choice.message.content, choice.finish_reason, choice.message.tool_calls) == ("null", "stop", None)


def test_what_is_missing_is_asked_for_and_read_with_the_next_message(client: openai.OpenAI) -> None:
    reply = ask(client, "where is my order", tools=OWN)
    (choice,) = reply.choices
    assert (choice.message.content, choice.finish_reason) == ("Please tell me: order.", "stop")
    assert choice.message.tool_calls is None and reply.model_extra["smidgen"]["facts"]["missing"] == ["order"]
    said: list[Any] = [{"role": "user", "content": "where is my order"}, choice.message.model_dump(), {"role": "user", "content": "FH-123"}]
    (choice,) = client.chat.completions.create(model="calls", messages=said, tools=OWN).choices  # type: ignore[call-overload]
    assert json.loads(choice.message.tool_calls[0].function.arguments) == {"order": "FH-123"}
    said += [choice.message.model_dump(), {"role": "tool", "tool_call_id": choice.message.tool_calls[0].id, "content": "It is on its way."}]
    (choice,) = client.chat.completions.create(model="calls", messages=said, tools=OWN).choices  # type: ignore[call-overload]
    assert (choice.message.content, choice.finish_reason, choice.message.tool_calls) == ("It is on its way.", "stop", None)


def test_a_stream_has_the_call_in_pieces(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(
        model="calls", messages=[{"role": "user", "content": "where is order FH-123"}], tools=OWN
    ) as stream:  # type: ignore[list-item]
        events = [event.type for event in stream]
        (choice,) = stream.get_final_completion().choices
    assert "tool_calls.function.arguments.delta" in events and choice.finish_reason == "tool_calls"
    (call,) = choice.message.tool_calls or ()
    assert call.function.name == "order_status" and json.loads(call.function.arguments) == {"order": "FH-123"}
    said = "".join(
        chunk.choices[0].delta.content or "" for chunk in ask(client, "where is my order", tools=OWN, stream=True) if chunk.choices
    )
    assert said == "Please tell me: order."


def test_tool_choice(client: openai.OpenAI) -> None:
    (choice,) = ask(client, "where is order FH-123", tools=OWN, tool_choice="none").choices
    assert (choice.message.tool_calls, choice.finish_reason, choice.message.content) == (None, "stop", "")
    assert ask(client, "thank you", tools=OWN).choices[0].message.tool_calls is None
    (choice,) = ask(client, "FH-123 thank you", tools=OWN[:1], tool_choice="required").choices
    assert json.loads(choice.message.tool_calls[0].function.arguments) == {"order": "FH-123"}
    named = {"type": "function", "function": {"name": "opening_hours"}}
    (choice,) = ask(client, "where is order FH-123", tools=OWN, tool_choice=named).choices
    assert choice.message.tool_calls[0].function.name == "opening_hours" and choice.message.tool_calls[0].function.arguments == "{}"
    assert ask(client, "where is order FH-123", tools=OWN[1:]).choices[0].message.tool_calls is None, "that tool is not offered"


def test_what_cannot_be_is_refused_plainly(client: openai.OpenAI) -> None:
    changed = {
        "type": "function",
        "function": {**OWN[0]["function"], "parameters": {"type": "object", "properties": {"id": {"type": "string"}}}},
    }
    wrong: list[dict[str, Any]] = [
        {"tools": [changed]},
        {"tools": [{"type": "web_search"}]},
        {"tools": OWN, "tool_choice": "always"},
        {"tools": OWN, "tool_choice": {"type": "function", "function": {"name": "unheard"}}},
        {"tools": OWN, "tool_choice": {"type": "allowed_tools", "allowed_tools": {}}},
        {
            "tools": [
                {"type": "function", "function": {"name": "x", "parameters": {"type": "object", "properties": {"a": {"type": "odd"}}}}}
            ]
        },
    ]
    for body in wrong:
        with pytest.raises(openai.BadRequestError) as caught:
            ask(client, "where is order FH-123", **body)
        assert caught.value.code == "unsupported_tools" and caught.value.param in ("tools", "tool_choice")
    assert len(wrong) == 6


def test_tools_that_it_was_not_built_with_are_called_by_their_descriptions(client: openai.OpenAI) -> None:
    reply = ask(client, "Say the weather of the city Lisbon", tools=[WEATHER])
    (call,) = reply.choices[0].message.tool_calls
    assert call.function.name == "get_weather" and json.loads(call.function.arguments) == {"city": "Lisbon"}
    assert reply.model_extra["smidgen"]["score"] is None
    assert ask(client, "my shoes are too small", tools=[WEATHER]).choices[0].message.tool_calls is None


FLAT: list[Any] = [{"type": "function", **tool["function"]} for tool in OWN]  # type: ignore[dict-item]


def test_the_responses_api_has_calls_of_functions(client: openai.OpenAI) -> None:
    reply = client.responses.create(model="calls", input="where is order FH-123", tools=FLAT)
    (call,) = reply.output
    assert call.type == "function_call" and call.status == "completed" and call.call_id.startswith("call_")
    assert (call.name, json.loads(call.arguments), reply.output_text) == ("order_status", {"order": "FH-123"}, "")
    assert reply.model_extra is not None and reply.model_extra["smidgen"]["output"]["tool"] == "order_status"
    said: list[Any] = [{"role": "user", "content": "where is order FH-123"}, *(item.model_dump() for item in reply.output)]
    said.append({"type": "function_call_output", "call_id": call.call_id, "output": "It is on its way."})
    assert client.responses.create(model="calls", input=said, tools=FLAT).output_text == "It is on its way."
    both = client.responses.create(model="calls", input="where is order FH-123").output
    assert [item.type for item in both] == ["message", "function_call"], "without tools of its own, the answer is there as JSON too"
    assert client.responses.create(model="calls", input="thank you", tools=FLAT).output_text == ""
    none = client.responses.create(model="calls", input="where is order FH-123", tools=FLAT, tool_choice="none")
    named = client.responses.create(
        model="calls", input="where is order FH-123", tools=FLAT, tool_choice={"type": "function", "name": "opening_hours"}
    )
    assert [item.type for item in none.output] == ["message"] and named.output[0].name == "opening_hours"  # type: ignore[union-attr]


def test_the_responses_api_asks_for_what_is_missing(client: openai.OpenAI) -> None:
    reply = client.responses.create(model="calls", input="where is my order", tools=FLAT)
    assert reply.output_text == "Please tell me: order."
    said: list[Any] = [{"role": "user", "content": "where is my order"}, *(item.model_dump() for item in reply.output)]
    (call,) = client.responses.create(model="calls", input=[*said, {"role": "user", "content": "FH-123"}], tools=FLAT).output
    assert call.type == "function_call" and json.loads(call.arguments) == {"order": "FH-123"}
    wrong: list[dict[str, Any]] = [
        {"input": said},
        {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "http://x"}]}]},
        {"input": [{"type": "reasoning", "summary": []}]},
        {"input": "hello", "tools": [{"type": "web_search"}]},
        {"input": "hello", "store": True},
    ]
    codes = []
    for body in wrong:
        with pytest.raises(openai.APIStatusError) as caught:
            client.responses.create(model="calls", **body)
        codes.append(caught.value.code)
    assert codes == ["unsupported_request"] * 3 + ["unsupported_tools", "unsupported_request"]


def test_a_stream_of_the_responses_api_has_the_call_in_its_events(client: openai.OpenAI) -> None:
    with client.responses.stream(model="calls", input="where is order FH-123", tools=FLAT) as stream:
        seen: list[Any] = list(stream)
        (call,) = stream.get_final_response().output
    assert [one.type for one in seen] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [one.sequence_number for one in seen] == list(range(7))
    assert call.type == "function_call" and json.loads(call.arguments) == {"order": "FH-123"}
    assert seen[2].item.id == seen[3].item_id == call.id and seen[2].item.arguments == ""
    with client.responses.stream(model="calls", input="where is order FH-123") as stream:
        both: list[Any] = list(stream)
        assert [item.type for item in stream.get_final_response().output] == ["message", "function_call"]
    assert [one.output_index for one in both if one.type == "response.output_item.added"] == [0, 1]
