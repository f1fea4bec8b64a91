"""Which conversations a kind of bundle may take."""

from __future__ import annotations

import pytest

from smidgen.gateway.eligibility import CHAT, CONVERSATION, why_ineligible


@pytest.mark.parametrize(
    ("messages", "odd"),
    [
        ([{"role": "user", "content": "hi"}], None),
        ([{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}], None),
        ([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes?"}, {"role": "user", "content": "to Ireland?"}], None),
        ([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes?"}], "words after the user's"),
        ([{"role": "user", "content": [{"type": "image_url"}]}], "a piece that is not text"),
        (
            [{"role": "user", "content": "hi"}, {"role": "tool", "content": "{}"}, {"role": "user", "content": "hi"}],
            "a message that is neither the user's nor the assistant's",
        ),
        (
            [{"role": "assistant", "content": None, "tool_calls": [{"id": "a"}]}, {"role": "user", "content": "hi"}],
            "the message's field tool_calls",
        ),
        ([], "words after the user's"),
        ("hi", "no messages"),
    ],
)
def test_a_desk_takes_a_conversation_in_texts(messages: object, odd: str | None) -> None:
    assert why_ineligible(CHAT, {"model": "desk", "messages": messages}, CONVERSATION) == odd
