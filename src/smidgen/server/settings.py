"""What a serving process may be told: where it listens, who may call, and how much it takes on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import StringConstraints

from smidgen.core.settings import Settings, setting
from smidgen.gateway.route_settings import RouteSettings

LOOPBACK = "127.0.0.1"
Key = Annotated[str, StringConstraints(pattern=r"^[!-~]+$")]
"""An API key: printable ASCII without spaces, as a header takes it."""


class ListenSettings(Settings):
    """The server by itself. Every limit has an end: nothing a client sends can grow without bound."""

    port: int = setting(8080, "TCP port; 0 takes any free one.", ge=0, le=65535)
    host: str = setting(LOOPBACK, "Address to listen on. The default takes calls from this machine only.", min_length=1)
    api_key: tuple[Key, ...] = setting(
        (), "A key that clients must send as a bearer token; may be repeated. Also read from SMIDGEN_API_KEY.", repr=False
    )
    admin_key: tuple[Key, ...] = setting(
        (),
        "A key like --api-key whose holder may also send feedback on answers that other keys got; may be repeated. Also read from "
        "SMIDGEN_ADMIN_KEY. With admin keys alone nobody else may call.",
        repr=False,
    )
    allow_host: tuple[str, ...] = setting((), "A host name that clients may call this server by, besides localhost; may be repeated.")
    cors: tuple[str, ...] = setting((), "A web origin whose pages may call this server (https://app.example); may be repeated.")
    threads: int | None = setting(None, "Threads for the model. As many as the machine has cores by default.", ge=1, le=1024)
    max_batch: int = setting(32, "Most texts that the model is given at once.", ge=1, le=4096)
    max_queue: int = setting(1024, "Most texts that may wait; past it, requests get 503.", ge=1, le=1_000_000)
    max_concurrent: int = setting(512, "Most requests at a time; past it, requests get 429.", ge=1, le=100_000)
    max_inputs: int = setting(256, "Most texts in one request; more get 422.", ge=1, le=100_000)
    max_chars: int = setting(32_768, "Longest text, in characters; longer ones get 422.", ge=1, le=10_000_000)
    max_body_mb: float = setting(4.0, "Largest request body, in megabytes; larger ones get 413.", gt=0, le=1024)
    request_seconds: float = setting(
        30.0,
        "Longest that a bundle may take for a request (past it, 503 or 504), and that a body may take to arrive (408), with a second more "
        "for each 10 kB of it. What goes upstream has --fallback-seconds.",
        gt=0,
        le=3600,
    )
    drain_seconds: float = setting(30.0, "Longest that running requests may go on after a stop signal.", gt=0, le=3600)
    secrets: Path | None = setting(
        None, 'A TOML file of your own with keys, as NAME = "value": what is in it counts before the environment. Nobody else may read it.'
    )
    account: bool = setting(
        True, "Keep an account by day and model: requests, money, time, energy. Numbers alone, no texts; smidgen status shows it."
    )
    access_log: bool = setting(True, "One line per request on stderr: route, status, time. Never the text.")

    @property
    def max_body(self) -> int:
        """The largest request body, in bytes."""
        return int(self.max_body_mb * 1_000_000)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that may call; everyone may where there are none."""
        return (*self.api_key, *self.admin_key)

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return self.host in (LOOPBACK, "localhost", "::1") or self.host.startswith("127.")


class ServeSettings(RouteSettings, ListenSettings):
    """Settings of `smidgen serve`: what it is told of itself, and where requests go."""
