"""What a redactor is told of a text or a number in JSON: the name of its field, and a card's number that stands beside it."""

from __future__ import annotations

from smidgen.data import payment
from smidgen.data.teacher.privacy import Redactor
from smidgen.gateway.labels import Label
from smidgen.gateway.leaving import Mask

_AMBIGUOUS = 4
"""Digits of a number that a word with other uses (`tax`, `policy`) does not make that of somebody: it may be a sum, or a year."""


def masks(redactor: Redactor) -> tuple[Mask, Mask]:
    """What changes the texts of a walk through JSON, and its numbers of up to eight digits, or with a fraction."""

    def text(text: str, label: Label) -> str:
        return redactor.mask(text, _before(label, ":"))

    def number(number: str, label: Label) -> str:
        if len(number) > _AMBIGUOUS:
            return redactor.named(number, _before(label, ":"))
        sent = redactor.named(number, _before(label, ""))
        return redactor.named(number, _before(label, ":"), but="id") if sent == number else sent

    return text, number


def _before(label: Label, colon: str) -> str:
    """What stands before a text and says what it is: a card's number, where one stands beside it, and the name of its field."""
    words = label.words
    if not words:
        return ""
    card = next((text[slice(*place)] for text in label.beside for place in payment.numbers(text)), "")
    return f"{card}; {words}{colon} " if card else f"{words}{colon} "
