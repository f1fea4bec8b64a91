"""The conversations of visitors: who may see one, and what happens to a message, a decision, a wish for a person.

A visitor is known by a token, which only their browser has; the store has its hash. A message has an id from the browser, so one that is
sent again is answered once. A confirmed call is written down before it runs, so nothing runs it twice.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from smidgen.core.conversations import DeskAnswer, DeskConversation, DeskReply, Turn
from smidgen.core.errors import RequestError
from smidgen.desk.routes.conversation_json import decision_turn, message_turn, turns_json
from smidgen.desk.routes.served_desk import ServedDesk
from smidgen.desk.routes.wording import words
from smidgen.desk.store.tables import ConversationChanged, ConversationMissing

CHANNEL = "widget"
_TOKEN_BYTES = 32
_NO_HASH = "0" * 64
_ATTEMPTS = 3

Accepted = Callable[[DeskConversation, Turn], None]
"""Told of the customer's turn as soon as it is known."""


class Visits:
    """The conversations of a desk's visitors. Its methods wait for the store and the desk: call them in a thread of their own.

    Calls for one conversation must follow one another.
    """

    def __init__(self, served: ServedDesk) -> None:
        self._served, self._desk, self._store, self._settings = served, served.desk, served.store, served.settings

    def begin(self, language: str) -> tuple[DeskConversation, str]:
        """Begin a conversation; returns it with the token of its visitor."""
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        return self._store.open_conversation(self._desk.name, CHANNEL, _hashed(token), language), token

    def read(self, id: str, token: str) -> DeskConversation:
        """The conversation of a visitor. Raises RequestError, 404, alike for an unknown one and for a wrong token."""
        try:
            found = self._store.conversation(id)
        except ConversationMissing:
            found = None
        expected = found.address if found is not None and found.channel == CHANNEL and found.desk == self._desk.name else _NO_HASH
        if not hmac.compare_digest(expected.encode("utf-8"), _hashed(token).encode("ascii")) or found is None:
            raise RequestError("desk.there_is_no_such_conversation", status=404, code="conversation_not_found")
        return found

    def answer(self, conversation: DeskConversation, message: str, text: str, accepted: Accepted, origin: str = "") -> DeskConversation:
        """Answer a message, unless that was done before; returns the conversation after it.

        `message`: the message's id; `origin`: the visitor's network address. Raises RequestError, 409, for a closed conversation.
        """
        turn = message_turn(conversation.id, message)
        attempts = 0
        while True:
            known = next((one for one in conversation.turns if one.id == turn), None)
            if known is not None:
                accepted(conversation, known)
                return conversation
            self._check_open(conversation)
            answered = None if conversation.status == "with_person" else self._desk.answer(replace(conversation, origin=origin), text)
            try:
                after = self._store.record(conversation, text, answered, turn)
            except ConversationChanged:
                attempts += 1
                if attempts == _ATTEMPTS:
                    raise
                conversation = self._store.conversation(conversation.id)
                continue
            accepted(after, next(one for one in after.turns if one.id == turn))
            return after

    def decide(self, conversation: DeskConversation, call: str, yes: bool, accepted: Accepted, origin: str = "") -> DeskConversation:
        """Run a proposed call, or drop it; returns the conversation after it. Another decision on the same call changes nothing.

        Raises RequestError: 404 if the conversation has no such call, 409 if it is closed.
        """
        if not any(one.reply is not None and one.reply.call is not None and one.reply.call.id == call for one in conversation.turns):
            raise RequestError("desk.this_conversation_has_no_such_call", value=call, status=404, code="call_not_found")
        decisions = {decision_turn(conversation.id, call, either): either for either in (True, False)}
        place = next((at for at, one in enumerate(conversation.turns) if one.id in decisions), None)
        if place is not None:
            accepted(conversation, conversation.turns[place])
            if place == len(conversation.turns) - 1:
                return self._unclear(conversation)
            return conversation
        self._check_open(conversation)
        turn = decision_turn(conversation.id, call, yes)
        decided = self._store.confirm(conversation, words(conversation.language, "yes" if yes else "no"), turn)
        accepted(decided, decided.turns[-1])
        return self._store.record(decided, "", self._desk.decide(replace(decided, origin=origin), call, yes))

    def _unclear(self, conversation: DeskConversation) -> DeskConversation:
        """A decision was written and its result was not: the call may have run. A person must look."""
        reply = DeskReply("failed", words(conversation.language, "unclear"), score=0.0)
        return self._store.record(conversation, "", DeskAnswer(reply, conversation.state, "with_person"))

    def hand_over(self, conversation: DeskConversation, email: str) -> DeskConversation:
        """Pass a conversation to a person; returns it after that. Nothing changes where a person has it already."""
        if conversation.status == "with_person":
            return conversation
        self._check_open(conversation)
        mail = self._served.channels.visitor_mail if self._served.channels is not None else ""
        if email and mail:
            self._store.leave_address(conversation.id, mail, email)
        name = "handed_over_email" if email else "handed_over"
        facts = {"asked_by": "customer", **({"email": email} if email else {})}
        reply = DeskReply("handed_over", words(conversation.language, name, email=email), facts=facts)
        return self._store.record(conversation, "", DeskAnswer(reply, conversation.state, "with_person"))

    def rate(self, conversation: DeskConversation, turn: str, verdict: Any, comment: str) -> None:
        """Store a thumb on one of the desk's turns. Raises RequestError, 404, if the desk said no such thing."""
        try:
            self._store.give_feedback(conversation.id, turn, verdict, comment)
        except ConversationMissing as error:
            raise RequestError(error.message_code, value=turn, status=404, code="turn_not_found") from None

    def told(self, conversation: DeskConversation, after: str = "") -> dict[str, Any]:
        """The turns after one, all for an empty id, with the conversation's status. What a person wrote among them is mailed no more."""
        newest = conversation.turns
        place = next((at for at, one in enumerate(newest) if one.id == after), -1)
        written = [one.id for one in newest[place + 1 :] if one.author == "person"]
        if written:
            self._store.outbox.seen(conversation.id, written)
        return {
            "id": conversation.id,
            "status": conversation.status,
            "turns": turns_json(conversation, newest[place + 1 :], self._thumbs(conversation)),
        }

    def _thumbs(self, conversation: DeskConversation) -> Mapping[str, str]:
        return {one.turn: one.verdict for one in self._store.feedback(conversation.id)}

    def _check_open(self, conversation: DeskConversation) -> None:
        if conversation.status == "closed":
            raise RequestError("desk.this_conversation_is_closed", value=conversation.id, status=409, code="conversation_closed")


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
