"""Buttons that say yes or no to a proposed call: what a button carries, what a press means, and the words beside them.

A button carries the call's id, which nobody can guess. A press counts only in the conversation of the customer who was asked, and once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from smidgen.core.conversations import OutgoingMessage

DECISION = "decision"
"""The fact of a received message that is a press: `{"call": id, "yes": bool}`."""
PRESSED = "pressed"
"""The fact with the vendor's id of the message whose button was pressed."""
LONGEST_VALUE = 64
"""Most bytes of a button's value; Telegram takes no more."""
_MOST_LABEL = 100
_VALUE = re.compile(r"desk:(yes|no):([A-Za-z0-9_-]{1,55})")
_WORDS = {
    "en": ("Yes, do it", "No", "Answer with yes or no."),
    "de": ("Ja, bitte", "Nein", "Antworten Sie mit Ja oder Nein."),
}


def buttons(message: OutgoingMessage) -> tuple[tuple[str, str], tuple[str, str]] | None:
    """The label and the value of the yes and of the no; None if a message proposes no call."""
    call = message.reply.call if message.reply is not None else None
    if call is None:
        return None
    yes, no, _ = _words(message)
    values = (f"desk:yes:{call.id}", f"desk:no:{call.id}")
    if not all(_VALUE.fullmatch(value) and len(value) <= LONGEST_VALUE for value in values):
        return None
    return (yes, values[0]), (no, values[1])


def asked_in_words(message: OutgoingMessage) -> str:
    """The sentence that asks for yes or no where there are no buttons; empty if a message proposes no call."""
    return _words(message)[2] if message.reply is not None and message.reply.call is not None else ""


def read_press(value: Any) -> dict[str, Any] | None:
    """The decision that a button's value stands for; None for a button of another kind."""
    found = _VALUE.fullmatch(value) if isinstance(value, str) else None
    return {"call": found[2], "yes": found[1] == "yes"} if found is not None else None


def pressed_words(decision: Mapping[str, Any], label: Any, language: str = "") -> str:
    """The words of a press, as the conversation shows them: the button's label, or the usual one of a language."""
    if isinstance(label, str) and label.strip():
        return label.strip()[:_MOST_LABEL]
    yes, no, _ = _WORDS.get(language, _WORDS["en"])
    return yes if decision.get("yes") is True else no


def _words(message: OutgoingMessage) -> tuple[str, str, str]:
    spoken = message.reply.language if message.reply is not None else ""
    return _WORDS.get(spoken or str(message.facts.get("language", "")), _WORDS["en"])
