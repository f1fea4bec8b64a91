"""Settings of the chat on a site: who may embed it, how it looks, and how much one visitor may ask."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import StringConstraints

from smidgen.core.settings import Settings, setting

WebOrigin = Annotated[str, StringConstraints(pattern=r"^https?://[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(?::[0-9]{1,5})?$")]
"""A scheme, a host and perhaps a port, without a path: it stands in a content security policy."""
_LOOPBACK = ("http://localhost:*", "http://127.0.0.1:*")
_LOOPBACK_ORIGIN = re.compile(r"https?://(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?")


class WidgetSettings(Settings):
    """How a desk stands on a site."""

    title = "Widget"

    name: str = setting("Support", "The name above the chat.", min_length=1, max_length=60)
    origins: tuple[WebOrigin, ...] = setting(
        (), "A web origin whose pages may show the chat, such as https://shop.example. Without any, only pages of this machine may."
    )
    site: str = setting(
        "", "Address that relative links in citations and cards start from.", max_length=500, pattern=r"^(https?://[^\s\"'<>]+)?$"
    )
    image_hosts: tuple[WebOrigin, ...] = setting((), "A web origin that product images may come from, such as https://images.shop.example.")
    colour: str = setting("#17656b", "The brand's colour. The text on it is black or white by itself.", pattern=r"^#[0-9A-Fa-f]{6}$")
    starters: tuple[Annotated[str, StringConstraints(min_length=1, max_length=80)], ...] = setting(
        (), "A question offered at the beginning. Three are enough.", max_length=6
    )
    longest: int = setting(2_000, "Longest message of a visitor, in characters.", ge=50, le=20_000)
    messages_a_minute: int = setting(20, "Most messages a minute in one conversation. Further ones get 429.", ge=1, le=1_000)
    calls_a_minute: int = setting(
        240,
        "Most calls a minute of one conversation, and of one address outside its conversations. Further ones get 429.",
        ge=1,
        le=1_000_000,
    )
    starts_an_hour: int = setting(60, "Most conversations that one address may begin in an hour.", ge=1, le=1_000_000)
    address_header: str = setting(
        "",
        "Header in which your own proxy tells the visitor's address, such as x-real-ip. Only with a proxy that always sets it: visitors "
        "could write it themselves.",
        pattern=r"^[A-Za-z0-9-]{0,60}$",
    )
    at_once: int = setting(2, "Most messages that the desk answers at a time. Others wait.", ge=1, le=64)
    answer_seconds: float = setting(30.0, "Longest time for an answer, waiting included.", gt=0, le=600)

    @property
    def ancestors(self) -> str:
        """The pages that may show the frame, as the content security policy says it."""
        return " ".join(("'self'", *(self.origins or _LOOPBACK)))

    def embeds(self, origin: str) -> bool:
        """Whether pages of an origin may show the frame."""
        if not self.origins:
            return _LOOPBACK_ORIGIN.fullmatch(origin) is not None
        return origin.lower() in {one.lower() for one in self.origins}
