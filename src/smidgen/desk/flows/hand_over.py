"""Hand a conversation to people, with a summary: who asks, what was said, which passages were found, and what was tried.

A person answers in Chatwoot, or answers the mail. The answer goes to the customer, and is kept with the question to learn from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from smidgen.core.conversations import DeskConversation, DeskReply, Turn
from smidgen.desk.channels.chatwoot import ChatwootChannel
from smidgen.desk.channels.email import EmailChannel
from smidgen.desk.flows.customer_privacy import CustomerMasking
from smidgen.desk.store.conversation_store import ConversationStore
from smidgen.desk.store.records import DeskEvent, EventKind
from smidgen.desk.store.tables import ConversationMissing

KINDS: tuple[EventKind, ...] = ("handed_over", "customer_wrote")
_MOST_TURNS = 20
_MOST_PASSAGES = 5
_MOST_WORDS = 1_500
_AUTHORS = {"customer": "Customer", "desk": "Desk", "person": "Person"}


@dataclass(frozen=True, slots=True)
class HandOverSummary:
    """All that a person needs to go on with a conversation.

    Attributes:
        who: the customer's channel and address.
        question: the customer's last words.
        passages: what was found in documents, each with its title.
        tried: what the desk did: members, intents, outcomes.
        talk: the last turns, the oldest first.
    """

    who: str
    question: str
    passages: tuple[str, ...]
    tried: tuple[str, ...]
    talk: tuple[str, ...]

    @property
    def subject(self) -> str:
        """The summary in one line."""
        return f"{self.who}: {' '.join(self.question.split())[:80]}"

    def text(self) -> str:
        """The summary as plain text."""
        parts = [f"From: {self.who}", f"Question:\n{self.question}"]
        parts += [f"{title}:\n" + "\n".join(f"- {line}" for line in lines) for title, lines in
                  (("Passages found", self.passages), ("Tried", self.tried), ("Conversation", self.talk)) if lines]  # fmt: skip
        return "\n\n".join(parts)


def summarise(conversation: DeskConversation) -> HandOverSummary:
    """The summary of a conversation, from its turns alone."""
    turns = conversation.turns[-_MOST_TURNS:]
    replies = [turn.reply for turn in turns if turn.reply is not None]
    asked = [turn.text for turn in turns if turn.author == "customer" and turn.text.strip()]
    left = next((str(reply.facts["email"]) for reply in reversed(replies) if reply.facts.get("email")), "")
    # A visitor's address in the widget is a hash: people need the one that the visitor left.
    who = f"{conversation.channel} {left or conversation.address}".strip()
    passages = list(dict.fromkeys(passage for reply in reversed(replies) for passage in _passages(reply)))[:_MOST_PASSAGES]
    tried = [_tried(reply) for reply in replies]
    return HandOverSummary(
        who, asked[-1][:_MOST_WORDS] if asked else "", tuple(passages), tuple(tried), tuple(_line(turn) for turn in turns)
    )


class MailHandOver:
    """Mails a conversation to people. Their answers by mail go to the customer; what the customer writes meanwhile is mailed too.

    `masking`: without personal data; None for all of it.
    """

    kinds: Sequence[EventKind] = KINDS

    def __init__(self, store: ConversationStore, channel: EmailChannel, masking: CustomerMasking | None = None) -> None:
        self._store, self._channel, self._masking = store, channel, masking

    def tell(self, event: DeskEvent) -> None:
        """Mail the conversation of an event; nothing, if it was deleted. Raises DeliveryError."""
        found = _conversation(self._store, event, self._masking)
        if found is not None:
            summary = summarise(found)
            event = event if self._masking is None else self._masking.event(event)
            text = summary.text() if event.kind == "handed_over" else f"The customer wrote:\n\n{event.body.get('question', '')}"
            end = "Answer this mail: your words go to the customer."
            self._channel.hand_over(found.id, event.id, summary.subject, f"{text}\n\n{end}")


class ChatwootHandOver:
    """Writes the summary as a private note into the conversation in Chatwoot, which is open for people by then. `masking`: as above."""

    kinds: Sequence[EventKind] = ("handed_over",)

    def __init__(self, store: ConversationStore, name: str, channel: ChatwootChannel, masking: CustomerMasking | None = None) -> None:
        self._store, self._name, self._channel, self._masking = store, name, channel, masking

    def tell(self, event: DeskEvent) -> None:
        """Write the note; nothing for a conversation of another channel. Raises DeliveryError."""
        found = _conversation(self._store, event, self._masking)
        if found is not None and found.channel == self._name:
            number = self._store.last_facts(found.id).get("conversation")
            if isinstance(number, int):
                self._channel.note(number, summarise(found).text())


def summary_data(store: ConversationStore, event: DeskEvent, masking: CustomerMasking | None = None) -> dict[str, Any]:
    """The summary of an event's conversation as JSON, for webhooks; empty if it was deleted, or for another kind of event."""
    found = _conversation(store, event, masking) if event.kind == "handed_over" else None
    if found is None:
        return {}
    one = summarise(found)
    return {
        "summary": {"who": one.who, "question": one.question, "passages": list(one.passages), "tried": list(one.tried), "text": one.text()}
    }


def _conversation(store: ConversationStore, event: DeskEvent, masking: CustomerMasking | None) -> DeskConversation | None:
    try:
        found = store.conversation(event.conversation) if event.conversation else None
    except ConversationMissing:
        return None
    return masking.conversation(found) if found is not None and masking is not None else found


def _passages(reply: DeskReply) -> Iterator[str]:
    """The passages that a reply stands on, and those that were found and not used."""
    for one in reply.citations:
        yield f"{one.title}: {one.text}"[:_MOST_WORDS]
    found = reply.facts.get("passages", ())
    for passage in found if isinstance(found, list | tuple) else ():
        text = passage.get("text", "") if isinstance(passage, dict) else passage
        title = passage.get("title", "") if isinstance(passage, dict) else ""
        if text:
            yield (f"{title}: {text}" if title else str(text))[:_MOST_WORDS]


def _tried(reply: DeskReply) -> str:
    known = (("by", reply.member), ("intent", reply.intent), ("why", reply.facts.get("why", "")))
    more = ", ".join(f"{name} {value}" for name, value in known if value)
    return f"{reply.outcome}{f' ({more})' if more else ''}, score {reply.score:.2f}"


def _line(turn: Turn) -> str:
    return f"{_AUTHORS[turn.author]}: {' '.join(turn.text.split())[:_MOST_WORDS]}"
