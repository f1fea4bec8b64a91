"""Pretrained weights, found and verified."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Base:
    """A base on this machine.

    Attributes:
        name: how the user names it: `minilm`, `hf:owner/name`, a folder.
        folder: where config.json, tokenizer.json and the weights lie.
        sha256: hash of the weights file, hex.
        licence: SPDX identifier, or "unknown".
        source: where it came from, for the model card.
        family: `encoder` or `decoder`.
    """

    name: str
    folder: Path
    sha256: str
    licence: str
    source: str
    family: str = "encoder"
