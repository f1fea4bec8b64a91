"""Forecast before a test, from a bundle's report alone: how likely a certificate is, and how many rows make it likely."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from smidgen.judge import report
from smidgen.stats.certificate_forecast import CertificateChance, certificate_chance
from smidgen.stats.certification import RiskClaim

MOST_ROWS = 1_000_000
"""A certificate that needs more rows than this is called out of reach."""
LIKELY = 0.8
"""Chance from which on a certificate is called likely."""
_HANDFUL = 20


def certificate_odds(bundle: Path, claim: RiskClaim) -> Callable[[int], CertificateChance] | None:
    """The chance of a certificate by number of rows, from the curve of the bundle's report.

    None if the report does not tell: it has no curve, or one of a handful of rows; or the reference errs, too. The curve is of the usual
    loss, and of all requests together.
    """
    known = report.read(bundle / "report.json")
    metric = known.metrics.get(known.headline)
    measured = metric.n if metric is not None else known.data.test or 0
    if known.risk_coverage is None or measured < _HANDFUL or claim.judge is not None:
        return None
    curve = [(point.coverage, point.risk) for point in known.risk_coverage.points]
    return lambda n: certificate_chance(curve, measured, n, claim.alpha, claim.delta, claim.overall, claim.overall_level)


def fewest_rows_likely(likely: Callable[[int], float], wanted: float, least: int) -> int | None:
    """Find the fewest rows, at least `least` and to within 1 %, that make a certificate as likely as wanted. None if no number does.

    Args:
        likely: chance of a certificate, by number of rows.
    """
    low, high = least - 1, max(1, least)
    while likely(high) < wanted:
        low, high = high, 2 * high
        if high > MOST_ROWS:
            return None
    while high - low > max(1, high // 100):
        middle = (low + high) // 2
        low, high = (low, middle) if likely(middle) >= wanted else (middle, high)
    return high


def describe_odds(odds: Callable[[int], CertificateChance], n: int, least: int) -> str:
    """The forecast for `n` pairs as a clause. `least`: the fewest pairs that a test takes."""
    found = odds(n)
    said = f"by the report's test rows, {n:,} pairs give a certificate with a chance of {found.chance:.0%}"
    if found.share > 0:
        said += f", and then some {found.share:.0%} of the requests are answered here"
    if found.chance >= LIKELY:
        return said
    enough = fewest_rows_likely(lambda count: odds(count).chance, LIKELY, max(n + 1, least))
    if enough is None:
        return f"{said}. At this share of errors more pairs do not help: improve the model, or allow a larger alpha"
    return f"{said}; with about {enough:,} pairs the chance is {LIKELY:.0%}"
