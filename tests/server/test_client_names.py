"""Names that clients make up: those of models and fields stay, those that could be somebody's address or number do not."""

from __future__ import annotations

import pytest

from smidgen.gateway.eligibility import CHAT, COMPLETIONS, why_ineligible
from smidgen.server.traffic.exchange import model_name, oddity

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
        why = why_ineligible(CHAT, body)
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
    whys = [why_ineligible(CHAT, body) for body in bodies] + [why_ineligible(COMPLETIONS, {})]
    assert None not in whys and [oddity(why) for why in whys] == whys and len(whys) == 8
    assert oddity(None) == ""
