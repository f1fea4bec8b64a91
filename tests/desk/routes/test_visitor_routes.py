"""The calls of the chat's frame: every route against foreign pages and foreign tokens, streams, repeats, restarts, limits."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.desk.routes.sample_desk import SampleDesk
from tests.desk.routes.serving import ShownDesk, Visitor, events_of, shown_desk

from smidgen.desk.routes.conversation_json import decision_turn, pieces
from smidgen.desk.routes.served_desk import ServedDesk
from smidgen.desk.store.conversation_store import ConversationStore
from smidgen.server.app import create_app
from smidgen.server.settings import ServeSettings

QUESTION = "How long does standard delivery take?"
CALLS: dict[str, tuple[str, str, Any]] = {
    "begin": ("POST", "", {}),
    "read": ("GET", "/{id}", None),
    "write": ("POST", "/{id}/messages", {"id": "a" * 32, "text": QUESTION}),
    "decide": ("POST", "/{id}/calls/{call}", {"yes": True}),
    "rate": ("POST", "/{id}/turns/{turn}/feedback", {"verdict": "up"}),
    "person": ("POST", "/{id}/person", {"email": ""}),
}
"""Every route that the frame calls: method, path, body."""


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[ShownDesk]:
    with shown_desk(tmp_path) as found:
        yield found


def call_of(visitor: Visitor, name: str, headers: dict[str, str]) -> httpx.Response:
    """One of the calls, about a conversation in which a call is proposed."""
    method, path, body = CALLS[name]
    names = {"id": visitor.id, "call": "none", "turn": "none"}
    if visitor.id:
        for turn in visitor.read()["turns"]:
            if "reply" in turn:
                names["turn"] = turn["id"]
                names["call"] = turn["reply"].get("call", {}).get("id", names["call"])
    return visitor.client.request(method, visitor.path + path.format(**names), json=body, headers=headers)


def test_each_call_is_refused_to_foreign_pages_and_foreign_tokens(shown: ShownDesk) -> None:
    mine = shown.visitor().begin()
    mine.say("Please cancel FH-20110")
    stranger = shown.visitor().begin()
    before = mine.read()
    foreign_pages = [{"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}]
    foreign_tokens = ["", "x", stranger.token, mine.token[:-1], mine.token + "0", "x" * 5000]
    seen = 0
    for name, (method, _, _) in CALLS.items():
        for headers in foreign_pages:
            refused = call_of(mine, name, {"x-smidgen-conversation": mine.token, **headers})
            assert (refused.status_code, refused.json()["error"]["code"]) == (403, "origin_not_allowed"), name
            seen += 1
        if method == "POST":
            assert call_of(mine, name, {"x-smidgen-conversation": mine.token}).status_code == 403
        if name == "begin":
            continue
        answers = set()
        for token in foreign_tokens:
            refused = call_of(mine, name, {**mine.headers, "x-smidgen-conversation": token})
            assert refused.status_code == 404, (name, token)
            answers.add(refused.text)
            seen += 1
        unknown = Visitor(mine.client, mine.desk, "A" * 24, mine.token)
        path = f"{unknown.path}/{unknown.id}"
        answers.add(mine.client.get(path, headers=unknown.headers).text)
        assert len(answers) == 1, "an unknown conversation looks like one with a wrong token"
    assert seen == 3 * len(CALLS) + 6 * (len(CALLS) - 1)
    assert mine.read() == before and shown.desk.ran == [] and stranger.read()["turns"] == []


def test_an_unknown_desk_has_nothing(shown: ShownDesk) -> None:
    visitor = Visitor(shown.client, "another")
    for path in ("/frame", "/conversations"):
        told = shown.client.request("GET" if path == "/frame" else "POST", f"/desk/another{path}", json={}, headers=visitor.headers)
        assert (told.status_code, told.json()["error"]["code"]) == (404, "desk_not_found")


def test_an_answer_streams_and_shows_no_more_than_a_visitor_may_see(shown: ShownDesk) -> None:
    visitor = shown.visitor().begin(language="en")
    events = visitor.say(QUESTION)
    names = [name for name, _ in events]
    assert names[:2] == ["status", "accepted"] and names[-2:] == ["turn", "end"] and set(names[2:-2]) == {"text"}
    turn = events[-2][1]["turn"]
    assert "".join(value["text"] for name, value in events if name == "text") == turn["text"]
    assert turn["reply"]["citations"][0]["text"] == turn["text"] and turn["text"] in turn["reply"]["citations"][0]["passage"]
    assert "2 to 4 working days" in turn["reply"]["citations"][0]["passage"]
    assert events[-1][1] == {"status": "open"}
    assert "secret" not in str(events) and "score" not in str(events) and "member" not in str(events)
    assert [one["text"] for one in visitor.read()["turns"]] == [QUESTION, turn["text"]]


def test_pieces_make_the_text_again() -> None:
    for text in ("One. Two! Three? Four", "", "no end", "A\n\nB\nC", "x" * 5000, "1.5 kg costs £3.95. It is light.", ". " * 3000):
        found = pieces(text)
        assert "".join(found) == text and len(found) <= 201
    assert pieces("One. Two.") == ["One. ", "Two."] and pieces("It costs 1.5 units.") == ["It costs 1.5 units."]


def test_a_message_sent_again_is_answered_once(shown: ShownDesk) -> None:
    visitor = shown.visitor().begin()
    first, second = (visitor.say(QUESTION, "b" * 32) for _ in range(2))
    assert [event for event in first if event[0] != "status"] == [event for event in second if event[0] != "status"]
    assert shown.desk.heard == [QUESTION] and len(visitor.read()["turns"]) == 2
    assert visitor.read(message="b" * 32)["known"] and not visitor.read(message="c" * 32)["known"]


def test_two_copies_at_the_same_time_are_answered_once(shown: ShownDesk) -> None:
    visitor = shown.visitor().begin()
    shown.desk.hold.clear()
    told: list[Any] = []
    threads = [threading.Thread(target=lambda: told.append(visitor.say(QUESTION, "d" * 32))) for _ in range(3)]
    for thread in threads:
        thread.start()
    shown.desk.hold.set()
    for thread in threads:
        thread.join(20)
    assert len(told) == 3 and all(events[-1][0] == "end" for events in told)
    assert shown.desk.heard == [QUESTION] and len(visitor.read()["turns"]) == 2


def test_a_failing_desk_is_told_in_the_stream_and_the_message_can_be_sent_again(shown: ShownDesk) -> None:
    visitor = shown.visitor().begin()
    shown.desk.break_next = True
    events = visitor.say(QUESTION)
    assert [name for name, _ in events] == ["status", "error"]
    assert events[-1][1]["status"] == 500 and "secret" not in str(events)
    assert visitor.read()["turns"] == []
    assert visitor.say(QUESTION)[-1] == ("end", {"status": "open"}) and len(visitor.read()["turns"]) == 2


def test_a_visitor_who_leaves_while_an_answer_is_made_finds_it_later(shown: ShownDesk) -> None:
    visitor = shown.visitor().begin()
    shown.desk.hold.clear()
    body = {"id": "e" * 32, "text": QUESTION}
    with visitor.client.stream("POST", f"{visitor.path}/{visitor.id}/messages", json=body, headers=visitor.headers) as response:
        assert next(response.iter_text()).startswith("event: status")
    shown.desk.hold.set()
    found = visitor.say(QUESTION, "e" * 32)
    assert found[-1][0] == "end" and shown.desk.heard == [QUESTION]


def test_a_restart_keeps_the_conversation(tmp_path: Path) -> None:
    with shown_desk(tmp_path) as shown:
        visitor = shown.visitor().begin()
        visitor.say(QUESTION)
        before = visitor.read()
    with shown_desk(tmp_path) as shown:
        again = Visitor(shown.client, "shop", visitor.id, visitor.token)
        assert again.read() == before
        again.say("Where is FH-20103?", "f" * 32)
        assert len(again.read()["turns"]) == 4


def proposed(visitor: Visitor) -> str:
    """The id of a proposed call."""
    call = visitor.say("Please cancel FH-20110", "1" * 32)[-2][1]["turn"]["reply"]["call"]
    assert call["words"] == "Cancel order FH-20110" and call["arguments"] == {"order number": "FH-20110"} and call["decided"] is None
    return str(call["id"])


def test_a_call_runs_once_after_a_yes_and_never_after_a_no(shown: ShownDesk) -> None:
    yes, no = shown.visitor().begin(), shown.visitor().begin()
    runs, drops = proposed(yes), proposed(no)
    assert shown.desk.ran == []
    for _ in range(2):
        events = events_of(yes.post(f"/calls/{runs}", {"yes": True}))
        assert events[-2][1]["turn"]["reply"]["outcome"] == "done"
    assert shown.desk.ran == [runs]
    events_of(yes.post(f"/calls/{runs}", {"yes": False}))
    assert yes.read()["turns"][1]["reply"]["call"]["decided"] is True and len(yes.read()["turns"]) == 4
    assert events_of(no.post(f"/calls/{drops}", {"yes": False}))[-2][1]["turn"]["reply"]["outcome"] == "cancelled"
    assert events_of(no.post(f"/calls/{drops}", {"yes": True}))[-2][1]["turn"]["reply"]["outcome"] == "cancelled"
    assert shown.desk.ran == [runs] and no.read()["turns"][1]["reply"]["call"]["decided"] is False
    foreign = events_of(no.post(f"/calls/{runs}", {"yes": True}))
    assert foreign[-1][0] == "error" and foreign[-1][1]["error"]["code"] == "call_not_found" and shown.desk.ran == [runs]
    assert yes.post(f"/calls/{runs}", {"yes": "true"}).status_code == 422


def test_a_call_waits_until_something_else_is_written(shown: ShownDesk) -> None:
    visitor = shown.visitor().begin()
    proposed(visitor)
    assert visitor.read()["turns"][1]["reply"]["call"]["waits"] is True
    visitor.say(QUESTION, "5" * 32)
    call = visitor.read()["turns"][1]["reply"]["call"]
    assert (call["waits"], call["decided"]) == (False, None)


def test_a_call_that_a_crash_cut_off_is_not_run_again(shown: ShownDesk) -> None:
    visitor = shown.visitor().begin()
    call = proposed(visitor)
    stored = shown.store.conversation(visitor.id)
    shown.store.confirm(stored, "Yes, do it", decision_turn(visitor.id, call, True))  # and then the power failed
    events = events_of(visitor.post(f"/calls/{call}", {"yes": True}))
    assert events[-2][1]["turn"]["reply"]["outcome"] == "failed" and events[-1][1]["status"] == "with_person"
    assert shown.desk.ran == []


def test_a_person_takes_over_and_answers(shown: ShownDesk) -> None:
    visitor = shown.visitor().begin(language="de")
    visitor.say(QUESTION)
    newest = visitor.read()["turns"][-1]["id"]
    for _ in range(2):
        told = visitor.post("/person", {"email": "nia@example.com"}).json()
        assert told["status"] == "with_person"
    assert len(visitor.read(after=newest)["turns"]) == 1 and "nia@example.com" in visitor.read()["turns"][-1]["text"]
    stored = shown.store.conversation(visitor.id)
    assert stored.turns[-1].reply is not None and stored.turns[-1].reply.facts["email"] == "nia@example.com"
    assert [event.kind for event in shown.store.events.listed("shop")][:1] == ["handed_over"]
    events = visitor.say("Thank you", "2" * 32)
    assert [name for name, _ in events] == ["status", "accepted", "end"] and shown.desk.heard == [QUESTION]
    newest = visitor.read()["turns"][-1]["id"]
    waiting: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: waiting.append(visitor.read(after=newest, wait=True)))
    thread.start()
    shown.store.add_turn(visitor.id, "Hello, this is Ida.", "Ida")
    thread.join(20)
    assert [(turn["author"], turn["text"]) for turn in waiting[0]["turns"]] == [("person", "Hello, this is Ida.")]
    assert visitor.post("/person", {"email": "no address"}).status_code == 422


def test_a_closed_conversation_takes_no_more(shown: ShownDesk) -> None:
    visitor = shown.visitor().begin()
    call = proposed(visitor)
    shown.store.set_status(visitor.id, "closed")
    refused = [visitor.say(QUESTION, "3" * 32)[-1], events_of(visitor.post(f"/calls/{call}", {"yes": True}))[-1]]
    assert [(name, value["error"]["code"]) for name, value in refused] == [("error", "conversation_closed")] * 2
    assert visitor.post("/person", {"email": ""}).status_code == 409 and shown.desk.ran == []


def test_thumbs_are_stored_and_shown_again(shown: ShownDesk) -> None:
    visitor = shown.visitor().begin()
    turn = visitor.say(QUESTION)[-2][1]["turn"]["id"]
    assert visitor.post(f"/turns/{turn}/feedback", {"verdict": "up"}).status_code == 200
    assert visitor.post(f"/turns/{turn}/feedback", {"verdict": "down", "comment": "too long"}).status_code == 200
    assert visitor.read()["turns"][-1]["thumb"] == "down"
    (said,) = shown.store.feedback(visitor.id)
    assert (said.turn, said.verdict, said.comment) == (turn, "down", "too long")
    other = shown.visitor().begin()
    for name in (turn, visitor.read()["turns"][0]["id"], "nothing"):
        assert (other if name == turn else visitor).post(f"/turns/{name}/feedback", {"verdict": "up"}).status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"id": "4" * 32, "text": "   "}, 422, "empty_text"),
        ({"id": "4" * 32, "text": "x" * 101}, 422, "text_too_long"),
        ({"id": "4" * 32, "text": "\ud800"}, 422, "invalid_request"),
        ({"id": "short", "text": "hello"}, 422, "invalid_request"),
        ({"id": "4" * 32, "text": 7}, 422, "invalid_request"),
        ({"id": "4" * 32, "text": "hello", "more": 1}, 422, "invalid_request"),
        ([], 422, "invalid_request"),
    ],
)
def test_a_message_beyond_its_bounds_is_refused(tmp_path: Path, body: Any, status: int, code: str) -> None:
    with shown_desk(tmp_path, longest=100) as shown:
        refused = shown.visitor().begin().post("/messages", body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (status, code)
        assert shown.desk.heard == []


def test_limits_hold_for_a_conversation_and_for_an_address(tmp_path: Path) -> None:
    with shown_desk(tmp_path, messages_a_minute=2, starts_an_hour=3, address_header="x-real-ip") as shown:
        visitor = shown.visitor().begin()
        assert [visitor.post("/messages", {"id": f"{n}" * 32, "text": "hello"}).status_code for n in range(3)] == [200, 200, 429]
        other = shown.visitor().begin()
        assert other.say(QUESTION)[-1][0] == "end"
        begun = [
            shown.client.post(visitor.path, json={}, headers={**visitor.headers, "x-real-ip": address}).status_code
            for address in ("", "", "203.0.113.5", "203.0.113.5", "203.0.113.5", "203.0.113.5")
        ]
        assert begun == [200, 429, 200, 200, 200, 429]


def test_a_stranger_at_a_shared_address_does_not_use_up_the_calls_of_others(tmp_path: Path) -> None:
    with shown_desk(tmp_path, calls_a_minute=5) as shown:
        visitor, other = shown.visitor().begin(), shown.visitor().begin()
        seen = [shown.client.get(f"{visitor.path}/none", headers=visitor.headers).status_code for _ in range(5)]
        assert seen == [404, 404, 404, 429, 429], "the two beginnings count for the address too"
        assert (
            shown.client.get(f"{visitor.path}/{visitor.id}", headers={**visitor.headers, "x-smidgen-conversation": "x"}).status_code == 429
        )
        assert visitor.say(QUESTION)[-1][0] == "end"
        mine = [shown.client.get(f"{visitor.path}/{visitor.id}", headers=visitor.headers).status_code for _ in range(6)]
        assert (mine[0], mine[-1]) == (200, 429), "a conversation has a limit of its own"
        assert other.read()["status"] == "open"


def test_a_proxy_that_no_setting_names_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def told(shown: ShownDesk, **headers: str) -> list[str]:
        caplog.clear()
        for _ in range(2):
            shown.client.post(f"/desk/{shown.desk.name}/conversations", json={}, headers={**shown.visitor().headers, **headers})
        return [one.getMessage() for one in caplog.records if "proxy" in one.getMessage()]

    forwarded = {"x-forwarded-for": "203.0.113.5"}
    with caplog.at_level(logging.WARNING, logger="smidgen.server"), shown_desk(tmp_path) as shown:
        assert told(shown) == [] and "smidgen_proxy_unnamed 0.0" in shown.client.get("/metrics").text
        (line,) = told(shown, **forwarded)
        assert "x-forwarded-for" in line and "address_header" in line and "203.0.113.5" not in line
        assert "smidgen_proxy_unnamed 1.0" in shown.client.get("/metrics").text
    with caplog.at_level(logging.WARNING, logger="smidgen.server"), shown_desk(tmp_path, address_header="X-Forwarded-For") as shown:
        assert told(shown, **forwarded) == [] and "smidgen_proxy_unnamed 0.0" in shown.client.get("/metrics").text


def test_visitors_need_no_key_and_open_nothing_else(tmp_path: Path) -> None:
    with shown_desk(tmp_path, server={"api_key": ["k"]}) as shown:
        visitor = shown.visitor().begin()
        assert visitor.say(QUESTION)[-1][0] == "end"
        assert shown.client.get("/desk/widget.js").status_code == 200
        closed = ("/v1/models", "/metrics", "/desk/shop/webhooks", "/desk/", "/desk/shop", "/desk/../v1/models", "/desk/shop/preview")
        odd = ("/desk/a/b/frame", "/desk/assets/x", "/desk/x/conversations/1/2/3/4/5", "/desk//frame", "/desk/x/conversationsx")
        assert [path for path in (*closed, *odd) if shown.client.get(path).status_code != 401] == []
        assert shown.client.get("/desk/x/conversations/1/turns/2/feedback").status_code == 405


def test_the_server_with_a_desk_and_no_model_serves_and_two_of_one_name_do_not(tmp_path: Path) -> None:
    from smidgen.core.errors import InputError

    with ConversationStore(f"sqlite:///{tmp_path / 'c.db'}") as store:
        served = ServedDesk(SampleDesk(), store)
        assert create_app([], ServeSettings(account=False), shown=[served]) is not None
        with pytest.raises(InputError, match="two desks"):
            create_app([], ServeSettings(account=False), shown=[served, served])
        with pytest.raises(InputError, match="nothing to serve"):
            create_app([], ServeSettings(account=False))
