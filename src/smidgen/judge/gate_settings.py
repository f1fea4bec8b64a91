"""The `[gate]` section of a recipe: what a build must meet before anything is shipped."""

from __future__ import annotations

from smidgen.core.settings import Settings, setting


class GateSettings(Settings):
    """Conditions a build must meet. Where one is not met, the build fails with exit code 1 and ships nothing."""

    max_loss: float = setting(
        0.01, "The most that the headline metric may fall from the trained model to the served one (0.01 is one point).", ge=0.0, le=1.0
    )
    min_agreement: float | None = setting(
        None,
        "The least share of held-out texts on which the served model must give the trained model's answer (default: 0.97; none for what a "
        "decoder writes, texts and fields, where a rounding may change a word).",
        ge=0.0,
        le=1.0,
    )
    min_headline: float | None = setting(
        None, "The least headline metric (accuracy for classify) that is good enough to ship.", flag="--min-quality", ge=0.0, le=1.0
    )
    min_coverage: float | None = setting(
        None, "Texts from attributes: the least share of all attributes that the texts must state.", flag="--min-coverage", ge=0.0, le=1.0
    )
    max_unsupported: float | None = setting(
        None,
        "Texts from attributes: the largest share of texts that may state an attribute which their input lacks.",
        flag="--max-unsupported",
        ge=0.0,
        le=1.0,
    )
    must_beat_baseline: bool = setting(
        False, "Fail unless the headline metric is above the baseline's by more than chance explains.", flag="--must-beat-baseline"
    )

    def agreement(self, written: bool) -> float | None:
        """The least agreement that is asked for: of answers that are written, only where it was given."""
        return self.min_agreement if self.min_agreement is not None or written else AGREEMENT


AGREEMENT = 0.97

SETTINGS = GateSettings
