"""Reads the weights of a decoder's base: out of a GGUF, or out of safetensors in one file or several."""

from __future__ import annotations

from pathlib import Path

import torch

from smidgen.core.errors import BaseError


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    """Every weight as float32 by its name in transformers. Raises BaseError where there are none that can be read."""
    tensors = sorted(folder.glob("*.safetensors"))
    if tensors:
        from safetensors.torch import load_file

        found: dict[str, torch.Tensor] = {}
        for file in tensors:
            found |= {name: tensor.float() for name, tensor in load_file(str(file)).items()}
        return found
    files = sorted(folder.glob("*.gguf"))
    if not files:
        raise BaseError("the base has no weights (*.safetensors or *.gguf)", value=str(folder), todo="Fetch it anew: smidgen pull smollm2")
    from smidgen.students.gguf_weights import read

    return read(files[0])
