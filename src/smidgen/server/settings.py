"""What a serving process may be told: where it listens, who may call, and how much it takes on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import StringConstraints

from smidgen.core.settings import Settings, setting

LOOPBACK = "127.0.0.1"
Key = Annotated[str, StringConstraints(pattern=r"^[!-~]+$")]
"""An API key: printable ASCII without spaces, as a header takes it."""


class ServeSettings(Settings):
    """Settings of `smidgen serve`. Every limit has an end: nothing a client sends can grow without bound."""

    port: int = setting(8080, "TCP port; 0 takes any free one.", ge=0, le=65535)
    host: str = setting(LOOPBACK, "Address to listen on. The default takes calls from this machine only.", min_length=1)
    api_key: tuple[Key, ...] = setting(
        (), "A key that clients must send as a bearer token; may be repeated. Also read from SMIDGEN_API_KEY.", repr=False
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
    request_seconds: float = setting(30.0, "Longest that a request may take; past it, it gets 503.", gt=0, le=3600)
    drain_seconds: float = setting(30.0, "Longest that running requests may go on after a stop signal.", gt=0, le=3600)
    fallback: tuple[str, ...] = setting(
        (), "Base URL of an OpenAI-compatible server that answers what no bundle may; may be repeated: tried in order.", hidden=True
    )
    fallback_model: tuple[str, ...] = setting((), "What the fallback calls its model; once, or once for each fallback.")
    fallback_key_env: tuple[str, ...] = setting(
        (),
        "The environment variable with the fallback's key; once for each fallback. By default SMIDGEN_FALLBACK_KEY, of the second one "
        "SMIDGEN_FALLBACK_KEY_2, and so on.",
    )
    fallback_connect_seconds: float = setting(5.0, "Longest to wait for a connection to the fallback.", gt=0, le=600)
    fallback_seconds: float = setting(300.0, "Longest to wait for the fallback's next byte.", gt=0, le=3600)
    fallback_retry_seconds: float = setting(20.0, "Longest that a request waits between tries, at all fallbacks together.", ge=0, le=600)
    fallback_max_mb: float = setting(100.0, "Largest answer that is passed on, in megabytes.", gt=0, le=100_000)
    when_upstream_fails: Literal["error", "local"] = setting(
        "error", "What a request to a bundle gets that it may not answer, where no fallback answers: an error, or its answer, marked so."
    )
    capture: Literal["off", "answers"] = setting(
        "off", "Store requests to chat and completions with their answers, to learn from: nothing is stored unless this says answers."
    )
    capture_days: int = setting(30, "Days after which what was stored is deleted.", ge=1, le=3650)
    capture_redact: Literal["mask", "allow"] = setting(
        "mask", "Whether personal data is taken out before anything is stored; what cannot be made safe is then not stored."
    )
    capture_held_out: float | None = setting(
        None, "Share of the texts that is never learnt from; of a new store, 0.2 where this is not given.", ge=0, lt=1
    )
    privacy: Literal["off", "mask", "block", "health", "card"] = setting(
        "off",
        "Personal data in what goes to the fallback: off leaves it, mask puts stand-ins in its place, block sends no request that has any; "
        "health and card are ready policies.",
    )
    privacy_kind: tuple[str, ...] = setting(
        (), "What becomes of one kind of personal data: KIND=mask, KIND=block or KIND=allow (card=block); may be repeated."
    )
    privacy_bundle: Path | None = setting(None, "Folder of a bundle of your own that finds personal data, in place of the shipped one.")
    audit_share: float = setting(
        0.02,
        "Share of a bundle's certified answers that the fallback is asked for, too, behind the client's back, where the certificate's "
        "reference is the large model. 0: none.",
        ge=0,
        le=1,
    )
    budget_day: float | None = setting(
        None, "US dollars that may be spent on fallbacks in a day (UTC); past it, requests get 429.", ge=0, le=1e9
    )
    budgets: str | None = setting(None, "A TOML file with budgets by key and by model.", min_length=1)
    price_in: float | None = setting(
        None, "US dollars for a million tokens that a fallback reads, of its own model where the price list does not have it.", ge=0, le=1e6
    )
    price_out: float | None = setting(None, "The same, of tokens that it writes.", ge=0, le=1e6)
    max_output_tokens: int = setting(
        32_768,
        "Most tokens that a fallback writes where a request does not say: their price is set aside of the budget.",
        ge=1,
        le=10_000_000,
    )
    access_log: bool = setting(True, "One line per request on stderr: route, status, time. Never the text.")

    @property
    def max_body(self) -> int:
        """The largest request body, in bytes."""
        return int(self.max_body_mb * 1_000_000)

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return self.host in (LOOPBACK, "localhost", "::1") or self.host.startswith("127.")
