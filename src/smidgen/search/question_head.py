"""Teach the vectors of questions by the user's own: a linear map moves them towards the passages that answer, if that helps on others."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from smidgen.core.rows import evenly
from smidgen.search.documents.document import Passage
from smidgen.search.passage_search import AskedQuestion, Floats32, PassageSearch, PassageVectors, RememberedQuestions
from smidgen.search.vectors import units
from smidgen.search.weights import SearchWeights

LEAST_QUESTIONS = 40
_LEAST_MEASURED = 20
"""Questions of people by which made ones are measured, at least."""
_MOST_TRIED = 600
_FOLDS = 4
_RIDGES = (3.0, 10.0, 30.0, 100.0)


def fit_head(questions: Floats32, targets: Floats32, ridge: float) -> Floats32:
    """The map W, (width, width), that is best by least squares: question + question W near its target, W drawn to nothing."""
    alike = questions @ questions.T + ridge * np.eye(len(questions), dtype=np.float32)
    return np.asarray(questions.T @ np.linalg.solve(alike, targets - questions), np.float32)


@dataclass(frozen=True, slots=True)
class AnsweredQuestions:
    """Questions, each with the places of the passages that answer it, and their unit vectors, (n, width)."""

    asked: tuple[tuple[str, frozenset[int]], ...]
    vectors: Floats32


def learnt_head(
    passages: Sequence[Passage],
    vectors: PassageVectors,
    people: AnsweredQuestions,
    made: AnsweredQuestions,
    seed: int,
    cosines: tuple[float, float] = (0.0, 1.0),
) -> tuple[Floats32 | None, str]:
    """The map for questions, or None if there are too few, or it finds no more right passages for questions of people that it was not
    fitted on. And what was found, a sentence; empty for too few.

    Args:
        people: the questions that people asked; the map is fitted on them, and tried on those left out.
        made: questions that a larger model made; the map is fitted on them, too, where that helps people's more.
        cosines: of the encoder, in whose search it is tried.
    """
    if len(people.asked) < LEAST_QUESTIONS:
        return None, ""
    trial = _Trial(passages, vectors, people, seed, cosines)
    return trial.best((None, made) if made.asked else (None,))


class _Trial:
    """A search that is tried on questions of people, while maps are fitted on others."""

    def __init__(
        self, passages: Sequence[Passage], vectors: PassageVectors, people: AnsweredQuestions, seed: int, cosines: tuple[float, float]
    ) -> None:
        self._vectors, self._people = vectors, people
        self._order = list(range(len(people.asked)))
        random.Random(seed).shuffle(self._order)
        self._tried = list(evenly(self._order, _MOST_TRIED))
        own = dict(zip([question for question, _ in people.asked], people.vectors, strict=True))
        self._moved: dict[str, Floats32] = dict(own)
        self._search = PassageSearch(
            passages, vectors, lambda texts: np.stack([self._moved[text] for text in texts]), SearchWeights(), cosines=cosines
        )

    def hits(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Whether each tried question finds a passage that answers it first."""
        asked = self._people.asked
        found = self._search.rank([AskedQuestion(asked[one][0]) for one in self._tried])
        return np.array([place in asked[one][1] for place, one in zip(found, self._tried, strict=True)], dtype=np.bool_)

    def best(self, more: Sequence[AnsweredQuestions | None]) -> tuple[Floats32 | None, str]:
        """The best map, fitted on people's questions and on one of these, if it is clearly better than none; and a sentence about it."""
        asked, questions = self._people.asked, self._people.vectors
        targets = self._targets(self._people)
        before, best = self.hits(), (0, 0, 0.0, -1)
        for number, made in enumerate(more):
            added = (made.vectors, self._targets(made)) if made is not None else (questions[:0], targets[:0])
            for ridge in _RIDGES:
                for fold in range(_FOLDS):
                    away = set(self._tried[fold::_FOLDS])
                    rest = [one for one in self._order if one not in away]
                    head = fit_head(np.concatenate([questions[rest], added[0]]), np.concatenate([targets[rest], added[1]]), ridge)
                    self._moved.update({asked[one][0]: units((questions[one] + questions[one] @ head)[None])[0] for one in away})
                after = self.hits()
                gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
                best = max(best, (gained - lost, -lost, ridge, -number))
        self.close()
        gain, minus_lost, ridge, minus_number = best
        made = more[-minus_number]
        others = f" and by {len(made.asked):,} made ones" if made is not None else ", better without the made ones" if len(more) > 1 else ""
        hit = int(before.sum())
        said = f"{hit} of {len(self._tried)} questions find their passage first; taught by the others{others}, {hit + gain}"
        if not is_clear(gain - minus_lost, -minus_lost):
            return None, f"{said}: not clearly more, so the vectors stay as they are"
        added = (made.vectors, self._targets(made)) if made is not None else (questions[:0], targets[:0])
        return fit_head(np.concatenate([questions, added[0]]), np.concatenate([targets, added[1]]), ridge), said

    def close(self) -> None:
        """Free the search."""
        self._search.close()

    def _targets(self, questions: AnsweredQuestions) -> Floats32:
        pairs = zip(questions.asked, questions.vectors, strict=True)
        return np.stack([_nearest(self._vectors, right, vector) for (_, right), vector in pairs])


def remembering_helps(
    passages: Sequence[Passage],
    vectors: PassageVectors,
    made: RememberedQuestions,
    people: AnsweredQuestions,
    seed: int,
    cosines: tuple[float, float] = (0.0, 1.0),
) -> tuple[bool, str]:
    """Whether more questions of people find their passage first where made ones are remembered; and what was found, a sentence."""
    if len(people.asked) < _LEAST_MEASURED:
        return False, f"{len(people.asked)} questions of people are too few to measure made ones by, so these are not remembered"
    found = []
    for known in (vectors, replace(vectors, remembered=made)):
        trial = _Trial(passages, known, people, seed, cosines)
        found.append(trial.hits())
        trial.close()
    before, after = found
    gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
    helps = is_clear(gained, lost)
    told = f"with {len(made.vectors):,} made questions remembered, {int(after.sum())} of {len(after)} questions find their passage first"
    return helps, f"{told}; {int(before.sum())} without them{'' if helps else ': not clearly more, so they are not remembered'}"


def is_clear(gained: int, lost: int) -> bool:
    """Whether more was gained than lost by more than one standard deviation of chance."""
    return gained - lost > math.sqrt(gained + lost)


def _nearest(vectors: PassageVectors, right: frozenset[int], question: Floats32) -> Floats32:
    """The nearest vector to a question of the passages that answer it, and of their own questions."""
    near = np.concatenate([vectors.passages[sorted(right)], vectors.questions[sorted(right)]])
    return np.asarray(near[int(np.argmax(near @ question))], np.float32)
