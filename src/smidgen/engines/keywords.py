"""Run a search by keywords alone over passages of documents: the baseline of finders. Its file is `passages.json`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smidgen.core.parts import Engine
from smidgen.engines.finder import FinderRunner, open_keywords


class KeywordEngine(Engine):
    """The keyword engine. Option `weights`: how much each sign counts; see `search/weights.py`."""

    name = "keywords"

    def open(self, folder: Path, options: Mapping[str, Any], threads: int) -> FinderRunner:
        """Load the passages. Raises EngineError if they are missing or damaged."""
        return open_keywords(folder, options)


part = KeywordEngine()
