"""What is to be stored has its personal data taken out, with stand-ins that are the same within a request; what cannot be is not stored."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from smidgen.core.errors import EngineError, RedactionError
from smidgen.flows.capture.redaction import MOST, CaptureRedactor, ExtraRedaction, extra_redaction
from smidgen.flows.redaction_model import Found
from smidgen.store.traffic.records import AuditAnswer, Exchange, Feedback

NOW = datetime(2026, 5, 1, tzinfo=UTC)


class Names:
    """Finds the names that are written here, as a model would."""

    def __init__(self, *names: str) -> None:
        self._names, self.read = re.compile("|".join(names)), list[str]()

    def many(self, texts: Iterable[str]) -> Mapping[str, Found]:
        found = {text: tuple(("person", m.start(), m.end()) for m in self._names.finditer(text)) for text in texts}
        self.read += found
        return found


def asked(input: str | None, **more: Any) -> Exchange:
    usual = {"id": "r", "time": NOW, "asked": "support", "path": "/v1/chat/completions", "answered_by": "upstream"}
    return Exchange(**{**usual, "input": input, **more})


def test_a_request_keeps_who_is_who() -> None:
    scrubber = CaptureRedactor(finding=Names("Ann", "Bob"))
    (safe,) = scrubber.exchanges(
        [asked("Bob, a@example.org, asks for Ann", answer="Ann will call Bob", local_output='{"who": "Ann\\nAnn"}')]
    )
    assert safe is not None
    assert safe.input == "[PERSON_1], [EMAIL_1], asks for [PERSON_2]"
    assert safe.answer == "[PERSON_2] will call [PERSON_1]"
    assert safe.local_output == '{"who": "[PERSON_2]\\n[PERSON_2]"}'


def test_an_answer_without_anything_personal_is_read_once_and_any_other_each_time() -> None:
    finding = Names("Ann")
    scrubber = CaptureRedactor(finding=finding)
    for time in range(3):
        given = [asked(f"text {time}", answer="billing", local_output='{"area": "returns"}'), asked("text", answer="call Ann")]
        plain, named = scrubber.exchanges(given)
        assert plain is not None and named is not None
        assert (plain.answer, plain.local_output, named.answer) == ("billing", '{"area": "returns"}', "call [PERSON_1]")
    assert [finding.read.count(text) for text in ("billing", "returns", "call Ann", "text")] == [1, 1, 3, 3]


def test_what_has_a_form_of_personal_data_is_not_remembered() -> None:
    finding = Names("Ann")
    scrubber = CaptureRedactor(finding=finding, besides=extra_redaction("health"))
    for _ in range(2):
        scrubber.exchanges([asked("text", answer=answer) for answer in ("ref 99120034512", '{"note": "4111 1111 1111 1111"}', "billing")])
    assert [finding.read.count(text) for text in ("ref 99120034512", "4111 1111 1111 1111", "billing")] == [2, 2, 1]
    assert set(scrubber._harmless._known) == {"billing", "note"}


def test_what_was_an_answer_is_read_where_it_is_asked() -> None:
    finding = Names("Ann")
    scrubber = CaptureRedactor(finding=finding)
    scrubber.exchanges([asked("text", answer="billing")])
    scrubber.exchanges([asked("billing", answer="billing")])
    assert finding.read.count("billing") == 2


def test_of_a_request_that_cannot_be_stored_nothing_is_read() -> None:
    finding = Names("Ann")
    assert CaptureRedactor(finding=finding).exchanges([asked("a text", answer='{"a": 1, "a": 2}')]) == [None]
    assert finding.read == []


def test_no_more_than_some_short_answers_are_remembered() -> None:
    finding = Names("Ann")
    scrubber = CaptureRedactor(finding=finding)
    long = "word " * 100
    for _ in range(2):
        scrubber.exchanges([asked("text", answer=long)])
    scrubber.exchanges([asked("text", answer="first")])
    for number in range(MOST):
        scrubber.exchanges([asked("text", answer=f"answer {number}")])
    scrubber.exchanges([asked("text", answer="first"), asked("text", answer=f"answer {MOST - 1}")])
    assert [finding.read.count(text) for text in (long, "first", f"answer {MOST - 1}")] == [2, 2, 1]


def test_what_is_remembered_of_an_answer_takes_nothing_from_a_request_that_holds_it_beside_a_name() -> None:
    finding = Names("Sam Hill")
    scrubber = CaptureRedactor(finding=finding)
    (first,) = scrubber.exchanges([asked("who?", answer="Hill")])
    (later,) = scrubber.exchanges([asked("Sam Hill asks", answer="Hill")])
    assert first is not None and first.answer == "Hill"
    assert later is not None and "Hill" not in f"{later.input} {later.answer}"


def test_labels_and_fields_stay_what_they_are() -> None:
    scrubber = CaptureRedactor(lambda asked: ("Ann", "account/delete") if asked == "support" else (), Names("Ann", "account"))
    (safe,) = scrubber.exchanges([asked("ask Ann", answer="account/delete", local_output='"Ann"')])
    assert safe is not None and (safe.input, safe.answer, safe.local_output) == ("ask [PERSON_1]", "account/delete", '"Ann"')
    (other,) = scrubber.exchanges([asked("ask Ann", answer="account/delete")])
    assert other is not None and other.answer == "account/delete"


def test_a_label_that_was_named_stays_where_it_is_the_whole_answer_and_nowhere_else() -> None:
    scrubber = CaptureRedactor(finding=Names("Germany", "germany", "Ann"), labels=["Germany", "Ann Arbor"])
    said = [
        "Germany",
        " germany. ",
        '{"country": "Germany"}',
        '{"Ann": "Germany"}',
        '{"a": "Germany", "b": 1}',
        "It is Germany",
        "Ann",
        '["Germany"]',
    ]
    safe = scrubber.exchanges([asked("Germany", answer=answer) for answer in said])
    assert [one and one.answer for one in safe] == [
        *("Germany", " germany. ", '{"country": "Germany"}', '{"[PERSON_2]": "Germany"}'),
        *('{"a": "[PERSON_1]", "b": 1}', "It is [PERSON_1]", "[PERSON_2]", '["[PERSON_1]"]'),
    ]
    assert {one and one.input for one in safe} == {"[PERSON_1]"}, "what was asked is masked, whatever is a label"
    assert scrubber.feedback(Feedback("r", NOW, corrected="germany"), "support") == Feedback("r", NOW, corrected="germany")
    assert scrubber.feedback(Feedback("r", NOW, corrected="germany", comment="Germany"), "support").comment == "[PERSON_1]"
    assert scrubber.audited(AuditAnswer("r", "Germany.", "big"), "support") is not None
    assert scrubber.audited(AuditAnswer("r", "Germany it is", "big"), "support") is None


def test_what_the_border_lets_not_out_is_not_stored_either() -> None:
    said = "see http://shop.example/reset?user=margaret.holloway, I am 93 years old"
    (usual,) = CaptureRedactor(finding=Names("Ann")).exchanges([asked(said)])
    (health,) = CaptureRedactor(finding=Names("Ann"), besides=extra_redaction("health")).exchanges([asked(said, answer='{"age": 93}')])
    (masked,) = CaptureRedactor(finding=Names("Ann"), besides=extra_redaction("mask")).exchanges([asked(said)])
    (allowed,) = CaptureRedactor(finding=Names("Ann"), besides=extra_redaction("health", ("url=allow", "age=block"))).exchanges(
        [asked(f"Ann: {said}")]
    )
    assert usual is not None and usual.input == said
    assert health is not None and health.input == "see [URL_1], I am [AGE_1] years old" and health.answer == '{"age": "[AGE_1]"}'
    assert masked is not None and masked.input == "see [URL_1], I am 93 years old"
    assert allowed is not None and allowed.input == f"[PERSON_1]: {said.replace('93', '[AGE_1]')}"
    (cards,) = CaptureRedactor(finding=Names("Ann"), besides=extra_redaction("card")).exchanges([asked("Ann, a@example.org")])
    assert cards is not None and cards.input == "[PERSON_1], [EMAIL_1]", "what a policy lets out is masked here all the same"


def test_what_a_model_of_the_users_own_finds_for_the_border_is_not_stored_either() -> None:
    both = ExtraRedaction(finding=Names("Zorro"))
    (safe,) = CaptureRedactor(finding=Names("Ann"), besides=both).exchanges([asked("Ann meets Zorro")])
    assert safe is not None and safe.input == "[PERSON_1] meets [PERSON_2]"


def test_what_cannot_be_made_safe_is_not_stored_and_the_others_are() -> None:
    scrubber = CaptureRedactor(finding=Names("Ann"))
    hidden = "card 41\u200b11 1111 1111 1111"
    given = [asked("fine"), asked(hidden), asked("half \ud83d"), asked("x", answer='{"a": "Ann", "a": "b"}'), asked(None), asked("Ann")]
    safe = scrubber.exchanges(given)
    assert [None if one is None else one.input for one in safe] == ["fine", None, None, None, None, "[PERSON_1]"]
    assert safe[4] is not None and safe[4].input is None


def test_no_security_code_is_stored() -> None:
    inner = {"cvv": 737, "mrn": 55881, "card": {"number": "4111 1111 1111 1111", "exp": "12/27"}, "policy": 2023, "at": 93.5}
    safe = '{"cvv": "[CVV_1]", "mrn": "[ID_1]", "card": {"number": "[CARD_1]", "exp": "[EXPIRY_1]"}, "policy": 2023, "at": 93.5}'
    said = "My card 4111 1111 1111 1111 exp 12/27 CVV 737, aged 93, www.example.org"
    one, two = CaptureRedactor(finding=Names("Ann")).exchanges(
        [asked(said, answer=json.dumps(inner)), asked(json.dumps(inner), answer="737")]
    )
    assert one is not None and two is not None
    assert one.input == "My card [CARD_1] exp [EXPIRY_1] CVV [CVV_1], aged 93, www.example.org" and one.answer == safe
    assert two.input == safe and two.answer == "[CVV_1]" and two.altered


def test_what_names_a_field_stays_where_it_is_the_bundles_own() -> None:
    scrubber = CaptureRedactor(lambda asked: ("mrn", "Ann"), Names("Ann", "mrn", "bob"))
    (safe,) = scrubber.exchanges([asked("x", answer='{"mrn": "558812", "Ann": "Ann", "bob": 1}')])
    assert safe is not None and safe.answer == '{"mrn": "[ID_1]", "Ann": "Ann", "[PERSON_1]": 1}'


def test_what_is_no_text_is_not_stored() -> None:
    picture = base64.b64encode(bytes(range(256)) * 4).decode()
    given = [
        asked(picture),
        asked("x", answer=json.dumps({"png": picture})),
        asked("see data:image/png;base64,iVBORw0KGgo= here"),
        asked("y"),
    ]
    assert [None if one is None else one.input for one in CaptureRedactor(finding=Names("Ann")).exchanges(given)] == [None, None, None, "y"]
    with pytest.raises(RedactionError, match="cannot be searched"):
        CaptureRedactor(finding=Names("Ann")).feedback(Feedback("r", NOW, comment=picture), "support")


def test_a_model_that_cannot_run_is_told() -> None:
    class Broken:
        def many(self, texts: Iterable[str]) -> Mapping[str, Found]:
            raise EngineError("the model broke", value="tagger", todo="Mend it.")

    with pytest.raises(EngineError):
        CaptureRedactor(finding=Broken()).exchanges([asked("x")])


def test_a_correction_that_was_changed_is_marked() -> None:
    scrubber = CaptureRedactor(lambda asked: ("Ann",), Names("Ann"))
    same = scrubber.feedback(Feedback("r", NOW, corrected="delivery/late", comment="as Ann said"), "support")
    assert (same.corrected, same.comment, same.altered) == ("delivery/late", "as [PERSON_1] said", False)
    changed = scrubber.feedback(Feedback("r", NOW, corrected="write to Ann"), "support")
    assert (changed.corrected, changed.altered) == ("write to [PERSON_1]", True)
    assert scrubber.feedback(Feedback("r", NOW, corrected="Ann"), "support").corrected == "Ann"
    with pytest.raises(RedactionError):
        scrubber.feedback(Feedback("r", NOW, comment="half \ud83d"), "support")


def test_each_text_is_read_once_and_all_at_once() -> None:
    finding = Names("Ann")
    CaptureRedactor(finding=finding).exchanges([asked("one", answer="two"), asked("one", answer="three")])
    assert sorted(finding.read) == ["one", "three", "two"]


def test_the_model_that_comes_with_smidgen_is_the_default() -> None:
    (safe,) = CaptureRedactor().exchanges([asked("My name is Margaret Holloway and my mail is m.holloway@example.org")])
    assert safe is not None and safe.input is not None and "Holloway" not in safe.input and "example" not in safe.input


def recurs(number: int, answer: str, **more: Any) -> Exchange:
    return asked(
        ("where", "when", "how", "what", "which", "why")[number] + " is it", id=f"r{number}", answer=answer, answer_state="whole", **more
    )


def test_an_answer_that_recurs_is_stored_as_it_is_and_what_was_masked_before_is_put_right() -> None:
    scrubber = CaptureRedactor(finding=Names("Ann Arbor", "Ann"), label_texts=5)
    stored = [safe.answer for number in range(6) if (safe := scrubber.exchanges([recurs(number, "Ann Arbor", key="k")])[0])]
    assert stored == ["[PERSON_1]"] * 4 + ["Ann Arbor"] * 2
    assert scrubber.recurring.new == [("k", "ann arbor")]
    assert [(one.id, one.said, one.stored) for one in scrubber.recurring.late] == [(f"r{n}", "Ann Arbor", "[PERSON_1]") for n in range(4)]
    (other,) = scrubber.exchanges([recurs(0, "Ann Arbor", key="another")])
    assert other is not None and other.answer == "[PERSON_1]", "a key makes nothing known for another"
    (text,) = scrubber.exchanges([asked("Ann Arbor", answer="I think Ann Arbor", key="k")])
    assert text is not None and (text.input, text.answer) == ("[PERSON_1]", "I think [PERSON_1]"), "within a text it is masked"


def test_names_that_stand_in_what_was_asked_do_not_recur() -> None:
    scrubber = CaptureRedactor(finding=Names("Ann", "ANN"), label_texts=5)
    shapes = ({"answer": "Ann"}, {"answer": "It is Ann."}, {"answer": "ANN"}, {"answer": '{"name": "Ann"}'})
    for more in shapes:
        given = [recurs(number, **more) for number in range(6)]
        safe = scrubber.exchanges([replace(one, input=f"Ann asks: {one.input}") for one in given])
        assert [one and "Ann" in f"{one.input} {one.answer}" for one in safe] == [False] * 6, more
    assert len(shapes) == 4 and scrubber.recurring.new == []


def test_a_value_that_recurs_in_its_field_is_stored_as_it_is_from_then_on() -> None:
    scrubber = CaptureRedactor(finding=Names("Ann", "Bob"), label_texts=5)
    said = '{"team": "Ann", "for": "Bob", "late": true}'
    safe = [scrubber.exchanges([replace(recurs(number, said), input=f"Bob {number} {'abcdef'[number]}")])[0] for number in range(6)]
    assert [one and one.answer for one in safe[3:]] == [
        '{"team": "[PERSON_2]", "for": "[PERSON_1]", "late": true}',
        *['{"team": "Ann", "for": "[PERSON_1]", "late": true}'] * 2,
    ]
    assert scrubber.recurring.new == [("", "team\nann")]


def test_all_of_one_batch_has_what_becomes_known_in_it() -> None:
    scrubber = CaptureRedactor(finding=Names("Ann"), label_texts=5)
    safe = scrubber.exchanges([recurs(number, "Ann") for number in range(6)])
    assert [one and one.answer for one in safe] == ["Ann"] * 6 and scrubber.recurring.late == []


def test_corrections_and_audits_know_what_recurs_and_wait_for_it() -> None:
    scrubber = CaptureRedactor(finding=Names("Ann"), label_texts=5)
    said = Feedback("r0", NOW, corrected="Ann")
    assert (
        scrubber.feedback(said, "big", "").corrected == "[PERSON_1]"
        and scrubber.audited(AuditAnswer("r1", "Ann", "big"), "big", "") is None
    )
    assert not scrubber.recurring.labels(""), "neither counts: what was asked is not known to whoever reads them"
    scrubber.exchanges([recurs(number, "Ann") for number in range(6)])
    late = [(one.id, one.what, one.said, one.stored, one.model) for one in scrubber.recurring.late]
    assert late == [("r0", "corrected", "Ann", "[PERSON_1]", ""), ("r1", "audit", "Ann", "", "big")]
    assert scrubber.feedback(said, "big", "") == said and scrubber.audited(AuditAnswer("r1", "Ann", "big"), "big", "") is not None


def test_what_has_the_form_of_personal_data_never_becomes_a_label() -> None:
    scrubber = CaptureRedactor(finding=Names("Ann"), label_texts=5)
    for answer in ("4111 1111 1111 1111", "ann@example.org", "+49 30 1234567"):
        safe = [scrubber.exchanges([recurs(number, answer)])[0] for number in range(6)]
        assert all(one is not None and one.answer != answer for one in safe), answer
    assert scrubber.recurring.new == []


def test_a_value_of_the_requests_own_schema_stays_wherever_it_is_a_whole_text_of_the_answer() -> None:
    scrubber = CaptureRedactor(finding=Names("Ann", "Bob", "team"))
    choices = ("Ann", "team")
    given = [
        asked("Ann", answer="Ann", choices=choices),
        asked("ask", answer='{"team": "Ann", "by": "Bob", "note": "for Ann"}', choices=choices),
        asked("ask", answer="Ann"),
    ]
    safe = scrubber.exchanges(given)
    assert [one and (one.input, one.answer) for one in safe] == [
        ("[PERSON_1]", "Ann"),
        ("ask", '{"team": "Ann", "by": "[PERSON_1]", "note": "for [PERSON_2]"}'),
        ("ask", "[PERSON_1]"),
    ]


LABELS = ("alexa_stop", "jordan_shoes", "wemo_off", "recommendation_events", "play.radio", "iot.hue_lightup", "anna-call")


def test_a_label_that_is_seen_for_the_first_time_stays() -> None:
    scrubber = CaptureRedactor(finding=Names(*LABELS, "jordan", "anna"))
    listed = "Answer with one of: " + ", ".join(LABELS)
    for label in LABELS:
        for system in ("", listed):
            for said in (label, f"{label}.", json.dumps({"intent": label})):
                (safe,) = scrubber.exchanges([asked("what is on", answer=said, system=system)])
                assert safe is not None and safe.answer == said


@pytest.mark.parametrize(
    ("text", "answer", "system"),
    [
        ("anna wants to be called", "anna-call", ""),
        ("I am john smith", "john_smith", ""),
        ("who is it", "john.smith", "User: john.smith. Tools: get_weather"),
        ("who is it", "Jean-Luc", ""),
        ("who is it", "john smith", ""),
    ],
)
def test_an_answer_that_may_name_somebody_of_the_request_is_masked(text: str, answer: str, system: str) -> None:
    scrubber = CaptureRedactor(finding=Names("anna", "john smith", "john_smith", "john.smith", "Jean-Luc"))
    (safe,) = scrubber.exchanges([asked(text, answer=answer, system=system)])
    assert safe is not None and safe.answer is not None and "[PERSON_" in safe.answer


def test_a_number_is_no_label_however_it_is_written() -> None:
    (safe,) = CaptureRedactor(finding=Names()).exchanges([asked("who", answer="card_4111111111111111")])
    assert safe is not None and safe.answer is not None and "4111" not in safe.answer


@pytest.mark.parametrize(
    ("text", "answer", "doubtful"),
    [
        ("is brixo good", "yes", True),
        ("call brixo", "yes", False),
        ("call brixo", "brixo", False),
        ("what do i eat", "brixo", True),
        ("ask brixo, is zuntra good", "yes", True),
        ("what is good", "ask a@example.org", False),
        ("4111 1111 1111 1111 is my card", "yes", False),
    ],
)
def test_a_name_without_a_sign_is_masked_in_doubt(text: str, answer: str, doubtful: bool) -> None:
    (safe,) = CaptureRedactor(finding=Names("brixo", "zuntra")).exchanges([asked(text, answer=answer)])
    assert safe is not None and safe.doubtful == doubtful and (safe.input, safe.answer) != (text, answer)
