"""Customers' personal data at a desk: replaced in what is kept and told, and in what leaves for a large model, as the policy says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from smidgen.core.conversations import Card, DeskAnswer, DeskConversation, DeskReply, Turn
from smidgen.core.errors import RedactionError
from smidgen.desk.flows.live_desk import desk_of
from smidgen.desk.policy import REDACTION, CustomerPrivacy
from smidgen.desk.store.records import DeskEvent
from smidgen.flows.local_model import Model
from smidgen.flows.redaction_model import PersonalDataFinder, finder, needs_model
from smidgen.gateway.route_settings import PrivacySettings
from smidgen.privacy import text_patterns
from smidgen.privacy.policy import KINDS, policy_of
from smidgen.privacy.redactor import Redactor, nothing

HIDDEN = "•••"
"""Stands for a text that cannot be made safe."""
_QUOTING = ("answer", "recommend")
"""Members whose words are the business's own."""
_NAMES = frozenset({"id", "tool", "kind", "outcome", "intent", "member", "turn", "channel", "event", "passages"})
"""Fields whose values are names, or the business's own words."""
_REMEMBERED = "question"
"""The part of a conversation's state that is words, and no argument of a call."""

Mask = Callable[[str], str]


class CustomerMasking:
    """Replaces customers' personal data by placeholders: numbered anew in each text and answer that is kept, once in a summary.

    Args:
        privacy: the desk's policy.
        model: finds data that follows no pattern; None if the policy allows all of it.
    """

    def __init__(self, privacy: CustomerPrivacy, model: PersonalDataFinder | None) -> None:
        self.privacy = privacy
        policy = policy_of(privacy.policy, privacy.kinds, model.kinds if model is not None else ())
        known = {*KINDS, *(model.kinds if model is not None else ())}
        self._find = model if model is not None else nothing
        self._allowed, self._beside = policy.allowed(known), policy.beside_person(known)

    def text(self, text: str) -> str:
        """A text without personal data."""
        return self._mask()(text)

    def answer(self, answer: DeskAnswer) -> DeskAnswer:
        """An answer without personal data. Its state keeps the arguments of a call that waits, or is asked for."""
        mask, state = self._mask(), dict(answer.state)
        if isinstance(state.get(_REMEMBERED), str):
            state[_REMEMBERED] = mask(state[_REMEMBERED])
        return replace(answer, reply=_masked_reply(answer.reply, mask), state=state)

    def conversation(self, conversation: DeskConversation) -> DeskConversation:
        """A conversation without personal data. Equal values have the same placeholder in all of it."""
        mask = self._mask()
        return replace(
            conversation, address=mask(conversation.address), turns=tuple(_masked_turn(turn, mask) for turn in conversation.turns)
        )

    def event(self, event: DeskEvent) -> DeskEvent:
        """An event without personal data."""
        return replace(event, body=_masked(event.body, self._mask()))

    def _mask(self) -> Mask:
        redactor = Redactor(self._find, forms=text_patterns.every_span, allowed=self._allowed, beside_person=self._beside)

        def mask(text: str) -> str:
            try:
                return redactor.mask(text) if text.strip() else text
            except RedactionError:
                return HIDDEN

        return mask


def customer_masking(model: Model) -> CustomerMasking | None:
    """The masking of a loaded desk, by its member or the model that comes with smidgen; None if its policy wants none.

    Raises BundleError if the model is missing, InputError if it finds no spans or the policy names an unknown kind.
    """
    desk = desk_of(model)
    if desk is None or desk.policy.privacy.policy == "off":
        return None
    privacy, own = desk.policy.privacy, _own(model)
    asked = policy_of(privacy.policy, privacy.kinds) if own is None else None
    return CustomerMasking(privacy, None if asked is not None and not needs_model(asked) else finder(own, (), 1))


def leaving_privacy(models: Sequence[Any], given: PrivacySettings) -> PrivacySettings:
    """How personal data is handled in requests to the fallback: as the server's settings say, else as the policy of a served desk does."""
    found = [(model, desk.policy.privacy) for model in models if isinstance(model, Model) and (desk := desk_of(model)) is not None]
    wanted = next(((model, one) for model, one in found if one.policy != "off" and one.fallback), None)
    if given.on or wanted is None:
        return given
    model, privacy = wanted
    return given.model_copy(update={"policy": privacy.policy, "kinds": privacy.kinds, "bundle": _own(model)})


def _own(model: Model) -> Path | None:
    """The folder of a desk's member that finds personal data; None if it has none."""
    folder = model.folder / "members" / REDACTION
    return folder if folder.is_dir() else None


def _masked_turn(turn: Turn, mask: Mask) -> Turn:
    if turn.reply is not None:
        reply = _masked_reply(turn.reply, mask)
        return replace(turn, text=reply.text, reply=reply)
    return replace(turn, text=mask(turn.text))


def _masked_reply(reply: DeskReply, mask: Mask) -> DeskReply:
    """A reply without what it says of a customer. Quotations of documents and suggested products are the business's own words."""
    text = reply.text if reply.member in _QUOTING else mask(reply.text)
    cards = tuple(card if card.kind == "products" else Card(card.kind, mask(card.title), _masked(card.items, mask)) for card in reply.cards)
    call = reply.call
    if call is not None:
        call = replace(call, arguments=_masked(call.arguments, mask), words=mask(call.words))
    return replace(reply, text=text, cards=cards, call=call, facts=_masked(reply.facts, mask))


def _masked(value: Any, mask: Mask) -> Any:
    """JSON whose words are masked."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, Mapping):
        return {name: one if name in _NAMES else _masked(one, mask) for name, one in value.items()}
    return tuple(_masked(one, mask) for one in value) if isinstance(value, list | tuple) else value
