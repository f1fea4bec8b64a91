"""Reads the weights of a decoder out of a GGUF, quantised ones brought back to 32 bits, under the names that transformers gives them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from smidgen.core.errors import BaseError
from smidgen.students.gguf_names import counted_from_one, halved, known, rotary_heads, transformers_name


def read(file: Path) -> dict[str, torch.Tensor]:
    """Every weight as float32, rows first, by its name in transformers (`model.layers.0.self_attn.q_proj.weight`).

    A model whose output shares the table of token vectors has no `lm_head.weight`.

    Raises:
        BaseError: the file is damaged, of another architecture than those of `gguf_names`, or holds a tensor that these do not have.
    """
    return {name: made() for name, made in readers(file).items()}


def readers(file: Path) -> dict[str, Callable[[], torch.Tensor]]:
    """What `read` gives, each weight behind a function that reads it: a model need not be held in 32 bits as a whole. Raises as `read`, the
    functions too."""
    import gguf

    try:
        reader = gguf.GGUFReader(file)
        kind = known(_fact(reader, "general.architecture"))
        heads = int(_fact(reader, f"{kind}.attention.head_count"))
        kv_heads = int(_fact(reader, f"{kind}.attention.head_count_kv", heads))
        return {
            transformers_name(entry.name, kind): functools.partial(
                _tensor, file, entry, rotary_heads(entry.name, kind, heads, kv_heads), counted_from_one(entry.name, kind)
            )
            for entry in reader.tensors
        }
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise _unreadable(file, error) from error


def _tensor(file: Path, entry: Any, rotary: int | None, from_one: bool) -> torch.Tensor:
    from gguf.quants import dequantize

    try:
        shape = tuple(int(size) for size in reversed(entry.shape))
        array = np.array(dequantize(entry.data, entry.tensor_type), np.float32).reshape(shape)  # a copy: the file is only mapped
    except (ValueError, KeyError, IndexError, NotImplementedError) as error:
        raise _unreadable(file, error) from error
    tensor = torch.from_numpy(array - 1 if from_one else array)
    return halved(tensor, rotary) if rotary else tensor


def _unreadable(file: Path, error: Exception) -> BaseError:
    return BaseError(f"the weights of the GGUF cannot be read ({error})", value=str(file), todo="Fetch the file anew.")


def with_adapter(weights: dict[str, torch.Tensor], file: Path, heads: tuple[int, int]) -> dict[str, torch.Tensor]:
    """The weights with a LoRA adapter added to them: weight + alpha / rank * (b @ a).

    Args:
        weights: as `read` gives them; they are left as they are.
        file: the adapter, a GGUF.
        heads: heads of queries, and of keys and values.

    Raises:
        BaseError: the adapter is damaged, or changes what the model does not have.
    """
    import gguf
    from gguf.quants import dequantize

    changed = dict(weights)
    try:
        reader = gguf.GGUFReader(file)
        kind, alpha = known(_fact(reader, "general.architecture")), float(_fact(reader, "adapter.lora.alpha"))
        factors = {
            entry.name: torch.from_numpy(
                np.array(dequantize(entry.data, entry.tensor_type), np.float32).reshape(tuple(int(size) for size in reversed(entry.shape)))
            )
            for entry in reader.tensors
        }
        for short in [name.removesuffix(".lora_a") for name in factors if name.endswith(".lora_a")]:
            first, second = factors[f"{short}.lora_a"], factors[f"{short}.lora_b"]
            moved, rotary = second @ first * (alpha / first.shape[0]), rotary_heads(short, kind, *heads)
            name = transformers_name(short, kind)
            changed[name] = changed[name] + (halved(moved, rotary) if rotary else moved)
    except (OSError, ValueError, KeyError, IndexError, RuntimeError) as error:
        raise BaseError(f"the adapter cannot be laid over the model ({error})", value=str(file), todo="Build the bundle again.") from error
    return changed


def _fact(reader: Any, key: str, otherwise: Any = None) -> Any:
    """A single value of the file's metadata. Raises KeyError where it is not there and nothing else will do."""
    field = reader.get_field(key)
    if field is None:
        if otherwise is None:
            raise KeyError(f"no {key}")
        return otherwise
    return field.contents()
