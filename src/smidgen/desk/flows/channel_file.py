"""A desk's channels, webhooks and hand-over from one TOML file, opened and set to work. Secrets come from the environment alone."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import pydantic

from smidgen.core.conversations import Answering
from smidgen.core.errors import InputError, RecipeError, RequestError
from smidgen.core.settings import Settings, mistake_in, setting
from smidgen.desk.channels.channel import Channel, WebhookAnswer, WebhookChannel, WebhookRequest, open_channel, secret
from smidgen.desk.channels.chatwoot import ChatwootChannel
from smidgen.desk.channels.email import EmailChannel
from smidgen.desk.channels.webhook_endpoint import WebhookEndpoint
from smidgen.desk.flows.customer_privacy import CustomerMasking
from smidgen.desk.flows.delivery import DeliveryWorker, Listener, RetryRule, WebhookListener
from smidgen.desk.flows.hand_over import ChatwootHandOver, MailHandOver, summary_data
from smidgen.desk.flows.inbox import Attempts, BackgroundLoop, InboxWorker, TakenIn, take_in
from smidgen.desk.flows.model_watch import ModelWatch, WatchedModel
from smidgen.desk.store.conversation_store import MOST_DAYS, ConversationStore
from smidgen.desk.store.records import EventKind

_MOST_FILE = 200_000
_POLL_SECONDS = 120.0
_TIDY_SECONDS = 3_600.0
_LOOK_SECONDS = 30.0


Read = TypeVar("Read", bound="ChannelFile")


class WebhookSettings(Settings):
    """Settings of a webhook that is told of events."""

    url: str = setting(..., "Where events go: https, or http of this machine.")
    secret_env: str = setting(..., "The environment variable with the secret that signs (whsec_...).", hidden=True)
    events: tuple[EventKind, ...] = setting(get_args(EventKind), "The events that it is told of.")


class HandOverSettings(Settings):
    """Settings of how people get conversations."""

    mail: str = setting("", "The e-mail channel that mails them to its `people`.")
    visitors: str = setting(
        "", "The e-mail channel that mails people's answers to visitors of a site who left an address; without it `mail`."
    )
    chatwoot: str = setting("", "The Chatwoot channel that gets a private note with the summary.")


class ChannelFile(Settings):
    """A desk's channel file."""

    channels: dict[str, dict[str, Any]] = setting({}, "Channels by name; `kind` says which.")
    webhooks: dict[str, WebhookSettings] = setting({}, "Webhooks by name.")
    hand_over: HandOverSettings = setting(HandOverSettings(), "How people get conversations.")
    keep_days: int = setting(365, "Conversations without a change for so many days are deleted.", ge=1, le=MOST_DAYS)


def read_channel_file(file: Path, owner: type[Read]) -> Read:
    """Read a channel file as these settings. Raises InputError if it cannot be read, RecipeError with every mistake in it."""
    try:
        if file.stat().st_size > _MOST_FILE:
            raise InputError("desk.desk_file_is_too_large", value=str(file), most_file=_MOST_FILE)
        told = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError("desk.desk_file_cannot_be_read", value=f"{file}: {error}") from None
    try:
        return owner.model_validate(told)
    except pydantic.ValidationError as error:
        mistakes = [f"{'.'.join(map(str, fault['loc']))}: {mistake_in(dict(fault))}" for fault in error.errors()]
        raise RecipeError("desk.desk_file_has_mistakes", value=str(file), mistakes=mistakes) from None


class DeskChannels:
    """A desk's channels at work: what comes in is stored, answered and delivered, and events are told.

    `models`: those that are served with the desk, whose promotions and revocations are told too. `masking`: replaces customers' personal
    data, as the desk's policy says; None for nothing.

    Raises InputError for a secret that is missing, RecipeError for a wrong setting.
    """

    def __init__(
        self,
        store: ConversationStore,
        desk: Answering,
        file: ChannelFile,
        rule: RetryRule | None = None,
        models: Sequence[WatchedModel] = (),
        masking: CustomerMasking | None = None,
    ) -> None:
        self._store, self._desk, self._file, self._masking = store, desk, file, masking
        self.channels: dict[str, Channel] = {}
        for name, given in file.channels.items():
            self.channels[name] = open_channel(str(given.get("kind", "")), {key: value for key, value in given.items() if key != "kind"})
        self._endpoints: list[WebhookEndpoint] = []
        self.visitor_mail = file.hand_over.visitors or file.hand_over.mail
        """The name of the e-mail channel by which visitors of a site get people's answers; empty if there is none."""
        if self.visitor_mail and not isinstance(self.channels.get(self.visitor_mail), EmailChannel):
            raise RecipeError("desk.channel_of_visitors_is_not_e_mail", value=self.visitor_mail)
        self.inbox = InboxWorker(store, desk)
        self.delivery = DeliveryWorker(store, desk.name, self.channels, self._listeners(), rule)
        self._loops = [self._mail_loop(name, one) for name, one in self.channels.items() if isinstance(one, EmailChannel)]
        self._loops.append(BackgroundLoop(self._tidy, 1, _POLL_SECONDS, _TIDY_SECONDS))
        self.watch = ModelWatch(store, desk.name, models, file.keep_days)
        if models and file.webhooks:
            self._loops.append(BackgroundLoop(self._look, 1, _POLL_SECONDS, _LOOK_SECONDS))

    def start(self) -> None:
        """Start to work."""
        self.inbox.start()
        self.delivery.start()
        for loop in self._loops:
            loop.start()

    def stop(self) -> None:
        """Stop, and close the connections. What was begun and not ended is taken up at the next start."""
        for loop in self._loops:
            loop.stop()
        self.inbox.stop()
        self.delivery.stop()
        for channel in self.channels.values():
            channel.close()
        for endpoint in self._endpoints:
            endpoint.close()

    def receive(self, name: str, request: WebhookRequest) -> tuple[WebhookAnswer, TakenIn]:
        """Verify a vendor's request and store what it brings, before the vendor gets its answer.

        Raises RequestError: 404 if no channel of this name takes webhooks, 401 for a wrong signature, 503 if too much waits.
        """
        channel = self.channels.get(name)
        if not isinstance(channel, WebhookChannel):
            raise RequestError("desk.no_channel_of_this_name_takes_webhooks", value=name, status=404, code="not_found")
        brought = channel.receive(request)
        taken = take_in(self._store, self._desk.name, name, brought)
        if taken.received:
            self.inbox.wake()
        if taken.refused:
            # The vendor sends it again later: nothing is lost.
            raise RequestError("desk.too_many_messages_wait", value=taken.refused, status=503, code="overloaded")
        return brought, taken

    def _listeners(self) -> dict[str, Listener]:
        listeners: dict[str, Listener] = {}
        masking = self._masking if self._masking is not None and self._masking.privacy.handed_over else None
        seen = None if masking is None else masking.event
        for name, told in self._file.webhooks.items():
            endpoint = WebhookEndpoint(told.url, [secret(told.secret_env, f"the secret of the webhook {name}")])
            self._endpoints.append(endpoint)
            listeners[f"webhook:{name}"] = WebhookListener(
                endpoint, told.events, lambda event: summary_data(self._store, event, masking), seen
            )
        chosen = self._file.hand_over
        mail, inbox = self.channels.get(chosen.mail), self.channels.get(chosen.chatwoot)
        if chosen.mail:
            if not isinstance(mail, EmailChannel) or not mail.box.people:
                raise RecipeError("desk.channel_to_hand_over_by_mail_has_no_people", value=chosen.mail)
            listeners["hand_over:mail"] = MailHandOver(self._store, mail, masking)
        if chosen.chatwoot:
            if not isinstance(inbox, ChatwootChannel):
                raise RecipeError("desk.channel_to_hand_over_is_not_chatwoot", value=chosen.chatwoot)
            listeners["hand_over:chatwoot"] = ChatwootHandOver(self._store, chosen.chatwoot, inbox, masking)
        return listeners

    def _mail_loop(self, name: str, channel: EmailChannel) -> BackgroundLoop:
        def take(brought: WebhookAnswer) -> None:
            if take_in(self._store, self._desk.name, name, brought).refused:
                raise RequestError("desk.too_many_mails_wait", value=name, status=503, code="overloaded")
            self.inbox.wake()

        def work(attempts: Attempts) -> bool:
            return channel.poll(take) > 0

        return BackgroundLoop(work, 1, _POLL_SECONDS)

    def _look(self, _: Attempts) -> bool:
        """Tell what became of the models."""
        if self.watch.look():
            self.delivery.wake()
        return False

    def _tidy(self, _: Attempts) -> bool:
        """Delete what is older than it is kept."""
        self._store.delete_older(self._file.keep_days)
        return False


def open_desk_channels(file: Path, store: ConversationStore, desk: Answering, rule: RetryRule | None = None) -> DeskChannels:
    """Open the channels of a file for a desk; `start` sets them to work."""
    return DeskChannels(store, desk, read_channel_file(file, ChannelFile), rule)
