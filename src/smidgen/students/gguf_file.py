"""Writes a decoder, or a LoRA adapter of one, as a GGUF that llama.cpp runs.

Matrices go in 16 bits, norms and biases in 32. What llama.cpp needs besides the weights (sizes, tokens, chat template) is written into
the file, so that it stands by itself; the layout is the one of llama.cpp's own converter.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from smidgen.core.errors import BaseError, TrainError
from smidgen.students.decoder_shape import Shape, rope_of, shape_in
from smidgen.students.gguf_names import GEMMA, architecture_of, counted_from_one, gguf_name, heads_of, interleaved, rotary_heads
from smidgen.students.gguf_vocabulary import vocabulary_of

KINDS: dict[str, tuple[str, int]] = {"f32": ("F32", 0), "f16": ("F16", 1), "bf16": ("BF16", 32)}
"""What matrices may be stored as: ggml's name of the type, and the number of such a file (`general.file_type`)."""

_STRETCH = "smidgen.rope_scaling"
"""How positions are stretched, in full, for who draws a config out of the file (`bases.decoder_files`)."""
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
        out: the file; one that is there is replaced.
        weights: by their names in transformers, rows first, of any float type. A tied `lm_head.weight` is left out.
        config: the model's config as transformers has it, as a dict.
        tokenizer_folder: where tokenizer.json lies, and tokenizer_config.json if there is one.
        kind: what matrices are stored as: `f16`, `bf16` or `f32`.
        template: the chat template (Jinja), or None.
        eos_id: the token that ends a reply.
        name: the model's name, for those who open the file.

    Raises:
        BaseError: the architecture or the tokenizer is not one that can be written, or weights are missing.
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


def adapter_write(
    out: Path, factors: Mapping[str, tuple[Tensor, Tensor]], config: Mapping[str, Any], *, alpha: float, name: str, kind: str = "f32"
) -> None:
    """Write a LoRA adapter as a GGUF that llama.cpp lays over the model: weight + alpha / rank * (b @ a).

    Args:
        out: the file.
        factors: (a, b) by the name in transformers of the matrix that they change; a is (rank, inputs), b is (outputs, rank).
        config: config of the model that it belongs to.
        alpha: the adapter's scale, before it is divided by the rank.
        name: the adapter's name.
        kind: what the factors are stored as: `f32`, `f16`, `bf16`.

    Raises:
        BaseError: a name or an architecture that is not known, or factors whose shapes do not fit one another.
        TrainError: a factor is not a finite number.
    """
    import gguf

    architecture = architecture_of(config.get("model_type"))
    named = {}
    for long, (first, second) in factors.items():
        short = gguf_name(long, architecture)
        if first.dim() != 2 or second.dim() != 2 or first.shape[0] != second.shape[1]:
            raise BaseError(f"the factors of {long} do not fit", value=(*first.shape, *second.shape), todo="Give (r, in) and (out, r).")
        heads = rotary_heads(short, architecture, *heads_of(config))
        named[f"{short}.lora_a"] = first
        named[f"{short}.lora_b"] = interleaved(second, heads) if heads else second
    writer = gguf.GGUFWriter(out, architecture)
    writer.add_type("adapter")
    writer.add_name(name)
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(alpha))
    _write_tensors(writer, named, gguf.GGMLQuantizationType[KINDS[kind][0]])


def _named(weights: Mapping[str, Tensor], architecture: str, shape: Shape) -> dict[str, Tensor]:
    """The weights by their names in a GGUF, rows of queries and keys in its order, and the factors of stretched positions."""
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
        raise BaseError(f"{len(missing)} weights of the model are missing", value=", ".join(missing[:5]), todo="Fetch or save it anew.")
    if shape.stretch:
        named["rope_freqs.weight"] = torch.tensor(shape.stretch)
    return named


def _add_sizes(writer: Any, shape: Shape, rows: int) -> None:
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
    # What a prompt begins with is the caller's to say: ids come ready made.
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)


def _write_tensors(writer: Any, named: Mapping[str, Tensor], kind: Any) -> None:
    """Head and tensors, one after the other, so that only one is held in its stored form at a time."""
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
        raise TrainError(f"a weight is not a number, or too large to be stored as {kind}", value=name, todo="Train with a lower rate.")
    return np.asarray((stored.view(torch.int16) if kind == "BF16" else stored).numpy())
