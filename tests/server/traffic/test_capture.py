"""Capture over real HTTP: what passes is stored when its owner asked for it, and answers go on whatever becomes of the store."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import gzip
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from bench.pacing import pace
from tests.certified_bundle import answer, score
from tests.eventually import eventually
from tests.server.conftest import running as start
from tests.server.gateway.test_certified import CHAT, PATIENCE, SURE, UNSURE, asking, certify
from tests.upstream_stub import WHOLE, Said, UpstreamStub, chunk

from smidgen.core.errors import EngineError, TrainError
from smidgen.flows.capture import redaction
from smidgen.flows.local_model import Model
from smidgen.server.app import create_app
from smidgen.server.settings import ServeSettings
from smidgen.server.traffic import captured_request
from smidgen.server.traffic import recorder as recorders
from smidgen.server.traffic.captured_request import OVERHEAD_BYTES, CapturedRequest, CaptureMemory
from smidgen.server.traffic.exchange import choices_of
from smidgen.server.traffic.recorder import CaptureMiddleware
from smidgen.store import database
from smidgen.store.traffic.records import Exchange, TrafficError
from smidgen.store.traffic.store import TrafficStore, opened

ON = {"capture": "answers", "capture_redact": "allow", "capture_held_out": 0.0}


@pytest.fixture
def gateway(serve: Any, upstream: UpstreamStub, model: Model) -> Callable[..., Any]:
    def start(**settings: Any) -> Any:
        return serve(model, patience=PATIENCE, **{"fallback": (upstream.url,), "fallback_model": ("big",), **ON, **settings})

    return start


@pytest.fixture
def home(certified_bundle: Path) -> Path:
    return Path(os.environ["SMIDGEN_HOME"])


def rows(url: str | None = None, count: int = 1) -> list[dict[str, Any]]:
    """What is stored, as soon as there is so much."""
    for _ in range(4000):
        with opened(url) as store, store._reading() as connection:
            found = [dict(row) for row in connection.exec_driver_sql("SELECT * FROM requests ORDER BY time").mappings()]
        if len(found) >= count:
            return found
        time.sleep(0.025)
    raise AssertionError(f"{len(found)} rows, not {count}")


def outcomes(running: Any) -> dict[str, float]:
    """What became of requests, by the metrics."""
    lines = [line for line in running.client.get("/metrics").text.splitlines() if line.startswith("smidgen_capture_rows_total{")]
    return {line.partition('outcome="')[2].partition('"')[0]: float(line.rpartition(" ")[2]) for line in lines}


def until(running: Any, outcome: str, count: float) -> dict[str, float]:
    for _ in range(4000):
        found = outcomes(running)
        if found.get(outcome, 0.0) >= count:
            return found
        time.sleep(0.025)
    raise AssertionError(outcomes(running))


def test_nothing_is_stored_unless_asked(gateway: Any, model: Model, home: Path) -> None:
    certify(model)
    assert gateway(capture="off").post(CHAT, asking(SURE)).status_code == 200
    assert not (home / "traffic.db").exists()


def test_a_local_answer_is_stored(gateway: Any, model: Model) -> None:
    paper = certify(model)
    headers = {"authorization": "Bearer sk-secret", "x-smidgen-user": "anna"}
    found = gateway(fallback_model=("gpt-6-luna",)).post(CHAT, asking(SURE), headers=headers)
    (row,) = rows()
    assert row["id"] == found.headers["x-request-id"]
    same = {"asked": "support", "path": CHAT, "input": SURE, "answered_by": "local", "why": "", "odd": "", "status": 200, "answer": None}
    assert {name: row[name] for name in same} == same
    assert (row["bundle_id"], row["certificate"], json.loads(row["local_output"])) == (model.id, paper.id, answer(3))
    assert row["local_score"] == pytest.approx(score(3)) and row["local_ms"] > 0 and row["upstream_ms"] is None
    assert row["saved_usd"] == pytest.approx(found.json()["smidgen"]["saved"]["usd"]) and row["cost_usd"] is None
    assert row["tokens_estimated"] and row["tokens_in"] == -(-len(SURE) // 4)
    assert len(row["key_hash"]) == 12 and "sk-secret" not in str(row) and "anna" not in str(row)


def test_times_are_finer_than_a_millisecond(gateway: Any, model: Model) -> None:
    """The loop's own clock counts whole milliseconds where uvloop runs: a small model's answer took none."""
    certify(model)
    running = gateway()
    for text in (SURE, UNSURE, SURE, UNSURE):
        running.post(CHAT, asking(text))
    found = rows(count=4)
    times = [row["local_ms"] for row in found], [row["upstream_ms"] for row in found if row["answered_by"] == "upstream"]
    assert [len(those) for those in times] == [4, 2]
    for those in times:
        assert min(those) > 0 and any(time % 1 for time in those)


def test_an_escalated_request_has_both_answers(gateway: Any, model: Model, upstream: UpstreamStub) -> None:
    certify(model)
    body = asking(UNSURE, "support@0.95", user="bert")
    found = gateway().client.post(CHAT, json=body, headers={"x-smidgen-user": "anna"})
    assert found.content == WHOLE
    (row,) = rows()
    same = {"asked": "support", "input": UNSURE, "answered_by": "upstream", "why": "score", "model": "big", "answer": "from above"}
    assert {name: row[name] for name in same} == same
    assert json.loads(row["local_output"]) == answer(90) and row["local_score"] == pytest.approx(score(90))
    assert (row["tokens_in"], row["tokens_out"], row["tokens_estimated"]) == (3, 2, 0)
    assert (row["answer_state"], row["altered"]) == ("whole", 0)
    assert row["local_ms"] > 0 and row["upstream_ms"] > 0
    assert "x-smidgen-user" not in upstream.seen[0].headers
    with opened() as store:
        done = store.delete_user("bert")
    assert done.requests == 1 and done.gone  # also while the server has the store open


def test_the_price_of_an_upstream_is_counted(gateway: Any, model: Model) -> None:
    gateway(fallback_model=("gpt-6-luna",)).post(CHAT, asking(SURE))
    (row,) = rows()
    assert row["answered_by"] == "upstream" and 0 < row["cost_usd"] < 1e-3 and row["saved_usd"] is None


def test_a_price_that_was_given_is_counted_where_the_list_has_none(gateway: Any, model: Model) -> None:
    gateway(price_in=3.0, price_out=7.0).post(CHAT, asking(SURE))
    (row,) = rows()
    assert row["model"] == "big" and row["cost_usd"] == pytest.approx((3 * row["tokens_in"] + 7 * row["tokens_out"]) / 1e6)


def test_what_passes_to_another_model_is_stored_under_its_name_also_without_a_bundle(upstream: UpstreamStub, home: Path) -> None:
    with start(fallback=(upstream.url,), fallback_model=("big",), patience=PATIENCE, **ON) as gateway:
        assert gateway.post(CHAT, asking("hello", "gpt-9")).content == WHOLE
        told = gateway.post("/v1/feedback", {"request_id": rows()[0]["id"], "corrected": "hi"})
        assert told.status_code == 200
    assert [seen.path for seen in upstream.seen] == [CHAT]  # feedback is this server's own, and goes nowhere
    with opened() as store:
        assert [(pair.asked, pair.input, pair.reference) for pair in store.pairs()] == [("gpt-9", "hello", "hi")]


def test_a_stream_passes_byte_for_byte_and_is_stored(gateway: Any, upstream: UpstreamStub) -> None:
    end = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":4}}\r\n\r\n'
    pieces = [chunk("fr"), chunk("om ")[:7], chunk("om ")[7:] + chunk("above"), end, b"data: [DONE]\n\n"]
    upstream.script.append(Said(pieces=pieces, headers={"Content-Type": "text/event-stream"}))
    with gateway().client.stream("POST", CHAT, json=asking(SURE, stream=True)) as found:
        assert b"".join(found.iter_raw()) == b"".join(pieces)
    (row,) = rows()
    assert (row["answer"], row["tokens_in"], row["tokens_out"]) == ("from above", 5, 4)


def test_a_compressed_answer_passes_as_it_is_and_is_stored(gateway: Any, upstream: UpstreamStub) -> None:
    packed = gzip.compress(WHOLE)
    upstream.script.append(Said(body=packed, headers={"Content-Type": "application/json", "Content-Encoding": "gzip"}))
    with gateway().client.stream("POST", CHAT, json=asking(SURE)) as found:
        assert b"".join(found.iter_raw()) == packed
    assert rows()[0]["answer"] == "from above"


@pytest.mark.parametrize("headers", [{"Content-Type": "text/event-stream"}, {"Content-Type": "application/json"}])
def test_an_answer_that_breaks_off_teaches_nothing(gateway: Any, upstream: UpstreamStub, headers: dict[str, str]) -> None:
    upstream.script.append(Said(pieces=[chunk("fr"), chunk("om")], headers=headers, cut=True))
    with contextlib.suppress(httpx.RemoteProtocolError):
        gateway().post(CHAT, asking(SURE))
    (row,) = rows()
    assert (row["answered_by"], row["answer"], row["input"], row["answer_state"]) == ("upstream", None, SURE, "broken")


def test_an_answer_that_the_client_did_not_wait_for_teaches_nothing(gateway: Any, upstream: UpstreamStub) -> None:
    held = threading.Event()
    upstream.script.append(Said(pieces=[chunk("fr"), chunk("om")], headers={"Content-Type": "text/event-stream"}, hold=held))
    with gateway().client.stream("POST", CHAT, json=asking(SURE, stream=True)) as found:
        assert next(found.iter_raw()) == chunk("fr")
    (row,) = rows()
    held.set()
    assert (row["answered_by"], row["answer"], row["input"], row["answer_state"]) == ("upstream", None, SURE, "broken")


def test_failures_and_requests_of_other_kinds_are_stored_without_texts(gateway: Any, upstream: UpstreamStub) -> None:
    running = gateway()
    upstream.script += [Said(status=400, body=b'{"error":{"message":"no"}}'), Said()]
    assert running.post(CHAT, asking(SURE)).status_code == 400
    turns = [{"role": "user", "content": "private one"}, {"role": "assistant", "content": "x"}, {"role": "user", "content": "private two"}]
    running.post(CHAT, {"model": "support", "messages": turns})
    one, two = rows(count=2)
    assert (one["status"], one["answered_by"], one["answer"], one["answer_state"]) == (400, "upstream", None, "")
    assert (two["odd"], two["input"], two["answer"]) == ("not one message of a user", None, None)
    assert "private" not in str(two)


def test_where_nobody_answers_the_request_is_stored_with_none(gateway: Any, upstream: UpstreamStub) -> None:
    upstream.answer = lambda seen: Said(status=503)
    assert gateway().post(CHAT, asking(SURE)).status_code == 503
    (row,) = rows()
    assert (row["answered_by"], row["status"], row["why"], row["input"], row["model"]) == ("none", 503, "no certificate", SURE, "")
    with opened() as store:
        assert list(store.pairs()) == []


def test_names_that_clients_make_up_are_kept_only_where_they_are_plain(gateway: Any) -> None:
    running = gateway()
    running.post(CHAT, {**asking("hello", "Margaret Holloway, 12 Mill Lane"), "Margaret Holloway: card": 1})
    running.post(CHAT, asking("hello", "vendor/gpt-9:free", prediction={"content": "x"}))
    one, two = rows(count=2)
    assert (one["asked"], one["odd"], one["model"]) == ("", "a field", "") and "Margaret" not in str(one)
    assert (two["asked"], two["odd"], two["model"]) == ("vendor/gpt-9:free", "the field prediction", "vendor/gpt-9:free")


def test_without_a_gateway_a_bundle_is_captured_too(serve: Any, model: Model) -> None:
    running = serve(model, **ON)
    running.post(CHAT, {"messages": [{"role": "user", "content": SURE}]})
    running.post("/v1/completions", {"prompt": UNSURE, "model": "support"})
    found = rows(count=2)
    assert [(row["asked"], row["input"], row["answered_by"]) for row in found] == [("support", SURE, "local"), ("support", UNSURE, "local")]
    assert all(row["local_ms"] > 0 for row in found) and len(found) == 2


def test_personal_data_is_taken_out_before_anything_is_stored(gateway: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "finder", lambda threads, public: Finds("Margaret"))
    gateway(capture_redact="mask").post(CHAT, asking(f"{SURE} from Margaret, m@example.org"))
    (row,) = rows()
    assert row["input"] == f"{SURE} from [PERSON_1], [EMAIL_1]" and row["altered"] == 1
    held = b"".join(file.read_bytes() for file in home.glob("traffic.db*"))
    assert SURE.encode() in held and b"Margaret" not in held and b"m@example" not in held


class Finds:
    """A model that finds one name, or breaks."""

    def __init__(self, name: str, error: Exception | None = None) -> None:
        self._name, self.error = name, error

    def many(self, texts: Sequence[str]) -> dict[str, Any]:
        if self.error is not None:
            raise self.error
        places = {one: one.find(self._name) for one in texts}
        return {one: (("person", at, at + len(self._name)),) if at >= 0 else () for one, at in places.items()}


def test_where_redaction_cannot_run_nothing_is_stored_and_it_is_counted(gateway: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finds = Finds("Margaret", EngineError("it broke", value="x", todo="Mend it."))
    monkeypatch.setattr(redaction, "finder", lambda threads, public: finds)
    running = gateway(capture_redact="mask")
    assert running.post(CHAT, asking("from Margaret")).status_code == 200
    assert until(running, "unredacted", 1)["stored"] == 0
    finds.error = None
    running.post(CHAT, asking("card 41\u200b11 1111 1111 1111"))
    running.post(CHAT, asking("from Margaret again"))
    assert [row["input"] for row in rows()] == ["from [PERSON_1] again"]
    assert until(running, "unredacted", 2)["stored"] == 1


def test_a_locked_store_costs_rows_and_no_answer(gateway: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smidgen.store.database._BUSY_SECONDS", 0.05)
    running = gateway()
    other = sqlite3.connect(home / "traffic.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    assert running.post(CHAT, asking(SURE)).content == WHOLE
    until(running, "unwritten", 1)
    other.execute("ROLLBACK")
    other.close()
    assert running.post(CHAT, asking(UNSURE)).content == WHOLE
    assert [row["input"] for row in rows()] == [UNSURE]


def test_a_deleted_store_is_made_anew(gateway: Any, home: Path) -> None:
    running = gateway()
    running.post(CHAT, asking(SURE))
    until(running, "stored", 1)  # and nothing of it is being written any more
    for file in home.glob("traffic.db*"):
        file.unlink()
    assert running.post(CHAT, asking(UNSURE)).content == WHOLE
    until(running, "stored", 2)
    assert [row["input"] for row in rows()] == [UNSURE]


def test_a_full_disk_costs_rows_and_no_answer(gateway: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    connections: list[sqlite3.Connection] = []
    real = database._prepared

    def remembered(connection: sqlite3.Connection, record: object) -> None:
        real(connection, record)
        connections.append(connection)

    monkeypatch.setattr(database, "_prepared", remembered)
    running = gateway()
    assert len(connections) == 1
    connections[0].execute("PRAGMA max_page_count=1")  # no more than it has
    with caplog.at_level("WARNING", "smidgen.server"):
        for count in (1, 2):
            assert running.post(CHAT, asking(SURE * 1000)).content == WHOLE
            until(running, "unwritten", count)
    told = [record.message for record in caplog.records if "could be stored" in record.message]
    assert len(told) == 1 and "full" in told[0] and SURE not in told[0]
    connections[0].execute("PRAGMA max_page_count=1000000")
    running.post(CHAT, asking(UNSURE))
    assert [row["input"] for row in rows()] == [UNSURE]


def test_whatever_breaks_in_the_recorder_it_goes_on(gateway: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    running = gateway()
    real, broke = TrafficStore.add, threading.Event()

    def fails(self: TrafficStore, exchanges: Any) -> int:
        broke.set()
        raise TrainError("something of another kind", value="x", todo="Nothing.")

    monkeypatch.setattr(TrafficStore, "add", fails)
    running.post(CHAT, asking(SURE))
    assert broke.wait(60)
    monkeypatch.setattr(TrafficStore, "add", real)
    assert running.client.post(CHAT, content=b'{"model": "support", "messages": 7}').status_code in (200, 422)
    running.post(CHAT, asking(UNSURE))
    assert UNSURE in [row["input"] for row in rows()]
    assert until(running, "unwritten", 1)["unreadable"] == 1


def test_a_full_queue_costs_rows_and_no_answer(gateway: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorders, "_MOST_BYTES", int(3.9 * OVERHEAD_BYTES))  # the one that is being stored, two that wait, some bodies
    monkeypatch.setattr(captured_request, "_BATCH", 1)
    running = gateway()
    real, entered, gate = TrafficStore.add, threading.Event(), threading.Event()

    def waits(self: TrafficStore, exchanges: Any) -> int:
        entered.set()
        assert gate.wait(60)
        return real(self, exchanges)

    monkeypatch.setattr(TrafficStore, "add", waits)
    running.post(CHAT, asking("first"))
    assert entered.wait(60)
    assert [running.post(CHAT, asking(f"text {number}")).status_code for number in range(5)] == [200] * 5
    assert until(running, "queue_full", 3)["queue_full"] == 3, "a client has its answer a moment before it is counted"
    gate.set()
    assert [row["input"] for row in rows(count=3)] == ["first", "text 0", "text 1"]


def test_a_burst_waits_and_is_stored_whole(gateway: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the store takes nothing. How many are held `test_recorder` says."""
    running = gateway()
    real, gate = TrafficStore.add, threading.Event()
    monkeypatch.setattr(TrafficStore, "add", lambda self, new: gate.wait(120) and real(self, new))
    count, rate = 240, 400.0
    done = pace(
        running.url, "chat", [f"text {number}" for number in range(count)], rate=rate, seconds=(count + 0.5) / rate, warm=0.0, model="big"
    )
    assert done.answered == count and not done.errors
    gate.set()
    assert until(running, "stored", count)["queue_full"] == 0
    assert len({row["input"] for row in rows(count=count)}) == count


def test_memory_is_bounded_and_given_back(gateway: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorders, "_MOST_BYTES", 20_000)
    monkeypatch.setattr("smidgen.server.traffic.captured_request.MOST_ASKED", 10_000)
    running = gateway()
    assert running.post(CHAT, asking("x" * 11_000)).content == WHOLE
    assert until(running, "too_large", 1)["too_large"] == 1, "a client has its answer a moment before it is counted"
    pieces = [json.dumps(asking("x" * 11_000)).encode(), *[b" " * 100_000] * 90]
    refused = running.client.post(CHAT, content=iter(pieces), headers={"content-type": "application/json"})
    assert refused.status_code == 413 and until(running, "too_large", 2)["unreadable"] == 0
    for number in range(30):
        assert running.post(CHAT, asking(f"{number} " + "y" * 2000)).content == WHOLE
        until(running, "stored", number + 1)
    assert outcomes(running)["queue_full"] == 0


def test_an_id_that_a_client_chose_twice_is_stored_once(gateway: Any) -> None:
    running = gateway()
    for said in (SURE, UNSURE):
        running.client.post(CHAT, json=asking(said), headers={"x-request-id": "mine"})
    assert until(running, "duplicate", 1)["stored"] == 1
    assert [(row["id"], row["input"]) for row in rows()] == [("mine", SURE)]


def test_old_rows_are_deleted_when_it_starts(gateway: Any, home: Path) -> None:
    now = datetime.now(UTC)
    with opened(held_out=0.0) as store:
        for days in (3, 1):
            store.add([Exchange(f"r{days}", now - timedelta(days=days), "support", CHAT, f"old {days}", "upstream")])
    gateway(capture_days=2)
    eventually(lambda: [row["id"] for row in rows()] == ["r1"])


def test_what_lines_keep_outlives_other_requests_where_that_is_agreed(gateway: Any, home: Path) -> None:
    now = datetime.now(UTC)
    with opened(held_out=0.0) as store:
        for days in (9, 4, 3, 1):
            store.add([Exchange(f"r{days}", now - timedelta(days=days), "support", CHAT, f"old {days}", "upstream")])
        store.keep("a line", ["r9", "r4"])
    gateway(capture_days=2, capture_keep_days=5)
    eventually(lambda: len(rows()) == 2)
    assert [row["id"] for row in rows()] == ["r4", "r1"]


def test_what_waits_is_stored_when_the_server_stops(upstream: UpstreamStub, model: Model) -> None:
    with start(model, fallback=(upstream.url,), fallback_model=("big",), patience=PATIENCE, **ON) as gateway:
        for number in range(50):
            gateway.post(CHAT, asking(f"{number}"))
    with opened() as store:
        assert store.totals().requests == 50


def test_a_store_that_cannot_be_opened_stops_the_start(model: Model, home: Path) -> None:
    home.mkdir(exist_ok=True)
    (home / "traffic.db").write_bytes(b"no database" * 100)
    with pytest.raises(TrafficError):
        create_app([model], ServeSettings(**ON))


def test_a_request_is_handed_on_when_its_answer_went_and_not_when_its_door_closes() -> None:
    """A quick client says what it thinks of an answer while its upstream's connection is still given back."""
    offered: list[CapturedRequest] = []
    seen: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{", "more_body": True})
        seen.append(len(offered))
        await send({"type": "http.response.body", "body": b"}", "more_body": False})
        seen.append(len(offered))

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: Any) -> None:
        await asyncio.sleep(0)

    door = CaptureMiddleware(app, SimpleNamespace(room=CaptureMemory(10_000), offer=offered.append), {})  # type: ignore[arg-type]
    asyncio.run(door({"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": []}, receive, send))
    assert seen == [0, 1] and len(offered) == 1
    assert offered[0].complete and b"".join(offered[0].answered) == b"{}"


SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "triage",
        "schema": {
            "type": "object",
            "properties": {
                "team": {"enum": ["Margaret Holloway", "Ann"]},
                "deep": {"anyOf": [{"const": "Bob"}, {"items": {"enum": [1, "x"]}}]},
            },
        },
    },
}


def test_the_schema_of_a_request_says_what_its_answer_may_hold(
    gateway: Any, upstream: UpstreamStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(choices_of(CHAT, {"response_format": SCHEMA})) == {"team", "deep", "Margaret Holloway", "Ann", "Bob", "x"}
    assert choices_of("/v1/responses", {"text": {"format": SCHEMA["json_schema"]}, "response_format": 7})
    assert choices_of(CHAT, {"response_format": "text"}) == choices_of(CHAT, {}) == ()
    monkeypatch.setattr(redaction, "finder", lambda threads, public: Finds("Margaret Holloway"))
    upstream.answer = lambda seen: completed('{"team": "Margaret Holloway"}')
    running = gateway(capture_redact="mask")
    running.post(CHAT, asking("who takes it", "big", response_format=SCHEMA))
    running.post(CHAT, asking("who takes it then", "big"))
    assert [row["answer"] for row in rows(count=2)] == ['{"team": "Margaret Holloway"}', '{"team": "[PERSON_1]"}']


def completed(answer: str) -> Said:
    choice = {"index": 0, "message": {"role": "assistant", "content": answer}, "finish_reason": "stop"}
    return Said(body=json.dumps({"id": "c", "object": "chat.completion", "created": 1, "model": "big", "choices": [choice]}).encode())


def test_no_client_makes_the_name_of_anothers_customer_a_label(
    gateway: Any, upstream: UpstreamStub, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redaction, "finder", lambda threads, public: Finds("Margaret Holloway"))
    upstream.answer = lambda seen: completed("Margaret Holloway")
    running = gateway(capture_redact="mask", api_key=("anna", "mallory"))
    for key in ("mallory", "anna"):
        for letter in "abcdef" if key == "mallory" else "ab":
            running.post(CHAT, asking(f"who is it, {letter}", "big"), headers={"authorization": f"Bearer {key}"})
    for _ in range(200):  # the rows are put right after they are stored
        found = rows(count=8)
        if found[0]["answer"] == "Margaret Holloway":
            break
        time.sleep(0.025)
    hashes = [row["key_hash"] for row in found]
    assert [row["answer"] for row in found if row["key_hash"] == hashes[0]] == ["Margaret Holloway"] * 6, "what she asked for herself"
    assert [row["answer"] for row in found if row["key_hash"] != hashes[0]] == ["[PERSON_1]"] * 2


BANKING = Path(__file__).parents[4] / "shared" / "data" / "banking77" / "train.csv"


@pytest.mark.skipif(not BANKING.is_file(), reason="BANKING77 is not here")
def test_labels_that_recur_need_no_list_in_shadow_mode(upstream: UpstreamStub, home: Path) -> None:
    """The redaction model that is shipped, labels of BANKING77 and two that are names, and a restart in between."""
    with BANKING.open(encoding="utf-8", newline="") as file:
        wanted = {row["text"]: row["category"] for row in csv.DictReader(file)}
    named = {"activate_my_card": "Margaret Holloway", "age_limit": "Anna Schmidt"}
    wanted = {text: named.get(label, label) for text, label in wanted.items()}
    upstream.answer = lambda seen: completed(wanted[json.loads(seen.body)["messages"][-1]["content"]])
    of = {label: [text for text, own in wanted.items() if own == label] for label in (*named.values(), "card_arrival", "top_up_failed")}
    settings = {"fallback": (upstream.url,), "fallback_model": ("big",), "patience": PATIENCE, **ON, "capture_redact": "mask"}

    def stored(label: str) -> list[str]:
        return [row["answer"] for row in rows(count=1) if row["input"] in of[label]]

    with start(**settings) as gateway:
        for number in range(4):
            for texts in of.values():
                gateway.post(CHAT, asking(texts[number], "big"))
        until(gateway, "stored", 16)
        assert {answer for name in named.values() for answer in stored(name)} == {"[PERSON_1]"}, "what came four times is not known yet"
        for texts in of.values():
            gateway.post(CHAT, asking(texts[4], "big"))
        until(gateway, "stored", 20)
    assert len(of) == 4
    for label in of:
        assert stored(label) == [label] * 5
    with start(**settings) as gateway:
        for texts in of.values():
            gateway.post(CHAT, asking(texts[5], "big"))
        until(gateway, "stored", 4)
    for label in of:
        assert stored(label) == [label] * 6, "a label that was known stays known"
