"""Which files of a folder are a model's weights, which describe them, and what they hash to: what is hashed is what is read."""

from __future__ import annotations

import json
from pathlib import Path

from smidgen.core.errors import BaseError
from smidgen.store.hashing import content_hash, file_hash

_INDEX = "model.safetensors.index.json"
_DESCRIBES = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
"""What says how weights are run, and what they are given: small files, which a folder's owner may edit."""


def weight_files(folder: Path) -> list[Path]:
    """The files that hold a model's weights: its safetensors, else a single GGUF; none where there is neither. Others that lie there,
    adapters or files of a trainer, are no part of it.

    Raises:
        BaseError: the index of the weights cannot be read, or names a file that is not there.
    """
    ggufs = [file for file in sorted(folder.glob("*.gguf")) if file.is_file()]
    return safetensors_of(folder) or (ggufs if len(ggufs) == 1 else [])


def safetensors_of(folder: Path) -> list[Path]:
    """The model's safetensors files: the one, or all that its index names, sorted; none where there are none.

    Raises:
        BaseError: the index cannot be read, or names a file that is not there.
    """
    single, index = folder / "model.safetensors", folder / _INDEX
    if single.is_file():
        return [single]
    if not index.is_file():
        return []
    try:
        names = {str(name) for name in json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BaseError("the index of the weights cannot be read", value=str(index), todo="Fetch or save the model anew.") from error
    missing = sorted(name for name in names if Path(name).name != name or not (folder / name).is_file())
    if missing:
        raise BaseError("weights that the index names are not there", value=", ".join(missing), todo="Fetch or save the model anew.")
    return sorted(folder / name for name in names)


def weights_hash(files: list[Path]) -> str:
    """SHA-256 of a model's weights, hex: of the one file, or over the names and hashes of several."""
    return file_hash(files[0]) if len(files) == 1 else content_hash({file.name: file_hash(file) for file in files})


def described_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 by name of each file beside a model's weights that says how it is run and asked, of those that are there."""
    return {name: file_hash(folder / name) for name in _DESCRIBES if (folder / name).is_file()}
