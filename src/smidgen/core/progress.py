"""How long work says where it is. The command line draws bars from it; everything else may ignore it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told of work as it goes on. One step runs at a time."""

    def start(self, step: str, total: int | None = None) -> None:
        """A step begins; `total` is the number of `advance` units to come, where known."""
        ...

    def advance(self, units: int = 1, **facts: float | str) -> None:
        """Some of the step is done. `facts` are shown beside the bar (loss, rows/s)."""
        ...

    def finish(self, note: str = "") -> None:
        """The step is done; `note` is what it came to, in a few words."""
        ...

    def say(self, text: str) -> None:
        """Something worth telling that is not progress (a choice made, a warning)."""
        ...


class Silent:
    """A progress that says nothing."""

    def start(self, step: str, total: int | None = None) -> None:
        """Nothing is shown."""

    def advance(self, units: int = 1, **facts: float | str) -> None:
        """Nothing is shown."""

    def finish(self, note: str = "") -> None:
        """Nothing is shown."""

    def say(self, text: str) -> None:
        """Nothing is shown."""
