"""Ordinal: ridge regression on words, for numbers on a scale. It is served by the engine of the baseline, with one output."""

from __future__ import annotations

import numpy as np

from smidgen.core.parts import Training, Workspace
from smidgen.core.rows import joined
from smidgen.core.settings import Settings, setting
from smidgen.students.linear import LinearStudent, fit_terms, write_tables


class OrdinalSettings(Settings):
    """The settings of the regression."""

    ridge: float = setting(0.3, "Regularisation: larger trusts single words less.", gt=0)


class OrdinalStudent(LinearStudent):
    """The student `ordinal`."""

    name = "ordinal"
    summary = "Ridge regression on words: a number for each text."
    settings = OrdinalSettings
    learns = "outputs"

    def fit(self, training: Training, space: Workspace) -> None:
        """Fit in closed form; takes a second."""
        from sklearn.linear_model import Ridge

        settings = training.settings if isinstance(training.settings, OrdinalSettings) else OrdinalSettings()
        features, vectorizers = fit_terms([joined(row.input) for row in training.rows], 50_000)
        model = Ridge(alpha=settings.ridge).fit(features, np.array([row.output for row in training.rows], dtype=np.float64))
        weight = np.asarray(model.coef_, dtype=np.float32).reshape(1, -1)
        write_tables(space.folder, vectorizers, weight, np.array([model.intercept_], dtype=np.float32))


part = OrdinalStudent()
