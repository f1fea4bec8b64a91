"""What waits to be delivered arrives, is tried again, or becomes a dead letter."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import standardwebhooks
from tests.desk.channels.vendor import Vendor, vendor

from smidgen.core.conversations import DeskAnswer, DeskReply, IncomingMessage, OutgoingMessage
from smidgen.core.errors import InputError
from smidgen.desk.channels.channel import DeliveryError, TakenMark, WebhookAnswer
from smidgen.desk.channels.standard_webhooks import new_secret
from smidgen.desk.channels.webhook_endpoint import WebhookEndpoint
from smidgen.desk.flows.delivery import DeliveryWorker, RetryRule, WebhookListener
from smidgen.desk.flows.inbox import Attempts, take_in
from smidgen.desk.store.conversation_store import ConversationStore


class TestChannel:
    """A channel that fails as told, the next failure first."""

    __test__ = False

    def __init__(self) -> None:
        self.failures: list[Exception] = []
        self.sent: list[tuple[str, bool]] = []

    def send(self, message: OutgoingMessage, again: bool) -> str:
        self.sent.append((message.text, again))
        if self.failures:
            raise self.failures.pop(0)
        return f"v-{message.id}"

    def close(self) -> None:
        pass


class HandClock:
    """A clock that a test sets."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def store(tmp_path: Path, clock: HandClock) -> ConversationStore:
    mine = ConversationStore(f"sqlite:///{tmp_path}/conversations.db", clock)
    for number, channel in enumerate(("slack", "telegram", "slack")):
        mine.inbox.receive(IncomingMessage(channel, f"{number}", "T", f"U{number}", "hi"), "shop")
        taken = mine.inbox.take(60)
        assert taken is not None and mine.inbox.finish(taken, DeskAnswer(DeskReply("answered", f"answer {number}"), {}))
    return mine


@pytest.fixture
def attempts() -> Iterator[Attempts]:
    mine = Attempts(5.0)
    yield mine
    mine.close()


def failure(passing: bool = True, after: float | None = None) -> DeliveryError:
    return DeliveryError("busy", value="HTTP 429", todo="Wait.", passing=passing, after=after)


def test_each_message_goes_through_its_channel(store: ConversationStore, attempts: Attempts) -> None:
    slack, telegram = TestChannel(), TestChannel()
    worker = DeliveryWorker(store, "shop", {"slack": slack, "telegram": telegram})
    assert [worker.work_once(attempts) for _ in range(4)] == [True, True, True, False]
    assert slack.sent == [("answer 0", False), ("answer 2", False)] and telegram.sent == [("answer 1", False)]
    assert store.outbox.waiting() == 0


def test_a_busy_channel_pauses_and_others_go_on(store: ConversationStore, clock: HandClock, attempts: Attempts) -> None:
    slack, telegram = TestChannel(), TestChannel()
    slack.failures = [failure(after=30)]
    worker = DeliveryWorker(store, "shop", {"slack": slack, "telegram": telegram})
    assert [worker.work_once(attempts) for _ in range(3)] == [True, True, False]
    assert slack.sent == [("answer 0", False)] and telegram.sent == [("answer 1", False)]
    worker._paused.clear()
    clock.now += 29
    assert worker.work_once(attempts) and not worker.work_once(attempts)
    clock.now += 2
    assert worker.work_once(attempts) and slack.sent[1:] == [("answer 2", False), ("answer 0", False)]


def test_what_cannot_be_delivered_is_a_dead_letter_and_an_event(store: ConversationStore, clock: HandClock, attempts: Attempts) -> None:
    slack = TestChannel()
    slack.failures = [failure(passing=False), KeyError("a mistake"), failure(), failure()]
    worker = DeliveryWorker(store, "shop", {"slack": slack}, rule=RetryRule(tries=3, first=1.0, longest=10.0))
    for _ in range(8):
        while worker.work_once(attempts):
            pass
        clock.now += 11
    dead = {one.message.text: (one.error, one.attempts) for one in store.outbox.dead("shop")}
    assert dead == {"answer 0": ("busy: HTTP 429", 1), "answer 2": ("busy: HTTP 429", 3)}
    assert [event.body["error"] for event in store.events.listed("shop", "undelivered")] == ["busy: HTTP 429"] * 2
    assert store.outbox.waiting() == 1  # telegram, which this desk does not have now


def test_waits_double_with_jitter_and_keep_to_what_the_vendor_asks() -> None:
    rule = RetryRule(first=2.0, longest=60.0)
    assert [rule.wait(number, None, lambda: 1.0) for number in (1, 2, 3, 10, 1_000)] == [2.0, 4.0, 8.0, 60.0, 60.0]
    assert rule.wait(1, None, lambda: 0.0) == 1.0 and rule.wait(1, 90.0) == 90.0 and rule.wait(1, 1e9) == 86_400.0


@pytest.fixture
def receiver() -> Iterator[Vendor]:
    with vendor(lambda asked: (204, {}, b"")) as mine:
        yield mine


def test_events_go_to_webhooks_that_can_verify_them(
    store: ConversationStore, receiver: Vendor, clock: HandClock, attempts: Attempts
) -> None:
    secret = new_secret()
    hook = WebhookListener(WebhookEndpoint(f"{receiver.url}/hook", [secret]), ("answered", "revoked"))
    worker = DeliveryWorker(store, "shop", {"slack": TestChannel(), "telegram": TestChannel()}, {"zapier": hook})
    store.events.tell("shop", "promoted", {"version": 2})
    receiver.answer = lambda asked: (500, {}, {}) if len(receiver.asked) == 1 else (204, {}, b"")
    for _ in range(6):
        worker.work_once(attempts)
    clock.now += 10
    while worker.work_once(attempts):
        pass
    assert len(receiver.asked) == 4 and receiver.asked[0].headers["webhook-id"] in {one.headers["webhook-id"] for one in receiver.asked[1:]}
    told = receiver.asked[-1]
    raw = json.dumps(told.body, ensure_ascii=False, separators=(",", ":"))
    assert standardwebhooks.Webhook(secret).verify(raw, dict(told.headers)) == told.body
    assert told.body["type"] == "desk.answered" and told.body["data"]["desk"] == "shop" and told.body["data"]["question"] == "hi"
    assert told.body["timestamp"].endswith("Z") and len({one.headers["webhook-id"] for one in receiver.asked}) == 3


def test_a_receiver_that_is_gone_is_not_asked_again(store: ConversationStore, receiver: Vendor, attempts: Attempts) -> None:
    hook = WebhookListener(WebhookEndpoint(receiver.url, [new_secret()]), ("promoted",))
    worker = DeliveryWorker(store, "shop", {}, {"own": hook})
    store.events.tell("shop", "promoted", {})
    receiver.answer = lambda asked: (410, {}, {})
    while worker.work_once(attempts):
        pass
    assert len(receiver.asked) == 1 and store.events.dead("shop")[0].error.endswith("HTTP 410")


def test_redirects_and_private_names_are_not_followed(receiver: Vendor) -> None:
    receiver.answer = lambda asked: (307, {"location": f"{receiver.url}/inside"}, b"")
    with pytest.raises(DeliveryError, match="HTTP 307"):
        WebhookEndpoint(receiver.url, [new_secret()]).send("evt_1", b"{}")
    assert [one.path for one in receiver.asked] == ["/"]
    for private in ("https://10.0.0.1/", "https://169.254.169.254/latest", "https://[::1]:8443/x"):
        with pytest.raises((DeliveryError, InputError)):
            WebhookEndpoint(private, [new_secret()], 0.2).send("evt_1", b"{}")
    with pytest.raises(InputError, match="secret"):
        WebhookEndpoint(receiver.url, ["whsec_short"])


def test_only_an_attempt_without_an_answer_leaves_a_doubt(store: ConversationStore, clock: HandClock, attempts: Attempts) -> None:
    slack, rule = TestChannel(), RetryRule(tries=9, first=1.0, longest=1.0)
    worker = DeliveryWorker(store, "shop", {"slack": slack}, rule=rule)
    silent = DeliveryError("did not answer", value="ReadTimeout", todo="", passing=True, unsure=True)
    slack.failures = [failure(), silent, failure()]
    first = [(text, again) for text, again in _sent(worker, slack, clock, attempts, 4) if text == "answer 0"]
    assert first == [("answer 0", False), ("answer 0", False), ("answer 0", True), ("answer 0", True)]


def test_a_worker_that_ends_in_the_middle_leaves_a_doubt(store: ConversationStore, clock: HandClock, attempts: Attempts) -> None:
    held = store.outbox.take(10.0)
    assert held is not None and not held.doubt
    clock.now += 11.0
    slack = TestChannel()
    assert DeliveryWorker(store, "shop", {"slack": slack}).work_once(attempts) and slack.sent == [("answer 0", True)]


def test_a_vendor_that_tells_by_itself_gets_the_time_to_do_so(store: ConversationStore, clock: HandClock, attempts: Attempts) -> None:
    slack, rule = TestChannel(), RetryRule(tries=9, first=1.0, longest=1.0)
    slack.doubt_seconds = 60.0  # type: ignore[attr-defined]
    slack.failures = [DeliveryError("did not answer", value="ReadTimeout", todo="", passing=True, unsure=True)]
    worker = DeliveryWorker(store, "shop", {"slack": slack}, rule=rule)
    assert worker.work_once(attempts) and worker.work_once(attempts)
    (doubted,) = [one for one in store.outbox.of_conversation(_conversation_of(store, "U0")) if one.state == "waiting"]
    clock.now += 30.0
    worker.work_once(attempts)
    assert [text for text, _ in slack.sent] == ["answer 0", "answer 2"]
    take_in(store, "shop", "telegram", WebhookAnswer(taken=(TakenMark(doubted.message.id, "v-7"),)))
    assert store.outbox.of_conversation(doubted.conversation)[0].state == "waiting"  # another channel's word does not count
    take_in(store, "shop", "slack", WebhookAnswer(taken=(TakenMark(doubted.message.id, "v-7"), TakenMark("unknown", "v-8"))))
    clock.now += 60.0
    worker.work_once(attempts)
    (known,) = store.outbox.of_conversation(doubted.conversation)
    assert (known.state, known.vendor_id) == ("delivered", "v-7") and len(slack.sent) == 2


def _sent(worker: DeliveryWorker, channel: TestChannel, clock: HandClock, attempts: Attempts, rounds: int) -> list[tuple[str, bool]]:
    for _ in range(rounds * 2):
        worker.work_once(attempts)
        clock.now += 1.0
    return channel.sent


def _conversation_of(store: ConversationStore, sender: str) -> str:
    (id,) = [one.id for one in store.conversations().conversations if one.address == sender]
    return id
