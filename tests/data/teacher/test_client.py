"""A teacher over real HTTP: nothing is paid for twice, no budget is passed, what passes is tried again, what does not is said."""

from __future__ import annotations

import email.utils
import json
import os
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.data.conftest import Make
from tests.recorded_progress import RecordedProgress
from tests.teacher_server import Fault, TeacherServer

from smidgen.core.errors import TeacherError
from smidgen.core.progress import Silent
from smidgen.data.teacher import client
from smidgen.data.teacher.client import LONGEST_AFTER
from smidgen.data.teacher.questions import AnswerStore, NoAnswerReason, TeacherAnswer, TeacherQuestion
from smidgen.usage.budgets import RunBudget, TokenCount, TokenPrice


def questions(count: int, words: int = 5) -> list[TeacherQuestion]:
    return [TeacherQuestion((("system", "be brief"), ("user", f"{number} " + "word " * words)), 8) for number in range(count)]


def texts(answers: list[TeacherAnswer]) -> list[str]:
    return [answer.text for answer in answers]


def test_answers_come_in_order_and_equal_questions_are_asked_once(server: TeacherServer, asker: Make) -> None:
    server.answer = lambda messages: messages[-1]["content"].split()[0]
    asked = questions(20)
    assert texts(asker().ask([*asked, *asked], "ask", Silent())) == [str(number) for number in range(20)] * 2
    assert len(server.seen) == 20
    body = server.seen[0]
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("m", 8, 0.0)


def test_an_answer_is_paid_for_once(server: TeacherServer, asker: Make) -> None:
    first, again = asker(), asker()
    assert texts(first.ask(questions(9), "ask", Silent())) == texts(again.ask(questions(9), "ask", Silent()))
    assert (first.sent, again.sent, again.stored, len(server.seen)) == (9, 0, 9, 9)
    assert first.budget.spent == again.budget.spent == TokenCount(*_billed(server)), "what an earlier run paid counts"
    other = [TeacherQuestion(question.messages, 8, 0.0, vote=1) for question in questions(9)]
    again.ask(other, "ask", Silent())
    assert len(server.seen) == 18, "another vote is another question"


def _billed(server: TeacherServer) -> tuple[int, int]:
    return sum(bill["prompt_tokens"] for bill in server.bills), sum(bill["completion_tokens"] for bill in server.bills)


def test_asked_anew_where_that_is_wanted(server: TeacherServer, asker: Make) -> None:
    asker().ask(questions(3), "ask", Silent())
    fresh = asker(fresh=True)
    fresh.ask(questions(3), "ask", Silent())
    fresh.ask(questions(3), "ask", Silent())
    assert len(server.seen) == 6, "anew, but once"


@pytest.mark.parametrize("limit", [700, 1500, 3000])
@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_budget_of_tokens_is_never_passed(server: TeacherServer, asker: Make, limit: int, concurrency: int) -> None:
    budget = RunBudget(tokens=limit)
    answers = asker(budget, concurrency=concurrency).ask(questions(60, words=40), "ask", Silent())
    assert server.tokens() <= limit
    assert budget.spent.total == server.tokens()
    refused = [answer for answer in answers if answer.why_not == NoAnswerReason.BUDGET]
    assert 0 < len(refused) < 60
    assert len(refused) + len(server.seen) == 60


def test_a_budget_of_dollars_is_never_passed_not_over_runs_either(server: TeacherServer, asker: Make) -> None:
    price = TokenPrice(3.0, 15.0)
    for _ in range(4):
        asker(RunBudget(usd=0.005, price=price)).ask(questions(60, words=40), "ask", Silent())
        assert 0 < price.of(*_billed(server)) <= 0.005
    one = len(server.seen)
    asker(RunBudget(usd=0.01, price=price)).ask(questions(60, words=40), "ask", Silent())
    assert len(server.seen) > one
    assert 0.005 < price.of(*_billed(server)) <= 0.01


def test_a_server_that_does_not_say_what_it_took_is_taken_to_have_taken_all(server: TeacherServer, asker: Make) -> None:
    server.usage = False
    asked = questions(1)
    one = asker()
    one.ask(asked, "ask", Silent())
    assert one.budget.spent == TokenCount(asked[0].most_tokens_in, 8)
    assert asked[0].most_tokens_in >= sum(len(content.encode()) for _, content in asked[0].messages)


def test_what_was_on_its_way_when_a_run_was_killed_counts_as_spent(server: TeacherServer, asker: Make, tmp_path: Path) -> None:
    """A mark without an answer: it was sent, and may have been paid for."""
    one, asked = asker(), questions(1)
    AnswerStore(tmp_path / "answers").mark(one._key(asked[0]), TokenCount(100, 8))
    one.ask(asked, "ask", Silent())
    assert one.budget.spent == TokenCount(100, 8) + TokenCount(*_billed(server))
    again = asker()
    again.ask(asked, "ask", Silent())
    assert again.budget.spent == one.budget.spent, "and it goes on counting"


def test_what_was_paid_before_counts_before_anything_new_is_sent(server: TeacherServer, asker: Make) -> None:
    """Stored answers behind new questions: were they counted in their turn, the new ones would have spent the whole budget already."""
    asked = questions(40, words=40)
    asker().ask(asked[20:], "ask", Silent())
    paid = TokenCount(*_billed(server)).total
    budget = RunBudget(tokens=paid + 300)
    answers = asker(budget, concurrency=1).ask(asked, "ask", Silent())
    assert budget.spent.total == server.tokens() <= paid + 300
    assert all(answer.text == "yes" for answer in answers[20:]) and any(answer.why_not == NoAnswerReason.BUDGET for answer in answers[:20])


def test_a_store_that_is_full_is_said_and_holds_nobody_up(server: TeacherServer, asker: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: AnswerStore, key: str, most: TokenCount) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(AnswerStore, "mark", full)
    asked = questions(12)
    budget = RunBudget(tokens=asked[0].most_tokens_in + 8)  # room for one at a time: the others wait for it
    with pytest.raises(TeacherError, match=r"cannot be stored.*No space left"):
        asker(budget, concurrency=4).ask(asked, "ask", Silent())
    assert budget.share_left(TokenCount(asked[0].most_tokens_in, 8)) == 1.0 and not server.seen


def test_an_answer_that_another_build_takes_away_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = AnswerStore(tmp_path / "answers")
    for number in range(3):
        cache.put(f"{number:064x}", TeacherAnswer("yes"), TokenCount())
    stat, gone = Path.stat, next((tmp_path / "answers").rglob("*.json"))

    def vanished(self: Path, **how: Any) -> os.stat_result:
        if self == gone:
            raise FileNotFoundError(gone)
        return stat(self, **how)

    monkeypatch.setattr(Path, "stat", vanished)
    cache.prune(0)
    monkeypatch.undo()
    assert list((tmp_path / "answers").rglob("*.json")) == [gone]


def test_a_torn_or_foreign_entry_is_asked_anew(server: TeacherServer, asker: Make, tmp_path: Path) -> None:
    asker().ask(questions(2), "ask", Silent())
    files = sorted((tmp_path / "answers").rglob("*.json"))
    assert len(files) == 2
    files[0].write_text('{"text": "half', encoding="utf-8")
    files[1].write_text('["text"]', encoding="utf-8")
    assert texts(asker().ask(questions(2), "ask", Silent())) == ["yes", "yes"]
    assert len(server.seen) == 4


def test_the_store_is_bounded(tmp_path: Path) -> None:
    cache = AnswerStore(tmp_path / "answers")
    for number in range(50):
        cache.put(f"{number:064x}", TeacherAnswer("x" * 5000), TokenCount())
    cache.prune(80_000)
    assert 5 <= len(list((tmp_path / "answers").rglob("*.json"))) <= 10
    assert (tmp_path / "answers").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("status", [429, 500, 503, 522])
def test_a_passing_failure_is_tried_again(server: TeacherServer, asker: Make, status: int) -> None:
    server.faults = [Fault(status), Fault(status)]
    one = asker(concurrency=1)
    assert texts(one.ask(questions(2), "ask", Silent())) == ["yes", "yes"]
    assert (one.retried, len(server.refused)) == (2, 2)
    assert one.budget.spent == TokenCount(*_billed(server)), "a refused request costs nothing"


@pytest.mark.parametrize("status", [408, 502, 504, 520, 524])
def test_what_a_gateway_lost_may_have_been_billed_and_counts_as_spent(server: TeacherServer, asker: Make, status: int) -> None:
    server.faults = [Fault(status), Fault(status)]
    one, asked = asker(concurrency=1), questions(2)
    assert texts(one.ask(asked, "ask", Silent())) == ["yes", "yes"] and len(server.refused) == 2
    most = TokenCount(asked[0].most_tokens_in, 8)
    assert one.budget.spent == most + most + TokenCount(*_billed(server))
    again = asker()
    again.ask(asked, "ask", Silent())
    assert again.budget.spent == one.budget.spent, "and it goes on counting"


def test_a_gateway_that_times_out_does_not_let_a_budget_be_passed(server: TeacherServer, asker: Make) -> None:
    asked = questions(1)
    server.faults = [Fault(504)] * 9
    answers = asker(RunBudget(tokens=2 * (asked[0].most_tokens_in + 8) - 1)).ask(asked, "ask", Silent())
    assert answers[0].why_not == NoAnswerReason.BUDGET and len(server.refused) == 1, "another try may be billed as well"


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_kept(server: TeacherServer, asker: Make, form: str) -> None:
    wait = "1" if form == "seconds" else email.utils.formatdate(time.time() + 2, usegmt=True)
    server.faults = [Fault(429, {"Retry-After": wait})]
    asker(concurrency=4).ask(questions(4), "ask", Silent())
    first, *_, last = server.times
    assert last - first >= 0.9
    assert len(server.times) == 5


def test_a_server_that_is_closed_for_the_day_is_not_waited_for(server: TeacherServer, asker: Make) -> None:
    server.faults = [Fault(429, {"Retry-After": str(LONGEST_AFTER + 60)})]
    with pytest.raises(TeacherError, match="wait of 11 minutes"):
        asker(concurrency=1).ask(questions(3), "ask", Silent())


def test_what_fails_again_and_again_stops_with_what_was_answered_kept(server: TeacherServer, asker: Make) -> None:
    asker(concurrency=1).ask(questions(2), "ask", Silent())
    server.faults = [Fault(500)] * 50
    with pytest.raises(TeacherError, match=r"keeps failing \(HTTP 500: not now\).*not paid for again"):
        asker(concurrency=1, attempts=3).ask(questions(5), "ask", Silent())
    assert len(server.refused) == 3
    server.faults = []
    asker().ask(questions(5), "ask", Silent())
    assert len(server.seen) == 5


def test_a_question_that_is_refused_costs_only_itself(server: TeacherServer, asker: Make) -> None:
    asker(concurrency=1).ask(questions(1), "ask", Silent())
    server.faults = [Fault(400)]
    answers = asker(concurrency=1).ask(questions(4), "ask", Silent())
    assert [answer.why_not for answer in answers] == [None, NoAnswerReason.REFUSED, None, None]


SCHEMA = json.dumps({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False})


def held(count: int, schema: str = SCHEMA) -> list[TeacherQuestion]:
    return [replace(question, schema=schema) for question in questions(count)]


def test_a_server_is_asked_to_hold_its_answers_to_the_schema(server: TeacherServer, asker: Make) -> None:
    asker(concurrency=1).ask(held(2), "ask", Silent())
    formats = [body["response_format"] for body in server.seen]
    assert [entry["type"] for entry in formats] == ["json_schema"] * 2
    assert formats[0]["json_schema"] == {"name": "answer", "schema": json.loads(SCHEMA), "strict": True}
    loose = json.dumps({"type": "object", "properties": {"a": {"type": "string"}}})
    asker(concurrency=1).ask([*held(1, loose), *questions(1)], "ask", Silent())
    assert server.seen[2]["response_format"]["json_schema"]["strict"] is False
    assert len(server.seen) == 4 and "response_format" not in server.seen[3], "another schema, or none, is another question"


def test_a_server_that_knows_no_schemas_is_asked_without_them(server: TeacherServer, asker: Make) -> None:
    server.schemas = False
    answers = asker(concurrency=1).ask(held(4), "ask", Silent())
    assert [answer.why_not for answer in answers] == [None] * 4
    assert len(server.refused) == 1 and len(server.seen) == 4, "it is tried once, and then known"
    server.faults = [Fault(400), Fault(400)]
    server.schemas = True
    found = asker(concurrency=1, source=server.url).ask([replace(held(1)[0], max_tokens=9), held(5)[4]], "ask", Silent())
    assert [answer.why_not for answer in found] == [NoAnswerReason.REFUSED, None], (
        "a question that is refused either way says nothing of schemas"
    )
    assert "response_format" in server.seen[-1]


def test_a_server_that_refuses_everything_is_left_alone(server: TeacherServer, asker: Make) -> None:
    server.faults = [Fault(422)] * 100
    with pytest.raises(TeacherError, match="refuses every question"):
        asker(concurrency=1).ask(questions(40), "ask", Silent())
    assert len(server.refused) < 12


def test_a_wrong_key_is_said_once_and_never_shown(server: TeacherServer, asker: Make) -> None:
    secret = "sk-very-secret-0123456789"
    server.faults = [Fault(401, body=json.dumps({"error": {"message": f"Incorrect API key provided: {secret}"}}).encode())] * 10
    with pytest.raises(TeacherError, match=r"HTTP 401.*Incorrect API key provided: ….*key_env") as caught:
        asker(key=secret, concurrency=1).ask(questions(5), "ask", Silent())
    assert secret not in str(caught.value) and secret not in repr(caught.value.__cause__)
    assert server.keys == {f"Bearer {secret}"}
    assert len(server.refused) == 1


def test_redirects_are_not_followed(server: TeacherServer, asker: Make) -> None:
    server.faults = [Fault(307, {"Location": "http://127.0.0.1:9/v1/chat/completions"})]
    with pytest.raises(TeacherError, match=r"HTTP 307.*Redirects are not followed"):
        asker(key="k", concurrency=1).ask(questions(1), "ask", Silent())


def test_an_answer_without_bounds_is_not_read_to_its_end(server: TeacherServer, asker: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_LIMIT_BYTES", 10_000)
    server.answer = lambda messages: "x" * 100_000
    with pytest.raises(TeacherError, match="larger than 10,000 bytes"):
        asker(attempts=2).ask(questions(1), "ask", Silent())


@pytest.mark.parametrize("answer", [b"<html>", b"{}", b'{"choices": []}', b'{"choices": [{"message": 3}]}', b"[" * 100_000])
def test_what_is_no_completion_is_tried_again(asker: Make, answer: bytes) -> None:
    with raw_server(answer) as url, pytest.raises(TeacherError, match="not a chat completion"):
        asker(source=url, attempts=2).ask(questions(1), "ask", Silent())


def test_a_request_has_a_deadline(server: TeacherServer, asker: Make) -> None:
    server.faults = [Fault(wait=1.5)]
    one = asker(timeout=0.3, concurrency=1)
    assert texts(one.ask(questions(1), "ask", Silent())) == ["yes"]
    assert len(server.times) == 2, "the first was given up, and asked once more"
    assert one.budget.spent.total > server.tokens() / 2, "the one that was given up may have been paid for"
    assert one.budget.spent.given >= questions(1)[0].most_tokens_in


def test_no_server_at_all(asker: Make) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    one = asker(source=f"http://127.0.0.1:{port}/v1", attempts=2)
    with pytest.raises(TeacherError, match="no connection"):
        one.ask(questions(1), "ask", Silent())
    assert one.budget.spent == TokenCount()


def test_the_pace_is_kept(server: TeacherServer, asker: Make) -> None:
    asker(requests_per_minute=600, concurrency=8).ask(questions(8), "ask", Silent())
    gaps = [after - before for before, after in zip(server.times, server.times[1:], strict=False)]
    assert server.times[-1] - server.times[0] >= 0.5, "0.7 s, less what the first one took to arrive"
    assert len(gaps) == 7
    assert server.most_at_once <= 8


def with_schema(count: int) -> list[TeacherQuestion]:
    return [replace(question, schema='{"type": "object", "properties": {}}') for question in questions(count)]


def test_one_question_that_is_refused_does_not_turn_schemas_off(server: TeacherServer, asker: Make) -> None:
    said = RecordedProgress()
    server.faults = [Fault(), Fault(400)]
    asker(concurrency=1).ask(with_schema(4), "ask", said)
    assert ["response_format" in body for body in server.seen] == [True, False, True, True]
    assert said.said == []


def test_a_server_without_schemas_is_told_of_once_and_both_requests_keep_the_pace(server: TeacherServer, asker: Make) -> None:
    said = RecordedProgress()
    server.schemas = False
    one = asker(concurrency=1, requests_per_minute=600)
    one.ask(with_schema(3), "ask", said)
    one.ask(with_schema(5), "ask", said)
    assert len(server.refused) == 1 and len(server.seen) == 5, "one question was sent twice"
    assert server.times[1] - server.times[0] >= 0.08, "and the second of them waited for its turn"
    assert len(said.said) == 1 and "takes no schema" in said.said[0]


def test_no_more_at_once_than_allowed(server: TeacherServer, asker: Make) -> None:
    server.faults = [Fault(wait=0.05) for _ in range(12)]
    asker(concurrency=3).ask(questions(12), "ask", Silent())
    assert server.most_at_once == 3


def test_a_stopped_run_begins_no_other_request(server: TeacherServer, asker: Make) -> None:
    class Stopped(Silent):
        def advance(self, units: int = 1, **facts: float | str) -> None:
            raise KeyboardInterrupt

    server.faults = [Fault(wait=0.02) for _ in range(200)]
    with pytest.raises(KeyboardInterrupt):
        asker(concurrency=2).ask(questions(100), "ask", Stopped())
    assert len(server.times) < 10


class raw_server:
    """Answers every connection with one body, as HTTP 200."""

    def __init__(self, body: bytes) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._body = body

    def __enter__(self) -> str:
        threading.Thread(target=self._serve, daemon=True).start()
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}/v1"

    def __exit__(self, *_: object) -> None:
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                self._read(connection)
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(self._body)}\r\nConnection: close\r\n\r\n"
                connection.sendall(head.encode() + self._body)

    def _read(self, connection: socket.socket) -> None:
        """All of a request: what is left unread when a connection is closed resets it, and what was sent may be lost."""
        found = connection.recv(65536)
        while b"\r\n\r\n" not in found:
            found += connection.recv(65536)
        head, _, body = found.partition(b"\r\n\r\n")
        length = int(next(line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")))
        while len(body) < length and (more := connection.recv(65536)):
            body += more
