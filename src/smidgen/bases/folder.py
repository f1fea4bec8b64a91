"""A base in a local folder, as `save_pretrained` of transformers writes it."""

from __future__ import annotations

from pathlib import Path

from smidgen.core.bases import Base
from smidgen.core.errors import BaseError
from smidgen.store.hashing import file_hash

_NEEDED = ("config.json", "tokenizer.json", "model.safetensors")


def find(path: Path) -> Base:
    """The base in a folder. Raises BaseError, naming what is missing."""
    missing = [name for name in _NEEDED if not (path / name).is_file()]
    if missing:
        raise BaseError(
            f"the folder lacks {', '.join(missing)}",
            value=str(path),
            todo="Save the model there with save_pretrained (safetensors) and its fast tokenizer, or name another base.",
        )
    return Base(str(path), path, file_hash(path / "model.safetensors"), "unknown", f"local folder {path.name}", "encoder")
