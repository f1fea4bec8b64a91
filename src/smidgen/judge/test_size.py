"""What a small test says, and what would say more: a file of other rows, or cross-validation over all of them."""

from __future__ import annotations

import math

from smidgen.core import quantities
from smidgen.judge import wording, writer_wording
from smidgen.judge.report import Report
from smidgen.judge.sections import CrossValidation, Measured

FEW = 400
"""With fewer test rows than this the report speaks. On so many the interval of a share of nine in ten is six points wide."""
MORE = 1_000
"""Test rows that are asked for instead."""


def of_report(report: Report) -> str:
    """What a reader of the report is to know of its test; empty where there are enough rows, or none."""
    found, crossed = report.metrics.get(report.headline), report.cross_validation
    if found is None or found.n >= FEW:
        return ""
    said = of_test(report.headline, found, "--test FILE")
    if crossed is None:
        return said
    if crossed.metric is not None:
        return f"{said} {_over_all(crossed, crossed.metric, report.headline)}"
    took = f", in about {quantities.duration(crossed.seconds)}" if crossed.seconds else ""
    within = _within(report.headline, found, crossed.n)
    return f"{said} Cross-validation over all {crossed.n:,} rows (--errors FILE) would narrow it to about {within}{took}."


def of_test(headline: str, found: Measured, flag: str) -> str:
    """What few rows say of a metric, and how much more a thousand of them would say; empty where there are enough.

    Args:
        flag: how more of them are given.
    """
    if found.n >= FEW:
        return ""
    many = f"{found.n:,} test rows measure" if found.n != 1 else "1 test row measures"
    return (
        f"{many} little: {_name(headline)} may be anything from {_amount(headline, found.low)} to {_amount(headline, found.high)}. "
        f"{MORE:,} test rows ({flag}) would narrow that to about {_within(headline, found, MORE)}."
    )


def _over_all(crossed: CrossValidation, metric: Measured, headline: str) -> str:
    low, high = _amount(headline, metric.low), _amount(headline, metric.high)
    return (
        f"Cross-validated over all {crossed.n:,} rows it is {_amount(headline, metric.value)} ({low} to {high}). Each row is answered by a "
        f"model ({crossed.student}) that learnt from {crossed.folds - 1} of {crossed.folds} parts without it. That rests on more rows, but "
        "each of these models learnt from fewer than the one that is served, so it may be too low."
    )


def _within(headline: str, found: Measured, rows: int) -> str:
    """Half the width of the interval on so many rows."""
    half = (found.high - found.low) / 2 * math.sqrt(found.n / rows)
    return f"±{half:.3f}" if _is_grade(headline) else f"±{100 * half:.1f} points"


def _amount(headline: str, value: float) -> str:
    return f"{value:.3f}" if _is_grade(headline) else quantities.percent(value)


def _is_grade(headline: str) -> bool:
    return writer_wording.known(headline) and "%" not in writer_wording.amount(headline, 0.5)


def _name(headline: str) -> str:
    return writer_wording.name(headline) if writer_wording.known(headline) else wording.plain(headline)
