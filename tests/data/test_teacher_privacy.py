"""What leaves: nothing personal that has a form; and what cannot be made safe does not leave at all."""

from __future__ import annotations

import pytest

from smidgen.core.rows import Row
from smidgen.data.teacher.privacy import Redactor
from smidgen.data.teacher.prompts import Prompts

PERSONAL = {
    "jane.doe@example.org": "E_MAIL",
    "DE89 3704 0044 0532 0130 00": "IBAN",
    "4111 1111 1111 1111": "PAYMENT_CARD",
    "+44 20 7946 0958": "TELEPHONE_NUMBER",
    "078-05-1120": "US_SOCIAL_SECURITY_NUMBER",
    "8.8.4.4": "IP_ADDRESS",
    "123 456 789 012": "NUMBER",
}


@pytest.mark.parametrize("value", PERSONAL)
def test_personal_data_is_redacted_and_put_back(value: str) -> None:
    redactor = Redactor()
    text = f"I am {value}, write to me"
    safe = redactor.redact(text)
    assert value not in safe and not any(piece in safe for piece in value.split() if len(piece) > 3)
    assert f"[{PERSONAL[value]}_1]" in safe
    assert redactor.restore(safe) == text
    assert redactor.restore("[E_MAIL_7] is nobody") == "[E_MAIL_7] is nobody"


def test_the_same_person_keeps_one_name_in_a_conversation() -> None:
    redactor = Redactor()
    assert redactor.redact("from a@example.org to b@example.org") == "from [E_MAIL_1] to [E_MAIL_2]"
    assert redactor.redact("b@example.org again, [E_MAIL_3] by hand") == "[E_MAIL_2] again, [E_MAIL_3] by hand"
    assert redactor.redact("c@example.org, [E_MAIL_3]") == "[E_MAIL_4], [E_MAIL_3]"


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
    with pytest.raises(ValueError):
        Redactor().redact(text)


@pytest.mark.parametrize("text", ["my order 4711-22 of 12.03.2024 costs 129.99", "the 2 lamps, 40 W each", "", "Größe 38/40"])
def test_plain_texts_stay_as_they_are(text: str) -> None:
    assert Redactor().redact(text) == text


def prompts(private: bool, rows: list[Row]) -> Prompts:
    return Prompts("system for boss@example.org", rows, [str(row.output) for row in rows], 2, 16, 0.0, private, None)


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


def test_a_schema_that_holds_personal_data_does_not_go_along() -> None:
    """Its choices may come from the rows. In the prompt they are redacted; a server cannot be held to stand-ins."""
    plain, personal = '{"enum": ["red", "blue"]}', '{"enum": ["jane.doe@example.org", "blue"]}'
    sent = {}
    for schema in (plain, personal):
        for private in (True, False):
            ((questions, _),) = Prompts(f"Fit this: {schema}", [], [], 0, 16, 0.0, private, None, schema).ask([Row("a red one")], 1)
            sent[(schema, private)] = questions[0]
    assert len(sent) == 4
    assert sent[(plain, True)].schema == plain and sent[(personal, False)].schema == personal
    assert sent[(personal, True)].schema == "" and "jane.doe" not in str(sent[(personal, True)])
