"""The sections of a writer's report, from its replies on the test rows. Pure: nothing is read, run or written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from smidgen.core.quantities import Metric
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, joined
from smidgen.judge.classifier_sections import all_measured, point, words
from smidgen.judge.sections import CalibrationBin, CalibrationFacts, RiskCoverage, Stated, WrittenSample, shortened
from smidgen.stats import calibration, risk_coverage_curve

_SAMPLES = 18
_LONGEST = 1_500  # most characters of a text in the report
_REFERENCES = 3


def writer_sections(
    rows: Sequence[Row], replies: Sequence[Reply], grades: Sequence[float], metrics: Mapping[str, Metric], fitted: bool = True
) -> dict[str, Any]:
    """The sections `metrics`, `calibration`, `risk_coverage` and `samples`, ready for `Report(**sections, ...)`.

    Args:
        rows: test rows that the model never saw, each with all its references.
        replies: the served model's replies to them.
        grades: the grade of each reply, 0..1; the risk is 1 minus the grade.
        metrics: as the task measures them.
        fitted: whether scores are expected grades, fitted on held-out rows; else they are the mean probability of tokens.
    """
    scores = np.array([reply.score for reply in replies], dtype=np.float64)
    worth = np.asarray(grades, dtype=np.float64)
    area = risk_coverage_curve.area_under_risk_coverage(scores, worth)
    off = calibration.expected_calibration_error(scores, worth)
    return {
        "graded": True,
        "metrics": all_measured(metrics),
        "calibration": CalibrationFacts(
            fitted=fitted,
            ece_after=off if np.isfinite(off) else None,
            bins=tuple(CalibrationBin(**asdict(found)) for found in calibration.reliability(scores, worth)),
        ),
        "risk_coverage": RiskCoverage(
            points=tuple(point(found) for found in risk_coverage_curve.risk_coverage(scores, worth)),
            area=area if np.isfinite(area) else None,
        ),
        "samples": samples(rows, replies, grades),
    }


def samples(rows: Sequence[Row], replies: Sequence[Reply], grades: Sequence[float], limit: int = _SAMPLES) -> tuple[WrittenSample, ...]:
    """Written texts beside the wanted ones: a third are the worst, the others spread evenly from worst to best, so that usual ones are
    shown."""
    order = np.argsort(np.asarray(grades, dtype=np.float64), kind="stable")
    worst = order[: limit // 3]
    rest = order[len(worst) :]
    spread = rest[np.unique(np.linspace(0, len(rest) - 1, limit - len(worst)).round().astype(int))] if len(rest) else rest
    return tuple(
        _sample(rows[place], replies[place], grades[place], weak=weak)
        for places, weak in ((worst, True), (spread, False))
        for place in places.tolist()
    )


def _sample(row: Row, reply: Reply, grade: float, weak: bool) -> WrittenSample:
    wanted = row.output if isinstance(row.output, list) else [row.output]
    return WrittenSample(
        text=shortened(joined(row.input), _LONGEST),
        wanted=tuple(shortened(words(one), _LONGEST) for one in wanted[:_REFERENCES]),
        got=shortened(words(reply.output), _LONGEST),
        grade=float(grade),
        score=min(1.0, max(0.0, reply.score)),
        row=row.number or None,
        missing=_stated(reply, "missing"),
        unsupported=_stated(reply, "unsupported"),
        cut=reply.facts.get("finished") is False,
        weak=weak,
    )


def _stated(reply: Reply, name: str) -> tuple[Stated, ...]:
    return tuple(Stated(key=entry["key"], value=entry["value"]) for entry in reply.facts.get(name, ()))
