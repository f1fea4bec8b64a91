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
    failures: list[str] = []
    asked = (
        ("min_headline", headline, settings.min_headline, 1),
        ("min_coverage", "coverage", settings.min_coverage, 1),
        ("max_unsupported", "unsupported", settings.max_unsupported, -1),
    )
    for setting, name, bound, better in asked:
        if bound is None:
            continue
        found = metrics.get(name)
        if found is None or not math.isfinite(found.value):
            failures.append(f"{name} was not measured; gate.{setting} asks for {bound:g}")
        elif better * found.value < better * bound:
            failures.append(
                f"{name} is {found.value:.4f} (95 % interval {found.low:.4f} to {found.high:.4f}); gate.{setting} asks for {bound:g}"
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
