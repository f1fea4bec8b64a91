"""A desk that a server shows on sites."""

from __future__ import annotations

from dataclasses import dataclass, field

from smidgen.core.conversations import Answering
from smidgen.flows.desk.channel_file import DeskChannels
from smidgen.server.desk.widget_settings import WidgetSettings
from smidgen.store.conversations.store import ConversationStore


@dataclass(frozen=True)
class ServedDesk:
    """A desk, the store of its conversations, how it stands on sites, and its channels. The caller closes the store and the channels."""

    desk: Answering
    store: ConversationStore
    settings: WidgetSettings = field(default_factory=WidgetSettings)
    channels: DeskChannels | None = None
