"""Promotions, rollbacks and revocations are told to webhooks once; so are a desk's other events, whatever crashes in between."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import standardwebhooks
from tests.desk.channels.vendor import Vendor, vendor
from tests.gateway.test_certificate import given

from smidgen.core.conversations import DeskAnswer, DeskReply, IncomingMessage
from smidgen.desk.flows.channel_file import ChannelFile, DeskChannels
from smidgen.desk.flows.delivery import DeliveryWorker
from smidgen.desk.flows.inbox import Attempts
from smidgen.desk.flows.model_watch import ModelWatch, WatchedModel
from smidgen.desk.store.conversation_store import ConversationStore
from smidgen.gateway import revocation
from smidgen.store.line import Line

from .soak_worker import SoakDesk

A, B = "a" * 12, "b" * 12
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OWN_SECRET", SECRET)
    return tmp_path / "home"


@pytest.fixture
def line(tmp_path: Path) -> Line:
    made = Line(tmp_path / "shop")
    made.begin("shop")
    for id in (A, B):
        made.version(id).mkdir(parents=True)
    old = datetime.now(UTC) - timedelta(days=30)
    made.point(A, by="hand", why="the first", instead_of=None, now=old - timedelta(days=1))
    made.point(B, by="learn", why="long ago", instead_of=A, now=old)
    made.point(A, by="rollback", why="complaints", instead_of=B)
    return made


@pytest.fixture
def receiver() -> Iterator[Vendor]:
    with vendor(lambda asked: (200, {}, {})) as mine:
        yield mine


def channels(store: ConversationStore, receiver: Vendor, line: Line) -> DeskChannels:
    file = ChannelFile.model_validate({"webhooks": {"own": {"url": receiver.url, "secret_env": "OWN_SECRET"}}})
    return DeskChannels(store, SoakDesk(), file, models=[WatchedModel("shop", line.version(A), line.folder)])


def told(receiver: Vendor) -> list[dict[str, object]]:
    """What the receiver got, each message verified."""
    found = []
    for one in receiver.asked:
        body = json.dumps(one.body, ensure_ascii=False, separators=(",", ":"))
        found.append(standardwebhooks.Webhook(SECRET).verify(body, dict(one.headers)))
    return found


def test_news_of_a_line_and_its_certificate_are_told_once(tmp_path: Path, line: Line, receiver: Vendor) -> None:
    paper = given(line.version(A))
    for turn in range(3):
        with ConversationStore(f"sqlite:///{tmp_path}/c.db") as store:
            one = channels(store, receiver, line)
            assert one.watch.look() == (1, 3, 0)[turn]
            attempts = Attempts(10.0)
            while one.delivery.work_once(attempts):
                pass
            attempts.close()
        if turn == 0:
            revocation.revoke(line.version(A), paper.id, "the stock has changed", datetime.now(UTC))
            line.point(B, by="learn", why="better", instead_of=A)
            line.point(A, by="rollback", why="worse after all", instead_of=B)
    kinds = [(one["type"], one["data"]) for one in told(receiver)]
    # the second look finds B's promotion, A's return, and that A's certificate is withdrawn
    assert [kind for kind, _ in kinds].count("desk.promoted") == len(kinds) - 1
    assert kinds[0][1] == {
        "desk": "shop", "conversation": None, "model": "shop", "version": A, "before": B, "by": "rollback", "why": "complaints",
    }  # fmt: skip


def test_a_revocation_is_told_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    paper = given(tmp_path / "bundle")
    with ConversationStore(f"sqlite:///{tmp_path}/c.db") as store:
        watches = [ModelWatch(store, "shop", [WatchedModel("support", tmp_path / "bundle")], 365) for _ in range(2)]
        assert watches[0].look() == 0
        revocation.revoke(tmp_path / "bundle", paper.id, "the stock has changed", datetime.now(UTC))
        assert [one.look() for one in (*watches, *watches)] == [1, 0, 0, 0]
        (event,) = store.events.listed("shop", "revoked")
        assert dict(event.body) == {"model": "support", "certificate": paper.id, "why": "the stock has changed"}
        late = ModelWatch(store, "other", [WatchedModel("support", tmp_path / "bundle")], 365, lambda: time.time() + 8 * 86_400)
        assert late.look() == 0


def test_a_record_that_cannot_be_read_stops_nothing(tmp_path: Path, line: Line) -> None:
    broken = WatchedModel("broken", tmp_path / "none", tmp_path / "none")
    with ConversationStore(f"sqlite:///{tmp_path}/c.db") as store:
        assert ModelWatch(store, "shop", [broken, WatchedModel("shop", line.version(A), line.folder)], 365).look() == 1


def test_each_event_reaches_a_receiver_once_across_crashes(tmp_path: Path, line: Line, receiver: Vendor) -> None:
    now = [time.time()]
    url = f"sqlite:///{tmp_path}/c.db"
    with ConversationStore(url, lambda: now[0]) as store:
        for number, outcome in enumerate(("answered", "unanswered", "handed_over", "done")):
            store.inbox.receive(IncomingMessage("chat", f"{number}", f"T{number}", "U", "hi"), "shop")
            taken = store.inbox.take(60)
            assert taken is not None and store.inbox.finish(taken, DeskAnswer(DeskReply(outcome, "x"), {}))  # type: ignore[arg-type]
            assert not store.inbox.finish(taken, DeskAnswer(DeskReply("answered", "late"), {}))
        turn = store.conversation(taken.conversation.id).turns[-1].id
        store.give_feedback(taken.conversation.id, turn, "down")
    crashes = 0
    while crashes < 5:  # each worker ends after the receiver has the event, and before that is written down
        with ConversationStore(url, lambda: now[0]) as store:
            one = channels(store, receiver, line)
            listeners = one._listeners()
            store.events.sort({name: listener.kinds for name, listener in listeners.items()}, "shop")
            store.events.sort({name: listener.kinds for name, listener in listeners.items()}, "shop")
            event = store.events.take(30.0, "shop")
            assert event is not None
            listeners[event.listener].tell(event.event)
            crashes += 1
            if crashes < 4:
                now[0] += 31.0
    with ConversationStore(url, lambda: now[0] + 60) as store:
        one, attempts = channels(store, receiver, line), Attempts(10.0)
        worker: DeliveryWorker = one.delivery
        while worker.work_once(attempts):
            pass
        attempts.close()
        assert store.events.waiting() == 0
    ids = Counter(one.headers["webhook-id"] for one in receiver.asked)
    first = {one.headers["webhook-id"]: one.body["type"] for one in receiver.asked}
    assert len(receiver.asked) > len(ids) == 5 and max(ids.values()) > 1
    assert Counter(first.values()) == {"desk.answered": 2, "desk.escalated": 1, "desk.handed_over": 1, "desk.feedback": 1}
