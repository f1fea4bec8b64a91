"""Answers that a student draws itself while it is taught, so that a guide tells it what to write where it goes, not only where the examples
do (generalised knowledge distillation, GKD; Agarwal et al. 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smidgen.students.generating import write
from smidgen.students.lessons import Lesson
from smidgen.students.llama import Llama
from smidgen.students.workers import Workers

Group = tuple[Lesson, ...]
"""Lessons with the same input."""


@dataclass(frozen=True)
class Drawing:
    """How answers are drawn.

    Attributes:
        share: of the inputs of a step, 0..1, whose answers are drawn; GKD calls it lambda.
        most: tokens of a drawn answer.
        stop: ids that end one; the first is what is put behind it.
        seed: with the step's number, of all that is random: a step that is done again draws the same.
    """

    share: float
    most: int
    stop: tuple[int, ...]
    seed: int = 0

    def put(self, model: Llama, batch: Sequence[Group], step: int, workers: Workers) -> list[Group]:
        """The batch with a drawn answer in place of their own for a share of its inputs: one of each, of as much weight as the lessons that
        it stands for. The model is taken as it is; drawing has no gradients."""
        places = np.flatnonzero(np.random.default_rng([self.seed, 7, step]).random(len(batch)) < self.share).tolist()
        sources = [batch[place][0].ids[: len(batch[place][0].ids) - batch[place][0].answer] for place in places]
        found = list(batch)
        if not places:
            return found
        drawn = write(model, [source.tolist() for source in sources], self.stop, self.most, workers, (self.seed, 8, step))
        for place, source, one in zip(places, sources, drawn, strict=True):
            ids = [*one.ids, *(self.stop[:1] if one.finished else ())]
            weight = sum(lesson.weight for lesson in batch[place])
            found[place] = (Lesson(np.concatenate([source, np.array(ids, dtype=np.int64)]), len(ids), weight, drawn=True),)
        return found
