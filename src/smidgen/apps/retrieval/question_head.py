"""Teach the vectors of questions by the user's own: a linear map moves them towards the passages that answer, if that helps on others."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import numpy as np

from smidgen.apps.documents.document import Passage
from smidgen.apps.retrieval.passage_search import AskedQuestion, Floats32, PassageSearch, PassageVectors
from smidgen.apps.retrieval.vectors import units
from smidgen.apps.retrieval.weights import SearchWeights
from smidgen.core.rows import evenly

LEAST_QUESTIONS = 40
_MOST_TRIED = 600
_FOLDS = 4
_RIDGES = (3.0, 10.0, 30.0, 100.0)


def fit_head(questions: Floats32, targets: Floats32, ridge: float) -> Floats32:
    """The map W, (width, width), that is best by least squares: question + question W near its target, W drawn to nothing."""
    alike = questions @ questions.T + ridge * np.eye(len(questions), dtype=np.float32)
    return np.asarray(questions.T @ np.linalg.solve(alike, targets - questions), np.float32)


def learnt_head(
    passages: Sequence[Passage],
    vectors: PassageVectors,
    asked: Sequence[tuple[str, frozenset[int]]],
    questions: Floats32,
    weights: SearchWeights,
    seed: int,
    cosines: tuple[float, float] = (0.0, 1.0),
) -> tuple[Floats32 | None, str]:
    """The map for questions, or None if there are too few, or it finds no more right passages for questions that it was not fitted on. And
    what was found, a sentence; empty for too few.

    Args:
        asked: each question, with the places of the passages that answer it.
        questions: (n, width) their vectors.
        weights, cosines: of the search in which it is tried.
    """
    if len(asked) < LEAST_QUESTIONS:
        return None, ""
    targets = np.stack([_nearest(vectors, right, vector) for (_, right), vector in zip(asked, questions, strict=True)])
    order = list(range(len(asked)))
    random.Random(seed).shuffle(order)
    tried = list(evenly(order, _MOST_TRIED))
    own = dict(zip([question for question, _ in asked], questions, strict=True))
    moved: dict[str, Floats32] = {}
    search = PassageSearch(passages, vectors, lambda texts: np.stack([moved[text] for text in texts]), weights, cosines=cosines)

    def hits() -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        found = search.rank([AskedQuestion(asked[one][0]) for one in tried])
        return np.array([best in asked[one][1] for best, one in zip(found, tried, strict=True)], dtype=np.bool_)

    moved.update(own)
    before, best = hits(), (0, 0, 0.0)
    for ridge in _RIDGES:
        for fold in range(_FOLDS):
            away = set(tried[fold::_FOLDS])
            rest = [one for one in order if one not in away]
            head = fit_head(questions[rest], targets[rest], ridge)
            moved.update({asked[one][0]: units((questions[one] + questions[one] @ head)[None])[0] for one in away})
        after = hits()
        gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
        best = max(best, (gained - lost, -lost, ridge))
    search.close()
    gain, minus_lost, ridge = best
    clear = gain > math.sqrt(gain - 2 * minus_lost)
    said = f"{int(before.sum())} of {len(tried)} questions find their passage first; taught by the others, {int(before.sum()) + gain}"
    if not clear:
        return None, f"{said}: not clearly more, so the vectors stay as they are"
    return fit_head(questions, targets, ridge), said


def _nearest(vectors: PassageVectors, right: frozenset[int], question: Floats32) -> Floats32:
    """The nearest vector to a question of the passages that answer it, and of their own questions."""
    near = np.concatenate([vectors.passages[sorted(right)], vectors.questions[sorted(right)]])
    return np.asarray(near[int(np.argmax(near @ question))], np.float32)
