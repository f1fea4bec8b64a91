"""A request on its way out: every text is masked, structure stays, and what cannot be read is told."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from typing import Any

import pytest

from smidgen.core.errors import RedactionError
from smidgen.privacy.request_masking import BodyWalk, FieldContext, read_once

SEALED = base64.urlsafe_b64encode(hashlib.shake_128(b"of the upstream").digest(600)).decode()
"""Encrypted bytes, as an upstream writes them."""


def mask(text: str, label: FieldContext) -> str:
    """Anna is [PERSON_1], her card [CARD_1]."""
    return text.replace("Anna", "[PERSON_1]").replace("4111111111111111", "[CARD_1]")


def walked(body: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    walk = BodyWalk(mask)
    return walk.body(body), walk.unread


def stored(**variables: Any) -> dict[str, Any]:
    """A request by a prompt that the upstream keeps."""
    return {"prompt": {"id": "pmpt_1", "variables": variables}}


TOOL = {
    "type": "function",
    "function": {
        "name": "find_Anna",
        "description": "Finds Anna",
        "parameters": {
            "type": "object",
            "properties": {
                "name": {"type": "string", "enum": ["Anna", "Bo"]},
                "file_id": {"type": "string"},
                "image_url": {"description": "of Anna"},
            },
            "required": ["name"],
        },
    },
}


def test_a_chat_request_is_masked_in_every_text() -> None:
    body = {
        "model": "Anna",
        "temperature": 0.5,
        "seed": 41111111,
        "user": "Anna",
        "metadata": {"type": "Anna", "shop": "north"},
        "stop": ["Anna:"],
        "a_field_of_tomorrow": {"said": "Anna"},
        "tools": [TOOL],
        "tool_choice": {"type": "function", "function": {"name": "find_Anna"}},
        "messages": [
            {"role": "system", "content": "You help Anna"},
            {"role": "user", "name": "Anna", "content": [{"type": "text", "text": "I am Anna"}]},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "call_4111111111111111", "type": "function", "function": {"name": "find_Anna", "arguments": '{"name": "Anna"}'}}
                ],
            },
            {
                "role": "tool",
                "name": "find_Anna",
                "tool_call_id": "call_4111111111111111",
                "content": '{"Anna": 4111111111111111, "n": 3, "at": 1.50}',
            },
        ],
    }
    sent, unread = walked(body)
    assert unread == []
    assert (sent["model"], sent["temperature"], sent["seed"]) == ("Anna", 0.5, 41111111)
    assert (sent["user"], sent["metadata"], sent["stop"]) == ("[PERSON_1]", {"type": "[PERSON_1]", "shop": "north"}, ["[PERSON_1]:"])
    assert sent["a_field_of_tomorrow"] == {"said": "[PERSON_1]"}
    function = sent["tools"][0]["function"]
    assert (function["name"], function["description"]) == ("find_Anna", "Finds [PERSON_1]")
    assert function["parameters"]["properties"]["name"] == {"type": "string", "enum": ["[PERSON_1]", "Bo"]}
    assert sent["tool_choice"] == body["tool_choice"]
    first, second, third, fourth = sent["messages"]
    assert first["content"] == "You help [PERSON_1]"
    assert (second["name"], second["content"]) == ("[PERSON_1]", [{"type": "text", "text": "I am [PERSON_1]"}])
    call = third["tool_calls"][0]
    assert (call["id"], call["function"]["name"], call["function"]["arguments"]) == (
        "call_4111111111111111",
        "find_Anna",
        '{"name": "[PERSON_1]"}',
    )
    assert (fourth["name"], fourth["tool_call_id"]) == ("find_Anna", "call_4111111111111111")
    assert json.loads(fourth["content"]) == {"[PERSON_1]": "[CARD_1]", "n": 3, "at": 1.5}
    assert body["messages"][0]["content"] == "You help Anna", "what came is not changed"  # type: ignore[index]


def test_a_request_to_responses_is_masked_in_every_text() -> None:
    body = {
        "model": "m",
        "instructions": "Serve Anna",
        "prompt": {"id": "pmpt_1", "version": "2", "variables": {"who": "Anna"}},
        "input": [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Anna"}]},
            {"type": "function_call", "call_id": "call_1", "name": "find_Anna", "arguments": '{"q":"Anna"}'},
            {"type": "function_call_output", "call_id": "call_1", "output": "Anna"},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Anna"}], "encrypted_content": SEALED},
        ],
        "text": {"format": {"type": "json_schema", "name": "Anna", "schema": {"type": "object"}}},
    }
    sent, unread = walked(body)
    assert unread == []
    assert json.dumps(sent).count("Anna") == 2, "the tool's name and the schema's"
    assert sent["input"][1] == {"type": "function_call", "call_id": "call_1", "name": "find_Anna", "arguments": '{"q": "[PERSON_1]"}'}
    assert sent["input"][3]["encrypted_content"] == SEALED


def test_json_in_a_text_is_masked_text_by_text_and_left_alone_where_nothing_is_found() -> None:
    inner = '{"note":"line\\nAnna says \\"hi\\"",  "n":[1,2]}'
    (sent,) = (walked({"prompt": inner})[0]["prompt"],)
    assert json.loads(sent) == {"note": 'line\n[PERSON_1] says "hi"', "n": [1, 2]}
    twice = json.dumps({"body": json.dumps({"to": "Anna\nB", "Card": 4111111111111111})})
    (again,) = json.loads(walked({"prompt": twice})[0]["prompt"]).values()
    assert json.loads(again) == {"to": "[PERSON_1]\nB", "Card": "[CARD_1]"}
    untouched = '{"a" :  "b",\n"n": 1.50}'
    assert walked({"prompt": untouched})[0]["prompt"] == untouched
    assert walked({"prompt": '{"a": "Anna", "a": "b"}'})[0]["prompt"] == '{"a": "[PERSON_1]", "a": "b"}', (
        "read as a text: nothing is dropped"
    )


def test_a_text_that_is_one_json_text_is_masked_as_such() -> None:
    seen: list[str] = []
    text = json.dumps('line\nAnna says "hi"')
    BodyWalk(lambda text, label: seen.append(text) or text).body({"prompt": text, "stop": [json.dumps(json.dumps({"to": "x\nAnna"}))]})
    assert seen == ['line\nAnna says "hi"', "x\nAnna"], "what is masked has no escapes in it"
    assert json.loads(walked({"prompt": text})[0]["prompt"]) == 'line\n[PERSON_1] says "hi"'
    assert json.loads(json.loads(walked({"prompt": json.dumps(json.dumps({"to": "x\nAnna"}))})[0]["prompt"])) == {"to": "x\n[PERSON_1]"}
    for said in ('"Anna" and "Bo"', ' "a"  ', '"Anna', '""'):
        assert walked({"prompt": said})[0]["prompt"] == said.replace("Anna", "[PERSON_1]")
    deep = "Anna"
    for _ in range(12):
        deep = json.dumps(deep)
    assert "Anna" not in walked({"prompt": deep})[0]["prompt"]


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}]}]},
            "a part that is not text",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "a_part_of_tomorrow", "text": "x"}]}]}, "a part that is not text"),
        ({"messages": [{"role": "user", "content": "data:image/png;base64,iVBORw0KGgo="}]}, "bytes as a text"),
        ({"messages": [{"role": "tool", "content": json.dumps({"png": "iVBORw0K" * 200})}]}, "bytes as a text"),
        ({"messages": [{"role": "user", "content": "see ![a](data:image/png;base64,iVBORw0KGgo=) here"}]}, "bytes as a text"),
        ({"input": [{"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}]}, "the field image_url"),
        ({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]}, "a part that is not text"),
        ({"input": [1, 2, 3]}, "token numbers in input"),
        ({"prompt": [[1, 2], [3]]}, "token numbers in prompt"),
        ({"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]}, "the field vector_store_ids"),
        (stored(receipt={"type": "input_image", "image_url": "https://cdn.example/card.png"}), "a part that is not text"),
        (stored(doc={"type": "input_file", "file_id": "file-1"}), "a part that is not text"),
        (stored(docs=[{"type": "a_part_of_tomorrow", "text": "x"}]), "a part that is not text"),
        (stored(doc={"file_id": "file-1"}), "the field file_id"),
        ({"input": [{"type": "input_video", "video_url": "https://cdn.example/a.mp4"}]}, "a part that is not text"),
        ({"input": [{"type": "input_image", "image_url": "https://cdn.example/a.png"}]}, "a part that is not text"),
        ({"input": [{"type": "an_item_of_tomorrow", "x": "y"}]}, "a part that is not text"),
        ({"input": [{"type": "message", "role": "user", "video_url": "https://cdn.example/a.mp4"}]}, "the field video_url"),
        ({"input": [{"type": "computer_call_output", "output": {"type": "computer_screenshot"}}]}, "a part that is not text"),
        ({"input": [{"type": "code_interpreter_call", "outputs": [{"type": "image", "url": "https://x"}]}]}, "a part that is not text"),
        ({"messages": [], "a_field_of_tomorrow": [{"pictures": [{"image_url": "https://x"}]}]}, "the field image_url"),
        ({"messages": [], "a_field_of_tomorrow": {"shown": {"type": "input_image", "x": "https://x"}}}, "a part that is not text"),
        ({"messages": [], "audio_url": "https://cdn.example/a.mp3"}, "the field audio_url"),
        ({"messages": [{"role": "tool", "content": {"image_url": "https://x"}}]}, "the field image_url"),
        ({"messages": [{"role": "user", "content": json.dumps({"aB3/" * 100: 1})}]}, "bytes as a text"),
        ({"messages": [{"role": "user", "content": "a scan: " + "aB3/" * 100 + " of it"}]}, "bytes as a text"),
    ],
)
def test_what_cannot_be_read_is_told(body: dict[str, Any], what: str) -> None:
    assert walked(body)[1] == [what]


def test_what_is_around_a_file_is_masked_all_the_same() -> None:
    """A server may let files pass unchecked, and not what stands beside them."""
    scan = "aB3/" * 100
    body = {
        "messages": [
            {"role": "user", "content": f"Anna's scan {scan} of Anna"},
            {"role": "tool", "content": json.dumps({"Anna": scan, "n": "Anna"})},
        ],
        "tomorrow": {
            "image_url": "https://x/Anna",
            "note": "Anna",
            "parts": [{"type": "input_image", "x": "Anna"}, {"type": "text", "x": "Anna"}],
        },
        "prompt": {"id": "pmpt_1", "variables": {"who": "Anna", "picture": {"type": "input_image", "file_id": "Anna"}}},
    }
    sent, unread = walked(body)
    assert unread == ["bytes as a text", "bytes as a text", "the field image_url", "a part that is not text", "a part that is not text"]
    first, second = sent["messages"]
    assert first["content"] == f"[PERSON_1]'s scan {scan} of [PERSON_1]"
    assert json.loads(second["content"]) == {"[PERSON_1]": scan, "n": "[PERSON_1]"}
    parts = [{"type": "input_image", "x": "Anna"}, {"type": "text", "x": "[PERSON_1]"}]
    assert sent["tomorrow"] == {"image_url": "https://x/Anna", "note": "[PERSON_1]", "parts": parts}
    assert sent["prompt"]["variables"] == {"who": "[PERSON_1]", "picture": {"type": "input_image", "file_id": "Anna"}}


@pytest.mark.parametrize(
    "body", [{"previous_response_id": "resp_1"}, {"conversation": {"id": "conv_1"}}, {"input": [{"type": "item_reference", "id": "msg_1"}]}]
)
def test_what_the_upstream_keeps_is_not_gone_on_from(body: dict[str, Any]) -> None:
    with pytest.raises(RedactionError, match="what the upstream keeps"):
        walked(body)


def test_deep_nesting_is_refused_and_not_passed_unread() -> None:
    deep: Any = "Anna"
    for _ in range(150):
        deep = {"a": deep}
    for body in ({"x": deep}, {"prompt": json.dumps(deep)}):
        with pytest.raises(RedactionError, match="nested too deeply"):
            walked(body)


CARD = "MRN-Anna"
PATIENT = {"id": CARD, "call_id": CARD, "format": CARD, "role": "Anna", "name": CARD, "Anna": {"$ref": CARD}, "authorization": CARD}


@pytest.mark.parametrize(
    "body",
    [
        {"patient": PATIENT},
        {"patients": [[PATIENT]]},
        {"messages": [{"role": "user", "content": "x", "patient": PATIENT}]},
        {"messages": [{"role": "tool", "content": PATIENT}]},
        {"messages": [{"role": "assistant", "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": PATIENT}}]}]},
        {"input": [{"type": "function_call", "call_id": "call_1", "name": "f", "arguments": [PATIENT]}]},
        {"input": [{"type": "function_call_output", "call_id": "call_1", "output": PATIENT}]},
        {"input": [{"type": "message", "role": "user", "content": "x", "metadata": PATIENT}]},
        {"metadata": {"deep": {"metadata": PATIENT}}},
        *({"tools": [{"type": "function", "function": {"name": "f", "parameters": {key: [PATIENT]}}}]} for key in ("examples", "default")),
        {"text": {"format": {"type": "json_schema", "schema": {"properties": {"who": {"const": PATIENT}}}}}},
        {"prompt": {"id": "pmpt_1", "variables": {"who": {"Anna": PATIENT}}}},
    ],
)
def test_the_interfaces_names_are_nothing_where_it_is_not_the_interface(body: dict[str, Any]) -> None:
    sent, unread = walked(body)
    assert unread == [] and "Anna" not in json.dumps(sent) and json.dumps(sent).count("[PERSON_1]") >= 8


def test_what_the_interface_needs_stays() -> None:
    """Ids, names, types and numbers are as they came, where the upstream would refuse others."""
    schema = {
        "type": "object",
        "properties": {
            "default": {"type": "string", "format": "date-Anna"},
            "metadata": {"type": "object", "required": ["Anna"], "$ref": "#/$defs/Anna"},
            "arguments": {"type": "array", "items": {"$ref": "#/$defs/Anna"}, "maxItems": 9007199254740991},
            "output": {"type": "object", "properties": {"const": {"type": "string"}}},
        },
        "$defs": {"Anna": {"type": "object", "format": "Anna", "required": ["Anna"]}},
        "required": ["Anna"],
    }
    mcp = {"type": "mcp", "server_label": "Anna", "server_url": "https://Anna.example/mcp", "authorization": "Anna.x-y_z"}
    body = {
        "model": "Anna",
        "messages": [
            {"role": "user", "id": "msg_Anna", "content": [{"type": "text", "text": "x"}]},
            {
                "role": "assistant",
                "content": None,
                "audio": {"id": "audio_Anna"},
                "reasoning_details": [{"type": "reasoning.text", "id": "rs_Anna", "text": "x"}],
                "tool_calls": [{"id": "call_Anna", "type": "function", "function": {"name": "Anna", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "call_Anna", "name": "Anna", "content": "{}"},
        ],
        "input": [
            {"type": "reasoning", "id": "rs_Anna", "summary": [], "encrypted_content": SEALED},
            {"type": "custom_tool_call", "call_id": "call_Anna", "name": "Anna", "input": "x"},
            {"type": "shell_call_output", "call_id": "call_Anna", "output": [{"stdout": "x", "outcome": {"type": "exit"}}]},
            {"type": "code_interpreter_call", "id": "ci_Anna", "outputs": [{"type": "logs", "logs": "x"}]},
            {"type": "mcp_call", "id": "mcp_Anna", "server_label": "Anna", "arguments": "{}", "output": "x"},
        ],
        "tools": [
            {"type": "function", "function": {"name": "Anna", "strict": True, "parameters": schema}},
            {**mcp, "headers": {"Authorization": "Bearer Anna.x-y_z"}},
        ],
        "tool_choice": {"type": "function", "function": {"name": "Anna"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "Anna", "schema": schema}},
        "prompt": {"id": "pmpt_Anna", "version": "2", "variables": {"who": {"type": "input_text", "text": "x"}, "n": "y"}},
        "logit_bias": {"50256": -100},
        "max_tokens": 41111111,
        "stream_options": {"include_usage": True},
    }
    assert walked(body) == (body, [])


def test_a_body_is_read_in_one_way_only() -> None:
    assert read_once(b'{"a": {"b": 1}}') == {"a": {"b": 1}}
    for body in (b'{"a": 1, "a": 2}', b'{"m": [{"a": 1, "a": 2}]}', b"[1]", b"", b'"a"', b"\xff", b"{", b'{"a":' * 100_000):
        assert read_once(body) is None


def test_every_text_and_number_comes_with_what_is_known_of_it() -> None:
    seen: list[tuple[str, str, tuple[str, ...]]] = []
    short: list[tuple[str, str]] = []

    def noted(text: str, label: FieldContext) -> str:
        seen.append((text, label.words, label.beside))
        return text

    def counted(number: str, label: FieldContext) -> str:
        short.append((number, label.words))
        return f"[{number}]" if label.name == "cvv" else number

    inner = {"pan": "4111 1111 1111 1111", "cardCVV": "123", "cvv": 123, "at": 1.5, "n": 12345678901, "yes": True}
    body = {
        "messages": [
            {"role": "user", "content": json.dumps(inner)},
            {"role": "assistant", "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": '{"a":{"mrn":"X9"}}'}}]},
        ],
        "metadata": {"mrn": "X90812"},
        "max_tokens": 10,
        "seed": 7,
        "tomorrow": 10,
    }
    sent = BodyWalk(noted, counted).body(body)
    beside = ("4111 1111 1111 1111",)
    assert ("123", "content card CVV", beside) in seen and ("12345678901", "content n", beside) in seen
    assert ("X9", "a mrn", ()) in seen and ("X90812", "metadata mrn", ()) in seen
    assert short == [("123", "content cvv"), ("1.5", "content at"), ("10", "tomorrow")]
    assert json.loads(sent["messages"][0]["content"])["cvv"] == "[123]"
    assert BodyWalk(noted).body({"cvv": 123}) == {"cvv": 123}


@pytest.mark.parametrize("body", [{"Jane Doe": 1}, {"model": {"note": "Jane Doe"}}, {"model": ["Jane Doe"]}, {"model": "Jane Doe"}])
def test_nothing_of_a_body_is_unread_for_its_place(body: dict[str, Any]) -> None:
    walk = BodyWalk(lambda text, label: text.replace("Jane Doe", "[PERSON_1]"))
    assert "Jane" not in json.dumps(walk.body({"messages": [], **body}))
    assert BodyWalk(lambda text, label: "masked").body({"model": "org/big-4:free"}) == {"model": "org/big-4:free"}


@pytest.mark.parametrize(
    "body",
    [
        {"seed": 4111111111111111},
        {"n": 4111111111111111},
        {"max_tokens": 4111111111111111.0},
        {"temperature": 0.4111111111111111},
        {"top_p": -4111111111111111},
        {"logit_bias": {"50256": 4111111111111111}},
        {"input": [{"type": "message", "created_at": 4111111111111111}]},
    ],
    ids=lambda body: next(iter(body)),
)
def test_a_number_of_the_interface_carries_no_long_number(body: dict[str, Any]) -> None:
    def digits(text: str, _: FieldContext) -> str:
        return "[NUMBER_1]" if "4111111111111111"[1:] in text else text

    with pytest.raises(RedactionError, match="at most eight digits"):
        BodyWalk(digits).body(body)
    assert BodyWalk(lambda text, _: text).body(body) == body, "where a policy lets such numbers go"


def test_usual_numbers_of_the_interface_stay() -> None:
    limits = {"type": "object", "properties": {"count": {"type": "integer", "minimum": -(2**63), "maximum": 2**53 - 1}}}
    usual = {
        **{"seed": 12345678, "n": 4, "temperature": 0.1 + 0.2, "top_p": 1.0},
        "input": [{"type": "message", "created_at": 1_764_000_000, "content": []}],
        "tools": [{"type": "function", "function": {"name": "count", "parameters": limits}}],
    }
    assert BodyWalk(lambda text, _: "[NUMBER_1]").body(usual) == usual


@pytest.mark.parametrize("field", ["encrypted_content", "thought_signature"])
@pytest.mark.parametrize(
    "said",
    [
        "Anna has a secret",
        "Anna",
        base64.b64encode(b"Anna lives in Berlin, and her number is 030 1234567.").decode(),
        f"{SEALED[:200]}4111111111111111{SEALED[:200]}",
        "AnnA1" * 20 + "Anna Schmidt",
        base64.b64encode("Anna Schmidt lives in Berlin, and her number is 030 1234567.".encode("utf-16")).decode(),
        base64.b64encode("Jürgen Müller lives in Köln, and his number is 030 1234567.".encode("latin-1")).decode(),
        base64.b64encode(gzip.compress(b"Anna lives in Berlin, and her number is 030 1234567." * 3, mtime=0)).decode(),
    ],
)
def test_what_the_upstream_sealed_is_bytes_and_no_text(field: str, said: str) -> None:
    seen: list[str] = []
    walk = BodyWalk(lambda text, _: seen.append(text) or "[X_1]")
    sent = walk.body({"input": [{"type": "reasoning", "summary": [], field: said}]})
    assert sent["input"][0][field] != said or walk.unread in (["bytes as a text"], [f"the field {field}"])
    kept = {"input": [{"type": "reasoning", "summary": [], field: SEALED}]}
    assert BodyWalk(mask).body(kept) == kept
