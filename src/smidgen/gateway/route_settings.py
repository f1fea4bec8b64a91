"""The `[route]` section of a recipe and the flags of `smidgen serve`: where and how requests go that no bundle may answer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from smidgen.core.settings import SectionedSettings, Settings, setting
from smidgen.privacy.public_names import KNOWN_HELP


def _as_several(value: Any) -> Any:
    """Read one text or one number as a list of one."""
    return (value,) if isinstance(value, str | int | float) else value


Several = Annotated[tuple[str, ...], BeforeValidator(_as_several)]
Amounts = Annotated[tuple[Annotated[float, Field(ge=0, le=1e6)], ...], BeforeValidator(_as_several)]
Names = Annotated[tuple[Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], ...], BeforeValidator(_as_several)]
"""Names of environment variables. A key given by mistake does not have this form; it is refused and not shown."""


LocalMode = Literal["certified", "measured", "never"]


class FallbackSettings(Settings):
    """Where requests go that the bundle passes on, and how long to wait there."""

    title = "Fallback"

    urls: Several = setting(
        (),
        "Base URL of the large model's server: one with OpenAI's API, for requests that the bundle passes on. May be "
        "repeated; tried in order.",
        hidden=True,
        alias="fallback",
    )
    models: Several = setting((), "The fallback's name for its model. Once, or once for each fallback.", alias="fallback_model")
    key_env: Names = setting(
        (),
        "Name of the fallback's key in the environment or the secrets file. Once for each fallback (default: "
        "SMIDGEN_FALLBACK_KEY, then SMIDGEN_FALLBACK_KEY_2, and so on).",
        hidden=True,
        alias="fallback_key_env",
    )
    reference_models: Several = setting(
        (),
        "Another name of the first fallback's model. A certificate against a large model counts only if it names this one. May be "
        "repeated.",
        alias="reference_model",
    )
    pass_paths: Several = setting(
        (),
        "A path, or a method and a path, that also goes to the fallback: 'GET /v1/files/*', '/v1/audio/**'. May be repeated. "
        "Chat, completions, responses, embeddings, moderations and the list of models always go there. Under a shared key each "
        "client reaches what others stored.",
        option="--pass",
    )
    connect_seconds: float = setting(5.0, "Longest wait for a connection to the fallback.", gt=0, le=600, alias="fallback_connect_seconds")
    seconds: float = setting(300.0, "Longest wait for the next byte from the fallback.", gt=0, le=3600, alias="fallback_seconds")
    retry_seconds: float = setting(
        20.0, "Longest total wait of a request between tries, at all fallbacks together.", ge=0, le=600, alias="fallback_retry_seconds"
    )
    max_mb: float = setting(
        100.0, "Largest answer of a fallback, in megabytes. A larger one is cut off.", gt=0, le=100_000, alias="fallback_max_mb"
    )
    when_upstream_fails: Literal["error", "local"] = setting(
        "error",
        "What a request to a bundle gets that the bundle may not answer, while no fallback answers. error: an error. local: the "
        "bundle's answer, marked as uncertified.",
    )

    @property
    def max_body(self) -> int:
        """The largest answer, in bytes."""
        return int(self.max_mb * 1_000_000)


class LocalAnswerSettings(Settings):
    """Which requests a bundle answers itself, and how its answers are checked."""

    title = "Answers of bundles"

    quality: float | None = setting(
        None,
        "Smallest share of local answers that must agree with the reference. With 0.95, only certificates with an alpha of at "
        "most 0.05 count, whatever a request asks for.",
        gt=0,
        le=1,
    )
    mode: LocalMode = setting(
        "certified",
        "What a bundle may answer. certified: what its certificate covers. measured: without a certificate, what it answers with a "
        "high enough score, marked as not certified, with the measured error. never: nothing. A revoked or expired certificate lets "
        "everything escalate in each mode.",
        alias="local",
    )
    score: float | None = setting(
        None,
        "Smallest score with which a bundle answers with --local measured. Without a fallback, answers below it are marked as unsure "
        "(default: the operating point of the bundle's report).",
        ge=0,
        le=1,
        alias="local_score",
    )
    take: bool = setting(
        False,
        "Let a line answer the jobs that its certificate was tested on, whatever model a request names. Other requests are not affected.",
    )
    audit_share: float = setting(
        0.02,
        "Share of certified answers that the fallback is asked for, too, after the client has its answer. It applies where the "
        "certificate's reference is the large model. 0: none.",
        ge=0,
        le=1,
    )
    held_out_aside: bool = setting(
        False,
        "Always send held-out texts to the fallback, even where a bundle could answer. The next version is then certified on all "
        "kinds of traffic. It costs that share of the local answers.",
    )


class CaptureSettings(Settings):
    """Which requests are stored to learn from, how, and for how long."""

    title = "Capture"

    mode: Literal["off", "answers"] = setting(
        "off",
        "Store requests and answers, to learn from them: those of chat, completions and responses. off: nothing is stored.",
        alias="capture",
    )
    days: int = setting(30, "Days after which stored requests are deleted.", ge=1, le=3650, alias="capture_days")
    keep_days: int | None = setting(
        None,
        "Days for which a line may keep up to 50 requests of each label, so that it does not forget what is answered locally "
        "(default: as --capture-days).",
        ge=1,
        le=3650,
        alias="capture_keep_days",
    )
    redact: Literal["mask", "allow"] = setting(
        "mask",
        "mask: take personal data out before storing, and do not store what cannot be made safe. allow: store texts as they are.",
        alias="capture_redact",
    )
    labels: Path | None = setting(
        None,
        "File of labels, one a line. An answer that is one of them is stored as it is. A bundle's own labels are always known.",
        file=True,
        alias="capture_labels",
    )
    known: Several = setting((), KNOWN_HELP, alias="capture_known")
    label_texts: int = setting(
        5,
        "How many different texts of a key must get the same short answer before it counts as a label and is stored as it is. 0: "
        "only named labels and those of bundles count.",
        ge=0,
        le=10_000,
        alias="capture_label_texts",
    )
    held_out: float | None = setting(
        None, "Share of the texts that is never learnt from (default: 0.2 in a new store).", ge=0, lt=1, alias="capture_held_out"
    )

    @property
    def on(self) -> bool:
        """Whether requests are stored."""
        return self.mode != "off"


class PrivacySettings(Settings):
    """Handling of personal data in requests to the fallback."""

    title = "Privacy"

    policy: Literal["off", "mask", "block", "health", "card"] = setting(
        "off",
        "What happens to personal data sent to the fallback. off: it stays. mask: placeholders replace it. block: the "
        "request is refused. health, card: ready policies.",
        alias="privacy",
    )
    kinds: Several = setting(
        (),
        "Policy for one kind of personal data: KIND=mask, KIND=block or KIND=allow, such as card=block. May be repeated.",
        alias="privacy_kind",
    )
    bundle: Path | None = setting(
        None, "Folder of your own bundle that finds personal data, in place of the shipped one.", file=True, alias="privacy_bundle"
    )
    max_chars: int = setting(
        200_000,
        "Most characters of a request that are searched for personal data. A longer request gets 413.",
        ge=1,
        le=100_000_000,
        alias="privacy_max_chars",
    )
    workers: int = setting(
        3, "Requests that are searched at a time. One client gets half of them, at least one.", ge=1, le=64, alias="privacy_workers"
    )

    @property
    def on(self) -> bool:
        """Whether requests are searched for personal data."""
        return self.policy != "off"


class CacheSettings(Settings):
    """Which of the fallback's answers are reused, for which callers, and for how long."""

    title = "Cache"

    mode: Literal["off", "exact", "semantic"] = setting(
        "off",
        "Answer repeated requests from memory, within a scope. exact: the fallback's answer to the same chat or completions request. "
        "semantic: also to one whose last text is near.",
        alias="cache",
    )
    scope: Literal["user", "key", "all"] = setting(
        "user",
        "Who shares cached answers: one user of a key, one key, or all callers. A request outside every scope is not cached.",
        alias="cache_scope",
    )
    similarity: float = setting(
        0.9,
        "Smallest cosine similarity of two texts that get the same answer with --cache semantic.",
        ge=0.8,
        le=1,
        alias="cache_similarity",
    )
    hours: float = setting(24.0, "Hours after which a cached answer is dropped.", gt=0, le=8760, alias="cache_hours")
    entries: int = setting(10_000, "Most answers in the cache.", ge=1, le=1_000_000, alias="cache_entries")
    mb: float = setting(
        64.0, "Most memory for the cache, in megabytes. One answer takes at most a sixteenth of it.", gt=0, le=16_384, alias="cache_mb"
    )
    drawn: bool = setting(False, "Also cache answers that are drawn by chance: a temperature over 0 and no seed.", alias="cache_drawn")

    @property
    def on(self) -> bool:
        """Whether answers are cached."""
        return self.mode != "off"


class BudgetSettings(Settings):
    """Prices of fallbacks, and limits on their cost."""

    title = "Budgets and prices"

    day: float | None = setting(
        None, "Most US dollars for fallbacks in a day (UTC). Further requests get 429.", ge=0, le=1e9, alias="budget_day"
    )
    file: str | None = setting(None, "TOML file with budgets by key and by model.", min_length=1, file=True, alias="budgets")
    price_in: Amounts = setting(
        (),
        "US dollars per million tokens that a fallback's own model reads, in place of the price list. Once, or once for each "
        "fallback's model.",
    )
    price_out: Amounts = setting((), "US dollars per million tokens that a fallback's own model writes. Once, or as often as --price-in.")
    max_output_tokens: int = setting(
        32_768,
        "Most tokens that a fallback writes where a request sets no limit. Their price is reserved in the budget.",
        ge=1,
        le=10_000_000,
    )

    @property
    def given_any(self) -> bool:
        """Whether there is a budget."""
        return self.day is not None or self.file is not None


class RouteSettings(SectionedSettings):
    """Where requests go that no certificate lets the bundle answer. It applies if the server is started with this file (`smidgen serve DIR
    --recipe FILE`); a bundle does not contain it.
    """

    fallback: FallbackSettings = FallbackSettings()
    local: LocalAnswerSettings = LocalAnswerSettings()
    capture: CaptureSettings = CaptureSettings()
    privacy: PrivacySettings = PrivacySettings()
    cache: CacheSettings = CacheSettings()
    budget: BudgetSettings = BudgetSettings()

    @model_validator(mode="before")
    @classmethod
    def _read_former_name(cls, given: Any) -> Any:
        """Read `uncertified_score`, as recipes called it before there were modes."""
        if not isinstance(given, Mapping) or "uncertified_score" not in given:
            return given
        score = given["uncertified_score"]
        rest = {name: value for name, value in given.items() if name != "uncertified_score"}
        return rest if score is None else {"local": "measured", "local_score": score, **rest}


SETTINGS = RouteSettings
