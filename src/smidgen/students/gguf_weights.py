"""Reads the weights of a decoder out of a GGUF, quantised ones brought back to 32 bits, under the names that transformers gives them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from smidgen.core.errors import BaseError
from smidgen.store.gguf_facts import Placed, head_of
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
    facts, tensors = head_of(file)
    try:
        kind = known(_fact(facts, "general.architecture"))
        heads = int(_fact(facts, f"{kind}.attention.head_count"))
        kv_heads = int(_fact(facts, f"{kind}.attention.head_count_kv", heads))
        for name, placed in tensors.items():
            _within(file, name, placed)
        return {
            transformers_name(name, kind): functools.partial(
                _tensor, file, placed, rotary_heads(name, kind, heads, kv_heads), counted_from_one(name, kind)
            )
            for name, placed in tensors.items()
        }
    except (OSError, TypeError, ValueError, KeyError) as error:
        raise _unreadable(file, error) from error


def _within(file: Path, name: str, placed: Placed) -> None:
    """Raises ValueError where a tensor is of no type that can be read, or does not lie within its file."""
    if placed.start + _bytes(placed) > file.stat().st_size:
        raise ValueError(f"{name} lies beyond its end")


def _bytes(placed: Placed) -> int:
    """How many bytes a tensor takes. Raises ValueError for a type that is not known."""
    import gguf

    block, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(placed.kind)]
    return math.prod(placed.shape) * int(size) // int(block)


def _tensor(file: Path, placed: Placed, rotary: int | None, from_one: bool) -> torch.Tensor:
    try:
        tensor = torch.from_numpy(_numbers(file, placed))
    except (OSError, ValueError, KeyError, NotImplementedError) as error:
        raise _unreadable(file, error) from error
    tensor = tensor - 1 if from_one else tensor
    return halved(tensor, rotary) if rotary else tensor


def _numbers(file: Path, placed: Placed) -> NDArray[np.float32]:
    """A tensor's numbers in 32 bits, whatever they are stored as. Raises OSError, ValueError, KeyError or NotImplementedError."""
    import gguf
    from gguf.quants import dequantize

    raw = np.fromfile(file, np.uint8, _bytes(placed), offset=placed.start)
    if placed.shape and raw.size:
        raw = raw.reshape(*placed.shape[:-1], -1)
    found: NDArray[np.float32] = np.asarray(dequantize(raw, gguf.GGMLQuantizationType(placed.kind)), np.float32).reshape(placed.shape)
    return found


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
    changed = dict(weights)
    try:
        facts, tensors = head_of(file)
    except BaseError as error:
        raise _not_laid(file, error.what) from error
    try:
        for name, placed in tensors.items():
            _within(file, name, placed)
        kind, alpha = known(_fact(facts, "general.architecture")), float(_fact(facts, "adapter.lora.alpha"))
        factors = {name: torch.from_numpy(_numbers(file, placed)) for name, placed in tensors.items()}
        for short in [name.removesuffix(".lora_a") for name in factors if name.endswith(".lora_a")]:
            first, second = factors[f"{short}.lora_a"], factors[f"{short}.lora_b"]
            moved, rotary = second @ first * (alpha / first.shape[0]), rotary_heads(short, kind, *heads)
            name = transformers_name(short, kind)
            changed[name] = changed[name] + (halved(moved, rotary) if rotary else moved)
    except (OSError, TypeError, ValueError, KeyError, IndexError, RuntimeError) as error:
        raise _not_laid(file, str(error)) from error
    return changed


def _not_laid(file: Path, why: str) -> BaseError:
    return BaseError(f"the adapter cannot be laid over the model ({why})", value=str(file), todo="Build the bundle again.")


def _fact(facts: Mapping[str, Any], key: str, otherwise: Any = None) -> Any:
    """A single value of the file's metadata. Raises KeyError where it is not there and nothing else will do."""
    found = facts.get(key, otherwise)
    if found is None:
        raise KeyError(f"no {key}")
    return found
