"""Settings of a cost comparison: requests, tokens, prices and the machine. Separate, so that flags do not import `cost_report`."""

from __future__ import annotations

from pathlib import Path

from smidgen.core.settings import Settings, setting


class CostSettings(Settings):
    """Settings of `smidgen cost`. Missing values come from the bundle's report, or are assumed."""

    requests_per_month: int = setting(..., "Requests in the first month.", ge=1, le=10**12)
    bundle: Path | None = setting(
        None, "Folder of a bundle or a line. Its report, for a line the champion's, says how fast it is and how long a request is."
    )
    tokens_in: float | None = setting(None, "Tokens that a large model reads for one request (default: as the report says).", ge=0, le=1e7)
    tokens_out: float | None = setting(
        None, "Tokens that a large model writes for one request (default: as the report says).", ge=0, le=1e7
    )
    models: tuple[str, ...] = setting(
        (),
        "A large model of the price list to compare with; may be repeated (default: all, the cheapest first).",
        alias="model",
    )
    share_local: float | None = setting(
        None,
        "Share of requests that the small model answers when both are used (default: as its certificate says; else 0.8).",
        ge=0,
        le=1,
    )
    machine_usd_per_hour: float | None = setting(
        None, "Cost of the machine in dollars per hour; 0 for one that you own (default: 0.085, a rented one).", ge=0, le=1e5
    )
    texts_per_second: float | None = setting(
        None, "Texts per second that the machine answers (default: as the report measured; else 100, assumed).", ge=1e-3, le=1e7
    )
    build_hours: float | None = setting(None, "Hours that a build takes (default: as the report says; else 1).", ge=0, le=1e5)
    build_usd_per_hour: float | None = setting(
        None, "Cost of an hour of building in dollars; include your own time if you like (default: the machine's cost).", ge=0, le=1e5
    )
    growth_percent: float = setting(0.0, "Growth of requests per month, in percent; negative if they fall.", ge=-50, le=100, alias="growth")
    months: int = setting(12, "Months to look at.", ge=1, le=120)
    prices: Path | None = setting(None, "Your own price list, in the format of the one that comes with smidgen.", metavar="FILE")
