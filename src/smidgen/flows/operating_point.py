"""A model's operating point: from which score it answers by itself, what share that is, and how many of these answers are wrong.

Every page, `smidgen cost` and `smidgen serve --local measured` read it here, so that they show the same numbers.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic.dataclasses import dataclass

from smidgen.bundles.open import read_manifest
from smidgen.core.errors import BundleError
from smidgen.flows.certify.certificate_status import certificate_subject
from smidgen.gateway import certificate as papers
from smidgen.gateway.certificate import Certificate
from smidgen.gateway.certificate_status import check_certificate
from smidgen.judge import report as reports
from smidgen.judge.report import Report
from smidgen.judge.sections import CoveragePoint
from smidgen.stats.intervals import wilson

WANTED_ERROR = 0.05
"""The largest share of wrong answers at which a model answers by itself, until a person or a certificate says otherwise."""


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Where a model stops answering by itself.

    Attributes:
        threshold: the least score of an answer; None under a certificate with a threshold for each kind of answer.
        share: the share of rows that it answers by itself.
        error: the share of wrong answers among these; for a graded task the mean of 1 minus the grade. `error_low`, `error_high`: its 95 %
            interval.
        rows: how many rows it was measured on.
        measured_on: the report's test rows, or the rows that the certificate was tested on.
        chosen_by: what chose the threshold.
    """

    threshold: float | None
    share: float
    error: float
    error_low: float
    error_high: float
    rows: int
    measured_on: Literal["test", "certificate"]
    chosen_by: Literal["default", "user", "certificate"]


def operating_point(
    bundle: Path, chosen: float | None = None, report: Report | None = None, now: datetime.datetime | None = None
) -> OperatingPoint | None:
    """The operating point of a bundle: its certificate's if one holds, else at the score `chosen`, else the default.

    At a score between two measured ones, the figures are those of the higher one.

    The default answers the most rows with at most 5 % of the answers wrong: by the interval's upper end, or by the test rows alone where
    they are too few for that. None if nothing was measured, or no score reaches the 5 %.

    Raises BundleError if there is a certificate and the bundle's manifest cannot be read.
    """
    if papers.place(bundle).exists():
        found = check_certificate(bundle, certificate_subject(read_manifest(bundle)), now)
        if found.valid and found.certificate is not None:
            return _certified(found.certificate)
    report = report or _report(bundle)
    curve = None if report is None else report.risk_coverage
    if report is None or curve is None:
        return None
    if chosen is not None:
        sure = [point for point in curve.points if point.threshold >= chosen - 1e-9]
        return _measured(report, sure[-1], "user") if sure else None
    if not curve.at:
        return None
    sure = [at.point for at in curve.at if at.point is not None and at.wanted <= WANTED_ERROR]
    seen = [point for point in curve.points if point.risk <= WANTED_ERROR]
    best = max(sure or seen, key=lambda point: point.coverage, default=None)
    return None if best is None else _measured(report, best, "default")


def answers_nothing(report: Report | None) -> bool:
    """Whether a report measured the scores of a model, and none of them keeps wrong answers rare enough."""
    curve = None if report is None else report.risk_coverage
    return curve is not None and bool(curve.points) and all(point.risk > WANTED_ERROR for point in curve.points)


def chosen_score(setting: Any, model: str) -> float | None:
    """The score that a person chose for a model, as the project's settings hold it; None if they chose none."""
    if not isinstance(setting, Mapping) or setting.get("model") != model:
        return None
    score = setting.get("threshold")
    return float(score) if isinstance(score, int | float) else None


def _certified(paper: Certificate) -> OperatingPoint:
    thresholds = {entry.threshold for entry in paper.answering}
    answered, loss = sum(entry.answered for entry in paper.answering), sum(entry.loss for entry in paper.answering)
    low, high = wilson(round(loss), answered) if answered else (0.0, 1.0)
    threshold = thresholds.pop() if len(thresholds) == 1 else None
    return OperatingPoint(threshold, paper.share, loss / answered if answered else 0.0, low, high, paper.n, "certificate", "certificate")


def _measured(report: Report, point: CoveragePoint, by: Literal["default", "user"]) -> OperatingPoint:
    headline = report.metrics.get(report.headline)
    rows = report.data.test or (headline.n if headline is not None else 0)
    return OperatingPoint(point.threshold, point.coverage, point.risk, point.risk_low, point.risk_high, rows, "test", by)


def _report(bundle: Path) -> Report | None:
    try:
        return reports.read(bundle / "report.json")
    except (BundleError, OSError):
        return None
