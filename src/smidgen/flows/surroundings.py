"""What a redactor is told of a text or a number in JSON: the name of its field, and a card's number that stands beside it."""

from __future__ import annotations

from smidgen.data import payment
from smidgen.data.teacher.privacy import Redactor
from smidgen.gateway.labels import Label
from smidgen.gateway.leaving import Mask


def masks(redactor: Redactor) -> tuple[Mask, Mask]:
    """What changes the texts of a walk through JSON, and its numbers of up to eight digits, or with a fraction."""

    def text(text: str, label: Label) -> str:
        said = _said(label)
        return redactor.mask(text, said and f"{said}: ")

    return text, lambda number, label: redactor.named(number, _said(label))


def _said(label: Label) -> str:
    """What is said of a text: a card's number, where one stands beside it, and the name of its field."""
    words = label.words
    if not words:
        return ""
    card = next((text[slice(*place)] for text in label.beside for place in payment.numbers(text)), "")
    return f"{card}; {words}" if card else words
