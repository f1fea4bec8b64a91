"""The `[student]` section of a recipe: which small model, or what is wanted of it."""

from __future__ import annotations

from typing import Literal

from smidgen.core.settings import Settings, setting


class StudentSettings(Settings):
    """Which student, or what it must be like; `build` chooses among those that fit and says why."""

    kind: str = setting(
        "auto",
        "A student by name (encoder, static, kernel, linear; tagger, lexical; decoder, prompted), or auto: chosen by what is asked below.",
        flag="--student",
    )
    baseline: Literal["auto", "full", "none"] = setting(
        "auto",
        "The simple model trained beside, to compare with. auto: one that writes is asked for as many texts as it writes in a tenth of the "
        "training time. full: for all, however long that takes. none: no baseline.",
        flag="--baseline",
    )
    quality: Literal["best", "balanced", "fast"] = setting(
        "balanced",
        "best: the best by the task's own metric, whatever its size. balanced: the fastest within a point of it. fast: the fastest "
        "that is at least as good as the baseline.",
        flag="--quality",
    )
    max_latency_ms: float | None = setting(
        None, "Longest median time for one text, in milliseconds on this machine.", flag="--max-latency-ms", gt=0
    )
    max_size_mb: float | None = setting(
        None,
        "Largest size of the model's files, in MB of 10^6 bytes. A model that writes, and that would be larger in its smallest form, is "
        "taught with as many neurons less as that needs.",
        flag="--max-size-mb",
        gt=0,
    )

    min_tokens_per_second: float | None = setting(
        None, "Least tokens a second that a model that writes must reach here, one text at a time.", flag="--min-tokens-per-second", gt=0
    )


SETTINGS = StudentSettings
