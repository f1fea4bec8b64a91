"""A desk that a server shows on sites."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from starlette.requests import Request

from smidgen.core.conversations import Answering
from smidgen.desk.flows.channel_file import DeskChannels
from smidgen.desk.routes.widget_settings import WidgetSettings
from smidgen.desk.store.conversation_store import ConversationStore
from smidgen.server.access import ClientAddress

if TYPE_CHECKING:
    from smidgen.server.service import Service


@dataclass(frozen=True)
class ServedDesk:
    """A desk, the store of its conversations, how it stands on sites, and its channels. The caller closes the store and the channels."""

    desk: Answering
    store: ConversationStore
    settings: WidgetSettings = field(default_factory=WidgetSettings)
    channels: DeskChannels | None = None

    @property
    def name(self) -> str:
        """The desk's name."""
        return self.desk.name

    @property
    def proxy_unnamed(self) -> bool:
        """True if a proxy's header has come that no setting names."""
        return bool(self.client.unnamed)

    def tools(self, prefix: str) -> Sequence[Any]:
        """Return the desk as a tool that is asked as a customer would, and each of its tools. The library is loaded here."""
        from smidgen.desk.mcp_tools import desk_tools

        return desk_tools(self, prefix)

    def address(self, request: Request) -> str:
        """The network address of who asks: see `ClientAddress`."""
        return self.client.of(request)

    @cached_property
    def client(self) -> ClientAddress:
        """Reads the addresses of visitors."""
        return ClientAddress(self.settings.address_header, "address_header in the section [widget] of the desk file")


def desks_of(service: Service) -> dict[str, ServedDesk]:
    """The desks that a server shows, by name."""
    return {name: one for name, one in service.shown.items() if isinstance(one, ServedDesk)}
