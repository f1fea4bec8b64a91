"""Weights of a decoder or of a LoRA adapter: write them as a GGUF for llama.cpp, and read them back.

Written matrices take 16 bits, norms and biases 32. The file also contains everything else that llama.cpp needs (sizes, tokens, chat
template); the layout is the one of llama.cpp's own converter. Read weights are converted to 32 bits, under their names in transformers.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from smidgen.core.errors import BaseError, TrainError
from smidgen.gguf.architectures import (
    GEMMA,
    DecoderShape,
    architecture_of,
    counted_from_one,
    gguf_name,
    halved,
    heads_of,
    interleaved,
    known_architecture,
    rope_of,
    rotary_heads,
    shape_in,
    transformers_name,
)
from smidgen.gguf.header import GgufTensor, read_header
from smidgen.gguf.tokenizer import vocabulary_of

KINDS: dict[str, tuple[str, int]] = {"f32": ("F32", 0), "f16": ("F16", 1), "bf16": ("BF16", 32)}
"""The types for storing matrices: ggml's name of the type, and the file type's number (`general.file_type`)."""

_STRETCH = "smidgen.rope_scaling"
"""The full rope scaling, for deriving a config from the file (`gguf.config`)."""
_EVERY_LAYER = ("attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_gate", "ffn_up", "ffn_down")
_HEAD_NORMS = ("attn_q_norm", "attn_k_norm")
_AFTER_NORMS = ("post_attention_norm", "post_ffw_norm")


def write(
    out: Path,
    weights: Mapping[str, Tensor],
    config: Mapping[str, Any],
    tokenizer_folder: Path,
    *,
    kind: str = "f16",
    template: str | None,
    eos_id: int,
    name: str,
) -> None:
    """Write a decoder as one GGUF file.

    Args:
        out: the file; an existing one is replaced.
        weights: by their names in transformers, rows first, of any float type. A tied `lm_head.weight` is left out.
        config: the model's config in transformers' form, as a dict.
        tokenizer_folder: the folder of tokenizer.json, and of tokenizer_config.json if there is one.
        kind: the type of stored matrices: `f16`, `bf16` or `f32`.
        template: the chat template (Jinja), or None.
        eos_id: the token that ends a reply.
        name: the model's name, stored in the file.

    Raises:
        BaseError: the architecture or the tokenizer cannot be written, or weights are missing.
        TrainError: a weight is not a finite number, or too large for 16 bits.
    """
    import gguf

    architecture, shape = architecture_of(config.get("model_type")), shape_in(config, name)
    named = _named(weights, architecture, shape)
    type_name, file_type = KINDS[kind]
    rows = int(named["token_embd.weight"].shape[0])
    writer = gguf.GGUFWriter(out, architecture)
    writer.add_type("model")
    writer.add_name(name)
    writer.add_size_label(f"{sum(tensor.numel() for tensor in named.values()) / 1e6:.0f}M")
    writer.add_file_type(file_type)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    _add_sizes(writer, shape, rows)
    _add_tokens(writer, config, tokenizer_folder, rows, eos_id)
    if template:
        writer.add_chat_template(template)
    if shape.stretch:
        writer.add_string(_STRETCH, json.dumps(rope_of(config)))
    _write_tensors(writer, named, gguf.GGMLQuantizationType[type_name])


def write_adapter(
    out: Path, factors: Mapping[str, tuple[Tensor, Tensor]], config: Mapping[str, Any], *, alpha: float, name: str, kind: str = "f32"
) -> None:
    """Write a LoRA adapter as a GGUF that llama.cpp adds to the model: weight + alpha / rank * (b @ a).

    Args:
        out: the file.
        factors: (a, b) by the name in transformers of the matrix that they change; a is (rank, inputs), b is (outputs, rank).
        config: config of the model that it belongs to.
        alpha: the adapter's scale, before it is divided by the rank.
        name: the adapter's name.
        kind: the type of the stored factors: `f32`, `f16`, `bf16`.

    Raises:
        BaseError: an unknown name or architecture, or factors whose shapes do not fit one another.
        TrainError: a factor is not a finite number.
    """
    import gguf

    architecture = architecture_of(config.get("model_type"))
    named = {}
    for long, (first, second) in factors.items():
        short = gguf_name(long, architecture)
        if first.dim() != 2 or second.dim() != 2 or first.shape[0] != second.shape[1]:
            raise BaseError("gguf.lora_factors_do_not_fit", value=(*first.shape, *second.shape), long=long)
        heads = rotary_heads(short, architecture, *heads_of(config))
        named[f"{short}.lora_a"] = first
        named[f"{short}.lora_b"] = interleaved(second, heads) if heads else second
    writer = gguf.GGUFWriter(out, architecture)
    writer.add_type("adapter")
    writer.add_name(name)
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(alpha))
    _write_tensors(writer, named, gguf.GGMLQuantizationType[KINDS[kind][0]])


def _named(weights: Mapping[str, Tensor], architecture: str, shape: DecoderShape) -> dict[str, Tensor]:
    """The weights by their names in a GGUF, with query and key rows in its order, and the factors of stretched positions."""
    named = {}
    for long, tensor in weights.items():
        if long == "lm_head.weight" and shape.tied:
            continue
        short = gguf_name(long, architecture)
        heads = rotary_heads(short, architecture, shape.heads, shape.kv_heads)
        named[short] = interleaved(tensor, heads) if heads else tensor + 1 if counted_from_one(short, architecture) else tensor
    wanted = ["token_embd.weight", "output_norm.weight"] + ([] if shape.tied else ["output.weight"])
    stems = [*_EVERY_LAYER, *(_HEAD_NORMS if shape.head_norms else ()), *(_AFTER_NORMS if architecture == GEMMA else ())]
    wanted += [f"blk.{layer}.{stem}.weight" for layer in range(shape.layers) for stem in stems]
    missing = [short for short in wanted if short not in named]
    if missing:
        raise BaseError("gguf.weights_of_model_are_missing", value=", ".join(missing[:5]), absent=len(missing))
    if shape.stretch:
        named["rope_freqs.weight"] = torch.tensor(shape.stretch)
    return named


def _add_sizes(writer: Any, shape: DecoderShape, rows: int) -> None:
    writer.add_vocab_size(rows)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head)
    writer.add_value_length(shape.head)
    writer.add_layer_norm_rms_eps(shape.eps)
    writer.add_rope_dimension_count(shape.head)
    writer.add_rope_freq_base(shape.theta)
    if shape.window:
        writer.add_sliding_window(shape.window)
        writer.add_rope_freq_base_swa(shape.near_theta)


def _add_tokens(writer: Any, config: Mapping[str, Any], folder: Path, rows: int, eos_id: int) -> None:
    vocabulary = vocabulary_of(folder, rows)
    first, padding = config.get("bos_token_id"), config.get("pad_token_id")
    writer.add_tokenizer_model(vocabulary.model)
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list(list(vocabulary.tokens))
    writer.add_token_types(list(vocabulary.kinds))
    if vocabulary.scores:
        writer.add_token_scores(list(vocabulary.scores))
    else:
        writer.add_token_merges(list(vocabulary.merges))
    writer.add_bos_token_id(first if isinstance(first, int) else eos_id)
    writer.add_eos_token_id(eos_id)
    writer.add_pad_token_id(padding if isinstance(padding, int) else eos_id)
    # The caller decides what a prompt begins with: it passes finished token ids.
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)


def _write_tensors(writer: Any, named: Mapping[str, Tensor], kind: Any) -> None:
    """Write head and tensors, one after the other, so that only one is held in its stored form at a time."""
    import gguf

    kinds = {name: kind if tensor.dim() > 1 else gguf.GGMLQuantizationType.F32 for name, tensor in named.items()}
    for name, tensor in named.items():
        size = 4 if kinds[name] == gguf.GGMLQuantizationType.F32 else 2
        writer.add_tensor_info(name, tuple(tensor.shape), np.dtype(np.float32), tensor.numel() * size, raw_dtype=kinds[name])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for name, tensor in named.items():
        writer.write_tensor_data(_stored(name, tensor, kinds[name].name))
    writer.close()


def _stored(name: str, tensor: Tensor, kind: str) -> NDArray[Any]:
    tensor = tensor.detach().cpu()
    stored = tensor.to({"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}[kind]).contiguous()
    if not bool(torch.isfinite(stored).all()):
        raise TrainError("gguf.weight_is_not_number_or_too_large", value=name, kind=kind)
    return np.asarray((stored.view(torch.int16) if kind == "BF16" else stored).numpy())


def read(file: Path) -> dict[str, torch.Tensor]:
    """Every weight as float32, rows first, by its name in transformers (`model.layers.0.self_attn.q_proj.weight`).

    A model whose output shares the table of token vectors has no `lm_head.weight`.

    Raises:
        BaseError: the file is damaged, of an architecture not in `architectures`, or holds a tensor that these do not have.
    """
    return {name: made() for name, made in readers(file).items()}


def readers(file: Path) -> dict[str, Callable[[], torch.Tensor]]:
    """The weights of `read`, each as a function that reads it, so that a model need not be held in 32 bits as a whole. Raises as `read`,
    the functions too."""
    facts, tensors = read_header(file)
    try:
        kind = known_architecture(_fact(facts, "general.architecture"))
        heads = int(_fact(facts, f"{kind}.attention.head_count"))
        kv_heads = int(_fact(facts, f"{kind}.attention.head_count_kv", heads))
        for name, placed in tensors.items():
            _within(file, name, placed)
        return {
            transformers_name(name, kind): functools.partial(
                _read_tensor, file, placed, rotary_heads(name, kind, heads, kv_heads), counted_from_one(name, kind)
            )
            for name, placed in tensors.items()
        }
    except (OSError, TypeError, ValueError, KeyError) as error:
        raise _unreadable(file, error) from error


def _within(file: Path, name: str, placed: GgufTensor) -> None:
    """Raise ValueError if a tensor has an unknown type, or does not lie within its file."""
    if placed.start + _bytes(placed) > file.stat().st_size:
        raise ValueError(f"{name} lies beyond its end")


def _bytes(placed: GgufTensor) -> int:
    """The size of a tensor in bytes. Raises ValueError for an unknown type."""
    import gguf

    block, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(placed.kind)]
    return math.prod(placed.shape) * int(size) // int(block)


def _read_tensor(file: Path, placed: GgufTensor, rotary: int | None, from_one: bool) -> torch.Tensor:
    try:
        tensor = torch.from_numpy(_numbers(file, placed))
    except (OSError, ValueError, KeyError, NotImplementedError) as error:
        raise _unreadable(file, error) from error
    tensor = tensor - 1 if from_one else tensor
    return halved(tensor, rotary) if rotary else tensor


def _numbers(file: Path, placed: GgufTensor) -> NDArray[np.float32]:
    """A tensor's numbers in 32 bits, from any stored type. Raises OSError, ValueError, KeyError or NotImplementedError."""
    from gguf.quants import dequantize

    import gguf

    raw = np.fromfile(file, np.uint8, _bytes(placed), offset=placed.start)
    if placed.shape and raw.size:
        raw = raw.reshape(*placed.shape[:-1], -1)
    found: NDArray[np.float32] = np.asarray(dequantize(raw, gguf.GGMLQuantizationType(placed.kind)), np.float32).reshape(placed.shape)
    return found


def _unreadable(file: Path, error: Exception) -> BaseError:
    return BaseError("gguf.weights_of_gguf_cannot_be_read", value=str(file), error=error)


def with_adapter(weights: dict[str, torch.Tensor], file: Path, heads: tuple[int, int]) -> dict[str, torch.Tensor]:
    """The weights with a LoRA adapter added: weight + alpha / rank * (b @ a).

    Args:
        weights: from `read`; not changed.
        file: the adapter, a GGUF.
        heads: heads of queries, and of keys and values.

    Raises:
        BaseError: the adapter is damaged, or changes a matrix that the model lacks.
    """
    changed = dict(weights)
    try:
        facts, tensors = read_header(file)
    except BaseError as error:
        raise _not_laid(file, error.what) from error
    try:
        for name, placed in tensors.items():
            _within(file, name, placed)
        kind, alpha = known_architecture(_fact(facts, "general.architecture")), float(_fact(facts, "adapter.lora.alpha"))
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
    return BaseError("gguf.adapter_cannot_be_laid_over_model", value=str(file), why=why)


def _fact(facts: Mapping[str, Any], key: str, otherwise: Any = None) -> Any:
    """A single value of the file's metadata. Raises KeyError if it is missing and there is no default."""
    found = facts.get(key, otherwise)
    if found is None:
        raise KeyError(f"no {key}")
    return found
