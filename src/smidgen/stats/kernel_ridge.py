"""Kernel ridge regression on unit vectors: a classifier fitted in closed form, with leave-one-out scores.

The kernel is Gaussian, exp(γ (⟨a, b⟩ - 1)), which on vectors of length one is exp(-γ |a - b|² / 2). Targets are one-hot labels, or shares
of belief, as in least-squares support vector machines (Suykens and Vandewalle 1999; Rifkin, Yeo and Poggio 2003). With many rows, a subset
of landmarks stands for all (Nyström; Williams and Seeger 2001), so fitting takes n m² steps and serving m.

On frozen vectors of a sentence encoder, the accuracy comes near to that of fine-tuning the encoder, in seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smidgen.stats.calibration import softmax
from smidgen.stats.intervals import Floats

Floats32 = NDArray[np.float32]

GAMMA = 2.0
"""Rate at which likeness falls off: two texts at a right angle have exp(-2), 0.14."""
_MOST_GAMMA = 50.0
RIDGE = 0.2
LANDMARKS = 4096
GAIN = 4.0
"""Gain of the logits made from scores: their softmax is then about as sure as it is right, with few labels and with many."""
SHARP = 10.0
"""Gain for scores that are each an independent yes or no."""
_JITTER = 1e-3
"""Added to the diagonal of the landmarks' kernel, for rows that are nearly the same."""
_BLOCK = 8192
"""Rows compared with the landmarks at once: bounds memory."""


@dataclass(frozen=True)
class KernelRidge:
    """A fitted classifier.

    Attributes:
        landmarks: (m, width) unit vectors.
        weights: (m, outputs): scores are `likeness @ weights`.
        left_out: (n, outputs) scores of each training row by a classifier fitted without it.
        gamma: of the kernel.
    """

    landmarks: Floats32
    weights: Floats32
    left_out: Floats32
    gamma: float

    def scores(self, vectors: Floats32) -> Floats32:
        """Return scores, (n, outputs), for (n, width) unit vectors: about 1 for a label that holds and 0 for others."""
        return np.concatenate([likeness(part, self.landmarks, self.gamma) @ self.weights for part in _blocks(vectors)])


def gamma_for(unrelated: float, same: float) -> float:
    """Return the γ for an encoder, by its cosines of texts that have nothing in common and of those that say the same."""
    return min(_MOST_GAMMA, GAMMA / max(1e-3, same - unrelated))


def logits(scores: Floats32) -> Floats32:
    """Return logits, (n, outputs), of scores for exclusive labels: GAIN · arsinh(√outputs · score).

    Scores estimate shares, each with a small error. Scaled linearly, their softmax would give many labels near zero together as much as one
    label with a half, and the logarithm of a score of zero does not exist. This function is linear up to 1 / √outputs, about the error of
    an estimate with many labels, and logarithmic from there on. docs/log.md has measurements.
    """
    return np.asarray(GAIN * np.arcsinh(steepness(scores.shape[1]) * scores))


def steepness(outputs: int) -> float:
    """Return the factor for scores before the arsinh: √outputs."""
    return math.sqrt(outputs)


def likeness(first: Floats32, second: Floats32, gamma: float) -> Floats32:
    """Return the kernel, (n, m), of (n, width) and (m, width) unit vectors."""
    found = first @ second.T
    found -= np.float32(1)
    found *= np.float32(gamma)
    return np.asarray(np.exp(found, out=found))


def fit(
    vectors: Floats32,
    targets: Floats32,
    *,
    weights: Floats32 | None = None,
    gamma: float = GAMMA,
    ridge: float = RIDGE,
    landmarks: int = LANDMARKS,
    seed: int = 0,
) -> KernelRidge:
    """Fit the classifier.

    Args:
        vectors: (n, width) unit vectors.
        targets: (n, outputs), 1 for a label that holds and 0 for others, or shares of belief.
        weights: (n,) weight of each row; None for equal weights.
        gamma: of the kernel.
        ridge: strength of the penalty on weights.
        landmarks: most landmarks; drawn at random if there are more rows.
        seed: of that draw.

    Raises ValueError if the shapes do not fit, there is no row, or a number is not finite.
    """
    x, y = np.ascontiguousarray(vectors, np.float32), np.asarray(targets, np.float32)
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y) or not len(x):
        raise ValueError(f"vectors (n, width) and targets (n, outputs) are needed, not {x.shape} and {y.shape}")
    w = np.ones(len(x), np.float32) if weights is None else np.asarray(weights, np.float32)
    if not (np.isfinite(x).all() and np.isfinite(y).all() and np.isfinite(w).all()):
        raise ValueError("vectors, targets and weights must be finite numbers")
    if len(x) <= landmarks:
        return _of_all_rows(x, y, w, gamma, ridge)
    marks = x[_chosen(x, landmarks, seed)]
    kernel = likeness(marks, marks, gamma)
    kernel[np.diag_indices(len(marks))] += np.float32(_JITTER)
    root = _root(kernel)
    # Map rows to features whose inner product is the kernel, scaled by the root of their weight. The rest is an ordinary ridge regression.
    size = np.sqrt(w)[:, None]
    features = size * np.concatenate([_solved(root, likeness(part, marks, gamma).T).T for part in _blocks(x)])
    inner = features.T @ features
    inner[np.diag_indices(len(inner))] += np.float32(ridge)
    half = _root(inner)
    found = _solved(half, _solved(half, features.T @ (size * y)), turned=True)
    reach = _solved(half, features.T)
    weights = _solved(root, found, turned=True)
    answers = np.concatenate([likeness(part, marks, gamma) @ weights for part in _blocks(x)])
    return KernelRidge(marks, weights, _left_out(answers, y, 1 - np.einsum("ij,ij->j", reach, reach)), gamma)


def _of_all_rows(x: Floats32, y: Floats32, w: Floats32, gamma: float, ridge: float) -> KernelRidge:
    """Fit with every row as a landmark. Instead of the kernel's root and products with it, one root of (n, n) and its inverse suffice."""
    size = np.sqrt(w)[:, None]
    kernel = likeness(x, x, gamma)
    inner = size * kernel * size.T
    inner[np.diag_indices(len(inner))] += np.float32(ridge)
    half = _root(inner)
    carried = size * _solved(half, _solved(half, size * y), turned=True)
    rest = np.float32(ridge) * _inverse_diagonal(half)
    # A repeated row becomes one landmark with the summed weights.
    _, places, which = np.unique(x, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(places)
    weights = np.zeros((len(places), y.shape[1]), np.float32)
    np.add.at(weights, np.argsort(order)[which.ravel()], carried)
    return KernelRidge(x[places[order]], weights, _left_out(kernel @ carried, y, rest), gamma)


def _left_out(answers: Floats32, y: Floats32, rest: Floats32) -> Floats32:
    """Return the leave-one-out scores of each row, (n, outputs). `rest`: (n,) 1 minus the row's weight in its own answer."""
    rest = np.maximum(rest, np.float32(1e-4))[:, None]
    return np.asarray((answers - (1 - rest) * y) / rest, np.float32)


def _inverse_diagonal(root: Floats32) -> Floats32:
    """Return the diagonal, (n,), of the inverse of the matrix with the lower Cholesky factor `root`."""
    from scipy.linalg.lapack import strtri

    inverse, trouble = strtri(root, lower=1)
    if trouble:
        raise ValueError(f"the root of the rows' kernel has no inverse (LAPACK strtri: {trouble})")
    return np.asarray(np.einsum("ij,ij->j", inverse, inverse), np.float32)


def _chosen(x: Floats32, most: int, seed: int) -> NDArray[np.int64]:
    """Return the places of the landmarks in ascending order: one row per distinct vector, at most `most`."""
    places = np.unique(x, axis=0, return_index=True)[1]
    if len(places) > most:
        places = np.random.default_rng([seed, 29]).permutation(places)[:most]
    return np.sort(places)


def _solved(root: Floats32, wanted: Floats32, turned: bool = False) -> Floats32:
    """Solve `root` x = `wanted`, or with `turned` the transposed system. `root` is lower triangular."""
    from scipy.linalg import solve_triangular

    return np.asarray(solve_triangular(root, wanted, lower=True, trans=int(turned), check_finite=False), np.float32)


def _root(matrix: Floats32) -> Floats32:
    """Return the lower Cholesky factor. If rounding made the matrix not positive definite, increase its diagonal."""
    from scipy.linalg import LinAlgError, cholesky

    for more in (0.0, 1e-2, 1e-1):
        try:
            shifted = matrix + np.float32(more) * np.eye(len(matrix), dtype=np.float32) if more else matrix
            return np.asarray(cholesky(shifted, lower=True, check_finite=False))
        except LinAlgError:
            continue
    raise ValueError("the kernel of the landmarks has no Cholesky factor: are the vectors of length one?")


def _blocks(vectors: Floats32) -> list[Floats32]:
    return [vectors[at : at + _BLOCK] for at in range(0, max(1, len(vectors)), _BLOCK)]


CLASSIFIER_LANDMARKS = 1024


def fit_classifier(
    vectors: NDArray[np.float32], targets: NDArray[np.int64], classes: int, landmarks: int = CLASSIFIER_LANDMARKS
) -> KernelRidge:
    """Fit a head on (n, width) unit vectors and (n,) class numbers. `left_out` has its leave-one-out scores."""
    return fit(vectors, np.eye(classes, dtype=np.float32)[targets], landmarks=landmarks)


def class_probabilities(scores: NDArray[np.float32]) -> Floats:
    """Return scores as probabilities, (n, classes). On BANKING77 they are about as sure as they are right."""
    return softmax(logits(scores.astype(np.float64)), 1.0)
