"""Drift: whether a model's traffic is still like the data that it was made from. `DriftSettings` says what is compared."""

from __future__ import annotations

from smidgen.core.settings import Settings, setting
from smidgen.flows.learn.settings import Moment

_FEWEST, _MOST = 50, 20_000
"""Fewest and most requests of each window. With fewer, `drift_test` has too few texts."""


class DriftSettings(Settings):
    """Settings of `smidgen drift`."""

    recent: int | None = setting(
        None,
        "Most recent requests to test (default: 500; for a line up to 2,000, until enough of their texts are held out).",
        ge=_FEWEST,
        le=_MOST,
    )
    reference: int = setting(2000, "Most earlier requests, or rows, to compare them with.", ge=_FEWEST, le=_MOST)
    before: Moment = setting(None, "Compare with requests from before this time, in UTC (default: before the champion's promotion).")
    since: Moment = setting(None, "Test requests from this time on, in UTC.")
    asked: str | None = setting(None, "The model that those requests named (default: its own name).")
    least: float = setting(0.05, "Smallest share of texts that must be unlike the earlier ones for an alarm.", gt=0, lt=1)
    level: float = setting(0.05, "Chance of any false alarm, over all looks at this bundle's traffic.", gt=0, lt=1)
    threads: int | None = setting(None, "Threads to compute with (default: one a core).", ge=1)
