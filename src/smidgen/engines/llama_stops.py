"""Stop strings in a text that comes in pieces: nothing is let through that may turn out to be the beginning of one."""

from __future__ import annotations

from collections.abc import Sequence


class Stops:
    """Lets a text through up to the first stop string. `hit` is the one that was found, else None."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._held = ""
        self.hit: str | None = None

    def feed(self, text: str) -> str:
        """What of the text so far may be shown now. After a hit, nothing."""
        if self.hit is not None:
            return ""
        self._held += text
        # Of those that begin at the same place the longest is named; the text shown is the same.
        found = min(((at, -len(stop), stop) for stop in self._stops if (at := self._held.find(stop)) >= 0), default=None)
        if found:
            shown, self._held, self.hit = self._held[: found[0]], "", found[2]
            return shown
        keep = self._unsure()
        shown, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return shown

    def rest(self) -> str:
        """What was held back, once it is sure that nothing more comes."""
        shown, self._held = self._held, ""
        return shown

    def _unsure(self) -> int:
        """Characters at the end that may be the beginning of a stop string."""
        longest = 0
        for stop in self._stops:
            for size in range(min(len(stop) - 1, len(self._held)), longest, -1):
                if self._held.endswith(stop[:size]):
                    longest = size
                    break
        return longest
