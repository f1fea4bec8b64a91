"""A desk in the Studio: its channels with secrets that nobody reads back, its conversations, and the desk served to customers."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient
from tests.desk.channels.vendor import Asked, Vendor, vendor
from tests.desk.routes.serving import Visitor
from tests.desk_project import desk_bundle, desk_project

from smidgen.core.conversations import Card, Citation, DeskAnswer, DeskReply, IncomingMessage
from smidgen.desk.engines import packed_key
from smidgen.desk.store.conversation_store import ConversationStore
from smidgen.desk.studio.desk_serving import (
    conversations_url,
    desk_text,
    held_desk,
    hold_channel,
    is_outdated,
    kept_secrets,
    write_desk_file,
)
from smidgen.store.files import home
from smidgen.studio.api import access as rules
from smidgen.studio.api.access import COOKIE, StudioAccess
from smidgen.studio.flows.material import material_path
from smidgen.studio.flows.recipes.project_recipe import project_folder
from smidgen.studio.flows.serving.servers import serving_folder
from smidgen.studio.store.projects import StudioStore
from smidgen.tools.known_files import remember_tool_file

from .test_serving_routes import wait

TOKEN = "8012345:secret-of-the-bot"
NOTHING = {"conversations": 0, "waiting": 0, "delivered": 0, "dead": 0, "error": ""}


@pytest.fixture
def project(store: StudioStore) -> str:
    return store.create("Shop", "desk").id


@pytest.fixture
def path(project: str) -> str:
    return f"/api/v1/projects/{project}"


@pytest.fixture
def telegram() -> Iterator[Vendor]:
    def answer(asked: Asked) -> Any:
        if TOKEN not in asked.path:
            return 401, {}, {"ok": False, "error_code": 401, "description": f"Unauthorized {asked.path}"}
        return 200, {}, {"ok": True, "result": {"username": "fern_bot"}}

    with vendor(answer) as found:
        yield found


@contextmanager
def talked(project: str) -> Iterator[tuple[ConversationStore, str, str]]:
    """The project's conversations, with one of the widget and one by e-mail; yields the store and both ids."""
    serving_folder(project)
    with ConversationStore(conversations_url(project)) as store:
        one = store.open_conversation("shop", "widget", "hash", "en")
        quote = Citation(
            "policies.md", "Policies", "Delivery costs £7.95.", 0, 21, "Delivery", passage="Delivery costs £7.95. It takes a week."
        )
        card = Card("order", "Order FH-20103", ({"status": "sent", "name": "Nia Jones"},))
        reply = DeskReply("answered", "Delivery costs £7.95.", "answer", "delivery", 0.9, (quote,), (card,), facts={"why": "near"})
        one = store.record(one, "Where is FH-20103? I am nia@example.com", DeskAnswer(reply, {}))
        store.give_feedback(one.id, one.turns[-1].id, "down", "call me: 07700 900123")
        store.inbox.receive(IncomingMessage("email", "m1", "t1", "nia@example.com", "I want a person", "Order"), "shop")
        taken = store.inbox.take(60, "shop")
        assert taken is not None
        store.inbox.finish(taken, DeskAnswer(DeskReply("handed_over", "A person will write."), {}, "with_person"))
        yield store, one.id, taken.conversation.id


def test_a_channel_is_tried_and_its_key_never_comes_back(
    client: TestClient, store: StudioStore, project: str, path: str, telegram: Vendor
) -> None:
    before = client.get(f"{path}/channels").json()
    kinds = [one["kind"] for one in before["channels"]]
    assert {"chatwoot", "email", "slack", "telegram", "whatsapp"} <= set(kinds) and before["desk"] == before["script"] == ""
    settings = {"api": telegram.url}
    wrong = client.put(f"{path}/channels/telegram", json={"on": True, "settings": settings})
    assert wrong.status_code == 400 and "needs all its keys" in wrong.text, "a channel without its keys cannot be switched on"
    tried = client.post(f"{path}/channels/telegram/try").json()
    assert tried["works"] is False and tried["what"]
    keys = {"token_env": TOKEN + "x", "secret_env": "own"}
    shown = client.put(f"{path}/channels/telegram", json={"on": True, "settings": settings, "secrets": keys})
    assert shown.status_code == 200 and TOKEN not in shown.text
    telegram.answer = lambda asked: (401, {}, {"ok": False, "error_code": 401, "description": f"Unauthorized {asked.path}"})
    refused = client.post(f"{path}/channels/telegram/try")
    assert refused.json()["works"] is False and refused.json()["what"] == "Telegram refused the key" and TOKEN not in refused.text
    telegram.answer = lambda asked: (200, {}, {"ok": True, "result": {"username": "fern_bot"}})
    client.put(f"{path}/channels/telegram", json={"on": True, "settings": settings, "secrets": {"token_env": TOKEN}})
    assert client.post(f"{path}/channels/telegram/try").json()["name"] == "@fern_bot"
    assert telegram.asked[-1].path == f"/bot{TOKEN}/getMe"
    channel = next(one for one in client.get(f"{path}/channels").json()["channels"] if one["kind"] == "telegram")
    assert channel["on"] and channel["tried"]["works"] and all(one["kept"] for one in channel["secrets"])
    assert channel["delivery"] == NOTHING and "token_env" not in channel["fields"]["properties"]
    held = serving_folder(project)
    open_files = [file for file in held.iterdir() if TOKEN.encode() in file.read_bytes()]
    assert [file.name for file in open_files] == ["desk-secrets.json"] and open_files[0].stat().st_mode & 0o077 == 0
    told = tomllib.loads(desk_text(store, project))
    assert told["channels"] == {
        "telegram": {"kind": "telegram", "api": telegram.url, "token_env": "DESK_TELEGRAM_TOKEN", "secret_env": "DESK_TELEGRAM_SECRET"}
    }
    local = client.post(f"{path}/channels/telegram/connect")
    assert local.status_code == 400 and "cannot reach this address" in local.text, "a vendor is told no address of this machine"
    client.put(f"{path}/channels/telegram", json={"on": False, "settings": settings, "secrets": {"token_env": ""}})
    assert set(kept_secrets(project)) == {"DESK_TELEGRAM_SECRET"} and "channels" not in tomllib.loads(desk_text(store, project))


IMPOSSIBLE: list[tuple[str, dict[str, Any]]] = [
    ("channels/pigeon", {"on": False, "settings": {}}),
    ("channels/slack", {"on": False, "settings": {"colour": 1}}),
    ("channels/slack", {"on": False, "settings": {"token_env": "PATH"}}),
    ("channels/slack", {"on": False, "settings": {}, "secrets": {"api": "x"}}),
    ("channels/slack", {"on": False, "settings": {}, "secrets": {"token_env": "a\nb"}}),
    (
        "channels/chatwoot",
        {"on": True, "settings": {"base": "http://10.0.0.1", "account": 1}, "secrets": {"token_env": "a", "secret_env": "b"}},
    ),
    ("webhooks/UPPER", {"url": "https://a.example", "events": ["answered"]}),
    ("webhooks/own", {"url": "http://a.example", "events": ["answered"]}),
    ("webhooks/own", {"url": "https://a.example", "events": ["answered"], "secret": "whsec_short"}),
    ("webhooks/own", {"url": "https://a.example", "events": ["born"]}),
    ("hand-over", {"ways": ["mail"]}),
    ("site", {"public": "http://a.example", "widget": {}}),
    ("site", {"public": "https://a.example/path", "widget": {}}),
    ("site", {"public": "", "widget": {"origins": ["https://a.example; script-src *"]}}),
]


def test_what_cannot_be_is_refused_and_not_held(client: TestClient, project: str, path: str) -> None:
    statuses = [(place, client.put(f"{path}/{place}", json=body).status_code) for place, body in IMPOSSIBLE]
    assert [(place, status) for place, status in statuses if status not in (400, 404, 422)] == [] and len(statuses) > 10
    assert not kept_secrets(project) and not held_desk(project).channels and not held_desk(project).webhooks


def test_a_webhook_gets_a_secret_once_and_a_signed_test(client: TestClient, path: str) -> None:
    with vendor(lambda asked: (200, {}, {})) as receiver:
        wanted = {"url": receiver.url, "events": ["handed_over"]}
        made = client.put(f"{path}/webhooks/zapier", json=wanted).json()["secret"]
        assert made.startswith("whsec_") and client.put(f"{path}/webhooks/zapier", json=wanted).json()["secret"] is None
        assert client.post(f"{path}/webhooks/zapier/try").json()["works"]
        (asked,) = receiver.asked
        assert asked.body["type"] == "desk.test" and asked.headers["webhook-signature"].startswith("v1,")
        shown = client.get(f"{path}/channels")
        assert made not in shown.text and shown.json()["webhooks"][0]["tried"]["works"]
    failed = client.post(f"{path}/webhooks/zapier/try").json()
    assert not failed["works"] and "did not take a message" in failed["what"]
    assert client.delete(f"{path}/webhooks/zapier").status_code == 204
    assert client.get(f"{path}/channels").json()["webhooks"] == []


def test_conversations_are_read_answered_and_closed(client: TestClient, project: str, path: str) -> None:
    assert client.get(f"{path}/conversations").json() == {"total": 0, "waiting": 0, "masked": False, "conversations": []}
    assert client.get(f"{path}/conversations/none").status_code == 404
    with talked(project) as (conversations, shown, mailed):
        choices = {
            "": 2,
            "status=with_person": 1,
            "outcome=answered": 1,
            "channel=email": 1,
            "thumb=down": 1,
            "thumb=up": 0,
            "text=NIA@": 1,
        }
        found = {choice: client.get(f"{path}/conversations?{choice}").json()["total"] for choice in choices}
        assert found == choices
        one = client.get(f"{path}/conversations/{shown}").json()
        reply = one["turns"][1]["reply"]
        assert (reply["outcome"], reply["member"], reply["thumb"], reply["why"]) == ("answered", "answer", "down", "near")
        assert reply["citations"][0]["passage"].startswith("Delivery") and reply["cards"][0]["items"][0]["name"] == "Nia Jones"
        answered = client.post(f"{path}/conversations/{mailed}/reply", json={"text": "It is on its way.", "after": "closed"}).json()
        assert answered["status"] == "closed" and answered["turns"][-1]["by"] == "owner" and answered["turns"][-1]["author"] == "person"
        assert [letter["text"] for letter in answered["undelivered"]] == ["It is on its way.", "A person will write."]
        (pair,) = conversations.pairs("shop")
        assert (pair.question, pair.answer) == ("I want a person", "It is on its way.")
        assert client.post(f"{path}/conversations/{mailed}/reply", json={"text": " "}).status_code == 400
        assert client.post(f"{path}/conversations/{shown}/status", json={"status": "with_person"}).json()["status"] == "with_person"
        figures = client.get(f"{path}/desk-figures").json()
        wanted = {"conversations": 2, "messages": 2, "people": 1, "handed_over": 1, "down": 1, "up": 0, "waiting": 1, "days": 1}
        assert figures == {**wanted, "outcomes": {"answered": 1, "handed_over": 1}}
        assert client.delete(f"{path}/conversations/{shown}").status_code == 204
        assert client.get(f"{path}/conversations/{shown}").status_code == 404


def test_who_may_only_look_sees_no_personal_data(
    stranger: TestClient, access: StudioAccess, project: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = ("nia@example.com", "Nia Jones", "FH-20103", "900123", "mia@shop.example")
    hold_channel(project, "email", False, {"people": ["mia@shop.example"]}, {})
    stranger.cookies.set(COOKIE, "any")
    with talked(project) as (conversations, shown, mailed):
        taken = conversations.outbox.take(60, "shop")
        assert taken is not None and conversations.outbox.bury(taken, "refused")
        pages = (
            "conversations",
            f"conversations/{shown}",
            f"conversations/{mailed}",
            "dead-letters",
            "conversations?text=FH-20103",
            "channels",
        )
        seen = 0
        for role, hidden in (("viewer", True), ("builder", False)):
            monkeypatch.setattr(access, "person", lambda _, role=role: rules.Person("ann", role))
            told = "".join(stranger.get(f"{path}/{page}").text for page in pages)
            assert [word for word in private if word in told] == ([] if hidden else list(private))
            assert "Delivery costs £7.95." in told, "what a document says is no secret"
            seen += 1
        assert seen == 2
        monkeypatch.setattr(access, "person", lambda _: rules.Person("ann", "viewer"))
        assert stranger.get(f"{path}/conversations?text=nosuchword").json()["total"] == 2, "a viewer cannot search for personal data"


def test_dead_letters_are_sent_again_or_dropped(client: TestClient, project: str, path: str) -> None:
    with talked(project) as (conversations, _, _):
        taken = conversations.outbox.take(60, "shop")
        assert taken is not None and conversations.outbox.bury(taken, "the mail server refused the recipient")
        conversations.events.sort({"webhook:own": ("handed_over",)}, "shop")
        event = conversations.events.take(60, "shop")
        assert event is not None and conversations.events.bury(event, "HTTP 410")
        letters = client.get(f"{path}/dead-letters").json()
        assert {(one["place"], one["error"]) for one in letters} == {
            ("email", "the mail server refused the recipient"),
            ("webhook:own", "HTTP 410"),
        }
        channels = client.get(f"{path}/channels").json()
        assert channels["dead"] == 2
        mail = next(one for one in channels["channels"] if one["kind"] == "email")["delivery"]
        assert mail == {**NOTHING, "conversations": 1, "dead": 1, "error": "the mail server refused the recipient"}
        assert [client.post(f"{path}/dead-letters/{one['id']}/retry").status_code for one in letters] == [204, 204]
        assert client.get(f"{path}/dead-letters").json() == [] and conversations.outbox.waiting() == conversations.events.waiting() == 1
        assert client.post(f"{path}/dead-letters/{letters[0]['id']}/retry").status_code == 404
        taken = conversations.outbox.take(60, "shop")
        assert taken is not None and conversations.outbox.bury(taken, "no")
        assert client.delete(f"{path}/dead-letters/{taken.message.id}").status_code == 204
        assert conversations.outbox.dead_count() == 0 and client.delete(f"{path}/dead-letters/event:none").status_code == 404


@pytest.mark.thorough
def test_a_desk_is_served_and_a_person_answers_its_visitor(
    client: TestClient, store: StudioStore, tmp_path_factory: pytest.TempPathFactory
) -> None:
    project = desk_project(store, desk_bundle(tmp_path_factory))
    path = f"/api/v1/projects/{project}"
    assert client.get(path).json()["converses"] is True
    model = client.get(f"{path}/serving").json()["settings"]["model"]
    client.put(f"{path}/site", json={"widget": {"name": "Fern & Hearth", "colour": "#2f5d46"}})
    answer = client.post(f"{path}/serving/start", json={"settings": {"model": model, "redact": False}})
    assert answer.status_code == 200, answer.text
    try:
        found = wait(client, path)
        assert found["state"] == "running", found["log"]
        assert (
            found["desk"]["script"] == f'<script src="{found["url"]}/desk/widget.js" data-desk="shop" data-colour="#2f5d46" async></script>'
        )
        assert found["desk"]["outdated"] is False
        with httpx.Client(base_url=found["url"], timeout=30, trust_env=False) as web:
            page = web.get(found["desk"]["preview"])
            assert page.status_code == 200 and "Fern &amp; Hearth" in page.text
            visitor = Visitor(web, "shop").begin()
            visitor.say("I want to talk to a real person please")
            listed = client.get(f"{path}/conversations?status=with_person").json()
            (head,) = listed["conversations"]
            assert (head["channel"], head["outcome"], listed["waiting"]) == ("widget", "handed_over", 1)
            client.post(f"{path}/conversations/{head['id']}/reply", json={"text": "This is Mia.", "after": "open"})
            assert [turn["text"] for turn in visitor.read()["turns"]][-1] == "This is Mia."
        client.put(f"{path}/site", json={"widget": {"name": "Fern", "colour": "#2f5d46"}})
        assert client.get(f"{path}/serving").json()["desk"]["outdated"] is True
        log = (serving_folder(project) / "log.txt").read_text(encoding="utf-8")
        assert "real person" not in log
    finally:
        client.post(f"{path}/serving/stop")


def test_a_desk_without_its_tool_file_says_which_tools_it_cannot_call(
    client: TestClient, store: StudioStore, tmp_path_factory: pytest.TempPathFactory
) -> None:
    bundle = desk_bundle(tmp_path_factory)
    project = desk_project(store, bundle)
    (home() / "tool_files.json").unlink(missing_ok=True)
    shown = client.get(f"/api/v1/projects/{project}/serving").json()
    assert (shown["state"], shown["uncalled"]) == ("stopped", ["cancel_order"]), "told before the start"
    remember_tool_file(packed_key(bundle), bundle.parent / "tools.toml")
    assert client.get(f"/api/v1/projects/{project}/serving").json()["uncalled"] == []


def test_a_tool_file_and_its_secrets_go_to_the_desk_alone(store: StudioStore, project: str) -> None:
    folder = project_folder(project)
    folder.mkdir(parents=True)
    (folder / "tools.toml").write_text("[tools.none]\n", encoding="utf-8")
    recipe = {"name": "shop", "task": "desk", "desk": {"tools": "tools.toml"}}
    store.update(project, settings={"recipe": recipe})
    told = tomllib.loads(desk_text(store, project))
    assert (told["tools"], told["tool_secrets"]) == (str(folder / "tools.toml"), "tool_secrets.json")
    assert is_outdated(store, project, 0.0), "it was never started"
    now = (write_desk_file(store, project).stat().st_mtime) + 1
    assert not is_outdated(store, project, now)
    os.utime(folder / "tools.toml", (now + 5, now + 5))
    assert is_outdated(store, project, now), "its tools were changed"
    (folder / "tools.toml").write_text("# none yet\n", encoding="utf-8")
    assert "tools" not in tomllib.loads(desk_text(store, project)), "a desk without tools is served"
    recipe["desk"] = {"tools": "../../../studio.db"}
    store.update(project, settings={"recipe": recipe})
    assert "tools" not in tomllib.loads(desk_text(store, project)), json.dumps(told)


def test_corrections_are_proposed_decided_and_added_to_the_desks_data(client: TestClient, store: StudioStore) -> None:
    project = client.post("/api/v1/projects", json={"name": "Shop", "task": "desk"}).json()["id"]
    path, folder = f"/api/v1/projects/{project}", project_folder(project)
    documents = material_path(store.project(project), "documents")
    documents.mkdir(parents=True, exist_ok=True)
    (documents / "delivery.md").write_text("# Delivery\n\nDelivery to Ireland takes five working days.\n", encoding="utf-8")
    assert client.get(f"{path}/corrections").json() == {"total": 0, "corrections": []}
    with talked(project) as (conversations, shown, mailed):
        turn = client.get(f"{path}/conversations/{shown}").json()["turns"][1]["id"]
        (quote,) = [one for one in client.get(f"{path}/quotes?text=how long to Ireland").json() if one["document"] == "delivery.md"]
        place = f"{path}/conversations/{shown}/turns/{turn}/correction"
        impossible = [{"kind": "say"}, {"kind": "quote", "quote": "x"}, {"kind": "sing"}]
        assert [client.post(place, json=body).status_code for body in impossible] == [400, 400, 422]
        assert client.post(f"{path}/conversations/{mailed}/turns/{turn}/correction", json={"kind": "nothing"}).status_code == 404
        asked = {"kind": "quote", "question": "How long to Ireland?", "document": quote["document"], "quote": quote["text"]}
        made = client.post(place, json=asked).json()
        assert (made["kind"], made["state"], made["question"]) == ("thumb_down", "waiting", "How long to Ireland?")
        other = conversations.open_conversation("shop", "widget", "h2", "en")
        other = conversations.record(other, "can you sing?", DeskAnswer(DeskReply("answered", "La la."), {}))
        made = client.post(f"{path}/conversations/{other.id}/turns/{other.turns[-1].id}/correction", json={"kind": "nothing"}).json()
        assert (made["kind"], made["question"], made["unanswerable"], made["by"]) == ("proposed", "can you sing?", True, "owner")
        waiting = client.get(f"{path}/corrections").json()
        assert waiting["total"] == 2
        words = ("question", "answer", "intent", "document", "quote", "unanswerable")
        for one in waiting["corrections"]:
            kept = {name: one[name] for name in words if name != "intent"}
            decided = client.post(f"{path}/corrections/{one['id']}", json={"state": "approved", **kept}).json()
            assert decided["state"] == "approved" and decided["by"] == "owner"
        assert len(waiting["corrections"]) == 2 and client.get(f"{path}/corrections").json()["total"] == 0
        reopened = client.post(f"{path}/corrections/{other.turns[-1].id}", json={"state": "waiting"}).json()
        assert reopened["state"] == "waiting" and reopened["unanswerable"], "a proposal keeps its words"
        client.post(f"{path}/corrections/{other.turns[-1].id}", json={"state": "rejected"})
        added = client.post(f"{path}/corrections/add").json()
        assert added["added"] == 1, added
        questions = material_path(store.project(project), "questions").read_text(encoding="utf-8").splitlines()
        assert {"input": "How long to Ireland?", "output": {"id": "delivery.md", "text": quote["text"]}} in [
            json.loads(one) for one in questions
        ]
        assert client.post(f"{path}/corrections/add").json()["added"] == 0 and folder.is_dir()
        assert client.post(f"{path}/corrections/none", json={"state": "approved"}).status_code == 404
