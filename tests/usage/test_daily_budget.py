"""Budgets as they are written down, and the most that a request can take."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from smidgen.core.errors import InputError, RecipeError
from smidgen.store.usage_records import today
from smidgen.usage.budgets import TokenBound, daily_budget, is_free, token_bound, until_tomorrow

CHAT = b"/chat/completions"
KEY = b"sk-shop"
SHOP = hashlib.sha256(KEY).hexdigest()


def test_a_file_of_budgets(tmp_path: Path) -> None:
    file = tmp_path / "budgets.toml"
    file.write_text(
        f'day = 20\n[key.shop]\nsha256 = "{SHOP[:12]}"\nday = 5\n[model."gpt-6-sol"]\nday = 2.5\n[others]\nday = 1\n', encoding="utf-8"
    )
    found = daily_budget(8.0, file)
    assert found is not None
    assert found.usd == {"all": 8.0, "key:shop": 5.0, "model:gpt-6-sol": 2.5, "key:others": 1.0}
    assert [found.key_scope(secret) for secret in (KEY, b"sk-other", b"")] == ["key:shop", "key:others", "key:others"]
    assert daily_budget(None, None) is None
    alone = daily_budget(5.0, None)
    assert alone is not None and alone.usd == {"all": 5.0}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("day = -1", "day"),
        ("daily = 1", "daily"),
        ("day = nan", "day"),
        ("", "no amount"),
        ('[key.shop]\nsha256 = "abc"\nday = 1', "key.shop.sha256"),
        ('[key.a]\nsha256 = "abcdef01"\nday = 1\n[key.b]\nsha256 = "abcdef0123"\nday = 1', "which one is meant"),
        ('[key.others]\nsha256 = "abcdef01"\nday = 1', "[others]"),
    ],
)
def test_every_mistake_is_named(tmp_path: Path, content: str, says: str) -> None:
    file = tmp_path / "budgets.toml"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        daily_budget(None, file)
    assert says in str(caught.value)


def test_a_budget_by_key_bounds_every_key_or_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "budgets.toml"
    shop = f'[key.shop]\nsha256 = "{SHOP[:12]}"\nday = 5\n'
    file.write_text(f"{shop}[model.big]\nday = 1\n", encoding="utf-8")
    with pytest.raises(RecipeError, match="any other key, or with none, has no limit") as caught:
        daily_budget(None, file)
    assert "[others] with day = 1.00" in str(caught.value) and str(file) in str(caught.value)
    assert daily_budget(20.0, file) is not None, "an overall limit stands"
    for more in ("[others]\nday = 1\n", "[others]\nday = 1000000000\n"):
        file.write_text(shop + more, encoding="utf-8")
        assert daily_budget(None, file) is not None
    file.write_text(f"day = 20\n{shop}", encoding="utf-8")
    assert daily_budget(None, file) is not None


def test_a_file_that_is_none(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_bytes(b"day = \xff")
    for file in (tmp_path / "missing.toml", broken):
        with pytest.raises(InputError, match="budget file"):
            daily_budget(None, file)


def test_a_day_is_utc() -> None:
    late = datetime.fromisoformat("2026-06-01T23:30:00-01:00")
    assert today(late) == "2026-06-02"
    assert until_tomorrow(datetime(2026, 6, 1, 23, 59, tzinfo=UTC)) == 60.0


def asked(**more: Any) -> TokenBound | str:
    body = {"model": "big", "messages": [{"role": "user", "content": "Hello"}], **more}
    return token_bound(CHAT, body, len(json.dumps(body)), 1000)


def test_the_most_that_a_request_can_write() -> None:
    found = [asked(), asked(max_tokens=5), asked(max_tokens=5, max_completion_tokens=9, n=3), asked(max_tokens="x"), asked(max_tokens=-1)]
    assert [one.got if isinstance(one, TokenBound) else one for one in found] == [1000, 5, 27, 1000, 1000]
    prompts = token_bound(b"/completions", {"model": "m", "prompt": ["a", "b"], "max_tokens": 4, "best_of": 2}, 50, 1000)
    assert isinstance(prompts, TokenBound) and prompts.got == 16 and prompts.given >= 50
    numbers = token_bound(b"/completions", {"model": "m", "prompt": [1, 2, 3], "max_tokens": 4}, 50, 1000)
    assert isinstance(numbers, TokenBound) and numbers.got == 4
    assert token_bound(b"/embeddings", {"model": "m", "input": "a"}, 50, 1000) == TokenBound(1074, 0)


@pytest.mark.parametrize(
    "more",
    [
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]}]},
        {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AAAA"}}]}]},
        {"previous_response_id": "resp_1"},
        {"prompt": {"id": "pmpt_1"}},
        {"background": True},
        {"tools": [{"type": "web_search"}]},
        {"service_tier": "priority"},
        {"modalities": ["text", "audio"]},
        {"web_search_options": {}},
        {"prediction": {"type": "content", "content": "x"}},
        {"a_field_of_tomorrow": False},
        {"plugins": [{"id": "web"}]},
        {"n": 10**9},
        {"n": "3"},
    ],
    ids=lambda more: next(iter(more)),
)
def test_what_cannot_be_bounded_says_why(more: dict[str, Any]) -> None:
    assert isinstance(asked(**more), str)


def test_a_limit_that_the_path_does_not_know_bounds_nothing() -> None:
    limits = ("max_tokens", "max_completion_tokens", "max_output_tokens")
    paths = (CHAT, b"/completions", b"/responses")
    alone = [[token_bound(path, {"model": "m", name: 2}, 50, 1000) for name in limits] for path in paths]
    assert [[found.got if isinstance(found, TokenBound) else found for found in row] for row in alone] == [
        [2, 2, 1000],
        [2, 1000, 1000],
        [1000, 1000, 2],
    ]


def test_fields_that_are_known_or_say_nothing_are_no_reason() -> None:
    plain = {"temperature": 0, "top_p": 1, "stop": None, "logprobs": True, "a_field_of_tomorrow": None, "web_search_options": None}
    assert isinstance(asked(**plain), TokenBound)
    told = token_bound(b"/responses", {"model": "m", "input": "x", "reasoning": {"effort": "low"}, "conversation": None}, 50, 1000)
    assert isinstance(told, TokenBound)
    assert asked(**{"x" * 500: 1}) == f"what the field {'x' * 60} costs is not known"


def test_a_clients_own_names_are_no_reason() -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"properties": {"image_url": {"type": "string"}, "file_id": {}}}}}
    assert isinstance(asked(tools=[tool], metadata={"conversation": "7"}, service_tier="default"), TokenBound)
    assert isinstance(token_bound(b"/audio/speech", {"model": "m", "input": "x"}, 30, 1000), str)
    assert is_free("GET", b"/files") and is_free("POST", b"/moderations") and not is_free("POST", CHAT)


def test_what_is_nested_without_end_is_no_way_round() -> None:
    deep: Any = "x"
    for _ in range(60):
        deep = {"content": deep}
    assert asked(messages=[deep]) == "it is nested too deeply"


@pytest.mark.parametrize("limit", [10**18, 10**400])
def test_what_cannot_be_counted_does_not_leave(limit: int) -> None:
    assert token_bound(CHAT, {"model": "m", "messages": [], "max_tokens": limit}, 50, 1000) == "it asks for more tokens than can be counted"
    assert isinstance(token_bound(CHAT, {"model": "m", "messages": [], "max_tokens": 10**9}, 50, 1000), TokenBound)
