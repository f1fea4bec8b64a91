"""Abilities that only some tasks have. Each is a small class; a task without it has `None` in its place."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from smidgen.core.replies import Reply
from smidgen.core.rows import Row


class Grading(ABC):
    """Grades for replies that are more or less good, such as written texts. Grades are compared, not outputs."""

    @abstractmethod
    def grades(self, rows: Sequence[Row], replies: Sequence[Reply], form: Any) -> list[float]:
        """The quality of each reply, one value in 0..1 per row."""

    def merged(self, rows: Sequence[Row]) -> list[Row]:
        """Merge rows of one input into one row whose output is the list of all their references, in first-seen order."""
        return list(rows)


class Correctness(ABC):
    """Which replies are right, for a task where other replies than the reference are right, too."""

    @abstractmethod
    def right(self, rows: Sequence[Row], replies: Sequence[Reply], form: Any) -> list[bool]:
        """Whether each reply is right, one value per row."""


class PartialCredit(ABC):
    """Credit for the parts of an output, such as spans or fields. The headline metric counts parts.

    The reasons why such a task refuses a larger model's answer are few and contain nothing of the answer: they are counted and shown.

    Attributes:
        empty: the output without any part.
    """

    empty: Any = None

    @abstractmethod
    def overlap(self, one: Any, other: Any) -> float:
        """How much of two outputs is equal, 0..1."""

    @abstractmethod
    def by_heart(self, rows: Sequence[Row], form: Any) -> Sequence[Any]:
        """For each row the output of a baseline that only memorises the other rows: a teacher must do better."""
