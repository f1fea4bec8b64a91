"""The student `encoder+static`: a blend of both. They err on different texts, and the static student adds hardly any cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from smidgen.core.errors import TrainError
from smidgen.core.forms import Form
from smidgen.core.parts import EngineSpec, Raw, Student, Training, Workspace
from smidgen.core.rows import Row, Text
from smidgen.core.settings import Settings
from smidgen.stats.calibration import blend_probabilities, fit_blend_weight


class BlendSettings(Settings):
    """No settings of its own: each partner uses its defaults."""


class BlendStudent(Student):
    """The encoder blended with the static student."""

    name = "encoder+static"
    summary = "The encoder and the static student together, where the held-out rows say that both know more than one."
    settings = BlendSettings
    base_family = "encoder"
    engine = "blend"
    partners = ("encoder", "static")

    def fit(self, training: Training, space: Workspace) -> None:
        """Do nothing: its partners are trained."""

    def raw(self, folder: Path, texts: Sequence[Text], threads: int) -> Raw:
        """Raise TrainError: its outputs are added up from those of its partners."""
        raise _has_nothing()

    def export(self, folder: Path, out: Path) -> EngineSpec:
        """Raise TrainError: its files are those of its partners."""
        raise _has_nothing()

    def mix(self, raws: Sequence[Raw], rows: Sequence[Row], form: Form) -> dict[str, Any] | None:
        """A weight and a temperature of each; None if the second gets no weight, or if a text may have several labels."""
        labels = form.single_label
        if labels is None:
            return None
        first, second = (raw["logits"] for raw in raws)
        names = labels.every[: first.shape[1]]
        known = [number for number, row in enumerate(rows) if row.output in names]
        targets = np.array([names.index(rows[number].output) for number in known])
        weight, temperatures = fit_blend_weight(first[known], second[known], targets)
        return {"weights": [1.0, weight], "temperatures": list(temperatures)} if weight else None

    def add(self, raws: Sequence[Raw], mix: Mapping[str, Any]) -> Raw:
        """The blended `logits` (n, outputs)."""
        return {"logits": blend_probabilities([raw["logits"] for raw in raws], mix["weights"], mix["temperatures"])}

    def joined(self, specs: Sequence[EngineSpec], mix: Mapping[str, Any]) -> EngineSpec:
        """A model for the engine `blend`, in the compressed form of the first partner."""
        members = [
            {"engine": spec.engine, "options": spec.options, "weight": weight, "temperature": temperature}
            for spec, weight, temperature in zip(specs, mix["weights"], mix["temperatures"], strict=True)
        ]
        files = tuple(dict.fromkeys(name for spec in specs for name in spec.files))
        return EngineSpec(self.engine, files, {"members": members}, specs[0].method)


def _has_nothing() -> TrainError:
    return TrainError("students.blend_has_no_weights_of_its_own", value="blend")


part = BlendStudent()
