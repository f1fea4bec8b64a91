"""The quality gate: the `[gate]` section of a recipe, and the check that the model to be served meets it."""

from __future__ import annotations

import math
from collections.abc import Mapping

from smidgen.core.errors import GateError
from smidgen.core.quantities import Metric
from smidgen.core.settings import Settings, setting
from smidgen.judge.sections import BaselineFacts


class GateSettings(Settings):
    """Conditions a build must meet. If one is not met, the build fails with exit code 1 and ships nothing."""

    max_loss: float = setting(
        0.01, "Largest loss of the headline metric from the trained model to the served one (0.01 is one point).", ge=0.0, le=1.0
    )
    min_agreement: float | None = setting(
        None,
        "Smallest share of held-out texts on which the served model must give the trained model's answer (default: 0.97; no limit for a "
        "decoder's texts and fields, where rounding may change a word).",
        ge=0.0,
        le=1.0,
    )
    min_headline: float | None = setting(
        None, "Smallest headline metric (accuracy for classify) that may be shipped.", flag="--min-quality", ge=0.0, le=1.0
    )
    min_coverage: float | None = setting(
        None,
        "For texts from attributes: smallest share of the attributes that they must state.",
        flag="--min-coverage",
        ge=0.0,
        le=1.0,
    )
    max_unsupported: float | None = setting(
        None,
        "For texts from attributes: largest share of texts that may state an attribute that their input lacks.",
        flag="--max-unsupported",
        ge=0.0,
        le=1.0,
    )
    must_beat_baseline: bool = setting(
        False, "Fail unless the headline metric is above the baseline's by more than chance can explain.", flag="--must-beat-baseline"
    )

    def agreement(self, written: bool) -> float | None:
        """The least agreement that is required; for written answers, only if the recipe sets one."""
        return self.min_agreement if self.min_agreement is not None or written else AGREEMENT


AGREEMENT = 0.97
_ROUNDING = 1e-12

SETTINGS = GateSettings


def loses_too_much(loss: float, most: float, n: int) -> bool:
    """Whether a loss measured on n rows is over the limit. Where one row is more than the limit, one row is no sign of a loss, unless none
    at all is allowed."""
    return loss > (max(most, 1 / n) if most > 0 and n else most) + _ROUNDING


def differs_too_much(agreement: float, least: float | None, n: int) -> bool:
    """Whether a share of equal answers, of n, is under the limit; None for no limit. One other answer is no sign of a difference either."""
    return least is not None and loses_too_much(1 - agreement, 1 - least, n)


def require(metrics: Mapping[str, Metric], headline: str, settings: GateSettings, baseline: BaselineFacts | None = None) -> None:
    """Raise GateError with every condition that the model does not meet.

    Args:
        metrics: the served model's on the test rows.
        headline: the metric that decides.
        baseline: the baseline on the same rows, with its paired change; needed for `must_beat_baseline`.
    """
    failures: list[str] = []
    asked = (
        ("min_headline", headline, settings.min_headline, 1),
        ("min_coverage", "coverage", settings.min_coverage, 1),
        ("max_unsupported", "unsupported", settings.max_unsupported, -1),
    )
    for key, name, bound, better in asked:
        if bound is None:
            continue
        found = metrics.get(name)
        if found is None or not math.isfinite(found.value):
            failures.append(f"{name} was not measured; gate.{key} asks for {bound:g}")
        elif better * found.value < better * bound:
            failures.append(
                f"{name} is {found.value:.4f} (95 % interval {found.low:.4f} to {found.high:.4f}); gate.{key} asks for {bound:g}"
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
        untaught = baseline is not None and baseline.name == "prompted" and len(failures) == 1 and "must_beat_baseline" in failures[0]
        raise GateError(
            "judge.taught_model_does_not_beat_its_base" if untaught else "judge.model_is_not_good_enough", value="; ".join(failures)
        )
