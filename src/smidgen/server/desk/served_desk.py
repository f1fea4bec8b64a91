"""A desk that a server shows on sites."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from starlette.requests import Request

from smidgen.core.conversations import Answering
from smidgen.flows.desk.channel_file import DeskChannels
from smidgen.server.client_address import ClientAddress
from smidgen.server.desk.widget_settings import WidgetSettings
from smidgen.store.conversations.store import ConversationStore


@dataclass(frozen=True)
class ServedDesk:
    """A desk, the store of its conversations, how it stands on sites, and its channels. The caller closes the store and the channels."""

    desk: Answering
    store: ConversationStore
    settings: WidgetSettings = field(default_factory=WidgetSettings)
    channels: DeskChannels | None = None

    def address(self, request: Request) -> str:
        """The network address of who asks: see `ClientAddress`."""
        return self.client.of(request)

    @cached_property
    def client(self) -> ClientAddress:
        """Reads the addresses of visitors."""
        return ClientAddress(self.settings.address_header, "address_header in the section [widget] of the desk file")
