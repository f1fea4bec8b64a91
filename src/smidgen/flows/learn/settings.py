"""Settings of learning: sources of rows, terms of the certificate, and times."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, model_validator

from smidgen.core.settings import SectionedSettings, Settings, setting
from smidgen.flows.certify.settings import PromiseSettings, check_reference
from smidgen.flows.learn.schedule import LearnSchedule, parse_duration
from smidgen.parts import registry

_FEWEST_NEW = 100
"""Fewest new captured answers for --when-grown if --when-new is not given."""


def _as_utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


Moment = Annotated[datetime | None, AfterValidator(_as_utc)]
"""A moment; in UTC if it has no time zone."""


class NewLineSettings(Settings):
    """The beginning of a new line."""

    title = "A new line"

    bundle: Path | None = setting(None, "Bundle that a new line starts with.", option="--from", alias="start")
    task: str | None = setting(
        None,
        f"Task of a new line that starts without a bundle: {', '.join(registry.names('tasks'))} (default: from the answers of its --job).",
    )
    name: str | None = setting(None, "Name of a new line, under which it is served (default: the folder's name).")
    hold_out: float | None = setting(None, "Share of the given rows that a new line never learns from (default: 0.3).", gt=0, lt=1)


class GivenRowSettings(Settings):
    """Files of rows, and how many rows a version learns from."""

    title = "Rows"

    files: tuple[Path, ...] = setting((), "File of examples to give to the line, which keeps them. May be repeated.", alias="data")
    input: str | None = setting(None, "Column of the text (default: as the champion remembers).")
    label: str | None = setting(None, "Column of the wanted output (default: as the champion remembers).")
    max_rows: int = setting(20_000, "Most rows to learn from. If there are more, those that teach most are chosen.", ge=10)


class TrafficSettings(Settings):
    """The captured requests to learn from, and the date from which rows count."""

    title = "Captured requests"

    use: bool = setting(True, "Learn from captured requests.", option="--traffic/--no-traffic", alias="traffic")
    jobs: tuple[str, ...] = setting(
        (),
        "Recurring job from `smidgen traffic --jobs`: the line learns only from the requests of its jobs, now and later. May be repeated.",
        metavar="ID",
        alias="job",
    )
    asked: str | None = setting(
        None,
        "Also learn from requests that named this model, now and later. With a --job: only from those of the job's requests that named "
        "it, this time.",
        metavar="NAME",
        min_length=1,
        max_length=200,
    )
    forget: tuple[str, ...] = setting(
        (), "Stop learning from the requests of an --asked name or a --job. May be repeated.", metavar="NAME|ID"
    )
    template: str | None = setting(None, "Only captured requests of this prompt template.", min_length=1, max_length=64)
    since: Moment = setting(None, "Only rows that were given or captured from this time on, in UTC.")


class PromotionSettings(Settings):
    """When the new version takes the champion's place."""

    title = "Promotion"

    level: float = setting(
        0.05,
        "Chance that a version that is no better is ever promoted as better, over all comparisons since the last revocation: the k-th "
        "is made at level/(k(k+1)).",
        gt=0,
        lt=1,
    )
    margin: float = setting(0.02, "How much worse a certified version may be than an uncertified champion that it replaces.", gt=0, lt=1)
    uncertified: Literal["keep", "promote"] = setting(
        "keep", "What to do with a better version that could not be certified: keep the champion, or promote the version."
    )
    fewer_labels: Literal["keep", "promote"] = setting(
        "keep", "What to do with a version that no longer knows every label of the champion, because rows are missing."
    )


class LineCertificateSettings(PromiseSettings):
    """The terms of a line's certificate."""

    reference: Literal["gold", "model", "reviews"] | None = setting(
        None,
        "Whose outputs certify. gold: your own labels. model: the large model. reviews: people who corrected answers (default: as in the "
        "last certificate, else the source of most rows).",
    )
    loss: Literal["likeness", "attributes"] | None = setting(
        None,
        "For written texts, what alpha limits the mean of. likeness: 1 − ROUGE-L against the reference. attributes: the share of the "
        "request's attributes that the text leaves out or makes up (default: as in the last certificate, else likeness).",
    )
    likely: float = setting(
        0.8,
        "Test for a certificate only if it is at least this likely to succeed, by the selection set. Each failed test makes the next "
        "ones stricter. 0: always test.",
        ge=0,
        le=1,
    )

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if self.loss is not None and self.reference is not None:
            check_reference(self.loss, self.reference)
        return self


class RepeatSettings(Settings):
    """When the line learns again."""

    title = "Learn repeatedly"

    every: str | None = setting(None, "Learn at this interval: 30m, 1h, 7d.")
    when_new: int | None = setting(
        None, "Learn when this many captured answers are new; after a failure, when as many more have come.", ge=1
    )
    when_grown: float | None = setting(
        None,
        "Learn when captured answers have grown by this share (0.3: by 30 %), and by at least 100 or --when-new. This looks at the "
        "held-out rows seldom, and more often at first.",
        ge=0.01,
    )
    when_drift: bool = setting(
        False,
        "Learn when the newest captured requests raise the alarm of smidgen drift. It looks at every 500 new requests, or at up to 2,000 "
        "until 50 of their texts are held out.",
        option="--when-drift",
    )

    def schedule(self) -> LearnSchedule | None:
        """Return the schedule; None for a single cycle. Raises InputError for an invalid interval."""
        if self.every is None and self.when_new is None and self.when_grown is None and not self.when_drift:
            return None
        new = _FEWEST_NEW if self.when_new is None and self.when_grown is not None else self.when_new
        return LearnSchedule(parse_duration(self.every) if self.every is not None else None, new, self.when_drift)


class VersionBuildSettings(Settings):
    """How a version is built."""

    title = "More options"

    overrides: tuple[str, ...] = setting(
        (), "Any setting of the recipe: section.name=value. May be repeated.", option="--set", alias="override"
    )
    threads: int | None = setting(None, "Threads to compute with (default: one a core).", ge=1)


class LearnSettings(SectionedSettings):
    """Settings of `smidgen learn`."""

    line: NewLineSettings = NewLineSettings()
    rows: GivenRowSettings = GivenRowSettings()
    traffic: TrafficSettings = TrafficSettings()
    promotion: PromotionSettings = PromotionSettings()
    certificate: LineCertificateSettings = LineCertificateSettings()
    repeat: RepeatSettings = RepeatSettings()
    build: VersionBuildSettings = VersionBuildSettings()
