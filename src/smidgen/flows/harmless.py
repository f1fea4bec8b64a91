"""Answers in which nothing personal is found: labels and fixed words come again with nearly every request, and the model reads them once.

Only these are kept in memory. An answer in which something was found is read again each time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable

MOST = 1_024
"""Answers that are known at a time."""
LONGEST = 100
"""Characters of one: longer ones hardly ever come again."""


class Harmless:
    """The latest of them."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, None] = OrderedDict()

    def among(self, answers: Collection[str]) -> set[str]:
        """Those that were read before. They count as the latest."""
        known = {text for text in answers if text in self._known}
        for text in known:
            self._known.move_to_end(text)
        return known

    def note(self, answers: Iterable[str]) -> None:
        """Know these."""
        self._known.update((text, None) for text in answers)
        while len(self._known) > MOST:
            self._known.popitem(last=False)
