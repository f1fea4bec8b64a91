"""What the large model answers in an audit is kept with its request, to learn from, and never to choose or certify."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.certified_bundle import answer, text
from tests.server.gateway.test_auditor import right, says, until
from tests.server.gateway.test_certified import CHAT, PATIENCE, asking, certify
from tests.server.traffic.test_capture import rows
from tests.upstream_stub import UpstreamStub

from smidgen.flows.local_model import Model
from smidgen.gateway.certificate import Reference
from smidgen.store.traffic.records import TrafficPair
from smidgen.store.traffic.store import opened


@pytest.fixture
def gateway(serve: Any, upstream: UpstreamStub, model: Model) -> Callable[..., Any]:
    def start(**settings: Any) -> Any:
        certify(model, reference=Reference(kind="model"))
        capture = {"capture": "answers", "capture_redact": "allow", "capture_held_out": 0.0, "audit_share": 1.0}
        return serve(model, patience=PATIENCE, **{"fallback": (upstream.url,), "fallback_model": ("big",), **capture, **settings})

    return start


def pairs(count: int, held_out: bool | None = None) -> list[TrafficPair]:
    """The pairs, as soon as there are so many."""
    for _ in range(400):
        with opened() as store:
            found = list(store.pairs("support", held_out))
        if len(found) >= count:
            return found
        time.sleep(0.025)
    raise AssertionError(f"{len(found)} pairs, not {count}")


def test_an_audited_answer_is_a_pair_to_learn_from(gateway: Any, upstream: UpstreamStub) -> None:
    upstream.answer = lambda seen: says("delivery/late")
    found = gateway().post(CHAT, asking(text(3, 1)))
    assert found.headers["x-smidgen-answered-by"] == "local"
    (pair,) = pairs(1)
    assert (pair.id, pair.input, pair.reference, pair.whose) == (found.headers["x-request-id"], text(3, 1), "delivery/late", "upstream")
    assert (pair.answered_by, pair.model, pair.held_out, pair.local_output) == ("local", "big", False, f'"{answer(3)}"')
    with opened() as store:
        counts = store.totals()
        assert (counts.requests, counts.local, counts.upstream) == (1, 1, 0), "it is no request of its own"


def test_what_is_held_out_stays_so(gateway: Any, upstream: UpstreamStub) -> None:
    upstream.answer = right
    running = gateway(capture_held_out=0.5)
    for number in range(24):
        running.post(CHAT, asking(text(3, number)))
        until(running, {"agreed": number + 1.0})  # of many at once some are dropped
    learnt = {row["input"] for row in rows(count=24) if not row["held_out"]}
    assert 2 <= len(learnt) <= 22
    found = pairs(len(learnt))
    assert {pair.input for pair in found} == learnt and not any(pair.held_out for pair in found)


def test_an_id_of_the_clients_own_keeps_nothing(gateway: Any, upstream: UpstreamStub) -> None:
    """It may have come before, with another text."""
    upstream.answer = right
    running = gateway()
    assert running.post(CHAT, asking(text(3, 1)), headers={"x-request-id": "mine"}).headers["x-request-id"] == "mine"
    running.post(CHAT, asking(text(3, 2)))
    assert [pair.input for pair in pairs(1)] == [text(3, 2)]
    assert {row["id"]: row["audit_answer"] for row in rows(count=2)}["mine"] is None


def test_personal_data_in_it_is_not_kept(gateway: Any, upstream: UpstreamStub) -> None:
    upstream.answer = lambda seen: says("ask Margaret Holloway" if b"number 1 " in seen.body else "yes")
    running = gateway(capture_redact="mask", threads=1)
    running.post(CHAT, asking(f"{text(3, 1)} Margaret Holloway"))
    running.post(CHAT, asking(f"{text(3, 2)} Margaret Holloway"))
    (pair,) = pairs(1)
    assert (pair.input, pair.reference, pair.altered) == (f"{text(3, 2)} [PERSON_1]", "yes", True)
    assert not any("Holloway" in str(row) for row in rows(count=2))


def test_a_correction_counts_before_it_and_a_thumb_is_of_the_local_answer(gateway: Any, upstream: UpstreamStub) -> None:
    upstream.answer = right
    running = gateway()
    ids = [running.post(CHAT, asking(text(3, number))).headers["x-request-id"] for number in range(2)]
    pairs(2)
    for id, said in zip(ids, ({"corrected": "no"}, {"verdict": "down"}), strict=True):
        assert running.post("/v1/feedback", {"request_id": id, **said}).status_code == 200
    assert [(pair.reference, pair.whose) for pair in pairs(2)] == [("no", "human"), (answer(3), "upstream")]


def test_nothing_is_kept_without_capture(gateway: Any, upstream: UpstreamStub) -> None:
    upstream.answer = right
    assert gateway(capture="off", capture_held_out=None).post(CHAT, asking(text(3, 1))).status_code == 200
    with opened() as store:
        assert list(store.pairs()) == []
