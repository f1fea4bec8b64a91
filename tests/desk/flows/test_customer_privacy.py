"""Customers' personal data is replaced in what a desk keeps, tells people and webhooks, and sends to a large model; not in its answers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.desk.channels.vendor import vendor
from tests.desk_project import POLICY, desk_bundle
from tests.eventually import eventually

from smidgen.core.conversations import Card, Citation, DeskAnswer, DeskReply, IncomingMessage, ProposedCall
from smidgen.core.errors import DataError, InputError
from smidgen.core.progress import Silent
from smidgen.desk.channels.channel import WebhookAnswer, WebhookRequest
from smidgen.desk.flows.customer_privacy import HIDDEN, CustomerMasking, customer_masking
from smidgen.desk.flows.hand_over import summary_data
from smidgen.desk.flows.inbox import take_in
from smidgen.desk.policy import CustomerPrivacy
from smidgen.desk.routes.desk_file import shown_desks
from smidgen.desk.store.conversation_store import ConversationStore
from smidgen.desk.store.tables import ConversationMissing
from smidgen.flows.build.pipeline import build
from smidgen.flows.local_model import load
from smidgen.flows.redaction_model import SHIPPED
from smidgen.gateway.route_settings import FallbackSettings, PrivacySettings
from smidgen.parts import recipe
from smidgen.server.app import with_own_privacy
from smidgen.server.settings import ServeSettings

SAID = "Cancel FH-20104, I am nia@example.com"
MASKED = "Cancel FH-20104, I am [EMAIL_1]"


@pytest.fixture
def masking() -> CustomerMasking:
    """By patterns alone."""
    return CustomerMasking(CustomerPrivacy(policy="mask"), None)


@pytest.fixture
def store(tmp_path: Path, masking: CustomerMasking) -> Iterator[ConversationStore]:
    with ConversationStore(f"sqlite:///{tmp_path}/conversations.db", masking=masking) as mine:
        yield mine


def _brought(text: str) -> WebhookAnswer:
    return WebhookAnswer(messages=(IncomingMessage("slack", "1", "T1", "U1", text),))


def answer() -> DeskAnswer:
    call = ProposedCall("a1", "cancel_order", {"order": "FH-20104", "email": "nia@example.com"}, "Cancel order FH-20104 of nia@example.com")
    card = Card("order", "Order FH-20104", ({"state": "sent", "to": "nia@example.com"},))
    reply = DeskReply("proposed", "Cancel it for nia@example.com?", "act", "cancel", 0.9, cards=(card,), call=call, facts={"said": SAID})
    return DeskAnswer(reply, {"question": SAID, "waiting": {"id": "a1", "arguments": {"email": "nia@example.com"}}})


def test_what_is_kept_has_no_personal_data_and_what_is_sent_has(store: ConversationStore) -> None:
    take_in(store, "shop", "slack", _brought(SAID))
    taken = store.inbox.take(60)
    assert taken is not None and taken.message.text == SAID and store.inbox.finish(taken, answer())
    sent = store.outbox.take(60)
    assert sent is not None and sent.message.text == "Cancel it for nia@example.com?" and sent.message.reply == answer().reply
    (asked, replied) = store.conversation(taken.conversation.id).turns
    assert (asked.text, replied.text) == (MASKED, "Cancel it for [EMAIL_1]?")
    assert replied.reply is not None and replied.reply.call is not None
    assert (replied.reply.call.id, replied.reply.call.arguments["email"]) == ("a1", "[EMAIL_1]")
    state = store.conversation(taken.conversation.id).state
    assert state["question"] == MASKED and state["waiting"] == answer().state["waiting"], "the call that waits can still be made"
    store.outbox.delivered(sent, "v-1")
    with store.database.reading() as connection:
        rows = [
            str(row)
            for table in ("turns", "inbox", "outbox", "desk_events")
            for row in connection.exec_driver_sql(f"SELECT * FROM {table}")
        ]
    assert len(rows) >= 4 and not [row for row in rows if "nia@" in row]
    assert store.outbox.failed_late("slack", "v-1", "it bounced")
    (letter,) = store.outbox.dead()
    assert letter.message.text == ""
    with pytest.raises(ConversationMissing, match="words of this message were not kept"):
        store.outbox.send_again(letter.message.id)


def test_the_visitor_of_a_site_reads_what_was_said(store: ConversationStore) -> None:
    conversation = store.open_conversation("shop", "widget")
    after = store.record(conversation, SAID, answer())
    assert [turn.text for turn in after.turns] == [SAID, "Cancel it for nia@example.com?"] and after.turns[1].reply == answer().reply
    assert [turn.text for turn in store.conversation(conversation.id).turns] == [MASKED, "Cancel it for [EMAIL_1]?"]
    alone = store.record(store.conversation(conversation.id), "I am nia@example.com", None)
    assert alone.turns[-1].text == "I am nia@example.com" and store.conversation(conversation.id).turns[-1].text == "I am [EMAIL_1]"


def test_a_summary_numbers_people_once_and_keeps_quotations(masking: CustomerMasking, tmp_path: Path) -> None:
    with ConversationStore(f"sqlite:///{tmp_path}/whole.db") as store:
        conversation = store.open_conversation("shop", "email", "nia@example.com")
        quoted = DeskReply("answered", "Write to help@shop.example.", "answer", citations=(Citation("d", "Help", "help@", 0, 5),))
        store.record(conversation, "I am nia@example.com", DeskAnswer(quoted, {}))
        handed = DeskReply("handed_over", "A person will answer nia@example.com.", facts={"email": "nia@example.com"})
        store.record(store.conversation(conversation.id), "Ask owen@example.com", DeskAnswer(handed, {}, "with_person"))
        event = store.events.listed("shop", "handed_over")[0]
        told = summary_data(store, event, masking)["summary"]
        assert told["who"] == "email [EMAIL_1]" and told["question"] == "Ask [EMAIL_2]"
        assert "Write to help@shop.example." in told["text"] and "nia@" not in told["text"] and "owen@" not in told["text"]
        assert "nia@" in summary_data(store, event)["summary"]["text"] and "owen@" not in str(masking.event(event).body)


def test_a_text_that_cannot_be_made_safe_is_not_kept(masking: CustomerMasking) -> None:
    assert masking.text("my card is 4111\u200b1111\u200b1111\u200b1111") in (HIDDEN, "my card is [CARD_1]")
    assert masking.text("1\ufe00\ufe01\ufe02 hidden") == HIDDEN


def test_its_own_model_finds_names_in_a_served_desk(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TELEGRAM_SECRET", "TELEGRAM_BOT_TOKEN"):
        monkeypatch.setenv(name, "s3cret")
    monkeypatch.setenv("HOOK", "whsec_" + "A" * 32)
    monkeypatch.setenv("SMIDGEN_CONVERSATIONS_URL", f"sqlite:///{tmp_path}/conversations.db")
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path))
    made = desk_bundle(tmp_path_factory).parent
    for name in ("intents", "tools.toml", "talks.jsonl"):
        (shutil.copytree if name == "intents" else shutil.copyfile)(made / name, tmp_path / name)  # type: ignore[operator]
    own = {"members": {"intents": "intents", "redaction": str(SHIPPED)}, "policy": "policy.toml", "conversations": "talks.jsonl"}
    wanted = recipe.make({"name": "shop", "task": "desk", "desk": {**own, "tools": "tools.toml"}}, folder=tmp_path)
    (tmp_path / "policy.toml").write_text(f'{POLICY}\n[privacy]\npolicy = "mask"\nkinds = ["shoes=mask"]\n', encoding="utf-8")
    with pytest.raises(InputError, match="kind of personal data"):
        build(wanted, tmp_path / "desk", threads=1, progress=Silent(), listed=False)
    (tmp_path / "policy.toml").write_text(f'{POLICY}\n[privacy]\npolicy = "mask"\n', encoding="utf-8")
    build(wanted, tmp_path / "desk", threads=1, progress=Silent(), listed=False)
    model = load(tmp_path / "desk", threads=1)
    served = with_own_privacy(ServeSettings(fallback=FallbackSettings(urls=("http://127.0.0.1:9/v1",), models=("big",))), [model])
    assert (served.privacy.policy, served.privacy.bundle) == ("mask", model.folder / "members" / "redaction")
    said = served.model_copy(update={"privacy": PrivacySettings(policy="card")})
    assert with_own_privacy(said, [model]).privacy.policy == "card" and with_own_privacy(ServeSettings(), [model]) == ServeSettings()
    text = "I am Margaret Holloway, let me speak to a human"
    message = {"message_id": 1, "chat": {"id": 5, "type": "private"}, "from": {"id": 5}, "text": text}
    with vendor() as telegram, vendor() as hook:
        file = tmp_path / "desk.toml"
        channel, webhook = f'kind = "telegram"\napi = "{telegram.url}"', f'url = "{hook.url}/"\nsecret_env = "HOOK"'
        file.write_text(f"[channels.chat]\n{channel}\n[webhooks.own]\n{webhook}\n", encoding="utf-8")
        with shown_desks(file, [model]) as shown:
            channels, store = shown[0].channels, shown[0].store
            assert channels is not None
            headers = {"x-telegram-bot-api-secret-token": "s3cret"}
            channels.receive("chat", WebhookRequest("POST", headers, {}, json.dumps({"update_id": 1, "message": message}).encode()))
            eventually(lambda: hook.asked, 30)
            (kept,) = store.conversations().conversations
            assert kept.first == "I am [PERSON_1], let me speak to a human"
    assert "[PERSON_1]" in json.dumps(hook.asked[0].body) and "Holloway" not in json.dumps(hook.asked[0].body)
    assert customer_masking(model) is not None


def test_a_member_that_finds_no_spans_is_refused(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    made = desk_bundle(tmp_path_factory).parent
    own = {"members": {"intents": str(made / "intents"), "redaction": str(made / "intents")}, "conversations": str(made / "talks.jsonl")}
    with pytest.raises(DataError, match="does not find spans"):
        wanted = recipe.make({"name": "shop", "task": "desk", "desk": own}, folder=tmp_path)
        build(wanted, tmp_path / "desk", threads=1, progress=Silent(), listed=False)
