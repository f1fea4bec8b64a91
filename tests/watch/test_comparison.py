"""What counts as the same text, and which words a text has."""

from __future__ import annotations

from smidgen.watch.comparison import normalised, without_placeholders, words


def test_numbers_case_and_stand_ins_make_no_other_text() -> None:
    assert normalised("Where is order 4711?") == normalised("where is  order 42") == "where is order 0"
    assert normalised("[PERSON_1] wants a refund") == normalised("[PERSON_3] wants a REFUND!") == "person wants a refund"
    assert normalised("Where is my order?") != normalised("Where is my parcel?")
    assert normalised(("a question", "a passage")) == "a question a passage"


def test_words_are_folded_and_are_no_numbers_and_no_stand_ins() -> None:
    found = words("Don't charge [PERSON_1] 20 € for the Überweisung_x, I pay by e-mail")
    assert found == {"don't", "charge", "for", "the", "überweisung", "pay", "by", "mail"}
    assert without_placeholders("hello [EMAIL_2], bye") == "hello  , bye"
