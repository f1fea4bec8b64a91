"""`/v1/feedback` over real HTTP: what was acknowledged is on the disk, also when the server is killed straight after."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from tests import commands
from tests.certified_bundle import certified_bundle  # noqa: F401
from tests.server.conftest import Running, error_of
from tests.server.traffic.test_capture import ON, Finds

from smidgen.flows.capture import redaction
from smidgen.server.traffic.feedback import FeedbackReply
from smidgen.store.traffic.store import TrafficStore, opened

CHAT = "/v1/chat/completions"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def asked(running: Running, text: str = "a refund", **more: Any) -> str:
    """Ask; the request's id."""
    found = running.client.post(CHAT, json={"messages": [{"role": "user", "content": text}]}, **more)
    assert found.status_code == 200
    return found.headers["x-request-id"]


def said() -> list[dict[str, Any]]:
    with opened() as store, store._reading() as connection:
        return [dict(row) for row in connection.exec_driver_sql("SELECT * FROM feedback ORDER BY number").mappings()]


def test_what_people_say_is_stored_and_the_newest_correction_counts(serve: Any) -> None:
    running = serve(**ON)
    id = asked(running, headers={"authorization": "Bearer k"})
    for body in ({"verdict": "down"}, {"corrected": "shipping", "user": "anna"}, {"corrected": "billing/charge", "comment": "surely"}):
        told = running.post("/v1/feedback", {"request_id": id, **body}, headers={"authorization": "Bearer k"})
        assert (told.status_code, told.json()) == (200, {"object": "feedback", "request_id": id, "stored": True})
    assert [(one["verdict"], one["corrected"], one["comment"]) for one in said()] == [
        ("down", None, None),
        (None, "shipping", None),
        (None, "billing/charge", "surely"),
    ]
    assert len({one["key_hash"] for one in said()}) == 1 and len(said()[0]["key_hash"]) == 12
    with opened() as store:
        assert [(pair.input, pair.reference, pair.whose) for pair in store.pairs()] == [("a refund", "billing/charge", "human")]
        assert store.delete_user("anna").feedback == 1


def test_a_client_of_openai_knows_the_id(serve: Any) -> None:
    running = serve(**ON)
    with openai.OpenAI(base_url=f"{running.url}/v1", api_key="x", max_retries=0) as client:
        reply = client.chat.completions.create(model="support", messages=[{"role": "user", "content": "a refund"}])
        told = client.post("/feedback", cast_to=httpx.Response, body={"request_id": reply._request_id, "verdict": "up"})
    assert told.status_code == 200 and [one["verdict"] for one in said()] == ["up"]


def test_a_page_that_is_let_in_can_read_the_id_and_say_something(serve: Any) -> None:
    page = {"origin": "https://shop.example"}
    running = serve(cors=("https://shop.example",), **ON)
    found = running.client.post(CHAT, json={"messages": [{"role": "user", "content": "a refund"}]}, headers=page)
    assert "x-request-id" in found.headers["access-control-expose-headers"]
    told = running.post("/v1/feedback", {"request_id": found.headers["x-request-id"], "verdict": "up"}, headers=page)
    assert told.status_code == 200 and FeedbackReply.model_validate(told.json()).stored


def test_values_are_stored_as_json(serve: Any) -> None:
    running = serve(**ON)
    assert running.post("/v1/feedback", {"request_id": asked(running), "corrected": {"name": "x"}}).status_code == 200
    assert [one["corrected"] for one in said()] == ['{"name": "x"}']


def test_what_cannot_be_is_refused(serve: Any) -> None:
    running = serve(**ON)
    id = asked(running)
    unknown = error_of(running.post("/v1/feedback", {"request_id": "no-such", "verdict": "up"}), 404)
    assert unknown["code"] == "request_not_found"
    assert all(said in unknown["message"] for said in ("response", "could not be stored", "smidgen_capture_rows_total"))
    wrong: list[dict[str, Any]] = [
        {},
        {"comment": "  "},
        {"verdict": "meh"},
        {"corrected": " "},
        {"corrected": "x" * 40_000},
        {"comment": "x" * 5000},
        {"verdict": "up", "more": 1},
    ]
    for body in wrong:
        error_of(running.post("/v1/feedback", {"request_id": id, **body}), 422)
    page = {"origin": "https://evil.example"}
    assert error_of(running.post("/v1/feedback", {"request_id": id, "verdict": "up"}, headers=page), 403)["code"] == "origin_not_allowed"
    assert said() == []


def test_where_nothing_is_captured_it_says_so(serve: Any) -> None:
    assert error_of(serve().post("/v1/feedback", {"request_id": "x", "verdict": "up"}), 404)["code"] == "not_captured"


def test_without_a_key_nobody_says_anything(serve: Any) -> None:
    running = serve(api_key=("k",), **ON)
    id = asked(running, headers={"authorization": "Bearer k"})
    error_of(running.post("/v1/feedback", {"request_id": id, "verdict": "up"}), 401)
    assert said() == []


ANNA, BERT, ADMIN = ({"authorization": f"Bearer {key}"} for key in ("anna", "bert", "admin"))
TWO = {"api_key": ("anna", "bert"), "admin_key": ("admin",)}


def test_only_the_key_that_asked_or_an_admin_says_something_of_an_answer(serve: Any) -> None:
    running = serve(**TWO, **ON)
    id = asked(running, headers=ANNA)
    stranger = running.post("/v1/feedback", {"request_id": id, "corrected": "poison"}, headers=BERT)
    unknown = running.post("/v1/feedback", {"request_id": "req_unknown", "corrected": "poison"}, headers=BERT)
    assert error_of(stranger, 404)["code"] == "request_not_found"
    assert stranger.json()["error"]["message"] == unknown.json()["error"]["message"].replace("req_unknown", id), "it tells nothing"
    assert said() == []
    for headers in (ANNA, ADMIN):
        assert running.post("/v1/feedback", {"request_id": id, "verdict": "up"}, headers=headers).status_code == 200
    assert len(said()) == 2


def test_ids_are_random_and_no_client_can_take_one(serve: Any) -> None:
    running = serve(**TWO, **ON)
    ids = [asked(running, headers=ANNA) for _ in range(3)]
    assert all(id.startswith("req_") and len(id) == 28 for id in ids)
    assert len({id[4:12] for id in ids}) == 3, "nothing of one id tells the next"
    for taken in (ids[0], "req_next", "REQ_next"):
        assert asked(running, headers={**BERT, "x-request-id": taken}) not in (taken, *ids)


def test_two_clients_may_choose_the_same_id(serve: Any) -> None:
    running = serve(**TWO, **ON)
    for text, headers in (("a refund", BERT), ("shipping please", ANNA)):
        assert asked(running, text, headers={**headers, "x-request-id": "job-1"}) == "job-1"
    assert running.post("/v1/feedback", {"request_id": "job-1", "corrected": "annas"}, headers=ANNA).status_code == 200
    with opened() as store:
        found = {pair.input: (pair.id, pair.reference) for pair in store.pairs()}
    assert list(found) == ["shipping please"] and found["shipping please"][1] == "annas"
    id = found["shipping please"][0]
    assert id.endswith("/job-1")
    assert error_of(running.post("/v1/feedback", {"request_id": id, "corrected": "berts"}, headers=BERT), 404)
    assert error_of(running.post("/v1/feedback", {"request_id": "job-1", "corrected": "nobodys"}, headers=ADMIN), 404)
    told = running.post("/v1/feedback", {"request_id": id, "corrected": "the admins"}, headers=ADMIN)
    assert (told.status_code, told.json()["request_id"]) == (200, id), "an admin names it as it is exported"
    assert [one["corrected"] for one in said()] == ["annas", "the admins"]


def test_with_admin_keys_alone_nobody_else_may_call(serve: Any) -> None:
    running = serve(admin_key=("admin",), **ON)
    error_of(running.client.post(CHAT, json={"messages": [{"role": "user", "content": "a refund"}]}), 401)
    assert asked(running, headers=ADMIN)


def test_it_waits_for_its_request_to_be_stored(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row lies in the queue when the feedback comes: they are stored in their order."""
    real, entered, gate = TrafficStore.add, threading.Event(), threading.Event()

    def waits(self: TrafficStore, exchanges: Any) -> int:
        entered.set()
        assert gate.wait(60)
        return real(self, exchanges)

    monkeypatch.setattr(TrafficStore, "add", waits)
    running = serve(**ON)
    id = asked(running)
    assert entered.wait(60)
    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(httpx.post, f"{running.url}/v1/feedback", json={"request_id": id, "verdict": "up"}, timeout=20)
        gate.set()
        assert told.result().status_code == 200
    assert len(said()) == 1


def test_a_store_that_is_locked_acknowledges_nothing(serve: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smidgen.store.database._BUSY_SECONDS", 0.05)
    running = serve(**ON)
    id = asked(running)
    assert running.post("/v1/feedback", {"request_id": id, "verdict": "up"}).status_code == 200
    other = sqlite3.connect(home / "traffic.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    refused = running.post("/v1/feedback", {"request_id": id, "verdict": "down"})
    other.execute("ROLLBACK")
    other.close()
    assert error_of(refused, 503)["code"] == "feedback_not_stored" and refused.headers["retry-after"]
    assert [one["verdict"] for one in said()] == ["up"]


def test_personal_data_in_feedback_is_taken_out(serve: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "finder", lambda threads, public: Finds("Margaret"))
    running = serve(**{**ON, "capture_redact": "mask"})
    id = asked(running, "a refund for Margaret")
    assert running.post("/v1/feedback", {"request_id": id, "corrected": "shipping", "comment": "Margaret is angry"}).status_code == 200
    assert running.post("/v1/feedback", {"request_id": id, "corrected": "tell Margaret"}).status_code == 200
    assert [(one["corrected"], one["comment"], bool(one["altered"])) for one in said()] == [
        ("shipping", "[PERSON_1] is angry", False),
        ("tell [PERSON_1]", None, True),
    ]
    hidden = running.post("/v1/feedback", {"request_id": id, "comment": "card 41\u200b11 1111 1111 1111"})
    assert error_of(hidden, 422)["code"] == "redaction_failed" and "4111" not in hidden.text
    with opened() as store:
        assert list(store.pairs()) == []  # the newest correction cannot be used, and the answer is known to be wrong
    assert b"Margaret" not in b"".join(file.read_bytes() for file in home.glob("traffic.db*"))


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_what_was_acknowledged_outlives_a_kill(certified_bundle: Path, home: Path) -> None:  # noqa: F811
    acknowledged = []
    flags = ["--port", "0", "--json", "--capture", "answers", "--capture-redact", "allow", "--capture-held-out", "0"]
    with (
        commands.smidgen("serve", certified_bundle, *flags, environment={**os.environ, "SMIDGEN_HOME": str(home)}) as running,
        httpx.Client(base_url=running.ready()["url"], timeout=20) as client,
    ):
        for number in range(20):
            body = {"messages": [{"role": "user", "content": f"w03 message number {number}"}]}
            id = client.post(CHAT, json=body).headers["x-request-id"]
            told = client.post("/v1/feedback", json={"request_id": id, "corrected": f"label {number}"})
            assert told.status_code == 200
            acknowledged.append((f"w03 message number {number}", f"label {number}"))
        running.send(signal.SIGKILL)
        assert running.exit_code() == -signal.SIGKILL
    with opened() as store:
        assert [(pair.input, pair.reference) for pair in store.pairs()] == acknowledged
    assert len(acknowledged) == 20
