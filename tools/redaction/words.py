"""The lists of `lists.toml`."""

from __future__ import annotations

import functools
import tomllib
from pathlib import Path


@functools.cache
def listed(name: str) -> tuple[str, ...]:
    """The entries of a list. Raises KeyError for one that there is not."""
    return tuple(entry.strip() for entry in _lists()[name].replace("\n", "").split("|"))


@functools.cache
def _lists() -> dict[str, str]:
    found: dict[str, str] = tomllib.loads((Path(__file__).parent / "lists.toml").read_text(encoding="utf-8"))
    return found
