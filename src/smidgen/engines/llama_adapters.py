"""LoRA adapters: small GGUF files beside one model, of which a request chooses one."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path

from smidgen.core.errors import RequestError
from smidgen.engines.llama_options import inside


class Adapters:
    """The adapters of a model, by name."""

    def __init__(self, folder: Path, named: Mapping[str, str]) -> None:
        self.names = list(named)
        self.files = [str(inside(folder, file)) for file in named.values()]

    def scales(self, name: str | None) -> list[dict[str, float]]:
        """How much each counts in a request: the chosen one wholly, the others not at all; none for None.

        Raises RequestError, with the names that there are, for a name that is none of them.
        """
        if name is not None and name not in self.names:
            close = difflib.get_close_matches(name, self.names, n=1)
            meant = f"Did you mean {close[0]!r}? " if close else ""
            there = f"Available: {', '.join(self.names)}." if self.names else "This model has none: leave it out."
            raise RequestError(
                "no adapter has this name", value=name, todo=meant + there, status=404, code="adapter_not_found", param="adapter"
            )
        return [{"id": number, "scale": float(known == name)} for number, known in enumerate(self.names)]
