"""Policies: what becomes of each kind of personal data at the border."""

from __future__ import annotations

import pytest

from smidgen.core.errors import InputError
from smidgen.privacy.policy import FILE, KINDS, PROFILES, Action, policy_of


def test_every_profile_says_what_becomes_of_every_kind() -> None:
    masked = {name: sorted(kind for kind in KINDS if policy_of(name).of(kind) is Action.MASK) for name in PROFILES}
    blocked = {name: sorted(kind for kind in KINDS if policy_of(name).of(kind) is Action.BLOCK) for name in PROFILES}
    readable = sorted(kind for kind in KINDS if kind != FILE)
    beside = {name: sorted(kind for kind in KINDS if policy_of(name).of(kind) is Action.BESIDE) for name in PROFILES}
    alone = {"place", "organisation", "date"}
    assert beside == {"mask": sorted(alone), "block": sorted(alone), "health": [], "card": []}
    assert masked == {
        "mask": sorted(set(readable) - {"age"} - alone),
        "block": [],
        "health": readable,
        "card": ["card", "expiry"],
    }
    assert blocked == {"mask": [FILE], "block": sorted(set(KINDS) - {"age"} - alone), "health": [FILE], "card": ["cvv", FILE, "track"]}


def test_what_is_said_of_a_kind_counts_before_the_profile() -> None:
    policy = policy_of("mask", ("card=block", " person = allow ", "drug=block"), kinds=("drug", "dose"))
    assert [policy.of(kind) for kind in ("card", "person", "drug", "dose", "email")] == ["block", "allow", "block", "mask", "mask"]
    assert policy.allowed(["card", "person", "age", "email"]) == {"person", "age"}
    assert policy_of("mask", ("place=mask",)).beside_person(KINDS) == {"organisation", "date"}
    assert policy_of("card").of("a kind of another model") is Action.ALLOW


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("cards=mask",), r"no kind of personal data has this name: 'cards'.*Did you mean 'card'"),
        (("card=blok",), r"'card=blok'.*Did you mean card=block\?"),
        (("card",), r"masked, masked beside a person, blocked or allowed: 'card'"),
        (("card=mask", "card=allow"), r"named twice: 'card'"),
        (("file=beside",), r"cannot be masked.*file=block or file=allow"),
        (("file=mask",), r"cannot be masked.*file=block or file=allow"),
    ],
)
def test_a_wrong_word_is_refused(given: tuple[str, ...], said: str) -> None:
    with pytest.raises(InputError, match=said):
        policy_of("mask", given)
