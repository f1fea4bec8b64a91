"""A redactor that is told what may stay, and that is given more patterns."""

from __future__ import annotations

import pytest

from smidgen.core.errors import RedactionError
from smidgen.privacy import payment_cards, text_patterns
from smidgen.privacy.redactor import Redactor

CARD, PHONE = "4111 1111 1111 1111", "+44 20 7946 0958"
TEXT = f"Anna, {PHONE}, card {CARD}, file 123456789012"


def find(text: str) -> list[tuple[str, int, int]]:
    return [("person", text.index("Anna"), text.index("Anna") + 4)] if "Anna" in text else []


def test_allowed_kinds_stay_and_the_others_go() -> None:
    everything = Redactor(find).mask(TEXT)
    assert everything == "[PERSON_1], [PHONE_1], card [CARD_1], file [NUMBER_1]"
    allowing = Redactor(find, allowed=frozenset({"person", "phone"}))
    assert allowing.mask(TEXT) == f"Anna, {PHONE}, card [CARD_1], file [NUMBER_1]", "an allowed number is no long number of no form"
    assert allowing.counts == {"card": 1, "number": 1}
    assert Redactor(find, allowed=frozenset({"card", "number"})).mask(TEXT) == f"[PERSON_1], [PHONE_1], card {CARD}, file 123456789012"


def test_a_number_that_a_model_calls_by_an_allowed_kind_stays() -> None:
    def model(text: str) -> list[tuple[str, int, int]]:
        return [("id", text.index("123456789012"), text.index("123456789012") + 12)]

    assert Redactor(model, allowed=frozenset({"id"})).mask(TEXT).endswith("file 123456789012")
    assert Redactor(model).mask(TEXT).endswith("file [ID_1]")


def test_what_is_hidden_is_refused_though_other_kinds_are_allowed() -> None:
    only_cards = Redactor(find, forms=payment_cards.card_spans, allowed=frozenset({"person", "phone", "number"}))
    with pytest.raises(RedactionError, match="card"):
        only_cards.mask("4111\u200b 1111 1111\u200b1111")
    assert only_cards.mask("Anna\u200b, 123456789012") == "Anna\u200b, 123456789012"


def test_more_patterns_name_what_they_find_before_the_usual_ones() -> None:
    redactor = Redactor(forms=lambda text: [*payment_cards.card_spans(text), *text_patterns.labelled_spans(text)])
    assert redactor.mask("swipe ;4111111111111111=27121010000012345678? cvv 123") == "swipe [TRACK_1] cvv [CVV_1]"
    assert redactor.mask("see https://example.org/u/jane@example.org") == "see [URL_1]"
    begun = redactor.begun()
    assert begun.mask("cvv 321") == "cvv [CVV_2]", "one that goes on has the same patterns"


def test_stand_ins_that_are_to_be_avoided_are_not_given() -> None:
    redactor = Redactor(find)
    redactor.avoid(["[PERSON_1]", "[PERSON_2]"])
    assert redactor.mask("Anna") == "[PERSON_3]"


KEYCAPS = "".join(f"{digit}\ufe0f\u20e3" for digit in "4111111111111111")
TAGS = "".join(chr(0xE0000 + ord(sign)) for sign in "4111111111111111")
SELECTORS = "".join(chr(0xFE00 + ord(sign) % 16) + chr(0xE0100 + ord(sign)) for sign in "card 4111")


@pytest.mark.parametrize(
    "text", [KEYCAPS, f"hello{TAGS}", f"\U0001f3f4{TAGS}\U000e007f", f"\U0001f600{SELECTORS}", "a\ufe01b\ufe02c\ufe03"]
)
def test_signs_that_nobody_sees_carry_nothing(text: str) -> None:
    with pytest.raises(RedactionError):
        Redactor(forms=text_patterns.every_span).mask(text)


def test_emoji_stay_as_they_are() -> None:
    flags = "".join(f"\U0001f3f4{''.join(chr(0xE0000 + ord(sign)) for sign in land)}\U000e007f" for land in ("gbeng", "gbsct", "gbwls"))
    text = f"Thanks \u2764\ufe0f \U0001f468\u200d\U0001f469\u200d\U0001f467 {flags} 1\ufe0f\u20e3 or 2\ufe0f\u20e3? \u8fbb\U000e0100"
    assert Redactor(forms=text_patterns.every_span).mask(text) == text
