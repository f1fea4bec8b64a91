"""What has been written for one text, of many that are written at once."""

from __future__ import annotations

from smidgen.core.loops import unlooped
from smidgen.engines.llama_pieces import Piece


class Written:
    """What has been written for one text, behind the beginning that was given."""

    def __init__(self, begun: str = "") -> None:
        self.begun = begun
        self.text: list[str] = []
        self.chances: list[float] = []
        self.count, self.finished = 0, 0.0

    def add(self, written: Piece) -> None:
        """Take a piece."""
        self.text.append(written.text)
        self.chances += [token.probability for token in written.tokens]
        self.count += written.count
        self.finished = float(written.finish == "stop")

    def whole(self) -> str:
        """The text; of one that was cut without what it said over and over in the end."""
        text = "".join(self.text)
        return text if self.finished else unlooped(text)
