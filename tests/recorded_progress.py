"""A progress that keeps what is said."""

from __future__ import annotations

from smidgen.core.progress import Silent


class RecordedProgress(Silent):
    """`said` holds every line, in order."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)
