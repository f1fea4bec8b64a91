"""Audits over real HTTP: a share of what is answered here is also asked above, after the client has its answer, and can revoke."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.certified_bundle import answer, text
from tests.eventually import eventually
from tests.server.gateway.test_certified import CHAT, SURE, asking, certify
from tests.tasks.test_write import products
from tests.upstream_stub import Said, Seen, UpstreamStub, chunk

from smidgen.core.replies import Reply
from smidgen.flows.local_model import Model
from smidgen.gateway import certificate_audit as audit_log
from smidgen.gateway import revocation, route
from smidgen.gateway.answer_reading import MOST_BYTES
from smidgen.gateway.certificate import Reference
from smidgen.gateway.certificate_status import CertificateWatch
from smidgen.gateway.upstreams import RetryPolicy
from smidgen.server.gateway.auditor import MOST_IN_FLIGHT, Auditor
from smidgen.server.ops.prometheus import ServerMetrics
from smidgen.tasks import write
from smidgen.tasks.write import WriteSettings

STREAM = {"Content-Type": "text/event-stream"}
PATIENCE = RetryPolicy(tries=2, first=0.001, longest=0.002, total=1.0)
AGAINST_MODEL = Reference(kind="model")
ENDED = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'


@pytest.fixture
def gateway(serve: Any, upstream: UpstreamStub, model: Model) -> Callable[..., Any]:
    """Start one that audits every answer."""

    def start(**settings: Any) -> Any:
        given = {"fallback": (upstream.url,), "fallback_model": ("big",), "audit_share": 1.0, **settings}
        return serve(model, patience=PATIENCE, **given)

    return start


def says(content: str | None, finish: str | None = "stop", **more: Any) -> Said:
    whole = {"choices": [{"index": 0, "message": {"role": "assistant", "content": content, **more}, "finish_reason": finish}]}
    return Said(body=json.dumps(whole).encode())


def right(seen: Seen) -> Said:
    """The large model that agrees with the bundle."""
    said = json.loads(seen.body)["messages"][-1]["content"]
    return says(answer(int(said[1:3])))


def counts(running: Any) -> dict[str, float]:
    """Audits by outcome."""
    lines = [line for line in running.client.get("/metrics").text.splitlines() if line.startswith("smidgen_audits_total{")]
    return {line.split('outcome="')[1].split('"')[0]: float(line.rpartition(" ")[2]) for line in lines}


def until(running: Any, wanted: dict[str, float]) -> None:
    """Wait for the audits to come to this."""
    eventually(lambda: counts(running) == wanted)
    assert counts(running) == wanted


def value(running: Any, name: str) -> str:
    (line,) = [line for line in running.client.get("/metrics").text.splitlines() if line.startswith(name)]
    return line.rpartition(" ")[2]


def test_what_was_answered_here_is_asked_above_without_what_the_bundle_ignores(gateway: Any, upstream: UpstreamStub, model: Model) -> None:
    paper = certify(model, reference=AGAINST_MODEL)
    upstream.answer = right
    running = gateway()
    found = running.client.post(CHAT, json=asking(SURE, "support@0.9", user="u1", temperature=0), headers={"accept-encoding": "br, gzip"})
    assert found.headers["x-smidgen-answered-by"] == "local"
    until(running, {"agreed": 1.0})
    assert upstream.bodies == [asking(SURE, "big", temperature=0)] and "accept-encoding" not in upstream.seen[0].headers
    assert audit_log.read_audit(paper).audits == 1 and audit_log.read_audit(paper).losses == 0
    upstream.answer = lambda seen: says("I am not sure")
    running.post("/v1/completions", {"model": "support", "prompt": SURE})
    until(running, {"agreed": 1.0, "disagreed": 1.0})
    assert value(running, 'smidgen_certificate_audits{model="support"}') == "2.0"
    assert value(running, 'smidgen_certificate_audit_losses{model="support"}') == "1.0"
    assert value(running, 'smidgen_certificate_state{model="support",state="valid"}') == "1.0"


def test_an_audit_passes_the_privacy_border(gateway: Any, upstream: UpstreamStub, model: Model) -> None:
    certify(model, reference=AGAINST_MODEL)
    upstream.answer = lambda seen: says(answer(3))
    running = gateway(privacy="mask", threads=1)
    found = running.post(CHAT, asking(f"{text(3, 1)} Margaret Holloway"))
    assert found.headers["x-smidgen-answered-by"] == "local"
    until(running, {"agreed": 1.0})
    assert upstream.bodies == [asking(f"{text(3, 1)} [PERSON_1]", "big")]


def test_an_audit_that_must_not_leave_is_counted_by_itself(gateway: Any, upstream: UpstreamStub, model: Model) -> None:
    paper = certify(model, reference=AGAINST_MODEL)
    running = gateway(privacy="block", threads=1)
    found = running.post(CHAT, asking(f"{text(3, 1)} Margaret Holloway"))
    assert found.headers["x-smidgen-answered-by"] == "local"
    until(running, {"withheld": 1.0})
    assert upstream.seen == [] and audit_log.read_audit(paper).audits == 0


def test_audits_that_revoke_count_where_the_revocation_cannot_be_written(
    gateway: Any, upstream: UpstreamStub, model: Model, monkeypatch: Any
) -> None:
    certify(model, reference=AGAINST_MODEL)
    upstream.answer = lambda seen: says(answer(4))

    def full(*given: Any) -> Any:
        raise OSError("no space left")

    monkeypatch.setattr(revocation, "revoke", full)
    running = gateway()
    asked = 0
    while running.post(CHAT, asking(text(3, asked))).headers["x-smidgen-answered-by"] == "local":
        asked += 1
        eventually(lambda asked=asked: sum(counts(running).values()) >= asked)
        assert asked < 40
    assert counts(running) == {"disagreed": asked - 1.0, "failed": 1.0}
    assert running.post(CHAT, asking(SURE)).headers["x-smidgen-escalated"] == "revoked"


def test_too_many_disagreements_revoke_and_the_next_request_escalates(
    gateway: Any, upstream: UpstreamStub, model: Model, caplog: Any
) -> None:
    paper = certify(model, reference=AGAINST_MODEL)
    upstream.answer = lambda seen: says(answer(4))
    running = gateway()
    asked = 0
    while running.post(CHAT, asking(text(3, asked))).headers["x-smidgen-answered-by"] == "local":
        asked += 1
        until(running, {"disagreed": float(asked)})
        assert asked < 40
    assert audit_log.read_audit(paper).revoked and asked == audit_log.read_audit(paper).audits > 1
    after = running.post(CHAT, asking(SURE))
    assert (after.headers["x-smidgen-answered-by"], after.headers["x-smidgen-escalated"]) == ("upstream", "revoked")
    assert "is revoked by its audits" in caplog.text and paper.id in caplog.text
    assert value(running, 'smidgen_certificate_state{model="support",state="revoked"}') == "1.0"
    assert float(value(running, 'smidgen_certificate_evidence{model="support"}')) >= 20.0
    until(running, {"disagreed": float(asked)})  # what escalates is not audited


def test_the_client_does_not_wait(gateway: Any, upstream: UpstreamStub, model: Model) -> None:
    """Here the upstream says nothing at all before the client has its answer."""
    certify(model, reference=AGAINST_MODEL)
    held = threading.Event()
    stream = {"Content-Type": "text/event-stream"}
    upstream.answer = lambda seen: Said(pieces=[chunk(answer(3)), ENDED, b"data: [DONE]\n\n"], headers=stream, hold=held)
    running = gateway()
    assert running.post(CHAT, asking(SURE, stream=True)).headers["x-smidgen-answered-by"] == "local"
    assert counts(running) == {}
    held.set()
    until(running, {"agreed": 1.0})


def test_only_so_many_are_under_way_and_the_rest_is_dropped_and_counted(gateway: Any, upstream: UpstreamStub, model: Model) -> None:
    paper = certify(model, reference=AGAINST_MODEL)
    held = threading.Event()
    upstream.answer = lambda seen: right(seen) if held.wait(20) else Said(status=500)
    running = gateway()
    answered = [running.post(CHAT, asking(text(3, number))).headers["x-smidgen-answered-by"] for number in range(MOST_IN_FLIGHT + 3)]
    assert answered == ["local"] * (MOST_IN_FLIGHT + 3)
    until(running, {"dropped": 3.0})
    held.set()
    until(running, {"dropped": 3.0, "agreed": float(MOST_IN_FLIGHT)})
    assert audit_log.read_audit(paper).audits == MOST_IN_FLIGHT


def slow_first(first: threading.Event) -> Callable[[Seen], Said]:
    """An upstream that answers all but the first text at once."""
    return lambda seen: Said(status=500) if b"number 0" in seen.body and not first.wait(20) else right(seen)


def asked_above(upstream: UpstreamStub, times: int) -> None:
    eventually(lambda: len(upstream.seen) >= times)
    assert len(upstream.seen) == times


def test_a_slow_one_leaves_out_none_that_is_drawn_after_it(gateway: Any, upstream: UpstreamStub, model: Model) -> None:
    paper = certify(model, reference=AGAINST_MODEL)
    first = threading.Event()
    upstream.answer = slow_first(first)
    running = gateway()
    drawn = 2 * MOST_IN_FLIGHT + 1
    for number in range(drawn):
        running.post(CHAT, asking(text(3, number)))
        asked_above(upstream, number + 1)
    assert counts(running) == {} and audit_log.read_audit(paper).audits == 0
    first.set()
    until(running, {"agreed": float(drawn)})
    assert audit_log.read_audit(paper).audits == drawn


def test_those_that_wait_are_bounded_and_the_rest_is_dropped(gateway: Any, upstream: UpstreamStub, model: Model, monkeypatch: Any) -> None:
    certify(model, reference=AGAINST_MODEL)
    monkeypatch.setattr("smidgen.server.gateway.auditor.MOST_WAITING", 2)
    first = threading.Event()
    upstream.answer = slow_first(first)
    running = gateway()
    for number in range(MOST_IN_FLIGHT):  # in no hurry: each has its answer before the next is drawn
        running.post(CHAT, asking(text(3, number)))
        asked_above(upstream, min(number + 1, 3))
        time.sleep(0.1)
    until(running, {"dropped": MOST_IN_FLIGHT - 3.0})
    first.set()
    until(running, {"dropped": MOST_IN_FLIGHT - 3.0, "agreed": 3.0})


def test_one_that_takes_too_long_is_left_out_and_those_behind_it_go_on(
    gateway: Any, upstream: UpstreamStub, model: Model, monkeypatch: Any
) -> None:
    paper = certify(model, reference=AGAINST_MODEL)
    monkeypatch.setattr("smidgen.server.gateway.auditor.LONGEST_SECONDS", 0.3)
    first = threading.Event()
    upstream.answer = slow_first(first)
    running = gateway()
    try:
        for number in range(3):
            running.post(CHAT, asking(text(3, number)))
        until(running, {"unanswered": 1.0, "agreed": 2.0})
    finally:
        first.set()
    assert audit_log.read_audit(paper).audits == 2


def test_a_share_over_the_declared_one_counts_by_that(gateway: Any, upstream: UpstreamStub, model: Model) -> None:
    paper = certify(model, reference=AGAINST_MODEL)
    upstream.answer = right
    running = gateway()
    running.post(CHAT, asking(text(3, 0)))
    until(running, {"agreed": 1.0})
    assert audit_log.read_audit(paper).declared and audit_log.read_audit(paper).least_probability == 1.0
    audit_log.declare(paper, 0.5, anew=True)
    running.post(CHAT, asking(text(3, 1)))
    until(running, {"agreed": 2.0})
    assert audit_log.read_audit(paper).least_probability == 0.5


def test_a_share_under_the_declared_one_loses_a_loss_and_is_declared_then(
    gateway: Any, upstream: UpstreamStub, model: Model, monkeypatch: Any
) -> None:
    paper = certify(model, reference=AGAINST_MODEL)
    monkeypatch.setattr("smidgen.server.gateway.auditor.random.SystemRandom.random", lambda self: 0.0)
    upstream.answer = right
    running = gateway(audit_share=0.2)
    for number, (least, wanted) in enumerate(
        [(0.2, {"agreed": 1.0}), (0.5, {"agreed": 1.0, "failed": 1.0}), (0.2, {"agreed": 2.0, "failed": 1.0})]
    ):
        if number == 1:
            audit_log.declare(paper, 0.5, anew=True)
        running.post(CHAT, asking(text(3, number)))
        until(running, wanted)
        assert audit_log.read_audit(paper).least_probability == least
    assert audit_log.read_audit(paper).audits == 2


def test_losses_are_taken_in_in_the_order_of_their_requests(gateway: Any, upstream: UpstreamStub, model: Model, monkeypatch: Any) -> None:
    certify(model, reference=AGAINST_MODEL)
    first = threading.Event()
    seen: list[float] = []

    def slow_first(asked: Seen) -> Said:
        if b"number 0" in asked.body:
            first.wait(20)
            return right(asked)
        return says("no idea")

    take_in = audit_log.observe
    monkeypatch.setattr(audit_log, "observe", lambda *given, **more: (seen.append(given[2]), take_in(*given, **more))[1])
    upstream.answer = slow_first
    running = gateway()
    for number in range(3):
        running.post(CHAT, asking(text(3, number)))
    eventually(lambda: len(upstream.seen) >= 3)
    assert len(upstream.seen) == 3 and seen == []
    first.set()
    until(running, {"agreed": 1.0, "disagreed": 2.0})
    assert seen == [0.0, 1.0, 1.0]


@pytest.mark.parametrize(
    "said",
    [
        Said(status=500),
        Said(status=429, body=b"{}"),
        Said(body=b"not json"),
        Said(body=b'{"choices": [', cut=True),
        Said(pieces=[chunk("yes")], headers=STREAM, cut=True),
        Said(body=b'{"error": {"message": "overloaded"}}'),
        Said(body=b'{"choices": [{"index": 0, "message": {"content": "par"}, "finish_reason": "error"}]}'),
        Said(pieces=[chunk("yes"), b'data: {"error": {"message": "overloaded"}}\n\n', b"data: [DONE]\n\n"], headers=STREAM),
        Said(pieces=[chunk("yes"), *[b": " + b"x" * (MOST_BYTES // 8) + b"\n"] * 9, b"data: [DONE]\n\n"], headers=STREAM),
    ],
    ids=["failing", "busy", "no json", "cut", "cut stream", "an error", "an error at the end", "an error in a stream", "too long"],
)
def test_an_upstream_without_an_answer_says_nothing_of_the_bundle(gateway: Any, upstream: UpstreamStub, model: Model, said: Said) -> None:
    paper = certify(model, reference=AGAINST_MODEL)
    upstream.answer = lambda seen: said
    running = gateway()
    assert running.post(CHAT, asking(SURE)).headers["x-smidgen-answered-by"] == "local"
    until(running, {"unanswered": 1.0})
    final = any(len(piece) > MOST_BYTES // 8 for piece in said.pieces or [])
    assert (audit_log.read_audit(paper).audits, len(upstream.seen)) == (0, 1 if final else 3)
    assert audit_log.read_audit(paper).never_answered == 1 and "smidgen_certificate_audits_lost" in running.client.get("/metrics").text


@pytest.mark.parametrize(
    "said",
    [
        says(answer(3), "length"),
        says(answer(3), None),
        says(None, refusal="I will not say"),
        says(answer(3), "content_filter"),
        says(answer(3), tool_calls=[{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]),
        says(""),
        says(answer(3) + " " * 32_768),
        Said(pieces=[chunk(answer(3)), b"data: [DONE]\n\n"], headers={"Content-Type": "text/event-stream"}),
    ],
    ids=["cut", "no end", "refused", "filtered", "a tool", "blank", "long", "a stream without an end"],
)
def test_an_answer_that_is_not_one_whole_text_agrees_with_none(gateway: Any, upstream: UpstreamStub, model: Model, said: Said) -> None:
    """Otherwise the risk would be that of the requests that went well; `smidgen learn` counts captured ones by the same rule."""
    paper = certify(model, reference=AGAINST_MODEL)
    upstream.answer = lambda seen: said
    running = gateway()
    assert running.post(CHAT, asking(SURE)).json()["choices"][0]["message"]["content"] == answer(3)
    until(running, {"disagreed": 1.0})
    assert (audit_log.read_audit(paper).audits, audit_log.read_audit(paper).losses) == (1, 1)


@pytest.mark.parametrize("reference", ["gold", "reviews"])
def test_other_references_are_not_the_large_models(gateway: Any, upstream: UpstreamStub, model: Model, reference: Any) -> None:
    certify(model, reference=Reference(kind=reference))
    running = gateway()
    for number in range(5):
        assert running.post(CHAT, asking(text(3, number))).headers["x-smidgen-answered-by"] == "local"
    assert upstream.seen == [] and counts(running) == {}


def test_a_share_is_a_share(gateway: Any, upstream: UpstreamStub, model: Model, monkeypatch: Any) -> None:
    paper = certify(model, reference=AGAINST_MODEL)
    upstream.answer = right
    drawn = iter([0.29, 0.3, 0.31, 0.0, 0.999])
    monkeypatch.setattr("smidgen.server.gateway.auditor.random.SystemRandom.random", lambda self: next(drawn))
    told: list[float] = []
    take_in = audit_log.observe
    monkeypatch.setattr(audit_log, "observe", lambda *given, **more: (told.append(given[3]), take_in(*given, **more))[1])
    running = gateway(audit_share=0.3)
    for number in range(5):
        running.post(CHAT, asking(text(3, number)))
    until(running, {"agreed": 2.0})
    assert told == [0.3, 0.3] and audit_log.read_audit(paper).least_probability == 0.3
    assert [body["messages"][0]["content"] for body in upstream.bodies] == [text(3, 0), text(3, 3)]


def test_none_is_none(gateway: Any, upstream: UpstreamStub, model: Model, monkeypatch: Any) -> None:
    """The smallest that can be drawn: an audit would have been sent before the request that follows was."""
    certify(model, reference=AGAINST_MODEL)
    monkeypatch.setattr("smidgen.server.gateway.auditor.random.SystemRandom.random", lambda self: 0.0)
    running = gateway(audit_share=0.0)
    for number in range(3):
        assert running.post(CHAT, asking(text(3, number))).headers["x-smidgen-answered-by"] == "local"
    assert running.post(CHAT, asking(SURE, "another")).headers["x-smidgen-answered-by"] == "upstream"
    assert upstream.bodies == [asking(SURE, "another")] and counts(running) == {}


def test_a_state_that_cannot_be_written_is_told_and_loses_the_audit_alone(
    gateway: Any, upstream: UpstreamStub, model: Model, monkeypatch: Any, caplog: Any
) -> None:
    certify(model, reference=AGAINST_MODEL)
    upstream.answer = right

    def full(*given: Any, **more: Any) -> bool:
        raise OSError("no space left")

    monkeypatch.setattr(audit_log, "observe", full)
    running = gateway()
    for number in range(2):
        assert running.post(CHAT, asking(text(3, number))).headers["x-smidgen-answered-by"] == "local"
        until(running, {"failed": number + 1.0})
    assert caplog.text.count("an audit of support failed") == 1


def test_an_expired_one_is_not_revived_by_a_clock_that_is_set_back(
    gateway: Any, upstream: UpstreamStub, model: Model, monkeypatch: Any
) -> None:
    now = datetime.now(UTC)
    moment = [now]

    class Set(CertificateWatch):
        def __init__(self, bundle: Path, subject: Any, **more: Any) -> None:
            super().__init__(bundle, subject, lambda: moment[0], **more)

    monkeypatch.setattr("smidgen.flows.certify.certificate_status.CertificateWatch", Set)
    certify(model, reference=AGAINST_MODEL)
    running = gateway(audit_share=0.0)
    assert running.post(CHAT, asking(SURE)).headers["x-smidgen-answered-by"] == "local"
    for later, why in ((timedelta(days=91), "expired"), (timedelta(0), "clock set back")):
        moment[0] = now + later
        assert running.post(CHAT, asking(SURE)).headers["x-smidgen-escalated"] == why


def test_audits_spend_from_the_same_budget_and_are_dropped_where_it_is_full(gateway: Any, upstream: UpstreamStub, model: Model) -> None:
    paper = certify(model, reference=AGAINST_MODEL)
    upstream.answer = right
    running = gateway(budget_day=5.0, price_in=1.0, price_out=1000.0)  # one of these, and no second
    for number, wanted in enumerate(({"agreed": 1.0}, {"agreed": 1.0, "dropped": 1.0})):
        found = running.post(CHAT, asking(text(3, number), max_tokens=20))
        assert found.headers["x-smidgen-answered-by"] == "local"
        until(running, wanted)
    assert len(upstream.seen) == audit_log.read_audit(paper).audits == 1
    assert float(value(running, 'smidgen_budget_spent_usd{kind="estimated",scope="all"}')) > 0


@pytest.mark.parametrize(("said", "loss"), [("Lamp 7: A red lamp, with a plug.", 0.0), ("Lamp 7: A red lamp.", 1 / 3)])
def test_where_the_request_is_the_reference_nobody_is_asked(model: Model, said: str, loss: float) -> None:
    """The auditor of a writer: its escalation would fail whoever used it."""
    form = write.part.form(products(), WriteSettings())
    served: Any = SimpleNamespace(task=write.part, form=form, folder=model.folder, name="writer")
    paper = certify(model, reference=Reference(kind="request"), measure="attributes")
    metering = ServerMetrics()
    call: Any = object()

    async def audited() -> None:
        auditor = Auditor(None, None, metering, 1.0, 1.0)  # type: ignore[arg-type]
        auditor.consider(served, paper, [Reply(said, 0.9)], call, "name: Lamp 7; colour: red; plug: yes")
        while not audit_log.read_audit(paper).audits:
            await asyncio.sleep(0.005)
        await auditor.close()

    asyncio.run(asyncio.wait_for(audited(), 10))
    found = audit_log.read_audit(paper)
    assert found.audits == 1 and found.losses == pytest.approx(loss)


class Late(CertificateWatch):
    """Watches with a clock that a test moves on."""

    late = timedelta(0)

    def __init__(self, bundle: Path, subject: Any, **more: Any) -> None:
        super().__init__(bundle, subject, lambda: datetime.now(UTC) + Late.late, **more)


@pytest.fixture
def late(monkeypatch: Any) -> Iterator[type[Late]]:
    monkeypatch.setattr("smidgen.flows.certify.certificate_status.CertificateWatch", Late)
    monkeypatch.setattr("smidgen.gateway.certificate_status._SETTLED_NS", 0)
    yield Late
    Late.late = timedelta(0)


def test_an_operator_who_pauses_audits_gets_a_stale_certificate_and_audits_revive_it(
    gateway: Any, upstream: UpstreamStub, model: Model, late: type[Late], monkeypatch: Any
) -> None:
    paper = certify(model, reference=AGAINST_MODEL, audit_days=7)
    monkeypatch.setattr(audit_log, "SHARE", 0.5)  # twenty answers must have an audit among them
    upstream.answer = right
    running = gateway(audit_share=0.0)
    for number in range(25):
        if number == 20:
            late.late = timedelta(days=8)
        answered = running.post(CHAT, asking(text(3, number)))
    assert (answered.headers["x-smidgen-answered-by"], answered.headers["x-smidgen-escalated"]) == ("upstream", "not audited")
    assert value(running, 'smidgen_certificate_state{model="support",state="not audited"}') == "1.0"
    assert float(value(running, "smidgen_certificate_answers_since_audit")) >= 20
    again = gateway(audit_share=1.0)  # another server of this home: it is remembered
    assert again.post(CHAT, asking(text(3, 30))).headers["x-smidgen-escalated"] == "not audited"
    until(again, {"agreed": 1.0})
    assert audit_log.read_audit(paper).audits == 1
    assert again.post(CHAT, asking(text(3, 31))).headers["x-smidgen-answered-by"] == "local"


def test_while_no_upstream_answers_it_stays_stale(
    gateway: Any, upstream: UpstreamStub, model: Model, late: type[Late], monkeypatch: Any
) -> None:
    paper = certify(model, reference=AGAINST_MODEL, audit_days=7)
    monkeypatch.setattr(audit_log, "SHARE", 0.5)
    audit_log.note_answers(paper, 100, datetime.now(UTC))
    late.late = timedelta(days=8)
    upstream.answer = lambda seen: Said(status=401, body=b"{}")
    running = gateway()
    for number in range(3):
        assert running.post(CHAT, asking(text(3, number))).headers["x-smidgen-escalated"] == "not audited"
    until(running, {"refused": 3.0})
    assert audit_log.read_state(paper).barred == 3 and audit_log.read_audit(paper).never_answered == 0


def test_a_request_that_the_large_model_refuses_is_no_evidence(gateway: Any, upstream: UpstreamStub, model: Model) -> None:
    paper = certify(model, reference=AGAINST_MODEL)
    upstream.answer = lambda seen: Said(status=400, body=b"{}") if b"number 1" in seen.body else right(seen)
    running = gateway()
    for number in range(2):
        assert running.post(CHAT, asking(text(3, number))).headers["x-smidgen-answered-by"] == "local"
    until(running, {"agreed": 1.0, "refused": 1.0})
    kept = audit_log.read_state(paper)
    assert (kept.barred, kept.audit.audits, kept.audit.never_answered) == (1, 1, 0)


def strict(seen: Seen) -> Said:
    """A large model that agrees with the bundle, honours limits and penalties, and refuses what OpenAI refuses."""
    body = json.loads(seen.body)
    if not 0 <= body.get("temperature", 1) <= 2 or body.get("max_tokens", 1) < 1:
        return Said(status=400, body=b"{}")
    if body.get("temperature", 1) > 1 or body.get("presence_penalty") or body.get("logit_bias"):
        return says("fish fish fish")
    return says(answer(3), "length") if body.get("max_tokens", 100) < 4 else right(seen)


ATTACKS: list[dict[str, Any]] = [
    {"max_tokens": 1},
    {"max_completion_tokens": 1},
    {"temperature": 99},
    {"temperature": 2},
    {"presence_penalty": 2},
    {"temperature": 2, "max_tokens": 1},
]


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_a_client_cannot_make_right_answers_count_as_wrong(
    gateway: Any, upstream: UpstreamStub, model: Model, attack: dict[str, Any]
) -> None:
    """Every seventh request is the attacker's, of a model that is always right."""
    paper = certify(model, reference=AGAINST_MODEL)
    upstream.answer = strict
    running, local = gateway(), 0
    for number in range(210):
        odd = number % 7 == 0
        found = running.post(CHAT, asking(SURE, **(attack if odd else {"temperature": 0.7, "max_tokens": 200})))
        if not odd:
            assert found.headers["x-smidgen-answered-by"] == "local", (number, found.headers.get("x-smidgen-escalated"))
        local += found.headers["x-smidgen-answered-by"] == "local"
        asked_above(upstream, number + 1)
    until(running, {"agreed": float(local)})
    kept = audit_log.read_audit(paper)
    assert (kept.losses, kept.revoked, kept.unanswered) == (0.0, False, False)


def test_a_client_that_the_large_model_always_contradicts_loses_the_bundle_alone(
    gateway: Any, upstream: UpstreamStub, model: Model
) -> None:
    paper = certify(model, reference=AGAINST_MODEL)
    upstream.answer = lambda seen: says("fish") if "bad" in seen.headers["authorization"] else right(seen)
    running = gateway(threads=1)
    answered: list[str] = []
    for number in range(210):
        key = "Bearer bad" if number % 7 == 0 else f"Bearer good{number % 3}"
        found = running.client.post(CHAT, json=asking(text(3, number)), headers={"authorization": key})
        if key != "Bearer bad":
            assert found.headers["x-smidgen-answered-by"] == "local", number
        else:
            answered.append(found.headers.get("x-smidgen-escalated", ""))
        asked_above(upstream, number + 1)
    kept = audit_log.read_state(paper)
    assert not kept.audit.revoked and len(kept.audit.suspended) == 1
    assert answered[0] == "" and answered[-1].startswith("client")
    assert all(one.client in kept.audit.suspended and not one.asked for one in kept.against), "texts only where they are stored anyway"


def test_a_text_that_is_a_large_share_of_the_traffic_is_checked_before_it_is_answered_here(
    gateway: Any, upstream: UpstreamStub, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(route, "_LEAST_REQUESTS", 3)
    paper = certify(model, reference=AGAINST_MODEL)
    upstream.answer = right
    running = gateway(audit_share=0.0001)
    found = [running.post(CHAT, asking(SURE)).headers for _ in range(3)]
    assert [one["x-smidgen-answered-by"] for one in found] == ["local", "local", "upstream"]
    assert found[-1]["x-smidgen-escalated"].startswith("repeated text")
    until(running, {"checked": 1.0})
    assert running.post(CHAT, asking(SURE)).headers["x-smidgen-answered-by"] == "local", "the large model agreed"
    assert audit_log.read_audit(paper).audits == 0, "it was not drawn at random"
    upstream.answer = lambda seen: says("I am not sure")
    other = text(2, 7)
    while (told := running.post(CHAT, asking(other)).headers)["x-smidgen-answered-by"] == "local":
        pass
    assert told["x-smidgen-escalated"].startswith("repeated text")
    until(running, {"checked": 2.0})
    assert running.post(CHAT, asking(other)).headers["x-smidgen-answered-by"] == "upstream", "it disagreed"
