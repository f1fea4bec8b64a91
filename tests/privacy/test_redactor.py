"""What leaves: nothing personal that has a form; and what cannot be made safe does not leave at all."""

from __future__ import annotations

import json
import re
import sys
import unicodedata

import pytest
from tests.forms import field_form, label_form

from smidgen.core.errors import RedactionError
from smidgen.core.rows import Row
from smidgen.data.teacher.prompts import JobDescription, TeacherPrompts, describe_job
from smidgen.flows import redaction_model
from smidgen.privacy import identifiers, text_patterns
from smidgen.privacy.redactor import KINDS, Redactor, nothing

PERSONAL = {
    "jane.doe@example.org": "EMAIL",
    "DE89 3704 0044 0532 0130 00": "IBAN",
    "4111 1111 1111 1111": "CARD",
    "+44 20 7946 0958": "PHONE",
    "078-05-1120": "ID",
    "8.8.4.4": "IP",
    "123 456 789 012": "NUMBER",
}


@pytest.mark.parametrize("value", PERSONAL)
def test_personal_data_is_redacted_and_put_back(value: str) -> None:
    redactor = Redactor()
    text = f"I am {value}, write to me"
    safe = redactor.mask(text)
    assert value not in safe and not any(piece in safe for piece in value.split() if len(piece) > 3)
    assert f"[{PERSONAL[value]}_1]" in safe
    assert redactor.unmask(safe) == text
    assert redactor.unmask("[EMAIL_7] is nobody") == "[EMAIL_7] is nobody"


def test_the_same_person_keeps_one_name_in_a_conversation() -> None:
    redactor = Redactor()
    assert redactor.mask("from a@example.org to b@example.org") == "from [EMAIL_1] to [EMAIL_2]"
    assert redactor.mask("b@example.org again, [EMAIL_3] by hand") == "[EMAIL_2] again, [EMAIL_3] by hand"
    assert redactor.mask("c@example.org, [EMAIL_3]") == "[EMAIL_4], [EMAIL_3]"


@pytest.mark.parametrize(
    "text",
    [
        "mail ｊａｎｅ＠ｅｘａｍｐｌｅ．ｏｒｇ",
        "mail jane\u200b@example.org",
        "card ４１１１ １１１１ １１１１ １１１１ \u200b and 4\u200b1\u200b1\u200b1 1111\u200b 1111 1111",
        "jane\u00ad@\u00adexample.org",
    ],
)
def test_what_hides_from_the_patterns_is_not_sent(text: str) -> None:
    with pytest.raises(RedactionError):
        Redactor().mask(text)


UNSEEN = {
    *(chr(code) for code in range(sys.maxunicode) if unicodedata.category(chr(code)) == "Cf"),
    *map(chr, (0, 8, 0x1B, 0x7F, 0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), *range(0x2060, 0x2070), 0x3164, 0xFFA0)),
    *map(chr, (*range(0xFE00, 0xFE10), *range(0xFFF0, 0xFFFC), 0xE0000, 0xE0100, 0xE01EF, 0xE0FFF)),
}
"""Unicode's formats, and what else has no shape: `Default_Ignorable_Code_Point`."""


@pytest.mark.parametrize("letter", sorted(UNSEEN), ids=lambda letter: f"U+{ord(letter):04X}")
def test_no_character_that_is_not_seen_hides_anything(letter: str) -> None:
    redactor = Redactor()
    for text in (f"card 4111 11{letter}11 1111 1111", f"jane@exam{letter}ple.org", f"account 12345{letter}67890"):
        try:
            safe = redactor.mask(text)
        except RedactionError:
            continue
        assert safe.split()[-1] in ("[EMAIL_1]", "[CARD_1]"), "a letter without a shape is a part of the address"
    assert len(UNSEEN) > 200
    assert [part.plain for part in redaction_model._parts(f"Jane D{letter}oe")] == ["Jane Doe"], "the model reads it as it is seen"


def test_what_was_found_once_does_not_leave_in_a_later_text() -> None:
    redactor = Redactor(named)
    assert redactor.mask("Dear Ms Jane Doe") == "Dear Ms [PERSON_1]"
    redactor.find = nothing
    assert redactor.mask('["Jane Doe", "Jane Does", "MaryJane Doe"]') == '["[PERSON_1]", "Jane Does", "MaryJane [PERSON_2]"]'
    assert redactor.mask("(Jane Doe)\nJane Doe") == "([PERSON_1])\n[PERSON_1]"
    assert redactor.unmask("[PERSON_1]") == "Jane Doe"
    other = redactor.begun()
    assert other.mask("Jane Doe wrote to a@example.org") == "[PERSON_1] wrote to [EMAIL_1]" and "[EMAIL_1]" not in redactor.found


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("Anna Schmidt wrote twice. Schmidt called, and Schmidt's son", "[PERSON_1] wrote twice. [PERSON_2] called, and [PERSON_2]'s son"),
        ("Schmidt called: it was Anna Schmidt", "[PERSON_1] called: it was [PERSON_2]"),
        ("Schmidt, Anna wrote; Schmidt is a Schmidtler", "[PERSON_1] wrote; [PERSON_2] is a Schmidtler"),
        ("Dr Anna van der Berg-Smith PhD came. Berg-Smith left", "Dr [PERSON_1] came. [PERSON_2] left"),
        ("Anna O'Brien Jr. asks. O'Brien waits", "[PERSON_1]. asks. [PERSON_2] waits"),
        ("anna young asks for young plants", "[PERSON_1] asks for young plants"),
        ("Anna Li is Li", "[PERSON_1] is Li"),
        ("Anna called. Anna waits", "[PERSON_1] called. [PERSON_1] waits"),
    ],
)
def test_a_surname_alone_is_taken_out_once_the_name_is_known(text: str, safe: str) -> None:
    names = ("Anna Schmidt", "Schmidt, Anna", "Anna van der Berg-Smith PhD", "Anna O'Brien Jr", "anna young", "Anna Li", "Anna")

    def find(read: str) -> list[tuple[str, int, int]]:
        name = next(name for name in names if name in read)
        return [("person", read.index(name), read.index(name) + len(name))]

    redactor = Redactor(find)
    assert redactor.mask(text) == safe and redactor.unmask(safe) == text


def test_a_surname_is_taken_out_of_the_other_texts_of_a_conversation() -> None:
    redactor = Redactor(named)
    assert redactor.twice(lambda: [redactor.mask(text) for text in ("Doe called", "it was Jane Doe")]) == [
        "[PERSON_2] called",
        "it was [PERSON_1]",
    ]
    assert (
        Redactor(lambda text: [("organisation", 0, 12)], beside_person=frozenset()).mask("Schmidt GmbH: Schmidt pays")
        == "[ORGANISATION_1]: Schmidt pays"
    )


@pytest.mark.parametrize(
    "number", ["Tel.030 12345", "tel.: 030.12345.67", "Tel.:030 12345", "Tel.030.12345.67", "fon.+49 30 12345", "Tel.(030) 12345"]
)
def test_a_telephone_number_is_found_behind_the_dot_of_a_word_cut_short(number: str) -> None:
    safe = Redactor().mask(f"Call {number} now")
    assert not any(letter.isdigit() for letter in safe.replace("[PHONE_1]", "")) and "[PHONE_1]" in safe


@pytest.mark.parametrize("text", ["measured 1.030 12345 times", "0.030 12345", ".030 12345", "x_.030 12345"])
def test_the_rest_of_another_number_is_no_telephone_number(text: str) -> None:
    assert [kind for kind, _, _ in identifiers.identifier_spans(text)] == []


def test_short_values_are_not_looked_for_but_for_digits() -> None:
    redactor = Redactor(lambda text: [("person", 0, 2), ("id", 3, 5)] if text.startswith("Al 42") else [])
    assert redactor.mask("Al 42 and Al, 42") == "[PERSON_1] [ID_1] and Al, [ID_1]"


def test_what_is_found_in_a_later_text_is_taken_out_of_the_earlier_ones() -> None:
    redactor = Redactor(lambda text: [("person", text.index("Field"), text.index("Field") + 5)] if "Mr Field" in text else [])
    texts = ["Field called", "Dear Mr Field"]
    assert redactor.twice(lambda: [redactor.mask(text) for text in texts]) == ["[PERSON_1] called", "Dear Mr [PERSON_1]"]
    assert redactor.counts == {"person": 2}


def test_a_stand_in_that_was_there_before_is_not_taken_for_one_of_ours() -> None:
    redactor = Redactor()
    assert redactor.mask("I am a@example.org") == "I am [EMAIL_1]"
    safe = redactor.mask("the form says [EMAIL_1] and not a@example.org")
    assert safe == "the form says [STAND_IN_1] and not [EMAIL_1]" and redactor.counts == {"email": 2}
    assert redactor.unmask(safe) == "the form says [EMAIL_1] and not a@example.org"


def test_a_stand_in_that_was_neither_given_nor_read_stands_for_nothing() -> None:
    redactor = Redactor()
    redactor.mask("the form says [EMAIL_7], I am a@example.org")
    assert redactor.unknown("[EMAIL_1] and [EMAIL_7] say [sic] [1]") == []
    assert redactor.unknown("[EMAIL_1], [EMAIL_2] and [PERSON_1]") == ["[EMAIL_2]", "[PERSON_1]"]
    assert redactor.begun().unknown("[EMAIL_1], [EMAIL_7], [EMAIL_2]") == ["[EMAIL_2]"]


@pytest.mark.parametrize(
    "text",
    [
        *("No.123456789", "Tel.0171 1234567", "acct_123456789", "AB1234567890", "123456789X", "[ACCOUNT_123456789]", "n=1234567890;"),
        *(f"12345{dash}67890" for dash in "\u2010\u2011\u2012\u2013\u2014\u2015\u2212-./ "),
    ],
)
def test_a_long_number_is_found_whatever_it_sticks_to(text: str) -> None:
    redactor = Redactor()
    try:
        safe = redactor.mask(text)
    except RedactionError:  # a dash that becomes another one
        assert "\u2011" in text
        return
    assert sum(letter.isdigit() for letter in safe) == 1 and redactor.unmask(safe) == text


def test_what_looks_like_a_stand_in_hides_no_number() -> None:
    """The check that nothing is left passes over our own stand-ins alone."""
    with pytest.raises(RedactionError, match="a long number"):
        Redactor().mask("[ACCOUNT_1234\u200b56789]")


def test_names_are_taken_whole_or_not_at_all() -> None:
    def find(text: str) -> list[tuple[str, int, int]]:
        known = {"Jane Doe": "person", "Paris": "place", "activate": "person"}
        return [(kind, text.index(piece), text.index(piece) + len(piece)) for piece, kind in known.items() if piece in text]

    redactor = Redactor(find)
    names = ["activate_my_card", "Paris", "Sales", "Jane Doe", "for Jane Doe", "mail boss@example.org"]
    sent = [redactor.name(name) for name in names]
    assert sent == ["activate_my_card", "Paris", "Sales", "[PERSON_1]", "[PERSON_2]", "[EMAIL_1]"]
    assert [redactor.unmask(name) for name in sent] == names
    assert redactor.mask("Paris") == "Paris" and redactor.mask("activate_my_card") == "activate_my_card", "the same in an answer"
    assert redactor.mask("off to Paris with Jane Doe") == "off to [PLACE_1] with [PERSON_1]"
    assert Redactor(find).name("Paris", value=True) == "[PLACE_1]" and Redactor(find).name("Paris Street", value=True) == "Paris Street"
    with pytest.raises(RedactionError):
        redactor.name("boss\u200b@example.org")


@pytest.mark.parametrize("text", ["my order 4711-22 of 12.03.2024 costs 129.99", "the 2 lamps, 40 W each", "", "Größe 38/40"])
def test_plain_texts_stay_as_they_are(text: str) -> None:
    assert Redactor().mask(text) == text


def prompts(private: bool, rows: list[Row]) -> TeacherPrompts:
    opening = describe_job("system for boss@example.org", label_form(), nothing if private else None)
    return TeacherPrompts(opening.description, rows, [str(row.output) for row in rows], 2, 16, 0.0, opening, None)


def test_every_message_of_a_question_is_redacted() -> None:
    rows = [Row("refund to a@example.org", "refund"), Row("parcel for b@example.org", "parcel"), Row("lamp", "lamp")]
    asked = prompts(True, rows).ask([Row("refund for c@example.org please"), Row("mail jane\u200b@example.org")], 2)
    questions, redactor = asked[0]
    assert len(questions) == 2 and questions[0].messages == questions[1].messages and questions[1].vote == 1
    assert "@" not in str(questions)
    assert "c@example.org" in redactor.found.values()
    assert questions[0].messages[-2:] == (("assistant", "refund"), ("user", questions[0].messages[-1][1])), "the nearest row stands last"
    assert asked[1][0] == [], "what cannot be made safe is not asked"
    near = prompts(False, rows).ask([Row("refund for c@example.org please")], 1)[0][0][0]
    assert near.messages[-1][1] == "refund for c@example.org please", "on this machine nothing is changed"


def test_a_row_is_not_shown_to_itself() -> None:
    rows = [Row("where is my parcel", "parcel"), Row("refund me", "refund"), Row("a lamp please", "lamp")]
    for row, (questions, _) in zip(rows, prompts(False, rows).ask(rows, 1), strict=True):
        shown = [content for role, content in questions[0].messages[:-1] if role == "user"]
        assert len(shown) == 2 and row.input not in shown


def named(text: str) -> list[tuple[str, int, int]]:
    """Finds one name, and half of a number that the patterns find whole."""
    found = [("person", text.index(name), text.index(name) + len(name)) for name in ("Jane Doe",) if name in text]
    return found + [("id", text.index("1111") + 2, text.index("1111") + 12) for _ in range("4111 1111 1111 1111" in text)]


def test_what_a_model_finds_is_redacted_too() -> None:
    redactor = Redactor(named)
    safe = redactor.mask("Jane Doe paid with 4111 1111 1111 1111; Jane Doe again")
    assert safe == "[PERSON_1] paid with [CARD_1]; [PERSON_1] again", "what the model finds once is taken out everywhere"
    assert redactor.unmask(safe).startswith("Jane Doe paid with 4111 1111 1111 1111")


def test_pieces_that_overlap_are_taken_out_as_one() -> None:
    redactor = Redactor(lambda text: [("address", text.index("12 Elm"), text.index(" and"))])
    safe = redactor.mask("I live at 12 Elm Street, a@example.org and wait")
    assert safe == "I live at [EMAIL_1] and wait"
    assert redactor.found == {"[EMAIL_1]": "12 Elm Street, a@example.org"}


def test_the_model_says_what_a_pattern_without_a_check_has_found() -> None:
    text = "since 020 7946 0958"
    assert Redactor().spans(text) == [{"start": 6, "end": 19, "label": "phone"}]
    assert Redactor(lambda text: [("id", 6, 9)]).spans(text) == [{"start": 6, "end": 19, "label": "id"}]


def test_every_pattern_has_a_kind() -> None:
    assert {kind.name for kind in identifiers.KINDS} == set(KINDS) and len(KINDS) == 9


def test_many_values_take_no_more_than_their_time() -> None:
    """A text of a hundred thousand values would take hours, were each of them compared with all others."""
    text = " ".join(f"p{number}@example.org" for number in range(20_000))
    redactor = Redactor()
    safe = redactor.mask(text)
    assert safe.startswith("[EMAIL_1] [EMAIL_2]") and safe.endswith("[EMAIL_20000]")
    assert redactor.unmask(safe) == text


def test_a_row_is_not_sent_where_its_text_cannot_be_made_safe() -> None:
    def broken(text: str) -> list[tuple[str, int, int]]:
        raise RedactionError("a text cannot be read", value="x", todo="Cut it.")

    opening = JobDescription("", {}, Redactor(broken))
    asked = TeacherPrompts("be brief", [], [], 0, 16, 0.0, opening, None).ask([Row("hello Jane Doe")], 1)
    assert asked[0][0] == []


def test_questions_go_through_the_finder() -> None:
    rows = [Row("refund for Jane Doe", "refund"), Row("lamp", "lamp")]
    opening = JobDescription("", {}, Redactor(named))
    (questions, redactor) = TeacherPrompts("be brief", rows, ["refund", "lamp"], 2, 16, 0.0, opening, None).ask([Row("call Jane Doe")], 1)[
        0
    ]
    assert "Jane" not in str(questions) and "[PERSON_1]" in str(questions)
    assert redactor.found == {"[PERSON_1]": "Jane Doe"}


def test_answers_that_are_json_are_redacted_text_by_text() -> None:
    """In JSON a line break is a backslash and an n, which sticks to the next word."""
    values = ["ship to:\nJane Doe", "NI\nAB123456C", "acct\n1234567890", 'so-called "Jane Doe"', {"Jane Doe": [4111111111111111]}]
    opening = JobDescription("", {}, Redactor(lambda text: [("person", m.start(), m.end()) for m in re.finditer(r"\bJane Doe\b", text)]))
    ((questions, redactor),) = TeacherPrompts("", [Row("x y")], [values], 1, 16, 0.0, opening, None).ask([Row("x")], 1)
    sent = json.loads(questions[0].messages[2][1])
    assert sent == [
        *("ship to:\n[PERSON_1]", "NI\n[ID_1]", "acct\n[NUMBER_1]", 'so-called "[PERSON_1]"', {"[PERSON_1]": ["[CARD_1]"]}),
    ]
    assert [redactor.unmask(text) for text in sent[:4]] == values[:4]


def test_a_schema_stays_one_and_its_names_are_whole_or_stand_ins() -> None:
    city = {"type": "string", "enum": ["Paris", "red", "a@example.org"], "description": "where Jane Doe lives"}
    schema = {"type": "object", "properties": {"city": city, "Jane Doe": {"type": "string"}}, "required": ["city", "Jane Doe"]}

    def find(text: str) -> list[tuple[str, int, int]]:
        known = {"Jane Doe": "person", "Paris": "place", "type": "person", "string": "place"}
        return [(kind, text.index(piece), text.index(piece) + len(piece)) for piece, kind in known.items() if piece in text]

    opening = describe_job("for Jane Doe", field_form(schema, instruction="fill in"), find)
    assert opening.form.json_schema == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "enum": ["[PLACE_1]", "red", "[EMAIL_1]"], "description": "where [PERSON_1] lives"},
            "[PERSON_1]": {"type": "string"},
        },
        "required": ["city", "[PERSON_1]"],
    }
    redactor = opening.fork()
    assert opening.description == "for [PERSON_1]" and redactor.mask("I live in Paris") == "I live in [PLACE_1]"
    assert opening.safe(redactor)({"city": "Paris", "Jane Doe": "x"}) == {"city": "[PLACE_1]", "[PERSON_1]": "x"}
    assert opening.redactor is not None and opening.redactor.renamed() == ["Paris", "a@example.org", "Jane Doe"]
    assert describe_job("for Jane Doe", field_form(schema), None).form.json_schema == schema, "on this machine nothing is changed"


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
    only_cards = Redactor(find, forms=identifiers.card_spans, allowed=frozenset({"person", "phone", "number"}))
    with pytest.raises(RedactionError, match="card"):
        only_cards.mask("4111\u200b 1111 1111\u200b1111")
    assert only_cards.mask("Anna\u200b, 123456789012") == "Anna\u200b, 123456789012"


def test_more_patterns_name_what_they_find_before_the_usual_ones() -> None:
    redactor = Redactor(forms=lambda text: [*identifiers.card_spans(text), *text_patterns.labelled_spans(text)])
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


@pytest.mark.parametrize(
    "text",
    [
        "card 4\u0301111 1\u030111 1111 1111 1111",
        "4\u03361\u03361\u03361\u0336 1\u03361\u03361\u03361\u0336 1\u03361\u03361\u03361\u0336 1\u03361\u03361\u03361\u0336",
        "4111\u0301 1111\u0301 1111\u0301 1111\u0301",
        "4111 \u03011111 \u03011111 \u03011111",
    ],
)
def test_a_card_number_under_combining_marks_does_not_pass(text: str) -> None:
    with pytest.raises(RedactionError, match="normalised"):
        Redactor(forms=text_patterns.every_span).mask(text)


def test_marks_over_letters_and_single_digits_stay() -> None:
    text = "cafe\u0301, 12\u0301, नमस्ते, \u2764\ufe0f 1\ufe0f\u20e3"
    assert Redactor(forms=text_patterns.every_span).mask(text) == text
