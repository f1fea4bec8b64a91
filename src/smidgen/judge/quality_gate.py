"""The quality gate: whether the model that would be served is good enough, and better than the baseline where that is asked."""

from __future__ import annotations

import math
from collections.abc import Mapping

from smidgen.core.errors import GateError
from smidgen.core.metrics import Metric
from smidgen.judge.gate_settings import GateSettings
from smidgen.judge.sections import Baseline


def require(metrics: Mapping[str, Metric], headline: str, settings: GateSettings, baseline: Baseline | None = None) -> None:
    """Pass, or raise GateError with every condition that the model does not meet.

    Args:
        metrics: of the served model on the test rows.
        headline: the metric that decides.
        baseline: the baseline measured on the same rows, with its paired change; must be there where `must_beat_baseline` is set.
    """
    found = metrics.get(headline)
    failures: list[str] = []
    if settings.min_headline is not None:
        if found is None or not math.isfinite(found.value):
            failures.append(f"{headline} was not measured; gate.min_headline asks for {settings.min_headline:g}")
        elif found.value < settings.min_headline:
            failures.append(
                f"{headline} is {found.value:.4f} (95 % interval {found.low:.4f} to {found.high:.4f}); "
                f"gate.min_headline asks for {settings.min_headline:g}"
            )
    if settings.must_beat_baseline:
        if baseline is None or baseline.change is None:
            failures.append("the baseline was not measured on the same rows; gate.must_beat_baseline asks for it")
        elif baseline.change.low <= 0:
            change = baseline.change
            failures.append(
                f"{headline} is {100 * change.value:+.2f} points from the baseline {baseline.name} "
                f"(95 % interval {100 * change.low:+.2f} to {100 * change.high:+.2f}); "
                "gate.must_beat_baseline asks for more than chance explains"
            )
    if failures:
        raise GateError(
            "the model is not good enough to ship",
            value="; ".join(failures),
            todo="Nothing was shipped. Add examples (the report says for which labels), try --quality best, or lower the gate.",
        )
