"""A head on frozen vectors, fitted in closed form: a stand-in for a student that takes seconds, or one of minutes.

It is the student `kernel`, carried by fewer rows. On BANKING77 it comes within two or three points of a fine-tuned encoder, where a linear
head is seven away (docs/log.md).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smidgen.stats import kernel_ridge
from smidgen.stats.calibration import softmax
from smidgen.stats.intervals import Floats
from smidgen.stats.kernel_ridge import KernelRidge

LANDMARKS = 1024


def fitted(vectors: NDArray[np.float32], targets: NDArray[np.int64], classes: int, landmarks: int = LANDMARKS) -> KernelRidge:
    """The head of (n, width) vectors of length one and (n,) class numbers, carried by so many rows at most. Its `left_out` is what it
    would say of rows it had not seen."""
    return kernel_ridge.fit(vectors, np.eye(classes, dtype=np.float32)[targets], landmarks=landmarks)


def chances(scores: NDArray[np.float32]) -> Floats:
    """Scores as probabilities (n, classes): on BANKING77 about as sure as they are right."""
    return softmax(kernel_ridge.logits(scores.astype(np.float64)), 1.0)
