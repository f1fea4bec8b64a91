"""A base in a local folder: as `save_pretrained` of transformers writes it, or one GGUF file of a decoder."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from smidgen.core.errors import BaseError
from smidgen.core.parts import Base
from smidgen.gguf.config import FILES, write_missing_files
from smidgen.store.hashing import file_hash
from smidgen.store.home import home
from smidgen.store.weight_files import weight_files, weights_hash


def family_of(folder: Path) -> str:
    """`decoder` for a model that writes (config.json names an architecture ...ForCausalLM), else `encoder`. Raises BaseError where
    config.json cannot be read."""
    file = folder / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BaseError("the model's config cannot be read", value=str(file), todo="Fetch or save the model anew.") from error
    found = config.get("architectures") if isinstance(config, dict) else None
    return "decoder" if any(str(name).endswith("ForCausalLM") for name in found or ()) else "encoder"


_NEEDED = ("config.json", "tokenizer.json")


def find(path: Path) -> Base:
    """The base in a folder. A lone GGUF gets the files that training needs beside it, or, where the folder is not to be written to, in
    smidgen's own.

    Raises:
        BaseError: something is missing, and what.
    """
    weights = weight_files(path)
    if weights and weights[0].suffix == ".gguf":
        return _of_gguf(path, weights[0])
    missing = [name for name in _NEEDED if not (path / name).is_file()] + ([] if weights else ["model.safetensors"])
    if missing:
        raise BaseError(
            f"the folder lacks {', '.join(missing)}",
            value=str(path),
            todo="Save the model there with save_pretrained (safetensors) and its fast tokenizer, or put a single GGUF there.",
        )
    return Base(str(path), path, weights_hash(weights), "unknown", f"local folder {path.name}", family_of(path))


def _of_gguf(path: Path, gguf: Path) -> Base:
    sha256 = file_hash(gguf)
    folder = path
    if any(not (path / name).is_file() for name in FILES) and not os.access(path, os.W_OK):
        folder = home() / "opened" / sha256[:16]
        folder.mkdir(parents=True, exist_ok=True)
        _lend(gguf, sha256, folder / "model.gguf")
    write_missing_files(folder, gguf)
    return Base(str(path), folder, sha256, "unknown", f"local folder {path.name}", family_of(folder))


def _lend(file: Path, sha256: str, place: Path) -> None:
    """Have a file of that hash, and no other GGUF, in another folder too: by a link, or as a copy where the system makes no links."""
    for other in place.parent.glob("*.gguf"):
        if other.name != place.name or not other.is_file() or file_hash(other) != sha256:
            other.unlink(missing_ok=True)
    if place.is_file():
        return
    try:
        place.symlink_to(file.resolve())
    except OSError:
        shutil.copyfile(file, place)
