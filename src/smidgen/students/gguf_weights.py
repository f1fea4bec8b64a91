"""Reads the weights of a decoder out of a GGUF, quantised ones brought back to 32 bits, under the names that transformers gives them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from smidgen.core.errors import BaseError
from smidgen.students.gguf_names import architecture_of, halved, rotary_heads, transformers_name


def read(file: Path) -> dict[str, torch.Tensor]:
    """Every weight as float32, rows first, by its name in transformers (`model.layers.0.self_attn.q_proj.weight`).

    A model whose output shares the table of token vectors has no `lm_head.weight`.

    Raises:
        BaseError: the file is damaged, of another architecture than those of `gguf_names`, or holds a tensor that these do not have.
    """
    import gguf
    from gguf.quants import dequantize

    try:
        reader = gguf.GGUFReader(file)
        kind = architecture_of(_fact(reader, "general.architecture"))
        heads = int(_fact(reader, f"{kind}.attention.head_count"))
        kv_heads = int(_fact(reader, f"{kind}.attention.head_count_kv", heads))
        weights = {}
        for entry in reader.tensors:
            name = transformers_name(entry.name)
            shape = tuple(int(size) for size in reversed(entry.shape))
            array = np.array(dequantize(entry.data, entry.tensor_type), np.float32).reshape(shape)  # a copy: the file is only mapped
            tensor, rotary = torch.from_numpy(array), rotary_heads(entry.name, kind, heads, kv_heads)
            weights[name] = halved(tensor, rotary) if rotary else tensor
    except (OSError, ValueError, KeyError, IndexError, NotImplementedError) as error:
        raise BaseError(f"the weights of the GGUF cannot be read ({error})", value=str(file), todo="Fetch the file anew.") from error
    return weights


def _fact(reader: Any, key: str, otherwise: Any = None) -> Any:
    """A single value of the file's metadata. Raises KeyError where it is not there and nothing else will do."""
    field = reader.get_field(key)
    if field is None:
        if otherwise is None:
            raise KeyError(f"no {key}")
        return otherwise
    return field.contents()
