"""Answers in which nothing personal was found: labels and fixed words come again with nearly every request, and are read once.

Only these are kept in memory. An answer in which something was found is read again each time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping

from smidgen.flows.redaction import Found

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

    def note(self, answers: Collection[str], found: Mapping[str, Found]) -> None:
        """Know those in which nothing was found."""
        for text in answers:
            if len(text) <= LONGEST and not found[text]:
                self._known[text] = None
        while len(self._known) > MOST:
            self._known.popitem(last=False)
