"""Take what channels bring into the store, and let the desk answer what waits: each message once, in its conversation's order."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any, Literal

from smidgen.core.conversations import Answering, DeskAnswer, DeskReply
from smidgen.core.errors import shown
from smidgen.desk.channels.channel import CONVERSATION, PersonAnswer, WebhookAnswer
from smidgen.desk.channels.decisions import DECISION
from smidgen.desk.store.conversation_store import ConversationStore
from smidgen.desk.store.records import TakenMessage
from smidgen.desk.store.tables import ConversationMissing

MOST_TRIES = 3
"""After so many attempts a person gets the conversation."""
LEASE_SECONDS = 180.0
ANSWER_SECONDS = 60.0
"""How long a desk may take for an answer."""
_IDLE_SECONDS, _FAILED_SECONDS = 0.5, 2.0
_RETRY_SECONDS = 2.0
_LATE = "no such call waits"

_log = logging.getLogger("smidgen.desk")

Words = Literal["failed", "unsure", "late", "attachment", "only_attachment"]
_WORDS: dict[str, dict[Words, str]] = {
    "en": {
        "failed": "I could not work on your message. A person will answer you.",
        "unsure": "I cannot tell whether that was done. A person will check it and answer you. Please do not send it again.",
        "late": "This question is no longer open for you, so I have not changed anything now. Ask again if you still want it.",
        "attachment": "I cannot open attachments. I read your words only.",
        "only_attachment": "I cannot open attachments. Please write what you would like to know.",
    },
    "de": {
        "failed": "Ich konnte Ihre Nachricht nicht bearbeiten. Ein Mensch wird Ihnen antworten.",
        "unsure": "Ich weiß nicht, ob das ausgeführt wurde. Ein Mensch prüft es und antwortet. Bitte senden Sie es nicht noch einmal.",
        "late": "Diese Frage ist für Sie nicht mehr offen; ich habe jetzt nichts geändert. Fragen Sie gern noch einmal.",
        "attachment": "Anhänge kann ich nicht öffnen. Ich habe nur Ihren Text gelesen.",
        "only_attachment": "Anhänge kann ich nicht öffnen. Bitte schreiben Sie, was Sie wissen möchten.",
    },
}


@dataclass(frozen=True, slots=True)
class TakenIn:
    """How many of a channel's messages were new, repeated, or refused because too many wait."""

    received: int = 0
    repeated: int = 0
    refused: int = 0


def take_in(store: ConversationStore, desk: str, channel: str, brought: WebhookAnswer) -> TakenIn:
    """Store what a channel brought, on the disk when this returns: messages, people's answers, late failures, statuses.

    channel: the channel's name in the desk's settings.
    """
    counts = {"received": 0, "repeated": 0, "refused": 0}
    for message in brought.messages:
        counts[store.inbox.receive(replace(message, channel=channel), desk)] += 1
    for answer in brought.answers:
        _take_answer(store, desk, channel, answer)
    for failure in brought.failures:
        store.outbox.failed_late(channel, failure.vendor_id, failure.why)
    for mark in brought.taken:
        store.outbox.arrived(channel, mark.id, mark.vendor_id)
    for thread, status in brought.statuses:
        for conversation in store.find_conversation(desk, channel, thread):
            store.set_status(conversation, status)
    return TakenIn(**counts)


def _take_answer(store: ConversationStore, desk: str, channel: str, answer: PersonAnswer) -> None:
    """Store a person's answer. One that was written elsewhere, by mail for example, is delivered; one of a deleted conversation is not."""
    named = answer.thread.startswith(CONVERSATION)
    found = [answer.thread.removeprefix(CONVERSATION)] if named else store.find_conversation(desk, channel, answer.thread)[:1]
    for conversation in found:
        with contextlib.suppress(ConversationMissing):
            if store.conversation(conversation).desk == desk:
                store.add_turn(conversation, answer.text, answer.by, deliver=named, external_id=answer.external_id)


class Attempts:
    """Runs what other people's code does, within a time, and gives its failure as a value. Not safe for several threads."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._pool = seconds, ThreadPoolExecutor(1)

    def run(self, function: Callable[..., Any], *arguments: Any) -> tuple[Any, BaseException | None]:
        """The result and None, or None and the failure; TimeoutError if it takes too long. It may still end later, unseen."""
        future = self._pool.submit(function, *arguments)
        if not wait([future], self._seconds).done:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = ThreadPoolExecutor(1)
            return None, TimeoutError(f"no end within {self._seconds:.0f} seconds")
        error = future.exception()
        return (None, error) if error is not None else (future.result(), None)

    def close(self) -> None:
        """End the thread once it is idle."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class BackgroundLoop:
    """Threads that do a piece of work again and again, and sleep while there is none."""

    def __init__(self, work: Callable[[Attempts], bool], threads: int, seconds: float, idle: float = _IDLE_SECONDS) -> None:
        self._work, self._seconds, self._idle = work, seconds, idle
        self._ending, self._woken = threading.Event(), threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(max(1, min(threads, 16)))]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Look for work now."""
        self._woken.set()

    def stop(self, seconds: float = 10.0) -> bool:
        """Let each thread finish its piece of work; False if one still works after some seconds. What it holds is taken up later."""
        self._ending.set()
        self._woken.set()
        for thread in self._threads:
            thread.join(seconds)
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self) -> None:
        attempts, pool = Attempts(self._seconds), ThreadPoolExecutor(1)
        while not self._ending.is_set():
            future = pool.submit(self._work, attempts)
            error = future.exception()
            if error is not None:
                # A database that fails for a moment is asked again. A mistake must not end the work of a whole desk.
                _log.error("a desk's worker failed and goes on: %s: %s", type(error).__name__, shown(str(error)))
            if error is not None or not future.result():
                self._woken.wait(self._idle if error is None else _FAILED_SECONDS)
                self._woken.clear()
        attempts.close()
        pool.shutdown(wait=False)


class InboxWorker:
    """Lets a desk answer the messages that wait. A desk that fails is asked again; after three attempts a person is."""

    def __init__(
        self,
        store: ConversationStore,
        desk: Answering,
        threads: int = 2,
        answer_seconds: float = ANSWER_SECONDS,
        lease: float = LEASE_SECONDS,
        retry: float = _RETRY_SECONDS,
    ) -> None:
        self._store, self._desk, self._lease, self._retry = store, desk, lease, retry
        self._loop = BackgroundLoop(self.work_once, threads, answer_seconds)
        self.start, self.wake, self.stop = self._loop.start, self._loop.wake, self._loop.stop

    def work_once(self, attempts: Attempts) -> bool:
        """Answer one message; False if none waits."""
        taken = self._store.inbox.take(self._lease, self._desk.name)
        if taken is None:
            return False
        pressed = taken.message.facts.get(DECISION)
        if taken.conversation.status == "with_person":
            self._store.inbox.finish(taken, _late(taken) if pressed else None)
            return True
        answer = self._without_desk(taken)
        if answer is None:
            waiting = _waiting_call(taken)
            if waiting and not self._store.inbox.deciding(taken, waiting):
                return True
            if isinstance(pressed, Mapping):
                work: tuple[Any, ...] = (self._desk.decide, taken.conversation, waiting, pressed.get("yes") is True)
            else:
                work = (self._desk.answer, taken.conversation, taken.message.text)
            answer, error = attempts.run(*work)
            if error is not None:
                why = f"{type(error).__name__}: {shown(str(error))}"
                self._store.inbox.retry(taken, self._retry * 2**taken.attempts, why)
                return True
        self._store.inbox.finish(taken, _with_attachments(answer, taken))
        return True

    def _without_desk(self, taken: TakenMessage) -> DeskAnswer | None:
        """The answer that needs no desk; None for all other messages."""
        language, pressed = _language(taken), taken.message.facts.get(DECISION)
        if taken.deciding:
            # An earlier attempt began a confirmed call and did not end: nobody may begin it again.
            return _handed_over(taken, "unsure", {"began": taken.deciding})
        if taken.attempts > MOST_TRIES:
            return _handed_over(taken, "failed", {"attempts": taken.attempts - 1})
        if pressed is not None and (not _waiting_call(taken) or _called(pressed) != _waiting_call(taken)):
            return _late(taken)
        greeting = self._desk.greeting
        if taken.message.facts.get("begins") is True and greeting:
            text = greeting.get(language) or next(iter(greeting.values()))
            return DeskAnswer(DeskReply("answered", text), taken.conversation.state)
        if taken.message.attachments and not taken.message.text.strip():
            return DeskAnswer(DeskReply("asked", _WORDS[language]["only_attachment"]), taken.conversation.state)
        return None


def _handed_over(taken: TakenMessage, words: Words, facts: dict[str, Any]) -> DeskAnswer:
    reply = DeskReply("handed_over", _WORDS[_language(taken)][words], facts={"why": words, **facts})
    return DeskAnswer(reply, taken.conversation.state, "with_person")


def _called(pressed: Any) -> str:
    """The id of the call that a button was for."""
    return str(pressed.get("call", "")) if isinstance(pressed, Mapping) else ""


def _late(taken: TakenMessage) -> DeskAnswer:
    """The answer to a button of a call that does not wait for this customer: it was pressed before, it is old, or another one was asked."""
    reply = DeskReply("failed", _WORDS[_language(taken)]["late"], facts={"why": _LATE}, language=_language(taken))
    return DeskAnswer(reply, taken.conversation.state, taken.conversation.status)


def _with_attachments(answer: DeskAnswer, taken: TakenMessage) -> DeskAnswer:
    """The answer, with a word on attachments that were not read."""
    if not taken.message.attachments or not taken.message.text.strip() or not answer.reply.text:
        return answer
    text = f"{answer.reply.text}\n\n{_WORDS[_language(taken)]['attachment']}"
    return replace(answer, reply=replace(answer.reply, text=text))


def _waiting_call(taken: TakenMessage) -> str:
    """The id of the call that waits for the customer's yes; empty if none does. Words on a late button do not end a call's waiting."""
    said = [turn.reply for turn in taken.conversation.turns if turn.author == "desk"]
    last = next((one for one in reversed(said) if one is None or one.facts.get("why") != _LATE), None)
    return last.call.id if last is not None and last.call is not None else ""


def _language(taken: TakenMessage) -> str:
    spoken = (taken.conversation.state.get("language"), taken.conversation.language, taken.message.facts.get("language"))
    known = next((str(one) for one in spoken if one), "")
    return known if known in _WORDS else "en"
