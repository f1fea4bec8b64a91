"""The border over bodies of requests: what leaves, in which order stand-ins are counted, and that what fails lets nothing out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from smidgen.core.errors import EngineError, InputError, RedactionError
from smidgen.flows import redaction_model
from smidgen.flows.redaction_model import open_border
from smidgen.privacy import border
from smidgen.privacy.border import Border
from smidgen.privacy.policy import policy_of

NAMES = ("Anna Schmidt", "Bo Lind", "Cy Young")


class Names:
    """Finds three people, and remembers what it was given."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def many(self, texts: Iterable[str], between: Callable[[], None] | None = None) -> dict[str, tuple[tuple[str, int, int], ...]]:
        given = list(texts)
        self.read += given
        return {text: tuple(("person", text.index(name), text.index(name) + len(name)) for name in NAMES if name in text) for text in given}


def made(profile: str = "mask", *given: str) -> tuple[Border, Names]:
    model = Names()
    return Border(policy_of(profile, given), model), model


def chat(*said: str) -> dict[str, Any]:
    roles = ("user", "assistant")
    return {"model": "m", "messages": [{"role": roles[place % 2], "content": text} for place, text in enumerate(said)]}


def sent(body: dict[str, Any] | None) -> list[str]:
    assert body is not None
    return [message["content"] for message in body["messages"]]


def test_a_conversation_that_goes_on_begins_as_it_did() -> None:
    keeper, _ = made()
    said = ["Bo Lind asks for Anna Schmidt", "Fine, Bo Lind", "and Cy Young, cy@example.org"]
    first, second = keeper.masked(chat(*said[:1]), 9), keeper.masked(chat(*said), 9)
    assert sent(first.body) == ["[PERSON_1] asks for [PERSON_2]"]
    assert sent(second.body) == ["[PERSON_1] asks for [PERSON_2]", "Fine, [PERSON_1]", "and [PERSON_3], [EMAIL_1]"]
    assert second.counts == {"person": 4, "email": 1}
    assert second.placeholders.restored("[PERSON_3]") == "Cy Young"


def test_what_a_later_text_shows_is_taken_out_of_an_earlier_one_and_counted_after_it() -> None:
    keeper, _ = made()
    masked = keeper.masked(chat("Lind writes to Anna Schmidt", "Who?", "Bo Lind"), 9)
    assert sent(masked.body) == ["[PERSON_3] writes to [PERSON_1]", "Who?", "[PERSON_2]"]


def test_texts_that_were_read_are_not_read_again_and_not_kept() -> None:
    keeper, model = made()
    keeper.masked(chat("Anna Schmidt", "hello"), 9)
    keeper.masked(chat("Anna Schmidt", "hello", "Bo Lind"), 9)
    assert model.read == ["Anna Schmidt", "hello", "Bo Lind"]
    kept = keeper._memory._found
    assert len(kept) == 3 and all(isinstance(name, bytes) and len(name) == 16 for name in kept)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(border, "_KEPT", 5)
    keeper, _ = made()
    for number in range(20):
        keeper.masked(chat(f"text {number}"), 9)
    assert len(keeper._memory._found) == 5


def test_a_stand_in_that_stands_in_the_request_is_given_to_nobody() -> None:
    keeper, _ = made()
    masked = keeper.masked(chat("Anna Schmidt", "so [person_1] and [PERSON_2]"), 9)
    assert sent(masked.body) == ["[PERSON_3]", "so [person_1] and [PERSON_2]"]
    assert masked.placeholders.restored("[PERSON_1] [Person_2] [PERSON_3]") == "[PERSON_1] [Person_2] Anna Schmidt"


def test_policies_by_kind() -> None:
    body = chat("Anna Schmidt, card 4111 1111 1111 1111, cvv 123")
    keeper, _ = made("mask", "card=block", "person=allow")
    masked = keeper.masked(body, 9)
    assert (masked.blocked, masked.counts) == (("card",), {"card": 1, "cvv": 1})
    only_cards, _ = made("card", "cvv=mask")
    assert sent(only_cards.masked(body, 9).body) == ["Anna Schmidt, card [CARD_1], cvv [CVV_1]"]
    assert made("block")[0].masked(chat("Anna Schmidt"), 9).blocked == ("person",)
    assert made("health")[0].masked(chat("he is 94 years old"), 9).counts == {"age": 1}
    assert made("mask")[0].masked(chat("he is 94 years old"), 9).body is None


def test_what_cannot_be_read_stops_it_unless_allowed() -> None:
    body = {
        "messages": [
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": "https://x.example"}}, {"type": "text", "text": "Anna Schmidt"}],
            }
        ]
    }
    keeper, model = made()
    stopped = keeper.masked(body, 9)
    assert (stopped.blocked, stopped.unread, stopped.body, model.read) == (("file",), ("a part that is not text",), None, [])
    allowing, _ = made("mask", "file=allow")
    masked = allowing.masked(body, 9)
    assert masked.blocked == () and masked.body is not None
    assert masked.body["messages"][0]["content"] == [body["messages"][0]["content"][0], {"type": "text", "text": "[PERSON_1]"}]  # type: ignore[index]


def test_nothing_found_leaves_the_body_as_it_came() -> None:
    masked = made()[0].masked(chat("hello"), 9)
    assert masked.body is None and not masked.placeholders and masked.counts == {}


def test_what_cannot_be_made_safe_or_not_in_time_raises() -> None:
    keeper, _ = made()
    with pytest.raises(RedactionError, match="half a character") as refused:
        keeper.masked(chat("Anna Schmidt \ud800"), 9)
    assert "Anna" not in str(refused.value)
    with pytest.raises(EngineError, match="not found in time"):
        keeper.masked(chat("Anna Schmidt"), -1)
    with pytest.raises(EngineError, match="not found in time"):
        keeper.found(["Anna Schmidt"], -1)
    assert keeper.found(["Anna Schmidt", "x"], 9) == {"person": 1}


def test_the_model_is_opened_where_the_policy_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction_model, "finder", lambda *given: pytest.fail("opened"))
    assert sent(open_border("card").masked(chat("Anna Schmidt 4111111111111111"), 9).body) == ["Anna Schmidt [CARD_1]"]
    for given in (("mask", ()), ("card", ("person=mask",))):
        with pytest.raises(pytest.fail.Exception):
            open_border(*given)


def test_the_shipped_model_masks_what_has_no_form() -> None:
    keeper = open_border("mask", threads=1)
    masked = keeper.masked(chat("Margaret Holloway (m.holloway@example.org) asks for a refund."), 30)
    assert sent(masked.body) == ["[PERSON_1] ([EMAIL_1]) asks for a refund."]
    with pytest.raises(InputError, match="no kind of personal data"):
        open_border("mask", ("people=mask",), threads=1)


def test_arguments_of_tools_stay_json_with_their_values_out() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": json.dumps({"who": 'Anna Schmidt "A"', "n": 2})}}
    masked = made()[0].masked({"messages": [{"role": "assistant", "content": None, "tool_calls": [call]}]}, 9)
    assert masked.body is not None
    arguments = masked.body["messages"][0]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(arguments) == {"who": '[PERSON_1] "A"', "n": 2}


def parts(*texts: str | None) -> dict[str, Any]:
    """A message of such parts; an image for None."""
    image = {"type": "image_url", "image_url": {"url": "https://x.example"}}
    content = [image if text is None else {"type": "text", "text": text} for text in texts]
    return {"model": "m", "messages": [{"role": "user", "content": content}]}


@pytest.mark.parametrize(
    ("profile", "texts", "kind"),
    [
        ("mask", ["4111 1111", " 1111 1111"], "card"),
        ("card", ["card 4111 11", "11 1111", " 1111 please"], "card"),
        ("card", ["My CVV is", " 123"], "cvv"),
        ("mask", ["anna@exam", "ple.org"], "email"),
        ("health", ["driver's license", " D1234567"], "id"),
    ],
)
def test_what_stands_in_two_parts_of_a_message_does_not_leave(profile: str, texts: list[str], kind: str) -> None:
    with pytest.raises(RedactionError, match="two parts of a message") as refused:
        made(profile)[0].masked(parts(*texts), 9)
    assert refused.value.value == kind
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text} for text in texts]}
    for body in ({"input": [item]}, {"input": item["content"]}):
        with pytest.raises(RedactionError, match="two parts of a message"):
            made(profile)[0].masked(body, 9)


def test_parts_that_have_nothing_between_them_leave_masked() -> None:
    body = parts("Anna Schmidt, card 4111 1111 1111 1111", "exp 12/27 or 1111 2222", "4111 1111")
    masked = made("card", "person=mask")[0].masked(body, 9)
    assert masked.body is not None
    sent = [part["text"] for part in masked.body["messages"][0]["content"]]
    assert sent == ["[PERSON_1], card [CARD_1]", "exp 12/27 or 1111 2222", "4111 1111"]
    apart = parts("4111 1111", None, " 1111 1111")
    assert made("mask", "file=allow")[0].masked(apart, 9).body is None, "what stands between them is read between them"
    assert made("mask", "card=allow", "number=allow")[0].masked(parts("4111 1111", " 1111 1111"), 9).body is None
    strange = [{"type": ["text"], "text": "a"}, {"type": "text", "text": 5}, "b"]
    odd = {"messages": [{"role": "user", "content": strange}, "c"], "input": "d"}
    assert made("mask", "file=allow")[0].masked(odd, 9).body is None


PAN = "4111 1111 1111 1111"


def beside(value: dict[str, Any]) -> list[dict[str, Any]]:
    """Bodies that have an object in a message, in a tool's arguments, and in what is free."""
    written = json.dumps(value)
    call = {"id": "call_1", "type": "function", "function": {"name": "pay", "arguments": written}}
    return [
        {"model": "m", "messages": [{"role": "user", "content": written}]},
        {"model": "m", "messages": [{"role": "assistant", "content": None, "tool_calls": [call]}]},
        {"model": "m", "messages": [{"role": "user", "content": "hello"}], "metadata": value},
    ]


@pytest.mark.parametrize(
    ("profile", "value", "kinds"),
    [
        ("card", {"pan": PAN, "cvv": "123", "exp": "12/27"}, {"card": 1, "cvv": 1, "expiry": 1}),
        ("card", {"pan": 4111111111111111, "cvv": 123, "exp": 1227}, {"card": 1, "cvv": 1, "expiry": 1}),
        ("card", {"cvv": 123}, {"cvv": 1}),
        ("card", {"cardSecurityCode": "9876"}, {"cvv": 1}),
        ("card", {"card": {"number": PAN, "cvc": {"value": "123"}}}, {"card": 1, "cvv": 1}),
        ("card", {"pan": PAN, "expires": {"exp_month": 3, "exp_year": 2028}}, {"card": 1, "expiry": 2}),
        ("card", {"name": "cvv", "value": "123"}, {"cvv": 1}),
        ("card", {"inner": '{"cvv": "123"}'}, {"cvv": 1}),
        ("health", {"mrn": "X90812"}, {"id": 1}),
        ("health", {"mrn": 558812}, {"id": 1}),
        ("health", {"patient": {"id": "77-1234"}}, {"id": 1}),
        ("health", {"memberId": 90812}, {"id": 1}),
        ("health", {"account": 4455667}, {"id": 1}),
        ("health", {"age": 93}, {"age": 1}),
        ("mask", {"phone": 20123456, "dob": 19530412, "zip": 12345}, {"phone": 1, "date": 1, "address": 1}),
        ("mask", {"phone": "20123456", "date_of_birth": "1953-04-12", "postalCode": "12345"}, {"phone": 1, "date": 1, "address": 1}),
        ("mask", {"zip": 2134, "home_address": {"postCode": 1010}}, {"address": 2}),
        ("mask", {"lat": 52.5200066, "lon": 13.404954}, {"place": 2}),
        ("mask", {"at": {"latitude": -52.5200066, "longitude": "13.404954"}}, {"place": 2}),
        ("health", {"patient_age": "93"}, {"age": 1}),
    ],
)
def test_a_fields_name_says_what_is_in_it(profile: str, value: dict[str, Any], kinds: dict[str, int]) -> None:
    bodies = beside(value)
    found = [made(profile)[0].masked(body, 9) for body in bodies]
    assert [masked.counts for masked in found] == [kinds] * 3
    if profile == "health":
        assert all(masked.blocked == () and "_1]" in json.dumps(masked.body) for masked in found)


@pytest.mark.parametrize(
    ("profile", "value"),
    [
        ("card", {"exp": "12/27", "page": 123}),
        ("card", {"code": 123}),
        ("health", {"policy": 2023, "tax": 1900, "age": 45, "page": 93, "id": 12}),
        ("mask", {"age": 93}),
        ("mask", {"lat": 52.52, "account": 4455.667, "tax": 1900.5, "phone": 1, "mobile": 2, "dob": 1953, "phone_count": 20123456}),
    ],
)
def test_a_name_that_says_nothing_of_a_person_takes_nothing_out(profile: str, value: dict[str, Any]) -> None:
    assert [made(profile)[0].masked(body, 9).body for body in beside(value)] == [None] * 3


def test_a_short_number_is_one_stand_in_and_comes_back() -> None:
    masked = made("health")[0].masked(beside({"age": 93, "n": 93.5, "m": 93})[0], 9)
    assert json.loads(sent(masked.body)[0]) == {"age": "[AGE_1]", "n": 93.5, "m": 93}
    assert masked.placeholders.restored("[AGE_1]") == "93"


def test_a_number_that_is_a_known_value_has_its_stand_in() -> None:
    tool = {"row": 558812, "sum": 558812.0, "less": -558812, "other": 5588123, "part": 55881, "price": 558812.5, "list": [558812]}
    body = chat("MRN 558812 please", json.dumps(tool), "cvv 737, aged 12")
    body.update(max_tokens=558812, temperature=0.5, tools=[{"type": "function", "function": {"parameters": {"maxLength": 558812}}}])
    masked = made("mask")[0].masked(body, 9)
    assert sent(masked.body)[0] == "MRN [ID_1] please"
    assert json.loads(sent(masked.body)[1]) == {**tool, "row": "[ID_1]", "sum": "[ID_1]", "less": "-[ID_1]", "list": ["[ID_1]"]}
    assert masked.body is not None and masked.body["max_tokens"] == 558812 and masked.body["tools"] == body["tools"]
    assert masked.counts == {"id": 5, "cvv": 1}
    later = made("mask")[0].masked(chat('{"row": 558812}', "MRN 558812"), 9)
    assert sent(later.body) == ['{"row": "[ID_1]"}', "MRN [ID_1]"], "known from a later text"
    assert made("mask", "id=allow")[0].masked(chat("MRN 558812", '{"row": 558812}'), 9).body is None


@pytest.mark.parametrize("form", ["Reply to: {}", "```json\n{}\n```", "{}\n{}", "{} "])
def test_what_stands_behind_an_escape_leaves_without_it_and_comes_back(form: str) -> None:
    written = form.replace("{}", json.dumps({"body": "Contact me at:\nanna@example.org\nNINO:\nAB123456C"}))
    masked = made()[0].masked(chat(written), 9)
    assert masked.counts["email"] == masked.counts["id"] == form.count("{}") and "anna" not in sent(masked.body)[0]
    assert [masked.placeholders.restored(place) for place in ("[EMAIL_1]", "[ID_1]")] == ["anna@example.org", "AB123456C"]
    assert masked.placeholders.restored(sent(masked.body)[0]).strip() == written.strip()


def test_what_is_percent_encoded_does_not_leave_but_in_an_address_on_the_web() -> None:
    said = "GET {}/reset?email=anna%40example.org&tel=030%2F1234567"
    with pytest.raises(RedactionError, match="left in a text, encoded"):
        made()[0].masked(chat(said.format("")), 9)
    assert sent(made()[0].masked(chat(said.format("https://shop.example")), 9).body) == ["GET [URL_1]"]


def test_the_model_is_not_asked_for_short_numbers() -> None:
    keeper, model = made("health")
    keeper.masked(chat('{"age": 93, "account": 12345678901}'), 9)
    assert model.read == ["12345678901"]


def test_time_is_looked_at_between_the_parts_of_one_long_text(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = [0.0]
    monkeypatch.setattr(border, "time", SimpleNamespace(monotonic=lambda: moment[0]))

    class Slow:
        read = 0

        def many(self, texts: Iterable[str], between: Callable[[], None] | None = None) -> dict[str, Any]:
            assert between is not None
            for _ in range(50):
                between()
                self.read += 1
                moment[0] += 1.0
            return dict.fromkeys(texts, ())

    model = Slow()
    with pytest.raises(EngineError, match="not found in time"):
        Border(policy_of("mask"), model).masked(chat("long"), 5.5)
    assert model.read == 6


def test_a_long_text_is_read_part_by_part_with_a_look_before_each() -> None:
    finder = redaction_model.finder(threads=1)
    text = "We met in the garden and spoke of the weather. " * 450 + "Margaret Holloway came."
    looks: list[int] = []
    found = finder.many([text, "hello"], lambda: looks.append(1))
    assert len(text) > 4 * redaction_model.SLICE and len(looks) == 6
    assert ("person", len(text) - 23, len(text) - 6) in found[text] and found["hello"] == ()


def test_a_text_with_very_many_pieces_is_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(border, "_MOST_SPANS", 1)
    keeper, model = made()
    for _ in range(2):
        keeper.masked(chat("Anna Schmidt and Bo Lind", "Cy Young"), 9)
    assert model.read == ["Anna Schmidt and Bo Lind", "Cy Young", "Anna Schmidt and Bo Lind"]


def test_what_is_no_language_is_read_by_its_form_alone() -> None:
    keeper, model = made("mask")
    assert keeper.found(["files"], 9, ["tel-030-1234567", "card-4111111111111111", "file-1"]) == {"card": 1, "number": 1}
    assert model.read == ["files"]
    assert keeper.found(["Bo Lind"], 9, ["Bo Lind"]) == {"person": 1}, "what may be language in one place is read as such"
    assert made("card")[0].found([], 9, ["cvv: 123", "tel-030-1234567"]) == {"cvv": 1}


class Towns:
    """Finds one person, one town and one company."""

    FOUND = (("person", "Anna Schmidt"), ("place", "Porto"), ("organisation", "Acme"))

    def many(self, texts: Iterable[str], between: Callable[[], None] | None = None) -> dict[str, tuple[tuple[str, int, int], ...]]:
        return {
            text: tuple((kind, text.index(value), text.index(value) + len(value)) for kind, value in self.FOUND if value in text)
            for text in texts
        }


@pytest.mark.parametrize(
    ("profile", "said", "leaves"),
    [
        ("mask", ["weather in Porto", "what does Acme sell"], None),
        ("health", ["weather in Porto", "Acme"], ["weather in [PLACE_1]", "[ORGANISATION_1]"]),
        ("mask", ["weather in Porto", "ask Anna Schmidt"], ["weather in [PLACE_1]", "ask [PERSON_1]"]),
        ("mask", ["I live in Porto", "fine", "me@example.org"], ["I live in [PLACE_1]", "fine", "[EMAIL_1]"]),
    ],
)
def test_a_town_alone_is_nobodys_and_beside_a_person_it_is_masked_in_all_texts(
    profile: str, said: list[str], leaves: list[str] | None
) -> None:
    masked = Border(policy_of(profile), Towns()).masked(chat(*said), 9)
    assert (masked.body and sent(masked.body)) == leaves
    assert bool(masked.counts) is (leaves is not None)


def test_a_town_alone_does_not_stop_a_request_and_a_person_does() -> None:
    keeper = Border(policy_of("block"), Towns())
    assert keeper.masked(chat("weather in Porto"), 9).blocked == ()
    assert keeper.masked(chat("Anna Schmidt lives in Porto"), 9).blocked == ("person",)


def test_a_request_is_read_up_to_so_many_characters_counted_wherever_they_stand() -> None:
    keeper = Border(policy_of("card"), None, most=1000)
    assert keeper.masked(chat("a" * 600, "b" * 400), 9).body is None
    for body in (chat("a" * 600, "a" * 401), {"input": ["x" * 11] * 91}, {"metadata": {"note": "y " * 501}}):
        with pytest.raises(border.RequestTooLong, match="--privacy-max-chars"):
            keeper.masked(body, 9)


def test_many_small_parts_of_a_message_take_time_by_their_length() -> None:
    """Each seam once took a reading of the thousand characters around it."""
    read: list[int] = []

    def counted(text: str) -> Any:
        read.append(len(text))
        return ()

    keeper = Border(policy_of("card"), None)
    keeper.masked(parts(*["ab "] * 2000), 60)
    redactor = border.Redactor(forms=counted)
    assert redactor.over(["ab "] * 2000) == set() and sum(read) <= 3 * 6000
    assert redactor.over(["4111 11", "11 1111", " 1111"]) == {"card"}, "over three parts, too"


def test_others_go_first_between_the_parts_of_a_request() -> None:
    looks: list[int] = []
    made()[0].masked(chat(*(f"text {number}" for number in range(40))), 9, lambda: looks.append(1))
    assert len(looks) >= 40
    with pytest.raises(EngineError, match="nobody waits"):
        made()[0].masked(chat("Anna Schmidt"), 9, _nobody_waits)


def _nobody_waits() -> None:
    raise EngineError("nobody waits", value="x", todo="Stop.")
