"""The `[route]` section of a recipe, and the flags of `smidgen serve`: where requests go that no certificate lets a bundle answer, and on
what terms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from smidgen.core.settings import Settings, setting


def _as_several(value: Any) -> Any:
    """One text, or one number, stands for a list of one."""
    return (value,) if isinstance(value, str | int | float) else value


Several = Annotated[tuple[str, ...], BeforeValidator(_as_several)]
Amounts = Annotated[tuple[Annotated[float, Field(ge=0, le=1e6)], ...], BeforeValidator(_as_several)]
Names = Annotated[tuple[Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], ...], BeforeValidator(_as_several)]
"""Names of variables. A key, which is no such name, is refused in its place, and not shown."""


class RouteSettings(Settings):
    """Where requests go that no certificate lets the bundle answer. It counts where the server is started with this file
    (`smidgen serve DIR --recipe FILE`); a bundle does not hold it.
    """

    fallback: Several = setting(
        (), "Base URL of an OpenAI-compatible server that answers what no bundle may; may be repeated: tried in order.", hidden=True
    )
    fallback_model: Several = setting((), "What the fallback calls its model; once, or once for each fallback.")
    fallback_key_env: Names = setting(
        (),
        "The environment variable, or the name in the secrets file, of the fallback's key; once for each fallback. By default "
        "SMIDGEN_FALLBACK_KEY, of the second one SMIDGEN_FALLBACK_KEY_2, and so on.",
        hidden=True,
    )
    reference_model: Several = setting(
        (),
        "Another name of the first fallback's model: a certificate that names it counts, too; one that names any other model does not. May "
        "be repeated.",
    )
    pass_paths: Several = setting(
        (),
        "A path, or a method and a path, that goes to the fallback besides chat, completions, responses, embeddings, moderations and the "
        "list of models: 'GET /v1/files/*', '/v1/audio/**'. May be repeated. Under a shared key each client reaches what others stored.",
        option="--pass",
    )
    fallback_connect_seconds: float = setting(5.0, "Longest to wait for a connection to the fallback.", gt=0, le=600)
    fallback_seconds: float = setting(300.0, "Longest to wait for the fallback's next byte.", gt=0, le=3600)
    fallback_retry_seconds: float = setting(20.0, "Longest that a request waits between tries, at all fallbacks together.", ge=0, le=600)
    fallback_max_mb: float = setting(100.0, "Largest answer that is passed on, in megabytes.", gt=0, le=100_000)
    when_upstream_fails: Literal["error", "local"] = setting(
        "error", "What a request to a bundle gets that it may not answer, where no fallback answers: an error, or its answer, marked so."
    )
    quality: float | None = setting(
        None,
        "Least share of local answers that must agree with the reference: no certificate with a larger alpha counts, whatever a request "
        "asks for. 0.95: an alpha of at most 0.05.",
        gt=0,
        le=1,
    )
    take: bool = setting(
        False,
        "Let a line answer requests of the jobs that its certificate was tested on, whatever model they name; all others go their way.",
    )
    capture: Literal["off", "answers"] = setting(
        "off",
        "Store requests to chat, completions and responses with their answers, to learn from: nothing is stored unless this says answers.",
    )
    capture_days: int = setting(30, "Days after which what was stored is deleted.", ge=1, le=3650)
    capture_keep_days: int | None = setting(
        None,
        "Days for which lines may keep up to 50 requests of each label, so that they do not forget what is answered locally (default: as "
        "--capture-days).",
        ge=1,
        le=3650,
    )
    capture_redact: Literal["mask", "allow"] = setting(
        "mask", "Whether personal data is taken out before anything is stored; what cannot be made safe is then not stored."
    )
    capture_labels: Path | None = setting(
        None,
        "File with answers that are labels and nobody's data, one a line: where an answer is one of them as a whole, it is stored as it "
        "is. A bundle's own labels need no naming.",
        file=True,
    )
    capture_label_texts: int = setting(
        5,
        "How many different texts of a key must get the same short answer before it counts as a label, which is stored as it is; 0: only "
        "labels that are named or a bundle's own are.",
        ge=0,
        le=10_000,
    )
    capture_held_out: float | None = setting(
        None, "Share of the texts that is never learnt from; of a new store, 0.2 where this is not given.", ge=0, lt=1
    )
    held_out_aside: bool = setting(
        False,
        "Send the texts that capture holds out to the fallback always, also where a bundle could answer: what certifies the next version "
        "is then like all of the traffic. Costs that share of the local answers.",
    )
    privacy: Literal["off", "mask", "block", "health", "card"] = setting(
        "off",
        "Personal data in what goes to the fallback: off leaves it, mask puts stand-ins in its place, block sends no request that has any; "
        "health and card are ready policies.",
    )
    privacy_kind: Several = setting(
        (), "What becomes of one kind of personal data: KIND=mask, KIND=block or KIND=allow (card=block); may be repeated."
    )
    privacy_bundle: Path | None = setting(
        None, "Folder of a bundle of your own that finds personal data, in place of the shipped one.", file=True
    )
    privacy_max_chars: int = setting(
        200_000,
        "Most characters of all texts of a request that are looked through for personal data; a longer request gets 413.",
        ge=1,
        le=100_000_000,
    )
    privacy_workers: int = setting(3, "Requests that are looked through at a time; one client has half of them, one at least.", ge=1, le=64)
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
    budgets: str | None = setting(None, "A TOML file with budgets by key and by model.", min_length=1, file=True)
    price_in: Amounts = setting(
        (),
        "US dollars for a million tokens that a fallback reads, of its own model, whatever the price list says; once, or once for each "
        "fallback's model.",
    )
    price_out: Amounts = setting((), "The same, of tokens that it writes.")
    max_output_tokens: int = setting(
        32_768,
        "Most tokens that a fallback writes where a request does not say: their price is set aside of the budget.",
        ge=1,
        le=10_000_000,
    )
    cache: Literal["off", "exact", "semantic"] = setting(
        "off",
        "Give answers of the fallback again, from memory, to chat and completions of the same scope: exact to the same request, semantic "
        "also to one whose last text is near.",
    )
    cache_scope: Literal["user", "key", "all"] = setting(
        "user",
        "Who shares cached answers: one user of one key, one key, or all who may call. A request that does not say whose it is gets none.",
    )
    cache_similarity: float = setting(0.9, "Least cosine similarity of two texts that --cache semantic answers alike.", ge=0.8, le=1)
    cache_hours: float = setting(24.0, "Hours after which a cached answer is let go.", gt=0, le=8760)
    cache_entries: int = setting(10_000, "Most answers in the cache.", ge=1, le=1_000_000)
    cache_mb: float = setting(64.0, "Most memory of the cache, in megabytes; one answer has a sixteenth of it at most.", gt=0, le=16_384)
    cache_drawn: bool = setting(False, "Cache answers, too, that a request asks to be drawn: a temperature over 0, and no seed.")


SETTINGS = RouteSettings
