"""LoRA adapters: small GGUF files beside one model, of which a request chooses one."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path

from smidgen.core.errors import RequestError
from smidgen.engines.llama_options import inside


class Adapters:
    """The adapters of one model among those that its process holds.

    Args:
        files: the model's own, by name.
        usual: the one that a request has where it names none; None: the model itself.
        first: how many the process holds of others, before these.
        held: how many it holds in all.
    """

    def __init__(self, files: Mapping[str, Path], usual: str | None, first: int = 0, held: int | None = None) -> None:
        self.names = list(files)
        self._usual, self._first = usual, first
        self._held = len(files) if held is None else held

    def scales(self, name: str | None) -> list[dict[str, float]]:
        """How much each adapter of the process counts in a request: the chosen one wholly, the others not at all.

        Raises RequestError, with the names that there are, for a name that is none of them.
        """
        name = self._usual if name is None else name
        if name is not None and name not in self.names:
            close = difflib.get_close_matches(name, self.names, n=1)
            meant = f"Did you mean {close[0]!r}? " if close else ""
            there = f"Available: {', '.join(self.names)}." if self.names else "This model has none: leave it out."
            raise RequestError(
                "no adapter has this name", value=name, todo=meant + there, status=404, code="adapter_not_found", param="adapter"
            )
        chosen = self._first + self.names.index(name) if name is not None else None
        return [{"id": number, "scale": float(number == chosen)} for number in range(self._held)]


def files_of(folder: Path, named: Mapping[str, str]) -> dict[str, Path]:
    """The files of a model's adapters, by name. Raises EngineError where one is missing, or lies outside the folder."""
    return {name: inside(folder, file) for name, file in named.items()}
