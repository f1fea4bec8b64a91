"""What is stored of a request, over real HTTP: how the upstream answered, whose it is, and no name that a client made up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.server.gateway.test_certified import CHAT, SURE, asking
from tests.server.traffic.test_capture import Finds, gateway, home, rows, until  # noqa: F401
from tests.upstream_stub import Said, UpstreamStub

from smidgen.flows.capture import redaction
from smidgen.gateway.eligibility import CHAT as CHAT_PATH
from smidgen.gateway.eligibility import COMPLETIONS, why_ineligible
from smidgen.server.traffic.exchange import model_name, oddity
from smidgen.store.traffic.store import opened


@pytest.mark.parametrize(
    ("choice", "state"),
    [
        ({"message": {"content": "late"}, "finish_reason": "length"}, "cut"),
        ({"message": {"content": None, "refusal": "I will not"}, "finish_reason": "stop"}, "refused"),
        ({"message": {"content": "one moment", "tool_calls": [{"id": "c"}]}, "finish_reason": "tool_calls"}, "tools"),
        ({"message": {"content": " "}, "finish_reason": "stop"}, "blank"),
        ({"message": {"content": "x" * 32_769}, "finish_reason": "stop"}, "long"),
    ],
)
def test_an_answer_that_is_not_one_whole_text_is_stored_as_what_it_is(
    gateway: Any,  # noqa: F811
    upstream: UpstreamStub,
    choice: dict[str, Any],
    state: str,
) -> None:
    upstream.script.append(Said(body=json.dumps({"choices": [{"index": 0, **choice}]}).encode()))
    assert gateway().post(CHAT, asking(SURE)).status_code == 200
    (row,) = rows()
    assert (row["answer"], row["input"], row["answer_state"]) == (None, SURE, state)


def test_no_name_carries_personal_data_round_the_redaction(gateway: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr(redaction, "finder", lambda threads, public: Finds("nobody"))
    running = gateway(capture_redact="mask")
    running.post(CHAT, {**asking("hello", "m.holloway@example.org"), "4111 1111 1111 1111": 1})
    running.post(CHAT, {"model": "gpt-9", "messages": [{"role": "user", "content": "hello", "078-05-1120": 1}]})
    one, two = rows(count=2)
    assert (one["asked"], one["odd"], one["model"]) == ("", "a field", "") and (two["asked"], two["odd"]) == ("gpt-9", "a field")
    held = b"".join(file.read_bytes() for file in home.glob("traffic.db*"))
    assert b"gpt-9" in held and not any(said in held for said in (b"holloway", b"4111 1111", b"078-05"))


def test_a_user_with_several_ids_is_found_by_each(gateway: Any) -> None:  # noqa: F811
    running = gateway()
    for number, name in enumerate(("anna", "hash-7", "customer-1"), start=1):
        body = asking(f"text {number}", user=" anna ", safety_identifier="hash-7")
        running.client.post(CHAT, json=body, headers={"x-smidgen-user": "customer-1"})
        assert until(running, "stored", number)["stored"] == number
        with opened() as store:
            assert store.delete_user(name).requests == 1


MODELS = (
    "gpt-9",
    "gpt-4.1-2025-04-14",
    "gpt-4o-2024-08-06",
    "claude-3-5-sonnet-20241022",
    "vendor/llama-3.1-8b-instruct:free",
    "ft:gpt-4o-mini:shop::9abc123x",
    "support@0.95",
)
PERSONAL = (
    "m.holloway@example.org",
    "4111-1111-1111-1111",
    "4111111111111111",
    "+44.20.7946.0958",
    "patient-19830412",
    "078-05-1120",
    "192.168.10.77",
    "555.26.71.3",
    "Margaret Holloway",
    "",
    "x" * 201,
    7,
    None,
)


def test_models_names_are_kept() -> None:
    assert [model_name(name) for name in MODELS] == list(MODELS) and len(MODELS) == 7


@pytest.mark.parametrize("name", PERSONAL)
def test_what_could_be_somebodys_is_not(name: object) -> None:
    assert model_name(name) == ""


@pytest.mark.parametrize(
    "name", ["4111 1111 1111 1111", "Margaret Holloway", "m.holloway@example.org", "id_19830412", "n4111111111111111", "a\nb"]
)
def test_a_field_that_is_none_has_no_name(name: str) -> None:
    said = {"messages": [{"role": "user", "content": "x"}], name: 1}
    inner = {"messages": [{"role": "user", "content": "x", name: 1}]}
    for body in (said, inner):
        why = why_ineligible(CHAT_PATH, body)
        assert why is not None and name in why and oddity(why) == "a field"


def test_what_is_said_of_requests_stays() -> None:
    message = {"role": "user", "content": "x"}
    bodies = [
        {"messages": [message], "prediction": {"content": "x"}},
        {"messages": [{**message, "audio_2": 1}]},
        {"messages": [message, message]},
        {"messages": [message, {"role": "system", "content": "x"}]},
        {"messages": [{"role": "user"}]},
        {"messages": [message], "n": 2},
        {},
    ]
    whys = [why_ineligible(CHAT_PATH, body) for body in bodies] + [why_ineligible(COMPLETIONS, {})]
    assert None not in whys and [oddity(why) for why in whys] == whys and len(whys) == 8
    assert oddity(None) == ""
