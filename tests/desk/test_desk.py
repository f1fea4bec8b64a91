"""A desk takes the steps of its policy: it quotes, asks, proposes, runs only after a yes, and passes on what it does not know."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from smidgen.core.conversations import DeskAnswer, DeskConversation, Turn
from smidgen.core.errors import RecipeError
from smidgen.core.replies import Reply
from smidgen.desk.answering import LONGEST_MESSAGE, Desk, is_follow_up
from smidgen.desk.confidence import STARTING, together
from smidgen.desk.dialogue import answer_last, read_messages, written
from smidgen.desk.members import Member, languages_of, role_and_language
from smidgen.desk.policy import DeskPolicy, parse_policy
from smidgen.desk.reply_json import reply_output
from smidgen.desk.texts import decision, is_foreign, language_of
from smidgen.store.calls import CallStore
from smidgen.tools.definition import HttpTarget, SqlTarget, Tool
from smidgen.tools.results import ToolResult
from smidgen.tools.spoken_arguments import spoken_arguments
from smidgen.tools.toolbox import WAITING_SECONDS, Toolbox, ToolCall, ToolUser

POLICY = """
languages = ["en", "de"]
unknown = "answer"
[intents]
"order/status" = "act order_status"
"order/cancel" = ["act cancel_order", "answer"]
"feedback/praise" = "say thanks"
"contact/human" = "person"
"*" = "answer"
[hours]
timezone = "Europe/London"
monday = "09:00-12:00, 13:00-17:30"
closed = ["2026-12-28"]
[texts.thanks]
en = "Thank you, that is kind."
de = "Vielen Dank, das freut uns."
"""
ORDER = {"type": "string", "pattern": "^(?:FH-[0-9]{5})$", "title": "order number"}
EMAIL = {"type": "string", "format": "email", "title": "e-mail address"}
DATABASE = """
CREATE TABLE orders (order_id TEXT, email TEXT, status TEXT);
INSERT INTO orders VALUES ('FH-20103', 'nia@example.com', 'delivered'), ('FH-20104', 'eve@example.com', 'processing');
"""


def tools(folder: Path) -> tuple[Tool, ...]:
    both = {"type": "object", "properties": {"order": ORDER, "email": EMAIL}, "required": ["order", "email"]}
    query = "SELECT order_id, status FROM orders WHERE order_id = :order AND email = :email"
    return (
        Tool(
            "order_status",
            "Look up an order.",
            both,
            changes=False,
            confirm="never",
            words={"": "Look up order {order}"},
            owner=("order", "email"),
            answer={"en": "Order {order_id} is {status}.", "de": "Bestellung {order_id}: {status}."},
            nothing={"en": "I find no such order."},
            card="order",
            target=SqlTarget(query, "sqlite:///shop.db", str(folder)),
        ),
        Tool(
            "cancel_order",
            "Cancel an order.",
            {"type": "object", "properties": {"order": ORDER}, "required": ["order"]},
            words={"": "Cancel order {order}"},
            target=HttpTarget("POST", "http://127.0.0.1:1/orders/{order}/cancel"),
        ),
    )


QUOTE = {
    "how long does standard delivery take?": ("policies.md", "It takes 2 to 4 working days from dispatch."),
    "how long does standard delivery take? and to ireland?": ("policies.md", "We send parcels to Ireland for £7.95."),
    "can i cancel an order?": ("faq.csv", "Yes, until it is dispatched."),
}
INTENTS = {
    "where is my order": "order/status",
    "please cancel fh-20103": "order/cancel",
    "can i cancel an order?": "order/cancel",
    "lovely service!": "feedback/praise",
    "let me talk to a human": "contact/human",
    "status of fh-20104": "order/status",
}
MONDAY = datetime(2026, 11, 30, 10, 0, tzinfo=UTC)


def sorts(text: str) -> Reply:
    label = INTENTS.get(text.casefold())
    return Reply(label or "shop/other", 0.9 if label else 0.3)


def quotes(text: str) -> Reply:
    found = QUOTE.get(text.casefold())
    if found is None:
        return Reply(None, 0.8)
    return Reply({"id": found[0], "text": found[1]}, 0.95, facts={"title": "Policies", "heading": "Delivery", "start": 10, "end": 20})


def calls(text: str) -> Reply:
    if text.casefold().startswith("please cancel"):
        return Reply({"tool": "cancel_order", "arguments": {"order": text.split()[-1]}}, 0.9)
    if text.casefold().startswith("status of"):
        return Reply({"tool": "order_status", "arguments": {"order": text.split()[-1]}}, 0.9)
    return Reply({"tool": "order_status", "arguments": {}}, 0.9) if text.casefold() == "where is my order" else Reply(None, 0.9)


class Shop:
    """A shop with a database and a server, which counts what it is asked to change."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.asked: list[str] = []
        self.status = 200
        with closing(sqlite3.connect(folder / "shop.db")) as base:
            base.executescript(DATABASE)
        self.tools, self.store = tools(folder), CallStore(folder / "calls.db")
        transport = httpx.MockTransport(self._answer)
        self.toolbox = Toolbox(self.tools, self.store, {}, transport, lambda: datetime.fromtimestamp(clock(), UTC))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path)
        if self.status == 0:
            raise httpx.ReadTimeout("silence", request=request)
        return httpx.Response(self.status, json={})


class Clock:
    """The time of a desk."""

    def __init__(self) -> None:
        self.now = MONDAY.timestamp()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shop(tmp_path: Path, clock: Clock) -> Iterator[Shop]:
    made = Shop(tmp_path, clock)
    yield made
    made.store.close()


class Chat:
    """A customer who talks to a desk."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.at = desk, DeskConversation("c1", desk.name, "widget", "visitor")

    def say(self, text: str) -> DeskAnswer:
        return self._keep(text, self.desk.answer(self.at, text))

    def decide(self, call: str, yes: bool) -> DeskAnswer:
        return self._keep("", self.desk.decide(self.at, call, yes))

    def _keep(self, text: str, found: DeskAnswer) -> DeskAnswer:
        turns = (*self.at.turns, Turn("customer", text, MONDAY), Turn("desk", found.reply.text, MONDAY, reply=found.reply))
        self.at = replace(self.at, turns=turns, state=found.state, status=found.status)
        return found


def made(shop: Shop, clock: Clock, *, live: bool = True, **members: Member) -> Desk:
    own: dict[str, Member] = {"intents": sorts, "answer": quotes, "act": calls, **members}
    return Desk("shop", parse_policy(POLICY, "policy.toml"), own, shop.tools, shop.toolbox, live=live, now=clock)


@pytest.fixture
def chat(shop: Shop, clock: Clock) -> Chat:
    return Chat(made(shop, clock))


def test_it_quotes_with_the_place(chat: Chat) -> None:
    reply = chat.say("How long does standard delivery take?").reply
    assert (reply.outcome, reply.member, reply.text) == ("answered", "answer", "It takes 2 to 4 working days from dispatch.")
    (cited,) = reply.citations
    assert (cited.document, cited.heading, cited.text) == ("policies.md", "Delivery", reply.text)
    shown = reply_output(reply)
    assert shown["citations"][0]["document"] == "policies.md" and "facts" not in shown


def test_words_in_another_language_than_the_customers_are_quoted_with_a_word_on_it(shop: Shop, clock: Clock) -> None:
    words = {
        "Wie lange dauert die Lieferung?": "It takes 2 to 4 working days from the day of dispatch, and you are told when it is.",
        "How long does the delivery take?": "Die Lieferung dauert zwei bis vier Tage, und wir schreiben Ihnen, wenn sie auf dem Weg ist.",
        "Was kostet der Versand?": "£9.95",
    }

    def quoting(text: str) -> Reply:
        return Reply({"id": "policies.md", "text": words[text]}, 0.95, facts={"title": "Policies", "start": 0, "end": 5})

    told = {text: Chat(made(shop, clock, intents=lambda text: Reply("shop/other", 0.3), answer=quoting)).say(text).reply for text in words}
    first, second, third = told.values()
    assert first.text == f"In unseren Unterlagen steht (auf Englisch): {words['Wie lange dauert die Lieferung?']}"
    assert second.text == f"Our documents say (in German): {words['How long does the delivery take?']}"
    assert third.text == "£9.95"
    assert [reply.citations[0].text for reply in told.values()] == list(words.values()) and len(told) == 3


def test_a_language_may_have_a_member_of_its_own(shop: Shop, clock: Clock) -> None:
    def german(text: str) -> Reply:
        return Reply({"id": "agb.md", "text": "Der Versand kostet 4 Euro."}, 0.95, facts={"title": "AGB", "start": 0, "end": 5})

    chat = Chat(made(shop, clock, **{"answer-de": german}))
    assert chat.say("Wie viel kostet der Versand nach Berlin?").reply.citations[0].document == "agb.md"
    assert Chat(chat.desk).say("How long does standard delivery take?").reply.citations[0].document == "policies.md"
    names = ["intents", "answer", "answer-de", "act"]
    assert languages_of("answer", names, ["en", "de"]) == ("en",)
    assert languages_of("answer-de", names, ["en", "de"]) == ("de",)
    assert languages_of("act", names, ["en", "de"]) == ("en", "de")
    told = [role_and_language(name) for name in ("answer-de", "act", "answer-german", "reply")]
    assert told == [("answer", "de"), ("act", ""), ("", ""), ("", "")]


def test_a_follow_up_is_read_with_the_question_before(chat: Chat) -> None:
    chat.say("How long does standard delivery take?")
    assert "Ireland" in chat.say("And to Ireland?").reply.text
    assert is_follow_up("what about a larger one?") and not is_follow_up(
        "I would like to know how long it takes to get a parcel to Ireland"
    )


def test_a_follow_up_of_nothing_is_asked_back(chat: Chat) -> None:
    assert chat.say("And it?").reply.outcome == "asked"


def test_it_asks_for_what_is_missing_and_then_looks_up(chat: Chat, shop: Shop) -> None:
    asked = chat.say("Where is my order").reply
    assert asked.outcome == "asked" and "order number" in asked.text and "e-mail address" in asked.text and shop.asked == []
    half = chat.say("fh-20103").reply
    assert half.outcome == "asked" and "order number" not in half.text and "e-mail address" in half.text
    told = chat.say("it is nia@example.com").reply
    assert (told.outcome, told.text) == ("answered", "Order FH-20103 is delivered.")
    assert told.cards[0].kind == "order" and told.cards[0].items == ({"order_id": "FH-20103", "status": "delivered"},)


def test_a_wrong_pair_finds_nothing(chat: Chat) -> None:
    chat.say("Where is my order")
    reply = chat.say("FH-20103, eve@example.com").reply
    assert (reply.outcome, reply.text, reply.cards) == ("answered", "I find no such order.", ())


def test_a_wrong_proof_may_be_corrected(chat: Chat) -> None:
    chat.say("Where is my order")
    assert chat.say("FH-20103 nia@example.org").reply.text == "I find no such order."
    assert chat.say("sorry, it is nia@example.com").reply.text == "Order FH-20103 is delivered."


def test_what_one_argument_takes_is_no_other_s() -> None:
    contact = {"type": "string", "pattern": r"^(?:[^@\s]+@[^@\s]+|[0-9]{5})$"}
    tool = Tool("look", "", {"type": "object", "properties": {"order": ORDER, "contact": contact}, "required": ["order", "contact"]})
    said = spoken_arguments(tool, ("order", "contact"), "fh 20942, I used leo@example.com")
    assert said == {"order": "FH-20942", "contact": "leo@example.com"}
    assert spoken_arguments(tool, ("order", "contact"), "cancel the order 20895") == {"order": "FH-20895"}


def test_an_argument_that_is_the_whole_message_takes_nothing_from_others() -> None:
    sentence = {"type": "string", "maxLength": 60, "whole_message": True}
    tool = Tool("log", "", {"type": "object", "properties": {"said": sentence, "order": ORDER}, "required": ["said", "order"]})
    assert spoken_arguments(tool, tool.required, "cancel FH-20103 ") == {"said": "cancel FH-20103", "order": "FH-20103"}
    assert spoken_arguments(tool, ["order"], "cancel FH-20103") == {"order": "FH-20103"}
    assert spoken_arguments(tool, tool.required, "x" * 61) == {}


def test_a_question_in_between_is_answered(chat: Chat) -> None:
    chat.say("Where is my order")
    assert chat.say("How long does standard delivery take?").reply.member == "answer"
    assert chat.say("nia@example.com").reply.outcome == "unanswered", "the desk no longer asks"


def test_nothing_changes_without_a_yes(chat: Chat, shop: Shop) -> None:
    proposed = chat.say("Please cancel FH-20103").reply
    assert proposed.outcome == "proposed" and proposed.call is not None and "Cancel order FH-20103" in proposed.text and shop.asked == []
    done = chat.say("yes please").reply
    assert (done.outcome, done.text) == ("done", "Done: Cancel order FH-20103.")
    assert shop.asked == ["/orders/FH-20103/cancel"]
    assert chat.say("yes").reply.outcome == "unanswered" and len(shop.asked) == 1, "a yes counts once"


def test_a_no_changes_nothing(chat: Chat, shop: Shop) -> None:
    call = chat.say("Please cancel FH-20103").reply.call
    assert call is not None
    assert chat.say("no thanks").reply.outcome == "cancelled"
    assert chat.decide(call.id, True).reply.outcome == "failed" and shop.asked == []


def test_only_the_waiting_call_is_run(chat: Chat, shop: Shop) -> None:
    call = chat.say("Please cancel FH-20103").reply.call
    assert call is not None
    assert chat.decide("another", True).reply.outcome == "failed" and shop.asked == []
    assert chat.decide(call.id, True).reply.outcome == "done" and len(shop.asked) == 1
    assert chat.decide(call.id, True).reply.outcome == "failed" and len(shop.asked) == 1


def test_another_subject_drops_the_proposal(chat: Chat, shop: Shop) -> None:
    chat.say("Please cancel FH-20103")
    chat.say("How long does standard delivery take?")
    assert chat.say("yes").reply.outcome != "done" and shop.asked == []


def test_a_proposal_expires(chat: Chat, shop: Shop, clock: Clock) -> None:
    chat.say("Please cancel FH-20103")
    clock.now += WAITING_SECONDS + 1
    assert chat.say("yes").reply.outcome == "failed" and shop.asked == []


def test_a_desk_that_is_not_live_changes_nothing(shop: Shop, clock: Clock) -> None:
    chat = Chat(made(shop, clock, live=False))
    chat.say("Please cancel FH-20103")
    reply = chat.say("yes").reply
    assert reply.outcome == "done" and "would" in reply.text and shop.asked == []


def test_a_question_about_an_action_is_answered(chat: Chat) -> None:
    assert chat.say("Can I cancel an order?").reply.text == "Yes, until it is dispatched."


def test_a_call_that_fails_is_told(chat: Chat, shop: Shop) -> None:
    shop.status = 503
    chat.say("Please cancel FH-20103")
    reply = chat.say("yes").reply
    assert reply.outcome == "failed" and "nothing was changed" in reply.text and len(shop.asked) == 1


def test_where_the_answer_does_not_come_a_person_looks(chat: Chat, shop: Shop) -> None:
    shop.status = 0
    chat.say("Please cancel FH-20103")
    found = chat.say("yes")
    assert (found.reply.outcome, found.status) == ("handed_over", "with_person") and "could not see" in found.reply.text


def test_who_has_proven_an_order_is_not_asked_again(chat: Chat) -> None:
    chat.say("Where is my order")
    chat.say("FH-20103 nia@example.com")
    again = chat.say("Where is my order").reply
    assert (again.outcome, again.text) == ("answered", "Order FH-20103 is delivered.")
    other = Chat(chat.desk)
    other.at = replace(chat.at, state={**chat.at.state, "proven": {"order": "FH-20103", "email": "nia@example.com"}})
    asked = other.say("Status of FH-20104").reply
    assert asked.outcome == "asked" and "e-mail" in asked.text, "the proof is for one order"


def test_guessing_orders_is_stopped(chat: Chat) -> None:
    told = []
    for number in range(7):
        chat.say("Where is my order")
        told.append(chat.say(f"FH-2010{number} eve@example.org").reply)
    assert [reply.outcome for reply in told] == ["answered"] * 5 + ["failed"] * 2 and "too often" in told[-1].text


def test_fixed_words_come_in_the_customers_language(chat: Chat) -> None:
    assert chat.say("Lovely service!").reply.text == "Thank you, that is kind."
    assert chat.say("Ich weiß nicht, was das ist, können Sie mir bitte helfen?").reply.text.startswith("Das finde ich nicht")


def test_small_talk_is_answered_without_a_model(chat: Chat) -> None:
    assert chat.say("Hello!").reply.text.startswith("Hello!") and chat.say("Guten Tag").reply.text.startswith("Guten Tag")
    assert chat.say("ok thanks a lot").reply.text.startswith("You are welcome") and chat.say("Tschüss").reply.text.startswith("Auf")
    assert chat.say("Hello, do you sell cars?").reply.outcome == "unanswered", "a greeting before a question is no small talk"


def test_a_suggestion_shows_what_a_customer_needs(shop: Shop, clock: Clock) -> None:
    def suggests(text: str) -> Reply:
        return Reply(["LA-012"], 0.6, facts={"items": [{"id": "LA-012", "name": "Lamp", "price": 49.0, "score": 0.4, "reason": "oak"}]})

    desk = Desk("shop", parse_policy('unknown = "recommend"', "policy.toml"), {"recommend": suggests}, now=clock)
    reply = Chat(desk).say("something for a hallway").reply
    assert reply.cards[0].kind == "products" and reply.cards[0].items == ({"name": "Lamp", "price": 49.0, "reason": "oak"},)


def test_a_person_takes_over(chat: Chat) -> None:
    found = chat.say("Let me talk to a human")
    assert (found.reply.outcome, found.status) == ("handed_over", "with_person") and "colleague, who will read" in found.reply.text


def test_after_two_messages_without_an_answer_a_person_takes_over(chat: Chat) -> None:
    assert chat.say("Do you sell cars?").reply.outcome == "unanswered"
    assert chat.say("Do you sell boats?").reply.outcome == "handed_over"


def test_a_yes_to_the_offer_of_a_person_hands_over(chat: Chat) -> None:
    chat.say("Do you sell cars?")
    assert chat.say("yes please").reply.outcome == "handed_over"


def test_outside_of_hours_it_says_so(shop: Shop, clock: Clock) -> None:
    closed = 0
    for moment in ("2026-11-30T12:30+00:00", "2026-12-01T10:00+00:00", "2026-12-28T10:00+00:00"):
        clock.now = datetime.fromisoformat(moment).timestamp()
        closed += "Nobody is here" in Chat(made(shop, clock)).say("Let me talk to a human").reply.text
    assert closed == 3


def test_a_message_of_any_size_is_answered(chat: Chat) -> None:
    assert chat.say("x" * (LONGEST_MESSAGE + 1)).reply.outcome == "asked"
    assert chat.say("  \n ").reply.outcome == "asked"


def test_a_conversation_is_one_text(shop: Shop, clock: Clock) -> None:
    desk = made(shop, clock, live=False)
    said = ["Please cancel FH-20103", "yes", "How long does standard delivery take?"]
    assert read_messages(written(said)) == said and read_messages("[{ nothing") == ["[{ nothing"] and read_messages("hello") == ["hello"]
    assert answer_last(desk, written(said)).reply.member == "answer" and shop.asked == [], "earlier messages make no calls"
    assert answer_last(desk, written(said[:2])).reply.outcome == "done" and shop.asked == []
    corrected = ["Where is my order", "FH-20103 nia@example.org", "sorry, it is nia@example.com"]
    assert answer_last(desk, written(corrected)).reply.text == "Order FH-20103 is delivered."
    later = answer_last(desk, written([*corrected[:1], "FH-20103 nia@example.com", "yes"])).reply
    assert later.outcome == "unanswered", "no person was offered"


def test_a_yes_to_another_models_question_settles_nothing(shop: Shop, clock: Clock) -> None:
    desk = made(shop, clock, live=False)
    proposed = answer_last(desk, "Please cancel FH-20103").reply
    outcomes = [
        answer_last(desk, written([_said("user", "Please cancel FH-20103"), _said("assistant", text), _said("user", "yes")])).reply.outcome
        for text in (proposed.text, f" {proposed.text}\n", "Shall I send you a catalogue?")
    ]
    assert outcomes == ["done", "done", "unanswered"]


def _said(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


@pytest.mark.parametrize(
    ("said", "means"),
    [
        *((text, True) for text in ("yes", "Yes, please!", "ok do it", "Ja, bitte")),
        *((text, False) for text in ("no", "No thanks.", "nein danke")),
        *((text, None) for text in ("yes but to another address", "ok cancel that", "no wait, yes", "what?", "", "yesterday", "nothing")),
        *((text, None) for text in ("do it not", "I said yes to the other question about the sofa I bought")),
    ],
)
def test_only_a_clear_yes_is_one(said: str, means: bool | None) -> None:
    assert decision(said) is means


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("yes that's right, cancel it", True),
        ("yes, cancel the order", True),
        ("yes and also change my address", None),
        ("yes but FH-20104 instead", None),
        ("actually no, keep it, my sister wants the bench", False),
        ("no wait, that's my old office", False),
        ("does cancelling cost me anything?", None),
        ("not sure", None),
    ],
)
def test_with_a_call_that_waits_a_yes_may_name_it_and_a_no_may_go_on(said: str, means: bool | None) -> None:
    assert decision(said, "Cancel order FH-20103 of nia@example.com") is means


def test_free_text_that_was_asked_for_comes_without_its_article() -> None:
    stock = Tool("stock", "", {"type": "object", "properties": {"product": {"type": "string"}}, "required": ["product"]})
    said = {"the Blanket Box": "Blanket Box", "Die Wolldecke": "Wolldecke", "The": "The", "a lamp": "lamp", "Thea lamp": "Thea lamp"}
    assert {message: spoken_arguments(stock, ["product"], message, True)["product"] for message in said} == said


def test_a_question_is_no_address(shop: Shop, clock: Clock) -> None:
    address = {"type": "string", "minLength": 8, "title": "new address"}
    tool = Tool("move", "Change the address.", {"type": "object", "properties": {"address": address}, "required": ["address"]})
    desk = Desk("shop", parse_policy('unknown = "act move"', "policy.toml"), {}, (tool,), now=clock)
    chat = Chat(desk)
    assert chat.say("Please change my address").reply.outcome == "asked"
    assert chat.say("can I have a refund instead of waiting?").reply.outcome == "asked", (
        "it asks again, and takes no question for an address"
    )
    proposed = chat.say("21 Park Lane, Leeds LS1 3HB").reply
    assert proposed.call is not None and proposed.call.arguments == {"address": "21 Park Lane, Leeds LS1 3HB"}


def test_an_order_with_its_proof_is_looked_up_whatever_the_intent(chat: Chat) -> None:
    assert chat.say("hello again, fh 20103 of nia@example.com").reply.text == "Order FH-20103 is delivered."
    assert chat.say("Let me talk to a human about the bill").reply.outcome == "unanswered", "without the proof nothing is looked up"


def test_the_label_for_no_intent_is_none(shop: Shop, clock: Clock) -> None:
    def lost(text: str) -> Reply:
        return Reply("out_of_scope", 0.99)

    policy = parse_policy('unknown = "say thanks"\n[intents]\n"*" = "person"\n[texts.thanks]\nen = "Thanks"', "policy.toml")
    desk = Desk("shop", policy, {"intents": lost}, no_intent="out_of_scope", now=clock)
    assert Chat(desk).say("What is love?").reply.text == "Thanks"


def test_an_order_number_may_come_without_its_letters(chat: Chat) -> None:
    chat.say("Where is my order")
    assert chat.say("20103. nia@example.com").reply.text == "Order FH-20103 is delivered."


def test_the_language_is_that_of_the_message() -> None:
    assert language_of("Wo ist meine Bestellung?", "", ("en", "de")) == "de"
    assert language_of("Where is my order?", "de", ("en", "de")) == "en"
    assert language_of("FH-20103", "de", ("en", "de")) == "de" and language_of("Wo ist das", "", ("en",)) == "en"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('[intents]\n"*" = "ring a bell"', "must be answer, act"),
        ('[hours]\nmonday = "9 to 5"', "must be hours"),
        ('[hours]\ntimezone = "Mars/Base"', "must be a time zone"),
        ("least_intent = 2", "least_intent"),
        ("[[", "not TOML"),
        ('unknown = ["answer", "act", "person", "recommend", "say x", "answer"]', "unknown"),
    ],
)
def test_a_mistaken_policy_is_told(text: str, what: str) -> None:
    with pytest.raises(RecipeError, match=what):
        parse_policy(text, "policy.toml")


def test_an_empty_policy_answers_from_documents() -> None:
    assert DeskPolicy().steps("anything") == ("answer",) and DeskPolicy().steps("") == ("answer",)


def test_a_waiting_call_is_corrected_and_needs_a_yes_of_its_own(chat: Chat, shop: Shop) -> None:
    assert chat.say("please cancel FH-20103").reply.outcome == "proposed"
    corrected = chat.say("no, FH-20104").reply
    assert corrected.outcome == "proposed" and corrected.call is not None and corrected.call.arguments == {"order": "FH-20104"}
    assert shop.asked == []
    assert chat.say("yes").reply.outcome == "done" and shop.asked == ["/orders/FH-20104/cancel"]


def test_without_its_tool_file_nothing_is_proposed_and_nobodys_contact_is_carried_to_another_order(shop: Shop, clock: Clock) -> None:
    """A bundle says neither how a tool is called nor what guards it, so a call of it would be proposed for anybody's order."""
    known = tuple(replace(tool, target=None, guard=None) for tool in shop.tools)
    guarded = {"type": "object", "properties": {"order": ORDER, "email": EMAIL}, "required": ["order", "email"]}
    known = (known[0], replace(known[1], schema=guarded))
    box = Toolbox(known, shop.store, {}, now=lambda: datetime.fromtimestamp(clock(), UTC))
    members: dict[str, Member] = {"intents": sorts, "answer": quotes, "act": calls}
    measured = Desk("shop", parse_policy(POLICY, "policy.toml"), members, known, box, now=clock)
    served = [measured.for_customers(), measured.live_with(box, "shop").for_customers()]
    for desk in served:
        chat = Chat(desk)
        said = [chat.say(text).reply for text in ("please cancel FH-20103", "nia@example.com", "no, FH-20104", "where is my order")]
        assert [reply.outcome for reply in said if reply.call is not None or reply.outcome in ("asked", "proposed", "done")] == []
        assert desk.left_out == ("order_status", "cancel_order") and desk.tools == ()
    assert box.propose(ToolCall("cancel_order", {"order": "FH-20104", "email": "nia@example.com"}), ToolUser("c")) == ToolResult(
        "failed", reason="it is not known how this tool is called"
    )
    chat = Chat(measured)
    chat.say("please cancel FH-20103")
    assert chat.say("nia@example.com").reply.outcome == "proposed", "to measure a desk, what it would propose is told"
    whole = made(shop, clock).for_customers()
    assert whole.left_out == () and Chat(whole).say("please cancel FH-20103").reply.outcome == "proposed"


def test_a_call_with_the_whole_message_is_confirmed_and_not_corrected_by_the_yes(shop: Shop, clock: Clock) -> None:
    sentence = {"type": "string", "whole_message": True}
    schema = {"type": "object", "properties": {"sentence": sentence}, "required": ["sentence"]}
    tool = Tool("note", "Leave a note.", schema, words={"": "Note: {sentence}"}, target=None)
    desk = Desk("desk", DeskPolicy(), {"act": lambda text: Reply({"tool": "note", "arguments": {}}, 0.9)}, [tool], now=clock)
    desk = desk.with_policy(parse_policy('unknown = "act note"', "test"))
    before = DeskConversation("c", "desk", "test")
    proposed = desk.answer(before, "Castle Street is closed")
    assert proposed.reply.outcome == "proposed" and proposed.reply.text.count("Note: Castle Street is closed") == 1
    done = desk.answer(replace(before, state=proposed.state), "yes")
    assert done.reply.outcome == "done" and done.reply.facts["call"]["arguments"] == {"sentence": "Castle Street is closed"}


def test_a_message_in_another_language_is_told_which_it_understands(chat: Chat) -> None:
    reply = chat.say("Bonjour, combien coûte la livraison pour mon canapé?").reply
    assert reply.outcome == "unanswered" and "English and German" in reply.text
    assert is_foreign("Где мой заказ?") and not is_foreign("Where is my order?") and not is_foreign("Wo ist mein Paket?")


def test_an_angry_message_without_an_answer_goes_to_a_person(chat: Chat) -> None:
    assert chat.say("this is ridiculous, your purple elephant ate my sofa").reply.outcome == "handed_over"


def test_two_questions_get_two_quotations_only_if_both_are_sure(shop: Shop, clock: Clock) -> None:
    quoted = {"what does delivery cost?": "Delivery costs £3.95.", "when is the shop open?": "We open at nine every day."}

    def asked(text: str) -> Reply:
        found = quoted.get(text.casefold().strip())
        if found is None:
            return Reply(None, 0.9)
        passage = {"id": "policies.md", "title": "Policies", "heading": "", "question": "", "text": found, "start": 0, "page": None}
        return Reply({"id": "policies.md", "text": found}, 0.95, facts={"passages": [passage]})

    desk = made(shop, clock, answer=asked).sure_by(replace(STARTING, threshold=0.5))
    conversation = DeskConversation("c", "shop", "widget")
    both = desk.answer(conversation, "What does delivery cost? When is the shop open?").reply
    assert both.outcome == "answered" and [cited.text for cited in both.citations] == list(quoted.values())
    assert desk.answer(conversation, "What does delivery cost? Do you sell any elephants?").reply.outcome == "unanswered"


def test_two_quotations_are_given_where_neither_is_sure_enough_and_both_together_are(shop: Shop, clock: Clock) -> None:
    passages = [
        {"id": "terms.md", "title": "Terms", "heading": "Returns", "text": "Send it back within 30 days.", "start": 0},
        {"id": "terms.md", "title": "Terms", "heading": "Refunds", "text": "We refund within 5 days.", "start": 100},
    ]

    def torn(text: str) -> Reply:
        return Reply(None, 0.4, tuple(({"id": "terms.md", "text": str(one["text"])}, 0.45) for one in passages), {"passages": passages})

    desk = made(shop, clock, answer=torn)
    (replies,) = desk.sure_by(STARTING).options(DeskConversation("c", "shop", "widget"), "how many days have I got")
    alone, both = max(one.score for one in replies), together(*(one.score for one in replies))
    assert both > alone
    reply = Chat(desk.sure_by(replace(STARTING, threshold=(alone + both) / 2))).say("how many days have I got").reply
    assert reply.outcome == "answered" and [one.text for one in reply.citations] == [one["text"] for one in passages]
    assert reply.text.startswith("I am not quite sure. One of these may answer it:") and reply.score == pytest.approx(both)
    unsure = Chat(desk.sure_by(replace(STARTING, threshold=both + 0.01))).say("how many days have I got").reply
    assert unsure.outcome == "unanswered" and [one.text for one in unsure.citations] == [one["text"] for one in passages]
    assert "It may stand under “Returns” or “Refunds”." in unsure.text
    assert len(Chat(desk.sure_by(replace(STARTING, threshold=alone - 0.01))).say("how many days have I got").reply.citations) == 1


def test_a_desk_without_documents_has_no_quotations_to_judge(shop: Shop, clock: Clock) -> None:
    desk = Desk("shop", parse_policy(POLICY, "policy.toml"), {"intents": sorts, "act": calls}, shop.tools, now=clock).sure_by(STARTING)
    conversation = DeskConversation("c", "shop", "widget")
    assert desk.options(conversation, "is the earth flat") == []
    ((reply,),) = desk.options(conversation, "please cancel FH-20103")
    assert reply.facts["judged"]["kind"] == "act" and reply.outcome == "proposed"
